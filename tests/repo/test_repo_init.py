"""``replay init`` drafts calls that are right, says why it leaves the rest out, and tries them."""

from __future__ import annotations

import json
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
from userrepo import MAKE, UserRepo, cli

from replay.repo.drafting import Drafted, drafted
from replay.repo.shapes import read_shape

BOX = """
#include <stdlib.h>
typedef struct { int n; } box;
box *boxNew(void) { return calloc(1, sizeof(box)); }
box *boxRealloc(box *b, int n) { b = realloc(b, sizeof *b + (n & 7) * 64); b->n = n; return b; }
void boxFree(box *b) { free(b); }
int boxCount(box *b) { return b->n; }
"""


def built(place: Path, source: str, *flags: str, name: str = "x.c") -> Path:
    (place / name).write_text(source)
    compiler = "g++" if name.endswith(".cc") else "gcc"
    words = [compiler, "-w", "-fPIC", "-shared", "-o", "libx.so", name, *(flags or ("-g",))]
    subprocess.run(words, cwd=place, check=True)
    return place / "libx.so"


def drafted_of(place: Path, source: str, *flags: str, name: str = "x.c") -> Drafted:
    library = built(place, source, *flags, name=name)
    return drafted(read_shape(library), str(library))


def ops(made: Drafted) -> dict[str, Any]:
    """The tables of the draft, by function."""
    data = tomllib.loads(made.text)
    return {table["function"]: table for table in (*data.get("op", []), *data.get("observe", []))}


def test_camel_case_is_read_as_words(tmp_path: Path) -> None:
    made = drafted_of(tmp_path, BOX)
    tables = ops(made)
    assert tables["boxNew"]["makes"] == "box"
    assert tables["boxFree"]["destroys"] == "box"
    assert (tables["boxRealloc"]["makes"], tables["boxRealloc"]["destroys"]) == ("box", "box")
    assert made.binding is not None
    assert [o.name for o in made.binding.observers] == ["boxCount"]
    assert not made.left_out


def test_what_a_setter_is_to_keep_is_an_integer_and_what_it_fills_is_memory(
    tmp_path: Path,
) -> None:
    more = """
void boxSetTag(box *b, void *tag) { b->n = (int)(size_t)tag; }
void boxSetOut(box *b, void *buffer) { *(int *)buffer = b->n; }
"""
    made = drafted_of(tmp_path, BOX + more)
    assert ops(made)["boxSetTag"]["args"]["tag"] == {"range": [0, 9]}
    assert ops(made)["boxSetOut"]["args"]["buffer"] == {"out": 64}


def found(tmp_path: Path, old: str, new: str, *more: object, build: str = MAKE) -> Any:
    """The report of ``replay verify`` on two versions, with the drafted binding, unedited."""
    name = "x_cc" if "g++" in build else "x_c"
    repo = UserRepo(tmp_path / "repo")
    repo.commit("old", **{name: old})
    repo.commit("new", **{name: new})
    place = tmp_path / "built"
    place.mkdir()
    binding = tmp_path / "binding.toml"
    library = built(place, old, name=name.replace("_", "."))
    assert cli("init", library, "-o", binding).returncode == 0
    done = cli(
        "verify", "--repo", repo.path, "--range", "main~1..main", "--build", build, "--library",
        "libx.so", "--binding", binding, "--traces", 50, "--json", *more,
    )  # fmt: skip
    assert done.returncode in (0, 1), done.stderr
    return json.loads(done.stdout)["commits"][-1]


def test_a_draft_of_camel_case_finds_what_a_commit_broke(tmp_path: Path) -> None:
    row = found(tmp_path, BOX, BOX.replace("b->n = n", "b->n = n > 5 ? 5 : n"))
    assert row["verdict"] == "undeclared difference"


def test_a_draft_of_camel_case_calls_nothing_dead(tmp_path: Path) -> None:
    sanitized = "gcc -fsanitize=address " + MAKE.removeprefix("cc ")
    assert found(tmp_path, BOX, BOX + "/* more */\n", build=sanitized)["verdict"] == "same"


NOTHING = """
struct part { const char *at; unsigned long size; };
typedef float v4 __attribute__((vector_size(16)));
v4 vadd(v4 a) { return a + a; }
double _Complex turn(double _Complex z) { return z; }
int run(int fd) { return fd; }
"""


