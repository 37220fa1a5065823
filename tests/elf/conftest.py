from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from elf_builds import COMPILERS, Build, run


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
