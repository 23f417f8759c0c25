"""used_memory is honest while there is a limit: it grows as resident memory does, with data of every type, in a few big
keys as well as in many small ones."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import islice

import pytest

from benchmarks.memory import resident_bytes
from tests.integration.test_memory_usage import KINDS, Word, filling
from tests.servers import start_respcache
from tests.wire import OK, Wire

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

TOLERANCE = 0.15
GROWTH = 24 << 20
SIZES = [1, 20, 1000]
"""Elements of a key."""


def used(c: Wire) -> int:
    info: bytes = c("INFO", "memory")
    return int(info.split(b"used_memory:")[1].split()[0])


def keys(kind: str, size: int) -> Iterator[tuple[Word, ...]]:
    build, each = KINDS[kind]
    for number in range(max(GROWTH // (each * size + 200), 2)):
        yield from filling(build, f"key{number:08}", size)


def grown(kind: str, size: int, *settings: tuple[str, str]) -> tuple[int, int]:
    """Growth of resident memory and of used_memory."""
    with start_respcache() as server, Wire(server.port) as c:
        for name, value in (("maxmemory", "10gb"), *settings):
            assert c("CONFIG", "SET", name, value) == OK
        warm = list(islice(keys(kind, min(size, 20)), 10))
        c.pipeline(warm)
        assert c("FLUSHALL", "SYNC") == OK
        before = resident_bytes(server.pid), used(c)
        commands = keys(kind, size)
        while some := list(islice(commands, 200)):
            c.pipeline(some)
        assert c("CONFIG", "SET", "maxmemory", "11gb") == OK
        return resident_bytes(server.pid) - before[0], used(c) - before[1]


@pytest.mark.parametrize("size", [pytest.param(size, marks=() if size == 20 else pytest.mark.long) for size in SIZES])
@pytest.mark.parametrize("kind", KINDS)
def test_used_memory(kind: str, size: int) -> None:
    real, told = grown(kind, size)
    assert abs(told / real - 1) < TOLERANCE, f"resident {real}, used_memory {told}"


@pytest.mark.parametrize("policy", ["allkeys-lru", "allkeys-lfu"])
def test_with_words_of_access(policy: str) -> None:
    real, told = grown("string", 1, ("maxmemory-policy", policy))
    assert abs(told / real - 1) < TOLERANCE, f"resident {real}, used_memory {told}"


def test_deadlines() -> None:
    with start_respcache() as server, Wire(server.port) as c:
        assert c("CONFIG", "SET", "maxmemory", "10gb") == OK
        before = resident_bytes(server.pid), used(c)
        for first in range(0, 100_000, 500):
            c.pipeline([("SET", f"key{n:08}", "x" * 20, "EX", 100_000) for n in range(first, first + 500)])
        assert c("CONFIG", "SET", "maxmemory", "11gb") == OK
        real, told = resident_bytes(server.pid) - before[0], used(c) - before[1]
    assert abs(told / real - 1) < TOLERANCE, f"resident {real}, used_memory {told}"
