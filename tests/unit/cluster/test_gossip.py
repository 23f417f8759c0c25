"""What nodes learn from each other."""

from __future__ import annotations

import dataclasses

import pytest

from respcache.cluster import frames
from respcache.cluster.frames import Extensions, Gossip, Header
from respcache.cluster.gossip import MOST_NODES
from respcache.cluster.nodes import FAIL, HANDSHAKE, MASTER, NOADDR, NOFAILOVER, PFAIL, REPLICA
from respcache.cluster.slots import bitmap
from tests.unit.cluster.simulator import Network, SimLink, SimNode

STRANGER = b"f" * 40


@pytest.fixture
def network() -> Network:
    return Network()


def hear(
    node: SimNode, header: Header, gossip: list[Gossip] | None = None, extensions: Extensions | None = None
) -> SimLink:
    """Has a node get a PING or the like on a connection that some other address made."""
    link = SimLink(node, node.network.nodes[-1], None)
    frame = frames.encode_ping(header, gossip or [], extensions)
    node.member.received(link, frames.decode(frame))
    node.turn()
    return link


def header_of(node: SimNode, type: int = frames.PING, **changes: object) -> Header:
    return dataclasses.replace(node.member.sender.header(type), **changes)  # type: ignore[arg-type]


# Meeting


def test_two_nodes_meet_and_know_each_other(network: Network) -> None:
    a, b = network.add_all(2)
    assert a.member.meet(b.ip, 7000, 17000)
    (stranger,) = a.view.others
    assert stranger.flags & HANDSHAKE
    assert stranger.id != b.id
    network.until(network.all_linked)
    assert (a.sees(b).ip, a.sees(b).port, a.sees(b).cport) == (b.ip, 7000, 17000)
    assert a.sees(b).flags == MASTER
    assert b.sees(a).flags == MASTER
    network.until(lambda: a.sees(b).shard_id == b.me.shard_id)
    assert (a.me.ip, b.me.ip) == (a.ip, b.ip)  # each has found out where it is itself
    assert len(a.view.nodes) == len(b.view.nodes) == 2


def test_the_first_message_is_meet_and_then_there_are_pings(network: Network) -> None:
    a, b = network.add_all(2)
    a.member.meet(b.ip, 7000, 17000)
    network.run(3000)
    types = [frames.decode(frame).header.type for frame in b.frames]
    assert types[0] == frames.MEET
    assert types.count(frames.MEET) == 1
    assert frames.PING in types
    assert a.member.gossip.received[frames.PONG] == sum(type == frames.PONG for type in (
        frames.decode(frame).header.type for frame in a.frames
    ))


def test_the_news_of_a_node_spreads(network: Network) -> None:
    nodes = network.add_all(5)
    for node in nodes[1:]:
        node.member.meet(nodes[0].ip, 7000, 17000)
    network.until(network.all_linked)
    assert all(len(node.view.nodes) == 5 for node in nodes)


def test_nobody_there(network: Network) -> None:
    a = network.add()
    a.member.meet("10.9.9.9", 7000, 17000)
    network.run(900)
    assert len(a.view.nodes) == 2
    network.run(400)
    assert len(a.view.nodes) == 1


def test_whoever_meets_itself_finds_nobody(network: Network) -> None:
    a = network.add()
    a.member.meet(a.ip, 7000, 17000)
    network.run(500)
    assert [*a.view.nodes.values()] == [a.me]
    assert a.me.ip == a.ip


def test_a_node_that_is_known_already_is_not_taken_in_twice(network: Network) -> None:
    a, b = network.add_all(2)
    network.join(a, b)
    a.member.meet(b.ip, 7000, 17000)
    network.run(1000)
    assert len(a.view.nodes) == len(b.view.nodes) == 2
    assert network.all_linked()


def test_one_handshake_for_an_address_whatever_comes(network: Network) -> None:
    a, b = network.add_all(2)
    for number in range(20):
        hear(a, header_of(b, frames.MEET, sender=b"%040x" % number))
    assert len(a.view.nodes) == 2


def test_strangers_get_an_answer_and_nothing_else(network: Network) -> None:
    a, b = network.add_all(2)
    network.join(a, b)
    before = len(a.view.nodes), a.view.current_epoch
    entry = Gossip(b"e" * 40, 0, 0, "10.0.0.7", 1, 2, MASTER)
    link = hear(a, header_of(b, sender=STRANGER, current_epoch=99, slots=bytes(bitmap([1]))), [entry])
    assert [frames.decode(frame).header.type for frame in link.waiting] == [frames.PONG]
    assert (len(a.view.nodes), a.view.current_epoch) == before
    assert a.view.assigned == 0


