"""What a database takes: the bytes of its keys and values, as CPython allocates them, in a running total.

See `respcache.store.sized` for who keeps it.
"""

from __future__ import annotations

from typing import Any

from respcache.store.hashtable import Table
from respcache.store.sizes import ENTRY
from respcache.store.types import TYPES

INTEGER = 32
"""Bytes of an integer that is too big to be one of CPython's shared ones, and not too big for Redis."""
SAMPLES = 5
"""Elements of a container that are looked at."""
_SHARED = 256  # up to which CPython has one object for each integer
ROUND = 48
"""A `bytes` takes 33 more than its length, rounded up to 16: (33 + 15 + length) & ~15."""
BLOCK = 512
"""The biggest object of CPython's own allocator; the C library's adds 8 bytes to what is bigger."""


def string_bytes(value: bytes) -> int:
    """Bytes that a string takes."""
    size = (len(value) + ROUND) & ~15
    return size if size <= BLOCK else (len(value) + ROUND + 8) & ~15


class Account:
    """The total of all databases of a server, and how much it may be."""

    __slots__ = ("allowed", "bytes")

    def __init__(self) -> None:
        self.bytes = 0
        """Of keys and values, with a nominal ENTRY for each key."""
        self.allowed = 1 << 62
        """More than that is too much; kept by who sets the limit."""


class Footprint:
    """What one database takes."""

    __slots__ = ("account", "bytes", "changed", "sizes")

    def __init__(self, account: Account) -> None:
        self.account = account
        self.bytes = 0
        self.sizes: Table[int] = Table()
        """Of the values that change in place, as they were last measured."""
        self.changed: dict[bytes, int] = {}
        """Number of changes of such values since."""

    def add(self, size: int) -> None:
        """Adds to the totals."""
        self.bytes += size
        self.account.bytes += size

    def drop(self) -> None:
        """Forgets all keys."""
        self.add(-self.bytes)
        self.sizes, self.changed = Table(), {}

    def weigh(self, key: bytes, value: Any) -> int:
        """Bytes of a value that is new under its key. Those of a container are remembered."""
        if type(value) is bytes:
            return string_bytes(value)
        if type(value) is int:
            return INTEGER
        size = TYPES[type(value)].size(value, SAMPLES) + ENTRY  # to remember it takes memory too
        self.sizes[key] = size = size + INTEGER if size > _SHARED else size
        return size

    def unweigh(self, key: bytes, value: Any) -> int:
        """Bytes of a value that is there no longer. Those of a container are forgotten."""
        if type(value) is bytes:
            return string_bytes(value)
        if type(value) is int:
            return INTEGER
        self.changed.pop(key, None)
        return self.sizes.pop(key, 0)

    def measure(self, key: bytes, value: Any) -> None:
        """Measures a container that was changed."""
        before = self.unweigh(key, value)
        self.add(self.weigh(key, value) - before)
