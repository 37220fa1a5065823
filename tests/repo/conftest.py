from __future__ import annotations

from pathlib import Path

import pytest
import userrepo
from userrepo import UserRepo, example


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return userrepo.own_cache(tmp_path_factory.mktemp("cache"))


own_places = pytest.fixture(autouse=True)(userrepo.own_places)


@pytest.fixture(scope="session")
def ring(tmp_path_factory: pytest.TempPathFactory) -> UserRepo:
    return example("ring", tmp_path_factory.mktemp("ring") / "repo")


@pytest.fixture(scope="session")
def hash_map(tmp_path_factory: pytest.TempPathFactory) -> UserRepo:
    return example("map", tmp_path_factory.mktemp("map") / "repo")
