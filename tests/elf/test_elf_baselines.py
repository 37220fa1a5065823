"""What was saved of a build says the same of later builds as the file itself."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from elf_builds import Build, run
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from replay import elf
from replay.cli import main
from replay.elf.baseline import _canonical, baseline

SOURCE = """
extern int ext(int);
struct s { int a; char b; double c; };
struct t { struct s s; struct t *next; };
static int helper(int a) { return ext(a) * @A; }
static const char *const names[] = {"one", "two", "@B"};
static const int table[40] = {1, 2, 3, @C, 5};
struct t first = {{1, 'x', 2.5}, 0};
static struct t second = {{@D, 'y', 3.5}, &first};
double scale = @E.25;
static int twice(int a) { static int calls; return ++calls + a; }
int counts(int a) { static int calls = @F; return calls++ + helper(a) + twice(a); }
const char *name(unsigned k) { return names[k % 3]; }
int at(unsigned k) { return table[k % 40]; }
struct t *last(void) { return &second; }
double scaled(double x) { return x * scale + @G.5; }
int chosen(int a) { switch (a) { case 0: return ext(9); case 1: return 7; case 2: return @H;
    case 3: return ext(3); case 4: return helper(4); case 5: return 99; } return 0; }
const char *said(void) { return "hello @I"; }
@K
const char *called(void) { return __func__; }
int typed(struct @J *p) { return p->s.a; }
"""
WORDS = {
    "@A": ["3", "5"], "@B": ["three", "drei"], "@C": ["4", "44"], "@D": ["7", "8"],
    "@E": ["1", "2"], "@F": ["0", "6"], "@G": ["1", "3"], "@H": ["12", "13"],
    "@I": ["you", "all of you, and whoever reads this text that is longer than what is kept"],
    "@K": ["", "const char *more(void) { return __func__; }"],
    "@J": ["t", "t *q, struct t"],
}  # fmt: skip
MODES = {
    "object": ["-c", "-O1"],
    "object without debug information": ["-c", "-O2"],
    "library": ["-shared", "-fPIC", "-O2"],
    "program for fixed addresses": ["-nostdlib", "-static", "-no-pie", "-fno-pie", "-Wl,-e,at"],
}
EXTERNAL = "int ext(int a) { return a + 1; }"


def source(choice: list[int], renamed: bool = False) -> str:
    text = SOURCE
    for word, number in zip(WORDS, choice, strict=True):
        text = text.replace(word, WORDS[word][number])
    return text.replace("helper", "aide") if renamed else text


def told(comparison: elf.Comparison) -> elf.Comparison:
    """What is said of two builds, without their paths and without where long data differs."""
    data = tuple(
        replace(d, differences=()) if d.before and d.before.size > 64 else d
        for d in comparison.data
    )
    functions = tuple(
        replace(f, retargeted=tuple(("text", "text") for r in f.retargeted if "hello" in r[0]))
        if f.name == "said"
        else f
        for f in comparison.functions
    )
    return replace(comparison, a="", b="", notes=(), data=data, functions=functions)


def call(*words: object) -> Result:
    return CliRunner().invoke(main, ["elf", *map(str, words)])


CHOICE = st.lists(st.integers(0, 1), min_size=len(WORDS), max_size=len(WORDS))


@pytest.mark.parametrize("mode", MODES)
@settings(
    max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(choice=CHOICE, renamed=st.booleans())
def test_a_baseline_says_the_same_as_the_file(
    build: Build, tmp_path: Path, mode: str, choice: list[int], renamed: bool
) -> None:
    flags = [*MODES[mode], *(["-g"] if "without" not in mode else [])]
    extra = [EXTERNAL] if "program" in mode else []
    a = build(source([0] * len(WORDS)), *flags, *extra)
    b = build(source(choice, renamed), *flags, *extra)
    base, later = tmp_path / "a.json", tmp_path / "b.json"
    base.write_text(elf.baseline(a))
    later.write_text(elf.baseline(b))
    direct = elf.compare(a, b)
    for first, second in ((base, b), (a, later), (base, later)):
        saved = elf.compare_saved(first, second)
        assert told(saved) == told(direct)
        assert saved.kinds == direct.kinds
    if any(choice):
        assert direct.kinds
    for pattern in ("counts", "helper", "second"):
        only = elf.select((pattern,))
        assert told(elf.compare_saved(base, b, only)) == told(elf.compare(a, b, only))


def test_what_a_baseline_cannot_tell_is_said(build: Build, tmp_path: Path) -> None:
    text = (
        "const int many[40] = {1, 2, [39] = 9}; const int few[3] = {1, 2};int f(void) { return @; }"
    )
    a = build(text.replace("@", "1"), "-c")
    b = build(text.replace("@", "2").replace("{1, 2", "{1, 3"), "-c")
    base = tmp_path / "base.json"
    assert call("save", a, "-o", base).exit_code == 0
    done = call("compare", base, b)
    assert done.exit_code == 5, "code, and types that nothing tells"
    lines = done.stdout.splitlines()
    assert "  offset 4: 3 instead of 2" in lines
    assert [line for line in lines if "contents of digest" in line]
    assert [line for line in lines if line.startswith("note:") and "is a baseline" in line]
    assert "changed f: code different" in lines
    assert call("compare", base, a).exit_code in (0, 4)
    assert "has no code to show" in call("compare", base, b, "--code").stderr


@pytest.mark.parametrize("key", ["uncovered", "needs", "started", "untyped"])
def test_a_baseline_that_lacks_something_is_refused(key: str, build: Build, tmp_path: Path) -> None:
    """What it does not tell would pass as the same."""
    found = build("int f(int x) { return x + 1; }", "-c", "-g")
    values = json.loads(baseline(found))
    where = {"needs": "linkage", "untyped": "types"}.get(key)
    owners = [values[where]] if where else [values]
    owners += [values["linkage"]] if key == "started" else []
    for owner in owners:
        del owner[key]
    form = values.pop("format")
    del values["digest"]
    digest = hashlib.sha256(_canonical(values).encode()).hexdigest()
    base = tmp_path / "base.json"
    base.write_text(json.dumps({"format": form, "digest": digest, **values}))
    done = call("compare", base, found)
    assert done.exit_code == 2
    assert key in done.stderr


def test_a_baseline_holds_no_code_and_no_long_data(build: Build) -> None:
    secret = "a long text that nobody but whoever has the file itself should be able to read here"
    text = f'const char kept[] = "{secret}"; int f(int x) {{ return x * 7; }}'
    found = build(text, "-c", "-g")
    assert secret.encode() in found.read_bytes()
    values = json.loads(elf.baseline(found))
    assert values["format"] == "replay-elf-baseline/1"
    held = json.dumps([values["data"], values["places"], values["functions"]])
    assert base64.b64encode(secret.encode()).decode()[:20] not in held
    assert all(len(bytes.fromhex(form[0])) == 32 for _, _, form in values["functions"])


def damaged(text: str, how: str) -> str:
    values = json.loads(text)
    if how == "edited":
        values["bits"] = 32
    elif how == "newer":
        values["format"] = "replay-elf-baseline/2"
    elif how == "cut":
        return text[: len(text) // 2]
    elif how == "another format":
        values["format"] = "somebody-elses/1"
    elif how == "without parts":
        kept = {"machine": "EM_X86_64"}
        digest = json.dumps(kept, sort_keys=True, separators=(",", ":"))
        kept["digest"] = hashlib.sha256(digest.encode()).hexdigest()
        values = {"format": values["format"], **kept}
    return json.dumps(values)


SAID = {
    "edited": "a damaged baseline",
    "cut": "a damaged baseline: it is no JSON",
    "newer": "a baseline of format 2, and this version reads 1; update this tool",
    "another format": "no baseline",
    "without parts": "truncated or corrupt",
}


@pytest.mark.parametrize("how", SAID)
def test_a_damaged_or_newer_baseline_is_one_message(build: Build, tmp_path: Path, how: str) -> None:
    a = build("int f(void) { return 1; }", "-c")
    base = tmp_path / "base.json"
    base.write_text(damaged(elf.baseline(a), how))
    for words in ((base, a), (a, base)):
        done = call("compare", *words)
        assert done.exit_code == 2
        assert SAID[how] in done.stderr
        assert done.stderr.count("\n") == 1


def test_nothing_saved_and_nothing_common_are_not_identical(build: Build, tmp_path: Path) -> None:
    (tmp_path / "e.c").write_text("typedef int nothing;")
    run(["gcc", "-c", "e.c"], tmp_path)
    done = call("save", tmp_path / "e.o", "-o", tmp_path / "e.json")
    assert done.exit_code == 2
    assert "defines no function or variable" in done.stderr
    assert not (tmp_path / "e.json").exists()
    base = tmp_path / "base.json"
    base.write_text(elf.baseline(build("int f(void) { return 1; }", "-c")))
    done = call("compare", base, tmp_path / "e.o")
    assert done.exit_code & 5
    assert "identical" not in done.stdout.splitlines()[0]
    done = call("compare", base, build("int f(void) { return 1; }", "-shared"))
    assert done.exit_code == 2
    assert "differ in kind" in done.stderr
