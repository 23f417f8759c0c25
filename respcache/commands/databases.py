"""Databases as a whole: choosing, exchanging, counting and emptying them, and moving a key between two."""

from __future__ import annotations

from collections.abc import Sequence

from respcache.commands.arguments import integer
from respcache.keyspec import key
from respcache.protocol import reply
from respcache.protocol.errors import DB_RANGE, SAME_OBJECT, SYNTAX, ReplyError
from respcache.protocol.reply import OK, ONE, ZERO
from respcache.registry import BRIEF, FAST, LOADING, READONLY, STALE, WRITE, command
from respcache.state import Client
from respcache.store.database import Database
from respcache.store.events import MOVE_FROM, MOVE_TO

_INT_RANGE = ReplyError(b"ERR value is out of range, value must between -2147483648 and 2147483647")
_INT_MAX = (1 << 31) - 1
_ASYNC = (("4.0.0", "Option `ASYNC`."), ("6.2.0", "Option `SYNC`."))


def index(word: bytes) -> int:
    """The number of a database, of 32 bits; whether there is one of that number `database` tells."""
    number = integer(word)
    if not -_INT_MAX - 1 <= number <= _INT_MAX:
        raise _INT_RANGE
    return number


def database(c: Client, number: int) -> Database:
    """The database of a number. Raises if there is none."""
    databases = c.server.keyspace.databases
    if not 0 <= number < len(databases):
        raise DB_RANGE
    return databases[number]


def _not_in_cluster(c: Client, error: ReplyError) -> None:
    """A cluster has but one database."""
    if c.server.config.cluster_enabled:
        raise error


_CLUSTER_SELECT = ReplyError(b"ERR SELECT is not allowed in cluster mode")
_CLUSTER_SWAPDB = ReplyError(b"ERR SWAPDB is not allowed in cluster mode")
_CLUSTER_MOVE = ReplyError(b"ERR MOVE is not allowed in cluster mode")


@command(LOADING | STALE | FAST, group="connection", syntax="index:integer")
def select(c: Client, number: bytes) -> bytes:
    """Chooses the database that the connection's commands mean from now on. O(1). Since 1.0.0."""
    chosen = index(number)
    if chosen:
        _not_in_cluster(c, _CLUSTER_SELECT)
    c.db = database(c, chosen)
    return OK


@command(
    WRITE | FAST,
    group="server",
    categories="dangerous keyspace",
    syntax="index1:integer index2:integer",
)
def swapdb(c: Client, first: bytes, second: bytes) -> bytes:
    """Exchanges the contents of two databases under all who use them.
    O(N), N being the number of clients that watch keys of them. Since 4.0.0.
    """
    _not_in_cluster(c, _CLUSTER_SWAPDB)
    numbers = []
    for word, place in ((first, b"first"), (second, b"second")):
        error = ReplyError(b"ERR invalid %b DB index" % place)
        numbers.append(integer(word, error, -_INT_MAX - 1, _INT_MAX))
    one, other = [database(c, number) for number in numbers]
    one.swap(other)
    return OK


@command(WRITE | FAST | BRIEF, group="generic", keys=key("RW ACCESS UPDATE"), syntax="key:key db:integer")
def move(c: Client, key: bytes, number: bytes) -> bytes:
    """Moves a key to another database, unless that has a key of this name. O(1). Since 1.0.0."""
    _not_in_cluster(c, _CLUSTER_MOVE)
    target = database(c, index(number))
    if target is c.db:
        raise SAME_OBJECT
    if key not in c.db or key in target:
        return ZERO
    taken = c.db.take(key, MOVE_FROM)
    assert taken is not None
    target.put(key, *taken, MOVE_TO)
    return ONE


@command(
    READONLY | FAST | BRIEF,
    group="server",
    categories="keyspace",
    tips=("request_policy:all_shards", "response_policy:agg_sum"),
)
def dbsize(c: Client) -> bytes:
    """The number of keys in the database. O(1). Since 1.0.0."""
    return reply.integer(c.db.size)


def _check_mode(mode: Sequence[bytes]) -> None:
    """ASYNC and SYNC mean the same: what held the keys is freed later, in slices."""
    if len(mode) > 1 or (mode and mode[0].upper() not in (b"ASYNC", b"SYNC")):
        raise SYNTAX


@command(
    WRITE,
    group="server",
    categories="dangerous keyspace",
    syntax="[async=<ASYNC{4.0.0} | SYNC{6.2.0}>]",
    tips=("request_policy:all_shards", "response_policy:all_succeeded"),
    history=_ASYNC,
)
def flushdb(c: Client, *mode: bytes) -> bytes:
    """Deletes all keys of the database. O(1), the memory is freed in the background. Since 1.0.0."""
    _check_mode(mode)
    c.db.clear()
    return OK


@command(
    WRITE,
    group="server",
    categories="dangerous keyspace",
    syntax="[async=<ASYNC{4.0.0} | SYNC{6.2.0}>]",
    tips=("request_policy:all_shards", "response_policy:all_succeeded"),
    history=_ASYNC,
)
def flushall(c: Client, *mode: bytes) -> bytes:
    """Deletes all keys of all databases. O(1), the memory is freed in the background. Since 1.0.0."""
    _check_mode(mode)
    for db in c.server.keyspace.databases:
        db.clear()
    c.server.saving.emptied()
    return OK
