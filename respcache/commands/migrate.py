"""MIGRATE: keys to another server."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from respcache.clock import monotonic
from respcache.commands.arguments import integer
from respcache.features.blocking import Pause
from respcache.features.migration import Batch
from respcache.keyspec import after, migrate_keys
from respcache.keyspec import key as key_at
from respcache.persistence.rdb_strings import RARELY
from respcache.persistence.rdb_write import Format
from respcache.protocol.errors import SYNTAX, ReplyError
from respcache.protocol.reply import OK
from respcache.registry import WRITE, command
from respcache.state import DAY, Client

NO_KEY = b"+NOKEY\r\n"
KEY_AND_KEYS = ReplyError(
    b"ERR When using MIGRATE KEYS option, the key argument must be set to the empty string"
)
PATIENCE = 1000
"""Milliseconds, if the request does not say how many."""

_TAKES = {b"auth": 1, b"auth2": 2}


def _secrets(argv: Sequence[bytes]) -> Iterator[int]:
    """User and password, as far as the options make sense."""
    at = 6
    while at < len(argv):
        option = argv[at].lower()
        if option == b"keys":
            return
        words = _TAKES.get(option, 0)
        yield from range(at + 1, min(at + 1 + words, len(argv)))
        at += 1 + words


@command(
    WRITE,
    group="generic",
    keys=(
        key_at("RW ACCESS DELETE", at=3),
        after("RW ACCESS DELETE incomplete", b"KEYS", -2, last=-1),
    ),
    getkeys=migrate_keys,
    redact=_secrets,
    categories="dangerous",
    syntax=(
        "host port:integer key_or_empty_string=<key:key | empty_string=''> destination-db:integer "
        "timeout:integer [COPY{3.0.0}] [REPLACE{3.0.0}] [authentication=<[AUTH password{4.0.7}] | [AUTH2 "
        "username_password=(username password){6.0.0}]>] [KEYS key:key@1...{3.0.6}]"
    ),
    tips=("nondeterministic_output",),
    history=(
        ("3.0.0", "Options `COPY` and `REPLACE`."),
        ("3.0.6", "Option `KEYS`."),
        ("4.0.7", "Option `AUTH`."),
        ("6.0.0", "Option `AUTH2`."),
    ),
)
def migrate(
    c: Client,
    host: bytes,
    port: bytes,
    key: bytes,
    destination_db: bytes,
    timeout: bytes,
    *options: bytes,
) -> bytes:
    """Moves keys to another server, where they are as they were here. O(N) for N bytes and elements. Since 2.6.0."""
    copy, replace, auth, many = _options(options)
    if many is not None and key:
        raise KEY_AND_KEYS
    milliseconds = integer(timeout)
    index = integer(destination_db)
    db, server = c.db, c.server
    keys = [each for each in ((key,) if many is None else many) if db.get(each) is not None]
    if not keys:
        return NO_KEY
    batch = Batch(
        host.decode("utf-8", "surrogateescape"),
        _port(port),
        index,
        min((milliseconds if milliseconds > 0 else PATIENCE) / 1000, DAY),
        db,
        keys,
        copy,
        replace,
        auth,
        server.config.cluster_enabled,
        Format(list_size=server.config.list_max_listpack_size),
        RARELY if server.config.rdbcompression else 0,
    )
    if server.nested:
        error = server.migrating.move_now(batch)
        return OK if error is None else _failed(c, error)
    since = monotonic()

    def done(error: ReplyError | None) -> None:
        _timed(c, (host, port, key, destination_db, timeout, *options), monotonic() - since)
        c.connection.release(OK if error is None else _failed(c, error))

    server.migrating.move(batch, done)
    c.paused = True
    raise Pause(retry=False)


def _failed(c: Client, error: ReplyError) -> bytes:
    """The reply to a call that failed. It is not raised: what was moved is propagated by who moved it."""
    c.server.stats.commands["migrate"].failed += 1
    c.server.stats.error(error.code)
    return error.reply


def _timed(c: Client, arguments: Sequence[bytes], seconds: float) -> None:
    """Notes how long a call took that is counted already. It held nobody, so the latency monitor is not told."""
    server = c.server
    server.stats.commands["migrate"].seconds += seconds
    if c.last is not None and 0 <= server.config.slowlog_log_slower_than <= seconds * 1e6:
        shown = c.last.command.redacted((b"migrate", *arguments))
        server.slowlog.add(server.clock.ms() // 1000, int(seconds * 1e6), shown, c.peer, c.name)


def _options(words: Sequence[bytes]) -> tuple[bool, bool, tuple[bytes, ...], Sequence[bytes] | None]:
    """Whether the keys stay, whether they replace others, what AUTH is to be told, and the keys; None: just one."""
    copy = replace = False
    user: tuple[bytes, ...] = ()
    password: tuple[bytes, ...] = ()
    rest = iter(words)
    for word in rest:
        match word.lower():
            case b"copy":
                copy = True
            case b"replace":
                replace = True
            case b"auth":
                password = (_next(rest),)
            case b"auth2":
                user, password = (_next(rest),), (_next(rest),)
            case b"keys":
                return copy, replace, user + password, [*rest]
            case _:
                raise SYNTAX
    return copy, replace, user + password, None


def _next(words: Iterable[bytes]) -> bytes:
    for word in words:
        return word
    raise SYNTAX


def _port(word: bytes) -> int:
    """A port as Redis reads it: what does not begin with a number is 0, to which nobody listens."""
    found = re.match(rb"\s*([+-]?\d{1,18})", word)
    return int(found[1]) & 0xFFFF if found else 0
