"""``replay verify --program``: a C tool and a Python script, each a small series of commits."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from userrepo import UserRepo, cli

from replay.repo.program.case import Case, read_case, to_text
from replay.repo.program.comparing import agree, compare
from replay.repo.program.inputs import parse_inputs
from replay.repo.program.language import CaseLanguage
from replay.repo.program.running import Outcome
from replay.search.shrink import shrink
from replay.search.verdict import Verdict

COUNT = """\
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
int main(int argc, char **argv) {
    long lines = 0, letters = 0;
    const char *out = NULL;
    int c, limit = -1;
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "-o") && i + 1 < argc) out = argv[++i];
        else if (!strcmp(argv[i], "-n") && i + 1 < argc) limit = atoi(argv[++i]);
        else { fprintf(stderr, "usage: %s [-n N] [-o FILE]\\n", argv[0]); return 2; }
    }
    /*HANG*/
    while ((c = getchar()) != EOF) {
        /*LETTER*/
        if (c == '\\n') { lines++; if (lines == limit) break; }
        else letters++;
    }
    /*CRASH*/
    printf("%ld lines\\n%ld letters\\n", lines, letters);
    if (out) {
        FILE *f = fopen(out, "w");
        fprintf(f, "%ld" "\\n", lines);
        fclose(f);
    }
    return 0;
}
"""
REFACTORED = COUNT.replace("else letters++", "else letters = letters + (argc > 0)")
LETTER = REFACTORED.replace("/*LETTER*/", "if (c == 'x' && letters == 1) continue;")
CRASH = LETTER.replace("/*CRASH*/", "if (lines > 2 && limit == 3) *(volatile int *)8 = 1;")
HANG = CRASH.replace("/*HANG*/", "while (limit == 0) c = 1;")
FILE = HANG.replace('"%ld"', '"%ld."')
INPUTS = """\
format = "replay-inputs/1"
[[run]]
args = ["", "-n {n}", "-o out.txt", "-n {n} -o out.txt"]
stdin = ["", "{text}"]
[rules]
n = { range = [-1, 5] }
text = ["", "{word}\\n{text}", "{word} {word}\\n{text}"]
word = { alphabet = "abx", length = [1, 4] }
"""
PYTHON = shlex.join([sys.executable, "-S", "tool.py"])
MAKE = "cc -O1 -g -o tool tool.c"

SCRIPT = """\
import os, sys, time
print(f"pid {os.getpid()} at {time.time():.0f} in {id(object()):#x}", file=sys.stderr)
def total(lines):
    return sum(len(line.split()) for line in lines)
