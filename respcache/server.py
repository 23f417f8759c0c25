"""The server: builds the parts, wires them, opens the sockets, and closes everything again."""

from __future__ import annotations

import asyncio
import contextlib
import os
import platform
import secrets
import tempfile
from collections.abc import Callable
from functools import partial
from typing import Any
from urllib.parse import quote

import respcache.commands  # noqa: F401 - fills the registry
from respcache import unsupported
from respcache.appending import Appending
from respcache.clock import Clock
from respcache.clustering import Clustering
from respcache.config import Config
from respcache.connection import Connection
from respcache.cron import Cron
from respcache.directives import DIRECTIVES
from respcache.dispatch import Dispatcher
from respcache.features import eviction
from respcache.features.notify import Notifier
from respcache.following import Following
from respcache.limiting import memory_of
from respcache.listeners import Listeners
from respcache.loading import LoadError, LoadingStopped, load_dump
from respcache.log import logger as log
from respcache.mastering import Mastering
from respcache.migrating import Migrating
from respcache.protocol.errors import MAX_CLIENTS
from respcache.protocol.request import Limits
from respcache.registry import REGISTRY
from respcache.saving import Saving
from respcache.state import Client, ServerState
from respcache.version import __version__

__all__ = ["Server"]


DURABLE = frozenset(("save", "appendonly", "dir", "dbfilename"))
"""Directives of which one at least is given to an embedded server whose data is to outlive it."""

EXACT_BELOW = 0.01
"""Seconds: a slow log or latency threshold below this makes every call timed by itself."""

PROTECTED = (
    b"-DENIED Redis is running in protected mode because protected mode is enabled and no password is set "
    b"for the default user. In this mode connections are only accepted from the loopback interface. If you "
    b"want to connect from external computers, set a password with the directive 'requirepass', or turn the "
    b"mode off with 'protected-mode no' if the network is trusted.\r\n"
)
"""Sent to peers from elsewhere. Clients look at the code DENIED; the explanation is ours."""

SHUTTING_DOWN = b"-ERR The server is shutting down\r\n"


_OFF: tuple[object, ...] = (None, "", False, "no", (), [])


def _nowhere() -> dict[str, object]:
    """Directives for a server that keeps nothing: what a client has it save goes to a place of its own, for a while."""
    name = f"respcache-{secrets.token_hex(8)}"
    return {
        "save": "",
        "dir": tempfile.gettempdir(),
        "dbfilename": f"{name}.rdb",
        "cluster_config_file": f"{name}.nodes.conf",
    }


