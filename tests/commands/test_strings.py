"""Strings: GET, SET and their relatives."""

from __future__ import annotations

import time

import pytest

from tests.commands.test_keys import expired
from tests.wire import NOT_AN_INTEGER, OK, SYNTAX_ERROR, WRONGTYPE, Error, Wire, arity_error

TOO_LONG = Error("ERR string exceeds maximum allowed size (proto-max-bulk-len)")
INT64_MAX = (1 << 63) - 1
FAR_MS = 4_102_444_800_000  # the year 2100


def invalid_expire(name: str) -> Error:
    return Error(f"ERR invalid expire time in '{name}' command")


# GET, MGET, STRLEN, GETRANGE


def test_get(c: Wire) -> None:
    assert c("GET", "k") == c.null
    c("SET", "k", b"a\r\n\0\xff")
    assert c("GET", "k") == b"a\r\n\0\xff"
    c("SET", "k", "")
    assert c("GET", "k") == b""
    c("SET", "", "the empty key")
    assert c("GET", "") == b"the empty key"


@pytest.mark.parametrize("size", [1023, 1024, 70_000])
def test_get_of_long_values(c: Wire, size: int) -> None:
    assert c("SET", "k", b"x" * size) == OK
    assert c("GET", "k") == b"x" * size


def test_mget(c: Wire, wrong: str) -> None:
    c("SET", "a", "1")
    c("INCR", "n")
    c("APPEND", "a", "2")
    assert c("MGET", "a", "nothing", wrong, "n", "a") == [b"12", c.null, c.null, b"1", b"12"]
    assert c("MGET", "nothing") == [c.null]


def test_strlen(c: Wire) -> None:
    assert c("STRLEN", "k") == 0
    c("SET", "k", b"a\0b")
    assert c("STRLEN", "k") == 3
    c("APPEND", "k", "x" * 1000)
    assert c("STRLEN", "k") == 1003
    c("INCRBY", "n", "-100")
    assert c("STRLEN", "n") == 4


RANGES = [
    ("0", "3", b"This"),
    ("-3", "-1", b"ing"),
    ("0", "-1", b"This is a string"),
    ("10", "100", b"string"),
    ("5", "2", b""),
    ("16", "20", b""),
    ("-100", "3", b"This"),
    ("-100", "-50", b"T"),  # both ends come to the first byte
    ("-50", "-100", b""),
    ("3", "-14", b""),
    ("0", "-100", b"T"),
    ("1", str(-INT64_MAX - 1), b""),
    (str(-INT64_MAX - 1), str(INT64_MAX), b"This is a string"),
]


@pytest.mark.parametrize("command", ["GETRANGE", "SUBSTR"])
def test_getrange(c: Wire, command: str) -> None:
    c("SET", "k", "This is a string")
    c("APPEND", "appended", "This is")
    c("APPEND", "appended", " a string")
    for start, end, part in RANGES:
        assert c(command, "k", start, end) == part, (start, end)
        assert c(command, "appended", start, end) == part, (start, end)
    assert c(command, "nothing", 0, -1) == b""
    c("SET", "empty", "")
    assert c(command, "empty", 0, -1) == b""
    c("INCRBY", "n", 12345)
    assert c(command, "n", 1, 2) == b"23"
    for words in (("x", "1"), ("0", "x"), ("0", "01"), ("0", str(INT64_MAX + 1))):
        assert c(command, "nothing", *words) == NOT_AN_INTEGER


# SET


def test_set_replaces_whatever_was_there(c: Wire, wrong: str) -> None:
    assert c("SET", wrong, "v") == OK
    assert c("GET", wrong) == b"v"
    c("EXPIRE", wrong, 100)
    assert c("SET", wrong, "w") == OK
    assert c("TTL", wrong) == -1


