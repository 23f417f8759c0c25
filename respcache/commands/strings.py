"""Strings: values that are set, read, cut and joined.

A string is `bytes` until something else pays: `int` once arithmetic touched it (see `counters`), `bytearray`
once APPEND or SETRANGE did, so that one that grows is not copied each time. Short ones get that form too,
since OBJECT ENCODING tells: it is what Redis calls raw. `string` turns all three into bytes; whoever handles
a long one without a copy asks for its type first.
"""

from __future__ import annotations

from collections.abc import Sequence

from respcache.commands.arguments import INT64_MAX
from respcache.commands.arguments import integer as parse_integer
from respcache.keyspec import key, set_keys
from respcache.protocol.errors import (
    OFFSET_RANGE,
    STRING_TOO_LONG,
    SYNTAX,
    WRONGTYPE,
    ReplyError,
    invalid_expire,
    wrong_arity,
)
from respcache.protocol.reply import CRLF, EMPTY_BULK, HEADERS, OK, ONE, ZERO, array, bulk, integer
from respcache.registry import BRIEF, DENYOOM, FAST, READONLY, WRITE, command
from respcache.state import Client
from respcache.store.events import APPEND, EXPIRE, SET, SETRANGE


def string(value: object) -> bytes:
    """The bytes of a string value. Raises WRONGTYPE for the other types."""
    if type(value) is bytes:
        return value
    if type(value) is int:
        return b"%d" % value
    if type(value) is bytearray:
        return bytes(value)
    raise WRONGTYPE


def length(value: object) -> int:
    """The size of a string value in bytes. Raises WRONGTYPE for the other types."""
    if type(value) is bytes or type(value) is bytearray:
        return len(value)
    return len(string(value))


def read(c: Client, key: bytes) -> bytes | None:
    """The string at a key, counted as a hit or a miss; None if there is none. Raises WRONGTYPE."""
    value = c.db.get(key)
    return None if value is None else string(value)


def check_size(c: Client, size: int) -> None:
    """Raises an error for a string longer than any argument may be."""
    if size > c.server.config.proto_max_bulk_len:
        raise STRING_TOO_LONG


# Reading


@command(READONLY | FAST | BRIEF, group="string", keys=key("RO ACCESS"), syntax="key:key")
def get(c: Client, key: bytes) -> bytes:
    """The string value of a key. O(1). Since 1.0.0."""
    value = c.db.get(key)
    if type(value) is bytes:
        size = len(value)
        return HEADERS[size] + value + CRLF if size < 1024 else c.bulk(value)
    if value is None:
        return c.resp.null
    return c.bulk(value if type(value) is bytearray else string(value))


@command(
    READONLY | FAST,
    group="string",
    keys=key("RO ACCESS", last=-1),
    syntax="key:key...",
    tips=("request_policy:multi_shard",),
)
def mget(c: Client, key: bytes, *keys: bytes) -> bytes:
    """The string values of several keys, null for a key that holds none. O(N) with N keys. Since 1.0.0."""
    look_up, null = c.db.get, c.resp.null
    replies = []
    for name in (key, *keys):
        value = look_up(name)
        if type(value) is bytes:
            replies.append(bulk(value))
        elif isinstance(value, int | bytearray):
            replies.append(bulk(string(value)))
        else:
            replies.append(null)
    return array(replies)


@command(READONLY | FAST | BRIEF, group="string", keys=key("RO"), syntax="key:key")
def strlen(c: Client, key: bytes) -> bytes:
    """The size of a string in bytes, 0 if the key is missing. O(1). Since 2.2.0."""
    value = c.db.get(key)
    return ZERO if value is None else integer(length(value))


@command(READONLY, group="string", keys=key("RO ACCESS"), syntax="key:key start:integer end:integer")
def getrange(c: Client, key: bytes, start: bytes, end: bytes) -> bytes:
    """The part of a string from one byte to another, both included.

    O(N) with N bytes replied. Since 2.4.0.
    """
    first, last = parse_integer(start), parse_integer(end)
    value = c.db.get(key)
    if value is None:
        return EMPTY_BULK
    whole = value if type(value) is bytearray else string(value)
    if first < 0 and last < first:
        return EMPTY_BULK  # and not the first byte, which both ends would come to below
    size = len(whole)
    first = max(first + size, 0) if first < 0 else first
    last = max(last + size, 0) if last < 0 else last
    return bulk(whole[first : last + 1])


@command(
    READONLY,
    group="string",
    keys=key("RO ACCESS"),
    syntax="key:key start:integer end:integer",
    deprecated=("2.0.0", "`GETRANGE`"),
)
def substr(c: Client, key: bytes, start: bytes, end: bytes) -> bytes:
    """The part of a string, as GETRANGE by its old name. O(N) with N bytes replied. Since 1.0.0."""
    return getrange(c, key, start, end)


# Setting

