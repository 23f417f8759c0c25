"""A server in a thread of its own, for code that has no event loop: tests, notebooks, scripts."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import threading
from typing import Any

from respcache.loop import run
from respcache.server import Server

_running: set[ServerThread] = set()
"""Servers that serve: they leave by themselves when they end, however that is."""


class ServerThread:
    """A running server. Use it as a context manager, or call `stop`."""

    def __init__(self, port: int = 6379, **directives: Any) -> None:
        self._options = {"port": port, **directives}
        self._ready = threading.Event()
        self._error: BaseException | None = None
        self._server: Server | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._serve, name="respcache", daemon=True)
        self._thread.start()
        self._ready.wait()
        if self._error is not None:
            self._thread.join()
            raise self._error

    def __repr__(self) -> str:
        return f"<respcache on port {self.port}>" if self._server is not None else "<respcache>"

    @property
    def port(self) -> int:
        """The TCP port, 0 if there is none."""
        assert self._server is not None
        return self._server.port

    @property
    def url(self) -> str:
        """Where the server is, as redis-py's `from_url` takes it."""
        assert self._server is not None
        return self._server.url

    def stop(self) -> None:
        """Stops the server and waits until it has. A second call does nothing."""
        if self._loop is not None and self._server is not None:
            with contextlib.suppress(RuntimeError):  # its loop has ended by itself, after SHUTDOWN
                self._loop.call_soon_threadsafe(self._server.state.shutdown)
        self._thread.join()

    def __enter__(self) -> ServerThread:
        return self

    def __exit__(self, *_error: object) -> None:
        self.stop()

    def _serve(self) -> None:
        try:
            run(self._main())
        except BaseException as error:
            self._error = error
        finally:
            _running.discard(self)
            self._ready.set()

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._server = Server(**self._options)
        await self._server.start()
        _running.add(self)
        self._ready.set()
        await self._server.wait_stopped()


def start(port: int = 6379, **directives: Any) -> ServerThread:
    """Starts a server in a thread and returns when it accepts connections; `port=0` takes a free port.

    Directives of redis.conf are keyword arguments, with `_` for `-`. The server stops with `stop()`, or with the
    process. Raises OSError if the port cannot be had and ConfigError for a bad directive.
    """
    return ServerThread(port, **directives)


def stop() -> None:
    """Stops all servers that run in threads."""
    for server in list(_running):
        server.stop()


atexit.register(stop)
