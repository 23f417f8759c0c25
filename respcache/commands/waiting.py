"""WAIT and WAITAOF: until others have the writes of this client."""

from __future__ import annotations

from respcache.commands.arguments import integer as parse_integer
from respcache.commands.arguments import timeout_ms
from respcache.protocol.errors import MUST_BE_POSITIVE, ReplyError
from respcache.protocol.reply import ZERO, array
from respcache.registry import BLOCKING, NOSCRIPT, command
from respcache.state import Client

NOT_ONE = ReplyError(b"ERR value is out of range, value must between 0 and 1")
NO_AOF = ReplyError(b"ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled.")


def _never() -> None:
    """Nothing else ends the wait: there are no replicas."""


@command(
    NOSCRIPT,
    group="generic",
    categories="connection -keyspace",
    syntax="numreplicas:integer timeout:integer",
    tips=("request_policy:all_shards", "response_policy:agg_min"),
)
def wait(c: Client, numreplicas: bytes, timeout: bytes) -> bytes:
    """Waits until so many replicas have all writes of this client; replies how many have. O(1). Since 3.0.0."""
    replicas, milliseconds = parse_integer(numreplicas), timeout_ms(timeout)
    if replicas <= 0:
        return ZERO
    return c.block(b"", (), milliseconds, _never, ZERO)


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
    local, replicas = parse_integer(numlocal), parse_integer(numreplicas)
    if not 0 <= local <= 1:
        raise NOT_ONE
    if replicas < 0:
        raise MUST_BE_POSITIVE
    milliseconds = timeout_ms(timeout)
    if local:
        raise NO_AOF
    nobody = array([ZERO, ZERO])
    return nobody if not replicas else c.block(b"", (), milliseconds, _never, nobody)
