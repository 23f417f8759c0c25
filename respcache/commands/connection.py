"""Connection commands: who is there, in which protocol, and goodbye."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from hmac import compare_digest

from respcache.commands.arguments import integer
from respcache.features.blocking import Disconnect
from respcache.protocol.errors import NOPROTO, SYNTAX, WRONGPASS, ReplyError, wrong_arity
from respcache.protocol.reply import EMPTY_ARRAY, OK, PONG, RESP2, RESP3, Resp, array, bulk, status
from respcache.protocol.reply import integer as integer_reply
from respcache.registry import (
    ALLOW_BUSY,
    BRIEF,
    FAST,
    LOADING,
    NO_AUTH,
    NOSCRIPT,
    STALE,
    command,
)
from respcache.state import Client
from respcache.version import REDIS_VERSION

DEFAULT_USER = b"default"

NO_PASSWORD_SET = ReplyError(
    b"ERR AUTH <password> called without any password configured for the default user. "
    b"Are you sure your configuration is correct?"
)
HELLO_NOAUTH = ReplyError(
    b"NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH "
    b"<user> <pass> option can be used to authenticate the client and select the RESP protocol version at "
    b"the same time"
)
BAD_VERSION = ReplyError(b"ERR Protocol version is not an integer or out of range")


@command(
    FAST | BRIEF,
    group="connection",
    syntax="[message]",
    tips=("request_policy:all_shards", "response_policy:all_succeeded"),
)
def ping(c: Client, *message: bytes) -> bytes:
    """Answers, with PONG or with the message given. O(1). Since 1.0.0."""
    if len(message) > 1:
        raise wrong_arity("ping")
    if c.subscriber is not None and c.resp is RESP2:  # not a mode's affair: it holds in the middle of EXEC, too
        return array([bulk(b"pong"), bulk(message[0] if message else b"")])
    return bulk(message[0]) if message else PONG


@command(LOADING | STALE | FAST | BRIEF, group="connection", syntax="message")
def echo(c: Client, message: bytes) -> bytes:
    """Answers with the message given. O(1). Since 1.0.0."""
    return bulk(message)


def _auth_secrets(argv: Sequence[bytes]) -> Iterable[int]:
    return range(1, len(argv)) if len(argv) <= 3 else ()


@command(
    NOSCRIPT | LOADING | STALE | FAST | NO_AUTH | ALLOW_BUSY,
    group="connection",
    redact=_auth_secrets,
    syntax="[username{6.0.0}] password",
    history=(("6.0.0", "Takes a user name."),),
)
def auth(c: Client, word: bytes, *rest: bytes) -> bytes:
    """Proves who the client is. O(N) with N the number of passwords of the user. Since 1.0.0."""
    if len(rest) > 1:
        raise SYNTAX
    if rest:
        authenticate(c, word, rest[0])
    elif not c.server.config.requirepass:
        raise NO_PASSWORD_SET
    else:
        authenticate(c, DEFAULT_USER, word)
    return OK


def authenticate(c: Client, user: bytes, password: bytes) -> None:
    """Makes the client that user. Raises WRONGPASS if that is not the user's password; nothing changes then.

    Without a password set, any is right.
    """
    wanted = c.server.config.requirepass.encode("utf-8", "surrogateescape")
    right = compare_digest(password, wanted)
    if user != DEFAULT_USER or (wanted and not right):
        raise WRONGPASS
    c.log_in(user)


def _hello_secrets(argv: Sequence[bytes]) -> Iterator[int]:
    """The user and the password, of a request that makes sense so far."""
    at = 2 if len(argv) > 1 and argv[1] in (b"2", b"3") else len(argv)
    while at < len(argv):
        option, left = argv[at].lower(), len(argv) - at - 1
        if option == b"auth" and left >= 2:
            yield from (at + 1, at + 2)
            at += 3
        elif option == b"setname" and left:
            at += 2
        else:
            return


@command(
    NOSCRIPT | LOADING | STALE | FAST | NO_AUTH | ALLOW_BUSY,
    group="connection",
    redact=_hello_secrets,
    syntax="[arguments=(protover:integer [AUTH username_password=(username password)] [SETNAME clientname])]",
    history=(("6.2.0", "`protover` may be left out."),),
)
def hello(c: Client, *arguments: bytes) -> bytes:
    """Chooses the protocol, and may authenticate and name the connection. O(1). Since 6.0.0."""
    resp, credentials, name = _hello_arguments(c, arguments)
    if credentials:
        authenticate(c, *credentials)
    if not c.authenticated:
        raise HELLO_NOAUTH
    if name is not None:
        c.name = name
    c.speak(resp)
    return resp.map(
        [
            bulk(b"server"),
            bulk(b"redis"),
            bulk(b"version"),
            bulk(REDIS_VERSION.encode()),
            bulk(b"proto"),
            integer_reply(resp.version),
            bulk(b"id"),
            integer_reply(c.id),
            bulk(b"mode"),
            bulk(b"standalone" if c.server.cluster is None else b"cluster"),
            bulk(b"role"),
            bulk(b"replica" if c.server.following.on else b"master"),
            bulk(b"modules"),
            EMPTY_ARRAY,
        ]
    )


def _hello_arguments(
    c: Client, arguments: tuple[bytes, ...]
) -> tuple[Resp, tuple[bytes, bytes] | None, bytes | None]:
    """The protocol, the user with its password, and the name that HELLO asks for."""
    if not arguments:
        return c.resp, None, None
    resp = {2: RESP2, 3: RESP3}.get(integer(arguments[0], BAD_VERSION))
    if resp is None:
        raise NOPROTO
    credentials: tuple[bytes, bytes] | None = None
    name: bytes | None = None
    words = list(reversed(arguments[1:]))
    while words:
        option = words.pop()
        if option.lower() == b"auth" and len(words) >= 2:
            credentials = words.pop(), words.pop()
        elif option.lower() == b"setname" and words:
            name = words.pop()
            check_name(name)
        else:
            raise ReplyError(b"ERR Syntax error in HELLO option '%b'" % option)
    return resp, credentials, name


def check_name(value: bytes, what: bytes = b"Client names") -> None:
    """Raises an error for what would break a line of CLIENT LIST: all but printable ASCII without blanks."""
    if not all(33 <= byte <= 126 for byte in value):
        raise ReplyError(b"ERR %b cannot contain spaces, newlines or special characters." % what)


@command(NOSCRIPT | LOADING | STALE | FAST | NO_AUTH | ALLOW_BUSY, group="connection")
def reset(c: Client) -> bytes:
    """Makes the connection as it was when it was new. O(1). Since 6.2.0."""
    c.discard()
    c.speak(RESP2)
    c.unsubscribe()
    c.monitor(False)
    c.db = c.server.keyspace.databases[0]
    c.name = b""
    c.no_evict = c.no_touch = c.readonly = c.asking = False
    if not c.skips:  # after CLIENT REPLY SKIP even this reply is left out
        c.mute(False)
    c.log_in(DEFAULT_USER)
    c.enter(c.server.modes.normal)
    if c.server.config.requirepass:
        c.log_out()
    return status(b"RESET")


@command(NOSCRIPT | LOADING | STALE | FAST | NO_AUTH | ALLOW_BUSY, group="connection")
def quit_(c: Client, *_ignored: bytes) -> bytes:
    """Closes the connection once its replies are sent. O(1). Since 1.0.0."""
    raise Disconnect(OK)
