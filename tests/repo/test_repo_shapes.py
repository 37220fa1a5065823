"""Each shape of function that a binding can say, broken by a commit, is found with the draft."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from shapecases import LIBRARIES, Edit, Shape
from test_repo_driver import compiled, interface
from userrepo import MAKE, UserRepo, cli

from replay.repo.drafting import draft
from replay.repo.shapes import read_shape

MOST_EDITS = 3
CASES = [(name, shape) for name, (_, shapes) in LIBRARIES.items() for shape in shapes]


def source(library: str, broken: int = 0) -> str:
    """The library with the first so many of its shapes broken."""
    head, shapes = LIBRARIES[library]
    return "\n".join(
        [head, *(s.broken if n < broken else s.source for n, s in enumerate(shapes)), ""]
    )


def edited(text: str, edits: tuple[Edit, ...]) -> str:
    """A draft with some of its lines written anew."""
    lines = text.splitlines()
    for function, key, line in edits:
        head = f'function = "{function}"' if function else 'format = "replay-binding/1"'
        start = lines.index(head)
        if not key:
            start += lines[start + 1] in [edit.line for edit in edits]
            lines.insert(start + 1, line)
            continue
        at = next(n for n in range(start, len(lines)) if re.match(rf"(#   )?{key}\b", lines[n]))
        lines[at] = line
    return "\n".join([*lines, ""])


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What ``verify`` says of each commit, by its subject."""
    found: dict[str, Any] = {}
    for name, (_, shapes) in LIBRARIES.items():
        folder = tmp_path_factory.mktemp(name)
        text = draft(read_shape(compiled(folder, source(name))), "libx.so")
        (folder / "b.toml").write_text(edited(text, tuple(e for s in shapes for e in s.edits)))
        repo = UserRepo(folder / "repo")
        repo.commit("base", x_c=source(name))
        for number, shape in enumerate(shapes, 1):
            repo.commit(shape.name, x_c=source(name, number))
        done = cli(
            "verify", "--repo", repo.path, "--range", f"main~{len(shapes)}..main", "--build", MAKE,
            "--library", "libx.so", "--binding", folder / "b.toml", "--traces", 60,
            "--save", folder / "saved", "--json",
        )  # fmt: skip
        assert done.returncode == 1, done.stdout + done.stderr
        found |= {row["subject"]: row for row in json.loads(done.stdout)["commits"][1:]}
    return found


@pytest.mark.parametrize("shape", [shape for _, shape in CASES], ids=lambda s: s.name)
def test_a_commit_that_breaks_a_shape_is_found(shape: Shape, rows: dict[str, Any]) -> None:
    row = rows[shape.name]
    assert row["verdict"] == "undeclared difference"
    text = "; ".join(row["example"]["text"])
    for what, before, after in row["example"]["differs"]:
        text += f"; {what}: before {before}, after {after}"
    assert not [part for part in shape.shown if part not in text], text


@pytest.mark.parametrize("shape", [shape for _, shape in CASES], ids=lambda s: s.name)
def test_few_lines_of_the_draft_are_edited(shape: Shape) -> None:
    assert len(shape.edits) <= MOST_EDITS


@pytest.mark.parametrize("library", ["values", "callbacks", "failing"])
def test_the_draft_runs_unedited(library: str, tmp_path: Path) -> None:
    done = cli("init", compiled(tmp_path, source(library)), "--try", "--json")
    rows = json.loads(done.stdout)["trial"]["functions"]
    wanted = {name for s in LIBRARIES[library][1] for name in re.findall(r"(\w+)\(", s.source)}
    assert len(wanted & set(rows)) >= len(LIBRARIES[library][1])
    assert all(row["called"] == row["returned"] > 0 for row in rows.values())


REFUSED = """
typedef float v4 __attribute__((vector_size(16)));
v4 vadd(v4 a) { return a + a; }
double turned(double _Complex z) { return __real__ z; }
int fine(int n) { return n; }
"""


def test_a_commit_that_breaks_what_is_refused_is_not_decided_and_says_why(tmp_path: Path) -> None:
    repo = UserRepo(tmp_path / "repo")
    repo.commit("base", x_c=REFUSED)
    repo.commit("bad", x_c=REFUSED.replace("__real__", "__imag__").replace("a + a", "a * a"))
    done = cli("verify", "--repo", repo.path, "--range", "main~1..main", "--build", MAKE,
               "--library", "libx.so", "--traces", 20)  # fmt: skip
    assert done.returncode == 4, done.stdout
    said = " ".join(done.stdout.split())
    assert "changed and never called: turned, vadd" in said
    assert "vadd (a: a v4 (a vector of 16 bytes) is passed by value" in said
    assert "turned (z: a double _Complex is passed by value" in said


README = Path(__file__).parents[2] / "README.md"
OF_THE_README = """
#include <stdlib.h>
struct point { int x, y; };
typedef struct ctx { int n; } ctx;
typedef struct list { int n; } list;
typedef struct iter { int n; } iter;
ctx *ctx_new(void) { return calloc(1, sizeof(ctx)); }
list *list_new(void) { return calloc(1, sizeof(list)); }
double mean(const double *v, int n) { return n ? v[0] : 0; }
struct point add(struct point a, struct point b) { return a.x ? a : b; }
int pack(const unsigned char *in, int n, unsigned char *out, int *out_size) { return n; }
int get(ctx *c, void **value) { *value = c; return 1; }
void say(const char *format, ...) { }
int each(list *l, int (*cb)(void *, int), void *user) { return cb(user, l->n); }
void sort(int *v, size_t n, int (*order)(const void *, const void *)) { qsort(v, n, 4, order); }
void merge(list *to, list *from) { to->n += from->n; free(from); }
iter *walk(list *l) { return malloc(sizeof(iter)); }
int open_slot(void) { return 3; }
int part(const short *data, size_t n, size_t want) { return want ? data[want - 1] : 0; }
"""


def test_the_bindings_of_the_readme_fit_the_prototypes_beside_them(tmp_path: Path) -> None:
    text = README.read_text(encoding="utf-8").partition("## Your own series")[2]
    blocks = [b for b in re.findall(r"```toml\n(.*?)```", text, re.S) if "# struct point add" in b
              or "fail_malloc" in b]  # fmt: skip
    library = compiled(tmp_path, OF_THE_README)
    prototypes = [f.prototype for f in read_shape(library).functions.values()]
    assert len(blocks) == 2
    for block in blocks:
        makes = "".join(f'[[op]]\nfunction = "{n}_new"\nmakes = "{n}"\n' for n in ("ctx", "list"))
        known = interface(f'format = "replay-binding/1"\n{block}{makes}', library)
        told = re.findall(r"^\[\[op\]\] +# (.*?)\(", block, re.M)
        assert all(any(p.startswith(f"{head}(") for p in prototypes) for head in told)
        called = {op.draft.functions[0] for op in known.ops.values()} - {"fail_malloc"}
        assert len(called) == len(told) + 2
