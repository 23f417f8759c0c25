"""Lists, sets and sorted sets: from which key and how many were popped, or which members chance took."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from respcache.forms.call import Call, Words, form

_MEMBERS = 1024
"""That one SREM names, at most."""


@form("blpop")
def blpop(call: Call) -> Iterator[Words]:
    """`LPOP key`."""
    yield b"LPOP", call.parsed()[0]


@form("brpop")
def brpop(call: Call) -> Iterator[Words]:
    """`RPOP key`."""
    yield b"RPOP", call.parsed()[0]


@form("bzpopmin")
def bzpopmin(call: Call) -> Iterator[Words]:
    """`ZPOPMIN key`."""
    yield b"ZPOPMIN", call.parsed()[0]


@form("bzpopmax")
def bzpopmax(call: Call) -> Iterator[Words]:
    """`ZPOPMAX key`."""
    yield b"ZPOPMAX", call.parsed()[0]


@form("brpoplpush")
def brpoplpush(call: Call) -> Iterator[Words]:
    """`RPOPLPUSH source destination`."""
    yield b"RPOPLPUSH", *call.arguments[:2]


@form("blmove")
def blmove(call: Call) -> Iterator[Words]:
    """`LMOVE source destination LEFT RIGHT`, or another two of these."""
    source, destination, *sides, _ = call.arguments
    yield b"LMOVE", source, destination, *[side.upper() for side in sides]


@form("lmpop")
def lmpop(call: Call) -> Iterator[Words]:
    """`LPOP key count` or `RPOP key count`."""
    yield _pops(call, 0)


@form("blmpop")
def blmpop(call: Call) -> Iterator[Words]:
    """As LMPOP."""
    yield _pops(call, 1)


@form("zmpop")
def zmpop(call: Call) -> Iterator[Words]:
    """`ZPOPMIN key count` or `ZPOPMAX key count`."""
    yield _pops(call, 0)


@form("bzmpop")
def bzmpop(call: Call) -> Iterator[Words]:
    """As ZMPOP."""
    yield _pops(call, 1)


_POPS = {b"LEFT": b"LPOP", b"RIGHT": b"RPOP", b"MIN": b"ZPOPMIN", b"MAX": b"ZPOPMAX"}


def _pops(call: Call, at: int) -> Words:
    """What was popped; the number of keys is the argument at this place."""
    side = call.arguments[at + 1 + int(call.arguments[at])]
    key, popped = call.parsed()
    return _POPS[side.upper()], key, b"%d" % len(popped)


@form("spop")
def spop(call: Call) -> Iterator[Words]:
    """`SREM key member...`, or `DEL key` if a number was asked for and none are left."""
    key, *count = call.arguments
    if not count:
        yield b"SREM", key, call.parsed()
    elif call.value(key) is None:
        yield b"DEL", key
    else:
        members = iter(call.parsed())
        while part := list(islice(members, _MEMBERS)):
            yield b"SREM", key, *part
