"""What a process apart has in place of the packages of the library: the same, sooner."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replay.apart import light
from replay.apart.parent import BOOT, OURS, ROOT

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
SLOW = light._slow()


@given(VALUES)
def test_a_value_is_written_as_the_package_writes_it_and_read_again(value: Any) -> None:
    line = light.dumps(value)
    assert line == json.dumps(value, separators=(",", ":"))
    assert light.loads(line) == value == light.loads(f" {json.dumps(value)}\n")
    assert line == SLOW[0](value)


def test_numbers_that_are_none_are_read_as_the_package_reads_them() -> None:
    assert light.loads("[Infinity,-Infinity]") == [math.inf, -math.inf]
    assert math.isnan(light.loads("NaN"))


@pytest.mark.parametrize("text", ["", "{", "[1,", "nul", '"a'])
def test_what_is_no_json_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"JSON|delimiter|Unterminated|Expecting"):
        light.loads(text)


def test_what_cannot_be_written_is_refused() -> None:
    with pytest.raises(TypeError, match="bytes is not JSON serializable"):
        light.dumps([b"1"])


@pytest.mark.parametrize("server", ["replay.repo.worker", "replay.dirty.native.server"])
def test_a_process_apart_loads_nothing_that_takes_long(server: str) -> None:
    """What it may do without; each of these takes as long as all that it needs."""
    needs = {
        "replay.repo.worker": [
            "calledback", "dying", "failed", "modelcalls", "reaching", "seeing", "structs",
        ],
        "replay.dirty.native.server": [],
    }[server]  # fmt: skip
    names = [*OURS, *(f"replay.repo.{name}" for name in needs)]
    names += ["replay.dirty.native.library"] if not needs else []
    code = (
        "import sys\n"
        "boot = {'__name__': 'boot'}\n"
        f"exec(open({str(BOOT)!r}).read(), boot)\n"
        f"for name in {[*names, server]!r}: boot['load']({str(ROOT)!r}, name)\n"
        "print(*sorted(sys.modules))\n"
    )
    words = [sys.executable, "-I", "-S", "-c", code]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    alone = subprocess.run(
        [sys.executable, "-I", "-S", "-c", "import sys; print(*sys.modules)"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    loaded = set(done.stdout.split()) - set(alone.stdout.split())
    assert server in loaded
    assert not loaded & {"json", "re", "typing", "enum", "signal", "collections", "contextlib"}
