"""What handlers see: the client that asks and the server that it asks."""

from __future__ import annotations

from asyncio import AbstractEventLoop
from collections.abc import Callable, Hashable, Sequence

from respcache.clock import Clock, monotonic
from respcache.clustered import Clustering
from respcache.config import Config
from respcache.durable import Appending, Loading, Saving
from respcache.features.blocking import Pause, Waiter, Waiting
from respcache.features.eviction import MemoryLimit
from respcache.features.gate import Gate
from respcache.features.held import Held
from respcache.features.latency import LatencyMonitor
from respcache.features.migration import Migrating
from respcache.features.monitor import Monitors
from respcache.features.pause import ClientPause, Who
from respcache.features.propagate import Propagator
from respcache.features.pubsub import PubSub, Subscriber
from respcache.features.slowlog import SlowLog
from respcache.features.stats import Stats
from respcache.features.watch import Watch, Watches
from respcache.link import Link
from respcache.persistence.snapshot import Snapshot
from respcache.protocol.reply import CRLF, HEADERS, RESP2, Resp, bulk
from respcache.registry import Flag
from respcache.replicated import Following, Mastering, NoMaster, Replica
from respcache.replication.history import History
from respcache.store.database import Database
from respcache.store.keyspace import Keyspace
from respcache.table import Entry, Mode, Modes
from respcache.transaction import Transaction

DAY = 86400.0
"""Seconds; no timer is set further ahead, since event loops differ in what they take."""

BIG = 16 * 1024
"""Bytes from which on a reply is not gathered with others: a pipeline of requests for big values would fill the
memory before the output limit is looked at."""

_LOOPBACK = (b"127.", b"[::1]:", b"[::ffff:127.")