def test_where_nothing_can_be_called_there_is_a_draft_all_the_same(tmp_path: Path) -> None:
    library = built(tmp_path, NOTHING)
    target = tmp_path / "b.toml"
    done = cli("init", library, "-o", target)
    assert done.returncode == 0
    assert "no function can be called by what is known" in done.stderr
    text = target.read_text()
    assert "# v4 vadd(v4 a)\n# Left out: a: a v4 (a vector of 16 bytes) is passed by value" in text
    assert "# Left out: z: a double _Complex is passed by value" in text
    assert "# int run(int fd)\n# Left out: fd is a file descriptor" in text
    assert "op" not in tomllib.loads(text)
    tried = cli("init", library, "--try")
    assert (tried.returncode, tried.stdout.splitlines()[0]) == (
        0, "nothing to try: no function can be called by what is known of it",
    )  # fmt: skip


@pytest.mark.parametrize("flags", [("-g1",), ("-s",)])
def test_prototypes_that_are_not_told_are_unknown(tmp_path: Path, flags: tuple[str]) -> None:
    made = drafted_of(tmp_path, BOX, *flags)
    assert made.binding is None
    assert set(made.left_out) == {"boxNew", "boxRealloc", "boxFree", "boxCount"}
    assert all("prototype is unknown" in why and "-g" in why for why in made.left_out.values())
    assert "void boxFree" not in made.text


def test_elf_show_calls_a_prototype_without_types_unknown(tmp_path: Path) -> None:
    library = built(tmp_path, BOX, "-g1")
    said = cli("elf", "show", "--all", library).stdout
    assert "  boxFree(?);" in said
    assert "prototype unknown, compiled without types (-g1)" in said
    assert "boxFree()" not in said


def test_a_vector_is_spelled_as_one(tmp_path: Path) -> None:
    source = "#define V __attribute__((vector_size(16)))\nV float f(V float a) { return a; }\n"
    said = cli("elf", "show", "--all", built(tmp_path, source)).stdout
    vector = "float __attribute__((vector_size(16)))"
    assert f"  {vector} f({vector} a);" in said


LENGTHS = """
#include <stddef.h>
#include <string.h>
int sum(const int *p, size_t n) { int s = 0; while (n--) s += p[n]; return s; }
int same(const void *a, const void *b, size_t n) { return memcmp(a, b, n); }
void scale(const double *in, int n, double *out) { while (n-- > 0) out[n] = 2 * in[n]; }
int pack(const unsigned char *in, int n, unsigned char *out, int *out_size)
{ if (*out_size < n) return -1; memcpy(out, in, n); *out_size = n; return 0; }
void fill(char *buf, size_t cap) { memset(buf, 'x', cap); }
"""


def test_what_is_counted_has_room_for_the_count(tmp_path: Path) -> None:
    made = drafted_of(tmp_path, LENGTHS)
    tables = {name: table["args"] for name, table in ops(made).items()}
    assert tables["sum"] in (
        {"p": {"elements": [0, 256]}, "n": {"length_of": "p"}},
        {"p": {"bytes": [64, 64]}, "n": {"range": [0, 16]}},
    )
    same = tables["same"]
    assert same["a"] == same["b"] == {"bytes": [same["n"]["range"][1]] * 2}
    assert tables["fill"] == {"buf": {"out": "cap"}, "cap": {"range": [0, 64]}}
    if "pack" in tables:
        assert tables["pack"]["out_size"] == {"start": [1, 64]}
    else:
        assert made.left_out["pack"] == "out_size tells the room there is, and must start with it"


def test_no_drafted_length_reads_past_an_end(tmp_path: Path) -> None:
    sanitized = "gcc -fsanitize=address " + MAKE.removeprefix("cc ")
    row = found(tmp_path, LENGTHS, LENGTHS.replace("2 * in", "3 * in"), build=sanitized)
    assert row["verdict"] == "undeclared difference"


