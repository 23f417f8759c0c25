"""Applying a master's stream: bytes in, commands run, and the same bytes on to the history.

Commands are run by their handlers: no gate refuses what the master did, and nobody replies. A piece of the stream is
handed to hiredis; a `RequestReader`, which knows where it stands, sees only what is torn, or what somebody asks the
offset of. The offset moves when a command is done, and over a transaction when that is: who comes back after a cut asks
for the bytes behind it, so nothing is lost and nothing is done twice. What is not done yet goes to nobody.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import hiredis

from respcache.clock import monotonic
from respcache.features.blocking import Disconnect, Pause
from respcache.features.stats import CommandStats
from respcache.link import Link
from respcache.log import logger as log
from respcache.persistence.aof_load import UnknownCommandError
from respcache.protocol.errors import ProtocolError, ReplyError
from respcache.protocol.request import Limits, RequestReader
from respcache.registry import WRITE, Command, Handler
from respcache.replaying import Replayer
from respcache.serve import serve
from respcache.state import Client, ServerState

PIECE = 16 * 1024
"""Bytes handed to hiredis at once, if a request seems to end there: it moves what is left after each request."""

LIMITS = Limits(max_bulk=(1 << 63) - 1)
"""A master was within its own limits."""

SPECIAL = (b"multi", b"exec", b"discard", b"replconf")
"""Commands that mean something to who reads the stream."""

_NIL = b"_\r\n"  # fed behind a piece it comes back as None if the piece was complete
_STAR = 0x2A


class DesyncError(Exception):
    """What came is no stream of commands; the text is for the log."""


class MasterClient(Client):
    """The master, as commands see it."""

    __slots__ = ()

    @property
    def kind(self) -> str:
        """Its type in CLIENT LIST and KILL."""
        return "master"

    @property
    def listens(self) -> bool:
        """It may be silent as long as repl-timeout allows."""
        return True


class Applier(Replayer):
    """Applies a stream from an offset on."""

    def __init__(self, server: ServerState, link: Link, peer: bytes, local: bytes) -> None:
        super().__init__(server)
        self._server = server
        self.client: Client = MasterClient(server, link, peer, local, False)
        self.client.obeyed = True
        self.acknowledge: Callable[[int], None] = lambda offset: None
        """Called when the master asks how far this is."""
        self.read = server.history.offset
        """The offset of the last byte that has come."""
        self._at = self.read  # of the last byte before what is being run
        self._ahead = bytearray()  # what has come and is not applied, from the history's offset on
        self._reader: RequestReader | None = None  # of what is torn
        self._queue: list[list[bytes]] | None = None  # behind MULTI
        # Offsets inside of a piece are dear, and only the last is of use: they are asked for when all has run.
        self._begun: Callable[[], int] = lambda: 0  # the offset before that
        self._asked: Callable[[], int] | None = None  # the offset before the last GETACK
        for name in SPECIAL:
            self._table.pop(name, None)
            self._table.pop(name.upper(), None)
        self._plain = self._table
        self._recorded: dict[bytes, Handler] | None = None  # handlers that tell the append-only file as well
        self._stats: dict[bytes, CommandStats] = {}
        self._new_parser()

    def _new_parser(self) -> None:
        reader = hiredis.Reader()
        self._feed, self._gets = reader.feed, reader.gets

    def follow(self, link: Link, peer: bytes, local: bytes) -> None:
        """Goes on with another connection, behind what is applied."""
        self.client.connection, self.client.peer, self.client.local = link, peer, local
        self.client.created = self.client.seen = monotonic()
        self.read = self._at = self._server.history.offset
        self._ahead = bytearray()
        self._reader = self._queue = self._asked = None
        self._new_parser()

    def feed(self, data: bytes) -> None:
        """Applies what has come. Raises DesyncError; what was good before it is applied then."""
        server = self._server
        self.client.net_input += len(data)
        self.client.seen = monotonic()
        self.read += len(data)
        self._choose_table()
        nested, server.nested = server.nested, True  # nobody waits for anything
        try:
            with server.keyspace.without_time():
                self._run_pieces(data)
        finally:
            server.nested = nested
            self._settle(data)
        asked, self._asked = self._asked, None
        if asked is not None:
            self.acknowledge(asked())
        if server.waiting.ready:
            serve(server)

    @property
    def pending(self) -> int:
        """Bytes that have come and could not be run yet."""
        return len(self._ahead)

    def _settle(self, data: bytes) -> None:
        """Gives to the history, and on to others, what is applied now."""
        done = self._at if self._queue is None else self._begun()
        count = done - self._server.history.offset
        if self._ahead or count < len(data):
            ahead = self._ahead
            ahead += data
            data = bytes(memoryview(ahead)[:count])
            del ahead[:count]
        if data:
            self._server.mastering.forward(data)

    # Pieces

    def _run_pieces(self, data: bytes) -> None:
        if self._reader is not None:
            self._reader.feed(data)
            data = self._careful(self._reader)
        start = 0
        while (left := len(data) - start) > 0:
            cut = data.rfind(b"\r\n*", start, start + PIECE) + 2
            piece = data[start : cut if start + 2 < cut and left > 1 else None]
            done = self._run(piece)
            start += len(piece)
            if done >= 0:
                self._reader = reader = self._reader_behind(piece, done)
                reader.feed(data[start:])
                data = self._careful(reader)
                start = 0

    def _run(self, piece: bytes) -> int:
        """Runs the commands of a piece. Returns -1 if that was all of it, else how many were whole."""
        begun = monotonic()
        gets = self._gets
        try:
            self._feed(piece)
            batch: list[list[bytes]] = list(iter(gets, False))
            self._feed(_NIL)
            torn = gets() is not None
        except hiredis.ProtocolError:
            batch, torn = [], True
        client, table, queue = self.client, self._table, self._queue
        for index, argv in enumerate(batch):
            try:
                handler = table.get(argv[0])
                if handler is None or queue is not None:
                    self._slow(argv, piece, index)
                    table, queue = self._table, self._queue
                else:
                    handler(client, *argv[1:])
            except Exception as error:
                if type(argv) is not list or type(argv[0]) is not bytes:
                    raise DesyncError("the stream has other things than commands") from None
                self._failed(argv, error)
        self._count(batch, begun)
        if not torn:
            self._at += len(piece)
            return -1
        self._new_parser()
        return len(batch)

    def _reader_behind(self, piece: bytes, count: int) -> RequestReader:
        """A reader of a piece whose first commands were read. Raises DesyncError."""
        reader = RequestReader(LIMITS)
        reader.feed(piece)
        try:
            for _ in range(count):
                reader.next()
        except ProtocolError as error:
            raise DesyncError(error.text.decode("latin-1")) from None
        return reader

    def _careful(self, reader: RequestReader) -> bytes:
        """Runs what the reader has until a command is whole. Returns what comes behind it, to be run the quick way."""
        while True:
            self._at = self.read - reader.pending
            if reader.between_requests:
                rest = reader.take_rest()
                skipped = len(rest) - len(rest.lstrip(b"\r\n"))
                self._at += skipped
                if len(rest) == skipped or (rest[skipped] == _STAR and reader is not self._reader):
                    self._reader = None
                    return rest[skipped:]
                if rest[skipped] != _STAR:
                    raise DesyncError("the stream has an inline command")
                reader.feed(rest[skipped:])
            try:
                argv = reader.next()
            except ProtocolError as error:
                raise DesyncError(error.text.decode("latin-1")) from None
            if argv is None:
                return b""
            before, self._at = self._at, self.read - reader.pending
            self._one(argv, before)
            self._reader = None  # the next one is whole, or found to be torn by the quick way

    def _one(self, argv: list[bytes], before: int) -> None:
        """Runs a command that begins behind an offset."""
        try:
            handler = self._table.get(argv[0])
            if handler is None or self._queue is not None:
                self._special(argv, lambda: before)
            else:
                handler(self.client, *argv[1:])
        except Exception as error:
            self._failed(argv, error)
        self._count([argv], monotonic())

    # Commands

    def _slow(self, argv: list[bytes], piece: bytes, index: int) -> None:
        start = self._at

        def before() -> int:
            return start + len(piece) - self._reader_behind(piece, index).pending

        self._special(argv, before)

    def _special(self, argv: list[bytes], before: Callable[[], int]) -> None:
        """Runs a command that is not like others, or queues one. `before` tells the offset before it."""
        name = argv[0].lower()
        if name == b"exec" and self._queue is not None:
            queue, self._queue = self._queue, None
            propagator = self._server.propagator
            mark = propagator.begin()
            try:
                for each in queue:
                    try:
                        self(each)
                    except Exception as error:
                        self._failed(each, error)
            finally:
                propagator.end(mark)
        elif self._queue is not None:
            self._queue.append(argv)
        elif name == b"multi":
            self._begun = before
            self._queue = []
        elif name == b"replconf":
            if len(argv) > 1 and argv[1].lower() == b"getack":
                self._asked = before
        else:
            self(argv)

    def _failed(self, argv: list[bytes], error: Exception) -> None:
        self.errors += 1
        if isinstance(error, ReplyError | UnknownCommandError):
            text = error.text.decode("utf-8", "replace") if isinstance(error, ReplyError) else str(error)
            log.warning("A command of the master failed here: %r: %s", argv[0][:128], text)
        elif not isinstance(error, Pause | Disconnect):
            log.error("%r of the master failed: %r", argv[0][:128], error, exc_info=error)
        error.__traceback__ = error.__context__ = None

    def _count(self, batch: list[list[bytes]], since: float) -> None:
        """Counts calls. Commands of a piece share its time."""
        if not batch:
            return
        each = (monotonic() - since) / len(batch)
        for name, calls in Counter([argv[0] for argv in batch]).items():
            stats = self._stats.get(name)
            if stats is None:
                entry = self._server.modes.normal.entries.get(name.lower())
                if entry is None:
                    continue
                stats = self._stats[name] = entry.stats
            stats.record(calls, calls * each)

    # The append-only file

    def _choose_table(self) -> None:
        """The append-only file gets commands as they are: they were rewritten for replaying already."""
        if not self._server.propagator.on:
            self._table = self._plain
        else:
            if self._recorded is None:
                self._recorded = {
                    name: self._recording(name, self._commands[name.lower()], handler)
                    for name, handler in self._plain.items()
                }
            self._table = self._recorded

    def _recording(self, name: bytes, command: Command, handler: Handler) -> Handler:
        if not command.flags & WRITE:
            return handler
        name = command.name.upper().encode()

        def run(client: Client, *arguments: bytes) -> bytes:
            db = client.db
            reply = handler(client, *arguments)
            client.server.propagator.add(db, name, *arguments)
            return reply

        return run

    def _find(self, argv: list[bytes]) -> tuple[Handler, list[bytes]]:
        handler, short = super()._find(argv)
        command = self._commands[argv[0].lower()]
        if not self._server.propagator.on or not command.subcommands:
            return handler, short
        found = (command.subcommands | command.unlisted)[argv[1].lower()]
        if not found.flags & WRITE:
            return handler, short

        def run(client: Client, *arguments: bytes) -> bytes:
            db = client.db
            reply = handler(client, *arguments)
            client.server.propagator.add(db, *argv)
            return reply

        return run, short
