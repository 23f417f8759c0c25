"""Hashes: HSET, HGET and their relatives, HSCAN, and how Redis calls their encodings."""

from __future__ import annotations

import pytest

from tests.wire import (
    NOT_A_FLOAT,
    NOT_AN_INTEGER,
    OK,
    SYNTAX_ERROR,
    WRONGTYPE,
    Argument,
    Error,
    Wire,
    arity_error,
    members,
    pairs,
)

INT64_MAX = (1 << 63) - 1
INT64_MIN = -(1 << 63)
HASH_NOT_INTEGER = Error("ERR hash value is not an integer")
HASH_NOT_FLOAT = Error("ERR hash value is not a float")
OVERFLOW = Error("ERR increment or decrement would overflow")
NAN_OR_INFINITY = Error("ERR increment would produce NaN or Infinity")
INVALID_CURSOR = Error("ERR invalid cursor")
FAR_MS = 4_102_444_800_000  # the year 2100


def big(c: Wire, key: str = "h", count: int = 1000) -> dict[bytes, bytes]:
    """Makes a hash too big for a listpack."""
    content = {b"field:%d" % number: b"%d" % number for number in range(count)}
    assert c("HSET", key, *[word for pair in content.items() for word in pair]) == count
    return content


def hscan(c: Wire, key: str, *options: Argument) -> list[bytes]:
    """A whole walk."""
    found: list[bytes] = []
    cursor = b"0"
    while True:
        cursor, words = c("HSCAN", key, cursor, *options)
        found += words
        if cursor == b"0":
            return found


# Setting


def test_hset_and_hget(c: Wire) -> None:
    assert c("HSET", "h", "f", "1") == 1
    assert c("HSET", "h", "f", "2") == 0
    assert c("HSET", "h", "g", "3", "f", "4", "i", "5", "i", "6") == 2
    assert c("HGET", "h", "f") == b"4"
    assert c("HGET", "h", "i") == b"6"
    assert c("HGET", "h", "nothing") == c.null
    assert c("HGET", "nothing", "f") == c.null
    assert c("HGETALL", "h") == c.as_map([(b"f", b"4"), (b"g", b"3"), (b"i", b"6")])


def test_any_bytes(c: Wire) -> None:
    for word in (b"", b"\0\r\n\xff", b"x" * 2000):
        assert c("HSET", "h", word, word) == 1
        assert c("HGET", "h", word) == word
        assert c("HSTRLEN", "h", word) == len(word)
        assert c("HEXISTS", "h", word) == 1
    assert c("HLEN", "h") == 3


def test_hmset_and_hmget(c: Wire) -> None:
    assert c("HMSET", "h", "a", 1, "b", 2, "a", 3) == OK
    assert c("HMSET", "h", "c", 4) == OK
    assert c("HMGET", "h", "a", "x", "c", "a") == [b"3", c.null, b"4", b"3"]
    assert c("HMGET", "nothing", "a", "b") == [c.null, c.null]


def test_hsetnx(c: Wire) -> None:
    assert c("HSETNX", "h", "f", 1) == 1
    assert c("HSETNX", "h", "f", 2) == 0
    assert c("HSETNX", "h", "g", 3) == 1
    assert c("HMGET", "h", "f", "g") == [b"1", b"3"]


def test_the_time_to_live_of_the_key_stays(c: Wire) -> None:
    c("HSET", "h", "f", 1)
    c("PEXPIREAT", "h", FAR_MS)
    c("HSET", "h", "f", 2)
    c("HSET", "h", "g", "x" * 100)
    c("HINCRBY", "h", "f", 2)
    c("HINCRBYFLOAT", "h", "f", 2)
    c("HDEL", "h", "g")
    assert c("PEXPIRETIME", "h") == FAR_MS
    assert c("HDEL", "h", "f") == 1
    c("HSET", "h", "f", 2)
    assert c("PEXPIRETIME", "h") == -1


def test_a_hash_that_expired_is_gone(c: Wire) -> None:
    c("HSET", "h", "f", 1, "g", 2)
    c("PEXPIREAT", "h", 1)
    assert c("HGET", "h", "f") == c.null
    assert c("HSET", "h", "f", 1) == 1
    assert c("HLEN", "h") == 1


