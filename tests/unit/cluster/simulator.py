"""A cluster in one process: nodes of pure logic that exchange real frames, on a clock that goes as fast as one likes.

    network = Network()
    a, b, c = network.add_all(3)
    network.form([a, b, c])             # they have met, and the slots are dealt out
    replica = network.add_replica(a)
    network.cut(a)                      # nothing goes to or from it any more; `heal` ends that
    network.run(5000)                   # five seconds
    assert b.view.find(a.id).flags & FAIL

What goes wrong in one run goes wrong in each: chance comes from a seed.
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Callable, Iterable, Sequence

from respcache.cluster import frames, nodes_conf
from respcache.cluster.member import Member, newcomer
from respcache.cluster.nodes import Node, View
from respcache.cluster.services import Todo
from respcache.config import Config
from respcache.directives import DIRECTIVES
from respcache.store.slot import SLOTS

START = 1_700_000_000_000
LATENCY = 1
"""Milliseconds that a message takes."""


class SimLink:
    """One end of a connection."""

    def __init__(self, owner: SimNode, other: SimNode, node: Node | None) -> None:
        self.owner = owner
        self.created = owner.now()
        self.inbound = node is None
        self.node = node
        self.peer = other.ip
        self.local = owner.ip
        self.other: SimLink | None = None
        self.closed = False
        self.waiting: list[bytes] = []  # until the connection is there
        self.there = self.inbound

    @property
    def pending(self) -> int:
        return sum(map(len, self.waiting))

    def send(self, frame: bytes) -> None:
        assert len(frame) == int.from_bytes(frame[4:8], "big")
        if self.closed:
            return
        if not self.there or self.other is None:
            self.waiting.append(frame)
            return
        other = self.other
        network = self.owner.network
        if network.reaches(self.owner, other.owner):
            network.after(LATENCY, lambda: other.take(frame))

    def take(self, frame: bytes) -> None:
        if not self.closed and self.owner.alive:
            self.owner.frames.append(frame)
            self.owner.member.received(self, frames.decode(frame))
            self.owner.turn()

    def close(self) -> None:
        if self.closed:
            return
        self.closed = True
        if self.node is not None:
            if self.node.link is self:
                self.node.link = None
            if self.node.inbound is self:
                self.node.inbound = None
        other = self.other
        if other is not None and self.owner.network.reaches(self.owner, other.owner):
            self.owner.network.after(LATENCY, other.close)


class SimNode:
    """A node, and the services of a server that has no data but counts of keys."""

    def __init__(self, network: Network, ip: str, view: View, directives: dict[str, object]) -> None:
        self.network = network
        self.ip = ip
        self.alive = True
        self.config = Config(DIRECTIVES)
        self.config.load({"cluster_node_timeout": 1000, **directives})
        self.todo = Todo(0)
        self.frames: list[bytes] = []
        """All that it was sent."""
        self.saved = ""
        """nodes.conf, as it is on the disk."""
        self.saves = 0
        self.fail_saves = False
        self.ready = True
        self.following: bytes | None = None
        """The id of whom it replicates."""
        self.offset = 0
        self.lost_at: int | None = None  # when its master was last there
        self.awaited: int | None = None
        self.paused_until = 0
        self.keys: dict[int, int] = {}
        """How many there are, by slot."""
        self.delivered: list[tuple[bytes, bytes, bool]] = []
        self.start(view)

    def __repr__(self) -> str:
        return f"<{self.ip} {self.id[:6].decode()}>"

    def start(self, view: View) -> None:
        me = view.myself
        me.ip, me.port, me.cport = self.config.cluster_announce_ip or "", 7000, 17000
        self.view = view
        self.member = Member(view, self, self._connect, random.Random(self.network.dice.random()))

    @property
    def me(self) -> Node:
        return self.view.myself

    @property
    def id(self) -> bytes:
        return self.view.myself.id

    def sees(self, other: SimNode) -> Node:
        """What it knows of another one."""
        return self.view.nodes[other.id]

    def tick(self) -> None:
        if self.alive:
            self.replicate()
            self.member.tick()
            self.turn()

    def turn(self) -> None:
        """The end of a turn of the loop."""
        while self.todo:
            todo, self.todo = self.todo, Todo(0)
            self.member.do(todo)
            if todo & Todo.SAVE:
                self.save()

    def replicate(self) -> None:
        """Takes over what its master has, as fast as that."""
        master = self.network.find(self.following) if self.following else None
        if master is None or not master.alive or not self.network.reaches(self, master):
            return
        self.lost_at = self.now()
        self.offset = max(self.offset, master.offset)
        self.keys = dict(master.keys)
        if self.awaited is not None and self.offset >= self.awaited:
            self.awaited = None
            self.soon(Todo.MANUAL)

    def _connect(self, node: Node) -> SimLink | None:
        other = self.network.at(node.ip, node.cport)
        if other is None or (not other.alive and self.network.reaches(self, other)):
            return None
        link = SimLink(self, other, node)
        if self.network.reaches(self, other):
            self.network.after(LATENCY, lambda: self._connected(link, node, other))
        return link

    def _connected(self, link: SimLink, node: Node, other: SimNode) -> None:
        if link.closed or not other.alive or not self.alive or not self.network.reaches(self, other):
            return
        link.other = SimLink(other, self, None)
        link.other.other = link
        link.there = True
        self.member.cron.connected(node, link)
        waiting, link.waiting = link.waiting, []
        for frame in waiting:
            link.send(frame)

    # Services

    def now(self) -> int:
        return self.network.now

    def soon(self, what: Todo) -> None:
        self.todo |= what

    def save(self) -> None:
        if self.fail_saves:
            raise OSError(28, "No space left on device")
        self.saves += 1
        self.saved = nodes_conf.render(self.view)

    @property
    def data_age(self) -> int:
        return 1 << 62 if self.lost_at is None else self.now() - self.lost_at

    def await_offset(self, offset: int) -> None:
        self.awaited = offset

    def follow(self, master: Node) -> None:
        if self.following != master.id:
            self.following = master.id
            self.lost_at = None

    def lead(self) -> None:
        self.following = None

    def pause_writes(self, until: int) -> None:
        self.paused_until = until

    def unpause(self) -> None:
        self.paused_until = 0

    def count_keys(self, slot: int) -> int:
        return self.keys.get(slot, 0)

    def delete_keys(self, slot: int) -> int:
        return self.keys.pop(slot, 0)

    def empty(self) -> None:
        self.keys.clear()

    def deliver(self, channel: bytes, message: bytes, sharded: bool) -> None:
        self.delivered.append((channel, message, sharded))


class Network:
    """All nodes, the time, and what is on its way."""

    def __init__(self, seed: int = 1) -> None:
        self.dice = random.Random(seed)
        self.now = START
        self.nodes: list[SimNode] = []
        self._events: list[tuple[int, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._cut: set[tuple[SimNode, SimNode]] = set()

    def add(self, **directives: object) -> SimNode:
        """A node that knows nobody."""
        ip = f"10.0.0.{len(self.nodes) + 1}"
        node = SimNode(self, ip, newcomer(self.now, self.dice), directives)
        self.nodes.append(node)
        self.after(self.dice.randrange(100), lambda: self._tick(node))
        return node

    def add_all(self, count: int, **directives: object) -> list[SimNode]:
        """Some of them."""
        return [self.add(**directives) for _ in range(count)]

    def add_replica(self, master: SimNode, **directives: object) -> SimNode:
        """A replica of one that is in the cluster; returns when all know it."""
        node = self.add(**directives)
        self.join(node, master)
        node.member.replicate(node.sees(master))
        self.until(
            lambda: all(
                node.id in [known.id for known in other.sees(master).replicas] for other in self.living()
            )
        )
        self.run(200)
        return node

    def join(self, node: SimNode, friend: SimNode) -> None:
        """Has a node meet another one, and waits until all that this one knows know it too."""
        some = [node, *(other for other in self.living() if other.id in friend.view.nodes)]
        assert node.member.meet(friend.ip, 7000, 17000)
        self.until(lambda: self.all_linked(some))

    def form(self, masters: Sequence[SimNode]) -> None:
        """Has nodes meet, and deals the slots out; returns when all are ok."""
        share = SLOTS // len(masters) + 1
        for number, node in enumerate(masters):
            slots = range(number * share, min((number + 1) * share, SLOTS))
            node.member.take_all(slots, node.me)
            node.me.config_epoch = node.view.current_epoch = number + 1
            node.turn()
            if number:
                node.member.meet(masters[0].ip, 7000, 17000)
        self.until(lambda: self.all_linked(masters) and all(node.view.ok for node in masters))
        self.run(2000)

    # Time

    def after(self, delay: int, what: Callable[[], None]) -> None:
        """Has something done later."""
        heapq.heappush(self._events, (self.now + delay, next(self._order), what))

    def _tick(self, node: SimNode) -> None:
        node.tick()
        self.after(100, lambda: self._tick(node))

    def run(self, milliseconds: int) -> None:
        """Lets time pass."""
        end = self.now + milliseconds
        while self._events and self._events[0][0] <= end:
            self.now, _, what = heapq.heappop(self._events)
            what()
        self.now = end

    def until(self, what: Callable[[], bool], limit: int = 30_000) -> int:
        """Lets time pass until something is so. Returns how long that took."""
        start = self.now
        while not what():
            assert self.now - start < limit, f"not so after {limit} ms"
            self.run(10)
        return self.now - start

    # The wires

    def at(self, ip: str, cport: int) -> SimNode | None:
        """Who has an address."""
        return next((node for node in self.nodes if (node.ip, 17000) == (ip, cport)), None)

    def find(self, id: bytes) -> SimNode | None:
        """Who has an id."""
        return next((node for node in self.nodes if node.id == id), None)

    def living(self) -> list[SimNode]:
        """Those that were not killed."""
        return [node for node in self.nodes if node.alive]

    def reaches(self, one: SimNode, other: SimNode) -> bool:
        """Whether messages get from one to another."""
        return (one, other) not in self._cut

    def cut(self, *some: SimNode, others: Iterable[SimNode] | None = None) -> None:
        """Nothing goes between these nodes and the others any more; what is sent vanishes."""
        for one in some:
            for other in self.nodes if others is None else others:
                if other not in some:
                    self._cut |= {(one, other), (other, one)}

    def heal(self) -> None:
        """Ends all that."""
        self._cut.clear()

    def kill(self, node: SimNode) -> None:
        """Ends a node; the others' connections to it are closed."""
        node.alive = False
        for other in self.nodes:
            for known in other.view.nodes.values():
                if known.id == node.id and other is not node:
                    for link in (known.link, known.inbound):
                        if link is not None:
                            link.close()

    def revive(self, node: SimNode) -> None:
        """Starts it again, with what its nodes.conf says."""
        node.alive = True
        node.following = None
        node.start(nodes_conf.load(node.saved, self.now))

    def all_linked(self, some: Sequence[SimNode] = ()) -> bool:
        """Whether these, or all that live, know each other, and have connections."""
        living = some or self.living()
        return all(
            one is other or (other.id in one.view.nodes and one.sees(other).link is not None)
            for one in living
            for other in living
        )
