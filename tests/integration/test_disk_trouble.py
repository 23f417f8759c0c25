"""A disk that is full, broken or read-only for a while, with an append-only file and clients that go on writing.

What `tests/integration/test_saving.py` shows for snapshots alone is not repeated here.
"""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

import respcache
from respcache.features import aof_writer
from tests.ledger import FOREVER, Ledger, Link
from tests.power import Disk
from tests.servers import start_respcache
from tests.wire import OK, Error, Wire

LIMIT = 20.0
TROUBLES = {
    "full": {"write": errno.ENOSPC},
    "nearly full": {"short": errno.ENOSPC},
    "broken": {"sync": errno.EIO},
    "broken and full": {"sync": errno.EIO, "write": errno.ENOSPC},
}
READ_ONLY = dict.fromkeys(("open_new", "open_append", "rename", "remove", "make_directory"), errno.EROFS)


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Disk:
    monkeypatch.setattr(aof_writer, "RETRY", 0.05)
    monkeypatch.setattr(aof_writer, "SYNC_EACH", 0.05)
    root = tmp_path / "root"
    root.mkdir()
    made = Disk(root, 1)
    made.install(monkeypatch)
    return made


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(test, LIMIT))


async def until(condition: Callable[[], object]) -> None:
    while not condition():
        await asyncio.sleep(0.002)


async def progress(ledger: Ledger) -> None:
    """Waits until some more was acknowledged."""
    before = ledger.acknowledged
    await until(lambda: ledger.acknowledged > before + 100)


def server_on(path: Path, policy: str) -> respcache.Server:
    return respcache.Server(port=0, dir=str(path), appendonly=True, appendfsync=policy, save="")


async def check_copy(ledger: Ledger, disk: Disk, policy: str) -> None:
    """All that was acknowledged is in the files, as the kernel has them."""
    disk.check()
    copy = disk.root.with_name("copy")
    shutil.copytree(disk.root, copy)
    disk.cut()
    with pytest.MonkeyPatch.context() as patch:
        Disk(copy, 2).install(patch)
        async with server_on(copy, policy) as server:
            await ledger.check(server.port, FOREVER)


@pytest.mark.parametrize(
    ("policy", "trouble"),
    [
        *[("everysec", trouble) for trouble in TROUBLES],
        *[("no", trouble) for trouble in TROUBLES if trouble != "broken"],  # it does not sync
    ],
)
def test_writes_are_refused_until_it_is_over(disk: Disk, policy: str, trouble: str) -> None:
    async def test() -> None:
        ledger, done = Ledger(4, 1), asyncio.Event()
        async with server_on(disk.root, policy) as server, await Link.to(server.port) as link:
            writing = asyncio.create_task(ledger.write(server.port, lambda: not done.is_set(), stubborn=True))
            for _ in range(2):
                await progress(ledger)
                assert not ledger.refused
                disk.faults = dict(TROUBLES[trouble])
                await until(lambda: len(ledger.refused) > 20)
                assert all(
                    "MISCONF Errors writing to the AOF file: " in text for text in ledger.refused[-10:]
                )
                reply = await link("PING")
                assert isinstance(reply, Error)
                assert reply.text.startswith("MISCONF Errors writing to the AOF file: ")
                assert await link.field("aof_last_write_status") == "err"
                assert not isinstance(await link("GET", "w0:c"), Error)
                assert await link("DBSIZE") > 0
                disk.faults = {}
                await progress(ledger)
                assert await link.field("aof_last_write_status") == "ok"
                assert await link("PING") == b"PONG"
                ledger.refused.clear()
            done.set()
            await writing
            await link.settled("aof_buffer_length")
            await check_copy(ledger, disk, policy)

    run(test())


@pytest.mark.parametrize("trouble", TROUBLES.values(), ids=TROUBLES.keys())
def test_under_always_the_server_ends_rather_than_lie(disk: Disk, trouble: dict[str, int]) -> None:
    async def test() -> None:
        ledger, done = Ledger(4, 1), asyncio.Event()
        server = server_on(disk.root, "always")
        await server.start()
        writing = asyncio.create_task(ledger.write(server.port, lambda: not done.is_set()))
        await progress(ledger)
        disk.faults = dict(trouble)
        await server.wait_stopped()
        await writing
        await check_copy(ledger, disk, "always")

    run(test())


def test_a_read_only_directory(disk: Disk) -> None:
    """The open file can be written to all the same; only a rewrite fails."""

    async def test() -> None:
        ledger, done = Ledger(4, 1), asyncio.Event()
        async with server_on(disk.root, "everysec") as server, await Link.to(server.port) as link:
            writing = asyncio.create_task(ledger.write(server.port, lambda: not done.is_set()))
            disk.faults = dict(READ_ONLY)
            for status in ("err", "err", "ok"):
                if status == "ok":
                    disk.faults = {}
                assert not isinstance(await link("BGREWRITEAOF"), Error)
                await link.settled("aof_rewrite_in_progress")
                assert await link.field("aof_last_bgrewrite_status") == status
                await progress(ledger)
            done.set()
            await writing
            await link.settled("aof_buffer_length")
            await check_copy(ledger, disk, "everysec")
            assert sorted(os.listdir(disk.root / "appendonlydir")) == [
                "appendonly.aof.2.base.rdb",
                "appendonly.aof.2.incr.aof",
                "appendonly.aof.manifest",
            ]

    run(test())


@pytest.mark.parametrize("trouble", [*TROUBLES.values(), READ_ONLY], ids=[*TROUBLES, "read only"])
def test_turning_it_on(disk: Disk, trouble: dict[str, int]) -> None:
    """It is refused, or it is on as soon as the disk allows."""

    async def test() -> None:
        ledger, done = Ledger(4, 1), asyncio.Event()
        async with (
            respcache.Server(port=0, dir=str(disk.root), appendonly=False, save="") as server,
            await Link.to(server.port) as link,
        ):
            writing = asyncio.create_task(ledger.write(server.port, lambda: not done.is_set(), stubborn=True))
            await progress(ledger)
            disk.faults = dict(trouble)
            reply = await link("CONFIG", "SET", "appendonly", "yes")
            if isinstance(reply, Error):
                disk.faults = {}
                assert await link("CONFIG", "SET", "appendonly", "yes") == b"OK"
            else:
                while await link.field("aof_last_bgrewrite_status") != "err":
                    await asyncio.sleep(0.002)
                disk.faults = {}
            await link.settled("aof_pending_rewrite", "aof_rewrite_in_progress")
            assert await link.field("aof_last_bgrewrite_status") == "ok"
            await progress(ledger)
            done.set()
            await writing
            await link.settled("aof_buffer_length")
            await check_copy(ledger, disk, "everysec")

    run(test())


def test_a_process_ends_with_a_status(tmp_path: Path) -> None:
    """A file that may grow no further, by the system's own means."""
    resource = pytest.importorskip("resource")
    with start_respcache("--appendonly", "yes", "--appendfsync", "always", directory=tmp_path) as server:
        with Wire(server.port) as c:
            assert c("SET", "a", "1") == OK
            resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (10_000, 10_000))
            c.send("SET", "b", "x" * 20_000)
            assert c.closed()
        assert server.wait() == 1
        server.wait_log("AOF fsync policy is 'always'. Exiting...")
        server.start()
        with Wire(server.port) as c:
            assert c("GET", "a") == b"1"
            assert c("GET", "b") == c.null
