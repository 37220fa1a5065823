"""The language of traces.

Its vocabulary, which traces are valid, how they are drawn, made smaller, written and shown.
"""
