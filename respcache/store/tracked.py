"""Databases that note when, or how often, their keys are used.

That costs time on each GET and memory for each key, so it is done only where a policy of maxmemory needs it, or once
somebody asks for idle times. Until then a database is a plain `Database`, whose reads and writes know nothing of it;
then it becomes a `TrackedDatabase`, by a change of its class (see `respcache.store.keyspace`). No flag is tested on
the way of a plain GET.
"""

from __future__ import annotations

from binascii import crc_hqx
from collections.abc import Sequence

from respcache.store.access import Accesses, Frequency, Recency
from respcache.store.database import Database, Value
from respcache.store.events import SET, Event
from respcache.store.slot import BRACE, MASK, hash_slot, tagged_slot


class TrackedDatabase(Database):
    """A database that notes the uses of its keys; its `accesses` are never None. Its slots are those of `Database`.

    Reads through `look` are no use of a key.
    """

    __slots__ = ()
    accesses: Accesses

    def get(self, key: bytes) -> Value | None:
        """The value for a command that reads it; counted, and a use of the key. The traits below have no `get`, so
        this is `Database.get` with one line more."""
        slot = tagged_slot(key) if BRACE in key else crc_hqx(key, 0) & MASK
        value = self.shards[slot].get(key)
        if value is None or (self.deadlines.count and self._expired(slot, key)):
            self.misses += 1
            return None
        self.hits += 1
        self.accesses.use(slot, key)
        return value

    def set(self, key: bytes, value: Value, event: Event = SET) -> None:
        """Sets a value, whatever was there; a time to live is gone."""
        super().set(key, value, event)
        self.accesses.use(tagged_slot(key) if BRACE in key else crc_hqx(key, 0) & MASK, key)

    def set_all(self, words: Sequence[bytes]) -> None:
        """Sets keys to values, given in turn."""
        for key, value in zip(words[::2], words[1::2], strict=True):
            self.set(key, value)

    def replace(self, key: bytes, value: Value, event: Event) -> None:
        """Sets a value and keeps the key's time to live."""
        super().replace(key, value, event)
        self.accesses.use(hash_slot(key), key)

    def put(self, key: bytes, value: Value, when: int | None, event: Event = SET) -> None:
        """Sets a value and its deadline, in milliseconds since the epoch or None, as one change."""
        super().put(key, value, when, event)
        self.accesses.use(hash_slot(key), key)

    def update(self, key: bytes, value: Value, event: Event) -> None:
        """As `replace`, for the key that was looked for by the last `peek`."""
        super().update(key, value, event)
        self.accesses.use(hash_slot(key), key)

    def touch(self, key: bytes, event: Event, changes: int = 1) -> None:
        """Says that the value of a key was changed in place."""
        super().touch(key, event, changes)
        self.accesses.use(hash_slot(key), key)

    def clear(self) -> int:
        """Deletes all keys. Returns how many there were."""
        accesses = self.accesses
        count = super().clear()
        self.accesses = accesses.fresh()
        return count


def idle(db: Database, key: bytes) -> int:
    """Seconds since a key was last used, or since the first call of `track` if it was not used since then."""
    accesses = db.accesses
    if not isinstance(accesses, Recency):
        return 0
    accesses.clock.tick()
    return accesses.idle(key)


def frequency(db: Database, key: bytes) -> int:
    """The LFU counter of a key; 0 if uses are not counted."""
    accesses = db.accesses
    if not isinstance(accesses, Frequency):
        return 0
    accesses.clock.tick()
    return accesses.frequency(key)
