"""A history of 20 commits, made to be judged: what each changes, and what is to be said of it.

A small library of accounts. Some commits change comments, names, the order of functions or
nothing but a document; others change a constant far out, a global, what is printed, what no
call reaches, or crash now and then.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from userrepo import UserRepo

BUILD = "cc -O1 -g -w -fPIC -shared -o libacct.so acct.c"

START = r"""
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int acct_errors;                 /* how often something was refused */

struct acct { long sum; unsigned puts; };

struct acct *acct_new(void) { return calloc(1, sizeof(struct acct)); }
void acct_free(struct acct *a) { free(a); }

static long clip(long v) { return v > 1000000 ? 1000000 : v; }

long acct_put(struct acct *a, int v) {
    if (v == 0) { acct_errors++; return -1; }
    a->sum = clip(a->sum + v);
    a->puts++;
    return a->sum;
}

long acct_sum(const struct acct *a) { return a->sum; }

unsigned acct_puts(const struct acct *a) { return a->puts; }

int acct_fee(int amount) { return amount > 90000 ? amount / 100 : amount / 50; }

double acct_rate(double years) { return years >= 12.5 ? 0.03 : 0.02; }

int acct_kind(const char *name) {
    if (strcmp(name, "savings") == 0) return 2;
    return strlen(name) > 3 ? 1 : 0;
}

void acct_print(int v) { printf("<%d>\n", v); }

int acct_check(int code) { return code ^ (code >> 3); }

typedef int coin __attribute__((vector_size(16)));
int acct_coin(coin c) { return c[0] & 7; }     /* no way to call it is known */
"""


class Change(NamedTuple):
    """A commit: what it replaces, by what, and what is to be said of it."""

    subject: str
    old: str
    new: str
    verdict: str
    because: str = ""


CHANGES = (
    Change("a document", "", "", "same"),
    Change("a comment says more", "/* how often something was refused */",
           "/* how often a call was refused, since the start */", "same"),
    Change("a comment of two lines", "static long clip(", "/* Never more than a million.\n"
           "   Less is left alone. */\nstatic long clip(", "same"),
    Change("a static function has another name", "clip(", "bounded(", "same"),
    Change("the same in other words", "return v > 1000000 ? 1000000 : v;",
           "if (v > 1000000)\n        return 1000000;\n    return v;", "same"),
    Change("a fee from another amount on", "amount > 90000", "amount > 90001",
           "undeclared difference", "acct_fee"),
    Change("the fee as it was", "amount > 90001", "amount > 90000",
           "undeclared difference", "acct_fee"),
    Change("a rate from another year on", "years >= 12.5", "years > 12.5",
           "undeclared difference", "acct_rate"),
    Change("another kind for savings", "return 2;", "return 3;",
           "undeclared difference", "acct_kind"),
    Change("refusals count twice", "acct_errors++;", "acct_errors += 2;",
           "undeclared difference", "acct_errors"),
    Change("brackets are square", 'printf("<%d>\\n", v)', 'printf("[%d]\\n", v)',
           "undeclared difference", "stdout"),
    Change("a coin of four bits", "c[0] & 7", "c[0] & 15", "not decided", "acct_coin"),
    Change("a coin in other words", "return c[0] & 15;", "return 15 & c[0];", "same"),
    Change("puts are counted first", "a->sum = bounded(a->sum + v);\n    a->puts++;",
           "a->puts++;\n    a->sum = bounded(a->sum + v);", "same"),
    Change("now and then it crashes", "int acct_check(int code) {",
           "int acct_check(int code) {\n    void *p = malloc(1 << 20);\n"
           "    int bad = ((uintptr_t)p >> 13) & 1;\n    free(p);\n    if (bad) abort();\n   ",
           "crash", "acct_check"),
    Change("another document", "", "", "same"),
    Change("and no more", "    void *p = malloc(1 << 20);\n"
           "    int bad = ((uintptr_t)p >> 13) & 1;\n    free(p);\n    if (bad) abort();\n   ",
           "", "undeclared difference", "acct_check"),
    Change("a check of another shift", "code >> 3", "code >> 4",
           "undeclared difference", "acct_check"),
    Change("a sum of another bound", "1000000 ? ", "1000000 ? ", "same"),
    Change("a comment at the end", "/* no way to call it is known */",
           "/* it cannot be called by a draft */", "same"),
)  # fmt: skip


def twenty(path: Path) -> UserRepo:
    """The history as a repository: a start and 20 commits on branch ``main``."""
    repo = UserRepo(path)
    text = START
    repo.commit("the start", acct_c=text)
    for number, change in enumerate(CHANGES):
        if change.old and change.old != change.new:
            assert change.old in text, change.subject
            text = text.replace(change.old, change.new)
        (path / "NOTES").write_text(f"{number}\n" if not change.old else "")
        repo.commit(change.subject, acct_c=text)
    return repo
