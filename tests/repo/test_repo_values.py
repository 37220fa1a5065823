"""Values that matter are drawn: constants of the code, ends of types, numbers with fractions."""

from __future__ import annotations

import json
import math
import subprocess
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from userrepo import UserRepo, cli

from replay.errors import TraceError
from replay.repo import floats
from replay.repo.binding import Interface, Param
from replay.repo.bindingfile import parse_binding
from replay.repo.calls import Call, read_calls, takes, to_text
from replay.repo.drafting import draft
from replay.repo.drawing import ROUND, within
from replay.repo.errors import BindingError
from replay.repo.generating import generate
from replay.repo.language import CallLanguage
from replay.repo.mining import MOST_ALL, MOST_NEAR, Mined, mine
from replay.repo.resolving import resolve
from replay.repo.shapes import read_shape

BUILD = "cc -w -g %s -shared -fPIC -o lib.so lib.c -lm"


def compiled(place: Path, source: str, level: str = "-O1") -> Path:
    place.mkdir(parents=True, exist_ok=True)
    (place / "lib.c").write_text(source)
    subprocess.run(BUILD % level, shell=True, cwd=place, check=True)
    return place / "lib.so"


def interface_of(library: Path, binding: str = "", mined: Mined | None = None) -> Interface:
    """A library's interface, by a binding or as it is drafted."""
    shape = read_shape(library)
    text = f'format = "replay-binding/1"\n{binding}' if binding else draft(shape, "lib.so")
    interface = resolve(parse_binding(text, "b.toml"), [shape], lambda rule, index: False)
    return Interface(
        interface.binding, interface.ops, interface.observers, mined or mine([library])
    )


def example(place: Path, old: str, new: str, level: str = "-O1", binding: str = "") -> Any:
    """The example by which a change is found with the default effort; None if it is not."""
    repo = UserRepo(place / "repo")
    repo.commit("old", lib_c=old + "\n")
    repo.commit("new", lib_c=new + "\n")
    words: list[object] = []
    if binding:
        (place / "b.toml").write_text(f'format = "replay-binding/1"\n{binding}')
        words = ["--binding", place / "b.toml"]
    done = cli(
        "verify", "--repo", repo.path, "--range", "main~1..main", "--library", "lib.so",
        "--build", BUILD % level, "--json", *words,
    )  # fmt: skip
    return json.loads(done.stdout)["commits"][1]["example"]


def drawn(interface: Interface, numbers: range) -> list[Any]:
    """The first value of every call of these traces."""
    traces = (generate(interface, 1, number, 40) for number in numbers)
    return [call.values[0] for call in chain.from_iterable(traces)]


WORDS = '#include <string.h>\nstatic const char *const w[] = {"if", "while", "return"};\n' + (
    "int f(const char *s) { for (int i = 0; i < %d; i++) if (!strcmp(s, w[i])) return i; "
    "return 9; }"
)
SWITCH = (
    "int f(int x) { switch (x) { case 1000: return 1; case 1001: return 7; case 1002: return 4; "
    "case 1003: return %d; case 1004: return 11; case 90000: return 9; } return 0; }"
)


