"""appending.py: an append-only file is made, loaded, written to, switched, rewritten, and given up in order."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import re
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

import respcache
from respcache.appending import Appending
from respcache.config import SetError
from respcache.features import aof_writer
from respcache.loading import LoadError
from respcache.persistence import disk
from respcache.protocol.errors import ReplyError
from respcache.server import Server
from tests.wire import Error, Status, Wire


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(test, 30))


class Node:
    """A server and somebody who talks to it."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.state = server.state
        appending = server.state.appending
        assert isinstance(appending, Appending)
        self.appending = appending

    async def __call__(self, *words: str) -> Any:
        return await asyncio.to_thread(self._ask, words)

    def _ask(self, words: tuple[str, ...]) -> Any:
        with Wire(self.server.port) as c:
            reply = c(*words)
            return reply.text if isinstance(reply, Error) else reply

    async def until(self, condition: Callable[[], object]) -> None:
        for _ in range(1000):
            if condition():
                return
            self.appending.cron()
            await asyncio.sleep(0.005)
        raise AssertionError("it did not happen")

    async def rewritten(self) -> None:
        await self.until(
            lambda: not self.appending.scheduled and not self.appending.info()["aof_rewrite_in_progress"]
        )


@contextlib.asynccontextmanager
async def node(directory: Path, **directives: Any) -> AsyncIterator[Node]:
    directives = {"appendonly": True, "enable_debug_command": "yes", **directives}
    async with respcache.Server(port=0, dir=str(directory), **directives) as server:
        yield Node(server)


def names(directory: Path) -> list[str]:
    return sorted(os.listdir(directory / "appendonlydir"))


def text(directory: Path, name: str) -> bytes:
    return (directory / "appendonlydir" / name).read_bytes()


def manifest(directory: Path) -> bytes:
    return text(directory, "appendonly.aof.manifest")


FIRST = ["appendonly.aof.1.base.rdb", "appendonly.aof.1.incr.aof", "appendonly.aof.manifest"]
SET_A = b"*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\n1\r\n"


def test_the_first_files(tmp_path: Path) -> None:
    async def test() -> None:
        async with node(tmp_path) as n:
            assert names(tmp_path) == FIRST
            assert await n("SET", "a", "1") == Status("OK")
            assert text(tmp_path, FIRST[1]) == SET_A
            info = n.appending.info()
            assert info["aof_enabled"] == 1
            assert info["aof_current_size"] == info["aof_base_size"] + len(SET_A)  # type: ignore[operator]
        assert manifest(tmp_path) == (
            b"file appendonly.aof.1.base.rdb seq 1 type b\nfile appendonly.aof.1.incr.aof seq 1 type i\n"
        )

    run(test())


def test_a_base_of_commands(tmp_path: Path) -> None:
    async def test() -> None:
        async with node(tmp_path, aof_use_rdb_preamble=False, aof_timestamp_enabled=True) as n:
            assert text(tmp_path, "appendonly.aof.1.base.aof") == b""
            await n("SET", "a", "1")
            assert n.appending.rewrite_in_background() == b"Background append only file rewriting started"
            await n.rewritten()
            assert re.fullmatch(
                rb"#TS:\d+\r\n" + re.escape(SET_A), text(tmp_path, "appendonly.aof.2.base.aof")
            )

    run(test())


@pytest.mark.parametrize("policy", ["always", "everysec", "no"])
def test_what_was_written_is_there_again(tmp_path: Path, policy: str) -> None:
    async def test() -> None:
        for number in range(3):
            async with node(tmp_path, appendfsync=policy) as n:
                assert await n("INCR", "n") == number + 1
                assert await n("LRANGE", "l", "0", "-1") == [b"x"] * number
                await n("RPUSH", "l", "x")
                if number == 1:
                    n.appending.rewrite_in_background()
                    await n.rewritten()

    run(test())


def test_a_rewrite_replaces_all_that_was(tmp_path: Path) -> None:
    async def test() -> None:
        async with node(tmp_path) as n:
            for _ in range(50):
                await n("INCR", "n")
            n.appending.rewrite_in_background()
            with pytest.raises(ReplyError, match="already in progress"):
                n.appending.rewrite_in_background()
            assert n.appending.info()["aof_rewrite_in_progress"] == 1
            await n.rewritten()
            await n.until(lambda: len(names(tmp_path)) == 3)
            assert text(tmp_path, "appendonly.aof.2.incr.aof") == b""
            await n("INCR", "n")
            assert text(tmp_path, "appendonly.aof.2.incr.aof").startswith(b"*2\r\n$6\r\nSELECT\r\n")
            info = n.appending.info()
            assert (info["aof_rewrites"], info["aof_last_bgrewrite_status"]) == (1, "ok")
        async with node(tmp_path) as n:
            assert await n("GET", "n") == b"51"

    run(test())


