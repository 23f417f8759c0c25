"""Files of snapshots: written whole beside the one that they replace, and read.

    temp-<pid>.<number>.rdb  written, made sure of, renamed to its final name, the directory made sure of

So at any moment the final name means a whole file, the old one or the new one. After an error the old one is still
there and the temporary one is not. Nothing here blocks for as long as a file takes: a `BackgroundFile` has a thread
that does nothing but system calls, since any computing there would take turns with the event loop.
"""

from __future__ import annotations

import contextlib
import os
from asyncio import wrap_future
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future
from itertools import count
from typing import Self, TypeVar

from respcache.persistence import disk
from respcache.persistence.source import Source

GATHERED = 1 << 19
"""Bytes that make a write: each takes a turn of the thread, for which the loop has to stop."""

_Result = TypeVar("_Result")

SYNC_EACH = 4 << 20
"""Bytes after which an incremental file is made sure of, so that the last time does not take seconds."""
QUEUED = 8 << 20
"""Bytes that may wait for the disk."""

_numbers = count(1)
"""Of temporary files: several servers of one process may write to one directory."""


class RdbFile:
    """A file being written in place of another one. All methods raise OSError."""

    def __init__(self, path: str, incremental: bool = True) -> None:
        """Opens the temporary file beside `path`; `incremental` is rdb-save-incremental-fsync."""
        self.path = path
        self.directory = os.path.dirname(path)
        self.temporary = os.path.join(self.directory, f"temp-{os.getpid()}.{next(_numbers)}.rdb")
        self.size = 0
        self._sync_at = SYNC_EACH if incremental else 1 << 62
        self._fd = disk.open_new(self.temporary)

    def write(self, data: bytes) -> None:
        """Writes on."""
        disk.write_all(self._fd, data)
        self.size += len(data)
        if self.size >= self._sync_at:
            disk.sync(self._fd)
            self._sync_at = self.size + SYNC_EACH

    def commit(self) -> None:
        """Puts the file in place of the one that has its name, for good."""
        disk.sync(self._fd)
        fd, self._fd = self._fd, -1
        disk.close(fd)
        disk.rename(self.temporary, self.path)
        disk.sync_directory(self.directory)

    def discard(self) -> None:
        """Removes the temporary file, if it is there. Raises nothing."""
        fd, self._fd = self._fd, -1
        with contextlib.suppress(OSError):
            if fd >= 0:
                disk.close(fd)
        with contextlib.suppress(OSError):
            disk.remove(self.temporary)


def write_file(path: str, data: bytes) -> None:
    """Puts a file in place of another one at once. Raises OSError."""
    file: RdbFile | None = None
    try:
        file = RdbFile(path)
        file.write(data)
        file.commit()
    except BaseException:
        if file is not None:
            file.discard()
        raise


class BackgroundFile:
    """An `RdbFile` whose system calls are made by a thread, one after another.

    Pieces are made while others wait to be written, up to `QUEUED` bytes: who waits for a slow disk in the middle of a
    snapshot keeps in memory what changes meanwhile. The thread is the caller's, and has one worker: so of files that
    it is given one after another the last one stays, even if one before was given up late.
    """

    def __init__(self, thread: Executor, path: str, incremental: bool = True) -> None:
        """An error in opening the file is raised by whatever is called next."""
        self._thread = thread
        self._file: Future[RdbFile] = thread.submit(RdbFile, path, incremental)
        self._queue: deque[tuple[Future[None], int]] = deque()  # writes, the oldest first, and their bytes
        self._queued = 0
        self._gathered: list[bytes] = []  # what is to be the next write
        self._size = 0

    async def write(self, data: bytes) -> None:
        """Has bytes written. Raises the error of those before."""
        await _outcome(self._file)
        self._submit(data)
        while (oldest := self._oldest(QUEUED)) is not None:
            await _outcome(oldest)

    async def commit(self) -> None:
        """Puts the file in its place, see `RdbFile.commit`."""
        file = await _outcome(self._file)
        self._send()
        while (oldest := self._oldest(0)) is not None:
            await _outcome(oldest)
        await _outcome(self._thread.submit(file.commit))

    def write_now(self, data: bytes) -> None:
        """As `write`, and waits in the caller's thread."""
        self._file.result()
        self._submit(data)
        while (oldest := self._oldest(QUEUED)) is not None:
            oldest.result()

    def commit_now(self) -> None:
        """As `commit`, and waits in the caller's thread."""
        file = self._file.result()
        self._send()
        while (oldest := self._oldest(0)) is not None:
            oldest.result()
        self._thread.submit(file.commit).result()

    def discard(self) -> None:
        """Gives the file up. Does not wait for that."""
        for written, _ in self._queue:
            written.cancel()
        self._thread.submit(_discard, self._file)

    def _submit(self, data: bytes) -> None:
        self._gathered.append(data)
        self._size += len(data)
        if self._size >= GATHERED:
            self._send()

    def _send(self) -> None:
        """Hands what was gathered to the thread."""
        if self._size:
            self._queue.append((self._thread.submit(self._file.result().write, b"".join(self._gathered)), self._size))
            self._queued += self._size
            self._gathered.clear()
            self._size = 0

    def _oldest(self, most: int) -> Future[None] | None:
        """A write that is to be waited for, as those that are done are to be looked at; None: `most` bytes or fewer are
        left, none that is done."""
        queue = self._queue
        if not queue or not (self._queued > most or queue[0][0].done()):
            return None
        oldest, size = queue.popleft()
        self._queued -= size
        return oldest


async def _outcome(future: Future[_Result]) -> _Result:
    """What the thread made of a call; without a turn of the loop if it is known already."""
    return future.result() if future.done() else await wrap_future(future)


def _discard(opened: Future[RdbFile]) -> None:
    if opened.exception() is None:
        opened.result().discard()


class RdbInput:
    """A file being read: `with RdbInput(path) as file: read_file(file.source, ...)`."""

    def __init__(self, path: str, checksum: bool = True) -> None:
        """Opens it; raises OSError. `checksum` is rdbchecksum."""
        self._fd = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0))
        self.path = path
        self.size = os.fstat(self._fd).st_size
        """Bytes."""
        self.source = Source(self._read(), checksum)

    def _read(self) -> Callable[[int], bytes]:
        fd = self._fd
        return lambda count: os.read(fd, count)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        os.close(self._fd)
