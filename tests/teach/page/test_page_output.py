"""Building a site: the same bytes, nobody's files lost, nothing made up, clear errors."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner
from markupsafe import escape

from replay.cli import main
from replay.cli.serve import command as serve_command
from replay.cli.site import command as site_command
from replay.dirty.gallery.defects import explore_command
from replay.dirty.language.files import read_trace
from replay.errors import UsageError
from replay.teach.lessons.shortest import FOLDER
from replay.teach.page.build import Material, build_site
from replay.teach.page.measured import read_bench
from replay.teach.page.output import MARKER, write_site
from replay.teach.page.serve import server
from replay.teach.page.traces import trace_id
from replay.teach.page.verdicts import CheckReport, inline_json, mark, read_report

FILES = {"index.html": b"one", "a/b.css": b"two"}


def bench(tmp_path: Path, costs: object, form: str = "replay-bench/1") -> Path:
    path = tmp_path / "bench.json"
    section = {"title": "t", "goals": [], "seconds_a_page_of_a_sync": costs}
    report = {
        "format": form,
        "quick": True,
        "machine": {"python": "3.11"},
        "sections": {"memory": section},
    }
    path.write_text(json.dumps(report))
    return path


def cost(step: int, nanoseconds: float) -> dict[str, object]:
    seconds = nanoseconds * 1e-9
    spread = {"median": seconds, "low": seconds / 2, "high": seconds * 2, "rounds": 3}
    return {"step": step, "pages": 4096, "seconds": spread}


def saved(report: CheckReport, tmp_path: Path) -> Path:
    path = tmp_path / "check.json"
    path.write_bytes(msgspec.json.encode(report))
    return path


def test_the_same_material_gives_the_same_bytes(material: Material) -> None:
    again = Material(material.report)
    assert build_site(material) == build_site(again)


def test_a_deviation_is_played_by_the_shortest_trace_there_is(material: Material) -> None:
    """What a search of all states found, not what the check made of its own trace."""
    found = {trace.id: trace.trace for trace in material.found}
    for path in FOLDER.iterdir():
        step, _, name = path.stem.partition("-")
        assert found[trace_id(int(step), name)] == read_trace(path)
    shown = build_site(material)["steps/39.html"].decode()
    assert "3 operations: a search of all states of a small machine found none shorter" in shown
    assert "Play a short trace" in shown, "of a broken property nobody searched for the shortest"


def test_no_file_of_the_site_names_this_machine(material: Material) -> None:
    root = str(Path(__file__).parents[3])
    for name, data in build_site(material).items():
        assert root.encode() not in data, name
        assert b"https://" not in data, name
        assert b"http://" not in data.replace(b"http://www.w3.org/2000/svg", b""), name


def test_a_site_replaces_a_site_and_leaves_nothing_of_the_old_one(tmp_path: Path) -> None:
    folder = tmp_path / "out" / "site"
    write_site({**FILES, "gone.html": b"old"}, folder)
    write_site(FILES, folder)
    found = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())
    assert found == [MARKER, "a/b.css", "index.html"]
    assert [p.name for p in folder.parent.iterdir()] == ["site"]


def test_an_empty_folder_becomes_a_site(tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    write_site(FILES, tmp_path / "site")
    assert (tmp_path / "site" / "index.html").read_bytes() == b"one"


def test_files_of_others_are_never_touched(tmp_path: Path) -> None:
    folder = tmp_path / "home"
    folder.mkdir()
    (folder / "letter.txt").write_text("dear")
    with pytest.raises(UsageError, match=r"no site of replay \(letter\.txt\)"):
        write_site(FILES, folder)
    with pytest.raises(UsageError, match="is a file"):
        write_site(FILES, folder / "letter.txt")
    assert (folder / "letter.txt").read_text() == "dear"
    site = tmp_path / "site"
    write_site(FILES, site)
    (site / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match=r"notes\.txt was not written by replay"):
        write_site(FILES, site)
    (tmp_path / "link").symlink_to(site)
    with pytest.raises(UsageError, match="is a link"):
        write_site(FILES, tmp_path / "link")


def test_a_site_that_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    site = tmp_path / "site"
    write_site(FILES, site)
    with pytest.raises(UsageError, match="cannot be written"):
        write_site({"a": b"", "a/b": b""}, site)
    assert (site / "index.html").read_bytes() == b"one"
    assert [p.name for p in tmp_path.iterdir()] == ["site"]


def test_the_pages_show_the_verdicts_of_the_report_and_no_others(material: Material) -> None:
    replace = msgspec.structs.replace
    report = material.report
    steps = [step for step in report.steps if step.step != 12]
    steps = [
        replace(s, verdict=type(s.verdict)("undeclared difference"), passes=False)
        if s.step == 3
        else s
        for s in steps
    ]
    files = build_site(Material(replace(report, steps=steps)))
    assert b"Step 3: undeclared difference" in files["index.html"]
    assert b"Step 12: not checked" in files["index.html"]
    assert b"did not judge this step" in files["steps/12.html"]
    assert f"{report.traces} random traces" in files["index.html"].decode()
    assert mark("something new") == "fails"


def test_steps_after_the_last_have_no_page_and_are_left_out_of_a_report(tmp_path: Path) -> None:
    path = tmp_path / "check.json"
    words = ("check", "--steps", "39,39+sync-length", "--traces", "20", "--budget", "0", "--json")
    path.write_text(CliRunner().invoke(main, words).stdout, encoding="utf-8")
    assert "39+sync-length" in path.read_text(encoding="utf-8")
    assert [step.step for step in read_report(path).steps] == [39]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "what 'replay check --json' prints"),
        ('{"format": "replay-check/2"}', "what 'replay check --json' prints"),
        ('{"format":"replay-check/1","seed":1,"traces":1,"ops":1,"steps":[{"step":1}]}', "missing"),
        ("\ufeff[]", "what 'replay check --json' prints"),
    ],
)
def test_a_file_that_is_no_report_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "check.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=message):
        read_report(path)
    with pytest.raises(UsageError, match="cannot be read"):
        read_report(tmp_path / "nothing.json")


def test_every_defect_of_the_gallery_has_its_text_its_command_and_its_trace(
    material: Material,
) -> None:
    site = build_site(material)
    page, player = site["gallery.html"].decode(), site["player.html"].decode()
    for defect in material.defects:
        assert f'<h2 id="{defect.name}">' in page
        assert escape(explore_command(defect)) in page
        assert f"player.html#trace=gallery-{defect.name}&amp;a=" in page
        assert f'<option value="gallery-{defect.name}"' in player


def test_costs_are_shown_only_when_they_were_measured(tmp_path: Path, material: Material) -> None:
    none = build_site(material)["functions.html"].decode()
    assert "No measurement was given" in none
    assert "f-point" not in none
    measured = read_bench(bench(tmp_path, [cost(38, 900.0), cost(39, 7.5)]))
    shown = build_site(Material(material.report, measured))["functions.html"].decode()
    assert shown.count('class="f-point"') == 2
    assert "step 39, 4,096 pages: 7.5 ns a page" in shown
    assert "in a quick run" in shown


@pytest.mark.parametrize(
    ("costs", "form", "message"),
    [
        ([], "replay-bench/1", "no section measured a sync"),
        ([{"step": 1}], "replay-bench/1", "replay bench --json"),
        ([cost(40, 1.0)], "replay-bench/1", "cannot have cost that"),
        ([cost(3, -1.0)], "replay-bench/1", "cannot have cost that"),
        ([cost(3, 1.0)], "other/1", "its format is not"),
    ],
)
def test_a_measurement_that_is_none_is_refused(
    tmp_path: Path, costs: object, form: str, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        read_bench(bench(tmp_path, costs, form))


def test_the_command_writes_a_site_from_a_saved_report(report: CheckReport, tmp_path: Path) -> None:
    out = tmp_path / "public"
    arguments = [str(out), "--check", str(saved(report, tmp_path))]
    ran = CliRunner().invoke(site_command, arguments, catch_exceptions=False, standalone_mode=False)
    assert ran.return_value == 0
    assert "index.html" in ran.output
    assert (out / "steps" / "39.html").is_file()


def test_the_command_looks_at_the_folder_before_it_checks_anything(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("x")
    with pytest.raises(UsageError, match="no site of replay"):
        CliRunner().invoke(
            site_command, [str(tmp_path)], catch_exceptions=False, standalone_mode=False
        )


def test_a_port_in_use_is_a_clear_error(report: CheckReport, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(UsageError, match=f"port {port} is in use; name another with --port"):
            server(tmp_path, port)
        with pytest.raises(UsageError, match="is in use"):
            CliRunner().invoke(
                serve_command, ["--port", str(port), "--check", str(saved(report, tmp_path))],
                catch_exceptions=False, standalone_mode=False,
            )  # fmt: skip


def test_ctrl_c_ends_the_server_and_leaves_nothing(
    report: CheckReport, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from http.server import ThreadingHTTPServer

    def interrupted(self: ThreadingHTTPServer, poll_interval: float = 0.5) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(ThreadingHTTPServer, "serve_forever", interrupted)
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    ran = CliRunner().invoke(
        serve_command, ["--port", "0", "--check", str(saved(report, tmp_path))],
        catch_exceptions=False, standalone_mode=False,
    )  # fmt: skip
    assert ran.return_value == 0
    assert "http://127.0.0.1:" in ran.output
    assert ran.output.endswith("ended\n")
    assert list(temporary.iterdir()) == []


def test_json_in_a_page_can_end_no_script_element() -> None:
    text = inline_json({"name": "</script><!--\u2028&"})
    assert not set("<>&\u2028") & set(text)
    assert json.loads(text) == {"name": "</script><!--\u2028&"}
