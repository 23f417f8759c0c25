"""Reading arguments: the numbers of Redis, each with the error it raises."""

from __future__ import annotations

import math
import re

from respcache.protocol.errors import (
    NOT_FLOAT,
    NOT_INTEGER,
    TIMEOUT_NEGATIVE,
    TIMEOUT_NOT_FLOAT,
    TIMEOUT_NOT_INTEGER,
    TIMEOUT_RANGE,
    ReplyError,
)
from respcache.store import longdouble

INT64_MIN = -(1 << 63)
INT64_MAX = (1 << 63) - 1

_DOUBLE = re.compile(
    rb"[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|0[xX](?:[0-9a-fA-F]+\.?[0-9a-fA-F]*|\.[0-9a-fA-F]+)(?:[pP][+-]?\d+)?"
    rb"|[iI][nN][fF](?:[iI][nN][iI][tT][yY])?)"
)


def integer(word: bytes, error: ReplyError = NOT_INTEGER, low: int = INT64_MIN, high: int = INT64_MAX) -> int:
    """A decimal integer in Redis's only form: no `+`, no blanks, no leading zeros. Raises `error`."""
    if len(word) > 20:
        raise error
    try:
        value = int(word)
    except ValueError:
        raise error from None
    if b"%d" % value != word or not low <= value <= high:
        raise error
    return value


def as_integer(word: bytes) -> int | None:
    """The 64-bit integer that a string is the canonical text of, or None."""
    if len(word) > 20:
        return None
    try:
        value = int(word)
    except ValueError:
        return None
    return value if b"%d" % value == word and INT64_MIN <= value <= INT64_MAX else None


def double(word: bytes, error: ReplyError = NOT_FLOAT) -> float:
    """A double as C's strtod reads it, hexadecimal or infinite too; NaN, overflow and underflow raise."""
    if not _DOUBLE.fullmatch(word):
        raise error
    lower = word.lower()
    if b"x" in lower:
        try:
            value = float.fromhex(lower.decode())
        except OverflowError:
            raise error from None
        if value == 0 and re.search(rb"[1-9a-f]", lower.split(b"p")[0].partition(b"x")[2]):
            raise error
        return value
    value = float(lower)
    if math.isinf(value) and b"inf" not in lower:
        raise error
    if value == 0 and re.search(rb"[1-9]", lower.split(b"e")[0]):
        raise error
    return value


def long_double(word: bytes, error: ReplyError = NOT_FLOAT) -> int:
    """A long double as C's strtold reads it, in units of `store.longdouble`; it may be infinite."""
    try:
        return longdouble.parse(word)
    except ValueError:
        raise error from None


def timeout(word: bytes) -> int:
    """The timeout of a blocking command that takes seconds, in milliseconds; 0 is for ever. Raises Redis's errors."""
    exact = double(word, TIMEOUT_NOT_FLOAT) * 1000
    if exact > INT64_MAX:
        raise TIMEOUT_RANGE
    if exact <= -1:
        raise TIMEOUT_NEGATIVE
    return math.ceil(exact)


def timeout_ms(word: bytes) -> int:
    """The timeout of a command that takes milliseconds; 0 is for ever. Raises Redis's errors."""
    return integer(word, TIMEOUT_NEGATIVE if word[:1] == b"-" and word[1:].isdigit() else TIMEOUT_NOT_INTEGER, low=0)
