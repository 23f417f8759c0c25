"""The gate of keys that are on their way to another server, see `respcache.migrating`: who wants one waits.

It is the outermost gate: what another one would make of a request is seen when it is run again, and the keys are where
they will be. In front of it stands only what needs no keys. It is on while there are such keys, and a little longer.
"""

from __future__ import annotations

from collections.abc import Sequence

from respcache.features.blocking import Pause
from respcache.registry import Command, Handler
from respcache.state import Client

CONCERNED = frozenset(
    {
        *("flushall", "flushdb", "swapdb", "replicaof", "slaveof", "failover"),
        *("cluster|addslots", "cluster|addslotsrange", "cluster|delslots", "cluster|delslotsrange"),
        *("cluster|failover", "cluster|flushslots", "cluster|replicate", "cluster|reset", "cluster|setslot"),
    }
)
"""Commands that want all keys, or change whose they are. They wait for any."""


def holding(command: Command, handler: Handler) -> Handler:
    """The gate for a command that may have keys, or concerns all of them. Those without read no held key."""
    is_exec, wants_all = command.name == "exec", command.name in CONCERNED
    if not is_exec and not wants_all and not command.has_keys:
        return handler

    def wait(client: Client, *arguments: bytes) -> bytes:
        server = client.server
        held = server.held
        if not held.keys or server.nested:
            return handler(client, *arguments)
        if is_exec:
            free = not _concerned(client)
        else:
            free = client.transaction is not None or not (wants_all or held.concerns(arguments))
        if free:
            return handler(client, *arguments)
        client.paused = True
        held.wait(client.id, client.connection.release)
        raise Pause(retry=True)

    return wait


def _concerned(client: Client) -> bool:
    """Whether what a client has queued has to wait."""
    if client.transaction is None:
        return False
    held = client.server.held
    queued: Sequence[tuple[str, Sequence[bytes]]] = [
        (entry.command.name, arguments) for entry, arguments, _ in client.transaction.queued
    ]
    return any(name in CONCERNED or held.concerns(arguments) for name, arguments in queued)
