"""Snapshots and loading, with real files, a real redis-server and real trouble."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import respcache
from respcache.loading import LoadError
from respcache.persistence import crc64, disk, rdb_write
from tests.commands.test_persistence import REFUSED, info, settle
from tests.servers import HAVE_ORACLE, Server, start_redis, start_respcache
from tests.wire import OK, Error, Status, Wire

LATE = 4102444800000
LOADING = Error("LOADING Redis is loading the dataset in memory")
needs_oracle = pytest.mark.skipif(not HAVE_ORACLE, reason="no redis-server on PATH")


def fill(c: Wire) -> None:
    """Every type and encoding of Redis 7.0, in several databases, some with deadlines."""
    words = [f"word {number} " * (number % 9 + 1) for number in range(700)]
    commands: list[tuple[str | int | float, ...]] = []
    for db, many in ((0, False), (2, True), (15, False)):
        some = words if many else words[:9]
        commands += [
            ("SELECT", db),
            ("SET", "string", "value"),
            ("SET", "long", "x" * 100_000),
            ("SET", "integer", 12345),
            ("SET", "empty", ""),
            ("APPEND", "appended", "a" * 50),
            ("RPUSH", "list", *some),
            ("RPUSH", "numbers", *range(-50, 50)),
            ("SADD", "intset", *range(400 if many else 5)),
            ("SADD", "set", *some),
            ("HSET", "hash", *(part for word in some for part in (word, word.upper()))),
            ("ZADD", "zset", *(part for word in some for part in (len(word) / 7, word))),
            ("ZADD", "infinite", "-inf", "a", "inf", "b", 0, "c"),
            ("PFADD", "hll", *some),
            ("SETBIT", "bits", 1000, 1),
            ("GEOADD", "geo", 13.361389, 38.115556, "Palermo"),
            *(("XADD", "stream", f"{number}-1", "f", word) for number, word in enumerate(some, 1)),
            ("XDEL", "stream", "3-1"),
            ("XGROUP", "CREATE", "stream", "group", 0),
            ("XREADGROUP", "GROUP", "group", "alice", "COUNT", 4, "STREAMS", "stream", ">"),
            ("XGROUP", "CREATECONSUMER", "stream", "group", "bob"),
            ("SET", "mortal", "v", "PXAT", LATE + db),
            ("PEXPIREAT", "zset", LATE),
        ]
    for reply in c.pipeline([*commands, ("SELECT", 0)]):
        assert not isinstance(reply, Error), reply


@needs_oracle
@pytest.mark.parametrize("save", ["SAVE", "BGSAVE"])
@pytest.mark.parametrize(
    ("writer", "reader"), [(start_redis, start_respcache), (start_respcache, start_redis)]
)
def test_files_go_both_ways(
    tmp_path: Path, writer: Callable[..., Server], reader: Callable[..., Server], save: str
) -> None:
    with writer("--enable-debug-command", "yes", directory=tmp_path) as server, Wire(server.port) as c:
        fill(c)
        digest = c("DEBUG", "DIGEST")
        assert digest != Status("0" * 40)
        assert not isinstance(c(save), Error)
        settle(c)
        keyspace = c("INFO", "keyspace")
        c.send("SHUTDOWN", "NOSAVE")
        assert c.closed()
    if shutil.which("redis-check-rdb"):
        command = ["redis-check-rdb", str(tmp_path / "dump.rdb")]
        checked = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
        assert checked.returncode == 0, checked.stdout
    with reader("--enable-debug-command", "yes", directory=tmp_path) as server, Wire(server.port) as c:
        assert c("DEBUG", "DIGEST") == digest
        assert int(info(c, "rdb_last_load_keys_loaded")) == sum(
            int(line.split(b"keys=")[1].split(b",")[0]) for line in keyspace.splitlines() if b"keys=" in line
        )
        assert c("DEBUG", "RELOAD") == OK
        assert c("DEBUG", "DIGEST") == digest


def test_fields_with_deadlines_come_back(tmp_path: Path) -> None:
    with (
        start_respcache("--enable-debug-command", "yes", directory=tmp_path) as server,
        Wire(server.port) as c,
    ):
        assert c("HSET", "h", "f", "v", "g", "w") == 2
        assert c("HPEXPIREAT", "h", LATE, "FIELDS", 1, "f") == [1]
        digest = c("DEBUG", "DIGEST")
        assert c("SAVE") == OK
        server.kill()
        server.start()
        with Wire(server.port) as again:
            assert again("DEBUG", "DIGEST") == digest
            assert again("HPEXPIRETIME", "h", "FIELDS", 2, "f", "g") == [LATE, -1]


def test_a_save_point(tmp_path: Path) -> None:
    with start_respcache("--save", "1 2", directory=tmp_path) as server, Wire(server.port) as c:
        assert c("SET", "a", "1") == OK
        time.sleep(2.5)
        assert not (tmp_path / "dump.rdb").exists()
        assert c("SET", "b", "1") == OK
        server.wait_log("Background saving terminated with success")
        assert "2 changes in 1 seconds. Saving..." in server.log
        assert info(c, "rdb_changes_since_last_save") == "0"
        server.kill()
        server.start()
        with Wire(server.port) as again:
            assert again("DBSIZE") == 2


@pytest.mark.parametrize("values", ["strings", "containers"])
def test_a_snapshot_is_one_moment(tmp_path: Path, values: str) -> None:
    """Transactions give all keys the same number, while snapshots are taken: no file may hold two."""
    keys = [f"key {number}" for number in range(300)]
    writes = ("SET",) if values == "strings" else ("DEL", "RPUSH")
    stop = threading.Event()

    def write(port: int) -> None:
        with Wire(port) as c:
            number = 0
            while not stop.is_set():
                number += 1
                batch: list[tuple[str | int, ...]] = [("MULTI",)]
                for key in keys:
                    if len(writes) == 1:
                        batch.append(("SET", key, number))
                    elif number % 5:
                        batch.append(("LSET", key, -1, number))
                    else:
                        batch += [("DEL", key), ("RPUSH", key, *["x" * 20] * 30, number)]
                c.pipeline([*batch, ("EXEC",)])

    with start_respcache(directory=tmp_path) as server, Wire(server.port) as c:
        for key in keys:
            c(*(("SET", key, 0) if values == "strings" else ("RPUSH", key, 0)))
        c.pipeline([("SET", f"filler {number}", "x" * 50) for number in range(50_000)])
        thread = threading.Thread(target=write, args=(server.port,))
        thread.start()
        try:
            for number in range(4):
                time.sleep(0.05)
                assert not isinstance(c("BGSAVE"), Error)
                settle(c)
                shutil.copy(tmp_path / "dump.rdb", tmp_path / f"{number}.rdb")
        finally:
            stop.set()
            thread.join()
    for number in range(4):
        with (
            start_respcache("--dbfilename", f"{number}.rdb", directory=tmp_path) as server,
            Wire(server.port) as c,
        ):
            assert c("DBSIZE") == 50_300
            read = [("GET", key) if values == "strings" else ("LINDEX", key, -1) for key in keys]
            found = set(c.pipeline(read))
            assert len(found) == 1, found


def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_fd: int, data: bytes | memoryview) -> int:
        raise OSError(28, os.strerror(28))

    with respcache.start(port=0, dir=str(tmp_path), save="3600 1") as server, Wire(server.port) as c:
        assert c("SET", "k", "v") == OK
        assert c("SAVE") == OK
        before = (tmp_path / "dump.rdb").read_bytes()
        with monkeypatch.context() as broken:
            broken.setattr(disk, "write", full)
            assert c("SET", "k", "w") == OK
            assert c("BGSAVE") == Status("Background saving started")
            settle(c)
            assert c("SET", "k", "x") == REFUSED
            assert c("GET", "k") == b"w"
            assert info(c, "rdb_last_bgsave_status") == "err"
            assert os.listdir(tmp_path) == ["dump.rdb"]
            assert (tmp_path / "dump.rdb").read_bytes() == before
        assert c("BGSAVE") == Status("Background saving started")
        settle(c)
        assert c("SET", "k", "x") == OK
        assert info(c, "rdb_last_bgsave_status") == "ok"
    assert (tmp_path / "dump.rdb").read_bytes() != before


def test_a_directory_that_takes_no_files(tmp_path: Path) -> None:
    directory = tmp_path / "data"
    directory.mkdir()
    with start_respcache("--save", "3600 1", "--dir", str(directory)) as server, Wire(server.port) as c:
        assert c("SET", "k", "v") == OK
        directory.rmdir() if os.geteuid() == 0 else directory.chmod(0o500)
        assert c("SAVE") == Error("ERR")
        assert c("BGSAVE") == Status("Background saving started")
        settle(c)
        assert c("SET", "k", "w") == REFUSED
        assert str(directory / "dump.rdb") in server.log
        directory.mkdir(exist_ok=True)
        directory.chmod(0o700)
        assert c("BGSAVE") == Status("Background saving started")
        settle(c)
        assert c("SET", "k", "w") == OK


def big_file(path: Path, keys: int) -> None:
    entries = [b"".join(rdb_write.entry_pieces(b"key %d" % number, b"v", None)) for number in range(keys)]
    data = rdb_write.header(10) + rdb_write.select_db(0, keys, 0) + b"".join(entries)
    path.write_bytes(data + rdb_write.end(crc64.update(0, data)))


@pytest.fixture
def loading(tmp_path: Path) -> Server:
    """A server that will load for half a second or more when it is started."""
    server = start_respcache("--save", "3600 1", directory=tmp_path)
    server.kill()
    big_file(tmp_path / "dump.rdb", 1_000_000)
    return server


def test_loading(loading: Server) -> None:
    with loading.start(loaded=False) as server, Wire(server.port) as c:
        assert c("GET", "key 1") == LOADING
        assert c("PING") == LOADING
        told = {name: info(c, name) for name in ("loading", "loading_total_bytes", "loading_loaded_bytes")}
        assert told["loading"] == "1"
        assert int(told["loading_total_bytes"]) == (server.directory / "dump.rdb").stat().st_size
        assert c("CONFIG", "GET", "port") == [b"port", b"%d" % server.port]
        deadline = time.monotonic() + 20
        while c("GET", "key 999999") == LOADING:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert c("DBSIZE") == 1_000_000
        assert info(c, "loading") == "0"
        assert info(c, "rdb_last_load_keys_loaded") == "1000000"
        server.wait_log("DB loaded from disk: ")


@pytest.mark.parametrize("end", ["SHUTDOWN", "SHUTDOWN NOSAVE", "SHUTDOWN SAVE", "SIGTERM"])
def test_a_load_can_be_interrupted(loading: Server, end: str) -> None:
    before = (loading.directory / "dump.rdb").stat()
    with loading.start(loaded=False) as server:
        with Wire(server.port) as c:
            assert c("PING") == LOADING
            if end == "SIGTERM":
                server._signal(signal.SIGTERM)
            else:
                c.send(*end.split())
            assert c.closed()
        assert server.wait() == 0
        after = (server.directory / "dump.rdb").stat()
        assert (after.st_ino, after.st_size) == (before.st_ino, before.st_size)
        assert "DB loaded from disk" not in server.log


DAMAGES: list[tuple[Callable[[bytes], bytes], str]] = [
    (lambda data: data[:-100], "unexpected end"),
    (lambda data: b"hello", "unexpected end"),
    (lambda data: data[:-1] + b"?", "checksum"),
    (lambda data: data[:30] + b"\xfe\x63" + data[30:], "databases"),
]


@pytest.mark.parametrize(("damage", "text"), DAMAGES, ids=[text for _, text in DAMAGES])
def test_a_damaged_file(tmp_path: Path, damage: Callable[[bytes], bytes], text: str) -> None:
    path = tmp_path / "dump.rdb"
    big_file(path, 3)
    if text == "databases":
        data = rdb_write.header(10) + rdb_write.select_db(99, 1, 0) + b"\x00\x01a\x01b"
        path.write_bytes(data + rdb_write.end(None))
    else:
        path.write_bytes(damage(path.read_bytes() * 1))
    before = path.read_bytes()
    with pytest.raises(RuntimeError) as failed:
        start_respcache("--save", "3600 1", directory=tmp_path)
    told = str(failed.value)
    assert "ended with 1" in told
    assert text in told
    assert str(path) in told
    assert "offset" in told
    assert "Traceback" not in told

    async def embedded() -> None:
        with pytest.raises(LoadError, match=text):
            async with respcache.Server(port=0, dir=str(tmp_path)):
                raise AssertionError

    asyncio.run(embedded())
    assert path.read_bytes() == before


def test_an_embedded_server_keeps_nothing_unless_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    big_file(tmp_path / "dump.rdb", 3)
    before = (tmp_path / "dump.rdb").read_bytes()
    with respcache.start(port=0) as server, Wire(server.port) as c:
        assert c("DBSIZE") == 0
        assert c("SET", "k", "v") == OK
        assert c("FLUSHALL") == OK
    assert (tmp_path / "dump.rdb").read_bytes() == before
    with respcache.start(port=0, dir=".") as server, Wire(server.port) as c:
        assert c("DBSIZE") == 3
        assert c("DEL", "key 1") == 1
    with respcache.start(port=0, dir=".") as server, Wire(server.port) as c:
        assert c("DBSIZE") == 2
