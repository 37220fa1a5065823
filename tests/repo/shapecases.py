"""Shapes of functions that real libraries have, each with a commit that breaks it.

One library has many shapes: each commit of its range breaks one more. A shape is found with
the drafted binding, in which the user edits three lines at the most.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class Edit(NamedTuple):
    """A line of a draft that a user writes anew, or adds.

    ``key`` is that of a parameter of ``function``, or "" for a line behind its name. Without a
    function the lines stand under ``format``.
    """

    function: str
    key: str
    line: str


@dataclass(frozen=True, slots=True)
class Shape:
    """A shape: its C source, what a commit makes of it, and what ``verify`` must say.

    Attributes:
        name: the shape; the subject of the commit that breaks it.
        source: of a function or more.
        right, wrong: the part of it that the commit changes, and into what.
        shown: parts of the text of the difference.
        edits: of the draft.

    """

    name: str
    source: str
    right: str
    wrong: str
    shown: tuple[str, ...]
    edits: tuple[Edit, ...] = ()

    @property
    def broken(self) -> str:
        assert self.source.count(self.right) == 1, self.name
        return self.source.replace(self.right, self.wrong)


VALUES = """
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
struct point { int x, y; };
struct bits { unsigned low : 3; int mid : 7; unsigned high : 20; };
enum mode { READ = 1, WRITE = 2, APPEND = 4 };
typedef char *text;
struct ctx { int n; };
struct ctx *ctx_new(void) { return calloc(1, sizeof(struct ctx)); }
void ctx_free(struct ctx *c) { free(c); }
text text_new(const char *s) { return strdup(s); }
void text_free(text t) { free(t); }
"""
OF_VALUES = (
    Shape(
        "a struct by value",
        "int dot(struct point a, struct point b) { return a.x * b.x + a.y * b.y; }",
        "+ a.y", "- a.y", ("dot(a={x=", "returns: before"),
    ),
    Shape(
        "a struct as result",
        "struct point turn(struct point p, int by)\n"
        "{ struct point q = {p.y + by, p.x}; return q; }",
        "p.x}", "-p.x}", ("turn(p={x=", "y="),
    ),
    Shape(
        "an array whose length counts elements",
        "long total(const int *v, size_t n)\n{ long s = 0; while (n--) s += v[n]; return s; }",
        "while (n--)", "while (n-- > 1)", ("total(v=[", "returns: before"),
    ),
    Shape(
        "an array that is changed",
        "void scale(double *v, int n, double by)\n{ for (int i = 0; i < n; i++) v[i] *= by; }",
        "*=", "+=", ("scale(v=[", "v: before ["),
    ),
    Shape(
        "an array of structs",
        "int area(const struct point *p, int n)\n"
        "{ int s = 0; for (int i = 0; i < n; i++) s += p[i].x * p[i].y; return s; }",
        "p[i].y", "p[0].y", ("area(p=[{x=", "}, {x="),
    ),
    Shape(
        "an array that is filled, with its capacity",
        "size_t squares(int *out, size_t cap)\n"
        "{ for (size_t i = 0; i < cap; i++) out[i] = (int)(i * i); return cap; }",
        "(i * i)", "(i * i + (i == 3))", ("squares(cap=4)", "[0, 1, 4, 9]", "[0, 1, 4, 10]"),
    ),
    Shape(
        "a size that starts as the room",
        "int pack(const unsigned char *in, size_t n, unsigned char *out, size_t *out_size)\n"
        "{ if (*out_size < n) return -1; memcpy(out, in, n); *out_size = n; return 0; }",
        "*out_size < n", "*out_size <= n", ("pack(in=", "out_size="),
    ),
    Shape(
        "a pointer to a pointer, put into what is given",
        "long number(const char *s, char **end)\n"
        "{ long v = 0; while (*s >= '0' && *s <= '9') v = v * 10 + *s++ - '0';\n"
        "  *end = (char *)s; return v; }",
        "(char *)s;", "(char *)s + !!*s;", ("number(s=", "end: before s+0, after s+1"),
    ),
    Shape(
        "a pointer to void *, put to an object",
        "int ctx_get(struct ctx *c, int key, void **value)\n"
        "{ *value = key > 3 ? (void *)c : NULL; return key; }",
        "key > 3", "key > 4", ("ctx_get(c=ctx1, key=4", "value: before ctx1, after NULL"),
    ),
    Shape(
        "a pointer that is returned",
        "char *strip(char *s) { while (*s == ' ') s++; return s; }",
        "return s;", "return s + !!*s;", ("strip(s=", "returns: before s+0, after s+1"),
    ),
    Shape(
        "a typedef of char * that is an object",
        "int text_hash(text t) { int h = 7; while (*t) h = h * 31 + *t++; return h; }",
        "h * 31", "h * 33", ("text_hash(t=text1)",),
    ),
    Shape(
        "an array of strings",
        "int join(const char **names, int count)\n"
        "{ int n = 0; for (int i = 0; i < count; i++) n += (int)strlen(names[i]); return n; }",
        "strlen(names[i])", "strlen(names[i]) * (i + 1)", ('join(names=["',),
    ),
    Shape(
        "one of a list of strings",
        'int command(const char *name)\n'
        '{ return !strcmp(name, "get") ? 1 : !strcmp(name, "delete") ? 2 : 0; }',
        "? 2", "? 3", ('command(name="delete")', "before 2, after 3"),
        (Edit("command", "name", 'name = { string = { from = ["get", "put", "delete"] } }'),),
    ),
    Shape(
        "a string of a template",
        "int version(const char *s)\n"
        '{ int a, b; return sscanf(s, "v%d.%d", &a, &b) == 2 ? (a & 7) * 100 + (b & 7) : -1; }',
        "* 100", "* 1000", ('version(s="v', "before"),
        (Edit("version", "s", 's = { template = "v{digits}.{digit}" }'),),
    ),
    Shape(
        "a string of a grammar",
        "int nested(const char *s)\n"
        "{ int d = 0, most = 0; for (; *s; s++) {\n"
        "  d += *s == '(' ? 1 : *s == ')' ? -1 : 0; if (d < 0) return -1;\n"
        "  if (d > most) most = d; }\n  return d ? -1 : most; }",
        "d ? -1 : most;", "d ? -1 : most > 2 ? 2 : most;", ('nested(s="(((', "after 2"),
        (Edit("nested", "s", 's = { string = { grammar = { e = ["x", "({e})", "{e}{e}"] } } }'),),
    ),
    Shape(
        "a variadic function of a format",
        "int say(char *out, size_t cap, const char *format, ...)\n"
        "{ va_list more; va_start(more, format); int n = vsnprintf(out, cap, format, more);\n"
        "  va_end(more); return n; }",
        "return n;", "return n > 4 ? 4 : n;", ('say', 'format="%', "returns: before"),
    ),
    Shape(
        "bit-fields",
        "struct bits mix(struct bits b) { b.mid = -b.mid; b.high += b.low; return b; }",
        "+= b.low", "+= b.low & 3", ("mix(b={low=", "before {"),
    ),
    Shape(
        "an enum of flags",
        "int allows(enum mode m) { return m == (READ | APPEND) ? 9 : m & WRITE; }",
        "? 9", "? 8", ("allows(m=5)", "before 9, after 8"),
    ),
)  # fmt: skip

OBJECTS = """
#include <stdlib.h>
#include <string.h>
typedef struct node { int key; struct node *next; } node;
typedef struct map { node *first; void *kept[8]; } map;
map *map_new(void) { return calloc(1, sizeof(map)); }
void map_free(map *m)
{
    for (node *n = m->first, *next; n; n = next) { next = n->next; free(n); }
    memset(m, 0x5a, sizeof *m);
    free(m);
}
void map_add(map *m, int key)
{ node *n = malloc(sizeof *n); n->key = key; n->next = m->first; m->first = n; }
"""
OF_CALLBACKS = (
    Shape(
        "a callback, what it is called with",
        "int map_each(map *m, void (*visit)(void *user, int key, int place), void *user)\n"
        "{ int n = 0; for (node *p = m->first; p; p = p->next) visit(user, p->key, n++);\n"
        "  return n; }",
        "n++)", "n++ & 1)", ("map_each(m=map1, visit=", "visit(user, "),
    ),
    Shape(
        "a callback, what it returns",
        "int map_find(map *m, int (*wanted)(void *user, int key), void *user)\n"
        "{ int n = 0; for (node *p = m->first; p; p = p->next, n++)\n"
        "    if (wanted(user, p->key)) return n;\n  return -1; }",
        "return n;", "return n + 1;", ("map_find(m=map1, wanted=", "before 0, after 1"),
    ),
    Shape(
        "a callback that stops its caller",
        "int map_walk(map *m, int (*step)(void *user, int key), void *user)\n"
        "{ for (node *p = m->first; p; p = p->next)\n"
        "    if (step(user, p->key) == 7) return p->key;\n  return 0; }",
        "== 7", "> 7", ("map_walk(m=map1, step=", "returns: before"),
        (Edit("map_walk", "step", "step = { callback = { returns = [0, 1], stop = 7 } }"),),
    ),
    Shape(
        "a function that orders",
        "void sort(int *v, size_t n, int (*order)(const void *, const void *))\n"
        "{ qsort(v, n, sizeof *v, order); }",
        "(v, n,", "(v, n - (n > 2),", ("sort(v=[", "v: before ["),
    ),
    Shape(
        "an exported function as the value",
        "int half(int n) { return n / 2; }\n"
        "int apply(int (*f)(int), int n) { return f(n) < 3 ? f(n) : 3; }",
        ": 3;", ": 4;", ("apply(n=6)", "before 3, after 4"),
        (
            Edit("apply", "f", 'f = { function = "half" }'),
            Edit("apply", "n", "n = { range = [0, 9] }"),
        ),
    ),
)  # fmt: skip
OF_OBJECTS = (
    Shape(
        "an integer that is carried in a void *",
        "void map_put(map *m, unsigned place, void *value) { m->kept[place % 8] = value; }\n"
        "void *map_get(const map *m, unsigned place) { return m->kept[place % 8]; }",
        "= value", "= (void *)((size_t)value & 3)", ("map_put(m=map1, ", "map_get(m=map1, "),
        (Edit("map_get", "", 'returns = "int"'),),
    ),
    Shape(
        "a pointer to a pointer, put to what is found",
        "int map_lookup(map *m, int key, node **found)\n"
        "{ for (*found = m->first; *found; *found = (*found)->next)\n"
        "    if ((*found)->key == key) return 1;\n  return 0; }",
        "return 1;", "{ if (!*found || !(*found)->next) *found = NULL; return 1; }",
        ("map_lookup(m=map1, key=", "found: before not NULL, after NULL"),
    ),
    Shape(
        "one of two objects is consumed",
        "void map_merge(map *to, map *from)\n"
        "{ while (from->first) { node *n = from->first; from->first = n->next;\n"
        "    n->next = to->first; to->first = n; }\n"
        "  memset(from, 0x5a, sizeof *from); free(from); }\n"
        "int map_count(const map *m)\n"
        "{ int n = 0; for (node *p = m->first; p; p = p->next) n++; return n; }",
        "from->first = n->next;", "from->first = n->next ? n->next->next : NULL;",
        ("map_merge(to=map", "from=map", ": before 2, after 1"),
        (Edit("map_merge", "from", 'from = { handle = "map", consumes = true }'),),
    ),
    Shape(
        "a borrowed object",
        "node *map_first(map *m) { return m->first; }\n"
        "int node_key(const node *n) { return n->key; }",
        "m->first;", "m->first && m->first->next ? m->first->next : m->first;",
        ("node2 = map_first(m=map1)", "node_key(node2): before"),
    ),
    Shape(
        "an iterator that dies with what it walks",
        "typedef struct iter { map *of; node *at; } iter;\n"
        "iter *map_iter(map *m)\n"
        "{ iter *i = malloc(sizeof *i); i->of = m; i->at = m->first; return i; }\n"
        "int iter_next(iter *i)\n{ int key = i->at && i->of->first ? i->at->key : -1;\n"
        "  if (i->at) i->at = i->at->next; return key; }\n"
        "void iter_free(iter *i) { free(i); }",
        "i->at = i->at->next;", "i->at = NULL;", ("iter2 = map_iter(m=map1)", "iter_next(i=iter2)"),
    ),
    Shape(
        "an output that a later call takes",
        "static int used[4];\n"
        "static int *of(int slot)\n"
        "{ int at = (slot - 5) / 37; if (at * 37 + 5 != slot || !used[at]) abort();\n"
        "  return used + at; }\n"
        "int slot_open(void)\n"
        "{ for (int i = 0; i < 4; i++) if (!used[i]) { used[i] = 1; return i * 37 + 5; }\n"
        "  return -1; }\n"
        "int slot_step(int slot) { return ++*of(slot); }\n"
        "void slot_close(int slot) { *of(slot) = 0; }",
        "return ++*of(slot);", "return *of(slot) += 2;",
        ("slot1 = slot_open()", "slot_step(slot=slot1)", "before 2, after 3"),
        (
            Edit("slot_open", "", 'gives = "slot"'),
            Edit("slot_step", "slot", 'slot = { handle = "slot" }'),
            Edit("slot_close", "slot", 'slot = { handle = "slot", consumes = true }'),
        ),
    ),
    Shape(
        "a relation between parameters",
        "int part(const short *data, size_t n, size_t want)\n"
        "{ int s = 0; if (want > n) abort(); while (want--) s += data[want]; return s; }",
        "while (want--)", "while (want-- > 1)", ("part(data=[", "want=1)"),
        (
            Edit("part", "", 'where = ["want <= n"]'),
            Edit("part", "want", "want = { range = [0, 16] }"),
        ),
    ),
)  # fmt: skip

FAILING = "#include <stdlib.h>\n"
OF_FAILING = (
    Shape(
        "an allocation that fails",
        "int pair(int n)\n{ int *a = malloc(4), *b = malloc(4); int r = n & 63;\n"
        "  if (!a) r = -1; else if (!b) r = -2;\n  free(a); free(b); return r; }",
        "r = -2", "r = -3", ("fail_malloc(nth=2); pair(n=", "before -2, after -3"),
        (Edit("", "", "[library]"), Edit("", "", "fail_malloc = true")),
    ),
)  # fmt: skip

LIBRARIES = {
    "values": (VALUES, OF_VALUES),
    "callbacks": (OBJECTS, OF_CALLBACKS),
    "objects": (OBJECTS, OF_OBJECTS),
    "failing": (FAILING, OF_FAILING),
}
