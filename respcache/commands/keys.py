"""Keys, whatever their values: deletion, existence, names, copies, lists."""

from __future__ import annotations

from respcache.commands.databases import database, index
from respcache.keyspec import key
from respcache.protocol.errors import DB_RANGE, NO_SUCH_KEY, SAME_OBJECT, SYNTAX
from respcache.protocol.reply import OK, ONE, ZERO, bulk, bulks, integer, status
from respcache.registry import BRIEF, DENYOOM, FAST, READONLY, WRITE, command
from respcache.state import Client
from respcache.store.events import COPY_TO, RENAME_FROM, RENAME_TO
from respcache.store.glob import compile_glob
from respcache.store.types import TYPES, type_name

_ALL_SHARDS = ("request_policy:multi_shard", "response_policy:agg_sum")


@command(WRITE, group="generic", keys=key("RM DELETE", last=-1), syntax="key:key...", tips=_ALL_SHARDS)
def del_(c: Client, key: bytes, *more: bytes) -> bytes:
    """Deletes keys. O(N), N being the number of keys; what they held is freed later. Since 1.0.0."""
    delete = c.db.delete
    return integer(sum([delete(each) for each in (key, *more)]))


@command(WRITE | FAST, group="generic", keys=key("RM DELETE", last=-1), syntax="key:key...", tips=_ALL_SHARDS)
def unlink(c: Client, key: bytes, *more: bytes) -> bytes:
    """Deletes keys and frees what they held later, as DEL does too. O(1) for each key. Since 4.0.0."""
    delete = c.db.delete
    return integer(sum([delete(each) for each in (key, *more)]))


@command(
    READONLY | FAST,
    group="generic",
    keys=key("RO", last=-1),
    syntax="key:key...",
    tips=_ALL_SHARDS,
    history=(("3.0.3", "Takes more than one `key`."),),
)
def exists(c: Client, key: bytes, *more: bytes) -> bytes:
    """Counts the keys that exist, one named twice twice. O(N), N being the number of keys. Since 1.0.0."""
    look = c.db.look
    return integer(sum([look(each) is not None for each in (key, *more)]))


@command(READONLY | FAST, group="generic", keys=key("RO", last=-1), syntax="key:key...", tips=_ALL_SHARDS)
def touch(c: Client, key: bytes, *more: bytes) -> bytes:
    """Marks keys as used now, and counts those that exist. O(N), N being the number of keys. Since 3.2.1."""
    get = c.db.get
    return integer(sum([get(each) is not None for each in (key, *more)]))


@command(READONLY | FAST | BRIEF, group="generic", keys=key("RO"), syntax="key:key")
def type_(c: Client, key: bytes) -> bytes:
    """The type of a key's value, or none. O(1). Since 1.0.0."""
    return status(type_name(c.db.look(key)))


@command(
    WRITE,
    group="generic",
    keys=(key("RW ACCESS DELETE"), key("OW UPDATE", at=2)),
    syntax="key:key newkey:key@1",
)
def rename(c: Client, key: bytes, newkey: bytes) -> bytes:
    """Gives a key a new name, in place of the key that may have it. O(1). Since 1.0.0."""
    _rename(c, key, newkey)
    return OK


@command(
    WRITE | FAST | BRIEF,
    group="generic",
    keys=(key("RW ACCESS DELETE"), key("OW INSERT", at=2)),
    syntax="key:key newkey:key@1",
    history=(("3.2.0", "The same name twice is no longer an error."),),
)
def renamenx(c: Client, key: bytes, newkey: bytes) -> bytes:
    """Gives a key a new name unless another key has it. O(1). Since 1.0.0."""
    if key not in c.db:
        raise NO_SUCH_KEY
    if newkey in c.db:
        return ZERO
    _rename(c, key, newkey)
    return ONE


def _rename(c: Client, key: bytes, newkey: bytes) -> None:
    if key == newkey and key in c.db:
        return
    taken = c.db.take(key, RENAME_FROM)
    if taken is None:
        raise NO_SUCH_KEY
    c.db.put(newkey, *taken, RENAME_TO)


@command(
    WRITE | DENYOOM,
    group="generic",
    keys=(key("RO ACCESS"), key("OW UPDATE", at=2)),
    syntax="source:key destination:key@1 [DB destination-db:integer] [REPLACE]",
)
def copy(c: Client, source: bytes, destination: bytes, *options: bytes) -> bytes:
    """Copies a key with its value and its time to live. O(N), N being the number of elements. Since 6.2.0."""
    target, replace = c.db, False
    rest = iter(options)
    for option in rest:
        name = option.upper()
        if name == b"REPLACE":
            replace = True
        elif name == b"DB" and (number := next(rest, None)) is not None:
            target = database(c, index(number))
            if target is not c.db and c.server.config.cluster_enabled:
                raise DB_RANGE
        else:
            raise SYNTAX
    if target is c.db and source == destination:
        raise SAME_OBJECT
    value = c.db.get(source)
    if value is None or (destination in target and not replace):
        return ZERO
    target.put(destination, TYPES[type(value)].copy(value), c.db.deadline(source), COPY_TO)
    return ONE


@command(
    READONLY,
    group="generic",
    categories="dangerous",
    syntax="pattern:pattern",
    tips=("request_policy:all_shards", "nondeterministic_output_order"),
)
def keys(c: Client, pattern: bytes) -> bytes:
    """All keys that match a pattern. O(N), N being the number of keys in the database. Since 1.0.0."""
    if pattern == b"*":
        return bulks(c.db.keys())
    match = compile_glob(pattern)
    return bulks(filter(match, c.db.keys()))


@command(READONLY, group="generic", tips=("request_policy:all_shards", "nondeterministic_output"))
def randomkey(c: Client) -> bytes:
    """Any key, each as likely as the other. O(1). Since 1.0.0."""
    found = c.db.random_key()
    return c.resp.null if found is None else bulk(found)
