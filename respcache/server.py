"""The server: builds the parts, wires them, opens the sockets, and closes everything again."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import platform
import secrets
import socket
import stat
import sys
from typing import Any

import respcache.commands  # fills the registry
from respcache.clock import Clock
from respcache.config import Config
from respcache.connection import Connection
from respcache.cron import Cron
from respcache.directives import DIRECTIVES
from respcache.dispatch import Dispatcher
from respcache.protocol.errors import MAX_CLIENTS
from respcache.protocol.request import Limits
from respcache.registry import REGISTRY
from respcache.state import Client, ServerState
from respcache.version import __version__

__all__ = ["Server"]

log = logging.getLogger("respcache")

EXACT_BELOW = 0.01
"""Seconds: a slow log or latency threshold below this makes every call timed by itself."""

PROTECTED = (
    b"-DENIED Redis is running in protected mode because protected mode is enabled and no password is set for the "
    b"default user. In this mode connections are only accepted from the loopback interface. If you want to connect "
    b"from external computers, set a password with the directive 'requirepass', or turn the mode off with "
    b"'protected-mode no' if the network is trusted.\r\n"
)
"""Sent to peers from elsewhere. Clients look at the code DENIED; the explanation is ours."""

_LOOPBACK = (b"127.", b"[::1]:", b"[::ffff:127.")


class Server:
    """A Redis-compatible server in the caller's event loop.

        async with respcache.Server(port=0) as server:
            client = redis.asyncio.Redis(port=server.port)

    Directives of redis.conf are keyword arguments, with `_` for `-`: `Server(port=0, requirepass="secret")`. Port 0
    takes a free one; unlike the command line, this binds to 127.0.0.1 unless told otherwise. A `config` that is
    already complete may be given instead.

    `own_process` is for a process that does nothing but serve: it lets the server run the garbage collector.
    """

    def __init__(
        self,
        port: int = 6379,
        *,
        config: Config | None = None,
        clock: Clock | None = None,
        own_process: bool = False,
        **directives: Any,
    ) -> None:
        if config is None:
            config = Config(DIRECTIVES)
            config.load({"port": port, "bind": "127.0.0.1", **directives})
        self.config = config
        self.state = state = ServerState(config, clock or Clock(), secrets.token_hex(20))
        state.modes = self._dispatcher = Dispatcher(REGISTRY, state.stats)
        state.admit = self._admit
        state.shutdown = self._shutdown_soon
        self._own_process = own_process
        self._limits = Limits()
        self._connections: set[Connection] = set()
        self._listeners: list[asyncio.Server] = []
        self._stopped: asyncio.Event | None = None
        self._stopping: asyncio.Task[None] | None = None
        self._socket_path = ""
        self._follow_config()

    # Life

    @property
    def port(self) -> int:
        """The TCP port, 0 if there is none."""
        return self.state.port

    @property
    def url(self) -> str:
        """Where the server is, as redis-py's `from_url` takes it."""
        if not self.state.port:
            return f"unix://{self._socket_path}"
        password = self.config.requirepass
        return f"redis://{':' + password + '@' if password else ''}127.0.0.1:{self.state.port}"

    async def start(self) -> None:
        """Opens the sockets and starts to serve. Raises OSError if an address cannot be had."""
        self.state.loop = asyncio.get_running_loop()
        self._stopped = asyncio.Event()
        self._cron = Cron(self.state, self._own_process)
        log.warning("respcache %s is starting, pid=%d", __version__, os.getpid())
        try:
            await self._listen()
        except BaseException:
            self._close_listeners()
            raise
        self._cron.start()
        log.warning(
            "Server initialized: respcache %s (speaks like Redis), port=%d, pid=%d, loop=%s, Python %s",
            __version__,
            self.state.port,
            os.getpid(),
            type(self.state.loop).__module__.partition(".")[0],
            platform.python_version(),
        )
        log.info("Ready to accept connections")

    async def stop(self) -> None:
        """Stops serving and closes all connections. What was already replied is still sent."""
        if self._stopped is None or self._stopped.is_set():
            return
        self._close_listeners()
        self._cron.stop()
        for connection in list(self._connections):
            connection.close()
        for _ in range(100):  # a peer that does not read is not waited for
            if not self._connections:
                break
            await asyncio.sleep(0.01)
        for connection in list(self._connections):
            connection.close(flush=False)
        await asyncio.sleep(0)
        self._stopped.set()
        log.warning("Bye bye")

    async def wait_stopped(self) -> None:
        """Returns when the server has stopped, by `stop` or by SHUTDOWN."""
        if self._stopped is not None:
            await self._stopped.wait()

    async def __aenter__(self) -> Server:
        await self.start()
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self.stop()

    def _shutdown_soon(self) -> None:
        if self._stopping is None:
            log.warning("User requested shutdown...")
            self._stopping = self.state.loop.create_task(self.stop())

    # Sockets

    async def _listen(self) -> None:
        loop, config, port = self.state.loop, self.config, self.config.port
        if port or not config.unixsocket:
            for host in config.bind:
                optional = host.startswith("-")
                host = host.removeprefix("-")
                try:
                    listener = await self._listen_tcp(host, port)
                except OSError as error:
                    if optional:
                        continue
                    raise OSError(error.errno, f"Could not create server TCP listening socket {host}:{port}: {_reason(error)}") from None
                self._listeners.append(listener)
                if not port:  # one free port for all addresses
                    port = listener.sockets[0].getsockname()[1]
            if not self._listeners:
                raise OSError(f"None of the addresses of 'bind' is available: {' '.join(config.bind)}")
            self.state.port = port
        if config.unixsocket:
            await self._listen_unix(loop, config.unixsocket)

    async def _listen_tcp(self, host: str, port: int) -> asyncio.Server:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        name = {"*": "0.0.0.0", "::*": "::"}.get(host, host)
        made = socket.socket(family, socket.SOCK_STREAM)
        try:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            made.bind((name, port))
            made.setblocking(False)
            backlog = self.config.tcp_backlog
            return await self.state.loop.create_server(self._tcp_connection, sock=made, backlog=backlog)
        except BaseException:
            made.close()
            raise

    async def _listen_unix(self, loop: asyncio.AbstractEventLoop, path: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            if stat.S_ISSOCK(os.stat(path).st_mode):
                os.unlink(path)
        try:
            listener = await loop.create_unix_server(self._unix_connection, path, backlog=self.config.tcp_backlog)
        except OSError as error:
            raise OSError(error.errno, f"Failed opening Unix socket {path}: {_reason(error)}") from None
        self._listeners.append(listener)
        self._socket_path = path
        if self.config.unixsocketperm:
            os.chmod(path, self.config.unixsocketperm)

    def _close_listeners(self) -> None:
        for listener in self._listeners:
            listener.close()
        self._listeners.clear()
        if self._socket_path:
            with contextlib.suppress(OSError):
                os.unlink(self._socket_path)

    def _tcp_connection(self) -> Connection:
        return Connection(self.state, self._limits, False, self._lost)

    def _unix_connection(self) -> Connection:
        return Connection(self.state, self._limits, True, self._lost)

    # Clients

    def _admit(self, client: Client) -> bytes:
        """Lets a new client in, or returns the error that it gets before it is closed."""
        state, config = self.state, self.config
        connection = client.connection
        assert isinstance(connection, Connection)
        self._connections.add(connection)
        if len(state.clients) >= config.maxclients:
            state.stats.rejected_connections += 1
            return MAX_CLIENTS.reply
        if config.protected_mode and not config.requirepass and not client.unix and not client.peer.startswith(_LOOPBACK):
            state.stats.rejected_connections += 1
            return PROTECTED
        state.stats.connections += 1
        state.clients[client.id] = client
        if config.requirepass:
            client.authenticated = False
            client.enter(self._dispatcher.unauthenticated)
        if not client.unix:
            connection.keep_alive(config.tcp_keepalive)
        return b""

    def _lost(self, connection: Connection) -> None:
        self._connections.discard(connection)
        client = connection.client
        if self.state.clients.pop(client.id, None) is not None:
            self.state.stats.net_input += client.net_input
            self.state.stats.net_output += client.net_output

    # Configuration

    def _follow_config(self) -> None:
        """Keeps what is read often, and what is built from the configuration, in step with it."""
        watch = {
            ("slowlog-log-slower-than", "latency-monitor-threshold"): self._set_timing,
            ("slowlog-max-len",): self._set_slowlog_length,
            ("proto-max-bulk-len", "client-query-buffer-limit"): self._set_limits,
            ("client-output-buffer-limit",): self._set_output_limits,
        }
        for names, follow in watch.items():
            follow()
            for name in names:
                self.config.on_change(name, follow)

    def _set_timing(self) -> None:
        slower, spike = self.config.slowlog_log_slower_than, self.config.latency_monitor_threshold
        after = [seconds for seconds, on in ((slower / 1e6, slower >= 0), (spike / 1e3, spike > 0)) if on]
        self.state.slow_after = min(after, default=float("inf"))
        exact = self.state.slow_after < EXACT_BELOW
        if exact != self._dispatcher.exact_timing:
            self._dispatcher.exact_timing = exact
            self._dispatcher.compile()

    def _set_slowlog_length(self) -> None:
        self.state.slowlog.resize(self.config.slowlog_max_len)

    def _set_limits(self) -> None:
        self._limits.max_bulk = self.config.proto_max_bulk_len
        self.state.max_pending_input = self.config.client_query_buffer_limit

    def _set_output_limits(self) -> None:
        for connection in self._connections:
            connection.output_limit = self.config.output_limit("normal")


def _reason(error: OSError) -> str:
    return os.strerror(error.errno) if error.errno else str(error)
