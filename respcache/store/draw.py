"""A random key of a database, each as likely as the other, without a list of all keys."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from respcache.store.slot import SLOTS

_NEVER = (-1, -1)
"""A census that is out of date."""


class Draw:
    """Draws keys. It remembers how big the biggest shard may be by now."""

    __slots__ = ("_census",)

    def __init__(self) -> None:
        self._census = _NEVER  # number of changes, and size of the biggest shard, when they were last looked at

    def key(
        self, shards: Sequence[Mapping[bytes, Any]], used: bytearray, size: int, changes: int
    ) -> tuple[int, bytes]:
        """A key, dead or alive, and its slot. There must be one; `changes` is how many were ever made.

        By rejection: a slot, and a place in it below the size of the biggest shard. That size is looked up anew when
        many changes were made since; until then each of them may have made the shard bigger. Where rejection would
        take long, most slots being empty, the place is counted off from the first slot.
        """
        when, most = self._census
        if not 0 <= changes - when <= most:
            when, most = self._census = (changes, max(len(shards[slot]) for slot in _slots(used)))
        most += changes - when
        if most * SLOTS < size << 9:
            while True:
                slot = int(random.random() * SLOTS)
                place = int(random.random() * most)
                if place < len(shards[slot]):
                    return slot, next(islice(shards[slot], place, None))
        place = random.randrange(size)
        for slot in _slots(used):
            if place < len(shards[slot]):
                return slot, next(islice(shards[slot], place, None))
            place -= len(shards[slot])
        raise AssertionError("size is the sum of the shards")


def _slots(used: bytearray) -> Iterator[int]:
    slot = used.find(1)
    while slot >= 0:
        yield slot
        slot = used.find(1, slot + 1)