def test_hdel(c: Wire) -> None:
    c("HSET", "h", "a", 1, "b", 2, "c", 3)
    assert c("HDEL", "nothing", "a") == 0
    assert c("HDEL", "h", "x") == 0
    assert c("HDEL", "h", "a", "x", "a", "b") == 2
    assert c("HKEYS", "h") == [b"c"]
    assert c("HDEL", "h", "a", "c", "b") == 1
    assert c("EXISTS", "h") == 0


# Counting


def test_hincrby(c: Wire) -> None:
    assert c("HINCRBY", "h", "n", 5) == 5
    assert c("HINCRBY", "h", "n", -7) == -2
    assert c("HGET", "h", "n") == b"-2"
    assert c("HINCRBY", "h", "f" * 100, 1) == 1
    assert c("HINCRBY", "h", "f" * 100, 1) == 2
    assert c("HINCRBY", "h", "n", 1) == -1


def test_hincrby_overflows(c: Wire) -> None:
    assert c("HINCRBY", "h", "n", INT64_MAX) == INT64_MAX
    assert c("HINCRBY", "h", "n", 1) == OVERFLOW
    assert c("HINCRBY", "h", "n", INT64_MIN) == -1
    assert c("HINCRBY", "h", "n", INT64_MIN) == OVERFLOW
    assert c("HINCRBY", "new", "n", INT64_MIN) == INT64_MIN
    assert c("HINCRBY", "new", "n", -1) == OVERFLOW


@pytest.mark.parametrize("text", ["", " 1", "1 ", "+1", "01", "-0", "1.0", "abc", str(INT64_MAX + 1)])
def test_what_is_no_integer_is_not_counted(c: Wire, text: str) -> None:
    c("HSET", "h", "f", text)
    assert c("HINCRBY", "h", "f", 1) == HASH_NOT_INTEGER
    assert c("HINCRBY", "h", "f", text) == NOT_AN_INTEGER
    assert c("HINCRBY", "new", "f", text) == NOT_AN_INTEGER
    assert c("EXISTS", "new") == 0


@pytest.mark.parametrize(
    ("start", "by", "total"),
    [
        ("10.50", "0.1", b"10.6"),
        ("5.0e3", "2.0e2", b"5200"),
        ("3", "-1.5", b"1.5"),
        ("0", "3.141592653589793238", b"3.14159265358979324"),
        ("0x10", "0x.8p1", b"17"),
    ],
)
def test_hincrbyfloat(c: Wire, start: str, by: str, total: bytes) -> None:
    c("HSET", "h", "f", start)
    assert c("HINCRBYFLOAT", "h", "f", by) == total
    assert c("HGET", "h", "f") == total
    assert c("HINCRBYFLOAT", "h", "new", "1.5") == b"1.5"


@pytest.mark.parametrize("text", ["", " 1", "1 ", "x", "1x", "nan", "1e5000", b"1\0"])
def test_what_is_no_number_is_not_added(c: Wire, text: Argument) -> None:
    c("HSET", "h", "f", text)
    assert c("HINCRBYFLOAT", "h", "f", 1) == HASH_NOT_FLOAT
    assert c("HINCRBYFLOAT", "h", "f", text) == NOT_A_FLOAT


def test_infinite_sums(c: Wire) -> None:
    for by in ("inf", "-inf", "+Infinity"):
        assert c("HINCRBYFLOAT", "h", "f", by) == Error("ERR value is NaN or Infinity")
    c("HSET", "h", "f", "inf", "g", "1.1e4932")
    assert c("HINCRBYFLOAT", "h", "f", 1) == NAN_OR_INFINITY
    assert c("HINCRBYFLOAT", "h", "g", "1.1e4932") == NAN_OR_INFINITY


# Reading


def test_all_of_a_hash(c: Wire) -> None:
    c("HSET", "h", "b", 1, "a", 2)
    assert c("HKEYS", "h") == [b"b", b"a"]
    assert c("HVALS", "h") == [b"1", b"2"]
    assert c("HLEN", "h") == 2
    assert c("HKEYS", "nothing") == []
    assert c("HVALS", "nothing") == []
    assert c("HGETALL", "nothing") == c.as_map([])
    assert c("HLEN", "nothing") == 0


def test_hstrlen_and_hexists(c: Wire) -> None:
    c("HSET", "h", "f", "value", "empty", "")
    assert [c("HSTRLEN", "h", field) for field in ("f", "empty", "x")] == [5, 0, 0]
    assert [c("HEXISTS", "h", field) for field in ("f", "empty", "x")] == [1, 1, 0]
    assert c("HSTRLEN", "nothing", "f") == c("HEXISTS", "nothing", "f") == 0


