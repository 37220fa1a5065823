"""What git reads and writes, and the one sealed way to run it.

Paths, diffs, patches in mail form, objects, folders.
"""
