from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Build = Callable[..., Path]

COMPILERS = [name for name in ("gcc", "clang") if shutil.which(name)] or ["cc"]
ENVIRONMENT = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"}


def run(command: list[str], where: Path) -> str:
    if shutil.which(command[0]) is None:
        pytest.fail(
            f"{command[0]} is missing: these tests read what a real compiler makes; "
            f"install gcc and binutils"
        )
    done = subprocess.run(
        command, cwd=where, env=ENVIRONMENT, capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.fail(f"{' '.join(command)}: {done.stderr}")
    return done.stdout


@pytest.fixture(scope="session")
def build(tmp_path_factory: pytest.TempPathFactory) -> Build:
    """Compile C text; equal requests are compiled once.

    ``build(text, "-O2", "-c", compiler="gcc", headers={"a.h": ...})``; a second text is
    compiled along with the first.
    """
    root = tmp_path_factory.mktemp("built")

    def make(
        *args: str,
        compiler: str = COMPILERS[0],
        headers: dict[str, str] | None = None,
        name: str = "unit",
    ) -> Path:
        texts = [a for a in args if not a.startswith("-")]
        flags = [a for a in args if a.startswith("-")]
        request = repr((texts, flags, compiler, headers, name))
        where = root / hashlib.sha256(request.encode()).hexdigest()[:16]
        out = where / "out"
        if not out.exists():
            where.mkdir(exist_ok=True)
            for file, text in (headers or {}).items():
                (where / file).write_text(text)
            sources = []
            for number, text in enumerate(texts):
                sources.append(f"{name}{number or ''}.c")
                (where / sources[-1]).write_text(text)
            run([compiler, *flags, *sources, "-w", "-I.", "-o", "out"], where)
        return out

    return make


@pytest.fixture(params=COMPILERS)
def compiler(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=["-gdwarf-4", "-gdwarf-5"])
def dwarf(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=["-O0", "-O2"])
def level(request: pytest.FixtureRequest) -> str:
    return str(request.param)
