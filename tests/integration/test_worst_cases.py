"""What could hold everybody up does not: big things that end, walks over big collections, crowds of clients.

How long the loop is held is judged by the processor time of its thread between two ticks of one millisecond, in a
server inside of the test: whatever else the machine does meanwhile does not count. The collector is off, as it is
in a server with a process of its own. The long forms look from outside, as `benchmarks/worst.py` does.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import resource
import socket
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest

import respcache
from benchmarks.generator import cpu_seconds
from benchmarks.load import Server as Process
from benchmarks.memory import resident_bytes
from benchmarks.worst import CASES, Case, hold
from respcache.store.field_deadlines import FieldDeadlines
from respcache.store.field_expiry import watch
from respcache.store.hash import HashTable
from respcache.store.list import Quicklist
from respcache.store.set import SetTable
from respcache.store.stream import Stream
from respcache.store.zset import ZSet
from tests.servers import Server, start_respcache
from tests.wire import Wire, encode

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

MILLION = 1_000_000
HOLD_MS = 20.0
TRIES = 3
TICK = 0.001
ID_STEP = 1 << 64
"""One millisecond in the ids of a stream."""


def members(count: int) -> Iterator[bytes]:
    return (b"member%08d" % number for number in range(count))


def big_set() -> SetTable:
    return SetTable(dict.fromkeys(members(MILLION)))


def big_hash(count: int = MILLION) -> HashTable:
    return HashTable({member: b"value" + member[6:] for member in members(count)})


def big_zset() -> ZSet:
    return ZSet.of({member: at * 7919 % 1_000_003 + 0.5 for at, member in enumerate(members(MILLION))}, 0, 0)


def big_list() -> Quicklist:
    return Quicklist(list(members(MILLION)))


def big_stream() -> Stream:
    stream = Stream()
    for at, member in enumerate(members(300_000), 1):
        stream.add(at * ID_STEP, [b"field", member], 20, 100, 4096)
    return stream


BUILDERS: dict[str, Callable[[], Any]] = {
    "set": big_set,
    "hash": big_hash,
    "zset": big_zset,
    "list": big_list,
    "stream": big_stream,
}


async def longest_hold(server: respcache.Server, *command: str) -> tuple[float, int]:
    """Sends a command; until nothing of what it ended is left: the longest hold in ms, and the number of ticks."""
    keyspace = server.state.keyspace
    db = keyspace.databases[0]
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(encode(*command))
    longest, ticks, spent = 0.0, 0, time.thread_time()
    deadline = time.monotonic() + 30
    while not ticks or db.size or keyspace.graveyard:
        assert time.monotonic() < deadline
        await asyncio.sleep(TICK)
        before, spent = spent, time.thread_time()
        longest = max(longest, spent - before)
        ticks += 1
    assert not (await reader.read(64)).startswith(b"-")
    writer.close()
    return longest * 1e3, ticks


def holds(fill: Callable[[respcache.Server], object], *command: str) -> None:
    """What `fill` puts into an empty server ends after the command, and the loop goes on meanwhile."""

    async def once() -> tuple[float, int]:
        async with respcache.Server(port=0) as server:
            fill(server)
            return await longest_hold(server, *command)

    gc.collect()
    gc.disable()
    try:
        for last in (False,) * (TRIES - 1) + (True,):
            longest, ticks = asyncio.run(once())
            assert ticks > 10  # it went on in slices
            if longest <= HOLD_MS:
                return
            assert not last, f"the loop was held for {longest:.1f} ms"
    finally:
        gc.enable()


def putting(kind: str) -> Callable[[respcache.Server], None]:
    def fill(server: respcache.Server) -> None:
        server.state.keyspace.databases[0].set(b"big", BUILDERS[kind]())

    return fill


# The end of something big


@pytest.mark.parametrize("kind", BUILDERS)
def test_del(kind: str) -> None:
    holds(putting(kind), "DEL", "big")


@pytest.mark.parametrize("kind", ["list", "hash"])
def test_expiry(kind: str) -> None:
    holds(putting(kind), "PEXPIRE", "big", "20")


def test_expiry_of_all_fields() -> None:
    def fill(server: respcache.Server) -> None:
        db = server.state.keyspace.databases[0]
        big = big_hash(300_000)
        big.deadlines = FieldDeadlines()
        now = server.state.clock.ms()
        for member in big:
            big.deadlines.set(member, now)
        db.set(b"big", big)
        watch(db, b"big", big)

    holds(fill, "PING")


def test_flushall() -> None:
    def fill(server: respcache.Server) -> None:
        db = server.state.keyspace.databases[0]
        for member in members(MILLION):
            db.set(member, member[6:])
            db.expire_at(member, 1 << 42)

    holds(fill, "FLUSHALL", "ASYNC")


@pytest.mark.long
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.label)
def test_seen_from_outside(case: Case) -> None:
    """As a client that sends PING all the time sees it: the best of some tries."""
    with Process("respcache") as server:
        tries: list[float] = []
        while len(tries) < 5 and min(tries, default=HOLD_MS + 1) > HOLD_MS:
            tries.append(hold(server, case, MILLION))
    assert min(tries) <= HOLD_MS, tries


# Walks

FILLS = {
    "HSCAN": ("HSET", "HDEL", 2),
    "SSCAN": ("SADD", "SREM", 1),
    "ZSCAN": ("ZADD", "ZREM", 2),
}


def words(command: str, names: Iterable[bytes]) -> list[str | bytes]:
    """What HSET, SADD or ZADD takes behind the key."""
    if command == "SADD":
        return list(names)
    return [word for name in names for word in ((name, b"v") if command == "HSET" else (b"1", name))]


def fill(c: Wire, add: str, key: str, count: int) -> None:
    every = list(members(count))
    c.pipeline([(add, key, *words(add, every[at : at + 1000])) for at in range(0, count, 1000)])


def walk(scan: str, count: int, size: int) -> None:
    """A whole walk while others come and go sees what stays exactly once, and no call costs more than its COUNT."""
    add, remove, width = FILLS[scan]
    with start_respcache() as server, Wire(server.port) as c:
        fill(c, add, "small", 5000)
        fill(c, add, "big", size)

        def cost(key: str) -> float:
            spent = cpu_seconds(server.pid)
            cursor: bytes | str = "0"
            for _ in range(40):
                cursor = c(scan, key, cursor, "COUNT", 100)[0]
            return cpu_seconds(server.pid) - spent

        assert min(cost("big") for _ in range(TRIES)) < 3 * min(cost("small") for _ in range(TRIES))
        seen: list[bytes] = []
        cursor, turn = b"0", 0
        while turn == 0 or cursor != b"0":
            cursor, found = c(scan, "big", cursor, "COUNT", count)
            assert len(found) < width * (count + 200)
            seen += found[::width]
            others = [b"other%d" % (turn * 100 + number) for number in range(100)]
            c.pipeline([(add, "big", *words(add, others)), (remove, "big", *others[turn % 2 :: 2])])
            turn += 1
        stayed = [member for member in seen if member.startswith(b"member")]
        assert len(stayed) == size
        assert set(stayed) == set(members(size))
        assert turn <= 2 * size // count + 2


@pytest.mark.parametrize("scan", FILLS)
def test_scan(scan: str) -> None:
    walk(scan, 1000, 200_000)


@pytest.mark.long
@pytest.mark.parametrize("scan", FILLS)
def test_scan_of_a_million(scan: str) -> None:
    walk(scan, 100, MILLION)


# Crowds

CROWDS = [2_000, pytest.param(10_000, marks=pytest.mark.long)]


@contextlib.contextmanager
def crowd(size: int) -> Iterator[tuple[Server, Wire, list[socket.socket]]]:
    """A server, a client of it, and so many further connections."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    if before[1] < size + 200:
        pytest.fail(f"needs {size + 200} open files: ulimit -n")
    resource.setrlimit(resource.RLIMIT_NOFILE, (before[1], before[1]))
    try:
        with contextlib.ExitStack() as stack:
            server = stack.enter_context(start_respcache("--maxclients", size + 100))
            c = stack.enter_context(Wire(server.port))
            many = [
                stack.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=10))
                for _ in range(size)
            ]
            yield server, c, many
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def until(c: Wire, section: str, line: str) -> None:
    """Waits until INFO has a line."""
    deadline = time.monotonic() + 10
    while line.encode() not in c("INFO", section).split(b"\r\n"):
        assert time.monotonic() < deadline, line
        time.sleep(0.02)


