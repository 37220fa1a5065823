"""The whole site as files in memory: from the series, the models, a check and the lessons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from replay.dirty.gallery.defects import Defect, defects_of
from replay.dirty.language.trace import Trace
from replay.dirty.subject import SUBJECT
from replay.series.declared import Series, StepData
from replay.series.patches import Patch, read_patches
from replay.teach.lessons import Lessons, load_lessons
from replay.teach.lessons.shortest import shortest_trace
from replay.teach.page import figures
from replay.teach.page.bundle import player_script, static_text
from replay.teach.page.diffs import c_changes, model_changes
from replay.teach.page.gallery import described, later_steps, playable
from replay.teach.page.measured import Measured
from replay.teach.page.models import built_in_script
from replay.teach.page.output import write_site
from replay.teach.page.teaching import Taught, taught, words_page
from replay.teach.page.traces import Playable, found_traces, trace_id
from replay.teach.page.verdicts import CheckReport, inline_json, mark
from replay.teach.page.words import code_html, step_page

POLICY: Final = (
    "default-src 'none'; script-src 'self' file:; style-src 'self' file:; "
    "img-src 'self' file: data:; base-uri 'none'; form-action 'none'"
)
"""No script but the site's own files, no connection at all. A page from the file system has
no origin of its own, so that ``file:`` stands beside ``'self'``."""

MENU: Final = (
    ("Steps", "index.html"),
    ("Player", "player.html"),
    ("Gallery", "gallery.html"),
    ("Functions", "functions.html"),
    ("Glossary", "glossary.html"),
    ("Reviewing", "reviewer.html"),
)

SHOWN_STEP: Final = SUBJECT.last
"""The step whose difference the first page offers to play."""


@dataclass(frozen=True)
class Material:
    """All that the site is made of. The same material gives the same bytes."""

    report: CheckReport
    measured: Measured | None = None
    series: Series = field(default_factory=lambda: SUBJECT.series)
    patches: Sequence[Patch] = field(default_factory=read_patches)
    lessons: Lessons = field(default_factory=load_lessons)
    defects: Sequence[Defect] = field(default_factory=lambda: defects_of(SUBJECT))

    @cached_property
    def taught(self) -> dict[int, Taught]:
        """The lessons by step."""
        return {lesson.number: taught(lesson) for lesson in self.lessons.lessons}

    @cached_property
    def found(self) -> tuple[Playable, ...]:
        """The traces of the check's findings."""
        return tuple(found_traces(self.report))

    @cached_property
    def playable(self) -> tuple[Playable, ...]:
        """All traces: of the lessons, of the findings, then of the gallery."""
        lessons = [lesson.playable for lesson in self.taught.values() if lesson.playable]
        return (*lessons, *self.found, *map(playable, self.defects))

    @cached_property
    def steps(self) -> dict[int, dict[str, Any]]:
        """What the templates say of each step."""
        return {step.number: _step(step, self) for step in self.series.steps}

    def finding(self, step: int, what: str) -> str:
        """The name of a finding's trace, empty where the player does not have it."""
        name = trace_id(step, what)
        return name if any(trace.id == name for trace in self.found) else ""


def _short(title: str) -> str:
    return title if len(title) <= 60 else title[:59] + "…"


def _step(step: StepData, material: Material) -> dict[str, Any]:
    verdict = material.report.verdict(step.number)
    found = material.report.step(step.number)
    return {
        "number": step.number,
        "title": step.title,
        "short": _short(step.title),
        "page": step_page(step.number),
        "kind": step.kind,
        "claim": step.claim,
        "verdict": verdict,
        "mark": mark(verdict),
        "found": _found_sentence(step.number, material.report),
        "kinds": list(dict.fromkeys(d.kind for d in found.deviations)) if found else [],
    }


