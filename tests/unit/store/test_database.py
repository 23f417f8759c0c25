"""Scans, random keys, flushes, and expiry with a clock that is set by hand."""

from __future__ import annotations

import random
import time
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from respcache.clock import Clock
from respcache.store.database import Database
from respcache.store.events import RENAME_FROM, SET
from respcache.store.keyspace import Keyspace
from respcache.store.lazyfree import HEAVY


class Time:
    """Milliseconds since the epoch, set by hand."""

    def __init__(self) -> None:
        self.now = 1_000_000

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def clock() -> Time:
    return Time()


@pytest.fixture
def keyspace(clock: Time) -> Keyspace:
    return Keyspace(3, Clock(clock))


@pytest.fixture
def db(keyspace: Keyspace) -> Database:
    return keyspace.databases[0]


@pytest.fixture
def expired(keyspace: Keyspace) -> list[tuple[int, bytes]]:
    """Database and name of each key that expires."""
    told: list[tuple[int, bytes]] = []
    keyspace.expired.append(lambda db, key: told.append((db.index, key)))
    return told


# A key that is due.


def test_a_read_deletes_it(
    keyspace: Keyspace, db: Database, clock: Time, expired: list[tuple[int, bytes]]
) -> None:
    db.put(b"k", b"v", clock.now + 10)
    dirty = db.dirty
    clock.now += 9
    assert db.get(b"k") == b"v"
    clock.now += 1
    assert db.size == 1
    assert db.get(b"k") is None
    assert (db.size, db.deadlines.count) == (0, 0)
    assert expired == [(0, b"k")]
    assert (db.hits, db.misses, keyspace.expired_keys) == (1, 1, 1)
    assert db.dirty == dirty, "an expired key is no change"


@pytest.mark.parametrize("name", ["peek", "look", "delete", "take", "__contains__"])
def test_nobody_sees_it(db: Database, clock: Time, expired: list[tuple[int, bytes]], name: str) -> None:
    db.put(b"k", b"v", clock.now)
    event = [RENAME_FROM] if name == "take" else []
    assert not getattr(db, name)(b"k", *event)
    assert db.size == 0
    assert expired == [(0, b"k")]


def test_no_walk_sees_it(db: Database, clock: Time) -> None:
    db.put(b"dead", b"v", clock.now)
    db.put(b"alive", b"v", clock.now + 1)
    db.set(b"forever", b"v")
    assert sorted(db.keys()) == [b"alive", b"forever"]
    assert sorted(db.scan(0, 100)[1]) == [b"alive", b"forever"]
    assert {db.random_key() for _ in range(100)} == {b"alive", b"forever"}


@pytest.mark.parametrize("name", ["set", "put"])
def test_overwriting_it_tells_that_it_expired(
    db: Database, clock: Time, expired: list[tuple[int, bytes]], name: str
) -> None:
    db.put(b"k", b"v", clock.now)
    db.set(b"k", b"w") if name == "set" else db.put(b"k", b"w", None)
    assert expired == [(0, b"k")]
    assert (db.size, db.get(b"k"), db.deadline(b"k")) == (1, b"w", None)


def test_random_key_finds_the_living_among_the_dead(db: Database, clock: Time) -> None:
    for number in range(500):
        db.put(b"%d" % number, b"v", clock.now)
    assert db.random_key() is None or db.size == 0
    for number in range(300):
        db.put(b"%d" % number, b"v", clock.now)
    db.set(b"alive", b"v")
    assert db.random_key() == b"alive"


# Changes.


def test_set_takes_a_time_to_live_away_and_replace_keeps_it(db: Database, clock: Time) -> None:
    db.put(b"k", b"v", clock.now + 10)
    db.replace(b"k", b"w", SET)
    assert db.deadline(b"k") == clock.now + 10
    db.set(b"k", b"x")
    assert db.deadline(b"k") is None
    assert not db.persist(b"k")


@pytest.mark.parametrize("when", [None, 5])
def test_every_change_counts_once(db: Database, clock: Time, when: int | None) -> None:
    for change in (
        lambda: db.set(b"k", b"v"),
        lambda: db.put(b"k", b"v", when and clock.now + when),
        lambda: db.replace(b"k", b"w", SET),
        lambda: db.touch(b"k", SET),
        lambda: db.expire_at(b"k", clock.now + 9),
        lambda: db.persist(b"k"),
        lambda: db.put(b"other", *(db.take(b"k", RENAME_FROM) or (b"", None))),
        lambda: db.delete(b"other"),
        lambda: db.swap(db),
    ):
        before = db.dirty
        change()
        assert db.dirty == before + 1
    before = db.dirty
    assert not db.delete(b"k")
    assert not db.persist(b"k")
    assert db.take(b"k", RENAME_FROM) is None
    assert db.dirty == before


