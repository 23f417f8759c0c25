"""The commands of replication: those that people give, and those that replicas give."""

from __future__ import annotations

from respcache.commands.arguments import integer as parse_integer
from respcache.log import logger as log
from respcache.protocol.errors import SYNTAX, ReplyError
from respcache.protocol.reply import OK, array, bulk, bulks, integer
from respcache.registry import (
    ADMIN,
    ALLOW_BUSY,
    FAST,
    LOADING,
    NO_ASYNC_LOADING,
    NO_MULTI,
    NOSCRIPT,
    STALE,
    SYSCMD,
    command,
)
from respcache.replicated import Replica
from respcache.state import Client

MOST_HOST = 255
"""Bytes of an address that a replica may announce."""

OPTIONS = frozenset((b"listening-port", b"ip-address", b"capa", b"rdb-only", b"rdb-filter-only"))
"""Of REPLCONF, that tell what a replica is."""

NOT_ONE = ReplyError(b"ERR value is out of range, value must between 0 and 1")
FAILING_OVER = ReplyError(b"NOMASTERLINK Can't SYNC while failing over")
NO_LINK = ReplyError(b"NOMASTERLINK Can't SYNC while not connected with my master")
PENDING = ReplyError(b"ERR SYNC and PSYNC are invalid with pending output")
FILTERED = ReplyError(b"ERR Filtered replica requires EOF capability")
TO_A_MASTER = ReplyError(b"ERR PSYNC FAILOVER can't be sent to a master.")
OTHER_ID = ReplyError(b"ERR PSYNC FAILOVER replid must match my replid.")
NOT_IN_CLUSTER = ReplyError(
    b"ERR FAILOVER not allowed in cluster mode. Use CLUSTER FAILOVER command instead."
)
BAD_TIMEOUT = ReplyError(b"ERR FAILOVER timeout must be greater than 0")


# What people ask


@command(NOSCRIPT | LOADING | STALE | FAST, group="server", categories="admin dangerous")
def role(c: Client) -> bytes:
    """The role of the server in replication. O(1). Since 2.8.12."""
    server = c.server
    if server.following.on:
        return server.following.role()
    server.mastering.flush()
    replicas = [
        bulks([replica.ip.encode(), b"%d" % replica.port, b"%d" % replica.acked])
        for replica in server.mastering.replicas.values()
        if replica.state == "online"
    ]
    return array([bulk(b"master"), integer(server.history.offset), array(replicas)])


@command(
    ADMIN | NOSCRIPT | STALE,
    group="server",
    syntax="[TO target=(host port:integer [FORCE])] [ABORT] [TIMEOUT milliseconds:integer]",
)
def failover(c: Client, *options: bytes) -> bytes:
    """Has a replica that has everything take over, and becomes its replica. O(1). Since 6.2.0."""
    if c.server.cluster is not None:
        raise NOT_IN_CLUSTER
    mastering = c.server.mastering
    words = list(options)
    if len(words) == 1 and words[0].lower() == b"abort":
        mastering.abort_failover()
        return OK
    target: tuple[str, int] | None = None
    milliseconds = 0
    force = False
    while words:
        option = words.pop(0).lower()
        if option == b"timeout" and words and not milliseconds:
            milliseconds = parse_integer(words.pop(0))
            if milliseconds <= 0:
                raise BAD_TIMEOUT
        elif option == b"to" and len(words) > 1 and target is None:
            host = words.pop(0).decode("latin-1")
            target = host, parse_integer(words.pop(0))
        elif option == b"force" and not force:
            force = True
        else:
            raise SYNTAX
    mastering.fail_over(target, milliseconds, force)
    return OK


# What replicas ask


@command(
    ADMIN | NOSCRIPT | NO_ASYNC_LOADING | NO_MULTI,
    group="server",
    syntax="replicationid offset:integer",
)
def psync(c: Client, replicationid: bytes, offset: bytes, *more: bytes) -> bytes:
    """Makes the client a replica that goes on where it was, if it can. Since 2.8.0."""
    if c.is_replica:
        return b""
    if more and more[0].lower() == b"failover":
        _take_over(c, replicationid)
    _check_sync(c)
    first = parse_integer(offset)
    c.server.mastering.continue_sync(_as_replica(c), replicationid, first)
    return b""