_UNITS = {b"EX": 1000, b"PX": 1, b"EXAT": 1000, b"PXAT": 1}
"""Options that take a time to live or, with AT, a time since the epoch; in milliseconds."""


def _deadline(c: Client, unit: bytes, amount: bytes, name: str) -> int:
    """When a key dies, in milliseconds since the epoch. Raises an error that names the command."""
    value = parse_integer(amount)
    when = value * _UNITS[unit] + (0 if unit.endswith(b"AT") else c.server.clock.ms())
    if value <= 0 or when > INT64_MAX:
        raise invalid_expire(name)
    return when


@command(
    WRITE | DENYOOM | BRIEF,
    group="string",
    keys=key("RW ACCESS UPDATE variable_flags", notes="`GET` reads the old value"),
    getkeys=set_keys,
    syntax=(
        "key:key value [condition=<NX | XX>{2.6.12}] [GET{6.2.0}] [expiration=<EX "
        "seconds:integer{2.6.12} | PX milliseconds:integer{2.6.12} | EXAT "
        "unix-time-seconds:unix-time{6.2.0} | PXAT unix-time-milliseconds:unix-time{6.2.0} | "
        "KEEPTTL{6.0.0}>]"
    ),
    history=(
        ("2.6.12", "Options `EX`, `PX`, `NX` and `XX`."),
        ("6.0.0", "Option `KEEPTTL`."),
        ("6.2.0", "Options `GET`, `EXAT` and `PXAT`."),
        ("7.0.0", "`NX` and `GET` may stand together."),
    ),
)
def set_(c: Client, key: bytes, value: bytes, *options: bytes) -> bytes:
    """Sets the string value of a key, whatever it held. O(1). Since 1.0.0."""
    if not options:
        c.db.set(key, value)
        return OK
    if len(options) == 2:  # EX seconds, nearly always
        unit = options[0].upper()
        if unit in _UNITS:
            _set_until(c, key, value, _deadline(c, unit, options[1], "set"))
            return OK
    return _set_with(c, key, value, options)


def _set_with(c: Client, key: bytes, value: bytes, options: Sequence[bytes]) -> bytes:
    """SET with options. One may be repeated: the last EX, PX... of a kind counts."""
    condition = unit = amount = None
    wants_old = keeps = False
    words = iter(options)
    for word in words:
        option = word.upper()
        if option in _UNITS and unit in (None, option) and not keeps:
            unit, amount = option, next(words, None)
            if amount is None:
                raise SYNTAX
        elif option in (b"NX", b"XX") and condition in (None, option):
            condition = option
        elif option == b"GET":
            wants_old = True
        elif option == b"KEEPTTL" and unit is None:
            keeps = True
        else:
            raise SYNTAX
    when = None if unit is None or amount is None else _deadline(c, unit, amount, "set")
    reply = OK
    if wants_old:
        old = read(c, key)
        reply = c.resp.null if old is None else bulk(old)
    if condition is not None and (key in c.db) != (condition == b"XX"):
        return reply if wants_old else c.resp.null
    if keeps:
        c.db.peek(key)  # a key that is due has no time to live to keep
        c.db.replace(key, value, SET)
    else:
        _set_until(c, key, value, when)
    return reply


def _set_until(c: Client, key: bytes, value: bytes, when: int | None) -> None:
    c.db.put(key, value, when)
    if when is not None:
        c.db.notify(key, EXPIRE)


@command(WRITE | DENYOOM | FAST | BRIEF, group="string", keys=key("OW INSERT"), syntax="key:key value")
def setnx(c: Client, key: bytes, value: bytes) -> bytes:
    """Sets the string value of a key unless the key exists. O(1). Since 1.0.0."""
    if key in c.db:
        return ZERO
    c.db.set(key, value)
    return ONE


@command(
    WRITE | DENYOOM | BRIEF, group="string", keys=key("OW UPDATE"), syntax="key:key seconds:integer value"
)
def setex(c: Client, key: bytes, seconds: bytes, value: bytes) -> bytes:
    """Sets the string value of a key and its time to live in seconds. O(1). Since 2.0.0."""
    when = _deadline(c, b"EX", seconds, "setex")
    _set_until(c, key, value, when)
    return OK


@command(
    WRITE | DENYOOM | BRIEF,
    group="string",
    keys=key("OW UPDATE"),
    syntax="key:key milliseconds:integer value",
)
def psetex(c: Client, key: bytes, milliseconds: bytes, value: bytes) -> bytes:
    """Sets the string value of a key and its time to live in milliseconds. O(1). Since 2.6.0."""
    when = _deadline(c, b"PX", milliseconds, "psetex")
    _set_until(c, key, value, when)
    return OK


def _pairs(name: str, words: tuple[bytes, ...]) -> list[tuple[bytes, bytes]]:
    if len(words) % 2:
        raise ReplyError(wrong_arity(name).text)
    return list(zip(words[::2], words[1::2], strict=True))


