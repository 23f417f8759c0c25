"""Words of access by themselves; `test_tracked.py` tells who notes them."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from respcache.store import access
from respcache.store.access import MOST, NEW, TICKS, AccessClock, Frequency, Recency, Spared
from respcache.store.slot import hash_slot

SLOT = hash_slot(b"a")


class Time:
    """A monotonic clock that is set by hand."""

    now = 6000.9

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Iterator[Time]:
    time = Time()
    monkeypatch.setattr(access, "monotonic", time)
    random.seed(7)
    yield time


def later(clock: AccessClock, time: Time, seconds: float) -> None:
    time.now += seconds
    clock.tick()


def test_idle_times(time: Time) -> None:
    clock = AccessClock()
    words = Recency(clock)
    later(clock, time, 5)
    words.use(SLOT, b"a")
    later(clock, time, 7)
    assert words.idle(b"a") == 7
    assert words.idle(b"never") == 12
    words.set_idle(b"b", 100)
    assert words.idle(b"b") == 100
    words.drop(SLOT, b"a")
    words.drop(hash_slot(b"never"), b"never")
    assert words.idle(b"a") == 12
    assert list(words.slots) == [hash_slot(b"b")]
    assert not words.fresh().slots


def test_uses_of_a_tick_share_their_word(time: Time) -> None:
    words = Recency(AccessClock())
    words.use(SLOT, b"a")
    words.use(SLOT, b"b")
    one, other = words.slots[SLOT].values()
    assert one is other


def test_the_longest_unused(time: Time) -> None:
    clock = AccessClock()
    words = Recency(clock)
    keys: dict[bytes, object] = {}
    for key in (b"a", b"b", b"c"):
        words.use(SLOT, key)
        keys[key] = b""
        later(clock, time, 1)
    words.use(SLOT, b"a")
    assert [key for key, _ in words.lowest(SLOT, keys, 2)] == [b"b", b"c"]
    assert words.lowest(SLOT, [b"c", b"a"], 1)[0][0] == b"c"


def test_a_new_key_has_a_chance(time: Time) -> None:
    words = Frequency(AccessClock())
    words.use(SLOT, b"a")
    assert words.frequency(b"a") == words.frequency(b"never") == NEW


def test_counters_grow_ever_more_slowly(time: Time) -> None:
    """About the figures of Redis's documentation for a factor of 10: 10 after 100 uses, 18 after 1000, 142 after
    100,000; and the last is certain at a factor of 0."""
    clock = AccessClock()

    def counter(uses: int) -> float:
        total = 0
        for _ in range(20):
            words = Frequency(clock)
            for _ in range(uses):
                words.use(SLOT, b"a")
            total += words.frequency(b"a")
        return total / 20

    assert 8.5 < counter(100) < 12
    assert 16 < counter(1000) < 21
    clock.adjust(0, 1)
    assert counter(300) == MOST


def test_unused_counters_decay(time: Time) -> None:
    clock = AccessClock()
    words = Frequency(clock)
    words.set_frequency(b"a", 200)
    later(clock, time, 60)
    assert words.frequency(b"a") == 199
    later(clock, time, 60 * 9)
    assert words.frequency(b"a") == 190
    clock.adjust(10, 5)
    assert words.frequency(b"a") == 198
    clock.adjust(10, 0)
    assert words.frequency(b"a") == 200
    clock.adjust(10, 1)
    words.use(SLOT, b"a")
    assert 190 <= words.frequency(b"a") <= 191
    later(clock, time, 60 * 1000)
    assert words.frequency(b"a") == 0


def test_the_least_used(time: Time) -> None:
    clock = AccessClock()
    words = Frequency(clock)
    keys: dict[bytes, object] = {b"a": 1, b"b": 1, b"c": 1}
    for key, count in zip(keys, (9, 3, 7), strict=True):
        words.slots[SLOT][key] = clock.row[count]
    assert words.lowest(SLOT, keys, 2) == [(b"b", 3), (b"c", 7)]
    assert words.lowest(SLOT, [b"a", b"never"], 1) == [(b"never", NEW)]
    assert words.rank(SLOT, b"c") == 7
    later(clock, time, 120)
    assert words.lowest(SLOT, keys, 1) == [(b"b", 1)]


def test_who_is_spared_leaves_no_trace(time: Time) -> None:
    clock = AccessClock()
    words = Recency(clock)
    words.use(SLOT, b"a")
    spared = Spared(words)
    later(clock, time, 9)
    spared.use(SLOT, b"a")
    spared.use(SLOT, b"b")
    assert clock.now - words.rank(SLOT, b"a") == 9 * TICKS
    assert words.rank(SLOT, b"b") == clock.now
    assert spared.rank(SLOT, b"a") < spared.rank(SLOT, b"b")
    assert spared.lowest(SLOT, [b"a", b"b"], 1)[0][0] == b"a"
    spared.drop(SLOT, b"b")
    assert list(words.slots[SLOT]) == [b"a"]
    assert isinstance(spared.fresh(), Recency)
