"""What every room may use, and that knows nothing of the field.

Files written whole, JSON lines, text made safe to print, style, patience, a pool of processes.
"""
