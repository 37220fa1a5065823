"""Small inputs that once showed a fault, each with what is right to say of it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from elf_builds import run

from replay.cli import main

CASES = Path(__file__).parent / "cases"

Made = Callable[..., Path]


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """The folder of a case with what commands made of it; equal requests are made once."""
    done: dict[tuple[str, ...], Path] = {}

    def make(case: str, *commands: str) -> Path:
        if (case, *commands) not in done:
            where = tmp_path_factory.mktemp("case") / "files"
            shutil.copytree(next(CASES.glob(f"{case}-*")), where)
            for command in commands:
                run(command.split(), where)
            done[case, *commands] = where
        return done[case, *commands]

    return make


def elf(*words: object) -> Result:
    return CliRunner().invoke(main, ["elf", *map(str, words)])


def compared(a: Path, b: Path, *options: str) -> tuple[int, list[str]]:
    done = elf("compare", a, b, *options)
    assert done.exit_code & 2 == 0, done.output
    return done.exit_code, done.stdout.splitlines()


# --- nothing compared is never identical ----------------------------------------------


def test_what_both_define_is_compared_by_default(made: Made) -> None:
    where = made("01", "gcc -g -c a.c", "gcc -g -c b.c")
    code, lines = compared(where / "a.o", where / "b.o")
    assert code == 1
    assert lines[0].endswith(": different code")
    assert "changed f: code different" in lines
    assert compared(where / "a.o", where / "b.o", "--all") == (code, lines)


@pytest.mark.parametrize(
    "options", [("--function", "typo*"), ("--function", "f", "--function", "g")]
)
@pytest.mark.parametrize("other", ["a.o", "b.o"])
def test_a_pattern_that_fits_nothing_is_an_error(
    made: Made, options: tuple[str, ...], other: str
) -> None:
    where = made("01", "gcc -g -c a.c", "gcc -g -c b.c")
    for words in (("compare", where / "a.o", where / other), ("show", where / "a.o")):
        done = elf(*words, *options)
        assert done.exit_code == 2
        assert "is called " + repr(options[-1]) in done.stderr


def test_the_api_of_a_file_that_has_none_of_it_is_an_error(made: Made) -> None:
    where = made("01", "gcc -g -c a.c", "gcc -g -c b.c")
    done = elf("compare", where / "a.o", where / "a.o", "--api")
    assert done.exit_code == 2
    assert "nothing of the dirty-tracking API" in done.stderr
    assert elf("compare", where / "a.o", where / "a.o", "--api", "--all").exit_code == 2


def test_files_without_a_common_function_are_not_identical(made: Made) -> None:
    where = made("06", "gcc -c a.c", "gcc -c b.c")
    code, lines = compared(where / "a.o", where / "b.o")
    assert code & 1
    assert not lines[0].endswith("identical code")


def test_code_of_no_function_is_counted_and_not_called_identical(tmp_path: Path) -> None:
    for name, number in (("a", 1), ("b", 2)):
        text = f".text\nmov ${number}, %eax\nret\n.data\n.globl d\nd: .long 1\n"
        (tmp_path / f"{name}.s").write_text(text)
        run(["gcc", "-c", f"{name}.s"], tmp_path)
    code, lines = compared(tmp_path / "a.o", tmp_path / "b.o")
    assert code == 4
    assert lines[0].endswith(": nothing compared")
    assert "not compared: 6 bytes of code in no function" in lines


def test_code_in_assembly_is_compared_by_its_global_labels(tmp_path: Path) -> None:
    for name, number in (("a", 1), ("b", 2)):
        text = f".text\n.globl f\nf: mov ${number}, %eax\nret\n"
        (tmp_path / f"{name}.s").write_text(text)
        run(["gcc", "-c", f"{name}.s"], tmp_path)
    code, lines = compared(tmp_path / "a.o", tmp_path / "b.o")
    assert code == 1 | 4  # nothing tells of types
    assert "changed f: code different" in lines


def test_show_has_all_and_says_what_was_left_out(made: Made) -> None:
    where = made("10", "gcc -g -fPIC -shared a.c -o a.so")
    assert "functions (3, DWARF 5):" in elf("show", where / "a.so").stdout
    some = elf("show", where / "a.so", "--function", "sum").stdout
    assert "functions (1, DWARF 5):" in some
    assert "left out: 2 functions and " in some


# --- what is stripped is unknown -------------------------------------------------------


@pytest.mark.parametrize("strip", ["strip -s", "strip -x", "strip --strip-unneeded"])
def test_functions_without_a_symbol_are_unknown_and_not_removed(made: Made, strip: str) -> None:
    where = made("03", "gcc -g -O1 -fPIC -shared a.c -o a.so", f"{strip} -o s.so a.so")
    for a, b in (("a.so", "s.so"), ("s.so", "a.so")):
        code, lines = compared(where / a, where / b)
        assert code == 4
        assert lines[0].endswith(": not decided")
        assert "unknown int h(int x) (4 bytes)" in lines
        assert not [line for line in lines if line.startswith(("added", "removed"))]


def test_an_export_that_a_stripped_file_has_no_more_is_removed(made: Made) -> None:
    where = made(
        "07",
        "gcc -g -O1 -fPIC -shared a.c -o a.so",
        "gcc -g -O1 -fPIC -shared b.c -o b.so",
        "strip -s -o s.so b.so",
    )
    code, lines = compared(where / "a.so", where / "s.so")
    assert code & 32
    assert "linkage of api: export: exported -> none" in lines


# --- languages, and where debug information is ------------------------------------------


def test_units_in_cxx_are_named_and_c_units_are_read(made: Made) -> None:
    where = made(
        "05",
        *(f"g++ -g -fPIC -c {name}.cc" for name in ("r", "k")),
        "gcc -g -fPIC -c p.c",
        "g++ -shared p.o k.o -o mixed.so",
    )
    assert "int api(const int & a);  [C++]  r.cc:1" in elf("show", where / "r.o").stdout
    shown = elf("show", where / "mixed.so").stdout
    assert "  int plain(int a);  p.c:1" in shown.splitlines()
    assert "  int api2(class K *k);  [C++]  k.cc:2" in shown.splitlines()
    assert compared(where / "mixed.so", where / "mixed.so")[0] == 0


def test_functions_of_one_name_in_cxx_are_told_apart_by_their_symbols(tmp_path: Path) -> None:
    text = (
        "int f(int a) {{ return a; }} int f(double a) {{ return {0}; }}"
        "struct s {{ int m() const; {1} q; }}; int s::m() const {{ return 1; }}"
    )
    for name, parts in (("a", ("1", "int")), ("b", ("2", "long"))):
        (tmp_path / f"{name}.cc").write_text(text.format(*parts))
        run(["g++", "-g", "-c", f"{name}.cc"], tmp_path)
    code, lines = compared(tmp_path / "a.o", tmp_path / "b.o")
    assert code == 1 | 16
    assert [line for line in lines if line.startswith("changed _Z")] == [
        "changed _Z1fd: code different"
    ]
    assert "changed struct s: 4 bytes -> 8 bytes; reached by m" in lines


def test_a_renamed_function_in_cxx_has_no_other_signature(tmp_path: Path) -> None:
    for name, called in (("a", "one"), ("b", "two")):
        (tmp_path / f"{name}.cc").write_text(f"static int {called}(int x) {{ return x * 3; }}"
                                             f"int f(int x) {{ return {called}(x); }}")  # fmt: skip
        run(["g++", "-g", "-c", f"{name}.cc"], tmp_path)
    code, lines = compared(tmp_path / "a.o", tmp_path / "b.o")
    assert code == 0, lines
    assert "renamed _ZL3onei -> _ZL3twoi: code identical" in lines
    assert not [line for line in lines if line.startswith("  - ")]


A_SPLIT = "gcc -g -gsplit-dwarf -c a.c -o split.o"


def test_debug_information_in_other_forms_is_read(made: Made) -> None:
    where = made(
        "06",
        "gcc -g -c a.c -o a.o",
        A_SPLIT,
        "gcc -gdwarf-4 -gsplit-dwarf -c a.c -o split4.o",
        "gcc -gdwarf-4 -fdebug-types-section -c a.c -o types.o",
        "gcc -flto -ffat-lto-objects -g -c a.c -o fat.o",
    )
    for name in ("split.o", "split4.o", "types.o", "fat.o"):
        shown = elf("show", where / name).stdout
        assert "  int f(int x);  a.c:3" in shown.splitlines(), name
        code, lines = compared(where / name, where / "a.o")
        assert (code, lines[0].partition(": ")[2]) == (0, "identical code"), lines
        assert not [line for line in lines if line.startswith("note")]
        assert elf("show", where / name, "--layout", "struct one").exit_code == 0


def test_what_cannot_be_read_falls_back_to_symbols_with_cause_and_cure(made: Made) -> None:
    where = made(
        "06",
        "gcc -g -c a.c -o a.o",
        "gcc -c a.c -o nog.o",
        A_SPLIT,
        "rm split.dwo",
        "objcopy --compress-debug-sections=zstd a.o zstd.o",
    )
    for name, cause, cure in (
        ("nog.o", "without debug information", "build it with -g"),
        ("split.o", "split.dwo, which is not found", "--debug-dir"),
        ("zstd.o", "compressed with zstd", "objcopy --decompress-debug-sections"),
    ):
        code, lines = compared(where / name, where / "a.o")
        notes = [line for line in lines if line.startswith(f"note: {where / name}")]
        assert code == 4, lines
        assert cause in notes[0]
        assert cure in notes[0]
        assert "corrupt" not in notes[0]
        shown = elf("show", where / name)
        assert shown.exit_code == 0
        assert "functions: unknown: " in shown.stdout


def test_an_object_of_link_time_optimisation_is_refused(made: Made) -> None:
    where = made("06", "gcc -g -c a.c -o a.o", "gcc -flto -fno-fat-lto-objects -c a.c -o lto.o")
    done = elf("compare", where / "lto.o", where / "a.o")
    assert done.exit_code == 2
    assert "without code; build it with -fno-lto" in done.stderr


@pytest.mark.parametrize("version", ["4", "5"])
def test_what_dwz_shares_is_read_where_it_is_found(made: Made, version: str) -> None:
    modern = ["--dwarf-5"] if version == "5" else []
    where = made(
        "06",
        *(f"gcc -gdwarf-5 -fPIC -shared {name}.c -o {name}.so" for name in ("a", "b")),
        " ".join(["dwz", *modern, "-m", "common", "a.so", "b.so"]),
    )
    shown = elf("show", where / "a.so")
    assert "  int f(int x);  a.c:3" in shown.stdout.splitlines(), shown.output
    assert elf("show", where / "a.so", "--layout", "struct two").stdout.startswith("struct two, ")
    assert compared(where / "a.so", where / "a.so")[0] == 0
    (where / "common").rename(where / "elsewhere")
    try:
        shown = elf("show", where / "a.so")
        assert "shares debug information with common (dwz), which is not found" in shown.stdout
        code, lines = compared(where / "a.so", where / "a.so")
        assert code == 4
        assert "not found" in " ".join(lines)
    finally:
        (where / "elsewhere").rename(where / "common")


def test_a_stripped_file_is_compared_with_its_separate_debug_file(made: Made) -> None:
    where = made(
        "03",
        "gcc -g -O1 -fPIC -shared a.c -o a.so",
        "objcopy --only-keep-debug a.so a.debug",
        "strip -s -o s.so a.so",
        "objcopy --add-gnu-debuglink=a.debug s.so",
        "mkdir -p far",
        "mv a.debug far/a.debug",
    )
    assert compared(where / "a.so", where / "s.so")[0] == 4
    code, lines = compared(where / "a.so", where / "s.so", "--debug-dir", str(where / "far"))
    assert (code, lines[0].partition(": ")[2]) == (0, "identical code")
    shown = elf("show", where / "s.so", "--debug-dir", where / "far").stdout
    assert "  int h(int x);  [static]  a.c:1" in shown.splitlines()


def test_a_debug_file_is_found_by_build_id_and_a_wrong_one_is_not(made: Made) -> None:
    where = made(
        "03",
        "gcc -g -O1 -fPIC -shared -Wl,--build-id=0xabcdef0123 a.c -o a.so",
        "objcopy --only-keep-debug a.so a.debug",
        "strip -s -o s.so a.so",
        "mkdir -p far/.build-id/ab near",
        "cp a.debug far/.build-id/ab/cdef0123.debug",
        "objcopy --add-gnu-debuglink=a.debug s.so l.so",
        "cp l.so near/l.so",
        "cp a.so near/a.debug",
    )
    assert compared(where / "a.so", where / "s.so", "--debug-dir", str(where / "far"))[0] == 0
    # Of the name that the link says, but with another checksum.
    assert compared(where / "a.so", where / "near" / "l.so")[0] == 4


# --- small --------------------------------------------------------------------------------


def test_ifuncs_enums_and_functions_are_named_as_such(made: Made) -> None:
    where = made("10", "gcc -g -fPIC -shared a.c -o a.so")
    api = [
        line.split() for line in elf("show", where / "a.so").stdout.splitlines() if " api" in line
    ]
    assert [words[2] for words in api if words[-1] == "api"] == ["IFUNC"]
    for name in ("enum e", "e", "ev"):
        lines = elf("show", where / "a.so", "--layout", name).stdout.splitlines()
        assert lines[1:] == ["  A = 1", "  B = -3"], name
    done = elf("show", where / "a.so", "--layout", "sum")
    assert done.exit_code == 2
    assert "sum is a function" in done.stderr


@pytest.mark.parametrize("strip", [[], ["strip --strip-unneeded e.o"]])
def test_files_without_code_are_identical(made: Made, strip: list[str]) -> None:
    where = made("10", "gcc -c e.c", *strip)
    code, lines = compared(where / "e.o", where / "e.o")
    assert code == 0
    assert lines[0].endswith("identical code")
    assert "functions: none" in lines


# --- exit codes ---------------------------------------------------------------------------


def test_the_kinds_are_told_in_the_exit_code_the_help_and_json(made: Made) -> None:
    where = made("08", "gcc -g -c a.c", "gcc -g -c b.c")
    done = elf("compare", where / "a.o", where / "b.o", "--json")
    assert done.exit_code == 1 | 8 | 16
    assert json.loads(done.stdout)["kinds"] == ["code", "interface", "layout"]
    told = " ".join(elf("compare", "--help").stdout.split())
    for words in ("1 code or data differ", "4 something not compared", "8 the interface", "32 the"):
        assert words in told
