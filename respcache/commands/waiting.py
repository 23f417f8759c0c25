"""WAIT and WAITAOF: until others have the writes of this client."""

from __future__ import annotations

from respcache.commands.arguments import integer as parse_integer
from respcache.commands.arguments import timeout_ms
from respcache.features.blocking import Pause
from respcache.protocol.errors import MUST_BE_POSITIVE, ReplyError
from respcache.protocol.reply import array, integer
from respcache.registry import BLOCKING, NOSCRIPT, command
from respcache.state import Client

NOT_ONE = ReplyError(b"ERR value is out of range, value must between 0 and 1")
NO_AOF = ReplyError(b"ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled.")
WAIT_ON_REPLICA = ReplyError(
    b"ERR WAIT cannot be used with replica instances. Please also note that since Redis 4.0 if a replica is configured "
    b"to be writable (which is not the default) writes to replicas are just local and are not propagated."
)
WAITAOF_ON_REPLICA = ReplyError(
    b"ERR WAITAOF cannot be used with replica instances. Please also note that writes to replicas are just local and "
    b"are not propagated."
)


def _never() -> None:
    """No key ends the wait, but what replicas say."""


@command(
    NOSCRIPT,
    group="generic",
    categories="connection -keyspace",
    syntax="numreplicas:integer timeout:integer",
    tips=("request_policy:all_shards", "response_policy:agg_min"),
)
def wait(c: Client, numreplicas: bytes, timeout: bytes) -> bytes:
    """Waits until so many replicas have all writes of this client; replies how many have. O(1). Since 3.0.0.

    What is waited for is what anybody has written until now: no less than what this client has.
    """
    mastering = c.server.mastering
    if c.server.following.on:
        raise WAIT_ON_REPLICA
    replicas, milliseconds = parse_integer(numreplicas), timeout_ms(timeout)
    offset = mastering.written
    count = mastering.acked(offset)
    if count >= replicas:
        return integer(count)
    try:
        return c.block(b"", (), milliseconds, _never, integer(count))
    except Pause:
        assert c.waiter is not None
        mastering.wait(c.waiter, offset, replicas)
        raise


@command(
    BLOCKING,
    group="generic",
    categories="connection -keyspace",
    syntax="numlocal:integer numreplicas:integer timeout:integer",
    tips=("request_policy:all_shards", "response_policy:agg_min"),
)
def waitaof(c: Client, numlocal: bytes, numreplicas: bytes, timeout: bytes) -> bytes:
    """Waits until the writes of this client are in append-only files: here, and of so many replicas.

    O(1). Since 7.2.0.
    """
    server, mastering, appending = c.server, c.server.mastering, c.server.appending
    local, replicas = parse_integer(numlocal), parse_integer(numreplicas)
    if not 0 <= local <= 1:
        raise NOT_ONE
    if replicas < 0:
        raise MUST_BE_POSITIVE
    milliseconds = timeout_ms(timeout)
    if server.following.on:
        raise WAITAOF_ON_REPLICA
    if local and not appending.on:
        raise NO_AOF
    writer = appending.writer
    offset, mark = mastering.written, writer.mark if writer is not None else 0
    count, here = mastering.synced(offset), writer is not None and writer.synced >= mark
    reply = array([integer(int(here)), integer(count)])
    if count >= replicas and here >= local:
        return reply
    try:
        return c.block(b"", (), milliseconds, _never, reply)
    except Pause:
        assert c.waiter is not None
        mastering.wait(c.waiter, offset, replicas, mark, bool(local))
        raise
