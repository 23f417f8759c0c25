"""Files of all versions: what is read of them is what a real server reads."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from respcache.clock import Clock
from respcache.persistence.rdb_build import DEFAULTS
from respcache.persistence.rdb_read import Handler, Value, read_file
from respcache.persistence.source import Source
from respcache.store.digest import digest_of_all
from respcache.store.keyspace import Keyspace
from tests.golden.make import HERE, files
from tests.servers import HAVE_ORACLE, start_redis
from tests.wire import Status, Wire

FILES = sorted(HERE.glob("*.rdb"), key=lambda path: path.name)
OF_MODULES = "v9-module-aux.rdb"


class Loader(Handler):
    """Fills a keyspace."""

    def __init__(self) -> None:
        self.keyspace = Keyspace(16, Clock())

    def entry(
        self, db: int, key: bytes, value: Value, deadline: int | None, idle: int | None, freq: int | None
    ) -> None:
        self.keyspace.databases[db].put(key, value, deadline)


def load(path: Path) -> Keyspace:
    loader = Loader()
    with path.open("rb") as file:
        for _ in read_file(Source(file.read, checksum=True), DEFAULTS, loader):
            pass
        assert not file.read()
    return loader.keyspace


def test_they_are_what_their_description_makes() -> None:
    assert {path.name: path.read_bytes() for path in FILES} == files()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_file_is_read(path: Path) -> None:
    assert sum(db.size for db in load(path).databases)


@pytest.mark.skipif(not HAVE_ORACLE, reason="no redis-server on PATH")
@pytest.mark.parametrize(
    "path", [path for path in FILES if path.name != OF_MODULES], ids=lambda path: path.name
)
def test_redis_reads_the_same(tmp_path: Path, path: Path) -> None:
    shutil.copy(path, tmp_path / "dump.rdb")
    with start_redis("--enable-debug-command", "yes", directory=tmp_path) as server, Wire(server.port) as c:
        assert c("DEBUG", "DIGEST") == Status(digest_of_all(load(path).databases).hex())
