"""What a node says: headers, gossip, and to whom each message goes."""

from __future__ import annotations

import random

import pytest

from respcache.cluster import frames
from respcache.cluster.frames import MFLAG_FORCE_ACK, MFLAG_PAUSED, Fail, Ping, Publish, Update
from respcache.cluster.nodes import HANDSHAKE, MASTER, NOADDR, PFAIL, Node, View
from respcache.cluster.sending import Sender
from tests.unit.cluster.fakes import FakeLink, FakeServices


class Scene:
    """A node, those it knows, each with a link, and its voice."""

    def __init__(self, others: int) -> None:
        self.services = FakeServices()
        self.view = View(Node(b"0" * 40, MASTER, self.services.now()))
        self.links: list[FakeLink] = []
        self.nodes: list[Node] = []
        for number in range(1, others + 1):
            node = Node(b"%040x" % number, MASTER, self.services.now())
            node.ip, node.port, node.cport = "10.0.0.1", number, number + 10000
            link = FakeLink()
            node.link = link
            self.view.add(node)
            self.nodes.append(node)
            self.links.append(link)
        self.sender = Sender(self.view, self.services, random.Random(1))

    def pinged(self, number: int) -> Ping:
        """What a ping to a node says."""
        node, link = self.nodes[number], self.links[number]
        self.sender.ping(link, node, frames.PING)
        (message,) = link.take(frames.PING)
        assert isinstance(message, Ping)
        return message


def test_a_master_tells_its_own_slots() -> None:
    scene = Scene(1)
    view, me = scene.view, scene.view.myself
    me.port, me.cport, me.config_epoch, view.current_epoch = 7, 17, 3, 4
    scene.services.offset = 99
    view.assign(10, me)
    view.become(True)
    header = scene.pinged(0).header
    assert (header.port, header.cport, header.config_epoch, header.current_epoch) == (7, 17, 3, 4)
    assert (header.sender, header.master, header.offset, header.state) == (me.id, b"", 99, 0)
    assert header.slots == bytes(me.slots)


def test_a_replica_tells_the_slots_and_the_epoch_of_its_master() -> None:
    scene = Scene(1)
    (master,) = scene.nodes
    master.config_epoch = 8
    scene.view.assign(5, master)
    scene.view.make_replica(scene.view.myself, master)
    header = scene.pinged(0).header
    assert (header.master, header.config_epoch, header.slots) == (master.id, 8, bytes(master.slots))
    assert header.state == 1


def test_what_is_announced_is_told() -> None:
    scene = Scene(1)
    scene.services.config.put("cluster-announce-ip", "1.2.3.4")
    me = scene.view.myself
    me.hostname, me.nodename, me.shard_id = "a.example", "anna", b"5" * 40
    message = scene.pinged(0)
    assert message.header.ip == "1.2.3.4"
    told = message.extensions
    assert (told.hostname, told.nodename, told.shard_id) == ("a.example", None, None)  # all that 7.0 knows
    scene.nodes[0].extends = True
    told = scene.pinged(0).extensions
    assert (told.hostname, told.nodename, told.shard_id) == ("a.example", "anna", b"5" * 40)


def test_only_a_ping_waits_for_an_answer() -> None:
    scene = Scene(1)
    node, link = scene.nodes[0], scene.links[0]
    scene.sender.ping(link, node, frames.PONG)
    scene.sender.ping(FakeLink(), node, frames.PING)  # somebody else's link
    assert node.ping_sent == 0
    scene.sender.ping(link, node, frames.PING)
    assert node.ping_sent == scene.services.now()
    assert scene.sender.sent[frames.PING] == 2


@pytest.mark.parametrize(("others", "entries"), [(1, 0), (2, 1), (3, 2), (4, 3), (10, 3), (60, 6)])
def test_how_many_are_gossiped_about(others: int, entries: int) -> None:
    scene = Scene(others)
    gossip = scene.pinged(0).gossip
    assert len({entry.id for entry in gossip}) == len(gossip) == entries


