"""DUMP and RESTORE: payloads go from either server to the other. What is damaged is in `test_dump_damaged.py`."""

from __future__ import annotations

import random
import time

import pytest

from respcache.persistence.payload import pack, seal
from tests.commands.conftest import Connect
from tests.commands.test_debug import VALUES
from tests.wire import (
    NOT_AN_INTEGER,
    OK,
    SYNTAX_ERROR,
    Argument,
    Error,
    Pair,
    Reply,
    Wire,
    arity_error,
)

BUSY = Error("BUSYKEY Target key name already exists.")
BAD_CHECKSUM = Error("ERR DUMP payload version or checksum are wrong")
BAD_FORMAT = Error("ERR Bad data format")
BAD_TTL = Error("ERR Invalid TTL value, must be >= 0")
BAD_IDLE_TIME = Error("ERR Invalid IDLETIME value, must be >= 0")
BAD_FREQUENCY = Error("ERR Invalid FREQ value, must be >= 0 and <= 255")

LATE = 4102444800000
HELLO = pack(b"hello")


def digest(c: Wire, key: str = "k") -> Reply:
    return c("DEBUG", "DIGEST-VALUE", key)[0]


def make(c: Wire, kind: str) -> None:
    for words in VALUES[kind]:
        assert not isinstance(c(*words), Error)


def long_values(seed: int = 1) -> dict[str, tuple[Argument, ...]]:
    some = random.Random(seed)

    def words(count: int, *sizes: int) -> list[bytes]:
        return [
            bytes(some.choices(b"abcdefghij0123456789 \r\n\0\xff", k=some.choice(sizes)))
            for _ in range(count)
        ]

    def numbers(count: int) -> list[int]:
        return [some.getrandbits(some.randrange(1, 63)) * some.choice((-1, 1)) for _ in range(count)]

    doubles = [some.uniform(-1e9, 1e9) for _ in range(400)]
    packed: list[Argument] = [
        *doubles[:20],
        *(1e300, 1e-7, "inf", "-inf", 0.1, 4503599627370496, -4503599627370497, "-0.0", 1e17),
    ]
    return {
        "string": ("SET", "k", "abc " * 5000),
        "random string": ("SET", "k", some.randbytes(20000)),
        "list": ("RPUSH", "k", *words(400, 0, 1, 5, 63, 64, 126, 130, 5000, 20000)),
        "list of numbers": ("RPUSH", "k", *numbers(3000)),
        "small list": ("RPUSH", "k", *numbers(50), *words(50, 0, 1, 12, 63, 64, 70)),
        "set": ("SADD", "k", *words(400, 1, 5, 63, 64, 5000)),
        "intset": ("SADD", "k", *numbers(300)),
        "hash": ("HSET", "k", *words(400, 1, 5, 63, 64, 5000)),
        "small hash": ("HSET", "k", *words(200, 0, 1, 5, 20, 63)),
        "zset": (
            "ZADD",
            "k",
            *[x for pair in zip(doubles, words(400, 5, 20, 100), strict=True) for x in pair],
        ),
        "small zset": (
            "ZADD",
            "k",
            *[x for pair in zip(packed, words(29, 5, 20), strict=True) for x in pair],
        ),
    }


LONG = long_values()

BETTER = {(b"quicklist", b"listpack"), (b"hashtable", b"listpack"), (b"raw", b"embstr")}
"""Encodings before and after: those of 7.2, and that of a string which is not changed any more."""


@pytest.mark.parametrize("kind", [*VALUES, *LONG])
def test_values_go_both_ways(pair: Pair, kind: str) -> None:
    ours, oracle = pair
    for source, target in ((ours, oracle), (oracle, ours)):
        if kind in VALUES:
            make(source, kind)
        else:
            source(*LONG[kind])
        payload = source("DUMP", "k")
        assert target("RESTORE", "copy", 0, payload) == OK
        assert digest(target, "copy") == digest(source)
        if source is oracle:
            encodings = (source("OBJECT", "ENCODING", "k"), target("OBJECT", "ENCODING", "copy"))
            assert encodings[0] == encodings[1] or encodings in BETTER
        payload = target("DUMP", "copy")
        assert source("RESTORE", "k", 0, payload, "REPLACE") == OK
        assert digest(target, "copy") == digest(source)
        for wire in pair:
            wire("DEL", "k", "copy")


