"""OBJECT: how a value is stored and when it was used."""

from __future__ import annotations

from respcache.commands.help import help_reply
from respcache.keyspec import key
from respcache.protocol.errors import ReplyError
from respcache.protocol.reply import ONE, bulk, integer
from respcache.registry import LOADING, READONLY, STALE, command, container
from respcache.state import Client
from respcache.store.database import Database, Value
from respcache.store.tracked import frequency, idle
from respcache.store.types import TYPES, is_integer_text

_ADJUST = b"Please note that when switching between policies at runtime LRU and LFU data will take some time to adjust."
_NO_LFU = ReplyError(b"ERR An LFU maxmemory policy is not selected, access frequency not tracked. %b" % _ADJUST)
_NO_LRU = ReplyError(b"ERR An LFU maxmemory policy is selected, idle time not tracked. %b" % _ADJUST)

_SHARED = 10_000
"""Redis keeps one object for each of the numbers below, whatever the number of keys that hold it."""
_SHARED_REFERENCES = b":2147483647\r\n"

_KEY = key("RO", at=2)
_TIPS = ("nondeterministic_output",)

OBJECT = container(
    "object",
    group="generic",
    doc="""What is known of a value besides its content. Since 2.2.3.""",
    categories="-keyspace",
)


def _look(db: Database, key: bytes) -> Value | None:
    """The value, counted; but nobody is told of a miss."""
    return Database.look(db, key)


def _counts_uses(c: Client) -> bool:
    """Whether the policy of maxmemory is an LFU one."""
    return bool(c.server.config.maxmemory_policy.endswith("lfu"))


@command(READONLY, group="generic", container=OBJECT, keys=_KEY, syntax="key:key", tips=_TIPS)
def object_encoding(c: Client, key: bytes) -> bytes:
    """How the value of a key is stored. O(1). Since 2.2.3."""
    value = _look(c.db, key)
    if value is None:
        return c.resp.null
    return bulk(TYPES[type(value)].encoding(value, c.server.config))


@command(READONLY, group="generic", container=OBJECT, keys=_KEY, syntax="key:key", tips=_TIPS)
def object_freq(c: Client, key: bytes) -> bytes:
    """How often a key is used, on a logarithmic scale. O(1). Since 4.0.0."""
    if _look(c.db, key) is None:
        return c.resp.null
    if not _counts_uses(c):
        raise _NO_LFU
    return integer(frequency(c.db, key))


@command(READONLY, group="generic", container=OBJECT, keys=_KEY, syntax="key:key", tips=_TIPS)
def object_idletime(c: Client, key: bytes) -> bytes:
    """The seconds since a key was last used. O(1). Since 2.2.3.

    Without an LRU policy nobody notes when keys are used before the first call: idle times count from then at the
    earliest.
    """
    if _counts_uses(c):
        if _look(c.db, key) is None:
            return c.resp.null
        raise _NO_LRU
    c.server.keyspace.track()
    return c.resp.null if _look(c.db, key) is None else integer(idle(c.db, key))


@command(READONLY, group="generic", container=OBJECT, keys=_KEY, syntax="key:key", tips=_TIPS)
def object_refcount(c: Client, key: bytes) -> bytes:
    """How many references there are to the value of a key. O(1). Since 2.2.3."""
    value = _look(c.db, key)
    if value is None:
        return c.resp.null
    if type(value) is int or (type(value) is bytes and is_integer_text(value)):
        return _SHARED_REFERENCES if 0 <= int(value) < _SHARED else ONE
    return ONE


@command(LOADING | STALE, group="generic", container=OBJECT)
def object_help(c: Client) -> bytes:
    """What the subcommands do. O(1). Since 6.2.0."""
    return help_reply(OBJECT)