def test_a_big_hash(c: Wire) -> None:
    content = big(c)
    assert c("OBJECT", "ENCODING", "h") == b"hashtable"
    assert c("HLEN", "h") == 1000
    assert pairs(c("HGETALL", "h")) == content
    assert members(c("HKEYS", "h")) == sorted(content)
    assert members(c("HVALS", "h")) == sorted(content.values())
    assert c("HMGET", "h", "field:7", "x", "field:999") == [b"7", c.null, b"999"]
    assert c("HSET", "h", "field:7", "new") == 0
    assert c("HSET", "h", "x", "new") == 1
    assert c("HSETNX", "h", "x", "y") == 0
    assert c("HINCRBY", "h", "field:8", 2) == 10
    assert c("HINCRBYFLOAT", "h", "field:8", "0.5") == b"10.5"
    assert c("HSTRLEN", "h", "field:7") == 3
    assert c("HEXISTS", "h", "field:9") == 1
    assert c("HDEL", "h", "x", *content) == 1001
    assert c("EXISTS", "h") == 0


# Encodings


@pytest.mark.parametrize(
    ("commands", "encoding"),
    [
        (["HSET h f v"], b"listpack"),
        (["HSET h f " + "x" * 64], b"listpack"),
        (["HSET h f " + "x" * 65], b"hashtable"),
        (["HSET h " + "x" * 65 + " v"], b"hashtable"),
        (["HSET h a b f " + "x" * 65], b"hashtable"),
        (["HSET h a b", "HSET h f " + "x" * 65, "HDEL h f"], b"hashtable"),
        (["HSET h a b", "HSETNX h f " + "x" * 65], b"hashtable"),
        (["HSET h a b", "HSETNX h a " + "x" * 65], b"listpack"),
        (["HINCRBY h " + "x" * 65 + " 1"], b"hashtable"),
        (["HSET h a 1 b 2 c 3", "HSET h b 4"], b"listpack"),
        (["HSET h a 1 b 2 c 3", "HSET h d 4"], b"hashtable"),
        (["HSET h a 1 b 2 c 3", "HSETNX h d 4"], b"hashtable"),
        (["HSET h a 1 b 2 c 3", "HINCRBY h d 4"], b"hashtable"),
        (["HSET h a 1 b 2 c 3", "HMSET h d 4 e 5"], b"hashtable"),
        (["HSET h a 1 b 2 c 3 d 4", "HDEL h a b c"], b"hashtable"),
        (["HSET i a 1", "COPY i h"], b"listpack"),
        (["HSET i a 1 b 2 c 3 d 4", "COPY i h"], b"hashtable"),
    ],
)
def test_encoding(c: Wire, commands: list[str], encoding: bytes) -> None:
    c("CONFIG", "SET", "hash-max-listpack-entries", 3)
    for command in commands:
        assert not isinstance(c(*command.split()), Error)
    assert c("OBJECT", "ENCODING", "h") == encoding


@pytest.mark.since("7.4")
def test_so_many_words_that_it_must_be_big(c: Wire) -> None:
    c("CONFIG", "SET", "hash-max-listpack-entries", 3)
    assert c("HSET", "h", "a", 4, "a", 5, "a", 6, "a", 7) == 1
    assert c("OBJECT", "ENCODING", "h") == b"hashtable"


def test_a_copy_is_apart(c: Wire) -> None:
    c("HSET", "small", "f", "v")
    content = big(c, "big")
    for name in ("small", "big"):
        assert c("COPY", name, "other", "REPLACE") == 1
        before = pairs(c("HGETALL", "other"))
        c("HSET", name, "new", "x")
        assert pairs(c("HGETALL", "other")) == before
    assert len(content) == c("HLEN", "other")
    assert c("RENAME", "big", "small") == OK
    assert c("HLEN", "small") == 1001


# HSCAN


def test_hscan_of_a_small_hash(c: Wire) -> None:
    c("HSET", "h", "a", 1, "b", 2, "ab", 3)
    assert c("HSCAN", "h", 0) == [b"0", [b"a", b"1", b"b", b"2", b"ab", b"3"]]
    assert c("HSCAN", "h", 0, "COUNT", 1, "MATCH", "a*") == [b"0", [b"a", b"1", b"ab", b"3"]]
    assert c("HSCAN", "h", 0, "match", "x") == [b"0", []]
    assert c("HSCAN", "nothing", 0) == [b"0", []]


