"""Keys whatever their values: DEL, UNLINK, EXISTS, TOUCH, TYPE, RENAME, RENAMENX, COPY, KEYS, RANDOMKEY."""

from __future__ import annotations

import time

import pytest

from tests.wire import NOT_AN_INTEGER, OK, SYNTAX_ERROR, Error, Status, Wire, arity_error, members

NO_SUCH_KEY = Error("ERR no such key")
SAME_OBJECT = Error("ERR source and destination objects are the same")
DB_RANGE = Error("ERR DB index is out of range")
INT_RANGE = Error("ERR value is out of range, value must between -2147483648 and 2147483647")


def expired(c: Wire, key: str) -> None:
    """Leaves a key that is due and that active expiry has not deleted."""
    c("DEBUG", "SET-ACTIVE-EXPIRE", "0")
    c("SET", key, "v", "PX", 1)
    time.sleep(0.005)


def stat(c: Wire, section: str, name: str) -> int:
    reply = c("INFO", section)
    text = reply if isinstance(reply, bytes) else reply.data
    return int(dict(line.split(b":", 1) for line in text.split() if b":" in line)[name.encode()])


def counters(c: Wire) -> tuple[int, int, int]:
    """Hits, misses and changes so far."""
    return (
        stat(c, "stats", "keyspace_hits"),
        stat(c, "stats", "keyspace_misses"),
        stat(c, "persistence", "rdb_changes_since_last_save"),
    )


@pytest.mark.parametrize("name", ["DEL", "UNLINK"])
def test_deletion(c: Wire, name: str) -> None:
    c("MSET", "a", 1, "b", 2, "c", 3)
    assert c(name, "a", "nothing", "b", "a") == 2
    assert c(name, "a") == 0
    assert c("KEYS", "*") == [b"c"]
    expired(c, "k")
    assert c(name, "k", "c") == 1
    assert c(name) == arity_error(name.lower())


@pytest.mark.parametrize("name", ["EXISTS", "TOUCH"])
def test_counting(c: Wire, name: str) -> None:
    c("MSET", "a", 1, "b", 2)
    assert c(name, "a") == 1
    assert c(name, "a", "nothing", "b", "a") == 3
    expired(c, "k")
    assert c(name, "k") == 0
    assert c(name) == arity_error(name.lower())


def test_type(c: Wire) -> None:
    assert c("TYPE", "nothing") == Status("none")
    c("SET", "k", "v")
    assert c("TYPE", "k") == Status("string")
    c("INCR", "n")
    assert c("TYPE", "n") == Status("string")
    c("APPEND", "k", "w")
    assert c("TYPE", "k") == Status("string")
    expired(c, "k")
    assert c("TYPE", "k") == Status("none")
    assert c("TYPE") == c("TYPE", "a", "b") == arity_error("type")


def test_rename(c: Wire) -> None:
    assert c("RENAME", "a", "b") == c("RENAME", "a", "a") == NO_SUCH_KEY
    c("SET", "a", 1)
    assert c("RENAME", "a", "b") == OK
    assert c("RENAME", "b", "b") == OK
    assert c("MGET", "a", "b") == [c.null, b"1"]
    assert c("RENAME", "a") == arity_error("rename")


def test_rename_takes_the_time_to_live_along(c: Wire) -> None:
    c("SET", "a", 1, "EX", 100)
    c("SET", "b", 2, "EX", 1000)
    c("RENAME", "a", "b")
    assert c("TTL", "b") == 100
    c("SET", "a", 1)
    c("RENAME", "a", "b")
    assert c("TTL", "b") == -1
    assert c("DBSIZE") == 1


def test_rename_of_an_expired_key(c: Wire) -> None:
    expired(c, "k")
    assert c("RENAME", "k", "other") == NO_SUCH_KEY
    expired(c, "k")
    c("SET", "a", 1)
    assert c("RENAMENX", "a", "k") == 1


def test_renamenx(c: Wire) -> None:
    assert c("RENAMENX", "a", "a") == NO_SUCH_KEY
    c("MSET", "a", 1, "b", 2)
    assert c("RENAMENX", "nothing", "b") == NO_SUCH_KEY
    assert c("RENAMENX", "a", "b") == 0
    assert c("RENAMENX", "a", "a") == 0
    c("EXPIRE", "a", 100)
    assert c("RENAMENX", "a", "new") == 1
    assert (c("TTL", "new"), c("EXISTS", "a")) == (100, 0)
    assert c("RENAMENX", "a") == arity_error("renamenx")


def test_copy(c: Wire) -> None:
    assert c("COPY", "a", "b") == 0
    c("SET", "a", "v", "EX", 100)
    assert c("COPY", "a", "b") == 1
    assert (c("GET", "b"), c("TTL", "b"), c("GET", "a")) == (b"v", 100, b"v")
    c("SET", "a", "w")
    assert c("COPY", "a", "b") == 0
    assert c("GET", "b") == b"v"
    assert c("COPY", "a", "b", "replace") == 1
    assert (c("GET", "b"), c("TTL", "b")) == (b"w", -1)


def test_a_copy_is_independent(c: Wire) -> None:
    c("SET", "a", "one")
    c("APPEND", "a", " two")
    c("COPY", "a", "b")
    c("APPEND", "a", " three")
    c("SETRANGE", "b", 0, "ONE")
    assert c("MGET", "a", "b") == [b"one two three", b"ONE two"]


def test_copy_to_another_database(c: Wire) -> None:
    c("SET", "a", "v")
    assert c("COPY", "a", "a", "DB", 1) == 1
    assert c("COPY", "a", "a", "DB", 1) == 0
    assert c("COPY", "a", "a", "db", 1, "REPLACE") == 1
    assert c("COPY", "a", "b", "DB", 1, "DB", 2) == 1
    c("SELECT", 1)
    assert c("KEYS", "*") == [b"a"]
    c("SELECT", 2)
    assert c("KEYS", "*") == [b"b"]