class Server:
    """A Redis-compatible server in the caller's event loop.

        async with respcache.Server(port=0) as server:
            client = redis.asyncio.Redis(port=server.port)

    Directives of redis.conf are keyword arguments, with `_` for `-`: `Server(port=0, requirepass="secret")`.
    Port 0 takes a free one; unlike the command line, this binds to 127.0.0.1 unless told otherwise. A
    `config` that is already complete may be given instead.

    `own_process` is for a process that does nothing but serve: it lets the server run the garbage collector.
    Raises ConfigError for a bad directive, and for one that promises what this version does not have.
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
            if directives.get("save") is False:
                directives["save"] = ""
            self._durable = any(directives.get(name) not in _OFF for name in DURABLE)
            kept = {} if self._durable else _nowhere()
            config.load({"port": port, "bind": "127.0.0.1", **kept, **directives})
        else:
            self._durable = True
        unsupported.refuse(config)
        self.config = config
        self.state = state = ServerState(config, clock or Clock(), secrets.token_hex(20))
        state.modes = self._dispatcher = Dispatcher(REGISTRY, state.stats, config.renames)
        self._notifier = Notifier(state.keyspace, state.pubsub)
        state.saving = self._saving = Saving(state)
        self._spill = "" if self._durable else self._saving.path  # see `_nowhere`
        state.appending = self._appending = Appending(state, own_process)
        state.following = self._following = Following(state)
        state.mastering = self._mastering = Mastering(state)
        state.migrating = self._migrating = Migrating(state)
        self._clustering = Clustering(state, temporary=not self._durable) if config.cluster_enabled else None
        state.cluster = self._clustering
        state.admit = self._admit
        state.shutdown = self._shutdown_soon
        state.use_gate = self._use_gate
        state.memory.own_process = own_process
        state.memory.switch = partial(self._dispatcher.switch, "memory")
        state.memory.report = state.event
        state.memory.buffers = lambda: sum(memory_of(c) for c in state.clients.values() if not c.is_replica)
        state.memory.uncounted = lambda: int(state.appending.info().get("aof_buffer_length", 0))
        state.memory.waits = lambda: state.loading is not None
        self._own_process = own_process
        self._limits = Limits()
        self._connections: set[Connection] = set()
        self._listeners = Listeners(state, self._connection)
        self._stopped: asyncio.Event | None = None
        self._stopping: asyncio.Task[None] | None = None
        self._closing = False
        self._loaded = False
        self._follow_config()

    # Life

    @property
    def port(self) -> int:
        """The TCP port, 0 if there is none."""
        return self.state.port

    @property
    def url(self) -> str:
        """Where the server is, as redis-py's `from_url` takes it, password included."""
        password = self.config.requirepass
        user = f":{quote(password, safe='')}@" if password else ""
        if not self.state.port:
            return f"unix://{user}{self._listeners.path}"
        hosts = [host.removeprefix("-") for host in self.config.bind]
        host = "127.0.0.1" if {"*", "0.0.0.0", "127.0.0.1"} & {*hosts} else hosts[0].replace("::*", "::1")
        return f"redis://{user}{f'[{host}]' if ':' in host else host}:{self.state.port}"

    async def start(self) -> None:
        """Opens the sockets and starts to serve. Raises OSError if an address cannot be had.

        A server that has stopped may be started again, and still has its data.
        """
        if self._stopped is not None and not self._stopped.is_set():
            raise RuntimeError("the server runs already")
        self.state.loop = asyncio.get_running_loop()
        self.state.memory.later = self.state.loop.call_later
        log.info("respcache %s is starting, pid=%d", __version__, os.getpid())
        self._closing = False
        self._stopping = None
        self._stopped = asyncio.Event()
        self._cron = Cron(self.state, self._own_process)
        try:
            await self._listen()
            log.info(
                "Server initialized: respcache %s (speaks like Redis), port=%d, pid=%d, loop=%s, Python %s",
                __version__,
                self.state.port,
                os.getpid(),
                type(self.state.loop).__module__.partition(".")[0],
                platform.python_version(),
            )
            await self._load()
        except BaseException as error:
            if isinstance(error, OSError | LoadError):
                log.warning("%s", getattr(error, "strerror", None) or error)
            self._saving.prepare_end(save=False)  # what is there is not all
            await self.stop()
            if not isinstance(error, LoadingStopped):
                raise
        else:
            self._cron.start()
            log.info("Ready to accept connections")

    async def _listen(self) -> None:
        """Opens the sockets; a node of a cluster first finds out which one it is."""
        port, cluster = self.config.port, self._clustering
        if cluster is not None:
            cluster.load()
            port = cluster.listen(port)
        await self._listeners.listen(port)
        if cluster is not None:
            await cluster.start()

    async def _load(self) -> None:
        """Loads the data, unless a server that had stopped still has it."""
        try:
            if self._appending.wanted:
                await self._appending.start(load=not self._loaded)
            elif self._durable and not self._loaded:
                await load_dump(self.state)
            if self._clustering is not None:
                self._clustering.verify()
        except BaseException:
            if not self._loaded:  # whoever starts again begins with nothing
                for db in self.state.keyspace.databases:
                    db.clear()
            raise
        self._loaded = True
        self._appending.follow()
        self._following.start()

    async def stop(self) -> None:
        """Stops serving and closes all connections. What was already replied is still sent.

        Returns when that is done, also if somebody else had begun to stop it.
        """
        if self._stopped is None or self._stopped.is_set():
            return
        if self.state.loading is not None and not self._loaded:
            self.state.loading.stop()  # and then `start` stops the server
            await self._stopped.wait()
            return
        if self._closing:
            await self._stopped.wait()
            return
        self._closing = True
        try:
            await self._close()
        finally:
            self._stopped.set()

    async def _close(self) -> None:
        self._listeners.close()
        self._cron.stop()
        self.state.memory.stop()
        await self._migrating.stop()
        if self._clustering is not None:
            self._clustering.stop()
        self._mastering.stop()
        for connection in list(self._connections):
            connection.close()
        self.state.unpause()
        await self._following.stop()
        await self._appending.stop()
        for _ in range(100):  # a peer that does not read is not waited for
            if not self._connections:
                break
            await asyncio.sleep(0.01)
        for connection in list(self._connections):
            connection.close(flush=False)
        await asyncio.sleep(0)
        await self._saving.close()
        if self._spill:
            with contextlib.suppress(OSError):
                os.unlink(self._spill)
        if self._loaded:
            log.info("Bye bye")

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
        if self.state.loading is not None:
            self.state.loading.stop()
        elif self._stopping is None:
            log.info("User requested shutdown...")
            self._stopping = self.state.loop.create_task(self.stop())

    # Clients

    def _connection(self, unix: bool) -> Connection:
        return Connection(self.state, self._limits, unix, self._lost)

    def _admit(self, client: Client) -> bytes:
        """Lets a new client in, or returns the error that it gets before it is closed."""
        state, config = self.state, self.config
        connection = client.connection
        assert isinstance(connection, Connection)
        self._connections.add(connection)
        if self._closing:  # it was accepted while the sockets were being closed
            return SHUTTING_DOWN
        if len(state.clients) >= config.maxclients:
            state.stats.rejected_connections += 1
            return MAX_CLIENTS.reply
        if config.protected_mode and not config.requirepass and not client.is_local:
            state.stats.rejected_connections += 1
            return PROTECTED
        state.stats.connections += 1
        state.clients[client.id] = client
        if config.requirepass:
            client.authenticated = False
            client.enter(self._dispatcher.unauthenticated)
        if not client.unix:
            with contextlib.suppress(OSError):  # too many seconds for the kernel, or the peer is gone
                connection.keep_alive(config.tcp_keepalive)
        return b""

    def _lost(self, connection: Connection) -> None:
        self._connections.discard(connection)
        client = connection.client
        client.unsubscribe()
        client.monitor(False)
        if self.state.clients.pop(client.id, None) is not None:
            self.state.stats.net_input += client.net_input
            self.state.stats.net_output += client.net_output
        if client.is_replica:
            self._mastering.gone(client.id)

    def _use_gate(self, on: bool) -> None:
        self.state.gated = on
        for connection in self._connections:
            connection.pass_gate(on)

    # Configuration

    def _follow_config(self) -> None:
        """Keeps what is read often, and what is built from the configuration, in step with it."""
        watch: dict[tuple[str, ...], Callable[[], None]] = {
            ("slowlog-log-slower-than", "latency-monitor-threshold"): self._set_timing,
            ("slowlog-max-len",): self._set_slowlog_length,
            ("proto-max-bulk-len", "client-query-buffer-limit"): self._set_limits,
            ("client-output-buffer-limit",): self._set_output_limits,
            ("notify-keyspace-events",): self._set_notifications,
            eviction.DIRECTIVES: self.state.memory.follow,
            ("port",): lambda: self._move(self.config.port),
            ("bind",): lambda: self._move(self.config.port or self.state.port),
        }
        for names, follow in watch.items():
            follow()
            for name in names:
                self.config.on_change(name, follow)
        self.config.on_change("tls-port", self._refuse_tls)

    def _move(self, port: int) -> None:
        if self._stopped is not None and not self._closing:
            self._listeners.rebind(port)

    def _refuse_tls(self) -> None:
        if self.config.tls_port:
            raise ValueError("Unable to update TLS configuration. Check server logs.")

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

    def _set_notifications(self) -> None:
        self._notifier.follow(self.config.notify_keyspace_events)

    def _set_output_limits(self) -> None:
        for connection in self._connections:
            connection.output_limit = self.config.output_limit(connection.client.kind)
