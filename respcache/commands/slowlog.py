"""SLOWLOG: the last commands that took long."""

from __future__ import annotations

from respcache.commands.arguments import integer as parse_integer
from respcache.commands.help import help_reply
from respcache.features.slowlog import SlowCommand
from respcache.protocol.errors import ReplyError
from respcache.protocol.reply import OK, array, bulk, bulks, integer
from respcache.registry import ADMIN, LOADING, STALE, command, container
from respcache.state import Client

DEFAULT_COUNT = 10

BAD_COUNT = ReplyError(b"ERR count should be greater than or equal to -1")
TOO_MANY = ReplyError(b"ERR unknown subcommand or wrong number of arguments for 'GET'. Try SLOWLOG HELP.")

SLOWLOG = container("slowlog", group="server", doc="Tells which commands took long. Since 2.2.12.")


@command(
    ADMIN | LOADING | STALE,
    group="server",
    container=SLOWLOG,
    syntax="[count:integer]",
    tips=("request_policy:all_nodes", "nondeterministic_output"),
    history=(("4.0.0", "Tells the client's address and name too."),),
)
def slowlog_get(c: Client, *count: bytes) -> bytes:
    """The newest entries, ten unless told, all of them for -1. O(N). Since 2.2.12."""
    if len(count) > 1:
        raise TOO_MANY
    most = parse_integer(count[0], BAD_COUNT, low=-1) if count else DEFAULT_COUNT
    entries = list(c.server.slowlog.entries)
    return array([_entry(entry) for entry in (entries if most < 0 else entries[:most])])


def _entry(entry: SlowCommand) -> bytes:
    return array(
        [
            integer(entry.id),
            integer(entry.unix_seconds),
            integer(entry.microseconds),
            bulks(entry.argv),
            bulk(entry.peer),
            bulk(entry.client_name),
        ]
    )


@command(
    ADMIN | LOADING | STALE,
    group="server",
    container=SLOWLOG,
    tips=("request_policy:all_nodes", "response_policy:agg_sum", "nondeterministic_output"),
)
def slowlog_len(c: Client) -> bytes:
    """The number of entries. O(1). Since 2.2.12."""
    return integer(len(c.server.slowlog.entries))


@command(
    ADMIN | LOADING | STALE,
    group="server",
    container=SLOWLOG,
    tips=("request_policy:all_nodes", "response_policy:all_succeeded"),
)
def slowlog_reset(c: Client) -> bytes:
    """Forgets all entries. O(N). Since 2.2.12."""
    c.server.slowlog.entries.clear()
    return OK


@command(LOADING | STALE, group="server", container=SLOWLOG)
def slowlog_help(_c: Client) -> bytes:
    """The subcommands of SLOWLOG. O(1). Since 6.2.0."""
    return help_reply(SLOWLOG)
