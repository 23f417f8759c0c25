"""Geo: places become the scores that they are held as."""

from __future__ import annotations

from collections.abc import Iterator

from respcache.forms.call import Call, Words, form
from respcache.store import geohash

_OPTIONS = frozenset({b"NX", b"XX", b"CH"})


@form("geoadd")
def geoadd(call: Call) -> Iterator[Words]:
    """`ZADD key [NX | XX] [CH] score member...`, its name in lower case as Redis writes it."""
    key, *words = call.arguments
    at = 0
    while words[at].upper() in _OPTIONS:
        at += 1
    pairs: list[bytes] = []
    try:
        for place in range(at, len(words), 3):
            pairs += (b"%d" % geohash.encode(float(words[place]), float(words[place + 1])), words[place + 2])
    except ValueError:  # hexadecimal digits, which Python reads by another function
        yield b"GEOADD", key, *words
    else:
        yield b"zadd", key, *words[:at], *pairs
