"""Moving keys to other servers, see `respcache.features.migration`, while this one goes on.

Redis stands still until the other server has answered, so that nobody sees or changes what is on its way. Here the keys
are held (`respcache.holding`): who wants one of them waits until it is known where it is. So all that clients can tell
is that the others were served meanwhile. When the answers are there, the keys that were confirmed are deleted in one
turn of the loop and propagated as one DEL, as in Redis.

Rejected: to go on serving the keys, and to send again those that were changed. The last one to be sent would have to be
held just the same, and a reader could see an old value here after a new one was written there.

Not even the deletion may come where a write may not: during CLIENT PAUSE, which precedes a failover, it waits as well;
of a server that has become a replica meanwhile nothing is deleted, and the client learns as much (`abandon`).

Inside of a transaction nobody can wait; there it is done as Redis does it, and everything stands still.
"""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, TypeVar, cast

from respcache.execute import INTERNAL_ERROR
from respcache.features.migration import NOT_READ, Batch
from respcache.log import logger as log
from respcache.protocol.errors import ReplyError
from respcache.serve import serve
from respcache.state import ServerState

KEPT = 10.0
"""Seconds that a connection is kept for a next time."""

MOST_KEPT = 64

LINGER = 1.0
"""Seconds that the gate stays on when no key is held any more: who moves a slot comes back at once, and to turn it on
and off costs more than to leave it."""

MAX_LINE = 1 << 20
"""Bytes of an answer; the other server is none if it says more."""

Move = asyncio.Task[ReplyError | None]
"""It returns what went wrong."""

T = TypeVar("T")


