"""Commands of a client that knows the nodes of a cluster: ASKING, READONLY, READWRITE. They ask for an exception from
what `respcache.routing` does."""

from __future__ import annotations

from respcache.protocol.errors import ReplyError
from respcache.protocol.reply import OK
from respcache.registry import FAST, LOADING, STALE, command
from respcache.routing import ask
from respcache.state import Client

NO_CLUSTER = ReplyError(b"ERR This instance has cluster support disabled")


def _check(c: Client) -> None:
    if c.server.cluster is None:
        raise NO_CLUSTER


@command(FAST, group="cluster", categories="connection")
def asking(c: Client) -> bytes:
    """Has the next command served here though its slot is still on its way from another node. O(1). Since 3.0.0."""
    _check(c)
    ask(c)
    return OK


@command(LOADING | STALE | FAST, group="cluster", categories="connection")
def readonly(c: Client) -> bytes:
    """Has a replica serve this connection's reads of what its master owns. O(1). Since 3.0.0."""
    _check(c)
    c.readonly = True
    return OK


@command(LOADING | STALE | FAST, group="cluster", categories="connection")
def readwrite(c: Client) -> bytes:
    """Has a replica send this connection's reads to its master again. O(1). Since 3.0.0."""
    _check(c)
    c.readonly = False
    return OK
