"""Gates: what refuses commands while the server is in a state in which it must not run them.

`loading`: data is being loaded, and only commands with the flag LOADING run. `misconf`: data that is to be kept on
disk cannot be written there, so nobody may change any. Both refuse when a command is queued as well as when it would
run; what EXEC runs was looked at with EXEC itself.
"""

from __future__ import annotations

from respcache.protocol.errors import Rejection, wrong_arity
from respcache.registry import LOADING, STALE, WRITE, Command, Handler
from respcache.state import Client, ServerState

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


def misconf(command: Command, handler: Handler) -> Handler:
    """The gate that lets no write through, nor PING, so that whoever watches the server notices."""
    is_exec = command.name == "exec"
    if not command.flags & WRITE and not is_exec and command.name != "ping":
        return handler

    def refuse(client: Client, *arguments: bytes) -> bytes:
        _check_arity(command, len(arguments))
        server, transaction = client.server, client.transaction
        harmless = is_exec and (transaction is None or not transaction.flags & WRITE)
        if harmless or server.nested or not server.misconf:
            return handler(client, *arguments)
        raise Rejection(server.misconf[max(server.misconf)])

    return refuse


def few_replicas(command: Command, handler: Handler) -> Handler:
    """The gate of min-replicas-to-write: no write is taken that too few would have."""
    is_exec = command.name == "exec"
    if not command.flags & WRITE and not is_exec:
        return handler

    def refuse(client: Client, *arguments: bytes) -> bytes:
        server = client.server
        if server.mastering.good >= server.config.min_replicas_to_write or server.nested:
            return handler(client, *arguments)
        _check_arity(command, len(arguments))
        transaction = client.transaction
        if is_exec and (transaction is None or not transaction.flags & WRITE):
            return handler(client, *arguments)
        raise NOREPLICAS

    return refuse


def loading(command: Command, handler: Handler) -> Handler:
    """The gate of a server that is loading its data."""
    is_exec = command.name == "exec"
    if command.flags & LOADING and not is_exec:
        return handler

    def refuse(client: Client, *arguments: bytes) -> bytes:
        _check_arity(command, len(arguments))
        transaction = client.transaction
        queued = transaction.queued if transaction is not None else []
        if client.server.nested or (is_exec and all(entry.command.flags & LOADING for entry, _, _ in queued)):
            return handler(client, *arguments)
        raise LOADING_ERROR

    return refuse


def readonly(command: Command, handler: Handler) -> Handler:
    """The gate of a replica that nobody but its master may change."""
    is_exec = command.name == "exec"
    if not command.flags & WRITE and not is_exec:
        return handler

    def refuse(client: Client, *arguments: bytes) -> bytes:
        _check_arity(command, len(arguments))
        transaction = client.transaction
        harmless = is_exec and (transaction is None or not transaction.flags & WRITE)
        if harmless or client.server.nested:
            return handler(client, *arguments)
        raise READONLY_ERROR

    return refuse


def masterdown(command: Command, handler: Handler) -> Handler:
    """The gate of a replica whose link is down, and that is not to show data that may be old."""
    is_exec = command.name == "exec"
    if command.flags & STALE and not is_exec:
        return handler

    def refuse(client: Client, *arguments: bytes) -> bytes:
        _check_arity(command, len(arguments))
        transaction = client.transaction
        queued = transaction.queued if transaction is not None else []
        if client.server.nested or (is_exec and all(entry.command.flags & STALE for entry, _, _ in queued)):
            return handler(client, *arguments)
        raise MASTERDOWN_ERROR

    return refuse
