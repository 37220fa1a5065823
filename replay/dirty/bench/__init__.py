"""What the tool costs, as ratios measured side by side in one run; never a timed test.

A section measures one claim; :mod:`replay.dirty.bench.sections` lists them. All times are
seconds of this process on the processor, so that whoever else uses the machine disturbs
little, and the sides of a ratio take turns, so that what disturbs disturbs both.
"""
