"""Keyspace events: what a change is called. Every change of a database says which one it is.

A plain database ignores it; `respcache.store.observed` tells those who listen. The names and their classes are those
of Redis 7.4, see its page on keyspace notifications.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, eq=False)
class Event:
    """One kind of change."""

    name: bytes
    """As subscribers see it."""
    kind: str
    """Its class, a letter of `notify-keyspace-events`; empty if it is not published."""
    is_quiet: bool = False
    """WATCH does not see it, unless it made the key."""


ALL: dict[bytes, Event] = {}
"""By name."""


def _event(kind: str, name: bytes, is_quiet: bool = False) -> Event:
    made = ALL[name] = Event(name, kind, is_quiet)
    return made


NO_EVENT = Event(b"", "")
"""Of a change that Redis tells nobody of, though WATCH sees it and replicas get it: an estimate of PFCOUNT."""
READ = Event(b"", "", is_quiet=True)
"""Of a change that comes with reading: the pending entries of a stream's consumers."""

# Any type

DEL = _event("g", b"del")
EXPIRE = _event("g", b"expire")
PERSIST = _event("g", b"persist")
RENAME_FROM = _event("g", b"rename_from")
RENAME_TO = _event("g", b"rename_to")
MOVE_FROM = _event("g", b"move_from")
MOVE_TO = _event("g", b"move_to")
COPY_TO = _event("g", b"copy_to")
RESTORE = _event("g", b"restore")
EXPIRED = _event("x", b"expired")
EVICTED = _event("e", b"evicted")
KEYMISS = _event("m", b"keymiss")
NEW = _event("n", b"new")

# Strings, bitmaps, HyperLogLog

SET = _event("$", b"set")
SETRANGE = _event("$", b"setrange")
SETBIT = _event("$", b"setbit")
INCRBY = _event("$", b"incrby")
INCRBYFLOAT = _event("$", b"incrbyfloat")
APPEND = _event("$", b"append")
PFADD = _event("$", b"pfadd")

# Lists

LPUSH = _event("l", b"lpush")
RPUSH = _event("l", b"rpush")
LPOP = _event("l", b"lpop")
RPOP = _event("l", b"rpop")
LINSERT = _event("l", b"linsert")
LSET = _event("l", b"lset")
LREM = _event("l", b"lrem")
LTRIM = _event("l", b"ltrim")
SORTSTORE = _event("l", b"sortstore")

# Hashes

HSET = _event("h", b"hset")
HINCRBY = _event("h", b"hincrby")
HINCRBYFLOAT = _event("h", b"hincrbyfloat")
HDEL = _event("h", b"hdel")
HEXPIRE = _event("h", b"hexpire")
HEXPIRED = _event("h", b"hexpired")
HPERSIST = _event("h", b"hpersist")

# Sets

SADD = _event("s", b"sadd")
SREM = _event("s", b"srem")
SPOP = _event("s", b"spop")
SINTERSTORE = _event("s", b"sinterstore")
SUNIONSTORE = _event("s", b"sunionstore")
SDIFFSTORE = _event("s", b"sdiffstore")

# Sorted sets, geo

ZADD = _event("z", b"zadd")
ZINCR = _event("z", b"zincr")
ZREM = _event("z", b"zrem")
ZPOPMIN = _event("z", b"zpopmin")
ZPOPMAX = _event("z", b"zpopmax")
ZREMRANGEBYRANK = _event("z", b"zremrangebyrank")
ZREMRANGEBYSCORE = _event("z", b"zremrangebyscore")
ZREMRANGEBYLEX = _event("z", b"zremrangebylex")
ZRANGESTORE = _event("z", b"zrangestore")
ZUNIONSTORE = _event("z", b"zunionstore")
ZINTERSTORE = _event("z", b"zinterstore")
ZDIFFSTORE = _event("z", b"zdiffstore")
GEORADIUSSTORE = _event("z", b"georadiusstore")
GEOSEARCHSTORE = _event("z", b"geosearchstore")

# Streams

XADD = _event("t", b"xadd")
XDEL = _event("t", b"xdel")
XTRIM = _event("t", b"xtrim")
XSETID = _event("t", b"xsetid", is_quiet=True)
XGROUP_CREATE = _event("t", b"xgroup-create", is_quiet=True)
XGROUP_SETID = _event("t", b"xgroup-setid", is_quiet=True)
XGROUP_DESTROY = _event("t", b"xgroup-destroy", is_quiet=True)
XGROUP_CREATECONSUMER = _event("t", b"xgroup-createconsumer", is_quiet=True)
XGROUP_DELCONSUMER = _event("t", b"xgroup-delconsumer", is_quiet=True)

ARRIVALS = frozenset((RENAME_TO, COPY_TO, RESTORE))
"""They make a key anew even where there was one: Redis deletes that first. What else replaces a key overwrites it."""
