"""What a node does of itself, ten times a second: it keeps its connections, and it pings.

Each second it pings one node, the one of a few drawn at random that was not heard for longest; besides that everybody
who was not heard for half of `cluster-node-timeout`. So the traffic of a node grows with the size of the cluster only
when that is large and the timeout is short.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from respcache.cluster import frames
from respcache.cluster.detection import Detection
from respcache.cluster.nodes import FAIL, HANDSHAKE, MEET, MYSELF, NOADDR, PFAIL, Link, Node, View
from respcache.cluster.sending import Sender
from respcache.cluster.services import Services, Todo

TICK = 100
"""Milliseconds between two ticks."""
PER_SECOND = 1000 // TICK
DRAWN = 5
"""Nodes of which one is pinged each second."""
LEAST_HANDSHAKE = 1000
"""Milliseconds that a handshake may take at least; else `cluster-node-timeout`."""


class Cron:
    """The pulse of this node. `connect` begins to connect to a node and returns the link; None: that is in vain."""

    def __init__(
        self,
        view: View,
        services: Services,
        sender: Sender,
        detection: Detection,
        connect: Callable[[Node], Link | None],
        dice: random.Random,
    ) -> None:
        self._view = view
        self._services = services
        self._sender = sender
        self._detection = detection
        self._connect = connect
        self._dice = dice
        self._ticks = 0

    def tick(self) -> None:
        """What is due now."""
        view, now = self._view, self._services.now()
        timeout = self._services.config.cluster_node_timeout
        for node in [*view.nodes.values()]:
            if node.flags & HANDSHAKE and now - node.created > max(timeout, LEAST_HANDSHAKE):
                view.drop(node)
            elif node.link is None and not node.flags & (MYSELF | NOADDR):
                self._link(node, now)
        self._ticks += 1
        if self._ticks % PER_SECOND == 0:
            view.forget_expired(now)
            self._ping_one()
        for node in view.nodes.values():
            if not node.flags & (MYSELF | NOADDR | HANDSHAKE):
                self._look_at(node, now, timeout)
        if not view.ok:
            self._services.soon(Todo.STATE)

    def _link(self, node: Node, now: int) -> None:
        node.link = self._connect(node)
        if node.link is None:
            self.not_connected(node)

    def connected(self, node: Node, link: Link) -> None:
        """A link that was begun is there. The time of a ping that was lost with the one before still counts."""
        before = node.ping_sent
        self._sender.ping(link, node, frames.MEET if node.flags & MEET else frames.PING)
        if before:
            node.ping_sent = before
        node.flags &= ~MEET

    def not_connected(self, node: Node) -> None:
        """A node could not be reached: that is as if it did not answer."""
        node.ping_sent = node.ping_sent or self._services.now()

    def _ping_one(self) -> None:
        nodes = self._view.nodes
        drawn = self._dice.sample([*nodes.values()], min(DRAWN, len(nodes)))
        idle = [
            (node.pong_received, node, node.link)
            for node in drawn
            if node.link is not None and not node.ping_sent and not node.flags & (MYSELF | HANDSHAKE)
        ]
        if idle:
            _, node, link = min(idle, key=lambda one: one[0])
            self._sender.ping(link, node, frames.PING)

    def _look_at(self, node: Node, now: int, timeout: int) -> None:
        """Pings a node that was silent for long; if it stays so, tries another connection, and then suspects it."""
        half = timeout / 2
        link = node.link
        if link is not None and not node.ping_sent:
            if now - node.pong_received > half:
                self._sender.ping(link, node, frames.PING)
            return
        if not node.ping_sent:
            return
        silent = now - node.data_received > half and now - node.ping_sent > half
        if link is not None and silent and now - link.created > timeout:
            link.close()
        if not node.flags & (PFAIL | FAIL):
            self._detection.look(node, now)