def test_a_handle_may_be_a_typedef_of_characters(tmp_path: Path) -> None:
    source = """
    #include <stdlib.h>
    #include <string.h>
    typedef char *text;
    text text_new(const char *s) { return strdup(s); }
    text text_cat(text t, const char *s) { t = realloc(t, strlen(t) + strlen(s) + 1);
                                           return strcat(t, s); }
    void text_free(text t) { free(t); }
    """
    tables = ops(drafted_of(tmp_path, source))
    assert tables["text_new"]["makes"] == tables["text_free"]["destroys"] == "text"
    assert (tables["text_cat"]["makes"], tables["text_cat"]["destroys"]) == ("text", "text")
    assert tables["text_cat"]["args"]["t"] == {"handle": "text"}


def test_memory_for_an_object_is_followed_by_what_uses_it(tmp_path: Path) -> None:
    source = """
    struct hash { unsigned state; };
    void hash_init(struct hash *h) { h->state = 1; }
    void hash_add(struct hash *h, const unsigned char *data, unsigned long len)
    { while (len--) h->state = h->state * 31 + *data++; }
    """
    tables = ops(drafted_of(tmp_path, source))
    assert tables["hash_init"]["args"] == {"h": {"storage": "hash"}}
    assert tables["hash_add"]["args"]["h"] == {"handle": "hash"}


def test_what_needs_an_object_that_is_left_out_is_left_out_too(tmp_path: Path) -> None:
    source = """
    typedef struct log log;
    log *log_open(const char *path) { return 0; }
    int log_add(log *l, int level) { return level; }
    int twice(int n) { return 2 * n; }
    """
    made = drafted_of(tmp_path, source)
    assert set(ops(made)) == {"twice"}
    assert made.left_out["log_open"].startswith("path names a file")
    assert made.left_out["log_add"] == "nothing makes a log: log_open left out"


VERSIONS = """
int f_v1(int a) { return a; }
int f_v2(int a, long b) { return a + b; }
__asm__(".symver f_v1, f@V1");
__asm__(".symver f_v2, f@@V2");
int g(short x) { return x; }
int h(short) __attribute__((alias("g")));
"""


def test_a_version_of_a_symbol_is_an_export(tmp_path: Path) -> None:
    (tmp_path / "v.map").write_text("V1 { global: f; h; local: *; };\nV2 { global: f; } V1;\n")
    made = drafted_of(tmp_path, VERSIONS, "-g", "-Wl,--version-script=v.map")
    assert set(ops(made)) == {"f", "h"}
    assert "# int f(int a, long b)\n" in made.text
    assert "# int h(short x)\n" in made.text


CXX = """
#include <vector>
struct P { std::vector<int> v; };
int count(int a) { return a; }
namespace n { class V { public: std::vector<int> v; }; }
extern "C" {
n::V *v_new() { return new n::V; }
void v_free(n::V *v) { delete v; }
void v_push(n::V *v, int x) { v->v.push_back(x); }
int v_size(const n::V *v) { return v->v.size(); }
int behind(const int &a) { return 2 * a; }
int by_value(P p) { return 1; }
}
"""


def test_of_cxx_what_c_can_call_is_drafted(tmp_path: Path) -> None:
    made = drafted_of(tmp_path, CXX, name="x.cc")
    tables = ops(made)
    assert set(tables) == {"v_new", "v_free", "v_push", "v_size", "behind"}
    assert tables["v_new"]["makes"] == tables["v_free"]["destroys"] == "V"
    assert "C++ struct P" in made.left_out["by_value"]
    assert made.left_out["_Z5counti"].startswith("a C++ or Rust symbol")
    assert "with mangled names" in made.text


def test_a_commit_that_breaks_cxx_is_found_with_the_draft(tmp_path: Path) -> None:
    build = "g++ -w -g -fPIC -shared -o libx.so x.cc"
    row = found(tmp_path, CXX, CXX.replace("2 * a", "3 * a"), build=build)
    assert row["verdict"] == "undeclared difference"


def test_elf_shows_and_compares_what_is_of_cxx(tmp_path: Path) -> None:
    library = built(tmp_path, CXX, name="x.cc")
    done = cli("elf", "show", "--function", "behind", library)
    assert done.returncode == 0
    assert "  int behind(const int & a);" in done.stdout
    assert cli("elf", "compare", "--all", library, library).returncode == 0


