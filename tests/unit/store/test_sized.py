"""The account of a database is at any time what counting it anew would say."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from respcache.clock import Clock
from respcache.store.access import Recency
from respcache.store.database import Database
from respcache.store.events import APPEND, DEL, HSET, INCRBY, RENAME_TO, RESTORE
from respcache.store.footprint import Footprint
from respcache.store.hash import HashTable
from respcache.store.keyspace import Keyspace
from respcache.store.load import load_strings, load_value
from respcache.store.sized import SizedDatabase, recount, settle, tables
from respcache.store.slot import hash_slot


@pytest.fixture
def keyspace() -> Keyspace:
    made = Keyspace(2, Clock())
    made.count_bytes(True)
    return made


def footprint(db: Database) -> Footprint:
    assert db.footprint is not None
    return db.footprint


def check(keyspace: Keyspace) -> None:
    """Nothing is forgotten, nothing counted twice."""
    for db in keyspace.databases:
        settle(db, 1 << 30)
        told = footprint(db).bytes
        recount(db)
        assert footprint(db).bytes == told
    assert keyspace.account.bytes == sum(footprint(db).bytes for db in keyspace.databases)


def test_each_way_to_a_change(keyspace: Keyspace) -> None:
    now = 1000
    db, other = keyspace.databases
    for each in keyspace.databases:
        each.clock = Clock(lambda: now)
    db.set(b"a", b"x")
    check(keyspace)
    db.set(b"a", b"x" * 1000)
    db.set_all([b"b", b"1", b"c", b"2", b"b", b"333333333333333333333333"])
    check(keyspace)
    db.replace(b"c", 1 << 40, INCRBY)
    db.peek(b"c")
    db.update(b"c", b"y" * 50, INCRBY)
    db.peek(b"new")
    db.update(b"new", b"z", INCRBY)
    check(keyspace)
    db.put(b"d", {b"f": b"v" * 300}, 2000, RESTORE)
    db.put(b"d", {b"f": b"v" * 30}, 2000, RESTORE)
    check(keyspace)
    now = 3000
    db.put(b"d", b"after", 4000, RESTORE)
    check(keyspace)
    now = 5000
    assert db.get(b"d") is None
    db.set(b"e", {b"f": b"v"})
    db.set(b"e", bytearray(b"text"))
    check(keyspace)
    text: Any = db.peek(b"e")
    text += b"x" * 10_000
    db.touch(b"e", APPEND)
    check(keyspace)
    taken = db.take(b"e", RENAME_TO)
    assert taken is not None
    check(keyspace)
    other.put(b"e", taken[0], None, RENAME_TO)
    db.swap(other)
    check(keyspace)
    db.delete(b"e", DEL)
    assert footprint(db).bytes == 0
    check(keyspace)
    other.clear()
    assert keyspace.account.bytes == 0


def test_random_changes(keyspace: Keyspace) -> None:
    random.seed(3)
    db = keyspace.databases[0]
    for _ in range(3000):
        key = b"%d" % random.randrange(50)
        match random.randrange(5):
            case 0:
                db.set(key, random.choice([b"x" * random.randrange(700), 1 << 40, HashTable({b"f": b"v"})]))
            case 1 | 2:
                value = db.peek(key)
                if isinstance(value, HashTable):
                    for _ in range(random.randrange(1, 5)):
                        value[b"%d" % random.randrange(1000)] = b"x" * 20
                    db.touch(key, HSET, 4)
            case 3:
                db.delete(key)
            case _:
                db.replace(key, b"y" * random.randrange(100), APPEND)
    assert footprint(db).bytes > 0
    check(keyspace)


def test_big_containers_are_measured_seldom(keyspace: Keyspace) -> None:
    db = keyspace.databases[0]
    db.set(b"h", HashTable({b"%d" % number: b"v" for number in range(1000)}))
    value: Any = db.peek(b"h")
    before = footprint(db).bytes
    for number in range(1000, 1100):
        value[b"%d" % number] = b"v"
        db.touch(b"h", HSET)
    assert footprint(db).bytes == before
    assert footprint(db).changed == {b"h": 100}
    for number in range(1100, 1200):
        value[b"%d" % number] = b"v"
        db.touch(b"h", HSET)
    assert footprint(db).bytes > before


def test_what_is_there_is_counted_when_it_is_switched_on() -> None:
    keyspace = Keyspace(1, Clock())
    db = keyspace.databases[0]
    for number in range(1000):
        db.set(b"%d" % number, b"x" * 100)
    keyspace.count_bytes(True)
    assert isinstance(db, SizedDatabase)
    assert 1000 * 150 < keyspace.account.bytes < 1000 * 300
    keyspace.count_bytes(False)
    assert keyspace.account.bytes == 0
    assert keyspace.databases[0].footprint is None
    assert not isinstance(keyspace.databases[0], SizedDatabase)


def test_tables(keyspace: Keyspace) -> None:
    db = keyspace.databases[0]
    assert tables(db) == 0
    for number in range(50_000):
        db.set(b"%d" % number, b"x")
    plain = tables(db)
    keyspace.track(Recency)
    for number in range(50_000):
        db.get(b"%d" % number)
    tracked = tables(db)
    assert tracked - plain > 50_000 * 30
    for number in range(50_000):
        db.expire_at(b"%d" % number, 1 << 50)
    assert tables(db) - tracked > 50_000 * 60


@pytest.mark.parametrize("how", [None, Recency])
def test_what_is_evicted(keyspace: Keyspace, how: type[Recency] | None) -> None:
    keyspace.track(how)
    db, slot = keyspace.databases[0], hash_slot(b"t")
    big = HashTable({b"%d" % number: b"" for number in range(1000)})
    values: list[Any] = [b"v", b"x" * 1000, 1 << 40, HashTable({b"f": b"v"}), big, b"left"]
    keys = [b"{t}%d" % number for number in range(len(values))]
    for key, value in zip(keys, values, strict=True):
        db.put(key, value, 1 << 50)
    dirty = db.dirty
    db.evict(slot, keys[:-1])
    check(keyspace)
    assert list(db.keys()) == keys[-1:]
    assert (db.size, db.deadlines.count, db.dirty) == (1, 1, dirty)
    assert len(keyspace.graveyard) == 1
    db.evict(slot, keys[-1:])
    assert footprint(db).bytes == db.size == db.used[slot] == 0
    assert db.accesses is None or not any(db.accesses.slots)


def test_uses_are_noted_all_the_same(keyspace: Keyspace) -> None:
    keyspace.track()
    db, clock = keyspace.databases[0], keyspace.access_clock
    changes: list[Callable[[], object]] = [
        lambda: db.set(b"k", HashTable({b"f": b"v"})),
        lambda: db.touch(b"k", HSET),
        lambda: db.replace(b"k", b"w", APPEND),
        lambda: db.get(b"k"),
        lambda: db.put(b"k", b"v", None),
    ]
    for change in changes:
        clock.now += 1
        change()
        assert db.accesses is not None
        assert db.accesses.slots[hash_slot(b"k")] == {b"k": clock.now}
    check(keyspace)


def test_what_is_loaded(keyspace: Keyspace) -> None:
    db = keyspace.databases[0]
    keyspace.track()
    keys = [b"key:%d" % number for number in range(1000)]
    load_strings(db, keys, [b"x" * number for number in range(1000)], {keys[7]: 1 << 50})
    load_value(db, b"h", HashTable({b"f": b"v"}), None)
    assert footprint(db).bytes > 1000 * 100
    assert (db.size, db.dirty) == (1001, 0)
    check(keyspace)
