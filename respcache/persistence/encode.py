"""How a snapshot is written down: as an RDB file, or as the commands that make the same data."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Protocol

from respcache.persistence import crc64, rdb_write
from respcache.persistence.commands import commands
from respcache.persistence.rdb_write import DEFAULT, Format
from respcache.protocol.reply import bulks
from respcache.store.database import Value
from respcache.store.lazyfree import is_heavy

Note = Callable[[int, int, bytes], bytes]
"""What stands before an entry of an RDB file, its idle time or frequency; by database, slot and key."""

_NONE: Mapping[bytes, int] = {}


class Encoder(Protocol):
    """The bytes of a file, from its first to its last."""

    def header(self) -> bytes:
        """The beginning."""

    def select(self, db: int, keys: int, mortal: int) -> bytes:
        """What follows belongs to this database, of so many keys, so many of them with deadlines."""

    def short(self, shards: Sequence[Mapping[bytes, Value]]) -> bytes:
        """The entries of slots that have keys without deadlines; nothing if it cannot write all of them at once."""

    def shard(
        self, db: int, slot: int, shard: Mapping[bytes, Value], deadlines: Mapping[bytes, int] | None
    ) -> tuple[list[bytes], list[bytes]]:
        """Pieces of the entries of a slot, and the keys of those that are left out because their values are big."""

    def entry(self, db: int, slot: int, key: bytes, value: Value, deadline: int | None) -> Iterator[bytes]:
        """One entry in pieces. The value must not change until the last one is made."""

    def seal(self, data: bytes) -> None:
        """Takes note of bytes that go into the file: of all of them, in their order."""

    def end(self) -> bytes:
        """The end, when all that is before it was sealed."""


def _one_by_one(
    encoder: Encoder, db: int, slot: int, shard: Mapping[bytes, Value], deadlines: Mapping[bytes, int] | None
) -> tuple[list[bytes], list[bytes]]:
    """What `Encoder.shard` returns, of an encoder that has no faster way than its entries."""
    when = deadlines or _NONE
    found: list[bytes] = []
    big: list[bytes] = []
    for key, value in shard.items():
        if type(value) is not bytes and is_heavy(value):
            big.append(key)
        else:
            found += encoder.entry(db, slot, key, value, when.get(key))
    return found, big


class RdbEncoder:
    """RDB. `aux` are notes about the file, `note` tells of the uses of a key, if they are to be kept."""

    def __init__(
        self,
        form: Format = DEFAULT,
        aux: Sequence[tuple[bytes, bytes]] = (),
        compress: int = True,
        checksum: bool = True,
        note: Note | None = None,
    ) -> None:
        self._form = form
        self._aux = aux
        self._compress = compress
        self._crc = 0 if checksum else None
        self._note = note

    def header(self) -> bytes:
        """Magic, version, and notes."""
        parts = [rdb_write.header(self._form.version)]
        parts += [rdb_write.aux(name, value) for name, value in self._aux]
        return b"".join(parts)

    def select(self, db: int, keys: int, mortal: int) -> bytes:
        """SELECTDB and RESIZEDB."""
        return rdb_write.select_db(db, keys, mortal)

    def short(self, shards: Sequence[Mapping[bytes, Value]]) -> bytes:
        """Entries, if all are short strings."""
        return b"" if self._note else rdb_write.short_entries(shards, self._compress)

    def shard(
        self, db: int, slot: int, shard: Mapping[bytes, Value], deadlines: Mapping[bytes, int] | None
    ) -> tuple[list[bytes], list[bytes]]:
        """Entries, in the order of the keys."""
        if self._note is None:
            return rdb_write.shard_entries(shard, deadlines, self._form, self._compress)
        return _one_by_one(self, db, slot, shard, deadlines)

    def entry(self, db: int, slot: int, key: bytes, value: Value, deadline: int | None) -> Iterator[bytes]:
        """One entry in pieces."""
        if self._note is not None:
            yield self._note(db, slot, key)
        yield from rdb_write.entry_pieces(key, value, deadline, self._form, self._compress)

    def seal(self, data: bytes) -> None:
        """Goes on with the checksum."""
        if self._crc is not None:
            self._crc = crc64.update(self._crc, data)

    def end(self) -> bytes:
        """EOF and the checksum."""
        return rdb_write.end(self._crc)


class CommandEncoder:
    """Commands in RESP, as an append-only file without RDB preamble begins."""

    def header(self) -> bytes:
        """Nothing."""
        return b""

    def select(self, db: int, keys: int, mortal: int) -> bytes:
        """SELECT."""
        return bulks([b"SELECT", b"%d" % db])

    def short(self, shards: Sequence[Mapping[bytes, Value]]) -> bytes:
        """Nothing: each key takes its commands."""
        return b""

    def shard(
        self, db: int, slot: int, shard: Mapping[bytes, Value], deadlines: Mapping[bytes, int] | None
    ) -> tuple[list[bytes], list[bytes]]:
        """Commands for each key."""
        return _one_by_one(self, db, slot, shard, deadlines)

    def entry(self, db: int, slot: int, key: bytes, value: Value, deadline: int | None) -> Iterator[bytes]:
        """The commands of one key."""
        for command in commands(key, value):
            yield bulks(command)
        if deadline is not None:
            yield bulks([b"PEXPIREAT", key, b"%d" % deadline])

    def seal(self, data: bytes) -> None:
        """Commands have no checksum."""

    def end(self) -> bytes:
        """Nothing."""
        return b""