class Line(asyncio.Protocol):
    """A connection to another server. Implements `respcache.features.migration.Channel`."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._full = False  # the other server is slower than this one
        self._answers: deque[bytes] = deque()
        self._torn = b""  # of an answer
        self._waits: asyncio.Future[None] | None = None
        self._most = 0  # answers that there can be
        self._seconds = 0.0
        self.selected = -1

    # What asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The line is open."""
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Takes answers."""
        *answers, self._torn = (self._torn + data).split(b"\n")
        self._answers.extend(answer.removesuffix(b"\r") for answer in answers)
        if len(self._torn) > MAX_LINE or len(self._answers) > self._most:
            self.close()
        self._go_on()

    def connection_lost(self, exc: Exception | None) -> None:
        """The line is closed."""
        self._transport = None
        self._go_on()

    def pause_writing(self) -> None:
        """The other server is slow."""
        self._full = True

    def resume_writing(self) -> None:
        """It has caught up."""
        self._full = False
        self._go_on()

    # What a batch does

    def expect(self, answers: int, seconds: float) -> None:
        """So many answers will come at most, else the line is closed; the other server may be silent for so long."""
        self._most, self._seconds = answers, seconds

    async def write(self, data: bytes | memoryview) -> None:
        """Sends something, and lets others have their turn. What is lost on the way, who reads will learn."""
        if self._transport is None:
            raise ConnectionResetError
        if data:
            self._transport.write(data)
        await asyncio.sleep(0)
        while self._full and self._transport is not None:
            await self._change()

    async def read(self) -> bytes:
        """The next answer."""
        while not self._answers:
            if self._transport is None:
                raise ConnectionResetError
            await self._change()
        return self._answers.popleft()

    def close(self) -> None:
        """Closes the line, whatever is on its way."""
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.abort()

    @property
    def is_idle(self) -> bool:
        """Whether it is open, and the other server has said nothing that it was not asked for."""
        return self._transport is not None and not self._answers and not self._torn

    async def _change(self) -> None:
        """Returns when something has happened. Raises TimeoutError."""
        self._waits = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(self._seconds):  # `wait_for` may swallow a cancellation in Python 3.11
                await self._waits
        finally:
            self._waits = None

    def _go_on(self) -> None:
        if self._waits is not None and not self._waits.done():
            self._waits.set_result(None)


class BlockingLine:
    """A connection that makes everybody wait: its coroutines never do. Implements
    `respcache.features.migration.Channel`."""

    def __init__(self, host: str, port: int, seconds: float) -> None:
        """Raises what `socket.create_connection` raises."""
        self._socket = socket.create_connection((host, port), seconds)
        self._file = self._socket.makefile("rb")
        self.selected = -1

    async def write(self, data: bytes | memoryview) -> None:
        """Sends something."""
        self._socket.sendall(data)

    async def read(self) -> bytes:
        """The next answer."""
        line = self._file.readline(MAX_LINE)
        if line[-1:] != b"\n":
            raise ConnectionResetError
        return line[:-1].removesuffix(b"\r")

    def close(self) -> None:
        """Closes the connection."""
        self._file.close()
        self._socket.close()


class Migrating:
    """All moves that are under way, and the connections that are kept."""

    def __init__(self, server: ServerState) -> None:
        self._server = server
        self._kept: dict[tuple[str, int], tuple[Line, asyncio.TimerHandle]] = {}  # those used last at the end
        self._moves: set[Move] = set()
        self._abandoned: dict[Move, ReplyError] = {}
        self._rests: asyncio.TimerHandle | None = None
        server.held.abandon = self._abandon

    @property
    def cached(self) -> int:
        """How many connections are kept for a next time."""
        return len(self._kept)

    # Moving

    def move(self, batch: Batch, done: Callable[[ReplyError | None], None]) -> None:
        """Moves keys. They are held until `done` is called with what went wrong, if anything did."""
        server = self._server
        server.held.hold(batch.keys)
        server.modes.switch("held", True)
        task = server.loop.create_task(self._deliver(batch))
        self._moves.add(task)
        task.add_done_callback(partial(self._end, batch, done))

    def move_now(self, batch: Batch) -> ReplyError | None:
        """Moves keys, and everybody waits. Returns what went wrong."""
        lines: list[BlockingLine] = []

        async def connect(_anew: bool) -> BlockingLine:
            lines.append(BlockingLine(batch.host, batch.port, batch.seconds))
            return lines[-1]

        try:
            return _run(batch.deliver(connect))
        finally:
            for line in lines:
                line.close()
            self._delete(batch)

    async def _deliver(self, batch: Batch) -> ReplyError | None:
        used: list[Line] = []

        async def connect(anew: bool) -> Line:
            used.append(await self._connect(batch, anew))
            return used[-1]

        error = await batch.deliver(connect)
        if used:
            self._keep(batch, used[-1])
        pause = self._server.pause
        while pause.active and not batch.copy:
            over = self._server.loop.create_future()
            pause.wait(-id(batch), partial(_resolve, over))
            await over
        self._delete(batch)  # at once: a pause may begin before the end of this task is noticed
        return error

    def _end(self, batch: Batch, done: Callable[[ReplyError | None], None], task: Move) -> None:
        """Lets everybody go on. Called once for each move, whatever happened."""
        server = self._server
        self._moves.discard(task)
        server.pause.forget(-id(batch))
        error = self._abandoned.pop(task, None)
        if error is None:
            error = _result(task)
            self._delete(batch)  # what had arrived before it was broken off
        waiting, postponed = server.held.let_go(batch.keys)
        done(error)
        for release in waiting:
            server.loop.call_soon(release)
        server.waiting.ready.update(postponed)
        if server.waiting.ready:
            serve(server)
        if not server.held.keys:
            self._rest_later()

    def _delete(self, batch: Batch) -> None:
        if batch.copy:
            return
        gone = [key for key in batch.confirmed if batch.db.delete(key)]
        if gone:
            self._server.propagator.add(batch.db, b"DEL", *gone)

    # Connections

    async def _connect(self, batch: Batch, anew: bool) -> Line:
        kept = self._kept.pop((batch.host, batch.port), None)
        if kept is not None:
            line, timer = kept
            timer.cancel()
            if line.is_idle and not anew:
                line.expect(batch.answers, batch.seconds)
                return line
            line.close()
        async with asyncio.timeout(batch.seconds):
            _, line = await self._server.loop.create_connection(Line, batch.host, batch.port)
        line.expect(batch.answers, batch.seconds)
        return line

    def _keep(self, batch: Batch, line: Line) -> None:
        where = batch.host, batch.port
        if not line.is_idle or where in self._kept:  # it is broken, or there were two at the same time
            line.close()
            return
        if len(self._kept) >= MOST_KEPT:
            self._drop(next(iter(self._kept)))
        line.expect(0, 0)
        self._kept[where] = line, self._server.loop.call_later(KEPT, self._drop, where)

    def _drop(self, where: tuple[str, int]) -> None:
        line, timer = self._kept.pop(where)
        timer.cancel()
        line.close()

    # The end

    def _rest_later(self) -> None:
        if self._rests is not None:
            self._rests.cancel()
        self._rests = self._server.loop.call_later(LINGER, self._rest)

    def _rest(self) -> None:
        self._rests = None
        if not self._server.held.keys:
            self._server.modes.switch("held", False)

    def _abandon(self, error: ReplyError) -> None:
        """Ends all moves with an error, and deletes nothing."""
        for task in self._moves:
            if task.cancel():  # else it is over, and has deleted what it had to
                self._abandoned[task] = error

    async def stop(self) -> None:
        """Ends all moves; what has arrived is deleted here. Keeps no connection any more."""
        while self._moves:  # whoever waited for the end of one may begin another
            for task in self._moves:
                task.cancel()
            await asyncio.wait([*self._moves])
            await asyncio.sleep(0)  # for what is done when they are
        for where in [*self._kept]:
            self._drop(where)
        if self._rests is not None:
            self._rests.cancel()
            self._rest()


def _result(task: Move) -> ReplyError | None:
    """What went wrong with a move that is over."""
    if task.cancelled():
        return NOT_READ
    failure = task.exception()
    if failure is None:
        return task.result()
    log.error("MIGRATE failed: %r", failure, exc_info=failure)
    return INTERNAL_ERROR


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Runs a coroutine that never waits."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        return cast(T, end.value)
    raise AssertionError("it waits")
