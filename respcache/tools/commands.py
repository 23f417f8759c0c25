"""A dump as commands, in RESP."""

from __future__ import annotations

from collections.abc import Callable

from respcache.persistence.aof_read import Command
from respcache.persistence.commands import commands
from respcache.persistence.rdb_read import Handler, Value
from respcache.protocol.reply import bulks
from respcache.tools.reading import LogHandler


class Commands(Handler):
    """The commands that make the same keys in an empty server, without their idle times and frequencies."""

    def __init__(self, write: Callable[[bytes], object]) -> None:
        self._write = write
        self._db: int | None = None

    def function(self, code: bytes) -> None:
        """FUNCTION LOAD."""
        self._write(bulks([b"FUNCTION", b"LOAD", b"REPLACE", code]))

    def entry(
        self, db: int, key: bytes, value: Value, deadline: int | None, idle: int | None, freq: int | None
    ) -> None:
        """SELECT if the database is another one, what makes the value, PEXPIREAT."""
        if db != self._db:
            self._write(bulks([b"SELECT", b"%d" % db]))
            self._db = db
        for command in commands(key, value):
            self._write(bulks(command))
        if deadline is not None:
            self._write(bulks([b"PEXPIREAT", key, b"%d" % deadline]))


class LogCommands(LogHandler):
    """The commands of an append-only file, as they are, without notes."""

    def __init__(self, write: Callable[[bytes], object]) -> None:
        super().__init__()
        self._write = write
        self._fresh = True

    def file(self, name: str) -> None:
        """Begins in database 0."""
        self._fresh = True

    def batch(self, at: int, commands: list[Command]) -> None:
        """Commands."""
        if self._fresh and commands[0][0].lower() != b"select":
            self._write(bulks([b"SELECT", b"0"]))
        self._fresh = False
        self._write(b"".join(map(bulks, commands)))
        super().batch(at, commands)
