"""Files are there whole or not at all, and nothing is left behind."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from respcache.persistence import disk, rdb_file
from respcache.persistence.rdb_file import BackgroundFile, RdbFile, RdbInput, write_file

CALLS = ("open_new", "write", "sync", "close", "rename", "remove", "sync_directory")


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the disk was asked for."""
    found: list[str] = []

    def noted(name: str) -> Callable[..., object]:
        real = getattr(disk, name)

        def call(*arguments: object) -> object:
            found.append(name)
            return real(*arguments)

        return call

    for name in CALLS:
        monkeypatch.setattr(disk, name, noted(name))
    return found


@pytest.fixture
def thread() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as made:
        yield made


def full(*_: object) -> int:
    raise OSError(28, os.strerror(28))


def test_a_file(tmp_path: Path, calls: list[str]) -> None:
    path = tmp_path / "dump.rdb"
    path.write_bytes(b"old")
    file = RdbFile(str(path))
    file.write(b"one ")
    file.write(b"two")
    assert path.read_bytes() == b"old"
    assert sorted(os.listdir(tmp_path)) == ["dump.rdb", os.path.basename(file.temporary)]
    assert str(os.getpid()) in file.temporary
    file.commit()
    assert path.read_bytes() == b"one two"
    assert os.listdir(tmp_path) == ["dump.rdb"]
    assert calls == ["open_new", "write", "write", "sync", "close", "rename", "sync_directory"]


@pytest.mark.parametrize(("incremental", "syncs"), [(True, 3), (False, 1)])
def test_it_is_made_sure_of_on_the_way(
    tmp_path: Path, calls: list[str], monkeypatch: pytest.MonkeyPatch, incremental: bool, syncs: int
) -> None:
    monkeypatch.setattr(rdb_file, "SYNC_EACH", 1000)
    file = RdbFile(str(tmp_path / "dump.rdb"), incremental)
    for _ in range(5):
        file.write(b"x" * 500)
    file.commit()
    assert calls.count("sync") == syncs


@pytest.mark.parametrize("failing", ["write", "sync", "close", "rename", "sync_directory"])
def test_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str) -> None:
    path = tmp_path / "dump.rdb"
    path.write_bytes(b"old")
    monkeypatch.setattr(disk, failing, full)
    with pytest.raises(OSError, match="No space left"):
        write_file(str(path), b"new")
    assert os.listdir(tmp_path) == ["dump.rdb"]
    assert path.read_bytes() == (b"new" if failing == "sync_directory" else b"old")


def test_a_directory_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_file(str(tmp_path / "nowhere" / "dump.rdb"), b"new")


def test_in_the_background(tmp_path: Path, thread: ThreadPoolExecutor) -> None:
    path = tmp_path / "dump.rdb"

    async def run() -> None:
        file = BackgroundFile(thread, str(path))
        for number in range(100):
            await file.write(b"%d " % number)
        await file.commit()

    asyncio.run(run())
    assert path.read_bytes() == b"".join(b"%d " % number for number in range(100))


def test_in_the_background_and_waiting(tmp_path: Path, thread: ThreadPoolExecutor) -> None:
    path = tmp_path / "dump.rdb"
    file = BackgroundFile(thread, str(path))
    file.write_now(b"one ")
    file.write_now(b"two")
    file.commit_now()
    assert path.read_bytes() == b"one two"
    assert os.listdir(tmp_path) == ["dump.rdb"]


@pytest.mark.parametrize("failing", ["open_new", "write", "sync", "rename"])
def test_errors_in_the_background(
    tmp_path: Path, thread: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    path = tmp_path / "dump.rdb"
    monkeypatch.setattr(disk, failing, full)

    async def run() -> None:
        file = BackgroundFile(thread, str(path))
        with pytest.raises(OSError, match="No space left"):
            for _ in range(3):
                await file.write(b"x")
            await file.commit()
        file.discard()

    asyncio.run(run())
    thread.shutdown()
    assert os.listdir(tmp_path) == []


def test_much_may_wait_for_the_disk_and_no_more(
    tmp_path: Path, thread: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    go = threading.Event()
    real = disk.write

    def write(fd: int, data: bytes | memoryview) -> int:
        assert go.wait(5)
        return real(fd, data)

    monkeypatch.setattr(disk, "write", write)
    monkeypatch.setattr(rdb_file, "QUEUED", 1000)
    monkeypatch.setattr(rdb_file, "GATHERED", 1)

    async def run() -> None:
        file = BackgroundFile(thread, str(tmp_path / "dump.rdb"))
        for _ in range(10):
            await asyncio.wait_for(file.write(b"x" * 100), 1)
        waiting = asyncio.create_task(file.write(b"y"))
        await asyncio.sleep(0.02)
        assert not waiting.done()
        go.set()
        await waiting
        await file.commit()

    asyncio.run(run())
    assert (tmp_path / "dump.rdb").read_bytes() == b"x" * 1000 + b"y"


def test_the_next_file_may_begin_while_one_is_given_up(tmp_path: Path, thread: ThreadPoolExecutor) -> None:
    path = str(tmp_path / "dump.rdb")
    first = BackgroundFile(thread, path)
    first.write_now(b"first")
    first.discard()
    second = BackgroundFile(thread, path)
    second.write_now(b"second")
    second.commit_now()
    assert Path(path).read_bytes() == b"second"
    assert os.listdir(tmp_path) == ["dump.rdb"]


def test_reading(tmp_path: Path) -> None:
    path = tmp_path / "dump.rdb"
    path.write_bytes(b"abc" * 1000)
    with RdbInput(str(path)) as file:
        assert file.size == 3000
        assert file.source.take(2900) == (b"abc" * 1000)[:2900]
        assert not file.source.fill(101)
        assert file.source.fill(100)
    with pytest.raises(FileNotFoundError):
        RdbInput(str(tmp_path / "other"))


def test_two_at_a_time_in_one_directory(tmp_path: Path) -> None:
    """As those of two servers of one process."""
    one, two = RdbFile(str(tmp_path / "one")), RdbFile(str(tmp_path / "two"))
    one.write(b"1")
    two.write(b"2")
    one.commit()
    two.commit()
    assert [(tmp_path / name).read_bytes() for name in ("one", "two")] == [b"1", b"2"]