def test_a_stream_with_all_that_belongs_to_it(pair: Pair) -> None:
    def shown(c: Wire, key: str) -> Reply:
        return plain(c("XINFO", "STREAM", key, "FULL", "COUNT", 0))

    def plain(reply: Reply) -> Reply:
        if isinstance(reply, list):
            found = [plain(each) for each in reply]
            # What 7.0 does not know, or shows anew when it is asked.
            for name in (b"active-time", b"seen-time", b"radix-tree-nodes"):
                if name in found:
                    at = found.index(name)
                    del found[at : at + 2]
            return found
        return reply

    for wire in pair:
        wire("HELLO", 2)
        for number in range(250):
            wire(
                "XADD",
                "k",
                f"{number * 1000}-{number % 3}",
                "f",
                number,
                *(("g", "") if number % 5 == 0 else ()),
            )
        wire("XDEL", "k", "0-0", *(f"{number * 1000}-{number % 3}" for number in range(50, 200, 3)))
        wire("XTRIM", "k", "MAXLEN", 180)
        wire("XADD", "k", "18446744073709551614-18446744073709551615", "last", "one")
        wire("XGROUP", "CREATE", "k", "one", 0)
        wire("XGROUP", "CREATE", "k", "two", "$")
        wire("XGROUP", "CREATE", "k", "three", "150000-0", "ENTRIESREAD", 7)
        wire("XGROUP", "CREATECONSUMER", "k", "two", "idle")
        for consumer in ("a", "b", "a"):
            wire("XREADGROUP", "GROUP", "one", consumer, "COUNT", 20, "STREAMS", "k", ">")
    for source, target in (pair, (pair.oracle, pair.ours)):
        target("RESTORE", "copy", 0, source("DUMP", "k"))
        assert shown(source, "k") == shown(target, "copy")
        assert digest(source) == digest(target, "copy")
        assert target("XADD", "copy", "18446744073709551615-0", "go", "on") == b"18446744073709551615-0"


def test_dump(c: Wire) -> None:
    assert c("DUMP", "k") == c.null
    c("SET", "k", "hello")
    assert c("DUMP", "k") == bytes.fromhex("000568656c6c6f0a006372df766534200a")
    c("SET", "k", 2147483647, "PX", 1)
    assert c("DUMP") == arity_error("dump")
    assert c("DUMP", "k", "j") == arity_error("dump")
    time.sleep(0.01)
    assert c("DUMP", "k") == c.null


@pytest.mark.protocol(2)
def test_dump_counts_as_a_read(c: Wire) -> None:
    c("SET", "k", "v")
    c("CONFIG", "RESETSTAT")
    c("DUMP", "k")
    c("DUMP", "none")
    stats = c("INFO", "stats")
    assert b"keyspace_hits:1\r\n" in stats and b"keyspace_misses:1\r\n" in stats


def test_compression_is_a_choice(c: Wire) -> None:
    c("SET", "k", "a" * 100)
    assert c("DUMP", "k")[0:2] == b"\0\xc3"
    c("CONFIG", "SET", "rdbcompression", "no")
    assert c("DUMP", "k")[:4] == b"\0\x40\x64a"


def test_restore(c: Wire) -> None:
    assert c("RESTORE", "k", 0, HELLO) == OK
    assert c("GET", "k") == b"hello"
    assert c("PTTL", "k") == -1
    assert c("RESTORE", "k", 0, HELLO) == BUSY
    assert c("RESTORE", "k", 100_000, HELLO, "replace") == OK
    assert 99_000 < c("PTTL", "k") <= 100_000
    assert c("RESTORE", "k", LATE, HELLO, "ABSTTL", "REPLACE") == OK
    assert c("PEXPIRETIME", "k") == LATE
    assert c("RESTORE", "k", 0, HELLO, "ABSTTL", "REPLACE") == OK
    assert c("PTTL", "k") == -1
    assert c("RPUSH", "l", "a") == 1
    assert c("RESTORE", "l", 0, HELLO, "REPLACE", "REPLACE") == OK
    assert c("GET", "l") == b"hello"


