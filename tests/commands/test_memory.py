"""MEMORY: sizes are estimates and differ between the servers; forms, order of growth and errors do not."""

from __future__ import annotations

import pytest

from tests.commands.conftest import Connect
from tests.servers import Server
from tests.wire import NOT_AN_INTEGER, OK, SYNTAX_ERROR, Double, Error, Verbatim, Wire, arity_error, pairs


def test_usage_of_strings(c: Wire) -> None:
    assert c("MEMORY", "USAGE", "nothing") == c.null
    c("SET", "k", "v")
    small = c("MEMORY", "USAGE", "k")
    assert 10 < small < 400  # most of it the shard of a key that is alone in its slot
    c("SET", "k", "v" * 10_000)
    assert 10_000 < c("MEMORY", "USAGE", "k") < 11_000 + small
    c("SET", "k" * 5_000, "v")
    assert 5_000 < c("MEMORY", "USAGE", "k" * 5_000) < 6_000 + small
    c("SET", "number", 12345)
    assert 10 < c("MEMORY", "USAGE", "number") < 400


def test_samples(c: Wire) -> None:
    c("SET", "k", "v")
    usage = c("MEMORY", "USAGE", "k")
    for samples in (0, 1, 5, 2**31):
        assert c("MEMORY", "USAGE", "k", "SAMPLES", samples) == usage
    assert c("MEMORY", "USAGE", "k", "samples", 1, "SAMPLES", 0) == usage


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (["SAMPLES"], SYNTAX_ERROR),
        (["SAMPLES", -1], SYNTAX_ERROR),
        (["SAMPLES", "x"], NOT_AN_INTEGER),
        (["FOO", 1], SYNTAX_ERROR),
        (["SAMPLES", 1, "SAMPLES"], SYNTAX_ERROR),
        (["SAMPLES", 1, 2], SYNTAX_ERROR),
    ],
)
def test_bad_options(c: Wire, options: list[str | int], error: Error) -> None:
    c("SET", "k", "v")
    assert c("MEMORY", "USAGE", "k", *options) == error
    assert c("MEMORY", "USAGE", "nothing", *options) == error


def test_usage_is_no_hit(c: Wire) -> None:
    c("SET", "k", "v")
    assert c("CONFIG", "RESETSTAT") == OK
    c("MEMORY", "USAGE", "k")
    c("MEMORY", "USAGE", "nothing")
    reply = c("INFO", "stats")
    told = reply.data if isinstance(reply, Verbatim) else reply
    assert b"keyspace_hits:0\r\nkeyspace_misses:0\r\n" in told


NAMES = [
    *("peak.allocated", "total.allocated", "startup.allocated", "replication.backlog", "clients.slaves"),
    *("clients.normal", "cluster.links", "aof.buffer", "lua.caches", "functions.caches", "db.0"),
    *("overhead.db.hashtable.lut", "overhead.db.hashtable.rehashing", "db.dict.rehashing.count"),
    *("overhead.total", "keys.count", "keys.bytes-per-key", "dataset.bytes", "dataset.percentage"),
    *("peak.percentage", "allocator.allocated", "allocator.active", "allocator.resident"),
    *("allocator.muzzy", "allocator-fragmentation.ratio", "allocator-fragmentation.bytes"),
    *("allocator-rss.ratio", "allocator-rss.bytes", "rss-overhead.ratio", "rss-overhead.bytes"),
    *("fragmentation", "fragmentation.bytes"),
]
SINCE_7_4 = {
    *("overhead.db.hashtable.lut", "overhead.db.hashtable.rehashing", "db.dict.rehashing.count"),
    "allocator.muzzy",
}


def test_stats(c: Wire, server: Server) -> None:
    c("SET", "k", "v")
    c("SET", "other", "v", "EX", 100)
    told = pairs(c("MEMORY", "STATS"))
    names = NAMES if server.version >= (7, 4) else [name for name in NAMES if name not in SINCE_7_4]
    assert [name.decode() for name in told] == names
    assert told[b"keys.count"] == 2
    assert list(pairs(told[b"db.0"]))[:2] == [b"overhead.hashtable.main", b"overhead.hashtable.expires"]
    for name, value in told.items():
        if name.endswith((b"ratio", b"percentage", b"fragmentation")):
            assert isinstance(value, Double if c.protocol == 3 else bytes), name
            assert float(value.text if isinstance(value, Double) else value) >= 0
        elif not name.startswith(b"db.0"):
            assert isinstance(value, int), name
    assert 0 < told[b"startup.allocated"] <= told[b"total.allocated"]
    assert told[b"dataset.bytes"] <= told[b"total.allocated"]


def test_stats_of_each_database(c: Wire) -> None:
    assert not any(name.startswith(b"db.") and name[3:].isdigit() for name in pairs(c("MEMORY", "STATS")))
    c("SET", "k", "v")
    c("SELECT", 9)
    c("SET", "k", "v")
    told = pairs(c("MEMORY", "STATS"))
    assert [name for name in told if name[3:].isdigit()] == [b"db.0", b"db.9"]


def test_for_people(c: Wire, connect: Connect) -> None:
    for name in ("DOCTOR", "MALLOC-STATS"):
        reply = c("MEMORY", name)
        assert isinstance(reply, Verbatim if c.protocol == 3 else bytes)
        assert (reply.data if isinstance(reply, Verbatim) else reply).strip()


def test_doctor_with_data(c: Wire) -> None:
    assert c("DEBUG", "POPULATE", 100_000, "key", 100) == OK
    reply = c("MEMORY", "DOCTOR")
    assert (reply.data if isinstance(reply, Verbatim) else reply).strip()


def test_purge(c: Wire) -> None:
    assert c("MEMORY", "PURGE") == OK


def test_arity_and_unknown(c: Wire) -> None:
    assert c("MEMORY") == arity_error("memory")
    assert c("MEMORY", "USAGE") == arity_error("memory|usage")
    for name in ("STATS", "DOCTOR", "PURGE", "MALLOC-STATS", "HELP"):
        assert c("MEMORY", name, "x") == arity_error(f"memory|{name.lower()}")
    assert c("MEMORY", "Foo") == Error("ERR unknown subcommand 'Foo'. Try MEMORY HELP.")


def test_help(c: Wire) -> None:
    lines = [line.text for line in c("MEMORY", "HELP")]
    assert lines[0] == "MEMORY <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"
    for name in ("USAGE", "STATS", "DOCTOR", "PURGE", "MALLOC-STATS", "HELP"):
        assert any(line.split()[0] == name for line in lines[1:])
