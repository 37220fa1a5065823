"""``replay init --program``: a commented inputs file.

Options that the program's file seems to know stand there as a comment: whether they take a
value, and whether they do harm, is for whoever knows the program to say.
"""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Final

from replay.repo.errors import RepoError
from replay.repo.program.inputs import FORMAT

MOST_OPTIONS: Final = 16
MOST_FILE: Final = 16 << 20
_OPTION: Final = re.compile(rb"(?<![\w./%-])--?[A-Za-z][A-Za-z0-9-]{0,24}(?=[\s\"'=,\]\0|)])")

_TEXT: Final = """\
# What replay verify --program {program} --inputs FILE gives to the program.
#
# Written by replay init; all of it is a guess. Each [[run]] is a kind of run, and they take
# turns. Of each list one is taken, in order first and then at random; {{name}} is replaced by
# what a rule gives; {{{{ and }}}} stand for braces. Small inputs find more than large ones.
#
#   args = ["", "-n {{n}}", ["--title", "a b"]]   words as a shell splits them, or a list of them
#   stdin = ["", "{{text}}"]                     or {{ corpus = "DIR" }}: each file of a folder
#   files = {{ "in.txt" = ["{{text}}"] }}          what its folder holds; the rest is empty
#   mutate = true                              change inputs a little, as a corpus has it
#
# Seen are standard output, error output, the exit status or signal, and what the program
# writes in its folder. Name no option that does something outside of its folder.

format = "{format}"

[[run]]
{args}
stdin = ["", "{{line}}\\n", "{{word}}", "{{text}}"]
{corpus}
[rules]
text = ["", "{{line}}\\n{{text}}"]
line = ["", "{{word}}", "{{n}}", "{{word}} {{n}}"]
word = {{ alphabet = "abcxyz", length = [1, 5] }}
n = {{ range = [-2, 30] }}

# [env]                 # variables that it sees, beside a few that are the same for all
# COLUMNS = "80"

# [limits]              # in MiB
# memory = 4096
# output = 1
"""


def draft_inputs(program: str, corpus: Path | None = None) -> str:
    """The text of an inputs file for a program, which is read, and not run, if it is there.

    Raises:
        RepoError: the program is not named.

    """
    try:
        words = shlex.split(program)
    except ValueError as error:
        raise RepoError(f"--program {program!r}: {error}") from None
    if not words:
        raise RepoError("--program: name the file that the build makes, as in build/tool")
    found = options_in(Path(words[-1]))
    args = 'args = [""]'
    if found:
        listed = ", ".join(json.dumps(word) for word in ["", *found])
        args = f"# args = [{listed}]   # what its file seems to know\n{args}"
    data = f"\n[[run]]\nstdin = {{ corpus = {json.dumps(str(corpus))} }}\n" if corpus else ""
    name = program.encode("ascii", "backslashreplace").decode()
    name = json.dumps(name) if not name.isprintable() else name
    return _TEXT.format(program=shlex.quote(name), format=FORMAT, args=args, corpus=data)


def options_in(path: Path) -> list[str]:
    """Words of a file that look like options, in their order; none where it cannot be read."""
    try:
        with path.open("rb") as file:
            data = file.read(MOST_FILE)
    except OSError:
        return []
    found = (one.decode() for one in _OPTION.findall(data))
    return list(dict.fromkeys(word for word in found if not word.endswith("-")))[:MOST_OPTIONS]
