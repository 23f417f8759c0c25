"""A cache on several nodes, for asyncio."""

from __future__ import annotations

import asyncio
import functools
import logging
import weakref
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Concatenate, NoReturn, ParamSpec, Self, TypeVar, Unpack

from respcache.client.async_links import AsyncLinks
from respcache.client.errors import CacheError
from respcache.client.health import Health
from respcache.client.node import Nodes
from respcache.client.operations import Operation, Operations, Options
from respcache.client.ring import HashRing

P = ParamSpec("P")
T = TypeVar("T")

log = logging.getLogger("respcache.client")


def _carried_out(
    plan: Callable[Concatenate[Operations, P], Operation[T]],
) -> Callable[Concatenate[AsyncCacheClient, P], Coroutine[Any, Any, T]]:
    """The method of a client that carries an operation out."""

    @functools.wraps(plan)
    async def method(self: AsyncCacheClient, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._run(plan(self._operations, *args, **kwargs))

    return method


class AsyncCacheClient:
    """`CacheClient` for asyncio: the same nodes, options and methods, awaited; one event loop at a time.

        async with AsyncCacheClient(["127.0.0.1:7001", "127.0.0.1:7002"]) as cache:
            await cache.set("brazil", "football", expire=60)

    The check in the background is a task, from the first operation to `close`.
    """

    def __init__(self, nodes: Nodes, **options: Unpack[Options]) -> None:
        self._operations = Operations(nodes, options)
        self._links = AsyncLinks(self._operations.connections)
        self._loop: asyncio.AbstractEventLoop | None = None  # the one in which the checks run
        self._checks: asyncio.Task[None] | None = None
        self._closed = False

    get = _carried_out(Operations.get)
    set = _carried_out(Operations.set)
    add = _carried_out(Operations.add)
    delete = _carried_out(Operations.delete)
    increment = _carried_out(Operations.increment)
    decrement = _carried_out(Operations.decrement)
    contains = _carried_out(Operations.contains)
    touch = _carried_out(Operations.touch)
    expire = _carried_out(Operations.expire)
    get_many = _carried_out(Operations.get_many)
    set_many = _carried_out(Operations.set_many)
    delete_many = _carried_out(Operations.delete_many)
    clear = _carried_out(Operations.clear)
    check = _carried_out(Operations.check)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"<AsyncCacheClient of {self._operations.fleet}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a client has connections: it cannot be pickled; make one in each process")

    @property
    def ring(self) -> HashRing:
        """The ring of all nodes."""
        return self._operations.fleet.ring

    def health(self) -> dict[str, Health]:
        """The state of every node, by name."""
        return self._operations.fleet.health()

    async def close(self) -> None:
        """End the checks and close the connections. Operations raise CacheError from now on."""
        self._closed = True
        if self._checks is not None and self._loop is asyncio.get_running_loop():
            self._checks.cancel()
            await asyncio.gather(self._checks, return_exceptions=True)
        self._checks = self._loop = None
        await self._links.close()

    async def _run(self, operation: Operation[T]) -> T:
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            self._start(loop)
        if operation.requests:
            seconds = self._operations.seconds(operation)
            await self._links.ask(operation.requests, loop.time() + seconds, repeatable=operation.repeatable)
        return self._operations.finish(operation)

    def _start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin to check, at the first operation, and anew in another loop."""
        if self._closed:
            raise CacheError("the client is closed")
        if self._loop is not None:  # the connections ended with theirs
            self._links = AsyncLinks(self._operations.connections)
        self._loop = loop
        # The task holds no client: one that is forgotten without `close` is not kept alive by its checks.
        self._checks = loop.create_task(_check_always(weakref.ref(self), self._operations.check_interval))


async def _check_always(client: weakref.ref[AsyncCacheClient], seconds: float) -> None:
    while True:
        await asyncio.sleep(seconds)
        alive = client()
        if alive is None:
            return
        try:
            await alive.check()
        except Exception as error:  # or an ejected node would never come back
            log.warning("a check failed: %s", error)
        del alive
