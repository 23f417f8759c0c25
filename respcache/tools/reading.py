"""One pass over a file, a bar that shows it, and what is said of the file."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TextIO

from respcache.persistence.aof_read import AofError, Command, read_commands, size_of
from respcache.persistence.rdb_build import DEFAULTS
from respcache.persistence.rdb_read import Handler, read_file
from respcache.persistence.source import ForeignError, RdbError, Source

SOUND, DAMAGED, UNREADABLE = 0, 1, 2
"""Exit codes. Unreadable is a file that cannot be opened, is none of ours, or holds what only others know."""

MAGIC = (b"REDIS", b"VALKEY")
"""How RDB files begin."""

_MULTI = frozenset({b"multi", b"exec"})
_LONGEST_MAGIC = 6
_CHECKSUM = 8
_BAR = 30
_PATIENCE_SECONDS = 1.0
_REDRAW_SECONDS = 0.1


class Progress:
    """A bar on a terminal, if it takes longer than a second; gone when all is done. Nothing elsewhere."""

    def __init__(self, out: TextIO, size: int, shown: bool) -> None:
        self._out = out
        self._size = size
        self._shown = shown and size > 0
        self._next = time.monotonic() + _PATIENCE_SECONDS
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


class LogHandler:
    """Takes the commands of a file, and makes sure that transactions begin and end."""

    def __init__(self) -> None:
        self.begun: int | None = None
        """Where the MULTI of the open transaction stands."""
        self.transactions = 0
        """That have ended."""

    def file(self, name: str) -> None:
        """Another one of several files begins; commands of its own belong to database 0 until they select one."""

    def batch(self, at: int, commands: list[Command]) -> None:
        """Commands that follow each other, the first one at this offset. Raises AofError where transactions make no
        sense."""
        if self.begun is not None or not _MULTI.isdisjoint([command[0].lower() for command in commands]):
            self.follow(at, commands)

    def follow(self, at: int, commands: list[Command]) -> None:
        """Looks at transactions, as `batch`."""
        for command in commands:
            name = command[0].lower()
            if name == b"multi":
                if self.begun is not None:
                    raise AofError("MULTI inside of a transaction", at, self.begun)
                self.begun = at
            elif name == b"exec":
                if self.begun is None:
                    raise AofError("EXEC without MULTI", at, at)
                self.begun = None
                self.transactions += 1
            at += size_of([command])

    def note(self, at: int, text: bytes) -> None:
        """A line that begins with `#`."""

    def end(self, at: int) -> None:
        """All was read. Raises AofError if a transaction is open."""
        if self.begun is not None:
            raise AofError("MULTI without EXEC", at, self.begun, torn=True)


@dataclass(slots=True)
class Outcome:
    """How reading a file went."""

    error: RdbError | None = None
    preamble: int = 0
    """Bytes of RDB at its beginning, if they are sound."""
    checksum: bool = False
    """Whether there is one, and it is right."""
    left: int = 0
    """Bytes behind, which were not looked at."""


def read(
    source: Source, size: int, handler: Handler, commands: LogHandler, progress: Progress, log: bool
) -> Outcome:
    """Reads a whole file: RDB if it begins so, then commands.

    `log` tells whether it is known to belong to an append-only file: if not, only what looks like commands is taken for
    some behind RDB. `size` is that of the file, and `source` keeps a checksum.
    """
    outcome = Outcome()
    try:
        source.fill(_LONGEST_MAGIC)
        if source.data.startswith(MAGIC):
            for done in read_file(source, DEFAULTS, handler):
                progress.at(done)
            outcome.preamble = source.offset
            # It was the last thing taken, in one piece.
            outcome.checksum = handler.version >= 5 and any(source.data[source.at - _CHECKSUM : source.at])
            source.fill(1)
            if not (log or source.rest.startswith((b"*", b"#"))):
                outcome.left = max(size - source.offset, 0)
                return outcome
        rest = source.beyond()
        for at, batch in read_commands(rest, strict=True, note=commands.note, end=size):
            commands.batch(at, batch)
            progress.at(at)
        commands.end(rest.offset)
    except RdbError as error:
        outcome.error = error
    finally:
        progress.clear()
    return outcome


def exit_code(error: RdbError | None) -> int:
    """What a program that calls us is told of a file that was read so."""
    if error is None:
        return SOUND
    return UNREADABLE if isinstance(error, ForeignError) else DAMAGED


def verdict(path: str, error: RdbError | None, size: int, line: int = 0) -> str:
    """One line on the file; `size` is in bytes, `line` that of the error if it is a line of text."""
    if error is None:
        return f"{path}: sound"
    if isinstance(error, ForeignError):
        return f"{path}: not readable: {error.text}" + (f", at offset {error.offset}" if error.offset else "")
    where = f", line {line}" if line else ""
    torn = "torn" if isinstance(error, AofError) and error.torn else "damaged"
    return f"{path}: {torn} at offset {error.offset} of {size}{where}: {error.text}"
