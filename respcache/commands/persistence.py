"""Data on disk: SAVE, BGSAVE, BGREWRITEAOF, and when data was last saved."""

from __future__ import annotations

from respcache.protocol.errors import SYNTAX
from respcache.protocol.reply import OK, integer, status
from respcache.registry import ADMIN, FAST, LOADING, NO_ASYNC_LOADING, NO_MULTI, NOSCRIPT, STALE, command
from respcache.state import Client


@command(ADMIN | NOSCRIPT | NO_ASYNC_LOADING | NO_MULTI, group="server")
def save(c: Client) -> bytes:
    """Saves all data to an RDB file while everything else waits. O(N), N being the number of keys. Since 1.0.0."""
    c.server.saving.save()
    return OK


@command(
    ADMIN | NOSCRIPT | NO_ASYNC_LOADING,
    group="server",
    syntax="[SCHEDULE{3.2.2}]",
    history=(("3.2.2", "Option `SCHEDULE`."),),
)
def bgsave(c: Client, *schedule: bytes) -> bytes:
    """Saves all data to an RDB file while everything else goes on. O(1). Since 1.0.0."""
    if schedule and (len(schedule) > 1 or schedule[0].lower() != b"schedule"):
        raise SYNTAX
    return c.server.saving.save_in_background(bool(schedule))


@command(ADMIN | NOSCRIPT | NO_ASYNC_LOADING, group="server")
def bgrewriteaof(c: Client) -> bytes:
    """Makes the append-only file as short as the data allows. O(1). Since 1.0.0."""
    return status(c.server.appending.rewrite_in_background())


@command(
    LOADING | STALE | FAST, group="server", categories="admin dangerous", tips=("nondeterministic_output",)
)
def lastsave(c: Client) -> bytes:
    """When the data was last saved, in seconds since the epoch. O(1). Since 1.0.0."""
    return integer(c.server.saving.last_save)
