"""Hashes. The class of a hash is its encoding.

A small one is a plain dict, which Redis calls a listpack. The first deadline of a field turns that into a `ListpackEx`;
too many fields, or one that is too long, turn either into a `HashTable`. None of them ever turns back.

A field that is due is dead: no command sees it, HLEN excepted, which counts what is still there as Redis does.
`respcache.store.field_expiry` buries the dead.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Sized
from itertools import islice
from typing import TypeAlias

from respcache.store.field_deadlines import FieldDeadlines
from respcache.store.hashtable import Table
from respcache.store.sizes import allocated
from respcache.store.types import TypeInfo, register


class ListpackEx(dict[bytes, bytes]):
    """A small hash whose fields have, or once had, deadlines."""

    __slots__ = ("deadlines",)

    def __init__(self, items: dict[bytes, bytes]) -> None:
        super().__init__(items)
        self.deadlines = FieldDeadlines()

    def copy(self) -> ListpackEx:
        """The same fields and deadlines, apart from these."""
        made = ListpackEx(self)
        made.deadlines = self.deadlines.copy()
        return made


class HashTable(Table[bytes]):
    """A big hash."""

    __slots__ = ("deadlines",)

    def __init__(self, items: dict[bytes, bytes] | Table[bytes] | Iterable[tuple[bytes, bytes]] = ()) -> None:
        super().__init__(items)
        self.deadlines: FieldDeadlines | None = None
        """Of its fields; None until the first one has any."""

    def copy(self) -> HashTable:
        """The same fields and deadlines, apart from these."""
        made = HashTable(self)
        if self.deadlines is not None:
            made.deadlines = self.deadlines.copy()
        return made


Hash: TypeAlias = dict[bytes, bytes] | HashTable
"""A `ListpackEx` is a dict."""
Mortal: TypeAlias = ListpackEx | HashTable
"""A hash whose fields may have deadlines."""


def table_of(value: dict[bytes, bytes]) -> HashTable:
    """A small hash as a big one; the deadlines move over."""
    made = HashTable(value)
    if type(value) is ListpackEx:
        made.deadlines = value.deadlines
    return made


def deadlines_of(value: Hash) -> FieldDeadlines | None:
    """The deadlines of a hash's fields, None if there are none."""
    if type(value) is dict:
        return None
    return value.deadlines or None  # type: ignore[union-attr]


def pop(value: Hash, field: bytes) -> bool:
    """Deletes a field and its deadline. Tells whether it was there."""
    if value.pop(field, None) is None:
        return False
    if (deadlines := deadlines_of(value)) is not None:
        deadlines.drop(field)
    return True


_TABLE = 600
"""Bytes of a table besides its buckets and its directory."""

_ENCODINGS = {dict: b"listpack", ListpackEx: b"listpackex", HashTable: b"hashtable"}


def _encoding(value: Hash, _config: object) -> bytes:
    return _ENCODINGS[type(value)]


def _size(value: Hash, samples: int) -> int:
    parts: list[dict[bytes, bytes]] = [value] if isinstance(value, dict) else value.buckets
    size = sum([allocated(part) for part in parts])
    if isinstance(value, HashTable):
        size += _TABLE + allocated(value.directory)
    if (deadlines := deadlines_of(value)) is not None:
        size += deadlines.footprint()
    count = len(value)
    pairs = islice(value.items(), samples or count)
    held = sum([allocated(field) + allocated(text) for field, text in pairs])
    return size + (held * count // samples if 0 < samples < count else held)


def _copy(value: Hash) -> Hash:
    return value.copy()


def _parts(value: Hash) -> Sequence[Sized]:
    """What it consists of besides its fields and their values."""
    deadlines = deadlines_of(value)
    return () if deadlines is None else deadlines.parts()


register(TypeInfo(b"hash", _encoding, _copy, _size, _parts), dict, ListpackEx, HashTable)
