"""The models in the page are the reference models: every field of every observation."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from refmodels import FOLD
from refmodels.loading import load_file
from replay.dirty.language.files import parse_trace, trace_to_text
from replay.dirty.language.generate import Profile, generate
from replay.dirty.language.trace import Trace
from replay.dirty.language.vectors import read_vectors
from replay.dirty.machine.run import PythonModel, python_model
from replay.errors import ReplayError
from replay.teach.page.bundle import player_script
from replay.teach.page.models import built_in_script, models_script
from replay.teach.page.sources import TranslationError

TRACES = 2000
BATCH = 250
VECTORS = Path(__file__).parents[2] / "vectors" / "named.jsonl"

RUN = """cases => cases.map(([text, step]) => {
  const trace = replay.parseTrace(text, { pages: 1e9, ops: 1e9, characters: 1e9 });
  return replay.asJson(replay.runTrace(trace, step).observations.map(replay.observationJson));
})"""

ACCEPTS = """texts => texts.map((text) => {
  try { replay.parseTrace(text); return ""; } catch (error) { return String(error.message); }
})"""


@pytest.fixture(scope="module")
def models(browser: Browser) -> Iterator[Page]:
    """A page with nothing but the runtime and the models."""
    context = browser.new_context()
    page = context.new_page()
    page.add_script_tag(content=player_script() + built_in_script())
    yield page
    context.close()


def python_run(trace: Trace, step: int) -> list[Any]:
    run = python_model(step).run(trace)
    return [None if seen is None else seen.to_json() for seen in run.observations()]


def first_wrong(page: Page, cases: list[tuple[Trace, int]]) -> str:
    given = page.evaluate(RUN, [[trace_to_text(trace), step] for trace, step in cases])
    for (trace, step), text in zip(cases, given, strict=True):
        wanted, got = python_run(trace, step), json.loads(text)
        for index, (one, other) in enumerate(zip(wanted, got, strict=True)):
            # JSON text, since 1 and true are different answers.
            if json.dumps(one, sort_keys=True) != json.dumps(other, sort_keys=True):
                return f"{trace.name} step {step} operation {index}: {one} in Python, {other}"
    return ""


def test_thousands_of_random_traces_give_the_same_observations_at_all_forty_steps(
    models: Page,
) -> None:
    profile = Profile(leaving=0.1)
    asked: set[int] = set()
    for first in range(0, TRACES, BATCH):
        cases = []
        for index in range(first, first + BATCH):
            trace = generate(5, index, profile)
            # All steps in turn; for every other trace another one besides.
            steps = {index % 40, (7 * index + 3) % 40 if index % 2 else index % 40}
            cases += [(trace, step) for step in sorted(steps)]
            asked |= steps
        assert first_wrong(models, cases) == ""
    assert asked == set(range(40))


def test_what_came_after_the_last_step_gives_the_same_observations(models: Page) -> None:
    """Each fix alone and all of them: the page puts them on the last step as we do."""
    names = [f"39+{part}" for part in FOLD.names.parts]
    names += ["39+all", "39+f9ee9f9ac2+03bfc2188f+log-start-flush"]
    steps = [FOLD.names.parse(name) for name in names]
    cases = [
        (generate(6, 10 * place + k), step) for place, step in enumerate(steps) for k in range(30)
    ]
    given = models.evaluate(RUN, [[trace_to_text(trace), str(step)] for trace, step in cases])
    for (trace, step), text in zip(cases, given, strict=True):
        run = PythonModel(step, FOLD.build(step)).run(trace)
        wanted = [None if seen is None else seen.to_json() for seen in run.observations()]
        assert json.loads(text) == wanted, (trace.name, str(step))


def test_the_named_vectors_give_the_recorded_observations_at_every_step(models: Page) -> None:
    for vector in read_vectors(VECTORS):
        cases = [[trace_to_text(vector.trace), step] for step in range(40)]
        for step, text in enumerate(models.evaluate(RUN, cases)):
            wanted = [None if o is None else o.to_json() for o in vector.expected(step)]
            assert json.loads(text) == wanted, (vector.trace.name, step)


def _damaged(text: str, index: int) -> str:
    """A trace with one thing changed: often out of the domain, sometimes still in it."""
    lines = text.splitlines()
    at = index % len(lines)
    value = json.loads(lines[at])
    keys = [key for key in value if key not in ("op", "format")]
    key = keys[index % len(keys)] if keys else "op"
    others: list[Any] = [0, 1, 3, 4096, 2**40, -1, "x", "vga", None, True, 1.5, ["0"], ["FF"], {}]
    value[key] = others[index % len(others)]
    if index % 11 == 0:
        value["more"] = 1
    lines[at] = json.dumps(value)
    return "\n".join(lines) + "\n"


def test_the_page_refuses_what_the_reader_of_trace_files_refuses_and_takes_the_rest(
    models: Page,
) -> None:
    traces = [generate(9, index, Profile(ops=8, small_words=0.0)) for index in range(60)]
    texts = [
        _damaged(trace_to_text(trace), 13 * i + k)
        for i, trace in enumerate(traces)
        for k in range(8)
    ]
    taken = refused = 0
    for text, problem in zip(texts, models.evaluate(ACCEPTS, texts), strict=True):
        try:
            trace = parse_trace(text)
        except ReplayError:
            assert problem.startswith("line "), text
            refused += 1
        else:
            if trace.most_pages <= 1024:
                assert problem == "", text
                taken += 1
    assert taken > 20
    assert refused > 200


BODIES = {
    "a float": "return 1.5",
    "a dictionary": "return {addr: 1}",
    "a call by a computed name": "return getattr(vm, 'tlb')(addr)",
    "an unknown attribute": "return vm.phys_clean[addr]",
    "a division": "return addr / 2",
    "an except of everything": "try:\n        return 1\n    except Exception:\n        return 0",
    "a slice that may lengthen a store": "vm.phys_dirty[addr : addr + 1] = b'0'",
    "arithmetic with a store": "return vm.phys_dirty + addr",
    "an unknown function": "return sorted(vm.blocks)",
    "a with": "with vm.tlb:\n        return 1",
    "a lambda": "return (lambda: 1)()",
    "a generator": "return sum(1 for _ in vm.blocks)",
}


@pytest.mark.parametrize("what", BODIES)
def test_what_the_page_cannot_run_is_an_error_with_file_and_line(what: str, tmp_path: Path) -> None:
    copy = tmp_path / "s01_copy.py"
    copy.write_text(
        "from refmodels.delta import VM, Step\n\nSTEP = Step(1, home='exec.c')\n\n\n"
        f"@STEP.changes\ndef tlb_set_page(vm: VM, addr: int) -> int:\n    {BODIES[what]}\n"
    )
    with pytest.raises(TranslationError, match=r"s01_copy\.py:\d+: "):
        models_script({1: load_file(copy, 1)})


def test_a_changed_model_changes_what_the_page_runs(browser: Browser, tmp_path: Path) -> None:
    copy = tmp_path / "s01_copy.py"
    copy.write_text(
        "from refmodels.delta import VM, Step\n\nSTEP = Step(1, home='exec.c')\n\n\n"
        "@STEP.changes\ndef xen_modified_memory(vm: VM, start: int, length: int) -> None:\n"
        "    vm.tell('xen_modified', start, length + 1)\n"
    )
    context = browser.new_context()
    page = context.new_page()
    page.add_script_tag(content=player_script() + models_script({1: load_file(copy, 1)}))
    assert first_wrong(page, [(generate(1, 0), 0)]) == ""
    assert "step 1 operation" in first_wrong(page, [(generate(1, 0), 1)])
    context.close()
