"""``replay coverage``: the table, the same for any number of processes, and as JSON."""

from __future__ import annotations

import json

from click.testing import CliRunner

from replay.cli import main


def replay(*words: str) -> str:
    done = CliRunner().invoke(main, list(words))
    assert done.exit_code == 0, done.output
    return done.stdout


def test_a_row_an_operation_and_what_was_not_reached() -> None:
    asked = ("coverage", "--traces", "45", "--steps", "36-39", "--argued")
    one = replay(*asked, "--jobs", "1")
    assert one == replay(*asked, "--jobs", "2")
    rows = {line.split()[0]: line.split()[1:3] for line in one.splitlines()[1:20]}
    assert rows["tlb_flush"] == ["3", "3"] and rows["migration_next"][0] == "13"
    assert "kvm_log_sync end=out hpratio=one  at step 0, 35-39" in one
    assert "before step 39 the code goes by pages alone" in one
    assert one.splitlines()[-2].startswith("45 traces of 50 operations, seed 1")


def test_json_has_the_counts_of_every_path_at_every_step() -> None:
    found = json.loads(replay("coverage", "--traces", "6", "--jobs", "1", "--json"))
    assert found["format"] == "replay-coverage/1" and found["steps"] == list(range(40))
    assert all(len(row["counts"]) == 40 for row in found["paths"])
    total = sum(
        row["counts"][0]
        for row in found["paths"]
        if row["operation"] == "tlb_flush" or row["labels"].keys() == {"start", "stop"}
    )
    assert 0 < total < 6 * 50
    assert found["refuted"] == [] and found["missed"]


def test_check_says_what_it_did_not_reach() -> None:
    few = ("--traces", "20", "--budget", "0", "--jobs", "1", "--lane", "python")
    told = CliRunner().invoke(main, ["check", *few])
    assert "paths reached at every step; see replay coverage; not reached:" in told.stdout
    assert " more\n" in told.stdout
