"""Receiving all data of a master: an RDB file from the network, loaded as it comes.

What reads RDB files asks for bytes, and takes the more of them at once the bigger a value is; a loop cannot wait in the
middle of that. So a thread reads, and takes the data into the databases, as nobody else may use them meanwhile. The
loop hands it what has come, and stops reading from the socket if the thread falls behind.
"""

from __future__ import annotations

from asyncio import AbstractEventLoop, wrap_future
from collections import deque
from collections.abc import Callable
from threading import Condition

from respcache.loading import Loader, LoadError, Loading, LoadingStopped, without_collector
from respcache.persistence.rdb_build import Limits
from respcache.persistence.rdb_read import read_file
from respcache.persistence.source import RdbError, Source
from respcache.persistence.worker import Worker
from respcache.state import ServerState

HIGH = 4 << 20
"""Bytes that may wait for the thread."""
LOW = 1 << 20
"""Bytes that wait when the socket is read again."""


LOOK = 0.1
"""Seconds that the thread waits before it looks whether it is to give up."""


class Incoming:
    """Bytes on their way from the loop to a thread."""

    def __init__(
        self, loop: AbstractEventLoop, pause: Callable[[], None], resume: Callable[[], None]
    ) -> None:
        self._loop = loop
        self._pause = pause
        self._resume = resume
        self._parts: deque[bytes] = deque()
        self._size = 0
        self._paused = False
        self._ended = False
        self._changed = Condition()
        self.stopped: Callable[[], bool] = bool
        """Whether the thread is to give up."""

    def put(self, data: bytes) -> None:
        """Adds bytes, in the loop."""
        if not data:
            return
        with self._changed:
            self._parts.append(data)
            self._size += len(data)
            self._changed.notify()
            pause = self._size > HIGH and not self._paused
            self._paused |= pause
        if pause:
            self._pause()

    def end(self, drop: bool = False) -> None:
        """There are no more bytes; with `drop` not even those that are there. The thread does not wait any more."""
        with self._changed:
            self._ended = True
            if drop:
                self._parts.clear()
            self._changed.notify()

    def read(self, count: int) -> bytes:
        """Up to so many bytes, none only at the end. In the thread: it waits for them."""
        with self._changed:
            while not self._parts and not self._ended and not self.stopped():
                self._changed.wait(LOOK)
            if not self._parts:
                return b""
            part = self._parts.popleft()
            if len(part) > count:
                self._parts.appendleft(part[count:])
                part = part[:count]
            self._size -= len(part)
            resume = self._paused and self._size < LOW
            if resume:
                self._paused = False
        if resume:
            self._loop.call_soon_threadsafe(self._resume)
        return part


async def receive(server: ServerState, incoming: Incoming, total: int) -> Loader:
    """Loads a file of so many bytes, -1 if that is not known, into databases without keys.

    Raises LoadError, and LoadingStopped; what was loaded before stays.
    """
    loader = Loader(server, keep_expired=True)
    source = Source(incoming.read, bool(server.config.rdbchecksum))
    limits = Limits.of(server.config)
    thread = Worker("respcache-receive")

    def run() -> LoadError | LoadingStopped | None:
        try:
            for done in read_file(source, limits, loader):
                loading.note(done)
                if loading.stopped:
                    return LoadingStopped()
            if source.rest or incoming.read(1):
                return LoadError("there are bytes behind the end of the data")
        except RdbError as error:
            return LoadingStopped() if loading.stopped else LoadError(str(error))
        except ValueError as error:
            return LoadError(f"{error} (before offset {source.offset})")
        return None

    try:
        with Loading(server, max(total, 0)) as loading, without_collector():
            incoming.stopped = lambda: loading.stopped
            failed = await wrap_future(thread.submit(run))
    finally:
        incoming.end(drop=True)
        thread.shutdown(wait=False)
    if failed is not None:
        raise failed
    return loader