def test_restore_asking(c: Wire) -> None:
    assert c("RESTORE-ASKING", "k", 0, HELLO) == OK
    assert c("RESTORE-ASKING", "k", 0, HELLO) == BUSY
    assert c("RESTORE-ASKING", "k", 0, HELLO, "REPLACE") == OK
    assert c("GET", "k") == b"hello"
    assert c("RESTORE-ASKING", "k", 0) == arity_error("restore-asking")


def test_what_is_over_is_not_restored(c: Wire) -> None:
    assert c("RESTORE", "k", 5, HELLO, "ABSTTL") == OK
    assert c("EXISTS", "k") == 0
    c("SET", "k", "old")
    assert c("RESTORE", "k", 5, HELLO, "ABSTTL", "REPLACE") == OK
    assert c("EXISTS", "k") == 0
    # Beyond 64 bits lies the past.
    assert c("RESTORE", "k", (1 << 63) - 1, HELLO) == OK
    assert c("EXISTS", "k") == 0


def test_an_expired_key_is_no_obstacle(c: Wire) -> None:
    c("SET", "k", "v", "PX", 1)
    time.sleep(0.01)
    assert c("RESTORE", "k", 0, HELLO) == OK
    assert c("GET", "k") == b"hello"


def test_idle_time(c: Wire) -> None:
    assert c("RESTORE", "k", 0, HELLO, "IDLETIME", 1000) == OK
    assert c("OBJECT", "IDLETIME", "k") in (1000, 1001)
    assert c("RESTORE", "k", 0, HELLO, "IDLETIME", 0, "REPLACE") == OK
    assert c("OBJECT", "IDLETIME", "k") in (0, 1)
    assert c("RESTORE", "k", 0, HELLO, "FREQ", 255, "REPLACE") == OK
    assert c("GET", "k") == b"hello"
    c("FLUSHALL")
    assert c("RESTORE", "k", 0, HELLO, "idletime", 50) == OK
    assert c("OBJECT", "IDLETIME", "k") in (50, 51)


@pytest.mark.parametrize(
    ("words", "reply"),
    [
        (("k", 0), arity_error("restore")),
        (("k", 0, HELLO, "FOO"), SYNTAX_ERROR),
        (("k", -1, "x", "FOO"), SYNTAX_ERROR),
        (("k", 0, HELLO, "IDLETIME"), SYNTAX_ERROR),
        (("k", 0, HELLO, "FREQ"), SYNTAX_ERROR),
        (("k", 0, HELLO, "IDLETIME", -1), BAD_IDLE_TIME),
        (("k", 0, HELLO, "IDLETIME", "x"), NOT_AN_INTEGER),
        (("k", 0, HELLO, "IDLETIME", 1, "IDLETIME", "x"), NOT_AN_INTEGER),
        (("k", 0, HELLO, "FREQ", -1), BAD_FREQUENCY),
        (("k", "x", HELLO, "FREQ", 256), BAD_FREQUENCY),
        (("k", 0, HELLO, "FREQ", 1, "IDLETIME", 1), SYNTAX_ERROR),
        (("k", 0, HELLO, "IDLETIME", 1, "FREQ", 1), SYNTAX_ERROR),
        (("list", "x", "x"), BUSY),
        (("list", -1, "x"), BUSY),
        (("k", "x", "x"), NOT_AN_INTEGER),
        (("k", -1, "x"), BAD_TTL),
        (("k", -1, HELLO, "ABSTTL"), BAD_TTL),
        (("list", -1, HELLO, "REPLACE"), BAD_TTL),
        (("k", 0, ""), BAD_CHECKSUM),
        (("k", 0, "x"), BAD_CHECKSUM),
        (("k", 0, HELLO[:-1]), BAD_CHECKSUM),
        (("k", 0, HELLO[1:]), BAD_FORMAT),  # a zero in front is nothing to the checksum
        (("k", 0, HELLO[2:]), BAD_CHECKSUM),
        (("k", 0, HELLO[:-8] + bytes(8)), BAD_CHECKSUM),
        (("k", 0, seal(0, b"\x05hello", 99)), BAD_CHECKSUM),
        (("list", 0, HELLO[:-1], "REPLACE"), BAD_CHECKSUM),
        (("k", 0, seal(8, b"\x05hello")), BAD_FORMAT),
        (("k", 0, seal(255, b"")), BAD_FORMAT),
        (("k", 0, seal(250, b"\x01a\x01b")), BAD_FORMAT),
        (("k", 0, seal(2, b"\x00")), BAD_FORMAT),
        (("list", 0, seal(18, b"\x00"), "REPLACE"), BAD_FORMAT),
    ],
)
def test_refused(c: Wire, wrong: str, words: tuple[Argument, ...], reply: Reply) -> None:
    assert wrong == "list"
    assert c("RESTORE", *words) == reply
    assert c("LRANGE", "list", 0, -1) == [b"a"]
    assert c("DBSIZE") == 1


