"""A disk that forgets, as at a power cut, what it was not made to keep.

    disk = Disk(directory, seed)
    disk.install(monkeypatch)   # `respcache.persistence.disk` writes to real files, and this keeps the book
    disk.light(20)              # the power goes at the 20th of the next operations
    disk.restore(other)         # what a new start finds

What POSIX promises, and not a bit more: of a file, what it was at its last sync is sure; of what was written or cut off
since, any part may have happened, up to any byte. Of a directory, the names at its last sync are sure; of what was
made, renamed or removed since, any part may have happened, even the later without the earlier. A name that survives
means the file it meant.

After the power is gone every operation fails, so the server that had it can be ended in peace.
"""

from __future__ import annotations

import errno
import os
import random
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from respcache.persistence import disk as real

OPERATIONS = (
    *("open_new", "open_append", "write", "sync", "truncate", "close", "rename", "remove"),
    *("make_directory", "sync_directory"),
)
_REAL: dict[str, Callable[..., Any]] = {name: getattr(real, name) for name in OPERATIONS}
RARE = frozenset(OPERATIONS) - {"write", "sync", "close"}
"""What happens when files come and go, not at every command."""


class _File:
    """A file: what is in it, what of that is sure, and what was done since."""

    def __init__(self, content: bytes = b"") -> None:
        self.now = bytearray(content)
        self.sure = content
        self.since: list[tuple[int, bytes]] = []  # offset, data; no data: it was cut off there

    def write(self, data: bytes) -> None:
        self.since.append((len(self.now), data))
        self.now += data

    def truncate(self, size: int) -> None:
        if size != len(self.now):
            self.since.append((size, b""))
            del self.now[size:]

    def sync(self, count: int) -> None:
        """The first so many of what was done since are sure."""
        found = bytearray(self.sure)
        for offset, data in self.since[:count]:
            found[offset:] = data
        self.sure, self.since = bytes(found), self.since[count:]

    def survivor(self, draw: random.Random) -> bytes:
        """What may be found."""
        found = bytearray(self.sure)
        kept = draw.choice((0, len(self.since), draw.randint(0, len(self.since))))
        for number, (offset, data) in enumerate(self.since[:kept]):
            if not data:
                if draw.random() < 0.7:
                    del found[offset:]
                continue
            if number == kept - 1:
                data = data[: draw.randint(0, len(data))]
            if offset <= len(found):
                found[offset : offset + len(data)] = data
        return bytes(found)


class _Directory:
    """Names, those that are sure, and what was done since."""

    def __init__(self) -> None:
        self.now: dict[str, _File | _Directory] = {}
        self.sure: dict[str, _File | _Directory] = {}
        self.since: list[tuple[str, str, _File | _Directory]] = []  # old name, new name, what; "" for none

    def do(self, old: str, new: str, what: _File | _Directory) -> None:
        """Something has no longer one name, and has another."""
        self.since.append((old, new, what))
        _name(self.now, old, new, what)

    def sync(self) -> None:
        self.sure, self.since = dict(self.now), []

    def survivor(self, draw: random.Random) -> dict[str, _File | _Directory]:
        """The names that may be found."""
        found = dict(self.sure)
        kept = draw.choice((0, len(self.since), draw.randint(0, len(self.since))))
        some = draw.random() < 0.5
        for number, each in enumerate(self.since):
            if draw.random() < 0.5 if some else number < kept:
                _name(found, *each)
        return found


def _name(names: dict[str, _File | _Directory], old: str, new: str, what: _File | _Directory) -> None:
    if old and names.get(old) is what:
        del names[old]
    if new:
        names[new] = what