@pytest.mark.parametrize("count", [1, 10, 100, 10**6])
def test_hscan_finds_all_fields(c: Wire, count: int) -> None:
    content = big(c)
    found = hscan(c, "h", "COUNT", count)
    assert dict(zip(found[::2], found[1::2], strict=True)) == content
    assert len(found) == 2 * len(content)
    found = hscan(c, "h", "COUNT", count, "MATCH", "*:1?")
    assert sorted(found[::2]) == [b"field:%d" % number for number in range(10, 20)]


def test_fields_may_come_and_go_while_hscan_walks(c: Wire) -> None:
    content = big(c)
    cursor, found = c("HSCAN", "h", 0)
    seen = set(found[::2])
    turn = 0
    while cursor != b"0":
        turn += 1
        c("HSET", "h", *[word for number in range(20) for word in (f"new:{turn}:{number}", "v")])
        c("HDEL", "h", *[f"new:{turn - 3}:{number}" for number in range(20)])
        cursor, found = c("HSCAN", "h", cursor, "COUNT", 50)
        seen |= set(found[::2])
    assert content.keys() <= seen


@pytest.mark.since("7.4")
def test_hscan_without_values(c: Wire) -> None:
    c("HSET", "h", "a", 1, "b", 2)
    assert c("HSCAN", "h", 0, "NOVALUES") == [b"0", [b"a", b"b"]]
    assert c("HSCAN", "h", 0, "novalues", "MATCH", "b", "COUNT", 5) == [b"0", [b"b"]]
    assert c("HSCAN", "h", 0, "COUNT", 5, "NOVALUES") == [b"0", [b"a", b"b"]]
    content = big(c)
    assert sorted(hscan(c, "h", "NOVALUES")) == sorted([*content, b"a", b"b"])


def test_hscan_errors(c: Wire) -> None:
    c("HSET", "h", "f", "v")
    for cursor in ("x", "1.5", " 0", "99999999999999999999"):
        assert c("HSCAN", "h", cursor) == INVALID_CURSOR
    assert c("HSCAN", "h", 0, "COUNT", 0) == SYNTAX_ERROR
    assert c("HSCAN", "h", 0, "COUNT", "x") == NOT_AN_INTEGER
    assert c("HSCAN", "h", 0, "TYPE", "hash") == SYNTAX_ERROR
    assert c("HSCAN", "h", 0, "MATCH") == SYNTAX_ERROR
    assert c("HSCAN", "nothing", 0, "FOO") == [b"0", []]
    assert c("HSCAN", "nothing", "x") == INVALID_CURSOR


# Errors


def test_wrong_type(c: Wire) -> None:
    c("SET", "s", "x")
    commands = (
        "HSET s f v,HSET s f v g w,HMSET s f v,HSETNX s f v,HGET s f,HMGET s f,HGETALL s,HKEYS s,HVALS s,HLEN s,"
        "HSTRLEN s f,HEXISTS s f,HDEL s f,HINCRBY s f 1,HINCRBYFLOAT s f 1,HSCAN s 0,HSCAN s 0 COUNT x"
    )
    for command in commands.split(","):
        assert c(*command.split()) == WRONGTYPE, command
    assert c("HINCRBY", "s", "f", "x") == NOT_AN_INTEGER
    assert c("HINCRBYFLOAT", "s", "f", "x") == NOT_A_FLOAT
    assert c("HSET", "s", "f") == arity_error("hset")
    assert c("HSET", "s", "f", "v", "g") == arity_error("hset")
    assert c("HSCAN", "s", "x") == INVALID_CURSOR
    c("HSET", "h", "f", "v")
    assert c("GET", "h") == WRONGTYPE
    assert c("APPEND", "h", "x") == WRONGTYPE
    assert c("SET", "h", "x") == OK


@pytest.mark.parametrize(
    "command",
    [
        "hset a",
        "hset a b",
        "hset a b c d",
        "hmset a b",
        "hmset a b c d",
        "hsetnx a b",
        "hsetnx a b c d",
        "hget a",
        "hget a b c",
        "hmget a",
        "hgetall",
        "hgetall a b",
        "hkeys a b",
        "hvals a b",
        "hlen a b",
        "hstrlen a",
        "hexists a",
        "hdel a",
        "hincrby a b",
        "hincrby a b 1 2",
        "hincrbyfloat a b",
        "hscan a",
    ],
)
def test_arity(c: Wire, command: str) -> None:
    assert c(*command.split()) == arity_error(command.split()[0])
