"""Requests and replies in an event loop: all nodes at once, and no longer than the deadline.

The time of a deadline is that of the loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import hiredis

from respcache.client.dial import dial_async
from respcache.client.errors import CacheError
from respcache.client.links import CHUNK, MOST_IDLE
from respcache.client.node import Node
from respcache.client.request import Request, new_reader


class AsyncLink:
    """A connection to a node, for one request at a time."""

    __slots__ = ("_reader", "_stream", "_writer")

    def __init__(self, stream: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._stream = stream
        self._writer = writer
        self._reader = new_reader()

    async def converse(self, request: Request) -> None:
        """Send a request and read its replies. Raises OSError or hiredis.ProtocolError."""
        # Not drained: a node may wait with reading until its replies are read.
        self._writer.write(request.payload)
        while True:
            data = await self._stream.read(CHUNK)
            if not data:
                raise ConnectionResetError("the node closed the connection")
            self._reader.feed(data)
            if request.read(self._reader):
                return

    @property
    def whole(self) -> bool:
        """Whether nothing is known of its end."""
        return not (self._stream.at_eof() or self._writer.is_closing() or self._stream.exception())

    def close(self) -> None:
        """Close the connection, without waiting for what was not sent."""
        self._writer.transport.abort()


class AsyncLinks:
    """The links of a client to all its nodes, in one event loop."""

    def __init__(self) -> None:
        self._idle: dict[Node, list[AsyncLink]] = {}
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
        link = self._take(request.node)
        await self._attempt(request, link, deadline)
        cut = request.failure is not None and not isinstance(request.failure, TimeoutError)
        if link is not None and cut and repeatable:
            request.again()
            await self._attempt(request, None, deadline)

    async def _attempt(self, request: Request, link: AsyncLink | None, deadline: float) -> None:
        try:
            async with asyncio.timeout_at(deadline):
                if link is None:
                    left = deadline - asyncio.get_running_loop().time()
                    link = AsyncLink(*await dial_async(request.node, left))
                await link.converse(request)
        except (OSError, CacheError, hiredis.ProtocolError) as error:  # a TimeoutError is an OSError
            request.fail(error)
            self.drop(request.node)
            if link is not None:
                link.close()
        except BaseException:  # cancelled: its replies are still on their way
            if link is not None:
                link.close()
            raise
        else:
            self._give(request.node, link)

    def _take(self, node: Node) -> AsyncLink | None:
        idle = self._idle.get(node)
        while idle:
            link = idle.pop()
            if link.whole:
                return link
            link.close()
        return None

    def _give(self, node: Node, link: AsyncLink) -> None:
        idle = self._idle.setdefault(node, [])
        if self._closed or len(idle) >= MOST_IDLE:
            link.close()
        else:
            idle.append(link)

    def drop(self, node: Node) -> None:
        """Close the idle links of a node."""
        for link in self._idle.pop(node, []):
            link.close()

    async def close(self) -> None:
        """Close all idle links; those in use are closed when they come back."""
        self._closed = True
        for node in list(self._idle):
            self.drop(node)
        await asyncio.sleep(0)  # transports close in the loop's next turn
