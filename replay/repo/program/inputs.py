r"""Reading ``inputs.toml``: what the runs of a program are given.

    format = "replay-inputs/1"

    [[run]]                        # one kind of run; several take turns
    args = ["", "-n {count}", "--sort {key}"]   # one is taken; words as a shell splits them
    stdin = ["", "{lines}"]        # one is taken; or { corpus = "tests/data" }
    mutate = true                  # change the input a little, too; as a corpus has it
    files = { "in.txt" = ["{lines}"] }          # what the folder holds at the start

    [rules]                        # what {name} stands for
    count = { range = [0, 20] }
    key = ["name", "size"]         # one of these
    lines = ["", "{line}\n{lines}"]             # a rule may name itself
    line = ["{word} {count}", "{word}"]
    word = { alphabet = "abc", length = [1, 6] }

    [env]                          # variables that the program sees, beside PATH
    COLUMNS = "80"

    [limits]
    memory = 2048                  # MiB, and of what it writes:
    output = 1                     # MiB a file or stream

``{{`` and ``}}`` stand for braces. Paths are relative to the file. It is data: nothing in it
is executed.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, Final, NoReturn, TypeAlias

from replay.base.jsonlines import nearest, shown
from replay.repo.bindinglines import line_of, lines_of
from replay.repo.errors import BindingError, RepoError
from replay.repo.program.case import bad_name, is_argument
from replay.repo.tomlfile import parse_tables, read_text

FORMAT: Final = "replay-inputs/1"
MEMORY: Final = 4096
OUTPUT: Final = 1
"""MiB, unless told otherwise."""
MOST_FILE: Final = 1 << 20
MOST_CORPUS: Final = 1000
"""Files of a corpus."""
_NAME: Final = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_PARTS: Final = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]|[^{}]+")

Part: TypeAlias = "str | Ref"
Template: TypeAlias = tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Ref:
    """A place in a template where a rule is put in."""

    name: str


@dataclass(frozen=True, slots=True)
class Span:
    """Integers from ``low`` to ``high``, both included."""

    low: int
    high: int


@dataclass(frozen=True, slots=True)
class Letters:
    """Texts of ``low`` to ``high`` characters of an alphabet."""

    alphabet: str
    low: int
    high: int


Rule: TypeAlias = "Span | Letters | tuple[Template, ...]"
Content: TypeAlias = "tuple[Template, ...] | tuple[bytes, ...]"
"""Templates, or the files of a corpus."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of run.

    Attributes:
        args: what the arguments may be: each a list of words, which are templates.
        stdin: what standard input may be.
        files: the same for the files of the folder.
        mutate: whether inputs are changed a little.

    """

    args: tuple[tuple[Template, ...], ...] = ((),)
    stdin: Content = ((),)
    files: tuple[tuple[str, Content], ...] = ()
    mutate: bool = False


@dataclass(frozen=True, slots=True)
class Inputs:
    """What the runs of a program are given, and within which limits (in MiB) they run."""

    kinds: tuple[Kind, ...]
    rules: Mapping[str, Rule] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)
    memory: int = MEMORY
    output: int = OUTPUT


def default_inputs(corpus: Path | None) -> Inputs:
    """No arguments; small texts, and the files of a corpus, as standard input.

    Raises:
        RepoError: the corpus cannot be read.

    """
    rules: dict[str, Rule] = {
        "text": (template("", ()), template("{line}\n{text}", ("line", "text"))),
        "line": (
            template("{word}", ("word",)), template("{n}", ("n",)),
            template("{word} {n}", ("word", "n")), template("", ()),
        ),
        "word": Letters("abcxyz", 1, 5), "n": Span(-2, 30),
    }  # fmt: skip
    small = Kind(stdin=tuple(
        template(text, rules)
        for text in ("", "{line}\n", "{word}", "{text}", "{line}\n{line}\n{text}")
    ))  # fmt: skip
    if corpus is None:
        return Inputs((small,), rules)
    try:
        files = read_corpus(corpus)
    except ValueError as error:
        raise RepoError(f"--corpus {error}") from None
    return Inputs((Kind(stdin=files, mutate=True), small), rules)


def read_corpus(folder: Path) -> tuple[bytes, ...]:
    """The files of a folder, and of those in it, in the order of their names.

    Raises:
        ValueError: there are none, or they cannot be read; the text says so.

    """
    if not folder.is_dir():
        raise ValueError(f"{folder}: no such folder")
    paths = sorted(path for path in folder.rglob("*") if path.is_file())[:MOST_CORPUS]
    try:
        found = dict.fromkeys(path.read_bytes() for path in paths)
    except OSError as error:
        raise ValueError(f"{folder}: a file cannot be read ({error.strerror})") from None
    if not found:
        raise ValueError(f"{folder}: no file in it")
    if max(map(len, found)) > MOST_FILE:
        raise ValueError(f"{folder}: a file has more than {MOST_FILE} bytes; leave it out")
    return tuple(found)


def read_inputs(path: Path) -> Inputs:
    """Read an inputs file.

    Raises:
        BindingError: it cannot be read, or something in it is wrong.

    """
    text = read_text(path, "`replay init --program` writes one", "are no inputs")
    return parse_inputs(text, path)


def parse_inputs(text: str, path: Path) -> Inputs:
    """The same, of a text.

    Raises:
        BindingError: something in it is wrong.

    """
    return _File(path, lines_of(text), parse_tables(text, path)).inputs()


def template(text: str, known: Iterable[str]) -> Template:
    """The parts of a template.

    Raises:
        ValueError: a brace stands alone, or a name is not known; the text says so.

    """
    parts: list[Part] = []
    for found in _PARTS.finditer(text):
        if found[1] is not None:
            if found[1] not in known:
                raise ValueError(f"{{{found[1]}}} names no rule{nearest(found[1], known)}")
            parts.append(Ref(found[1]))
        elif found[0] in ("{", "}"):
            raise ValueError(f"a brace stands alone in {shown(text)}; write it twice")
        else:
            parts.append({"{{": "{", "}}": "}"}.get(found[0], found[0]))
    return tuple(parts)


class _File:
    def __init__(self, path: Path, lines: Mapping[str, int], data: dict[str, Any]) -> None:
        self.path = path
        self.lines = lines
        self.data = data
        self.known: tuple[str, ...] = ()

    def fail(self, key: str, problem: str) -> NoReturn:
        raise BindingError(problem, self.path, line_of(self.lines, key), key)

    def inputs(self) -> Inputs:
        self.keys(self.data, "", ("format", "run", "rules", "env", "limits"))
        if self.data.get("format") != FORMAT:
            self.fail("format", f"write format = {FORMAT!r}, the first line of an inputs file")
        rules = self.table("rules")
        self.known = tuple(rules)
        made = {name: self.rule(value, f"rules.{name}") for name, value in rules.items()}
        self.ending(made)
        runs = self.data.get("run", [{}])
        if not isinstance(runs, list) or not runs:
            self.fail("run", "write [[run]], with double brackets: there may be several")
        kinds = [self.kind(one, f"run[{at}]") for at, one in enumerate(runs, 1)]
        env, limits = self.table("env"), self.table("limits")
        for name, value in env.items():
            if not isinstance(value, str) or "\0" in value:
                self.fail(f"env.{name}", 'a variable is a text: NAME = "value"')
            if not name or "=" in name or "\0" in name:
                self.fail(f"env.{name}", f"{shown(name)} is no name of a variable")
        self.keys(limits, "limits", ("memory", "output"))
        sizes = {name: self.size(value, f"limits.{name}") for name, value in limits.items()}
        return Inputs(tuple(kinds), made, env, **sizes)

    def table(self, name: str) -> dict[str, Any]:
        value = self.data.get(name, {})
        if not isinstance(value, dict):
            self.fail(name, f"this is a table: [{name}]")
        return value

    def keys(self, value: Any, key: str, known: Sequence[str]) -> None:
        if not isinstance(value, dict):
            self.fail(key, f"this must be a table, with the keys {', '.join(known)}")
        for name in value:
            if name not in known:
                place = f"{key}.{name}" if key else name
                self.fail(place, f"unknown key {shown(name)}{nearest(name, known)}")

    def size(self, value: Any, key: str) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= 1 << 20:
            self.fail(key, "a number of MiB, from 1 on")
        return value

    # --- runs -------------------------------------------------------------------------

    def kind(self, value: Any, key: str) -> Kind:
        self.keys(value, key, ("args", "stdin", "files", "mutate"))
        args = value.get("args", [""])
        if not isinstance(args, list) or not args:
            self.fail(f"{key}.args", 'a list of what the arguments may be, such as ["", "-n 1"]')
        files = value.get("files", {})
        if not isinstance(files, dict):
            self.fail(f"{key}.files", 'a table of names and contents: { "in.txt" = ["a\\n"] }')
        contents = []
        for name, content in files.items():
            if problem := bad_name(name):
                self.fail(f"{key}.files", f"{shown(name)} {problem}")
            inside = [one for one in files if PurePosixPath(one) in PurePosixPath(name).parents]
            same = [one for one in files if PurePosixPath(one) == PurePosixPath(name)]
            if inside or same[0] != name:
                what = f"lies in {shown(inside[0])}, a file" if inside else f"is {shown(same[0])}"
                self.fail(f"{key}.files", f"{shown(name)} {what}; rename one of them")
            contents.append((name, self.content(content, f"{key}.files")))
        stdin = self.content(value.get("stdin", [""]), f"{key}.stdin")
        corpus = any(isinstance(c[0], bytes) for c in (stdin, *(c for _, c in contents)))
        mutate = value.get("mutate", corpus)
        if not isinstance(mutate, bool):
            self.fail(f"{key}.mutate", "true or false")
        return Kind(
            tuple(self.words(one, f"{key}.args") for one in args), stdin, tuple(contents), mutate
        )

    def words(self, value: Any, key: str) -> tuple[Template, ...]:
        """The words of arguments: a list of them, or a text that a shell would split."""
        if isinstance(value, str):
            try:
                value = shlex.split(value)
            except ValueError as error:
                self.fail(key, f"{shown(value)} cannot be split into words: {error}")
        if not isinstance(value, list) or not all(is_argument(word) for word in value):
            self.fail(key, "arguments are a text, or a list of words without NUL")
        return tuple(self.template(word, key) for word in value)

    def content(self, value: Any, key: str) -> Content:
        if isinstance(value, dict):
            self.keys(value, key, ("corpus",))
            folder = value.get("corpus")
            if not isinstance(folder, str):
                self.fail(key, 'name a folder: { corpus = "tests/data" }')
            try:
                return read_corpus(self.path.parent / folder)
            except ValueError as error:
                self.fail(key, f"corpus: {error}")
        return self.templates(value, key)

    def templates(self, value: Any, key: str) -> tuple[Template, ...]:
        value = [value] if isinstance(value, str) else value
        if not isinstance(value, list) or not value or not all(isinstance(v, str) for v in value):
            self.fail(key, 'a list of texts, of which one is taken: ["a", "{name}"]')
        return tuple(self.template(text, key) for text in value)

    def template(self, text: str, key: str) -> Template:
        try:
            return template(text, self.known)
        except ValueError as error:
            self.fail(key, str(error))

    # --- rules ------------------------------------------------------------------------

    def rule(self, value: Any, key: str) -> Rule:
        if not _NAME.fullmatch(key.partition(".")[2]):
            self.fail(key, "the name of a rule has letters, digits and _")
        if not isinstance(value, dict):
            return self.templates(value, key)
        self.keys(value, key, ("range", "alphabet", "length"))
        if "range" in value:
            return Span(*self.pair(value["range"], f"{key}.range", -(1 << 63)))
        alphabet = value.get("alphabet")
        if not isinstance(alphabet, str) or not alphabet or not is_argument(alphabet):
            self.fail(key, '{ range = [0, 9] }, or { alphabet = "abc", length = [1, 6] }')
        return Letters(alphabet, *self.pair(value.get("length", [0, 8]), f"{key}.length", 0))

    def pair(self, value: Any, key: str, least: int) -> tuple[int, int]:
        fit = isinstance(value, list) and len(value) == 2
        if not fit or not all(isinstance(n, int) and not isinstance(n, bool) for n in value):
            self.fail(key, "two integers, the least and the greatest: [0, 9]")
        low, high = value
        if not least <= low <= high < 1 << 64:
            self.fail(key, f"[{low}, {high}] is no range, or too large")
        return low, high

    def ending(self, rules: Mapping[str, Rule]) -> None:
        """See that each rule comes to an end."""
        never = sorted(rules.keys() - depths(rules).keys())
        if never:
            self.fail(f"rules.{never[0]}", "it never ends: one of its texts has to name no rule "
                      "that leads back to it")  # fmt: skip


def depths(rules: Mapping[str, Rule]) -> dict[str, int]:
    """How many rules deep the shortest text of each is; none for those that never end."""
    found: dict[str, int] = {}
    while True:
        more = {}
        for name, rule in rules.items():
            texts = rule if isinstance(rule, tuple) else ((),)
            deep = [depth(text, found) for text in texts]
            known = [one for one in deep if one is not None]
            if known and name not in found:
                more[name] = min(known) + 1
        if not more:
            return found
        found |= more


def depth(text: Template, known: Mapping[str, int]) -> int | None:
    """How deep a template is at least, by the depths of rules; None where it is not known."""
    names = [part.name for part in text if isinstance(part, Ref)]
    if not all(name in known for name in names):
        return None
    return max((known[name] for name in names), default=0)
