"""A database: 16384 shards, one for each hash slot.

A shard is a plain dict from key to value, made with the first key of its slot and gone with the last. The value
carries its own type: a string is `bytes`, or `int` once arithmetic touched it, or `bytearray` once it was changed
in place; the other types are classes of their own. The caller never mutates `bytes` and `int`; it tells `touch`
when it has changed any other value in place.

The store knows no clients. Deletion by expiry is reported through `on_expired`.
"""

from __future__ import annotations

from binascii import crc_hqx
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

from respcache.clock import Clock, monotonic
from respcache.store import cursor as cursors
from respcache.store.access import Accesses
from respcache.store.draw import Draw
from respcache.store.events import DEL, EXPIRE, PERSIST, SET, Event
from respcache.store.expiry import Deadlines
from respcache.store.footprint import Footprint
from respcache.store.keeper import Keeper
from respcache.store.lazyfree import HEAVY, Graveyard, is_heavy
from respcache.store.slot import BRACE, MASK, SLOTS, hash_slot, tagged_slot

Value = Any
"""bytes, int, bytearray or one of the container types. A union would force a cast on every handler."""

EMPTY: dict[bytes, Value] = {}
"""The shard of every slot without keys, in all databases: nothing is ever put into this dict."""
_NO_SHARDS = [EMPTY] * SLOTS
_NO_SLOTS = bytearray(SLOTS)
"""What databases share that had no key yet, or none since many were deleted at once."""


class Listener(Protocol):
    """Who is told of all changes of a database, see `respcache.store.observed`. It may not change any."""

    def changed(self, db: Database, key: bytes, event: Event, fresh: bool) -> None:
        """A key was changed, made (then it is `fresh`) or deleted."""

    def missed(self, db: Database, key: bytes) -> None:
        """A key was read that is not there."""

    def cleared(self, db: Database, touched: Callable[[bytes], bool]) -> None:
        """All keys are about to change at once: those of which `touched` says so."""