@command(ADMIN | NOSCRIPT | NO_ASYNC_LOADING | NO_MULTI, group="server")
def sync(c: Client) -> bytes:
    """Makes the client a replica, and sends it all data. Since 1.0.0."""
    if c.is_replica:
        return b""
    _check_sync(c)
    replica = _as_replica(c)
    replica.is_old = True
    c.server.mastering.full_sync(replica)
    return b""


def _take_over(c: Client, history: bytes) -> None:
    """PSYNC ... FAILOVER: our master wants to be our replica."""
    server = c.server
    log.warning("Failover request received for replid %s.", history.decode("latin-1"))
    if not server.following.on:
        raise TO_A_MASTER
    if history.lower() != server.history.id.encode():
        raise OTHER_ID
    server.following.lead()
    log.info("MASTER MODE enabled (failover request from '%s')", c.peer.decode("latin-1"))


def _check_sync(c: Client) -> None:
    server = c.server
    if server.mastering.failover_state != "no-failover":
        raise FAILING_OVER
    if server.following.on and not server.following.link_up:
        raise NO_LINK
    if c.connection.output_pending:
        raise PENDING
    if c.replica is not None and c.replica.parts is not None and not c.replica.knows_eof:
        raise FILTERED


def _as_replica(c: Client) -> Replica:
    """From now on the client is a replica."""
    replica = _about(c)
    log.info("Replica %s asks for synchronization", replica.name)
    c.enter(c.server.modes.replicating)
    return replica


def _about(c: Client) -> Replica:
    """What the client has said of itself."""
    if c.replica is None:
        c.replica = Replica(c.connection, c.peer)
        c.replica.id = c.id
    return c.replica


@command(ADMIN | NOSCRIPT | LOADING | STALE | ALLOW_BUSY | SYSCMD, group="server")
def replconf(c: Client, *words: bytes) -> bytes:
    """Tells what a replica is, what it wants, and what it has. O(1). Since 3.0.0."""
    if len(words) % 2:
        raise SYNTAX
    for at in range(0, len(words), 2):
        option, value = words[at].lower(), words[at + 1]
        if option == b"ack":
            _acknowledge(c, words[at:])
            return b""
        if option == b"getack":
            return b""  # a master asks for it in its stream, see `respcache.following`
        if option not in OPTIONS:
            raise ReplyError(b"ERR Unrecognized REPLCONF option: %b" % words[at])
        _set_option(_about(c), option, value)
    return OK


def _acknowledge(c: Client, words: tuple[bytes, ...]) -> None:
    """REPLCONF ACK offset [FACK offset]; what is no replica is not heard."""
    replica = c.replica
    if replica is None or not c.is_replica:
        return
    try:
        offset = parse_integer(words[1])
        synced = parse_integer(words[3]) if len(words) > 3 and words[2].lower() == b"fack" else None
    except ReplyError:
        return
    c.server.mastering.acknowledged(replica, offset, synced)


def _set_option(replica: Replica, option: bytes, value: bytes) -> None:
    if option == b"listening-port":
        replica.port = parse_integer(value)
    elif option == b"ip-address":
        if len(value) > MOST_HOST:
            text = b"ERR REPLCONF ip-address provided by replica instance is too long: %d bytes"
            raise ReplyError(text % len(value))
        replica.host = value.decode("latin-1")
    elif option == b"capa":
        replica.knows_eof |= value.lower() == b"eof"
        replica.knows_psync |= value.lower() == b"psync2"
    elif option == b"rdb-only":
        number = parse_integer(value)
        if not 0 <= number <= 1:
            raise NOT_ONE
        replica.data_only = bool(number)
    else:
        parts = value.lower().split()
        for part in parts:
            if part != b"functions":
                raise ReplyError(b"ERR Unsupported rdb-filter-only option: %b" % part)
        replica.parts = frozenset(part.decode() for part in parts)
