"""MONITOR: what others do."""

from __future__ import annotations

from respcache.protocol.errors import ReplyError
from respcache.protocol.reply import OK
from respcache.registry import ADMIN, LOADING, NOSCRIPT, STALE, command
from respcache.state import Client

DENIED = ReplyError(b"ERR MONITOR isn't allowed for DENY BLOCKING client")


@command(ADMIN | NOSCRIPT | LOADING | STALE, group="server")
def monitor(c: Client) -> bytes:
    """Sends a line about each command that the server runs from now on. Since 1.0.0."""
    if c.server.nested:
        raise DENIED
    if c.monitors:
        return b""
    c.monitor(True)
    c.rest()
    return OK
