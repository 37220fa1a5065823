"""The site over HTTP, for this machine alone."""

from __future__ import annotations

import errno
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

from replay.errors import UsageError

HOST: Final = "127.0.0.1"


class _Handler(SimpleHTTPRequestHandler):
    """Files of one folder, without a log and without lists of folders."""

    def log_message(self, format: str, *args: Any) -> None:
        """Nobody reads a log of one's own clicks."""

    def list_directory(self, path: Any) -> None:
        """A folder without index.html is not there."""
        self.send_error(404)


def server(folder: Path, port: int) -> ThreadingHTTPServer:
    """A server of ``folder`` on the loopback interface; port 0 takes any that is free.

    Raises:
        UsageError: the port is taken, or may not be used.

    """
    try:
        return ThreadingHTTPServer((HOST, port), partial(_Handler, directory=str(folder)))
    except OSError as error:
        reason = (
            "is in use" if error.errno == errno.EADDRINUSE else f"cannot be used: {error.strerror}"
        )
        raise UsageError(
            f"port {port} {reason}; name another with --port, or 0 for any that is free"
        ) from None
