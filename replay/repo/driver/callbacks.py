"""The callbacks of an interface in C: what ``replay.repo.calledback`` does, with equal meaning.

A generated callback is a function for each of its slots; what it was called with goes into
the digest when it is called.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from replay.repo.calledback import MOST_STRING, SEEDS, SLOTS, STOPS, USER
from replay.repo.driver.pieces import TYPES, Refused, key

ROLES: Final = ("callback", "compare", "user")
_TOP: Final = f"""\
enum {{ SEEDS = {SEEDS}, STOPS = {STOPS}, SLOTS = {SLOTS}, USER = {USER} }};
struct slot {{ uint64_t seed, stop, count; int64_t low, high, stops; }};
static struct trace nobody, *current = &nobody;

static int64_t slot_returns(struct slot *s)
{{
    uint64_t word;

    s->count++;
    if (s->stop && s->count == s->stop)
        return s->stops;
    if (!s->seed)
        return s->low;
    word = s->seed * 0x9E3779B97F4A7C15u + s->count * 0xBF58476D1CE4E5B9u;
    word = (word ^ word >> 30) * 0x94D049BB133111EBu;
    word ^= word >> 31;
    if (s->high - s->low != -1)
        word %= (uint64_t)s->high - (uint64_t)s->low + 1;
    return (int64_t)((uint64_t)s->low + word);
}}
"""
_POINTER: Final = """\
static void mix_pointer(const void *p, const void *own)
{
    if (!p)
        mix(current, 1);
    else if (p == own)
        mix(current, 2);
    else if ((char *)p >= (char *)users && (char *)p < (char *)users + sizeof users &&
             !(((char *)p - (char *)users) % USER))
        mix(current, 3);
    else {
        for (uint32_t n = 0; n < current->numbers; n++)
            if (current->kinds[n] && current->handles[n] == (uint64_t)(uintptr_t)p) {
                mix(current, 5 + n);
                return;
            }
        mix(current, 4);
    }
}

static void mix_text(const char *text, uint64_t most)
{
    mix(current, text ? 2 : 1);
    if (text)
        mix_bytes(current, text, strnlen(text, most));
}
"""
_NUMBER: Final = """\
static int compare_{0}(const void *one, const void *other)
{{
    int{1}_t x, y;

    if (!one || !other)
        return !!one - !!other;
    memcpy(&x, one, {0});
    memcpy(&y, other, {0});
    return (x > y) - (x < y);
}}
"""
_BYTES: Final = """\
static int compare_{0}(const void *one, const void *other)
{{
    int is;

    if (!one || !other)
        return !!one - !!other;
    is = memcmp(one, other, {0});
    return (is > 0) - (is < 0);
}}
"""


@dataclass(slots=True)
class Callbacks:
    """Those of an interface: each generated one has a number, by what it is."""

    numbers: dict[str, int] = field(default_factory=dict)
    known: list[Mapping[str, Any]] = field(default_factory=list)
    sizes: set[int] = field(default_factory=set)

    def passed(self, arg: Mapping[str, Any]) -> str:
        """What is passed for a parameter with one of the roles here."""
        if "callback" not in arg:
            raise Refused(f"the driver does not know the role {arg['role']} of {arg['name']}")
        how, at = arg["callback"], arg["value"]
        if arg["role"] == "compare":
            self.sizes.add(how["compare"])
            return f"(void *)compare_{how['compare']}"
        number = self.numbers.setdefault(how["key"], len(self.numbers))
        if number == len(self.known):
            self.known.append(how)
        stopping = int(how["stops"] is not None)
        if arg["role"] == "user":
            return f"(void *)users[{number}][v{at}{' / STOPS' * stopping} % SLOTS]"
        return f"(void *)given_{number}(v{at}{' / STOPS' * stopping}, {self._stop(at, stopping)})"

    @staticmethod
    def _stop(at: int, stopping: int) -> str:
        return f"v{at} % STOPS" if stopping else "0"

    def lines(self) -> Iterator[str]:
        """What stands before the operations."""
        for size in sorted(self.sizes):
            yield (_NUMBER if size in (1, 2, 4, 8) else _BYTES).format(size, 8 * size)
        if not self.known:
            return
        count = len(self.known)
        yield _TOP
        yield f"static struct slot slots[{count}][SLOTS];"
        yield f"static unsigned char users[{count}][SLOTS][USER] __attribute__((aligned(64)));"
        yield _POINTER
        for number, how in enumerate(self.known):
            yield from _generated(number, how)

    def starts(self) -> list[str]:
        """What comes before each call."""
        return ["current = t;"] * bool(self.known)

    def begins(self) -> list[str]:
        """What comes before the first call of a trace."""
        return ["set(slots, 0, sizeof slots);", "set(users, 0, sizeof users);"] * bool(self.known)

    def ends(self) -> list[str]:
        """What comes behind the last."""
        return ["current = &nobody;"] * bool(self.known)


def _generated(number: int, how: Mapping[str, Any]) -> Iterator[str]:
    result, *codes = how["signature"]
    types = [TYPES.get("p" if code == "s" else code) for code in codes]
    returned = TYPES.get(result)
    if returned is None or None in types:
        raise Refused(f"the callback {how['name']} has a type that the driver does not know")
    params = ", ".join(f"{kind} a{n}" for n, kind in enumerate(types))
    given = ", ".join(f"a{n}" for n in range(len(types)))
    yield f"static int64_t called_{number}(int slot{', ' * bool(params)}{params})"
    yield "{"
    yield f"    struct slot *s = &slots[{number}][slot];"
    yield "    int64_t r;"
    yield f"    mix(current, {key('callback', how['key'])});"
    for n, code in enumerate(codes):
        yield f"    {_mixed(number, n, code, codes[n + 1 : n + 2])}"
    yield "    r = slot_returns(s);"
    if result not in ("v", "p"):
        yield "    mix(current, (uint64_t)r);"
    yield from ("    return r;", "}")
    names = []
    for slot in range(SLOTS):
        name = f"callback_{number}_{slot}"
        call = f"called_{number}({slot}{', ' * bool(given)}{given})"
        back = {"v": f"{call};", "p": f"{call}; return NULL;"}.get(
            result, f"return ({returned}){call};"
        )
        yield f"static {returned} {name}({params or 'void'}) {{ {back} }}"
        names.append(f"(void *){name}")
    yield f"static void *given_{number}(uint64_t seed, uint64_t stop)"
    yield "{"
    yield f"    static void *const all[SLOTS] = {{{', '.join(names)}}};"
    stops = how["stops"] or 0
    yield (
        f"    slots[{number}][seed % SLOTS] = (struct slot){{seed, stop, 0, "
        f"{_word(how['low'])}, {_word(how['high'])}, {_word(stops)}}};"
    )
    yield from ("    return all[seed % SLOTS];", "}", "")


def _mixed(number: int, n: int, code: str, following: list[str]) -> str:
    """The statement that puts an argument into the digest."""
    if code == "s":
        most = f"a{n + 1} < {MOST_STRING} ? a{n + 1} : {MOST_STRING}"
        return f"mix_text(a{n}, {most if following == ['u8'] else MOST_STRING});"
    if code == "p":
        return f"mix_pointer(a{n}, users[{number}][slot]);"
    if code in ("f4", "f8"):
        return f"mix_double(current, (double)a{n});"
    return f"mix(current, (uint64_t)(int64_t)a{n});"


def _word(value: int) -> str:
    return f"(int64_t)0x{value & 0xFFFFFFFFFFFFFFFF:x}u"
