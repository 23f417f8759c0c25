"""The memory limit: what is refused, what is evicted, what is told of it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

import pytest

from tests.commands.conftest import Connect
from tests.servers import Server
from tests.wire import OK, QUEUED, Error, Status, Wire, pairs

OOM = Error("OOM command not allowed when used memory > 'maxmemory'.")
NO_LFU = Error(
    "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when switching "
    "between policies at runtime LRU and LFU data will take some time to adjust."
)
NO_LRU = Error(
    "ERR An LFU maxmemory policy is selected, idle time not tracked. Please note that when switching between "
    "policies at runtime LRU and LFU data will take some time to adjust."
)


@pytest.fixture(autouse=True)
def unlimited(c: Wire) -> Iterator[None]:
    yield
    c("CONFIG", "SET", "maxmemory", 0, "maxmemory-policy", "noeviction", "maxmemory-clients", 0)


def info(c: Wire, section: str, field: str) -> int:
    text = str(c("INFO", section))
    return int(text.partition(f"{field}:")[2].partition("\\r\\n")[0])


def limit(c: Wire, policy: str, spare: int = 0) -> None:
    """Sets a limit: what is used now, and some more; or one byte if nothing is spare."""
    assert c("CONFIG", "SET", "maxmemory-policy", policy) == OK
    if spare:
        assert c("CONFIG", "SET", "maxmemory", "100gb") == OK
        assert c("CONFIG", "SET", "maxmemory", info(c, "memory", "used_memory") + spare) == OK
    else:
        assert c("CONFIG", "SET", "maxmemory", 1) == OK


def drain(c: Wire) -> None:
    """Writes until nothing is left to evict. That goes in slices of time, between which writes pass."""
    for _ in range(200):
        if c("SET", "k", "v") == OOM:
            return
        time.sleep(0.01)
    raise AssertionError("keys are left")


def test_noeviction(c: Wire) -> None:
    c("SET", "k", "v")
    limit(c, "noeviction")
    assert c("SET", "k", "w") == OOM
    assert c("LPUSH", "l", "x") == OOM
    assert c("SET", "k") == Error("ERR wrong number of arguments for 'set' command")
    assert c("GET", "k") == b"v"
    assert c("EXPIRE", "k", 100) == 1
    assert c("PING") == Status("PONG")
    assert c("DEL", "k") == 1
    assert c("DBSIZE") == 0
    assert c("CONFIG", "SET", "maxmemory", 0) == OK
    assert c("SET", "k", "w") == OK


def test_transactions(c: Wire) -> None:
    c("SET", "k", "v")
    limit(c, "noeviction")
    assert c("MULTI") == OK
    assert c("PING") == OOM
    assert c("GET", "k") == OOM
    assert c("UNWATCH") == OOM
    assert c("EXEC") == Error("EXECABORT Transaction discarded because of previous errors.")
    assert c("MULTI") == OK
    assert c("DISCARD") == OK


def test_exec(c: Wire, connect: Connect) -> None:
    other = connect()
    assert c("MULTI") == OK
    assert c("SET", "k", "v") == QUEUED
    limit(other, "noeviction")
    assert c("EXEC") == Error("EXECABORT Transaction discarded because of: OOM command not allowed when used memory > "
                              "'maxmemory'.")
    assert other("CONFIG", "SET", "maxmemory", 0) == OK
    assert c("MULTI") == OK
    assert c("GET", "k") == QUEUED
    limit(other, "noeviction")
    assert c("EXEC") == [c.null]


@pytest.mark.parametrize("policy", ["allkeys-lru", "allkeys-lfu", "allkeys-random"])
def test_all_keys_go(c: Wire, policy: str) -> None:
    c.pipeline([("SET", f"k{number}", "v") for number in range(100)])
    before = info(c, "stats", "evicted_keys")
    limit(c, policy)
    drain(c)
    assert c("DBSIZE") == 0
    assert info(c, "stats", "evicted_keys") >= before + 100


@pytest.mark.parametrize("policy", ["volatile-lru", "volatile-lfu", "volatile-random", "volatile-ttl"])
def test_only_volatile_keys_go(c: Wire, policy: str) -> None:
    c.pipeline([("SET", f"k{number}", "v") for number in range(50)])
    c.pipeline([("SET", f"e{number}", "v", "EX", 1000) for number in range(50)])
    limit(c, policy)
    drain(c)
    assert c("DBSIZE") == 50
    assert c("EXISTS", "k7", "e7") == 1


def test_all_databases(c: Wire) -> None:
    for db in (0, 3):
        c("SELECT", db)
        c.pipeline([("SET", f"k{number}", "v") for number in range(20)])
    limit(c, "allkeys-lru")
    drain(c)
    assert "keys=" not in str(c("INFO", "keyspace"))


@pytest.mark.parametrize("policy", ["allkeys-lru", "allkeys-lfu", "allkeys-random"])
def test_the_limit_holds(c: Wire, policy: str) -> None:
    limit(c, policy, 8 << 20)
    most = int(c("CONFIG", "GET", "maxmemory")[b"maxmemory" if c.protocol == 3 else 1])
    for first in range(0, 20_000, 100):
        replies = c.pipeline([("SET", f"key:{number}", "x" * 2000) for number in range(first, first + 100)])
        assert set(replies) == {OK}
    assert 1000 < c("DBSIZE") < 5000
    assert info(c, "stats", "evicted_keys") >= 15_000
    assert info(c, "memory", "used_memory") < most * 1.02 + 100_000


def test_lru_keeps_what_is_used(c: Wire) -> None:
    limit(c, "allkeys-lru", 8 << 20)
    hot = [f"hot{number}" for number in range(50)]
    c.pipeline([("SET", key, "x" * 2000) for key in hot])
    for first in range(0, 3000, 100):
        c.pipeline([("SET", f"key:{number}", "x" * 2000) for number in range(first, first + 100)])
    time.sleep(1.1)
    for first in range(0, 5000, 100):
        c.pipeline([("GET", key) for key in hot])
        c.pipeline([("SET", f"new:{number}", "x" * 2000) for number in range(first, first + 100)])
        if not first % 1000:
            time.sleep(0.21)
    assert c("EXISTS", *hot) > 20


def test_big_values_are_freed(c: Wire) -> None:
    limit(c, "allkeys-random", 8 << 20)
    for number in range(20):
        words = [f"m{member}" for member in range(20_000)]
        assert c("SADD", f"s{number}", *words) in (20_000, OOM)
    assert 1 <= c("DBSIZE") < 20


def test_evicted_keys_are_published(c: Wire, connect: Connect) -> None:
    c("CONFIG", "SET", "notify-keyspace-events", "Ee")
    c("SET", "k", "v")
    listener = connect(protocol=2)
    listener("SUBSCRIBE", "__keyevent@0__:evicted")
    limit(c, "allkeys-lru")
    drain(c)
    assert listener.read() == [b"message", b"__keyevent@0__:evicted", b"k"]


def test_object_freq(c: Wire) -> None:
    c("SET", "k", "value")
    assert c("OBJECT", "FREQ", "k") == NO_LFU
    assert c("OBJECT", "FREQ", "nothing") == c.null
    c("CONFIG", "SET", "maxmemory-policy", "allkeys-lfu")
    c("SET", "new", "value")
    assert c("OBJECT", "FREQ", "new") == 5
    assert c("OBJECT", "FREQ", "nothing") == c.null
    assert c("OBJECT", "IDLETIME", "new") == NO_LRU
    assert c("OBJECT", "IDLETIME", "nothing") == c.null
    c.pipeline([("GET", "new")] * 300)
    assert 6 < c("OBJECT", "FREQ", "new") < 25
    c("LPUSH", "l", "x")
    assert c("OBJECT", "FREQ", "l") == 5


def test_restore_freq(c: Wire) -> None:
    c("SET", "k", "value")
    dumped = c("DUMP", "k")
    c("CONFIG", "SET", "maxmemory-policy", "allkeys-lfu")
    assert c("RESTORE", "copy", 0, dumped, "FREQ", 200) == OK
    assert c("OBJECT", "FREQ", "copy") == 200
    c("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    assert c("RESTORE", "copy", 0, dumped, "IDLETIME", 500, "REPLACE") == OK
    assert c("OBJECT", "IDLETIME", "copy") in (500, 501)


@pytest.mark.since("7.2")
def test_no_touch(c: Wire) -> None:
    c("CONFIG", "SET", "maxmemory-policy", "allkeys-lfu")
    c("SET", "k", "value")
    c("CLIENT", "NO-TOUCH", "ON")
    c.pipeline([("GET", "k")] * 300)
    assert c("OBJECT", "FREQ", "k") == 5
    c("TOUCH", "k")
    assert c("OBJECT", "FREQ", "k") in (5, 6)
    c("CLIENT", "NO-TOUCH", "OFF")
    c.pipeline([("GET", "k")] * 300)
    assert c("OBJECT", "FREQ", "k") > 6


def test_clients_with_big_buffers_are_closed(c: Wire, connect: Connect) -> None:
    greedy, spared = connect(), connect()
    for wire in (c, spared):
        wire("CLIENT", "NO-EVICT", "ON")
    assert c("CONFIG", "SET", "maxmemory-clients", "1mb") == OK
    before = info(c, "stats", "evicted_clients")
    part = b"*2\r\n$3\r\nGET\r\n$3000000\r\n" + b"x" * 2_000_000
    spared.raw(part)
    with contextlib.suppress(ConnectionError):  # it may be closed while it still sends
        greedy.raw(part)
    for _ in range(50):
        if info(c, "stats", "evicted_clients") > before:
            break
        time.sleep(0.05)
    assert info(c, "stats", "evicted_clients") >= before + 1
    assert greedy.closed()
    spared.raw(b"x" * 1_000_000 + b"\r\n")
    assert spared.read() == spared.null


def test_memory_stats_agree_with_info(c: Wire, server: Server) -> None:
    limit(c, "allkeys-lru", 64 << 20)
    c.pipeline([("SET", f"k{number}", "x" * 100) for number in range(1000)])
    stats = c("MEMORY", "STATS")
    found = pairs(stats)
    assert abs(found[b"total.allocated"] - info(c, "memory", "used_memory")) < 1 << 20
    assert 0 < found[b"dataset.bytes"] < found[b"total.allocated"]