@pytest.mark.parametrize(
    ("old", "new", "shown"),
    [
        ("int f(int x) { return x == 123456; }", "int f(int x) { return 0; }", "f(x=123456)"),
        ("int f(int x) { return x > 0x7fff0000; }", "int f(int x) { return x > 0x7fff0001; }",
         "f(x=2147418113)"),
        ("int f(short x) { return x == -30000; }", "int f(short x) { return 0; }", "f(x=-30000)"),
        ("int f(unsigned char x) { return x == 200; }", "int f(unsigned char x) { return 0; }",
         "f(x=200)"),
        ("int f(unsigned x) { return x >= 0xdeadbeef; }",
         "int f(unsigned x) { return x > 0xdeadbeef; }", "f(x=3735928559)"),
        ("int f(unsigned long x) { return (x & 0xff00ff0000000000) == 0x1200340000000000; }",
         "int f(unsigned long x) { return 0; }", "f(x=1297093867287347200)"),
        ("int f(unsigned long x) { return (x >> 56) == 0x12; }",
         "int f(unsigned long x) { return 0; }", "f(x=1297036692682702848)"),
        (SWITCH % 2, SWITCH % 3, "f(x=1003)"),
        ("int f(int x, int y) { return x == 70000 && y == 31337; }",
         "int f(int x, int y) { return 0; }", "f(x=70000, y=31337)"),
        ("int f(int a, int b) { return a == b && a > 5000; }", "int f(int a, int b) { return 0; }",
         "f(a=5001, b=5001)"),
        ("double f(double x) { return x < 1.75 ? x : 0.0; }",
         "double f(double x) { return x < 3.75 ? x : 0.0; }", "f(x=2.0)"),
        ("int f(double x) { return x < 1234.5678; }", "int f(double x) { return x <= 1234.5678; }",
         "f(x=1234.5678)"),
        ("int f(float x) { return x < 0.1f; }", "int f(float x) { return x <= 0.1f; }",
         "f(x=0.10000000149011612)"),
        ("#include <math.h>\nint f(double x) { return signbit(x) != 0; }",
         "int f(double x) { return x < 0; }", "f(x=-0.0)"),
        ("int f(double x) { return x != x; }", "int f(double x) { return 0; }", "f(x=nan)"),
        (WORDS % 3, WORDS % 2, 'f(s="return")'),
    ],
)  # fmt: skip
def test_a_constant_far_out_is_found_with_the_default_effort_and_no_binding(
    old: str, new: str, shown: str, tmp_path: Path
) -> None:
    found = example(tmp_path, old, new)
    assert found["text"] == [shown]
    assert found["shortest"]


@pytest.mark.parametrize("level", ["-O0", "-O2"])
def test_a_word_that_only_comparisons_spell_is_found(level: str, tmp_path: Path) -> None:
    spelled = "int f(const char *s) { return s[0]=='q' && s[1]=='u' && s[2]=='i' && s[3]=='t'; }"
    found = example(tmp_path, spelled, "int f(const char *s) { return 0; }", level)
    assert found["text"] == ['f(s="quit")']


def test_characters_go_from_the_front_and_the_middle_of_a_string(tmp_path: Path) -> None:
    source = (
        "int f(const char *s) { int n = 0; for (; *s; s++) if (s[0] == '\"' && s[1] == 'u') "
        "n %s; return n; }"
    )
    binding = (
        '[[op]]\nfunction = "f"\n[op.args]\ns = { string = [0, 12], alphabet = "abcdefg\\"u" }\n'
    )
    found = example(tmp_path, source % "++", source % "+= 2", binding=binding)
    assert found["text"] == ['f(s="\\"u")']


# --- mining ---------------------------------------------------------------------------

SEVERAL = """
int a(int x) { return x == 1111111 || x == %d; }
int b(int x, int y) { return (x ^ 77) * y == 5555555; }
double c(double x) { return x * 2.5; }
int d(const char *s) { return __builtin_strcmp(s, "keyword") == 0; }
"""


def test_constants_of_what_changed_come_first_and_what_is_new_before_all(tmp_path: Path) -> None:
    libraries = [compiled(tmp_path / str(n), SEVERAL % n) for n in (222222, 333333)]
    mined = mine(libraries)
    assert set(mined.near.ints[:2]) == {222222, 333333}
    assert 1111111 in mined.near.ints
    assert not {5555555, 77} & set(mined.near.ints)
    assert {1111111, 222222, 333333, 5555555} <= set(mined.all.ints)
    assert (mined.near.floats, mined.all.floats) == ((), (2.5,))
    assert mined.all.words == ("keyword",)
    assert mine(libraries, frozenset({"b"})).near.ints[:2] in ((77, 5555555), (5555555, 77))
    assert mine(libraries) == mined


def test_what_is_mined_is_bounded_and_a_file_that_is_no_library_gives_nothing(
    tmp_path: Path,
) -> None:
    tests = " || ".join(f"x == {n}" for n in range(10**6, 10**8, 198019))
    library = compiled(tmp_path, f"int f(int x) {{ return {tests}; }}\n")
    mined = mine([library], frozenset({"f"}))
    assert (len(mined.near.ints), len(mined.all.ints)) == (MOST_NEAR, MOST_ALL)
    (tmp_path / "x").write_text("no library")
    assert mine([tmp_path / "x", tmp_path / "none"]) == Mined()


