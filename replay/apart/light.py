"""What a process apart has in place of packages that take longer to load than all its own.

``json`` brings along regular expressions and more, ``signal`` enumerations. What they stand
on is in the interpreter; where it is not, the packages are taken. For the same reason what
is only said of types is not imported in there: ``TYPE_CHECKING`` is what mypy takes for true.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from collections.abc import Callable
    from typing import Any
else:
    try:
        import _signal as signal
    except ImportError:
        import signal

__all__ = ["dumps", "loads", "signal"]


def _quick() -> tuple[Callable[[Any], str], Callable[[str], Any]]:
    import _json

    def unknown(value: object) -> None:
        raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")

    class Reading:
        """What the accelerator asks of a decoder."""

        strict = True
        object_hook = object_pairs_hook = None
        parse_float, parse_int = float, int
        memo: dict[str, str] = {}  # noqa: RUF012

        @staticmethod
        def parse_constant(name: str) -> float:
            return float(name.replace("Infinity", "inf"))

    make = _json.make_encoder(
        None, unknown, _json.encode_basestring_ascii, None, ":", ",", False, False, True
    )
    reading: Any = Reading()
    scan = _json.make_scanner(reading)

    def write(value: Any) -> str:
        return "".join(make(value, 0))

    def read(text: str) -> Any:
        try:
            return scan(text.strip(), 0)[0]
        except StopIteration:
            raise ValueError("this is no JSON") from None

    if read(write({"a": [1, -0.5, None, "é\n"]})) != {"a": [1, -0.5, None, "é\n"]}:
        raise ValueError("the accelerators are not as they were")
    return write, read


def _slow() -> tuple[Callable[[Any], str], Callable[[str], Any]]:
    import json

    return (lambda value: json.dumps(value, separators=(",", ":"))), json.loads


def _chosen() -> tuple[Callable[[Any], str], Callable[[str], Any]]:
    try:
        return _quick()
    except (ImportError, AttributeError, TypeError, ValueError):
        return _slow()


dumps, loads = _chosen()
"""A value as a line without blanks; and back. What is no JSON raises ValueError."""
