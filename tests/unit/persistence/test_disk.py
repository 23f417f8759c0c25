"""persistence/disk.py: files are written, cut, renamed and removed, and errors come out."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from respcache.persistence import disk


def test_a_file_is_made_written_cut_and_renamed(tmp_path: Path) -> None:
    path = str(tmp_path / "new")
    fd = disk.open_new(path)
    disk.write_all(fd, b"abcdef")
    disk.sync(fd)
    disk.truncate(fd, 4)
    disk.close(fd)
    disk.rename(path, str(tmp_path / "other"))
    disk.sync_directory(str(tmp_path))
    assert os.listdir(tmp_path) == ["other"]
    assert (tmp_path / "other").read_bytes() == b"abcd"


def test_a_new_file_is_empty_and_an_old_one_is_appended_to(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    fd = disk.open_append(str(path))
    disk.write_all(fd, b" and new")
    disk.close(fd)
    assert path.read_bytes() == b"old and new"
    disk.close(disk.open_new(str(path)))
    assert path.read_bytes() == b""


def test_a_directory_is_made_once(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b"
    disk.make_directory(str(path))
    disk.make_directory(str(path))
    assert path.is_dir()


def test_what_is_written_in_parts_is_written_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = disk.write
    monkeypatch.setattr(disk, "write", lambda fd, data: write(fd, data[:3]))
    fd = disk.open_new(str(tmp_path / "file"))
    disk.write_all(fd, b"0123456789")
    disk.close(fd)
    assert (tmp_path / "file").read_bytes() == b"0123456789"


def test_a_removed_file_is_gone_and_errors_are_raised(tmp_path: Path) -> None:
    path = str(tmp_path / "file")
    disk.close(disk.open_new(path))
    disk.remove(path)
    with pytest.raises(FileNotFoundError):
        disk.remove(path)
    with pytest.raises(OSError):
        disk.open_new(str(tmp_path / "missing" / "file"))
