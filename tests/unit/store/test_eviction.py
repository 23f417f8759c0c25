"""Which keys go."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest

from respcache.clock import Clock
from respcache.store.access import AccessClock, Frequency, Recency
from respcache.store.database import Database
from respcache.store.eviction import Draw, Evictor, tracking
from respcache.store.keyspace import Keyspace


def made(policy: str, databases: int = 1) -> tuple[Keyspace, Evictor]:
    random.seed(11)
    keyspace = Keyspace(databases, Clock())
    keyspace.track(tracking(policy))
    return keyspace, Evictor(keyspace, policy, 5)


def key(number: int) -> bytes:
    return b"key:%d" % number


def test_tracking() -> None:
    assert tracking("allkeys-lru") is Recency
    assert tracking("volatile-lfu") is Frequency
    assert tracking("volatile-ttl") is tracking("allkeys-random") is tracking("noeviction") is None


def test_noeviction_evicts_nothing() -> None:
    keyspace, evictor = made("noeviction")
    keyspace.databases[0].set(b"k", b"v")
    assert not evictor.evict()


@pytest.mark.parametrize("policy", ["allkeys-lru", "allkeys-lfu", "allkeys-random"])
@pytest.mark.parametrize("count", [1, 30, 3000])
def test_all_keys_go_in_the_end(policy: str, count: int) -> None:
    keyspace, evictor = made(policy, 3)
    for db in keyspace.databases:
        for number in range(count):
            db.set(key(number), b"v")
    told: list[tuple[int, bytes]] = []
    keyspace.evicted.append(lambda db, key: told.append((db.index, key)))
    dirty = keyspace.dirty
    for _ in range(3 * count):
        assert evictor.evict()
    assert not evictor.evict()
    assert len(set(told)) == keyspace.evicted_keys == 3 * count
    assert keyspace.dirty == dirty


@pytest.mark.parametrize("policy", ["volatile-lru", "volatile-lfu", "volatile-random", "volatile-ttl"])
def test_only_keys_with_a_deadline_go(policy: str) -> None:
    keyspace, evictor = made(policy)
    db = keyspace.databases[0]
    for number in range(400):
        db.set(key(number), b"v")
        if number % 2:
            db.expire_at(key(number), 1 << 50)
    for _ in range(200):
        assert evictor.evict()
    assert not evictor.evict()
    assert db.size == 200
    assert not db.deadlines.count


@pytest.mark.parametrize("policy", ["allkeys-lru", "allkeys-lfu", "allkeys-random", "volatile-ttl"])
def test_no_more_go_than_may(policy: str) -> None:
    keyspace, evictor = made(policy)
    db = keyspace.databases[0]
    for number in range(60):
        db.put(b"{tag}%d" % number, b"v", 1 << 50)
    assert evictor.evict(3) <= 3
    left = db.size
    gone = evictor.evict(1000)
    assert 1 <= gone <= 2 * 60 // evictor.samples + 1
    assert db.size == left - gone


def test_the_mark_moves_on() -> None:
    """Also where it has become too low all at once, and where databases come and go."""
    keyspace, evictor = made("allkeys-lru", 2)
    clock, (one, other) = keyspace.access_clock, keyspace.databases
    for number in range(1000):
        one.set(key(number), b"v")
    assert evictor.evict()
    clock.now += 1000
    for number in range(1000):
        one.get(key(number))
    assert evictor.evict()
    one.clear()
    assert not evictor.evict()
    other.set(b"k", b"v")
    assert evictor.evict()


def _mean_of_the_first(keyspace: Keyspace, evictor: Evictor, count: int) -> float:
    """Mean number of the first keys that go."""
    gone: list[int] = []
    keyspace.evicted.append(lambda _db, key: gone.append(int(key[4:])))
    for _ in range(count):
        evictor.evict()
    return sum(gone) / len(gone)


@pytest.mark.parametrize("count", [500, 60_000])
def test_the_longest_unused_go_first(count: int) -> None:
    keyspace, evictor = made("allkeys-lru")
    for number in range(count):
        keyspace.access_clock.now = number
        keyspace.databases[0].set(key(number), b"v")
    assert _mean_of_the_first(keyspace, evictor, count // 10) < count * 0.15


def test_the_least_used_go_first() -> None:
    keyspace, evictor = made("allkeys-lfu")
    db = keyspace.databases[0]
    words = db.accesses
    assert isinstance(words, Frequency)
    for number in range(20_000):
        db.set(key(number), b"v")
        words.set_frequency(key(number), number // 100)
    assert _mean_of_the_first(keyspace, evictor, 2000) < 3000


def test_the_nearest_deadlines_go_first() -> None:
    keyspace, evictor = made("volatile-ttl")
    for number in range(20_000):
        keyspace.databases[0].put(key(number), b"v", (1 << 50) + number)
    assert _mean_of_the_first(keyspace, evictor, 2000) < 3000


def test_a_key_that_was_used_since_is_spared() -> None:
    keyspace, evictor = made("allkeys-lru")
    db = keyspace.databases[0]
    for number in range(40):
        keyspace.access_clock.now = number
        db.set(b"{tag}%d" % number, b"v")
    evictor.evict()
    assert b"{tag}0" not in db
    keyspace.access_clock.now = 100
    for number in range(1, 20):
        db.get(b"{tag}%d" % number)
    for _ in range(10):
        evictor.evict()
    assert all(b"{tag}%d" % number in db for number in range(1, 20))


def test_a_crowded_slot_loses_its_share() -> None:
    keyspace, evictor = made("allkeys-lru")
    db = keyspace.databases[0]
    for number in range(20_000):
        db.set(b"{tag}%d" % number, b"v")
        if not number % 4:
            db.set(key(number), b"v")
    for _ in range(5000):
        assert evictor.evict()
    left = len(db.shards[max(range(16384), key=lambda slot: len(db.shards[slot]))])
    assert 15_000 < left < 17_000


def test_tables_stay_small_where_as_many_keys_come_as_go() -> None:
    keyspace, evictor = made("allkeys-lru")
    db = keyspace.databases[0]

    def size(db: Database) -> int:
        return sum(shard.__sizeof__() for shard in db.shards if shard)

    for number in range(30_000):
        db.set(key(number), b"v")
    before = size(db)
    for number in range(30_000, 120_000):
        keyspace.access_clock.now = number
        db.set(key(number), b"v")
        evictor.evict()
    assert db.size == 30_000
    assert size(db) < before * 1.5


def test_draw_finds_what_there_is() -> None:
    draw = Draw()
    assert draw.keys([{}] * 10, 0) is None
    assert draw.keys({}, 0) is None
    assert draw.keys({7: {b"a": 1}}, 1) == (7, {b"a": 1})
    shards: list[dict[bytes, int]] = [{} for _ in range(100)]
    shards[42] = {b"b": 1}
    draw = Draw()
    for _ in range(300):
        assert draw.keys(shards, 1) == (42, {b"b": 1})
    shards[42], shards[3] = {}, {b"c": 1}
    assert draw.keys(shards, 1) == (3, {b"c": 1})


def test_windows_of_a_crowded_slot_go_through_all_keys() -> None:
    draw = Draw()
    shard = {b"%d" % number: 1 for number in range(1000)}
    seen: list[bytes] = []
    for _ in range(16):
        drawn = draw.keys([shard], 1000)
        assert drawn is not None
        seen += drawn[1]
    assert set(seen) == set(shard)
    assert all(one != other for one, other in pairwise(seen))


def test_the_clock_of_accesses_is_shared() -> None:
    keyspace, _ = made("allkeys-lru", 2)
    clocks = {id(db.accesses.clock) for db in keyspace.databases if isinstance(db.accesses, Recency)}
    assert clocks == {id(keyspace.access_clock)}
    assert isinstance(keyspace.access_clock, AccessClock)
