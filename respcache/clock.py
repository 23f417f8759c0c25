"""The one clock: TTLs, TIME, idle times, timeouts and the cron all read it, so a test can set it.

Wall-clock milliseconds since the epoch are what Redis stores and replicates. Durations (statistics, latency)
come from the monotonic clock of the operating system and are read in seconds.
"""

from __future__ import annotations

import time
from collections.abc import Callable

monotonic: Callable[[], float] = time.perf_counter
"""Seconds from an arbitrary start, never going back."""


def _system_ms() -> int:
    return time.time_ns() // 1_000_000


class Clock:
    """Wall-clock time that can be replaced, for a whole server at once."""

    __slots__ = ("ms",)

    ms: Callable[[], int]
    """Milliseconds since the epoch."""

    def __init__(self, ms: Callable[[], int] = _system_ms) -> None:
        self.ms = ms

    def us(self) -> int:
        """Microseconds since the epoch, at the resolution of the system if the clock is the real one."""
        if self.ms is _system_ms:
            return time.time_ns() // 1000
        return self.ms() * 1000
