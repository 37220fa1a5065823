r"""In the process apart: loads a library or a model and calls it.

What a library does to its process cannot touch the tool. Each trace runs in a child of
its own, so each meets the library as just loaded, and a crash or a hang ends that child
alone.

``replay.apart.boot`` loads this file by path, and the seven that it imports before it:
under their own names, into packages that are otherwise empty. All import the standard
library alone; nothing else of the package is in reach, and the process starts fast.

    first: what to load, see ``Bound.to_json``               answer: {"ready": true} or {"error": …}
    then: {"calls": [[op, values, makes], …], "cpu": s, "wall": s}
    answer: {"end": see ``replay.apart.child.End``}, or {"model": what failed}; then records
    as bytes, one JSON object a line, a line a call

The record of a call, with no key for what there is nothing to say of but ``ret``:

    skipped  true: it takes an object that was never made, and was not called (no ret then)
    ret      what it returned, null for void: an integer; a float as Python writes it; "NULL",
             "not NULL"; a string; bytes as hexadecimal, or as the number that they are
    made     of a constructor with a pointer to a pointer: whether it gave an object
    out      {parameter: what is in the buffer: "untouched", hexadecimal, or a number}
    after    {"observer(kind1, 0)": its ret, or [ret, {parameter: what is in the buffer}]}
    start    of the first call alone, {label: value}: the exported data as the library was
             loaded, what is not zero of it; an object of more than 256 bytes as a digest
    called   {"callback 1": "cb(user, 3) = 0"}: the calls of callbacks since the record before
    data     {label: value}: the exported data that changed since the record before (since
             the library was loaded, for the first), the observers' doings included
    said     {"stdout": text, "stderr": text}: what was written since the record before,
             UTF-8 with what is none as \xNN, its first 4096 bytes and a digest of the rest
    errno    where the binding asks for it: after the call, before the observers; it is set
             to 0 before the call
    behind   where the binding asks for it: {"kind1": hexadecimal of the memory behind the
             handle}, of live objects, where it changed since the record before; a pointer
             that is not NULL shows as ``*``; "unreadable" where there is no memory

How labels and values of data are made stands in ``replay.repo.seeing``.
"""

from __future__ import annotations

import ctypes
import os

from replay.apart import child
from replay.apart.light import dumps, loads
from replay.repo import calledback, dying, failed, seeing, structs
from replay.repo.modelcalls import ModelFailed, ModelFunction, Skip, load_model
from replay.repo.reaching import Reaching
from replay.repo.structs import FILL, GUARD

TYPE_CHECKING = False  # see replay.apart.light
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

MOST_STRING = 4096

TYPES: dict[str, Any] = {
    "i1": ctypes.c_int8, "i2": ctypes.c_int16, "i4": ctypes.c_int32, "i8": ctypes.c_int64,
    "u1": ctypes.c_uint8, "u2": ctypes.c_uint16, "u4": ctypes.c_uint32, "u8": ctypes.c_uint64,
    "b1": ctypes.c_bool, "f4": ctypes.c_float, "f8": ctypes.c_double, "p": ctypes.c_void_p,
    "v": None,
}  # fmt: skip


