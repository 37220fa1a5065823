"""Declared differences pass where they show; all others fail, and so do those that never show.

Prototypes that change are compared on what both sides have, and stop nothing else.
"""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from userrepo import MAKE, Done, UserRepo, cli

BINDING = """\
format = "replay-binding/1"
[[op]]
function = "fee"
[op.args]
amount = { range = [0, 30] }
rest = { out = 4 }
[[op]]
function = "add"
[op.args]
n = { range = [0, 9] }
[[observe]]
function = "total"
"""
BASE = """\
static int sum;
int total(void) { return sum; }
int fee(int amount, int *rest) { *rest = amount % 10; return amount / 10; }
int add(int n) { sum += n; return n; }
"""
ROUNDED = BASE.replace("return amount / 10", "return (amount + 5) / 10")
BROKEN = ROUNDED.replace("return n;", "return n == 7 ? 8 : n;")
HEAD = 'format = "replay-expect/1"\n'
FEES = """
[[expect]]
subject = "fees are rounded"
functions = ["fee"]
fields = ["ret"]
kind = "new result"
reason = "halves were lost"
"""


@pytest.fixture
def repo(tmp_path: Path) -> UserRepo:
    """Fees are rounded, which is intended; then add() breaks, which is not."""
    made = UserRepo(tmp_path / "repo")
    for subject, text in (
        ("base", BASE), ("fees are rounded", ROUNDED), ("add breaks", BROKEN),
    ):  # fmt: skip
        made.commit(subject, x_c=text)
    (tmp_path / "binding.toml").write_text(BINDING)
    return made


def run(
    tmp_path: Path, expect: str | None, *more: object, span: str = "main~2..main",
    binding: bool = True,
) -> tuple[dict[str, Any], Done]:  # fmt: skip
    words: list[object] = ["--binding", tmp_path / "binding.toml"] if binding else []
    if expect is not None:
        (tmp_path / "expect.toml").write_text(HEAD + expect)
        words += ["--expect", tmp_path / "expect.toml"]
    done = cli(
        "verify", "--repo", tmp_path / "repo", "--range", span, "--build", MAKE, "--library",
        "libx.so", "--traces", 40, "--ops", 12, "--json", *words, *more,
    )  # fmt: skip
    return (json.loads(done.stdout) if done.stdout else {}), done


def verdicts(report: dict[str, Any]) -> list[str]:
    return [row["verdict"] for row in report["commits"]]


def test_what_is_declared_passes_and_what_is_not_is_found_behind_it(
    repo: UserRepo, tmp_path: Path
) -> None:
    report, done = run(tmp_path, FEES)
    assert done.returncode == 1
    assert verdicts(report) == ["base", "deviates as declared", "undeclared difference"]
    told = report["commits"][1]["declared"][0]
    assert told["shown"] and told["traces"] > 0 and told["parts"] == ["fee: ret"]
    assert told["instance"]["call"].startswith("fee(amount=")
    assert report["commits"][2]["example"]["text"] == ["add(n=7)"]

    add = FEES.replace("fees are rounded", "add breaks").replace('["fee"]', '["add"]')
    report, done = run(tmp_path, FEES + add)
    assert (done.returncode, verdicts(report)[1:]) == (0, ["deviates as declared"] * 2)


def test_text_says_what_is_declared_and_where_it_shows(repo: UserRepo, tmp_path: Path) -> None:
    (tmp_path / "expect.toml").write_text(HEAD + FEES)
    done = cli(
        "verify", "--repo", repo.path, "--range", "main~2..main~1", "--build", MAKE, "--library",
        "libx.so", "--binding", tmp_path / "binding.toml", "--expect", tmp_path / "expect.toml",
        "--traces", 40,
    )  # fmt: skip
    text = " ".join(done.stdout.split())
    assert done.returncode == 0
    assert "deviates as declared" in text
    assert "expect[1] (new result: halves were lost) shown by" in text
    assert "1 of 1 commit as claimed" in text


