"""The latency monitor: one spike a second, the worst of it."""

from __future__ import annotations

from respcache.features.latency import HISTORY, LatencyMonitor


def test_one_spike_per_second() -> None:
    monitor = LatencyMonitor()
    for second, milliseconds in ((10, 5), (10, 9), (10, 7), (11, 3)):
        monitor.add("command", second, milliseconds)
    event = monitor.events["command"]
    assert list(event.spikes) == [(10, 9), (11, 3)]
    assert event.all_time_max == 9


def test_history_is_bounded_and_the_worst_is_remembered() -> None:
    monitor = LatencyMonitor()
    monitor.add("fork", 0, 1000)
    for second in range(1, HISTORY + 1):
        monitor.add("fork", second, 1)
    event = monitor.events["fork"]
    assert len(event.spikes) == HISTORY == 160
    assert event.spikes[0] == (1, 1)
    assert event.all_time_max == 1000


def test_reset() -> None:
    monitor = LatencyMonitor()
    for name in ("a", "b", "c"):
        monitor.add(name, 1, 1)
    assert monitor.reset(["b", "nothing", "b"]) == 1
    assert list(monitor.events) == ["a", "c"]
    assert monitor.reset([]) == 2
    assert monitor.reset([]) == 0
    assert not monitor.events
