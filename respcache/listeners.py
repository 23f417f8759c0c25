"""Listening: the addresses of a server, and how they change while it runs."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import stat
from collections.abc import Callable
from functools import partial

from respcache.connection import Connection
from respcache.log import logger as log
from respcache.sockets import listening
from respcache.state import ServerState


class Listeners:
    """Where a server accepts connections: TCP on the addresses of `bind`, and a Unix socket."""

    def __init__(self, state: ServerState, connect: Callable[[bool], Connection]) -> None:
        self._state = state
        self._config = state.config
        self._connect = connect  # makes the protocol of a connection; whether it is a Unix socket
        self._bound: list[socket.socket] = []  # of TCP, on their way to be listeners
        self.tcp: list[asyncio.Server] = []
        self._unix: asyncio.Server | None = None
        self._opening: asyncio.Task[None] | None = None  # of new addresses, after CONFIG SET
        self.path = ""
        """Of the Unix socket."""

    async def listen(self, port: int) -> None:
        """Opens what the configuration asks for, with this port. Raises OSError, and then `close` is still to be
        called."""
        config = self._config
        if port or not config.unixsocket:
            self._listen_on(self._bind(port))
            await self._open(self._bound)
        if config.unixsocket:
            await self._listen_unix(os.path.abspath(config.unixsocket))

    def _listen_on(self, bound: list[socket.socket]) -> None:
        self._bound = bound
        self._state.port = bound[0].getsockname()[1] if bound else 0

    def _bind(self, port: int) -> list[socket.socket]:
        """Listens on all addresses of `bind`, or on none: OSError. Connections wait until `_open`.

        Port 0 takes one that is free on the first address.
        """
        bound: list[socket.socket] = []
        try:
            for word in self._config.bind:
                host = word.removeprefix("-")  # it may be missing
                try:
                    bound.append(self._bind_one(host, port))
                except OSError as error:
                    if host != word:
                        continue
                    what = f"Could not create server TCP listening socket {host}:{port}: {_reason(error)}"
                    raise OSError(error.errno, what) from None
                port = port or bound[0].getsockname()[1]
            if not bound:
                raise OSError(f"None of the addresses of 'bind' is available: {' '.join(self._config.bind)}")
        except BaseException:
            for made in bound:
                made.close()
            raise
        return bound

    def _bind_one(self, host: str, port: int) -> socket.socket:
        return listening(host, port, self._config.tcp_backlog)

    async def _open(self, bound: list[socket.socket]) -> None:
        """Accepts connections on sockets that listen, unless they were closed meanwhile."""
        while bound:
            listener = await self._state.loop.create_server(
                partial(self._connect, False), sock=bound.pop(0), backlog=self._config.tcp_backlog
            )
            if bound is not self._bound:
                listener.close()
                return
            self.tcp.append(listener)

    def rebind(self, port: int) -> None:
        """Listens elsewhere after CONFIG SET, nowhere if `port` is 0. The clients stay.

        Raises ValueError if it cannot, and then listens where it did before.
        """
        try:
            bound = self._bind_beside(port) if port else []
        except OSError as error:
            log.warning("%s", error.strerror or error)
            raise ValueError("Unable to listen on this port. Check server logs.") from None
        self._close_tcp()
        self._listen_on(bound)
        self._open_soon()

    def _bind_beside(self, port: int) -> list[socket.socket]:
        """As `_bind`, while the server still listens. What is in the way of other addresses of the same port is
        closed before; if that was in vain, it is opened again."""
        before = self._state.port
        try:
            return self._bind(port)
        except OSError:
            if port != before:
                raise
        listening = [*self._bound, *(listener.sockets[0] for listener in self.tcp)]
        hosts = [one.getsockname()[0] for one in listening]
        self._close_tcp()
        try:
            return self._bind(port)
        except OSError:
            back = []
            for host in hosts:
                with contextlib.suppress(
                    OSError
                ):  # taken by somebody in the meantime: rather on some than on none
                    back.append(self._bind_one(host, before))
            self._listen_on(back)
            self._open_soon()
            raise

    def _open_soon(self) -> None:
        self._opening = self._state.loop.create_task(self._open(self._bound))

    async def _listen_unix(self, path: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            if stat.S_ISSOCK(os.stat(path).st_mode):
                os.unlink(path)
        connect, backlog = partial(self._connect, True), self._config.tcp_backlog
        try:
            self._unix = await self._state.loop.create_unix_server(connect, path, backlog=backlog)
        except OSError as error:
            raise OSError(error.errno, f"Failed opening Unix socket {path}: {_reason(error)}") from None
        self.path = path
        if self._config.unixsocketperm:
            os.chmod(path, self._config.unixsocketperm)

    def _close_tcp(self) -> None:
        for listener in self.tcp:
            listener.close()
        while self._bound:
            self._bound.pop().close()
        self.tcp = []
        self._bound = []  # which `_open` notices

    def close(self) -> None:
        """Closes everything; connections stay."""
        self._close_tcp()
        if self._unix is not None:
            self._unix.close()
            self._unix = None
            with contextlib.suppress(OSError):
                os.unlink(self.path)


def _reason(error: OSError) -> str:
    """Without the address that asyncio adds to it."""
    if isinstance(error, socket.gaierror) or not error.errno:
        return error.strerror or str(error)
    return os.strerror(error.errno)
