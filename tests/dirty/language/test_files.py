import gzip
import json
import stat
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from replay.dirty.language.domain import Layout, check_op, follow
from replay.dirty.language.files import parse_trace, read_trace, trace_to_text, write_trace
from replay.dirty.language.operations import OPS
from replay.dirty.language.trace import CLIENTS, WORD_SIZES, Config, Op, Trace
from replay.errors import TraceError

HEADER = (
    '{"format": "dirty-trace/1", "name": "t", '
    '"config": {"page_bits": 12, "hpratio": 1, "tcg": true}}'
)
ALLOC = '{"op": "ram_alloc", "pages": 2}'


def text(*lines: str, header: str = HEADER) -> str:
    return "\n".join([header, *lines]) + "\n"


def refusal(source: str) -> str:
    with pytest.raises(TraceError) as caught:
        parse_trace(source, "t.jsonl")
    message = str(caught.value)
    assert message.isprintable(), "one message, on one line"
    assert len(message) < 500
    return message


# --- traces that are valid ------------------------------------------------------------


@st.composite
def traces(draw: st.DrawFn) -> Trace:
    config = Config(
        draw(st.integers(3, 16)),
        draw(st.sampled_from((1, 2, 16))),
        draw(st.booleans()),
        draw(st.sampled_from(WORD_SIZES)),
    )
    layout, ops = Layout(), []
    for _ in range(draw(st.integers(0, 12))):
        op = draw(_ops(config, layout))
        if check_op(op, layout, config) is None:
            follow(op, layout, config)
            ops.append(op)
    name = draw(st.text(st.characters(exclude_categories=["Cs"]), max_size=8))
    return Trace(tuple(ops), config, name)