def test_a_change_of_a_constant_in_the_data_is_one_of_the_function(tmp_path: Path) -> None:
    source = "double f(double x) { return x < %s; }\nint g(int x) { return x == 4711; }\n"
    mined = mine([compiled(tmp_path / at, source % at) for at in ("1.75", "3.75")])
    assert set(mined.near.floats[:2]) == {1.75, 3.75}
    assert 4711 not in mined.near.ints


# --- drawing --------------------------------------------------------------------------

NUMBERS = """
#include <stddef.h>
struct s { int n; };
struct s *s_new(size_t capacity) { return 0; }
int s_at(struct s *s, int index, int value) { return 0; }
int plain(int n) { return n == 987654; }
unsigned char byte(unsigned char c) { return c; }
double real(double x) { return x; }
float small(float x) { return x; }
int sum(const int *a, int n) { int s = 0; while (n-- > 0) s += a[n]; return s; }
"""


@pytest.fixture(scope="module")
def numbers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compiled(tmp_path_factory.mktemp("numbers"), NUMBERS)


def one(library: Path, name: str, args: str = "") -> Interface:
    """The interface with one function."""
    return interface_of(library, f'[[op]]\nfunction = "{name}"\n[op.args]\n{args}\n')


def test_a_number_without_a_range_takes_its_whole_type_and_small_values_first(
    numbers: Path,
) -> None:
    interface = one(numbers, "plain")
    first, later = drawn(interface, range(20)), drawn(interface, range(100, 250))
    assert sum(-1 <= v <= 17 for v in first) > len(first) / 2
    assert 987654 in first
    assert {-(1 << 31), (1 << 31) - 1, 1 << 20, (1 << 20) + 1, 987653, 987655} <= set(later)
    assert len(set(later)) > 500
    assert set(drawn(one(numbers, "byte"), range(500))) == set(range(256))


def test_a_range_that_the_binding_states_is_kept(numbers: Path) -> None:
    stated = (("plain", "n", -1, 900), ("plain", "n", 5000, 9000), ("byte", "c", 3, 9))
    for name, param, low, high in stated:
        interface = one(numbers, name, f"{param} = {{ range = [{low}, {high}] }}")
        values = drawn(interface, range(0, 250, 5))
        assert min(values) == low
        assert max(values) == high
    values = drawn(one(numbers, "real", "x = { range = [0.5, 4.5] }"), range(0, 250, 5))
    assert all(0.5 <= float(v) <= 4.5 for v in values)
    assert {"0.5", "4.5", "1.0"} <= set(values)
    whole = drawn(one(numbers, "small", "x = { range = [-3, 3] }"), range(0, 250, 5))
    assert all(-3 <= float(v) <= 3 for v in whole)


def test_what_says_how_much_memory_there_is_stays_bounded(numbers: Path) -> None:
    interface = interface_of(numbers)
    params = {(op.name, p.name): p for op in interface.ops.values() for p in op.given}
    assert (params["s_new", "capacity"].low, params["s_new", "capacity"].high) == (0, 4096)
    assert params["s_at", "index"].high == 64
    assert params["s_at", "value"].high == (1 << 31) - 1
    array = params["sum", "a"]
    assert (array.role, array.low, array.high) == ("bytes", 0, 1024)  # it only looks
    text = draft(read_shape(numbers), "x")
    assert "#   value: any int" in text
    assert "a = { elements = [0, 256] }" in text and 'n = { length_of = "a" }' in text


def test_floating_numbers_reach_all_that_is_special_in_their_own_size(numbers: Path) -> None:
    for name, size in (("real", 8), ("small", 4)):
        values = set(drawn(one(numbers, name), range(300)))
        assert {"0.0", "-0.0", "inf", "-inf", "nan"} <= values
        assert {repr(v) for v in floats.edges(size)} <= values
        assert all(floats.is_text(value, size) for value in values)
        assert any(0 < abs(float(v)) < 1e-38 for v in values)


def test_a_trace_is_a_function_of_its_number_and_of_what_was_mined(numbers: Path) -> None:
    interface, bare = one(numbers, "plain"), one(numbers, "plain")
    bare = Interface(bare.binding, bare.ops, bare.observers)
    for number in (0, ROUND, 7 * ROUND + 3):
        assert generate(interface, 3, number, 40) == generate(interface, 3, number, 40)
    assert 987654 not in drawn(bare, range(200))
    assert all(
        takes(interface.ops["plain"].given[0], value) for value in drawn(interface, range(200))
    )


