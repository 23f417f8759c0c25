"""Databases that know how many bytes their keys and values take, for maxmemory.

Each change adds to a running total what it adds to memory, as CPython allocates it. A string is weighed at once. What a
container takes is remembered with its key, and measured again, from a few samples, once the changes since amount to an
eighth of its elements: so a small one is measured at each change and a big one, which takes longer, seldom. Tables of
keys, deadlines and words of access are not in the total: `tables` estimates them, now and then, from some slots.

It costs time on each write and memory for each container, so it is done only while there is a limit.
"""

from __future__ import annotations

from binascii import crc_hqx
from collections.abc import Sequence
from itertools import islice
from random import random

from respcache.store.database import EMPTY, Database, Value
from respcache.store.events import SET, Event
from respcache.store.expiry import TIME
from respcache.store.footprint import BLOCK, ROUND, Footprint, string_bytes
from respcache.store.lazyfree import is_heavy
from respcache.store.sizes import ENTRY, allocated
from respcache.store.slot import BRACE, MASK, SLOTS, hash_slot, tagged_slot

_EIGHTH = 3
_MOST_CHANGED = 8192  # containers whose measuring is put off
_SOME_SLOTS = 256
_CHUNK = 16  # bytes that the C library adds to a table


class SizedDatabase(Database):
    """A database that knows its `footprint`. Its slots are those of `Database`."""

    __slots__ = ()
    footprint: Footprint

    def set(self, key: bytes, value: Value, event: Event = SET) -> None:
        """Sets a value, whatever was there; a time to live is gone.

        This is the hot path of a cache: it is `Database.set` with the sums in between, and notes the use of the key if
        uses are noted, which takes half of what the traits would take behind one another.
        """
        slot = tagged_slot(key) if BRACE in key else crc_hqx(key, 0) & MASK
        shard = self.shards[slot]
        old = shard.get(key)
        footprint = self.footprint
        if old is None:
            if shard is EMPTY:
                shard = self._open(slot)
            self.size += 1
            size = (len(key) + ROUND) & ~15
            grown = ENTRY + (size if size <= BLOCK else string_bytes(key))
        else:
            if type(old) is bytes:
                size = (len(old) + ROUND) & ~15
                grown = -size if size <= BLOCK else -string_bytes(old)
            else:
                grown = -footprint.unweigh(key, old)
                if is_heavy(old):
                    self.graveyard.bury(old)
            if self.deadlines.count:
                when = self.deadlines.drop(slot, key)
                if when is not None and when <= self.clock.ms():
                    self.on_expired(self, key)
        shard[key] = value
        self.dirty += 1
        size = (len(value) + ROUND) & ~15 if type(value) is bytes else BLOCK + 1
        grown += size if size <= BLOCK else footprint.weigh(key, value)
        if grown:
            footprint.bytes += grown
            footprint.account.bytes += grown
        accesses = self.accesses
        if accesses is not None:
            accesses.use(slot, key)

    def set_all(self, words: Sequence[bytes]) -> None:
        """Sets keys to values, given in turn."""
        for key, value in zip(words[::2], words[1::2], strict=True):
            self.set(key, value)

    def replace(self, key: bytes, value: Value, event: Event) -> None:
        """Sets a value and keeps the key's time to live."""
        old = self.shards[hash_slot(key)].get(key)
        super().replace(key, value, event)
        self._exchange(key, old, value)

    def put(self, key: bytes, value: Value, when: int | None, event: Event = SET) -> None:
        """Sets a value and its deadline, in milliseconds since the epoch or None, as one change."""
        old = Database.peek(self, key)  # which deletes one that is due
        super().put(key, value, when, event)
        self._exchange(key, old, value)

    def update(self, key: bytes, value: Value, event: Event) -> None:
        """As `replace`, for the key that was looked for by the last `peek`."""
        old = self._peeked.get(key)
        super().update(key, value, event)
        if old is not None:  # else it was `set`
            self._exchange(key, old, value)

    def touch(self, key: bytes, event: Event, changes: int = 1) -> None:
        """Says that the value of a key was changed in place."""
        super().touch(key, event, changes)
        footprint = self.footprint
        value = self._peeked.get(key)
        if value is None:  # it was looked for to be read
            value = self.shards[hash_slot(key)][key]
        if type(value) is not bytearray:
            changes += footprint.changed.get(key, 0)
            if changes << _EIGHTH < len(value) and len(footprint.changed) < _MOST_CHANGED:
                footprint.changed[key] = changes
                return
        footprint.measure(key, value)

    def evict(self, slot: int, keys: Sequence[bytes]) -> None:
        """Deletes keys of a slot, all of which must be there, to make room: all that `delete` does, in one go."""
        footprint, shard = self.footprint, self.shards[slot]
        words = self.accesses.slots[slot] if self.accesses is not None else {}
        freed = 0
        for key in keys:
            value = shard.pop(key)
            words.pop(key, None)
            size = (len(key) + ROUND) & ~15
            freed += ENTRY + (size if size <= BLOCK else string_bytes(key))
            if type(value) is bytes:
                size = (len(value) + ROUND) & ~15
                freed += size if size <= BLOCK else string_bytes(value)
            else:
                freed += footprint.unweigh(key, value)
                if is_heavy(value):
                    self.graveyard.bury(value)
        self.size -= len(keys)
        footprint.add(-freed)
        for deadlines in (self.deadlines, self.field_deadlines):
            if deadlines.count:
                for key in keys:
                    deadlines.drop(slot, key)
        if not shard:
            self._close(slot)

    def clear(self) -> int:
        """Deletes all keys. Returns how many there were."""
        count = super().clear()
        self.footprint.drop()
        return count

    def swap(self, other: Database) -> None:
        """Exchanges contents with another database."""
        super().swap(other)
        assert isinstance(other, SizedDatabase)
        self.footprint, other.footprint = other.footprint, self.footprint

    def _exchange(self, key: bytes, old: Value, value: Value) -> None:
        """Accounts for a value in the place of another one, or of none."""
        footprint = self.footprint
        before = -string_bytes(key) - ENTRY if old is None else footprint.unweigh(key, old)
        footprint.add(footprint.weigh(key, value) - before)

    def _unlink(self, slot: int, key: bytes) -> None:
        value = self.shards[slot][key]
        super()._unlink(slot, key)
        footprint = self.footprint
        footprint.add(-string_bytes(key) - ENTRY - footprint.unweigh(key, value))


