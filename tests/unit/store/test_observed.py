"""Databases that tell of their changes."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from respcache.clock import Clock
from respcache.store.database import Database
from respcache.store.events import DEL, EVICTED, EXPIRE, LPOP, PERSIST, RENAME_FROM, SET, Event
from respcache.store.keyspace import Keyspace
from respcache.store.observed import ObservedDatabase
from respcache.store.slot import hash_slot
from respcache.store.tracked import TrackedDatabase, idle


class Ear:
    """A listener that remembers."""

    def __init__(self) -> None:
        self.heard: list[tuple[bytes, Event, bool]] = []
        self.misses: list[bytes] = []
        self.touched: list[bytes] = []

    def changed(self, db: Database, key: bytes, event: Event, fresh: bool) -> None:
        self.heard.append((key, event, fresh))

    def missed(self, db: Database, key: bytes) -> None:
        self.misses.append(key)

    def cleared(self, db: Database, touched: Callable[[bytes], bool]) -> None:
        self.touched += [key for key in (b"k", b"other", b"nothing") if touched(key)]


@pytest.fixture
def keyspace() -> Keyspace:
    return Keyspace(2, Clock())


def test_each_change_is_told_once(keyspace: Keyspace) -> None:
    db, ear = keyspace.databases[0], Ear()
    keyspace.listen(ear)
    db.set(b"k", b"1")
    db.set(b"k", b"2")
    db.replace(b"k", [b"x"], SET)
    db.touch(b"k", SET, 3)
    db.expire_at(b"k", 1 << 50)
    db.persist(b"k")
    db.persist(b"k")
    db.emptied(b"k", LPOP)
    db.put(b"k", b"v", None)
    db.take(b"k", RENAME_FROM)
    db.delete(b"k")
    db.peek(b"k")
    db.update(b"k", b"v", SET)
    db.peek(b"k")
    db.update(b"k", b"w", SET)
    db.delete(b"k")
    assert ear.heard == [
        (b"k", SET, True),
        (b"k", SET, False),
        (b"k", SET, False),
        (b"k", SET, False),
        (b"k", EXPIRE, False),
        (b"k", PERSIST, False),
        (b"k", LPOP, False),
        (b"k", DEL, False),
        (b"k", SET, True),
        (b"k", RENAME_FROM, False),
        (b"k", SET, True),
        (b"k", SET, False),
        (b"k", DEL, False),
    ]


def test_what_is_evicted_is_told(keyspace: Keyspace) -> None:
    db, ear = keyspace.databases[0], Ear()
    keyspace.listen(ear)
    db.set_all([b"{k}1", b"", b"{k}2", b""])
    ear.heard.clear()
    db.evict(hash_slot(b"k"), [b"{k}1", b"{k}2"])
    assert ear.heard == [(b"{k}1", EVICTED, False), (b"{k}2", EVICTED, False)]
    assert (db.size, db.dirty) == (0, 2)


def test_changes_are_counted_as_without_a_listener(keyspace: Keyspace) -> None:
    counts = []
    for db in keyspace.databases:
        db.set(b"k", [b"x"])
        db.touch(b"k", SET, 3)
        db.emptied(b"k", LPOP)
        counts.append((db.dirty, db.size))
        keyspace.listen(Ear())
    assert counts == [(5, 0), (5, 0)]


def test_misses_are_told_once_also_where_uses_are_noted(keyspace: Keyspace) -> None:
    db, ear = keyspace.databases[0], Ear()
    keyspace.track()
    keyspace.listen(ear)
    assert isinstance(db, ObservedDatabase) and isinstance(db, TrackedDatabase)
    assert db.get(b"a") is None
    assert db.look(b"b") is None
    assert db.peek(b"c") is None
    assert ear.misses == [b"a", b"b"]
    db.set(b"a", b"1")
    assert idle(db, b"a") == 0


def test_all_keys_at_once(keyspace: Keyspace) -> None:
    one, other = keyspace.databases
    ear = Ear()
    keyspace.listen(ear)
    one.set(b"k", b"1")
    other.set(b"other", b"1")
    one.swap(other)
    assert ear.touched == [b"k", b"other", b"k", b"other"]
    ear.touched.clear()
    one.clear()
    assert ear.touched == [b"other"]


def test_who_stops_listening_costs_nothing(keyspace: Keyspace) -> None:
    ear, second = Ear(), Ear()
    keyspace.listen(ear)
    keyspace.listen(second)
    keyspace.unlisten(ear)
    keyspace.databases[1].set(b"k", b"1")
    assert not ear.heard and len(second.heard) == 1
    keyspace.unlisten(second)
    keyspace.unlisten(second)
    assert {type(db) for db in keyspace.databases} == {Database}
