"""rewriting.py: the steps of a rewrite, one after another, and what an error or a cancellation leaves."""

from __future__ import annotations

import asyncio
import errno
import threading
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest

from respcache import rewriting
from respcache.persistence import disk
from respcache.persistence.aof import AofDirectory, Log
from respcache.rewriting import Job, Rewriting, make_base
from respcache.server import Server
from respcache.store.events import NO_EVENT


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(test, 20))


class Setup:
    def __init__(self, path: Path, **directives: Any) -> None:
        self.server = Server(port=0, **directives).state
        self.server.loop = asyncio.get_running_loop()
        for number in range(1000):
            self.server.keyspace.databases[0].set(b"key %d" % number, b"value", NO_EVENT)
        self.directory = AofDirectory(str(path / "aof"), "a")
        self.directory.take()
        self.directory.open_last().close()
        self.rewriting = Rewriting(self.server)
        self.steps: list[str] = []
        self.done: list[bool] = []

    def job(self) -> Job:
        return Job(self.directory, self._prepare, self._begin, self.done.append)

    def _prepare(self) -> Log:
        self.steps.append("prepare")
        return self.directory.add_increment()

    def _begin(self, log: Log | None) -> None:
        assert log is not None
        assert self.server.snapshot is None
        self.steps.append("begin")
        log.append(b"since")
        log.close()

    async def finish(self) -> None:
        while self.rewriting.running:
            await asyncio.sleep(0.001)

    @property
    def manifest(self) -> bytes:
        return Path(self.directory.file("a.manifest")).read_bytes()


def test_a_rewrite(tmp_path: Path) -> None:
    async def test() -> None:
        s = Setup(tmp_path)
        s.rewriting.start(s.job())
        assert s.rewriting.running
        assert s.rewriting.seconds == 0
        await s.finish()
        assert s.steps == ["prepare", "begin"]
        assert s.done == [True]
        assert s.manifest == b"file a.1.base.rdb seq 1 type b\nfile a.2.incr.aof seq 2 type i\n"
        base = Path(s.directory.file("a.1.base.rdb")).read_bytes()
        assert base.startswith(b"REDIS")
        assert b"aof-base" in base
        assert base.count(b"value") == 1000
        assert s.server.snapshot is None
        assert (s.rewriting.took, s.rewriting.ok, s.rewriting.rewrites, s.rewriting.seconds) == (
            0,
            True,
            1,
            -1,
        )
        await s.rewriting.stop()

    run(test())


def test_history_stays_if_asked_so(tmp_path: Path) -> None:
    async def test() -> None:
        s = Setup(tmp_path, aof_disable_auto_gc=True, aof_use_rdb_preamble=False)
        s.rewriting.start(s.job())
        await s.finish()
        assert b"file a.1.incr.aof seq 1 type h\n" in s.manifest
        assert Path(s.directory.file("a.1.base.aof")).read_bytes().count(b"SET") == 1000
        await s.rewriting.stop()

    run(test())


def test_another_snapshot_is_waited_for(tmp_path: Path) -> None:
    async def test() -> None:
        s = Setup(tmp_path)
        s.rewriting.start(s.job())
        s.server.snapshot = object()  # type: ignore[assignment]
        await asyncio.sleep(0.1)
        assert s.steps == ["prepare"]
        s.server.snapshot = None
        await s.finish()
        assert s.done == [True]
        await s.rewriting.stop()

    run(test())


def test_given_up_before_it_gets_to_run(tmp_path: Path) -> None:
    async def test() -> None:
        s = Setup(tmp_path)
        s.rewriting.start(s.job())
        s.rewriting.cancel()
        await s.finish()
        assert (s.steps, s.done, s.rewriting.ok, s.rewriting.failures) == ([], [False], True, 0)
        s.rewriting.start(s.job())
        await s.finish()
        assert s.done == [False, True]
        await s.rewriting.stop()

    run(test())


@pytest.mark.parametrize("step", ["open_new", "write", "sync", "rename"])
def test_an_error_leaves_what_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    async def test() -> None:
        s = Setup(tmp_path)

        def fail(*_: object) -> int:
            raise OSError(errno.EIO, "broken")

        begin = s._begin

        def begin_and_break(log: Log | None) -> None:
            begin(log)
            monkeypatch.setattr(disk, step, fail)

        job = Job(s.directory, s._prepare, begin_and_break, s.done.append)
        if step == "open_new":
            monkeypatch.setattr(disk, step, fail)
        s.rewriting.start(job)
        await s.finish()
        monkeypatch.undo()
        assert s.done == [False]
        assert not s.rewriting.ok
        assert s.rewriting.failures == 1
        assert s.server.snapshot is None
        assert b"base" not in s.manifest
        await s.rewriting.call(lambda: None)
        assert not list((tmp_path / "aof").glob("*.base.*"))
        assert not list((tmp_path / "aof").glob("temp-*.rdb"))
        await s.rewriting.stop()

    run(test())


def test_given_up(tmp_path: Path) -> None:
    async def test() -> None:
        s = Setup(tmp_path)
        s.rewriting.start(s.job())
        await asyncio.sleep(0)
        await s.rewriting.stop()
        assert s.done == [False]
        assert not s.rewriting.running
        assert b"base" not in s.manifest

    run(test())


def test_failures_make_the_next_one_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def test() -> None:
        s = Setup(tmp_path)
        now = 1000.0
        monkeypatch.setattr(rewriting, "monotonic", lambda: now)
        waits = []
        for failures in range(12):
            s.rewriting.failures = failures
            s.rewriting._failed_at = 1000.0
            for minutes in (0, 1, 2, 4, 8, 16, 32, 60):
                now = 1000.0 + minutes * 60
                if not s.rewriting.must_wait:
                    waits.append(minutes)
                    break
        assert waits == [0, 0, 0, 1, 2, 4, 8, 16, 32, 60, 60, 60]

    run(test())


def test_a_base_at_once(tmp_path: Path) -> None:
    async def test() -> None:
        s = Setup(tmp_path)
        make_base(s.server, s.directory)
        assert s.manifest == b"file a.1.base.rdb seq 1 type b\nfile a.1.incr.aof seq 1 type h\n"
        assert Path(s.directory.file("a.1.base.rdb")).read_bytes().count(b"value") == 1000
        assert s.server.snapshot is None

    run(test())


def test_the_end_waits_for_what_is_being_done(tmp_path: Path) -> None:
    async def test() -> None:
        s = Setup(tmp_path)
        begun, free = threading.Event(), threading.Event()

        def prepare() -> Log:
            begun.set()
            free.wait(10)
            return s._prepare()

        s.rewriting.start(Job(s.directory, prepare, s._begin, s.done.append))
        await asyncio.to_thread(begun.wait)
        end = asyncio.create_task(s.rewriting.stop())
        await asyncio.sleep(0.02)
        assert not end.done()
        free.set()
        await end
        assert s.steps == ["prepare"]

    run(test())
