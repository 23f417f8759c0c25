"""Digests of data, equal to those of Redis: of one value, and of all databases at once.

A digest is 160 bits, here an integer, zero at first. Two steps build it:

    add     digest ^ SHA1(part)             the order of the parts does not matter
    mix     SHA1(digest ^ SHA1(part))       it does

A value mixes the number of its type, then its content: a string its text, a list its elements, a stream of each entry
the id and the words; sets, sorted sets and hashes add their members, of which those that are pairs are digests of
their own. A deadline adds a mark. All data are: of each database that has keys mix its number, and add for each key
the digest that the name begins and the value ends. Verified against a server for each type.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from hashlib import sha1
from typing import Any

from respcache.store.database import Database, Value
from respcache.store.hash import Hash, deadlines_of
from respcache.store.stream import Stream
from respcache.store.stream_block import MASK, MAX_ID, decode
from respcache.store.types import TYPES

_DEADLINE = int.from_bytes(sha1(b"!!expire!!").digest(), "big")
_FIELD_DEADLINE = int.from_bytes(sha1(b"!!hexpire!!").digest(), "big")


def digest_of_all(databases: Iterable[Database]) -> bytes:
    """The 20 bytes of the digest of all data, whatever the order of the keys; zeros if there are none."""
    digest = 0
    for db in databases:
        if db.size:
            digest = _mix(digest, db.index.to_bytes(4, "big"))
        for key in list(db.keys()):
            value = db.peek(key)
            if value is not None:
                digest ^= _sha1(_of_value(db, key, value, _mix(0, key)).to_bytes(20, "big"))
    return digest.to_bytes(20, "big")


def digest_of_value(db: Database, key: bytes) -> bytes:
    """The 20 bytes of the digest of one key's value and of whether it has a deadline; zeros if it is missing."""
    value = db.peek(key)
    return (0 if value is None else _of_value(db, key, value, 0)).to_bytes(20, "big")


def _of_value(db: Database, key: bytes, value: Value, digest: int) -> int:
    number, content = _TYPES[TYPES[type(value)].name]
    digest = content(value, _mix(digest, number.to_bytes(4, "big")))
    return digest if db.deadline(key) is None else digest ^ _DEADLINE


def _sha1(part: bytes | bytearray) -> int:
    return int.from_bytes(sha1(part).digest(), "big")


def _mix(digest: int, part: bytes | bytearray) -> int:
    return _sha1((digest ^ _sha1(part)).to_bytes(20, "big"))


def _pair(first: bytes, second: bytes) -> int:
    return _mix(_mix(0, first), second)


def _string(value: bytes | int | bytearray, digest: int) -> int:
    return _mix(digest, b"%d" % value if isinstance(value, int) else value)


def _list(value: Iterable[bytes], digest: int) -> int:
    for element in value:
        digest = _mix(digest, element)
    return digest


def _set(value: Iterable[bytes], digest: int) -> int:
    for member in value:
        digest ^= _sha1(member)
    return digest


def _zset(value: Any, digest: int) -> int:
    for member, score in value.items():
        digest ^= _sha1(_pair(member, b"%.17g" % score).to_bytes(20, "big"))
    return digest


def _hash(value: Hash, digest: int) -> int:
    deadlines = deadlines_of(value)
    for field, text in value.items():
        pair = _pair(field, text)
        if deadlines is not None and deadlines.get(field) is not None:
            pair ^= _FIELD_DEADLINE
        digest ^= _sha1(pair.to_bytes(20, "big"))
    return digest


def _stream(value: Stream, digest: int) -> int:
    for block, positions in value.spans(0, MAX_ID):
        for at in positions:
            id = block.id(at)
            digest = _mix(digest, b"%d.%d" % (id >> 64, id & MASK))
            for word in decode(block.body(at)):
                digest = _mix(digest, word)
    return digest


_TYPES: dict[bytes, tuple[int, Callable[[Any, int], int]]] = {
    b"string": (0, _string),
    b"list": (1, _list),
    b"set": (2, _set),
    b"zset": (3, _zset),
    b"hash": (4, _hash),
    b"stream": (6, _stream),
}
"""The number of each type, and how its content goes into a digest."""