@pytest.mark.parametrize("count", [10, HEAVY, HEAVY + 1, 30_000])
def test_clear_counts_the_keys_and_buries_many(
    keyspace: Keyspace, db: Database, clock: Time, count: int
) -> None:
    for number in range(count):
        db.put(b"%d" % number, b"v", clock.now + number)
    before = db.dirty
    assert db.clear() == count
    assert (db.size, db.dirty - before, list(db.keys()), db.deadlines.next_look()) == (0, count, [], None)
    assert not any(db.shards) and not any(db.used)
    assert bool(keyspace.graveyard) is (count > HEAVY)
    while keyspace.graveyard.free_slice(0.01):
        pass
    assert db.clear() == 0
    assert not keyspace.graveyard
    db.set(b"k", b"v")
    assert db.size == 1


def test_a_huge_value_is_buried_unless_taken(keyspace: Keyspace, db: Database) -> None:
    huge = [b"x"] * 10_000
    db.set(b"k", huge)
    taken = db.take(b"k", RENAME_FROM)
    assert not keyspace.graveyard
    assert taken is not None and taken[0] is huge
    db.put(b"k", *taken)
    db.delete(b"k")
    assert keyspace.graveyard
    while keyspace.graveyard.free_slice(0):
        pass
    assert len(huge) <= HEAVY


def test_a_huge_value_among_few_keys_is_buried(keyspace: Keyspace, db: Database) -> None:
    db.set(b"k", [b"x"] * 10_000)
    db.clear()
    assert keyspace.graveyard


def test_a_huge_value_that_is_replaced_is_buried(keyspace: Keyspace, db: Database) -> None:
    db.set(b"k", [b"x"] * 10_000)
    db.replace(b"k", b"v", SET)
    assert keyspace.graveyard


def test_emptying_and_filling_costs_little(keyspace: Keyspace, db: Database) -> None:
    since = time.thread_time()
    for _ in range(3000):
        for each in keyspace.databases:
            each.clear()
        db.set(b"a", b"b")
    assert time.thread_time() - since < 0.5
    assert not keyspace.graveyard


def test_what_waits_to_be_freed_is_bounded_when_nobody_frees_it(keyspace: Keyspace, db: Database) -> None:
    most = 0
    for _ in range(60):
        for number in range(10_000):
            db.set(b"%d" % number, b"v")
        db.clear()
        most = max(most, keyspace.graveyard._waiting)
    assert most < 150_000


def test_a_shard_goes_with_its_last_key(db: Database, clock: Time) -> None:
    db.set(b"{tag}1", b"v")
    db.put(b"{tag}2", b"v", clock.now + 1)
    assert sum(db.used) == 1
    db.delete(b"{tag}1")
    assert sum(db.used) == 1
    clock.now += 1
    assert db.peek(b"{tag}2") is None
    assert not any(db.used)
    db.update(b"{tag}2", b"v", SET)
    db.put(b"{tag}2", b"w", clock.now)
    db.put(b"{tag}2", b"x", None)  # the one before was due, and the last of its slot
    assert (db.get(b"{tag}2"), db.size, sum(db.used)) == (b"x", 1, 1)


@pytest.mark.parametrize("name", ["random_key", "keys", "scan"])
def test_walks_over_few_keys_are_short(db: Database, name: str) -> None:
    db.set(b"a", b"1")
    db.set(b"b", b"2")
    since = time.thread_time()
    for _ in range(1000):
        if name == "random_key":
            db.random_key()
        elif name == "keys":
            assert len(list(db.keys())) == 2
        else:
            assert len(db.scan(0, 10)[1]) == 2
    assert time.thread_time() - since < 0.1


def test_swap_exchanges_all(keyspace: Keyspace, clock: Time) -> None:
    one, other = keyspace.databases[:2]
    one.put(b"a", b"1", clock.now + 10)
    one.set(b"b", b"2")
    one.swap(other)
    assert (one.size, other.size) == (0, 2)
    assert (one.get(b"a"), other.get(b"a"), other.deadline(b"a")) == (None, b"1", clock.now + 10)
    assert (one.index, other.index) == (0, 1)


def test_random_key_after_a_swap(keyspace: Keyspace) -> None:
    one, other = keyspace.databases[:2]
    for number in range(8):
        one.set(b"{x}%d" % number, b"v")
    other.swap(one)
    other.dirty = 0
    assert len({other.random_key() for _ in range(200)}) == 8


# Active expiry.


def test_it_deletes_what_is_due(keyspace: Keyspace, clock: Time, expired: list[tuple[int, bytes]]) -> None:
    for db in keyspace.databases:
        for number in range(1000):
            db.put(b"%d" % number, b"v", clock.now + number)
    assert keyspace.next_look() == clock.now
    clock.now += 499
    while keyspace.expire_due(0):
        pass
    assert [db.size for db in keyspace.databases] == [500] * 3
    assert len(expired) == keyspace.expired_keys == 1500
    clock.now += 1000
    while keyspace.expire_due(1):
        pass
    assert not any(db.size for db in keyspace.databases)
    assert keyspace.next_look() is None


