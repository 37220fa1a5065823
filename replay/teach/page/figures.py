"""The graphs as SVG: the life of functions, the size of the store, the cost of a sync.

Drawn when the site is built, from the models, from series.toml, and from measurements that
somebody made; styled by the site's style sheet, so that they follow light and dark.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache

from markupsafe import Markup, escape

from refmodels import FOLD, delta
from replay.series.declared import Series, name_of
from replay.teach.page.measured import Cost

STEPS = FOLD.last + 1
CELL = 17
LABEL = 306
ROW = 19


@dataclass(frozen=True, slots=True)
class Life:
    """A function through the series: where it lives, from when, until when, what happens.

    ``until`` is the step that removes it, None when it is there at the end. ``events``
    are (step, action); an action is adds, changes, moves, declares or removes.
    """

    name: str
    home: str
    since: int
    until: int | None
    events: tuple[tuple[int, str], ...]
    becomes: str = ""


def lives(series: Series) -> list[Life]:
    """The life of each function that the series touches, by file and first step."""
    renames = renamed(series)
    found: list[Life] = []
    names = dict.fromkeys(
        change.name
        for number in range(STEPS)
        for change in FOLD.load(number).deltas
        if change.action == "adds" and change.kind == "function"
    )
    for name in names:
        home = next(d.home for d in _deltas(name) if d.action == "adds")
        events = tuple(FOLD.life(name))
        if home == "(operations)" or (len(events) < 2 and events[0][0] == 0):
            continue
        until = next((step for step, action in events if action == "removes"), None)
        found.append(Life(name, home, events[0][0], until, events, renames.get(name, "")))
    return sorted(found, key=lambda life: (life.home, life.since, life.name))


def _deltas(name: str) -> Iterable[delta.Delta]:
    return (d for k in range(STEPS) for d in FOLD.load(k).deltas if d.name == name)


def renamed(series: Series) -> dict[str, str]:
    """Old name to new name: a step whose API loses one function and gains one."""
    pairs = {}
    for step in series.steps:
        if len(step.adds) == 1 and len(step.removes) == 1:
            pairs[name_of(step.removes[0])] = name_of(step.adds[0])
    return pairs


def life_sentence(life: Life) -> str:
    """A life in words, for those who do not see the graph."""
    words = {"changes": "changed at", "moves": "moved at", "declares": "declared elsewhere at"}
    parts = ["there from the start" if life.since == 0 else f"added at step {life.since}"]
    for action, text in words.items():
        steps = [str(step) for step, done in life.events if done == action]
        if steps:
            parts.append(f"{text} {', '.join(steps)}")
    if life.until is not None:
        end = f"renamed to {life.becomes}" if life.becomes else "removed"
        parts.append(f"{end} at step {life.until}")
    return "; ".join(parts)


def life_figure(all_lives: Sequence[Life], series: Series) -> Markup:
    """A row a function, a column a step; a bar while it is there, a mark at each change."""
    homes = list(dict.fromkeys(life.home for life in all_lives))
    height = 34 + ROW * (len(all_lives) + len(homes)) + 8
    width = LABEL + STEPS * CELL + 8
    parts = [_opening(width, height, "The life of each function, step by step; in words below.")]
    parts += _columns(series, height)
    y = 34
    home = ""
    for life in all_lives:
        if life.home != home:
            home = life.home
            parts.append(_text(0, y + 13, home, "f-home"))
            y += ROW
        parts += _life_row(life, y)
        y += ROW
    return Markup("").join([*parts, Markup("</svg>")])


def _columns(series: Series, height: int) -> list[Markup]:
    parts = []
    for theme in series.themes:
        x = LABEL + theme.first * CELL
        w = (theme.last - theme.first + 1) * CELL
        if "ACEG".find(theme.letter) >= 0:
            parts.append(_rect(x, 18, w, height - 18, "f-band"))
        parts.append(_text(x + w / 2, 12, theme.letter, "f-theme"))
    for step in range(0, STEPS):
        if step % 5 == 0 or step == STEPS - 1:
            parts.append(_text(LABEL + step * CELL + CELL / 2, 29, str(step), "f-step"))
    return parts


MARKS = {"changes": "f-changed", "moves": "f-moved", "declares": "f-moved"}


def _life_row(life: Life, y: int) -> list[Markup]:
    end = STEPS if life.until is None else life.until
    x = LABEL + life.since * CELL
    parts = [
        _text(LABEL - 8, y + 13, life.name.replace("cpu_physical_memory_", "cpm_"), "f-name"),
        _rect(x + 1, y + 5, (end - life.since) * CELL - 2, 9, "f-life", life_sentence(life)),
    ]
    if life.since:
        parts.append(_rect(x + 1, y + 2, 4, 15, "f-added", f"step {life.since}: added"))
    for step, action in life.events:
        middle = LABEL + step * CELL + CELL / 2
        if action in MARKS:
            words = "changed" if action == "changes" else "moved"
            parts.append(
                Markup(
                    '<circle cx="{}" cy="{}" r="4" class="{}"><title>{}</title></circle>'
                ).format(middle, y + 9.5, MARKS[action], f"step {step}: {words}")
            )
    if life.until is not None:
        x = LABEL + life.until * CELL
        kind, words = (
            ("f-renamed", f"renamed to {life.becomes}")
            if life.becomes
            else ("f-removed", "removed")
        )
        cross = f"M{x - 4} {y + 5}l9 9m0 -9l-9 9"
        parts.append(
            Markup('<path d="{}" class="{}"><title>{}</title></path>').format(
                cross, kind, f"step {life.until}: {words}"
            )
        )
    return parts


# --- the store ------------------------------------------------------------------------


@cache
def bits_a_page(step: int, pages: int = 4096) -> float:
    """Bits of dirty store a page of RAM, as the step's model allocates it."""
    vm = FOLD.build(step)(12, 1, True, 64)
    vm.ram_alloc(pages)
    return float(vm.store_bytes() * 8 / pages)


