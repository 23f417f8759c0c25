"""Numbers in arguments. What is accepted and refused was asked of redis-server."""

from __future__ import annotations

import math

import pytest

from respcache.commands.arguments import INT64_MAX, INT64_MIN, as_integer, double, integer, long_double
from respcache.protocol.errors import MUST_BE_POSITIVE, ReplyError
from respcache.store import longdouble

INTEGERS = [
    (b"0", 0), (b"7", 7), (b"-7", -7), (b"10", 10),
    (b"9223372036854775807", INT64_MAX), (b"-9223372036854775808", INT64_MIN),
]  # fmt: skip
NO_INTEGERS = [
    b"", b"-", b"+1", b"-0", b"01", b"-01", b"1.0", b"1e3", b"0x1", b" 1", b"1 ", b"1\n", b"1_0", b"a",
    b"1\0", b"9223372036854775808", b"-9223372036854775809", b"9" * 5000, "٣".encode(), b"\xff",
]  # fmt: skip


@pytest.mark.parametrize(("word", "value"), INTEGERS)
def test_integers(word: bytes, value: int) -> None:
    assert integer(word) == value
    assert as_integer(word) == value


@pytest.mark.parametrize("word", NO_INTEGERS)
def test_only_canonical_integers(word: bytes) -> None:
    with pytest.raises(ReplyError, match="ERR value is not an integer or out of range"):
        integer(word)
    assert as_integer(word) is None


def test_an_integer_out_of_bounds_raises_the_error_given() -> None:
    assert integer(b"0", MUST_BE_POSITIVE, low=0, high=5) == 0
    for word in (b"-1", b"6", b"x"):
        with pytest.raises(ReplyError, match="must be positive"):
            integer(word, MUST_BE_POSITIVE, low=0, high=5)


@pytest.mark.parametrize(
    ("word", "value"),
    [
        (b"1", 1.0), (b"+1", 1.0), (b"-1.5", -1.5), (b".5", 0.5), (b"5.", 5.0), (b"1e3", 1e3),
        (b"1E-3", 1e-3), (b"007", 7.0), (b"0x10", 16.0), (b"0X.8", 0.5), (b"0x1p-3", 0.125),
        (b"-0x1P2", -4.0), (b"0x0p-5000", 0.0), (b"0e5000", 0.0), (b"5e-324", 5e-324),
        (b"1.7976931348623157e308", 1.7976931348623157e308), (b"inf", math.inf), (b"+inf", math.inf),
        (b"-Infinity", -math.inf), (b"INF", math.inf),
    ],
)  # fmt: skip
def test_doubles(word: bytes, value: float) -> None:
    assert double(word) == value


def test_a_double_may_be_minus_zero() -> None:
    assert math.copysign(1, double(b"-0")) == -1


@pytest.mark.parametrize(
    "word",
    [
        b"", b".", b"-", b"e5", b"1e", b" 1", b"1 ", b"1\n", b"1\0", b"1_0", b"--1", b"0x", b"0x.", b"0x1p",
        b"nan", b"-nan", b"nan(1)", b"infin", b"1e400", b"-1e400", b"1e-400", b"0x1p1024", b"0x1p-1080",
        "٣".encode(), b"\xff",
    ],
)  # fmt: skip
def test_other_doubles_are_refused(word: bytes) -> None:
    with pytest.raises(ReplyError, match="ERR value is not a valid float"):
        double(word)


def test_long_doubles() -> None:
    assert long_double(b"1.5") == longdouble.parse(b"1.5")
    assert long_double(b"-inf") == -longdouble.INFINITY
    assert len(longdouble.to_text(long_double(b"1e4000"))) == 4000  # a little less
    with pytest.raises(ReplyError, match="ERR value is not a valid float"):
        long_double(b"1e5000")
    with pytest.raises(ReplyError, match="must be positive"):
        long_double(b"x", MUST_BE_POSITIVE)
