"""The disk, as far as files are to survive: what the snapshot and the log ask of the operating system.

Everything that must be there after a crash goes through these functions, called as attributes of this module. So a
test can put others in their place that remember what was made sure of and forget the rest, as a power cut does.

The rules they serve: what was written is safe after `sync`; a name (a new file, a renamed or a removed one) is safe
after `sync_directory`. All raise OSError.
"""

from __future__ import annotations

import os

_APPEND = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_CLOEXEC", 0)
_NEW = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_CLOEXEC", 0)


def open_new(path: str) -> int:
    """Opens a file for writing, empty. Returns the file descriptor."""
    return os.open(path, _NEW, 0o644)


def open_append(path: str) -> int:
    """Opens a file for writing at its end; it is made if there is none. Returns the file descriptor."""
    return os.open(path, _APPEND, 0o644)


def write(fd: int, data: bytes | memoryview) -> int:
    """Writes bytes; returns how many were, which may be fewer, as where a disk is nearly full."""
    return os.write(fd, data)


def sync(fd: int) -> None:
    """Makes sure of all that was written to a file."""
    if hasattr(os, "fdatasync"):
        os.fdatasync(fd)
    else:
        os.fsync(fd)


def truncate(fd: int, size: int) -> None:
    """Cuts a file off at a size."""
    os.ftruncate(fd, size)


def close(fd: int) -> None:
    """Closes a file."""
    os.close(fd)


def rename(old: str, new: str) -> None:
    """Gives a file another name, in place of what had it."""
    os.replace(old, new)


def remove(path: str) -> None:
    """Removes a file."""
    os.unlink(path)


def make_directory(path: str) -> None:
    """Makes a directory, unless it is there."""
    os.makedirs(path, 0o755, exist_ok=True)


def sync_directory(path: str) -> None:
    """Makes sure of the names in a directory. Windows cannot and need not."""
    if os.name != "posix":
        return
    fd = os.open(path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def write_all(fd: int, data: bytes) -> None:
    """Writes bytes, all of them."""
    rest = memoryview(data)
    while rest:
        rest = rest[write(fd, rest) :]
