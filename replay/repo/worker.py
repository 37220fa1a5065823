"""The process that loads a library and calls it; started as a script, apart from the tool.

It imports nothing of the package: it starts fast, and what a library does to its process
cannot touch the tool. For each trace it forks, so each trace meets the library as just
loaded, and a crash or a hang ends that child alone.

It reads requests from one file descriptor and answers on another, each message a line of
JSON; an answer to a trace is followed by ``size`` bytes of records, one JSON object a line.

    first line in: what to load, see ``Bound.to_json``      out: {"ready": true} or {"error": …}
    then: {"calls": [[op, values, makes], …], "cpu": s, "wall": s}
    out: {"end": "ok" | "signal" | "exit" | "hang" | "model", "code": n, "said": …, "size": n}
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib.util
import json
import os
import resource
import select
import signal
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

GUARD = 16
"""Bytes behind each buffer that a call gets; written to, they tell of an overrun."""
FILL = 0xA5
MOST_STRING = 4096
SAID = 4096
FILE_LIMIT = 16 << 20
MEMORY_LIMIT = 8 << 30

TYPES: dict[str, Any] = {
    "i1": ctypes.c_int8, "i2": ctypes.c_int16, "i4": ctypes.c_int32, "i8": ctypes.c_int64,
    "u1": ctypes.c_uint8, "u2": ctypes.c_uint16, "u4": ctypes.c_uint32, "u8": ctypes.c_uint64,
    "b1": ctypes.c_bool, "f4": ctypes.c_float, "f8": ctypes.c_double, "p": ctypes.c_void_p,
    "v": None,
}  # fmt: skip


class Skip(Exception):
    """A call on a handle that was never made: a constructor had given NULL."""


class ModelFailed(Exception):
    """The reference model raised; not the library's fault."""


class Trace:
    """What the calls of one trace share: live handles, and buffers that must stay."""

    def __init__(self) -> None:
        self.handles: dict[int, Any] = {}
        self.looks: list[tuple[str, Any]] | None = None
        self.looked_at: Any = None
        self.kinds: dict[int, str] = {}
        self.kept: list[Any] = []

    def buffer(self, content: bytes, size: int) -> Any:
        """A buffer with a guard behind it; kept, for the library may keep a pointer."""
        made = ctypes.create_string_buffer(content + bytes([FILL]) * (size - len(content) + GUARD))
        self.kept.append(made)
        return made


