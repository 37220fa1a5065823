"""The teaching site: lessons, diffs, verdicts, and a player that runs the models in the page.

``build.build_site`` writes a folder of plain files that need no server and no network.
``transpile`` turns the reference models into the JavaScript that runs there.
"""
