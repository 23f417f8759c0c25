"""features/aof_writer.py: what is written when, what is synced when, and when replies leave."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from respcache.clock import Clock
from respcache.config import Config
from respcache.directives import DIRECTIVES
from respcache.features import aof_writer
from respcache.features.aof_writer import AofWriter
from respcache.features.gate import Gate
from respcache.persistence import disk
from respcache.persistence.aof import Log


class FakeStream:
    def __init__(self) -> None:
        self.buffer: list[bytes] = []
        self.wake: Callable[[], None] = lambda: None
        self.reselected = 0

    @property
    def size(self) -> int:
        return sum(map(len, self.buffer))

    def add(self, data: bytes) -> None:
        self.buffer.append(data)
        if len(self.buffer) == 1:
            self.wake()

    def take(self) -> bytes:
        data = b"".join(self.buffer)
        self.buffer.clear()
        return data

    def reselect(self) -> None:
        self.reselected += 1


class SlowDisk:
    """Syncs that wait until they are let through, or fail."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.free = threading.Event()
        self.free.set()
        self.began = 0
        self.synced = 0
        self.error = 0
        self.write_error = 0
        real_write = disk.write

        def sync(fd: int) -> None:
            self.began += 1
            assert fd >= 0
            assert threading.current_thread() is not threading.main_thread()
            self.free.wait(10)
            if self.error:
                raise OSError(self.error, "told to fail")
            self.synced += 1

        def write(fd: int, data: bytes | memoryview) -> int:
            if self.write_error:
                raise OSError(self.write_error, "told to fail")
            return real_write(fd, data)

        monkeypatch.setattr(disk, "sync", sync)
        monkeypatch.setattr(disk, "write", write)


class Setup:
    def __init__(self, path: Path, policy: str) -> None:
        self.config = Config(DIRECTIVES)
        self.set("appendfsync", policy)
        self.now = 1_000_000
        self.gate = Gate()
        self.stream = FakeStream()
        self.path = path
        self.replies: list[bytes] = []
        self.troubles: list[str] = []
        self.fatal = 0
        loop = asyncio.get_running_loop()
        self.writer = AofWriter(loop, self.config, Clock(lambda: self.now), self.gate, self.stream)
        self.writer.troubled = self.troubles.append
        self.writer.fatal = self._fatal
        self.writer.start(Log(str(path)))

    def _fatal(self) -> None:
        self.fatal += 1

    def set(self, name: str, value: str) -> None:
        self.config.set_many([(name, value)])

    def do(self, data: bytes, reply: bytes) -> None:
        """A command and its reply, as a connection does."""
        self.stream.add(data)
        self.say(reply)

    def say(self, reply: bytes) -> None:
        self.gate.write(self.replies.append, reply)

    @property
    def text(self) -> bytes:
        return self.path.read_bytes()

    async def until(self, condition: Callable[[], object]) -> None:
        for _ in range(1000):
            if condition():
                return
            await asyncio.sleep(0.002)
        raise AssertionError("it did not happen")


@contextlib.asynccontextmanager
async def setup(path: Path, policy: str) -> AsyncIterator[Setup]:
    made = Setup(path, policy)
    yield made
    if made.writer.log is not None:
        with contextlib.suppress(OSError):
            await asyncio.wrap_future(made.writer.finish())
        made.writer.finished()
    made.writer.close()


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> SlowDisk:
    return SlowDisk(monkeypatch)


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(test, 20))


@pytest.mark.parametrize("policy", ["everysec", "no"])
def test_one_write_per_turn_and_then_the_replies(tmp_path: Path, slow: SlowDisk, policy: str) -> None:
    async def test() -> None:
        async with setup(tmp_path / "log", policy) as s:
            s.do(b"one", b"1")
            s.do(b"two", b"2")
            assert s.replies == []
            assert s.text == b""
            await asyncio.sleep(0)
            assert s.replies == [b"1", b"2"]
            assert s.text == b"onetwo"
            await s.until(lambda: slow.began == (policy == "everysec"))
            assert s.stream.reselected == 1

    run(test())


