"""A server for the tests, loaded by path as the real ones are."""

from __future__ import annotations

import os
import sys
import time

from replay.apart import child


def main(channel: child.Channel) -> None:
    for head, payload in channel.requests():
        do = head["do"]
        if do == "die":
            os.write(2, b"the end is near\n")
            os._exit(head["status"])
        if do == "sleep":
            time.sleep(300)
        if do == "nonsense":
            channel.writing.write(b"[1]\n")
            channel.writing.flush()
            continue
        if do == "raise":
            raise ValueError("a fault of the server")
        if do == "spawn":
            made = os.fork()
            if not made:
                time.sleep(300)
            channel.answer({"pid": made})
            continue
        seen = {
            "environment": dict(os.environ),
            "modules": sorted(n for n in sys.modules if n.startswith("replay")),
            "leads": os.getsid(0) == os.getpid(),
            "flags": [sys.flags.isolated, sys.flags.no_site],
        }
        channel.answer(seen, payload[::-1])
