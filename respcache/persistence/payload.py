"""What DUMP replies and RESTORE takes: one value, as RDB files hold it, under a seal.

type (1 byte) | value | version (2 bytes LE) | CRC64 of all before it (8 bytes LE)
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from respcache.persistence import crc64
from respcache.persistence.rdb_write import (
    BASE,
    DEFAULT,
    NEWEST,
    Format,
    least_version,
    value_pieces,
    write_value,
)
from respcache.store.database import Value

PIECE = 64 * 1024
"""Bytes that are sealed at a time: it takes a millisecond."""

_TRAILER = 10


def pack(value: Value, form: Format = DEFAULT, compress: int = True) -> bytes:
    """A value under a seal, of the lowest version that it allows."""
    kind, body = write_value(value, form, compress)
    return seal(kind, body, max(BASE, least_version(kind)))


def pack_pieces(value: Value, form: Format = DEFAULT, compress: int = True) -> Iterator[bytes | memoryview]:
    """As `pack`, in pieces, for who does other things in between. The value must not change until the last one."""
    kind, pieces = value_pieces(value, form, compress)
    crc = 0
    for piece in chain((b"%c" % kind,), pieces):
        whole = memoryview(piece)
        for start in range(0, len(whole), PIECE):
            part = whole[start : start + PIECE]
            crc = crc64.update(crc, part)
            yield part
    version = max(BASE, least_version(kind)).to_bytes(2, "little")
    yield version + crc64.update(crc, version).to_bytes(8, "little")


def seal(kind: int, body: bytes, version: int = BASE) -> bytes:
    """A type and what follows it, under a seal."""
    made = b"%c%b%b" % (kind, body, version.to_bytes(2, "little"))
    return made + crc64.update(0, made).to_bytes(8, "little")


def unseal(payload: bytes) -> bytes:
    """The type and what follows it up to the seal: unread, and maybe more than the value takes.

    Raises ValueError if the payload is too short, of a version that is too new, or its checksum is wrong.
    """
    if len(payload) < _TRAILER:
        raise ValueError(f"a payload of {len(payload)} bytes")
    version = int.from_bytes(payload[-_TRAILER:-8], "little")
    if version > NEWEST:
        raise ValueError(f"a payload of version {version}")
    if crc64.update(0, memoryview(payload)[:-8]) != int.from_bytes(payload[-8:], "little"):
        raise ValueError("a payload with a wrong checksum")
    return payload[:-_TRAILER]
