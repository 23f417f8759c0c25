"""The append-only file on disk: its directory, and the one file of it that is written to.

What survives a crash is what was made sure of in the right order, so each step here is whole: a new manifest is
written beside the old one, synced, given its name, and the name is synced; a write that the disk cut short is taken
back, so that the next one does not follow half a command. Nothing here knows threads or loops.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable

from respcache.persistence import aof_manifest, disk
from respcache.persistence.aof_manifest import Manifest, Part

_HALF_WRITTEN = re.compile(r"temp-[\d.]+\.rdb")
"""As `respcache.persistence.rdb_file` names them."""


class InUseError(OSError):
    """The directory belongs to another server that runs."""


class MissingError(ValueError):
    """The manifest names a file that is not there. The message names both."""


class Log:
    """A file that is appended to."""

    __slots__ = ("_cut", "fd", "path", "size")

    def __init__(self, path: str, empty: bool = False) -> None:
        """Opens it, made if need be. Raises OSError.

        `empty`: it is a new file in any case. One of that name that was given up goes; to cut it off would not do,
        since who wrote to it may still be at that, and after a power cut what was in it might come back.
        """
        self.path = path
        if empty:
            with contextlib.suppress(FileNotFoundError):
                disk.remove(path)
        self.fd = disk.open_append(path)
        self.size = os.fstat(self.fd).st_size
        """Bytes, as far as they are whole writes."""
        self._cut = False  # half a write may stand behind `size`

    def append(self, data: bytes) -> None:
        """Writes all of it or nothing. Raises OSError.

        If what was written of it cannot be taken back at once, it is before the next write.
        """
        if self._cut:
            self._take_back()
        try:
            disk.write_all(self.fd, data)
        except OSError:
            self._cut = True
            with contextlib.suppress(OSError):
                self._take_back()
            raise
        self.size += len(data)

    def _take_back(self) -> None:
        disk.truncate(self.fd, self.size)
        self._cut = False

    def sync(self) -> None:
        """Makes sure of all that was written. Raises OSError."""
        disk.sync(self.fd)

    def close(self) -> None:
        """Closes it; what was not synced is not made sure of."""
        if self.fd >= 0:
            disk.close(self.fd)
            self.fd = -1


class AofDirectory:
    """The directory of an append-only file and its manifest.

    Methods that change the manifest write it first, and keep the old one if that fails. All raise OSError.
    """

    def __init__(self, directory: str, stem: str) -> None:
        self.path = directory
        self.manifest = Manifest(stem)
        self._lock = -1

    def file(self, name: str) -> str:
        """The path of a file in it."""
        return os.path.join(self.path, name)

    # One server at a time

    def take(self) -> None:
        """Makes the directory if need be, and keeps other servers away until `leave`. Raises InUseError.

        The lock is on the directory itself: it leaves no file behind, and ends with the process.
        """
        disk.make_directory(self.path)
        disk.sync_directory(os.path.dirname(os.path.abspath(self.path)))
        if os.name != "posix" or self._lock >= 0:
            return
        import fcntl

        lock = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            text = f"Another server that runs uses the append-only directory {os.path.abspath(self.path)}"
            raise InUseError(text) from None
        except OSError:  # a network's file system without locks
            os.close(lock)
            return
        self._lock = lock

    def leave(self) -> None:
        """Lets other servers use it."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def sweep(self) -> None:
        """Removes the half-written bases of servers that were killed. Only for the owner, when it writes none."""
        for name in os.listdir(self.path):
            if _HALF_WRITTEN.fullmatch(name):
                with contextlib.suppress(OSError):
                    disk.remove(self.file(name))

    def spare(self) -> list[str]:
        """The files of an append-only file that no manifest names, since there is none. Numbers go on behind theirs, so
        that they stay as they are: somebody may want to have his data back."""
        found = []
        for name in sorted(os.listdir(self.path)):
            if (part := self.manifest.number(name)) is not None:
                found.append(name)
                base, seq = part
                if base:
                    self.manifest.base_seq = max(self.manifest.base_seq, seq)
                else:
                    self.manifest.increment_seq = max(self.manifest.increment_seq, seq)
        return found

    # The manifest

    @property
    def temporary_increment(self) -> str:
        """Where commands are written while the first base is being made."""
        return self.file(f"temp-{self.manifest.stem}.incr")

    @property
    def exists(self) -> bool:
        """Whether there is a manifest."""
        return os.path.exists(self.file(self.manifest.file_name))

    def read(self, check: bool = True) -> None:
        """Reads the manifest. Raises ManifestError, and MissingError if a file that it names is not there, unless
        nobody is going to read that."""
        path = self.file(self.manifest.file_name)
        with open(path, "rb") as file:
            text = file.read()
        manifest = aof_manifest.parse(text, self.manifest.stem, path)
        for part in manifest.parts if check else ():
            if not os.path.exists(self.file(part.name)):
                raise MissingError(f"{path} names {part.name}, which does not exist")
        self.manifest = manifest

    def persist(self, manifest: Manifest) -> None:
        """Makes this the manifest, for good."""
        temporary = self.file(manifest.temporary_name)
        fd = disk.open_new(temporary)
        try:
            disk.write_all(fd, manifest.format())
            disk.sync(fd)
        finally:
            disk.close(fd)
        disk.rename(temporary, self.file(manifest.file_name))
        self.manifest = manifest  # if what follows fails, it is the one that a restart may well find
        disk.sync_directory(self.path)

    # Its files

    @property
    def half_adopted(self) -> bool:
        """Whether a crash has kept `adopt` from its second half: the file still has its old place.

        Raises OSError and ManifestError.
        """
        self.read(check=False)
        single = aof_manifest.legacy(self.manifest.stem).base
        return self.manifest.parts == [single] and not os.path.exists(self.file(self.manifest.stem))

    def adopt(self, path: str) -> None:
        """Takes in a single file as Redis wrote it before 7.0, and makes it the base."""
        manifest = aof_manifest.legacy(self.manifest.stem)
        self.persist(manifest)
        disk.rename(path, self.file(manifest.stem))
        disk.sync_directory(self.path)
        disk.sync_directory(os.path.dirname(os.path.abspath(path)))

    def open_last(self) -> Log:
        """The file to write to: the last incremental one, a new one if there is none."""
        increments = self.manifest.increments
        return Log(self.file(increments[-1].name)) if increments else self.add_increment()

    def add_increment(self) -> Log:
        """A new file to write to, empty, behind all others. The caller goes on with it at once or later."""
        manifest = self.manifest.copy()
        log = Log(self.file(manifest.add_increment().name), empty=True)
        try:
            disk.sync_directory(self.path)  # no manifest may name what is not there
            self.persist(manifest)
        except BaseException:
            log.close()
            raise
        return log

    def next_base(self, rdb: bool) -> str:
        """Where the next base is to be written, as a whole file that appears at once."""
        return self.file(self.manifest.copy().add_base(rdb).name)

    def adopt_base(self, rdb: bool, keep: int = 1, increment: Log | None = None) -> None:
        """Makes the file at `next_base` the base; all but the last `keep` incremental files become history.

        `increment` is one more incremental file, which is given its final name. If that fails the base is removed.
        """
        manifest = self.manifest.copy()
        base = manifest.add_base(rdb)
        try:
            manifest.retire(keep)
            if increment is not None:
                path = self.file(manifest.add_increment().name)
                disk.rename(increment.path, path)
                increment.path = path
                disk.sync_directory(self.path)
            self.persist(manifest)
        except BaseException:
            if base not in self.manifest.parts:
                with contextlib.suppress(OSError):
                    disk.remove(self.file(base.name))
            raise

    def collect(self) -> None:
        """Deletes what is history."""
        manifest = self.manifest
        if not manifest.history:
            return
        used = {part.name for part in manifest.parts}
        for part in manifest.history:
            if part.name not in used:
                with contextlib.suppress(FileNotFoundError):
                    disk.remove(self.file(part.name))
        manifest = manifest.copy()
        manifest.history.clear()
        self.persist(manifest)

    def size(self, parts: Iterable[Part] | None = None) -> int:
        """Bytes of the files, of all that are loaded unless told otherwise; what is missing counts nothing."""
        found = 0
        for part in self.manifest.parts if parts is None else parts:
            with contextlib.suppress(OSError):
                found += os.path.getsize(self.file(part.name))
        return found
