"""Arrays, structs, sizes behind pointers, and pointers: called as the callee takes them."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_repo_driver import ALL, agree, compiled, interface, target, told, worked
from userrepo import MAKE, UserRepo, cli

from replay.repo import structs
from replay.repo.bindingfile import parse_binding
from replay.repo.calls import Call, CallTrace
from replay.repo.drafting import draft
from replay.repo.errors import BindingError
from replay.repo.language import CallLanguage
from replay.repo.pairing import Pair
from replay.repo.parted import shown
from replay.repo.resolving import resolve
from replay.repo.runner import Run
from replay.repo.shapes import read_shape

SHAPES = """
#include <stdlib.h>
#include <string.h>
#ifndef FAULT
#define FAULT 0
#endif
#define FAULTY(n, right, wrong) (FAULT == (n) ? (wrong) : (right))
struct point { int x, y; };
struct mixed { float a; double b; short c[3]; char name[6]; _Bool on; };
struct large { struct point p[5]; unsigned long sum; };
struct bits { unsigned low : 3; int mid : 7; unsigned long high : 40; };
union coin { int cents; float euros; };
struct span { const char *at; unsigned long size; };
enum mode { READ = 1, WRITE = 2, APPEND = 4 };
struct ctx { int n; char text[20]; };
typedef char *text;

