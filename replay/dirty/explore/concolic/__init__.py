"""The C of a step and its model proved to do the same, from every state of a small machine.

The C is executed as the models are: a piece of memory gets a value when it is loaded, and
an operation is executed once for each way through it. The compiler tells of each load and
store (the calls of the address sanitizer, which :file:`engine.c` takes over; nothing of a
sanitizer is linked). What an operation leaves is held against the tree of what the model
does.
"""
