"""The lessons in the terminal: read, play the traces, answer the questions.

``session`` holds where the reader is and what a key does, ``views`` what is shown,
``stage`` a trace on two models; ``screen`` and ``lines`` are the two ways to look at a
session, a whole screen or a line at a time. Only these two know a terminal.
"""
