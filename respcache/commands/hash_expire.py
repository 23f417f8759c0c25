"""Times to live of the fields of hashes: HEXPIRE and its relatives, HTTL and its relatives, HPERSIST."""

from __future__ import annotations

from collections.abc import Sequence

from respcache.commands.arguments import integer as parse_integer
from respcache.commands.hashes import living
from respcache.keyspec import key
from respcache.protocol.errors import WRONGTYPE, ReplyError, invalid_expire
from respcache.protocol.reply import ONE, ZERO, array, integer
from respcache.registry import BRIEF, DENYOOM, FAST, READONLY, WRITE, command
from respcache.state import Client
from respcache.store.events import HDEL, HEXPIRE, HPERSIST
from respcache.store.field_deadlines import FieldDeadlines
from respcache.store.field_expiry import watch
from respcache.store.hash import Hash, HashTable, ListpackEx, Mortal, deadlines_of, pop
from respcache.store.types import type_name

_MISSING = b":-2\r\n"
_NO_DEADLINE = b":-1\r\n"
_DELETED = b":2\r\n"

_LATEST = (1 << 46) - 1
"""The latest deadline of a field, in milliseconds since the epoch; more bits Redis does not give it."""

_NEGATIVE = ReplyError(b"ERR invalid expire time, must be >= 0")
_NO_FIELDS = ReplyError(b"ERR Mandatory argument FIELDS is missing or not at the right position")
_FEW_FIELDS = ReplyError(b"ERR Parameter `numFields` should be greater than 0")
_NOT_POSITIVE = ReplyError(b"ERR Number of fields must be a positive integer")
_OTHER_NUMBER = ReplyError(b"ERR The `numfields` parameter must match the number of arguments")

_SYNTAX = "[condition=<NX | XX | GT | LT>] FIELDS fields=(numfields:integer field...)"
_FIELDS = "key:key FIELDS fields=(numfields:integer field...)"


def _fields(words: Sequence[bytes], error: ReplyError) -> Sequence[bytes]:
    """The fields of `FIELDS numfields field...`."""
    if words[0].upper() != b"FIELDS":
        raise _NO_FIELDS
    if parse_integer(words[1], error, 1) != len(words) - 2:
        raise _OTHER_NUMBER
    return words[2:]


def _checked(value: object) -> object:
    """The value of a key. Raises WRONGTYPE if it is no hash: before any other error, as in Redis."""
    if value is not None and type_name(value) != b"hash":
        raise WRONGTYPE
    return value


# Setting


def _expire_at(
    c: Client, name: str, key: bytes, word: bytes, unit: int, is_absolute: bool, rest: Sequence[bytes]
) -> bytes:
    db = c.db
    now = c.server.clock.ms()  # once: a millisecond from now is not past, however long this takes
    value = _checked(db.peek(key))
    amount = parse_integer(word)
    if amount < 0:
        raise _NEGATIVE
    when = amount * unit + (0 if is_absolute else now)
    if when > _LATEST:
        raise invalid_expire(name)
    condition = rest[0].upper()
    if condition in (b"NX", b"XX", b"GT", b"LT"):
        rest = rest[1:]
    else:
        condition = b""
    fields = _fields(rest, _FEW_FIELDS)
    old = living(c, key, value, fields)
    if old is None:
        return array([_MISSING] * len(fields))
    hash_ = old if isinstance(old, ListpackEx | HashTable) else ListpackEx(old)
    deadlines = hash_.deadlines
    if deadlines is None:
        deadlines = hash_.deadlines = FieldDeadlines()
    past = when <= now and when <= db.clock.ms()  # to data that is being replayed nothing is past
    replies = []
    count = 0
    for field in fields:
        if field not in hash_:
            replies.append(_MISSING)
        elif not _allowed(condition, deadlines.get(field), when):
            replies.append(ZERO)
        elif past:
            pop(hash_, field)
            replies.append(_DELETED)
            count += 1
        else:
            deadlines.set(field, when)
            replies.append(ONE)
            count += 1
    if count:
        _publish(c, key, old, hash_, count, past)
    return array(replies)


def _publish(c: Client, key: bytes, old: Hash, hash_: Mortal, count: int, deleted: bool) -> None:
    """Tells the database that so many fields of what was `old` got a deadline, or were deleted."""
    db = c.db
    event = HDEL if deleted else HEXPIRE
    if deleted:
        db.expired_fields += count
    if not len(hash_):
        db.emptied(key, event, count)
        return
    if hash_ is old:
        db.touch(key, event, count)
    else:
        db.replace(key, hash_, event)
        db.dirty += count - 1
    watch(db, key, hash_)


def _allowed(condition: bytes, current: int | None, when: int) -> bool:
    """Whether a condition lets a deadline replace the current one; no deadline at all is later than any."""
    if current is None:
        return condition not in (b"XX", b"GT")
    return not (
        condition == b"NX"
        or (condition == b"GT" and when <= current)
        or (condition == b"LT" and when >= current)
    )


@command(
    WRITE | DENYOOM | FAST | BRIEF,
    group="hash",
    keys=key("RW UPDATE"),
    syntax=f"key:key seconds:integer {_SYNTAX}",
)
def hexpire(
    c: Client, key: bytes, seconds: bytes, option: bytes, number: bytes, field: bytes, *rest: bytes
) -> bytes:
    """Gives fields of a hash a time to live in seconds. O(N) with N fields. Since 7.4.0."""
    return _expire_at(c, "hexpire", key, seconds, 1000, False, (option, number, field, *rest))


