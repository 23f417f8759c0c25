"""Replaying the append-only file: its commands run as those of a client that nobody hears."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator

from respcache.config import encode
from respcache.features.blocking import Disconnect, Pause
from respcache.loading import Loader, LoadError, Loading
from respcache.log import logger as log
from respcache.persistence import aof_load
from respcache.persistence.aof import AofDirectory
from respcache.persistence.aof_load import Loaded, UnknownCommandError
from respcache.persistence.aof_manifest import Part
from respcache.persistence.aof_read import Command
from respcache.persistence.rdb_build import Limits
from respcache.persistence.rdb_read import read_file
from respcache.persistence.source import Source
from respcache.protocol.errors import ReplyError
from respcache.registry import REGISTRY, Handler
from respcache.registry import Command as Declared
from respcache.state import Client, ServerState


class NoConnection:
    """The connection of a client that has none. Implements `respcache.link.Link`."""

    fd = -1
    input_pending = 0
    output_pending = 0
    congested = False
    closing = True

    def __init__(self) -> None:
        self.output_limit = (0, 0, 0)

    def check_output(self, now: float) -> None:
        """There is no output."""

    def send(self, data: bytes) -> None:
        """Nobody gets it."""

    def close(self, flush: bool = True) -> None:
        """There is nothing to close."""

    def release(self, reply: bytes | None = None) -> None:
        """It never waits."""

    def relieve(self) -> None:
        """Nothing is gathered."""

    def distrust(self) -> None:
        """It sends nothing."""


class Replayer:
    """Runs commands of a file. Calling it with one runs that.

    The handlers are called directly: no gate refuses anything, nobody is told, nothing is propagated. They have their
    canonical names and those that `rename-command` gives them.
    """

    def __init__(self, server: ServerState) -> None:
        self.client = Client(server, NoConnection(), b"", b"", False)
        self.client.obeyed = True
        self.errors = 0
        """Commands that failed, as they did when they were written, one hopes."""
        commands = dict(REGISTRY.commands)
        for rename in server.config.renames:
            found = REGISTRY.commands.get(encode(rename.old).lower())
            if found is not None and rename.new:
                commands.setdefault(encode(rename.new).lower(), found)
        self._commands = commands
        self._table: dict[bytes, Handler] = {}
        for name, command in commands.items():
            if not command.subcommands:
                self._table[name] = self._table[name.upper()] = command.handler

    def __call__(self, argv: Command) -> None:
        """Runs a command. Raises UnknownCommandError."""
        handler = self._table.get(argv[0])
        if handler is None:
            handler, argv = self._find(argv)
        try:
            handler(self.client, *argv[1:])
        except Exception as error:
            self._failed(argv, error)

    def _find(self, argv: Command) -> tuple[Handler, Command]:
        command = self._commands.get(argv[0].lower())
        if command is not None and command.subcommands and len(argv) > 1:
            found: Declared | None = (command.subcommands | command.unlisted).get(argv[1].lower())
            command, argv = found, argv[1:]
        if command is None:
            raise UnknownCommandError(
                f"Unknown command '{argv[0][:128].decode('utf-8', 'backslashreplace')}'"
            )
        return command.handler, argv

    def _failed(self, argv: Command, error: Exception) -> None:
        self.errors += 1
        if not isinstance(error, ReplyError | Pause | Disconnect | TypeError):
            log.error("%r failed while the append only file was read: %r", argv[0], error, exc_info=error)
        error.__traceback__ = error.__context__ = None


class Replay:
    """The loading of all files of a directory into a server, which is empty."""

    def __init__(self, server: ServerState, directory: AofDirectory) -> None:
        self._server = server
        self._directory = directory
        self._replayer = Replayer(server)
        self.total = directory.size()
        """Bytes of all files."""

    async def run(self) -> None:
        """Loads them while the loop goes on. Raises LoadError, and LoadingStopped."""
        with Loading(self._server, self.total) as loading:
            for part, size, steps in self._files():
                log.info("Loading %s of the append only file", part.name)
                while (done := self._step(steps)) is not None:
                    await loading.advance(done)
                loading.before += size
            seconds = loading.seconds
        self._finish(seconds)

    def run_now(self) -> None:
        """Loads them while everything else waits. Raises LoadError."""
        for _, _, steps in self._files():
            while self._step(steps) is not None:
                pass
        self._finish(None)

    def _files(self) -> Iterator[tuple[Part, int, Iterator[int]]]:
        """Each file, its size, and what loads it."""
        server, directory = self._server, self._directory
        parts = directory.manifest.parts
        sizes = [directory.size([part]) for part in parts]
        advice = f"Make a backup of it; `respcache check --fix {directory.path}` cuts off what is not sound."
        for number, (part, size) in enumerate(zip(parts, sizes, strict=True)):
            # A new file is made before the old one gets its last commands: the end of that may be torn.
            last = not any(sizes[number + 1 :])
            found = Loaded()
            path = directory.file(part.name)
            steps = aof_load.load(
                path,
                self._replayer,
                self._read_rdb,
                found,
                may_cut=last and bool(server.config.aof_load_truncated),
                checksum=bool(server.config.rdbchecksum),
                advice=advice,
            )
            yield part, size, self._told(path, size, found, steps)

    @staticmethod
    def _told(path: str, size: int, found: Loaded, steps: Iterator[int]) -> Iterator[int]:
        yield from steps
        if found.cut >= 0:
            log.warning("!!! Warning: short read while loading the AOF file %s!!!", path)
            log.warning("Truncating the AOF %s at offset %d, of %d bytes", path, found.cut, size)

    def _step(self, steps: Iterator[int]) -> int | None:
        """Loads on until the loop may have its turn. Returns the bytes done, None at the end. Raises LoadError."""
        server = self._server
        collecting = gc.isenabled()
        gc.disable()  # it would walk over millions of new values, in vain
        nested, server.nested = server.nested, True  # nobody waits for anything
        try:
            with server.keyspace.without_time():
                return next(steps, None)
        except aof_load.LoadError as error:
            raise LoadError(str(error)) from None
        except OSError as error:
            raise LoadError(f"{error.filename or self._directory.path}: {error.strerror or error}") from None
        finally:
            server.nested = nested
            if collecting:
                gc.enable()

    def _read_rdb(self, source: Source) -> Iterator[int]:
        return read_file(source, Limits.of(self._server.config), Loader(self._server, keep_expired=True))

    def _finish(self, seconds: float | None) -> None:
        errors = self._replayer.errors
        if errors:
            log.warning("%d commands of the append only file failed", errors)
        if seconds is not None:
            log.info("DB loaded from append only file: %.3f seconds", seconds)


async def load_files(server: ServerState, directory: AofDirectory) -> bool:
    """Loads what there is of an append-only file; one of a single piece is taken in. Tells whether there was any.

    Raises LoadError, LoadingStopped, OSError, ManifestError and MissingError.
    """
    single = os.path.join(server.config.dir, server.config.appendfilename)
    if os.path.isfile(single) and (not directory.exists or directory.half_adopted):
        log.info("Successfully migrated an old-style AOF into the directory %s", directory.path)
        directory.adopt(single)
    if not directory.exists:
        if strays := directory.spare():
            log.warning(
                "WARNING: there is no manifest in %s: the data in %s is not loaded, and is left alone",
                directory.path,
                ", ".join(strays),
            )
        elif os.path.isfile(server.saving.path):
            log.warning(
                "WARNING: there is no append only file yet, and %s is not loaded while appendonly is on. To keep what "
                "it holds, start with appendonly no, then CONFIG SET appendonly yes",
                server.saving.path,
            )
        return False
    directory.read()
    await Replay(server, directory).run()
    server.saving.loaded()
    return True