int sum(const int *p, size_t n)
{
    int s = 0;
    while (n--)
        s += p[n] * (int)(n + FAULTY(1, 1, n == 3 ? 2 : 1));
    return s;
}
double mean(const double *v, int n)
{
    double s = 0;
    for (int i = FAULTY(2, 0, n > 2); i < n; i++)
        s += v[i];
    return n ? s / n : 0;
}
void twice(short *v, int n)
{
    for (int i = 0; i < n; i++)
        v[i] = v[i] * 2 + FAULTY(3, 0, v[i] == 3);
}
int cross(const struct point *p, int n)
{
    int s = 0;
    for (int i = 0; i < n; i++)
        s += p[i].x * FAULTY(4, p[i].y, p[i].x);
    return s;
}
struct point add(struct point a, struct point b)
{
    a.x += b.x;
    a.y += FAULTY(5, b.y, b.y + (b.y == 1));
    return a;
}
struct mixed scale(struct mixed m, float by)
{
    m.a *= by;
    m.b *= by;
    m.c[1] += FAULTY(6, 1, 1 + m.on);
    return m;
}
struct large fill(struct large l, int v)
{
    for (int i = 0; i < 5; i++)
        l.p[i].x += v;
    l.sum = v + FAULTY(7, 0, l.p[4].y == 2);
    return l;
}
struct bits turn(struct bits b)
{
    b.mid = -b.mid;
    b.high = FAULTY(8, b.high, b.high + (b.low == 5));
    return b;
}
int cents(union coin c) { return c.cents ^ FAULTY(9, 1, 3); }
void move(struct point *p, int by) { p->x += FAULTY(10, by, by + (p->y == 0)); }
int norm(const struct point *p) { return p->x * p->x + FAULTY(11, p->y * p->y, p->y); }
int squares(int *out, int cap)
{
    for (int i = 0; i < cap; i++)
        out[i] = i * FAULTY(12, i, i + (i == 7));
    return cap;
}
int pack(const unsigned char *in, int n, unsigned char *out, int *out_size)
{
    if (*out_size < n)
        return -1;
    memcpy(out, in, n);
    *out_size = FAULTY(13, n, n + (n == 4));
    return 0;
}
struct ctx *ctx_open(int n)
{
    struct ctx *c = calloc(1, sizeof *c);
    c->n = n;
    return c;
}
void ctx_close(struct ctx *c) { free(c); }
int ctx_get(struct ctx *c, int key, void **value)
{
    *value = key == 1 ? (void *)c : key == 2 ? (void *)(c->text + FAULTY(14, 3, 4)) : NULL;
    return key;
}
int ctx_add(struct ctx *c, const char **names, int count)
{
    for (int i = 0; i < count; i++)
        c->n += (int)strlen(names[i]) * FAULTY(15, 1, i + 1);
    return c->n;
}
char *skip(char *s)
{
    while (*s == 'a')
        s++;
    return s + FAULTY(16, 0, *s == 'b');
}
int allows(enum mode m) { return FAULTY(17, m & 6, m == 6 ? 0 : m & 6); }
text text_new(const char *s) { return strdup(s); }
text text_cat(text t, const char *s)
{
    t = realloc(t, strlen(t) + strlen(s) + 1);
    return strcat(t, s);
}
int text_hash(text t) { return (int)strlen(t) * FAULTY(18, 7, *t == 'b' ? 8 : 7); }
void text_free(text t) { free(t); }
int carried(void *user) { return (int)(size_t)user * FAULTY(19, 3, 2); }
void split(const char *s, struct span *out, unsigned long *count)
{
    out[0].at = FAULTY(20, s, NULL);
    out[0].size = strlen(s);
    *count = 1;
}
"""
FAULTS = 20


def drafted(library: Path) -> str:
    """The draft, with what a prototype cannot tell: ``user`` is a number, ``s`` a short text."""
    text = draft(read_shape(library), library.name)
    text = re.sub(
        r"# Left out: user is .*\n(# .*\n)*",
        '[[op]]\nfunction = "carried"\n[op.args]\nuser = { range = [0, 9] }\n', text,
    )  # fmt: skip
    return re.sub(r"\bs = \{ \w+ = .* \}", 's = { string = [0, 5], alphabet = "ab" }', text)


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compiled(tmp_path_factory.mktemp("shapes"), SHAPES)


@pytest.fixture(scope="module")
def traces(library: Path) -> list[CallTrace]:
    language = CallLanguage(interface(drafted(library), library))
    return [language.draw(1, number) for number in range(120)]


@pytest.fixture(scope="module")
def right(library: Path, traces: list[CallTrace]) -> list[Run]:
    return worked(target(drafted(library), library), traces)


def test_every_function_is_drafted_and_all_its_calls_return(
    library: Path, traces: list[CallTrace], right: list[Run]
) -> None:
    text = drafted(library)
    assert "# Left out" not in text
    called = {call.op for trace in traces for call in trace}
    assert called == set(interface(text, library).ops)
    assert {run.end for run in right} == {"ok"}
    assert not any(b"past its end" in record for run in right for record in run.records)


@pytest.mark.parametrize("fault", range(1, FAULTS + 1))
def test_a_fault_in_any_shape_shows_in_records_and_digests(
    fault: int, library: Path, traces: list[CallTrace], right: list[Run], tmp_path: Path
) -> None:
    text = drafted(library)
    faulty = compiled(tmp_path, SHAPES, "x", f"-DFAULT={fault}")
    pair = Pair(target(text, library), target(text, faulty), ALL)
    differing, needed = agree(pair, traces[:40], right[:40])
    if not differing:
        differing, needed = agree(pair, traces, right)
    assert 0 < differing <= needed < len(traces)


def one(library: Path, op: str, *values: int | str, makes: int = 0) -> dict[str, object]:
    """The record of one call."""
    (run,) = worked(target(drafted(library), library), [(Call(op, values, makes),)])
    record = run.record(0)
    assert record is not None
    return record


def hexed(*numbers: int, size: int = 4) -> str:
    return b"".join(n.to_bytes(size, "little", signed=True) for n in numbers).hex()


def test_lengths_count_elements(library: Path) -> None:
    assert one(library, "sum", hexed(5, 6))["ret"] == 5 + 2 * 6
    assert one(library, "sum", "")["ret"] == 0
    assert one(library, "cross", hexed(1, 2, 3, 4))["ret"] == 14
    assert one(library, "twice", hexed(1, -3, size=2))["out"] == {"v": [2, -6]}


def test_structs_are_passed_and_shown_by_field(library: Path) -> None:
    assert one(library, "add", hexed(1, 2), hexed(3, 4))["ret"] == {"x": 4, "y": 6}
    assert one(library, "move", hexed(1, 2), 5)["out"] == {"p": {"x": 6, "y": 2}}
    assert one(library, "norm", hexed(3, 4))["ret"] == 25
    given = hexed(*range(10)) + hexed(0, size=8)
    ret = one(library, "fill", given, 7)["ret"]
    assert isinstance(ret, dict)
    assert (ret["p[4].x"], ret["p[4].y"], ret["sum"]) == (15, 9, 7)
    ret = one(library, "turn", (5 | (3 & 127) << 3 | 1 << 30).to_bytes(8, "little").hex())["ret"]
    assert isinstance(ret, dict)
    assert (ret["low"], ret["mid"]) == (5, -3)


def test_a_size_behind_a_pointer_starts_as_the_room_and_is_seen_after(library: Path) -> None:
    assert one(library, "pack", "010203", 8) == {
        "ret": 0, "out": {"out": "010203" + 5 * "a5", "out_size": 3},
    }  # fmt: skip
    assert one(library, "pack", "010203", 2)["out"] == {"out": "untouched", "out_size": 2}
    assert one(library, "squares", 3)["out"] == {"out": [0, 1, 4]}


def test_a_pointer_is_shown_by_what_it_points_to(library: Path) -> None:
    calls = (Call("ctx_open", (1,), 1), *(Call("ctx_get", (1, key)) for key in (0, 1, 2)))
    (run,) = worked(target(drafted(library), library), [calls])
    seen = [json.loads(record)["out"]["value"] for record in run.records[1:]]
    assert seen == ["NULL", "ctx1", "ctx1+7"]
    assert one(library, "skip", "aab")["ret"] == "s+2"


def test_strings_of_an_array_are_counted(library: Path) -> None:
    calls = (Call("ctx_open", (1,), 1), Call("ctx_add", (1, "ab\n\nc\n")), Call("ctx_add", (1, "")))
    (run,) = worked(target(drafted(library), library), [calls])
    assert [json.loads(record)["ret"] for record in run.records[1:]] == [4, 4]


def test_calls_are_shown_as_a_person_writes_them(library: Path) -> None:
    known = interface(drafted(library), library)
    added = Call("add", (hexed(1, 2), hexed(3, -4)))
    assert added.text(known) == "add(a={x=1, y=2}, b={x=3, y=-4})"
    assert Call("sum", (hexed(1, 2),)).text(known) == "sum(p=[1, 2])"
    param = known.ops["mean"].given[0]
    assert shown(param, "000000000000f83f") == "[1.5]"
    assert Call("ctx_add", (1, "a\n\n")).text(known) == 'ctx_add(c=ctx1, names=["a", ""])'


# --- structs of any kind -----------------------------------------------------------------

PLAIN = ("char", "unsigned char", "short", "int", "unsigned", "long", "float", "double", "_Bool")


@st.composite
def members(draw: st.DrawFn, depth: int = 0) -> str:
    """The members of a struct."""
    found = []
    for number in range(draw(st.integers(1, 5))):
        kinds = ["plain", "plain", "array", "bits", "pointer"] + ["struct", "union"] * (depth < 2)
        kind = draw(st.sampled_from(kinds))
        name, plain = f"m{depth}{number}", draw(st.sampled_from(PLAIN))
        if kind == "plain":
            found.append(f"{plain} {name};")
        elif kind == "array":
            found.append(f"{plain} {name}[{draw(st.integers(1, 4))}];")
        elif kind == "bits":
            found.append(f"{draw(st.sampled_from(('int', 'unsigned')))} {name} : "
                         f"{draw(st.integers(1, 32))};")  # fmt: skip
        elif kind == "pointer":
            found.append(f"void *{name};")
        else:
            found.append(f"{kind} {{ {draw(members(depth + 1))} }} {name};")
    return " ".join(found)


def check_passing(folder: Path, bodies: Sequence[str]) -> None:
    """Each struct comes back as it was given, from either of two places, in both ways."""
    parts, ops = [], []
    for number, body in enumerate(bodies):
        s = f"struct s{number}"
        parts.append(f"{s} {{ {body} }};\n{s} pick{number}({s} a, double d, int i, {s} b) "
                     "{ return WRONG d > 0 && i ? a : b; }\n")  # fmt: skip
        ops.append(f'[[op]]\nfunction = "pick{number}"\n[op.args]\na = {{ fields = {{}} }}\n'
                   "d = { choices = [0.0, 2.5] }\ni = { choices = [1, 1, 0] }\n"
                   "b = { fields = {} }\n")  # fmt: skip
    text = 'format = "replay-binding/1"\n' + "".join(ops)
    before = compiled(folder, "#define WRONG\n" + "".join(parts), "a")
    after = compiled(folder, "#define WRONG !\n" + "".join(parts), "b")
    known = interface(text, before)
    language = CallLanguage(known)
    traces = [language.draw(1, number) for number in range(12)]
    runs = worked(target(text, before), traces)
    for trace, run in zip(traces, runs, strict=True):
        assert run.end == "ok"
        for index, call in enumerate(trace):
            a, d, i, b = call.values
            layout = known.ops[call.op].given[0].layout
            assert layout is not None
            wanted = structs.element(bytes.fromhex(a if d and i else b), layout.to_json())
            record = run.record(index)
            assert record is not None
            assert json.dumps(record["ret"]) == json.dumps(wanted), bodies
    agree(Pair(target(text, before), target(text, after), ALL), traces, runs)


@settings(
    max_examples=4,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(bodies=st.lists(members(), min_size=6, max_size=12))
def test_structs_of_any_members_are_passed_as_the_compiler_passes_them(
    bodies: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    check_passing(tmp_path_factory.mktemp("any"), bodies)


def test_structs_at_the_border_of_registers_are_passed(tmp_path: Path) -> None:
    check_passing(tmp_path, [
        "char a[16];", "char a[17];", "float a, b;", "float a; int b;", "float a[3];",
        "double a; float b;", "double a; char b;", "double a[2];", "double a[3];", "int a[5];",
        "struct { int a; char b; } x; char c;", "union { float f; int i; } u; float g;",
        "union { double d[2]; long l; } u;", "char a; float b[3];", "short a[7];",
        "void *p; int n;", "long a[40];",
    ])  # fmt: skip


# --- what is refused, and bad bindings ---------------------------------------------------


def test_complex_and_vector_types_are_refused_by_name(tmp_path: Path) -> None:
    library = compiled(tmp_path, """
        typedef float v4 __attribute__((vector_size(16)));
        struct odd { v4 v; };
        v4 vadd(v4 a) { return a + a; }
        double conj_(double _Complex z) { return __real__ z; }
        float _Complex small(float _Complex z) { return z; }
        int use(struct odd o) { return (int)o.v[0]; }
        int fine(int a) { return a; }
    """)  # fmt: skip
    text = draft(read_shape(library), library.name)
    assert "# Left out: a: a v4 (a vector of 16 bytes) is passed by value" in text
    assert "# Left out: z: a double _Complex is passed by value" in text
    assert "# Left out: z: a float _Complex is passed by value" in text
    assert set(interface(text, library).ops) == {"fine"}


@pytest.mark.parametrize(
    ("op", "arg", "said"),
    [
        ("sum", "p = { elements = [3, 1] }", "the range is empty"),
        ("add", "a = { fields = { z = { range = [0, 1] } } }", "no field 'z'"),
        ("add", "a = { fields = { x = { string = [0, 1] } } }", "a field is given range"),
        ("add", "a = { elements = [0, 2] }", "it is one struct point"),
        ("allows", "m = { elements = [0, 2] }", "has no elements"),
        ("allows", "m = { flags = [0] }", "integer from 1"),
        ("pack", "out_size = { start = 3 }", "two integers"),
        ("allows", "m = { start = [0, 3] }", "start is for a pointer"),
        ("ctx_get", "value = { pointer = false }", "pointer = true"),
        ("ctx_add", "names = { pointer = true }\ncount = { range = [0, 1] }", ""),
        ("sum", "p = { pointer = true }", "T **"),
        ("text_new", "s = { string = { template = \"{nothing}\" } }", "no rule {nothing}"),
        ("text_new", "s = { string = { from = [] } }", "write strings"),
        ("text_new", "s = { template = \"{\" }", "a single {"),
        ("text_new", "s = { string = { grammar = { a = [\"x{a}\"] } } }", "never ends"),
    ],
)  # fmt: skip
def test_a_binding_that_cannot_be_says_which_parameter(
    op: str, arg: str, said: str, library: Path
) -> None:
    text = f'format = "replay-binding/1"\n[[op]]\nfunction = "{op}"\n[op.args]\n{arg}\n'
    text += 'c = { handle = "ctx" }\n' * op.startswith("ctx_")
    text += '[[op]]\nfunction = "ctx_open"\n'
    if not said:
        interface(text, library)
        return
    with pytest.raises(BindingError) as caught:
        resolve(parse_binding(text, "a test"), [read_shape(library)], lambda *_: False)
    assert said in str(caught.value)
    assert f"op[1].args.{arg.split(maxsplit=1)[0]}" in str(caught.value)


def test_fields_keep_to_what_the_binding_says(library: Path) -> None:
    text = """format = "replay-binding/1"