def test_set_nx_and_xx(c: Wire) -> None:
    assert c("SET", "k", "1", "XX") == c.null
    assert c("GET", "k") == c.null
    assert c("SET", "k", "1", "nx") == OK
    assert c("SET", "k", "2", "NX") == c.null
    assert c("GET", "k") == b"1"
    assert c("SET", "k", "2", "XX", "XX") == OK
    assert c("GET", "k") == b"2"
    c("PEXPIRE", "k", 1)
    time.sleep(0.01)
    assert c("SET", "k", "3", "XX") == c.null
    assert c("SET", "k", "3", "NX") == OK


def test_set_get(c: Wire, wrong: str) -> None:
    assert c("SET", "k", "1", "GET") == c.null
    assert c("SET", "k", "2", "GET", "GET") == b"1"
    assert c("SET", "k", "3", "NX", "GET") == b"2"
    assert c("GET", "k") == b"2"
    assert c("SET", "k", "3", "GET", "XX") == b"2"
    assert c("SET", "new", "1", "NX", "GET") == c.null
    assert c("SET", "other", "1", "XX", "GET") == c.null
    assert c("MGET", "k", "new", "other") == [b"3", b"1", c.null]
    assert c("INCR", "k") == 4
    assert c("SET", "k", "v", "GET") == b"4"
    assert c("SET", wrong, "v", "GET") == WRONGTYPE
    assert c("SET", wrong, "v", "NX", "GET") == WRONGTYPE
    assert c("SET", wrong, "v", "NX") == c.null
    assert c("TYPE", wrong).text == "list"


