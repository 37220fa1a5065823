from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "repo"))

import userrepo


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return userrepo.own_cache(tmp_path_factory.mktemp("cache"))


own_places = pytest.fixture(userrepo.own_places)
