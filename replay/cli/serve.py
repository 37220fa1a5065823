"""``replay serve``: the teaching site in a browser of this machine."""

from __future__ import annotations

import tempfile
from pathlib import Path

import click

from replay.cli.common import ExitCode, examples, print_lines
from replay.cli.site import gather, material_options


@click.command(
    "serve",
    epilog=examples(
        "replay serve                            check, build, serve; Ctrl-C ends it",
        "replay serve --check check.json --port 0",
    ),
)
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8039, show_default=True, metavar="N",
    help="The port; 0 takes any that is free.",
)  # fmt: skip
@material_options
def command(
    port: int, report: Path | None, bench: Path | None, traces: int, seed: int, jobs: int
) -> int:
    """Build the teaching site in a temporary folder and serve it to this machine alone.

    Nothing is left behind: the folder goes when the server is ended with Ctrl-C.
    """
    from replay.teach.page.build import make_site
    from replay.teach.page.serve import HOST, server

    with tempfile.TemporaryDirectory(prefix="replay-site-") as folder:
        site = Path(folder) / "site"
        with server(site, port) as http:
            make_site(gather(report, bench, traces, seed, jobs), site)
            print_lines([f"http://{HOST}:{http.server_address[1]}/ (Ctrl-C ends it)"])
            try:
                http.serve_forever(poll_interval=0.2)
            except KeyboardInterrupt:
                print_lines(["ended"])
    return ExitCode.OK