BAD = """
#include <stdlib.h>
struct s { int *p; };
struct s *s_new(int n) { return n > 0 ? calloc(1, sizeof(struct s)) : 0; }
int s_look(struct s *s, int at) { return *(volatile int *)(long)at; }
int wait_for(int n) { for (volatile int i = 0; i != n; i += 2) { } return n; }
int put(char *buf, int n) { buf[n] = 'x'; return n; }
int fine(int n) { return n + 1; }
struct t *t_new(int n) { return 0; }
struct t { int n; };
int t_get(struct t *t, int k) { return t->n + k; }
"""


def test_try_says_of_each_function_what_came_back_and_what_to_edit(tmp_path: Path) -> None:
    library = built(tmp_path, BAD)
    done = cli("init", library, "--try", "--json", "--call-timeout", 0.1)
    assert (done.returncode, done.stderr) == (0, "")
    rows = json.loads(done.stdout)["trial"]["functions"]
    fine = rows["fine"]
    assert fine["called"] == fine["returned"] > 0
    assert fine["edit"] == ""
    assert (rows["s_look"]["crashed"], rows["s_look"]["returned"]) == (3, 0)
    assert "narrow at, as in at = { range = [0, 9] }" in rows["s_look"]["edit"]
    assert re.match(r"s_look\(s=s\d, at=", rows["s_look"]["example"])
    assert rows["wait_for"]["hung"] == 3
    assert rows["wait_for"]["edit"].startswith("narrow n")
    assert rows["put"]["edit"] == "wrote past the end of buf: give buf more room"
    assert rows["t_new"]["empty"] == rows["t_new"]["called"] > 0
    assert rows["t_new"]["edit"].startswith("it made no t, NULL each time")


def test_try_prints_a_line_for_each_function(tmp_path: Path) -> None:
    source = "int put(char *buf, int n) { buf[n] = 1; return n; }\nint one(int n) { return n; }\n"
    lines = cli("init", built(tmp_path, source), "--try").stdout.splitlines()
    assert [line.split() for line in (lines[0], *lines[-1:])] == [
        ["function", "calls", "returned", "crashed", "hung"],
        f"{lines[-1].split()[0]} of {lines[-1].split()[0]} calls returned, on 100 traces".split(),
    ]
    assert "    edit: wrote past the end of buf: give buf more room" in lines
    name, called, returned, *rest = next(line.split() for line in lines if line[:4] == "one ")
    assert (name, returned, rest) == ("one", called, ["0", "0"])


def test_try_builds_a_commit(tmp_path: Path) -> None:
    repo = UserRepo(tmp_path / "repo")
    repo.commit("one", x_c="int one(int n) { return n; }\n")
    repo.commit("two", x_c="int two(int n) { return n; }\n")
    before = repo.digest()
    words = ("init", "libx.so", "--try", "--json", "--repo", repo.path, "--build", MAKE)
    assert set(json.loads(cli(*words).stdout)["trial"]["functions"]) == {"two"}
    older = cli(*words, "--commit", "HEAD~1")
    assert set(json.loads(older.stdout)["trial"]["functions"]) == {"one"}
    assert repo.digest() == before
    bad = cli(*words[:-1], "echo no >&2; false")
    assert bad.returncode == 2
    assert "cannot be built and read: the command ended with status 1: no" in bad.stderr


GUESSED = """
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
typedef struct list { int n; void *items[4]; } list;
typedef struct iter { list *of; int at; } iter;
list *list_new(void) { return calloc(1, sizeof(list)); }
void list_free(list *l) { free(l); }
void list_put(list *l, void *item) { if (l->n < 4) l->items[l->n++] = item; }
void list_take(list *to, list *from) { if (to == from) abort(); to->n += from->n; free(from); }
iter *list_iter(list *l) { iter *i = calloc(1, sizeof *i); i->of = l; return i; }
int iter_next(iter *i) { return i->at < i->of->n ? i->at++ : -1; }
void sort(long *v, size_t n, int (*order)(const void *, const void *)) { qsort(v, n, 8, order); }
void set_memory(void *(*get)(size_t), void *(*more)(void *, size_t), void (*end)(void *)) { }
int say(const char *format, ...)
{ va_list v; va_start(v, format); int n = vsnprintf(NULL, 0, format, v); va_end(v); return n; }
int scanned(const char *format, ...) { return 0; }
int sum(int n, ...) { return n; }
int part(const short *data, size_t n, size_t want)
{ int s = 0; if (want > n) abort(); while (want--) s += data[want]; return s; }
"""


