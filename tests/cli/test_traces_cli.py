"""``replay traces``: keeping, listing, making small, importing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from replay.cli import main
from replay.dirty.campaign.corpus import FOR_PATH, Corpus, reaching
from replay.dirty.language.files import read_trace, write_trace
from replay.dirty.language.paths import shapes
from replay.dirty.subject import plan

FILL = Path(__file__).parent.parent / "vectors" / "fill.lackey"
PATH = next(p for p in shapes()["tlb_flush"].universe if str(p) == "tlb_flush entries=direct")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("REPLAY_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def replay(*words: object) -> Result:
    return CliRunner().invoke(main, ["traces", *map(str, words)])


def test_a_recording_that_loses_a_store_is_kept_small_as_long_as_it_does(cache: Path) -> None:
    done = replay("import", FILL, "--pages", 4, "--every", 40)
    assert done.exit_code == 0, done.output
    (path,) = Corpus(cache / "traces").files()
    before = read_trace(path)
    done = replay("minimize", "--budget", 60)
    assert done.exit_code == 0, done.output
    assert "step 39 no-lost-store" in done.stdout
    (path,) = Corpus(cache / "traces").files()
    assert len(read_trace(path).ops) <= 10 < len(before.ops)
    assert f"(had {len(before.ops)} operations)" in done.stdout


def test_a_trace_for_a_path_stays_on_it(tmp_path: Path) -> None:
    asked = plan()
    numbers = range(100)
    trace = next(
        t for t in map(asked.draw, numbers) if reaching(asked, t, PATH) is not None
    ).renamed(f"{FOR_PATH}{PATH}")
    path = tmp_path / "path.jsonl"
    write_trace(trace, path)
    assert replay("minimize", path, "--budget", 200).exit_code == 0
    small = read_trace(path)
    assert len(small.ops) <= 4 and small.ops[-1].name == "tlb_flush"
    assert small.name == trace.name and reaching(asked, small, PATH) == 39


def test_what_is_added_is_listed_once_and_can_be_shared(tmp_path: Path) -> None:
    trace = plan().draw(3)
    for name in ("a", "b"):
        write_trace(trace.renamed(name), tmp_path / f"{name}.jsonl")
    assert replay("add", tmp_path / "a.jsonl", tmp_path / "b.jsonl").exit_code == 0
    listed = json.loads(replay("list", "--shown", "--json").stdout)
    assert len(listed["traces"]) == 1 and listed["traces"][0]["operations"] == 50
    assert "step 27 xen-told-start" in listed["traces"][0]["shows"]
    (kept,) = Path(listed["folder"]).iterdir()
    assert replay("add", kept, "--corpus", tmp_path / "other").exit_code == 0
    (shared,) = (tmp_path / "other").iterdir()
    assert shared.read_bytes() == kept.read_bytes()


def test_bad_input_is_one_message(tmp_path: Path, cache: Path) -> None:
    bad = tmp_path / "bad.csv"
    bad.write_text("1,2\n")
    done = replay("import", bad)
    assert (done.exit_code, done.stdout) == (2, "")
    assert (
        done.stderr == f"replay: error: {bad}:1: '1,2' has 2 cells; a line is address,size,kind\n"
    )
    (cache / "traces").mkdir(parents=True)
    (cache / "traces" / "x.jsonl").write_text("{}\n")
    done = replay("list")
    assert done.exit_code == 2 and "or delete it from the corpus" in done.stderr


def test_a_corpus_that_cannot_be_written_is_one_message(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = replay("import", FILL, "--corpus", tmp_path / "file" / "in")
    assert done.exit_code == 2 and "name another folder with --corpus" in done.stderr
