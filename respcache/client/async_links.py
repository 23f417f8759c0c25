"""Requests and replies in an event loop: all nodes at once, and no longer than the deadline.

The time of a deadline is that of the loop.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from time import monotonic

import hiredis

from respcache.client.dial import dial_async
from respcache.client.errors import CacheError, DeadlineError, LocalError
from respcache.client.link import SLICE
from respcache.client.links import CONNECTIONS
from respcache.client.node import Node
from respcache.client.request import Request, new_reader

LATE = 0.02  # seconds; a loop that comes to a deadline later than that was held up by others


class AsyncLink(asyncio.Protocol):
    """A connection to a node, for one request at a time.

    Not by the streams that it was opened with: they take a task's turn for each piece, and a timeout of asyncio's, with
    a task to cancel, for each request.
    """

    def __init__(self, stream: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._loop = asyncio.get_running_loop()
        self._reader = new_reader()
        self._writer = writer  # it would close the transport when nobody has it
        self._transport = writer.transport
        self._transport.set_protocol(self)
        self._request: Request | None = None
        self._over: asyncio.Future[None] | None = None  # of the request
        self._room: asyncio.Future[None] | None = None  # to send more
        self.whole = not stream.at_eof()  # nothing is known of its end

    async def converse(self, request: Request, deadline: float) -> None:
        """Have a request answered or failed by the deadline. A link that is not whole afterwards is closed."""
        request.asked = monotonic()
        self._request = request
        if not self.whole:
            self._end(ConnectionResetError("the node closed the connection"))
            return
        self._over = self._loop.create_future()
        timer = self._loop.call_at(deadline, self._expire, request, deadline)
        try:
            if len(request.payload) <= SLICE:
                self._transport.write(request.payload)
            else:
                await self._send(request.payload)
            await self._over
        except BaseException:  # cancelled: its replies are still on their way
            self.close()
            raise
        finally:
            timer.cancel()
            self._request = None

    async def _send(self, payload: bytes) -> None:
        """Write no faster than the node reads, so that a deadline ends it. Replies are read meanwhile."""
        rest = memoryview(payload)
        while rest and self._request is not None:
            self._transport.write(rest[:SLICE])
            rest = rest[SLICE:]
            if self._room is not None:
                await self._room
        if rest:  # answered before it was heard: what comes next would be taken for the rest
            self.close()

    def _expire(self, request: Request, deadline: float, once_more: bool = True) -> None:
        if self._request is not request:
            return
        if self._loop.time() > deadline + LATE:
            request.excuse()
            if once_more:  # what has arrived meanwhile is read first
                self._loop.call_later(0, self._expire, request, deadline, False)
                return
        self._end(TimeoutError())

    def _end(self, error: BaseException | None) -> None:
        """The request is over; the link, too, after an error."""
        request, self._request = self._request, None
        if error is not None:
            self.close()
            if request is not None:
                request.fail(error)
        for future in (self._over, self._room):
            if future is not None and not future.done():
                future.set_result(None)

    def data_received(self, data: bytes) -> None:
        """Replies, or a part of one."""
        if self._request is None:  # of what we did not ask
            self.close()
            return
        self._reader.feed(data)
        try:
            if self._request.read(self._reader):
                self._end(None)
        except hiredis.ProtocolError as error:
            self._end(error)

    def connection_lost(self, error: Exception | None) -> None:
        """The node closed the connection, or we."""
        self._end(error or ConnectionResetError("the node closed the connection"))

    def pause_writing(self) -> None:
        """Enough is waiting to be sent."""
        self._room = self._loop.create_future()

    def resume_writing(self) -> None:
        """It was sent."""
        room, self._room = self._room, None
        if room is not None and not room.done():
            room.set_result(None)

    def close(self) -> None:
        """Close the connection, without waiting for what was not sent."""
        self.whole = False
        self._transport.abort()


class AsyncPool:
    """The links to a node, as `links.Pool`, for the tasks of a loop."""

    def __init__(self, node: Node, size: int) -> None:
        self._node = node
        self._size = size
        self._taken = 0  # places: links in use, idle, or being opened
        self._idle: list[AsyncLink] = []
        self._waiting: deque[asyncio.Future[AsyncLink | None]] = deque()  # some do not wait any more
        self._closed = False

    def spare(self) -> AsyncLink | None:
        """An idle link that is whole; None if there is none."""
        while self._idle:
            link = self._idle.pop()
            if link.whole:
                return link
            self.leave()
        return None

    async def take(self, deadline: float, *, patient: bool = False) -> AsyncLink | None:
        """A link, or None for the place of one. `patient`: waits, first of all, for a link if there is any.

        Raises DeadlineError, or what those who opened one were told.
        """
        link = self.spare()
        if link is not None:
            return link
        while self._waiting and self._waiting[0].done():
            self._waiting.popleft()
        if self._taken < self._size and not self._waiting and not (patient and self._taken):
            self._taken += 1
            return None
        loop = asyncio.get_running_loop()
        turn: asyncio.Future[AsyncLink | None] = loop.create_future()
        if patient:
            self._waiting.appendleft(turn)
        else:
            self._waiting.append(turn)
        timer = loop.call_at(deadline, self._expire, turn)
        try:
            return await turn
        except asyncio.CancelledError:
            if not turn.cancelled() and turn.exception() is None:  # it came at the same time
                self._pass(turn.result())
            raise
        finally:
            timer.cancel()

    def _expire(self, turn: asyncio.Future[AsyncLink | None]) -> None:
        if not turn.done():
            turn.set_exception(DeadlineError(self._node.name, "no connection was free in time"))

    def _next(self) -> asyncio.Future[AsyncLink | None] | None:
        """The first that waits still."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                return turn
        return None

    def _pass(self, link: AsyncLink | None) -> None:
        if link is None:
            self.leave()
        else:
            self.give(link)

    def give(self, link: AsyncLink) -> None:
        """Put a link back; or its place, if it is not whole."""
        if self._closed:
            link.close()
        if not link.whole:
            self.leave()
        elif turn := self._next():
            turn.set_result(link)
        else:
            self._idle.append(link)

    def leave(self) -> None:
        """A link is closed: its place is for the first who waits."""
        if turn := self._next():
            turn.set_result(None)
        else:
            self._taken -= 1

    def fail(self, error: CacheError) -> bool:
        """A link could not be opened; whether there are others.

        Who waits is not sent to try the same: others come back, or else the error is for all.
        """
        self._taken -= 1
        while not self._taken and (turn := self._next()):
            turn.set_exception(error)
        return self._taken > 0

    def drop(self) -> None:
        """Close the idle links."""
        idle, self._idle = self._idle, []
        self._taken -= len(idle)
        for link in idle:
            link.close()

    def close(self) -> None:
        """Close the idle links, and others when they come back."""
        self._closed = True
        self.drop()