def test_always_replies_after_the_sync_and_groups_what_comes_meanwhile(
    tmp_path: Path, slow: SlowDisk
) -> None:
    async def test() -> None:
        async with setup(tmp_path / "log", "always") as s:
            slow.free.clear()
            s.do(b"one", b"1")
            await s.until(lambda: slow.began == 1)
            s.do(b"two", b"2")
            s.do(b"three", b"3")
            await asyncio.sleep(0.02)
            assert s.text == b"one"
            assert s.replies == []
            assert s.writer.syncing
            assert s.writer.waiting == 8
            slow.free.set()
            await s.until(lambda: len(s.replies) == 3)
            assert s.replies == [b"1", b"2", b"3"]
            assert s.text == b"onetwothree"
            assert slow.synced == 2
            assert not s.gate.shut
            assert s.gate.size == 0

    run(test())


def test_always_reads_behind_a_write_wait_with_it(tmp_path: Path, slow: SlowDisk) -> None:
    async def test() -> None:
        async with setup(tmp_path / "log", "always") as s:
            slow.free.clear()
            s.do(b"one", b"1")
            await s.until(lambda: slow.began == 1)
            s.say(b"read")
            assert s.replies == []
            slow.free.set()
            await s.until(lambda: s.replies)
            assert s.replies == [b"1", b"read"]

    run(test())


def test_everysec_postpones_a_write_while_a_sync_runs_but_not_the_reply(
    tmp_path: Path, slow: SlowDisk
) -> None:
    async def test() -> None:
        async with setup(tmp_path / "log", "everysec") as s:
            slow.free.clear()
            s.do(b"one", b"1")
            await s.until(lambda: slow.began == 1)
            s.do(b"two", b"2")
            await asyncio.sleep(0.02)
            assert s.replies == [b"1", b"2"]
            assert s.text == b"one"
            slow.free.set()
            await s.until(lambda: s.text == b"onetwo")
            assert s.writer.delayed == 0

    run(test())


def test_everysec_waits_no_longer_than_it_must(
    tmp_path: Path, slow: SlowDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aof_writer, "LATE", 0.05)

    async def test() -> None:
        async with setup(tmp_path / "log", "everysec") as s:
            slow.free.clear()
            s.do(b"one", b"1")
            await s.until(lambda: slow.began == 1)
            s.do(b"two", b"2")
            await s.until(lambda: s.text == b"onetwo")
            assert s.writer.delayed == 1
            slow.free.set()

    run(test())


def test_everysec_syncs_once_a_second_and_then_rests(
    tmp_path: Path, slow: SlowDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aof_writer, "SYNC_EACH", 0.1)

    async def test() -> None:
        async with setup(tmp_path / "log", "everysec") as s:
            for _ in range(10):
                s.do(b"x", b"")
                await asyncio.sleep(0.01)
            await s.until(lambda: slow.synced == 2)
            await asyncio.sleep(0.25)
            assert slow.began == 2  # nothing was written since
            s.do(b"x", b"")
            await s.until(lambda: slow.synced == 3)

    run(test())


def test_no_syncs_while_a_snapshot_is_written_if_asked_so(tmp_path: Path, slow: SlowDisk) -> None:
    async def test() -> None:
        async with setup(tmp_path / "log", "always") as s:
            s.set("no-appendfsync-on-rewrite", "yes")
            s.writer.busy = lambda: True
            s.do(b"one", b"1")
            await asyncio.sleep(0.01)
            assert s.replies == [b"1"]
            assert slow.began == 0

    run(test())


def test_timestamps(tmp_path: Path, slow: SlowDisk) -> None:
    async def test() -> None:
        async with setup(tmp_path / "log", "no") as s:
            s.set("aof-timestamp-enabled", "yes")
            for data in (b"a", b"b"):
                s.do(data, b"")
                await asyncio.sleep(0)
            s.now += 1000
            s.do(b"c", b"")
            await asyncio.sleep(0)
            assert s.text == b"#TS:1000\r\nab#TS:1001\r\nc"

    run(test())