def test_a_rewrite_by_itself(tmp_path: Path) -> None:
    async def test() -> None:
        async with node(tmp_path, auto_aof_rewrite_min_size="2kb") as n:
            for _ in range(80):
                await n("SET", "key", "x" * 20)
            await n.until(lambda: n.appending.info()["aof_rewrites"])
            await n.rewritten()
            await n("CONFIG", "SET", "auto-aof-rewrite-percentage", "0")
            await n.rewritten()
            assert n.appending.size < 5000
            rewrites = n.appending.info()["aof_rewrites"]
            for _ in range(80):
                await n("SET", "key", "x" * 20)
            await asyncio.sleep(0.05)
            assert n.appending.info()["aof_rewrites"] == rewrites

    run(test())


def test_failed_rewrites_lose_nothing_and_are_tried_less_often(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test() -> None:
        async with node(tmp_path, auto_aof_rewrite_min_size="1kb") as n:
            rename = disk.rename

            def fail(old: str, new: str) -> None:
                if "base" in new:
                    raise OSError(errno.EIO, "broken")
                rename(old, new)

            monkeypatch.setattr(disk, "rename", fail)
            for number in range(3):
                await n("INCR", "n")
                n.appending.rewrite_in_background()
                await n.rewritten()
                info = n.appending.info()
                assert info["aof_last_bgrewrite_status"] == "err"
                assert info["aof_rewrites_consecutive_failures"] == number + 1
            for _ in range(60):
                await n("SET", "key", "x" * 20)
            n.appending.cron()
            assert n.appending.info()["aof_rewrites"] == 3  # the fourth must wait
            monkeypatch.undo()
            assert manifest(tmp_path).count(b"type i") == 4
            assert not [name for name in names(tmp_path) if name.startswith("temp")]
            n.appending.rewrite_in_background()
            await n.rewritten()
            assert n.appending.info()["aof_rewrites_consecutive_failures"] == 0
        async with node(tmp_path) as n:
            assert await n("GET", "n") == b"3"

    run(test())


def test_a_rewrite_without_an_append_only_file_makes_a_base(tmp_path: Path) -> None:
    async def test() -> None:
        async with node(tmp_path, appendonly=False) as n:
            await n("SET", "a", "1")
            n.appending.rewrite_in_background()
            await n.rewritten()
            assert names(tmp_path) == ["appendonly.aof.1.base.rdb", "appendonly.aof.manifest"]
        async with node(tmp_path) as n:
            assert await n("GET", "a") == b"1"

    run(test())


def test_a_directory_has_one_server(tmp_path: Path) -> None:
    async def test() -> None:
        async with node(tmp_path) as n:
            with pytest.raises(LoadError, match=f"Another server .* {tmp_path}"):
                async with node(tmp_path):
                    pass
            async with node(tmp_path, appendonly=False) as other:
                reply = await other("CONFIG", "SET", "appendonly", "yes")
                assert "Unable to turn on AOF" in reply
                with pytest.raises(SetError):
                    other.server.config.set_many([("appendonly", "yes")])
                assert not other.appending.on
            await n("SET", "a", "1")
        async with node(tmp_path) as n:
            assert await n("GET", "a") == b"1"

    run(test())


@pytest.mark.parametrize("policy", ["everysec", "no"])
def test_a_full_disk_refuses_writes_until_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, policy: str
) -> None:
    monkeypatch.setattr(aof_writer, "RETRY", 0.05)

    async def test() -> None:
        async with node(tmp_path, appendfsync=policy) as n:
            write = disk.write
            monkeypatch.setattr(
                disk, "write", lambda *_: (_ for _ in ()).throw(OSError(errno.ENOSPC, "full"))
            )
            await n("INCR", "n")
            refused = "MISCONF Errors writing to the AOF file: No space left on device"
            for words in (["INCR", "n"], ["PING"], ["DEL", "x"]):
                assert await n(*words) == refused
            assert await n("GET", "n") == b"1"
            assert n.appending.info()["aof_last_write_status"] == "err"
            monkeypatch.setattr(disk, "write", write)
            await n.until(lambda: n.appending.info()["aof_last_write_status"] == "ok")
            assert await n("INCR", "n") == 2
        async with node(tmp_path) as n:
            assert await n("GET", "n") == b"2"

    run(test())


