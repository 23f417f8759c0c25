"""REPLICAOF, which makes a server follow another one, or lead."""

from __future__ import annotations

from respcache.commands.arguments import integer
from respcache.log import logger as log
from respcache.protocol.errors import ReplyError
from respcache.protocol.reply import OK, status
from respcache.registry import ADMIN, NO_ASYNC_LOADING, NOSCRIPT, STALE, command
from respcache.state import Client

NOT_IN_CLUSTER = ReplyError(b"ERR REPLICAOF not allowed in cluster mode.")
NOT_FAILING_OVER = ReplyError(b"ERR REPLICAOF not allowed while failing over.")
BAD_PORT = ReplyError(b"ERR Invalid master port")
ALREADY = status(b"OK Already connected to specified master")


def _follow(c: Client, host: bytes, port: bytes) -> bytes:
    server = c.server
    if server.cluster is not None:
        raise NOT_IN_CLUSTER
    if server.mastering.failover_state != "no-failover":
        raise NOT_FAILING_OVER
    if (host.lower(), port.lower()) == (b"no", b"one"):
        if server.following.on:
            server.following.lead()
            log.info("MASTER MODE enabled (user request from '%s')", c.peer.decode("latin-1"))
        return OK
    number = integer(port, BAD_PORT, 0, 65535)
    name = host.decode("utf-8", "surrogateescape")
    if server.following.on and server.config.replicaof == (name, number):
        log.info("REPLICAOF would result into synchronization with the master we are already connected with.")
        return ALREADY
    server.following.follow(name, number)
    log.info("REPLICAOF %s:%d enabled (user request from '%s')", name, number, c.peer.decode("latin-1"))
    return OK


@command(
    ADMIN | NOSCRIPT | STALE | NO_ASYNC_LOADING,
    group="server",
    syntax="args=<host-port=(host port:integer) | no-one=(NO ONE)>",
)
def replicaof(c: Client, host: bytes, port: bytes) -> bytes:
    """Makes this server a replica of another one, or with NO ONE a master. O(1). Since 5.0.0."""
    return _follow(c, host, port)


@command(
    ADMIN | NOSCRIPT | STALE | NO_ASYNC_LOADING,
    group="server",
    syntax="args=<host-port=(host port:integer) | no-one=(NO ONE)>",
    deprecated=("5.0.0", "`REPLICAOF`"),
)
def slaveof(c: Client, host: bytes, port: bytes) -> bytes:
    """Makes this server a replica of another one, or with NO ONE a master. O(1). Since 1.0.0."""
    return _follow(c, host, port)
