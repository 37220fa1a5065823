"""A second, tiny subject goes through the tool: a counter in four steps, one of them wrong."""

from __future__ import annotations

import json
import pickle
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from replay.cli import main
from replay.errors import SeriesError, UsageError
from replay.search.shrink import shrink
from replay.search.verdict import Verdict
from replay.series.check import Plan, check
from replay.series.small_language import SmallOp, SmallTrace
from replay.series.subject import Subject, subject_of

COUNTER = Path(__file__).parent / "counter"


@pytest.fixture
def counter() -> Subject:
    return subject_of(str(COUNTER))


def cli(*words: object, folder: Path = COUNTER) -> Result:
    return CliRunner().invoke(main, ["--subject", str(folder), *map(str, words)])


def test_check_finds_the_deviation_and_the_fault(counter: Subject) -> None:
    plan = Plan(counter, counter.language, traces=100, steps=counter.steps)
    result = check(plan)
    assert [step.verdict for step in result.steps] == [
        Verdict.SAME, Verdict.DEVIATES, Verdict.SAME, Verdict.UNDECLARED,
    ]  # fmt: skip
    example = result.steps[3].failures[0].example
    assert example is not None and example.shrunk
    assert example.trace.ops == (SmallOp("add", (1,)), SmallOp("take", (2,)))
    assert check(plan, jobs=2).steps == result.steps


def test_the_command_line_checks_it_and_gives_the_command_to_look_closer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = cli("check", "--traces", 100)
    assert done.exit_code == 1
    assert "4  undeclared difference" in done.stdout
    command = f"replay --subject {COUNTER} compare counterexamples/step-4-difference.jsonl 3 4"
    assert command in done.stdout
    compared = cli(*command.split()[3:])
    assert compared.exit_code == 1
    assert "take(2)" in compared.stdout and "step 3: returns 1; count 0" in compared.stdout
    trace = tmp_path / "counterexamples" / "step-4-difference.jsonl"
    assert "returns 0; count 1" in cli("run", trace, "--step", 4).stdout


def test_bisect_names_the_step_by_trace_and_shows_it(tmp_path: Path) -> None:
    trace = tmp_path / "t.jsonl"
    lines = ['{"format": "replay-trace/1", "name": "t"}', '{"op": "add", "n": 9}',
             '{"op": "take", "n": 12}', '{"op": "add", "n": 3}']  # fmt: skip
    trace.write_text("\n".join(lines) + "\n")
    done = cli("bisect", "--trace", trace)
    assert done.exit_code == 0
    assert "guilty: step 4: counter: take in one comparison" in done.stdout
    assert "The shortest trace, at steps 3 and 4" in done.stdout
    assert "add(1)" in done.stdout and "take(2)" in done.stdout
    data = json.loads(cli("bisect", "--trace", trace, "--json").stdout)
    assert data["guilty"] == [4]
    assert data["question"]["subject"] == str(COUNTER)


def test_bisect_finds_who_breaks_a_property_in_a_changed_model(tmp_path: Path) -> None:
    text = (COUNTER / "models" / "s03_tens_and_ones.py").read_text()
    copy = tmp_path / "mine.py"
    copy.write_text(text.replace("added = min(n, vm.room())", "added = n"))
    done = cli("bisect", "--property", "within-limit", "--model", f"3={copy}")
    assert done.exit_code == 0
    assert "guilty: step 3" in done.stdout


def test_show_reads_its_steps(counter: Subject) -> None:
    shown = cli("show", 3).stdout
    assert "removes  field count" in shown and "adds     put" in shown
    assert "step  0  adds      counter: " not in shown
    life = cli("show", "--function", "take").stdout
    assert [line.split()[1] for line in life.splitlines()[1:-1]] == ["0", "3", "4"]
    assert cli("show", 5).exit_code == 2
    assert "steps are 0 to 4" in cli("show", 5).stderr


def test_shrinking_is_that_of_the_search(counter: Subject) -> None:
    trace = counter.language.draw(3, 7)
    assert counter.language.is_valid(trace)

    def has_two(candidate: SmallTrace) -> bool:
        return sum(op.name == "take" for op in candidate.ops) >= 2

    assert has_two(trace)
    small = shrink(trace, counter.language, has_two, 500)
    assert small.complete
    assert small.trace.ops == (SmallOp("take", (1,)),) * 2


