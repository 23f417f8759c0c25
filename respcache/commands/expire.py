"""Times to live: EXPIRE and its relatives, TTL and its relatives, PERSIST."""

from __future__ import annotations

from collections.abc import Sequence

from respcache.commands.arguments import INT64_MAX, INT64_MIN, integer
from respcache.keyspec import key
from respcache.protocol import reply
from respcache.protocol.errors import ReplyError, invalid_expire
from respcache.protocol.reply import ONE, ZERO
from respcache.registry import BRIEF, FAST, READONLY, WRITE, command
from respcache.state import Client

MISSING = b":-2\r\n"
NO_DEADLINE = b":-1\r\n"

_NX_ALONE = ReplyError(b"ERR NX and XX, GT or LT options at the same time are not compatible")
_GT_OR_LT = ReplyError(b"ERR GT and LT options at the same time are not compatible")

_CONDITIONS = (("7.0.0", "Options `NX`, `XX`, `GT` and `LT`."),)


def milliseconds(word: bytes, unit: int, base: int, name: str) -> int:
    """A deadline in milliseconds since the epoch: a number of units, of so many milliseconds, after `base`.

    It may lie in the past. Raises if it is no integer, or beyond 64 bits; `name` is the command's.
    """
    amount = integer(word) * unit
    if not INT64_MIN <= amount <= INT64_MAX - base:
        raise invalid_expire(name)
    return amount + base


def conditions(words: Sequence[bytes]) -> frozenset[bytes]:
    """The options NX, XX, GT and LT, in upper case. Raises for others, and for two that are at odds."""
    found = set()
    for word in words:
        option = word.upper()
        if option not in (b"NX", b"XX", b"GT", b"LT"):
            raise ReplyError(b"ERR Unsupported option %b" % word)
        found.add(option)
    if b"NX" in found and len(found) > 1:
        raise _NX_ALONE
    if b"GT" in found and b"LT" in found:
        raise _GT_OR_LT
    return frozenset(found)


def allowed(options: frozenset[bytes], current: int | None, when: int) -> bool:
    """Whether the options let a deadline replace the current one; no deadline at all is later than any."""
    if current is None:
        return b"XX" not in options and b"GT" not in options
    if b"GT" in options and when <= current:
        return False
    return not (b"NX" in options or (b"LT" in options and when >= current))


def _expire_at(
    c: Client, name: str, key: bytes, word: bytes, unit: int, absolute: bool, rest: Sequence[bytes]
) -> bytes:
    options = conditions(rest) if rest else None
    db = c.db
    now = c.server.clock.ms()  # read once: one millisecond from now is not yet over
    when = milliseconds(word, unit, 0 if absolute else now, name)
    if key not in db or (options and not allowed(options, db.deadline(key), when)):
        return ZERO
    if when <= now and when <= db.clock.ms():  # to data that is being replayed nothing is past
        db.delete(key)
    else:
        db.expire_at(key, when)
    return ONE


@command(
    WRITE | FAST | BRIEF,
    group="generic",
    keys=key("RW UPDATE"),
    syntax="key:key seconds:integer [condition=<NX | XX | GT | LT>{7.0.0}]",
    history=_CONDITIONS,
)
def expire(c: Client, key: bytes, seconds: bytes, *options: bytes) -> bytes:
    """Gives a key a time to live in seconds. O(1). Since 1.0.0."""
    return _expire_at(c, "expire", key, seconds, 1000, False, options)


@command(
    WRITE | FAST | BRIEF,
    group="generic",
    keys=key("RW UPDATE"),
    syntax="key:key milliseconds:integer [condition=<NX | XX | GT | LT>{7.0.0}]",
    history=_CONDITIONS,
)
def pexpire(c: Client, key: bytes, milliseconds: bytes, *options: bytes) -> bytes:
    """Gives a key a time to live in milliseconds. O(1). Since 2.6.0."""
    return _expire_at(c, "pexpire", key, milliseconds, 1, False, options)


@command(
    WRITE | FAST | BRIEF,
    group="generic",
    keys=key("RW UPDATE"),
    syntax="key:key unix-time-seconds:unix-time [condition=<NX | XX | GT | LT>{7.0.0}]",
    history=_CONDITIONS,
)
def expireat(c: Client, key: bytes, unix_time_seconds: bytes, *options: bytes) -> bytes:
    """Lets a key live until a Unix time in seconds. O(1). Since 1.2.0."""
    return _expire_at(c, "expireat", key, unix_time_seconds, 1000, True, options)


@command(
    WRITE | FAST | BRIEF,
    group="generic",
    keys=key("RW UPDATE"),
    syntax="key:key unix-time-milliseconds:unix-time [condition=<NX | XX | GT | LT>{7.0.0}]",
    history=_CONDITIONS,
)
def pexpireat(c: Client, key: bytes, unix_time_milliseconds: bytes, *options: bytes) -> bytes:
    """Lets a key live until a Unix time in milliseconds. O(1). Since 2.6.0."""
    return _expire_at(c, "pexpireat", key, unix_time_milliseconds, 1, True, options)


def _deadline(c: Client, key: bytes) -> int | bytes:
    """The deadline of a key, or the reply if it has none."""
    if c.db.look(key) is None:
        return MISSING
    when = c.db.deadline(key)
    return NO_DEADLINE if when is None else when


@command(READONLY | FAST | BRIEF, group="generic", keys=key("RO ACCESS"), syntax="key:key")
def expiretime(c: Client, key: bytes) -> bytes:
    """The Unix time in seconds at which a key expires. O(1). Since 7.0.0."""
    when = _deadline(c, key)
    return when if isinstance(when, bytes) else reply.integer((when + 500) // 1000)


@command(READONLY | FAST | BRIEF, group="generic", keys=key("RO ACCESS"), syntax="key:key")
def pexpiretime(c: Client, key: bytes) -> bytes:
    """The Unix time in milliseconds at which a key expires. O(1). Since 7.0.0."""
    when = _deadline(c, key)
    return when if isinstance(when, bytes) else reply.integer(when)


@command(
    READONLY | FAST | BRIEF,
    group="generic",
    keys=key("RO ACCESS"),
    syntax="key:key",
    tips=("nondeterministic_output",),
    history=(("2.8.0", "Replies -2 for a missing key."),),
)
def ttl(c: Client, key: bytes) -> bytes:
    """The seconds a key has left to live, rounded. O(1). Since 1.0.0."""
    when = _deadline(c, key)
    if isinstance(when, bytes):
        return when
    return reply.integer((max(when - c.db.clock.ms(), 0) + 500) // 1000)


@command(
    READONLY | FAST | BRIEF,
    group="generic",
    keys=key("RO ACCESS"),
    syntax="key:key",
    tips=("nondeterministic_output",),
    history=(("2.8.0", "Replies -2 for a missing key."),),
)
def pttl(c: Client, key: bytes) -> bytes:
    """The milliseconds a key has left to live. O(1). Since 2.6.0."""
    when = _deadline(c, key)
    return when if isinstance(when, bytes) else reply.integer(max(when - c.db.clock.ms(), 0))


@command(WRITE | FAST | BRIEF, group="generic", keys=key("RW UPDATE"), syntax="key:key")
def persist(c: Client, key: bytes) -> bytes:
    """Takes a key's time to live away. O(1). Since 2.2.0."""
    return ONE if key in c.db and c.db.persist(key) else ZERO