def test_an_undeclared_field_of_the_same_call_is_found_and_shown_alone(
    repo: UserRepo, tmp_path: Path
) -> None:
    both = ROUNDED.replace("amount % 10", "amount % 9")
    repo.git("checkout", "-q", "-b", "two", "main~2")
    repo.commit("fees are rounded", x_c=both)
    report, done = run(tmp_path, FEES, span="two~1..two")
    assert (done.returncode, verdicts(report)[1]) == (1, "undeclared difference")
    row = report["commits"][1]
    assert [what for what, _, _ in row["example"]["differs"]] == ["rest"]
    assert row["declared"][0]["shown"]
    wider = FEES.replace('["ret"]', '["returns", "out rest"]')
    report, done = run(tmp_path, wider, span="two~1..two")
    assert (done.returncode, verdicts(report)[1]) == (0, "deviates as declared")


def test_an_observer_is_masked_only_from_the_declared_call_on(
    repo: UserRepo, tmp_path: Path
) -> None:
    entry = FEES.replace('["fee"]', '["add"]').replace('["ret"]', '["total()"]')
    repo.git("checkout", "-q", "-b", "state", "main~2")
    repo.commit("fees are rounded", x_c=BASE.replace("sum += n", "sum += 2 * n"))
    report, done = run(tmp_path, entry, span="state~1..state")
    assert (done.returncode, verdicts(report)[1]) == (0, "deviates as declared")
    # The same observer, changed by a function that declares nothing.
    repo.commit("fees are rounded", x_c=BASE.replace("*rest =", "sum++; *rest ="))
    repo.git("reset", "-q", "--soft", "main~2")
    repo.commit("fees are rounded", x_c=BASE.replace("*rest =", "sum++; *rest ="))
    report, done = run(tmp_path, entry, span="state~1..state")
    assert (done.returncode, verdicts(report)[1]) == (1, "undeclared difference")
    assert [c.partition("(")[0] for c in report["commits"][1]["example"]["text"]] == ["fee"]


def test_what_never_shows_fails_and_is_named(repo: UserRepo, tmp_path: Path) -> None:
    entry = FEES.replace('["fee"]', '["add"]')
    repo.git("checkout", "-q", "-b", "calm", "main~2")
    repo.commit("fees are rounded", x_c="/* nothing */\n" + BASE)
    report, done = run(tmp_path, entry, span="calm~1..calm")
    assert (done.returncode, verdicts(report)[1]) == (1, "declared but not shown")
    assert "expect.toml:3: expect[1]: add: ret: never shown" in report["commits"][1]["reason"]
    # One that shows beside one that does not.
    report, done = run(tmp_path, FEES + entry, span="main~2..main~1")
    assert (done.returncode, verdicts(report)[1]) == (1, "declared but not shown")
    assert "expect[2]" in report["commits"][1]["reason"]
    assert "expect[1]" not in report["commits"][1]["reason"]


def test_a_patch_id_survives_a_rebase(repo: UserRepo, tmp_path: Path) -> None:
    show = repo.git("show", "main~1")
    patch_id = repo.git("patch-id", "--stable", stdin=show + "\n").split()[0]
    repo.git("checkout", "-q", "-b", "rebased", "main~2")
    repo.commit("before", y_h="/* more */\n")
    repo.git("cherry-pick", "main~1")
    repo.git("commit", "-q", "--amend", "-m", "said otherwise")
    entry = FEES.replace('subject = "fees are rounded"', f'patch_id = "{patch_id}"')
    report, done = run(tmp_path, entry, span="rebased~2..rebased")
    assert (done.returncode, verdicts(report)[2]) == (0, "deviates as declared")


def test_a_rule_says_which_differences_are_meant(repo: UserRepo, tmp_path: Path) -> None:
    rules = tmp_path / "rules.py"
    rule = FEES + 'rule = "rules.py:up"\n'
    rules.write_text(
        "def up(operation, values, before, after):\n"
        "    assert operation == 'fee'\n"
        "    return after['ret'] == before['ret'] + 1 and values['amount'] % 10 >= 5\n"
    )
    report, done = run(tmp_path, rule, span="main~2..main~1")
    assert (done.returncode, verdicts(report)[1]) == (0, "deviates as declared")
    assert any("rules.py was executed" in note for note in report["notes"])
    rules.write_text("def up(op, values, before, after): return values['amount'] != 15\n")
    report, done = run(tmp_path, rule, span="main~2..main~1")
    assert (done.returncode, verdicts(report)[1]) == (1, "undeclared difference")
    assert report["commits"][1]["example"]["text"] == ["fee(amount=15)"]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("return 1 // 0", "line 2: ZeroDivisionError"),
        ("return None", "it gave NoneType"),
        ("raise SystemExit", "line 2: SystemExit"),
        ("import os; os._exit(3)", "it ended the process"),
        ("while True: pass", "no answer within 0.3 s"),
    ],
)
def test_a_rule_that_fails_is_an_error_that_names_it(
    repo: UserRepo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str, said: str
) -> None:
    monkeypatch.setattr("replay.repo.rules.LIMIT", 0.3)
    (tmp_path / "rules.py").write_text(f"def up(operation, values, before, after):\n    {body}\n")
    _, done = run(tmp_path, FEES + 'rule = "rules.py:up"\n', span="main~2..main~1")
    assert done.returncode == 2 and done.stdout == ""
    assert "expect[1].rule: rules.py:up: " in done.stderr and said in done.stderr
    assert "fee(amount=" in done.stderr and "Traceback" not in done.stderr


