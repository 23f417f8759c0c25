"""persistence/aof.py: writes are whole or not there, manifests are replaced safely, directories have one owner."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from respcache.persistence import disk
from respcache.persistence.aof import AofDirectory, InUseError, Log, MissingError
from tests.power import Disk

STEM = "a.aof"


def made(tmp_path: Path) -> AofDirectory:
    directory = AofDirectory(str(tmp_path / "aof"), STEM)
    directory.take()
    base = directory.next_base(rdb=True)
    Path(base).write_bytes(b"base")
    directory.adopt_base(rdb=True, keep=0)
    directory.open_last().close()
    return directory


def manifest_text(tmp_path: Path) -> bytes:
    return (tmp_path / "aof" / "a.aof.manifest").read_bytes()


# Log


def test_a_log_appends_and_knows_its_size(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"old")
    log = Log(str(path))
    log.append(b"new")
    log.sync()
    assert log.size == 6
    log.close()
    log.close()
    assert path.read_bytes() == b"oldnew"
    Log(str(path), empty=True).close()
    assert path.read_bytes() == b""


def test_a_short_write_is_taken_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = Log(str(tmp_path / "log"))
    log.append(b"whole")
    write, calls = disk.write, 0

    def full(fd: int, data: bytes | memoryview) -> int:
        nonlocal calls
        calls += 1
        if calls == 1:
            return write(fd, data[:2])
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(disk, "write", full)
    with pytest.raises(OSError, match="full"):
        log.append(b"torn")
    assert (tmp_path / "log").read_bytes() == b"whole"
    monkeypatch.setattr(disk, "write", write)
    log.append(b"!")
    assert (tmp_path / "log").read_bytes() == b"whole!"
    log.close()


def test_what_cannot_be_taken_back_is_before_the_next_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = Log(str(tmp_path / "log"))
    write, truncate = disk.write, disk.truncate

    def fail(*_: object) -> int:
        raise OSError(errno.EIO, "broken")

    def half(fd: int, data: bytes | memoryview) -> int:
        monkeypatch.setattr(disk, "write", fail)
        return write(fd, data[:3])

    monkeypatch.setattr(disk, "write", half)
    monkeypatch.setattr(disk, "truncate", fail)
    with pytest.raises(OSError, match="broken"):
        log.append(b"torn")
    assert (tmp_path / "log").read_bytes() == b"tor"
    with pytest.raises(OSError, match="broken"):
        log.append(b"x")
    monkeypatch.setattr(disk, "truncate", truncate)
    monkeypatch.setattr(disk, "write", write)
    log.append(b"x")
    assert (tmp_path / "log").read_bytes() == b"x"
    log.close()


# The directory


def test_a_directory_has_one_owner(tmp_path: Path) -> None:
    first, second = AofDirectory(str(tmp_path / "d"), STEM), AofDirectory(str(tmp_path / "d"), STEM)
    first.take()
    first.take()
    if os.name == "posix":
        with pytest.raises(InUseError, match=str(tmp_path / "d")):
            second.take()
    first.leave()
    second.take()
    second.leave()
    assert not os.listdir(tmp_path / "d")


def test_it_is_read_back(tmp_path: Path) -> None:
    directory = made(tmp_path)
    again = AofDirectory(directory.path, STEM)
    assert again.exists
    again.read()
    assert again.manifest == directory.manifest
    assert again.size() == 4
    os.remove(tmp_path / "aof" / "a.aof.1.incr.aof")
    with pytest.raises(
        MissingError, match=r"a\.aof\.manifest names a\.aof\.1\.incr\.aof, which does not exist"
    ):
        again.read()
    again.read(check=False)


def test_a_rewrite(tmp_path: Path) -> None:
    directory = made(tmp_path)
    log = directory.add_increment()
    log.append(b"later")
    log.close()
    assert [part.seq for part in directory.manifest.increments] == [1, 2]
    Path(directory.next_base(rdb=False)).write_bytes(b"new base")
    directory.adopt_base(rdb=False)
    assert manifest_text(tmp_path).count(b"type h") == 2
    directory.collect()
    assert sorted(os.listdir(directory.path)) == ["a.aof.2.base.aof", "a.aof.2.incr.aof", "a.aof.manifest"]
    assert manifest_text(tmp_path) == (
        b"file a.aof.2.base.aof seq 2 type b\nfile a.aof.2.incr.aof seq 2 type i\n"
    )
    assert directory.size() == 13


def test_a_temporary_increment_gets_its_name_with_the_base(tmp_path: Path) -> None:
    directory = made(tmp_path)
    log = Log(directory.temporary_increment, empty=True)
    log.append(b"since")
    Path(directory.next_base(rdb=True)).write_bytes(b"new base")
    directory.adopt_base(rdb=True, keep=0, increment=log)
    assert os.path.basename(log.path) == "a.aof.2.incr.aof"
    log.append(b" then")
    log.close()
    directory.collect()
    assert (tmp_path / "aof" / "a.aof.2.incr.aof").read_bytes() == b"since then"
    assert directory.open_last().size == 10


def test_history_is_deleted_later_and_may_be_missing(tmp_path: Path) -> None:
    directory = made(tmp_path)
    Path(directory.next_base(rdb=True)).write_bytes(b"2")
    directory.adopt_base(rdb=True)
    os.remove(tmp_path / "aof" / "a.aof.1.base.rdb")
    directory.collect()
    directory.collect()
    assert b"type h" not in manifest_text(tmp_path)


@pytest.mark.parametrize("step", ["open_new", "write", "sync", "rename"])
def test_a_manifest_that_cannot_be_written_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    directory = made(tmp_path)
    before, manifest = manifest_text(tmp_path), directory.manifest.copy()
    base = Path(directory.next_base(rdb=True))
    base.write_bytes(b"2")

    def fail(*_: object) -> int:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(disk, step, fail)
    with pytest.raises(OSError, match="full"):
        directory.adopt_base(rdb=True)
    with pytest.raises(OSError, match="full"):
        directory.add_increment()
    assert manifest_text(tmp_path) == before
    assert directory.manifest == manifest
    assert not base.exists()


def test_a_base_that_the_manifest_names_is_never_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = made(tmp_path)
    base = Path(directory.next_base(rdb=True))
    base.write_bytes(b"2")

    def fail(_: str) -> None:
        raise OSError(errno.EIO, "broken")

    monkeypatch.setattr(disk, "sync_directory", fail)
    with pytest.raises(OSError, match="broken"):
        directory.adopt_base(rdb=True)
    assert b"a.aof.2.base.rdb" in manifest_text(tmp_path)
    assert base.exists()
    assert directory.manifest.base_seq == 2


def test_a_legacy_file_is_moved_in(tmp_path: Path) -> None:
    (tmp_path / STEM).write_bytes(b"old")
    directory = AofDirectory(str(tmp_path / "aof"), STEM)
    directory.take()
    directory.adopt(str(tmp_path / STEM))
    assert manifest_text(tmp_path) == b"file a.aof seq 1 type b\n"
    assert (tmp_path / "aof" / STEM).read_bytes() == b"old"
    log = directory.open_last()
    assert os.path.basename(log.path) == "a.aof.1.incr.aof"
    log.close()
    assert not (tmp_path / STEM).exists()


def test_the_manifest_is_synced_before_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = made(tmp_path)
    steps: list[str] = []

    def noting(name: str) -> Callable[..., object]:
        real = getattr(disk, name)

        def act(*given: object) -> object:
            steps.append(name)
            return real(*given)

        return act

    for name in ("open_new", "write", "sync", "rename", "sync_directory"):
        monkeypatch.setattr(disk, name, noting(name))
    directory.persist(directory.manifest.copy())
    assert steps == ["open_new", "write", "sync", "rename", "sync_directory"]


def test_half_written_bases_are_swept_away(tmp_path: Path) -> None:
    directory = made(tmp_path)
    before = os.listdir(directory.path)
    for name in ("temp-123.rdb", "temp-123.4.rdb"):
        (tmp_path / "aof" / name).write_bytes(b"half")
    directory.sweep()
    assert sorted(os.listdir(directory.path)) == sorted(before)


def test_what_an_older_file_of_that_name_held_is_gone_for_good(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is in no manifest, since a server crashed before it wrote that."""
    directory = made(tmp_path)
    next_one = Path(directory.file(directory.manifest.copy().add_increment().name))
    next_one.write_bytes(b"old")
    disk_of_that = Disk(tmp_path, 1)
    disk_of_that.install(monkeypatch)
    directory.add_increment().close()
    disk_of_that.cut()
    for number in range(20):
        disk_of_that.restore(tmp_path / f"{number}")
        assert (tmp_path / f"{number}" / "aof" / next_one.name).read_bytes() == b""


def test_files_that_no_manifest_names_are_left_alone(tmp_path: Path) -> None:
    for name in ("a.aof.7.base.rdb", "a.aof.3.incr.aof", "a.aof.4.incr.aof", "b.aof.9.incr.aof", "a.aof.0.incr.aof"):
        (tmp_path / name).write_bytes(b"old")
    directory = AofDirectory(str(tmp_path), "a.aof")
    assert directory.spare() == ["a.aof.3.incr.aof", "a.aof.4.incr.aof", "a.aof.7.base.rdb"]
    assert directory.next_base(rdb=True).endswith("a.aof.8.base.rdb")
    directory.add_increment().close()
    assert (tmp_path / "a.aof.5.incr.aof").exists()
    assert all(path.read_bytes() == b"old" for path in tmp_path.glob("a.aof.[347].*"))