class NativeFunction:
    """A function of the library with the roles of its arguments."""

    def __init__(self, library: ctypes.CDLL, data: dict[str, Any]) -> None:
        self.data = data
        self.function = getattr(library, data["function"])
        self.function.argtypes = [TYPES[arg["type"]] for arg in data["args"]]
        self.function.restype = TYPES[data["returns"]["type"]]
        self.args = data["args"]

    def call(self, trace: Trace, values: list[Any], makes: int) -> dict[str, Any]:
        """Call it; what it returned and wrote."""
        given, outs, made = [], [], None
        for arg in self.args:
            value = self.argument(trace, arg, values)
            if arg["role"] in ("out", "inout"):
                outs.append((arg, value))
            elif arg["role"] in ("makes", "storage"):
                made = (arg, value)
            given.append(value)
        result = self.function(*given)
        record: dict[str, Any] = {"ret": self.result(result)}
        if self.data["makes"]:
            self.enter(trace, makes, self.data["makes"], result)
        if made is not None:
            arg, value = made
            pointer = value[0] if arg["role"] == "makes" else ctypes.addressof(value)
            self.enter(trace, makes, arg["kind"], pointer)
            if arg["role"] == "makes":
                record["made"] = pointer is not None
        if outs:
            record["out"] = {arg["name"]: self.seen(arg, value) for arg, value in outs}
        if self.data["destroys"]:
            for arg in self.args:
                if arg["role"] == "handle":
                    trace.handles.pop(values[arg["value"]], None)
        return record

    def look(self, trace: Trace, values: list[Any]) -> Callable[[], Any]:
        """A call of an observer, prepared: the same arguments, its buffers filled anew."""
        given = [self.argument(trace, arg, values) for arg in self.args]
        outs = [(a, b) for a, b in zip(self.args, given, strict=True) if a["role"] == "out"]
        function = self.function
        result = int if self.data["returns"]["as"] == "int" else self.result
        if not outs:
            return lambda: result(function(*given))
        fills = [(b, bytes([FILL]) * (len(b) - 1) + b"\0") for _, b in outs]

        def called() -> Any:
            for buffer, fill in fills:
                buffer.raw = fill
            ret = result(function(*given))
            if all(buffer.raw == fill for buffer, fill in fills):
                return ret
            return [ret, {arg["name"]: self.seen(arg, buffer) for arg, buffer in outs}]

        return called

    def argument(  # noqa: PLR0911 - a line a role
        self, trace: Trace, arg: dict[str, Any], values: list[Any]
    ) -> Any:
        """What is passed for a parameter."""
        role = arg["role"]
        if role in ("int", "choice", "each"):
            return values[arg["value"]]
        if role == "value":
            return arg["constant"]
        if role == "handle":
            handle = trace.handles.get(values[arg["value"]])
            if handle is None:
                raise Skip
            return handle
        if role == "length":
            if arg["value"] is None:
                return arg["constant"]
            return len(values[arg["value"]]) // (2 if arg["hex"] else 1)
        if role in ("bytes", "inout"):
            content = bytes.fromhex(values[arg["value"]])
            return trace.buffer(content, len(content))
        if role == "string":
            return trace.buffer(values[arg["value"]].encode("latin-1") + b"\0", 0)
        if role == "out":
            size = values[arg["value"]] if arg["value"] is not None else arg["constant"]
            return trace.buffer(b"", max(size, 0))
        if role == "storage":
            return trace.buffer(b"", arg["constant"])
        if role == "makes":
            made = (ctypes.c_void_p * 1)(None)
            trace.kept.append(made)
            return made
        return None  # "null"

    def enter(self, trace: Trace, number: int, kind: str, pointer: Any) -> None:
        """A new object; none where the constructor gave NULL."""
        if pointer is not None:
            trace.handles[number] = pointer
            trace.kinds[number] = kind

    def result(self, value: Any) -> Any:  # noqa: PLR0911 - a line a type
        """What is observed of a returned value."""
        returns = self.data["returns"]
        what = returns["as"]
        if what == "int":
            return int(value)
        if what == "float":
            return repr(value)
        if what in ("void", "ignored"):
            return None
        if value is None:
            return "NULL"
        if what == "string":
            return ctypes.string_at(value)[:MOST_STRING].decode("latin-1")
        if what == "bytes":
            return decoded(ctypes.string_at(value, returns["size"]), returns["number"])
        return "not NULL"

    def seen(self, arg: dict[str, Any], buffer: Any) -> Any:
        """What is observed of a buffer after the call."""
        raw: bytes = buffer.raw
        # create_string_buffer adds a NUL of its own behind the guard.
        content, guard = raw[: -GUARD - 1], raw[-GUARD - 1 : -1]
        if guard != bytes([FILL]) * GUARD:
            return content.hex() + " and past its end"
        if arg["role"] == "out" and content == bytes([FILL]) * len(content) and content:
            return "untouched"
        return decoded(content, arg["number"])


def decoded(content: bytes, number: str) -> Any:
    """Bytes as the number that they are, or in hexadecimal."""
    if number:
        return int.from_bytes(content, sys.byteorder, signed=number == "signed")
    return content.hex()


class ModelFunction:
    """A method of the reference model with the signature of a function of the library."""

    def __init__(self, model: Any, data: dict[str, Any]) -> None:
        self.data = data
        self.name = data["name"]
        self.method = getattr(model, data["name"], None)
        self.outs = [arg["name"] for arg in data["args"] if arg["role"] in ("out", "inout")]

    def call(self, trace: Trace, values: list[Any], makes: int) -> dict[str, Any]:
        """Call it: a record with only what the model says."""
        if self.method is None:
            raise ModelFailed(f"the model has no method {self.name!r}")
        given: list[Any] = []
        kind = self.data["makes"]
        for arg in self.data["args"]:
            role = arg["role"]
            if role in ("int", "choice", "each", "string"):
                given.append(values[arg["value"]])
            elif role in ("bytes", "inout"):
                given.append(bytes.fromhex(values[arg["value"]]))
            elif role == "out" and arg["value"] is None:
                continue
            elif role == "handle":
                if values[arg["value"]] not in trace.handles:
                    raise Skip
                given.append(trace.handles[values[arg["value"]]])
            elif role in ("makes", "storage"):
                kind = arg["kind"]
        try:
            result = self.method(*given)
        except Exception as error:
            raise ModelFailed(f"{self.name}() raised {type(error).__name__}: {error}") from None
        return self.record(trace, result, makes, kind, values)

    def look(self, trace: Trace, values: list[Any]) -> Callable[[], Any]:
        """As that of a function of the library."""

        def called() -> Any:
            record = self.call(trace, values, 0)
            out = record.get("out")
            return [record.get("ret"), out] if out else record.get("ret")

        return called

    def record(
        self, trace: Trace, result: Any, makes: int, kind: str, values: list[Any]
    ) -> dict[str, Any]:
        """What the model says of a call, in the form of a record."""
        record: dict[str, Any] = {}
        if kind:
            if result is not None:
                trace.handles[makes], trace.kinds[makes] = result, kind
            if self.data["makes"]:
                record["ret"] = "NULL" if result is None else "not NULL"
            return record
        outs: Any = {}
        if isinstance(result, tuple):
            result, outs = result
        if self.data["destroys"]:
            for arg in self.data["args"]:
                if arg["role"] == "handle":
                    trace.handles.pop(values[arg["value"]], None)
        if self.data["returns"]["as"] == "int":
            record["ret"] = int(result)
        elif isinstance(result, bytes):
            record["ret"] = result.hex()
        elif result is not None:
            record["ret"] = repr(result) if isinstance(result, float) else result
        elif self.data["returns"]["as"] in ("string", "bytes", "pointer"):
            record["ret"] = "NULL"
        if outs:
            shown = {k: v.hex() if isinstance(v, bytes) else v for k, v in outs.items()}
            record["out"] = shown
        return record