class Database:
    """One numbered database. Whatever changes a key says which event that is; only who listens cares."""

    __slots__ = (
        "_draw",
        "_peeked",
        "accesses",
        "clock",
        "deadlines",
        "dirty",
        "expired_fields",
        "field_deadlines",
        "footprint",
        "graveyard",
        "hits",
        "index",
        "keeper",
        "listeners",
        "misses",
        "on_expired",
        "on_fields_expired",
        "shards",
        "size",
        "used",
    )

    hides = False
    """What is due is hidden and not deleted, see `respcache.store.hiding`."""

    def __init__(
        self, index: int, clock: Clock, on_expired: Callable[[Database, bytes], None], graveyard: Graveyard
    ) -> None:
        self.index = index
        self.clock = clock
        self.on_expired = on_expired
        self.on_fields_expired: Callable[[Database, bytes, list[bytes]], None] | None = None  # of a hash
        self.graveyard = graveyard
        self.shards = _NO_SHARDS
        self.used = _NO_SLOTS
        """A byte for each slot, 1 if it has keys: `find` goes through those without any at the speed of memory."""
        self.size = 0
        """Number of keys, those that are due but not yet gone included."""
        self.deadlines = Deadlines()
        self.field_deadlines = Deadlines()
        """When to look into hashes for fields that are due, see `respcache.store.field_expiry`."""
        self.expired_fields = 0
        self.dirty = 0
        """Number of changes ever made, as `rdb_changes_since_last_save` counts them: expired keys do not
        count."""
        self.hits = 0
        self.misses = 0
        self.listeners: tuple[Listener, ...] = ()
        """Who is told of each change; none: nobody, and then the class is not that of `respcache.store.observed`."""
        self.keeper: Keeper | None = None
        """Who is told before each change; None: nobody, and then the class is not that of
        `respcache.store.preserved`."""
        self.accesses: Accesses | None = None
        """When or how often keys are used; None until that matters, see `respcache.store.tracked`."""
        self.footprint: Footprint | None = None
        """What it takes; None unless there is a limit, see `respcache.store.sized`."""
        self._peeked = EMPTY  # the shard that `peek` looked into last
        self._draw = Draw()

    # Reading

    def get(self, key: bytes) -> Value | None:
        """The value for a command that reads it; counted as a hit or a miss."""
        slot = tagged_slot(key) if BRACE in key else crc_hqx(key, 0) & MASK
        value = self.shards[slot].get(key)
        if value is None:
            self.misses += 1
            return None
        if self.deadlines.count and self._expired(slot, key):
            self.misses += 1
            return None
        self.hits += 1
        return value

    look = get
    """As `get`, but no use of the key: TTL, TYPE and EXISTS leave its idle time alone."""

    def peek(self, key: bytes) -> Value | None:
        """The value for a command that is going to change it, or that only asks about it; not counted."""
        slot = tagged_slot(key) if BRACE in key else crc_hqx(key, 0) & MASK
        shard = self._peeked = self.shards[slot]
        value = shard.get(key)
        if value is not None and self.deadlines.count and self._expired(slot, key):
            return None
        return value

    def __contains__(self, key: bytes) -> bool:
        return self.peek(key) is not None

    def deadline(self, key: bytes) -> int | None:
        """When a key dies, in milliseconds since the epoch; None if never. The key is not looked up."""
        return self.deadlines.get(hash_slot(key), key) if self.deadlines.count else None

    # Changing

    def set(self, key: bytes, value: Value, event: Event = SET) -> None:
        """Sets a value, whatever was there; a time to live is gone."""
        slot = tagged_slot(key) if BRACE in key else crc_hqx(key, 0) & MASK
        shard = self.shards[slot]
        old = shard.get(key)
        if old is None:
            if shard is EMPTY:
                shard = self._open(slot)
            self.size += 1
        else:
            if type(old) is not bytes and is_heavy(old):
                self.graveyard.bury(old)
            if self.deadlines.count:
                when = self.deadlines.drop(slot, key)
                if when is not None and when <= self.clock.ms():
                    self.on_expired(self, key)
        shard[key] = value
        self.dirty += 1

    def set_all(self, words: Sequence[bytes]) -> None:
        """Sets keys to values, given in turn, as `set` does it: for MSET, without a call for each."""
        if self.deadlines.count:
            for key, value in zip(words[::2], words[1::2], strict=True):
                self.set(key, value)
            return
        shards = self.shards
        rest = iter(words)
        for key, value in zip(rest, rest, strict=True):
            slot = tagged_slot(key) if BRACE in key else crc_hqx(key, 0) & MASK
            shard = shards[slot]
            old = shard.get(key)
            if old is None:
                if shard is EMPTY:
                    shard = self._open(slot)
                    shards = self.shards
                self.size += 1
            elif type(old) is not bytes and is_heavy(old):
                self.graveyard.bury(old)
            shard[key] = value
        self.dirty += len(words) // 2

    def replace(self, key: bytes, value: Value, event: Event) -> None:
        """Sets a value and keeps the key's time to live. The caller has looked for the key, so it is not due."""
        slot = tagged_slot(key) if BRACE in key else crc_hqx(key, 0) & MASK
        shard = self.shards[slot]
        old = shard.get(key)
        if old is None:
            if shard is EMPTY:
                shard = self._open(slot)
            self.size += 1
        elif type(old) is not bytes and is_heavy(old):
            self.graveyard.bury(old)
        shard[key] = value
        self.dirty += 1

    def put(self, key: bytes, value: Value, when: int | None, event: Event = SET) -> None:
        """Sets a value and its deadline, in milliseconds since the epoch or None, as one change."""
        slot = tagged_slot(key) if BRACE in key else crc_hqx(key, 0) & MASK
        shard = self.shards[slot]
        if key in shard and not (self.deadlines.count and self._expired(slot, key)):
            old = shard[key]
            if type(old) is not bytes and is_heavy(old):
                self.graveyard.bury(old)
        else:
            shard = self.shards[slot]  # not the one above, if the key was due and the last of its slot
            if shard is EMPTY:
                shard = self._open(slot)
            self.size += 1
        shard[key] = value
        self.dirty += 1
        if when is not None:
            self.deadlines.set(slot, key, when)
        elif self.deadlines.count:
            self.deadlines.drop(slot, key)
        if type(value) is not bytes and (fields := getattr(value, "deadlines", None)):
            self.field_deadlines.set(slot, key, fields.next_look())  # a hash that was moved or copied

    def update(self, key: bytes, value: Value, event: Event) -> None:
        """As `replace`, and faster, for the key that was looked for by the last `peek` and held nothing heavy."""
        shard = self._peeked
        if key not in shard:
            self.set(key, value, event)
            return
        shard[key] = value
        self.dirty += 1

    def prepare(self, key: bytes) -> None:
        """Says that the value of a key is about to be changed in place, though it was looked for to be read."""

    def touch(self, key: bytes, event: Event, changes: int = 1) -> None:
        """Says that the value of a key was changed in place, which counts as so many changes."""
        self.dirty += changes

    def emptied(self, key: bytes, event: Event, changes: int = 1) -> None:
        """Says that a change in place left a container empty, and deletes the key."""
        self._remove(hash_slot(key), key)
        self.dirty += changes

    def notify(self, key: bytes, event: Event) -> None:
        """An event of a key whose change was already told of: a second one of the same command."""

    def delete(self, key: bytes, event: Event = DEL) -> bool:
        """Deletes a key. Tells whether it was there, alive."""
        slot = hash_slot(key)
        if key not in self.shards[slot] or (self.deadlines.count and self._expired(slot, key)):
            return False
        self._remove(slot, key)
        self.dirty += 1
        return True

    def evict(self, slot: int, keys: Sequence[bytes]) -> None:
        """Deletes keys of a slot, all of which must be there, to make room. That does not count as changes."""
        for key in keys:
            self._remove(slot, key)

    def take(self, key: bytes, event: Event) -> tuple[Value, int | None] | None:
        """Takes a living key out, to `put` its value and deadline elsewhere; that counts as the change. None: absent.
        Unlike one that is deleted the value stays whole."""
        slot = hash_slot(key)
        shard = self.shards[slot]
        if key not in shard or (self.deadlines.count and self._expired(slot, key)):
            return None
        when = self.deadlines.get(slot, key)
        value = shard[key]
        self._unlink(slot, key)
        return value, when

    def expire_at(self, key: bytes, when: int, event: Event = EXPIRE) -> None:
        """Gives an existing key a deadline, in milliseconds since the epoch; it is due at once if that is past."""
        self.deadlines.set(hash_slot(key), key, when)
        self.dirty += 1

    def persist(self, key: bytes, event: Event = PERSIST) -> bool:
        """Takes a key's time to live away. Tells whether it had one."""
        if self.deadlines.drop(hash_slot(key), key) is not None:
            self.dirty += 1
            return True
        return False

    def clear(self) -> int:
        """Deletes all keys. Returns how many there were.

        What many keys took is freed later and in slices; nobody else may hold a shard.
        """
        count = self.size
        if count:
            self._let_go()
            self.size = 0
            self._peeked = EMPTY
            self.deadlines, self.field_deadlines = Deadlines(), Deadlines()
            self.accesses = None
            self.dirty += count
        return count

    def _let_go(self) -> None:
        """Takes all keys out and has freed what they took."""
        if self.size <= HEAVY:
            for slot in self._slots():
                for value in self.shards[slot].values():
                    if type(value) is not bytes and is_heavy(value):
                        self.graveyard.bury(value)
                self._close(slot)
        else:
            self.graveyard.bury(list(filter(None, self.shards)), self.deadlines.slots)  # to weigh each shard is slow
            self._forget_shards()

    def _forget_shards(self) -> None:
        """Leaves all shards and deadlines to who has them, and has freed what else was known of keys."""
        words = [] if self.accesses is None else list(filter(None, self.accesses.slots))
        self.graveyard.bury(*filter(None, (words, self.field_deadlines.slots)))
        self.shards, self.used = _NO_SHARDS, _NO_SLOTS

    def swap(self, other: Database) -> None:
        """Exchanges contents with another database, or with itself."""
        for name in ("shards", "used", "size", "deadlines", "field_deadlines", "accesses", "keeper"):
            mine = getattr(self, name)
            setattr(self, name, getattr(other, name))
            setattr(other, name, mine)
        self._draw, other._draw = Draw(), Draw()
        self._peeked = other._peeked = EMPTY
        self.dirty += 1

    # Walking

    def keys(self) -> Iterator[bytes]:
        """All living keys. The database must not change on the way."""
        for slot in self._slots():
            yield from self._living(slot, self.shards[slot])

    def scan(
        self, cursor: int, count: int, match: Callable[[bytes], object] | None = None
    ) -> tuple[int, list[bytes]]:
        """Looks at `count` more keys or some more, unless the end is reached; returns a new cursor and those of
        them that match and live. Those that match and are due are deleted.

        A cursor is the next slot, and above its 14 bits how much of that was seen, see `respcache.store.cursor`; 0
        at the end. Keys never change their slot, so a key that is there during the whole walk is seen exactly
        once.
        """
        found: list[bytes] = []
        seen, first = divmod(cursor, SLOTS)
        if seen > cursors.LAST:
            return 0, found
        slot = self.used.find(1, first)
        while slot >= 0:
            seen, keys = cursors.part(self.shards[slot], seen if slot == first else 0, count)
            count -= len(keys)
            if match is not None:
                keys = [key for key in keys if match(key)]
            if slot in self.deadlines.slots:
                keys = [key for key in keys if not self._expired(slot, key)]
            found += keys
            if seen:
                return seen * SLOTS + slot, found
            slot = self.used.find(1, slot + 1)
            if count <= 0:
                break
        return max(slot, 0), found

    def random_key(self) -> bytes | None:
        """A living key, each with the same probability."""
        for _ in range(100):
            if not self.size:
                return None
            slot, key = self._draw.key(self.shards, self.used, self.size, self.dirty)
            if not (self.deadlines.count and self._expired(slot, key)):
                return key
        return next(self.keys(), None)  # nearly all keys are dead and wait for their deletion

    # Expiry

    def expire_due(self, budget: float) -> bool:
        """Deletes keys that are due, for about `budget` seconds. Tells whether more of them are left."""
        now = self.clock.ms()
        stop = monotonic() + budget
        while (due := self.deadlines.take_due(now, 128)) is not None:
            slot, keys = due
            for key in keys:
                self._expired(slot, key)
            if monotonic() > stop:
                return True
        return False

    def _expired(self, slot: int, key: bytes) -> bool:
        """Whether a key is due; it is deleted then."""
        when = self.deadlines.get(slot, key)
        if when is None or when > self.clock.ms():
            return False
        self._remove(slot, key)
        self.on_expired(self, key)
        return True

    def _remove(self, slot: int, key: bytes) -> None:
        value = self.shards[slot][key]
        self._unlink(slot, key)
        if is_heavy(value):
            self.graveyard.bury(value)

    def _unlink(self, slot: int, key: bytes) -> None:
        shard = self.shards[slot]
        del shard[key]
        if self.accesses is not None:
            self.accesses.slots[slot].pop(key, None)
        if not shard:
            self._close(slot)
        self.size -= 1
        if self.deadlines.count:
            self.deadlines.drop(slot, key)
        if self.field_deadlines.count:
            self.field_deadlines.drop(slot, key)

    def _living(self, slot: int, shard: dict[bytes, Value]) -> list[bytes]:
        deadlines = self.deadlines.slots.get(slot)
        if not deadlines:
            return list(shard)
        now = self.clock.ms()
        return [key for key in shard if deadlines.get(key, now + 1) > now]

    def _slots(self) -> Iterator[int]:
        """The slots that have keys. The one just given may lose them; else they must not change on the way."""
        used = self.used
        slot = used.find(1)
        while slot >= 0:
            yield slot
            slot = used.find(1, slot + 1)

    def _open(self, slot: int) -> dict[bytes, Value]:
        """A shard for a slot that has none."""
        if self.shards is _NO_SHARDS:
            self.shards, self.used = [EMPTY] * SLOTS, bytearray(SLOTS)
        self.shards[slot], self.used[slot] = {}, 1
        if self.accesses is not None:
            self.accesses.open(slot)
        return self.shards[slot]

    def _close(self, slot: int) -> None:
        """A slot has lost its last key."""
        self.shards[slot], self.used[slot] = EMPTY, 0
        if self.accesses is not None:
            self.accesses.close(slot)
