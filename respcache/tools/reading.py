"""One pass over an RDB file, a bar that shows it, and what is said of the file."""

from __future__ import annotations

import time
from typing import TextIO

from respcache.persistence.rdb_build import DEFAULTS
from respcache.persistence.rdb_read import Handler, read_file
from respcache.persistence.source import RdbError, Source

SOUND, DAMAGED, UNREADABLE = 0, 1, 2
"""Exit codes. Unreadable is a file that cannot be opened, is no RDB file, or holds what only others know."""

_FOREIGN = ("a value of the module", "a function as a release candidate")
"""How the reader's errors begin that say nothing against a file."""
_HEADER = 9
_BAR = 30
_REDRAW_SECONDS = 0.1


class Progress:
    """A bar on a terminal, gone when all is done; nothing elsewhere."""

    def __init__(self, out: TextIO, size: int, shown: bool) -> None:
        self._out = out
        self._size = size
        self._shown = shown and size > 0
        self._next = time.monotonic() + _REDRAW_SECONDS
        self._drawn = False

    def at(self, done: int) -> None:
        """So many bytes are read."""
        if not self._shown or (now := time.monotonic()) < self._next:
            return
        self._next = now + _REDRAW_SECONDS
        self._drawn = True
        part = min(done / self._size, 1.0)
        bar = ("#" * int(part * _BAR)).ljust(_BAR, "-")
        self._out.write(f"\r[{bar}] {part:4.0%} of {self._size:,} bytes")
        self._out.flush()

    def clear(self) -> None:
        """Takes the bar away."""
        if self._drawn:
            self._out.write("\r\x1b[K")
            self._out.flush()


def read(source: Source, handler: Handler, progress: Progress) -> RdbError | None:
    """Reads a whole file. Returns what is wrong with it."""
    try:
        for done in read_file(source, DEFAULTS, handler):
            progress.at(done)
    except RdbError as error:
        return error
    finally:
        progress.clear()
    return None


def exit_code(error: RdbError | None, handler: Handler, source: Source) -> int:
    """What a program that calls us is told of a file that was read so."""
    if error is None:
        return SOUND
    if error.text.startswith(_FOREIGN):
        return UNREADABLE
    cut = source.base == 0 and 5 <= len(source.data) < _HEADER and source.data.startswith(b"REDIS")
    return DAMAGED if handler.version or cut else UNREADABLE


def verdict(path: str, code: int, error: RdbError | None, size: int) -> str:
    """One line on the file; `size` is in bytes."""
    if error is None:
        return f"{path}: sound"
    if code == UNREADABLE:
        return f"{path}: not readable: {error.text}" + (f", at offset {error.offset}" if error.offset else "")
    return f"{path}: damaged at offset {error.offset} of {size}: {error.text}"
