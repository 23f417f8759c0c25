"""Who watches what, and when it listens."""

from __future__ import annotations

import pytest

from respcache.clock import Clock
from respcache.features.watch import Watch, Watches
from respcache.store.database import Database
from respcache.store.keyspace import Keyspace


@pytest.fixture
def keyspace() -> Keyspace:
    return Keyspace(2, Clock())


@pytest.fixture
def watches(keyspace: Keyspace) -> Watches:
    return Watches(keyspace)


def test_a_change_breaks_who_watches_that_key_there(keyspace: Keyspace, watches: Watches) -> None:
    db, other = keyspace.databases
    mine, yours, elsewhere = Watch(), Watch(), Watch()
    watches.add(mine, db, b"a")
    watches.add(yours, db, b"b")
    watches.add(elsewhere, other, b"a")
    db.set(b"a", b"1")
    assert [watch.broken for watch in (mine, yours, elsewhere)] == [True, False, False]


def test_it_listens_while_anything_is_watched(keyspace: Keyspace, watches: Watches) -> None:
    db = keyspace.databases[0]
    one, other = Watch(), Watch()
    watches.add(one, db, b"a")
    watches.add(one, db, b"a")
    watches.add(one, db, b"b")
    watches.add(other, db, b"a")
    assert len(watches) == 2 and db.listeners == (watches,)
    watches.drop(one)
    watches.drop(one)
    assert len(watches) == 1 and type(db) is not Database
    watches.drop(other)
    assert len(watches) == 0 and type(db) is Database and not keyspace.expired


def test_expiry_breaks_it(keyspace: Keyspace, watches: Watches, monkeypatch: pytest.MonkeyPatch) -> None:
    db, watch = keyspace.databases[0], Watch()
    db.put(b"k", b"v", db.clock.ms() + 1_000_000)
    watches.add(watch, db, b"k")
    assert not watches.is_broken(watch)
    now = db.clock.ms()
    monkeypatch.setattr(Clock, "ms", lambda _self: now + 2_000_000)
    assert not watch.broken
    assert watches.is_broken(watch), "it is due, and nobody has looked yet"


def test_what_is_due_when_it_is_watched_is_a_missing_key(keyspace: Keyspace, watches: Watches) -> None:
    db, watch = keyspace.databases[0], Watch()
    db.put(b"k", b"v", 1)
    watches.add(watch, db, b"k")
    assert not watches.is_broken(watch)
