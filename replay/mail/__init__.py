"""Patches as they come by mail: a series read from a mailbox, and two versions compared.

Mail is data that anybody may have sent: what is shown of it has no control characters
left, and nothing of it is executed, but for what ``driving`` and ``calling`` are asked to
build and run.
"""
