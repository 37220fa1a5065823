"""The native lane: C at step k, run apart from this process, as a Model like the Python one.

``library`` binds the driver's functions; ``server`` runs inside the process that holds the
libraries and ``session`` talks to it; ``encode`` and ``decode`` are the two ends of what
travels; ``model`` makes Models of it all, ``check`` compares steps, ``bench`` measures.

This code executes what the trees of the series say: use it for series that you trust as
you would trust a program that you run.
"""
