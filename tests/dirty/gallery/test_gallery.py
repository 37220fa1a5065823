"""The gallery: each trace shows its defect where it says, is the shortest, and can be reported."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from replay.cli import main
from replay.dirty.explore.errors import ExploreError
from replay.dirty.gallery.costing import rearms
from replay.dirty.gallery.defects import Defect, defects_of, explore_command
from replay.dirty.gallery.hunting import median_operations, operations
from replay.dirty.gallery.proving import shortest
from replay.dirty.gallery.writing import MAIL, WIDTH, claims, report
from replay.dirty.language.domain import validate
from replay.dirty.language.trace import Config
from replay.dirty.machine.run import run_small
from replay.dirty.rules.properties import RUN_PROPERTIES
from replay.dirty.subject import SUBJECT
from replay.errors import SeriesError

DEFECTS = {defect.name: defect for defect in defects_of(SUBJECT)}
PROPERTIES = [name for name, defect in DEFECTS.items() if defect.data.property]
CLAIMS = [(name, claim) for name, defect in DEFECTS.items() for claim in claims(defect)]


def gallery(*words: str) -> Result:
    return CliRunner().invoke(main, ["gallery", *words])


@pytest.mark.parametrize("name", DEFECTS)
def test_each_trace_shows_its_defect_with_its_last_operation(name: str) -> None:
    defect = DEFECTS[name]
    validate(defect.trace)
    assert defect.trace.name == name
    assert defect.shows(defect.trace) == len(defect.trace.ops) - 1


@pytest.mark.parametrize("name", PROPERTIES)
def test_no_step_before_shows_it_and_the_step_that_mends_it_does_not(name: str) -> None:
    defect = DEFECTS[name]
    if defect.compared is not None:
        assert defect.shows(defect.trace, defect.compared) is None
    if defect.healed is not None:
        assert defect.shows(defect.trace, defect.healed) is None
    first = defect.subject.names.parse(defect.data.step)
    if first == defect.step and defect.step:
        for step in range(defect.subject.last):
            shown = defect.shows(defect.trace, step) is not None
            assert shown == (step >= defect.step), f"step {step}"


@pytest.mark.parametrize("name", [n for n in DEFECTS if n not in PROPERTIES])
def test_where_a_deviation_is_mended_another_thing_is_seen(name: str) -> None:
    defect = DEFECTS[name]
    machines = SUBJECT.machines()
    seen = run_small(machines[defect.step], defect.trace)
    before = run_small(machines[SUBJECT.before(defect.step)], defect.trace)
    assert seen != before
    if defect.healed not in (None, defect.step):
        assert run_small(machines[defect.healed], defect.trace) != seen


@pytest.mark.parametrize(
    "name", ["log-bit-is-one-page", "stale-hot-pages", "rearm-only-new-pages", "xen-told-pages"]
)
def test_a_search_of_all_states_finds_no_shorter_trace(name: str) -> None:
    defect = DEFECTS[name]
    assert shortest(defect).ops == defect.trace.ops


def test_every_deviation_that_traces_show_is_in_the_gallery_or_recorded() -> None:
    """Under its own id, or under the name of what it is to a person."""
    shown = {defect.data.deviation for defect in DEFECTS.values()} | set(DEFECTS)
    declared = {
        deviation.id
        for step in SUBJECT.series.steps for deviation in step.deviations
        if deviation.scope == "trace"
    }  # fmt: skip
    renamed = {"sync-does-not-rearm": "stale-hot-pages"}
    assert {renamed.get(one, one) for one in declared} <= shown


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_check_comes_upon_a_defect_and_counts_its_operations(seed: int) -> None:
    defect = DEFECTS["last-page-not-rearmed"]
    took = operations(defect, seed)
    assert took is not None
    assert took == operations(defect, seed)
    assert operations(defect, seed, took // 2) is None


@pytest.mark.parametrize("name", ["xen-told-pages", "stale-hot-pages", "sync-moves-ghosts"])
def test_the_operations_that_are_recorded_are_those_that_it_takes(name: str) -> None:
    found = DEFECTS[name].data.found
    assert found is not None
    assert median_operations(DEFECTS[name], found.seeds) == found.median


# --- the report ---


@pytest.mark.parametrize(("name", "claim"), CLAIMS, ids=[f"{n}@{c.step}" for n, c in CLAIMS])
def test_what_a_report_claims_is_what_its_command_shows(name: str, claim: object) -> None:
    step, command, says = claim  # type: ignore[misc]
    words = shlex.split(command)
    assert words[:2] == ["replay", "explore"]
    done = CliRunner().invoke(main, [*words[1:], "--json", "--jobs", "1"])
    (found,) = json.loads(done.stdout)["properties"]
    assert found["verdict"] == ("proved to hold" if says == "holds" else "broken"), step
    assert done.exit_code == 0
    assert command in report(DEFECTS[name])


def test_the_fix_of_2024_is_told_as_it_is() -> None:
    text = report(DEFECTS["rearm-only-new-pages"])
    assert text.startswith("# 03bfc2188f re-arms the TLB only")
    for said in (
        "step 39+all+log-start-flush: broken", "rearm-taken: proved to hold", "clear log",
        "+        bool taken = false;", "num_dirty", "TCG",
    ):  # fmt: skip
        assert said in text


def test_it_is_lost_with_real_words_too() -> None:
    """A block of 64 pages: a whole word, as the fix of 2018 asks for."""
    defect = DEFECTS["rearm-only-new-pages"]
    ops = tuple(
        op._replace(args=(64,)) if op.name == "ram_alloc" else op for op in defect.trace.ops
    )
    trace = type(defect.trace)(ops, Config())
    rule = RUN_PROPERTIES["no-lost-store"]
    for step, kept in (
        ("38", True), ("39", False), ("39+all", False), ("39+all+log-start-flush", False),
        ("39+all+rearm-taken", True), ("39+all+log-start-flush+rearm-taken", True),
    ):  # fmt: skip
        broken = rule(trace, run_small(SUBJECT.machine(step), trace))
        assert (broken is None) == kept, step


def test_the_costs_that_the_report_states_are_those_that_are_measured() -> None:
    """Blocks synced by words, how many the fix of 2024 re-arms, and how many the proposal."""

    text = " ".join(report(DEFECTS["rearm-only-new-pages"]).split())
    (told,) = re.findall(
        r"In the ([0-9,]+) traces of a check are ([0-9,]+) rounds of sync, in which ([0-9,]+) "
        r"blocks are synced by words: the fix re-arms ([0-9,]+) of these, the proposal ([0-9,]+)",
        text,
    )
    traces, rounds, blocks, fix, proposal = (int(part.replace(",", "")) for part in told)
    found = rearms(SUBJECT.machine("39+all"), traces)
    assert (rounds, blocks, fix, proposal) == found
    assert fix < proposal < blocks < rounds


@pytest.mark.parametrize("name", DEFECTS)
def test_a_mail_has_a_subject_and_short_lines(name: str) -> None:
    lines = report(DEFECTS[name], MAIL).splitlines()
    assert lines[0].startswith("Subject: ")
    body = lines[2:]
    assert not [line for line in body if len(line) > WIDTH and not line.startswith("    ")]


# --- the command ---


def test_the_list_has_every_defect_by_its_step() -> None:
    done = gallery()
    assert done.exit_code == 0
    places = [f"\n{done.output}".index(f"\n  {name}\n") for name in DEFECTS]
    assert places == sorted(places)
    listed = json.loads(gallery("--json").stdout)["defects"]
    assert [one["name"] for one in listed] == list(DEFECTS)


@pytest.mark.parametrize("name", ["stale-code", "xen-told-pages", "rearm-only-new-pages"])
def test_one_is_played_with_the_command_that_finds_it(name: str) -> None:
    done = gallery(name)
    assert done.exit_code == 0
    assert explore_command(DEFECTS[name]) in done.output
    for op in DEFECTS[name].trace.ops:
        assert op.name in done.output


def test_a_proof_searches_again(tmp_path: Path) -> None:
    done = gallery("stale-hot-pages", "--prove", "--jobs", "1")
    assert done.exit_code == 0
    assert "Searched for just now" in done.output


def test_a_report_goes_to_no_folder_that_is_not_there(tmp_path: Path) -> None:
    done = gallery("report", "stale-hot-pages", "--output", str(tmp_path / "no" / "report.md"))
    assert done.exit_code == 2
    assert "no such folder" in done.output


def test_what_xen_is_told_is_in_the_report() -> None:
    assert "xen_modified(0x0, 1)" in report(DEFECTS["xen-told-pages"])
    assert "xen_modified(" in report(DEFECTS["xen-told-the-end"])


def test_the_cost_is_counted_by_a_command() -> None:
    done = gallery("cost", "--traces", "60")
    assert done.exit_code == 0
    found = rearms(SUBJECT.machine("39+all"), 60)
    assert f"{found.rounds:,} rounds of sync" in done.output
    assert f"{found.taken:,} with any page" in done.output


def test_a_name_that_is_not_there_gets_the_nearest() -> None:
    done = gallery("stale-hot-page")
    assert done.exit_code == 2
    assert "did you mean 'stale-hot-pages'?" in done.output


def test_a_report_is_written_to_a_file(tmp_path: Path) -> None:
    done = gallery("report", "stale-hot-pages", "--output", str(tmp_path / "report.md"))
    assert done.exit_code == 0
    assert (tmp_path / "report.md").read_text() == report(DEFECTS["stale-hot-pages"])


# --- the file ---


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('property = "no-stale-code"', 'property = "no-stale-cod"', "did you mean 'no-stale-code'"),
        ('property = "no-stale-code"', "", "name one"),
        ("replay-gallery/1", "replay-gallery/2", "this version reads"),
        ('title = "A page with', 'titel = "A page with', "titel"),
        ('without = ["region_get_dirty"', 'without = ["region_get_dirt"', "did you mean"),
    ],
)
def test_a_wrong_file_gets_one_message(old: str, new: str, said: str, tmp_path: Path) -> None:
    from replay.dirty.gallery.defects import FILE, folder_of
    from replay.dirty.gallery.defects import read as read_file

    text = (folder_of(SUBJECT) / FILE).read_text()
    assert old in text
    (tmp_path / FILE).write_text(text.replace(old, new, 1))
    with pytest.raises(SeriesError, match=re.escape(str(tmp_path))) as caught:
        read_file(tmp_path / FILE)
    assert said in str(caught.value)


def test_a_defect_that_nothing_shows_at_its_scope_is_said_to_be_none() -> None:
    data = DEFECTS["stale-hot-pages"].data
    import msgspec

    healthy = Defect(msgspec.structs.replace(data, shown="38"), SUBJECT)
    with pytest.raises(ExploreError, match="nothing breaks"):
        shortest(healthy)