def test_a_trace_file_is_what_was_written(counter: Subject, tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    trace = counter.language.draw(1, 1).renamed("t")
    path.write_text(counter.language.to_text(trace, "t"))
    assert counter.language.read(path) == trace
    for line, said in (
        ('{"op": "add", "n": 13}', "n is 13"),
        ('{"op": "tke", "n": 1}', "did you mean 'take'"),
        ('{"op": "add"}', "n"),
    ):
        path.write_text('{"format": "replay-trace/1", "name": "t"}\n' + line + "\n")
        done = cli("run", path, "--step", 1)
        assert done.exit_code == 2 and f"{path}:2" in done.stderr and said in done.stderr


def test_it_travels_between_processes_by_its_name(counter: Subject, tmp_path: Path) -> None:
    assert pickle.loads(pickle.dumps(counter)) is counter
    file = tmp_path / "series.toml"
    file.write_text((COUNTER / "series.toml").read_text().replace("never", "soon"))
    other = counter.reading(file)
    assert pickle.loads(pickle.dumps(other)) is other
    assert other.series.merged == "soon" and counter.series.merged == "never"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('law = "reset_gives_the_count"', 'law = "reset_gives_a_count"', "did you mean"),
        ('name = "within-limit"', 'name = "within-limits"', "no property 'within-limits'"),
        ('fields = ["ret"]', 'fields = ["count"]', "changes ret, which its fields do not name"),
        ('theme = "A"\nkind = "fix"', 'theme = "B"\nkind = "fix"', "theme 'B'"),
    ],
)
def test_a_wrong_series_is_one_clear_error(old: str, new: str, said: str, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    shutil.copytree(COUNTER, folder)
    toml = folder / "series.toml"
    assert old in toml.read_text()
    toml.write_text(toml.read_text().replace(old, new))
    done = cli("check", "--traces", 5, folder=folder)
    assert done.exit_code == 2
    assert done.stderr.startswith("replay: error: ") and said in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_broken_subject_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no subject\.py"):
        subject_of(str(tmp_path))
    for text, said in (("1 / 0\n", "ZeroDivisionError"), ("SUBJECT = 3\n", "no Subject")):
        folder = tmp_path / said.replace(" ", "")
        folder.mkdir()
        (folder / "subject.py").write_text(text)
        with pytest.raises(UsageError, match=said):
            subject_of(str(folder))
    (folder / "subject.py").unlink()
    assert cli("check", folder=folder).exit_code == 2


def test_commands_that_know_the_built_in_subject_alone_say_so() -> None:
    for words in (["conform", "x"], ["teach"], ["series", "list"]):
        done = cli(*words)
        assert done.exit_code == 2 and "built-in subject alone" in done.stderr
    done = cli("check", "--lane", "native")
    assert done.exit_code == 2 and "leave out --subject" in done.stderr


def test_a_misspelt_law_of_the_built_in_series_is_named(tmp_path: Path) -> None:
    from replay.dirty.subject import SUBJECT

    text = SUBJECT.file.read_text(encoding="utf-8")
    file = tmp_path / "series.toml"
    file.write_text(text.replace('law = "xen_told_start"', 'law = "xen_told_strat"'))
    with pytest.raises(SeriesError, match=r"step 27.*did you mean 'xen_told_start'"):
        _ = SUBJECT.reading(file).series


def test_bisect_of_an_api_reads_the_copy_and_a_wrong_model_is_named(tmp_path: Path) -> None:
    from replay.dirty.subject import SUBJECT

    copy = tmp_path / "copy"
    copy.mkdir()
    text = SUBJECT.file.read_text(encoding="utf-8")
    name = "cpu_physical_memory_is_clean"
    assert text.count(f"bool {name}(") >= 1
    (copy / "series.toml").write_text(text.replace(name, "cpu_physical_memory_is_spotless"))
    run = CliRunner().invoke
    words = ["bisect", "--series", str(copy), "--lane", "native", "--json", "--api"]
    found = run(main, [*words, "cpu_physical_memory_is_spotless"])
    assert json.loads(found.stdout)["guilty"]
    assert run(main, [*words, name]).exit_code == 2
    wrong = run(main, ["bisect", "--property", "no-lost-store", "--model", "foo"])
    assert wrong.exit_code == 2 and "write STEP=FILE" in wrong.stderr
