"""A node without a server: services that note what is asked of them, and links that keep what is sent."""

from __future__ import annotations

from respcache.cluster import frames
from respcache.cluster.frames import Header, Message
from respcache.cluster.nodes import FAIL, MASTER, Node, View
from respcache.cluster.sending import Sender
from respcache.cluster.services import Todo
from respcache.config import Config
from respcache.directives import DIRECTIVES
from respcache.store.slot import SLOTS

TIMEOUT = 1000


class FakeLink:
    """Keeps what is sent."""

    created = 0
    pending = 0

    def __init__(self) -> None:
        self.sent: list[Message] = []

    def send(self, frame: bytes) -> None:
        message = frames.decode(frame)
        assert message is not None
        self.sent.append(message)

    def close(self) -> None:
        pass

    def take(self, type: int) -> list[Message]:
        """The messages of a type that were sent since it was asked last; the others are forgotten."""
        sent, self.sent = self.sent, []
        return [message for message in sent if message.header.type == type]


class FakeServices:
    """Notes what it is asked for, in order."""

    def __init__(self) -> None:
        self.config = Config(DIRECTIVES)
        self.config.put("cluster-node-timeout", TIMEOUT)
        self.time = 1_700_000_000_000
        self.offset = 0
        self.ready = True
        self.data_age = TIMEOUT
        self.calls: list[object] = []
        self.todo = Todo(0)

    def now(self) -> int:
        return self.time

    def soon(self, what: Todo) -> None:
        self.todo |= what

    def save(self) -> None:
        self.calls.append("save")

    def await_offset(self, offset: int) -> None:
        self.calls.append(("await", offset))

    def follow(self, master: Node) -> None:
        self.calls.append(("follow", master))

    def lead(self) -> None:
        self.calls.append("lead")

    def pause_writes(self, until: int) -> None:
        self.calls.append(("pause", until - self.time))

    def unpause(self) -> None:
        self.calls.append("unpause")

    def count_keys(self, slot: int) -> int:
        return 0

    def delete_keys(self, slot: int) -> int:
        return 0

    def empty(self) -> None:
        self.calls.append("empty")

    def deliver(self, channel: bytes, message: bytes, sharded: bool) -> None:
        pass


class Shards:
    """A view of a cluster of some masters with slots and `replicas` replicas each.

    Node 0 is the first master, then come the other masters, then the replicas of the first, and so on. `me` is the
    number of this node."""

    def __init__(self, me: int, masters: int = 3, replicas: int = 1) -> None:
        self.services = FakeServices()
        count = masters * (1 + replicas)
        self.nodes = [Node(b"%040x" % (number + 1), MASTER, 0) for number in range(count)]
        self.me = self.nodes[me]
        self.view = view = View(self.me)
        self.links: dict[Node, FakeLink] = {}
        for number, node in enumerate(self.nodes):
            node.ip, node.port, node.cport = "127.0.0.1", 7000 + number, 17000 + number
            if node is not self.me:
                view.add(node)
                node.link = self.links[node] = FakeLink()
        for slot in range(SLOTS):
            view.assign(slot, self.nodes[slot * masters // SLOTS])
        for number in range(masters, count):
            view.make_replica(self.nodes[number], self.nodes[(number - masters) // replicas])
        for number in range(masters):
            self.nodes[number].config_epoch = number + 1
        view.current_epoch = masters
        view.become(True)
        self.sender = Sender(view, self.services)

    def fail(self, number: int) -> None:
        """A quorum says that a node does not answer."""
        self.nodes[number].flags |= FAIL
        self.nodes[number].fail_time = self.services.time

    def header(self, number: int, type: int, mflags: int = 0, **changes: int) -> Header:
        """The header of a message of another node."""
        node = self.nodes[number]
        claim = node.master or node
        header = Header(
            type=type,
            sender=node.id,
            current_epoch=self.view.current_epoch,
            config_epoch=claim.config_epoch,
            offset=node.offset,
            slots=bytes(claim.slots),
            master=node.master.id if node.master else b"",
            flags=node.flags,
            mflags=mflags,
        )
        for name, value in changes.items():
            setattr(header, name, value)
        return header
