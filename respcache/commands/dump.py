"""DUMP and RESTORE: a value as bytes, for another server or for later."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from respcache.commands.arguments import INT64_MAX, integer
from respcache.keyspec import key
from respcache.persistence.payload import pack, unseal
from respcache.persistence.rdb_build import Limits
from respcache.persistence.rdb_read import read_value
from respcache.persistence.rdb_write import Format
from respcache.persistence.source import RdbError, Source
from respcache.protocol.errors import SYNTAX, ReplyError
from respcache.protocol.reply import OK, bulk
from respcache.registry import ASKING, DENYOOM, READONLY, SYSCMD, WRITE, command
from respcache.state import Client
from respcache.store.access import Frequency, Recency
from respcache.store.events import RESTORE

_BUSY = ReplyError(b"BUSYKEY Target key name already exists.")
_BAD_TTL = ReplyError(b"ERR Invalid TTL value, must be >= 0")
_BAD_IDLE_TIME = ReplyError(b"ERR Invalid IDLETIME value, must be >= 0")
_BAD_FREQUENCY = ReplyError(b"ERR Invalid FREQ value, must be >= 0 and <= 255")
_BAD_CHECKSUM = ReplyError(b"ERR DUMP payload version or checksum are wrong")
_BAD_FORMAT = ReplyError(b"ERR Bad data format")

_SYNTAX = (
    "key:key ttl:integer serialized-value [REPLACE{3.0.0}] [ABSTTL{5.0.0}] [IDLETIME "
    "seconds:integer{5.0.0}] [FREQ frequency:integer{5.0.0}]"
)
_HISTORY = (
    ("3.0.0", "Option `REPLACE`."),
    ("5.0.0", "Option `ABSTTL`."),
    ("5.0.0", "Options `IDLETIME` and `FREQ`."),
)


@command(
    READONLY, group="generic", keys=key("RO ACCESS"), syntax="key:key", tips=("nondeterministic_output",)
)
def dump(c: Client, key: bytes) -> bytes:
    """A value as bytes that RESTORE understands. O(N) for N bytes and elements of it. Since 2.6.0."""
    value = c.db.get(key)
    if value is None:
        return c.resp.null
    config = c.server.config
    return bulk(pack(value, Format(list_size=config.list_max_listpack_size), config.rdbcompression))


@command(
    WRITE | DENYOOM,
    group="generic",
    keys=key("OW UPDATE"),
    categories="dangerous",
    syntax=_SYNTAX,
    history=_HISTORY,
)
def restore(c: Client, key: bytes, ttl: bytes, serialized_value: bytes, *options: bytes) -> bytes:
    """Makes a key of what DUMP replied. O(N) for N bytes and elements of it. Since 2.6.0."""
    return _restore(c, key, ttl, serialized_value, options)


@command(
    WRITE | DENYOOM | ASKING | SYSCMD,
    group="server",
    keys=key("OW UPDATE"),
    categories="dangerous keyspace",
    syntax=_SYNTAX,
    history=_HISTORY,
)
def restore_asking(c: Client, key: bytes, ttl: bytes, serialized_value: bytes, *options: bytes) -> bytes:
    """As RESTORE, for a slot that a cluster is importing. O(N) for N bytes and elements. Since 3.0.0."""
    return _restore(c, key, ttl, serialized_value, options)


def _restore(c: Client, key: bytes, ttl: bytes, payload: bytes, options: Sequence[bytes]) -> bytes:
    replace, absolute, idle, frequency = _options(options)
    db = c.db
    if not replace and key in db:
        raise _BUSY
    when = _deadline(ttl, absolute, c.server.clock.ms)
    try:
        source = Source.of(unseal(payload))
    except ValueError:
        raise _BAD_CHECKSUM from None
    try:
        value = read_value(source, source.byte(), Limits.of(c.server.config))
    except RdbError:
        raise _BAD_FORMAT from None
    if when is not None and when <= db.clock.ms():
        db.delete(key)
        return OK
    counted = c.server.config.maxmemory_policy.endswith("lfu")
    if idle is not None and not counted:
        c.server.keyspace.track()
    db.put(key, value, when, RESTORE)
    if idle is not None and isinstance(db.accesses, Recency):
        db.accesses.set_idle(key, idle)
    if frequency is not None and isinstance(db.accesses, Frequency):
        db.accesses.set_frequency(key, frequency)
    return OK


def _options(words: Sequence[bytes]) -> tuple[bool, bool, int | None, int | None]:
    """Whether to replace a key, whether the time to live is a deadline, the seconds since the key was used, and how
    often it was."""
    replace = absolute = False
    idle = frequency = None
    rest = iter(words)
    for word in rest:
        match word.lower():
            case b"replace":
                replace = True
            case b"absttl":
                absolute = True
            case b"idletime" if frequency is None:
                idle = integer(_next(rest))
                if idle < 0:
                    raise _BAD_IDLE_TIME
            case b"freq" if idle is None:
                frequency = integer(_next(rest))
                if not 0 <= frequency <= 255:
                    raise _BAD_FREQUENCY
            case _:
                raise SYNTAX
    return replace, absolute, idle, frequency


def _next(words: Iterator[bytes]) -> bytes:
    word = next(words, None)
    if word is None:
        raise SYNTAX
    return word


def _deadline(ttl: bytes, absolute: bool, clock: Callable[[], int]) -> int | None:
    """The deadline in milliseconds since the epoch, None if there is none. One that 64 bits do not hold is past."""
    when = integer(ttl)
    if when < 0:
        raise _BAD_TTL
    if not when or absolute:
        return when or None
    when += clock()
    return when if when <= INT64_MAX else 0
