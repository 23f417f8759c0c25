"""RDB files with a little of everything, and what the tools say of them."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from respcache.persistence import crc64, rdb_write
from respcache.protocol.reply import bulks
from respcache.store.hash import ListpackEx
from respcache.store.list import make_list
from respcache.store.set import IntSet
from respcache.store.zset import ZSet
from respcache.tools.check import check
from respcache.tools.dump import dump
from tests.unit.persistence.test_rdb_write import LATE, example_stream, mortal

Entries = list[tuple[bytes, Any, int | None]]

ENTRIES: Entries = [
    (b"list", make_list([b"a", b"\xfe", b"a"], -2), None),
    (b"set", IntSet(dict.fromkeys([b"1", b"2"])), None),
    (b"hash", {b"f": b"v", b"g": b"\xff"}, None),
    (b"odd", {b"\xff": b"v"}, None),
    (b"mortal", mortal(ListpackEx, [(b"f", b"v"), (b"g", b"w")], {b"g": LATE}), None),
    (b"zset", ZSet.of({b"a": 0.1, b"b": float("inf"), b"c": 3.0}, 128, 64), LATE),
    (b"stream", example_stream(), None),
    (b"text", "größe\n".encode(), LATE),
    (b"\xff", b"\x00\xff", 1),
]  # the reader gives short strings many at a time, behind what else is in a piece


def rdb(entries: Entries = ENTRIES, checksum: bool = True) -> bytes:
    parts = [rdb_write.header(12), rdb_write.aux(b"redis-ver", b"7.4.0\x1b[2J"), rdb_write.select_db(3, 9, 3)]
    for key, value, deadline in entries:
        parts += rdb_write.entry_pieces(key, value, deadline)
    data = b"".join(parts)
    return data + rdb_write.end(crc64.update(0, data) if checksum else None)


def checked(path: Path, data: bytes) -> tuple[int, list[str]]:
    path.write_bytes(data)
    out = io.StringIO()
    return check(str(path), out, io.StringIO()), out.getvalue().splitlines()


def dumped(path: Path, data: bytes, resp: bool = False) -> tuple[int, bytes, str]:
    path.write_bytes(data)
    out, errors = io.BytesIO(), io.StringIO()
    return dump(str(path), out, errors, resp), out.getvalue(), errors.getvalue()


def aof(*commands: str) -> bytes:
    """Commands as an append-only file has them; `#...` is a note."""
    return b"".join(
        each.encode() + b"\r\n" if each.startswith("#") else bulks([word.encode() for word in each.split()])
        for each in commands
    )


def log(directory: Path, base: bytes, *increments: bytes) -> Path:
    """Makes a directory with an append-only file of several parts. Returns the path of the manifest."""
    directory.mkdir()
    names = ["a.aof.1.base.rdb", *(f"a.aof.{number}.incr.aof" for number in range(1, len(increments) + 1))]
    kinds = ["seq 1 type b", *(f"seq {number} type i" for number in range(1, len(increments) + 1))]
    for name, data in zip(names, (base, *increments), strict=True):
        (directory / name).write_bytes(data)
    manifest = directory / "a.aof.manifest"
    manifest.write_text("".join(f"file {name} {kind}\n" for name, kind in zip(names, kinds, strict=True)))
    return manifest