@st.composite
def _ops(draw: st.DrawFn, config: Config, layout: Layout) -> Op:
    name = draw(st.sampled_from(sorted(OPS)))
    numbers = st.one_of(
        st.sampled_from([first << config.page_bits for first, _ in layout.blocks] or [0]),
        st.integers(0, max(layout.end, 1) << config.page_bits),
    )
    pages = draw(st.integers(1, 70))
    words = -(-pages // config.word_bits)
    values = {
        "pages": st.just(pages),
        "size": st.sampled_from((1, 2, 4)),
        "client": st.sampled_from(CLIENTS),
        "words": st.lists(
            st.integers(0, 2**config.word_bits - 1), min_size=words, max_size=words
        ).map(tuple),
    }
    return Op(name, tuple(draw(values.get(p, numbers)) for p in OPS[name].parameters))


@given(traces())
def test_reading_what_was_written_gives_the_same_trace(trace: Trace) -> None:
    assert parse_trace(trace_to_text(trace)) == trace


@given(traces())
def test_writing_what_was_read_gives_the_same_bytes(trace: Trace) -> None:
    once = trace_to_text(trace)
    assert trace_to_text(parse_trace(once)) == once


@settings(deadline=None)
@given(trace=traces())
def test_files_round_trip_plain_and_compressed(
    trace: Trace, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "round.jsonl"
    write_trace(trace, path)
    assert read_trace(path) == trace
    packed = path.with_suffix(".jsonl.gz")
    packed.write_bytes(gzip.compress(path.read_bytes()))
    assert read_trace(packed) == trace
    assert not list(path.parent.glob(".replay-*")), "no temporary file is left"


def test_the_bytes_are_those_of_the_format() -> None:
    ops = (
        Op("ram_alloc", (5,)),
        Op("store", (8, 4)),
        Op("kvm_log_sync", (0, 5, (0xA, 1))),
        Op("region_get_dirty", (0, 4096, "vga")),
    )
    assert trace_to_text(Trace(ops, Config(12, 1, False, 4), "naïve")) == (
        '{"format": "dirty-trace/1", "name": "naïve", '
        '"config": {"page_bits": 12, "hpratio": 1, "tcg": false, "word_bits": 4}}\n'
        '{"op": "ram_alloc", "pages": 5}\n'
        '{"op": "store", "addr": 8, "size": 4}\n'
        '{"op": "kvm_log_sync", "addr": 0, "pages": 5, "words": ["a", "1"]}\n'
        '{"op": "region_get_dirty", "addr": 0, "length": 4096, "client": "vga"}\n'
    )
    assert "word_bits" not in trace_to_text(Trace(()))


# --- traces that are not: one message, with file, line and cure -------------------------

WRONG_OPERATIONS = {
    "an unknown operation gets the nearest name": (
        '{"op": "stor", "addr": 0, "size": 4}', "unknown operation 'stor'; did you mean 'store'?"
    ),
    "an operation like no other gets the list": ('{"op": "zzzz"}', "known are ram_alloc, ram_free"),
    "an operation without a name": ('{"addr": 0}', 'has no "op"'),
    "a name that is no string": ('{"op": 3}', "op is a number"),
    "a missing argument": ('{"op": "store", "addr": 0}', "store lacks size; it takes addr, size"),
    "a misspelt argument": (
        '{"op": "store", "addr": 0, "sise": 4}', "no argument 'sise'; did you mean 'size'?"
    ),
    "an argument too many": (
        '{"op": "tlb_fill", "addr": 0, "size": 4}', "no argument 'size'; it takes addr"
    ),
    "an argument where there is none": (
        '{"op": "tlb_flush", "addr": 0}', "no argument 'addr'; it takes none"
    ),
    "a string for a number": ('{"op": "tlb_fill", "addr": "0"}', "addr is '0'; it must be an int"),
    "a bool for a number": ('{"op": "tlb_fill", "addr": true}', "addr is true; it must be an int"),
    "a null for a number": ('{"op": "tlb_fill", "addr": null}', "addr is null"),
    "a fraction": ('{"op": "tlb_fill", "addr": 1.5}', "addr is a number with a fraction"),
    "an exponent": ('{"op": "tlb_fill", "addr": 4e3}', "addr is a number with a fraction"),
    "infinity": ('{"op": "tlb_fill", "addr": Infinity}', "addr is a number with a fraction"),
    "a negative number": ('{"op": "tlb_fill", "addr": -1}', "addr is -1; it must be from 0"),
    "a huge number": (f'{{"op": "tlb_fill", "addr": {10**300}}}', "a number of 301 digits"),
    "thousands of digits": (f'{{"op": "tlb_fill", "addr": {"9" * 5000}}}', "thousands of digits"),
    "a list for a number": ('{"op": "tlb_fill", "addr": [[0]]}', "addr is a list"),
    "an address outside every block": (
        '{"op": "tlb_fill", "addr": 8192}', "lies in no RAM block; blocks are 0x0..0x2000"
    ),
    "a size that no store has": ('{"op": "store", "addr": 0, "size": 3}', "1, 2 or 4 bytes"),
    "an unknown client": (
        '{"op": "page_get_flag", "addr": 0, "client": "migratio"}',
        "unknown client 'migratio'; name one of vga, code, migration",
    ),
    "two clients in one name": (
        '{"op": "page_get_flag", "addr": 0, "client": "vga|code"}', "name one of vga, code"
    ),
    "a client by number": (
        '{"op": "page_get_flag", "addr": 0, "client": 0}', "client is a number; a client is named"
    ),
    "a hex word in capitals": (
        '{"op": "kvm_log_sync", "addr": 0, "pages": 2, "words": ["A"]}', "word 0 is 'A'; it must"
    ),
    "a hex word with a prefix": (
        '{"op": "kvm_log_sync", "addr": 0, "pages": 2, "words": ["0x1"]}', "no prefix"
    ),
    "a padded hex word": (
        '{"op": "kvm_log_sync", "addr": 0, "pages": 2, "words": ["01"]}', "no padding"
    ),
    "an empty hex word": ('{"op": "kvm_log_sync", "addr": 0, "pages": 2, "words": [""]}', "word 0"),
    "a word of too many bits": (
        '{"op": "kvm_log_sync", "addr": 0, "pages": 2, "words": ["10000000000000000"]}',
        "word 0 has 65 bits; a word of this machine has 64",
    ),
    "a word as a number": (
        '{"op": "kvm_log_sync", "addr": 0, "pages": 2, "words": [1]}', "word 0 is a number"
    ),
    "words that are no list": (
        '{"op": "kvm_log_sync", "addr": 0, "pages": 2, "words": "1"}', "words is a string"
    ),
    "too many words": (
        '{"op": "kvm_log_sync", "addr": 0, "pages": 2, "words": ["1", "1"]}', "there must be 1"
    ),
    "a key twice": ('{"op": "tlb_fill", "addr": 0, "addr": 4}', "the key 'addr' is there twice"),
    "no JSON": ("{op: store}", "not JSON: Expecting property name"),
    "no object": ("[1]", "the line is a list; each line must be a JSON object"),
    "an empty line": ("", "the line is empty; remove it"),
    "deep nesting": ("[" * 100_000, "nested too deep"),
    "terminal control characters": ('{"op": "\\u001b[31m"}', "unknown operation '\\x1b[31m'"),
    "a lone surrogate": ('{"op": "\\ud800"}', "unknown operation '\\ud800'"),
}  # fmt: skip


@pytest.mark.parametrize(("line", "fragment"), WRONG_OPERATIONS.values(), ids=WRONG_OPERATIONS)
def test_a_wrong_operation_is_refused_with_its_line(line: str, fragment: str) -> None:
    message = refusal(text(ALLOC, line))
    assert message.startswith("t.jsonl:3: ")
    assert fragment in message


def test_the_first_wrong_line_is_told_of_whatever_its_kind() -> None:
    outside, unknown = '{"op": "tlb_fill", "addr": 99999}', '{"op": "nonsense"}'
    assert "no RAM block" in refusal(text(ALLOC, outside, unknown))
    assert "unknown operation" in refusal(text(ALLOC, unknown, outside))


WRONG_HEADERS = {
    "no header": (ALLOC, "the first line must be the header"),
    "another format": ('{"format": "other"}', "the format is 'other'; a trace file has"),
    "a format that is no string": ('{"format": 1}', "the format is 1"),
    "a later version": ('{"format": "dirty-trace/2"}', "this version reads 'dirty-trace/1'"),
    "a vector file": ('{"name": "a", "ops": [], "baseline": []}', "see replay conform"),
    "an unknown key": (HEADER.replace("name", "nam"), "no 'nam'; did you mean 'name'?"),
    "a missing key": (HEADER.replace('"name": "t", ', ""), "the header lacks name"),
    "a name that is no string": (HEADER.replace('"t"', "7"), "name is a number"),
    "half a character": (HEADER.replace('"t"', '"\\udc00"'), "half of a surrogate pair"),
    "a config that is no object": (
        '{"format": "dirty-trace/1", "name": "t", "config": 3}',
        "config",
    ),
    "a misspelt config": (HEADER.replace("hpratio", "hpration"), "did you mean 'hpratio'?"),
    "an incomplete config": (HEADER.replace(', "tcg": true', ""), "config lacks tcg"),
    "tcg that is no bool": (HEADER.replace("true", "1"), "tcg is 1; it must be true or false"),
    "page_bits that is a bool": (HEADER.replace("12", "true"), "page_bits is true"),
    "page_bits out of range": (HEADER.replace("12", "99"), "page_bits is 99; it must be 3 to 30"),
    "hpratio that is no power": (HEADER.replace('"hpratio": 1', '"hpratio": 3'), "power of two"),
    "a strange word": (HEADER.replace('"tcg"', '"word_bits": 7, "tcg"'), "word_bits is 7"),
}


@pytest.mark.parametrize(("header", "fragment"), WRONG_HEADERS.values(), ids=WRONG_HEADERS)
def test_a_wrong_header_is_refused_at_line_1(header: str, fragment: str) -> None:
    message = refusal(text(ALLOC, header=header))
    assert message.startswith("t.jsonl:1: ")
    assert fragment in message


def test_a_text_that_ends_inside_its_last_line_is_called_cut_off() -> None:
    whole = text(ALLOC, '{"op": "tlb_fill", "addr": 0}')
    assert "t.jsonl:3: the file ends inside this line" in refusal(whole[:-5])
    assert parse_trace(whole[:-1]) == parse_trace(whole), "only the newline lacks"


def test_an_empty_text_is_refused() -> None:
    assert "empty" in refusal("")


def test_half_a_character_in_a_text_is_refused() -> None:
    assert "t.jsonl:2: " in refusal(text("\udfff"))


def test_line_separators_of_unicode_end_no_line() -> None:
    trace = Trace((), name="a\u2028b\x85c\x0b")
    assert parse_trace(trace_to_text(trace)) == trace


# --- files that cannot be read ----------------------------------------------------------


def unreadable(path: Path) -> str:
    with pytest.raises(TraceError) as caught:
        read_trace(path)
    assert str(path) in str(caught.value)
    return caught.value.problem


def test_files_that_are_none_are_refused(tmp_path: Path) -> None:
    assert "no such file" in unreadable(tmp_path / "missing")
    assert "directory" in unreadable(tmp_path)
    (tmp_path / "empty").touch()
    assert "empty" in unreadable(tmp_path / "empty")
    with pytest.raises(TraceError, match="no file name"):
        read_trace("a\0b")


def test_a_file_that_may_not_be_read_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    # The tests may run as root, whom no permission stops.
    monkeypatch.setattr(Path, "open", denied)
    assert "permissions" in unreadable(tmp_path / "secret")


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_bytes(text(ALLOC).encode() + b'{"op": "\xff"}\n')
    assert "byte 9 of the line is not UTF-8" in unreadable(path)
    path.write_bytes(b"\xef\xbb\xbf" + text(ALLOC).encode())
    assert "byte order mark" in unreadable(path)
    path.write_bytes(text(ALLOC).encode("utf-16"))
    assert "not UTF-8" in unreadable(path)


def test_compressed_files_cut_off_or_damaged_are_refused(tmp_path: Path) -> None:
    packed = gzip.compress(text(ALLOC).encode())
    path = tmp_path / "t.jsonl.gz"
    path.write_bytes(packed[:-10])
    assert "end early" in unreadable(path)
    path.write_bytes(packed[:-8] + bytes(8))
    assert "damaged" in unreadable(path)
    path.write_bytes(packed[:12] + b"\xff\xff" + packed[14:])
    assert "damaged" in unreadable(path)
    path.write_text(text(ALLOC))
    assert "damaged" in unreadable(path), "not compressed at all"


# --- writing ------------------------------------------------------------------------------


def test_a_failed_write_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text("old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(TraceError, match="cannot write the trace: No space left"):
        write_trace(Trace(()), path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_writing_refuses_what_reading_would_refuse(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    with pytest.raises(TraceError, match="no RAM block"):
        write_trace(Trace((Op("tlb_fill", (0,)),)), path)
    with pytest.raises(TraceError, match="surrogate"):
        write_trace(Trace((), name="\udabc"), path)
    with pytest.raises(TraceError, match="cannot write"):
        write_trace(Trace(()), tmp_path / "no" / "such" / "folder")
    with pytest.raises(TraceError, match="no ordinary file"):
        write_trace(Trace(()), tmp_path)
    assert not path.exists()


def test_a_link_stays_a_link_and_the_file_gets_ordinary_permissions(tmp_path: Path) -> None:
    target, link = tmp_path / "target", tmp_path / "link"
    link.symlink_to(target)
    write_trace(Trace((), name="n"), link)
    assert link.is_symlink()
    assert read_trace(target).name == "n"
    other = tmp_path / "other"
    other.touch()
    assert stat.S_IMODE(target.stat().st_mode) == stat.S_IMODE(other.stat().st_mode)


# --- whatever the bytes -------------------------------------------------------------------

VALID = text(
    ALLOC,
    '{"op": "kvm_log_sync", "addr": 0, "pages": 2, "words": ["3"]}',
    '{"op": "region_get_dirty", "addr": 0, "length": 4096, "client": "migration"}',
    '{"op": "migration_start"}',
    '{"op": "migration_next", "addr": 0, "start": 4096}',
).encode()

damage = st.lists(
    st.tuples(st.integers(0, len(VALID)), st.integers(0, 3), st.integers(0, 255)), max_size=6
)


def damaged(data: bytes, changes: list[tuple[int, int, int]]) -> bytes:
    for place, how, byte in changes:
        at = place % (len(data) + 1)
        if how == 0:
            data = data[:at]
        elif how == 1:
            data = data[:at] + bytes([byte]) + data[at:]
        elif how == 2:
            data = data[:at] + data[at + 1 :]
        else:
            data = data[:at] + bytes([byte]) + data[at + 1 :]
    return data


@settings(max_examples=600, deadline=None)
@given(changes=damage, packed=st.booleans())
def test_any_damage_gives_a_trace_or_a_trace_error(
    changes: list[tuple[int, int, int]], packed: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzz.jsonl"
    data = gzip.compress(VALID, mtime=0) if packed else VALID
    path.write_bytes(damaged(data, changes))
    try:
        trace = read_trace(path)
    except TraceError as error:
        assert str(error).isprintable()
    else:
        assert parse_trace(trace_to_text(trace)) == trace


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)


@settings(max_examples=300)
@given(st.integers(0, 5), st.sampled_from(("op", "addr", "config", "words", "client")), json_values)
def test_any_value_in_any_place_gives_a_trace_or_a_trace_error(
    line: int, key: str, value: object
) -> None:
    lines = VALID.decode().splitlines()
    entry = json.loads(lines[line])
    entry[key] = value
    lines[line] = json.dumps(entry)
    try:
        trace = parse_trace("\n".join(lines) + "\n")
    except TraceError as error:
        assert str(error).isprintable()
    else:
        assert trace.ops