class Disk:
    """The files below a directory, which is there to stay."""

    def __init__(self, root: Path, seed: int, slow: float = 0.0) -> None:
        """What is there now is sure. `slow`: seconds that a sync takes at most."""
        self.root = root
        self.draw = random.Random(seed)
        self.off = False
        """The power is gone."""
        self.gone = threading.Event()
        """Set then."""
        self.cut_at = 0.0
        """And when that was, monotonic."""
        self.last = ""
        """The operation at which it went."""
        self.slowest = 0.0
        """Seconds of the longest sync, one that was under way when the power went included."""
        self._slow = slow
        self.faults: dict[str, int] = {}
        """Operations that fail, and how: their names and an errno; `short` is a write that is cut short before."""
        self._fuse = -1
        self._rare_only = False
        self._lock = threading.RLock()
        self._open: dict[int, _File] = {}
        self._syncing: dict[int, float] = {}  # by thread: since when
        self._tree = self._read(root)

    def _read(self, path: Path) -> _Directory:
        found = _Directory()
        for each in path.iterdir():
            found.now[each.name] = self._read(each) if each.is_dir() else _File(each.read_bytes())
        found.sync()
        return found

    def install(self, patch: pytest.MonkeyPatch) -> None:
        """Takes the place of the disk."""
        for name in OPERATIONS:
            patch.setattr(real, name, getattr(self, name))

    # The end

    def light(self, operations: int, rare_only: bool = False) -> None:
        """The power goes at that one of the operations to come, of the rare ones if so wished."""
        with self._lock:
            self._fuse, self._rare_only = operations, rare_only

    def cut(self, operation: str = "nothing") -> None:
        """The power goes."""
        with self._lock:
            if not self.off:
                self.off, self.last, self.cut_at = True, operation, time.monotonic()
                for since in self._syncing.values():
                    self.slowest = max(self.slowest, self.cut_at - since)
                self.gone.set()

    def restore(self, path: Path) -> None:
        """Puts what may be found after the cut into a new directory."""
        path.mkdir()
        self._write(self._tree, path)

    def _write(self, directory: _Directory, path: Path) -> None:
        for name, what in directory.survivor(self.draw).items():
            if isinstance(what, _Directory):
                (path / name).mkdir()
                self._write(what, path / name)
            else:
                (path / name).write_bytes(what.survivor(self.draw))

    def check(self) -> None:
        """Asserts that nobody else has touched the files."""
        with self._lock:
            assert _content(self.root) == _expected(self._tree)

    def _step(self, name: str, what: object = "") -> None:
        """Burns the fuse. At the cut the operation may still happen, or not. Raises OSError."""
        if self.off:
            raise OSError(errno.EIO, "the power is gone")
        if name in self.faults:
            raise OSError(self.faults[name], os.strerror(self.faults[name]))
        if self._fuse >= 0 and (not self._rare_only or name in RARE):
            self._fuse -= 1
            if self._fuse < 0:
                self.cut(f"{name} {what}")
                if self.draw.random() < 0.5:
                    raise OSError(errno.EIO, "the power is gone")

    def _done(self) -> None:
        if self.off:
            raise OSError(errno.EIO, "the power is gone")

    # Operations: those of the real disk, noted

    def _place(self, path: str) -> tuple[_Directory, str]:
        directory, parts = self._tree, Path(os.path.abspath(path)).relative_to(self.root).parts
        for part in parts[:-1]:
            inner = directory.now[part]
            assert isinstance(inner, _Directory)
            directory = inner
        return directory, parts[-1] if parts else ""

    def _directory(self, path: str) -> _Directory:
        above, name = self._place(path)
        found = above.now[name] if name else above
        assert isinstance(found, _Directory)
        return found

    def _opened(self, path: str, fd: int) -> _File:
        directory, name = self._place(path)
        file = directory.now.get(name)
        if file is None:
            file = _File()
            directory.do("", name, file)
        assert isinstance(file, _File)
        self._open[fd] = file
        return file

    def open_new(self, path: str) -> int:
        with self._lock:
            self._step("open_new", path)
            fd: int = _REAL["open_new"](path)
            self._opened(path, fd).truncate(0)
            self._done()
            return fd

    def open_append(self, path: str) -> int:
        with self._lock:
            self._step("open_append", path)
            fd: int = _REAL["open_append"](path)
            self._opened(path, fd)
            self._done()
            return fd

    def write(self, fd: int, data: bytes | memoryview) -> int:
        with self._lock:
            self._step("write", len(data))
            if "short" in self.faults:
                if len(data) == 1 or self.draw.random() < 0.5:
                    raise OSError(self.faults["short"], os.strerror(self.faults["short"]))
                data = data[: len(data) // 2]
            elif self.draw.random() < 0.05:
                data = data[: self.draw.randint(1, len(data))]
            done: int = _REAL["write"](fd, data)
            self._open[fd].write(bytes(data[:done]))
            self._done()
            return done

    def sync(self, fd: int) -> None:
        """What is written while it runs is not made sure of, though some of it may be."""
        since, me = time.monotonic(), threading.get_ident()
        with self._lock:
            if fd not in self._open:
                raise OSError(errno.EBADF, os.strerror(errno.EBADF))
            file = self._open[fd]
            count = len(file.since)
            self._syncing[me] = since
        if threading.current_thread() is not threading.main_thread():
            time.sleep(self._slow * self.draw.random() ** 2)
        with self._lock:
            self._step("sync")
            file.sync(count)
            self._done()
            del self._syncing[me]
            self.slowest = max(self.slowest, time.monotonic() - since)

    def truncate(self, fd: int, size: int) -> None:
        with self._lock:
            self._step("truncate", size)
            _REAL["truncate"](fd, size)
            self._open[fd].truncate(size)
            self._done()

    def close(self, fd: int) -> None:
        with self._lock:
            self._open.pop(fd, None)
            _REAL["close"](fd)
            self._step("close")

    def rename(self, old: str, new: str) -> None:
        with self._lock:
            self._step("rename", f"{old} {new}")
            _REAL["rename"](old, new)
            (source, old_name), (target, new_name) = self._place(old), self._place(new)
            what = source.now[old_name]
            if source is target:
                source.do(old_name, new_name, what)
            else:
                target.do("", new_name, what)
                source.do(old_name, "", what)
            self._done()

    def remove(self, path: str) -> None:
        with self._lock:
            self._step("remove", path)
            _REAL["remove"](path)
            directory, name = self._place(path)
            directory.do(name, "", directory.now[name])
            self._done()

    def make_directory(self, path: str) -> None:
        with self._lock:
            self._step("make_directory", path)
            _REAL["make_directory"](path)
            above, name = self._place(path)
            if name and name not in above.now:
                above.do("", name, _Directory())
            self._done()

    def sync_directory(self, path: str) -> None:
        with self._lock:
            self._step("sync_directory", path)
            self._directory(path).sync()
            self._done()


def _content(path: Path) -> dict[str, Any]:
    return {each.name: _content(each) if each.is_dir() else each.read_bytes() for each in path.iterdir()}


def _expected(directory: _Directory) -> dict[str, Any]:
    return {
        name: _expected(what) if isinstance(what, _Directory) else bytes(what.now)
        for name, what in directory.now.items()
    }
