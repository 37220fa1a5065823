"""Traces run by a compiled program: a digest of all that the worker would have recorded.

Whoever compares two libraries asks for the digests of many traces first, and has the worker
run again only those whose digests differ. Equal digests mean equal records, as they are told
in ``replay.repo.worker``; different ones may come from something that no record shows.

``generate`` writes the calls of a binding in C, ``encode`` turns traces to bytes, ``run``
compiles, starts and asks. The rest of the program stands in ``driver.c`` beside them.
"""
