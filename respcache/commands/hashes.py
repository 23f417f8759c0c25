"""Hashes: fields and their values under one key.

A small hash is a plain dict, and the handlers of the busiest commands ask for that first. Their other half, at the
end of each, also knows big hashes and those whose fields may be dead; see `respcache.store.hash`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from respcache.commands.arguments import INT64_MAX, INT64_MIN, as_integer, long_double
from respcache.commands.arguments import integer as parse_integer
from respcache.commands.scan import scan_cursor, scan_options, scan_reply
from respcache.keyspec import key
from respcache.protocol.errors import NAN_OR_INFINITY, OVERFLOW, WRONGTYPE, ReplyError, wrong_arity
from respcache.protocol.reply import (
    CRLF,
    EMPTY_ARRAY,
    HEADERS,
    OK,
    ONE,
    ZERO,
    array,
    bulk,
    bulks,
    integer,
)
from respcache.registry import BRIEF, DENYOOM, FAST, READONLY, WRITE, command
from respcache.state import Client
from respcache.store import longdouble
from respcache.store.events import HDEL, HINCRBY, HINCRBYFLOAT, HSET, Event
from respcache.store.field_expiry import bury, hidden
from respcache.store.hash import Hash, HashTable, ListpackEx, deadlines_of, pop, table_of
from respcache.store.hashtable import scan

_NOT_INTEGER = ReplyError(b"ERR hash value is not an integer")
_NOT_FLOAT = ReplyError(b"ERR hash value is not a float")
_NO_NUMBER = ReplyError(b"ERR value is NaN or Infinity")

_UNORDERED = ("nondeterministic_output_order",)


def living(c: Client, key: bytes, value: object, fields: Iterable[bytes] | None) -> Hash | None:
    """The hash that a key's value is, without those of the fields that are dead, without any if None.

    None if there is no such key, or nothing left of it. Raises WRONGTYPE.
    """
    if value is None or type(value) is dict:
        return value
    if type(value) is not ListpackEx and type(value) is not HashTable:
        raise WRONGTYPE
    if value.deadlines:
        if c.db.hides:
            return hidden(c.db, value, fields) or None
        if bury(c.db, key, value, fields):
            return None
    return value


def fits(c: Client, size: int, words: Sequence[bytes]) -> bool:
    """Whether a small hash of that many fields may stay small with such fields and values."""
    config = c.server.config
    longest = max(map(len, words))
    return bool(size <= config.hash_max_listpack_entries and longest <= config.hash_max_listpack_value)


# Setting


@command(
    WRITE | DENYOOM | FAST | BRIEF,
    group="hash",
    keys=key("RW UPDATE"),
    syntax="key:key field_value=(field value)...",
    history=(("4.0.0", "Takes more than one pair."),),
)
def hset(c: Client, key: bytes, field: bytes, value: bytes, *more: bytes) -> bytes:
    """Sets fields of a hash, and replies how many of them are new. O(1) for each field. Since 2.0.0."""
    if more:
        return integer(_set_pairs(c, "hset", key, (field, value, *more)))
    db = c.db
    old = db.peek(key)
    if type(old) is HashTable and old.deadlines is None:
        fresh = old.put(field, value)
        db.touch(key, HSET)
        return ONE if fresh else ZERO
    config = c.server.config
    if type(old) is dict and len(value) <= config.hash_max_listpack_value >= len(field):
        if field in old:
            old[field] = value
            db.touch(key, HSET)
            return ZERO
        if len(old) < config.hash_max_listpack_entries:
            old[field] = value
            db.touch(key, HSET)
            return ONE
    return ONE if _set_pair(c, key, old, field, value, HSET) else ZERO


@command(
    WRITE | DENYOOM | FAST | BRIEF,
    group="hash",
    keys=key("RW UPDATE"),
    syntax="key:key field_value=(field value)...",
    deprecated=("4.0.0", "`HSET` with more than one pair"),
)
def hmset(c: Client, key: bytes, field: bytes, value: bytes, *more: bytes) -> bytes:
    """Sets fields of a hash. O(N) with N fields. Since 2.0.0."""
    _set_pairs(c, "hmset", key, (field, value, *more))
    return OK


@command(WRITE | DENYOOM | FAST | BRIEF, group="hash", keys=key("RW INSERT"), syntax="key:key field value")
def hsetnx(c: Client, key: bytes, field: bytes, value: bytes) -> bytes:
    """Sets a field of a hash unless it is there. O(1). Since 2.0.0."""
    old = living(c, key, c.db.peek(key), (field,))
    if old is not None and field in old:
        return ZERO
    _set_pair(c, key, old, field, value, HSET)
    return ONE


def _set_pairs(c: Client, name: str, key: bytes, words: tuple[bytes, ...]) -> int:
    """Sets fields, given in turn with their values, and takes their deadlines away. Returns how many are new."""
    if len(words) % 2:
        raise ReplyError(wrong_arity(name).text)
    fields, values = words[::2], words[1::2]
    db = c.db
    old = living(c, key, db.peek(key), fields)
    hash_: Hash = {} if old is None else old
    if isinstance(hash_, dict) and not fits(c, len(fields), words):
        hash_ = table_of(hash_)
    before = len(hash_)
    for field, value in zip(fields, values, strict=True):
        hash_[field] = value
    if (deadlines := deadlines_of(hash_)) is not None:
        for field in fields:
            deadlines.drop(field)
    fresh = len(hash_) - before
    if isinstance(hash_, dict) and len(hash_) > c.server.config.hash_max_listpack_entries:
        hash_ = table_of(hash_)
    if hash_ is old:
        db.touch(key, HSET, len(fields))
    else:
        db.replace(key, hash_, HSET)
        db.dirty += len(fields) - 1
    return fresh


def _set_pair(
    c: Client, key: bytes, value: object, field: bytes, new: bytes, event: Event, keeps: bool = False
) -> bool:
    """Sets a field of what a key holds; `keeps` tells whether its deadline stays. Tells whether the field is new.

    Raises WRONGTYPE.
    """
    old = living(c, key, value, (field,))
    hash_: Hash = {} if old is None else old
    is_new = field not in hash_
    if isinstance(hash_, dict) and not fits(c, len(hash_) + is_new, (field, new)):
        hash_ = table_of(hash_)
    hash_[field] = new
    if not (keeps or is_new) and (deadlines := deadlines_of(hash_)) is not None:
        deadlines.drop(field)
    if hash_ is old:
        c.db.touch(key, event)
    else:
        c.db.replace(key, hash_, event)
    return is_new


@command(
    WRITE | DENYOOM | FAST | BRIEF,
    group="hash",
    keys=key("RW ACCESS UPDATE"),
    syntax="key:key field increment:integer",
)
def hincrby(c: Client, key: bytes, field: bytes, increment: bytes) -> bytes:
    """Adds to the integer in a field, 0 if it is missing, and keeps its time to live. O(1). Since 2.0.0."""
    by = parse_integer(increment)
    old = c.db.peek(key)
    if type(old) is not dict:
        old = living(c, key, old, (field,))
    text = None if old is None else old.get(field)
    number = 0 if text is None else as_integer(text)
    if number is None:
        raise _NOT_INTEGER
    number += by
    if not INT64_MIN <= number <= INT64_MAX:
        raise OVERFLOW
    new = b"%d" % number
    if type(old) is dict and text is not None and len(field) + 20 <= c.server.config.hash_max_listpack_value:
        old[field] = new
        c.db.touch(key, HINCRBY)
    else:
        _set_pair(c, key, old, field, new, HINCRBY, keeps=True)
    return b":%b\r\n" % new


@command(
    WRITE | DENYOOM | FAST | BRIEF,
    group="hash",
    keys=key("RW ACCESS UPDATE"),
    syntax="key:key field increment:double",
)
def hincrbyfloat(c: Client, key: bytes, field: bytes, increment: bytes) -> bytes:
    """Adds to the number in a field, as a long double, and keeps its time to live. O(1). Since 2.6.0."""
    by = long_double(increment)
    if abs(by) >= longdouble.INFINITY:
        raise _NO_NUMBER
    old = living(c, key, c.db.peek(key), (field,))
    text = None if old is None else old.get(field)
    number = 0 if text is None else long_double(text, _NOT_FLOAT)
    try:
        new = longdouble.to_text(longdouble.add(number, by))
    except OverflowError:
        raise NAN_OR_INFINITY from None
    _set_pair(c, key, old, field, new, HINCRBYFLOAT, keeps=True)
    return bulk(new)


@command(
    WRITE | FAST | BRIEF,
    group="hash",
    keys=key("RW DELETE"),
    syntax="key:key field...",
    history=(("2.4.0", "Takes more than one `field`."),),
)
def hdel(c: Client, key: bytes, field: bytes, *more: bytes) -> bytes:
    """Deletes fields, and replies how many were there. O(N) with N fields. Since 2.0.0."""
    fields = (field, *more)
    hash_ = living(c, key, c.db.peek(key), fields)
    if hash_ is None:
        return ZERO
    count = sum([pop(hash_, each) for each in fields])
    if not len(hash_):
        c.db.emptied(key, HDEL, count)
    elif count:
        c.db.touch(key, HDEL, count)
    return integer(count)


# Reading


@command(READONLY | FAST | BRIEF, group="hash", keys=key("RO ACCESS"), syntax="key:key field")
def hget(c: Client, key: bytes, field: bytes) -> bytes:
    """The value of a field. O(1). Since 2.0.0."""
    hash_ = c.db.get(key)
    if type(hash_) is not dict:
        hash_ = living(c, key, hash_, (field,))
        if hash_ is None:
            return c.resp.null
    value = hash_.get(field)
    if value is None:
        return c.resp.null
    size = len(value)
    return HEADERS[size] + value + CRLF if size < 1024 else c.bulk(value)


@command(READONLY | FAST | BRIEF, group="hash", keys=key("RO ACCESS"), syntax="key:key field...")
def hmget(c: Client, key: bytes, field: bytes, *more: bytes) -> bytes:
    """The values of several fields, null for each that is missing. O(N) with N fields. Since 2.0.0."""
    fields = (field, *more)
    hash_ = c.db.get(key)
    null = c.resp.null
    if type(hash_) is not dict:
        hash_ = living(c, key, hash_, fields)
        if hash_ is None:
            return array([null] * len(fields))
    values = map(hash_.get, fields)
    return array([null if value is None else bulk(value) for value in values])


@command(READONLY, group="hash", keys=key("RO ACCESS"), syntax="key:key", tips=_UNORDERED)
def hgetall(c: Client, key: bytes) -> bytes:
    """All fields of a hash and their values. O(N). Since 2.0.0."""
    hash_ = living(c, key, c.db.get(key), None)
    if hash_ is None:
        return c.resp.map(())
    return c.resp.map([bulk(word) for pair in hash_.items() for word in pair])


@command(READONLY, group="hash", keys=key("RO ACCESS"), syntax="key:key", tips=_UNORDERED)
def hkeys(c: Client, key: bytes) -> bytes:
    """All fields of a hash. O(N). Since 2.0.0."""
    hash_ = living(c, key, c.db.get(key), None)
    return EMPTY_ARRAY if hash_ is None else bulks(hash_)


@command(READONLY, group="hash", keys=key("RO ACCESS"), syntax="key:key", tips=_UNORDERED)
def hvals(c: Client, key: bytes) -> bytes:
    """All values of a hash. O(N). Since 2.0.0."""
    hash_ = living(c, key, c.db.get(key), None)
    return EMPTY_ARRAY if hash_ is None else bulks(hash_.values())


@command(READONLY | FAST | BRIEF, group="hash", keys=key("RO"), syntax="key:key")
def hlen(c: Client, key: bytes) -> bytes:
    """The number of fields, dead ones that nobody came across yet included. O(1). Since 2.0.0."""
    hash_ = living(c, key, c.db.get(key), ())
    return ZERO if hash_ is None else integer(len(hash_))


@command(READONLY | FAST | BRIEF, group="hash", keys=key("RO"), syntax="key:key field")
def hstrlen(c: Client, key: bytes, field: bytes) -> bytes:
    """The size of a field's value in bytes, 0 if it is missing. O(1). Since 3.2.0."""
    hash_ = living(c, key, c.db.get(key), (field,))
    value = None if hash_ is None else hash_.get(field)
    return ZERO if value is None else integer(len(value))


