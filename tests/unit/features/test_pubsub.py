"""Pub/sub without a server: who gets what, and when."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from respcache.features.pubsub import CHANNEL, PATTERN, SHARD, PubSub, Subscriber, Topic, restrict
from respcache.protocol.errors import Rejection
from respcache.protocol.reply import RESP2, RESP3
from respcache.registry import REGISTRY


class Link:
    """Keeps what was sent."""

    def __init__(self) -> None:
        self.closing = False
        self.sent: list[bytes] = []

    def send(self, data: bytes) -> None:
        self.sent.append(data)


class Loop:
    """Runs what was deferred when asked."""

    def __init__(self) -> None:
        self.deferred: list[Callable[[], None]] = []

    def turn(self) -> None:
        deferred, self.deferred = self.deferred, []
        for call in deferred:
            call()


@pytest.fixture
def loop() -> Loop:
    return Loop()


@pytest.fixture
def pubsub(loop: Loop) -> PubSub:
    return PubSub(loop.deferred.append)


def test_messages_leave_together_in_the_next_turn(loop: Loop, pubsub: PubSub) -> None:
    link = Link()
    subscriber = Subscriber(link, RESP2)
    pubsub.subscribe(subscriber, CHANNEL, b"a")
    pubsub.subscribe(subscriber, PATTERN, b"*")
    assert pubsub.publish(b"a", b"m") == 2
    assert pubsub.publish(b"b", b"n") == 1
    assert link.sent == []
    assert len(loop.deferred) == 1
    loop.turn()
    assert link.sent == [
        b"*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\nm\r\n"
        b"*4\r\n$8\r\npmessage\r\n$1\r\n*\r\n$1\r\na\r\n$1\r\nm\r\n"
        b"*4\r\n$8\r\npmessage\r\n$1\r\n*\r\n$1\r\nb\r\n$1\r\nn\r\n"
    ]
    loop.turn()
    assert len(link.sent) == 1


def test_encoded_once_for_each_protocol(loop: Loop, pubsub: PubSub) -> None:
    subscribers = [Subscriber(Link(), resp) for resp in (RESP2, RESP3, RESP2, RESP3)]
    for subscriber in subscribers:
        pubsub.subscribe(subscriber, SHARD, b"a")
    assert pubsub.publish_shard(b"a", b"m") == 4
    first, second, third, fourth = (subscriber.messages[0] for subscriber in subscribers)
    assert first is third and second is fourth
    assert (first[:1], second[:1]) == (b"*", b">")
    assert first[1:] == second[1:]


def test_the_end_of_a_shard_channel(loop: Loop, pubsub: PubSub) -> None:
    links = [Link(), Link()]
    for link, resp in zip(links, (RESP2, RESP3), strict=True):
        subscriber = Subscriber(link, resp)
        for channel in (b"a", b"b"):
            pubsub.subscribe(subscriber, SHARD, channel)
    pubsub.publish_shard(b"a", b"m")
    pubsub.close_shard(b"a")
    pubsub.close_shard(b"nothing")
    loop.turn()
    told = b"3\r\n$8\r\nsmessage\r\n$1\r\na\r\n$1\r\nm\r\n", b"3\r\n$12\r\nsunsubscribe\r\n$1\r\na\r\n:1\r\n"
    assert [link.sent for link in links] == [[mark + (mark.join(told))] for mark in (b"*", b">")]
    assert [*pubsub.shards] == [b"b"]


def test_closing_connections_get_nothing(loop: Loop, pubsub: PubSub) -> None:
    link = Link()
    pubsub.subscribe(Subscriber(link, RESP2), CHANNEL, b"a")
    pubsub.publish(b"a", b"m")
    link.closing = True
    loop.turn()
    assert link.sent == []


def test_change_of_protocol_sends_what_was_written_before(loop: Loop, pubsub: PubSub) -> None:
    link = Link()
    subscriber = Subscriber(link, RESP3)
    pubsub.subscribe(subscriber, CHANNEL, b"a")
    pubsub.publish(b"a", b"m")
    subscriber.speak(RESP2)
    assert link.sent[0][:1] == b">"
    pubsub.publish(b"a", b"m")
    loop.turn()
    assert [data[:1] for data in link.sent] == [b">", b"*"]


def test_model(pubsub: PubSub) -> None:
    """Random subscriptions against sets; nothing is left when all are gone."""
    choose = random.Random(7)
    subscribers = [Subscriber(Link(), RESP2) for _ in range(4)]
    model: set[tuple[int, Topic, bytes]] = set()
    homes = {CHANNEL: pubsub.channels, PATTERN: pubsub.patterns, SHARD: pubsub.shards}
    for _ in range(2000):
        who, kind, name = choose.randrange(4), choose.choice(list(Topic)), choose.choice([b"a", b"b", b"c"])
        if choose.random() < 0.5:
            pubsub.subscribe(subscribers[who], kind, name)
            model.add((who, kind, name))
        else:
            pubsub.unsubscribe(subscribers[who], kind, name)
            model.discard((who, kind, name))
        assert pubsub.publish(name, b"") == sum(
            each[1:] in ((CHANNEL, name), (PATTERN, name)) for each in model
        )
        for each, home in homes.items():
            assert home.keys() == {name for _, other, name in model if other is each}
        assert subscribers[who].idle == all(each[0] != who for each in model)
        assert subscribers[who].count(SHARD) == sum(each[:2] == (who, SHARD) for each in model)
    for subscriber in subscribers:
        pubsub.forget(subscriber)
        assert subscriber.idle
    assert not (pubsub.channels or pubsub.patterns or pubsub.shards)
    assert pubsub.publish(b"a", b"m") == 0


def test_restrict() -> None:
    get, ping = REGISTRY.commands[b"get"], REGISTRY.commands[b"ping"]
    assert restrict(ping, ping.handler) is ping.handler
    refuse = restrict(get, get.handler)
    with pytest.raises(Rejection, match="Can't execute 'get'"):
        refuse(None, b"k")
    with pytest.raises(Rejection, match="wrong number of arguments for 'get'"):
        refuse(None)
