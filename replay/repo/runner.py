"""Our side of the worker: it starts one for a library or a model, and runs traces in it."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from replay.apart.death import Death
from replay.apart.parent import Apart, Gone
from replay.base.closing import Closing
from replay.errors import WorkerError
from replay.repo.bound import Bound, Unbound
from replay.repo.calls import Call, request
from replay.repo.failing import failing_request

SERVER: Final = "replay.repo.worker"
NEEDS: Final = (
    "replay.repo.calledback", "replay.repo.dying", "replay.repo.failed",
    "replay.repo.modelcalls", "replay.repo.reaching", "replay.repo.seeing", "replay.repo.structs",
)  # fmt: skip
WALL: Final = 10.0
"""Seconds that a trace may take in all, for each second of processor time it may use."""
SLACK: Final = 30.0
"""Seconds by which a worker may be late with its answer before it is given up."""
OPTIONS: Final = {
    "ASAN_OPTIONS": "detect_leaks=0:abort_on_error=0:exitcode=66:color=never",
    "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=0:color=never",
}
FILLS: Final = (0x00, 0x5B, 0xA6, 0xC1, 0x3E, 0x77, 0xE8, 0x19, 0x94, 0x2D)
"""What a byte of the stack, and but for the first of fresh memory, holds unwritten."""
PADDING: Final = 1009
"""Bytes by which the stack starts further down, for each fill."""
_NO_RANDOMIZE: Final = 0x0040000
_ASK: Final = 0xFFFFFFFF
TRIES: Final = 2
"""Times that a trace is run whose worker does not live to tell of it."""
KILLED: Final = "it ended the process that had called it, and with it what was seen"
NO_WORKER: Final = "a worker died while it ran a trace; was it short of memory?"
LEFT: Final = " after the last call, when what was left was destroyed"


@dataclass(frozen=True, slots=True)
class Run:
    """A trace, executed.

    Attributes:
        records: what was observed after each call, as JSON; fewer than the trace has where
            it did not come to its end.
        end: "ok", "crash" or "hang".
        detail: how it crashed or hung, in words.
        reached: the places that no earlier trace of this worker came by, by number.
        reach_unknown: why that cannot be told.
        operands: what this worker's traces compared so far, see ``replay.repo.operands``:
            three numbers each, the place and the two values.

    """

    records: tuple[bytes, ...]
    end: str = "ok"
    detail: str = ""
    reached: tuple[int, ...] = field(default=(), compare=False)
    reach_unknown: str = field(default="", compare=False)
    operands: tuple[int, ...] = field(default=(), compare=False)

    def record(self, index: int) -> dict[str, Any] | None:
        """What was observed of a call; None where the run had ended."""
        return json.loads(self.records[index]) if index < len(self.records) else None


class ModelError(Exception):
    """The reference model raised, or lacks a method; the text says which."""


class Runner(Closing):
    """A worker with a library or a model; use it in a ``with`` statement.

    Args:
        head: the first message, see ``replay.repo.worker``.
        preload: a runtime to load first.
        cpu: seconds of processor time that a trace may use.
        fill: which of ``FILLS`` unwritten memory holds; its stack starts elsewhere too.

    Raises:
        Unbound: the library cannot be loaded, or the model; the text says why.
        WorkerError: the worker cannot be started.

    """

    def __init__(
        self, head: dict[str, Any], preload: str = "", cpu: float = 1.0, fill: int = 0
    ) -> None:
        self.cpu = cpu
        self.model = "model" in head
        self._head = {**head, "fill": FILLS[fill]}
        self._preload = preload
        self._stopped = False
        self._environment = {**os.environ, **OPTIONS} | ({"LD_PRELOAD": preload} if preload else {})
        self._environment |= disturbed(fill)
        self._start()

    def _start(self) -> None:
        # A model is the user's own Python, and may want what they have installed.
        self.apart = Apart(
            SERVER, self._environment, NEEDS, sanitized=bool(self._preload), site=self.model
        )
        try:
            answer, _ = self.apart.ask(self._head, patience=SLACK)
        except Gone as gone:
            self.close()
            how = f"loading the library ended the process: {gone.death.how}"
            raise Unbound(how) from None
        except BaseException:
            self.close()
            raise
        if "error" in answer:
            self.close()
            raise Unbound(str(answer["error"]))

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The worker, which leads a process group."""
        return self.apart.process

    def stop(self) -> None:
        """End it from another thread; it runs nothing any more."""
        self._stopped = True
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)

    def close(self) -> None:
        """End the worker and all it started."""
        self.apart.close()

    def run(self, trace: Sequence[Call], cpu: float | None = None) -> Run:
        """Run a trace in a fresh copy of the loaded library.

        Raises:
            ModelError: the reference model failed.
            WorkerError: the worker itself died.

        """
        cpu = cpu or self.cpu
        asked = {"calls": request(trace), "cpu": cpu, "wall": cpu * WALL}
        answer: dict[str, Any] = {}
        data = b""
        for _ in range(TRIES):
            try:
                answer, data = self.apart.ask(asked, patience=cpu * WALL + SLACK)
                break
            except Gone:
                self.close()
                if self.model or self._stopped:
                    raise WorkerError(NO_WORKER) from None
                self._start()
        else:
            # A library that ends the process which called it does so each time.
            return Run((), "crash", KILLED)
        if "model" in answer:
            raise ModelError(str(answer["model"]))
        records = tuple(data.split(b"\n")[:-1])
        reached = (
            tuple(answer.get("reached", ())), answer.get("reach_unknown", ""),
            tuple(answer.get("operands", ())),
        )  # fmt: skip
        if answer["end"]["kind"] == "done":
            return Run(records, "ok", "", *reached)
        death = Death.of(answer["end"])
        when = "" if len(records) < len(trace) else LEFT
        return Run(records, death.cause, _detail(death, cpu) + when, *reached)


