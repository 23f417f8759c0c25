"""The file nodes.conf."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from respcache.nodes_file import NodesFile, TakenError
from respcache.persistence import disk


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "nodes.conf")


def test_a_new_file_is_empty_and_there(path: str) -> None:
    file = NodesFile(path)
    assert file.take() == ""
    assert os.path.exists(path)
    file.leave()


def test_what_was_saved_is_read(path: str) -> None:
    file = NodesFile(path)
    file.take()
    file.save("one\n")
    file.save("two\n")
    file.leave()
    assert NodesFile(path).take() == "two\n"
    assert os.listdir(os.path.dirname(path)) == ["nodes.conf"]


def test_one_server_has_it_also_after_it_was_saved(path: str) -> None:
    file = NodesFile(path)
    file.take()
    for _ in range(2):
        with pytest.raises(TakenError) as caught:
            NodesFile(path).take()
        assert str(caught.value.strerror) == (
            f"Sorry, the cluster configuration file {path} is already used by a different node of a cluster. "
            "Please make sure that different nodes use different cluster configuration files."
        )
        file.save("text\n")
    file.leave()
    other = NodesFile(path)
    assert other.take() == "text\n"
    other.leave()


def test_a_lock_on_a_file_that_was_replaced_meanwhile_is_none(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    Path(path).write_text("old\n")
    real = disk.open_append
    opened: list[int] = []

    def open_append(name: str) -> int:
        fd = real(name)
        opened.append(fd)
        if len(opened) == 1:  # somebody else saves and leaves between the opening and the lock
            new = Path(f"{path}.new")
            new.write_text("new\n")
            os.replace(new, path)
        return fd

    monkeypatch.setattr(disk, "open_append", open_append)
    file = NodesFile(path)
    assert file.take() == "new\n"
    assert len(opened) == 2
    file.leave()


@pytest.mark.parametrize("step", ["open_new", "write", "sync", "rename"])
def test_a_save_that_fails_leaves_the_old_one(path: str, step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    file = NodesFile(path)
    file.take()
    file.save("old\n")

    def fail(*_: object) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(disk, step, fail)
        with pytest.raises(OSError):
            file.save("new\n")
    assert Path(path).read_text() == "old\n"
    assert os.listdir(os.path.dirname(path)) == ["nodes.conf"]
    with pytest.raises(TakenError):
        NodesFile(path).take()
    file.save("new\n")
    assert Path(path).read_text() == "new\n"
    file.leave()


def test_the_order_that_survives_a_power_cut(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    file = NodesFile(path)
    file.take()
    calls: list[str] = []

    def noted(name: str, real: Callable[..., object]) -> Callable[..., object]:
        def call(*args: object) -> object:
            calls.append(name)
            return real(*args)

        return call

    for name in ("open_new", "write_all", "sync", "rename", "sync_directory"):
        monkeypatch.setattr(disk, name, noted(name, getattr(disk, name)))
    file.save("text\n")
    assert calls == ["open_new", "write_all", "sync", "rename", "sync_directory"]
    file.leave()


def test_removed(path: str) -> None:
    file = NodesFile(path)
    file.take()
    file.remove()
    assert not os.path.exists(path)
