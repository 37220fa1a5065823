"""What ``replay bench`` measures is what it says; how fast anything is is not tested."""

import json
import math

import pytest
from click.testing import CliRunner

from replay.cli.bench import command
from replay.dirty.bench import finding, length, lockstep, memory, sections, stateful, store
from replay.dirty.bench.figures import Effort, Spread, ratios
from replay.dirty.bench.machines import LOOPED, SIZES, with_ram
from replay.dirty.language.domain import validate
from replay.dirty.machine.large import Watcher
from replay.dirty.machine.moment import look
from replay.dirty.subject import SUBJECT
from replay.errors import UsageError
from replay.report.benching import report_json, report_lines


def numbers(value):
    """All numbers in a JSON value, with their paths."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from ((f"{key}/{path}", n) for path, n in numbers(inner))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from ((f"{index}/{path}", n) for path, n in numbers(inner))
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield "", value


@pytest.fixture(scope="module")
def report():
    """All sections, on less than even a quick run measures: only that there are figures matters."""
    with pytest.MonkeyPatch.context() as patch:
        for section in (memory, store):
            patch.setattr(section, "SIZES", SIZES[:3:2])
        patch.setattr("replay.dirty.native.bench.STREAM", 1000)
        patch.setattr(finding, "QUICK", (1, 1, 2.0))
        return sections.run(list(sections.SECTIONS), Effort(quick=True))


def test_every_section_gives_finite_positive_figures(report):
    assert list(report.results) == [
        "lockstep", "memory", "length", "store", "native", "costs", "recall", "finding", "driver",
        "explore", "elf",
    ]  # fmt: skip
    for name, section in report_json(report)["sections"].items():
        found = list(numbers(section))
        assert len(found) > 10, name
        for path, number in found:
            assert math.isfinite(number), (name, path)
            # A share, a step, a count, and what a clock could not tell from nothing may be 0.
            may_be_0 = (
                "steps/" in path
                or "blamed/" in path
                or path.endswith(
                    ("step/", "share/", "nanoseconds/", "first/", "found/", "void_faults/")
                )
            )
            assert number > 0 or (may_be_0 and number == 0), (name, path)


def test_the_document_has_its_form(report):
    document = json.loads(json.dumps(report_json(report), allow_nan=False))
    assert document["format"] == "replay-bench/1"
    assert set(document) == {"format", "quick", "seed", "machine", "sections"}
    assert {"python", "implementation", "cpus"} <= set(document["machine"])
    for section in document["sections"].values():
        assert section["title"]
        for goal in section["goals"]:
            assert set(goal) == {"goal", "measured", "met"}
    for pair in document["sections"]["lockstep"]["pairs"]:
        assert set(pair["ratio_checked_operations"]) == {"median", "low", "high", "rounds"}
        assert sum(pair["kinds"].values()) == pair["operations"]


def test_the_text_names_all_sections_and_fits_its_tables(report):
    lines = report_lines(report)
    for name in sections.SECTIONS:
        assert any(line.startswith(f"{name}: ") for line in lines)
    assert not any(line != line.rstrip() for line in lines)
    goals = sum(len(result.verdicts()) for result in report.results.values())
    assert sum(line.startswith(("met", "not met")) for line in lines) == goals


def test_the_lockstep_does_the_operations_that_hypothesis_did(monkeypatch):
    done, replayed = [], []
    real_do, real_run = stateful.do_both, lockstep.run_steps

    def do_both(a, b, name, args):
        done.append((name, args))
        real_do(a, b, name, args)

    def run_steps(classes, trace, steps, share=True):
        replayed.append((tuple(steps), share, trace))
        return real_run(classes, trace, steps, share)

    monkeypatch.setattr(stateful, "do_both", do_both)
    monkeypatch.setattr(stateful, "repeat", lambda *_: None)
    monkeypatch.setattr(lockstep, "run_steps", run_steps)
    rounds = lockstep.Rounds((27, 28))
    traces = lockstep.one_round(rounds, SUBJECT.machines(), 5, seed=3)
    assert [pair for trace in traces for pair in trace.program] == done
    assert rounds.operations == len(done)
    for steps in (lockstep.STEPS, (27, 28)):
        for share in (True, False):
            assert [t for s, how, t in replayed if (s, how) == (steps, share)] == traces


def test_hypothesis_makes_valid_traces_of_all_operations():
    classes = SUBJECT.machines()
    traces = stateful.drive(classes[12], classes[13], 60, 50, seed=5)
    for trace in traces:
        validate(trace)
    kinds = {op.name for trace in traces for op in trace.ops}
    assert kinds == set(stateful.OPS)
    assert max(len(trace.ops) for trace in traces) == 50


def test_the_pairs_behave_the_same_and_hypothesis_sees_where_steps_do_not():
    classes = SUBJECT.machines()
    for old, new in lockstep.PAIRS:
        for trace in stateful.drive(classes[old], classes[new], 10, 50, seed=1):
            assert lockstep.check_trace(classes, trace, (old, new), share=True) == []
    with pytest.raises(stateful.Differs):
        stateful.drive(classes[26], classes[27], 10, 50, seed=1)


@pytest.mark.parametrize("step", (0, 10, 11, 14, 18, 19, 26))
def test_a_store_filled_directly_is_as_the_steps_own_loop_leaves_it(step, monkeypatch):
    looped = with_ram(step, 100)
    monkeypatch.setattr("replay.dirty.bench.machines.LOOPED", 1)
    filled = with_ram(step, 100)
    assert look(looped) == look(filled)
    assert looped.store_content() == filled.store_content()
    assert LOOPED > 100


def test_small_operations_visit_as_many_pages_on_every_size():
    for pages in (64, 1 << 20):
        vm = with_ram(39, pages)
        watcher = Watcher(vm)
        memory.observed(watcher, memory.operations(pages, 500, seed=1))
        assert 20 <= len(vm.tlb) <= memory.HOT


def test_every_length_does_the_same_operations():
    pieces = length.pool(1, 40)
    short, long = length.joined(pieces, 10), length.joined(pieces, 100)
    for trace in (*short, *long):
        validate(trace)
    assert len(short) > 3 * len(long)
    assert [op for t in short for op in t.ops] == [op for t in long for op in t.ops]


def test_the_store_is_counted_as_c_would():
    assert store.bytes_of(0, 6400).real == 6400
    assert store.bytes_of(39, 6400).real == 3 * 800


def test_a_ratio_is_of_each_round():
    assert ratios([2.0, 9.0, 8.0], [1.0, 3.0, 2.0]) == Spread(3.0, 2.0, 4.0, 3)


def test_an_unknown_section_is_refused():
    with pytest.raises(UsageError, match="sections are lockstep"):
        sections.run(["speed"], Effort(quick=True))
    result = CliRunner().invoke(command, ["--only", "speed"])
    assert result.exit_code == 2
    assert "sections are" in result.output


def test_without_hypothesis_the_section_says_what_to_install(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UsageError, match="bench"):
        lockstep.measure(Effort(quick=True))


def test_the_command_prints_one_document():
    result = CliRunner().invoke(command, ["--quick", "--only", "store", "--json"])
    assert list(json.loads(result.output)["sections"]) == ["store"]