def _found_sentence(number: int, report: CheckReport) -> str:
    found = report.step(number)
    if found is None:
        return "The check that this site was built from did not judge this step."
    calls = f" and {found.calls:,} direct calls of its functions" if found.calls else ""
    return (
        f"On {found.traces:,} traces{calls} it was compared with the step before; "
        f"{found.differing:,} traces differ, and {found.from_start:,} differ from step 0."
    )


def build_site(material: Material) -> dict[str, bytes]:
    """All files of the site by their place in it.

    Raises:
        ReplayError: a text links to nothing, or a model cannot be translated.

    """
    pages = _Pages(material)
    texts = {
        "assets/style.css": static_text("style.css"),
        "assets/icon.svg": static_text("icon.svg"),
        "assets/player.js": player_script(),
        "assets/models.js": built_in_script(),
        "index.html": pages.index(),
        "start.html": pages.start(),
        "player.html": pages.player(),
        "functions.html": pages.functions(),
        "gallery.html": pages.gallery(),
    }
    for number in material.steps:
        texts[step_page(number)] = pages.step(number)
    texts = pages.texts() | texts
    return {name: text.encode("utf-8") for name, text in sorted(texts.items())}


def make_site(material: Material, folder: Path) -> int:
    """Write the site into a folder; gives the number of files.

    Raises:
        UsageError: the folder holds something else, or cannot be written.

    """
    files = build_site(material)
    write_site(files, folder)
    return len(files)