lines = sys.stdin.read().splitlines()
print(total(lines), "words")
"""
RENAMED = SCRIPT.replace("total", "count_words")
WRONG = RENAMED.replace("line.split()", "line.split(' ')")
WRITES = WRONG + 'open("log", "a").write(f"{len(lines)}\\n")\n'


def commits(path: Path, name: str, *series: tuple[str, str]) -> UserRepo:
    repo = UserRepo(path)
    for subject, text in series:
        repo.commit(subject, **{name.replace(".", "_"): text})
    return repo


@pytest.fixture(scope="session")
def tool(tmp_path_factory: pytest.TempPathFactory) -> UserRepo:
    return commits(
        tmp_path_factory.mktemp("tool") / "repo", "tool.c",
        ("base", COUNT), ("count otherwise", REFACTORED), ("count x", LETTER),
        ("stop", CRASH), ("wait", HANG), ("write", FILE),
    )  # fmt: skip


@pytest.fixture(scope="session")
def script(tmp_path_factory: pytest.TempPathFactory) -> UserRepo:
    return commits(
        tmp_path_factory.mktemp("script") / "repo", "tool.py",
        ("base", SCRIPT), ("rename", RENAMED), ("split", WRONG), ("log", WRITES),
    )  # fmt: skip


@pytest.fixture
def inputs(tmp_path: Path) -> Path:
    path = tmp_path / "inputs.toml"
    path.write_text(INPUTS)
    return path


def verify(repo: UserRepo, *more: object, span: str = "main~5..main", **how: Any):
    words = ("--range", span, "--build", how.get("build", MAKE))
    return cli("verify", "--repo", repo.path, *words, "--program", how.get("program", "tool"),
               "--jobs", 2, *more)  # fmt: skip


def report(*given: Any, **how: Any) -> tuple[int, dict[str, Any]]:
    done = verify(*given, "--json", **how)
    assert done.stderr == ""
    return done.returncode, json.loads(done.stdout)


def verdicts(found: dict[str, Any]) -> list[str]:
    return [row["verdict"] for row in found["commits"]]


def test_each_commit_of_a_c_tool_has_its_verdict_and_its_shortest_run(
    tool: UserRepo, inputs: Path
) -> None:
    before = tool.digest()
    code, found = report(tool, "--inputs", inputs, "--traces", 80)
    assert code == 1
    assert verdicts(found) == [
        "base", "same", "undeclared difference", "crash", "hang", "undeclared difference",
    ]  # fmt: skip
    _, same, letter, crash, hang, file = found["commits"]
    assert same["evidence"]["runs"] == same["evidence"]["output"] == 80
    assert letter["example"]["run"] == {"stdin": "ax"}
    assert letter["example"]["differs"] == [
        ["standard output", "0 lines\n2 letters\n", "0 lines\n1 letters\n"]
    ]
    assert crash["example"]["run"] == {"args": ["-n", "3"], "stdin": "\n\n\n"}
    assert crash["example"]["differs"] == [["end", "status 0", "SIGSEGV"]]
    assert hang["example"]["run"]["args"][0] == "-n" and hang["example"]["run"].get("stdin") is None
    assert hang["example"]["differs"] == [["end", "status 0", "hang"]]
    (field,) = file["example"]["differs"]
    assert field[1:] == ["0\n", "0.\n"] and field[0].startswith("file ")
    assert tool.digest() == before
    # A saved run shows the same when it is run again.
    again = cli(*shlex.split(letter["example"]["command"])[1:], "--json")
    (_, row) = json.loads(again.stdout)["commits"]
    assert again.returncode == 1
    assert row["example"]["differs"] == letter["example"]["differs"]
    assert row["example"]["run"] == letter["example"]["run"]


def test_a_script_is_compared_but_for_its_pid_its_time_and_an_address(script: UserRepo) -> None:
    code, found = report(script, "--traces", 15, span="main~3..main", build="true", program=PYTHON)
    assert code == 1
    assert verdicts(found) == ["base", "same", *["undeclared difference"] * 2]
    same, wrong, writes = found["commits"][1:]
    notes = " ".join(same["notes"])
    for what in ("a process number", "the time", "an address"):
        assert f"error output, {what}" in notes
    assert wrong["example"]["run"] == {"stdin": " "}
    assert [field[0] for field in wrong["example"]["differs"]] == ["standard output"]
    assert writes["example"]["run"] == {}
    assert writes["example"]["differs"] == [["file log", None, "0\n"]]


def test_bisect_names_the_guilty_commits_and_builds_few(tmp_path: Path) -> None:
    repo = UserRepo(tmp_path / "many")
    for number in range(17):
        code = COUNT if number < 11 else LETTER
        repo.commit(f"commit {number}", tool_c=f"/* {number} */ int unused_{number};\n{code}")
    code, found = report(repo, "--bisect", "--traces", 40, span="main~16..main")
    assert code == 1
    (guilty,) = [row for row in found["commits"] if row["commit"] == found["guilty"]]
    assert guilty["subject"] == "commit 11"
    assert guilty["example"]["run"] == {"stdin": "ax"}
    assert len(found["search"]["probes"]) <= 7
    (change,) = found["search"]["changes"]
    assert change["commit"] == found["guilty"] and change["kinds"] == ["standard output"]


def test_the_same_whatever_the_jobs(tool: UserRepo, inputs: Path) -> None:
    words = ("--inputs", inputs, "--traces", 30)
    found = [report(tool, *words, "--jobs", jobs, span="main~4..main~3") for jobs in (1, 3)]
    assert found[0][1]["commits"][1]["example"] is not None
    assert [one[1]["commits"][1]["example"]["run"] for one in found] == [{"stdin": "ax"}] * 2


def test_identical_programs_are_not_run_and_an_unfit_input_decides_nothing(tmp_path: Path) -> None:
    usage = COUNT.replace("int c, limit", 'if (argc < 2) { fputs("usage: tool FILE\\n", stderr); '
                          "return 2; }\n    int c, limit")  # fmt: skip
    repo = commits(tmp_path / "r", "tool.c", ("a", usage), ("b", usage + "/* */\n"),
                   ("c", usage.replace("letters++", "letters += 2")))  # fmt: skip
    code, found = report(repo, "--traces", 20, span="main~2..main", build="cc -o tool tool.c")
    assert code == 4
    assert verdicts(found) == ["base", "same", "not decided"]
    assert found["commits"][1]["evidence"] == {"identical": True}
    assert "20 of 20 runs fail in the same way on both sides" in found["commits"][2]["reason"]
    assert "usage: tool FILE" in found["commits"][2]["reason"]


def test_what_cannot_be_built_is_told_and_the_next_is_compared_with_the_last_that_could(
    tmp_path: Path,
) -> None:
    repo = commits(tmp_path / "r", "tool.c", ("a", COUNT), ("b", "broken"), ("c", LETTER))
    code, found = report(repo, "--traces", 30, span="main~2..main")
    assert code == 1
    assert verdicts(found) == ["base", "cannot be built", "undeclared difference"]
    row = found["commits"][2]
    assert row["against"] == found["commits"][0]["commit"]
    assert any("may have come with" in note for note in row["notes"])


def test_files_of_the_tree_that_a_script_loads_are_there(tmp_path: Path) -> None:
    repo = UserRepo(tmp_path / "r")
    main = "import helper, sys\nprint(helper.up(sys.stdin.read()))\n"
    repo.commit("a", tool_py=main, helper_py="def up(text):\n    return text.upper()\n")
    repo.commit("b", helper_py="def up(text):\n    return text.upper().strip()\n")
    code, found = report(repo, "--traces", 8, span="main~1..main", build="true", program=PYTHON)
    assert code == 1 and found["commits"][1]["example"]["run"] == {"stdin": " "}


def test_children_end_with_the_run_and_output_without_end_is_cut(tmp_path: Path) -> None:
    mark = f"{os.getpid()}.{time.time_ns()}"
    text = f"#!/bin/sh\nsleep 7{mark[-5:]} &\necho here\nyes\n"
    repo = commits(tmp_path / "r", "tool.sh", ("a", text), ("b", text + "# more\n"))
    (repo.path / "tool.sh").chmod(0o755)
    repo.git("add", "-A")
    repo.git("commit", "-q", "--amend", "-m", "b")
    base = repo.git("rev-parse", "HEAD")
    repo.commit("c", tool_sh=text + "# still more\n")
    _, found = report(repo, "--traces", 3, span=f"{base}..main", build="true", program="tool.sh")
    assert found["commits"][1]["verdict"] in ("not decided", "same")
    running = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True)
    assert f"sleep 7{mark[-5:]}" not in running.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--program", "/bin/cat"), "relative to the top of the tree"),
        (("--program", "no-such-python tool.py"), "no no-such-python on the PATH"),
        (("--program", "tool", "--library", "x.so"), "--library PATH, or --program PATH"),
        ((), "--library PATH, or --program PATH"),
        (("--program", "tool", "--ops", "3"), "--ops goes with --library"),
        (("--library", "x.so", "--corpus", "."), "--corpus goes with --program"),
        (("--program", "tool", "--expect", "e.toml"), "--write-expect FILE drafts one"),
        (("--program", "tool", "--write-expect", "."), ".: it is there already"),
        (("--program", "tool", "--corpus", "none"), "none: no such folder"),
        (("--program", "tool", "--inputs", "none.toml"), "replay init --program"),
    ],
)
def test_bad_input_gives_one_message(tool: UserRepo, words: tuple[str, ...], said: str) -> None:
    done = cli("verify", "--repo", tool.path, "--range", "main~1..main", "--build", MAKE, *words)
    assert done.returncode == 2 and done.stderr.startswith("replay: error: ")
    assert said in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "write format = 'replay-inputs/1'"),
        ('[[run]]\nargs = ["{n}"]', "{n} names no rule"),
        ('[[run]]\narg = [""]', "run[1].arg: unknown key 'arg'; did you mean 'args'?"),
        ('[[run]]\nstdin = { corpus = "none" }', "none: no such folder"),
        ('[[run]]\nfiles = { "../x" = [""] }', "is no relative path"),
        ('[[run]]\nfiles = { a = ["1"], "a/b" = ["2"] }', "'a/b' lies in 'a', a file; rename"),
        ('[[run]]\nfiles = { a = ["1"], "./a" = ["2"] }', "'./a' is 'a'; rename one"),
        ('[env]\n"A=B" = "x"', "'A=B' is no name of a variable"),
        ('[rules]\na = ["{a}"]', "rules.a: it never ends"),
        ("[rules]\na = { range = [3, 1] }", "rules.a.range: [3, 1] is no range"),
    ],
)
def test_a_defect_of_an_inputs_file_has_its_place(text: str, said: str, tmp_path: Path) -> None:
    from replay.repo.errors import BindingError

    head = 'format = "replay-inputs/1"\n' if text else "[rules]"
    with pytest.raises(BindingError) as caught:
        parse_inputs(head + text, tmp_path / "inputs.toml")
    assert said in str(caught.value) and str(caught.value).startswith(str(tmp_path))


def test_cases_are_drawn_from_the_lists_first_and_are_the_same_again(tmp_path: Path) -> None:
    language = CaseLanguage(parse_inputs(INPUTS, tmp_path / "inputs.toml"))
    drawn = [language.draw(1, number) for number in range(60)]
    assert drawn == [language.draw(1, number) for number in range(60)]
    assert drawn[0] == Case() and drawn[2].args == ("-o", "out.txt")
    assert len(set(drawn)) > 30 and language.draw(2, 50) != drawn[50]


def test_a_case_is_read_as_it_was_written(tmp_path: Path) -> None:
    case = Case(("-n", "ä b", ""), b"\xff\0\n", (("in/x", b"1\n"), ("y", b"")))
    path = tmp_path / "case.jsonl"
    path.write_text(to_text(case, "x"))
    assert read_case(path) == case


def test_a_case_is_made_short_in_arguments_lines_bytes_and_files(tmp_path: Path) -> None:
    language = CaseLanguage(parse_inputs(INPUTS, tmp_path / "inputs.toml"))
    whole = Case(
        ("-v", "--key=long", "x"), b"one\ntwo and more\nthree\n", (("a", b"p\nq\n"), ("b", b"r"))
    )

    def holds(case: Case) -> bool:
        files = dict(case.files)
        return b"and" in case.stdin and "k" in "".join(case.args) and b"q" in files.get("a", b"")

    shrunk = shrink(whole, language, holds, 1000)
    assert shrunk.complete and shrunk.trace == Case(("k",), b"and", (("a", b"q"),))


def test_a_shorter_case_has_arguments_that_may_be_given(tmp_path: Path) -> None:
    """An option without what it is for might do what nobody asked for."""
    text = 'format = "replay-inputs/1"\n[[run]]\nargs = ["", "-n", "--delete {w}"]\n'
    text += '[rules]\nw = ["tmp/long", "tmp/x"]\n'
    inputs = parse_inputs(text, tmp_path / "inputs.toml")
    asked = set()

    def holds(case: Case) -> bool:
        asked.add(case.args)
        return "--delete" in case.args

    whole = Case(("--delete", "tmp/long"), b"", ())
    shrunk = shrink(whole, CaseLanguage(inputs).shortening(whole, 1), holds, 1000)
    assert shrunk.trace.args == ("--delete", "tmp/x")
    assert asked <= {(), ("-n",), ("--delete", "tmp/long"), ("--delete", "tmp/x")}


@pytest.mark.parametrize(
    ("before", "after", "alike"),
    [
        ([b"pid 1\nx 5", b"pid 2\nx 5"], [b"pid 3\nx 5", b"pid 4\nx 5"], True),
        ([b"pid 1\nx 5", b"pid 2\nx 5"], [b"pid 3\nx 6", b"pid 4\nx 6"], False),
        ([b"pid 1 x 5", b"pid 2 x 5"], [b"pid 3 x 6", b"pid 4 x 6"], False),
        ([b"a", b"a\nb"], [b"c", b"c\nd\ne"], True),
        ([b"1\nx", b"2\nx"], [b"3\nx\ny", b"4\nx\ny"], False),
        ([None, b"x"], [b"y", b"y"], True),
        ([b"x", b"x"], [None, None], False),
    ],
)
def test_what_varies_is_left_out_and_the_rest_is_compared(
    before: list[bytes | None], after: list[bytes | None], alike: bool
) -> None:
    assert agree(before, after) is alike and agree(after, before) is alike


def test_a_crash_that_comes_and_goes_on_one_side_is_a_difference() -> None:
    good, bad = Outcome("status 0"), Outcome("SIGSEGV")
    found = compare([good, good, good], [good, bad, good])
    assert found is not None and found.verdict is Verdict.CRASH
    assert found.fields == (("end", b"status 0", b"SIGSEGV in 1 of 3 runs"),)
    gone = compare([good, bad, good], [good, good, good])
    assert gone is not None and gone.verdict is Verdict.UNDECLARED
    assert compare([good, bad], [bad, good]) is None


def test_init_drafts_inputs_that_can_be_used_as_they_are(tool: UserRepo, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "one").write_text("axis\n\n")
    path = tmp_path / "drafted.toml"
    done = cli("init", "--program", tool.path / "tool.c", "--corpus", data, "-o", path)
    assert (done.returncode, done.stderr) == (0, "") and str(path) in done.stdout
    text = path.read_text()
    assert '# args = ["", "-o", "-n"]' in text
    code, found = report(tool, "--inputs", path, "--traces", 10, span="main~4..main~3")
    assert code == 1 and found["commits"][1]["example"]["run"] == {"stdin": "ax"}
    assert cli("init").returncode == 2
