"""features/aof_writer.py: a disk that refuses, for a while or for good."""

from __future__ import annotations

import asyncio
import errno
from pathlib import Path

import pytest

from respcache.features import aof_writer
from respcache.persistence.aof import Log
from tests.unit.features.test_aof_writer import SlowDisk, run, setup


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> SlowDisk:
    return SlowDisk(monkeypatch)


def test_a_write_that_fails_is_tried_again(
    tmp_path: Path, slow: SlowDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aof_writer, "RETRY", 0.05)

    async def test() -> None:
        async with setup(tmp_path / "log", "everysec") as s:
            slow.write_error = errno.ENOSPC
            s.do(b"one", b"1")
            await asyncio.sleep(0)
            assert s.replies == [b"1"]  # it was executed; those behind it are refused
            assert s.troubles == ["No space left on device"]
            assert not s.writer.switch(Log(str(tmp_path / "new")))
            s.do(b"two", b"2")
            await asyncio.sleep(0.08)
            assert s.text == b""
            slow.write_error = 0
            await s.until(lambda: s.text == b"onetwo")
            assert s.troubles[-1] == ""
            assert s.writer.trouble == ""
            assert s.replies == [b"1", b"2"]

    run(test())


def test_a_sync_that_fails_is_tried_again(
    tmp_path: Path, slow: SlowDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aof_writer, "RETRY", 0.05)

    async def test() -> None:
        async with setup(tmp_path / "log", "everysec") as s:
            slow.error = errno.EIO
            s.do(b"one", b"1")
            await s.until(lambda: s.troubles)
            assert s.troubles == ["Input/output error"]
            assert not s.writer.write_failed
            slow.error = 0
            await s.until(lambda: s.troubles[-1] == "")
            assert slow.synced == 1

    run(test())


@pytest.mark.parametrize("what", ["write_error", "error"])
def test_always_never_replies_to_what_is_not_safe(tmp_path: Path, slow: SlowDisk, what: str) -> None:
    async def test() -> None:
        async with setup(tmp_path / "log", "always") as s:
            setattr(slow, what, errno.EIO)
            s.do(b"one", b"1")
            await s.until(lambda: s.fatal)
            s.say(b"later")
            await asyncio.sleep(0.01)
            assert s.replies == []
            s.gate.cut()
            s.writer.log = None

    run(test())


@pytest.mark.parametrize("trouble", ["write_error", "error"])
def test_the_trouble_of_a_file_that_is_dropped_is_over(tmp_path: Path, slow: SlowDisk, trouble: str) -> None:
    """There is nothing left to be tried again, and nobody could write anything who is refused."""

    async def test() -> None:
        async with setup(tmp_path / "log", "everysec") as s:
            setattr(slow, trouble, errno.ENOSPC)
            s.do(b"one", b"1")
            await s.until(lambda: s.troubles)
            setattr(slow, trouble, 0)
            s.writer.drop(Log(str(tmp_path / "new")))
            assert s.troubles == ["No space left on device", ""]
            s.do(b"two", b"2")
            assert s.replies == [b"1"]
            await s.until(lambda: s.replies == [b"1", b"2"])
            assert (tmp_path / "new").read_bytes() == b"two"

    run(test())


@pytest.mark.parametrize("what", ["write_error", "error"])
def test_after_a_broken_promise_nobody_waits_at_the_gate(tmp_path: Path, slow: SlowDisk, what: str) -> None:
    """The server may be one of several of a process, and be started again."""

    async def test() -> None:
        async with setup(tmp_path / "log", "always") as s:
            setattr(slow, what, errno.EIO)
            s.do(b"one", b"1")
            await s.until(lambda: s.fatal)
            s.do(b"two", b"2")
            with pytest.raises(OSError):
                await asyncio.wrap_future(s.writer.finish())
            s.writer.finished()
            assert s.replies == []
            assert (s.gate.shut, s.gate.size) == (False, 0)

    run(test())
