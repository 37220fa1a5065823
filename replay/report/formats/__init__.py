"""Formats beside text and JSON: a module each, named as the format.

A module here registers its renderers with :func:`replay.report.output.renders` when it is
imported, which is when its format is first asked for. Nothing lists these modules.
"""
