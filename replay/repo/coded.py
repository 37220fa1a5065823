"""Values as JSON and back, by the types of their fields: ``decode(encode(x, T), T) == x``.

For dataclasses, named tuples, enums, tuples, lists, sets, mappings (a key may be a value of any
kind), paths, unions and ``Any``, which stands for what JSON holds. A decoder checks every type:
what is of another is no value. JSON knows neither bytes nor infinity, and of a text with halves of
surrogate pairs it may make another: what it does not know is an object of one key, which
tells what the text in it stands for.
"""

from __future__ import annotations

import dataclasses
import enum
import math
import types
import typing
from collections import Counter, abc
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, TypeVar, cast, get_args, get_origin

T = TypeVar("T")

PLAIN_INT: Final = 1 << 63
"""Integers beyond are written in hexadecimal: those of thousands of digits have no decimals."""
_MAPPINGS: Final = (dict, Counter, abc.Mapping)
_SETS: Final = (set, frozenset)
_ARRAYS: Final = (list, *_SETS)


class NotCoded(ValueError):
    """A value, or what was read, is not of the type that it should be of."""


def encode(value: Any, kind: Any) -> Any:  # noqa: PLR0911 - a line a kind
    """A value of a type as JSON holds it.

    Raises:
        NotCoded: it is not of this type, or the type is none of the above.

    """
    if kind is Any:
        return _encode_any(value)
    if kind in _SCALARS:
        if type(value) is not kind:
            raise NotCoded(f"{type(value).__name__} where {kind.__name__} should be")
        return _scalar(value)
    origin, args = get_origin(kind), get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return _encode_union(value, args)
    if not isinstance(value, origin or kind):
        raise NotCoded(f"{type(value).__name__} where {kind} should be")
    if origin is tuple:
        return [encode(one, of) for one, of in zip(value, _items(args, len(value)), strict=True)]
    if origin is list:
        return [encode(one, args[0]) for one in value]
    if origin in _SETS:
        return sorted((encode(one, args[0]) for one in value), key=repr)
    if origin in _MAPPINGS:
        key, of = _pair(origin, args)
        return [[encode(k, key), encode(v, of)] for k, v in value.items()]
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return value.name
    if kind is Path:
        return _scalar(str(value))
    return {name: encode(getattr(value, name), of) for name, of in _fields(kind).items()}


def decode(data: Any, kind: type[T]) -> T:
    """The value of a type that JSON holds.

    Raises:
        NotCoded: it holds none.

    """
    return cast(T, _decode(data, kind))


def _decode(data: Any, kind: Any) -> Any:  # noqa: PLR0911 - a line a kind
    if kind is Any:
        return _decode_any(data)
    if kind in _SCALARS:
        value = _decode_scalar(data)
        if type(value) is not kind:
            raise NotCoded(f"{type(value).__name__} where {kind.__name__} should be")
        return value
    origin, args = get_origin(kind), get_args(kind)
    if origin in (typing.Union, types.UnionType):
        at, inner = _list(data, 2)
        if type(at) is not int or not 0 <= at < len(args):
            raise NotCoded(f"none of {kind}")
        return _decode(inner, args[at])
    if origin is tuple:
        items = _list(data)
        each = zip(items, _items(args, len(items)), strict=True)
        return tuple(_decode(one, of) for one, of in each)
    if origin in _ARRAYS:
        return origin(_decode(one, args[0]) for one in _list(data))
    if origin in _MAPPINGS:
        key, of = _pair(origin, args)
        rows = {_decode(k, key): _decode(v, of) for k, v in (_list(row, 2) for row in _list(data))}
        return Counter(rows) if origin is Counter else rows
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        if not isinstance(data, str) or data not in kind.__members__:
            raise NotCoded(f"no {kind.__name__}")
        return kind[data]
    if kind is Path:
        return Path(_decode(data, str))
    return _decode_fields(data, kind)


