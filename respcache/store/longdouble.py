"""Long doubles: the 80-bit floating point numbers of x86-64, which INCRBYFLOAT and HINCRBYFLOAT compute
with.

A long double has 64 significant bits and a bounded exponent, so each finite one is a multiple of 2^-16445.
Here it is an `int`, the number of those units: exact, and rounding is the only operation left to write. The
infinities are the first values too large to be finite, `INFINITY` and `-INFINITY`.
Source: the x87 extended format; C's strtold and `%.17Lf`, all of which round to nearest, ties to even.
"""

from __future__ import annotations

import re

PRECISION = 64
_UNIT_BITS = 16445
_HALF = 1 << (_UNIT_BITS - 1)

INFINITY = 1 << (_UNIT_BITS + 16384)

MAX_TEXT = 5 * 1024
"""A text of so many bytes or more is not read as a number."""

_DIGITS = 17
"""Decimals printed, before zeros at the end are dropped."""

_NUMBER = re.compile(
    rb"([+-]?)(?:(\d+\.?\d*|\.\d+)(?:[eE]([+-]?\d+))?"
    rb"|0[xX]([0-9a-fA-F]+\.?[0-9a-fA-F]*|\.[0-9a-fA-F]+)(?:[pP]([+-]?\d+))?"
    rb"|([iI][nN][fF](?:[iI][nN][iI][tT][yY])?))"
)


def parse(text: bytes) -> int:
    """The nearest long double, as strtold reads it: decimal, hexadecimal or infinite.

    Raises ValueError for anything else, blanks and NaN included, and for a number that is too large or that
    rounds to zero without being zero.
    """
    found = _NUMBER.fullmatch(text) if len(text) < MAX_TEXT else None
    if found is None:
        raise ValueError("not a number")
    sign, decimal, power_of_ten, hexadecimal, power_of_two, infinity = found.groups()
    if infinity:
        value = INFINITY
    elif decimal is not None:
        value = _decimal(decimal, _exponent(power_of_ten))
    else:
        value = _hexadecimal(hexadecimal, _exponent(power_of_two))
    return -value if sign == b"-" else value


def add(one: int, other: int) -> int:
    """The sum. Raises OverflowError if it is infinite or, of opposite infinities, not a number."""
    total = one + other
    value = -_round(-total, _UNIT_BITS) if total < 0 else _round(total, _UNIT_BITS)
    if abs(value) >= INFINITY or abs(one) >= INFINITY or abs(other) >= INFINITY:
        raise OverflowError("neither finite nor infinite sums are wanted")
    return value


def to_text(value: int) -> bytes:
    """A finite long double as `%.17Lf` prints it, without zeros at the end, and without the sign of -0.

    >>> to_text(add(parse(b"0.1"), parse(b"0.2"))), to_text(parse(b"3.0e3"))
    (b'0.3', b'3000')
    """
    scaled = abs(value) * 10**_DIGITS
    whole = scaled >> _UNIT_BITS
    rest = scaled - (whole << _UNIT_BITS)
    if rest > _HALF or (rest == _HALF and whole & 1):
        whole += 1
    whole, fraction = divmod(whole, 10**_DIGITS)
    printed = _print(whole)
    if fraction:
        printed += b".%017d" % fraction
        printed = printed.rstrip(b"0")
    return b"-" + printed if value < 0 and printed != b"0" else printed


def _fraction(numerator: int, denominator: int) -> int:
    """The long double nearest to a positive fraction.

    The quotient is taken with two bits to spare where there are such: the last one only says that there is a
    remainder, which decides what is a tie.
    """
    shift = PRECISION + 2 + denominator.bit_length() - numerator.bit_length()
    if shift >= _UNIT_BITS:  # so small that whole units are coarser than 64 bits
        shift = _UNIT_BITS + 2
    if shift > 0:
        numerator <<= shift
    else:
        denominator <<= -shift
    quotient, rest = divmod(numerator, denominator)
    return _round(quotient | (rest > 0), shift)


def _round(value: int, shift: int) -> int:
    """The long double nearest to value / 2^shift, which is positive."""
    spare = max(value.bit_length() - PRECISION, shift - _UNIT_BITS)
    if spare > 0:
        kept = value >> spare
        rest = value - (kept << spare)
        half = 1 << (spare - 1)
        value = kept + 1 if rest > half or (rest == half and kept & 1) else kept
        shift -= spare
    return value << (_UNIT_BITS - shift)


def _decimal(digits: bytes, exponent: int) -> int:
    whole, _, fraction = digits.partition(b".")
    digits = (whole + fraction).lstrip(b"0")
    if not digits:
        return 0
    exponent -= len(fraction)
    if not -5000 < len(digits) + exponent < 5000:  # far outside; the powers below would be huge
        raise ValueError("out of range")
    number = _read(digits)
    return _checked(_fraction(number * 10**exponent, 1) if exponent > 0 else _fraction(number, 10**-exponent))


def _hexadecimal(digits: bytes, exponent: int) -> int:
    whole, _, fraction = digits.partition(b".")
    number = int(whole + fraction, 16)
    if not number:
        return 0
    exponent -= 4 * len(fraction)
    if not -2 * _UNIT_BITS < number.bit_length() + exponent < 2 * _UNIT_BITS:
        raise ValueError("out of range")
    return _checked(_round(number << exponent, 0) if exponent > 0 else _round(number, -exponent))


def _checked(value: int) -> int:
    if value == 0 or value >= INFINITY:
        raise ValueError("out of range")
    return value


def _exponent(text: bytes | None) -> int:
    if text is None:
        return 0
    sign, digits = text[:1], text.lstrip(b"+-").lstrip(b"0")
    value = int(digits or b"0") if len(digits) < 9 else 10**9
    return -value if sign == b"-" else value


# Python refuses to convert more than 4300 digits at once, a guard against quadratic time.
_CHUNK = 4000
_FIRST_LONG = 10**_CHUNK


def _read(digits: bytes) -> int:
    value = 0
    for start in range(0, len(digits), _CHUNK):
        part = digits[start : start + _CHUNK]
        value = value * 10 ** len(part) + int(part)
    return value


def _print(value: int) -> bytes:
    if value < _FIRST_LONG:
        return b"%d" % value
    above, below = divmod(value, _FIRST_LONG)
    return b"%d%0*d" % (above, _CHUNK, below)
