"""The dead fields of hashes: buried when a command comes across them, and by the cron in slices.

`db.field_deadlines` has one entry for each hash that has deadlines, a lower bound of the earliest. An entry is a
hint: what it says of a key is checked against the value that is there, so a key may change its value freely.
"""

from __future__ import annotations

from collections.abc import Iterable

from respcache.clock import monotonic
from respcache.store.database import Database
from respcache.store.events import HEXPIRED
from respcache.store.hash import Hash, HashTable, ListpackEx, Mortal, pop
from respcache.store.slot import hash_slot
from respcache.store.types import TYPES

_STEP = 128
"""Deadlines to look at between two looks at the clock."""


def watch(db: Database, key: bytes, hash_: Mortal) -> None:
    """Says that a field of a hash got a deadline."""
    look = hash_.deadlines.next_look() if hash_.deadlines else None
    if look is not None:
        slot = hash_slot(key)
        known = db.field_deadlines.get(slot, key)
        if known is None or look < known:
            db.field_deadlines.set(slot, key, look)


def bury(db: Database, key: bytes, hash_: Mortal, fields: Iterable[bytes] | None) -> bool:
    """Deletes those of the fields that are dead, of all fields if None. Tells whether that was the whole hash,
    which is deleted then."""
    deadlines = hash_.deadlines
    if not deadlines:
        return False
    db.prepare(key)
    now = db.clock.ms()
    buried: list[bytes] = []
    if fields is not None:
        for field in fields:
            when = deadlines.get(field)
            if when is not None and when <= now:
                pop(hash_, field)
                buried.append(field)
    else:
        while (due := deadlines.take_due(now, _STEP)) is not None:
            buried += _drop(hash_, due)
    return bool(buried) and _told(db, key, hash_, buried)


def hidden(db: Database, hash_: Mortal, fields: Iterable[bytes] | None) -> Hash:
    """A hash for who reads those of the fields, or all of them if None: without those that are dead. The hash itself
    remains as it is."""
    deadlines, now = hash_.deadlines, db.clock.ms()
    if not deadlines:
        return hash_
    if fields is None:
        fields = [field for field, _ in deadlines.items()]
    dead = {field for field in fields if (deadlines.get(field) or now + 1) <= now}
    if not dead:
        return hash_
    copy: Mortal = TYPES[type(hash_)].copy(hash_)
    _drop(copy, dead)
    return copy


def expire_fields(db: Database, budget: float) -> bool:
    """Deletes fields that are due, for about `budget` seconds. Tells whether more of them are left."""
    now = db.clock.ms()
    stop = monotonic() + budget
    hints = db.field_deadlines
    while (due := hints.take_due(now, _STEP)) is not None:
        slot, keys = due
        late = False
        for key in keys:
            if late:
                hints.set(slot, key, now)  # again: it was taken
            elif not _expire(db, slot, key, now, stop):
                late = True
        if late or monotonic() > stop:
            return True
    return False


def _expire(db: Database, slot: int, key: bytes, now: int, stop: float) -> bool:
    """Deletes the dead fields of a key that is in the hints. False: the time is over."""
    hash_ = db.peek(key)
    deadlines = hash_.deadlines if isinstance(hash_, ListpackEx | HashTable) else None
    if hash_ is None or not deadlines:
        db.field_deadlines.drop(slot, key)
        return True
    buried: list[bytes] = []
    done = True
    while (due := deadlines.take_due(now, _STEP)) is not None:
        buried += _drop(hash_, due)
        if monotonic() > stop:
            done = False
            break
    if buried and _told(db, key, hash_, buried):
        return done
    look = deadlines.next_look()
    if look is None:
        db.field_deadlines.drop(slot, key)
    else:
        db.field_deadlines.set(slot, key, look if done else now)
    return done


def _drop(hash_: Mortal, fields: Iterable[bytes]) -> list[bytes]:
    return [field for field in fields if pop(hash_, field)]


def _told(db: Database, key: bytes, hash_: Mortal, buried: list[bytes]) -> bool:
    """Publishes that fields have expired. Tells whether none is left, and deletes the hash then."""
    db.expired_fields += len(buried)
    if db.on_fields_expired is not None:
        db.on_fields_expired(db, key, buried)
    if len(hash_):
        db.touch(key, HEXPIRED, 0)
        return False
    db.emptied(key, HEXPIRED, 0)
    return True