def receive(connection: socket.socket, expected: bytes) -> None:
    """Waits for exactly these bytes."""
    got = b""
    while len(got) < len(expected):
        more = connection.recv(len(expected) - len(got))
        assert more
        got += more
    assert got == expected


def idle_percent(server: Server, seconds: float) -> float:
    spent = cpu_seconds(server.pid)
    time.sleep(seconds)
    return (cpu_seconds(server.pid) - spent) / seconds * 100


@pytest.mark.parametrize("size", CROWDS)
def test_blocked_clients(size: int) -> None:
    """They cost nothing while they wait, the first one is served at once, and nothing of them is left."""
    with crowd(size) as (server, c, many):
        for number, each in enumerate(many):
            each.sendall(encode("BLPOP", "queue", "1000" if number % 2 else "0"))
        until(c, "clients", f"blocked_clients:{size}")
        assert any(idle_percent(server, 1.0) < 1.0 for _ in range(TRIES))
        took = []
        for number, first in enumerate(many[:11]):
            since = time.perf_counter()
            assert c("RPUSH", "queue", number) == 1
            receive(first, encode("queue", str(number)))
            took.append(time.perf_counter() - since)
        assert statistics.median(took) < 0.005
        memory = resident_bytes(server.pid)
        for each in many:
            each.close()
        until(c, "clients", "connected_clients:1")
        until(c, "clients", "blocked_clients:0")
        until(c, "clients", "total_blocking_keys:0")
        assert c("RPUSH", "queue", "a") == 1
        assert c("LLEN", "queue") == 1
        assert resident_bytes(server.pid) < memory + (1 << 20)


