"""MEMORY USAGE tells what keys really take: the growth of a server's resident memory, divided by their number."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator

import pytest

from benchmarks.memory import resident_bytes
from tests.servers import start_respcache
from tests.wire import OK, Wire

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

TOLERANCE = 0.3
GROWTH = 16 << 20
"""Bytes of data about which a megabyte that the server takes for itself does not matter."""
CHUNK = 200

Word = str | bytes | int
Build = Callable[[str, range], list[tuple[Word, ...]]]
"""The commands that put the elements of these numbers into a key."""


def member(number: int) -> bytes:
    return b"member%06d" % number


def value(number: int) -> bytes:
    return b"value%06d" % number


def _hash(key: str, some: range) -> list[tuple[Word, ...]]:
    return [("HSET", key, *(word for number in some for word in (member(number), value(number))))]


def _mortal(key: str, some: range) -> list[tuple[Word, ...]]:
    return [*_hash(key, some), ("HEXPIRE", key, 100_000, "FIELDS", len(some), *map(member, some))]


def _zset(key: str, some: range) -> list[tuple[Word, ...]]:
    return [("ZADD", key, *(word for n in some for word in (b"%d.5" % (n * 7919 % 1_000_003), member(n))))]


def _stream(key: str, some: range) -> list[tuple[Word, ...]]:
    return [("XADD", key, f"{number + 1}-1", "field", value(number)) for number in some]


def _read(key: str, some: range) -> list[tuple[Word, ...]]:
    make = [("XGROUP", "CREATE", key, "group", "0", "MKSTREAM")] if not some.start else []
    read = ("XREADGROUP", "GROUP", "group", "me", "COUNT", len(some), "STREAMS", key, ">")
    return [*make, *_stream(key, some), read]


def _changed(key: str, some: range) -> list[tuple[Word, ...]]:
    return [("APPEND", key, b"x" * 10 * len(some))]


KINDS: dict[str, tuple[Build, int]] = {
    "string": (lambda key, some: [("SETRANGE", key, 10 * some.start, b"x" * 10 * len(some))], 10),
    "appended": (_changed, 10),
    "hash": (_hash, 140),
    "mortal hash": (_mortal, 250),
    "set": (lambda key, some: [("SADD", key, *map(member, some))], 85),
    "integers": (lambda key, some: [("SADD", key, *(1000 + 7 * number for number in some))], 85),
    "list": (lambda key, some: [("RPUSH", key, *map(member, some))], 60),
    "list from the left": (lambda key, some: [("LPUSH", key, *map(member, some))], 60),
    "sorted set": (_zset, 140),
    "stream": (_stream, 70),
    "stream with a group": (_read, 250),
}
"""Who fills it, and about how many bytes an element takes."""


def filling(build: Build, key: str, size: int) -> Iterator[tuple[Word, ...]]:
    for first in range(0, size, CHUNK):
        yield from build(key, range(first, min(first + CHUNK, size)))


def taken(kind: str, size: int) -> tuple[float, int]:
    """Bytes that a key with so many elements takes, and what MEMORY USAGE says of it."""
    build, each = KINDS[kind]
    # In few keys: where a slot has but one of them its shard takes more than the key.
    count = max(GROWTH // (each * size), 2)
    with start_respcache() as server, Wire(server.port) as c:
        c.pipeline([*filling(build, "{a}first", min(size, CHUNK)), ("DEL", "{a}first")])
        assert c("MEMORY", "PURGE") == OK
        before = resident_bytes(server.pid)
        for number in range(count):
            c.pipeline(list(filling(build, f"{{a}}{number:08}", size)))
        assert c("MEMORY", "PURGE") == OK
        return (resident_bytes(server.pid) - before) / count, c("MEMORY", "USAGE", "{a}00000001")


@pytest.mark.parametrize("kind", KINDS)
def test_usage(kind: str) -> None:
    real, told = taken(kind, 1000)
    assert abs(told / real - 1) < TOLERANCE, f"{real:.0f} bytes, MEMORY USAGE {told}"


@pytest.mark.long
@pytest.mark.parametrize("size", [10, 100, 10_000, 100_000])
@pytest.mark.parametrize("kind", KINDS)
def test_usage_of_all_sizes(kind: str, size: int) -> None:
    real, told = taken(kind, size)
    assert abs(told / real - 1) < TOLERANCE, f"{real:.0f} bytes, MEMORY USAGE {told}"
