"""Counters: INCR, DECR, INCRBY, DECRBY, INCRBYFLOAT."""

from __future__ import annotations

import pytest

from tests.wire import NOT_A_FLOAT, NOT_AN_INTEGER, OK, WRONGTYPE, Error, Wire, arity_error

OVERFLOW = Error("ERR increment or decrement would overflow")
NAN_OR_INFINITY = Error("ERR increment would produce NaN or Infinity")
INT64_MAX = (1 << 63) - 1
INT64_MIN = -(1 << 63)
FAR_MS = 4_102_444_800_000  # the year 2100


def test_counting(c: Wire) -> None:
    assert c("INCR", "k") == 1
    assert c("INCRBY", "k", 41) == 42
    assert c("DECR", "k") == 41
    assert c("DECRBY", "k", 50) == -9
    assert c("INCRBY", "k", -1) == -10
    assert c("DECRBY", "k", -11) == 1
    assert c("GET", "k") == b"1"
    assert c("DECR", "new") == -1
    assert c("DECRBY", "other", 0) == 0
    assert c("GET", "other") == b"0"


def test_counting_keeps_the_time_to_live(c: Wire) -> None:
    c("SET", "k", "5", "PXAT", FAR_MS)
    assert c("INCR", "k") == 6
    assert c("DECRBY", "k", 2) == 4
    assert c("INCRBYFLOAT", "k", "0.5") == b"4.5"
    assert c("PEXPIRETIME", "k") == FAR_MS


@pytest.mark.parametrize(
    "text", ["", " 1", "1 ", "+1", "01", "-0", "1.0", "1e3", "abc", "0x1", str(INT64_MAX + 1)]
)
def test_what_is_no_integer_is_not_counted(c: Wire, text: str) -> None:
    c("SET", "k", text)
    for words in (("INCR", "k"), ("DECR", "k"), ("INCRBY", "k", 1), ("DECRBY", "k", 1)):
        assert c(*words) == NOT_AN_INTEGER
    for name in ("INCRBY", "DECRBY"):
        assert c(name, "n", text) == NOT_AN_INTEGER
    assert c("GET", "k") == text.encode()
    assert c("EXISTS", "n") == 0


def test_overflow(c: Wire) -> None:
    c("SET", "k", INT64_MAX)
    assert c("INCR", "k") == OVERFLOW
    assert c("INCRBY", "k", INT64_MAX) == OVERFLOW
    assert c("DECRBY", "k", -1) == OVERFLOW
    assert c("INCRBY", "k", INT64_MIN) == -1
    assert c("INCRBY", "k", INT64_MIN) == OVERFLOW
    assert c("DECRBY", "k", INT64_MAX) == INT64_MIN
    assert c("DECR", "k") == OVERFLOW
    assert c("DECRBY", "k", INT64_MIN) == Error("ERR decrement would overflow")
    assert c("GET", "k") == str(INT64_MIN).encode()


@pytest.mark.parametrize(
    ("start", "by", "total"),
    [
        ("10.50", "0.1", "10.6"),
        ("5.0e3", "200", "5200"),
        ("0.1", "0.2", "0.3"),
        ("3", "1.1", "4.1"),
        ("1", "-1", "0"),
        ("-0", "-0", "0"),
        ("1", "-1.5", "-0.5"),
        ("0x10", "0x.8p1", "17"),
        ("1e17", "1", "100000000000000001"),
        ("0", "1e-18", "0"),
        ("0", "3.141592653589793238", "3.14159265358979324"),
        ("17179869184", "1.5", "17179869185.5"),
        ("9223372036854775807", "1", "9223372036854775808"),
        ("18446744073709551615", "0.5", "18446744073709551616"),
        ("1e300", "1", None),
        ("1e4000", "-1e4000", "0"),
    ],
)
def test_incrbyfloat(c: Wire, start: str, by: str, total: str | None) -> None:
    c("SET", "k", start)
    reply = c("INCRBYFLOAT", "k", by)
    assert c("GET", "k") == reply
    if total is None:
        assert len(reply) == 301
    else:
        assert reply == total.encode()


def test_incrbyfloat_of_nothing(c: Wire) -> None:
    assert c("INCRBYFLOAT", "k", "1.5") == b"1.5"
    assert c("INCRBYFLOAT", "k", "1.5") == b"3"
    assert c("INCR", "k") == 4
    assert c("INCRBYFLOAT", "k", "-.5") == b"3.5"


@pytest.mark.parametrize(
    "text",
    ["", " 1", "1 ", "x", "1x", "nan", "-nan", "1e", "0x", "1e5000", "1e-5000", b"1\0", "1,5", "9" * 5120],
)
def test_what_is_no_number_is_not_added(c: Wire, text: str | bytes) -> None:
    assert c("INCRBYFLOAT", "n", text) == NOT_A_FLOAT
    assert c("EXISTS", "n") == 0
    c("SET", "k", text)
    assert c("INCRBYFLOAT", "k", "1") == NOT_A_FLOAT
    assert c("INCRBYFLOAT", "k", "x") == NOT_A_FLOAT
    assert c("GET", "k") == (text.encode() if isinstance(text, str) else text)


def test_infinite_sums(c: Wire) -> None:
    for by in ("inf", "-inf", "+Infinity"):
        assert c("INCRBYFLOAT", "k", by) == NAN_OR_INFINITY
    assert c("SET", "k", "inf") == OK
    assert c("INCRBYFLOAT", "k", "1") == NAN_OR_INFINITY
    assert c("INCRBYFLOAT", "k", "-inf") == NAN_OR_INFINITY
    c("SET", "k", "1.1e4932")
    assert c("INCRBYFLOAT", "k", "1.1e4932") == NAN_OR_INFINITY
    assert c("GET", "k") == b"1.1e4932"


@pytest.mark.needs("rpush")
def test_wrong_type(c: Wire) -> None:
    c("RPUSH", "list", "a")
    for command in ("INCR list", "DECR list", "INCRBY list 1", "DECRBY list 1", "INCRBYFLOAT list 1"):
        assert c(*command.split()) == WRONGTYPE
    assert c("INCRBY", "list", "x") == NOT_AN_INTEGER
    assert c("DECRBY", "list", INT64_MIN) == Error("ERR decrement would overflow")
    assert c("INCRBYFLOAT", "list", "x") == WRONGTYPE


@pytest.mark.parametrize(
    "command",
    [
        "incr",
        "incr a b",
        "decr",
        "decr a b",
        "incrby a",
        "incrby a 1 2",
        "decrby a",
        "decrby a 1 2",
        "incrbyfloat a",
    ],
)
def test_arity(c: Wire, command: str) -> None:
    assert c(*command.split()) == arity_error(command.split()[0])
