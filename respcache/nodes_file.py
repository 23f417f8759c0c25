"""The file nodes.conf: one server has it, and it is always whole.

    file = NodesFile(path)
    text = file.take()         at the start: locks it, and reads it; empty if there was none
    file.save(text)            a new file in its place, made sure of
    file.leave()               at the end

The lock is on the file and not on its name. So a new file is locked before it gets the name, and whoever waited for
the old one finds out that it has it no more.
"""

from __future__ import annotations

import contextlib
import os

from respcache.persistence import disk

try:
    import fcntl
except ImportError:  # Windows: there is no lock
    fcntl = None  # type: ignore[assignment]


class TakenError(OSError):
    """Another server has the file."""


class NodesFile:
    """nodes.conf. All methods raise OSError."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._fd = -1  # of the file, for its lock

    def take(self) -> str:
        """Locks the file, which is made if there is none, and reads it. Raises TakenError."""
        taken = False
        while not taken:
            fd = disk.open_append(self.path)
            try:
                self._lock(fd)
                taken = self._is_current(fd)
            except BaseException:
                disk.close(fd)
                raise
            if taken and fcntl is not None:
                self._fd = fd
            else:
                disk.close(fd)
        with open(self.path, encoding="utf-8", errors="surrogateescape") as file:
            return file.read()

    def _lock(self, fd: int) -> None:
        if fcntl is None:
            return
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            text = (
                f"Sorry, the cluster configuration file {self.path} is already used by a different node of a cluster. "
                "Please make sure that different nodes use different cluster configuration files."
            )
            raise TakenError(error.errno, text) from None

    def _is_current(self, fd: int) -> bool:
        """Whether the name is still that of this file."""
        try:
            return os.path.samestat(os.fstat(fd), os.stat(self.path))
        except FileNotFoundError:
            return False

    def save(self, text: str) -> None:
        """Puts a new file in its place. After an error the old one is there."""
        temporary = f"{self.path}.tmp-{os.getpid()}"
        fd = disk.open_new(temporary)
        try:
            self._lock(fd)
            disk.write_all(fd, text.encode("utf-8", "surrogateescape"))
            disk.sync(fd)
            if fcntl is None:  # Windows gives no other name to what is open
                disk.close(fd)
                fd = -1
            disk.rename(temporary, self.path)
        except BaseException:
            if fd >= 0:
                disk.close(fd)
            with contextlib.suppress(OSError):
                disk.remove(temporary)
            raise
        self.leave()
        self._fd = fd
        disk.sync_directory(os.path.dirname(self.path) or ".")

    def leave(self) -> None:
        """Gives the lock back."""
        if self._fd >= 0:
            disk.close(self._fd)
            self._fd = -1

    def remove(self) -> None:
        """Removes the file, and gives the lock back."""
        with contextlib.suppress(OSError):
            disk.remove(self.path)
        self.leave()
