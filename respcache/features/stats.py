"""Statistics that are always on: per command, per error, and counters of the whole server.

A command's time is recorded per run, a run being one call or several calls of the same brief command behind
one another in a pipeline; the calls of a run count with their mean. That is what makes the statistics
affordable: the clock is read between runs, not around each call.
"""

from __future__ import annotations

from collections import deque

BUCKETS = 32
"""Bucket b of a histogram counts calls that took less than 1.024 us * 2^b and not less than half of that."""

SAMPLES = 2
"""How many seconds of rates the instantaneous figures of INFO look back; Redis looks 1.6 seconds back."""


class CommandStats:
    """What INFO commandstats and LATENCY HISTOGRAM tell of one command."""

    __slots__ = ("_first", "_second", "_slower", "calls", "failed", "rejected", "seconds")

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Back to zero."""
        self.calls = 0
        self.seconds = 0.0
        self.rejected = 0
        """Calls refused before they ran."""
        self.failed = 0
        """Calls that ran into an error."""
        self._first = 0
        self._second = 0
        self._slower: dict[int, int] = {}

    def record(self, calls: int, seconds: float) -> None:
        """Adds a run of calls that took so many seconds together."""
        self.calls += calls
        self.seconds += seconds
        each = seconds if calls == 1 else seconds / calls
        if each < 1.024e-6:
            self._first += calls
        elif each < 2.048e-6:
            self._second += calls
        else:
            bucket = min((int(each * 1e9) >> 10).bit_length(), BUCKETS - 1)
            self._slower[bucket] = self._slower.get(bucket, 0) + calls

    @property
    def histogram(self) -> list[int]:
        """Number of calls by bucket."""
        counts = [0] * BUCKETS
        counts[0], counts[1] = self._first, self._second
        for bucket, calls in self._slower.items():
            counts[bucket] += calls
        return counts

    def distribution(self) -> list[tuple[int, int]]:
        """(microseconds, number of calls that took no longer) of each bucket with calls: LATENCY HISTOGRAM.

        Redis names a bucket by the largest nanosecond that its histogram of two digits cannot tell from the
        upper bound, cut to microseconds: 1, 2, 4, 8, 16, 33, 66, 132, 264 and so on.
        """
        shown = []
        seen = 0
        for bucket, calls in enumerate(self.histogram):
            if calls:
                seen += calls
                bound = 1024 << bucket
                shown.append(((bound + bound // 128 - 1) // 1000, seen))
        return shown

    def percentile(self, percent: float) -> float:
        """The upper bound, in microseconds, of the bucket in which this percentile of the calls lies."""
        counts = self.histogram
        wanted = sum(counts) * percent / 100
        seen = 0
        for bucket, calls in enumerate(counts):
            seen += calls
            if calls and seen >= wanted:
                return 1.024 * 2.0**bucket
        return 0.0


class Rate:
    """Turns a growing total into a rate per second, over the last samples."""

    __slots__ = ("_last_time", "_last_total", "_rates")

    def __init__(self) -> None:
        self._rates: deque[float] = deque(maxlen=SAMPLES)
        self._last_time = 0.0
        self._last_total = 0

    def sample(self, now: float, total: int) -> None:
        """Takes a sample at a monotonic time in seconds."""
        if self._last_time and now > self._last_time:
            self._rates.append(max(total - self._last_total, 0) / (now - self._last_time))
        self._last_time, self._last_total = now, total

    @property
    def value(self) -> float:
        """The mean rate per second."""
        return sum(self._rates) / len(self._rates) if self._rates else 0.0


class Stats:
    """Counters of the whole server."""

    __slots__ = (
        "commands",
        "connections",
        "errors",
        "evicted_clients",
        "input_rate",
        "net_input",
        "net_output",
        "ops_rate",
        "output_limit_disconnections",
        "output_rate",
        "protocol_errors",
        "query_limit_disconnections",
        "rejected_connections",
        "unknown_commands",
    )

    def __init__(self) -> None:
        self.commands: dict[str, CommandStats] = {}
        """By full name of the command; filled when the tables are compiled."""
        self.errors: dict[str, int] = {}
        """Number of error replies by their first word."""
        self.reset()

    def reset(self) -> None:
        """What CONFIG RESETSTAT does."""
        for stats in self.commands.values():
            stats.reset()
        self.errors.clear()
        self.ops_rate = Rate()
        self.input_rate = Rate()
        self.output_rate = Rate()
        self.connections = 0
        """Connections accepted."""
        self.rejected_connections = 0
        self.evicted_clients = 0
        self.net_input = 0
        """Bytes read from clients that are gone; the living ones count their own."""
        self.net_output = 0
        self.protocol_errors = 0
        self.unknown_commands = 0
        self.output_limit_disconnections = 0
        self.query_limit_disconnections = 0

    @property
    def processed(self) -> int:
        """Number of commands processed."""
        return sum(stats.calls for stats in self.commands.values())

    def error(self, code: str) -> None:
        """Counts an error reply. A flood of made-up codes is counted under one name, as in Redis."""
        if code not in self.errors and len(self.errors) >= 128:
            code = "ERRORSTATS_OVERFLOW"
        self.errors[code] = self.errors.get(code, 0) + 1
