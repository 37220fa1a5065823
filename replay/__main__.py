"""``python -m replay`` is the same as ``replay``."""

from replay.cli import main

main()