def recount(db: Database) -> None:
    """Counts what a sized database holds, which takes a second for some millions of keys."""
    footprint = db.footprint
    assert footprint is not None
    footprint.drop()
    total = 0
    for shard in filter(None, db.shards):
        total += ENTRY * len(shard) + sum([string_bytes(key) for key in shard])
        total += sum([footprint.weigh(key, value) for key, value in shard.items()])
    footprint.add(total)


def settle(db: Database, most: int) -> None:
    """Measures up to so many of the containers that have changed a little since they were measured last."""
    footprint = db.footprint
    assert footprint is not None
    for key in list(islice(footprint.changed, most)):
        footprint.measure(key, db.shards[hash_slot(key)][key])


def tables(db: Database) -> int:
    """Bytes of the tables of keys, deadlines and words of access, less the nominal ENTRY of each key; estimated from
    some slots. The tables of slots are not part of it."""
    if not db.size:
        return 0
    slots = _some_slots(db.used)
    tables = [db.shards[slot] for slot in slots]
    keys = sum(map(len, tables))
    if db.accesses is not None:
        words = db.accesses.slots
        tables += [words[slot] for slot in slots]
    size = db.size * ((sum(map(allocated, tables)) + _CHUNK * len(tables)) / keys - ENTRY)
    for deadlines in (db.deadlines, db.field_deadlines):
        if deadlines.count:
            some = list(islice(deadlines.slots.values(), _SOME_SLOTS))
            each = sum(map(allocated, some)) / sum(map(len, some)) + TIME
            size += deadlines.count * each + len(deadlines.slots) * 2 * ENTRY
    return int(size)


def slot_tables(db: Database) -> int:
    """Bytes of what has a place for each slot."""
    if not db.size:
        return 0
    words = allocated(db.accesses.slots) if db.accesses is not None else 0
    return allocated(db.shards) + allocated(db.used) + words


def _some_slots(used: bytearray) -> list[int]:
    """Slots with keys: some behind one another from anywhere, or all if there are not many."""
    found: list[int] = []
    slot = used.find(1, int(random() * SLOTS))
    while len(found) < _SOME_SLOTS:
        if slot < 0:
            slot = used.find(1)
        if found and slot == found[0]:
            break
        found.append(slot)
        slot = used.find(1, slot + 1)
    return found
