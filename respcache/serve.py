"""Serving clients that wait for keys: after a command has changed one, and when their time is over."""

from __future__ import annotations

from collections.abc import Hashable

from respcache.execute import error_reply
from respcache.features.blocking import Waiter
from respcache.propagating import attempt
from respcache.registry import WRITE, Command, Handler
from respcache.state import Client, ServerState
from respcache.store.types import type_name


def serving(command: Command, handler: Handler) -> Handler:
    """The layer that looks after waiting clients; it is on while there are any.

    The commands of a transaction or of a script are over only when that is.
    """
    if not command.flags & WRITE and command.group not in ("transactions", "scripting"):
        return handler

    def run(client: Client, *arguments: bytes) -> bytes:
        reply = handler(client, *arguments)
        server = client.server
        if server.waiting.ready and not server.nested:
            serve(server)
        return reply

    return run


def serve(server: ServerState) -> None:
    """Tries what is waited for again, as long as keys change: who is served may so serve others."""
    waiting = server.waiting
    while waiting.ready:
        ready, waiting.ready = waiting.ready, {}
        for where, arrived in ready.items():
            _serve_key(server, where, arrived)


def _serve_key(server: ServerState, where: tuple[int, bytes], arrived: bool) -> None:
    index, key = where
    waiting, db = server.waiting, server.keyspace.databases[index]
    held = server.held
    kind = type_name(db.peek(key))
    in_vain: set[Hashable] = set()  # teams
    for waiter in waiting.at(where):
        if waiter.kind != kind and not waiter.gone:
            if kind == b"none" and not waiting.is_sought(where):
                break
            continue
        if waiter.client.waiter is not waiter or waiter.team in in_vain or not (arrived or waiter.follows):
            continue
        if held.keys and held.concerns(waiter.arguments):  # it would change what is on its way elsewhere
            held.postpone(where, arrived)
            break
        if _try(server, waiter):
            kind = type_name(db.peek(key))
        elif waiter.team is not None:
            in_vain.add(waiter.team)


def _try(server: ServerState, waiter: Waiter) -> bool:
    """Runs a waiting command again. Tells whether it waits no longer."""
    client = waiter.client
    assert isinstance(client, Client)
    try:
        reply = attempt(server, waiter)
    except Exception as error:
        assert client.last is not None
        _, reply = error_reply(client, client.last, abs(client.last.command.arity), error)
    if reply is None:
        return False
    server.end_wait(waiter, reply)
    return True