def test_always_ends_the_server_when_it_cannot_keep_its_promise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test() -> None:
        async with node(tmp_path, appendfsync="always") as n:
            await n("INCR", "n")
            monkeypatch.setattr(disk, "sync", lambda _: (_ for _ in ()).throw(OSError(errno.EIO, "broken")))
            with pytest.raises((EOFError, OSError)):
                await n("INCR", "n")
            monkeypatch.undo()
            await n.server.wait_stopped()

    run(test())


@pytest.mark.parametrize("crashed", [False, True])
def test_a_legacy_file_is_taken_in(tmp_path: Path, crashed: bool) -> None:
    """Also if a server that was at it has crashed, with the manifest written and the file not yet moved."""

    async def test() -> None:
        (tmp_path / "appendonly.aof").write_bytes(SET_A)
        if crashed:
            (tmp_path / "appendonlydir").mkdir()
            manifest = tmp_path / "appendonlydir" / "appendonly.aof.manifest"
            manifest.write_bytes(b"file appendonly.aof seq 1 type b\n")
        async with node(tmp_path) as n:
            assert await n("GET", "a") == b"1"
            assert names(tmp_path) == [
                "appendonly.aof",
                "appendonly.aof.1.incr.aof",
                "appendonly.aof.manifest",
            ]
            n.appending.rewrite_in_background()
            await n.rewritten()
            await n.until(lambda: len(names(tmp_path)) == 3)
            assert "appendonly.aof" not in names(tmp_path)
        assert not (tmp_path / "appendonly.aof").exists()

    run(test())


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("appendonly.aof.manifest", b"nonsense\n", r"appendonly\.aof\.manifest, line 1: "),
        (
            "appendonly.aof.1.incr.aof",
            SET_A + b"garbage",
            r"1\.incr\.aof: .*offset 50.*`respcache check --fix .*dir`",
        ),
        ("appendonly.aof.1.incr.aof", b"*1\r\n$6\r\nNOSUCH\r\n", r"Unknown command 'NOSUCH' .*1\.incr\.aof"),
        ("appendonly.aof.1.base.rdb", b"REDIS0010\xfe", r"Bad RDB .*1\.base\.rdb: "),
    ],
)
def test_damage_is_named(tmp_path: Path, file: str, content: bytes, message: str) -> None:
    async def test() -> None:
        async with node(tmp_path):
            pass
        (tmp_path / "appendonlydir" / file).write_bytes(content)
        for _ in range(2):  # the lock is gone after the first
            with pytest.raises(LoadError, match=message):
                async with node(tmp_path):
                    pass

    run(test())


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    async def test() -> None:
        async with node(tmp_path):
            pass
        os.remove(tmp_path / "appendonlydir" / FIRST[1])
        with pytest.raises(LoadError, match=r"names appendonly\.aof\.1\.incr\.aof, which does not exist"):
            async with node(tmp_path):
                pass

    run(test())


def test_a_torn_end(tmp_path: Path) -> None:
    async def test() -> None:
        async with node(tmp_path) as n:
            await n("SET", "a", "1")
        file = tmp_path / "appendonlydir" / FIRST[1]
        file.write_bytes(SET_A + b"*3\r\n$3\r\nSET\r\n$1\r\n")
        with pytest.raises(LoadError, match="Unexpected end of file"):
            async with node(tmp_path, aof_load_truncated=False):
                pass
        async with node(tmp_path) as n:
            assert await n("GET", "a") == b"1"
            assert file.read_bytes() == SET_A

    run(test())


def test_debug_loadaof(tmp_path: Path) -> None:
    async def test() -> None:
        async with node(tmp_path, appendfsync="always") as n:
            await n("SET", "a", "1")
            await n("RPUSH", "l", "x", "y")
            digest = await n("DEBUG", "DIGEST")
            size = n.appending.size
            assert await n("DEBUG", "LOADAOF") == Status("OK")
            assert await n("DEBUG", "DIGEST") == digest
            assert n.appending.size == size
            await n("SET", "a", "2")
        async with node(tmp_path) as n:
            assert await n("GET", "a") == b"2"
        async with node(tmp_path / "..", appendonly=False, appenddirname="nothing") as n:
            assert await n("DEBUG", "LOADAOF") == "ERR Error trying to load the AOF files, check server logs."

    run(test())


def test_after_debug_loadaof_nothing_has_changed(tmp_path: Path) -> None:
    async def test() -> None:
        async with node(tmp_path) as n:
            await n("SET", "a", "1")
            assert await n("DEBUG", "LOADAOF") == Status("OK")
            assert n.state.saving.changes == 0

    run(test())
