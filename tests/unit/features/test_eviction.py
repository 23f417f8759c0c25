"""The memory limit by itself: when room is made, how long that takes, what is said of it."""

from __future__ import annotations

from asyncio import TimerHandle
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest

from respcache.clock import Clock
from respcache.features import eviction
from respcache.features.eviction import MemoryLimit, eviction_slice
from respcache.store.access import Frequency, Recency
from respcache.store.database import Database
from respcache.store.keyspace import Keyspace


class Rig:
    """A limit with hands on its timer and its configuration."""

    def __init__(self, limit: int, policy: str, **settings: Any) -> None:
        self.config: Any = SimpleNamespace(
            maxmemory=limit,
            maxmemory_policy=policy,
            maxmemory_samples=5,
            maxmemory_eviction_tenacity=10,
            lfu_log_factor=10,
            lfu_decay_time=1,
        )
        vars(self.config).update(settings)
        self.keyspace = Keyspace(2, Clock())
        self.memory = MemoryLimit(self.keyspace, cast(Any, self.config))
        self.timers: list[Callable[[], None]] = []
        self.switched: list[bool] = []
        self.memory.later = self._later
        self.memory.switch = self.switched.append
        self.memory.follow()

    def _later(self, _seconds: float, call: Callable[[], None]) -> TimerHandle:
        self.timers.append(call)
        return cast(TimerHandle, SimpleNamespace(cancel=lambda: self.timers.remove(call)))

    @property
    def db(self) -> Database:
        return self.keyspace.databases[0]

    def fill(self, count: int) -> None:
        for number in range(count):
            self.db.set(b"key:%d" % number, b"x" * 100)


def test_slices_of_time() -> None:
    assert eviction_slice(0) == 0
    assert eviction_slice(10) == pytest.approx(0.0005)
    assert eviction_slice(11) == pytest.approx(0.000575)
    assert eviction_slice(100) == float("inf")


def test_without_a_limit_nothing_is_counted() -> None:
    rig = Rig(0, "allkeys-lru")
    assert type(rig.db) is Database
    assert rig.switched == [False]
    assert rig.memory.used() > 1 << 20  # resident memory
    rig.memory.tick()


def test_a_policy_notes_what_it_needs() -> None:
    assert isinstance(Rig(1 << 30, "volatile-lru").db.accesses, Recency)
    assert isinstance(Rig(0, "allkeys-lfu").db.accesses, Frequency)
    rig = Rig(1 << 30, "allkeys-lfu")
    rig.config.maxmemory_policy = "noeviction"
    rig.memory.follow()
    assert rig.db.accesses is None


def test_room_is_made() -> None:
    rig = Rig(1 << 20, "allkeys-random", maxmemory_eviction_tenacity=100)
    rig.fill(6000)
    rig.memory.tick()
    assert 1000 < rig.db.size < 6000
    assert rig.memory.used() <= 1 << 20
    assert rig.keyspace.evicted_keys == 6000 - rig.db.size
    assert not rig.timers
    assert rig.memory.exceeded[1] == 0


def test_where_nothing_may_go() -> None:
    rig = Rig(1 << 20, "noeviction")
    rig.fill(10_000)
    rig.memory.tick()
    assert not rig.memory.make_room()
    assert rig.db.size == 10_000
    assert rig.memory.exceeded[0] >= 0
    rig.config.maxmemory = 0
    rig.memory.follow()
    assert rig.memory.account.allowed == eviction.UNLIMITED
    assert rig.switched == [True, False]


def test_a_timer_goes_on() -> None:
    rig = Rig(2 << 20, "allkeys-lru", maxmemory_eviction_tenacity=0)
    told: list[str] = []
    rig.memory.report = lambda name, _seconds: told.append(name)
    rig.fill(20_000)
    rig.memory.tick()
    assert len(rig.timers) == 1
    assert rig.memory.make_room()
    before = rig.db.size
    turns = 0
    while rig.timers and turns < 10_000:
        rig.timers.pop()()
        turns += 1
    assert turns > 10
    assert rig.db.size < before
    assert set(told) == {"eviction-cycle"}
    rig.memory.tick()
    rig.memory.stop()


def test_what_is_deleted_counts_until_it_is_freed() -> None:
    rig = Rig(100 << 20, "noeviction")
    rig.db.set(b"s", {b"%d" % number: None for number in range(50_000)})
    rig.memory.tick()
    used = rig.memory.used()
    rig.db.delete(b"s")
    assert rig.memory.used() > used / 2
    while rig.keyspace.graveyard.free_slice(1):
        pass
    assert rig.memory.used() < used / 4


def test_buffers_count() -> None:
    rig = Rig(100 << 20, "noeviction")
    before = rig.memory.used()
    rig.memory.buffers = lambda: 5 << 20
    rig.memory.tick()
    assert rig.memory.used() == before + (5 << 20)
    assert rig.memory.peak == rig.memory.used()


def test_resident_memory_above_the_limit_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    resident = 50 << 20
    monkeypatch.setattr(eviction, "resident_memory", lambda: resident)
    rig = Rig(0, "noeviction")
    rig.memory.own_process = True
    rig.config.maxmemory = 100 << 20
    rig.memory.follow()
    assert rig.memory.base <= 100 << 20
    before = rig.memory.used()
    resident = 104 << 20
    rig.memory.tick()
    assert rig.memory.used() == before
    resident = 108 << 20
    rig.memory.tick()
    assert rig.memory.used() == before + (3 << 20)
    resident = 500 << 20
    rig.memory.tick()
    assert rig.memory.used() == before + (10 << 20)


def test_a_lower_limit_does_not_count_what_is_resident_already(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(eviction, "resident_memory", lambda: 200 << 20)
    rig = Rig(0, "noeviction")
    rig.memory.own_process = True
    rig.config.maxmemory = 100 << 20
    rig.memory.follow()
    before = rig.memory.used()
    rig.memory.tick()
    assert rig.memory.used() == before


def test_nothing_goes_while_data_is_loaded() -> None:
    rig = Rig(1 << 20, "allkeys-lru")
    loading = True
    rig.memory.waits = lambda: loading
    rig.fill(20_000)
    rig.memory.tick()
    assert rig.memory.make_room()
    assert rig.db.size == 20_000
    loading = False
    rig.memory.tick()
    assert rig.db.size < 20_000