@command(
    WRITE | DENYOOM,
    group="string",
    keys=key("OW UPDATE", last=-1, step=2),
    syntax="key_value=(key:key value)...",
    tips=("request_policy:multi_shard", "response_policy:all_succeeded"),
)
def mset(c: Client, key: bytes, value: bytes, *more: bytes) -> bytes:
    """Sets the string values of several keys at once. O(N) with N keys. Since 1.0.1."""
    if len(more) % 2:
        raise ReplyError(wrong_arity("mset").text)
    c.db.set_all((key, value, *more))
    return OK


@command(
    WRITE | DENYOOM,
    group="string",
    keys=key("OW INSERT", last=-1, step=2),
    syntax="key_value=(key:key value)...",
    tips=("request_policy:multi_shard", "response_policy:agg_min"),
)
def msetnx(c: Client, key: bytes, value: bytes, *more: bytes) -> bytes:
    """Sets the string values of several keys, or none if one of them exists. O(N). Since 1.0.1."""
    pairs = _pairs("msetnx", (key, value, *more))
    if any(name in c.db for name, _ in pairs):
        return ZERO
    for name, new in pairs:
        c.db.set(name, new)
    return ONE


# Reading and changing


@command(
    WRITE | DENYOOM | FAST | BRIEF,
    group="string",
    keys=key("RW ACCESS UPDATE"),
    syntax="key:key value",
    deprecated=("6.2.0", "`SET` with `GET`"),
)
def getset(c: Client, key: bytes, value: bytes) -> bytes:
    """Sets the string value of a key and replies the one it had. O(1). Since 1.0.0."""
    old = read(c, key)
    c.db.set(key, value)
    return c.resp.null if old is None else bulk(old)


@command(WRITE | FAST | BRIEF, group="string", keys=key("RW ACCESS DELETE"), syntax="key:key")
def getdel(c: Client, key: bytes) -> bytes:
    """Deletes a key and replies the string value it had. O(1). Since 6.2.0."""
    old = read(c, key)
    if old is None:
        return c.resp.null
    c.db.delete(key)
    return bulk(old)


@command(
    WRITE | FAST | BRIEF,
    group="string",
    keys=key("RW ACCESS UPDATE", notes="the time to live changes"),
    syntax=(
        "key:key [expiration=<EX seconds:integer | PX milliseconds:integer | EXAT "
        "unix-time-seconds:unix-time | PXAT unix-time-milliseconds:unix-time | PERSIST>]"
    ),
)
def getex(c: Client, key: bytes, *options: bytes) -> bytes:
    """The string value of a key, whose time to live is set or taken away. O(1). Since 6.2.0."""
    unit = amount = None
    persists = False
    words = iter(options)
    for word in words:
        option = word.upper()
        if option in _UNITS and unit in (None, option) and not persists:
            unit, amount = option, next(words, None)
            if amount is None:
                raise SYNTAX
        elif option == b"PERSIST" and unit is None:
            persists = True
        else:
            raise SYNTAX
    value = read(c, key)
    if value is None:
        return c.resp.null  # even if the time makes no sense, as in Redis
    if unit is not None and amount is not None:
        when = _deadline(c, unit, amount, "getex")
        if when <= c.db.clock.ms():
            c.db.delete(key)
        else:
            c.db.expire_at(key, when)
    elif persists:
        c.db.persist(key)
    return c.bulk(value)


@command(WRITE | DENYOOM | FAST | BRIEF, group="string", keys=key("RW INSERT"), syntax="key:key value")
def append(c: Client, key: bytes, value: bytes) -> bytes:
    """Appends to a string, which is empty if the key is missing; replies its size. O(1). Since 2.0.0."""
    old = c.db.peek(key)
    if old is None:
        c.db.set(key, value, APPEND)
        return integer(len(value))
    size = length(old) + len(value)
    check_size(c, size)
    if type(old) is bytearray:
        old += value
        c.db.touch(key, APPEND)
    else:
        c.db.replace(key, bytearray(string(old)) + value, APPEND)
    return integer(size)


@command(WRITE | DENYOOM, group="string", keys=key("RW UPDATE"), syntax="key:key offset:integer value")
def setrange(c: Client, key: bytes, offset: bytes, value: bytes) -> bytes:
    """Overwrites a part of a string, which grows with zero bytes if need be; replies its size.

    O(1), plus O(N) with N bytes of value. Since 2.2.0.
    """
    start = parse_integer(offset)
    if start < 0:
        raise OFFSET_RANGE
    old = c.db.peek(key)
    size = 0 if old is None else length(old)
    if not value:
        return integer(size)
    end = start + len(value)
    check_size(c, end)
    if type(old) is bytearray:
        if end > size:
            old += bytes(end - size)
        old[start:end] = value
        c.db.touch(key, SETRANGE)
        return integer(len(old))
    new = bytearray(max(size, end))
    if old is not None:
        new[:size] = string(old)
    new[start:end] = value
    c.db.replace(key, new, SETRANGE)
    return integer(len(new))
