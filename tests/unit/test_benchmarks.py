"""The benchmarks: what they send, how they count what comes back, how they tell it."""

from __future__ import annotations

import itertools
import re
import sys
from collections.abc import Iterator

import pytest

from benchmarks.cluster import shares
from benchmarks.generator import (
    TESTS,
    Figures,
    LoadError,
    batches,
    count_lines,
    encode,
    exchange,
    numbers,
    prepare,
    quantile,
    requests,
    run,
    slot_range,
)
from benchmarks.idle import cumulative_ms
from benchmarks.load import Row, Server, cells, headings, parse_csv, table
from benchmarks.memory import key, value
from respcache.store.slot import SLOTS, hash_slot


def figures(cpu_us: float, rps: float = 1000.0) -> Figures:
    return Figures(requests=100, rps=rps, p50_ms=0.5, p99_ms=1.25, cpu_us=cpu_us)


def test_encode() -> None:
    assert encode(b"SET", b"k", b"") == b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$0\r\n\r\n"


def test_requests_fill_in_keys_and_values() -> None:
    one = next(requests(TESTS["set"], keys=1, size=3))
    assert one == b"*3\r\n$3\r\nSET\r\n$16\r\nkey:000000000000\r\n$3\r\nxxx\r\n"
    assert next(requests(TESTS["ping_inline"], keys=1, size=3)) == b"PING\r\n"


def test_requests_repeat_with_the_seed_and_stay_within_the_keys() -> None:
    def some(seed: int) -> list[bytes]:
        return list(itertools.islice(requests(TESTS["get"], keys=10, size=3, seed=seed), 50))

    assert some(1) == some(1) != some(2)
    assert all(re.search(rb"key:00000000000\d\r\n", request) for request in some(1))


def test_requests_stay_within_the_slots() -> None:
    first, last = slots = slot_range("100-8191")
    some = itertools.islice(requests(TESTS["get"], keys=1000, size=3, slots=slots), 200)
    keys = {request.split(b"\r\n")[4] for request in some}
    assert len(keys) > 100
    assert all(first <= hash_slot(key) <= last for key in keys)


def test_nodes_share_the_slots_and_the_keys() -> None:
    ranges = shares(3)
    assert [slot for first, last in ranges for slot in range(first, last + 1)] == list(range(SLOTS))
    parts = [numbers(TESTS["set"], 1000, slots) for slots in ranges]
    assert sorted(itertools.chain(*parts)) == list(range(1000))


@pytest.mark.parametrize("name", TESTS)
def test_batches_hold_the_pipeline(name: str) -> None:
    verb = TESTS[name].argv[0].encode()
    for batch in batches(TESTS[name], keys=100, size=10, pipeline=16)[:3]:
        assert batch.count(verb + b"\r\n") == 16


def test_count_lines() -> None:
    assert count_lines(b"+OK\r\n+OK\r\n") == 2
    assert count_lines(b"$10\r\nxxxxx") == 1
    assert count_lines(b"xxxxx\r\n$10\r\nxx") == 2
    assert count_lines(b"$-1\r\n:-5\r\n") == 2


@pytest.mark.parametrize("data", [b"-ERR no\r\n", b"+OK\r\n-ERR no\r\n", b"xx\r\n-ERR no"])
def test_count_lines_fails_at_an_error(data: bytes) -> None:
    with pytest.raises(LoadError, match="ERR no"):
        count_lines(data)


def test_quantile() -> None:
    assert quantile([1.0], 0.99) == 1.0
    assert quantile(range(100), 0.5) == 50
    assert quantile(range(100), 1.0) == 99


def test_table_is_aligned() -> None:
    assert table(["test", "n"], [["get", "1"], ["lrange", "10,000"]]).splitlines() == [
        "| test   |      n |",
        "| ------ | -----: |",
        "| get    |      1 |",
        "| lrange | 10,000 |",
    ]


def test_cells_compare_medians() -> None:
    row = Row("get", 16, {"respcache": [figures(2.0), figures(9.0), figures(3.0)], "redis": [figures(2.0)]})
    texts = cells(row, ["respcache", "redis"])
    assert texts[-1] == "1.50"
    assert texts[:6] == ["get", "16", "1,000", "0.50", "1.25", "3.00"]
    assert len(texts) == len(headings(["respcache", "redis"]))


def test_cells_of_one_server_have_no_ratio() -> None:
    row = Row("get", 16, {"redis": [figures(2.0)]})
    assert row.ratio() is None
    assert len(cells(row, ["redis"])) == len(headings(["redis"]))


def test_parse_csv() -> None:
    text = (
        '"test","rps","avg_latency_ms","min_latency_ms","p50_latency_ms","p95_latency_ms","p99_latency_ms"\n'
        '"GET key:__rand_int__","333333.34","0.444","0.112","0.319","1.559","1.703"\n'
    )
    assert parse_csv(text, 1000, cpu=0.002) == Figures(1000, 333333.34, 0.319, 1.703, 2.0)


def test_cumulative_import_time() -> None:
    report = (
        "import time: self [us] | cumulative | imported package\n"
        "import time:       150 |        200 |   json.decoder\n"
        "import time:       100 |       1500 | json\n"
    )
    assert cumulative_ms(report, "json") == 1.5
    with pytest.raises(LoadError):
        cumulative_ms(report, "re")


def test_sizes_of_memory_keys() -> None:
    assert (len(key(999_999)), len(value(999_999))) == (16, 10)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server("respcache", python=sys.executable) as running:
        yield running


@pytest.mark.parametrize("name", ["ping_inline", "get", "set", "incr", "mset"])
def test_a_short_run(server: Server, name: str) -> None:
    prepare(server.port, TESTS[name], keys=50, size=10, count=100)
    result = run(
        server.port, server.pid, TESTS[name], pipeline=4, count=100, clients=5, keys=50, seconds=10.0
    )
    assert result.requests == 100
    assert result.rps > 0 <= result.cpu_us
    assert result.p50_ms <= result.p99_ms


def test_a_run_fails_at_an_error_reply(server: Server) -> None:
    with server.connect() as connection:
        exchange(connection, encode(b"SET", b"counter:000000000000", b"a string"), 1)
    with pytest.raises(LoadError, match="not an integer"):
        run(server.port, server.pid, TESTS["incr"], count=10, clients=1, keys=1)


def test_a_run_fails_when_replies_are_missing(server: Server) -> None:
    with pytest.raises(LoadError, match=re.escape(r"$-1\r\n")):
        run(server.port, server.pid, TESTS["get"], count=10, clients=1, keys=50_000, seconds=0.3)