class AsyncLinks:
    """The links of a client to all its nodes, so many to each at most, in one event loop."""

    def __init__(self, connections: int = CONNECTIONS) -> None:
        self._connections = connections
        self._pools: dict[Node, AsyncPool] = {}
        self._closed = False

    async def ask(self, requests: Sequence[Request], deadline: float, *, repeatable: bool) -> None:
        """Have all requests answered or failed by the deadline.

        What was asked on a link that its node had cut is asked again, if it may be done twice.
        """
        if len(requests) == 1:
            await self._ask(requests[0], deadline, repeatable)
        else:
            await asyncio.gather(*(self._ask(request, deadline, repeatable) for request in requests))

    async def _ask(self, request: Request, deadline: float, repeatable: bool) -> None:
        pool = self.pool(request.node)
        link: AsyncLink | None = None
        try:
            link = pool.spare() or await pool.take(deadline)
            used = link is not None
            if link is None:
                link = await self._open(pool, request, deadline)
            await link.converse(request, deadline)
            failure = None if link.whole else request.failure
            if used and failure is not None and not isinstance(failure, TimeoutError):
                pool.drop()  # the others may be cut, too
                if repeatable:
                    request.again()
                    link = None
                    link = await self._open(pool, request, deadline)
                    await link.converse(request, deadline)
        except (CacheError, TimeoutError) as error:
            request.fail(error)
        except BaseException:  # cancelled
            if link is not None:
                pool.give(link)
            raise
        else:
            pool.give(link)

    async def _open(self, pool: AsyncPool, request: Request, deadline: float) -> AsyncLink:
        """A new link in a place that we have, and lose otherwise; if we can open none, one that others have used."""
        loop = asyncio.get_running_loop()
        while True:
            request.asked = monotonic()
            try:
                async with asyncio.timeout_at(deadline):
                    return AsyncLink(*await dial_async(request.node, deadline - loop.time()))
            except LocalError as error:
                if not pool.fail(error):
                    raise
            except TimeoutError:
                pool.leave()
                if loop.time() > deadline + LATE:
                    request.excuse()
                raise
            except CacheError as error:
                pool.drop()
                pool.fail(error)
                raise
            except BaseException:  # cancelled
                pool.leave()
                raise
            request.excuse()
            link = await pool.take(deadline, patient=True)
            if link is not None:
                return link

    def pool(self, node: Node) -> AsyncPool:
        """The links to a node."""
        found = self._pools.get(node)
        if found is None:
            found = self._pools[node] = AsyncPool(node, self._connections)
            if self._closed:
                found.close()
        return found

    async def close(self) -> None:
        """Close all idle links; those in use are closed when they come back."""
        self._closed = True
        for pool in self._pools.values():
            pool.close()
        await asyncio.sleep(0)  # transports close in the loop's next turn
