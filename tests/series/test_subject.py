"""A second, tiny subject goes through the tool: a counter in four steps, one of them wrong."""

from __future__ import annotations

import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from replay.cli import main
from replay.errors import SeriesError, UsageError
from replay.search.shrink import shrink
from replay.search.verdict import Verdict
from replay.series import small
from replay.series.check import Plan, check
from replay.series.small_language import SmallLanguage, SmallOp, SmallTrace
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


# --- whatever is wrong with somebody's own is one clear error, and never a pass -----------


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """A counter of one's own, to be broken."""
    folder = tmp_path / "mine"
    shutil.copytree(COUNTER, folder, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def one_error(done: Result, *said: str) -> None:
    assert done.exit_code == 2, done.output
    assert done.stderr.startswith("replay: error: ") and done.stderr.count("\n") == 1
    assert "_fold_" not in done.stderr and "refmodels_copy" not in done.stderr
    for text in said:
        assert text in done.stderr


def edited(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def without_last_model(mine: Path) -> None:
    (mine / "models/s04_take_once.py").unlink()


def without_a_model(mine: Path) -> None:
    (mine / "models/s02_reset_tells.py").unlink()


def with_two_models(mine: Path) -> None:
    shutil.copy(mine / "models/s02_reset_tells.py", mine / "models/s02_another.py")


def without_models(mine: Path) -> None:
    shutil.rmtree(mine / "models")


def without_last_step(mine: Path) -> None:
    toml = mine / "series.toml"
    toml.write_text(toml.read_text().partition("[[step]]\nnumber = 4")[0])
    edited(toml, "first = 1\nlast = 4", "first = 1\nlast = 3")


def with_a_theme_past_the_end(mine: Path) -> None:
    edited(mine / "series.toml", "first = 1\nlast = 4", "first = 1\nlast = 5")


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (without_last_model, ("series.toml", "declares 4 steps", "of step 3")),
        (without_last_step, ("series.toml", "declares 3 steps", "of step 4")),
        (without_a_model, ("models", "there is no s02_")),
        (with_two_models, ("s02_another.py", "s02_reset_tells.py", "both step 2")),
        (without_models, ("models: no such folder", "s00_start.py")),
        (with_a_theme_past_the_end, ("series.toml", "theme 'A'", "1 to 5", "1 to 4")),
    ],
)
@pytest.mark.parametrize("words", ["check --traces 5", "show 1", "bisect --api add"])
def test_what_is_declared_and_what_is_modelled_are_the_same_steps(
    broken: Callable[[Path], None], said: tuple[str, ...], words: str, mine: Path
) -> None:
    broken(mine)
    one_error(cli(*words.split(), folder=mine), *said)


FAULTS = (
    ("import sys\nsys.exit(0)\n", "SystemExit: 0"),
    ("1 / 0\n", "ZeroDivisionError: division by zero"),
    ("def (:\n", "SyntaxError"),
    ("class Odd(BaseException): pass\nraise Odd\n", "Odd"),
    ("STEP = 3\n", "STEP must be Step(3)"),
)


@pytest.mark.parametrize(("text", "said"), FAULTS)
@pytest.mark.parametrize("words", [("check", "--traces", 5), ("show", 3)])
def test_a_model_that_cannot_be_executed_is_named_by_its_file(
    words: tuple[object, ...], text: str, said: str, mine: Path
) -> None:
    path = mine / "models/s03_tens_and_ones.py"
    path.write_text(text)
    one_error(cli(*words, folder=mine), f"{path}", said)


@pytest.mark.parametrize(("text", "said"), FAULTS)
@pytest.mark.parametrize("subject", [["--subject", str(COUNTER)], []])
def test_a_copy_that_cannot_be_executed_is_named_by_its_file(
    subject: list[str], text: str, said: str, tmp_path: Path
) -> None:
    copy = tmp_path / "mine.py"
    copy.write_text(text)
    words = [*subject, "check", "--steps", "3", "--traces", "2", "--model", f"3={copy}"]
    one_error(CliRunner().invoke(main, words), f"{copy}", said)


@pytest.mark.parametrize(("text", "said"), FAULTS[:4])
def test_a_subject_that_cannot_be_executed_is_named_by_its_file(
    text: str, said: str, mine: Path
) -> None:
    (mine / "subject.py").write_text(text)
    one_error(cli("check", folder=mine), f"{mine / 'subject.py'}", said)


def test_a_subject_py_without_a_subject_says_so(mine: Path) -> None:
    (mine / "subject.py").write_text("x = 1\n")
    one_error(cli("check", folder=mine), "subject.py: it makes no SUBJECT")


@pytest.mark.parametrize("name", ["replay.nope:X", "replay.dirty.subject:NOPE"])
def test_a_name_in_the_package_that_is_not_there_is_one_clear_error(name: str) -> None:
    one_error(CliRunner().invoke(main, ["--subject", name, "check"]), f"no subject {name}")


