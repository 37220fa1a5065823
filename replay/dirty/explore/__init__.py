"""Exhaustive search on a small machine: every state that it can reach, every operation there.

Each operation of a step is executed on states whose bits are not known yet. A bit gets a
value only where the code asks for it, and the operation is executed once for each way
through it: the outcome is then known for every state there is, reached or not. Two steps are
compared way by way; the states that a machine can reach are counted, breadth first, over
the tables of what operations do.
"""