class Subject:
    """The functions to call, of a library or of a model."""

    def __init__(self, request: dict[str, Any]) -> None:
        self.is_model = "model" in request
        self.functions: dict[str, Any] = {}
        self.library: Any = None
        self.kind: Any = None
        self.request = request
        if self.is_model:
            self.kind = load_model(request["model"], request["class"])
            return
        self.library = ctypes.CDLL(request["library"], mode=os.RTLD_NOW | os.RTLD_LOCAL)
        self.bind(lambda data: NativeFunction(self.library, data))

    def bind(self, make: Callable[[dict[str, Any]], Any]) -> None:
        """Make the functions that the request names."""
        self.functions = {data["name"]: make(data) for data in self.request["ops"]}
        self.observers = [(data, make(data)) for data in self.request["observers"]]

    def start(self) -> None:
        """What comes before the first call of a trace."""
        if self.is_model:
            try:
                model = self.kind()
            except Exception as error:
                raise ModelFailed(f"making it raised {type(error).__name__}: {error}") from None
            self.bind(lambda data: ModelFunction(model, data))
            known = [(data, f) for data, f in self.observers if f.method is not None]
            self.observers = known
            return
        self.simple("setup")

    def simple(self, when: str) -> None:
        """Call the functions of ``setup`` or ``teardown``."""
        if not self.is_model:
            for name in self.request[when]:
                function = getattr(self.library, name)
                function.argtypes, function.restype = [], None
                function()

    def run(self, calls: list[Any], out: int) -> None:
        """Make the calls; each writes its record when it is done."""
        trace = Trace()
        self.start()
        for name, values, makes in calls:
            try:
                record = self.functions[name].call(trace, values, makes)
            except Skip:
                record = {"skipped": True}
            after = self.observe(trace)
            if after:
                record["after"] = after
            os.write(out, json.dumps(record, separators=(",", ":")).encode() + b"\n")
        self.end(trace)
        os.write(out, b'{"end":true}\n')

    def observe(self, trace: Trace) -> dict[str, Any]:
        """What the observers see now, by how they were called."""
        live = tuple(trace.handles.items()) if not self.is_model else None
        if live is None or trace.looks is None or live != trace.looked_at:
            trace.looks = [
                look for data, function in self.observers for look in looks(data, function, trace)
            ]
            trace.looked_at = live
        return {label: look() for label, look in trace.looks}

    def end(self, trace: Trace) -> None:
        """Destroy what is left, so that a fault in a destructor shows."""
        if self.request["destroy"]:
            for number in sorted(trace.handles):
                for name in self.request["destroy"]:
                    function = self.functions[name]
                    if function.data["destroys"] == trace.kinds[number] and (
                        number in trace.handles and len(function.data["values"]) == 1
                    ):
                        function.call(trace, [number], 0)
        self.simple("teardown")


def looks(data: dict[str, Any], function: Any, trace: Trace) -> Iterator[tuple[str, Any]]:
    """(label, what looks) for all that an observer is called with.

    They are made anew only when an object comes or goes: most of the time of a trace is
    spent looking.
    """
    for values in combinations(data, trace):
        label = data["name"] + "(" + ", ".join(shown(data, values)) + ")"
        yield label, function.look(trace, list(values))


def combinations(data: dict[str, Any], trace: Trace) -> list[tuple[Any, ...]]:
    """The values that an observer is called with: each live handle, each of its ranges."""
    rows: list[tuple[Any, ...]] = [()]
    for value in data["values"]:
        if value["role"] == "handle":
            known = [n for n in sorted(trace.handles) if trace.kinds[n] == value["kind"]]
        else:
            known = list(range(value["low"], value["high"] + 1))
        rows = [(*row, number) for row in rows for number in known]
    return rows