class Trace:
    """What the calls of one trace share: live handles, and buffers that must stay."""

    def __init__(self, errno: bool = False, library: Any = None) -> None:
        self.errno = errno
        self.handles: dict[int, Any] = {}
        self.parents: dict[int, int] = {}
        self.callbacks = calledback.Callbacks(library, TYPES, self, errno)
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

    def __init__(self, library: ctypes.CDLL, data: dict[str, Any], stack: seeing.Stack) -> None:
        self.data = data
        self.function = library[data["function"]]  # not an attribute: two may share a function
        self.function.argtypes = [structs.type_of(arg, TYPES) for arg in data["args"]]
        self.function.restype = structs.type_of(data["returns"], TYPES)
        self.args = data["args"]
        self.stack = stack

    def call(self, trace: Trace, values: list[Any], makes: int) -> dict[str, Any]:
        """Call it; what it returned and wrote."""
        given, outs, made = [], [], None
        for arg in self.args:
            value = self.argument(trace, arg, values)
            if arg["role"] in ("out", "inout", "start", "pointer"):
                outs.append((arg, value))
            elif arg["role"] in ("makes", "storage"):
                made = (arg, value)
            given.append(value)
        record: dict[str, Any] = {}
        if trace.errno:
            ctypes.set_errno(0)
        trace.callbacks.begin()
        self.stack.paint(self.stack.block)
        result = self.function(*given)
        if trace.errno:
            record["errno"] = ctypes.get_errno()
        of = self.data["returns"].get("of")
        where = None if of is None else self.place(trace, result, given, values, of)
        record["ret"] = self.result(result) if where is None else where
        if self.data["makes"]:
            self.enter(trace, makes, self.data["makes"], result)
        if made is not None:
            arg, value = made
            pointer = value[0] if arg["role"] == "makes" else ctypes.addressof(value)
            self.enter(trace, makes, arg["kind"], pointer)
            if arg["role"] == "makes":
                record["made"] = pointer is not None
        for arg, value in outs:
            is_place = arg["role"] == "pointer"
            seen = self.place(trace, value[0], given, values) if is_place else None
            seen = structs.seen(arg, value) if seen is None else seen
            record.setdefault("out", {})[arg["name"]] = seen
            if "gives" in arg:
                self.enter(trace, makes, arg["kind"], seen)
        dying.follow(trace, self.data, values, makes)
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
            return [ret, {arg["name"]: structs.seen(arg, buffer) for arg, buffer in outs}]

        return called

    def argument(  # noqa: PLR0911, PLR0912 - a line a role
        self, trace: Trace, arg: dict[str, Any], values: list[Any]
    ) -> Any:
        """What is passed for a parameter."""
        role = arg["role"]
        if role in ("int", "choice", "each"):
            return values[arg["value"]]
        if role == "float":
            return float(values[arg["value"]])
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
            return structs.length(arg, values[arg["value"]])
        if role in ("bytes", "inout"):
            content = bytes.fromhex(values[arg["value"]])
            return trace.buffer(content, len(content))
        if role == "string":
            return trace.buffer(values[arg["value"]].encode("latin-1") + b"\0", 0)
        if role == "out":
            sized = arg["value"] is not None
            size = values[arg["value"]] * arg["unit"] if sized else arg["constant"]
            return trace.buffer(b"", max(size, 0))
        if role == "storage":
            return trace.buffer(b"", arg["constant"])
        if role in ("struct", "start", "strings"):
            return structs.passed(arg, values[arg["value"]], trace)
        if role in ("makes", "pointer"):
            made = (ctypes.c_void_p * 1)(None)
            trace.kept.append(made)
            return made
        return trace.callbacks.argument(arg, values)  # of "null" None

    def enter(self, trace: Trace, number: int, kind: str, pointer: Any) -> None:
        """A new object; none where the constructor gave NULL."""
        if dying.is_object(pointer):
            trace.handles[number] = pointer
            trace.kinds[number] = kind

    def place(
        self, trace: Trace, pointer: int | None, given: list[Any], values: list[Any], of: str = ""
    ) -> str:
        """Where a pointer points."""
        buffers = structs.buffers(self.args, given, values, of)
        return structs.place(pointer, trace.handles, trace.kinds, buffers, self.data["sizes"])

    def result(self, value: Any) -> Any:  # noqa: PLR0911 - a line a type
        """What is observed of a returned value."""
        returns = self.data["returns"]
        what = returns["as"]
        if what == "int":
            return int(value)
        if what == "float":
            return repr(value)
        if what == "struct":
            return structs.element(bytes(value), returns["layout"])
        if what in ("void", "ignored"):
            return None
        if value is None:
            return "NULL"
        if what == "string":
            return ctypes.string_at(value)[:MOST_STRING].decode("latin-1")
        if what == "bytes":
            return structs.decoded(ctypes.string_at(value, returns["size"]), returns["number"])
        return "not NULL"


