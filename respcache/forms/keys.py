"""Strings and times to live: what is relative becomes absolute, and what is computed becomes its result."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from respcache.forms.call import Call, Words, form

_TIMES = frozenset({b"EX", b"PX", b"EXAT", b"PXAT"})


@form("set")
def set_(call: Call) -> Sequence[Words]:
    """`SET key value PXAT ms`, or without GET: the other options hold again."""
    key, value, *options = call.arguments
    if options[0].upper() in _TIMES or not _TIMES.isdisjoint(options := [word.upper() for word in options]):
        return ((b"SET", key, value, b"PXAT", call.deadline(key)),)
    return ((b"SET", key, value, *[word for word in options if word != b"GET"]),)


@form("setex", "psetex")
def setex(call: Call) -> Sequence[Words]:
    """`SET key value PXAT ms`."""
    key, _, value = call.arguments
    return ((b"SET", key, value, b"PXAT", call.deadline(key)),)


@form("getset")
def getset(call: Call) -> Iterator[Words]:
    """`SET key value`."""
    yield b"SET", *call.arguments


@form("getdel")
def getdel(call: Call) -> Iterator[Words]:
    """`DEL key`."""
    yield b"DEL", *call.arguments


@form("getex")
def getex(call: Call) -> Iterator[Words]:
    """`PERSIST key`, or as EXPIRE."""
    key, option, *_ = call.arguments
    if option.upper() == b"PERSIST":
        yield b"PERSIST", key
    else:
        yield _expiry(call, key)


@form("expire", "pexpire", "expireat", "pexpireat")
def expire(call: Call) -> Sequence[Words]:
    """`PEXPIREAT key ms`, or `DEL key` if the time was past."""
    key, _, *options = call.arguments
    return (_expiry(call, key, *options),)


def _expiry(call: Call, key: bytes, *options: bytes) -> Words:
    if call.value(key) is None:
        return b"DEL", key
    return b"PEXPIREAT", key, call.deadline(key), *options


@form("incrbyfloat")
def incrbyfloat(call: Call) -> Iterator[Words]:
    """`SET key result KEEPTTL`: another machine may round otherwise."""
    yield b"SET", call.arguments[0], call.parsed(), b"KEEPTTL"


@form("migrate")
def migrate(_call: Call) -> Sequence[Words]:
    """Nothing: who moves keys tells which are gone, and most often later."""
    return ()


@form("restore", "restore-asking")
def restore(call: Call) -> Iterator[Words]:
    """With ABSTTL; or `DEL key` of the one it replaced, if it was over on arrival."""
    key, ttl, payload, *options = call.arguments
    if call.value(key) is None:
        yield b"DEL", key
    elif call.db.deadline(key) is None or b"ABSTTL" in [word.upper() for word in options]:
        yield b"RESTORE", key, ttl, payload, *options
    else:
        yield b"RESTORE", key, call.deadline(key), payload, *options, b"ABSTTL"