def shown(data: dict[str, Any], values: tuple[Any, ...]) -> list[str]:
    """The values as the label of an observation has them."""
    return [
        f"{value['kind']}{number}" if value["role"] == "handle" else str(number)
        for value, number in zip(data["values"], values, strict=True)
    ]


def load_model(path: str, name: str) -> Any:
    """The class ``name`` of a Python file, which is executed."""
    spec = importlib.util.spec_from_file_location("replay_reference_model", path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    sys.path.insert(0, os.path.dirname(path))  # noqa: PTH120
    spec.loader.exec_module(module)
    found = getattr(module, name, None)
    if not isinstance(found, type):
        known = ", ".join(n for n, v in vars(module).items() if isinstance(v, type)) or "none"
        raise ImportError(f"{path} has no class {name!r}; classes in it: {known}")
    return found


# --- one trace, in a child ------------------------------------------------------------


def run_apart(subject: Subject, request: dict[str, Any], prctl: Any) -> tuple[Any, ...]:
    """Run a trace in a child: (end, code, what it said, its records)."""
    if os.fstat(2).st_size:
        os.ftruncate(2, 0)
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        in_child(subject, request, reader, writer, prctl)
    os.close(writer)
    data, in_time = collect(reader, request["wall"])
    if not in_time:
        os.kill(child, signal.SIGKILL)
    os.close(reader)
    status = os.waitpid(child, 0)[1]
    said = os.pread(2, SAID, 0).decode("utf-8", "replace")
    code = os.waitstatus_to_exitcode(status)
    if not in_time or code == -signal.SIGPROF:
        return "hang", 0, said, data
    if code == 77 and said.startswith("model: "):
        return "model", 0, said, data
    if code < 0:
        return "signal", -code, said, data
    ended = data.endswith(b'{"end":true}\n')
    return "ok" if ended and code == 0 else "exit", code, said, data


def in_child(
    subject: Subject, request: dict[str, Any], reader: int, writer: int, prctl: Any
) -> None:
    """Never returns."""
    code = 70
    try:
        if prctl is not None:
            prctl(1, signal.SIGKILL, 0, 0, 0)  # PR_SET_PDEATHSIG: no child is left behind
        os.close(reader)
        # A limit in processor time does not depend on how busy the machine is.
        signal.setitimer(signal.ITIMER_PROF, request["cpu"])
        subject.run(request["calls"], writer)
        code = 0
    except ModelFailed as error:
        os.write(2, f"model: {error}".encode())
        code = 77
    except BaseException as error:
        os.write(2, f"{type(error).__name__}: {error}".encode())
    finally:
        os._exit(code)


def collect(reader: int, wall: float) -> tuple[bytes, bool]:
    """What a child writes until it ends, and whether it ended in time."""
    parts: list[bytes] = []
    deadline = time.monotonic() + wall
    while True:
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([reader], [], [], left)[0]:
            return b"".join(parts), False
        part = os.read(reader, 1 << 16)
        if not part:
            return b"".join(parts), True
        parts.append(part)


def limit(request: dict[str, Any]) -> None:
    """Limits that children inherit. A sanitizer reserves more memory than any limit allows."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    limits = [(resource.RLIMIT_FSIZE, FILE_LIMIT)]
    if not request.get("sanitized"):
        limits.append((resource.RLIMIT_AS, MEMORY_LIMIT))
    for what, most in limits:
        hard = resource.getrlimit(what)[1]
        least = most if hard == resource.RLIM_INFINITY else min(most, hard)
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(what, (least, hard))


def main() -> None:
    """Serve until the other side closes."""
    incoming = os.fdopen(int(sys.argv[1]), "rb")
    outgoing = os.fdopen(int(sys.argv[2]), "wb")

    def answer(head: dict[str, Any], data: bytes = b"") -> None:
        outgoing.write(json.dumps(head).encode() + b"\n" + data)
        outgoing.flush()

    request = json.loads(incoming.readline())
    limit(request)
    try:
        subject = Subject(request)
    except Exception as error:
        answer({"error": f"{type(error).__name__}: {error}"})
        return
    prctl = None
    with contextlib.suppress(OSError, AttributeError):
        prctl = ctypes.CDLL(None).prctl
    answer({"ready": True})
    for line in incoming:
        end, code, said, data = run_apart(subject, json.loads(line), prctl)
        answer({"end": end, "code": code, "said": said, "size": len(data)}, data)


if __name__ == "__main__":
    main()