[[op]]
function = "scale"
[op.args]
m = { fields = { a = { range = [0.0, 1.0] }, c = { range = [3, 5] }, on = { value = 1 } } }
"""
    known = interface(text, library)
    language = CallLanguage(known)
    param = known.ops["scale"].given[0]
    assert param.layout is not None
    for number in range(0, 250, 10):
        for call in language.draw(1, number):
            seen = structs.element(bytes.fromhex(str(call.values[0])), param.layout.to_json())
            assert 0.0 <= float(seen["a"]) <= 1.0 and set(seen["c"]) <= {3, 4, 5} and seen["on"]
    bad = Call("scale", (bytes(param.unit).hex(), "1.0"))
    assert language.normal((bad,)) is None


# --- strings -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("role", "good", "bad"),
    [
        ('string = { from = ["get", "put"] }', "put", "pu"),
        ('template = "{word}-{digits}"', "ab-12", "ab-"),
        ('string = { grammar = { e = ["{n}", "({e}+{e})"], n = ["{digit}"] } }', "(1+(2+3))",
         "(1+2"),
        ('string = { grammar = { e = ["{e}a", "b"] } }', "baa", "aab"),
    ],
)  # fmt: skip
def test_strings_of_a_list_a_template_or_a_grammar(
    role: str, good: str, bad: str, library: Path
) -> None:
    text = f"""format = "replay-binding/1"
