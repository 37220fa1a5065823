"""Trace files: ``dirty-trace/1``, a header line and then an operation a line.

Reading accepts exactly what the trace language allows, also in its domain, so that a
trace that was read can be run at every step. Writing is canonical: the same trace
gives the same bytes, and reading them gives the same trace.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from replay.base.atomic import replace_file
from replay.base.jsonlines import (
    SHOWN_CHARACTERS,
    Line,
    Place,
    check_keys,
    decode,
    kind,
    lines_of,
    nearest,
    printable,
    read_lines,
    shown,
)
from replay.dirty.language.domain import (
    Layout,
    check_config,
    check_op,
    follow,
    validate,
)
from replay.dirty.language.kind import integer
from replay.dirty.language.operations import OPS
from replay.dirty.language.trace import Config, Op, Trace
from replay.errors import TraceError

FORMAT: Final = "dirty-trace/1"
_FAMILY: Final = "dirty-trace/"
_HEADER: Final = f'{{"format": "{FORMAT}", "name": …, "config": {{…}}}}'


def read_trace(path: Path | str) -> Trace:
    """The trace in a file, plain or gzip-compressed.

    Raises:
        TraceError: the file cannot be read, or the first line that is wrong, and the cure.
    """
    return _trace(read_lines(path), path)


def parse_trace(text: str, name: Path | str | None = None) -> Trace:
    """The trace in a text; ``name`` stands for the file in errors.

    Raises:
        TraceError: the first line that is wrong, and the cure.
    """
    return _trace(lines_of(text, name), name)


def _trace(lines: Iterable[Line], path: Path | str | None) -> Trace:
    name = ""
    config = Config()
    ops: list[Op] = []
    layout = Layout()
    for line in lines:
        place = Place(path, line.number)
        value = decode(line, place)
        if line.number == 1:
            name, config = _header(value, place)
            continue
        op = parse_op(value, config, place)
        check_in_domain(op, layout, config, place)
        ops.append(op)
    return Trace(tuple(ops), config, name)


def check_in_domain(op: Op, layout: Layout, config: Config, place: Place) -> None:
    """Check one operation where the layout stands, and move the layout past it.

    Raises:
        TraceError: the operation leaves the domain.
    """
    problem = check_op(op, layout, config)
    if problem:
        place.fail(f"{op.name}: {problem}")
    follow(op, layout, config)


# --- the header -------------------------------------------------------------------


def _header(value: dict[str, Any], place: Place) -> tuple[str, Config]:
    found = value.get("format")
    if found is None:
        if "baseline" in value:
            place.fail("this is a file of recorded vectors, not a trace; see replay conform")
        place.fail(f"the first line must be the header {_HEADER}")
    if found != FORMAT:
        if isinstance(found, str) and found.startswith(_FAMILY):
            place.fail(
                f"the format is {shown(found)}, this version reads '{FORMAT}'; "
                "a newer replay may read it"
            )
        place.fail(f"the format is {shown(found)}; a trace file has '{FORMAT}'")
    check_keys(value, ("format", "name", "config"), (), "the header", place)
    return parse_name(value["name"], place), parse_config(value["config"], place)


def parse_name(value: Any, place: Place) -> str:
    """The name of a trace.

    Raises:
        TraceError: it is no string, or no text that a file could hold.
    """
    if not isinstance(value, str):
        place.fail(f"name is {kind(value)}; it must be a string")
    if not _is_text(value):
        place.fail("name holds half of a surrogate pair, which is no character")
    return value


def _is_text(name: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in name)


def parse_config(value: Any, place: Place) -> Config:
    """The machine of a trace.

    Raises:
        TraceError: a field is missing, unknown, of a wrong type or out of range.
    """
    if not isinstance(value, dict):
        place.fail(f"config is {kind(value)}; it must be an object")
    check_keys(value, ("page_bits", "hpratio", "tcg"), ("word_bits",), "config", place)
    for name in ("page_bits", "hpratio", "word_bits"):
        if name in value:
            integer(value[name], f"config: {name}", place)
    if not isinstance(value["tcg"], bool):
        place.fail(f"config: tcg is {shown(value['tcg'])}; it must be true or false")
    config = Config(**value)
    problem = check_config(config)
    if problem:
        place.fail(f"config: {problem}")
    return config


# --- operations -------------------------------------------------------------------


def parse_op(value: dict[str, Any], config: Config, place: Place) -> Op:
    """One operation as an object of JSON; its place in the domain is not looked at.

    Raises:
        TraceError: the name is unknown, an argument missing, unknown or of a wrong type.
    """
    if "op" not in value:
        place.fail('the operation has no "op"; it must be {"op": NAME, …} with its arguments')
    name = value["op"]
    if not isinstance(name, str):
        place.fail(f"op is {kind(name)}; it must be the name of an operation")
    spec = OPS.get(name)
    if spec is None:
        place.fail(f"unknown operation {shown(name)}{nearest(name, OPS)}")
    wanted = spec.parameters
    if len(value) != len(wanted) + 1 or not value.keys() >= set(wanted):
        _wrong_arguments(name, wanted, value, place)
    return Op(name, tuple([kind.read(value[kind.name], place, config) for kind in spec.kinds]))


def _wrong_arguments(
    name: str, wanted: tuple[str, ...], value: dict[str, Any], place: Place
) -> None:
    given = [key for key in value if key != "op"]
    for key in given:
        if key not in wanted:
            free = [parameter for parameter in wanted if parameter not in given]
            cure = nearest(key, free) if free else f"; it takes {', '.join(wanted) or 'none'}"
            place.fail(f"{name} has no argument '{printable(key[:SHOWN_CHARACTERS])}'{cure}")
    missing = [parameter for parameter in wanted if parameter not in given]
    place.fail(f"{name} lacks {', '.join(missing)}; it takes {', '.join(wanted)}")


# --- writing ----------------------------------------------------------------------


def trace_to_text(trace: Trace) -> str:
    """The trace as a file holds it: equal traces, equal text.

    Raises:
        TraceError: the trace leaves the domain, or its name is no text; no reader would
            take it back.
    """
    validate(trace)
    if not _is_text(trace.name):
        raise TraceError("the name of the trace holds half of a surrogate pair; rename it")
    header = {"format": FORMAT, "name": trace.name, "config": trace.config.to_json()}
    lines = [header, *(op.to_json() for op in trace.ops)]
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)


def write_trace(trace: Trace, path: Path | str) -> None:
    """Write a trace file: the whole of it, or nothing and the old file stays.

    Raises:
        TraceError: the trace is not valid, or the file cannot be written.
    """
    data = trace_to_text(trace).encode()
    try:
        target = Path(path).resolve()
        if target.exists() and not target.is_file():
            raise TraceError("this is no ordinary file; name another to write to", path)
        replace_file(target, data)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise TraceError(f"cannot write the trace: {reason}", path) from None


__all__: Final = ["FORMAT", "parse_trace", "read_trace", "trace_to_text", "write_trace"]
