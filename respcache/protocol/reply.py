"""Encoded replies. Handlers return these bytes; nothing guesses a reply's type from a Python value.

What RESP2 and RESP3 write alike is a constant or a function here. What they write differently is an attribute or a
method of `Resp`, of which there are two objects, `RESP2` and `RESP3`; a client holds one of them as `c.resp`.
Source: the RESP specification and `redis-server` 7.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence

OK = b"+OK\r\n"
PONG = b"+PONG\r\n"
QUEUED = b"+QUEUED\r\n"
EMPTY_BULK = b"$0\r\n\r\n"
EMPTY_ARRAY = b"*0\r\n"
ZERO = b":0\r\n"
ONE = b":1\r\n"

CRLF = b"\r\n"
HEADERS = tuple(b"$%d\r\n" % size for size in range(1024))
"""The headers of short bulk strings: adding up three pieces is faster than formatting (74 ns to 94)."""

_NEXT_HEADERS = tuple(CRLF + header for header in HEADERS)
"""The same, with the end of what stands before."""


def bulk(value: bytes | bytearray) -> bytes:
    """A bulk string."""
    size = len(value)
    if size < 1024:
        return HEADERS[size] + value + CRLF
    return b"".join((b"$%d\r\n" % size, value, CRLF))


def text(value: str) -> bytes:
    """A bulk string of UTF-8 text."""
    return bulk(value.encode())


def integer(value: int) -> bytes:
    """An integer; the caller keeps it within 64 bits."""
    return b":%d\r\n" % value


def status(value: bytes) -> bytes:
    """A simple string, without CR or LF in it."""
    return b"+%b\r\n" % value


def array(items: Sequence[bytes]) -> bytes:
    """An array of encoded replies."""
    return b"*%d\r\n%b" % (len(items), b"".join(items))


def bulks(values: Iterable[bytes]) -> bytes:
    """An array of bulk strings.

    30 ns for each, 10 if all are of one size: then the header is what joins them (100 with `bulk` and `array`).
    """
    items = values if isinstance(values, list | tuple) else list(values)
    count = len(items)
    if not count:
        return EMPTY_ARRAY
    size = len(items[0])
    if size < 1024 and size == len(items[-1]) and len(set(map(len, items))) == 1:
        header = _NEXT_HEADERS[size]
        return b"*%d%b%b\r\n" % (count, header, header.join(items))
    try:
        body = b"".join([_NEXT_HEADERS[len(item)] + item for item in items])
    except IndexError:
        body = b"".join([b"\r\n$%d\r\n%b" % (len(item), item) for item in items])
    return b"*%d%b\r\n" % (count, body)


def format_double(value: float) -> bytes:
    """A double as Redis 7.2 and newer print one: integral values in full, else the shortest digits that read back.

    >>> format_double(3.0), format_double(0.1), format_double(1e-7), format_double(1e20)
    (b'3', b'0.1', b'1e-7', b'1e+20')
    """
    if -1e15 < value < 1e15:
        nearest = int(value)
        if nearest == value and (nearest or math.copysign(1, value) > 0):
            return b"%d" % nearest
        if 1e-3 <= value < 1e4 or -1e4 < value <= -1e-3:
            return repr(value).encode()  # Python's digits are the shortest too, and have no exponent here
    if math.isnan(value):
        return b"nan"
    if math.isinf(value):
        return b"inf" if value > 0 else b"-inf"
    if value == 0:
        return b"-0" if math.copysign(1, value) < 0 else b"0"
    if value.is_integer() and abs(value) <= 1 << 62:
        return b"%d" % int(value)
    mantissa, _, exponent = f"{value!r}".partition("e")
    sign = "-" if mantissa[0] == "-" else ""
    whole, _, fraction = mantissa.lstrip("-").partition(".")
    if fraction == "0":
        fraction = ""
    digits = (whole + fraction).lstrip("0")
    power = int(exponent or 0) - len(fraction)  # value = digits x 10^power
    stripped = digits.rstrip("0")
    power += len(digits) - len(stripped)
    digits = stripped
    size = len(digits)
    point = power + size  # where the decimal point stands, counted from the first digit
    magnitude = abs(point - 1)
    if power >= 0 and magnitude < size + 7:
        return (sign + digits + "0" * power).encode()
    if power < 0 and (power > -7 or magnitude < 4):
        if point <= 0:
            return (sign + "0." + "0" * -point + digits).encode()
        return (sign + digits[:point] + "." + digits[point:]).encode()
    tail = "." + digits[1:] if size > 1 else ""
    return f"{sign}{digits[0]}{tail}e{'-' if point < 1 else '+'}{magnitude}".encode()


class Resp(ABC):
    """What the two protocol versions write differently."""

    __slots__ = ("false", "null", "null_array", "true", "version")

    version: int
    null: bytes
    """The absent bulk string."""
    null_array: bytes
    """The absent array."""
    true: bytes
    false: bytes

    @abstractmethod
    def map(self, pairs: Sequence[bytes]) -> bytes:
        """A map from encoded replies: key, value, key, value..."""

    @abstractmethod
    def set(self, items: Sequence[bytes]) -> bytes:
        """A set of encoded replies."""

    @abstractmethod
    def push(self, items: Sequence[bytes]) -> bytes:
        """An out-of-band message of encoded replies."""

    @abstractmethod
    def double(self, value: float) -> bytes:
        """A floating point number."""

    @abstractmethod
    def verbatim(self, value: bytes, kind: bytes = b"txt") -> bytes:
        """Text meant for a person, of a three-letter kind."""


class _Resp2(Resp):
    __slots__ = ()

    def __init__(self) -> None:
        self.version = 2
        self.null = b"$-1\r\n"
        self.null_array = b"*-1\r\n"
        self.true = ONE
        self.false = ZERO

    def map(self, pairs: Sequence[bytes]) -> bytes:
        return array(pairs)

    def set(self, items: Sequence[bytes]) -> bytes:
        return array(items)

    def push(self, items: Sequence[bytes]) -> bytes:
        return array(items)

    def double(self, value: float) -> bytes:
        if 0 < value < 1e15 and value.is_integer():  # most scores are counts or times
            digits = b"%d" % value
            return HEADERS[len(digits)] + digits + CRLF
        return bulk(format_double(value))

    def verbatim(self, value: bytes, kind: bytes = b"txt") -> bytes:
        return bulk(value)


class _Resp3(Resp):
    __slots__ = ()

    def __init__(self) -> None:
        self.version = 3
        self.null = b"_\r\n"
        self.null_array = b"_\r\n"
        self.true = b"#t\r\n"
        self.false = b"#f\r\n"

    def map(self, pairs: Sequence[bytes]) -> bytes:
        return b"%%%d\r\n%b" % (len(pairs) // 2, b"".join(pairs))

    def set(self, items: Sequence[bytes]) -> bytes:
        return b"~%d\r\n%b" % (len(items), b"".join(items))

    def push(self, items: Sequence[bytes]) -> bytes:
        return b">%d\r\n%b" % (len(items), b"".join(items))

    def double(self, value: float) -> bytes:
        return b",%b\r\n" % format_double(value)

    def verbatim(self, value: bytes, kind: bytes = b"txt") -> bytes:
        return b"=%d\r\n%b:%b\r\n" % (len(value) + 4, kind, value)


RESP2: Resp = _Resp2()
RESP3: Resp = _Resp3()
