from __future__ import annotations

import time

from respcache.clock import Clock, monotonic


def test_the_real_clock() -> None:
    clock = Clock()
    before = time.time()
    assert before * 1e3 - 1 <= clock.ms() <= time.time() * 1e3
    assert before * 1e6 - 1 <= clock.us() <= time.time() * 1e6


def test_the_real_clock_tells_microseconds() -> None:
    clock = Clock()
    assert any(clock.us() % 1000 for _ in range(20))


def test_a_clock_of_ones_own() -> None:
    now = 1_700_000_000_123
    clock = Clock(ms=lambda: now)
    assert (clock.ms(), clock.us()) == (now, now * 1000)
    now += 5
    assert (clock.ms(), clock.us()) == (now, now * 1000)


def test_monotonic_never_goes_back() -> None:
    times = [monotonic() for _ in range(100)]
    assert times == sorted(times)