def test_a_new_result_is_asked_for_and_is_the_only_one_that_passes(
    repo: UserRepo, tmp_path: Path
) -> None:
    add = """
[[expect]]
subject = "add breaks"
kind = "new result"
reason = "seven is out of fashion"
results = [{ call = "add(n=7)", now = 8 }]
"""
    report, done = run(tmp_path, add, "--traces", 1, "--ops", 1, span="main~1..main")
    assert (done.returncode, verdicts(report)[1]) == (0, "deviates as declared")
    report, done = run(tmp_path, FEES + add.replace("now = 8", "now = 9"))
    assert (done.returncode, verdicts(report)[2]) == (1, "undeclared difference")
    wrong = add.replace("}]", '}, { call = "add(n=3)", now = 4 }]')
    report, done = run(tmp_path, FEES + wrong)
    assert (done.returncode, verdicts(report)[2]) == (1, "declared but not shown")
    assert "add(n=3)" in report["commits"][2]["reason"]


def test_a_declared_crash_passes_and_one_elsewhere_does_not(tmp_path: Path) -> None:
    repo = UserRepo(tmp_path / "repo")
    (tmp_path / "binding.toml").write_text(BINDING)
    repo.commit("base", x_c=BASE)
    crash = BASE.replace("sum += n;", "if (n == 4) __builtin_trap(); sum += n;")
    repo.commit("fees are rounded", x_c=crash)
    entry = FEES.replace('["fee"]', '["add"]').replace('["ret"]', '["crash"]')
    report, done = run(tmp_path, entry, span="main~1..main")
    assert (done.returncode, verdicts(report)[1]) == (0, "deviates as declared")
    report, done = run(tmp_path, FEES.replace('["ret"]', '["crash"]'), span="main~1..main")
    assert (done.returncode, verdicts(report)[1]) == (1, "crash")


def test_a_search_tells_what_is_declared_and_blames_the_rest(
    repo: UserRepo, tmp_path: Path
) -> None:
    report, done = run(tmp_path, FEES, "--bisect")
    assert done.returncode == 1
    found = {row["subject"]: row["verdict"] for row in report["commits"]}
    assert found["fees are rounded"] == "deviates as declared"
    assert found["add breaks"] == "undeclared difference"
    assert report["guilty"] == report["commits"][-1]["commit"]
    report, done = run(tmp_path, FEES, "--bisect", span="main~2..main~1")
    assert (done.returncode, report["guilty"]) == (0, None)


def test_a_remembered_verdict_is_not_one_on_what_is_declared_otherwise(
    repo: UserRepo, tmp_path: Path
) -> None:
    for _ in range(2):
        assert run(tmp_path, None, span="main~2..main~1")[1].returncode == 1
        assert run(tmp_path, FEES, span="main~2..main~1")[1].returncode == 0
        other = FEES.replace('["ret"]', '["rest"]')
        assert run(tmp_path, other, span="main~2..main~1")[1].returncode == 1
    report, _ = run(tmp_path, FEES.replace("halves", "cents"), span="main~2..main~1")
    assert any("of 1 verdicts are those of an earlier run" in note for note in report["notes"])
    assert report["commits"][1]["declared"][0]["reason"] == "cents were lost"


