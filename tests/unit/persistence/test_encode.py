"""persistence/encode.py: both forms of the same data."""

from __future__ import annotations

import pytest

from respcache.clock import Clock
from respcache.persistence import rdb_write
from respcache.persistence.encode import CommandEncoder, Encoder, RdbEncoder
from respcache.protocol.reply import bulks
from respcache.store.set import SetTable
from tests.unit.persistence.test_snapshot import loaded


@pytest.mark.parametrize("encoder", [RdbEncoder(), RdbEncoder(note=lambda *_: b""), CommandEncoder()])
def test_big_values_are_left_out(encoder: Encoder) -> None:
    big = SetTable((b"%d" % number, None) for number in range(1000))
    pieces, left = encoder.shard(0, 7, {b"a": b"text", b"big": big}, {b"a": 5000})
    assert left == [b"big"]
    assert b"text" in b"".join(pieces)
    assert b"999" in b"".join(encoder.entry(0, 7, b"big", big, None)) or isinstance(encoder, RdbEncoder)


def test_rdb_has_notes_and_a_checksum() -> None:
    encoder = RdbEncoder(aux=[(b"name", b"text")], note=lambda db, slot, key: rdb_write.idle(db + slot + len(key)))
    parts = [encoder.header(), encoder.select(2, 1, 0)]
    parts += encoder.shard(2, 7, {b"k": b"v"}, None)[0]
    data = b"".join(parts)
    encoder.seal(data)
    data += encoder.end()
    assert data.startswith(b"REDIS0010\xfa\x04name\x04text\xfe\x02\xfb\x01\x00\xf8\x0a")
    assert not data.endswith(bytes(8))
    assert loaded(data, Clock()).keys == 1


def test_rdb_without_a_checksum() -> None:
    encoder = RdbEncoder(checksum=False)
    encoder.seal(encoder.header())
    assert encoder.end() == b"\xff" + bytes(8)


def test_commands() -> None:
    encoder = CommandEncoder()
    assert encoder.header() == encoder.end() == b""
    assert encoder.select(3, 1, 0) == bulks([b"SELECT", b"3"])
    pieces, _ = encoder.shard(3, 0, {b"k": b"v"}, {b"k": 99})
    assert b"".join(pieces) == bulks([b"SET", b"k", b"v"]) + bulks([b"PEXPIREAT", b"k", b"99"])
