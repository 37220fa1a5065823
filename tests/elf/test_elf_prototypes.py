from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from replay.elf import normalise_prototype, parse_prototype
from replay.elf.ctype import Array, CType, Function, Named, Parameter, Pointer, canonical, spell
from replay.errors import ReplayError, UsageError

SAME = [
    ("bool f(ram_addr_t a, unsigned client)", "_Bool  f ( ram_addr_t a,unsigned int client ) ;"),
    (
        "unsigned long *f(unsigned long *old, long n)",
        "long unsigned int* f(unsigned long int *old, long int n)",
    ),
    ("void f(void)", "static inline void f(void)"),
    ("int f(int *a)", "signed f(int a[4])"),
    ("int f(int *a)", "int f(int a[static const 4])"),
    ("int f(int (*a)[3])", "int f(int a[2][3])"),
    ("int f(int (*cb)(void *, int))", "int f(int cb(void *opaque, int nr))"),
    (
        "int f(const char *s, ...)",
        "extern int f(char const *s, ...) __attribute__((format(printf, 1, 2)));",
    ),
    ("unsigned short f(unsigned char c)", "short unsigned int f(char unsigned c)"),
    ("unsigned long long f(long long x)", "long long unsigned f(signed long int long x)"),
    ("int f(const volatile int *p)", "int f(volatile int const *p)"),
    ("int f(char *restrict p)", "int f(char *__restrict p)"),
    ("struct a *f(union b u, enum c e)", "struct  a*f(union b u,enum c e)"),
    ("int f(int a)", "const int f(int a)"),
    ("int f(int a)", "int (f)(int a) /* comment */ // more"),
    (
        "void (*f(int sig, void (*func)(int)))(int)",
        "void (*f(int sig, void (*func)(int n)))(int n)",
    ),
    ("long double f(double _Complex z)", "double long f(_Complex double z)"),
]

DIFFERENT = [
    ("int f(int a)", "int f(int b)"),
    ("int f(void)", "int f()"),
    ("int f(int dirty_flag)", "int f(unsigned dirty_flag)"),
    ("int f(char *p)", "int f(const char *p)"),
    ("int f(char *p)", "int f(char *const p)"),
    ("int f(int a, ...)", "int f(int a)"),
    ("int f(char c)", "int f(signed char c)"),
    ("int f(int a[2][3])", "int f(int a[2][4])"),
    ("int f(struct a *p)", "int f(union a *p)"),
    ("void f(ram_addr_t start, ram_addr_t end)", "void f(ram_addr_t start, ram_addr_t length)"),
    ("int f(int)", "int g(int)"),
]

WRONG = [
    "",
    ";",
    "int",
    "int x",
    "int x;",
    "f(int)",
    "int f(int",
    "int f(int))",
    "int f(,)",
    "int f(int,)",
    "int f(...)",
    "int f(void, int)",
    "int f(int a b)",
    "int f(void) {",
    "long char f(void)",
    "unsigned signed f(void)",
    "int f[3]",
    "struct f(void)",
    "int f(int) int",
    "int (*f)(void)",
    "int f(int a[)",
    "__attribute__((",
    "unsigned float f(void)",
    "int 3(void)",
    "typedef int f(void)",
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_prototypes_that_mean_the_same_are_spelt_the_same(one: str, other: str) -> None:
    assert normalise_prototype(other) == one
    assert normalise_prototype(one) == one


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_prototypes_that_differ_stay_different(one: str, other: str) -> None:
    assert normalise_prototype(one) != normalise_prototype(other)


def test_types_only_drops_what_callers_do_not_see() -> None:
    text = "int f(const int n, char *restrict p, const char *q, int (*cb)(int x), unsigned a[2])"
    shown = "int f(int, char *, const char *, int (*)(int), unsigned *)"
    assert normalise_prototype(text, types_only=True) == shown


@pytest.mark.parametrize("text", WRONG)
def test_what_is_no_prototype_is_refused_with_the_place(text: str) -> None:
    with pytest.raises(UsageError, match="prototype"):
        parse_prototype(text)


@pytest.mark.parametrize(
    "text",
    ["int f(int " + "(" * 500, "int " + "*" * 500 + "f(void)", "int f(int a" + "[1]" * 500 + ")"],
)
def test_endless_declarators_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="more than 64"):
        parse_prototype(text)


def test_many_parameters_are_no_depth() -> None:
    text = "int f(" + ", ".join(f"int *a{n}" for n in range(300)) + ")"
    assert normalise_prototype(text) == text


NAMES = st.sampled_from(["a", "client", "start", "x1", "_y"])
NAMED = st.builds(
    Named,
    st.sampled_from(["int", "unsigned", "bool", "unsigned long", "ram_addr_t", "struct s", "char"]),
    st.frozensets(st.sampled_from(["const", "volatile"])),
)


def types(inner: st.SearchStrategy[CType]) -> st.SearchStrategy[CType]:
    pointers = st.builds(Pointer, inner, st.frozensets(st.sampled_from(["const", "restrict"])))
    arrays = st.builds(Array, inner.filter(lambda t: not isinstance(t, Function)), st.just("3"))
    parameters = st.lists(st.builds(Parameter, inner), max_size=3).map(tuple)
    results = inner.filter(lambda t: not isinstance(t, Function | Array))
    return pointers | arrays | st.builds(Function, results, parameters)


TYPES = st.recursive(NAMED, types, max_leaves=6)
FUNCTIONS = st.builds(
    Function,
    TYPES.filter(lambda t: not isinstance(t, Function | Array)),
    st.lists(st.builds(Parameter, TYPES, NAMES), max_size=4).map(tuple),
)


@settings(max_examples=300, deadline=None, derandomize=True, database=None)
@given(FUNCTIONS)
def test_what_is_spelt_is_read_back(function: Function) -> None:
    text = spell(canonical(function), "f")
    assert normalise_prototype(text) == text
    assert parse_prototype(spell(function, "f")).text == text


WORDS = st.sampled_from(
    [
        "int",
        "unsigned",
        "long",
        "char",
        "void",
        "bool",
        "const",
        "struct",
        "f",
        "a",
        "(",
        ")",
        "[",
        "]",
        "*",
        ",",
        "...",
        ";",
        "3",
        "static",
        "{",
        "=",
        "é",
    ]
)


@settings(max_examples=500, deadline=None, derandomize=True, database=None)
@given(st.lists(WORDS, max_size=20).map(" ".join) | st.text(max_size=40))
def test_any_text_is_a_prototype_or_one_error(text: str) -> None:
    try:
        again = normalise_prototype(text)
    except ReplayError:
        return
    assert normalise_prototype(again) == again
