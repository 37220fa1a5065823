"""Does the checker deserve trust? Faults are put in, one at a time, and have to be found."""
