"""Words of access by themselves; `test_tracked.py` tells who notes them."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest

from respcache.store import access
from respcache.store.access import MOST, NEW, AccessClock, Frequency, Recency
from respcache.store.slot import hash_slot

SLOT = hash_slot(b"a")


def opened(words: Any, *keys: bytes) -> Any:
    """Words of a database that has these keys."""
    for key in keys:
        words.open(hash_slot(key))
    return words


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
    words = opened(Recency(clock), b"a", b"b", b"never")
    later(clock, time, 5)
    words.use(SLOT, b"a")
    later(clock, time, 7)
    assert words.idle(b"a") == 7
    assert words.idle(b"never") == 12
    words.set_idle(b"b", 100)
    assert words.idle(b"b") == 100


def test_slots_without_keys_have_no_words(time: Time) -> None:
    words = Recency(AccessClock())
    nothing = words.slots
    assert words.idle(b"a") == 0
    with pytest.raises(TypeError):
        words.use(SLOT, b"a")
    words.open(SLOT)
    words.use(SLOT, b"a")
    assert [slot for slot, keys in enumerate(words.slots) if keys] == [SLOT]
    assert words.fresh().slots is nothing
    words.close(SLOT)
    assert not any(words.slots) and not any(nothing)


def test_uses_of_a_tick_share_their_word(time: Time) -> None:
    words = opened(Recency(AccessClock()), b"a")
    words.use(SLOT, b"a")
    words.use(SLOT, b"b")
    one, other = words.slots[SLOT].values()
    assert one is other


def test_the_longest_unused(time: Time) -> None:
    clock = AccessClock()
    words = opened(Recency(clock), b"a")
    keys: dict[bytes, object] = {}
    for key in (b"a", b"b", b"c"):
        words.use(SLOT, key)
        keys[key] = b""
        later(clock, time, 1)
    words.use(SLOT, b"a")
    ranks = words.ranks(SLOT, keys)
    assert ranks[1] < ranks[2] < ranks[0]
    assert words.lowest(SLOT, keys, ranks[2]) == [b"b", b"c"]
    assert words.lowest(SLOT, [b"c", b"a"], ranks[2]) == [b"c"]
    assert words.lowest(SLOT, [b"c", b"never"], words.since) == [b"never"]


def test_a_new_key_has_a_chance(time: Time) -> None:
    words = opened(Frequency(AccessClock()), b"a", b"never")
    words.use(SLOT, b"a")
    assert words.frequency(b"a") == words.frequency(b"never") == NEW


def test_counters_grow_ever_more_slowly(time: Time) -> None:
    """About the figures of Redis's documentation for a factor of 10: 10 after 100 uses, 18 after 1000, 142 after
    100,000; and the last is certain at a factor of 0."""
    clock = AccessClock()

    def counter(uses: int) -> float:
        total = 0
        for _ in range(20):
            words = opened(Frequency(clock), b"a", b"never")
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
    words = opened(Frequency(clock), b"a", b"never")
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
    words = opened(Frequency(clock), b"a", b"never")
    keys: dict[bytes, object] = {b"a": 1, b"b": 1, b"c": 1}
    for key, count in zip(keys, (9, 3, 7), strict=True):
        words.slots[SLOT][key] = clock.row[count]
    assert words.ranks(SLOT, keys) == [9, 3, 7]
    assert words.lowest(SLOT, keys, 7) == [b"b", b"c"]
    assert words.lowest(SLOT, [b"a", b"never"], NEW) == [b"never"]
    later(clock, time, 120)
    assert words.lowest(SLOT, keys, 1) == [b"b"]
    assert words.lowest(SLOT, keys, 4) == words.lowest(SLOT, keys, 5)[:1] == [b"b"]
    clock.adjust(10, 0)
    assert words.lowest(SLOT, keys, 8) == [b"b", b"c"]
