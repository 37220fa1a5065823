"""A build that is kept to be compared with later ones, without the file: one JSON document.

It holds (``replay-elf-baseline/1``):

- ``format``, ``digest``: the format with its version, and the SHA-256 of the rest, written
  as JSON with sorted keys and no spaces; a baseline that was damaged or edited is refused.
- ``machine``, ``bits``, ``little_endian``, ``type``, ``kind``, ``sections``, ``symbols``,
  ``symbol_table``, ``fingerprint``: what the file is, as in :class:`replay.elf.image.Image`.
- ``constants``: the digests of constants that the compiler numbered, by number of symbol.
- ``functions``: ``[symbol, size, form]``; a form is ``[digest of the masked code,
  [[offset, how, place]], uses of thread-local variables, why it is not masked]``.
- ``data``: ``[symbol, contents]``; contents are ``[kind, bytes in base64 or their digest,
  size, [[offset, size, how, place]], [[symbol, size] of what ends there], number]``.
- ``places``: ``[[[symbol, distance]], whether they all mean one thing, contents]``.
- ``started``: ``[section, contents]`` of what runs when the file is loaded.
- ``uncovered``: ``[section, [names], whether anything refers to it, contents, size]`` of
  data in no variable; baselines without it are read, and such data is not compared.
- ``prototypes``, ``types``, ``linkage``, ``masks``, ``unnamed_code``, ``problem``: what else
  a comparison asks.

Of code it has digests of the masked bytes, of data of more than 64 bytes digests, too:
that these differ can be told, and not in what.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from replay.elf.builds import Build
from replay.elf.changes import Comparison, Whole
from replay.elf.comparison import compare_builds, refuse_unlike
from replay.elf.contents import Selection
from replay.elf.elsewhere import adopt_symbols
from replay.elf.errors import ElfError, reading
from replay.elf.image import Image
from replay.elf.kept import NumberedNames, Writer, written
from replay.elf.linkage import STARTED, linked_as
from replay.elf.names import plain, shared_names
from replay.elf.reduced import ReducedBuild
from replay.elf.referents import KEPT
from replay.elf.saved import SavedBuild, SavedImage
from replay.elf.uncovered import pieces
from replay.errors import UsageError

FORMAT: Final = "replay-elf-baseline"
VERSION: Final = 1

LARGEST: Final = 1 << 30
"""Bytes of a baseline."""

_SAVE_AGAIN: Final = "save it again from the file with `replay elf save`"


def is_baseline(path: Path | str) -> bool:
    """Whether a file starts as a baseline does."""
    try:
        with Path(path).open("rb") as file:
            return file.read(64).lstrip().startswith(b"{")
    except OSError:
        return False


def baseline(path: Path | str, debug_folders: Sequence[Path] = ()) -> str:
    """What is kept of a file, as the text of one JSON document.

    Raises:
        ElfError: the file cannot be read, or has neither symbols nor debug information.
        UsageError: nothing in it can be compared.
    """
    with Image(path, debug_folders) as image:
        adopt_symbols(image)
        build = ReducedBuild(image, NumberedNames(image))
        if not build.code and not build.variables:
            raise UsageError(f"{path} defines no function or variable that a later build has")
        values = _values(image, build)
    text = _canonical(values)
    digest = hashlib.sha256(text.encode()).hexdigest()
    head = f'{{"format":"{FORMAT}/{VERSION}","digest":"{digest}",'
    return head + text[1:]


def _canonical(values: Mapping[str, Any]) -> str:
    return json.dumps(values, sort_keys=True, separators=(",", ":"))


def _values(image: Image, build: Build) -> dict[str, Any]:
    return {
        **_file(image),
        **_contents(image, build),
        "prototypes": [written(f) for each in build.known.values() for f in each],
        "types": _types(build),
        "linkage": _linkage(build),
        "masks": build.reader.masks,
        "unnamed_code": build.unnamed_code,
        "problem": build.problem,
    }


def _file(image: Image) -> dict[str, Any]:
    """What the file is."""
    return {
        "machine": image.machine,
        "bits": image.bits,
        "little_endian": image.little_endian,
        "type": image.type,
        "kind": image.kind,
        "sections": [written(section) for section in image.sections],
        "symbols": [written(symbol) for symbol in image.symbols],
        "symbol_table": image.symbol_table,
        "fingerprint": image.fingerprint,
    }


def _contents(image: Image, build: Build) -> dict[str, Any]:
    """Its code and data, and the places that these refer to."""
    writer = Writer()
    numbers = {symbol: number for number, symbol in enumerate(image.symbols)}
    variables = build.variables.values()
    names = shared_names((image,))[0]
    told = {numbers[symbol]: names(symbol).partition("=") for symbol in variables}
    return {
        "constants": {str(n): digest for n, (_, numbered, digest) in told.items() if numbered},
        "functions": [
            [numbers[symbol], build.reader.size(symbol), writer.form(build.form(name))]
            for name, symbol in build.code.items()
        ],
        "data": [[numbers[s], writer.content(build.holder.variable(s))] for s in variables],
        "started": [
            [section.index, writer.content(build.holder.whole(section))]
            for section in image.sections
            if section.name.startswith(tuple(STARTED))
        ],
        "uncovered": [
            [p.section, sorted(p.names), p.referred, writer.content(p.content), p.size]
            for p in pieces(build)
        ],
        "places": writer.places,
    }


def _types(build: Build) -> dict[str, Any] | None:
    types = build.types
    if types is None:
        return None
    small = {plain(s.name) for s in build.variables.values() if s.size <= KEPT}
    leaves = {name: types.leaves(name) for name in types.variables if name in small}
    return {
        "known": {
            name: [
                [[d.size, list(d.rows), units] for d, units in known.definitions.items()],
                sorted(known.uses),
            ]
            for name, known in types.known.items()
        },
        "variables": {name: told for name, (told, _) in types.variables.items()},
        "untyped": types.untyped,
        "users": {name: sorted(used) for name, used in types.users.items()},
        "leaves": {
            name: [[leaf.offset, leaf.size, leaf.member, leaf.kind] for leaf in told]
            for name, told in leaves.items()
            if told
        },
    }


def _linkage(build: Build) -> dict[str, Any]:
    found = linked_as(build)
    return {
        "exports": {
            name: [[written(export.symbol), export.version] for export in each]
            for name, each in found.exports.items()
        },
        "imports": found.imports,
        "said": {what: list(told) for what, told in found.said.items()},
        "needs": found.needs,
        "started": {what: list(names) for what, names in found.started.items()},
    }


def read_baseline(path: Path | str) -> tuple[SavedImage, dict[str, Any]]:
    """A baseline that was saved, and all its values.

    Raises:
        ElfError: it is damaged, of a newer version, or no baseline.
    """
    with reading(path, "baseline"):
        if Path(path).stat().st_size > LARGEST:
            raise ElfError(path, f"has more than {LARGEST} bytes", "save one of a part of it")
        raw = Path(path).read_bytes()
    try:
        values = json.loads(raw)
    except (ValueError, RecursionError):
        raise ElfError(path, "a damaged baseline: it is no JSON", _SAVE_AGAIN) from None
    found = re.fullmatch(rf"{FORMAT}/(\d+)", str(values.pop("format", "")))
    if found is None:
        cure = "give one that `replay elf save` wrote"
        raise ElfError(path, "JSON that is no baseline", cure)
    if int(found[1]) != VERSION:
        raise ElfError(
            path, f"a baseline of format {found[1]}, and this version reads {VERSION}",
            f"update this tool, or {_SAVE_AGAIN}",
        )  # fmt: skip
    digest = values.pop("digest", "")
    if hashlib.sha256(_canonical(values).encode()).hexdigest() != digest:
        raise ElfError(path, "a damaged baseline: its digest is not that of it", _SAVE_AGAIN)
    with reading(path, "baseline"):
        return SavedImage(Path(path), values), values


def compare_saved(
    a: Path | str,
    b: Path | str,
    only: Selection | None = None,
    debug_folders: Sequence[Path] = (),
) -> Comparison:
    """As :func:`replay.elf.comparison.compare`, where one or both are baselines.

    Raises:
        ElfError: a file cannot be read, or a baseline is damaged.
        UsageError: they are of different kinds or for different machines.
    """
    images: list[Image] = []
    saved: list[dict[str, Any] | None] = []
    try:
        for path in (a, b):
            if is_baseline(path):
                image, values = read_baseline(path)
                images.append(image)
                saved.append(values)
            else:
                images.append(Image(path, debug_folders))
                saved.append(None)
                adopt_symbols(images[-1])
        return _compare(images, saved, only)
    finally:
        for opened in images:
            opened.__exit__(None, None, None)


def _compare(
    images: Sequence[Image], saved: Sequence[dict[str, Any] | None], only: Selection | None
) -> Comparison:
    before, after = images
    refuse_unlike(before, after)
    digests = [image.digests if isinstance(image, SavedImage) else None for image in images]
    names = shared_names(images, digests)
    sides: list[Build] = []
    for image, own, values in zip(images, names, saved, strict=True):
        if values is not None and isinstance(image, SavedImage):
            with reading(image.path, "baseline"):
                sides.append(SavedBuild(image, own, values, only))
        else:
            sides.append(ReducedBuild(image, own, only))
    found = compare_builds(sides[0], sides[1], only)
    kept = [image.path for image in images if isinstance(image, SavedImage)]
    notes = tuple(
        f"{path} is a baseline: it has digests of code, and of data of more than {KEPT} bytes; "
        f"that these differ is told, and not where"
        for path in kept
    )
    empty = any(not side.code and not side.variables for side in sides) and only is None
    verdict = Whole.NOTHING if empty else found.verdict
    return replace(found, notes=(*found.notes, *notes), verdict=verdict)