def test_set_with_a_time_to_live(c: Wire) -> None:
    for words, low, high in (
        (("EX", 100), 99_000, 100_000),
        (("px", 5000), 4_000, 5_000),
        (("EX", 5, "EX", 20), 19_000, 20_000),
        (("GET", "EX", 10, "XX"), 9_000, 10_000),
    ):
        c("SET", "k", "v")
        assert c("SET", "k", "v", *words) in (OK, b"v")
        assert low < c("PTTL", "k") <= high, words
    assert c("SET", "k", "v", "PXAT", FAR_MS + 7) == OK
    assert c("PEXPIRETIME", "k") == FAR_MS + 7
    assert c("SET", "k", "v", "exat", FAR_MS // 1000) == OK
    assert c("PEXPIRETIME", "k") == FAR_MS
    assert c("SET", "k", "w", "KEEPTTL") == OK
    assert c("PEXPIRETIME", "k") == FAR_MS
    assert c("SET", "k", "w", "NX", "EX", 1) == c.null
    assert c("PEXPIRETIME", "k") == FAR_MS
    assert c("SET", "k", "w") == OK
    assert c("SET", "k", "w", "KEEPTTL") == OK
    assert c("TTL", "k") == -1
    assert c("SET", "new", "w", "KEEPTTL") == OK
    assert c("TTL", "new") == -1
    expired(c, "due")
    assert c("SET", "due", "w", "KEEPTTL") == OK
    assert c("GET", "due") == b"w"
    assert c("TTL", "due") == -1


def test_set_expires(c: Wire) -> None:
    assert c("SET", "k", "v", "PX", 20) == OK
    assert c("GET", "k") == b"v"
    time.sleep(0.03)
    assert c("GET", "k") == c.null


def test_set_with_a_deadline_that_is_over(c: Wire) -> None:
    for words in (("PXAT", 1), ("EXAT", 1)):
        assert c("SET", "k", "v") == OK
        assert c("SET", "k", "w", *words) == OK
        assert c("EXISTS", "k") == 0
        assert c("GET", "k") == c.null
    assert c("SET", "k", "w", "PXAT", 1, "GET") == c.null
    assert c("GET", "k") == c.null


def test_set_limits_of_times(c: Wire) -> None:
    c("SET", "k", "old")
    for words in (
        ("EX", 0), ("EX", -1), ("PX", 0), ("EXAT", 0), ("PXAT", -5), ("PX", INT64_MAX),
        ("EX", INT64_MAX // 1000), ("EX", INT64_MAX), ("EXAT", INT64_MAX // 1000 + 1), ("EX", -INT64_MAX - 1),
    ):  # fmt: skip
        assert c("SET", "k", "v", *words) == invalid_expire("set"), words
    for unit, text in (("EX", "x"), ("PX", "1.5"), ("EXAT", str(INT64_MAX + 1)), ("PXAT", ""), ("PX", "010")):
        assert c("SET", "k", "v", unit, text) == NOT_AN_INTEGER, text
    assert c("GET", "k") == b"old"
    assert c("SET", "k", "v", "EXAT", INT64_MAX // 1000) == OK
    assert c("SET", "k", "v", "PXAT", INT64_MAX) == OK
    assert c("PEXPIRETIME", "k") == INT64_MAX


def test_set_syntax(c: Wire) -> None:
    for words in (
        ("FOO",), ("",), ("NX", "XX"), ("XX", "NX"), ("EX",), ("NX", "PX"), ("EX", 1, "PX", 1),
        ("PX", 1, "PXAT", 1), ("EXAT", 1, "EX", 1), ("KEEPTTL", "EX", 1), ("EX", 1, "KEEPTTL"), ("PERSIST",),
        ("EX", "x", "PX", 1), ("NXX",), ("10",), ("GET", "NX", "FOO"),
    ):  # fmt: skip
        assert c("SET", "k", "v", *words) == SYNTAX_ERROR, words
    assert c("GET", "k") == c.null
    assert c("SET", "k", "v", "KEEPTTL", "KEEPTTL", "NX", "NX") == OK


def test_setnx(c: Wire, wrong: str) -> None:
    assert c("SETNX", "k", "1") == 1
    assert c("SETNX", "k", "2") == 0
    assert c("GET", "k") == b"1"
    assert c("SETNX", wrong, "2") == 0
    c("PEXPIRE", "k", 1)
    time.sleep(0.01)
    assert c("SETNX", "k", "3") == 1
    assert c("TTL", "k") == -1


@pytest.mark.parametrize(("name", "low", "high"), [("setex", 99_000, 100_000), ("psetex", 1, 100)])
def test_setex_and_psetex(c: Wire, wrong: str, name: str, low: int, high: int) -> None:
    assert c(name, wrong, 100, "v") == OK
    assert low <= c("PTTL", wrong) <= high
    assert c("GET", wrong) == b"v"
    for amount in (0, -1, INT64_MAX):
        assert c(name, "k", amount, "v") == invalid_expire(name)
    for text in ("x", "1.5", ""):
        assert c(name, "k", text, "v") == NOT_AN_INTEGER
    assert c("GET", "k") == c.null


# Several keys


def test_mset(c: Wire, wrong: str) -> None:
    c("SET", "a", "0", "EX", 100)
    assert c("MSET", "a", "1", wrong, "2", "a", "3") == OK
    assert c("MGET", "a", wrong) == [b"3", b"2"]
    assert c("TTL", "a") == -1


def test_msetnx(c: Wire, wrong: str) -> None:
    assert c("MSETNX", "a", "1", "b", "2") == 1
    assert c("MSETNX", "c", "1", "b", "3") == 0
    assert c("MSETNX", "c", "1", wrong, "3") == 0
    assert c("MGET", "a", "b", "c") == [b"1", b"2", c.null]
    assert c("MSETNX", "c", "1", "c", "2") == 1
    assert c("GET", "c") == b"2"


def test_a_key_without_a_value(c: Wire) -> None:
    for name in ("mset", "msetnx"):
        assert c(name, "a", "1", "b") == arity_error(name)
        assert c(name, "a") == arity_error(name)
    assert c("GET", "a") == c.null


# Reading and changing


def test_getset(c: Wire) -> None:
    assert c("GETSET", "k", "1") == c.null
    c("EXPIRE", "k", 100)
    assert c("GETSET", "k", "2") == b"1"
    assert c("TTL", "k") == -1
    c("INCR", "k")
    assert c("GETSET", "k", "") == b"3"
    assert c("GET", "k") == b""


def test_getdel(c: Wire) -> None:
    assert c("GETDEL", "k") == c.null
    c("SET", "k", "1")
    assert c("GETDEL", "k") == b"1"
    assert c("GETDEL", "k") == c.null
    assert c("DBSIZE") == 0


def test_getex(c: Wire) -> None:
    assert c("GETEX", "k") == c.null
    c("SET", "k", "v", "PXAT", FAR_MS)
    assert c("GETEX", "k") == b"v"
    assert c("PEXPIRETIME", "k") == FAR_MS
    assert c("GETEX", "k", "persist", "PERSIST") == b"v"
    assert c("TTL", "k") == -1
    assert c("GETEX", "k", "PERSIST") == b"v"
    assert c("GETEX", "k", "EX", 100) == b"v"
    assert 99_000 < c("PTTL", "k") <= 100_000
    assert c("GETEX", "k", "PX", 1, "PX", 5000) == b"v"
    assert 4_000 < c("PTTL", "k") <= 5_000
    assert c("GETEX", "k", "EXAT", FAR_MS // 1000) == b"v"
    assert c("PEXPIRETIME", "k") == FAR_MS
    assert c("GETEX", "k", "pxat", FAR_MS + 1) == b"v"
    assert c("PEXPIRETIME", "k") == FAR_MS + 1


@pytest.mark.parametrize("unit", ["PXAT", "EXAT"])
def test_getex_with_a_deadline_that_is_over(c: Wire, unit: str) -> None:
    c("SET", "k", "v")
    assert c("GETEX", "k", unit, 1) == b"v"
    assert c("DBSIZE") == 0


def test_getex_errors(c: Wire) -> None:
    for words in (
        ("FOO",), ("EX",), ("EX", 1, "PX", 1), ("EX", 1, "PERSIST"), ("PERSIST", "EX", 1), ("KEEPTTL",),
        ("NX",), ("GET",),
    ):  # fmt: skip
        assert c("GETEX", "k", *words) == SYNTAX_ERROR, words
    assert c("GETEX", "k", "EX", "x") == c.null  # nobody looks at the time of a missing key
    c("SET", "k", "v", "PXAT", FAR_MS)
    for amount in (0, -1, INT64_MAX):
        assert c("GETEX", "k", "EX", amount) == invalid_expire("getex")
    assert c("GETEX", "k", "PXAT", 0) == invalid_expire("getex")
    assert c("GETEX", "k", "PX", "x") == NOT_AN_INTEGER
    assert c("PEXPIRETIME", "k") == FAR_MS


def test_append(c: Wire) -> None:
    assert c("APPEND", "k", "Hello") == 5
    assert c("APPEND", "k", b" \0\xff") == 8
    assert c("GET", "k") == b"Hello \0\xff"
    assert c("APPEND", "k", "") == 8
    assert c("APPEND", "empty", "") == 0
    assert c("EXISTS", "empty") == 1
    c("INCRBY", "n", 12)
    assert c("APPEND", "n", "3") == 3
    assert c("INCR", "n") == 124
    c("EXPIREAT", "k", FAR_MS // 1000)
    c("APPEND", "k", "!")
    assert c("PEXPIRETIME", "k") == FAR_MS


def test_append_again_and_again(c: Wire) -> None:
    part = b"0123456789" * 10
    assert c.pipeline([("APPEND", "k", part)] * 100) == list(range(100, 10_001, 100))
    assert c("GET", "k") == part * 100
    assert c("GETRANGE", "k", 9_998, -1) == b"89"
    assert c("SETRANGE", "k", 9_999, "xy") == 10_001
    assert c("GETDEL", "k") == part * 99 + part[:-1] + b"xy"


def test_setrange(c: Wire) -> None:
    assert c("SETRANGE", "k", 3, "abc") == 6
    assert c("GET", "k") == b"\0\0\0abc"
    assert c("SETRANGE", "k", 0, "xyz") == 6
    assert c("SETRANGE", "k", 8, "!") == 9
    assert c("GET", "k") == b"xyzabc\0\0!"
    assert c("SETRANGE", "k", 5, "") == 9
    assert c("SETRANGE", "k", 500, "") == 9
    assert c("SETRANGE", "nothing", 500, "") == 0
    assert c("EXISTS", "nothing") == 0
    c("INCRBY", "n", 12345)
    assert c("SETRANGE", "n", 1, "99") == 5
    assert c("INCR", "n") == 19946
    c("EXPIREAT", "k", FAR_MS // 1000)
    c("SETRANGE", "k", 0, "a")
    assert c("PEXPIRETIME", "k") == FAR_MS
    assert c("SETRANGE", "k", -1, "a") == Error("ERR offset is out of range")
    for text in ("x", "1.5", "", str(INT64_MAX + 1)):
        assert c("SETRANGE", "k", text, "a") == NOT_AN_INTEGER


def test_strings_do_not_grow_without_limit(c: Wire) -> None:
    assert c("SETRANGE", "k", 536_870_912, "x") == TOO_LONG
    assert c("SETRANGE", "k", INT64_MAX, "x") == TOO_LONG
    assert c("SETRANGE", "k", INT64_MAX, "") == 0
    assert c("CONFIG", "SET", "proto-max-bulk-len", "1mb") == OK
    assert c("SETRANGE", "k", 1_048_575, "x") == 1_048_576
    assert c("SETRANGE", "k", 1_048_575, "xy") == TOO_LONG
    assert c("APPEND", "k", "x") == TOO_LONG
    assert c("APPEND", "k", "") == 1_048_576
    assert c("STRLEN", "k") == 1_048_576


@pytest.mark.parametrize(
    "command",
    [
        "GET list", "STRLEN list", "GETRANGE list 0 1", "SUBSTR list 0 1", "GETSET list v", "GETDEL list",
        "GETEX list", "GETEX list EX x", "GETEX list EX 0", "SET list v GET", "APPEND list v",
        "SETRANGE list 0 v",
    ],
)  # fmt: skip
def test_wrong_type(c: Wire, wrong: str, command: str) -> None:
    assert c(*command.split()) == WRONGTYPE
    assert c("LRANGE", wrong, 0, -1) == [b"a"]


def test_setrange_of_nothing_still_checks_the_type(c: Wire, wrong: str) -> None:
    assert c("SETRANGE", wrong, 0, "") == WRONGTYPE


@pytest.mark.parametrize(
    "command",
    [
        "get", "get a b", "set", "set a", "setnx a", "setnx a b c", "setex a 1", "setex a 1 b c",
        "psetex a 1", "getset a", "getset a b c", "getex", "getdel", "getdel a b", "mget", "mset", "mset a",
        "msetnx a", "append a", "append a b c", "strlen", "strlen a b", "getrange a 0", "getrange a 0 1 2",
        "substr a 0", "setrange a 0", "setrange a 0 b c",
    ],
)  # fmt: skip
def test_arity(c: Wire, command: str) -> None:
    assert c(*command.split()) == arity_error(command.split()[0])


def test_encodings(c: Wire) -> None:
    def encoding() -> object:
        return c("OBJECT", "ENCODING", "k")

    c("SET", "k", "12")
    assert encoding() == b"int"
    c("APPEND", "k", "3")
    assert encoding() == b"raw"
    c("INCR", "k")
    assert encoding() == b"int"
    c("SET", "k", "abc")
    assert encoding() == b"embstr"
    c("SETRANGE", "k", 0, "x")
    assert encoding() == b"raw"
