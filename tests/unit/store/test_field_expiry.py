"""Dead fields: buried on the way and by the cron, with a clock that is set by hand."""

from __future__ import annotations

import time

import pytest

from respcache.clock import Clock
from respcache.store.database import Database
from respcache.store.events import DEL, HEXPIRED, HSET, RENAME_FROM, RENAME_TO, Event
from respcache.store.field_expiry import bury, expire_fields, watch
from respcache.store.hash import HashTable, ListpackEx, Mortal, table_of
from respcache.store.keyspace import Keyspace
from respcache.store.types import TYPES

START = 1_000_000


class Ear:
    """Hears the events of all databases."""

    def __init__(self) -> None:
        self.heard: list[tuple[bytes, Event | None]] = []

    def changed(self, db: Database, key: bytes, event: Event | None, fresh: bool) -> None:
        self.heard.append((key, event))

    def missed(self, db: Database, key: bytes) -> None:
        pass

    def cleared(self, db: Database, before: object) -> None:
        pass


class Store:
    """A database, its clock and its events."""

    def __init__(self) -> None:
        self.now = START
        self.keyspace = Keyspace(2, Clock(lambda: self.now))
        self.db = self.keyspace.databases[0]
        self.ear = Ear()
        self.keyspace.listen(self.ear)

    def hash(self, key: bytes, deadlines: dict[bytes, int | None], big: bool = False) -> Mortal:
        """Puts a hash whose fields die so many milliseconds after the start, or never."""
        value: Mortal = ListpackEx(dict.fromkeys(deadlines, b"v"))
        for field, after in deadlines.items():
            if after is not None and value.deadlines is not None:
                value.deadlines.set(field, START + after)
        if isinstance(value, ListpackEx) and big:
            value = table_of(value)
        self.db.set(key, value, HSET)
        watch(self.db, key, value)
        self.ear.heard.clear()
        return value


@pytest.fixture
def store() -> Store:
    return Store()


def test_those_that_are_asked_for_are_buried(store: Store) -> None:
    value = store.hash(b"h", {b"a": 1, b"b": 1, b"c": 5, b"d": None})
    dirty = store.db.dirty
    store.now += 1
    assert not bury(store.db, b"h", value, (b"b", b"c", b"d", b"x"))
    assert set(value) == {b"a", b"c", b"d"}
    assert not bury(store.db, b"h", value, None)
    assert set(value) == {b"c", b"d"}
    assert not bury(store.db, b"h", value, None)
    assert store.ear.heard == [(b"h", HEXPIRED)] * 2
    assert store.db.dirty == dirty
    assert store.keyspace.expired_fields == 2


def test_a_hash_goes_with_its_last_field(store: Store) -> None:
    value = store.hash(b"h", {b"a": 1, b"b": 2})
    store.now += 2
    assert bury(store.db, b"h", value, None)
    assert store.db.size == store.db.field_deadlines.count == 0
    assert store.ear.heard == [(b"h", HEXPIRED), (b"h", DEL)]


@pytest.mark.parametrize("big", [False, True])
def test_the_cron_finds_them(store: Store, big: bool) -> None:
    value = store.hash(b"h", {b"a": 100, b"b": 1000, b"c": None}, big)
    other = store.hash(b"other", {b"x": 500}, big)
    assert store.keyspace.next_look() == START + 100
    assert not store.keyspace.expire_due(1)
    assert len(value) == 3
    store.now = START + 100
    assert not store.keyspace.expire_due(1)
    assert set(value) == {b"b", b"c"}
    assert len(other) == 1
    store.now = START + 5000
    assert not store.keyspace.expire_due(1)
    assert set(value) == {b"c"}
    assert store.db.size == 1
    assert store.keyspace.next_look() is None
    assert store.ear.heard == [(b"h", HEXPIRED), (b"h", HEXPIRED), (b"other", HEXPIRED), (b"other", DEL)] or (
        store.ear.heard == [(b"h", HEXPIRED), (b"other", HEXPIRED), (b"other", DEL), (b"h", HEXPIRED)]
    )


def test_many_go_in_slices(store: Store) -> None:
    names = [b"f%d" % number for number in range(30_000)]
    value = store.hash(b"h", dict.fromkeys(names, 10) | {b"stays": None}, big=True)
    others = [store.hash(b"{t}%d" % number, {b"f": 10}) for number in range(300)]
    store.now += 10
    turns, longest = 0, 0.0
    while True:
        since = time.perf_counter()
        more = expire_fields(store.db, 0.001)
        longest = max(longest, time.perf_counter() - since)
        turns += 1
        if not more:
            break
    assert turns > 3
    assert longest < 0.1
    assert list(value) == [b"stays"]
    assert store.db.size == 1
    assert store.keyspace.expired_fields == len(names) + len(others)


def test_hints_are_checked_against_the_value_that_is_there(store: Store) -> None:
    for key in (b"string", b"gone", b"plain", b"later"):
        store.hash(key, {b"a": 10})
    store.db.set(b"string", b"v")
    store.db.delete(b"gone")
    store.db.set(b"plain", {b"a": b"v"}, HSET)
    store.hash(b"later", {b"a": 300})
    store.now += 10
    assert not store.keyspace.expire_due(1)
    assert sorted(store.db.keys()) == [b"later", b"plain", b"string"]
    assert store.db.field_deadlines.count == 1
    store.now += 1000
    assert not store.keyspace.expire_due(1)
    assert store.db.field_deadlines.count == 0
    assert store.db.size == 2


def test_deadlines_that_were_taken_away_expire_nothing(store: Store) -> None:
    value = store.hash(b"h", {b"a": 10, b"b": 5000})
    assert value.deadlines is not None
    value.deadlines.drop(b"a")
    store.now += 10
    assert not store.keyspace.expire_due(1)
    assert len(value) == 2
    look = store.keyspace.next_look()
    assert look is not None and look > store.now
    value.deadlines.drop(b"b")
    store.now += 5000
    assert not store.keyspace.expire_due(1)
    assert len(value) == 2
    assert store.keyspace.next_look() is None


def test_a_hash_that_moves_takes_them_along(store: Store) -> None:
    store.hash(b"h", {b"a": 10, b"b": None})
    copy = TYPES[ListpackEx].copy(store.db.peek(b"h"))
    store.db.put(b"copy", copy, None)
    taken = store.db.take(b"h", RENAME_FROM)
    assert taken is not None
    store.keyspace.databases[1].put(b"new", *taken, RENAME_TO)
    store.db.swap(store.keyspace.databases[1])
    assert [db.field_deadlines.count for db in store.keyspace.databases] == [1, 1]
    store.now += 10
    assert not store.keyspace.expire_due(1)
    moved = store.db.peek(b"new")
    assert moved is not None and len(moved) == len(copy) == 1


def test_flushing_forgets_them(store: Store) -> None:
    store.hash(b"h", {b"a": 10})
    store.db.clear()
    assert store.keyspace.next_look() is None


def test_a_hash_whose_key_is_due_expires_as_a_key(store: Store) -> None:
    store.hash(b"h", {b"a": 10, b"b": None})
    store.db.expire_at(b"h", START + 10)
    store.now += 10
    assert not expire_fields(store.db, 1)
    assert store.db.size == store.db.field_deadlines.count == 0
    assert (store.keyspace.expired_keys, store.keyspace.expired_fields) == (1, 0)


def test_a_table_without_deadlines_has_nothing_to_bury(store: Store) -> None:
    assert not bury(store.db, b"h", HashTable({b"a": b"v"}), None)
