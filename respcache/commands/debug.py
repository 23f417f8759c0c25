"""DEBUG: what tests and tools ask of the server. Allowed by the directive `enable-debug-command` only."""

from __future__ import annotations

import logging
import re
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

from respcache.commands.arguments import integer as parse_integer
from respcache.commands.configuration import check_allowed
from respcache.loading import LoadError, reload
from respcache.persistence.rdb_write import Format, write_value
from respcache.protocol.errors import MUST_BE_POSITIVE, NO_SUCH_KEY, STRING_TOO_LONG, ReplyError
from respcache.protocol.reply import OK, array, bulk, integer, status
from respcache.registry import ADMIN, LOADING, NOSCRIPT, STALE, SYSCMD, command
from respcache.state import Client
from respcache.store.digest import digest_of_all, digest_of_value
from respcache.store.events import NO_EVENT
from respcache.store.tracked import idle
from respcache.store.types import TYPES

log = logging.getLogger("respcache")

BAD_THRESHOLD = ReplyError(b"ERR argument must be a memory value bigger than 1 and smaller than 4gb")
MAX_THRESHOLD = (1 << 32) - 1
NO_RESP2 = ReplyError(b"ERR RESP2 is not supported by this command")
BAD_PROTOCOL_TYPE = ReplyError(
    b"ERR Wrong protocol type name. Please use one of the following: "
    b"string|integer|double|bignum|null|array|set|map|attrib|push|verbatim|true|false"
)

BAD_RELOAD = ReplyError(b"ERR DEBUG RELOAD only supports the MERGE, NOFLUSH and NOSAVE options.")
CANNOT_RELOAD = ReplyError(b"ERR Error trying to load the RDB dump")

ENDLESS = 2.0**63 / 1e6
"""Seconds whose microseconds are more than 64 bits hold."""

LONGEST_SLEEP = 1e9
"""Seconds; Python's sleep refuses ten times more."""

