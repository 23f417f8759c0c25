"""Filling databases from a file: many keys at a time, none of which may be there.

What is loaded is no change: it is not counted, nobody is told of it, and it is no use of a key.
"""

from __future__ import annotations

from binascii import crc_hqx
from collections.abc import Mapping, Sequence

from respcache.store.database import Database, Value
from respcache.store.events import NO_EVENT
from respcache.store.slot import BRACE, MASK, hash_slot, tagged_slot


class DuplicateKeyError(ValueError):
    """A key that is there already; those before it have been loaded."""

    def __init__(self, db: Database, key: bytes) -> None:
        super().__init__(f"duplicate key {key[:128]!r} in database {db.index}")


def load_strings(
    db: Database, keys: Sequence[bytes], values: Sequence[Value], deadlines: Mapping[bytes, int]
) -> None:
    """Adds strings to a database; `deadlines` in milliseconds since the epoch. Raises DuplicateKeyError."""
    if type(db) is not Database:
        for key, value in zip(keys, values, strict=True):
            load_value(db, key, value, deadlines.get(key))
        return
    shards, loaded = db.shards, 0
    try:
        for key, value in zip(keys, values, strict=True):
            slot = tagged_slot(key) if BRACE in key else crc_hqx(key, 0) & MASK
            shard = shards[slot]
            if not shard:  # the first key of its slot
                load_value(db, key, value, None)
                shards = db.shards  # the first one of all gives the database shards of its own
                continue
            if key in shard:
                raise DuplicateKeyError(db, key)
            shard[key] = value
            loaded += 1
    finally:
        db.size += loaded
    for key, when in deadlines.items():
        db.deadlines.set(hash_slot(key), key, when)


def load_value(db: Database, key: bytes, value: Value, when: int | None) -> None:
    """Adds any value. Raises DuplicateKeyError."""
    if key in db.shards[hash_slot(key)]:
        raise DuplicateKeyError(db, key)
    dirty = db.dirty
    db.put(key, value, when, NO_EVENT)
    db.dirty = dirty