[[op]]
function = "text_new"
makes = "text"
args = {{ s = {{ {role} }} }}
"""
    language = CallLanguage(interface(text, library))
    for number in range(0, 200, 20):
        trace = language.draw(1, number)
        assert language.normal(trace) is not None
    assert language.normal((Call("text_new", (good,), 1),)) is not None
    assert language.normal((Call("text_new", (bad,), 1),)) is None


# --- through the command line ------------------------------------------------------------

OLD = "struct v { int x, y; };\nint dot(struct v a) { return a.x * a.x + a.y; }\n"


def test_a_struct_by_value_is_found_without_a_binding(tmp_path: Path) -> None:
    repo = UserRepo(tmp_path / "repo")
    repo.commit("old", x_c=OLD)
    repo.commit("new", x_c=OLD.replace("+ a.y", "+ a.y * a.y"))
    done = cli("verify", "--repo", repo.path, "--range", "HEAD~1..HEAD", "--build", MAKE,
               "--library", "libx.so", "--save", tmp_path / "out", "--traces", 60)  # fmt: skip
    assert done.returncode == 1, done.stdout
    assert "> dot(a={x=0, y=2})" in done.stdout
    assert "before 2, after 4" in done.stdout
    saved = next(Path(os.fspath(tmp_path / "out")).glob("*.jsonl"))
    assert hexed(0, 2) in saved.read_text()


def test_the_driver_runs_all_of_these(library: Path, traces: list[CallTrace]) -> None:
    assert None not in told(target(drafted(library), library), traces)