@pytest.mark.parametrize("version", [0, 1, 10])
def test_older_versions_and_trailing_bytes(c: Wire, version: int) -> None:
    assert c("RESTORE", "k", 0, seal(0, b"\x05helloTRAILING", version)) == OK
    assert c("GET", "k") == b"hello"


@pytest.mark.parametrize(
    ("payload", "words", "reply"),
    [
        ("01 03 01 61 c0 05 05 68 65 6c 6c 6f", ("LRANGE", "k", 0, -1), [b"a", b"5", b"hello"]),
        ("0a 13 13 00 00 00 0f 00 00 00 03 00 00 01 61 03 f2 02 fe 80 ff", ("LINDEX", "k", -1), b"-128"),
        (
            "0e 02 10 10 00 00 00 0d 00 00 00 02 00 00 01 61 03 f2 ff 12 12 00 00 00 0a 00 00 00 01 00 00 05 68 65 6c "
            "6c 6f ff",
            ("LRANGE", "k", 0, -1),
            [b"a", b"1", b"hello"],
        ),
        (
            "03 04 01 61 01 31 01 62 03 32 2e 35 01 63 ff 01 64 fe",
            ("ZRANGE", "k", 0, -1),
            [b"c", b"a", b"b", b"d"],
        ),
        (
            "09 16 02 01 66 01 00 76 05 68 65 6c 6c 6f 05 02 77 6f 72 6c 64 58 58 ff",
            ("HMGET", "k", "f", "hello"),
            [b"v", b"world"],
        ),
        (
            "0d 16 16 00 00 00 13 00 00 00 04 00 00 01 66 03 01 76 03 01 6e 03 fd ff",
            ("HGET", "k", "n"),
            b"12",
        ),
        (
            "0f 01 10 00 00 00 00 00 00 03 e8 00 00 00 00 00 00 00 00 1d 1d 00 00 00 0a 00 01 01 00 01 01 01 81 66 02 "
            "00 01 02 01 00 01 00 01 81 76 02 04 01 ff 01 43 e8 00 00",
            ("XRANGE", "k", "-", "+"),
            [[b"1000-0", [b"f", b"v"]]],
        ),
    ],
    ids=["list", "list of a ziplist", "quicklist", "zset", "zipmap", "hash of a ziplist", "stream"],
)
def test_old_types(c: Wire, payload: str, words: tuple[Argument, ...], reply: Reply) -> None:
    data = bytes.fromhex(payload)
    assert c("RESTORE", "k", 0, seal(data[0], data[1:], 9)) == OK
    assert c(*words) == reply