@command(READONLY | FAST | BRIEF, group="hash", keys=key("RO"), syntax="key:key field")
def hexists(c: Client, key: bytes, field: bytes) -> bytes:
    """Whether a field is there. O(1). Since 2.0.0."""
    hash_ = living(c, key, c.db.get(key), (field,))
    return ONE if hash_ is not None and field in hash_ else ZERO


@command(
    READONLY,
    group="hash",
    keys=key("RO ACCESS"),
    syntax="key:key cursor:integer [MATCH pattern:pattern] [COUNT count:integer] [NOVALUES{7.4.0}]",
    tips=("nondeterministic_output",),
    history=(("7.4.0", "Option `NOVALUES`."),),
)
def hscan(c: Client, key: bytes, cursor: bytes, *rest: bytes) -> bytes:
    """Walks over the fields of a hash, some at each call.
    O(1) for each call, O(N) for the whole walk, N being the number of fields. Since 2.8.0.
    """
    at = scan_cursor(cursor)
    hash_ = living(c, key, c.db.get(key), ())
    if hash_ is None:
        return scan_reply(0, ())  # whatever the options are, as in Redis
    options = scan_options(rest, takes_no_values=True)
    following, fields = scan(hash_, at, options.count)
    match = options.match
    if match is not None:
        fields = [field for field in fields if match(field)]
    if deadlines_of(hash_) is not None:
        hash_ = living(c, key, hash_, fields)
        if hash_ is None:
            return scan_reply(0, ())
        fields = [field for field in fields if field in hash_]
    if options.no_values:
        return scan_reply(following, fields)
    return scan_reply(following, [word for field in fields for word in (field, hash_[field])])
