"""Running what may crash, hang or lie, in a process apart that forks a child for it.

``boot`` starts a server in a process that knows nothing of the package but what the server
names; ``child`` is what runs in there: the fork, the limits, the last words, how a child
ended. ``parent`` is our side: it starts such a process, asks it, and ends it with all that
it started. ``death`` is what an end means.
"""