def test_what_types_tell_of_calls_is_drafted(tmp_path: Path) -> None:
    made = drafted_of(tmp_path, GUESSED)
    tables = ops(made)
    assert tables["list_iter"]["dies_with"] == "l"
    assert tables["list_put"]["args"]["item"] == {"range": [0, 9]}
    assert "# (item is taken for a number that is kept; else write item = { bytes" in made.text
    assert tables["sort"]["args"]["order"] == {"compare": 8}
    names = {name: role["function"] for name, role in tables["set_memory"]["args"].items()}
    assert names == {"get": "malloc", "more": "realloc", "end": "free"}
    assert tables["say"]["varargs"][0] == ["%d %s", "int", "string"]
    assert "dies_with" not in tables["list_new"]
    assert set(made.left_out) == {"scanned", "sum"}
    assert all("no format says how many" in why for why in made.left_out.values())


def test_try_names_the_lines_that_objects_and_lengths_want(tmp_path: Path) -> None:
    library = built(tmp_path, GUESSED)
    rows = json.loads(cli("init", library, "--try", "--json").stdout)["trial"]["functions"]
    edit = 'if it ends from, write from = { handle = "list", consumes = true }'
    assert edit in rows["list_take"]["edit"]
    assert 'write where = ["want <= n"]' in rows["part"]["edit"]
    assert rows["say"]["returned"] == rows["say"]["called"] > 0


WIDE = """
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
struct point { int x, y; };
struct span { const char *at; unsigned long size; };
typedef struct ctx ctx;
struct ctx { int n; int (*cb)(void *, int); void *user; };
typedef char *text;
struct point add(struct point a, struct point b) { a.x += b.x; a.y += b.y; return a; }
int split(const char *s, struct span *out, unsigned long *count)
{ out[0].at = s; out[0].size = 1; *count = 1; return 1; }
int logf_(const char *fmt, ...) { return (int)strlen(fmt); }
int parse(FILE *f) { return f != 0; }
void each(ctx *c, int (*cb)(void *, int), void *user)
{ c->cb = cb; c->user = user; for (int i = 0; i < c->n; i++) cb(user, i); }
ctx *ctx_open(void) { return calloc(1, sizeof(ctx)); }
int ctx_add(ctx *c, const char **names, int count) { return c->n += count; }
int ctx_get(ctx *c, int key, void **value) { *value = c; return key; }
text text_new(const char *s) { return strdup(s); }
text text_cat(text t, const char *s)
{ t = realloc(t, strlen(t) + strlen(s) + 1); return strcat(t, s); }
void text_free(text t) { free(t); }
double mean(const double *v, int n)
{ double s = 0; for (int i = 0; i < n; i++) s += v[i]; return n ? s / n : 0; }
int pack(const unsigned char *in, int n, unsigned char *out, int *out_size)
{ if (*out_size < n) return -1; memcpy(out, in, n); *out_size = n; return 0; }
void set_alloc(void *(*m)(size_t), void (*f)(void *)) { (void)m; (void)f; }
"""


def test_of_a_library_of_many_shapes_all_but_a_stream_is_drafted_and_runs(tmp_path: Path) -> None:
    made = drafted_of(tmp_path, WIDE)
    assert set(made.left_out) == {"parse"}
    assert "f is a stream of the C library" in made.left_out["parse"]
    args = {name: table.get("args") for name, table in ops(made).items()}
    assert args["split"] == {
        "s": {"string": [0, 1024]}, "out": {"out": "count"}, "count": {"start": [1, 64]},
    }  # fmt: skip
    assert args["ctx_add"]["names"] == {"strings": [0, 3]}
    assert args["ctx_add"]["count"] == {"length_of": "names"}
    assert args["each"]["cb"] == {"callback": {"returns": [0, 1]}}
    assert args["each"]["user"] == {"user_of": "cb"}
    done = cli("init", tmp_path / "libx.so", "--try", "--json")
    rows = json.loads(done.stdout)["trial"]["functions"]
    assert all(row["called"] == row["returned"] > 0 for row in rows.values())