class Subject:
    """The functions to call, of a library or of a model."""

    def __init__(self, request: dict[str, Any]) -> None:
        self.is_model = "model" in request
        self.functions: dict[str, Any] = {}
        self.library: Any = None
        self.kind: Any = None
        self.request = request
        self.said = seeing.Said()
        if self.is_model:
            self.kind = load_model(request["model"], request["class"])
            return
        self.errno = bool(request.get("errno"))
        self.library = ctypes.CDLL(
            request["library"], mode=os.RTLD_NOW | os.RTLD_LOCAL, use_errno=self.errno
        )
        stack = seeing.Stack(request.get("fill", 0))
        self.data = seeing.Data(self.library, request.get("data", []))
        self.behind = seeing.Behind(request.get("behind", {}))
        among = failed.Among(self.library, request)
        self.bind(lambda data: NativeFunction(among.of(data), data, stack))

    def bind(self, make: Callable[[dict[str, Any]], Any]) -> None:
        """Make the functions that the request names."""
        self.functions = {data["name"]: make(data) for data in self.request["ops"]}
        self.observers = [(data, make(data)) for data in self.request["observers"]]

    def start(self) -> None:
        """What comes before the first call of a trace."""
        if self.is_model:
            try:
                model = self.kind()
            except BaseException as error:
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
        trace = Trace(not self.is_model and self.errno, self.library)
        start = {} if self.is_model else self.data.start
        self.start()
        for name, values, makes in calls:
            try:
                record = self.functions[name].call(trace, values, makes)
            except Skip:
                record = {"skipped": True}
            after = self.observe(trace)
            if after:
                record["after"] = after
            if start:
                record["start"], start = start, {}
            if not self.is_model:
                self.look_around(trace, record)
            os.write(out, dumps(record).encode() + b"\n")
        self.end(trace)

    def look_around(self, trace: Trace, record: dict[str, Any]) -> None:
        """Add what changed in data and memory, and what was written."""
        seen = {"data": self.data.changes(), "said": self.said.news(),
                "called": trace.callbacks.news()}  # fmt: skip
        if self.behind.asked:
            seen["behind"] = self.behind.changes(trace.handles, trace.kinds)
        record.update((key, what) for key, what in seen.items() if what)

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
            for function, number in dying.left(trace, self.functions, self.request["destroy"]):
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


# --- one trace, in a child ------------------------------------------------------------


def run_trace(
    subject: Subject, request: dict[str, Any], reaching: Reaching
) -> tuple[dict[str, Any], bytes]:
    """Run a trace in a child: the answer and its records."""

    def work(pipe: int) -> None:
        subject.said.enter()
        try:
            subject.run(request["calls"], pipe)
        except ModelFailed as error:
            os.write(pipe, dumps({"model": str(error)[:MOST_STRING]}).encode() + b"\n")

    subject.said.renew()
    end, data = child.run(work, request["cpu"], request["wall"])
    if reaching.doubts(end.kind, end.number):
        subject.said.renew()
        end, data = child.run(work, request["cpu"], request["wall"])
    if not end.done:
        end.said = subject.said.last_words()
    last = data[data.rfind(b"\n", 0, -1) + 1 :]
    if last.startswith(b'{"model":'):
        told: dict[str, Any] = loads(last.decode())
        return told, b""
    return {"end": end.told(), **reaching.told()}, data


def main(channel: child.Channel) -> None:
    """Serve until the other side closes."""
    requests = channel.requests()
    request, _ = next(requests)
    try:
        subject = Subject(request)
        reaching = Reaching(subject.library, request)
    except Exception as error:
        channel.answer({"error": f"{type(error).__name__}: {error}"})
        return
    channel.answer({"ready": True})
    for request, _ in requests:
        channel.answer(*run_trace(subject, request, reaching))
