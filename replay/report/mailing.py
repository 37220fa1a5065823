"""A series and a comparison as text or as plain values; nothing in it steers a terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from replay.base.jsonlines import printable
from replay.base.style import PLAIN, Style
from replay.mail.behaviour import StepBehaviour
from replay.mail.comparing import Pairing, Status, renamed
from replay.mail.reading import Listed, MailPatch, MailSeries
from replay.report.output import shows
from replay.report.telling import behaves_same, behaviour_json, step_lines, summary_lines

COVER_LINES: Final = 40
MOST_PROBLEMS: Final = 5


@dataclass(frozen=True, slots=True)
class MailView:
    """A series as it came by mail, to be shown."""

    series: MailSeries


def series_lines(series: MailSeries, style: Style = PLAIN) -> list[str]:
    """A series: its cover letter, its patches, what is missing."""
    lines = []
    if series.cover is not None:
        title, text = series.cover
        lines.append(style.strong(printable(title)))
        body = [f"  {printable(line.expandtabs())}" for line in text.split("\n")]
        lines += [line.rstrip() for line in body[:COVER_LINES]]
        if len(body) > COVER_LINES:
            lines.append(f"  [{len(body) - COVER_LINES} lines more]")
        lines.append("")
    for place, patch in enumerate(series.patches, 1):
        added, removed = patch.counts
        number = patch.number if patch.number is not None else place
        tags = f" [{printable(' '.join(patch.tags))}]" if patch.tags else ""
        lines.append(f"{number:>4}  {f'+{added} -{removed}':<11} {printable(patch.title)}{tags}")
        lines += [f"{'':18}binary: {printable(name)}" for name in patch.binaries]
        lines += problem_lines(patch, style)
    lines.append("")
    count = len(series.patches)
    left = f"; left out {series.replies} replies and {series.others} other mails"
    left = left if series.replies or series.others else ""
    lines.append(f"v{series.version}: {count} patch{'' if count == 1 else 'es'}{left}")
    if series.base:
        lines.append(f"base commit {series.base}")
    if series.missing:
        lines.append(style.bad(f"missing: {_numbers(series.missing)}"))
    return [*lines, *(f"note: {printable(note)}" for note in series.notes)]


def problem_lines(patch: MailPatch, style: Style) -> list[str]:
    """Why git would refuse a patch or apply it elsewhere, each with its place."""
    shown = [f"      git: {printable(problem)}" for problem in patch.problems[:MOST_PROBLEMS]]
    more = len(patch.problems) - MOST_PROBLEMS
    shown += [f"      git: {more} problems more of this patch"] if more > 0 else []
    return [style.bad(line) for line in shown]


def _numbers(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers))


def listed_lines(listed: Listed, style: Style = PLAIN) -> list[str]:
    """A line a series, and one for each of its versions."""
    lines = []
    for place, versions in enumerate(listed.series, 1):
        latest = versions[-1]
        lines.append(f"{place:>4}  {style.strong(printable(_series_title(latest)))}")
        for version in versions:
            first = next(iter(version.patches), None)
            who = f"  {first.author}, {first.date}" if first is not None else ""
            count = len(version.patches)
            state = f"{count} patch{'' if count == 1 else 'es'}"
            missing = f", missing: {_numbers(version.missing)}" if version.missing else ""
            lines.append(
                f"      v{version.version}  {state}{style.bad(missing) if missing else ''}"
                f"{printable(who)}"
            )
            lines += [f"          note: {printable(note)}" for note in _own_notes(version)]
    return lines


def _own_notes(version: MailSeries) -> list[str]:
    """The notes of a version; that there are others is seen."""
    return [note for note in version.notes if " is taken; there is " not in note]


def _series_title(series: MailSeries) -> str:
    """What to call a series: by its cover letter, else by its first patch."""
    if series.cover is not None:
        return series.cover[0]
    return series.patches[0].title if series.patches else ""


def listed_json(listed: Listed) -> dict[str, Any]:
    """The series of a mailbox as plain values."""
    return {
        "path": listed.path,
        "series": [
            {
                "number": place,
                "title": _series_title(versions[-1]),
                "versions": [
                    {
                        "version": version.version,
                        "patches": [patch.title for patch in version.patches],
                        "authors": list(dict.fromkeys(p.author for p in version.patches)),
                        "date": version.patches[0].date if version.patches else None,
                        "missing": version.missing,
                        "notes": _own_notes(version),
                    }
                    for version in versions
                ],
            }
            for place, versions in enumerate(listed.series, 1)
        ],
    }


def series_json(series: MailSeries) -> dict[str, Any]:
    """A series as plain values, texts as they came."""
    return {
        "path": series.path,
        "series": series.place,
        "of": series.places,
        "version": series.version,
        "versions": list(series.versions),
        "cover": {"title": series.cover[0], "text": series.cover[1]} if series.cover else None,
        "base": series.base or None,
        "missing": series.missing,
        "replies": series.replies,
        "others": series.others,
        "notes": series.notes,
        "patches": [_patch_json(patch) for patch in series.patches],
    }


def _patch_json(patch: MailPatch) -> dict[str, Any]:
    added, removed = patch.counts
    return {
        "number": patch.number,
        "total": patch.total,
        "title": patch.title,
        "tags": list(patch.tags),
        "author": patch.author,
        "date": patch.date,
        "message": patch.message,
        "files": list(patch.files),
        "binary": list(patch.binaries),
        "problems": list(patch.problems),
        "added": added,
        "removed": removed,
    }


@dataclass(frozen=True, slots=True)
class SavedExample:
    """Where an example was saved, and the command that runs it again."""

    path: str
    command: str


@dataclass(frozen=True, slots=True)
class VersionsView:
    """Two versions of a series compared.

    Attributes:
        rows: the patches, paired.
        steps: what their trees do, where that was asked.
        names: what to call the two versions.
        saved: the examples that were saved.
        brief: whether a line a patch is enough.
        cover: what became of the cover letter, and how its text changed; None for none.
    """

    rows: Sequence[Pairing]
    steps: Sequence[StepBehaviour]
    names: tuple[str, str] = ("old", "new")
    saved: Sequence[SavedExample] = ()
    brief: bool = False
    cover: tuple[Status, tuple[str, ...]] | None = None


def view_lines(view: VersionsView, style: Style = PLAIN) -> list[str]:
    """The comparison, and how to run again what was saved."""
    lines = _cover_lines(view, style)
    lines += comparison_lines(view.rows, view.steps, style, view.brief, view.names)
    for saved in view.saved:
        lines += ["", f"saved {printable(saved.path)}; run it again with"]
        lines.append(f"  {printable(saved.command)}")
    return lines


def _cover_lines(view: VersionsView, style: Style) -> list[str]:
    """What became of the cover letter; nothing where it stayed."""
    if view.cover is None or view.cover[0] is Status.SAME:
        return []
    status, diff = view.cover
    shown = [] if view.brief else [f"      {_painted(line, style)}" for line in diff]
    return [style.new(f"cover letter: {status.value}"), *shown, ""]


def comparison_lines(
    rows: Sequence[Pairing], steps: Sequence[StepBehaviour], style: Style = PLAIN,
    brief: bool = False, names: tuple[str, str] = ("old", "new"),
) -> list[str]:  # fmt: skip
    """A line a patch, and under it how its text changed and what that does to the tree.

    ``names`` are what to call the two versions.
    """
    by_place = {step.new_place: step for step in steps}
    problems: set[str] = set()
    lines = [style.strong(f"{'old':>4} {'new':>4}  {'status':<16} title")]
    for row in rows:
        patch = row.new or row.old
        assert patch is not None
        paint = style.good if row.status is Status.SAME else style.new
        old, new = row.old_place or "-", row.new_place or "-"
        moved = ", moved" if row.moved else ""
        lines.append(f"{old:>4} {new:>4}  {paint(f'{row.status.value:<16}')} "
                     f"{printable(patch.title)}{moved}")  # fmt: skip
        if row.old is not None and renamed(row):
            lines.append(f"           was: {printable(row.old.title)}")
        for name, side in zip(names, (row.old, row.new), strict=True):
            told = problem_lines(side, style) if side is not None else []
            lines += [line.replace("git: ", f"git, {printable(name)}: ", 1) for line in told]
        if row.new_place in by_place:
            lines += step_lines(by_place[row.new_place], row, style, brief, names, problems)
        if not brief:
            lines += [f"      {_painted(line, style)}" for line in row.diff]
    counts = Counter(row.status.value for row in rows)
    moved_count = sum(row.moved for row in rows)
    told = [f"{count} {status}" for status, count in counts.items()]
    told += [f"{moved_count} moved"] if moved_count else []
    return [*lines, "", ", ".join(told), *summary_lines(steps, style)]


def _painted(line: str, style: Style) -> str:
    """A line of a patch of a patch: coloured by its first sign."""
    text = printable(line.expandtabs())
    if line.startswith("+"):
        return style.good(text)
    if line.startswith("-"):
        return style.bad(text)
    return style.dim(text) if line.startswith("@@") else text


def comparison_json(
    rows: Sequence[Pairing], steps: Sequence[StepBehaviour],
    cover: tuple[Status, tuple[str, ...]] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """The comparison as plain values."""
    by_place = {step.new_place: step for step in steps}
    return {
        "same": all(row.status is Status.SAME and not row.moved for row in rows)
        and (cover is None or cover[0] is Status.SAME),
        "cover": {"status": cover[0].value, "diff": list(cover[1])} if cover else None,
        "behaves_same": behaves_same(steps),
        "patches": [_row_json(row, by_place.get(row.new_place)) for row in rows],
    }


def _row_json(row: Pairing, step: StepBehaviour | None) -> dict[str, Any]:
    out: dict[str, Any] = {
        "old": row.old_place or None,
        "new": row.new_place or None,
        "old_title": row.old.title if row.old else None,
        "new_title": row.new.title if row.new else None,
        "status": row.status.value,
        "moved": row.moved,
        "old_problems": list(row.old.problems) if row.old else [],
        "new_problems": list(row.new.problems) if row.new else [],
        "diff": list(row.diff),
    }
    if step is not None:
        out["tree"] = {
            "same": step.same_tree, "since": step.trees_since or None,
            "problem": step.problem or None,
        }  # fmt: skip
        out["behaviour"] = behaviour_json(step)
    return out


shows(Listed, listed_lines, listed_json, ascii_only=True)
shows(
    MailView,
    lambda view, style: series_lines(view.series, style),
    lambda view: series_json(view.series),
    ascii_only=True,
)
shows(
    VersionsView, view_lines, lambda view: comparison_json(view.rows, view.steps, view.cover),
    ascii_only=True,
)  # fmt: skip
