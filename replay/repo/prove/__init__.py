"""``replay verify --prove``: that a changed function does the same, where that can be shown.

Traces show that two libraries differ; that they do not, only a proof shows. Three rungs, the
cheapest first, each with what it takes for granted:

- ``recompiling``: another compiler, or another level, makes equal code of both commits.
- ``enumerating``: all arguments, or all states that calls lead to, are run on both.
- ``bounded``: an engine for bounded model checking (cbmc, esbmc) finds no arguments and no
  state from which the two do something else.

What a rung cannot do is a reason that is told, never a proof: an engine that gives up, a
process that ends, a function of which not everything is known.
"""