PROPERTY = "        if not 0 <= count <= 25:"
LAW = 'return (before["count"], made[1]) if op.name == "reset" else made'


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (PROPERTY, "        if record.state['cuont']:", ("'within-limit'", "step 0", "KeyError")),
        (PROPERTY, f"        raise SystemExit(0)\n{PROPERTY}", ("'within-limit'", "SystemExit: 0")),
        (PROPERTY, f"        return (index, '')\n{PROPERTY}", ("'within-limit'", "gives (0, ''")),
        ("    return None\n", "    return True\n", ("'within-limit'", "gives True")),
        (LAW, 'return before["cuont"], made[1]', ("step 2", "'reset_gives_the_count'", "KeyError")),
        (LAW, "raise SystemExit(0)", ("step 2", "'reset_gives_the_count'", "SystemExit")),
        (LAW, "return made[1]", ("step 2", "'reset_gives_the_count'", "(returned, state)")),
        (LAW, "return 1, 2", ("step 2", "'reset_gives_the_count'", "(returned, state)")),
        ("def observe", "def obsevre", ("step 0", "no method observe()")),
        ('return {"count": machine.value()}', "return machine.value()", ("step 0", "give a dict")),
        ('return {"count": machine.value()}', "return 1 / 0", ("step 0", "ZeroDivisionError")),
        ('"take": {"n": range(1, 13)}', '"take": {"n": range(0)}', ("take: n", "range(0, 0)")),
        ('"take": {"n": range(1, 13)}', '"tkae": {"n": range(1, 13)}', ("step 0", "'tkae'")),
        ('"take": {"n": range(1, 13)}', '"take": {}', ("step 0", "take does not take")),
        ('"take": {"n": range(1, 13)}', '"room": {}', ("step 0", "'room'")),
    ],
)
def test_a_fault_in_what_a_subject_is_made_of_is_one_clear_error(
    old: str, new: str, said: tuple[str, ...], mine: Path
) -> None:
    edited(mine / "subject.py", old, new)
    one_error(cli("check", "--traces", 20, folder=mine), *said, "mine")


def test_an_operation_that_a_step_lost_is_named_with_the_step(mine: Path) -> None:
    edited(mine / "subject.py", '"reset": {}', '"value": {}')
    with (mine / "models/s04_take_once.py").open("a") as file:
        file.write('STEP.removes("value")\n')
    done = cli("check", "--traces", 5, folder=mine)
    assert done.exit_code == 2 and "step 4" in done.stderr and "value" in done.stderr


def test_a_step_with_a_law_that_adds_a_field_is_one_clear_error(mine: Path) -> None:
    edited(mine / "models/s02_reset_tells.py", 'home="counter.c")\n',
           'home="counter.c")\nSTEP.field("had", lambda vm: 0)\n')  # fmt: skip
    one_error(cli("check", "--traces", 5, folder=mine), "step 2", "field had", "mine")


def test_an_operation_that_ends_the_program_has_crashed(mine: Path) -> None:
    edited(mine / "models/s04_take_once.py", "had = vm.value()", "raise SystemExit(0)")
    done = cli("check", "--traces", 20, folder=mine)
    assert done.exit_code == 1 and "4  undeclared difference" in done.stdout


def test_the_same_crash_at_two_steps_is_the_same(mine: Path) -> None:
    """Though the classes of the machines are called otherwise, and the error says so."""
    edited(mine / "models/s00_start.py", "vm.count = 0\n", "getattr(vm, 'gone')\n")
    machines = subject_of(str(mine)).machines()
    trace = SmallTrace((SmallOp("reset"),))
    old, new = (small.run(step, machines[step], trace) for step in (0, 1))
    assert old.records[0].status == "crash" and "gone" in old.records[0].ret
    assert small.parting(old, new) is None


def test_a_hint_fits_the_steps_of_the_subject() -> None:
    one_error(cli("check", "--model", "foo"), "step from 0 to 4, as in 2=mine.py")
    built_in = CliRunner().invoke(main, ["check", "--model", "foo"])
    one_error(built_in, "step from 0 to 39, as in 27=mine.py")


def test_bisect_says_nothing_of_patches_where_there_are_none(mine: Path) -> None:
    done = cli("bisect", "--api", "room", folder=mine)
    assert done.exit_code == 0 and "guilty: step 1" in done.stdout
    assert "patch" not in done.stdout
    (mine / "patches").mkdir()
    assert "its patch cannot be shown" in cli("bisect", "--api", "room", folder=mine).stdout


def test_traces_are_as_long_as_the_subject_draws_them(mine: Path) -> None:
    def ops(*words: object) -> int:
        done = cli("check", "--traces", 2, "--json", *words, folder=mine)
        return int(json.loads(done.stdout)["ops"])

    assert ops() == 12 and ops("--ops", 7) == 7
    built_in = CliRunner().invoke(
        main, ["check", "--steps", "1", "--traces", "2", "--lane", "python", "--json"]
    )
    assert json.loads(built_in.stdout)["ops"] == 50


@pytest.mark.parametrize("words", [{}, {"add": {"n": range(0)}}, {"add": {"n": 3}}])
def test_a_language_without_anything_to_draw_is_refused(words: dict[str, dict[str, range]]) -> None:
    with pytest.raises(SeriesError, match="words"):
        SmallLanguage(words)
