"""Our side of the worker: it starts one for a library or a model, and runs traces in it."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from replay.errors import WorkerError
from replay.repo import worker
from replay.repo.bound import Bound, Unbound
from replay.repo.calls import Call, request

WALL: Final = 10.0
"""Seconds that a trace may take in all, for each second of processor time it may use."""
SLACK: Final = 30.0
"""Seconds by which a worker may be late with its answer before it is given up."""
OPTIONS: Final = {
    "ASAN_OPTIONS": "detect_leaks=0:abort_on_error=0:exitcode=66:color=never",
    "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=0:color=never",
}


@dataclass(frozen=True, slots=True)
class Run:
    """A trace, executed.

    Attributes:
        records: what was observed after each call, as JSON; fewer than the trace has where
            it did not come to its end.
        end: "ok", "crash" or "hang".
        detail: how it crashed or hung, in words.

    """

    records: tuple[bytes, ...]
    end: str = "ok"
    detail: str = ""

    def record(self, index: int) -> dict[str, Any] | None:
        """What was observed of a call; None where the run had ended."""
        return json.loads(self.records[index]) if index < len(self.records) else None


class ModelError(Exception):
    """The reference model raised, or lacks a method; the text says which."""


class Runner:
    """A worker with a library or a model; use it in a ``with`` statement.

    Args:
        head: the first message, see ``replay.repo.worker``.
        preload: a runtime to load first.
        cpu: seconds of processor time that a trace may use.

    Raises:
        Unbound: the library cannot be loaded, or the model; the text says why.
        WorkerError: the worker cannot be started.

    """

    def __init__(self, head: dict[str, Any], preload: str = "", cpu: float = 1.0) -> None:
        self.cpu = cpu
        self.said = tempfile.TemporaryFile()  # noqa: SIM115
        self.buffer = bytearray()
        ours_in, theirs_out = os.pipe()
        theirs_in, ours_out = os.pipe()
        env = {**os.environ, **OPTIONS} | ({"LD_PRELOAD": preload} if preload else {})
        flags = ["-I"] if "model" in head else ["-I", "-S"]
        try:
            self.process = subprocess.Popen(
                [sys.executable, *flags, worker.__file__, str(theirs_in), str(theirs_out)],
                pass_fds=(theirs_in, theirs_out), stdin=subprocess.DEVNULL, stdout=self.said,
                stderr=self.said, env=env, start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            raise WorkerError(f"a worker cannot be started: {error}") from None
        finally:
            os.close(theirs_in)
            os.close(theirs_out)
        self.incoming, self.outgoing = ours_in, ours_out
        try:
            self._send({**head, "sanitized": bool(preload)})
            answer = self._head(SLACK)
        except BaseException:
            self.close()
            raise
        if answer is None or "error" in answer:
            self.close()
            raise Unbound(str(answer["error"]) if answer else self._ended_loading())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        self.close()

    def close(self) -> None:
        """End the worker and all it started."""
        for descriptor in (self.incoming, self.outgoing):
            with contextlib.suppress(OSError):
                os.close(descriptor)
        self.incoming = self.outgoing = -1
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.said.close()

    def run(self, trace: Sequence[Call], cpu: float | None = None) -> Run:
        """Run a trace in a fresh copy of the loaded library.

        Raises:
            ModelError: the reference model failed.
            WorkerError: the worker itself died.

        """
        cpu = cpu or self.cpu
        self._send({"calls": request(trace), "cpu": cpu, "wall": cpu * WALL})
        head = self._head(cpu * WALL + SLACK)
        if head is None:
            raise WorkerError("a worker died while it ran a trace; was it short of memory?")
        data = self._take(head["size"])
        records = [line for line in data.split(b"\n")[:-1] if line != b'{"end":true}']
        end, detail = self._end(head, len(records), len(trace), cpu)
        return Run(tuple(records), end, detail)

    def _end(self, head: dict[str, Any], done: int, length: int, cpu: float) -> tuple[str, str]:
        when = "" if done < length else " after the last call, when what was left was destroyed"
        if head["end"] == "ok":
            return "ok", ""
        if head["end"] == "hang":
            return "hang", f"it did not return within {cpu:g} s{when}"
        if head["end"] == "model":
            raise ModelError(str(head["said"]).removeprefix("model: "))
        report = _report(head["said"])
        if head["end"] == "signal":
            how = _signal_name(head["code"])
        else:
            how = f"it ended the process with status {head['code']}"
        return "crash", report + when if report else how + when

    def _send(self, message: dict[str, Any]) -> None:
        data = json.dumps(message).encode() + b"\n"
        with contextlib.suppress(BrokenPipeError):
            while data:
                data = data[os.write(self.outgoing, data) :]

    def _head(self, patience: float) -> dict[str, Any] | None:
        """The next line from the worker; None where it ended."""
        deadline = time.monotonic() + patience
        while b"\n" not in self.buffer:
            if not self._more(deadline):
                return None
        line, _, rest = bytes(self.buffer).partition(b"\n")
        self.buffer = bytearray(rest)
        answer = json.loads(line)
        assert isinstance(answer, dict)
        return answer

    def _take(self, size: int) -> bytes:
        deadline = time.monotonic() + SLACK
        while len(self.buffer) < size:
            if not self._more(deadline):
                raise WorkerError("a worker died while it answered")
        data = bytes(self.buffer[:size])
        del self.buffer[:size]
        return data

    def _more(self, deadline: float) -> bool:
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([self.incoming], [], [], left)[0]:
            return False
        chunk = os.read(self.incoming, 1 << 16)
        self.buffer += chunk
        return bool(chunk)

    def _ended_loading(self) -> str:
        code = self.process.wait()
        how = _signal_name(-code) if code < 0 else f"status {code}"
        return f"loading the library ended the process: {how}"


def library_head(bound: Bound, library: Path) -> dict[str, Any]:
    """The first message for a library."""
    return {**bound.to_json(), "library": str(library)}


def model_head(bound: Bound, path: Path, name: str) -> dict[str, Any]:
    """The first message for a reference model; its file is executed by the worker."""
    return {**bound.to_json(), "model": str(path), "class": name}


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


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