def test_the_same_bits_are_found_in_a_range_of_another_sign() -> None:
    assert within(-56, 0, 255) == 200
    assert within(-1, 0, (1 << 32) - 1) == (1 << 32) - 1
    assert within(0xFFFFFFFF, -(1 << 31), (1 << 31) - 1) == -1
    assert within(5, 7, 9) is None


# --- floating numbers in traces and bindings ------------------------------------------


def test_a_file_holds_floating_numbers_exactly(numbers: Path, tmp_path: Path) -> None:
    interface = interface_of(numbers)
    kept = ("nan", "inf", "-inf", "-0.0", "0.0", "5e-324", "0.1", "1e+300")
    trace = (*(Call("real", (v,)) for v in kept), Call("small", ("0.10000000149011612",)))
    text = to_text(trace, interface, "t")
    (tmp_path / "t.jsonl").write_text(text)
    assert read_calls(tmp_path / "t.jsonl", interface) == trace
    for line in text.splitlines():
        json.loads(line, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ('{"call": "real", "args": {"x": "much"}}', "it must be a number, or"),
        ('{"call": "small", "args": {"x": 0.1}}', "no number of 4 bytes is exactly that"),
        ('{"call": "real", "args": {"x": true}}', "it must be a number, or"),
        ('{"call": "real", "args": {"x": ' + "9" * 400 + "}}", "larger than any floating number"),
    ],
)
def test_a_file_with_another_number_is_refused(
    call: str, said: str, numbers: Path, tmp_path: Path
) -> None:
    (tmp_path / "t.jsonl").write_text('{"format": "replay-calls/1", "name": "t"}\n' + call + "\n")
    with pytest.raises(TraceError) as caught:
        read_calls(tmp_path / "t.jsonl", interface_of(numbers))
    assert said in str(caught.value)
    assert ":2:" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "args", "said"),
    [
        ("plain", "n = { range = [0.5, 1.5] }", "which has no fractions; write range = [0, 9]"),
        ("real", "x = { range = [1.5, 0.5] }", "the lower one first"),
        ("real", "x = { range = [1.5, 'a'] }", "is no number"),
        ("real", "x = { handle = 's' }", "only a pointer can be that"),
    ],
)
def test_a_range_that_does_not_fit_its_parameter_is_refused(
    name: str, args: str, said: str, numbers: Path
) -> None:
    with pytest.raises(BindingError) as caught:
        one(numbers, name, args)
    assert said in str(caught.value)


def test_of_two_numbers_that_differ_one_is_simpler() -> None:
    ordered = ["0.0", "-0.0", "1.0", "-1.0", "2.0", "100.0", "0.5", "1.5", "0.25", "inf", "nan"]
    sizes = [floats.size_of(text) for text in ordered]
    assert sizes[:5] == sorted(sizes[:5])
    assert floats.size_of("0.5") < floats.size_of("0.25") < floats.size_of("0.1")
    assert floats.size_of("1e308") < floats.size_of("inf") < floats.size_of("nan")
    assert len(set(sizes)) == len(sizes)


@pytest.mark.parametrize("size", [4, 8])
def test_the_neighbours_of_a_number_are_the_next_ones(size: int) -> None:
    for value in (0.0, -0.0, 1.0, -1.0, floats.stored(0.1, size), floats.of_bits(1, size)):
        low, high = floats.beside(value, size)
        assert low < value < high
        middle = floats.stored((low + value) / 2, size)
        assert middle in (low, value)
    assert math.isinf(floats.beside(floats.edges(size)[11], size)[1])


def test_a_size_tells_traces_of_floating_numbers_apart(numbers: Path) -> None:
    language = CallLanguage(interface_of(numbers))
    values = {"nan", "inf", "-inf", "0.0", "-0.0", *(repr(n / 8) for n in range(-99, 99))}
    sizes = {language.size((Call("real", (value,)),)) for value in values}
    assert len(sizes) == len(values)
    assert language.normal((Call("real", ("1",)),)) is None
    assert takes(Param("x", "float", least=0.0, most=1.0), "nan") is False
