"""Tables: a mapping whose parts are small, whatever is done to it."""

from __future__ import annotations

import random
import time
import tracemalloc
from collections import Counter
from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from respcache.store import hashtable
from respcache.store.hashtable import FULL, POSITIONS, Table, position, random_key, sample_keys, scan

MILLION = 1_000_000


def names(first: int, behind: int) -> list[bytes]:
    return [b"%d" % number for number in range(first, behind)]


def table(keys: Iterable[bytes]) -> Table[None]:
    return Table((key, None) for key in keys)


def check(table: Table[int] | Table[None], most: int = FULL) -> None:
    """Asserts that the structure is sound."""
    assert len(table.directory) == len(table.depths) == 1 << table.depth
    assert table.shift == 30 - table.depth
    assert sum(table._counts) == len(table.buckets)
    assert table.depth == 0 or table._counts[table.depth]
    at, size = 0, 0
    for bucket in table.buckets:
        width = 1 << (table.depth - table.depths[at])
        places = range(at, at + width)
        assert at % width == 0
        assert all(table.directory[place] is bucket for place in places)
        assert len(set(table.depths[at : at + width])) == 1
        assert all(position(key) >> table.shift in places for key in bucket)
        assert len(bucket) <= most
        at += width
        size += len(bucket)
    assert at == len(table.directory)
    assert size == len(table) == table.size


@pytest.fixture(scope="module")
def million() -> Table[None]:
    return table(names(0, MILLION))


class Model(RuleBasedStateMachine):
    """A table does as a dict does, while it grows and shrinks by hundreds."""

    def __init__(self) -> None:
        super().__init__()
        self.table: Table[int] = Table()
        self.model: dict[bytes, int] = {}

    @rule(first=st.integers(0, 1500), count=st.integers(1, 800), value=st.integers())
    def put(self, first: int, count: int, value: int) -> None:
        for key in names(first, first + count):
            self.table[key] = value
            self.model[key] = value

    @rule(first=st.integers(0, 1500), count=st.integers(1, 800), value=st.integers())
    def add(self, first: int, count: int, value: int) -> None:
        for key in names(first, first + count):
            assert self.table.add(key, value) == (key not in self.model)
            self.model.setdefault(key, value)

    @rule(first=st.integers(0, 1500), count=st.integers(1, 1500))
    def pop(self, first: int, count: int) -> None:
        for key in names(first, first + count):
            assert self.table.pop(key, "none") == self.model.pop(key, "none")

    @rule(count=st.integers(1, 400))
    def pop_random(self, count: int) -> None:
        for _ in range(min(count, len(self.model))):
            del self.model[self.table.pop_random()]

    @rule(key=st.integers(0, 2300).map(lambda number: b"%d" % number))
    def ask(self, key: bytes) -> None:
        assert (key in self.table) == (key in self.model)
        assert self.table.get(key, "none") == self.model.get(key, "none")
        assert self.table.get(key) == self.model.get(key)
        for container in (self.table, self.model):
            if key in self.model:
                assert container[key] == self.model[key]
                continue
            with pytest.raises(KeyError):
                container[key]
            with pytest.raises(KeyError):
                del container[key]

    @rule()
    def clear(self) -> None:
        self.table.clear()
        self.model.clear()

    @rule()
    def go_on_with_a_copy(self) -> None:
        old, self.table = self.table, self.table.copy()
        old[b"other"] = 1
        old.pop(b"7")

    @rule()
    def go_on_with_a_new_one(self) -> None:
        self.table = Table(self.model)

    @rule(share=st.floats(0, 1))
    def sample(self, share: float) -> None:
        wanted = int(share * len(self.model))
        found = self.table.sample(wanted)
        assert len(set(found)) == len(found) == wanted
        assert all(key in self.model for key in found)

    @invariant()
    def same(self) -> None:
        assert dict(self.table.items()) == self.model
        assert sorted(self.table) == sorted(self.table.keys()) == sorted(self.model)
        assert sorted(self.table.values()) == sorted(self.model.values())
        assert bool(self.table) == bool(self.model)
        check(self.table)


Model.TestCase.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
TestModel = Model.TestCase