class _Pages:
    """Makes each page from its template."""

    def __init__(self, material: Material) -> None:
        self.material = material
        self.environment = Environment(
            loader=PackageLoader("replay.teach.page", "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
        )
        self.environment.filters["code"] = code_html
        report = material.report
        self.checked = (
            f"Verdicts: a check of {report.traces:,} random traces of {report.ops} operations, "
            f"seed {report.seed}."
        )

    def render(self, template: str, page: str, **values: Any) -> str:
        """A page from a template; every value that is not Markup is escaped."""
        return self.environment.get_template(template).render(
            policy=POLICY, menu=MENU, here=page, checked=self.checked,
            root="../" * page.count("/"), **values,
        )  # fmt: skip

    def index(self) -> str:
        steps = self.material.steps
        marks = [step["mark"] for step in steps.values()]
        shown = self.shown()
        return self.render(
            "index.html", "index.html", title=f"{SUBJECT.last} patches that say nothing changes",
            same=marks.count("same"), deviating=marks.count("deviates"),
            failing=marks.count("fails"), first=steps[1]["page"], themes=self.themes(),
            show={"id": shown.id, "a": SHOWN_STEP - 1, "b": SHOWN_STEP},
        )  # fmt: skip

    def shown(self) -> Playable:
        """The trace with which the first page shows its step: the lesson's own."""
        lesson = self.material.taught.get(SHOWN_STEP)
        if lesson is not None and lesson.playable is not None:
            return lesson.playable
        return self.material.playable[-1]

    def themes(self) -> list[dict[str, Any]]:
        return [
            {
                "letter": theme.letter,
                "title": theme.title,
                "page": f"theme-{theme.letter.lower()}.html",
                "steps": [self.material.steps[n] for n in range(theme.first, theme.last + 1)],
            }
            for theme in self.material.series.themes
        ]

    def start(self) -> str:
        texts = {prop.name: prop.broken_at_start for prop in self.material.series.properties}
        broken = [
            {"name": p.property, "count": p.count, "text": texts.get(p.property) or p.text}
            for p in self.material.report.start
        ]
        start = self.material.series.start
        return self.render(
            "start.html", "start.html", title=start.title, api=start.api, broken=broken
        )

    # --- the player ---

    def choices(self) -> list[dict[str, Any]]:
        steps: list[dict[str, Any]] = [
            {"number": 0, "short": self.material.series.start.title, "page": "start.html"}
        ]
        later = [
            {"number": str(step), "short": _short(self.material.series.title(step)),
             "page": "gallery.html"}
            for step in later_steps(self.material.defects)
        ]  # fmt: skip
        return [*steps, *self.material.steps.values(), *later]

    def playing(self, traces: Sequence[Playable], start: Playable) -> dict[str, Any]:
        mistakes = [t.recorded["step"][:-1] for t in traces if t.recorded]
        return {
            "traces": traces,
            "traces_json": Markup(inline_json([trace.to_json() for trace in traces])),
            "start": start,
            "steps": self.choices(),
            "mistakes": mistakes,
        }

    def player(self) -> str:
        return self.render(
            "player.html", "player.html", title="Player",
            **self.playing(self.material.playable, self.shown()),
        )  # fmt: skip

    def gallery(self) -> str:
        defects = [described(defect) for defect in self.material.defects]
        return self.render(
            "gallery.html", "gallery.html", title="Gallery of defects", defects=defects
        )

    # --- a step ---

    def step(self, number: int) -> str:
        material = self.material
        lesson = material.taught[number]
        found = [t for t in material.found if t.b == str(number)]
        traces = [t for t in (lesson.playable, *found) if t]
        return self.render(
            "step.html", step_page(number), step=self.details(number), lesson=lesson,
            c_changes=c_changes(material.patches[number - 1].files),
            model_changes=model_changes(number),
            before=material.steps.get(number - 1), after=material.steps.get(number + 1),
            **self.playing(traces, traces[0]),
        )  # fmt: skip

    def details(self, number: int) -> dict[str, Any]:
        material, steps = self.material, self.material.steps
        data, report = material.series.step(number), material.report.step(number)
        theme = next(t for t in self.themes() if t["letter"] == data.theme)
        return steps[number] | {
            "theme": theme,
            "needs": [steps[n] for n in data.needs],
            "needed_by": [steps[s.number] for s in material.series.steps if number in s.needs],
            "api": [
                *((old, "") for old in data.removes),
                *data.changes,
                *(("", new) for new in data.adds),
            ],
            "moves": data.moves,
            "domain": data.domain,
            "deviations": [
                _finding(d, material.finding(number, d.id), shortest_trace(number, d.id))
                for d in report.deviations
            ] if report else [],
            "breaks": [
                _finding(p, material.finding(number, f"breaks {p.property}"))
                for p in report.breaks
            ] if report else [],
            "failures": report.failures if report else [],
        }  # fmt: skip

    # --- pages of words and graphs ---

    def texts(self) -> dict[str, str]:
        lessons = self.material.lessons
        pages = {}
        for theme in self.themes():
            text = words_page(lessons.theme(theme["letter"]))
            pages[theme["page"]] = self.render(
                "text.html", theme["page"], title=text.title, letter=theme["letter"],
                html=text.html, sources=text.sources, steps=theme["steps"],
            )  # fmt: skip
        for found in (lessons.page("glossary"), *lessons.pages):
            page, text = f"{found.name}.html", words_page(found)
            pages[page] = self.render(
                "text.html", page, title=text.title, letter="", html=text.html,
                sources=text.sources, steps=[],
            )  # fmt: skip
        return pages

    def functions(self) -> str:
        series, measured = self.material.series, self.material.measured
        all_lives = figures.lives(series)
        return self.render(
            "functions.html", "functions.html", title="Functions, memory, cost",
            life=figures.life_figure(all_lives, series),
            lives=[{"name": x.name, "text": figures.life_sentence(x)} for x in all_lives],
            store=figures.store_figure(), store_words=figures.store_sentences(),
            cost=figures.cost_figure(measured.costs) if measured else None,
            costs=measured.costs if measured else (),
            machine=measured.machine if measured else "", quick=bool(measured and measured.quick),
        )  # fmt: skip


def _finding(found: Any, trace: str, least: Trace | None = None) -> dict[str, Any]:
    """What the template says of a finding; ``least``: the shortest trace there is, if known."""
    said = {name: getattr(found, name) for name in found.__struct_fields__}
    return said | {"trace": trace, "least": len(least.ops) if least else 0}
