"""Idle times, and that nothing is noted before somebody asks."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from respcache.clock import Clock
from respcache.store import access
from respcache.store.database import Database
from respcache.store.events import SET
from respcache.store.keyspace import Keyspace
from respcache.store.tracked import TrackedDatabase, idle


class Time:
    """A monotonic clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    time = Time()
    monkeypatch.setattr(access, "monotonic", time)
    return time


@pytest.fixture
def keyspace() -> Keyspace:
    return Keyspace(2, Clock())


def test_a_plain_database_notes_nothing(keyspace: Keyspace) -> None:
    db = keyspace.databases[0]
    db.set(b"k", b"v")
    db.get(b"k")
    assert type(db) is Database
    assert db.accesses is None
    assert idle(db, b"k") == 0


def test_each_use_counts(keyspace: Keyspace, time: Time) -> None:
    db = keyspace.databases[0]
    db.set(b"k", b"v")
    keyspace.track()
    assert type(db) is TrackedDatabase
    uses: list[Callable[[], object]] = [
        lambda: db.get(b"k"),
        lambda: db.set(b"k", b"w"),
        lambda: db.replace(b"k", b"x", SET),
        lambda: db.touch(b"k", SET),
    ]
    for use in uses:
        time.now += 10.5
        assert idle(db, b"k") >= 10
        use()
        assert idle(db, b"k") == 0


def test_looking_is_no_use(keyspace: Keyspace, time: Time) -> None:
    db = keyspace.databases[0]
    keyspace.track()
    db.set(b"k", b"v")
    time.now += 7
    assert db.look(b"k") == db.peek(b"k") == b"v"
    assert idle(db, b"k") == 7
    assert db.hits == 1


def test_keys_not_used_since_count_from_the_beginning(keyspace: Keyspace, time: Time) -> None:
    db = keyspace.databases[0]
    db.set(b"k", b"v")
    keyspace.track()
    time.now += 3
    keyspace.track()  # changes nothing
    assert idle(db, b"k") == 3


def test_a_key_that_is_gone_is_forgotten(keyspace: Keyspace, time: Time) -> None:
    db = keyspace.databases[0]
    keyspace.track()
    db.set(b"k", b"v")
    db.delete(b"k")
    assert db.accesses is not None
    assert not any(db.accesses.slots)
    db.set(b"k", b"v")
    db.clear()
    time.now += 5
    keyspace.access_clock.tick()
    db.set(b"other", b"v")
    assert idle(db, b"other") == 0


def test_a_missing_key_is_not_noted(keyspace: Keyspace, time: Time) -> None:
    db = keyspace.databases[0]
    keyspace.track()
    assert db.get(b"k") is None
    assert db.accesses is not None
    assert not any(db.accesses.slots)


def test_databases_swap_their_times(keyspace: Keyspace, time: Time) -> None:
    one, other = keyspace.databases
    keyspace.track()
    one.set(b"k", b"v")
    time.now += 4
    keyspace.access_clock.tick()
    other.set(b"k", b"v")
    one.swap(other)
    assert (idle(one, b"k"), idle(other, b"k")) == (0, 4)