@pytest.mark.parametrize("count", [0, 1, FULL, FULL + 1, 1000, 20_000])
def test_all_ways_to_fill_give_the_same(count: int) -> None:
    keys = names(0, count)
    one_by_one: Table[int] = Table()
    for value, key in enumerate(keys):
        one_by_one[key] = value
    model = {key: value for value, key in enumerate(keys)}
    for filled in (Table(model), Table(model.items()), Table(one_by_one), one_by_one.copy(), one_by_one):
        assert dict(filled.items()) == model
        check(filled)


def test_it_shrinks_to_nothing() -> None:
    keys = names(0, 50_000)
    shrinking = table(keys)
    random.Random(1).shuffle(keys)
    for left in range(len(keys), 0, -1):
        shrinking.pop(keys[left - 1])
        if left % 5000 == 0:
            check(shrinking)
            assert len(shrinking.buckets) < 2 + left // 20
    assert len(shrinking.directory) <= 2


def test_a_subclass_copies_itself() -> None:
    class Mine(Table[None]):
        __slots__ = ()

    assert type(Mine([(b"a", None)]).copy()) is Mine


def test_keys_of_one_position_share_a_bucket(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hashtable, "hash", lambda key: len(key), raising=False)
    keys = [b"%05d" % number for number in range(1000)]
    crowded: Table[None] = Table()
    for key in keys:
        crowded.add(key, None)
    check(crowded, 1000)
    assert len(crowded.directory) <= 1000
    cursor, found = crowded.scan(0, 10)
    assert found == keys
    assert crowded.scan(cursor, 10) == (0, [])
    assert {crowded.random() for _ in range(20_000)} == set(keys)
    assert {crowded.pop_random() for _ in keys} == set(keys)


# Scans


@settings(max_examples=40, deadline=None)
@given(
    kept=st.integers(0, 3000),
    changes=st.lists(st.tuples(st.integers(0, 3000), st.booleans(), st.integers(1, 1000)), max_size=40),
)
def test_a_scan_sees_what_stays_once(kept: int, changes: list[tuple[int, bool, int]]) -> None:
    stays = names(0, kept)
    changing = table(stays)
    rest = iter(changes)
    seen: Counter[bytes] = Counter()
    cursor, last = 0, -1
    while cursor > last:
        last = cursor
        first, comes, count = next(rest, (0, False, 10))
        cursor, found = changing.scan(cursor, count)
        seen.update(found)
        assert found or not cursor
        for key in names(10_000 + first, 12_000 + first):
            if comes:
                changing.add(key, None)
            else:
                changing.pop(key)
    assert cursor == 0
    assert all(seen[key] == 1 for key in stays)


def test_a_scan_of_what_shrinks_and_grows_by_far() -> None:
    stays, others = names(0, 2000), names(10_000, 60_000)
    changing = table(stays + others)
    seen: Counter[bytes] = Counter()
    cursor, calls = 0, 0
    while not calls or cursor:
        cursor, found = changing.scan(cursor, 50)
        seen.update(found)
        if calls % 10 == 0:
            for key in others:
                changing.pop(key)
        elif calls % 10 == 5:
            for key in others:
                changing.add(key, None)
        calls += 1
    assert all(seen[key] == 1 for key in stays)


@pytest.mark.parametrize("count", [1, 7, 10, 100, 1000, 5000, 1 << 62])
def test_a_call_gives_as_many_as_asked_for(count: int) -> None:
    keys = names(0, 5000)
    walked = table(keys)
    cursor, calls = 0, 0
    seen: list[bytes] = []
    while not calls or cursor:
        cursor, found = walked.scan(cursor, count)
        assert len(found) <= count + 2 + FULL * (count > 1000)
        assert len(found) >= min(count, len(keys) - len(seen))
        seen += found
        calls += 1
    assert sorted(seen) == sorted(keys)


@given(st.integers(0, 1 << 64), st.integers(0, 600), st.integers(1, 1 << 63))
def test_any_cursor_is_taken_and_moves_on(cursor: int, size: int, count: int) -> None:
    following, found = table(names(0, size)).scan(cursor, count)
    assert following == 0 or cursor < following <= POSITIONS
    assert len(found) == len(set(found)) <= size


# Chance