def test_who_is_gossiped_about() -> None:
    scene = Scene(20)
    for node in scene.nodes[:5]:
        node.flags |= PFAIL
    scene.nodes[5].flags |= HANDSHAKE
    scene.nodes[6].flags |= NOADDR
    scene.nodes[7].link = None
    seen = {entry.id for _ in range(60) for entry in scene.pinged(19).gossip}
    never = {scene.view.myself.id, *(scene.nodes[number].id for number in (5, 6, 7, 19))}
    assert seen == scene.view.nodes.keys() - never
    suspected = {node.id for node in scene.nodes[:5]}
    assert suspected <= {entry.id for entry in scene.pinged(19).gossip}


def test_an_entry() -> None:
    scene = Scene(2)
    about = scene.nodes[1]
    about.ping_sent, about.pong_received = 5_999, 7_001
    (entry,) = scene.pinged(0).gossip
    assert (entry.id, entry.ip, entry.port, entry.cport) == (about.id, "10.0.0.1", 2, 10002)
    assert (entry.ping_sent, entry.pong_received, entry.flags) == (5, 7, MASTER)


def test_what_was_forgotten_is_told_with_the_time_that_is_left() -> None:
    scene = Scene(1)
    now = scene.services.now()
    scene.nodes[0].extends = True
    scene.view.forgotten = {b"a" * 40: now + 30_000, b"b" * 40: now + 500}
    assert scene.pinged(0).extensions.forgotten == [(b"a" * 40, 30)]


def test_news_goes_to_all_but_those_in_handshake() -> None:
    scene = Scene(3)
    scene.nodes[1].flags |= HANDSHAKE
    scene.sender.pong_all()
    assert [len(link.take(frames.PONG)) for link in scene.links] == [1, 0, 1]


def test_news_for_the_other_replicas() -> None:
    scene = Scene(3)
    master, brother, _ = scene.nodes
    scene.view.make_replica(scene.view.myself, master)
    scene.view.make_replica(brother, master)
    scene.sender.pong_all(replicas_of=master)
    assert [len(link.take(frames.PONG)) for link in scene.links] == [0, 1, 0]


def test_votes() -> None:
    scene = Scene(2)
    scene.sender.ask_for_votes(force=False)
    scene.sender.vote(scene.nodes[1])
    assert len(scene.links[0].take(frames.AUTH_REQUEST)) == 1
    assert [message.header.type for message in scene.links[1].sent] == [frames.AUTH_REQUEST, frames.AUTH_ACK]
    scene.sender.ask_for_votes(force=True)
    (request,) = scene.links[0].take(frames.AUTH_REQUEST)
    assert request.header.mflags & MFLAG_FORCE_ACK


def test_a_paused_master_says_so_in_every_message() -> None:
    scene = Scene(1)
    scene.view.paused = True
    assert scene.pinged(0).header.mflags & MFLAG_PAUSED


def test_an_update_tells_of_somebody_else() -> None:
    scene = Scene(2)
    about = scene.nodes[1]
    about.config_epoch = 12
    scene.view.assign(77, about)
    scene.sender.update(scene.links[0], about)
    (message,) = scene.links[0].take(frames.UPDATE)
    assert isinstance(message, Update)
    assert (message.id, message.config_epoch, message.slots) == (about.id, 12, bytes(about.slots))


def test_a_failure_is_told_to_all() -> None:
    scene = Scene(2)
    scene.sender.fail(scene.nodes[0])
    for link in scene.links:
        (message,) = link.take(frames.FAIL)
        assert isinstance(message, Fail)
        assert message.id == scene.nodes[0].id


def test_messages_go_to_all_and_those_of_a_shard_to_the_shard() -> None:
    scene = Scene(2)
    scene.view.make_replica(scene.nodes[1], scene.view.myself)
    scene.sender.publish(b"channel", b"text")
    scene.sender.publish_shard(b"shard", b"more")
    (only,) = scene.links[0].sent
    assert isinstance(only, Publish)
    assert (only.header.type, only.channel, only.message) == (frames.PUBLISH, b"channel", b"text")
    assert [message.header.type for message in scene.links[1].sent] == [frames.PUBLISH, frames.PUBLISHSHARD]
    assert scene.sender.sent[frames.PUBLISH] == 2
