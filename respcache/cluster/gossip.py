"""What others say, and what this node makes of it.

Every message is from somebody who is known, or is being met; of others only MEET is listened to, which makes them
known, and PING, which gets its answer. What is learnt from a PING, PONG or MEET: that its sender lives and where, its
epochs, its role and its slots, what it thinks of others, and whom else it knows.
"""

from __future__ import annotations

import random
from typing import Protocol

from respcache.cluster import frames
from respcache.cluster.detection import Detection
from respcache.cluster.election import Election
from respcache.cluster.frames import Extensions, Fail, Header, Message, Ping, Plain, Publish, Update
from respcache.cluster.manual import ManualFailover
from respcache.cluster.nodes import (
    EXTENDS,
    FAIL,
    HANDSHAKE,
    MASTER,
    MIGRATE_TO,
    NOADDR,
    NOFAILOVER,
    PFAIL,
    REPLICA,
    Link,
    Node,
    View,
)
from respcache.cluster.ownership import Ownership
from respcache.cluster.sending import Sender
from respcache.cluster.services import Services, Todo
from respcache.log import VERBOSE
from respcache.log import logger as log

MOST_NODES = 4096
"""As many are known at most, those in handshake included: the bus believes everybody, and each takes memory."""
FROM_GOSSIP = MASTER | REPLICA | PFAIL | FAIL | MIGRATE_TO | NOFAILOVER
"""Flags that are believed of a node that was not known before."""
MOST_EARLY = 500
"""Milliseconds that a time of a pong may lie ahead of our clock."""
LONGEST_FORGOTTEN = 3600
"""Seconds for which another node can have us forget one."""


class Wire(Link, Protocol):
    """A connection that messages come from."""

    inbound: bool
    """The other node made it."""
    node: Node | None
    """Who is at the other end: known from the start where we made it, else from its messages."""
    peer: str
    """The address of the other end."""
    local: str
    """The address of this end."""


