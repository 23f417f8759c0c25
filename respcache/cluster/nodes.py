"""What a node knows of its cluster: the nodes, who owns which slot, the epochs.

`View` keeps its parts consistent with each other (a slot's owner and that node's bitmap, a replica and its master's
list) and decides nothing: who may claim what is the business of the modules that process messages and commands.
Source: the Redis Cluster specification.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

from respcache.store.slot import SLOTS

MASTER = 1
REPLICA = 2
PFAIL = 4
"""It does not answer us."""
FAIL = 8
"""A quorum of masters says that it does not answer."""
MYSELF = 16
HANDSHAKE = 32
"""We have not heard yet who it is; its id is one that we made up."""
NOADDR = 64
"""We do not know where it is."""
MEET = 128
"""The first message to it is MEET, so that it takes us in."""
MIGRATE_TO = 256
"""A master that has, or had, replicas: it may be given one of another master."""
NOFAILOVER = 512
"""A replica that never asks for votes."""
EXTENDS = 1024
"""It knows the extensions that came with 7.2; older ones complain of them. Only in headers: see `Node.extends`."""

BUS_OFFSET = 10_000
"""What a bus port is above the port for clients, unless `cluster-port` says otherwise."""
BITMAP = SLOTS // 8
"""Bytes of a bitmap of slots: slot s is bit s % 8 of byte s / 8."""


class Link(Protocol):
    """A connection between two nodes."""

    created: int
    """Milliseconds since the epoch."""

    def send(self, frame: bytes) -> None:
        """Sends a message, or queues it while the connection is being made; nothing once that is closed."""

    def close(self) -> None:
        """Closes it, and the node has it no more."""

    @property
    def pending(self) -> int:
        """Bytes that wait to be sent."""


class Node:
    """A node, as far as it is known here. Times are milliseconds since the epoch, 0 for never."""

    __slots__ = (
        "config_epoch",
        "cport",
        "created",
        "data_received",
        "extends",
        "fail_time",
        "flags",
        "hostname",
        "id",
        "inbound",
        "ip",
        "link",
        "master",
        "nodename",
        "offset",
        "offset_at",
        "orphaned_at",
        "ping_sent",
        "plain_port",
        "pong_received",
        "port",
        "replicas",
        "reports",
        "shard_id",
        "slot_count",
        "slots",
        "voted_at",
    )

    def __init__(self, id: bytes, flags: int, now: int) -> None:
        self.id = id
        """40 hex digits."""
        self.flags = flags
        self.created = now
        self.ip = ""
        """Empty: not known."""
        self.port = 0
        """For clients; that of TLS if the bus uses TLS."""
        self.cport = 0
        """Of the bus."""
        self.plain_port = 0
        """The other port for clients (`pport` on the wire): plain if `port` is that of TLS, else that of TLS, or 0."""
        self.hostname = ""
        self.nodename = ""
        self.shard_id = id
        """A master and its replicas have it in common; the master's id until it is told."""
        self.master: Node | None = None
        """Whom it replicates. None for a master, and for a replica of somebody who is not known here."""
        self.replicas: list[Node] = []
        self.config_epoch = 0
        """Of its claim to its slots. That of a replica is not used: see `epoch`."""
        self.slots = bytearray(BITMAP)
        self.slot_count = 0
        self.ping_sent = 0
        """When the ping was sent that is not answered yet; 0: none is."""
        self.pong_received = 0
        self.data_received = 0
        """When anything came from it."""
        self.fail_time = 0
        """When FAIL was set."""
        self.extends = False
        """It may be sent the extensions that came with 7.2."""
        self.voted_at = 0
        """When one of its replicas last got our vote."""
        self.orphaned_at = 0
        """Since when it is a master with slots without a working replica."""
        self.offset = 0
        """The replication offset that it told last."""
        self.offset_at = 0
        self.reports: dict[Node, int] = {}
        """Masters that say that it does not answer, and when they last said so."""
        self.link: Link | None = None
        """The one that we made; it may be still on its way."""
        self.inbound: Link | None = None
        """The one that it made, if it is known which that is."""

    def __repr__(self) -> str:
        return f"<node {self.name} {self.ip}:{self.port} flags={self.flags}>"

    @property
    def name(self) -> str:
        """What the log calls it."""
        return self.id.decode() + (f" ({self.nodename})" if self.nodename else "")

    @property
    def is_master(self) -> bool:
        """Whether it is a master, with or without slots."""
        return bool(self.flags & MASTER)

    @property
    def is_replica(self) -> bool:
        """Whether it is a replica, be it of an unknown master."""
        return bool(self.flags & REPLICA)

    @property
    def is_known(self) -> bool:
        """Whether the handshake with it is over, so that its id is its own."""
        return not self.flags & HANDSHAKE

    @property
    def is_well(self) -> bool:
        """Whether neither we nor a quorum miss its answers."""
        return not self.flags & (PFAIL | FAIL)

    @property
    def epoch(self) -> int:
        """The config epoch that counts for it: a replica's is its master's."""
        return self.master.config_epoch if self.is_replica and self.master is not None else self.config_epoch

    def owns(self, slot: int) -> bool:
        """Whether a slot is assigned to it."""
        return bool(self.slots[slot >> 3] & 1 << (slot & 7))

    @property
    def working_replicas(self) -> int:
        """How many of its replicas have not failed."""
        return sum(not replica.flags & FAIL for replica in self.replicas)


