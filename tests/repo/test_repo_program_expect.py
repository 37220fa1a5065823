"""Differences of programs that are declared: ``verify --program`` with ``--expect``."""

from __future__ import annotations

import json
import re
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest
from userrepo import UserRepo, cli

from replay.repo.program.running import Runner

TOOL = """\
import sys
text = sys.stdin.read()
total = sum(len(line) for line in text.splitlines())
print("total", total)
if "x" in text:
    print("no x", file=sys.stderr)
    sys.exit(2)
open("out.txt", "w").write(f"{total}\\n")
"""
LOUD = TOOL.replace('"total"', '"TOTAL"')
PLAIN = LOUD.replace("sum(len(line) for", "sum(line != '' and len(line) for")
STATUS = PLAIN.replace("exit(2)", "exit(3)")
WRITTEN = STATUS.replace('{total}\\n"', '{total}.\\n"')
CRASHES = WRITTEN.replace("import sys\n", "import os, sys\n").replace(
    "    print(", "    os.abort() if 'xx' in text else None\n    print("
)
PROGRAM = shlex.join([sys.executable, "-S", "tool.py"])
"""Each run starts one, and "python3" may be a script that looks for it."""
INPUTS = """\
format = "replay-inputs/1"
[[run]]
stdin = ["", "ab\\n", "x", "xx", "{text}"]
[rules]
text = ["", "{word}\\n{text}"]
word = { alphabet = "abx", length = [1, 4] }
"""
ENTRY = """
[[expect]]
subject = "{subject}"
fields = [{fields}]
kind = "new text"
reason = "wanted"
{more}
"""


def entry(subject: str, *fields: str, more: str = "") -> str:
    return ENTRY.format(subject=subject, fields=", ".join(map(json.dumps, fields)), more=more)


ALL = (
    entry("loud", "stdout"), entry("status", "status"), entry("written", "file out.txt"),
    entry("crashes", "crash"),
)  # fmt: skip


@pytest.fixture
def repo(tmp_path: Path) -> UserRepo:
    repo = UserRepo(tmp_path / "repo")
    for subject, text in (
        ("base", TOOL), ("loud", LOUD), ("plain", PLAIN), ("status", STATUS),
        ("written", WRITTEN), ("crashes", CRASHES),
    ):  # fmt: skip
        repo.commit(subject, tool_py=text)
    return repo


def run(
    repo: UserRepo, entries: tuple[str, ...] | None, *more: object, span: str = "main~5..main"
) -> tuple[int, Any]:
    (repo.path.parent / "inputs.toml").write_text(INPUTS)
    words: list[object] = ["--program", PROGRAM, "--traces", 12, "--build", "true"]
    words += ["--inputs", repo.path.parent / "inputs.toml", "--jobs", 2]
    if entries is not None:
        path = repo.path.parent / "expect.toml"
        path.write_text("".join(('format = "replay-expect/1"\n', *entries)))
        words += ["--expect", path]
    done = cli("verify", "--repo", repo.path, "--range", span, *words, *more)
    return done.returncode, done if "--json" not in more else json.loads(done.stdout)


def verdicts(found: Any) -> list[str]:
    return [row["verdict"] for row in found["commits"][1:]]


def test_what_is_declared_of_each_field_passes_and_shows_where(repo: UserRepo) -> None:
    code, found = run(repo, ALL, "--json")
    assert verdicts(found) == [
        "deviates as declared", "same", *["deviates as declared"] * 3,
    ]  # fmt: skip
    assert code == 0 and found["passed"] and found["guilty"] is None
    loud, _, status, written, crashes = (row["declared"] for row in found["commits"][1:])
    assert loud[0]["parts"] == ["stdout"] and loud[0]["shown"]
    assert loud[0]["instance"]["before"].startswith("total")
    assert status[0]["instance"]["run"]["stdin"].count("x") > 0
    assert written[0]["parts"] == ["file out.txt"]
    assert [crashes[0]["instance"][side] for side in ("before", "after")] == ["status 3", "SIGABRT"]


def test_what_is_not_declared_fails_also_beside_and_behind_what_is(repo: UserRepo) -> None:
    repo.commit("both", tool_py=CRASHES.replace("TOTAL", "sum").replace("no x", "never x"))
    entries = (*ALL, entry("both", "stderr"))
    code, found = run(repo, entries, "--json", span="main~6..main")
    assert code == 1 and found["guilty"] == found["commits"][-1]["commit"]
    example = found["commits"][-1]["example"]
    assert [field[0] for field in example["differs"]] == ["standard output"]
    assert example["run"] == {}
    assert found["commits"][-1]["declared"][0]["shown"]
    # The commit that declares nothing is beside one that does, in its place.
    code, found = run(repo, (), "--json", span="main~6..main~4")
    assert verdicts(found) == ["undeclared difference", "same"] and code == 1


def test_what_never_shows_fails_and_is_named(repo: UserRepo) -> None:
    entries = (entry("loud", "stdout"), entry("plain", "stderr", "hang"))
    code, done = run(repo, entries, span="main~5..main~3")
    assert code == 1 and "declared but not shown" in done.stdout
    flat = " ".join(done.stdout.split())
    assert "expect.toml:10: expect[2]: stderr, hang: never shown on 12 runs" in flat
    assert "expect[1] (new text: wanted) shown by 12 of 12 runs: stdout; for instance" in flat
    # Identical programs, too.
    repo.commit("nothing")
    code, found = run(repo, (entry("nothing", "stdout"),), "--json", span="main~1..main")
    assert code == 1 and verdicts(found) == ["declared but not shown"]
    assert "as the code is identical" in found["commits"][1]["reason"]