class Gossip:
    """The ear of this node."""

    def __init__(
        self,
        view: View,
        services: Services,
        sender: Sender,
        detection: Detection,
        ownership: Ownership,
        election: Election,
        manual: ManualFailover,
        dice: random.Random,
    ) -> None:
        self._view = view
        self._services = services
        self._sender = sender
        self._detection = detection
        self._ownership = ownership
        self._election = election
        self._manual = manual
        self._dice = dice
        self.received = [0] * len(frames.NAMES)
        """Messages by type."""

    def received_from(self, wire: Wire, message: Message) -> None:
        """Takes a message in."""
        header = message.header
        self.received[header.type] += 1
        node = self._view.find(header.sender)
        if node is not None:
            self._note(wire, node, header)
        if isinstance(message, Ping):
            self._ping(wire, node, message)
        elif node is None or node is self._view.myself:
            log.debug("Message of type %s from unknown node %s", frames.NAMES[header.type], header.sender.decode())
        elif isinstance(message, Fail):
            failing = self._view.find(message.id)
            if failing is not None:
                self._detection.told(node, failing)
        elif isinstance(message, Publish):
            sharded = header.type == frames.PUBLISHSHARD
            self._services.deliver(message.channel, message.message, sharded)
        elif isinstance(message, Update):
            self._update(message)
        elif isinstance(message, Plain):
            self._plain(node, header)

    def _note(self, wire: Wire, node: Node, header: Header) -> None:
        """What every message tells of its sender."""
        view, services = self._view, self._services
        if node is view.myself:
            return
        now = services.now()
        node.data_received = now
        if wire.inbound and node.inbound is not wire:
            old, node.inbound = node.inbound, wire
            wire.node = node
            if old is not None:
                old.close()
        view.current_epoch = max(view.current_epoch, header.current_epoch)
        if node.config_epoch < header.config_epoch:
            node.config_epoch = header.config_epoch
            services.soon(Todo.SAVE)
        node.offset = header.offset
        node.offset_at = now
        if header.mflags & frames.MFLAG_PAUSED:
            self._manual.heard(node, header)

    # Messages without gossip

    def _update(self, message: Update) -> None:
        """Somebody's slots, in a newer epoch than the one we know of."""
        node = self._view.find(message.id)
        if node is None or node.config_epoch >= message.config_epoch:
            return
        if node is self._view.myself:
            log.info("Discarding UPDATE message about myself.")
            return
        if node.is_replica:
            self._view.make_master(node)
        node.config_epoch = message.config_epoch
        self._services.soon(Todo.SAVE | Todo.STATE)
        self._ownership.claim(node, message.config_epoch, message.slots)

    def _plain(self, node: Node, header: Header) -> None:
        if header.type == frames.AUTH_REQUEST:
            self._election.asked(node, header)
        elif header.type == frames.AUTH_ACK:
            self._election.voted(node, header)
        elif header.type == frames.MFSTART and self._view.myself.is_master:
            self._manual.requested(node)

    # PING, PONG, MEET

    def _ping(self, wire: Wire, node: Node | None, message: Ping) -> None:
        header = message.header
        if header.type != frames.PONG:
            self._answer(wire, node, message)
        if not wire.inbound and wire.node is not None and not self._is_whom_we_called(wire, wire.node, node, header):
            return
        if not wire.inbound and wire.node is not None and header.type == frames.PONG:
            wire.node.pong_received = self._services.now()
            wire.node.ping_sent = 0
            self._detection.answered(wire.node)
        if node is None or node is self._view.myself:
            return
        if (node.flags ^ header.flags) & NOFAILOVER:
            node.flags ^= NOFAILOVER
            self._services.soon(Todo.SAVE)
        if header.type == frames.PING and wire.inbound:
            self._look_at_address(wire, node, header)
        self._look_at_role(node, header)
        self._look_at_slots(node, header)
        self._look_at_others(node, message)
        self._look_at_extensions(node, header, message.extensions)

    def _answer(self, wire: Wire, node: Node | None, message: Ping) -> None:
        """Replies to PING and MEET; a MEET tells us our own address too, and of its sender all that we need."""
        header, view = message.header, self._view
        met = header.type == frames.MEET
        me = view.myself
        if (met or not me.ip) and not self._services.config.cluster_announce_ip and wire.local not in ("", me.ip):
            me.ip = wire.local
            log.info("IP address for this node updated to %s", me.ip)
            self._services.soon(Todo.SAVE)
        if met and node is None:
            ip = header.ip or wire.peer
            if ip and len(view.nodes) < MOST_NODES and not self._is_being_met(ip, header.cport):
                new = Node(self._dice.randbytes(20).hex().encode(), HANDSHAKE, self._services.now())
                new.ip, new.port, new.cport, new.plain_port = ip, header.port, header.cport, header.pport
                view.add(new)
        self._sender.ping(wire, node, frames.PONG)

    def _is_being_met(self, ip: str, cport: int) -> bool:
        """Whether a handshake with that address is under way. Redis would begin another one, to no end."""
        return any(node.flags & HANDSHAKE and (node.ip, node.cport) == (ip, cport) for node in self._view.others)

    def _is_whom_we_called(self, wire: Wire, called: Node, node: Node | None, header: Header) -> bool:
        """The first message on a connection of ours tells who is there: ends a handshake, or finds a stranger."""
        view = self._view
        if called.flags & HANDSHAKE:
            if node is not None:
                log.log(
                    VERBOSE, "Handshake: we already know node %s, updating the address if needed.", node.name
                )
                if node is not view.myself:
                    self._look_at_address(wire, node, header)
                view.drop(called)
                return False
            view.rename(called, header.sender)
            log.debug("Handshake with node %s completed.", called.name)
            called.flags = (called.flags & ~HANDSHAKE) | (header.flags & (MASTER | REPLICA))
            self._services.soon(Todo.SAVE)
        elif called.id != header.sender:
            log.debug(
                "PONG contains mismatching sender ID. About node %s having flags %d", called.name, called.flags
            )
            called.flags |= NOADDR
            called.ip = ""
            called.port = called.cport = called.plain_port = 0
            wire.close()
            self._services.soon(Todo.SAVE)
            return False
        return True

    def _look_at_address(self, wire: Wire, node: Node, header: Header) -> None:
        """A node may have moved: then our connection to it leads nowhere."""
        ip = header.ip or wire.peer
        address = ip, header.port, header.cport, header.pport
        if node.link is wire or not ip or address == (node.ip, node.port, node.cport, node.plain_port):
            return
        node.ip, node.port, node.cport, node.plain_port = address
        node.flags &= ~NOADDR
        if node.link is not None:
            node.link.close()
        log.info("Address updated for node %s, now %s:%d", node.name, node.ip, node.port)
        if self._view.myself.master is node:
            self._services.follow(node)
        self._services.soon(Todo.SAVE | Todo.STATE)

    # Roles and slots

    def _look_at_role(self, node: Node, header: Header) -> None:
        view = self._view
        if not header.master:
            if not node.is_master:
                view.make_master(node)
                self._services.soon(Todo.SAVE | Todo.STATE)
            return
        master = view.find(header.master)
        if node.is_replica and (master is None or node.master is master):
            return
        if master is node or (node.is_master and not self._step_down(node, master, header)):
            return
        view.make_replica(node, master)
        self._services.soon(Todo.SAVE | Todo.STATE)
        me = view.myself
        if me.master is node and master is not None and master is not me:
            log.info("I'm a sub-replica! Reconfiguring myself from %s to %s", node.name, master.name)
            self._ownership.follow(master)

    def _step_down(self, node: Node, master: Node | None, header: Header) -> bool:
        """A master has become a replica. Its slots go to its new master if the two share them, else they are free.

        False: the message is older than what we know, and means nothing.
        """
        view = self._view
        if not node.slot_count:
            return True
        elected = master is not None and master.shard_id == node.shard_id
        if master is None or not elected or (master is view.myself and master.is_replica):
            count = view.release_all(node)
            text = "Node %s is no longer master of shard %s; removed all %d slot(s) it used to own"
            log.info(text, node.name, node.shard_id.decode(), count)
            return True
        if node.config_epoch > header.config_epoch:
            log.info("Ignore stale message from %s in shard %s", node.name, node.shard_id.decode())
            return False
        if not master.is_master:
            view.make_master(master)
        if master is not view.myself:
            master.config_epoch = max(master.config_epoch, header.config_epoch)
        count = self._ownership.move(node, master)
        text = "A failover occurred in shard %s; node %s lost %d slot(s) to node %s with a config epoch of %d"
        log.info(text, node.shard_id.decode(), node.name, count, master.name, master.config_epoch)
        return True

    def _look_at_slots(self, node: Node, header: Header) -> None:
        """What it claims, or says that its master claims. Mostly that is what we know, so that comes first."""
        me = self._view.myself
        claimant = node if node.is_master else node.master
        if claimant is not None and claimant.slots != header.slots:
            if node.is_master:
                self._ownership.claim(node, header.config_epoch, header.slots)
            better = self._ownership.better_owner(claimant, header.config_epoch, header.slots)
            if better is not None and node.link is not None:
                text = "Node %s has old slots configuration, sending an UPDATE message about %s"
                log.log(VERBOSE, text, node.name, better.name)
                self._sender.update(node.link, better)
        if node.is_master and me.is_master and header.config_epoch == me.config_epoch:
            self._collide(node)

    def _collide(self, node: Node) -> None:
        """Two masters of one epoch: the one with the smaller id takes the next."""
        view = self._view
        me = view.myself
        if node.config_epoch == me.config_epoch and node.id > me.id:
            view.current_epoch += 1
            me.config_epoch = view.current_epoch
            text = "WARNING: configEpoch collision with node %s. configEpoch set to %d"
            log.log(VERBOSE, text, node.name, me.config_epoch)
            self._services.save()

    # What it says of others

    def _look_at_others(self, node: Node, message: Ping) -> None:
        view, now = self._view, self._services.now()
        reports = node.is_master
        for entry in message.gossip:
            failing = bool(entry.flags & (PFAIL | FAIL))
            about = view.nodes.get(entry.id)
            if about is None:
                if not entry.flags & NOADDR and entry.id not in view.forgotten and entry.ip:
                    self._take_in(entry, now)
                continue
            if about is view.myself:
                continue
            if reports and (failing or about.reports) and about is not node:
                self._detection.heard(about, node, failing)
            if about.flags & (PFAIL | FAIL):
                if not failing and not entry.flags & NOADDR and entry.ip:
                    self._look_for(about, entry)
            elif not failing and not about.ping_sent and not about.reports:
                pong = entry.pong_received * 1000
                if about.pong_received < pong <= now + MOST_EARLY:
                    about.pong_received = pong

    def _take_in(self, entry: frames.Gossip, now: int) -> None:
        if len(self._view.nodes) >= MOST_NODES:
            return
        new = Node(entry.id, entry.flags & FROM_GOSSIP, now)
        if new.flags & FAIL:
            new.fail_time = now
        new.ip, new.port, new.cport, new.plain_port = entry.ip, entry.port, entry.cport, entry.pport
        self._view.add(new)
        self._services.soon(Todo.SAVE | Todo.STATE)

    def _look_for(self, about: Node, entry: frames.Gossip) -> None:
        """Somebody reaches a node that we do not: maybe elsewhere."""
        address = entry.ip, entry.port, entry.cport
        if address != (about.ip, about.port, about.cport):
            if about.link is not None:
                about.link.close()
            about.ip, about.port, about.cport = address
            about.plain_port = entry.pport
            about.flags &= ~NOADDR
            self._services.soon(Todo.SAVE)

    def _look_at_extensions(self, node: Node, header: Header, extensions: Extensions) -> None:
        """Who sends what 7.0 has not, or says so, knows all of them; a node that says nothing has no names."""
        view, services = self._view, self._services
        node.extends = bool(header.flags & EXTENDS) or extensions.shard_id is not None
        hostname, nodename = extensions.hostname or "", extensions.nodename or ""
        if (node.hostname, node.nodename) != (hostname, nodename):
            node.hostname, node.nodename = hostname, nodename
            services.soon(Todo.SAVE)
        # A replica may not know yet that its master's is another one than was to be thought.
        shard = node.master.shard_id if node.master is not None else extensions.shard_id
        if shard is not None and shard != node.shard_id:
            for member in (node, *node.replicas):
                member.shard_id = shard
            services.soon(Todo.SAVE)
        for id, seconds in extensions.forgotten:
            gone = view.find(id)
            if gone is not None and gone not in (view.myself, view.myself.master, node):
                view.forgotten[id] = services.now() + min(seconds, LONGEST_FORGOTTEN) * 1000
                view.drop(gone)
                services.soon(Todo.SAVE | Todo.STATE)
