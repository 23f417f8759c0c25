"""Statistics: runs of calls, buckets, percentiles, rates."""

from __future__ import annotations

import pytest

from respcache.features.stats import BUCKETS, CommandStats, Rate, Stats


def test_a_run_counts_with_its_mean() -> None:
    stats = CommandStats()
    stats.record(4, 12e-6)
    assert (stats.calls, stats.seconds) == (4, 12e-6)
    assert stats.distribution() == [(4, 4)]


@pytest.mark.parametrize(
    ("microseconds", "bucket"),
    [
        (0.0, 0),
        (0.5, 0),
        (1.0, 0),
        (1.03, 1),
        (2.04, 1),
        (2.05, 2),
        (4.09, 2),
        (4.1, 3),
        (1000.0, 10),
        (1e6, 20),
        (1e10, BUCKETS - 1),
    ],
)
def test_buckets_double(microseconds: float, bucket: int) -> None:
    stats = CommandStats()
    stats.record(1, microseconds * 1e-6)
    assert stats.histogram == [int(number == bucket) for number in range(BUCKETS)]


def test_the_bounds_are_those_that_redis_prints() -> None:
    stats = CommandStats()
    for bucket in range(18):
        stats.record(1, 1e-9 * (1024 << bucket) * 0.9)
    bounds, counts = zip(*stats.distribution(), strict=True)
    assert bounds == (
        *(1, 2, 4, 8, 16, 33, 66, 132, 264, 528, 1056, 2113, 4227, 8454, 16908, 33816, 67633, 135266),
    )
    assert counts == tuple(range(1, 19))


def test_percentiles_are_upper_bounds() -> None:
    stats = CommandStats()
    assert stats.percentile(50) == 0.0
    stats.record(98, 98 * 0.5e-6)
    stats.record(1, 3e-6)
    stats.record(1, 900e-6)
    assert [stats.percentile(percent) for percent in (0, 50, 98, 99, 99.9, 100)] == [
        *(1.024, 1.024, 1.024, 4.096, 1048.576, 1048.576),
    ]


def test_reset_forgets_everything() -> None:
    stats = CommandStats()
    stats.record(3, 1e-3)
    stats.failed = stats.rejected = 1
    stats.reset()
    assert (stats.calls, stats.seconds, stats.failed, stats.rejected) == (0, 0.0, 0, 0)
    assert sum(stats.histogram) == 0


def test_a_rate_looks_two_seconds_back() -> None:
    rate = Rate()
    assert rate.value == 0
    rate.sample(10.0, 1000)
    assert rate.value == 0  # one sample is no rate
    rate.sample(11.0, 1100)
    assert rate.value == 100
    rate.sample(13.0, 1100)
    assert rate.value == 50
    rate.sample(14.0, 1100)
    assert rate.value == 0


def test_a_rate_survives_a_reset_total_and_a_standing_clock() -> None:
    rate = Rate()
    rate.sample(1.0, 500)
    rate.sample(2.0, 10)
    assert rate.value == 0
    rate.sample(2.0, 20)
    assert rate.value == 0


def test_errors_are_counted_by_code_and_a_flood_under_one_name() -> None:
    stats = Stats()
    stats.error("ERR")
    stats.error("ERR")
    assert stats.errors == {"ERR": 2}
    for number in range(200):
        stats.error(f"MADE{number}")
    assert len(stats.errors) == 129
    assert stats.errors["ERRORSTATS_OVERFLOW"] == 73
    stats.error("ERR")
    assert stats.errors["ERR"] == 3


def test_reset_of_all_statistics() -> None:
    stats = Stats()
    get = stats.commands["get"] = CommandStats()
    get.record(5, 1e-6)
    stats.error("ERR")
    stats.connections = stats.net_input = stats.protocol_errors = 7
    stats.ops_rate.sample(1.0, 0)
    stats.ops_rate.sample(2.0, 100)
    assert stats.processed == 5
    stats.reset()
    assert stats.commands == {"get": get}
    assert (stats.processed, stats.errors, stats.connections, stats.net_input, stats.protocol_errors) == (
        *(0, {}, 0, 0, 0),
    )
    assert stats.ops_rate.value == 0
