"""CLIENT: what connections are called and how they are treated. Who they are is told in `client_list.py`."""

from __future__ import annotations

from respcache.commands.arguments import INT64_MAX, integer
from respcache.commands.connection import check_name
from respcache.commands.help import help_reply
from respcache.protocol.errors import SYNTAX, TIMEOUT_NEGATIVE, TIMEOUT_NOT_INTEGER, TIMEOUT_RANGE, ReplyError
from respcache.protocol.reply import EMPTY_ARRAY, OK, ONE, ZERO, bulk
from respcache.protocol.reply import integer as integer_reply
from respcache.registry import ADMIN, LOADING, NOSCRIPT, STALE, UNLISTED, command, container
from respcache.state import Client

CLIENT = container(
    "client",
    group="connection",
    doc="""Commands about connections. Since 2.4.0.""",
    categories="-connection",
)

PAUSE_MODE = ReplyError(b"ERR CLIENT PAUSE mode must be WRITE or ALL")
UNBLOCKED = b"-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n"
UNBLOCK_REASON = ReplyError(b"ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR")


def choice(word: bytes, yes: bytes, no: bytes) -> bool:
    """Which of two words, in any case. Raises a syntax error for a third."""
    lower = word.lower()
    if lower not in (yes, no):
        raise SYNTAX
    return lower == yes


def _on(word: bytes) -> bool:
    return choice(word, b"on", b"off")


# Names


@command(NOSCRIPT | LOADING | STALE, group="connection", container=CLIENT)
def client_id(c: Client) -> bytes:
    """The number of this connection. O(1). Since 5.0.0."""
    return integer_reply(c.id)


@command(NOSCRIPT | LOADING | STALE, group="connection", container=CLIENT)
def client_getname(c: Client) -> bytes:
    """The name of this connection. O(1). Since 2.6.9."""
    return bulk(c.name) if c.name else c.resp.null


@command(NOSCRIPT | LOADING | STALE, group="connection", container=CLIENT, syntax="connection-name")
def client_setname(c: Client, name: bytes) -> bytes:
    """Names this connection; an empty name takes it away. O(1). Since 2.6.9."""
    check_name(name)
    c.name = name
    return OK


@command(
    NOSCRIPT | LOADING | STALE,
    group="connection",
    container=CLIENT,
    syntax="attr=<'lib-name' libname | 'lib-ver' libver>",
    tips=("request_policy:all_nodes", "response_policy:all_succeeded"),
)
def client_setinfo(c: Client, attribute: bytes, value: bytes) -> bytes:
    """Tells which library this connection is of, or which version. O(1). Since 7.2.0."""
    lower = attribute.lower()
    if lower not in (b"lib-name", b"lib-ver"):
        raise ReplyError(b"ERR Unrecognized option '%b'" % attribute)
    check_name(value, attribute)
    if lower == b"lib-name":
        c.lib_name = value
    else:
        c.lib_version = value
    return OK


# Treatment


@command(
    ADMIN | NOSCRIPT | LOADING | STALE,
    group="connection",
    container=CLIENT,
    syntax="timeout:integer [mode=<WRITE | ALL>{6.2.0}]",
    history=(("6.2.0", "Mode `WRITE`."),),
)
def client_pause(c: Client, timeout: bytes, *mode: bytes) -> bytes:
    """Makes the commands of all clients wait, or only those that may write. O(1). Since 2.9.50."""
    if len(mode) > 1:
        raise _too_many("PAUSE")
    if mode and mode[0].lower() not in (b"write", b"all"):
        raise PAUSE_MODE
    milliseconds = integer(timeout, TIMEOUT_NOT_INTEGER)
    if milliseconds < 0:
        raise TIMEOUT_NEGATIVE
    until = c.server.clock.ms() + milliseconds
    if until > INT64_MAX:
        raise TIMEOUT_RANGE
    c.server.start_pause(until, not mode or mode[0].lower() == b"all")
    return OK


def _too_many(subcommand: str) -> ReplyError:
    """What Redis says of too many arguments where it counts them itself."""
    text = f"ERR unknown subcommand or wrong number of arguments for '{subcommand}'. Try CLIENT HELP."
    return ReplyError(text.encode())