def test_a_draft_declares_what_was_found_once_the_reasons_are_written(
    repo: UserRepo, tmp_path: Path
) -> None:
    draft = tmp_path / "draft.toml"
    assert run(tmp_path, None, "--write-expect", draft)[1].returncode == 1
    text = draft.read_text()
    entries = tomllib.loads(text)["expect"]
    assert [(e["subject"], e["functions"], e["fields"]) for e in entries] == [
        ("fees are rounded", ["fee"], ["ret"]), ("add breaks", ["add"], ["ret"]),
    ]  # fmt: skip
    assert "#   fee(amount=5)\n#     returns: before 0, after 1\n" in text
    assert "# patch_id = " in text
    unwritten = run(tmp_path, text.removeprefix(HEAD).partition(HEAD)[2])[1]
    assert unwritten.returncode == 2 and "expect[1].reason" in unwritten.stderr
    body = text.partition(HEAD)[2].replace('reason = ""', 'reason = "so be it"')
    assert run(tmp_path, body)[1].returncode == 0
    again = run(tmp_path, None, "--write-expect", draft)[1]
    assert again.returncode == 2 and "there already" in again.stderr


def test_what_a_callback_is_given_is_declared_as_it_is_drafted(tmp_path: Path) -> None:
    repo = UserRepo(tmp_path / "repo")
    each = "void each(int n, int (*cb)(int)) { for (int i = 0; i < n && i < 5; i++) cb(i %s); }\n"
    for subject, what in (("base", ""), ("from one on", "+ 1")):
        repo.commit(subject, x_c=each % what)
    draft = tmp_path / "draft.toml"
    words = {"span": "main~1..main", "binding": False}
    assert run(tmp_path, None, "--write-expect", draft, **words)[1].returncode == 1
    text = draft.read_text()
    assert tomllib.loads(text)["expect"][0]["fields"] == ["callbacks"]
    body = text.partition(HEAD)[2].replace('reason = ""', 'reason = "counted from one"')
    assert run(tmp_path, body, **words)[1].returncode == 0


def test_what_has_allocations_fail_is_no_function_that_is_not_observed(tmp_path: Path) -> None:
    repo = UserRepo(tmp_path / "repo")
    text = "#include <stdlib.h>\nint f(int n) { char *p = malloc(8); free(p); return %s; }\n"
    for subject, what in (("base", "n"), ("next", "({ volatile int x = n; x; })")):
        repo.commit(subject, x_c=text % what)
    (tmp_path / "binding.toml").write_text(
        'format = "replay-binding/1"\n[library]\nfail_malloc = true\n[[op]]\nfunction = "f"\n'
    )
    report, done = run(tmp_path, None, span="main~1..main")
    assert done.returncode == 0
    assert "fail_malloc" not in " ".join(report["commits"][1]["notes"])


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        (FEES.replace("fees are", "fees were"), "no commit of the range has the subject"),
        (FEES.replace("subject =", "patch_id ="), "is none; git patch-id --stable tells"),
        (FEES.replace('subject = "fees are rounded"', 'patch_id = "0123456789"'), "patch id 01234"),
        (FEES.replace('["fee"]', '["fees"]'), "no function 'fees' is called; did you mean 'fee'?"),
        (FEES.replace('["fee"]', '["total"]'), "total is an observer: name it in fields"),
        (FEES.replace('["ret"]', '["rset"]'), "nothing observed is called 'rset'"),
        (FEES.replace("reason", "because"), "unknown key 'because'"),
        (FEES.replace('"halves were lost"', '""'), "say why it is right"),
        (FEES + 'rule = "none.py:f"\n', "none.py: no such file"),
        (FEES + "results = [3]\n", "each is of the form"),
    ],
)
def test_what_is_wrong_with_the_file_is_said_at_its_place(
    repo: UserRepo, tmp_path: Path, entry: str, said: str
) -> None:
    _, done = run(tmp_path, entry)
    assert done.returncode == 2 and said in done.stderr
    assert "expect.toml:" in done.stderr and "expect[1]" in done.stderr
    assert done.stderr.count("\n") == 1


def test_an_entry_that_fits_several_commits_is_an_error(repo: UserRepo, tmp_path: Path) -> None:
    repo.commit("fees are rounded", x_c=BROKEN + "\n")
    _, done = run(tmp_path, FEES, span="main~3..main")
    assert done.returncode == 2 and "it fits several commits: " in done.stderr


# --- prototypes that change -------------------------------------------------------------

COUNT = "int count(int v) { return v / 2; }\n"
WITH_REST = "int count(int v, int *rest) { *rest = v % 2; return v / 2; }\n"
COUNTED = """\
format = "replay-binding/1"
[[op]]
function = "count"
[op.args]
v = { range = [0, 9] }
"""