class View:
    """The cluster, seen from one of its nodes."""

    def __init__(self, myself: Node) -> None:
        myself.flags |= MYSELF
        self.myself = myself
        self.nodes: dict[bytes, Node] = {myself.id: myself}
        """By id, those in handshake included."""
        self.owners: list[Node | None] = [None] * SLOTS
        """By slot."""
        self.assigned = 0
        """How many slots have an owner."""
        self.migrating: dict[int, Node] = {}
        """Slots of ours that are on their way to another node."""
        self.importing: dict[int, Node] = {}
        """Slots that are on their way to us from another node."""
        self.current_epoch = 0
        """The greatest epoch that was heard of."""
        self.last_vote_epoch = 0
        """The epoch of our last vote: there is one in each."""
        self.ok = False
        """cluster_state."""
        self.paused = False
        """This master has stopped its clients' writes for the sake of a manual failover."""
        self.forgotten: dict[bytes, int] = {}
        """Nodes that are not to be taken in by gossip, and until when."""
        self.plain = bytearray(SLOTS)
        """1 for each slot that is served here without any more thought: it is ours, we are a master, it is not being
        moved, and the cluster is ok. What clients ask for is looked up here first."""
        self.released: Callable[[int], None] | None = None
        """Told of each slot that is taken from its owner."""
        self.coming: Callable[[int], None] | None = None
        """Told of each slot before it becomes ours, or is marked as one that is being imported."""

    # Nodes

    def add(self, node: Node) -> None:
        """Takes a node in."""
        self.nodes[node.id] = node

    def find(self, id: bytes) -> Node | None:
        """The node of this id, if it is known and not in handshake."""
        node = self.nodes.get(id)
        return node if node is not None and node.is_known else None

    def rename(self, node: Node, id: bytes) -> None:
        """Gives a node the id that it turned out to have."""
        del self.nodes[node.id]
        if node.shard_id == node.id:
            node.shard_id = id
        node.id = id
        self.nodes[id] = node

    def drop(self, node: Node) -> None:
        """Forgets a node: its slots have no owner then, its replicas no master, and its links are closed."""
        for moving in (self.migrating, self.importing):
            for slot in [slot for slot, other in moving.items() if other is node]:
                del moving[slot]
        self.release_all(node)
        for other in self.nodes.values():
            other.reports.pop(node, None)
        self.detach(node)
        for replica in node.replicas:
            replica.master = None
        node.replicas = []
        self.nodes.pop(node.id, None)
        for link in (node.link, node.inbound):
            if link is not None:
                link.close()
        self.refresh()

    @property
    def others(self) -> Iterator[Node]:
        """All nodes but this one, those in handshake included."""
        return (node for node in self.nodes.values() if node is not self.myself)

    @property
    def voters(self) -> Iterator[Node]:
        """The masters that have slots: they decide who has failed, and who is to be master."""
        return (node for node in self.nodes.values() if node.flags & MASTER and node.slot_count)

    @property
    def size(self) -> int:
        """How many of those there are."""
        return sum(1 for _ in self.voters)

    @property
    def quorum(self) -> int:
        """How many of them are a majority."""
        return self.size // 2 + 1

    def shard(self, node: Node) -> list[Node]:
        """The nodes that share their data with one, itself included."""
        return [other for other in self.nodes.values() if other.shard_id == node.shard_id and other.is_known]

    # Roles

    def make_master(self, node: Node) -> None:
        """Notes that a node is a master; it keeps the slots that it has."""
        if node.is_replica:
            self.detach(node)
            if node is not self.myself:
                node.flags |= MIGRATE_TO
        node.flags = (node.flags & ~REPLICA) | MASTER
        node.master = None
        self.refresh()

    def make_replica(self, node: Node, master: Node | None) -> None:
        """Notes that a node is a replica, of somebody unknown if `master` is None; its slots are left alone."""
        self.detach(node)
        node.flags = (node.flags & ~(MASTER | MIGRATE_TO)) | REPLICA
        node.master = master
        if master is not None:
            master.replicas.append(node)
            master.flags |= MIGRATE_TO
            node.shard_id = master.shard_id
        self.refresh()

    def detach(self, node: Node) -> None:
        """Takes a replica from its master, if it has one."""
        master, node.master = node.master, None
        if master is not None and node in master.replicas:
            master.replicas.remove(node)
            if not master.replicas:
                master.flags &= ~MIGRATE_TO

    # Slots

    def assign(self, slot: int, node: Node) -> None:
        """Makes a node the owner of a slot, whoever was."""
        if node is self.myself and self.coming is not None:
            self.coming(slot)
        self.release(slot)
        self.owners[slot] = node
        self.assigned += 1
        node.slots[slot >> 3] |= 1 << (slot & 7)
        node.slot_count += 1
        if node.slot_count == 1 and any(other.replicas for other in self.voters if other is not node):
            node.flags |= MIGRATE_TO
        self._look(slot)

    def release(self, slot: int) -> None:
        """Takes a slot from its owner, if it has one."""
        owner = self.owners[slot]
        if owner is not None:
            self.owners[slot] = None
            self.assigned -= 1
            owner.slots[slot >> 3] &= ~(1 << (slot & 7))
            owner.slot_count -= 1
            self.plain[slot] = 0
            if self.released is not None:
                self.released(slot)

    def release_all(self, node: Node) -> int:
        """Takes all its slots from a node. Returns how many it had."""
        count = node.slot_count
        if count:
            for slot, owner in enumerate(self.owners):
                if owner is node:
                    self.release(slot)
        return count

    def mark_migrating(self, slot: int, node: Node | None) -> None:
        """Notes that a slot of ours is on its way to a node, or no longer on its way."""
        self._mark(self.migrating, slot, node)

    def mark_importing(self, slot: int, node: Node | None) -> None:
        """Notes that a slot is on its way here from a node, or no longer on its way."""
        if node is not None and self.coming is not None:
            self.coming(slot)
        self._mark(self.importing, slot, node)

    def _mark(self, marks: dict[int, Node], slot: int, node: Node | None) -> None:
        if node is None:
            marks.pop(slot, None)
        else:
            marks[slot] = node
        self._look(slot)

    def clear_marks(self) -> None:
        """No slot is on its way any more."""
        slots = {*self.migrating, *self.importing}
        self.migrating.clear()
        self.importing.clear()
        for slot in slots:
            self._look(slot)

    def become(self, ok: bool) -> None:
        """Sets cluster_state."""
        if ok != self.ok:
            self.ok = ok
            self.refresh()

    def refresh(self) -> None:
        """Works out anew which slots are served without any more thought. To be called when our role has changed."""
        myself = self.myself
        plain = bytearray(SLOTS)
        if self.ok and myself.flags & MASTER and myself.slot_count:
            for slot, owner in enumerate(self.owners):
                if owner is myself:
                    plain[slot] = 1
            for slot in (*self.migrating, *self.importing):
                plain[slot] = 0
        self.plain[:] = plain

    def _look(self, slot: int) -> None:
        self.plain[slot] = (
            self.ok
            and self.owners[slot] is self.myself
            and bool(self.myself.flags & MASTER)
            and slot not in self.migrating
            and slot not in self.importing
        )

    # Epochs

    @property
    def max_epoch(self) -> int:
        """The greatest epoch of all."""
        return max(self.current_epoch, *(node.config_epoch for node in self.nodes.values()))

    def bump_epoch(self) -> bool:
        """Takes the next epoch for our claim without asking anybody, unless ours is the greatest already.

        Tells whether it did. The caller saves.
        """
        greatest = self.max_epoch
        if self.myself.config_epoch == 0 or self.myself.config_epoch != greatest:
            self.current_epoch = greatest + 1
            self.myself.config_epoch = self.current_epoch
            return True
        return False

    def forget_expired(self, now: int) -> None:
        """Lets gossip take in again what was forgotten long ago."""
        for id in [id for id, until in self.forgotten.items() if until <= now]:
            del self.forgotten[id]


def set_flags(node: Node, flags: int, on: bool = True) -> bool:
    """Sets flags of a node, or takes them away. Tells whether that changed anything."""
    before = node.flags
    node.flags = before | flags if on else before & ~flags
    return node.flags != before
