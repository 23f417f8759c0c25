"""appending.py: the append-only file turned on and off, ended and begun again, in odd moments too."""

from __future__ import annotations

import asyncio
import errno
import os
import threading
from pathlib import Path

import pytest

import respcache
from respcache import loading
from respcache.persistence import disk
from respcache.server import Server
from tests.unit.test_appending import Node, manifest, node, run
from tests.wire import Status


def test_switched_on_and_off_while_it_is_written_to(tmp_path: Path) -> None:
    async def test() -> None:
        async with node(tmp_path, appendonly=False) as n:
            assert n.appending.info()["aof_enabled"] == 0
            await n("INCR", "n")
            for _ in range(3):
                assert await n("CONFIG", "SET", "appendonly", "yes") == Status("OK")
                assert n.appending.info()["aof_enabled"] == 1
                await n("INCR", "n")
                await n.rewritten()
                assert not n.appending.refuses_end
                await n("INCR", "n")
                async with respcache.Server(port=0, save="") as other:
                    await asyncio.sleep(0)
                    assert other.port
                assert await n("CONFIG", "SET", "appendonly", "no") == Status("OK")
                await n("INCR", "lost")
                await n.until(lambda: n.appending._ending is None)
            assert manifest(tmp_path).count(b"\n") == 2
            assert not n.state.gated
        async with node(tmp_path) as n:
            assert await n("GET", "n") == b"7"
            assert await n("GET", "lost") == b"2"

    run(test())


def test_switched_to_and_fro_in_one_turn(tmp_path: Path) -> None:
    async def test() -> None:
        async with node(tmp_path) as n:
            await n("INCR", "n")
            config = n.state.config
            for value in ("no", "yes", "no", "yes"):
                config.set_many([("appendonly", value)])
            assert n.appending.info()["aof_enabled"] == 1
            await n.rewritten()
            assert not n.appending.refuses_end
        async with node(tmp_path) as n:
            assert await n("GET", "n") == b"1"

    run(test())


def test_the_end_is_refused_before_the_first_base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def test() -> None:
        async with node(tmp_path, appendonly=False) as n:
            rename = disk.rename
            monkeypatch.setattr(
                disk, "rename", lambda *_: (_ for _ in ()).throw(OSError(errno.EIO, "broken"))
            )
            await n("CONFIG", "SET", "appendonly", "yes")
            await n.until(lambda: n.appending.info()["aof_rewrites_consecutive_failures"] == 1)
            assert n.appending.refuses_end
            assert n.appending.info()["aof_pending_rewrite"] == 1
            await n("INCR", "n")
            assert await n("SHUTDOWN") == "ERR Errors trying to SHUTDOWN. Check logs."
            monkeypatch.setattr(disk, "rename", rename)
            await n.rewritten()
            await n("INCR", "n")
            assert not n.appending.refuses_end
        async with node(tmp_path) as n:
            assert await n("GET", "n") == b"2"

    run(test())


def test_a_server_that_starts_again_has_its_data_and_goes_on_writing(tmp_path: Path) -> None:
    async def test() -> None:
        server = Server(port=0, dir=str(tmp_path), appendonly=True)
        for number in range(3):
            async with server:
                assert await Node(server)("INCR", "n") == number + 1
        assert b"base.rdb seq 1 " in manifest(tmp_path)
        async with server:
            n = Node(server)
            assert await n("CONFIG", "SET", "appendonly", "no") == Status("OK")
            assert await n("INCR", "n") == 4
        server.config.set_many([("appendonly", "yes")])  # what is in the files is not all
        async with server:
            assert await Node(server)("INCR", "n") == 5
        async with node(tmp_path) as n:
            assert await n("GET", "n") == b"5"

    run(test())


def test_turned_on_while_a_base_is_made_without_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def test() -> None:
        async with node(tmp_path, appendonly=False) as n:
            await n("SET", "a", "1")
            free = threading.Event()
            sync = disk.sync
            monkeypatch.setattr(disk, "sync", lambda fd: (free.wait(10), sync(fd)))
            n.appending.rewrite_in_background()
            await asyncio.sleep(0.02)
            assert await n("CONFIG", "SET", "appendonly", "yes") == Status("OK")
            free.set()
            await n.until(lambda: not n.appending.refuses_end)
            await n("SET", "b", "2")
        async with node(tmp_path) as n:
            assert await n("MGET", "a", "b") == [b"1", b"2"]

    run(test())


@pytest.mark.parametrize("on", [True, False])
def test_turned_on_or_off_while_data_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, on: bool
) -> None:
    """The rest of the data belongs to it as well."""

    async def test() -> None:
        async with node(tmp_path, appendonly=not on, dbfilename="dump.rdb") as n:
            await n("DEBUG", "POPULATE", "20000")
            if on:
                await n("SAVE")
            else:
                n.appending.rewrite_in_background()
                await n.rewritten()
        monkeypatch.setattr(loading, "SLICE", 0)
        server = Server(port=0, dir=str(tmp_path), appendonly=not on, dbfilename="dump.rdb", save="")
        starting = asyncio.create_task(server.start())
        while server.state.loading is None:
            await asyncio.sleep(0)
        server.config.set_many([("appendonly", "yes" if on else "no")])
        n = Node(server)
        assert not n.appending.on, "as before: nothing begins, or ends, in the middle"
        await starting
        assert n.appending.on == on
        await n.until(lambda: not n.appending.refuses_end)
        assert await n("SET", "new", "1") == Status("OK")
        await server.stop()
        async with node(tmp_path) as n:
            assert await n("DBSIZE") == 20_000 + on

    run(test())


def test_the_end_right_behind_a_switch_to_and_fro(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A crash while the base is made must find the files that were there before, none of them replaced."""

    async def test() -> None:
        async with node(tmp_path) as n:
            await n("INCR", "n")
            config = n.state.config
            config.set_many([("appendonly", "no")])
            config.set_many([("appendonly", "yes")])
            before = manifest(tmp_path)
            seen: list[str] = []
            rename = disk.rename

            def renamed(old: str, new: str) -> None:
                if manifest(tmp_path) == before:
                    seen.append(os.path.basename(new))
                rename(old, new)

            monkeypatch.setattr(disk, "rename", renamed)
        assert seen == ["appendonly.aof.2.base.rdb", "appendonly.aof.manifest"]
        async with node(tmp_path) as n:
            assert await n("GET", "n") == b"1"

    run(test())
