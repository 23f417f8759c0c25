"""The memory limit: how much is used, and making room when that is too much.

How it is wired (`server.memory`, in `respcache.server`):

    memory = MemoryLimit(keyspace, config)
    memory.own_process = ...                                   the process does nothing but serve
    memory.switch = lambda on: modes.switch("memory", on)      the gate `respcache.limiting`
    memory.later = loop.call_later                             before the server starts
    memory.report = state.event                                latency events: name, seconds
    memory.buffers = ...                                       bytes that clients' buffers take
    memory.uncounted = ...                                     bytes on their way to the AOF and to replicas
    memory.waits = ...                                         nothing is evicted: data is being loaded
    memory.follow()                                            at the start, and when DIRECTIVES change
    memory.tick()                                              cron, on each of its turns
    memory.stop()                                              at the end

Used is what the data takes by its account (`store.sized`), the tables around it, what is deleted and not yet freed,
buffers, and what the server took before it had any data. An account cannot see what the allocators hold without using
it. So if resident memory grows above the limit all the same, the excess counts as used: up to a tenth of the limit, and
only what it grew since the limit was set, because evicting keys gives little back to the system; it makes room for
what comes. Who embeds a server limits its data: the memory of the program around it is not looked at.
"""

from __future__ import annotations

from asyncio import TimerHandle
from collections.abc import Callable

from respcache.clock import monotonic
from respcache.config import Config
from respcache.features.process import STARTUP_MEMORY, resident_memory
from respcache.store.access import Recency
from respcache.store.eviction import Evictor, tracking
from respcache.store.keyspace import Keyspace
from respcache.store.sized import settle, slot_tables, tables

DIRECTIVES = (
    "maxmemory",
    "maxmemory-policy",
    "maxmemory-samples",
    "maxmemory-eviction-tenacity",
    "lfu-log-factor",
    "lfu-decay-time",
)
"""What `follow` looks at."""
UNLIMITED = 1 << 62
PAUSE = 0.001
"""Seconds until evicting goes on after its slice of time is over."""
OWED = 90
"""Bytes of an element that is deleted and not yet freed."""
_CORE = 16 << 20  # bytes that the server may take before it has data, besides what it took when it was imported
_EXCESS = 10  # a part of the limit: so much of the resident memory above it counts
_TOLERATED = 20  # a part of the limit: resident memory above it that does not count
_FREE_SLICE = 0.0002  # seconds
_SETTLED = 100  # containers that are measured in a tick
_SLACK = 4096  # bytes below the limit to which room is made, so that it is not made key by key
_WEIGHT = 0.3  # of a new estimate of the tables


def eviction_slice(tenacity: int) -> float:
    """Seconds that evicting may hold the loop: half a millisecond by default, for ever with 100."""
    if tenacity >= 100:
        return float("inf")
    return tenacity * 50e-6 if tenacity <= 10 else 500e-6 * 1.15 ** (tenacity - 10)