@pytest.mark.parametrize(
    "frame",
    [
        lambda header, b: frames.encode_fail(header, b),
        lambda header, b: frames.encode_publish(header, b"ch", b"hello"),
        lambda header, b: frames.encode_update(header, 99, b, bytes(bitmap([5]))),
        lambda header, b: frames.encode_plain(dataclasses.replace(header, type=frames.AUTH_REQUEST)),
        lambda header, b: frames.encode_plain(dataclasses.replace(header, type=frames.AUTH_ACK)),
        lambda header, b: frames.encode_plain(dataclasses.replace(header, type=frames.MFSTART)),
    ],
)
def test_what_strangers_say_counts_for_nothing(network: Network, frame) -> None:  # type: ignore[no-untyped-def]
    a, b = network.add_all(2)
    network.join(a, b)
    message = frames.decode(frame(header_of(b, frames.FAIL, sender=STRANGER), b.id))
    a.member.received(SimLink(a, b, None), message)
    assert a.sees(b).flags == MASTER
    assert a.delivered == []
    assert a.view.assigned == 0
    assert a.member.gossip.received[message.header.type] == 1


def test_there_is_an_end_to_how_many_are_known(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    assert MOST_NODES >= 1000
    monkeypatch.setattr("respcache.cluster.gossip.MOST_NODES", 10)
    a, b = network.add_all(2)
    network.join(a, b)
    gossip = [Gossip(b"%040x" % number, 0, 0, "10.0.1.1", number + 1, number + 1, MASTER) for number in range(50)]
    hear(a, header_of(b), gossip)
    assert len(a.view.nodes) == 10
    for number in range(50):
        hear(a, header_of(b, frames.MEET, sender=b"%040x" % (number + 100), cport=number))
    assert len(a.view.nodes) == 10


# Addresses


def test_a_node_that_moves_is_found(network: Network) -> None:
    a, b, c = network.add_all(3)
    network.form([a, b, c])
    network.kill(c)
    network.run(500)
    c.ip = "10.0.0.99"
    network.revive(c)
    network.until(lambda: a.sees(c).ip == b.sees(c).ip == "10.0.0.99")
    network.until(network.all_linked)
    assert c.me.ip == "10.0.0.99" or c.me.ip == "10.0.0.3"  # as its file says, until somebody meets it


def test_a_replica_follows_its_master_to_another_address(network: Network) -> None:
    a, b, c = network.add_all(3)
    network.form([a, b, c])
    replica = network.add_replica(a)
    followed: list[str] = []
    replica.follow = lambda master: followed.append(master.ip)  # type: ignore[method-assign]
    hear(replica, header_of(a, ip="10.0.0.50"))
    assert followed == ["10.0.0.50"]
    assert replica.sees(a).ip == "10.0.0.50"


def test_the_announced_address_counts(network: Network) -> None:
    a = network.add(cluster_announce_ip="10.0.0.1")
    b = network.add()
    network.join(b, a)
    assert b.sees(a).ip == a.me.ip == "10.0.0.1"
    hear(b, header_of(a, ip="192.0.2.7"))
    assert b.sees(a).ip == "192.0.2.7"


def test_another_node_at_the_address(network: Network) -> None:
    a, b, c = network.add_all(3)
    network.form([a, b])
    network.kill(b)
    c.ip, b.ip = b.ip, "10.0.0.77"
    network.run(400)
    assert a.sees(b).flags & NOADDR
    assert a.sees(b).ip == ""
    assert a.sees(b).link is None


def test_a_node_that_we_miss_is_looked_for_where_others_see_it(network: Network) -> None:
    a, b, c = network.add_all(3)
    network.form([a, b, c])
    a.sees(c).flags |= FAIL
    entry = Gossip(c.id, 0, 0, "10.0.0.66", 7000, 17000, MASTER)
    hear(a, header_of(b), [entry])
    assert a.sees(c).ip == "10.0.0.66"
    assert a.sees(c).link is None


# What is said of others


def test_a_pong_that_others_got_saves_a_ping(network: Network) -> None:
    a, b, c = network.add_all(3)
    network.form([a, b, c])
    node = a.sees(c)
    node.ping_sent = 0
    later = (node.pong_received // 1000 + 1) * 1000
    network.now = max(network.now, later)
    hear(a, header_of(b), [Gossip(c.id, 0, later // 1000, c.ip, 7000, 17000, MASTER)])
    assert node.pong_received == later
    hear(a, header_of(b), [Gossip(c.id, 0, later // 1000 + 60, c.ip, 7000, 17000, MASTER)])
    assert node.pong_received == later  # nobody can have got it in a minute from now


def test_flags_that_are_nobodys_business_are_not_believed(network: Network) -> None:
    a, b = network.add_all(2)
    network.join(a, b)
    hear(a, header_of(b), [Gossip(STRANGER, 0, 0, "10.0.0.7", 1, 2, 0xFFFF & ~NOADDR)])
    known = a.view.nodes[STRANGER]
    assert not known.flags & HANDSHAKE
    assert known.flags & (MASTER | REPLICA | PFAIL | FAIL) == MASTER | REPLICA | PFAIL | FAIL


def test_a_node_without_address_is_not_taken_in(network: Network) -> None:
    a, b = network.add_all(2)
    network.join(a, b)
    hear(a, header_of(b), [Gossip(STRANGER, 0, 0, "", 0, 0, MASTER | NOADDR)])
    assert STRANGER not in a.view.nodes


# Extensions


def test_names(network: Network) -> None:
    a, b = network.add_all(2)
    b.me.hostname, b.me.nodename = "b.example", "bee"
    network.join(a, b)
    network.until(lambda: a.sees(b).nodename == "bee")
    assert a.sees(b).hostname == "b.example"
    b.me.hostname = ""
    network.until(lambda: a.sees(b).hostname == "")


def test_who_forgets_a_node_has_others_forget_it(network: Network) -> None:
    a, b, c = network.add_all(3)
    network.form([a, b])
    network.join(c, a)
    network.kill(c)
    a.member.forget(a.sees(c))
    network.until(lambda: c.id not in b.view.nodes)
    network.run(5000)
    assert c.id not in a.view.nodes
    network.revive(c)  # it still knows them
    network.run(3000)
    assert c.id not in a.view.nodes
    c.member.meet(a.ip, 7000, 17000)
    network.run(60_000)
    assert a.view.forgotten == {}


def test_a_replica_never_forgets_its_master_and_nobody_itself(network: Network) -> None:
    a, b, c = network.add_all(3)
    network.form([a, b, c])
    replica = network.add_replica(a)
    forgotten = Extensions(forgotten=[(id, 60) for id in (replica.id, a.id, b.id, c.id)])
    hear(replica, header_of(b), extensions=forgotten)
    assert {*replica.view.nodes} == {replica.id, a.id, b.id}
    assert {*replica.view.forgotten} == {c.id}


def test_an_old_node_is_not_sent_what_it_complains_of(network: Network) -> None:
    a, b = network.add_all(2)
    network.join(a, b)
    old = header_of(b, flags=b.me.flags)
    hear(a, old)
    assert not a.sees(b).extends
    b.frames.clear()
    a.member.announce()
    network.run(10)
    (pong,) = [message for frame in b.frames if isinstance(message := frames.decode(frame), frames.Ping)]
    assert pong.extensions == Extensions()
    assert pong.header.extensions == 0


def test_a_replica_that_does_not_tell_its_shard_has_its_masters(network: Network) -> None:
    a, b, c = network.add_all(3)
    network.form([a, b, c])
    hear(a, header_of(c, master=b.id, flags=REPLICA, slots=bytes(b.me.slots), config_epoch=b.me.config_epoch))
    assert a.sees(c).shard_id == b.me.shard_id


# Roles


def test_a_master_and_its_replicas_are_always_in_one_shard(network: Network) -> None:
    a, b, c = network.add_all(3)
    network.form([a, b, c])
    replica = network.add_replica(c)
    shard = b"5" * 40
    hear(a, header_of(c), extensions=Extensions(shard_id=shard))
    assert a.sees(c).shard_id == a.sees(replica).shard_id == shard
    hear(a, header_of(replica), extensions=Extensions(shard_id=c.id))  # which has not heard of it yet
    assert a.sees(replica).shard_id == shard
    hear(replica, header_of(c), extensions=Extensions(shard_id=shard))
    assert replica.me.shard_id == shard


def test_a_replica_is_known_as_such(network: Network) -> None:
    a, b, c = network.add_all(3)
    network.form([a, b, c])
    replica = network.add_replica(a)
    assert b.sees(replica).is_replica
    assert b.sees(replica).master is b.sees(a)
    assert b.sees(a).replicas == [b.sees(replica)]
    assert replica.following == a.id
    assert b.sees(replica).shard_id == a.me.shard_id


def test_a_master_that_becomes_a_replica_elsewhere_leaves_its_slots_to_nobody(network: Network) -> None:
    a, b, c = network.add_all(3)
    network.form([a, b, c])
    hear(a, header_of(c, master=b.id, flags=REPLICA, slots=bytes(b.me.slots), config_epoch=b.me.config_epoch))
    assert a.sees(c).master is a.sees(b)
    assert a.sees(c).slot_count == 0
    assert a.view.assigned < 16384
    assert not a.view.ok


def test_a_master_that_becomes_its_replicas_replica_leaves_them_to_it(network: Network) -> None:
    a, b, c = network.add_all(3)
    network.form([a, b, c])
    replica = network.add_replica(c)
    hear(a, header_of(c, master=replica.id, flags=REPLICA, config_epoch=9))
    assert a.sees(replica).is_master
    assert a.sees(replica).slot_count == c.me.slot_count
    assert a.sees(replica).config_epoch == 9
    assert a.sees(c).master is a.sees(replica)
    assert a.view.ok


def test_news_that_are_old_do_not_make_a_master_a_replica(network: Network) -> None:
    a, b, c = network.add_all(3)
    network.form([a, b, c])
    replica = network.add_replica(c)
    a.sees(c).config_epoch = 12
    hear(a, header_of(c, master=replica.id, flags=REPLICA, config_epoch=9))
    assert a.sees(c).is_master
    assert a.sees(c).slot_count == c.me.slot_count


def test_a_replica_of_a_replica_goes_to_its_master(network: Network) -> None:
    a, b, c = network.add_all(3)
    network.form([a, b, c])
    replica = network.add_replica(a)
    replica.member.manual.begin("force")  # of a; the votes of others are not for b's place
    hear(replica, header_of(a, master=b.id, flags=REPLICA, slots=bytes(b.me.slots), config_epoch=b.me.config_epoch))
    assert replica.me.master is replica.sees(b)
    assert replica.following == b.id
    assert not replica.member.manual.ready and not replica.member.manual.ends


def test_who_never_asks_for_votes_says_so(network: Network) -> None:
    a, b = network.add_all(2)
    network.join(a, b)
    hear(a, header_of(b, flags=MASTER | NOFAILOVER))
    assert a.sees(b).flags & NOFAILOVER
    hear(a, header_of(b, flags=MASTER))
    assert not a.sees(b).flags & NOFAILOVER


# Epochs


def test_the_greatest_epoch_gets_around(network: Network) -> None:
    a, b, c = network.add_all(3)
    network.form([a, b, c])
    a.view.current_epoch = 42
    network.run(2000)
    assert b.view.current_epoch == c.view.current_epoch == 42


def test_two_masters_of_one_epoch_agree_on_two(network: Network) -> None:
    a, b = sorted(network.add_all(2), key=lambda node: node.id)
    network.form([a, b])
    a.me.config_epoch = b.me.config_epoch = a.view.current_epoch = b.view.current_epoch = 7
    a.sees(b).config_epoch = b.sees(a).config_epoch = 7
    network.run(2000)
    assert (a.me.config_epoch, b.me.config_epoch) == (8, 7)
    assert "vars currentEpoch 8" in a.saved
    assert b.sees(a).config_epoch == 8


def test_an_epoch_that_cannot_be_saved_is_an_error_of_that_message(network: Network) -> None:
    a, b = sorted(network.add_all(2), key=lambda node: node.id)
    network.form([a, b])
    a.fail_saves = True
    with pytest.raises(OSError):
        hear(a, header_of(b, config_epoch=a.me.config_epoch))


# Slots, see also test_ownership.py


def test_update_makes_a_replica_a_master_again(network: Network) -> None:
    a, b, c = network.add_all(3)
    network.form([a, b, c])
    replica = network.add_replica(c)
    frame = frames.encode_update(header_of(b, frames.UPDATE), 9, replica.id, bytes(c.me.slots))
    a.member.received(SimLink(a, b, None), frames.decode(frame))
    assert a.sees(replica).is_master
    assert a.sees(replica).config_epoch == 9
    assert a.sees(replica).slot_count == c.me.slot_count
    assert a.sees(c).slot_count == 0


def test_update_about_me_or_about_nobody_is_ignored(network: Network) -> None:
    a, b, c = network.add_all(3)
    network.form([a, b, c])
    for id, epoch in ((a.id, 99), (STRANGER, 99), (c.id, c.me.config_epoch)):
        frame = frames.encode_update(header_of(b, frames.UPDATE), epoch, id, bytes(bitmap([0, 1])))
        a.member.received(SimLink(a, b, None), frames.decode(frame))
    assert a.me.config_epoch == 1
    assert a.me.owns(0)
    assert a.sees(c).config_epoch == 3


# Pub/sub


def test_a_message_gets_to_all_nodes_and_a_sharded_one_to_its_shard(network: Network) -> None:
    a, b, c = network.add_all(3)
    network.form([a, b, c])
    replica = network.add_replica(a)
    a.member.sender.publish(b"ch", b"hello")
    a.member.sender.publish_shard(b"sc", b"there")
    network.run(10)
    assert a.delivered == []
    assert b.delivered == c.delivered == [(b"ch", b"hello", False)]
    assert replica.delivered == [(b"ch", b"hello", False), (b"sc", b"there", True)]
