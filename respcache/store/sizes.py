"""Memory of keys and values, estimated as CPython allocates it.

An object is rounded up to 16 bytes, as its allocators do. What a dict takes for an entry depends on how full
it is; the figure is the mean over a table that grows by doubling, measured on shards of 60 keys.
"""

from __future__ import annotations

from collections.abc import Collection
from itertools import islice
from sys import getsizeof
from typing import Any

ENTRY = 40
"""Bytes of a dict for each entry, its key and value not included."""


def allocated(thing: object) -> int:
    """Bytes that an object takes, without what it refers to."""
    return (getsizeof(thing) + 15) & ~15


def string_size(value: bytes | int | bytearray, _samples: int = 0) -> int:
    """Bytes of a string value."""
    return allocated(value)


def sampled(items: Collection[Any], samples: int) -> int:
    """Bytes of all items, taken from the mean of the first `samples` of them; 0 looks at all."""
    count = len(items)
    if not samples or samples >= count:
        return sum(map(allocated, items))
    return sum(map(allocated, islice(items, samples))) * count // samples


def key_size(key: bytes, shard: Collection[bytes], expires: bool) -> int:
    """Bytes of a key in its database: itself, its part of its shard, and of a deadline if it has one."""
    return allocated(key) + allocated(shard) // len(shard) + (ENTRY + allocated(1 << 40) if expires else 0)