@pytest.mark.parametrize("name", [b"key:%d", b"{tag}%d"])
def test_many_keys_due_at_once_do_not_hold_the_loop(db: Database, clock: Time, name: bytes) -> None:
    for number in range(100_000):
        db.put(name % number, b"v", clock.now + 1 + number % 2 * 10_000)
    clock.now += 1
    longest = 0.0
    while True:
        since = time.thread_time()
        more = db.expire_due(0.001)
        longest = max(longest, time.thread_time() - since)
        if not more:
            break
    assert db.size == 50_000
    assert longest < 0.02


# Walks.


@settings(max_examples=60, deadline=None)
@given(
    st.sets(st.integers(0, 400)),
    st.lists(st.tuples(st.booleans(), st.integers(0, 800)), max_size=300),
    st.integers(1, 60),
)
def test_a_scan_returns_what_was_there_all_the_time_once(
    kept: set[int], changes: list[tuple[bool, int]], count: int
) -> None:
    db = Keyspace(1, Clock()).databases[0]
    for number in kept:
        db.set(b"%d" % number, b"v")
    seen: Counter[int] = Counter()
    rest = iter(changes)
    cursor = None
    while cursor != 0:
        cursor, found = db.scan(cursor or 0, count)
        assert len(found) >= count or cursor == 0
        seen.update(map(int, found))
        for _ in range(7):
            adds, number = next(rest, (True, 999))
            if number not in kept:
                db.set(b"%d" % number, b"v") if adds else db.delete(b"%d" % number)
    assert all(seen[number] == 1 for number in kept)


def test_a_cursor_from_nowhere_ends_the_scan(db: Database) -> None:
    db.set(b"k", b"v")
    assert db.scan(1 << 63, 10) == (0, [])
    assert db.scan(16383, 10) == (0, [])


@pytest.mark.parametrize("cursor", [1 << 14, 3 << 20, 511 << 14 | 7, 5 << 14 | 16383, (1 << 64) - 1])
def test_any_cursor_is_taken(db: Database, cursor: int) -> None:
    for number in range(5000):
        db.set(b"{tag}%d" % number, b"v")
    for _ in range(600):
        if not cursor:
            break
        cursor, _ = db.scan(cursor, 10)
    assert cursor == 0


def test_a_crowded_slot_is_scanned_in_parts(db: Database) -> None:
    kept = {b"{tag}%d" % number for number in range(20_000)} | {b"other%d" % number for number in range(500)}
    for key in kept:
        db.set(key, b"v")
    seen: Counter[bytes] = Counter()
    cursor, turn = 0, 0
    while turn == 0 or cursor:
        cursor, found = db.scan(cursor, 10)
        assert len(found) < 300
        assert cursor < 1 << 64
        seen.update(found)
        turn += 1
        for number in range(1000):  # it grows, then it shrinks
            key = b"{tag}new%d" % (turn // 2 * 1000 + number)
            db.set(key, b"v") if turn < 50 else db.delete(key)
    assert all(seen[key] == 1 for key in kept)


def test_a_scan_deletes_what_matches_and_is_due(
    db: Database, clock: Time, expired: list[tuple[int, bytes]]
) -> None:
    db.put(b"dead", b"v", clock.now)
    db.put(b"{dead}2", b"v", clock.now)
    db.put(b"gone", b"v", clock.now)
    db.set(b"alive", b"v")
    assert db.scan(0, 10, lambda key: b"g" not in key) == (0, [b"alive"])
    assert sorted(expired) == [(0, b"dead"), (0, b"{dead}2")]
    assert (db.size, db.deadlines.count) == (2, 1)


def chi_square(counts: Counter[bytes | None], keys: int, draws: int) -> float:
    mean = draws / keys
    return sum((counts[key] - mean) ** 2 / mean for key in counts) + (keys - len(counts)) * mean


@pytest.mark.parametrize("spread", [20, 1000])
def test_each_key_is_as_likely_as_the_other(db: Database, spread: int) -> None:
    random.seed(spread)
    for number in range(spread):
        db.set(b"%d" % number, b"v")
    for number in range(spread):
        db.set(b"{tag}%d" % number, b"v")
    draws = 3 * spread
    counts = Counter(db.random_key() for _ in range(draws))
    freedom = 2 * spread - 1
    assert chi_square(counts, 2 * spread, draws) < freedom + 6 * (2 * freedom) ** 0.5
    tagged = sum(count for key, count in counts.items() if key and key.startswith(b"{tag}"))
    assert abs(tagged / draws - 0.5) < 5 * 0.5 / draws**0.5


def test_random_key_keeps_up_with_changes(db: Database) -> None:
    random.seed(1)
    for number in range(20_000):
        db.set(b"%d" % number, b"v")
    assert db.random_key() is not None
    for number in range(20_000):
        db.set(b"{tag}%d" % number, b"v")
    tagged = sum((db.random_key() or b"").startswith(b"{tag}") for _ in range(400))
    assert 120 < tagged < 280
    db.clear()
    assert db.random_key() is None
