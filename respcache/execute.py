"""Running one request for a client, outside of the connection's hot loop."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from respcache.clock import monotonic
from respcache.features.blocking import Disconnect, Pause
from respcache.protocol.errors import (
    Redirection,
    Rejection,
    ReplyError,
    unknown_command,
    unknown_subcommand,
    wrong_arity,
)
from respcache.state import Client
from respcache.table import Entry

log = logging.getLogger("respcache")

INTERNAL_ERROR = ReplyError(b"ERR internal error, see the log of the server")


def execute(client: Client, argv: list[bytes]) -> bytes:
    """Runs a request, whatever the case of its name, and returns the reply. Raises Pause and Disconnect."""
    since = monotonic()
    try:
        entry, first = find(client, argv)
    except Rejection as error:
        client.last = None
        client.server.stats.error(error.code)
        if client.transaction is not None:
            client.transaction.broken = True
        elif client.asking:
            client.asking = False
            client.rest()
        return b"" if client.swallow() else error.reply
    client.last = entry
    client.names = argv[:first]
    ran = True
    try:
        reply = entry.run(client, *argv[first:])
    except Pause as pause:
        if not pause.retry:
            entry.stats.record(1, monotonic() - since)
        raise
    except Disconnect:
        entry.stats.record(1, monotonic() - since)
        raise
    except Exception as error:
        ran, reply = failure(client, entry, len(argv), error)
    if ran:
        seconds = monotonic() - since
        entry.stats.record(1, seconds)
        if seconds >= client.server.slow_after:
            client.server.exceeded(client, entry, argv, seconds)
    return reply


def find(client: Client, argv: list[bytes]) -> tuple[Entry, int]:
    """The entry that a request means and the index of its first argument; how many there are is not looked at.

    Raises Rejection if there is none, and Disconnect if this is a browser talking.
    """
    mode, stats = client.mode, client.server.stats
    name = argv[0].lower()
    entry = mode.entries.get(name)
    if entry is None:
        if name in (b"post", b"host:"):
            log.warning(
                "Possible SECURITY ATTACK: %s sends HTTP. A web page may be trying to reach this server through a "
                "browser. Connection aborted.",
                client.peer.decode("latin-1"),
            )
            raise Disconnect
        stats.unknown_commands += 1
        raise unknown_command(argv)
    subcommands = mode.subcommands.get(name)
    if subcommands is None or len(argv) == 1:
        return entry, 1
    found = subcommands.get(argv[1].lower())
    if found is None:
        raise unknown_subcommand(entry.command.name, argv[1])
    return found, 2


def call(client: Client, entry: Entry, arguments: Sequence[bytes], names: Sequence[bytes]) -> bytes:
    """Runs a command of a transaction and returns its reply, which may be an error. `names` is how it was spelled.

    What ends the connection ends it after the transaction.
    """
    since = monotonic()
    client.names = names
    ran = True
    try:
        reply = entry.run(client, *arguments)
    except Disconnect as goodbye:
        client.connection.close()
        reply = goodbye.reply
    except Exception as error:
        ran, reply = error_reply(client, entry, len(arguments) + entry.words, error)
    if ran:
        seconds = monotonic() - since
        entry.stats.record(1, seconds)
        if seconds >= client.server.slow_after:
            client.server.exceeded(client, entry, [*entry.names, *arguments], seconds)
    return reply


def failure(client: Client, entry: Entry, words: int, error: Exception) -> tuple[bool, bytes]:
    """As `error_reply`; the reply is empty if the client wants none."""
    ran, reply = error_reply(client, entry, words, error)
    return ran, b"" if client.swallow() else reply


def error_reply(client: Client, entry: Entry, words: int, error: Exception) -> tuple[bool, bytes]:
    """What to make of an exception of an entry that was called by a request of so many words: whether the call counts
    as one that ran, and the reply.

    Most errors are constants. Python adds to the traceback of an exception each time that it is raised, and so would
    keep all frames of all failed calls with their arguments for ever: here they are let go.
    """
    command = entry.command
    if isinstance(error, TypeError) and not command.accepts(words):
        error = wrong_arity(command.name)
    if isinstance(error, Rejection):
        entry.stats.rejected += 1
        if client.transaction is not None:
            client.transaction.broken = True
            if command.name == "exec":
                client.discard()
                if not isinstance(error, Redirection):
                    reason = error.text.removeprefix(b"ERR ")
                    error = Rejection(b"EXECABORT Transaction discarded because of: " + reason)
    else:
        entry.stats.failed += 1
        if not isinstance(error, ReplyError):
            log.error("%s failed: %r", command.name, error, exc_info=error)
            error = INTERNAL_ERROR
    error.__traceback__ = error.__context__ = None
    client.server.stats.error(error.code)
    return not isinstance(error, Rejection), error.reply