_BIG_NUMBER = b"1234567999999999999999999999999999999"
_NUMBER = re.compile(rb"\s*\+?((?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)", re.IGNORECASE)
"""Where a number begins; what follows it, or a sign, is nothing: C reads words like that."""
_MEMORY = re.compile(rb"(\d*)(b|kb?|mb?|gb?)?", re.IGNORECASE)
_UNITS = {
    b"": 1, b"b": 1, b"k": 10**3, b"kb": 1 << 10, b"m": 10**6, b"mb": 1 << 20, b"g": 10**9, b"gb": 1 << 30,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Subcommand:
    """One word after DEBUG. These are no subcommands of the registry: COMMAND does not show them."""

    run: Callable[..., bytes]
    usage: str
    summary: str
    least: int
    """Number of arguments, and `most` of them."""
    most: int


def _unknown(name: bytes) -> ReplyError:
    text = b"ERR unknown subcommand or wrong number of arguments for '%b'. Try DEBUG HELP."
    return ReplyError(text % name[:128])


@command(ADMIN | NOSCRIPT | LOADING | STALE | SYSCMD, group="server")
def debug(c: Client, subcommand: bytes, *arguments: bytes) -> bytes:
    """Looks into the server, or makes it misbehave. Since 1.0.0."""
    check_allowed(c, "DEBUG", "enable-debug-command")
    found = SUBCOMMANDS.get(subcommand.lower())
    if found is None or not found.least <= len(arguments) <= found.most:
        raise _unknown(subcommand)
    try:
        return found.run(c, *arguments)
    except LookupError:
        raise _unknown(subcommand) from None


def _sleep(_c: Client, seconds: bytes) -> bytes:
    number = _NUMBER.match(seconds)
    length = float(number[1]) if number else 0.0
    if length < ENDLESS:  # in C, more overflows to no time at all
        time.sleep(min(length, LONGEST_SLEEP))  # all clients wait: that is what it is for
    return OK


def _error(_c: Client, message: bytes) -> bytes:
    return ReplyError(message).reply  # not raised: statistics do not count it


def _log(_c: Client, message: bytes) -> bytes:
    log.warning("DEBUG LOG: %s", message.decode("utf-8", "backslashreplace"))
    return OK


def _set_active_expire(c: Client, on: bytes) -> bytes:
    c.server.active_expire = re.match(rb"\s*[+-]?0*[1-9]", on) is not None
    return OK


def _change_repl_id(c: Client) -> bytes:
    c.server.history.renew()
    return OK


def _object(c: Client, key: bytes, *fast: bytes) -> bytes:
    """FAST leaves out how long the value is in an RDB file, which takes as long as writing it."""
    if fast and fast[0].lower() != b"fast":
        raise LookupError
    value = c.db.peek(key)
    if value is None:
        raise NO_SUCH_KEY
    encoding = TYPES[type(value)].encoding(value, c.server.config)
    form = Format(list_size=c.server.config.list_max_listpack_size)
    length = 0 if fast else len(write_value(value, form, c.server.config.rdbcompression)[1])
    seconds = c.server.clock.ms() // 1000
    unused = idle(c.db, key)
    return status(
        b"Value at:0x%x refcount:1 encoding:%b serializedlength:%d lru:%d lru_seconds_idle:%d"
        % (id(value), encoding, length, seconds - unused & 0xFFFFFF, unused)
    )


def _digest_value(c: Client, *keys: bytes) -> bytes:
    """For each key the digest of its value, zeros if it is missing."""
    return array([status(digest_of_value(c.db, key).hex().encode()) for key in keys])


def _digest(c: Client) -> bytes:
    """One digest of all data, whatever the order of the keys; zeros if there are none."""
    return status(digest_of_all(c.server.keyspace.databases).hex().encode())


def _populate(c: Client, count: bytes, prefix: bytes = b"key", size: bytes = b"0") -> bytes:
    keys, length = parse_integer(count, MUST_BE_POSITIVE, low=0), parse_integer(size, MUST_BE_POSITIVE, low=0)
    if length > c.server.config.proto_max_bulk_len:
        raise STRING_TOO_LONG
    for number in range(keys):
        key, value = b"%b:%d" % (prefix, number), b"value:%d" % number
        if key not in c.db:
            c.db.set(key, value.ljust(length, b"\0")[:length] if length else value, NO_EVENT)
    return OK


def _quicklist_packed_threshold(_c: Client, size: bytes) -> bytes:
    found = _MEMORY.fullmatch(size)
    if found is None or int(found[1] or 0) * _UNITS[(found[2] or b"").lower()] >= MAX_THRESHOLD:
        raise BAD_THRESHOLD
    return OK


def _reply_buffer(_c: Client, what: bytes, value: bytes) -> bytes:
    if what.lower() == b"peak-reset-time" and value.lower() not in (b"never", b"reset"):
        parse_integer(value)
    if what.lower() not in (b"peak-reset-time", b"resizing"):
        raise LookupError
    return OK


def _load_aof(c: Client) -> bytes:
    c.server.appending.reload()
    return OK


def _reload(c: Client, *options: bytes) -> bytes:
    asked = {option.upper() for option in options}
    if asked - {b"MERGE", b"NOFLUSH", b"NOSAVE"}:
        raise BAD_RELOAD
    try:
        reload(c.server, b"NOSAVE" not in asked, b"NOFLUSH" not in asked, b"MERGE" in asked)
    except LoadError as error:
        log.warning("%s", error)
        raise CANNOT_RELOAD from None
    return OK


def _accepted(_c: Client, _value: bytes) -> bytes:
    """Tunes something that only the C server has."""
    return OK


def _protocol(c: Client, kind: bytes) -> bytes:
    """A reply of each type; RESP2 has other forms of some."""
    resp = c.resp
    numbers = [integer(number) for number in range(3)]
    match kind.lower():
        case b"string":
            return bulk(b"Hello World")
        case b"integer":
            return integer(12345)
        case b"double":
            return resp.double(3.141)
        case b"bignum":
            return bulk(_BIG_NUMBER) if resp.version == 2 else b"(%b\r\n" % _BIG_NUMBER
        case b"null":
            return resp.null
        case b"array":
            return array(numbers)
        case b"set":
            return resp.set(numbers)
        case b"map":
            truths = (resp.false, resp.true, resp.false)
            return resp.map([part for pair in zip(numbers, truths, strict=True) for part in pair])
        case b"attrib":
            attribute = bulk(b"key-popularity") + array([bulk(b"key:123"), integer(90)])
            reply = bulk(b"Some real reply following the attribute")
            return reply if resp.version == 2 else b"|1\r\n" + attribute + reply
        case b"push":
            if resp.version == 2:
                raise NO_RESP2
            message = resp.push([bulk(b"server-cpu-usage"), integer(42)])
            return message + bulk(b"Some real reply following the push reply")
        case b"verbatim":
            return resp.verbatim(b"This is a verbatim\nstring")
        case b"true":
            return resp.true
        case b"false":
            return resp.false
    raise BAD_PROTOCOL_TYPE


def _help(_c: Client) -> bytes:
    lines = ["DEBUG <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"]
    for name, subcommand in SUBCOMMANDS.items():
        lines += [f"{name.decode().upper()} {subcommand.usage}".rstrip(), f"    {subcommand.summary}"]
    return array([status(line.encode()) for line in lines])


_C_ONLY = "Accepted and ignored: tunes something that only the C server has."

SUBCOMMANDS: dict[bytes, Subcommand] = {
    b"change-repl-id": Subcommand(_change_repl_id, "", "Takes a new replication id.", 0, 0),
    b"digest": Subcommand(_digest, "", "A digest of all data, as Redis makes it.", 0, 0),
    b"digest-value": Subcommand(
        _digest_value,
        "<key> [<key> ...]",
        "Digests of values, as Redis makes them.",
        0,
        sys.maxsize,
    ),
    b"error": Subcommand(_error, "<string>", "Replies with this error.", 1, 1),
    b"log": Subcommand(_log, "<message>", "Writes a message to the log.", 1, 1),
    b"object": Subcommand(_object, "<key> [FAST]", "Tells how a value is stored.", 1, 2),
    b"populate": Subcommand(_populate, "<count> [<prefix>] [<size>]", "Makes keys key:<number>.", 1, 3),
    b"protocol": Subcommand(_protocol, "<type>", "Replies with a value of this type of the protocol.", 1, 1),
    b"set-active-expire": Subcommand(
        _set_active_expire, "<0|1>", "With 0, keys that are due wait until they are looked at.", 1, 1
    ),
    b"loadaof": Subcommand(_load_aof, "", "Puts what the append-only file holds in place of all data.", 0, 0),
    b"reload": Subcommand(
        _reload, "[NOSAVE] [NOFLUSH] [MERGE]", "Saves all data, deletes it and loads it again.", 0, sys.maxsize
    ),
    b"sleep": Subcommand(_sleep, "<seconds>", "Holds the whole server for so long.", 1, 1),
    b"quicklist-packed-threshold": Subcommand(_quicklist_packed_threshold, "<size>", _C_ONLY, 1, 1),
    b"replybuffer": Subcommand(_reply_buffer, "<PEAK-RESET-TIME|RESIZING> <value>", _C_ONLY, 2, 2),
    **{
        name: Subcommand(_accepted, "<value>", _C_ONLY, 1, 1)
        for name in (
            b"aof-flush-sleep",
            b"client-enforce-reply-list",
            b"dict-resizing",
            b"pause-cron",
            b"set-disable-deny-scripts",
            b"set-skip-checksum-validation",
        )
    },
    b"help": Subcommand(_help, "", "Prints this help.", 0, 0),
}
"""By name in lower case, in the order of HELP."""