@command(ADMIN | NOSCRIPT | LOADING | STALE, group="connection", container=CLIENT)
def client_unpause(c: Client) -> bytes:
    """Ends CLIENT PAUSE. O(N) with N the number of clients that wait. Since 6.2.0."""
    c.server.unpause("client")
    return OK


@command(
    ADMIN | NOSCRIPT | LOADING | STALE,
    group="connection",
    container=CLIENT,
    syntax="client-id:integer [timeout_error=<TIMEOUT | ERROR>]",
)
def client_unblock(c: Client, number: bytes, *reason: bytes) -> bytes:
    """Has a blocking command of another client end as if timed out, or in an error. O(log N). Since 5.0.0."""
    if len(reason) > 1:
        raise _too_many("UNBLOCK")
    if reason and reason[0].lower() not in (b"timeout", b"error"):
        raise UNBLOCK_REASON
    other = c.server.clients.get(integer(number))
    if other is None or other.waiter is None:  # CLIENT PAUSE blocks too, but is not ended one by one
        return ZERO
    in_error = bool(reason) and reason[0].lower() == b"error"
    if in_error:
        assert other.last is not None
        other.last.stats.failed += 1
        c.server.stats.error("UNBLOCKED")
    c.server.end_wait(other.waiter, UNBLOCKED if in_error else other.waiter.nothing)
    return ONE


@command(
    NOSCRIPT | LOADING | STALE, group="connection", container=CLIENT, syntax="on_off_skip=<ON | OFF | SKIP>"
)
def client_reply(c: Client, mode: bytes) -> bytes:
    """Turns the replies to this connection on or off, or leaves one out. O(1). Since 3.2.0."""
    lower = mode.lower()
    if lower == b"on":
        c.mute(False)
        return OK
    if lower == b"off":
        c.mute(True)
    elif lower != b"skip":
        raise SYNTAX
    elif c.skips or not c.muted:
        c.mute(True, once=True)
    return b""


@command(
    ADMIN | NOSCRIPT | LOADING | STALE, group="connection", container=CLIENT, syntax="enabled=<ON | OFF>"
)
def client_no_evict(c: Client, enabled: bytes) -> bytes:
    """Keeps this connection when clients are closed to save memory. O(1). Since 7.0.0."""
    c.no_evict = _on(enabled)
    return OK


@command(NOSCRIPT | LOADING | STALE, group="connection", container=CLIENT, syntax="enabled=<ON | OFF>")
def client_no_touch(c: Client, enabled: bytes) -> bytes:
    """Whether the reads of this connection leave no trace in LRU and LFU. O(1). Since 7.2.0."""
    c.no_touch = _on(enabled)
    c.server.modes.switch("spare", any(client.no_touch for client in c.server.clients.values()))
    return OK


@command(NOSCRIPT | LOADING | STALE, group="connection", container=CLIENT)
def client_getredir(c: Client) -> bytes:
    """The client that invalidations for this connection go to. O(1). Since 6.0.0."""
    return integer_reply(-1)


@command(NOSCRIPT | LOADING | STALE, group="connection", container=CLIENT)
def client_trackinginfo(c: Client) -> bytes:
    """How the keys that this connection reads are tracked. O(1). Since 6.2.0."""
    resp = c.resp
    off = resp.set([bulk(b"off")])
    return resp.map(
        [bulk(b"flags"), off, bulk(b"redirect"), integer_reply(-1), bulk(b"prefixes"), EMPTY_ARRAY]
    )


@command(
    NOSCRIPT | LOADING | STALE | UNLISTED, group="connection", container=CLIENT, name="maint_notifications"
)
def client_maint_notifications(c: Client, enabled: bytes, *_options: bytes) -> bytes:
    """Asks to be told of maintenance, of which there is none. O(1). Since 8.0.0."""
    _on(enabled)
    return OK


@command(LOADING | STALE, group="connection", container=CLIENT)
def client_help(c: Client) -> bytes:
    """The subcommands of CLIENT. O(1). Since 5.0.0."""
    return help_reply(CLIENT)