def test_a_rule_is_told_the_run_and_both_records(repo: UserRepo, tmp_path: Path) -> None:
    rules = tmp_path / "rules.py"
    rules.write_text(
        "def loud(operation, values, before, after):\n"
        "    assert operation == 'run' and set(values) <= {'stdin'}, values\n"
        "    assert before['status'] in (0, 2) and before['stderr'] in ('', 'no x\\n')\n"
        "    return after['stdout'] == before['stdout'].upper()\n"
        "def few(operation, values, before, after):\n"
        "    return 'x' not in values.get('stdin', '')\n"
    )
    for name, code in (("loud", 0), ("few", 1)):
        more = f'rule = "rules.py:{name}"'
        found = run(repo, (entry("loud", "stdout", more=more),), "--json", span="main~5..main~4")
        assert found[0] == code, found
    assert "x" in found[1]["commits"][1]["example"]["run"]["stdin"]
    assert any("rules.py was executed" in note for note in found[1]["notes"])


def test_a_patch_id_names_a_commit_and_a_search_blames_the_rest(repo: UserRepo) -> None:
    repo.commit("other", tool_py=CRASHES.replace("no x", "never x"))
    patch = repo.git("patch-id", "--stable", stdin=repo.git("show", "main~5") + "\n").split()[0]
    entries = (
        f'[[expect]]\npatch_id = "{patch[:12]}"\nfields = "stdout"\nkind = "a"\nreason = "b"\n',
        *ALL[1:],
    )
    code, found = run(repo, entries, "--json", "--bisect", span="main~6..main")
    assert code == 1 and found["guilty"] == repo.git("rev-parse", "main")
    (change,) = found["search"]["changes"]
    assert change["kinds"] == ["error output"]


def test_a_draft_passes_once_the_reasons_are_written(repo: UserRepo, tmp_path: Path) -> None:
    drafted = tmp_path / "drafted.toml"
    code, _ = run(repo, None, "--json", "--write-expect", drafted)
    assert code == 1
    text = drafted.read_text()
    for fields in ('["stdout"]', '["status"]', '["file out.txt"]', '["crash"]'):
        assert f"fields = {fields}" in text
    assert "#   arguments: (none)" in text and "# patch_id" in text
    again = cli("verify", "--repo", repo.path, "--range", "main~5..main", "--build", "true",
                "--program", PROGRAM, "--expect", drafted)  # fmt: skip
    assert again.returncode == 2 and "say why it is right" in again.stderr
    entries = text.replace('reason = ""', 'reason = "wanted"').partition("replay-expect/1")[2]
    code, found = run(repo, (entries.lstrip('"\n'),), "--json")
    assert code == 0 and verdicts(found).count("deviates as declared") == 4


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (entry("loud", "stdot"), "nothing seen of a run is called 'stdot'; did you mean 'stdout'?"),
        (entry("loud", "out.txt"), "called 'out.txt'; a file is named as \"file out.txt\""),
        (entry("loud", "stdout", more='functions = ["f"]'), "of a program no functions are called"),
        (entry("loud", "ret", more='results = [{ call = "f()", now = 1 }]'), "with a rule"),
        (entry("lout", "stdout"), "has the subject 'lout'; did you mean 'loud'?"),
        (entry("loud", "stdout", more='rule = "none.py:f"'), "none.py: no such file"),
    ],
)
def test_what_is_wrong_with_the_file_is_said_at_its_place(
    text: str, said: str, repo: UserRepo
) -> None:
    code, done = run(repo, (text,))
    assert code == 2 and said in done.stderr
    assert re.search(r"expect.toml:\d+: expect\[1\]", done.stderr)


# --- remembered ---------------------------------------------------------------------------


def test_a_verdict_is_remembered_by_all_that_it_rests_on(
    repo: UserRepo, monkeypatch: pytest.MonkeyPatch
) -> None:
    span = "main~5..main~2"
    _, first = run(repo, None, "--json", span=span)
    ran: list[object] = []
    once = Runner.run

    def watched(self: Runner, *given: Any, **how: Any) -> Any:
        ran.append(given)
        return once(self, *given, **how)

    monkeypatch.setattr(Runner, "run", watched)
    code, again = run(repo, None, "--json", span=span)
    assert not ran and code == 1
    assert any("3 of 3 verdicts are those of an earlier run" in note for note in again["notes"])
    for one, other in zip(first["commits"], again["commits"], strict=True):
        assert {**one, "cached": 0} == {**other, "cached": 0}
    for more in (("--fresh",), ("--seed", 2), ("--call-timeout", 4)):
        ran.clear()
        run(repo, None, *more, span="main~4..main~3")
        assert ran, more
    ran.clear()
    run(repo, (entry("loud", "stdout"),), span="main~5..main~4")
    assert ran  # declared otherwise
    ran.clear()
    assert run(repo, (entry("loud", "stdout"),), span="main~5..main~4")[0] == 0 and not ran


def test_a_crash_and_what_a_rule_says_are_not_remembered(
    repo: UserRepo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "rules.py").write_text("def fits(*given):\n    return True\n")
    ruled = entry("loud", "stdout", more='rule = "rules.py:fits"')
    for entries, span in ((None, "main~1..main"), ((ruled,), "main~5..main~4")):
        for _ in range(2):
            _, found = run(repo, entries, "--json", span=span)
            assert not any("earlier run" in note for note in found["notes"])
