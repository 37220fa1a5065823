"""Code and data in the form in which a baseline keeps them: digests of what is long."""

from __future__ import annotations

import hashlib
from dataclasses import replace

from replay.elf.builds import Build
from replay.elf.contents import Selection
from replay.elf.forms import Form
from replay.elf.holding import Holder
from replay.elf.image import Image, Section, Symbol
from replay.elf.names import Names
from replay.elf.referents import KEPT, Content, Pointer, Referent, digest_of


def reduced_form(form: Form | None) -> Form | None:
    """A function with the digest of its masked bytes in their place."""
    if form is None:
        return None
    references = tuple(replace(r, place=reduced_place(r.place)) for r in form.references)
    return replace(form, code=hashlib.sha256(form.code).digest(), references=references)


def reduced(content: Content | None) -> Content | None:
    """Contents with a digest in place of more than ``KEPT`` bytes."""
    if content is None:
        return None
    data = content.data.rstrip(b"\0")
    return replace(
        content,
        data=digest_of(data) if len(data) > KEPT else data,
        pointers=tuple(_pointer(p) for p in content.pointers),
    )


def _pointer(pointer: Pointer) -> Pointer:
    return replace(pointer, place=reduced_place(pointer.place))


def reduced_place(place: Referent) -> Referent:
    """A place with its contents reduced."""
    return place if place.content is None else replace(place, content=reduced(place.content))


class ReducedHolder(Holder):
    """The contents of a file's data, reduced."""

    def __init__(self, inner: Holder) -> None:
        self.inner = inner

    def variable(self, symbol: Symbol) -> Content | None:
        """As of the file."""
        return reduced(self.inner.variable(symbol))

    def whole(self, section: Section) -> Content | None:
        """As of the file."""
        return reduced(self.inner.whole(section))

    def held(self, section: Section, address: int, size: int) -> Content | None:
        """As of the file."""
        return reduced(self.inner.held(section, address, size))

    def referred_in(self, section: Section) -> frozenset[int]:
        """As of the file."""
        return self.inner.referred_in(section)

    def address(self, symbol: Symbol) -> int:
        """As of the file."""
        return self.inner.address(symbol)


class ReducedBuild(Build):
    """A build that is compared with a baseline."""

    def __init__(self, image: Image, names: Names, only: Selection | None = None) -> None:
        super().__init__(image, names, only)
        self.holder = ReducedHolder(self.holder)
        self._reduced: dict[str, Form | None] = {}

    def form(self, name: str) -> Form | None:
        """As of the file, reduced."""
        if name not in self._reduced:
            self._reduced[name] = reduced_form(super().form(name))
        return self._reduced[name]
