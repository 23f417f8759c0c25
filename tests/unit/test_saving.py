"""When data is saved, what is in the file, and what happens if it cannot be."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from respcache import saving as module
from respcache.clock import Clock
from respcache.gates import MISCONF_RDB
from respcache.persistence import disk
from respcache.persistence.rdb_build import Limits
from respcache.persistence.rdb_file import RdbInput
from respcache.persistence.rdb_read import Handler, Value, read_file
from respcache.persistence.snapshot import Snapshot
from respcache.protocol.errors import ReplyError
from respcache.saving import Saving
from respcache.server import Server
from respcache.state import ServerState

STARTED = b"+Background saving started\r\n"
SCHEDULED = b"+Background saving scheduled\r\n"


class Contents(Handler):
    """What is in a file."""

    def __init__(self, path: Path) -> None:
        self.keys: dict[bytes, Value] = {}
        self.notes: dict[bytes, bytes] = {}
        self.uses: list[tuple[int | None, int | None]] = []
        with RdbInput(str(path)) as file:
            for _ in read_file(file.source, Limits(), self):
                pass

    def aux(self, name: bytes, value: bytes) -> None:
        self.notes[name] = value

    def entry(
        self, db: int, key: bytes, value: Value, deadline: int | None, idle: int | None, freq: int | None
    ) -> None:
        self.keys[key] = value
        self.uses.append((idle, freq))


class Rig:
    """A server that does not listen."""

    def __init__(self, directory: Path, save: str, **directives: Any) -> None:
        self.ahead = 0
        """Milliseconds by which the server's clock is."""
        clock = Clock(lambda: time.time_ns() // 1_000_000 + self.ahead)
        directives |= {"dir": str(directory), "save": save, "enable_protected_configs": "yes"}
        self.server = Server(port=0, clock=clock, **directives)
        self.state: ServerState = self.server.state
        self.state.loop = asyncio.get_running_loop()
        self.saving = self.state.saving
        assert isinstance(self.saving, Saving)
        self.path = directory / "dump.rdb"
        self.db = self.state.keyspace.databases[0]

    def fill(self, keys: int = 3) -> None:
        for number in range(keys):
            self.db.set(b"k%d" % number, b"v")

    async def done(self) -> None:
        for _ in range(1000):
            if not self.saving.info()["rdb_bgsave_in_progress"]:
                return
            await asyncio.sleep(0.005)
        raise TimeoutError


@asynccontextmanager
async def rig(directory: Path, save: str = "", **directives: Any) -> AsyncIterator[Rig]:
    made = Rig(directory, save, **directives)
    try:
        yield made
    finally:
        await made.saving.close()  # type: ignore[attr-defined]


def full(*_: object) -> int:
    raise OSError(28, os.strerror(28))


class Slow:
    """A disk whose `sync` waits until it may go on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.go = threading.Event()
        real = disk.sync

        def sync(fd: int) -> None:
            assert self.go.wait(5)
            real(fd)

        monkeypatch.setattr(disk, "sync", sync)


def run(test: Callable[[], object]) -> None:
    asyncio.run(test())  # type: ignore[arg-type]


def test_save(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "respcache")

    async def test() -> None:
        async with rig(tmp_path) as r:
            r.fill()
            assert r.saving.changes == 3
            r.ahead = 5000
            r.saving.save()
            assert r.saving.changes == 0
            assert 5 <= r.saving.last_save - r.state.unix_started <= 6
            info = r.saving.info()
            assert info["rdb_saves"] == 1
            assert info["rdb_last_bgsave_time_sec"] == -1
            found = Contents(r.path)
            assert found.keys == {b"k0": b"v", b"k1": b"v", b"k2": b"v"}
            assert found.notes[b"redis-ver"] == b"7.4.0"
            assert found.notes[b"aof-base"] == b"0"
            assert set(found.uses) == {(None, None)}
            assert [*found.notes] == [b"redis-ver", b"redis-bits", b"ctime", b"used-mem", b"aof-base"]

    run(test)
    assert caplog.messages[-1] == "DB saved on disk"


def test_in_the_background(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "respcache")

    async def test() -> None:
        async with rig(tmp_path) as r:
            r.fill(2000)
            assert r.saving.save_in_background() == STARTED
            assert r.saving.info()["rdb_bgsave_in_progress"] == 1
            await asyncio.sleep(0)
            r.fill(10)  # behind the moment of the snapshot
            r.db.set(b"new", b"v")
            with pytest.raises(ReplyError, match="already in progress"):
                r.saving.save_in_background()
            with pytest.raises(ReplyError, match="already in progress"):
                r.saving.save_in_background(schedule=True)
            with pytest.raises(ReplyError, match="already in progress"):
                r.saving.save()
            await r.done()
            assert r.state.snapshot is None
            assert r.saving.changes == 11
            assert len(Contents(r.path).keys) == 2000
            info = r.saving.info()
            assert info["rdb_last_bgsave_status"] == "ok"
            assert info["rdb_last_bgsave_time_sec"] == 0
            assert info["rdb_current_bgsave_time_sec"] == -1
            assert info["current_save_keys_total"] == 0
            assert os.listdir(tmp_path) == ["dump.rdb"]

    run(test)
    assert caplog.messages[-3:] == [
        "Background saving started",
        "DB saved on disk",
        "Background saving terminated with success",
    ]


def test_in_a_transaction_and_beside_another_snapshot(tmp_path: Path) -> None:
    async def test() -> None:
        async with rig(tmp_path) as r:
            r.state.nested = True
            assert r.saving.save_in_background() == SCHEDULED
            r.state.nested = False
            assert r.saving.info()["rdb_bgsave_in_progress"] == 0
            await asyncio.sleep(0)
            assert r.saving.info()["rdb_bgsave_in_progress"] == 1
            await r.done()
            r.state.snapshot = Snapshot(r.state.keyspace, module.rdb_encoder(r.state))
            with pytest.raises(ReplyError, match="Another child process is active"):
                r.saving.save_in_background()
            assert r.saving.save_in_background(schedule=True) == SCHEDULED
            await asyncio.sleep(0)
            assert r.saving.info()["rdb_bgsave_in_progress"] == 0
            r.state.snapshot = None
            r.saving.cron()
            assert r.saving.info()["rdb_bgsave_in_progress"] == 1
            await r.done()
            assert r.saving.info()["rdb_saves"] == 2

    run(test)


def test_save_beside_another_snapshot(tmp_path: Path) -> None:
    async def test() -> None:
        async with rig(tmp_path) as r:
            r.fill(500)
            parts: list[bytes] = []

            async def write(data: bytes) -> None:
                parts.append(data)

            other = r.state.snapshot = Snapshot(r.state.keyspace, module.rdb_encoder(r.state))
            r.saving.save()
            r.db.clear()
            r.saving.emptied()
            r.fill(3)
            await other.run(write)
            r.state.snapshot = None
            assert len(Contents(r.path).keys) == 500
            (tmp_path / "other").write_bytes(b"".join(parts))
            assert len(Contents(tmp_path / "other").keys) == 500
            assert all(db.keeper is None for db in r.state.keyspace.databases)

    run(test)


def test_save_points(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "respcache")

    async def test() -> None:
        async with rig(tmp_path, "10 1 5 100") as r:

            def due() -> bool:
                r.saving.cron()
                return bool(r.saving.info()["rdb_bgsave_in_progress"])

            r.ahead = 3600_000
            assert not due()
            r.ahead = 0
            r.fill(1)
            assert not due()
            r.ahead = 9_000
            assert not due()
            r.fill(100)
            assert due()
            await r.done()
            r.fill(1)
            r.ahead += 12_000
            r.state.config.set_many([("save", "")])
            assert not due()
            r.state.config.set_many([("save", "10 1")])
            assert due()
            await r.done()
            assert not due()

    run(test)
    assert "100 changes in 5 seconds. Saving..." in caplog.messages
    assert "1 changes in 10 seconds. Saving..." in caplog.messages


def test_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        async with rig(tmp_path, "1 1") as r:
            r.fill()
            r.saving.save()
            before = r.path.read_bytes()
            r.fill()
            real = disk.write
            monkeypatch.setattr(disk, "write", full)
            with pytest.raises(ReplyError) as failed:
                r.saving.save()
            assert failed.value.text == b"ERR"
            assert r.state.misconf == {}
            r.saving.save_in_background()
            await r.done()
            assert r.state.misconf == {"rdb": MISCONF_RDB}
            assert r.saving.changes == 3
            assert r.saving.info()["rdb_last_bgsave_status"] == "err"
            await asyncio.sleep(0.05)
            assert os.listdir(tmp_path) == ["dump.rdb"]
            assert r.path.read_bytes() == before
            # Nobody is refused while nothing is to be kept, or it was allowed.
            for name, value, old in (("save", "", "1 1"), ("stop-writes-on-bgsave-error", "no", "yes")):
                r.state.config.set_many([(name, value)])
                assert r.state.misconf == {}
                r.state.config.set_many([(name, old)])
                assert r.state.misconf == {"rdb": MISCONF_RDB}
            # It is tried again, later.
            monkeypatch.setattr(disk, "write", real)
            r.ahead = 10_000
            r.saving.cron()
            assert not r.saving.info()["rdb_bgsave_in_progress"]
            monkeypatch.setattr(module, "RETRY_SECONDS", 0)
            r.saving.cron()
            await r.done()
            assert r.state.misconf == {}
            assert r.saving.changes == 0

    run(test)
    assert "No space left on device" in caplog.text
    assert "Background saving error" in caplog.messages


def test_save_ends_misconf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def test() -> None:
        async with rig(tmp_path, "1 1") as r:
            r.fill()
            with monkeypatch.context() as broken:
                broken.setattr(disk, "sync_directory", full)
                r.saving.save_in_background()
                await r.done()
            assert r.state.misconf
            r.saving.save()
            assert not r.state.misconf

    run(test)


def test_flushall(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = Slow(monkeypatch)

    async def test() -> None:
        async with rig(tmp_path, "3600 1") as r:
            r.fill(100)
            r.saving.save_in_background()
            await asyncio.sleep(0.02)
            r.db.clear()
            r.saving.emptied()
            assert r.saving.info()["rdb_bgsave_in_progress"] == 0
            assert r.state.snapshot is None
            r.saving.emptied()
            r.fill(2)
            slow.go.set()
            for _ in range(200):
                await asyncio.sleep(0.005)
                if r.saving.changes == 2:
                    break
            assert r.saving.changes == 2
            assert Contents(r.path).keys == {}
            assert r.saving.info()["rdb_last_bgsave_status"] == "ok"
            assert os.listdir(tmp_path) == ["dump.rdb"]

    run(test)


def test_flushall_without_save_points(tmp_path: Path) -> None:
    async def test() -> None:
        async with rig(tmp_path) as r:
            r.fill()
            r.db.clear()
            r.saving.emptied()
        assert os.listdir(tmp_path) == []

    run(test)


@pytest.mark.parametrize(
    ("points", "save", "change", "saved"),
    [
        ("3600 1", None, True, True),
        ("3600 1", None, False, True),  # what was loaded may be in no such file
        ("", None, True, False),
        ("3600 1", False, True, False),
        ("", True, True, True),
        ("", True, False, True),
    ],
)
def test_the_end(tmp_path: Path, points: str, save: bool | None, change: bool, saved: bool) -> None:
    async def test() -> None:
        async with rig(tmp_path, points) as r:
            if change:
                r.fill()
            r.saving.prepare_end(save)
            assert r.path.exists() == saved
            if change:
                r.db.set(b"late", b"v")
        assert r.path.exists() == saved
        if saved and change:
            assert b"late" in Contents(r.path).keys

    run(test)


def test_the_end_without_preparation(tmp_path: Path) -> None:
    before = set(threading.enumerate())

    async def test() -> None:
        async with rig(tmp_path, "3600 1") as r:
            r.fill()
            r.saving.save_in_background()
            await asyncio.sleep(0)
            r.db.set(b"late", b"v")
        assert len(Contents(r.path).keys) == 4
        assert os.listdir(tmp_path) == ["dump.rdb"]
        for thread in set(threading.enumerate()) - before:
            if thread.name.startswith("respcache-save"):
                thread.join(5)
                assert not thread.is_alive()

    run(test)


def test_an_end_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def test() -> None:
        async with rig(tmp_path, "3600 1") as r:
            r.fill()
            with monkeypatch.context() as broken:
                broken.setattr(disk, "rename", full)
                with pytest.raises(ReplyError, match="Errors trying to SHUTDOWN"):
                    r.saving.prepare_end()
                r.saving.prepare_end(force=True)

    run(test)
    assert os.listdir(tmp_path) == []


def test_another_file_name_is_another_file(tmp_path: Path) -> None:
    async def test() -> None:
        async with rig(tmp_path, "3600 1") as r:
            r.fill()
            r.saving.save()
            r.state.config.set_many([("dbfilename", "other.rdb")])
        assert len(Contents(tmp_path / "other.rdb").keys) == 3

    run(test)


@pytest.mark.parametrize(("policy", "uses"), [("allkeys-lru", (7, None)), ("allkeys-lfu", (None, 9))])
def test_uses_are_kept(tmp_path: Path, policy: str, uses: tuple[int | None, int | None]) -> None:
    async def test() -> None:
        async with rig(tmp_path, maxmemory="1gb", maxmemory_policy=policy) as r:
            r.fill(1)
            accesses = r.db.accesses
            assert accesses is not None
            if uses[0] is not None:
                accesses.set_idle(b"k0", uses[0])  # type: ignore[attr-defined]
            else:
                accesses.set_frequency(b"k0", uses[1])  # type: ignore[attr-defined]
            r.saving.save()
            assert Contents(r.path).uses == [uses]

    run(test)