class MemoryLimit:
    """What is used of the memory, and what happens when it is more than maxmemory."""

    __slots__ = (
        "_base",
        "_each",
        "_evictor",
        "_exceeded_since",
        "_exceeded_total",
        "_fixed",
        "_floor",
        "_keyspace",
        "_share",
        "_slice",
        "_timer",
        "account",
        "buffers",
        "config",
        "exempt",
        "later",
        "limit",
        "own_process",
        "peak",
        "report",
        "switch",
        "uncounted",
        "waits",
    )

    later: Callable[[float, Callable[[], None]], TimerHandle]
    """Calls a function in so many seconds."""

    def __init__(self, keyspace: Keyspace, config: Config) -> None:
        self.config = config
        self.own_process = False
        self.exempt = False
        """There is no limit, whatever the configuration says: a master takes care of it."""
        self.account = keyspace.account
        self.limit = 0
        """Bytes, 0 for none."""
        self.peak = 0
        """The most bytes that were used since there is a limit."""
        self.switch: Callable[[bool], None] = lambda on: None
        self.report: Callable[[str, float], None] = lambda name, seconds: None
        self.buffers: Callable[[], int] = int
        self.uncounted: Callable[[], int] = int
        self.waits: Callable[[], bool] = bool
        self._keyspace = keyspace
        self._evictor = Evictor(keyspace, "noeviction", 5)
        self._slice = eviction_slice(10)
        self._base = 0  # bytes the server takes without data
        self._each = [0.0] * len(keyspace.databases)  # bytes of tables for each key
        self._share = 0  # bytes of tables that go with a key
        self._fixed = 0  # all that is used, but for the account and what is still to be freed
        self._floor = 0  # resident memory above this counts
        self._timer: TimerHandle | None = None
        self._exceeded_since = 0.0
        self._exceeded_total = 0.0

    # What the server calls

    def follow(self) -> None:
        """Does what the configuration says now."""
        config, keyspace = self.config, self._keyspace
        limit, policy = 0 if self.exempt else config.maxmemory, config.maxmemory_policy
        how = tracking(policy) if limit or policy.endswith("lfu") else None
        if how is None and any(isinstance(db.accesses, Recency) for db in keyspace.databases):
            how = Recency  # somebody asks for idle times
        keyspace.track(how)
        keyspace.access_clock.adjust(config.lfu_log_factor, config.lfu_decay_time)
        self._evictor = Evictor(keyspace, policy, config.maxmemory_samples)
        self._slice = eviction_slice(config.maxmemory_eviction_tenacity)
        if limit and not self.limit:
            keyspace.count_bytes(True)
            self.peak = 0
            self._base = 0
            self._each = [0.0] * len(keyspace.databases)
        elif self.limit and not limit:
            keyspace.count_bytes(False)
            self.account.allowed = UNLIMITED
        changed, self.limit = limit != self.limit, limit
        self.switch(limit > 0)
        if limit:
            if changed:
                self._begin()
            self._go_on()
        else:
            self._cancel()

    def tick(self) -> None:
        """What is to be done some times a second."""
        keyspace = self._keyspace
        if keyspace.databases[0].accesses is not None:
            keyspace.access_clock.tick()
        if self.limit:
            for db in keyspace.databases:
                if db.footprint is not None and db.footprint.changed:
                    settle(db, _SETTLED)
            self._measure()
            if self._timer is None:
                self._go_on()

    def stop(self) -> None:
        """Stops evicting."""
        self._cancel()

    # What is used

    def used(self) -> int:
        """Bytes that are used, as INFO tells them: resident memory, unless there is a limit."""
        return self._used() if self.limit else resident_memory()

    @property
    def dataset(self) -> int:
        """Bytes that the data takes, with a nominal part for the tables; 0 unless there is a limit."""
        return self.account.bytes if self.limit else 0

    @property
    def base(self) -> int:
        """Bytes that the server took before it had data."""
        return self._base if self.limit else STARTUP_MEMORY

    @property
    def exceeded(self) -> tuple[int, int]:
        """Milliseconds in which more than the limit was used: in all, and since that began if it is so now."""
        current = monotonic() - self._exceeded_since if self._exceeded_since else 0.0
        return int((self._exceeded_total + current) * 1000), int(current * 1000)

    def reset_stats(self) -> None:
        """Forgets how long the limit was exceeded."""
        self._exceeded_total = 0.0

    # Making room

    def make_room(self) -> bool:
        """Evicts keys until no more is used than may be, or the slice of time is over: then a timer goes on.

        False: too much is used, and nothing can be evicted. While data is loaded there is room for all of it.
        """
        if self.waits():
            return True
        account, graveyard, evict = self.account, self._keyspace.graveyard, self._evictor.evict
        since = monotonic()
        self._exceeded_since = self._exceeded_since or since
        stop = since + self._slice
        self._settle()
        keys = sum([db.size for db in self._keyspace.databases])
        each = account.bytes // (keys or 1) + 1
        turn = 0
        while account.bytes + _SLACK > account.allowed:
            if graveyard:
                graveyard.free_slice(_FREE_SLICE)
                self._settle()
            elif not (gone := evict((account.bytes + _SLACK - account.allowed) // each + 1)):
                if account.bytes > account.allowed:
                    return False
                break
            else:
                self._fixed -= self._share * gone
                account.allowed += self._share * gone
            turn += 1
            if not turn & 7 and monotonic() > stop:
                break
        now = monotonic()
        if turn:
            self.report("eviction-cycle", now - since)
        if account.bytes <= account.allowed:
            self._exceeded_total += now - self._exceeded_since
            self._exceeded_since = 0.0
        elif self._timer is None:
            self._timer = self.later(PAUSE, self._continue)
        return True

    def _go_on(self) -> None:
        """Makes room if there is none."""
        if self.account.bytes > self.account.allowed:
            self.make_room()
        elif self._exceeded_since:
            self._exceeded_total += monotonic() - self._exceeded_since
            self._exceeded_since = 0.0

    def _continue(self) -> None:
        self._timer = None
        self._go_on()

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _begin(self) -> None:
        """A limit was set: looks what is there."""
        self._floor = max(self.limit + self.limit // _TOLERATED, resident_memory())
        self._measure()
        if self.own_process and not self._base:
            data = self.account.bytes + self._fixed
            self._base = min(max(resident_memory() - data, STARTUP_MEMORY), STARTUP_MEMORY + _CORE)
            self._measure()

    def _measure(self) -> None:
        """Looks how much is used besides the account."""
        size, keys, slots = 0.0, 0, 0
        for db in self._keyspace.databases:
            if db.size:
                each, before = tables(db) / db.size, self._each[db.index]
                each = self._each[db.index] = before + (each - before) * _WEIGHT if before else each
                size += each * db.size
                keys += db.size
                slots += slot_tables(db)
        self._share = int(size / keys) if keys else 0
        self._fixed = self._base + int(size) + slots + self.buffers() + self._excess()
        self._settle()
        self.peak = max(self.peak, self._used())

    def _excess(self) -> int:
        """Bytes of resident memory above what it may be."""
        if not self.own_process:
            return 0
        resident = resident_memory()
        self._floor = max(self.limit + self.limit // _TOLERATED, min(self._floor, resident))
        return min(resident - self._floor, self.limit // _EXCESS) if resident > self._floor else 0

    def _settle(self) -> None:
        self.account.allowed = self.limit - self._fixed - OWED * self._keyspace.graveyard.waiting

    def _used(self) -> int:
        return self.account.bytes + self._fixed + OWED * self._keyspace.graveyard.waiting