@command(
    WRITE | DENYOOM | FAST | BRIEF,
    group="hash",
    keys=key("RW UPDATE"),
    syntax=f"key:key milliseconds:integer {_SYNTAX}",
)
def hpexpire(
    c: Client, key: bytes, milliseconds: bytes, option: bytes, number: bytes, field: bytes, *rest: bytes
) -> bytes:
    """Gives fields of a hash a time to live in milliseconds. O(N) with N fields. Since 7.4.0."""
    return _expire_at(c, "hpexpire", key, milliseconds, 1, False, (option, number, field, *rest))


@command(
    WRITE | DENYOOM | FAST | BRIEF,
    group="hash",
    keys=key("RW UPDATE"),
    syntax=f"key:key unix-time-seconds:unix-time {_SYNTAX}",
)
def hexpireat(
    c: Client, key: bytes, seconds: bytes, option: bytes, number: bytes, field: bytes, *rest: bytes
) -> bytes:
    """Lets fields of a hash live until a Unix time in seconds. O(N) with N fields. Since 7.4.0."""
    return _expire_at(c, "hexpireat", key, seconds, 1000, True, (option, number, field, *rest))


@command(
    WRITE | DENYOOM | FAST | BRIEF,
    group="hash",
    keys=key("RW UPDATE"),
    syntax=f"key:key unix-time-milliseconds:unix-time {_SYNTAX}",
)
def hpexpireat(
    c: Client, key: bytes, milliseconds: bytes, option: bytes, number: bytes, field: bytes, *rest: bytes
) -> bytes:
    """Lets fields of a hash live until a Unix time in milliseconds. O(N) with N fields. Since 7.4.0."""
    return _expire_at(c, "hpexpireat", key, milliseconds, 1, True, (option, number, field, *rest))


@command(WRITE | FAST | BRIEF, group="hash", keys=key("RW UPDATE"), syntax=_FIELDS)
def hpersist(c: Client, key: bytes, option: bytes, number: bytes, field: bytes, *rest: bytes) -> bytes:
    """Takes the time to live of fields away. O(N) with N fields. Since 7.4.0."""
    value = _checked(c.db.peek(key))
    fields = _fields((option, number, field, *rest), _NOT_POSITIVE)
    hash_ = living(c, key, value, fields)
    deadlines = None if hash_ is None else deadlines_of(hash_)
    replies = []
    for each in fields:
        if hash_ is None or each not in hash_:
            replies.append(_MISSING)
        elif deadlines is None or deadlines.drop(each) is None:
            replies.append(_NO_DEADLINE)
        else:
            replies.append(ONE)
    if ONE in replies:
        c.db.touch(key, HPERSIST)
    return array(replies)


# Asking


def _times(c: Client, key: bytes, words: Sequence[bytes], unit: int, base: int) -> bytes:
    """The deadlines of fields, counted from `base`, in units of so many milliseconds and rounded up."""
    value = _checked(c.db.get(key))
    fields = _fields(words, _NOT_POSITIVE)
    hash_ = living(c, key, value, fields)
    deadlines = None if hash_ is None else deadlines_of(hash_)
    replies = []
    for each in fields:
        if hash_ is None or each not in hash_:
            replies.append(_MISSING)
        elif deadlines is None or (when := deadlines.get(each)) is None:
            replies.append(_NO_DEADLINE)
        else:
            replies.append(integer((when - base + unit - 1) // unit))
    return array(replies)


@command(
    READONLY | FAST | BRIEF,
    group="hash",
    keys=key("RO ACCESS"),
    syntax=_FIELDS,
    tips=("nondeterministic_output",),
)
def httl(c: Client, key: bytes, option: bytes, number: bytes, field: bytes, *rest: bytes) -> bytes:
    """The seconds that fields have left to live, rounded up. O(N) with N fields. Since 7.4.0."""
    return _times(c, key, (option, number, field, *rest), 1000, c.db.clock.ms())


@command(
    READONLY | FAST | BRIEF,
    group="hash",
    keys=key("RO ACCESS"),
    syntax=_FIELDS,
    tips=("nondeterministic_output",),
)
def hpttl(c: Client, key: bytes, option: bytes, number: bytes, field: bytes, *rest: bytes) -> bytes:
    """The milliseconds that fields have left to live. O(N) with N fields. Since 7.4.0."""
    return _times(c, key, (option, number, field, *rest), 1, c.db.clock.ms())


@command(READONLY | FAST | BRIEF, group="hash", keys=key("RO ACCESS"), syntax=_FIELDS)
def hexpiretime(c: Client, key: bytes, option: bytes, number: bytes, field: bytes, *rest: bytes) -> bytes:
    """The Unix times in seconds at which fields expire, rounded up. O(N) with N fields. Since 7.4.0."""
    return _times(c, key, (option, number, field, *rest), 1000, 0)


@command(READONLY | FAST | BRIEF, group="hash", keys=key("RO ACCESS"), syntax=_FIELDS)
def hpexpiretime(c: Client, key: bytes, option: bytes, number: bytes, field: bytes, *rest: bytes) -> bytes:
    """The Unix times in milliseconds at which fields expire. O(N) with N fields. Since 7.4.0."""
    return _times(c, key, (option, number, field, *rest), 1, 0)