def store_figure() -> Markup:
    """A bar a step: the bits of dirty store a page takes."""
    sizes = [bits_a_page(step) for step in range(STEPS)]
    width, height, left, unit = 40 + STEPS * CELL, 150, 30, 13
    parts = [_opening(width, height, "Bits of dirty store a page, step by step; in words below.")]
    for bits in (0.0, 2.0, 4.0, 6.0, 8.0):
        y = 122.0 - bits * unit
        parts.append(_rect(left, y, STEPS * CELL, 0.6, "f-grid"))
        parts.append(_text(left - 6, y + 4, f"{bits:g}", "f-axis"))
    for step, bits in enumerate(sizes):
        x = left + step * CELL
        parts.append(
            _rect(x + 2, 122 - bits * unit, CELL - 4, bits * unit, "f-bar",
                  f"step {step}: {bits:g} bits a page")
        )  # fmt: skip
        if step % 5 == 0 or step == STEPS - 1:
            parts.append(_text(x + CELL / 2, 138, str(step), "f-step"))
    return Markup("").join([*parts, Markup("</svg>")])


def store_sentences() -> list[str]:
    """The sizes in words: one sentence for each run of steps with the same size."""
    found: list[str] = []
    first = 0
    for step in range(1, STEPS + 1):
        if step < STEPS and bits_a_page(step) == bits_a_page(first):
            continue
        gibibyte = bits_a_page(first) * (1 << 30) / 4096 / 8 / 1024
        found.append(
            f"Steps {first} to {step - 1}: {bits_a_page(first):g} bits a page, "
            f"{gibibyte:g} KiB for each GiB of guest memory with 4 KiB pages."
        )
        first = step
    return found


# --- the cost of a sync -----------------------------------------------------------------


def cost_figure(costs: Sequence[Cost]) -> Markup:
    """A point for each step and size, on a scale in which each line is ten times the last."""
    values = [cost.nanoseconds for cost in costs]
    low = math.floor(math.log10(min(values)))
    high = max(low + 1, math.ceil(math.log10(max(values))))
    width, left, unit = 56 + STEPS * CELL, 48, 60
    bottom = 20 + (high - low) * unit
    parts = [
        _opening(width, bottom + 30, "Nanoseconds a page of a sync by step; in a table below.")
    ]
    for power in range(low, high + 1):
        y = float(bottom - (power - low) * unit)
        parts.append(_rect(left, y, STEPS * CELL, 0.6, "f-grid"))
        parts.append(_text(left - 6, y + 4, f"{10.0**power:g}", "f-axis"))
    for step in range(0, STEPS):
        if step % 5 == 0 or step == STEPS - 1:
            parts.append(_text(left + step * CELL + CELL / 2, bottom + 18, str(step), "f-step"))
    for cost in costs:
        y = bottom - (math.log10(cost.nanoseconds) - low) * unit
        parts.append(
            Markup(
                '<circle cx="{}" cy="{:.1f}" r="4" class="f-point"><title>{}</title></circle>'
            ).format(left + cost.step * CELL + CELL / 2, y, cost.sentence)
        )
    return Markup("").join([*parts, Markup("</svg>")])


# --- pieces -----------------------------------------------------------------------------


def _opening(width: float, height: float, label: str) -> Markup:
    return Markup(
        '<svg class="figure" role="img" viewBox="0 0 {0} {1}" width="{0}" height="{1}" '
        'aria-label="{2}">'
    ).format(f"{width:g}", f"{height:g}", label)


def _text(x: float, y: float, text: str, kind: str) -> Markup:
    return Markup('<text x="{}" y="{}" class="{}">{}</text>').format(f"{x:g}", f"{y:g}", kind, text)


def _rect(x: float, y: float, w: float, h: float, kind: str, title: str = "") -> Markup:
    inner = Markup("<title>{}</title>").format(title) if title else ""
    return Markup('<rect x="{}" y="{}" width="{}" height="{}" class="{}">{}</rect>').format(
        f"{x:g}", f"{y:g}", f"{w:g}", f"{h:g}", kind, escape(inner)
    )
