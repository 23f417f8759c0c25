"""Loading an append-only file: an RDB file in front of it perhaps, then commands; transactions, and torn ends.

Commands between MULTI and EXEC are executed at EXEC, as one. A file that ends inside of a command or of a
transaction was torn by a crash: what is torn goes, if that is allowed. Anything else that makes no sense is an error.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice

from respcache.persistence import disk
from respcache.persistence.aof_read import AofError, Command, read_commands, size_of
from respcache.persistence.source import RdbError, Source

Execute = Callable[[Command], object]

EVERY = 1024
"""Commands after which the caller has a turn."""

_MULTI = frozenset({b"multi", b"exec"})
_MAGIC = (b"REDIS", b"VALKE")


class LoadError(ValueError):
    """A file that cannot be loaded. The message names the file and the offset."""


class UnknownCommandError(ValueError):
    """Raised by what executes commands for a name that means nothing; the message names it."""


@dataclass(slots=True)
class Loaded:
    """What came of one file."""

    commands: int = 0
    """That were executed."""
    cut: int = -1
    """Where the file was cut off, since what followed was torn; -1: nowhere."""


def load(
    path: str,
    execute: Execute,
    read_rdb: Callable[[Source], Iterator[int]],
    found: Loaded,
    may_cut: bool = False,
    checksum: bool = True,
    advice: str = "",
) -> Iterator[int]:
    """Executes what is in a file. Yields now and then how many of its bytes are done.

    `read_rdb` loads an RDB file and leaves its source behind it; `checksum` tells whether that is verified. A torn end
    is cut off if it may be. Raises LoadError, with the advice for a damaged file, and OSError.
    """
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        magic = file.read(5)
        file.seek(0)
        start = 0
        if magic in _MAGIC:
            preamble = Source(file.read, checksum)
            try:
                yield from read_rdb(preamble)
            except RdbError as error:
                raise LoadError(f"Bad RDB file format reading the append only file {path}: {error}") from None
            except ValueError as error:
                where = f"before offset {preamble.offset}"
                raise LoadError(f"Bad data reading the append only file {path}: {error} ({where})") from None
            start = preamble.offset
            file.seek(start)
        source = Source(file.read)
        source.base = start
        commands = _Commands(execute, found)
        try:
            for at, batch in read_commands(source, end=size):
                yield from commands.run(at, batch)
            if commands.begun is not None:
                raise AofError("MULTI without EXEC", size, size, torn=True)
        except UnknownCommandError as error:
            raise LoadError(f"{error} reading the append only file {path} at offset {commands.at}") from None
        except AofError as error:
            if not error.torn:
                text = f"Bad file format reading the append only file {path}: {error}. {advice}"
                raise LoadError(text) from None
            if not may_cut:
                text = f"Unexpected end of file reading the append only file {path}: {error}. {advice}"
                raise LoadError(text) from None
            found.cut = error.good if commands.begun is None else commands.begun
    if found.cut >= 0:
        _truncate(path, found.cut)


def _truncate(path: str, size: int) -> None:
    fd = disk.open_append(path)
    try:
        disk.truncate(fd, size)
        disk.sync(fd)
    finally:
        disk.close(fd)


class _Commands:
    """Executes batches of commands, and knows about transactions."""

    __slots__ = ("_execute", "_found", "_queue", "at", "begun")

    def __init__(self, execute: Execute, found: Loaded) -> None:
        self._execute = execute
        self._found = found
        self._queue: list[Command] = []
        self.begun: int | None = None  # where the MULTI of the open transaction stands
        self.at = 0

    def run(self, at: int, batch: list[Command]) -> Iterator[int]:
        """Takes a batch that stands at an offset. Yields the offset behind what is done."""
        execute, rest = self._execute, iter(batch)
        while part := list(islice(rest, EVERY)):
            self.at = at
            plain = self.begun is None and _MULTI.isdisjoint([argv[0].lower() for argv in part])
            number = 0
            try:
                if plain:
                    for argv in part:
                        execute(argv)
                        number += 1
                    self._found.commands += len(part)
                else:
                    for argv in part:
                        self._take(argv, at, part, number)
                        number += 1
            except UnknownCommandError:
                self.at = at + size_of(part[:number])
                raise
            at += size_of(part)
            yield at

    def _take(self, argv: Command, at: int, part: list[Command], number: int) -> None:
        """Executes a command of a part that stands at an offset, or queues it inside of a transaction."""
        name = argv[0].lower()
        if self.begun is None:
            if name == b"multi":
                self.begun = at + size_of(part[:number])
                return
            self._execute(argv)
            self._found.commands += 1
        elif name != b"exec":
            self._queue.append(argv)
        else:
            self.begun = None
            queue, self._queue = self._queue, []
            for each in queue:
                self._execute(each)
            self._found.commands += len(queue)