def disturbed(fill: int) -> dict[str, str]:
    """The variables that make fresh memory, and where the stack starts, those of a fill."""
    padding = {"REPLAY_PADDING": "x" * (1 + PADDING * fill)}
    if not fill:
        return padding
    byte, known = FILLS[fill], os.environ.get("GLIBC_TUNABLES", "")
    tunables = (known, f"glibc.malloc.perturb={byte}", "glibc.malloc.tcache_count=0")
    asan = f"{OPTIONS['ASAN_OPTIONS']}:max_malloc_fill_size=65536:malloc_fill_byte={byte}"
    return padding | {
        "GLIBC_TUNABLES": ":".join(filter(None, tunables)), "MALLOC_PERTURB_": str(byte),
        "ASAN_OPTIONS": asan,
    }  # fmt: skip


def spread_addresses() -> None:
    """Have the processes that are started from now on laid out anew each, as is usual."""
    try:
        personality = ctypes.CDLL(None).personality
    except (OSError, AttributeError):  # not Linux
        return
    personality.argtypes = [ctypes.c_ulong]
    now = personality(_ASK)
    if now & _NO_RANDOMIZE:
        personality(now & ~_NO_RANDOMIZE)


def library_head(bound: Bound, library: Path) -> dict[str, Any]:
    """The first message for a library."""
    return {**bound.to_json(), "library": str(library), **failing_request(bound)}


def model_head(bound: Bound, path: Path, name: str) -> dict[str, Any]:
    """The first message for a reference model; its file is executed by the worker."""
    return {**bound.to_json(), "model": str(path), "class": name}


def _detail(death: Death, cpu: float) -> str:
    """How a trace ended that did not come to its end, in words."""
    if death.cause == "hang":
        return f"it did not return within {cpu:g} s"
    ended = death.how if death.status is None else f"it ended the process with {death.how}"
    return _report(death.report) or ended


def _report(said: str) -> str:
    """What a sanitizer or a failed assertion says, in one line; empty if there is none."""
    for line in said.splitlines():
        if "ERROR: AddressSanitizer" in line or "runtime error:" in line:
            text = line.partition("ERROR: ")[2] or line.partition("runtime error: ")[2]
            # Addresses and process numbers differ from run to run.
            return " ".join(text.split(" on ")[0].split()).partition(" (pc")[0][:200]
        if "Assertion" in line and "failed" in line:
            return "an assertion failed: " + line.partition("Assertion")[2].strip()[:160]
    return ""