@pytest.mark.parametrize("policy", ["everysec", "no"])
def test_a_switch_ends_the_old_file_before_the_new_one_begins(
    tmp_path: Path, slow: SlowDisk, policy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long that takes: else a power cut could leave a hole."""
    monkeypatch.setattr(aof_writer, "LATE", 0.005)

    async def test() -> None:
        async with setup(tmp_path / "log", policy) as s:
            s.do(b"one", b"1")
            slow.free.clear()
            old = s.writer.log
            assert old is not None
            assert s.writer.switch(Log(str(tmp_path / "new")))
            s.do(b"two", b"2")
            await asyncio.sleep(0.02)
            s.do(b"", b"3")
            assert s.text == b"one"
            assert (tmp_path / "new").read_bytes() == b""  # the old file is being synced
            assert b"3" not in s.replies
            slow.free.set()
            await s.until(lambda: (tmp_path / "new").read_bytes() == b"two")
            await s.until(lambda: old.fd == -1)
            await s.until(lambda: s.replies == [b"1", b"2", b"3"])
            assert s.stream.reselected == 2

    run(test())


def test_a_switch_between_the_wish_for_a_sync_and_the_sync(tmp_path: Path, slow: SlowDisk) -> None:
    async def test() -> None:
        async with setup(tmp_path / "log", "always") as s:
            slow.free.clear()
            s.writer._submit(lambda: disk.sync(0))
            s.do(b"one", b"1")
            await s.until(lambda: s.writer.syncing)
            assert s.writer.switch(Log(str(tmp_path / "new")))
            slow.free.set()
            await s.until(lambda: s.replies == [b"1"])

    run(test())


def test_a_switch_under_always_keeps_its_promise(tmp_path: Path, slow: SlowDisk) -> None:
    async def test() -> None:
        async with setup(tmp_path / "log", "always") as s:
            slow.free.clear()
            s.do(b"one", b"1")
            await s.until(lambda: slow.began == 1)
            s.do(b"two", b"2")
            assert s.writer.switch(Log(str(tmp_path / "new")))
            s.do(b"three", b"3")
            await asyncio.sleep(0.02)
            assert s.replies == []
            slow.free.set()
            await s.until(lambda: s.replies == [b"1", b"2", b"3"])
            assert s.text == b"onetwo"
            assert (tmp_path / "new").read_bytes() == b"three"

    run(test())


@pytest.mark.parametrize("policy", ["always", "everysec", "no"])
def test_the_end_writes_and_syncs_under_every_policy(tmp_path: Path, slow: SlowDisk, policy: str) -> None:
    async def test() -> None:
        async with setup(tmp_path / "log", policy) as s:
            s.do(b"one", b"1")
            slow.free.clear()
            done = s.writer.finish()
            await asyncio.sleep(0.02)
            assert s.replies == []
            slow.free.set()
            await asyncio.wrap_future(done)
            s.writer.finished()
            assert slow.synced == 1
            assert s.replies == [b"1"]
            assert s.text == b"one"

    run(test())


def test_growth_is_told(tmp_path: Path, slow: SlowDisk) -> None:
    async def test() -> None:
        async with setup(tmp_path / "log", "no") as s:
            told: list[int] = []
            s.writer.grown = lambda: told.append(1)
            s.writer.notify_at = 5
            s.do(b"1234", b"")
            await asyncio.sleep(0)
            assert told == []
            s.do(b"5", b"")
            await asyncio.sleep(0)
            assert told == [1]

    run(test())


def test_another_policy_counts_from_now_on(tmp_path: Path, slow: SlowDisk) -> None:
    async def test() -> None:
        async with setup(tmp_path / "log", "always") as s:
            slow.free.clear()
            s.do(b"one", b"1")
            await s.until(lambda: slow.began == 1)
            s.set("appendfsync", "no")
            s.do(b"two", b"2")
            await asyncio.sleep(0.01)
            assert s.text == b"onetwo"
            slow.free.set()
            await s.until(lambda: s.replies == [b"1", b"2"])

    run(test())


def test_always_holds_from_the_moment_at_which_it_is_set(tmp_path: Path, slow: SlowDisk) -> None:
    async def test() -> None:
        async with setup(tmp_path / "log", "everysec") as s:
            slow.free.clear()
            s.do(b"one", b"1")
            await s.until(lambda: slow.began == 1)
            s.do(b"two", b"2")
            await s.until(lambda: s.replies == [b"1", b"2"])  # the write is put off
            s.set("appendfsync", "always")
            s.writer.flush()
            s.do(b"three", b"3")
            await asyncio.sleep(0.02)
            assert s.replies == [b"1", b"2"]
            slow.free.set()
            await s.until(lambda: s.replies == [b"1", b"2", b"3"])
            assert s.text == b"onetwothree"
            assert slow.synced == 2

    run(test())
