"""Counters: strings that are numbers.

Integers are stored as `int` from the first increment on, so the next one need not read digits. What is not an
integer stays text: INCRBYFLOAT stores what it replies.
"""

from __future__ import annotations

from respcache.commands.arguments import INT64_MAX, INT64_MIN, as_integer, long_double
from respcache.commands.arguments import integer as parse_integer
from respcache.commands.strings import string
from respcache.keyspec import key
from respcache.protocol.errors import DECREMENT_OVERFLOW, NAN_OR_INFINITY, NOT_INTEGER, OVERFLOW
from respcache.protocol.reply import bulk, integer
from respcache.registry import BRIEF, DENYOOM, FAST, WRITE, command
from respcache.state import Client
from respcache.store import longdouble
from respcache.store.events import INCRBY, INCRBYFLOAT


def increment(c: Client, key: bytes, by: int) -> bytes:
    """Adds to the integer at a key, 0 if the key is missing. Raises for what is no integer or overflows."""
    value = c.db.peek(key)
    if type(value) is not int:
        if value is None:
            value = 0
        else:
            value = as_integer(string(value))
            if value is None:
                raise NOT_INTEGER
    value += by
    if not INT64_MIN <= value <= INT64_MAX:
        raise OVERFLOW
    c.db.update(key, value, INCRBY)
    return integer(value)


@command(WRITE | DENYOOM | FAST | BRIEF, group="string", keys=key("RW ACCESS UPDATE"), syntax="key:key")
def incr(c: Client, key: bytes) -> bytes:
    """Adds one to the integer at a key. O(1). Since 1.0.0."""
    value = c.db.peek(key)
    if type(value) is int and value < INT64_MAX:  # what `increment` would do, without its calls
        value += 1
        c.db.update(key, value, INCRBY)
        return b":%d\r\n" % value
    return increment(c, key, 1)


@command(WRITE | DENYOOM | FAST | BRIEF, group="string", keys=key("RW ACCESS UPDATE"), syntax="key:key")
def decr(c: Client, key: bytes) -> bytes:
    """Takes one from the integer at a key. O(1). Since 1.0.0."""
    return increment(c, key, -1)


@command(
    WRITE | DENYOOM | FAST | BRIEF,
    group="string",
    keys=key("RW ACCESS UPDATE"),
    syntax="key:key increment:integer",
)
def incrby(c: Client, key: bytes, increment_: bytes) -> bytes:
    """Adds to the integer at a key. O(1). Since 1.0.0."""
    return increment(c, key, parse_integer(increment_))


@command(
    WRITE | DENYOOM | FAST | BRIEF,
    group="string",
    keys=key("RW ACCESS UPDATE"),
    syntax="key:key decrement:integer",
)
def decrby(c: Client, key: bytes, decrement: bytes) -> bytes:
    """Takes from the integer at a key. O(1). Since 1.0.0."""
    by = parse_integer(decrement)
    if by == INT64_MIN:
        raise DECREMENT_OVERFLOW
    return increment(c, key, -by)


@command(
    WRITE | DENYOOM | FAST | BRIEF,
    group="string",
    keys=key("RW ACCESS UPDATE"),
    syntax="key:key increment:double",
)
def incrbyfloat(c: Client, key: bytes, increment_: bytes) -> bytes:
    """Adds to the number at a key, as a long double, and replies it. O(1). Since 2.6.0."""
    old = c.db.peek(key)
    number = 0 if old is None else long_double(string(old))  # a wrong type goes first, as in Redis
    try:
        new = longdouble.to_text(longdouble.add(number, long_double(increment_)))
    except OverflowError:
        raise NAN_OR_INFINITY from None
    c.db.replace(key, new, INCRBYFLOAT)
    return bulk(new)
