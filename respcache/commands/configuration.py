"""CONFIG: reads and changes the configuration while the server runs."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Sequence

from respcache.commands.help import help_reply
from respcache.config import SetError
from respcache.directives import DIRECTIVES
from respcache.protocol.errors import SYNTAX, Rejection, ReplyError
from respcache.protocol.reply import OK, bulk
from respcache.registry import ADMIN, LOADING, NOSCRIPT, STALE, command, container
from respcache.rewrite import write_rewritten
from respcache.state import Client
from respcache.store.glob import compile_glob

log = logging.getLogger("respcache")

NO_CONFIG_FILE = ReplyError(b"ERR The server is running without a config file")

CONFIG = container("config", group="server", doc="Reads and changes the configuration. Since 2.0.0.")


@command(
    ADMIN | NOSCRIPT | LOADING | STALE,
    group="server",
    container=CONFIG,
    syntax="parameter=(parameter)...",
    history=(("7.0.0", "Several patterns may be named."),),
)
def config_get(c: Client, pattern: bytes, *more: bytes) -> bytes:
    """The directives whose names match a pattern, each with its value. O(N). Since 2.0.0."""
    found: dict[str, tuple[str, str]] = {}
    for each in (pattern, *more):
        asked = _decode(each)
        for name, value in c.server.config.match(each, _glob).items():
            shown = asked if asked.lower() == name else name  # a plain name comes back as it was written
            found.setdefault(name, (shown, value))
    return c.resp.map([bulk(_encode(word)) for pair in found.values() for word in pair])


def _secret_values(argv: Sequence[bytes]) -> Iterator[int]:
    """Where CONFIG SET has the values of sensitive directives."""
    for at in range(2, len(argv) - 1, 2):
        row = DIRECTIVES.get(_decode(argv[at]).lower())
        if row is not None and row.sensitive:
            yield at + 1


@command(
    ADMIN | NOSCRIPT | LOADING | STALE,
    group="server",
    container=CONFIG,
    syntax="parameter_value=(parameter value)...",
    redact=_secret_values,
    tips=("request_policy:all_nodes", "response_policy:all_succeeded"),
    history=(("7.0.0", "Several directives may be set at once."),),
)
def config_set(c: Client, name: bytes, value: bytes, *more: bytes) -> bytes:
    """Changes directives: all those named, or none. O(N). Since 2.0.0."""
    if len(more) % 2:
        raise SYNTAX
    words = [_decode(word) for word in (name, value, *more)]
    try:
        c.server.config.set_many(zip(words[::2], words[1::2], strict=True), local=c.is_local)
    except SetError as error:
        raise ReplyError(error.text) from None
    return OK


@command(ADMIN | NOSCRIPT | LOADING | STALE, group="server", container=CONFIG)
def config_rewrite(c: Client) -> bytes:
    """Writes the running configuration back to the file it was read from. O(1). Since 2.8.0."""
    path = c.server.config_path
    if not path:
        raise NO_CONFIG_FILE
    try:
        write_rewritten(path, c.server.config)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        log.warning("CONFIG REWRITE failed: %s", reason)
        raise ReplyError(b"ERR Rewriting config file: %b" % reason.encode()) from None
    log.info("CONFIG REWRITE executed with success.")
    return OK


@command(ADMIN | NOSCRIPT | LOADING | STALE, group="server", container=CONFIG)
def config_resetstat(c: Client) -> bytes:
    """Sets the statistics that INFO tells back to zero. O(1). Since 2.0.0."""
    c.server.stats.reset()
    c.server.keyspace.reset_stats()
    for client in c.server.clients.values():
        client.net_input = client.net_output = 0
    return OK


@command(LOADING | STALE, group="server", container=CONFIG)
def config_help(_c: Client) -> bytes:
    """The subcommands of CONFIG. O(1). Since 5.0.0."""
    return help_reply(CONFIG)


def check_allowed(c: Client, name: str, directive: str) -> None:
    """Raises the error of a command that the directive forbids: its value is `no`, `local` or `yes`."""
    allowed = c.server.config.get_text(directive)
    if allowed == "yes" or (allowed == "local" and c.is_local):
        return
    raise Rejection(
        f'ERR {name} command not allowed. If the {directive} option is set to "local", you can run it from a '
        "local connection, otherwise you need to set this option in the configuration file, and then restart "
        "the server.".encode()
    )


def _glob(pattern: bytes) -> Callable[[bytes], bool]:
    matches = compile_glob(pattern)
    return lambda name: bool(matches(name))


def _encode(word: str) -> bytes:
    return word.encode("utf-8", "surrogateescape")


def _decode(word: bytes) -> str:
    return word.decode("utf-8", "surrogateescape")
