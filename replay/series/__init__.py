"""A series of patches, and the subject: all that the tool needs to know of one.

What each step declares, the patches, their history, and import.
"""