def test_copy_errors(c: Wire) -> None:
    assert c("COPY", "a", "a") == SAME_OBJECT
    assert c("COPY", "a", "a", "DB", 0) == SAME_OBJECT
    assert c("COPY", "a", "b", "DB") == SYNTAX_ERROR
    assert c("COPY", "a", "b", "FOO") == SYNTAX_ERROR
    assert c("COPY", "a", "b", "DB", "x", "FOO") == NOT_AN_INTEGER
    assert c("COPY", "a", "b", "DB", 16) == c("COPY", "a", "b", "DB", -1) == DB_RANGE
    assert c("COPY", "a", "b", "DB", 1 << 32) == INT_RANGE
    assert c("COPY", "a") == arity_error("copy")
    expired(c, "k")
    assert c("COPY", "k", "b") == 0
    expired(c, "k")
    c("SET", "a", "v")
    assert c("COPY", "a", "k") == 1


def test_keys(c: Wire) -> None:
    assert c("KEYS", "*") == []
    c("MSET", "hello", 1, "hallo", 2, "hxllo", 3, "a*b", 4, "x\ny", 5, "", 6)
    assert members(c("KEYS", "*")) == [b"", b"a*b", b"hallo", b"hello", b"hxllo", b"x\ny"]
    assert members(c("KEYS", "h?llo")) == [b"hallo", b"hello", b"hxllo"]
    assert members(c("KEYS", "h[ae]llo")) == [b"hallo", b"hello"]
    assert members(c("KEYS", "h[^a]llo")) == [b"hello", b"hxllo"]
    assert c("KEYS", "h[a-b]llo") == [b"hallo"]
    assert c("KEYS", "a\\*b") == [b"a*b"]
    assert c("KEYS", "x?y") == [b"x\ny"]
    assert c("KEYS", "hello") == [b"hello"]
    assert c("KEYS", "") == [b""]
    assert c("KEYS", "H*") == []
    expired(c, "hello")
    assert c("KEYS", "he*") == []
    assert len(c("KEYS", "*")) == 5
    assert c("DBSIZE") == 6, "it leaves the deletion of what is due to others"
    assert c("KEYS", "h?" * 10_000) == []
    assert c("KEYS") == c("KEYS", "a", "b") == arity_error("keys")


def test_randomkey(c: Wire) -> None:
    assert c("RANDOMKEY") == c.null
    c("SET", "a", 1)
    assert c("RANDOMKEY") == b"a"
    expired(c, "k")
    assert {c("RANDOMKEY") for _ in range(20)} == {b"a"}
    c("MSET", "b", 1, "c", 1)
    assert {c("RANDOMKEY") for _ in range(100)} == {b"a", b"b", b"c"}
    c("FLUSHALL")
    expired(c, "k")
    assert c("RANDOMKEY") == c.null
    assert c("DBSIZE") == 0
    assert c("RANDOMKEY", "x") == arity_error("randomkey")


@pytest.mark.parametrize(
    ("command", "hits", "misses", "changes"),
    [
        ("EXISTS k nothing", 1, 1, 0),
        ("TOUCH k nothing", 1, 1, 0),
        ("TYPE k", 1, 0, 0),
        ("TYPE nothing", 0, 1, 0),
        ("TTL k", 1, 0, 0),
        ("EXPIRETIME nothing", 0, 1, 0),
        ("OBJECT ENCODING k", 1, 0, 0),
        ("OBJECT REFCOUNT nothing", 0, 1, 0),
        ("EXPIRE k 10", 0, 0, 1),
        ("EXPIRE nothing 10", 0, 0, 0),
        ("EXPIRE k -1", 0, 0, 1),
        ("PERSIST k", 0, 0, 0),
        ("RENAME k new", 0, 0, 1),
        ("RENAME k other", 0, 0, 1),
        ("RENAME k k", 0, 0, 0),
        ("RENAMENX k other", 0, 0, 0),
        ("COPY k new", 1, 0, 1),
        ("COPY k other REPLACE", 1, 0, 1),
        ("COPY nothing new", 0, 1, 0),
        ("MOVE k 5", 0, 0, 1),
        ("DEL k nothing other", 0, 0, 2),
        ("UNLINK k", 0, 0, 1),
        ("RANDOMKEY", 0, 0, 0),
        ("SCAN 0 TYPE string", 2, 0, 0),
        ("SCAN 0 MATCH k", 0, 0, 0),
        ("KEYS *", 0, 0, 0),
        ("SWAPDB 0 1", 0, 0, 1),
        ("FLUSHDB", 0, 0, 2),
        ("FLUSHALL", 0, 0, 2),
    ],
)
def test_what_counts(c: Wire, command: str, hits: int, misses: int, changes: int) -> None:
    c("MSET", "k", "v", "other", "w")
    before = counters(c)
    c(*command.split())
    after = counters(c)
    assert tuple(b - a for a, b in zip(before, after, strict=True)) == (hits, misses, changes)


def test_an_expired_key_is_no_change(c: Wire) -> None:
    expired(c, "k")
    before, count = counters(c), stat(c, "stats", "expired_keys")
    assert c("GET", "k") == c.null
    assert counters(c) == (before[0], before[1] + 1, before[2])
    assert stat(c, "stats", "expired_keys") == count + 1


def test_overwriting_an_expired_key_counts_it_as_expired(c: Wire) -> None:
    expired(c, "k")
    count = stat(c, "stats", "expired_keys")
    c("SET", "k", "v")
    assert stat(c, "stats", "expired_keys") == count + 1
