"""Campaigns: numbered traces in ranges, run by workers, merged in order, kept in a file.

What the traces are, and what is compared on them, is the work of whoever runs one.
"""
