"""A member of a cluster: the parts of its mind put together, and what people can have it do.

It knows no sockets, files or clients. The server around it, or a test, gives it the messages that come, a tick each
100 milliseconds, and does for it what `Services` says.
"""

from __future__ import annotations

import ipaddress
import random
from collections.abc import Callable, Sequence

from respcache.cluster.cron import Cron
from respcache.cluster.detection import Detection
from respcache.cluster.election import Election
from respcache.cluster.frames import Message
from respcache.cluster.gossip import Gossip, Wire
from respcache.cluster.manual import ManualFailover
from respcache.cluster.migration import ReplicaMigration
from respcache.cluster.nodes import HANDSHAKE, MASTER, MEET, Link, Node, View
from respcache.cluster.ownership import Ownership
from respcache.cluster.sending import Sender
from respcache.cluster.services import Services, Todo
from respcache.log import logger as log

FORGET = 60_000
"""Milliseconds for which a node that was forgotten is not taken in again."""
_PORTS = range(1, 65536)


class Member:
    """This node of the cluster. `connect` is that of `Cron`."""

    def __init__(
        self,
        view: View,
        services: Services,
        connect: Callable[[Node], Link | None],
        dice: random.Random | None = None,
    ) -> None:
        self.view = view
        self._services = services
        self._dice = dice = dice or random.Random()
        self.sender = Sender(view, services, dice)
        self.detection = Detection(view, services, self.sender)
        self.ownership = Ownership(view, services, self._follow)
        self.manual = ManualFailover(view, services, self.sender)
        self.election = Election(view, services, self.sender, self.manual, dice)
        self.migration = ReplicaMigration(view, services, self.replicate)
        self.gossip = Gossip(
            view,
            services,
            self.sender,
            self.detection,
            self.ownership,
            self.election,
            self.manual,
            dice,
        )
        self.cron = Cron(view, services, self.sender, self.detection, connect, dice)

    # What happens

    def received(self, wire: Wire, message: Message) -> None:
        """A message has come."""
        self.gossip.received_from(wire, message)

    def tick(self) -> None:
        """100 milliseconds have passed."""
        view = self.view
        self.cron.tick()
        me = view.myself
        if me.is_replica and me.master is not None and me.master.ip:
            self._services.follow(me.master)
        self.manual.cron()
        if me.is_replica and self._services.ready:
            self.election.cron()
            self.migration.cron()

    def do(self, todo: Todo) -> None:
        """What was to be done at the end of a turn, all but saving."""
        if todo & Todo.MANUAL:
            self.manual.look()
        if todo & Todo.FAILOVER:
            self.election.look()
        if todo & Todo.STATE:
            self.detection.judge()

    # What people ask for, see `respcache.clustered`

    def announce(self) -> None:
        """Tells everybody at once who we are and what is ours."""
        self.sender.pong_all()

    def meet(self, ip: str, port: int, cport: int) -> bool:
        """Begins a handshake; nothing if one is under way. Tells whether the address makes sense."""
        try:
            address = str(ipaddress.ip_address(ip))
        except ValueError:
            return False
        if port not in _PORTS or cport not in _PORTS:
            return False
        under_way = any(
            node.flags & HANDSHAKE and (node.ip, node.cport) == (address, cport) for node in self.view.others
        )
        if not under_way:
            node = Node(self._new_id(), HANDSHAKE | MEET, self._services.now())
            node.ip, node.port, node.cport = address, port, cport
            self.view.add(node)
        return True

    def forget(self, node: Node) -> None:
        """Drops a node, and takes it in no more for a minute."""
        self.view.forgotten[node.id] = self._services.now() + FORGET
        self.view.drop(node)
        self._services.soon(Todo.STATE | Todo.SAVE)

    def replicate(self, master: Node) -> None:
        """Becomes a replica of a master, and tells everybody; slots and marks are dropped."""
        self._follow(master)
        self.sender.pong_all()

    def _follow(self, master: Node) -> None:
        """The same, but does not tell: if a master has lost its slots, that is the new owner's to say, and first."""
        view = self.view
        me = view.myself
        view.release_all(me)
        view.clear_marks()
        view.make_replica(me, master)
        self.manual.reset()
        self._services.follow(master)
        self._services.soon(Todo.STATE | Todo.SAVE)

    def reset(self, hard: bool) -> None:
        """Forgets everybody and all slots; a replica becomes an empty master; `hard`: with a new id and epochs of 0."""
        view = self.view
        me = view.myself
        if me.is_replica:
            view.make_master(me)
            self._services.lead()
            self._services.empty()
            me.shard_id = self._new_id()
        view.clear_marks()
        self.manual.reset()
        self.ownership.clear()
        for node in [*view.nodes.values()]:
            view.release_all(node)
            if node is not me:
                view.drop(node)
        if hard:
            view.current_epoch = view.last_vote_epoch = me.config_epoch = 0
            log.info("configEpoch set to 0 via CLUSTER RESET HARD")
            view.rename(me, self._new_id())
            me.shard_id = self._new_id()
            log.info("Node hard reset, now I'm %s", me.name)
        self._services.soon(Todo.STATE | Todo.SAVE)

    def take_all(self, slots: Sequence[int], node: Node) -> None:
        """Assigns slots; those that become ours and were being imported are no longer marked so."""
        view = self.view
        for slot in slots:
            view.assign(slot, node)
            if node is view.myself:
                view.mark_importing(slot, None)
        self._services.soon(Todo.STATE | Todo.SAVE)

    def _new_id(self) -> bytes:
        return self._dice.randbytes(20).hex().encode()


def newcomer(now: int, dice: random.Random | None = None) -> View:
    """The view of a node that knows nobody, with an id that nobody has."""
    dice = dice or random.SystemRandom()
    me = Node(dice.randbytes(20).hex().encode(), MASTER, now)
    me.shard_id = dice.randbytes(20).hex().encode()
    return View(me)
