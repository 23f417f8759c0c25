"""A server as a node of a cluster: what `cluster.member` thinks, brought together with sockets, the disk and the data.

For the server, if `cluster-enabled`:
    state.cluster = clustering = Clustering(state)
    clustering.load()                  reads nodes.conf, before anything else; raises OSError
    port = clustering.listen(port)     on the bus; port 0: chooses one for the clients; raises OSError
    await clustering.start()           when the port for clients is open
    clustering.verify()                when the data is loaded; raises LoadError
    clustering.stop()
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Sequence
from functools import partial

from respcache.bus import TOO_HIGH, Bus, BusLink, monotonic_clock
from respcache.clock import monotonic
from respcache.cluster import nodes_conf
from respcache.cluster.cron import TICK
from respcache.cluster.frames import Message
from respcache.cluster.member import Member, newcomer
from respcache.cluster.nodes import BUS_OFFSET, NOFAILOVER, Link, Node, set_flags
from respcache.cluster.services import Todo, Way
from respcache.cluster_replication import ReplicationServices
from respcache.loading import LoadError
from respcache.log import logger as log
from respcache.lost_slots import LostSlots
from respcache.nodes_file import NodesFile, TakenError
from respcache.routing import farewell
from respcache.state import ServerState
from respcache.store.slot import SLOTS

RETRY = 10
"""Ticks between two attempts to write a nodes.conf that could not be written."""
SAVE_REST = 0.02
"""Seconds between two times that nodes.conf is written where nothing hangs on it: a reshard changes slots by the
thousand. What a crash then takes back the other nodes tell again."""
ANNOUNCED = (
    *("cluster-announce-ip", "cluster-announce-port", "cluster-announce-bus-port", "cluster-announce-hostname"),
    *("cluster-announce-human-nodename", "cluster-replica-no-failover"),
)
"""Directives that say what this node tells of itself."""


class Clustering:
    """This node. Implements `respcache.clustered.Clustering` for commands, and `cluster.services.Services`."""

    def __init__(self, server: ServerState, temporary: bool = False) -> None:
        """`temporary`: nodes.conf is removed at the end."""
        self._server = server
        self.config = config = server.config
        self.now = monotonic_clock()
        self.view = newcomer(self.now())
        self._temporary = temporary
        self._kept = ""  # what was in such a file, for another start
        self._file: NodesFile | None = None
        self._bus: Bus | None = None
        self._member: Member | None = None
        self._todo = Todo(0)
        self._scheduled = False
        self._unsaved = False
        self._saved_at = 0.0  # monotonic
        self._late: asyncio.TimerHandle | None = None  # nodes.conf will be written
        self._ticks = 0
        self._announced = False  # our address is the one of cluster-announce-ip
        self._timer: asyncio.TimerHandle | None = None
        self._replication = ReplicationServices(server, self.now)
        self._lost = LostSlots(server)
        self.lead = self._replication.lead
        self.pause_writes = self._replication.pause_writes
        self.unpause = self._replication.unpause
        for name in ANNOUNCED:
            config.on_change(name, self._describe)
        config.on_change("port", self._describe_soon)
        for name in ("cluster-require-full-coverage", "cluster-node-timeout"):
            config.on_change(name, partial(self.soon, Todo.STATE))

    # Life

    def load(self) -> None:
        """Reads nodes.conf, or makes one. Raises OSError, whose text is for people."""
        if not self.config.cluster_port and self.config.port + BUS_OFFSET > 65535:
            raise OSError(TOO_HIGH)
        path = os.path.join(self.config.dir, self.config.cluster_config_file)
        self._todo, self._unsaved = Todo(0), False  # what an earlier life has left to save is not to be saved now
        self._replication.ready = False
        file = NodesFile(path)
        try:
            text = file.take()
        except OSError as error:
            raise OSError(error.errno, _explain(f"Can't open {path}", error)) from None
        self._file = file
        self._know(text if text.strip() else self._kept, path)
        try:
            self.save()
        except OSError as error:
            raise OSError(error.errno, _explain("Fatal: can't update cluster config file", error)) from None

    def _know(self, text: str, path: str) -> None:
        """What the file says is what we know; nobody has been heard of so far."""
        if text:
            try:
                self.view = nodes_conf.load(text, self.now())
            except nodes_conf.NodesConfError as error:
                text = f"Unrecoverable error: corrupted cluster config file {path}: {error}"
                raise OSError(text) from None
            log.info("Node configuration loaded, I'm %s", self.view.myself.name)
        else:
            self.view = newcomer(self.now())
            log.info("No cluster configuration found, I'm %s", self.view.myself.name)
        self.view.released = farewell(self._server)
        self.view.coming = self._lost.finish
        self._member = Member(self.view, self, self._bus_connect)

    def listen(self, port: int) -> int:
        """Listens on the bus. Returns the port for clients, which is chosen if it is 0. Raises OSError."""
        self._bus = bus = Bus(self.config, self._server.loop, self)
        if not port and not self.config.cluster_port:
            return bus.listen_beside(self.view.myself.port)
        bus.listen(self.config.cluster_port or port + BUS_OFFSET)
        return port

    async def start(self) -> None:
        """Talks to others from now on."""
        assert self._bus is not None
        self._scheduled = False
        self._server.modes.switch("cluster", True)
        self._describe()
        self.soon(Todo.SAVE | Todo.STATE)
        await self._bus.open()
        self._timer = self._server.loop.call_later(TICK / 1000, self._tick)

    def stop(self) -> None:
        """Says nothing more, and gives the file back."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._late is not None:
            self._late.cancel()
            self._late = None
            self._unsaved = True
        self._replication.stop()
        self._lost.finish_all()
        if self._bus is not None:
            self._bus.close()
        file, self._file = self._file, None
        if file is not None:
            if self._temporary:
                self._kept = nodes_conf.render(self.view)
                file.remove()
            else:
                self._save_last(file)
                file.leave()

    def _save_last(self, file: NodesFile) -> None:
        if self._todo & Todo.SAVE or self._unsaved:
            try:
                file.save(nodes_conf.render(self.view))
            except OSError as error:
                log.warning("error saving the cluster node config: %s", error)

    def verify(self) -> None:
        """Looks whether the data that was loaded belongs here. Raises LoadError.

        Keys of a slot that nobody has make it ours. Those of a slot of others stay until it is seen what to do with
        them: the slot is marked as one that is being imported.
        """
        self._replication.ready = True
        view, databases = self.view, self._server.keyspace.databases
        if view.myself.is_replica:
            return
        if any(db.size for db in databases[1:]):
            raise LoadError("You can't have keys in a DB different than DB 0 when in Cluster mode. Exiting.")
        if not databases[0].size:
            return
        taken: list[int] = []
        for slot in range(SLOTS):
            owner = view.owners[slot]
            if not self.count_keys(slot) or owner is view.myself or slot in view.importing:
                continue
            if owner is None:
                taken.append(slot)
                view.assign(slot, view.myself)
            else:
                text = "I have keys for slot %d, but the slot is assigned to another node. "
                log.info(text + "Setting it to importing state.", slot)
                view.mark_importing(slot, owner)
            self.soon(Todo.STATE | Todo.SAVE)
        if taken:
            text = "I have keys for %d unassigned slots, from %d to %d. Taking responsibility for them."
            log.info(text, len(taken), taken[0], taken[-1])

    def _describe_soon(self) -> None:
        """After CONFIG SET has moved the server to another port."""
        self._server.loop.call_soon(self._describe)

    def _describe(self) -> None:
        """Brings what this node tells of itself in step with the configuration."""
        config, me, bus = self.config, self.view.myself, self._bus
        if bus is None:
            return
        before = me.ip, me.port, me.cport, me.hostname, me.nodename
        if config.cluster_announce_ip or self._announced:
            me.ip = config.cluster_announce_ip or ""
        self._announced = bool(config.cluster_announce_ip)
        me.port = config.cluster_announce_port or self._server.port
        me.cport = config.cluster_announce_bus_port or bus.port
        me.hostname = config.cluster_announce_hostname
        me.nodename = config.cluster_announce_human_nodename
        changed = set_flags(me, NOFAILOVER, bool(config.cluster_replica_no_failover))
        if changed or before != (me.ip, me.port, me.cport, me.hostname, me.nodename):
            self.soon(Todo.SAVE)

    # Time

    def _tick(self) -> None:
        self._timer = self._server.loop.call_later(TICK / 1000, self._tick)
        self._ticks += 1
        if self._unsaved and self._ticks % RETRY == 0:
            self.soon(Todo.SAVE)
        try:
            self.member.tick()
        except OSError:
            pass  # nodes.conf cannot be written; the log has it
        except Exception:
            log.exception("The cluster's cron failed")

    def soon(self, what: Todo) -> None:
        """Has something done at the end of the loop's turn."""
        self._todo |= what
        if not self._scheduled and self._timer is not None:
            self._scheduled = True
            self._server.loop.call_soon(self._end_turn)

    def _end_turn(self) -> None:
        self._scheduled = False
        todo, self._todo = self._todo, Todo(0)
        try:
            self.member.do(todo)
            if todo & Todo.SAVE and self._late is None:
                left = self._saved_at + SAVE_REST - monotonic()
                if left <= 0:
                    self.save()
                else:
                    self._late = self._server.loop.call_later(left, self._save_late)
        except OSError:
            pass  # as above
        except Exception:
            log.exception("The cluster's work at the end of a turn failed")

    def _save_late(self) -> None:
        self._late = None
        with contextlib.suppress(OSError):  # as above
            self.save()

    def save(self) -> None:
        """Writes nodes.conf and makes sure of it, at once. Raises OSError."""
        if self._file is None:
            return
        try:
            self._file.save(nodes_conf.render(self.view))
        except OSError as error:
            if not self._unsaved:
                log.warning("error saving the cluster node config: %s", error)
            self._unsaved = True
            raise
        self._unsaved = False
        self._todo &= ~Todo.SAVE
        self._saved_at = monotonic()
        if self._late is not None:
            self._late.cancel()
            self._late = None

    # The bus

    @property
    def member(self) -> Member:
        """Who thinks; there is one from the start on."""
        assert self._member is not None
        return self._member

    def _bus_connect(self, node: Node) -> Link | None:
        return self._bus.connect(node) if self._bus is not None else None

    def take(self, link: BusLink, message: Message) -> None:
        """A message has come."""
        self.member.received(link, message)

    def connected(self, node: Node, link: BusLink) -> None:
        """A connection to a node is there."""
        self.member.cron.connected(node, link)

    def not_connected(self, node: Node) -> None:
        """A connection to a node cannot be had."""
        self.member.cron.not_connected(node)

    @property
    def links(self) -> Sequence[tuple[Link, Node, bool]]:
        """All connections to known nodes; whether we made it."""
        found: list[tuple[Link, Node, bool]] = []
        for node in self.view.others:
            if node.link is not None:
                found.append((node.link, node, True))
            if node.inbound is not None:
                found.append((node.inbound, node, False))
        return found

    @property
    def overflowed(self) -> int:
        """How many connections were closed because more than cluster-link-sendbuf-limit waited to be sent."""
        return self._bus.overflowed if self._bus is not None else 0

    @property
    def sent(self) -> Sequence[int]:
        """Messages sent, by type."""
        return self.member.sender.sent

    @property
    def received(self) -> Sequence[int]:
        """Messages received, by type."""
        return self.member.gossip.received

    # What commands ask for

    def announce(self) -> None:
        """Tells everybody at once who we are and what is ours."""
        self.member.announce()

    def meet(self, ip: str, port: int, cport: int) -> bool:
        """Begins a handshake with whoever is there."""
        return self.member.meet(ip, port, cport)

    def forget(self, node: Node) -> None:
        """Drops a node, and takes it in no more for a minute."""
        self.member.forget(node)

    def replicate(self, master: Node) -> None:
        """Becomes a replica of a master."""
        self.member.replicate(master)

    def reset(self, hard: bool) -> None:
        """Forgets everybody and all slots."""
        self.member.reset(hard)

    def fail_over(self, way: Way) -> None:
        """CLUSTER FAILOVER, after the checks."""
        self.member.manual.begin(way)

    def take_all(self, slots: Sequence[int], node: Node) -> None:
        """Assigns slots."""
        self.member.take_all(slots, node)

    def publish(self, channel: bytes, message: bytes) -> None:
        """Hands a message to all other nodes."""
        self.member.sender.publish(channel, message)

    def publish_shard(self, channel: bytes, message: bytes) -> None:
        """Hands a message of a shard channel to the other nodes of this shard."""
        self.member.sender.publish_shard(channel, message)

    # Services

    @property
    def offset(self) -> int:
        """How far the stream of changes is."""
        return self._replication.offset

    @property
    def data_age(self) -> int:
        """Milliseconds since something came from the master, or since the link to it was lost."""
        return self._replication.data_age

    @property
    def ready(self) -> bool:
        """Whether the data that was kept is loaded."""
        return self._replication.ready

    def follow(self, master: Node) -> None:
        """Has the data replicated from a node."""
        self._lost.finish_all()
        self._replication.follow(master)

    def await_offset(self, offset: int) -> None:
        """Has `Todo.MANUAL` done when this replica has applied so much."""
        self._replication.await_offset(offset, partial(self.soon, Todo.MANUAL))

    def count_keys(self, slot: int) -> int:
        """How many keys a slot has here."""
        return len(self._server.keyspace.databases[0].shards[slot])

    def delete_keys(self, slot: int) -> int:
        """Has all keys of a slot deleted, which has another owner now. Returns how many there are."""
        return self._lost.give_up(slot)

    def empty(self) -> None:
        """Deletes all data."""
        db, propagator = self._server.keyspace.databases[0], self._server.propagator
        if db.clear() and propagator.on:
            propagator.add(db, b"FLUSHALL")

    def deliver(self, channel: bytes, message: bytes, sharded: bool) -> None:
        """Hands a message to the subscribers of this node."""
        pubsub = self._server.pubsub
        if sharded:
            pubsub.publish_shard(channel, message)
        else:
            pubsub.publish(channel, message)


def _explain(what: str, error: OSError) -> str:
    if isinstance(error, TakenError):
        return str(error.strerror)
    return f"{what}: {error.strerror or error}"
