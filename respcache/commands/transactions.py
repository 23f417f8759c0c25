"""Transactions: MULTI, EXEC, DISCARD, WATCH, UNWATCH. What happens in between is `respcache.dispatch.queueing`."""

from __future__ import annotations

from respcache.execute import call
from respcache.keyspec import key
from respcache.protocol.errors import ReplyError
from respcache.protocol.reply import OK, array
from respcache.registry import ALLOW_BUSY, FAST, LOADING, NOSCRIPT, SKIP_SLOWLOG, STALE, command
from respcache.state import Client

NESTED = ReplyError(b"ERR MULTI calls can not be nested")
WATCH_INSIDE = ReplyError(b"ERR WATCH inside MULTI is not allowed")
EXEC_ALONE = ReplyError(b"ERR EXEC without MULTI")
DISCARD_ALONE = ReplyError(b"ERR DISCARD without MULTI")
ABORTED = ReplyError(b"EXECABORT Transaction discarded because of previous errors.")


@command(NOSCRIPT | LOADING | STALE | FAST | ALLOW_BUSY, group="transactions")
def multi(c: Client) -> bytes:
    """Begins a transaction: commands are queued until EXEC. O(1). Since 1.2.0."""
    if c.transaction is not None:
        raise NESTED
    c.begin()
    return OK


@command(NOSCRIPT | LOADING | STALE | SKIP_SLOWLOG, group="transactions")
def exec_(c: Client) -> bytes:
    """Runs the queued commands, nothing coming between them; null if a watched key has changed. Since 1.2.0."""
    transaction = c.transaction
    if transaction is None:
        raise EXEC_ALONE
    in_vain = c.watch is not None and c.server.watches.is_broken(c.watch)
    c.discard()
    if transaction.broken:
        raise ABORTED
    if in_vain:
        return c.resp.null_array
    server = c.server
    server.nested = True
    names = c.names
    c.transaction = transaction  # CLIENT LIST among the commands shows it
    try:
        return array([call(c, *queued) for queued in transaction.queued])
    finally:
        server.nested = False
        c.transaction = None
        c.names = names


@command(NOSCRIPT | LOADING | STALE | FAST | ALLOW_BUSY, group="transactions")
def discard(c: Client) -> bytes:
    """Forgets the queued commands and the watched keys. O(N) with N queued commands. Since 2.0.0."""
    if c.transaction is None:
        raise DISCARD_ALONE
    c.discard()
    return OK


@command(
    NOSCRIPT | LOADING | STALE | FAST | ALLOW_BUSY,
    group="transactions",
    keys=key("RO", last=-1),
    syntax="key:key...",
)
def watch(c: Client, key: bytes, *more: bytes) -> bytes:
    """Makes the next transaction fail if one of these keys changes before EXEC. O(1) for each key. Since 2.2.0."""
    if c.transaction is not None:
        raise WATCH_INSIDE
    for each in (key, *more):
        c.watch_key(each)
    return OK


@command(NOSCRIPT | LOADING | STALE | FAST | ALLOW_BUSY, group="transactions")
def unwatch(c: Client) -> bytes:
    """Forgets all watched keys. O(1). Since 2.2.0."""
    c.unwatch()
    return OK
