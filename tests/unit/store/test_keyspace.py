"""All databases of a server, and of which class they are."""

from __future__ import annotations

import pytest

from respcache.clock import Clock
from respcache.store.database import Database
from respcache.store.events import SET
from respcache.store.keyspace import Keyspace
from respcache.store.observed import ObservedDatabase
from respcache.store.tracked import TrackedDatabase


class Time(Clock):
    now = 1_000_000

    def ms(self) -> int:
        return self.now


@pytest.fixture
def clock() -> Time:
    return Time()


@pytest.fixture
def keyspace(clock: Time) -> Keyspace:
    return Keyspace(3, clock)


def test_totals_are_those_of_all_databases(keyspace: Keyspace) -> None:
    one, other, _ = keyspace.databases
    one.set(b"a", b"1")
    other.set(b"b", b"2")
    other.touch(b"b", SET, 3)
    for db in keyspace.databases:
        db.get(b"a")
    assert (keyspace.dirty, keyspace.hits, keyspace.misses) == (5, 1, 2)
    keyspace.reset_stats()
    assert (keyspace.dirty, keyspace.hits, keyspace.misses) == (5, 0, 0)


def test_all_databases_expire(keyspace: Keyspace, clock: Time) -> None:
    told: list[tuple[int, bytes]] = []
    keyspace.expired.append(lambda db, key: told.append((db.index, key)))
    assert keyspace.next_look() is None
    keyspace.databases[0].put(b"a", b"1", clock.now + 20)
    keyspace.databases[2].put(b"b", b"2", clock.now + 10)
    look = keyspace.next_look()
    assert look is not None and look <= clock.now + 10
    clock.now += 20
    assert not keyspace.expire_due(1.0)
    assert sorted(told) == [(0, b"a"), (2, b"b")]
    assert keyspace.expired_keys == 2


def test_the_class_of_a_database_follows_what_is_asked_of_it(keyspace: Keyspace) -> None:
    class Ear:
        def changed(self, *_: object) -> None: ...
        def missed(self, *_: object) -> None: ...
        def cleared(self, *_: object) -> None: ...

    db, ear = keyspace.databases[0], Ear()
    classes = [type(db)]
    keyspace.listen(ear)
    classes.append(type(db))
    keyspace.track()
    classes.append(type(db))
    db.clear()
    keyspace.unlisten(ear)
    classes.append(type(db))
    assert classes[:2] == [Database, ObservedDatabase]
    assert issubclass(classes[2], ObservedDatabase) and issubclass(classes[2], TrackedDatabase)
    assert classes[3] is TrackedDatabase
    keyspace.preserve([None] * len(keyspace.databases))
    assert type(db) is TrackedDatabase


def test_nothing_is_due_without_time(keyspace: Keyspace) -> None:
    db = keyspace.databases[0]
    db.put(b"key", b"value", 1)
    clock = db.clock
    with keyspace.without_time():
        assert db.get(b"key") == b"value"
    assert db.clock is clock
    assert db.get(b"key") is None
