"""store/preserved.py: who keeps a database is told before each change. That a snapshot misses none is proved in
tests/unit/persistence/test_snapshot.py."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from respcache.clock import Clock
from respcache.store.database import Database
from respcache.store.events import APPEND, RPUSH
from respcache.store.keyspace import Keyspace
from respcache.store.list import Listpack
from respcache.store.slot import SLOTS, hash_slot


class Notes:
    """A keeper that remembers what it was told, and what the key held then."""

    def __init__(self, db: Database) -> None:
        self.todo = bytearray(b"\1" * SLOTS)
        self.db = db
        self.told: list[tuple[bytes, object]] = []
        self.inherited = 0

    def keep(self, slot: int, key: bytes) -> None:
        assert slot == hash_slot(key)
        self.told.append((key, self.db.shards[slot].get(key)))

    def inherit(self) -> None:
        self.inherited = self.db.size


@pytest.fixture
def db() -> Database:
    keyspace = Keyspace(2, Clock(lambda: 1000))
    db = keyspace.databases[0]
    db.set(b"a", b"old")
    db.set(b"l", Listpack([b"x"]))
    db.put(b"m", b"mortal", 5000)
    keyspace.preserve([Notes(db), None])
    return db


def told(db: Database) -> list[tuple[bytes, object]]:
    assert isinstance(db.keeper, Notes)
    return db.keeper.told


def updated(db: Database) -> None:
    db.peek(b"a")
    db.update(b"a", b"new", APPEND)


CHANGES: list[Callable[[Database], object]] = [
    lambda db: db.set(b"a", b"new"),
    lambda db: db.set_all([b"a", b"new"]),
    lambda db: db.replace(b"a", b"new", APPEND),
    lambda db: db.put(b"a", b"new", None),
    updated,
    lambda db: db.delete(b"a"),
    lambda db: db.take(b"a", APPEND),
    lambda db: db.expire_at(b"a", 9000),
    lambda db: db.prepare(b"a"),
    lambda db: db.evict(hash_slot(b"a"), [b"a"]),
]


@pytest.mark.parametrize("change", CHANGES)
def test_it_is_told_before(db: Database, change: Callable[[Database], object]) -> None:
    change(db)
    assert told(db)[0] == (b"a", b"old")


def test_a_deadline_is_seen_before_it_goes(db: Database) -> None:
    db.persist(b"m")
    assert told(db) == [(b"m", b"mortal")]


def test_reading_what_cannot_change_in_place_is_no_change(db: Database) -> None:
    assert db.peek(b"a") == db.get(b"a") == b"old"
    assert told(db) == []


def test_what_may_be_changed_in_place_is_told_when_it_is_looked_for(db: Database) -> None:
    found = db.peek(b"l")
    assert told(db) == [(b"l", found)]
    db.touch(b"l", RPUSH)


def test_what_does_not_matter_is_not_told(db: Database) -> None:
    assert db.keeper is not None
    db.keeper.todo[hash_slot(b"a")] = 0
    db.set(b"a", b"new")
    assert told(db) == []


def test_expiry_is_told(db: Database) -> None:
    db.clock = Clock(lambda: 6000)
    assert db.get(b"m") is None
    assert told(db) == [(b"m", b"mortal")]


def test_all_shards_are_left_to_the_keeper(db: Database) -> None:
    keeper, shards = db.keeper, db.shards
    assert isinstance(keeper, Notes)
    assert db.clear() == 3
    assert (keeper.inherited, db.size, db.keeper) == (3, 0, None)
    assert shards[hash_slot(b"a")] == {b"a": b"old"}
    db.set(b"a", b"new")
    assert keeper.told == []
    db.clear()
    assert keeper.inherited == 3


def test_what_the_keeper_need_not_know_is_freed_late() -> None:
    """A million words of access would hold the loop for 25 ms."""
    keyspace = Keyspace(1, Clock(lambda: 1000))
    keyspace.track()
    db = keyspace.databases[0]
    db.set(b"a", b"old")
    keyspace.preserve([Notes(db)])
    db.clear()
    assert len(keyspace.graveyard)
    while keyspace.graveyard.free_slice(1):
        pass
    assert not keyspace.graveyard
