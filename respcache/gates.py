"""Gates: what refuses commands while the server is in a state in which it must not run them.

Some close to writes: data cannot be written to disk (`misconf`), too few replicas would have it (`few_replicas`), it is
somebody else's (`readonly`). The others close to all commands without a flag: data is being loaded (`loading`), or may
be old (`masterdown`). A command is refused when it is queued as well as when it would run.
"""

from __future__ import annotations

from collections.abc import Callable

from respcache.protocol.errors import Rejection, wrong_arity
from respcache.registry import LOADING, STALE, WRITE, Command, Flag, Handler
from respcache.state import Client, ServerState
from respcache.transaction import Transaction

READONLY_ERROR = Rejection(b"READONLY You can't write against a read only replica.")
MASTERDOWN_ERROR = Rejection(
    b"MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'."
)
LOADING_ERROR = Rejection(b"LOADING Redis is loading the dataset in memory")

NOREPLICAS = Rejection(b"NOREPLICAS Not enough good replicas to write.")

MISCONF_RDB = (
    b"MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk. Commands that "
    b"may modify the data set are disabled, because this instance is configured to report errors during writes if RDB "
    b"snapshotting fails (stop-writes-on-bgsave-error option). Please check the Redis logs for details about the RDB "
    b"error."
)
MISCONF_AOF = b"MISCONF Errors writing to the AOF file: %b"
"""With what the system says about it."""


def deny_writes(server: ServerState, reason: str, text: bytes | None) -> None:
    """Has writes refused with this error until this is called with None for the same reason.

    The reasons are `rdb` and `aof`; of several, clients are told the one that comes last in the alphabet, as in Redis.
    """
    if text is None:
        server.misconf.pop(reason, None)
    else:
        server.misconf[reason] = text
    server.modes.switch("misconf", bool(server.misconf))


def _check_arity(command: Command, arguments: int) -> None:
    if not command.accepts(arguments + (1 if command.parent is None else 2)):
        raise wrong_arity(command.name)


def _closed(
    command: Command,
    handler: Handler,
    harmless: Callable[[Transaction | None], bool],
    reason: Callable[[ServerState], Rejection | None],
) -> Handler:
    """What stands for a command while a gate is closed: it is refused for this reason, if there is one at that moment.

    An EXEC may pass if what it would run is harmless; what it does run was so looked at.
    """
    is_exec = command.name == "exec"

    def refuse(client: Client, *arguments: bytes) -> bytes:
        _check_arity(command, len(arguments))
        server = client.server
        if server.nested or (is_exec and harmless(client.transaction)):
            return handler(client, *arguments)
        error = reason(server)
        if error is None:
            return handler(client, *arguments)
        raise error

    return refuse


def _no_write(transaction: Transaction | None) -> bool:
    return transaction is None or not transaction.flags & WRITE


def _against_writes(
    command: Command, handler: Handler, reason: Callable[[ServerState], Rejection | None]
) -> Handler:
    if not command.flags & WRITE and command.name != "exec":
        return handler
    return _closed(command, handler, _no_write, reason)


def _against_all_but(flag: Flag, command: Command, handler: Handler, error: Rejection) -> Handler:
    if command.flags & flag and command.name != "exec":
        return handler

    def harmless(transaction: Transaction | None) -> bool:
        return transaction is None or all(entry.command.flags & flag for entry, _, _ in transaction.queued)

    return _closed(command, handler, harmless, lambda _server: error)


def misconf(command: Command, handler: Handler) -> Handler:
    """The gate that lets no write through, nor PING, so that whoever watches the server notices."""
    if command.name == "ping":
        return _closed(command, handler, _no_write, _trouble)
    return _against_writes(command, handler, _trouble)


def _trouble(server: ServerState) -> Rejection | None:
    return Rejection(server.misconf[max(server.misconf)]) if server.misconf else None


def few_replicas(command: Command, handler: Handler) -> Handler:
    """The gate of min-replicas-to-write: no write is taken that too few would have."""
    return _against_writes(
        command,
        handler,
        lambda server: NOREPLICAS if server.mastering.good < server.config.min_replicas_to_write else None,
    )


def readonly(command: Command, handler: Handler) -> Handler:
    """The gate of a replica that nobody but its master may change."""
    return _against_writes(command, handler, lambda _server: READONLY_ERROR)


def loading(command: Command, handler: Handler) -> Handler:
    """The gate of a server that is loading its data."""
    return _against_all_but(LOADING, command, handler, LOADING_ERROR)


def masterdown(command: Command, handler: Handler) -> Handler:
    """The gate of a replica whose link is down, and that is not to show data that may be old."""
    return _against_all_but(STALE, command, handler, MASTERDOWN_ERROR)
