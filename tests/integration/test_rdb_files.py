"""A file that is written here is one that real programs take."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from respcache.clock import Clock
from respcache.persistence import crc64, rdb_write
from respcache.store.digest import digest_of_all
from respcache.store.keyspace import Keyspace
from respcache.store.list import make_list
from respcache.store.set import SetTable
from respcache.store.zset import ZSet
from tests.servers import HAVE_ORACLE, start_redis
from tests.unit.persistence.test_rdb_stream import random_stream
from tests.unit.persistence.test_rdb_write import VALUES
from tests.wire import Status, Wire

LATE = 4102444800000


def filled() -> Keyspace:
    """Every type and encoding that Redis 7.0 knows, in several databases, some with deadlines."""
    keyspace = Keyspace(4, Clock())
    words = [b"word %d " % number * (number % 30) for number in range(1000)]
    values = [value for value, _ in VALUES if rdb_write.write_value(value)[0] < rdb_write.HASH_DEADLINES]
    values += [
        make_list(words, -2),
        SetTable(dict.fromkeys(words)),
        ZSet.of({word: len(word) / 7 for word in words}, 128, 64),
        *map(random_stream, range(5)),
        *words,
    ]
    for number, value in enumerate(values):
        db = keyspace.databases[0 if number % 3 else 3]
        db.put(b"key %d" % number, value, LATE + number if number % 5 == 0 else None)
    return keyspace


def written(keyspace: Keyspace, checksum: bool, compress: bool) -> bytes:
    version = rdb_write.file_version(keyspace.databases)
    parts = [rdb_write.header(version), rdb_write.aux(b"redis-ver", b"7.4.0")]
    for db in keyspace.databases:
        if db.size:
            parts.append(rdb_write.select_db(db.index, db.size, db.deadlines.count))
        for key in list(db.keys()):
            pieces = rdb_write.entry_pieces(key, db.peek(key), db.deadline(key), compress=compress)
            parts += [rdb_write.idle(9), *pieces]
    data = b"".join(parts)
    return data + rdb_write.end(crc64.update(0, data) if checksum else None)


@pytest.mark.skipif(shutil.which("redis-check-rdb") is None, reason="no redis-check-rdb on PATH")
@pytest.mark.parametrize("compress", [True, False])
@pytest.mark.parametrize("checksum", [True, False])
def test_redis_check_rdb(tmp_path: Path, checksum: bool, compress: bool) -> None:
    keyspace = filled()
    file = tmp_path / "dump.rdb"
    file.write_bytes(written(keyspace, checksum, compress))
    found = subprocess.run(["redis-check-rdb", file], capture_output=True, text=True, timeout=30, check=False)
    assert found.returncode == 0, found.stdout
    assert "RDB looks OK!" in found.stdout
    assert f"{sum(db.size for db in keyspace.databases)} keys read" in found.stdout
    assert f"{sum(db.deadlines.count for db in keyspace.databases)} expires" in found.stdout


@pytest.mark.skipif(not HAVE_ORACLE, reason="no redis-server on PATH")
@pytest.mark.parametrize("compress", [True, False])
def test_redis_server_loads_it(tmp_path: Path, compress: bool) -> None:
    keyspace = filled()
    (tmp_path / "dump.rdb").write_bytes(written(keyspace, True, compress))
    with start_redis("--enable-debug-command", "yes", directory=tmp_path) as server, Wire(server.port) as c:
        assert c("DEBUG", "DIGEST") == Status(digest_of_all(keyspace.databases).hex())
