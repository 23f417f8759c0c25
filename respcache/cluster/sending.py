"""What a node says: the header of all its messages, and each of them built and sent."""

from __future__ import annotations

import random

from respcache.cluster import frames
from respcache.cluster.frames import MFLAG_FORCE_ACK, MFLAG_PAUSED, Extensions, Gossip, Header
from respcache.cluster.nodes import EXTENDS, HANDSHAKE, NOADDR, PFAIL, Link, Node, View
from respcache.cluster.services import Services

LEAST_GOSSIP = 3
"""Entries of a ping, if there are so many nodes."""


class Sender:
    """The voice of this node."""

    def __init__(self, view: View, services: Services, dice: random.Random | None = None) -> None:
        self._view = view
        self._services = services
        self._dice = dice or random.Random()
        self.sent = [0] * len(frames.NAMES)
        """Messages by type."""

    def header(self, type: int, mflags: int = 0) -> Header:
        """The header of a message of ours, as things are now."""
        view, config = self._view, self._services.config
        me = view.myself
        claim = me.master if me.is_replica and me.master is not None else me
        return Header(
            type=type,
            port=me.port,
            current_epoch=view.current_epoch,
            config_epoch=claim.config_epoch,
            offset=self._services.offset,
            sender=me.id,
            slots=bytes(claim.slots),
            master=me.master.id if me.master is not None else b"",
            ip=config.cluster_announce_ip or "",
            pport=me.plain_port,
            cport=me.cport,
            flags=me.flags | EXTENDS,
            state=0 if view.ok else 1,
            mflags=mflags | (MFLAG_PAUSED if view.paused else 0),
        )

    def ping(self, link: Link, node: Node | None, type: int) -> None:
        """Sends PING, PONG or MEET on a link; `node` is who is at its other end, if that is known."""
        if type == frames.PING and node is not None and node.link is link:
            node.ping_sent = self._services.now()
        frame = frames.encode_ping(self.header(type), self._gossip(node), self._extensions(node))
        self._send(link, frame, type)

    def pong_all(self, replicas_of: Node | None = None) -> None:
        """Sends a PONG to everybody, or to the other replicas of a master only: news that shall not wait."""
        me = self._view.myself
        for node in [*self._view.others]:
            if node.link is None or node.flags & HANDSHAKE:
                continue
            if replicas_of is not None and (node is me or node.master is not replicas_of):
                continue
            self.ping(node.link, node, frames.PONG)

    def ask_for_votes(self, force: bool) -> None:
        """Sends FAILOVER_AUTH_REQUEST to everybody; with `force` the vote is asked for though the master is up."""
        header = self.header(frames.AUTH_REQUEST, MFLAG_FORCE_ACK if force else 0)
        self._broadcast(frames.encode_plain(header), frames.AUTH_REQUEST)

    def vote(self, node: Node) -> None:
        """Sends FAILOVER_AUTH_ACK to a replica."""
        self._send_to(node, frames.encode_plain(self.header(frames.AUTH_ACK)), frames.AUTH_ACK)

    def start_manual(self, master: Node) -> None:
        """Sends MFSTART to our master."""
        self._send_to(master, frames.encode_plain(self.header(frames.MFSTART)), frames.MFSTART)

    def update(self, link: Link, about: Node) -> None:
        """Sends UPDATE on a link to somebody whose claim is outdated: the slots of this node are its own."""
        frame = frames.encode_update(
            self.header(frames.UPDATE), about.config_epoch, about.id, bytes(about.slots)
        )
        self._send(link, frame, frames.UPDATE)

    def fail(self, node: Node) -> None:
        """Tells everybody that a node has failed."""
        self._broadcast(frames.encode_fail(self.header(frames.FAIL), node.id), frames.FAIL)

    def publish(self, channel: bytes, message: bytes) -> None:
        """Hands a message to all nodes."""
        frame = frames.encode_publish(self.header(frames.PUBLISH), channel, message)
        self._broadcast(frame, frames.PUBLISH)

    def publish_shard(self, channel: bytes, message: bytes) -> None:
        """Hands a message of a shard channel to the nodes of our shard."""
        me = self._view.myself
        others = [node for node in self._view.shard(me) if node is not me]
        if others:
            frame = frames.encode_publish(self.header(frames.PUBLISHSHARD), channel, message)
            for node in others:
                self._send_to(node, frame, frames.PUBLISHSHARD)

    # Parts of a ping

    def _gossip(self, receiver: Node | None) -> list[Gossip]:
        """Some nodes, drawn at random, and all that do not answer us."""
        view = self._view
        wanted = min(max(LEAST_GOSSIP, len(view.nodes) // 10), len(view.nodes) - 2)
        healthy, suspected = [], []
        for node in view.nodes.values():
            if node is view.myself or node is receiver or node.flags & (HANDSHAKE | NOADDR):
                continue
            if node.flags & PFAIL:
                suspected.append(node)
            elif node.link is not None or node.slot_count:
                healthy.append(node)
        if wanted > 0:
            drawn = self._dice.sample(healthy, min(wanted, len(healthy)))
        else:
            drawn = []
        return [_entry(node) for node in (*drawn, *suspected)]

    def _extensions(self, receiver: Node | None) -> Extensions:
        """For who is not known to know more, only the one of 7.0."""
        view, now = self._view, self._services.now()
        me = view.myself
        if receiver is None or not receiver.extends:
            return Extensions(hostname=me.hostname or None)
        return Extensions(
            hostname=me.hostname or None,
            nodename=me.nodename or None,
            forgotten=[(id, (until - now) // 1000) for id, until in view.forgotten.items() if until - now >= 1000],
            shard_id=me.shard_id,
        )

    # Wires

    def _send(self, link: Link, frame: bytes, type: int) -> None:
        self.sent[type] += 1
        link.send(frame)

    def _send_to(self, node: Node, frame: bytes, type: int) -> None:
        if node.link is not None:
            self._send(node.link, frame, type)

    def _broadcast(self, frame: bytes, type: int) -> None:
        for node in [*self._view.others]:
            if node.link is not None and not node.flags & HANDSHAKE:
                self._send(node.link, frame, type)


def _entry(node: Node) -> Gossip:
    return Gossip(
        id=node.id,
        ping_sent=node.ping_sent // 1000,
        pong_received=node.pong_received // 1000,
        ip=node.ip,
        port=node.port,
        cport=node.cport,
        flags=node.flags,
        pport=node.plain_port,
    )