def spread(counts: Counter[bytes], keys: list[bytes]) -> float:
    """Chi-square over its expectation: about 1, and 1 +- 0.15 or so for a few hundred keys and more."""
    expected = counts.total() / len(keys)
    return sum((counts[key] - expected) ** 2 / expected for key in keys) / (len(keys) - 1)


@pytest.mark.parametrize("shrunk", [False, True])
@pytest.mark.parametrize("size", [10, 300, 1000, 3000])
def test_a_random_key_is_any_key(size: int, shrunk: bool) -> None:
    random.seed(size)
    keys = names(0, size)
    uneven = table(names(0, 20 * size) if shrunk else keys)
    for key in names(size, 20 * size):
        uneven.pop(key)
    assert 0.5 < spread(Counter(uneven.random() for _ in range(30 * size)), keys) < (3 if size == 10 else 1.5)


@pytest.mark.parametrize("count", [1, 20, 200, 299])
def test_a_sample_is_any_sample(count: int) -> None:
    random.seed(count)
    keys = names(0, 300)
    sampled = table(keys)
    seen: Counter[bytes] = Counter()
    for _ in range(12_000 // count):
        found = sampled.sample(count)
        assert len(set(found)) == count
        seen.update(found)
    assert max(seen[key] for key in keys) < 3 * seen.total() / len(keys)
    assert min(seen[key] for key in keys) > 0.2 * seen.total() / len(keys)


def test_what_nothing_can_be_taken_from() -> None:
    empty: Table[None] = Table()
    for take in (empty.random, empty.pop_random):
        with pytest.raises(KeyError):
            take()
    with pytest.raises(KeyError):
        random_key({})
    assert empty.sample(0) == []
    with pytest.raises(ValueError, match="than there are"):
        empty.sample(1)


def test_the_same_for_dicts_and_tables() -> None:
    keys = names(0, 200)
    for collection in (dict.fromkeys(keys), table(keys)):
        assert {random_key(collection) for _ in range(10_000)} == set(keys)
        assert sorted(sample_keys(collection, 200)) == sorted(keys)
        assert len(set(sample_keys(collection, 20))) == 20
        cursor, found = scan(collection, 0, 200)
        assert (cursor, sorted(found)) == (0, sorted(keys))
    assert scan(dict.fromkeys(keys), 12345, 1) == (0, keys)


# A million


def test_no_insert_takes_long() -> None:
    grown: Table[None] = Table()
    keys = names(0, MILLION // 2)
    worst = []
    for first in range(0, len(keys), 100):
        since = time.thread_time()
        for key in keys[first : first + 100]:
            grown.add(key, None)
        worst.append(time.thread_time() - since)
    assert sorted(worst)[-5] < 0.005  # a builtin dict takes 20 to 50 ms several times


def test_a_step_of_a_scan_takes_the_same_in_a_million(million: Table[None]) -> None:
    def seconds(walked: Table[None]) -> float:
        since, cursor = time.thread_time(), 0
        for _ in range(500):
            cursor, _ = walked.scan(cursor, 10)
        return time.thread_time() - since

    few = table(names(0, 10_000))
    assert min(seconds(million) for _ in range(5)) < 10 * min(seconds(few) for _ in range(5))


def test_a_random_key_takes_the_same_in_a_million(million: Table[None]) -> None:
    since = time.thread_time()
    for _ in range(1000):
        million.random()
    assert time.thread_time() - since < 0.1


def test_memory_of_an_entry() -> None:
    keys = names(0, 200_000)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        kept = table(keys)
        taken = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert taken / len(kept) < 60


def test_buckets_are_taken_off_one_by_one() -> None:
    doomed = table(names(0, 10_000))
    order = list(doomed.buckets)
    taken = []
    while doomed:
        taken.append(doomed.take_bucket())
    assert sum(map(len, taken)) == 10_000
    assert all(one is other for one, other in zip(reversed(order), taken, strict=False))


def test_keys_come_in_the_order_of_positions() -> None:
    walked = table(names(0, 5000))
    ends = [(min(map(position, bucket)), max(map(position, bucket))) for bucket in walked.buckets if bucket]
    assert all(left[1] < right[0] for left, right in pairwise(ends))