def _decode_fields(data: Any, kind: Any) -> Any:
    fields = _fields(kind)
    if not isinstance(data, dict) or data.keys() != fields.keys():
        raise NotCoded(f"no {kind.__name__}")
    return kind(**{name: _decode(data[name], of) for name, of in fields.items()})


@lru_cache(maxsize=256)
def _fields(kind: Any) -> dict[str, Any]:
    """The fields of a dataclass or named tuple, each with its type."""
    names = getattr(kind, "_fields", None)
    if names is None and dataclasses.is_dataclass(kind):
        names = [one.name for one in dataclasses.fields(kind)]
    if names is None or not isinstance(kind, type):
        raise NotCoded(f"there is no form for {kind}")
    hints = typing.get_type_hints(kind)
    return {name: hints[name] for name in names}


def _items(args: tuple[Any, ...], count: int) -> tuple[Any, ...]:
    """The types of the items of a tuple that has so many."""
    if len(args) == 2 and args[1] is Ellipsis:
        return (args[0],) * count
    if len(args) != count:
        raise NotCoded(f"{count} items where {len(args)} should be")
    return args


def _pair(origin: Any, args: tuple[Any, ...]) -> tuple[Any, Any]:
    """The types of the keys and values of a mapping."""
    return (args[0], int) if origin is Counter else (args[0], args[1])


def _list(data: Any, count: int | None = None) -> list[Any]:
    if not isinstance(data, list) or (count is not None and len(data) != count):
        raise NotCoded("no list, or one of another length")
    return data


def _encode_union(value: Any, args: tuple[Any, ...]) -> list[Any]:
    for at, kind in enumerate(args):
        try:
            return [at, encode(value, kind)]
        except NotCoded:
            continue
    raise NotCoded(f"{type(value).__name__} is none of {args}")


# --- what has no parts, and what is of any type -----------------------------------------


def _scalar(value: Any) -> Any:
    if isinstance(value, bytes):
        return {"bytes": value.hex()}
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": repr(value)}
    if type(value) is int and not -PLAIN_INT <= value < PLAIN_INT:
        return {"int": hex(value)}
    if isinstance(value, str) and any("\ud800" <= char <= "\udfff" for char in value):
        return {"text": value.encode("utf-8", "surrogatepass").hex()}
    return value


_SCALARS: Final = (bool, int, float, str, bytes, type(None))
_TAGGED: Final[dict[str, abc.Callable[[str], Any]]] = {
    "bytes": bytes.fromhex,
    "float": float,
    "int": lambda text: int(text, 16),
    "text": lambda text: bytes.fromhex(text).decode("utf-8", "surrogatepass"),
}


def _decode_scalar(data: Any) -> Any:
    if not isinstance(data, dict):
        return data
    if len(data) == 1:
        ((tag, text),) = data.items()
        if tag in _TAGGED and isinstance(text, str):
            try:
                return _TAGGED[tag](text)
            except ValueError:
                pass
    raise NotCoded("an object that stands for no value")


def _encode_any(value: Any) -> Any:
    if type(value) in _SCALARS:
        return _scalar(value)
    if type(value) is list:
        return [_encode_any(one) for one in value]
    if type(value) is tuple:
        return {"tuple": [_encode_any(one) for one in value]}
    if type(value) is dict:
        return {"object": [[_encode_any(k), _encode_any(v)] for k, v in value.items()]}
    raise NotCoded(f"{type(value).__name__}, which JSON does not hold")


def _decode_any(data: Any) -> Any:
    if isinstance(data, list):
        return [_decode_any(one) for one in data]
    if isinstance(data, dict) and len(data) == 1:
        ((tag, inner),) = data.items()
        if tag == "tuple":
            return tuple(_decode_any(one) for one in _list(inner))
        if tag == "object":
            rows = (_list(row, 2) for row in _list(inner))
            try:
                return {_decode_any(k): _decode_any(v) for k, v in rows}
            except TypeError:
                raise NotCoded("a key that is none") from None
    return _decode_scalar(data)
