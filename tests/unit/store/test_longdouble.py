"""Long doubles. The expected texts were printed by the C library of x86-64, through INCRBYFLOAT."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from respcache.store.longdouble import INFINITY, MAX_TEXT, add, parse, to_text

LARGEST = b"1.189731495357231765e4932"
SMALLEST = b"3.6451995318824746025e-4951"


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        (b"0", b"0"),
        (b"-0", b"0"),
        (b"+5", b"5"),
        (b"007", b"7"),
        (b".5", b"0.5"),
        (b"5.", b"5"),
        (b"3.0e3", b"3000"),
        (b"3E+3", b"3000"),
        (b"0.1", b"0.1"),
        (b"-2.50", b"-2.5"),
        (b"0x10", b"16"),
        (b"-0X.8p+1", b"-1"),
        (b"0x1p-3", b"0.125"),
        (b"1e17", b"100000000000000000"),
        (b"1e-17", b"0.00000000000000001"),
        (b"1e-18", b"0"),
        (b"-1e-18", b"0"),
        (b"0x1p-18", b"0.00000381469726562"),  # a tie in the 18th decimal
        (b"3.141592653589793238", b"3.14159265358979324"),
        (b"18446744073709551615", b"18446744073709551615"),
        (b"18446744073709551617", b"18446744073709551616"),  # ties go to the even mantissa
        (b"18446744073709551619", b"18446744073709551620"),
        (b"0e999999999999", b"0"),
        (b"0" * 5000 + b"1", b"1"),
        (b"0." + b"0" * 4989 + b"1e4990", b"1"),
        (SMALLEST, b"0"),
    ],
)
def test_texts_are_read_and_printed(text: bytes, printed: bytes) -> None:
    assert to_text(parse(text)) == printed


@pytest.mark.parametrize(
    "text",
    [
        b"", b".", b"-", b"+", b" 1", b"1 ", b"1\n", b"1\0", b"--1", b"1_0", b"1e", b"1e+", b"e5", b"0x",
        b"0x.", b"0x1p", b"nan", b"-nan", b"infin", b"1e4933", b"1.1897314953572318e4932", b"1e99999999999",
        b"1.8e-4951", b"1e-5000", b"1e-99999999999", b"0x1p16384", b"0x1p-16447", b"0x1p99999999999",
        b"1" * MAX_TEXT, "٣".encode(),
    ],
)  # fmt: skip
def test_other_texts_are_refused(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"number|range"):
        parse(text)


def test_infinities() -> None:
    assert [parse(text) for text in (b"inf", b"+INF", b"Infinity")] == [INFINITY] * 3
    assert parse(b"-inf") == -INFINITY


def test_the_largest_number_has_all_its_digits() -> None:
    printed = to_text(parse(LARGEST))
    assert len(printed) == 4933
    assert printed.startswith(b"11897314953572317650")
    assert to_text(-parse(LARGEST)) == b"-" + printed


def test_the_smallest_number_is_one_unit() -> None:
    assert parse(SMALLEST) == parse(b"0x1p-16445") == 1
    assert parse(b"1.9e-4951") == 1
    assert parse(b"0x3p-16446") == 2  # 1.5 units: a tie


@pytest.mark.parametrize(
    ("one", "other", "total"),
    [
        (b"0.1", b"0.2", b"0.3"),
        (b"10.5", b"0.1", b"10.6"),
        (b"1e17", b"1", b"100000000000000001"),
        (b"1e19", b"0.5", b"10000000000000000000"),
        (b"18446744073709551615", b"0.5", b"18446744073709551616"),
        (b"-18446744073709551615", b"-0.5", b"-18446744073709551616"),
        (b"5", b"-5", b"0"),
        (b"1e300", b"-1e300", b"0"),
    ],
)
def test_sums(one: bytes, other: bytes, total: bytes) -> None:
    assert to_text(add(parse(one), parse(other))) == total


@pytest.mark.parametrize(
    ("one", "other"),
    [(b"inf", b"1"), (b"1", b"-inf"), (b"inf", b"-inf"), (b"inf", b"inf"), (LARGEST, LARGEST)],
)
def test_sums_that_are_no_finite_numbers(one: bytes, other: bytes) -> None:
    with pytest.raises(OverflowError):
        add(parse(one), parse(other))


@given(st.floats(allow_nan=False, allow_infinity=False, allow_subnormal=False))
def test_a_double_is_a_long_double(value: float) -> None:
    """All doubles are exact; those not too small read back after they were printed."""
    assert parse(value.hex().encode()) == parse(b"%d" % value if value.is_integer() else value.hex().encode())
    if value == 0 or abs(value) >= 1:
        assert float(to_text(parse(value.hex().encode()))) == value


@given(st.integers(-(1 << 63), (1 << 63) - 1), st.integers(-(1 << 63), (1 << 63) - 1))
def test_sums_of_integers_are_exact_up_to_64_bits(one: int, other: int) -> None:
    total = add(parse(b"%d" % one), parse(b"%d" % other))
    if abs(one + other) < 1 << 64:
        assert to_text(total) == b"%d" % (one + other)
    assert total == add(parse(b"%d" % other), parse(b"%d" % one))


@given(st.integers(0, 1 << 200), st.integers(-300, 300))
def test_reading_rounds_to_64_bits(mantissa: int, power: int) -> None:
    value = parse(b"0x%xp%d" % (mantissa, power))
    assert value.bit_length() - (value & -value).bit_length() < 64 or value == 0
    exact = mantissa << power + 16445
    assert abs(value - exact) << 64 <= exact