class Client:
    """One connection, as commands see it."""

    __slots__ = (
        "asking",
        "authenticated",
        "base",
        "connection",
        "created",
        "db",
        "id",
        "last",
        "lib_name",
        "lib_version",
        "local",
        "mode",
        "monitors",
        "muted",
        "name",
        "names",
        "net_input",
        "net_output",
        "no_evict",
        "no_touch",
        "obeyed",
        "paused",
        "peer",
        "readonly",
        "replica",
        "resp",
        "seen",
        "server",
        "skips",
        "subscriber",
        "table",
        "transaction",
        "unix",
        "user",
        "waiter",
        "watch",
    )

    def __init__(self, server: ServerState, connection: Link, peer: bytes, local: bytes, unix: bool) -> None:
        self.server = server
        self.connection = connection
        self.id = server.next_client_id()
        self.db: Database = server.keyspace.databases[0]
        self.resp: Resp = RESP2
        self.base: Mode = server.modes.normal
        self.mode: Mode = self.base  # the same, or its muted twin
        self.table: dict[bytes, Entry] = self.mode.table
        self.peer = peer  # ip:port, [ip6]:port or path:0
        self.local = local
        self.unix = unix
        self.created = monotonic()
        self.seen = self.created  # when the last request was read
        self.last: Entry | None = None  # what was called last
        self.name = b""
        self.names: Sequence[bytes] = ()  # of the command being run, as spelled, for MONITOR
        self.lib_name = b""
        self.lib_version = b""
        self.user = b"default"
        self.authenticated = True
        self.muted = False  # CLIENT REPLY OFF or SKIP: no reply to anything
        self.skips = 0  # muted for so many more replies only; 0: until CLIENT REPLY ON
        self.no_evict = False
        self.no_touch = False
        self.obeyed = False  # what it sends was run before, and was right: a file that is loaded, a master
        self.monitors = False  # MONITOR
        self.subscriber: Subscriber | None = None  # None without subscriptions
        self.asking = False  # ASKING: its next request may go to a slot that is being imported
        self.readonly = False  # READONLY: it is served by a replica
        self.replica: Replica | None = None  # what it said of itself, if it is one or wants to be
        self.paused = False  # waits: for keys, a timeout, or CLIENT UNPAUSE
        self.waiter: Waiter | None = None  # what for, unless it is CLIENT UNPAUSE
        self.transaction: Transaction | None = None  # what was queued since MULTI
        self.watch: Watch | None = None  # the watched keys; None if it never watched any
        self.net_input = 0  # bytes read
        self.net_output = 0  # bytes of replies

    @property
    def is_local(self) -> bool:
        """Whether it runs on this machine."""
        return self.unix or self.peer.startswith(_LOOPBACK)

    def bulk(self, value: bytes | bytearray) -> bytes:
        """A bulk string of stored data, for brief commands: it may be big, and nobody else looks at its size."""
        size = len(value)
        if size < 1024:
            return HEADERS[size] + value + CRLF
        if size >= BIG:
            self.connection.relieve()
        return bulk(value)

    def enter(self, mode: Mode) -> None:
        """Changes what this client's commands mean from the next request on."""
        self.base = mode
        self.mode = self.server.modes.mute(mode) if self.muted else mode
        self.table = self.mode.table

    def rest(self) -> None:
        """Enters the mode of a client that has authenticated and is in no transaction."""
        modes = self.server.modes
        if self.subscriber is not None and self.resp is RESP2:
            self.enter(modes.subscribed)
        else:
            self.enter(modes.monitoring if self.monitors else modes.normal)

    def speak(self, resp: Resp) -> None:
        """Changes the protocol."""
        self.resp = resp
        if self.subscriber is not None:
            self.subscriber.speak(resp)
            self.rest()

    @property
    def listens(self) -> bool:
        """Whether it rightly says nothing: it waits for something, or is told what happens."""
        return self.paused or self.monitors or self.subscriber is not None or self.is_replica

    @property
    def is_replica(self) -> bool:
        """Whether it gets the stream of changes."""
        return self.replica is not None and self.replica.state != ""

    @property
    def kind(self) -> str:
        """Its class of client-output-buffer-limit, which is also its type in CLIENT LIST and KILL."""
        if self.is_replica:
            return "replica"
        return "normal" if self.subscriber is None else "pubsub"

    def unsubscribe(self) -> None:
        """Ends all subscriptions."""
        if self.subscriber is not None:
            self.server.pubsub.forget(self.subscriber)
            self.subscriber = None
            self.connection.output_limit = self.server.config.output_limit("normal")

    def monitor(self, on: bool) -> None:
        """Has the client be told what others do, or no longer."""
        self.monitors = on
        self.server.monitors.switch(self, on)
        self.server.modes.switch("monitor", bool(self.server.monitors.clients))

    def mute(self, on: bool, once: bool = False) -> None:
        """Stops replies (that of the next request only if `once`), or lets them through again.

        A muted client that asks for `once` gets no reply to that request itself either, which makes two.
        """
        self.skips = 1 + self.muted if once else 0
        self.muted = on
        self.enter(self.base)

    def swallow(self) -> bool:
        """Whether the reply at hand is not to be sent; a turn of CLIENT REPLY SKIP is over then."""
        if not self.muted:
            return False
        if self.skips:
            self.skips -= 1
            if not self.skips:
                self.mute(False)
        return True

    def block(
        self,
        kind: bytes,
        keys: Sequence[bytes],
        timeout: int,
        attempt: Callable[[], bytes | None],
        nothing: bytes,
        gone: bool = False,
        team: Hashable = None,
    ) -> bytes:
        """Waits for keys of the selected database to hold values of a type, at most so many milliseconds; 0: for ever.

        Each time when one does, `attempt` is called: it runs the command and returns the reply, or None if there is
        still nothing; with `gone` also when such a value is no longer there. If there is nothing for one of a `team`,
        equal in this, there is nothing for the others. `nothing` is the reply when the time is over, and inside of a
        transaction, where nobody can wait. Else this does not return: it raises Pause.
        """
        if self.server.nested:
            return nothing
        deadline = self.server.clock.ms() + timeout if timeout else 0
        where = [(self.db.index, key) for key in dict.fromkeys(keys)]
        self.paused = True
        self.server.wait(Waiter(self, kind, where, deadline, attempt, nothing, gone, team))
        raise Pause(retry=False)

    def begin(self) -> None:
        """MULTI: from the next request on commands are queued."""
        self.transaction = Transaction()
        self.enter(self.server.modes.queueing)

    def discard(self) -> None:
        """Ends a transaction, if there is one, and watches nothing any more."""
        if self.transaction is not None:
            self.transaction = None
            self.asking = False
            self.rest()
        self.unwatch()

    def watch_key(self, key: bytes) -> None:
        """Has the next transaction fail if a key of the selected database changes."""
        if self.watch is None:
            self.watch = Watch()
        self.server.watches.add(self.watch, self.db, key)

    def unwatch(self) -> None:
        """Watches nothing any more."""
        if self.watch is not None:
            self.server.watches.drop(self.watch)
            self.watch = None

    def log_in(self, user: bytes) -> None:
        """From the next request on this client is that user."""
        self.user = user
        if not self.authenticated:
            self.authenticated = True
            self.enter(self.server.modes.normal)

    def log_out(self) -> None:
        """From the next request on this client is nobody and must authenticate."""
        self.user = b"default"
        self.authenticated = False
        self.enter(self.server.modes.unauthenticated)
        self.connection.distrust()


