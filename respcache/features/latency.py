"""The latency monitor: spikes by event, kept while `latency-monitor-threshold` is not zero."""

from __future__ import annotations

from collections import deque

HISTORY = 160
"""Spikes kept per event."""


class LatencyEvent:
    """The spikes of one event."""

    __slots__ = ("all_time_max", "spikes")

    def __init__(self) -> None:
        self.spikes: deque[tuple[int, int]] = deque(maxlen=HISTORY)
        """(second since the epoch, milliseconds), oldest first; one per second, the worst."""
        self.all_time_max = 0


class LatencyMonitor:
    """All events."""

    __slots__ = ("events",)

    def __init__(self) -> None:
        self.events: dict[str, LatencyEvent] = {}

    def add(self, event: str, unix_seconds: int, milliseconds: int) -> None:
        """Adds a spike."""
        found = self.events.setdefault(event, LatencyEvent())
        found.all_time_max = max(found.all_time_max, milliseconds)
        if found.spikes and found.spikes[-1][0] == unix_seconds:
            milliseconds = max(milliseconds, found.spikes.pop()[1])
        found.spikes.append((unix_seconds, milliseconds))

    def reset(self, names: list[str]) -> int:
        """Forgets these events, or all of them if none is named. Returns how many there were."""
        if not names:
            count = len(self.events)
            self.events.clear()
            return count
        return sum(self.events.pop(name, None) is not None for name in names)
