"""Databases that hide what is due, and keep it."""

from __future__ import annotations

import pytest

from respcache.clock import Clock
from respcache.store.field_expiry import hidden
from respcache.store.hash import ListpackEx
from respcache.store.hiding import HidingDatabase
from respcache.store.keyspace import Keyspace


class World:
    """A keyspace whose time is set by hand."""

    def __init__(self) -> None:
        self.now = 1000
        self.keyspace = Keyspace(2, Clock(lambda: self.now))
        self.expired: list[bytes] = []
        self.keyspace.expired.append(lambda _db, key: self.expired.append(key))
        self.keyspace.hide(True)
        self.db = self.keyspace.databases[0]
        self.db.put(b"mortal", b"1", 2000)
        self.db.put(b"other", b"1", None)


@pytest.fixture
def world() -> World:
    return World()


def test_a_key_that_is_due(world: World) -> None:
    db = world.db
    assert isinstance(db, HidingDatabase)
    assert db.hides
    assert db.get(b"mortal") == b"1"
    world.now = 2000
    assert db.get(b"mortal") is None
    assert db.peek(b"mortal") is None
    assert b"mortal" not in db
    assert not db.delete(b"mortal")
    assert list(db.keys()) == [b"other"]
    assert db.scan(0, 100) == (0, [b"other"])
    assert db.random_key() == b"other"
    assert db.size == 2
    assert world.expired == []


def test_for_the_master_it_is_there(world: World) -> None:
    world.now = 2000
    with world.keyspace.without_time():
        assert world.db.peek(b"mortal") == b"1"
        assert world.db.persist(b"mortal")
    assert world.db.get(b"mortal") == b"1"


def test_the_master_deletes_it(world: World) -> None:
    world.now = 2000
    with world.keyspace.without_time():
        assert world.db.delete(b"mortal")
    assert world.db.size == 1


def test_it_is_over(world: World) -> None:
    world.now = 2000
    world.keyspace.hide(False)
    assert not world.db.hides
    assert world.db.get(b"mortal") is None
    assert world.expired == [b"mortal"]
    assert world.db.size == 1


def test_fields_that_are_due(world: World) -> None:
    hash_ = ListpackEx({b"a": b"1", b"b": b"2"})
    hash_.deadlines.set(b"a", 2000)
    assert hidden(world.db, hash_, None) is hash_
    world.now = 2000
    assert hidden(world.db, hash_, (b"b",)) is hash_
    assert dict(hidden(world.db, hash_, (b"a", b"b")).items()) == {b"b": b"2"}
    assert dict(hidden(world.db, hash_, None).items()) == {b"b": b"2"}
    assert len(hash_) == 2