def ranged(
    tmp_path: Path, sources: list[str], binding: str = "", *more: object
) -> tuple[dict[str, Any], Done]:
    repo = UserRepo(tmp_path / "repo")
    for number, source in enumerate(sources):
        repo.commit(f"commit {number}", x_c=source)
    (tmp_path / "binding.toml").write_text(binding)
    span = f"main~{len(sources) - 1}..main"
    return run(tmp_path, None, *more, span=span, binding=bool(binding))


@pytest.mark.parametrize("mapped", [False, True])
def test_an_out_parameter_that_comes_is_compared_from_then_on(tmp_path: Path, mapped: bool) -> None:
    broken = WITH_REST.replace("v % 2", "v % 3")
    binding = COUNTED + ("rest = { out = 4 }\n" if mapped else "")
    if mapped:
        binding += '[[map]]\ncommits = "main~2"\nop = "count"\nargs = ["v"]\n'
    report, _ = ranged(tmp_path, [COUNT, WITH_REST, broken], binding)
    assert verdicts(report)[1] == "same"
    notes = report["commits"][1]["notes"]
    assert notes == ["what count writes to rest is not compared: one side alone has it"]
    # A binding that knows no rest gives it room, and it is looked at where both have it.
    assert verdicts(report)[2] == "undeclared difference"
    assert report["commits"][2]["example"]["differs"][0][0] == "rest"


def test_what_both_sides_have_is_compared_where_an_out_parameter_comes(tmp_path: Path) -> None:
    report, done = ranged(tmp_path, [COUNT, WITH_REST.replace("v / 2", "v / 3")], COUNTED)
    assert (done.returncode, verdicts(report)[1]) == (1, "undeclared difference")
    assert [what for what, *_ in report["commits"][1]["example"]["differs"]] == ["returns"]


def test_a_function_that_is_split_is_mapped_with_constants(tmp_path: Path) -> None:
    whole = "int scale(int v, int up) { return up ? v * 2 : v / 2; }\n"
    split = "int grow(int v) { return v * 2; }\nint halve(int v) { return v / 2; }\n"
    binding = 'format = "replay-binding/1"\n' + "".join(
        f'[[op]]\nfunction = "{name}"\n[op.args]\nv = {{ range = [0, 9] }}\n'
        for name in ("grow", "halve")
    )
    for name, up in (("grow", 1), ("halve", 0)):
        binding += f'[[map]]\ncommits = "main~2"\nop = "{name}"\nfunction = "scale"\n'
        binding += f'args = ["v", {up}]\n'
    report, _ = ranged(tmp_path, [whole, split, split.replace("v / 2", "v / 3")], binding)
    assert verdicts(report)[1:] == ["same", "undeclared difference"]
    assert report["commits"][2]["example"]["text"] == ["halve(v=2)"]


def test_a_result_that_comes_is_compared_from_then_on(tmp_path: Path) -> None:
    sources = [
        "void step(int v, int *to) { *to = v + 1; }",
        "int step(int v, int *to) { *to = v + 1; return 0; }",
        "int step(int v, int *to) { *to = v + 1; return v == 3; }",
    ]
    report, _ = ranged(tmp_path, sources)
    assert verdicts(report)[1:] == ["same", "undeclared difference"]
    assert report["commits"][1]["notes"] == [
        "what step returns is not compared: one side alone has it"
    ]


PLAIN = "int f(int n) { return n * 2; }\nint g(int n) { return n + 1; }\n"
WIDE = "int f(int n, int m) { return n * 2 + m; }\nint g(int n) { return n + 1; }\n"


def test_without_a_binding_a_changed_prototype_stops_nothing_else(tmp_path: Path) -> None:
    other = WIDE.replace("n + 1", "n + (n == 4)")
    report, done = ranged(tmp_path, [PLAIN, other, other.replace("+ m", "- m")])
    assert done.returncode == 1
    assert verdicts(report)[1:] == ["undeclared difference"] * 2
    first, second = report["commits"][1:]
    assert first["example"]["text"][-1].startswith("g(")
    assert "f is not compared: it was int f(int n) and is int f(int n, int m)" in first["notes"]
    assert second["example"]["text"][-1].startswith("f_2(")
    assert "[[map]]" not in done.stdout and "op[" not in done.stdout