def test_blocked_clients_again_and_again() -> None:
    """Coming and going they leave no memory behind."""
    with crowd(500) as (server, c, many):
        taken = []
        for _ in range(6):
            for each in many:
                each.sendall(encode("BLPOP", "queue", "1000"))
            until(c, "clients", "blocked_clients:500")
            for at in range(0, 500, 50):
                c("RPUSH", "queue", *range(at, at + 50))
            for number, each in enumerate(many):
                receive(each, encode("queue", str(number)))
            taken.append(resident_bytes(server.pid))
        assert taken[-1] - taken[1] < 1 << 20


@pytest.mark.parametrize("size", CROWDS)
def test_subscribers(size: int) -> None:
    """To subscribe costs the same whoever else is there, and PUBLISH reaches all."""
    with crowd(size) as (server, c, many):
        costs = []
        for part in (many[: size // 2], many[size // 2 :]):
            spent = cpu_seconds(server.pid)
            for each in part:
                each.sendall(encode("SUBSCRIBE", "news"))
            for each in part:
                receive(each, b"*3\r\n$9\r\nsubscribe\r\n$4\r\nnews\r\n:1\r\n")
            costs.append(cpu_seconds(server.pid) - spent)
        assert costs[1] < 3 * costs[0]
        assert c("PUBSUB", "NUMSUB", "news") == [b"news", size]
        spent = cpu_seconds(server.pid)
        for number in range(3):
            assert c("PUBLISH", "news", number) == size
            for each in many:
                receive(each, encode("message", "news", str(number)))
        assert cpu_seconds(server.pid) - spent < 3 * size * 100e-6
        for each in many:
            each.close()
        until(c, "clients", "connected_clients:1")
        assert c("PUBLISH", "news", "x") == 0
        assert c("PUBSUB", "CHANNELS") == []