@pytest.mark.since("7.4")
def test_deadlines_of_fields(c: Wire) -> None:
    for extra in (1, 600):
        c("DEL", "k")
        c("HSET", "k", *[f"{word}{n}" for n in range(extra) for word in "fv"], "a", 1, "b", 2, "c", 3)
        c("HPEXPIREAT", "k", LATE, "FIELDS", 1, "b")
        c("HPEXPIREAT", "k", LATE + 5, "FIELDS", 1, "a")
        payload = c("DUMP", "k")
        assert payload[0] == (25 if extra == 1 else 24)
        assert payload[-10:-8] == b"\x0c\0"
        assert c("RESTORE", "copy", 0, payload, "REPLACE") == OK
        assert c("HPEXPIRETIME", "copy", "FIELDS", 4, "a", "b", "c", "f0") == [LATE + 5, LATE, -1, -1]
        assert c("OBJECT", "ENCODING", "copy") == c("OBJECT", "ENCODING", "k")
        assert digest(c, "copy") == digest(c)
        c("HPERSIST", "k", "FIELDS", 2, "a", "b")
        assert c("DUMP", "k")[-10:-8] == b"\x0a\0"
    c("DEL", "k")
    c("HSET", "k", "f", "v", "g", "w")
    c("HPEXPIRE", "k", 300, "FIELDS", 1, "f")
    c("RESTORE", "copy", 0, c("DUMP", "k"), "REPLACE")
    time.sleep(0.4)
    assert c("HGETALL", "copy") == c.as_map({b"g": b"w"})
    assert c("HLEN", "copy") == 1  # and the cron knows of it


@pytest.mark.since("7.4")
def test_small_sets_of_newer_servers(c: Wire) -> None:
    members = bytes.fromhex("0f 0f 00 00 00 03 00 81 61 02 81 62 02 07 01 ff")
    assert c("RESTORE", "k", 0, seal(20, members, 11)) == OK
    assert sorted(c("SMEMBERS", "k")) == [b"7", b"a", b"b"] if c.protocol == 2 else c("SCARD", "k") == 3


def test_events(c: Wire, connect: Connect) -> None:
    listener = connect(protocol=2)
    c("CONFIG", "SET", "notify-keyspace-events", "KEA")
    listener("PSUBSCRIBE", "__keyspace*")

    def events() -> list[bytes]:
        found = []
        c("PUBLISH", "__keyspace end", "end")
        while (message := listener.read())[3] != b"end":
            found.append(message[3])
        return found

    c("RESTORE", "k", 0, HELLO)
    assert events() == [b"restore"]
    c("RESTORE", "k", 1000, HELLO, "REPLACE")
    assert events() == [b"restore"]
    c("RESTORE", "k", 5, HELLO, "REPLACE", "ABSTTL")
    assert events() == [b"del"]
    c("RESTORE", "k", 5, HELLO, "ABSTTL")
    assert events() == []


@pytest.mark.protocol(2)
def test_number_of_changes(c: Wire) -> None:
    def changes() -> int:
        line = c("INFO", "persistence").split(b"rdb_changes_since_last_save:")[1]
        return int(line.split(b"\r\n")[0])

    before = changes()
    for words, number in (
        ((0, HELLO), 1),
        ((1000, HELLO, "REPLACE"), 2),
        ((5, HELLO, "REPLACE", "ABSTTL"), 3),
    ):
        c("RESTORE", "k", *words)
        assert changes() - before == number
    c("RESTORE", "k", 5, HELLO, "ABSTTL")
    c("RESTORE", "k", 0, "x")
    assert changes() - before == 3


def test_watch_sees_it(c: Wire, connect: Connect) -> None:
    c("WATCH", "k")
    connect()("RESTORE", "k", 0, HELLO)
    c("MULTI")
    c("PING")
    assert c("EXEC") == c.null_array


def test_it_serves_who_waits(c: Wire, connect: Connect) -> None:
    waiting = connect()
    waiting.send("BLPOP", "k", 5)
    assert waiting.quiet()
    list_ = seal(18, bytes.fromhex("01 02 0a 0a 00 00 00 01 00 81 61 02 ff"))
    assert c("RESTORE", "k", 0, list_) == OK
    assert waiting.read() == [b"k", b"a"]
    assert c("EXISTS", "k") == 0
