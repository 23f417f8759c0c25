"""What bounds memory: the gate `memory`, client eviction, and the layer of clients that do not touch keys.

The gate is on while there is a limit. It makes room before a command runs, and refuses what may need more memory where
there is none. See `respcache.features.eviction`.

Where room cannot be made, all that is queued is refused too: a transaction takes memory itself. What ends or begins
one passes, and so does EXEC, unless there is a command among the queued that would be refused.
"""

from __future__ import annotations

import logging

from respcache.protocol.errors import Rejection, wrong_arity
from respcache.registry import DENYOOM, READONLY, Command, Handler
from respcache.state import Client, ServerState
from respcache.store.keyspace import adapt
from respcache.store.tracked import TrackedDatabase

log = logging.getLogger("respcache")

OOM = Rejection(b"OOM command not allowed when used memory > 'maxmemory'.")

LEAST_FOR_CLIENTS = 128 << 10
"""Bytes that clients always have, lest nobody can talk to the server any more."""

_NEVER_QUEUED = frozenset({"exec", "discard", "multi", "watch", "quit", "reset"})


def limiting(command: Command, handler: Handler) -> Handler:
    """The gate of a server with a memory limit. Reads need none, unless they are queued or something else watches them:
    what they find too much the next write or the cron will see."""
    if command.flags & READONLY and handler is command.handler:
        return handler
    grows = bool(command.flags & DENYOOM)
    queued = command.name not in _NEVER_QUEUED
    is_exec = command.name == "exec"
    words = 1 if command.parent is None else 2

    def run(client: Client, *arguments: bytes) -> bytes:
        memory = client.server.memory
        account = memory.account
        if account.bytes > account.allowed and not client.server.nested and not memory.make_room():
            transaction = client.transaction
            if grows or (transaction is not None and (queued or (is_exec and transaction.flags & DENYOOM))):
                if not command.accepts(len(arguments) + words):
                    raise wrong_arity(command.name)
                raise OOM
        return handler(client, *arguments)

    return run


def sparing(command: Command, handler: Handler) -> Handler:
    """The layer that lets the reads of who asked for it (CLIENT NO-TOUCH) leave no trace in the words of access; it is
    on while there is such a client. TOUCH always leaves one."""
    if not command.flags & READONLY or command.name == "touch":
        return handler

    def run(client: Client, *arguments: bytes) -> bytes:
        db = client.db
        if not client.no_touch or not isinstance(db, TrackedDatabase):
            return handler(client, *arguments)
        adapt(db, TrackedDatabase, False)
        try:
            return handler(client, *arguments)
        finally:
            adapt(db, TrackedDatabase, True)

    return run


def memory_of(client: Client) -> int:
    """Bytes that wait in a client's buffers, `tot-mem` of CLIENT LIST."""
    link = client.connection
    return link.input_pending + link.output_pending


def _evictable(server: ServerState) -> list[Client]:
    return [client for client in server.clients.values() if not (client.no_evict or client.is_replica)]


def evict_clients(server: ServerState) -> None:
    """Closes clients if the buffers of all take more than maxmemory-clients: those that take most go first."""
    most, config = server.config.maxmemory_clients, server.config
    if most < 0:  # a percentage
        most = -most * config.maxmemory // 100
    if not most:
        return
    taken = [(memory_of(client), client.id, client) for client in _evictable(server)]
    spare = sum([size for size, _, _ in taken]) - max(most, LEAST_FOR_CLIENTS)
    if spare <= 0:
        return
    for size, _, client in sorted(taken, reverse=True):
        if spare <= 0:
            break
        log.info("Evicting client: %s", client.peer.decode("latin-1"))
        server.stats.evicted_clients += 1
        client.connection.close(flush=False)
        spare -= size