class ServerState:
    """All that a server is made of; built and wired by `respcache.server`."""

    __slots__ = (
        "active_expire",
        "admit",
        "appending",
        "clients",
        "clock",
        "cluster",
        "config",
        "config_path",
        "following",
        "gate",
        "gated",
        "held",
        "history",
        "keyspace",
        "last_client_id",
        "latency",
        "loading",
        "loop",
        "mastering",
        "max_pending_input",
        "memory",
        "migrating",
        "misconf",
        "modes",
        "monitors",
        "nested",
        "pause",
        "port",
        "propagator",
        "pubsub",
        "run_id",
        "saving",
        "shutdown",
        "slow_after",
        "slowlog",
        "snapshot",
        "started",
        "stats",
        "unix_started",
        "use_gate",
        "waiting",
        "watches",
    )

    admit: Callable[[Client], bytes]
    """Lets a new client in, or returns the error that it gets before it is closed."""
    appending: Appending
    loop: AbstractEventLoop
    mastering: Mastering
    migrating: Migrating
    modes: Modes
    saving: Saving
    shutdown: Callable[[], None]
    """Stops the server soon; connections are closed and the process or the embedding context goes on."""

    use_gate: Callable[[bool], None]
    """Has all connections write through the gate, or directly."""

    def __init__(self, config: Config, clock: Clock, run_id: str) -> None:
        self.config = config
        self.clock = clock
        self.run_id = run_id
        self.history = History()
        self.following: Following = NoMaster()
        self.cluster: Clustering | None = None  # None: this server is no node of a cluster
        self.config_path = ""  # absolute path of the configuration file, or empty
        self.keyspace = Keyspace(config.databases, clock)
        self.memory = MemoryLimit(self.keyspace, config)
        self.stats = Stats()
        self.slowlog = SlowLog(config.slowlog_max_len)
        self.latency = LatencyMonitor()
        self.pause = ClientPause()
        self.held = Held()
        self.pubsub = PubSub(lambda deliver: self.loop.call_soon(deliver))
        self.monitors = Monitors(lambda deliver: self.loop.call_soon(deliver))
        self.watches = Watches(self.keyspace)
        self.waiting = Waiting(self.keyspace)
        self.propagator = Propagator(self.keyspace)
        self.gate = Gate()
        self.gated = False  # replies go through the gate
        self.snapshot: Snapshot | None = None  # the one that is being written
        self.loading: Loading | None = None  # while data is being loaded
        self.misconf: dict[str, bytes] = {}  # why writes are refused: errors by reason, see `respcache.gates`
        self.nested = False  # the commands of a transaction or a script are being run
        self.clients: dict[int, Client] = {}  # by id, oldest first
        self.last_client_id = 0
        self.port = 0  # of TCP, 0 if there is none
        self.started = monotonic()
        self.unix_started = clock.ms() // 1000
        self.active_expire = True  # DEBUG SET-ACTIVE-EXPIRE
        self.slow_after = 0.01  # seconds from which on a command is reported to `exceeded`
        self.max_pending_input = 1 << 30  # bytes, client-query-buffer-limit

    def next_client_id(self) -> int:
        """A number no client of this server has had."""
        self.last_client_id += 1
        return self.last_client_id

    def exceeded(self, client: Client, entry: Entry, argv: list[bytes], seconds: float) -> None:
        """Reports a command that took longer than `slow_after`, to the slow log and the latency monitor."""
        if entry.queues:
            return
        now = self.clock.ms() // 1000
        after = self.config.slowlog_log_slower_than
        if 0 <= after <= seconds * 1e6 and not entry.command.flags & Flag.SKIP_SLOWLOG:
            shown = entry.command.redacted(argv)
            self.slowlog.add(now, int(seconds * 1e6), shown, client.peer, client.name)
        self.event("fast-command" if entry.command.flags & Flag.FAST else "command", seconds)

    def event(self, name: str, seconds: float) -> None:
        """Reports how long something held the loop to the latency monitor."""
        threshold = self.config.latency_monitor_threshold
        if 0 < threshold <= seconds * 1e3:
            self.latency.add(name, self.clock.ms() // 1000, int(seconds * 1e3))

    def wait(self, waiter: Waiter) -> None:
        """Takes in a client that begins to wait."""
        self.waiting.add(waiter)
        self.modes.switch("serve", True)
        if waiter.deadline:
            self._time(waiter, 1)  # not at once, even if it is past already: who waits has still to say so

    def _time(self, waiter: Waiter, least: int = 0) -> None:
        """Ends a wait if its time has come, else looks again when it comes, in so many milliseconds at least."""
        left = max(waiter.deadline - self.clock.ms(), least)
        if left <= 0:
            self.end_wait(waiter, waiter.nothing)
        else:
            waiter.timer = self.loop.call_later(min(left / 1000, DAY), self._time, waiter)

    def end_wait(self, waiter: Waiter, reply: bytes) -> None:
        """Ends a wait with this reply."""
        self.waiting.remove(waiter)
        client = waiter.client
        assert isinstance(client, Client)
        client.connection.release(reply)

    def forget(self, client: Client) -> None:
        """A client is gone: nobody waits for it, and it waits for nothing."""
        self.pause.forget(client.id)
        client.unwatch()
        if client.waiter is not None:
            self.waiting.remove(client.waiter)

    def start_pause(self, until: int, all_commands: bool, who: Who = "client") -> None:
        """Makes commands wait until a time in milliseconds since the epoch, unless a longer pause is on."""
        self.pause.start(until, all_commands, who)
        self.modes.pause(self.pause.all_commands)
        self.keyspace.hide(True)  # nothing is deleted meanwhile: a replica that takes over has all there is
        self.time_pause()

    def unpause(self, *who: Who) -> None:
        """Ends a pause, or any; who waited goes on in the loop's next turn, first come first served.

        Not at once: the requests behind the one that ended the pause come first, as in Redis.
        """
        if self.pause.active:
            waiting = self.pause.end(*who)
            self.modes.pause(self.pause.all_commands if self.pause.active else None)
            self.keyspace.hide(self.pause.active or self.following.hides)
            for release in waiting:
                self.loop.call_soon(release)

    def time_pause(self) -> None:
        """Ends the pauses whose time has come, and looks again when that of another one comes."""
        over = self.pause.expired(self.clock.ms())
        if over:
            self.unpause(*over)
        if self.pause.active:
            left = self.pause.until - self.clock.ms()
            self.pause.look_again(self.loop.call_later(min(left / 1000, DAY), self.time_pause))
