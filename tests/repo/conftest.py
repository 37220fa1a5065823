from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from userrepo import UserRepo, example


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def own_places(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A cache of builds for the tests alone, and a folder for what is temporary."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setenv("REPLAY_CACHE", str(cache))
    monkeypatch.setenv("TMPDIR", str(scratch))
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.chdir(tmp_path)
    yield
    left = [p.name for p in scratch.iterdir() if p.name.startswith("replay-verify-")]
    assert not left, "a temporary folder is left behind"


@pytest.fixture(scope="session")
def ring(tmp_path_factory: pytest.TempPathFactory) -> UserRepo:
    return example("ring", tmp_path_factory.mktemp("ring") / "repo")


@pytest.fixture(scope="session")
def hash_map(tmp_path_factory: pytest.TempPathFactory) -> UserRepo:
    return example("map", tmp_path_factory.mktemp("map") / "repo")