def test_a_trace_of_a_range_without_a_binding_runs_again_on_a_part_of_it(tmp_path: Path) -> None:
    broken = WIDE.replace("* 2 + m", "* 2 + m + (m == 3)")
    report, _ = ranged(tmp_path, [PLAIN, WIDE, broken], "", "--save", tmp_path / "kept")
    assert report["commits"][2]["example"]["text"] == ["f_2(n=0, m=3)"]
    (path,) = (tmp_path / "kept").iterdir()
    again, done = run(tmp_path, None, "--trace", path, span="main~1..main", binding=False)
    assert (done.returncode, verdicts(again)[1]) == (1, "undeclared difference")


def test_without_a_binding_functions_come_and_go_and_a_struct_grows(tmp_path: Path) -> None:
    head = "#include <stdlib.h>\nstruct box { int n;%s };\n"
    box = (
        "struct box *box_new(int n) { struct box *b = malloc(sizeof *b); b->n = n; return b; }\n"
        "int box_get(const struct box *b) { return b->n; }\n"
        "void box_free(struct box *b) { free(b); }\n"
    )
    old, new = "int old(int n) { return n; }\n", "int neu(int n) { return n + 1; }\n"
    sources = [
        head % "" + box + old, head % "" + box + new, head % " int more[9];" + box + new,
        head % " int more[9];" + box + new.replace("+ 1", "+ 1 + (n == 5)"),
    ]  # fmt: skip
    report, done = ranged(tmp_path, sources)
    assert verdicts(report)[1:] == ["not decided", "same", "undeclared difference"]
    assert report["commits"][1]["reason"].startswith(
        "same as far as called; gone, and not compared: old; where it has another name now"
    )
    assert report["commits"][1]["notes"] == [
        "neu is new: not compared",
        "old is gone: not compared",
    ]
    assert report["commits"][3]["example"]["text"] == ["neu(n=5)"]
    assert done.returncode == 1


def test_without_a_binding_what_cannot_be_called_is_named_and_no_error(tmp_path: Path) -> None:
    source = "int say(const char *form, ...) { return form != 0; }\n"
    report, done = ranged(tmp_path, [source, source.replace("!= 0", "== 0"), source + "\n"])
    assert done.returncode == 4
    assert verdicts(report)[1:] == ["not decided", "not decided"]
    assert list(report["left_out"]) == ["say"]
    assert "none of the functions of both sides can be called" in report["commits"][1]["reason"]


def test_a_function_that_goes_leaves_a_commit_open_unless_others_came_by_it(
    tmp_path: Path,
) -> None:
    """A helper that is exported by default is renamed freely; what only users call is not."""
    text = "int %s(int n) { return n * 3; }\nint f(int n) { return %s(n) + 1; }\n"
    helper = [text % ("help", "help"), text % ("aid", "aid")]
    report, done = ranged(tmp_path, helper)
    assert (verdicts(report)[1:], done.returncode) == (["same"], 0)
    lone = "int %s(int a, int b) { return a - b%s; }\nint f(int n) { return n; }\n"
    other = tmp_path / "other"
    other.mkdir()
    report, done = ranged(other, [lone % ("old", ""), lone % ("neu", " + (b == 4)")])
    assert (verdicts(report)[1:], done.returncode) == (["not decided"], 4)
    assert "gone, and not compared: old" in report["commits"][1]["reason"]


def test_a_binding_may_name_an_out_parameter_that_only_later_commits_have(tmp_path: Path) -> None:
    """It is drafted at the end of a range, as a rule."""
    old = "int div10(int a) { return a / 10; }\n"
    new = "int div10(int a, int *rem) { *rem = a % 10; return a / 10; }\n"
    broken = new.replace("a % 10;", "a % 10 + (a == 7);")
    binding = 'format = "replay-binding/1"\n[[op]]\nfunction = "div10"\n'
    binding += "args = { a = { range = [0, 99] }, rem = { out = 4 } }\n"
    report, done = ranged(tmp_path, [old, new, broken], binding)
    assert verdicts(report)[1:] == ["same", "undeclared difference"]
    assert (
        "what div10 writes to rem is not compared: one side alone has it"
        in (report["commits"][1]["notes"])
    )
    assert (done.returncode, report["commits"][2]["example"]["text"]) == (1, ["div10(a=7)"])
