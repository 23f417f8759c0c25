"""Files that a real server wrote: every value is what the server says it is, in small and in big encodings."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from respcache.persistence.lzf import compress
from respcache.persistence.rdb_build import DEFAULTS
from respcache.persistence.rdb_read import Handler, Value, read_file
from respcache.persistence.source import Source
from respcache.store.stream import Stream, format_id
from respcache.store.stream_block import decode
from respcache.store.types import type_name
from tests.servers import HAVE_ORACLE, start_redis
from tests.unit.persistence.vectors import encoding, plain
from tests.wire import OK, Wire

pytestmark = pytest.mark.skipif(not HAVE_ORACLE, reason="no oracle")

FUTURE = 4102444800123


class Collector(Handler):
    """Keeps the entries."""

    def __init__(self) -> None:
        self.entries: dict[tuple[int, bytes], tuple[Value, int | None, int | None, int | None]] = {}
        self.notes: dict[bytes, bytes] = {}
        self.functions: list[bytes] = []

    def aux(self, name: bytes, value: bytes) -> None:
        self.notes[name] = value

    def function(self, code: bytes) -> None:
        self.functions.append(code)

    def entry(
        self, db: int, key: bytes, value: Value, deadline: int | None, idle: int | None, freq: int | None
    ) -> None:
        assert (db, key) not in self.entries
        self.entries[db, key] = value, deadline, idle, freq


def load(path: Path) -> Collector:
    """A file, its checksum included."""
    collector = Collector()
    with path.open("rb") as file:
        for _ in read_file(Source(file.read, checksum=True), DEFAULTS, collector):
            pass
        assert not file.read()
    return collector


@pytest.fixture(scope="module")
def oracle() -> Iterator[tuple[Wire, Path]]:
    with start_redis("--stream-node-max-entries", 20) as server, Wire(server.port) as c:
        yield c, server.directory / "dump.rdb"


def saved(c: Wire, path: Path) -> Collector:
    assert c("SAVE") == OK
    return load(path)


def elements(count: int, some: random.Random) -> list[bytes]:
    """Integers of all sizes, and texts of all lengths."""
    made = dict.fromkeys(b"%d" % some.randrange(-(1 << bits), 1 << bits) for bits in range(1, 63))
    made.update(dict.fromkeys([b"", b"-0", b"01", b"9223372036854775808", b"-9223372036854775808"]))
    while len(made) < count:
        text = some.choice([b"word %d", b"a longer text that repeats a longer text %d", b"\x00\xff%d"])
        made[text % some.randrange(1 << 40)] = None
    return some.sample(list(made), count)


def length(size: int) -> bytes:
    return bytes((size,)) if size < 64 else (0x4000 | size).to_bytes(2, "big")


def fill(c: Wire, some: random.Random) -> None:
    """Keys of all types. The name says how many elements."""
    texts = [
        b"",
        b"0",
        b"-1",
        b"127",
        b"-129",
        b"70000",
        b"2147483648",
        b"01",
        b"x" * 20,
        b"x" * 21,
        b"y" * 20000,
    ]
    texts += [some.randbytes(size) for size in (63, 64, 300, 16383, 16384, 70000)]
    texts += [b"".join(b"row %d, column %d; " % (at, at * 7) for at in range(2000))]
    for at, text in enumerate(texts):
        c("SET", b"string:%d" % at, text)
    for count in (1, 5, 60, 128, 129, 512, 513, 3000):
        some_words = elements(count, some)
        c("RPUSH", b"list:%d" % count, *some_words)
        c("SADD", b"set:%d" % count, *some_words)
        c("SADD", b"integers:%d" % count, *range(-5, count - 5))
        c("SADD", b"big:%d" % count, *[at << 33 for at in range(count)])
        c("HSET", b"hash:%d" % count, *[part for word in some_words for part in (word, word[::-1])])
        scores = [
            some.choice(["inf", "-inf", "0", "-0", "1.5", "3", "1e300", str(some.random())])
            for _ in some_words
        ]
        c(
            "ZADD",
            b"zset:%d" % count,
            *[part for pair in zip(scores, some_words, strict=True) for part in pair],
        )
        for at in range(count):
            fields = [b"f", b"%d" % at, b"g", b"x" * (at % 50)] if at % 7 else [b"other", b"-%d" % at]
            c.send("XADD", b"stream:%d" % count, b"%d-%d" % (1000 + at // 3, at % 3 + 1), *fields)
        for _ in range(count):
            c.read()
    c("RPUSH", "list:long", b"a", b"z" * 9000, b"b")
    c("RPUSH", "list:one", b"z" * 9000)
    c("HSET", "hash:long", b"f", b"z" * 65)
    c("ZADD", "zset:long", 1, b"z" * 65)
    c("XADD", "stream:empty", "MAXLEN", 0, "5-5", "a", "b")
    c("XDEL", "stream:60", "1000-1", "1003-2", "1019-2")
    c("XTRIM", "stream:512", "MINID", "1020")
    c("XGROUP", "CREATE", "stream:60", "early", 0)
    c("XGROUP", "CREATE", "stream:60", "late", "$")
    c("XGROUP", "CREATE", "stream:empty", "none", "$")
    c("XREADGROUP", "GROUP", "early", "alice", "COUNT", 30, "STREAMS", "stream:60", ">")
    c("XREADGROUP", "GROUP", "early", "bob", "COUNT", 3, "STREAMS", "stream:60", ">")
    c("XGROUP", "CREATECONSUMER", "stream:60", "early", "carol")
    c("XACK", "stream:60", "early", "1000-2", "1004-1")
    c("SET", "mortal", "v", "PXAT", FUTURE)
    c("EXPIREAT", "list:60", FUTURE // 1000)
    c("SELECT", 3)
    c("SET", "elsewhere", "v")
    c("SELECT", 0)
    c("PFADD", "hll", *range(100))
    c("GEOADD", "geo", 13.361389, 38.115556, "Palermo", 15.087269, 37.502669, "Catania")


def test_every_type(oracle: tuple[Wire, Path]) -> None:
    c, path = oracle
    fill(c, random.Random(8))
    found = saved(c, path)
    assert found.notes[b"redis-bits"] == b"64"
    assert found.entries.pop((3, b"elsewhere"))[0] == b"v"
    assert len(found.entries) == c("DBSIZE")
    for (db, key), (value, deadline, idle, freq) in found.entries.items():
        assert (db, idle, freq) == (0, None, None)
        assert deadline == (None if (when := c("PEXPIRETIME", key)) == -1 else when)
        assert c("TYPE", key).text.encode() == type_name(value)
        compare(c, key, value)


def compare(c: Wire, key: bytes, value: Value) -> None:
    kind, held = type_name(value), plain(value)
    if kind == b"string":
        assert held == c("GET", key)
    elif kind == b"list":
        assert held == c("LRANGE", key, 0, -1)
    elif kind == b"set":
        assert held == set(c("SMEMBERS", key))
    elif kind == b"hash":
        flat = c("HGETALL", key)
        assert held == (dict(zip(flat[::2], flat[1::2], strict=True)), {})
    elif kind == b"zset":
        flat = c("ZRANGE", key, 0, -1, "WITHSCORES")
        assert held == list(zip(flat[::2], map(float, flat[1::2]), strict=True))
    else:
        assert isinstance(value, Stream)
        compare_streams(c, key, value)
    if kind in (b"string", b"hash", b"zset") or key.startswith((b"integers:", b"big:")):
        # Lists and sets of 7.0 know no listpacks.
        assert encoding(value) == c("OBJECT", "ENCODING", key)


def compare_streams(c: Wire, key: bytes, stream: Stream) -> None:
    words = [
        [format_id(block.id(at)), decode(block.body(at))]
        for block in stream.blocks
        for at in block.living(0, len(block))
    ]
    assert words == c("XRANGE", key, "-", "+")
    flat = c("XINFO", "STREAM", key)
    info = dict(zip(flat[::2], flat[1::2], strict=True))
    assert info[b"length"] == stream.length
    assert info[b"radix-tree-keys"] == len(stream.blocks)
    assert info[b"last-generated-id"] == format_id(stream.last_id)
    assert info[b"max-deleted-entry-id"] == format_id(stream.max_deleted_id)
    assert info[b"entries-added"] == stream.entries_added
    assert info[b"recorded-first-entry-id"] == format_id(stream.first_id)
    groups = [dict(zip(flat[::2], flat[1::2], strict=True)) for flat in c("XINFO", "GROUPS", key)]
    assert [group[b"name"] for group in groups] == sorted(stream.groups)
    for each in groups:
        group = stream.groups[each[b"name"]]
        assert each[b"last-delivered-id"] == format_id(group.last_id)
        assert each[b"lag"] == (c.null if (lag := stream.lag(group)) is None else lag)
        assert each[b"entries-read"] == (c.null if group.entries_read < 0 else group.entries_read)
        pending = c("XPENDING", key, each[b"name"], "-", "+", 10000)
        assert [[id, owner, count] for id, owner, _, count in pending] == [
            [format_id(id), group.pending[id].consumer.name, group.pending[id].count] for id in group.ids
        ]
        consumers = c("XINFO", "CONSUMERS", key, each[b"name"])
        assert {flat[1]: flat[3] for flat in consumers} == {
            name: len(consumer.pending) for name, consumer in group.consumers.items()
        }


def test_functions_idle_times_and_frequencies(oracle: tuple[Wire, Path]) -> None:
    c, path = oracle
    c("FLUSHALL")
    library = "#!lua name=lib\nredis.register_function('f', function() return 1 end)"
    c("FUNCTION", "LOAD", library)
    c("SET", "k", "v")
    c("CONFIG", "SET", "maxmemory-policy", "allkeys-lfu")
    c("SET", "often", "v", "EX", 1000)
    found = saved(c, path)
    assert found.functions == [library.encode()]
    assert found.entries[0, b"often"][3] == 5
    c("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    found = saved(c, path)
    assert found.entries[0, b"k"][2] is not None
    c("CONFIG", "SET", "maxmemory-policy", "noeviction")


@pytest.mark.parametrize("directive", ["rdbcompression", "rdbchecksum"])
def test_without(oracle: tuple[Wire, Path], directive: str) -> None:
    c, path = oracle
    c("FLUSHALL")
    c("SET", "k", b"repeat " * 100)
    c("CONFIG", "SET", directive, "no")
    assert saved(c, path).entries[0, b"k"][0] == b"repeat " * 100
    c("CONFIG", "SET", directive, "yes")


def test_short_strings_are_compressed_to_the_same_bytes(oracle: tuple[Wire, Path]) -> None:
    c, _ = oracle
    some = random.Random(9)
    for _ in range(300):
        words = [some.randbytes(some.randrange(1, 9)) for _ in range(some.randrange(1, 6))]
        text = b"".join(some.choice(words) for _ in range(some.randrange(4, 200)))
        if 20 < len(text) < 900:
            c("SET", "k", text)
            packed = compress(text)
            expected = length(len(text)) + text
            if packed is not None:
                expected = b"\xc3" + length(len(packed)) + length(len(text)) + packed
            assert c("DUMP", "k")[1:-10] == expected
