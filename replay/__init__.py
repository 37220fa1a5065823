"""Replay a patch series step by step and verify that it changes only what it says."""

__version__ = "0.1.0"
