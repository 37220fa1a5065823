"""A bound interface → C: a function an operation, a function an observer, and tables.

Each does what ``replay.repo.worker`` does for the same roles, in the same order. What is
named in a record (observers, buffers, exported data) goes into the digest as a number made
of its name, so that digests of two libraries with different names differ.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from replay.repo.driver import callbacks, parts
from replay.repo.driver.parts import Layouts
from replay.repo.driver.pieces import (
    Refused,
    cast,
    key,
    literal,
    result,
    size,
    switch,
    taken,
)

WIDTHS: Final = {"c": 1, "x": 1, "p": 8}
"""Bytes of an element of a leaf; of the other codes, their last digit."""
KNOWN: Final = frozenset((
    "ops", "observers", "destroy", "setup", "teardown", "reset", "errno", "data", "behind",
    "library",
))  # fmt: skip
NUMBERS: Final = ("int", "choice", "each", "float")
SPANS: Final = ("bytes", "inout", "string")
PLAIN: Final = ("value", "null", "length", "out", "makes", "storage")
"""Roles of which a trace holds nothing."""
MOST_KINDS: Final = 250


@dataclass(frozen=True, slots=True)
class Layout:
    """How the calls of an operation lie in an encoded trace.

    Attributes:
        number: of the operation.
        values: a letter for each value of a call: ``i`` integer, ``d`` float, ``h`` object,
            ``b`` bytes, ``s`` string, ``-`` for one that is not passed.
        makes: whether the number of what it makes follows.

    """

    number: int
    values: str
    makes: bool


@dataclass(frozen=True, slots=True)
class Plan:
    """What is generated: the two headers, and the layouts of operations by name."""

    plan: str
    calls: str
    layouts: Mapping[str, Layout]


def generate(head: Mapping[str, Any]) -> Plan:
    """The C of an interface, as the worker is told it.

    Raises:
        Refused: it asks for something that the driver does not know.

    """
    unknown = sorted(set(head) - KNOWN)
    if unknown:
        raise Refused(f"the driver does not know how to observe {', '.join(unknown)}")
    return _Generator(head).plan()


@dataclass(slots=True)
class _Generator:
    head: Mapping[str, Any]
    functions: list[str] = field(default_factory=list)
    structs: Layouts = field(default_factory=Layouts)
    kinds: dict[str, int] = field(default_factory=dict)
    callbacks: callbacks.Callbacks = field(default_factory=callbacks.Callbacks)

    def plan(self) -> Plan:
        ops, observers = self.head["ops"], self.head["observers"]
        for data in ops:
            for kind in (data["makes"], *(arg["kind"] for arg in data["args"])):
                self.kinds.setdefault(kind, len(self.kinds) + 1)
        if len(self.kinds) > MOST_KINDS:
            raise Refused(f"more than {MOST_KINDS} kinds of objects")
        layouts = {d["name"]: layout(number, d) for number, d in enumerate(ops)}
        body = [line for n, d in enumerate(ops) for line in self.op(n, d, layouts[d["name"]])]
        body += switch("static const unsigned char *run_op(struct trace *t, int op, "
                        "const unsigned char *in)", "op", "return op_{}(t, in);",
                        len(ops), "return in;")  # fmt: skip
        body += [line for n, d in enumerate(observers) for line in self.observer(n, d)]
        body += switch("static void look_at(struct trace *t, struct look *l)", "l->observer",
                        "look_{}(t, l); return;", len(observers), "(void)t;")  # fmt: skip
        body += ["static void plan_looks(struct trace *t)", "{", "    (void)t;"]
        body += [f"    plan_{number}(t);" for number in range(len(observers))] + ["}", ""]
        for when in ("setup", "teardown", "reset"):
            body += self.simple(when)
        body += self.tables(layouts)
        names = ", ".join(f'"{name}"' for name in self.functions) or "NULL"
        owns = any(data.get("own") for data in ops)
        top = [f"static void *f[{len(self.functions) + 1}];", *self.structs.declared()]
        top += self.callbacks.lines()
        top += ['#include "allocations.c"', ""] if owns else [""]
        end = [
            "static int find_functions(void)", "{",
            f"    static const char *const names[] = {{{names}}};", "",
            f"    for (int i = 0; i < {len(self.functions)}; i++)",
            "        if (!(f[i] = function(names[i])))",             "            return 0;",
            *(["    allocations_watch(library);"] if owns else []), "    return 1;", "}",
        ]  # fmt: skip
        return Plan(self.numbers(), "\n".join([*top, *body, *end, ""]), layouts)

    def numbers(self) -> str:
        head = self.head
        observers = head["observers"]
        values = max([len(o["values"]) for o in observers], default=0)
        buffers = max([len(o["args"]) for o in observers], default=0)
        return (
            f"enum {{ OPS = {len(head['ops'])}, DESTROYERS = {len(self.destroyers())}, "
            f"OBJECTS = {len(head.get('data', []))}, BEHINDS = {len(head.get('behind', {}))},\n"
            f"    MOST_LOOK_VALUES = {values + 1}, MOST_LOOK_BUFFERS = {buffers + 1}, "
            f"SEES_ERRNO = {int(bool(head.get('errno')))}, "
            f"TIED = {int(any('dies_with' in data for data in head['ops']))} }};\n"
        )

    def place(self, name: str) -> str:
        """A function, by where its address will be."""
        self.functions.append(name)
        return f"f[{len(self.functions) - 1}]"

    def op(self, number: int, data: Mapping[str, Any], known: Layout) -> Iterator[str]:
        yield f"/* {data['function']} */"
        yield f"static const unsigned char *op_{number}(struct trace *t, const unsigned char *in)"
        yield "{"
        for index, letter in enumerate(known.values):
            yield from taken(index, letter)
        if known.makes:
            yield "    uint32_t makes = take32(&in);"
        dead = [f"!lives(t, v{a['value']})" for a in data["args"] if a["role"] == "handle"]
        if dead:
            yield f"    if ({' || '.join(dead)}) {{ skipped(t); return in; }}"
        strings = [i for i, v in enumerate(data["values"]) if v["role"] == "string"]
        given = [self.argument(n, arg, strings) for n, arg in enumerate(data["args"])]
        yield from (f"    {line}" for lines, _ in given for line in lines)
        yield from (f"    {line}" for line in self.callbacks.starts())
        yield f"    began(t, {number});"
        yield f"    {self.called(data, [value for _, value in given])}"
        yield f"    came_back(t, {number});"
        yield from (f"    {line}" for line in self.returned(data))
        yield from (f"    {line}" for line in self.after(data))
        yield from ("    return in;", "}", "")

    def returned(self, data: Mapping[str, Any]) -> Iterator[str]:
        """How what an operation returned is observed."""
        returns = data["returns"]
        yield from (*result(returns), *self.structs.result(returns))
        if returns["as"] == "place":
            yield from parts.placed(data, "r", returns["of"], self.kinds)

    def after(self, data: Mapping[str, Any]) -> Iterator[str]:
        """What happens to objects and buffers when a call is back."""
        if data["makes"]:
            kind, pointer = self.kinds[data["makes"]], data["returns"]["type"] == "p"
            if data["returns"]["type"] != "v":
                test = "if (r) " if pointer else "if ((int64_t)r >= 0) "
                value = "(uint64_t)(uintptr_t)r" if pointer else "(uint64_t)r"
                yield f"{test}enter(t, makes, {kind}, {value});"
        for n, arg in enumerate(data["args"]):
            if arg["role"] == "makes":
                kind = self.kinds[arg["kind"]]
                yield f"mix(t, {key('made')} + (*a{n} != NULL));"
                yield f"if (*a{n}) enter(t, makes, {kind}, (uint64_t)(uintptr_t)*a{n});"
            elif arg["role"] == "storage":
                kind = self.kinds[arg["kind"]]
                yield f"enter(t, makes, {kind}, (uint64_t)(uintptr_t)a{n});"
        for n, arg in enumerate(data["args"]):
            if arg["role"] in ("out", "inout", "start"):
                yield f"mix(t, {key(arg['role'], arg['name'], arg['number'])});"
                yield from self.structs.observed(arg, f"a{n}", size(arg, "v{}"))
            elif arg["role"] == "pointer":
                yield f"mix(t, {key('pointer', arg['name'])});"
                yield from parts.placed(data, f"*a{n}", "", self.kinds)
            if "gives" in arg:
                yield f"given_number(t, a{n}, makes, {self.kinds[arg['kind']]}, " + (
                    f"{arg['constant']}, {int(arg['number'] == 'signed')});"
                )
        yield from self.dying(data)

    def dying(self, data: Mapping[str, Any]) -> Iterator[str]:
        """Which objects are dead behind a call, and with which a new one dies."""
        for place in data["given"] if "ends" in data else ():
            yield f"leave_behind(t, v{place}, {self.kinds.get(data['ends'], 255)});"
        for place in data["consumes"]:
            yield f"leave(t, v{place});"
        if "dies_with" in data:
            yield f"tie(t, makes, v{data['dies_with']});"

    def called(self, data: Mapping[str, Any], given: Sequence[str]) -> str:
        """The call, as a statement."""
        returned = self.structs.type_of(data["returns"])
        types = [self.structs.type_of(arg) for arg in data["args"]]
        if returned is None or None in types:
            raise Refused(f"{data['name']}: a type that the driver does not know")
        # What a library returns as a truth value need not be one.
        returned = "uint8_t" if returned == "_Bool" else returned
        place = data["function"] if data.get("own") else self.place(data["function"])
        if data["fixed"]:
            types = [*types[: data["fixed"]], "..."]
        words = ", ".join(str(one) for one in types) or "void"
        call = f"(({returned} (*)({words})){place})({', '.join(given)});"
        return call if returned == "void" else f"{returned} r = {call}"

    def argument(
        self, n: int, arg: Mapping[str, Any], strings: Sequence[int]
    ) -> tuple[list[str], str]:
        """What comes before the call for a parameter, and what is passed."""
        role, kind, at = arg["role"], arg["type"], arg["value"]
        other = parts.passed(n, arg)
        if other is not None:
            struct = str(self.structs.type_of(arg))
            return [line.format(struct) for line in other[0]], other[1]
        made = {
            **dict.fromkeys(SPANS, f"buffer(t, v{at}.data, v{at}.size, v{at}.size)"),
            **dict.fromkeys(("out", "storage"), f"filled(t, {size(arg, 'v{}')})"),
        }.get(role)
        if made is not None:
            return [f"unsigned char *a{n} = {made};"], f"a{n}"
        if role == "makes":
            return [f"void **a{n} = room(t, 8);", f"*a{n} = NULL;"], f"a{n}"
        if role in callbacks.ROLES:
            return [], self.callbacks.passed(arg)
        if role == "function":
            return [], self.place(arg["callback"]["function"])
        return [], self.passed(arg, kind, f"v{at}", at in strings)

    def passed(self, arg: Mapping[str, Any], kind: str, value: str, is_string: bool) -> str:
        """What is passed for a parameter that needs no room."""
        role = arg["role"]
        if role in NUMBERS:
            return cast(kind, value)
        if role == "handle":
            return cast(kind, f"t->handles[{value}]")
        counted = parts.length(arg, value)
        if role == "length" and arg["value"] is not None and counted is not None:
            return cast(kind, counted)
        if role == "length" and arg["value"] is not None:
            return cast(kind, f"{value}.size{' - 1' if is_string else ''}")
        if role in ("value", "length"):
            return cast(kind, literal(arg["constant"], kind))
        if role == "null" and kind == "p":
            return "NULL"
        raise Refused(f"the driver does not know the role {role} of {arg['name']}")

    def observer(self, number: int, data: Mapping[str, Any]) -> Iterator[str]:
        """How its looks are planned, and how one is taken."""
        values, args = data["values"], data["args"]
        roles = {"handle", *NUMBERS}
        if any(v["role"] not in roles for v in values) or any(
            a["role"] not in {*roles, *PLAIN} or (a["role"] == "length" and a["value"] is not None)
            for a in args
        ):
            raise Refused(f"the observer {data['name']} takes what the driver cannot give it")
        yield from self.planned(number, data)
        yield f"static void look_{number}(struct trace *t, struct look *l)"
        yield "{"
        given = []
        for n, arg in enumerate(args):
            if arg["role"] in ("out", "storage", "makes"):
                given.append(f"(void *)l->buffers[{n}]")
            else:
                given.append(self.passed(arg, arg["type"], f"l->values[{arg['value']}]", False))
        outs = [(n, f"l->buffers[{n}]", a) for n, a in enumerate(args) if a["role"] == "out"]
        sizes = {n: size(arg, "l->values[{}]") for n, _, arg in outs}
        yield from (f"    fill({buffer}, {sizes[n]});" for n, buffer, _ in outs)
        yield f"    {self.called(data, given)}"
        yield "    mix(t, l->label);"
        yield from (f"    {line}" for line in result(data["returns"]))
        yield from (f"    {line}" for line in self.structs.result(data["returns"]))
        if outs:
            clean = " && ".join(f"untouched({buffer}, {sizes[n]})" for n, buffer, _ in outs)
            yield f"    if ({clean}) return;"
        for n, buffer, arg in outs:
            yield f"    mix(t, {key('out', arg['name'], arg['number'])});"
            yield from (f"    {line}" for line in self.structs.observed(arg, buffer, sizes[n]))
        yield from ("}", "")

    def planned(self, number: int, data: Mapping[str, Any]) -> Iterator[str]:
        yield f"static void plan_{number}(struct trace *t)"
        yield "{"
        for i, value in enumerate(data["values"]):
            low, high = value["low"], value["high"] + 1
            if value["role"] == "handle":
                low, high = 0, "t->numbers"
            yield f"    for (int64_t n{i} = {low}; n{i} < {high}; n{i}++)"
            if value["role"] == "handle":
                yield f"    if (t->kinds[n{i}] == {self.kinds.get(value['kind'], 255)})"
        kinds = [value["kind"] for value in data["values"]]
        yield "    {"
        yield f"        struct look *l = new_look(t, {number});"
        yield f"        l->label = {key('observer', data['name'], *kinds)};"
        for i in range(len(data["values"])):
            yield f"        l->values[{i}] = n{i};"
            yield f"        l->label = mixed(l->label, (uint64_t)n{i});"
        for n, arg in enumerate(data["args"]):
            if arg["role"] in ("out", "storage"):
                yield f"        l->buffers[{n}] = filled(t, {size(arg, 'l->values[{}]')});"
            elif arg["role"] == "makes":
                yield f"        *(void **)(l->buffers[{n}] = room(t, 8)) = NULL;"
        yield from ("    }", "}", "")

    def simple(self, when: str) -> Iterator[str]:
        """The functions of ``setup``, ``teardown`` or ``reset``."""
        places = [self.place(name) for name in self.head.get(when, ())]
        yield f"static void call_{when}(void)"
        first = self.callbacks.begins() if when == "setup" else []
        last = self.callbacks.ends() if when == "teardown" else []
        calls = (f"((void (*)(void)){place})();" for place in places)
        yield from ("{", *(f"    {line}" for line in (*first, *calls, *last)), "}", "")

    def destroyers(self) -> list[tuple[int, str]]:
        """Which operations destroy what is left, with the kind."""
        numbers = {data["name"]: n for n, data in enumerate(self.head["ops"])}
        found = []
        for name in self.head["destroy"]:
            data = self.head["ops"][numbers[name]]
            if len(data["values"]) == 1:
                if data["values"][0]["role"] != "handle":
                    raise Refused(f"{name} destroys an object and is not given one")
                found.append((numbers[name], data["destroys"]))
        return found

    def tables(self, layouts: Mapping[str, Layout]) -> Iterator[str]:
        """What is destroyed at the end, exported data, memory behind handles."""
        rows = ", ".join(f"{{{n}, {self.kinds.get(k, 255)}}}" for n, k in self.destroyers())
        yield f"static const struct destroyer destroyers[] = {{{rows or '{0, 0}'}}};"
        objects = []
        for n, data in enumerate(self.head.get("data", [])):
            leaves = []
            for path, offset, code, count in data["leaves"]:
                width = WIDTHS.get(code) or int(code[-1])
                name = key("leaf", path, offset if code == "x" else "", code, count)
                leaves.append(f"{{{name}, {offset}, {count * width}, {int(code == 'p')}}}")
            rows = ", ".join(leaves) or "{0, 0, 0, 0}"
            yield f"static const struct leaf leaves_{n}[] = {{{rows}}};"
            objects.append(
                f'{{"{data["name"]}", {key("object", data["name"])}, {data["size"]}, '
                f"{int(data['writable'])}, {len(leaves)}, leaves_{n}}}"
            )
        rows = ", ".join(objects) or "{0}"
        yield f"static const struct object objects[] = {{{rows}}};"
        behinds = []
        for n, (kind, asked) in enumerate(self.head.get("behind", {}).items()):
            places = [at for at in asked["pointers"] if at + 8 <= asked["size"]]
            rows = ", ".join(map(str, places)) or "0"
            yield f"static const uint32_t pointers_{n}[] = {{{rows}}};"
            behinds.append(
                f"{{{self.kinds.get(kind, 255)}, {key('behind', kind)}, {asked['size']}, "
                f"{len(places)}, pointers_{n}}}"
            )
        yield f"static const struct behind behinds[] = {{{', '.join(behinds) or '{0}'}}};"
        yield ""


def layout(number: int, data: Mapping[str, Any]) -> Layout:
    """How the calls of an operation are encoded."""
    letters = []
    for index, value in enumerate(data["values"]):
        users = [arg for arg in data["args"] if arg["value"] == index]
        if value["role"] == "callback":
            letters.append("i")
        elif value["role"] in NUMBERS:
            floats = {a["type"] in ("f4", "f8") for a in users if a["role"] in NUMBERS}
            if len(floats) > 1:
                raise Refused(f"{data['name']}: one value is an integer and a float")
            letters.append("d" if floats == {True} else "i" if users else "-")
        elif value["role"] == "handle":
            letters.append("h")
        elif value["role"] in SPANS:
            letters.append("s" if value["role"] == "string" else "b")
        else:
            raise Refused(f"the driver does not know the role {value['role']}")
    makes = bool(data["makes"]) or any(
        a["role"] in ("makes", "storage") or "gives" in a for a in data["args"]
    )
    return Layout(number, "".join(letters), makes)
