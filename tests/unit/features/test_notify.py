"""When the notifier listens, and in which order it publishes."""

from __future__ import annotations

import pytest

from respcache.clock import Clock
from respcache.features.notify import Notifier
from respcache.features.pubsub import CHANNEL, PATTERN, PubSub, Subscriber
from respcache.protocol.reply import RESP2
from respcache.store.database import Database
from respcache.store.events import MOVE_FROM, MOVE_TO, RENAME_FROM, RENAME_TO, Event
from respcache.store.keyspace import Keyspace


class Recorder(PubSub):
    """Keeps what is published."""

    __slots__ = ("published",)

    def __init__(self) -> None:
        super().__init__(lambda _call: None)
        self.published: list[tuple[bytes, bytes]] = []

    def publish(self, channel: bytes, message: bytes) -> int:
        self.published.append((channel, message))
        return 0


@pytest.fixture
def pubsub() -> Recorder:
    return Recorder()


@pytest.fixture
def keyspace() -> Keyspace:
    return Keyspace(2, Clock(lambda: 1000))


def test_listens_only_when_asked_to(keyspace: Keyspace, pubsub: Recorder) -> None:
    notifier = Notifier(keyspace, pubsub)
    db = keyspace.databases[0]
    for flags, listens in (
        ("", False),
        ("KE", False),
        ("g", False),
        ("Kg", True),
        ("E$", True),
        ("", False),
        ("", False),
    ):
        notifier.follow(flags)
        assert (db.listeners == (notifier,)) == listens
        assert (type(db) is Database) == (not listens)
        assert bool(keyspace.expired) == listens


def test_channels(keyspace: Keyspace, pubsub: Recorder) -> None:
    Notifier(keyspace, pubsub).follow("KE$")
    keyspace.databases[1].set(b"k", b"v")
    assert pubsub.published == [(b"__keyspace@1__:k", b"set"), (b"__keyevent@1__:set", b"k")]


@pytest.mark.parametrize(("departure", "arrival"), [(RENAME_FROM, RENAME_TO), (MOVE_FROM, MOVE_TO)])
def test_a_move_makes_the_key_before_it_leaves(
    keyspace: Keyspace, pubsub: Recorder, departure: Event, arrival: Event
) -> None:
    notifier = Notifier(keyspace, pubsub)
    one, other = keyspace.databases
    one.set(b"a", b"v")
    notifier.follow("Egn")
    taken = one.take(b"a", departure)
    assert taken is not None
    assert pubsub.published == []
    other.put(b"b", *taken, arrival)
    names = [channel.partition(b":")[2] for channel, _ in pubsub.published]
    assert names == [b"new", departure.name, arrival.name]


def test_expired_keys(keyspace: Keyspace, pubsub: Recorder) -> None:
    db = keyspace.databases[0]
    Notifier(keyspace, pubsub).follow("Exmn$")
    db.put(b"k", b"v", 500)
    pubsub.published.clear()
    assert db.get(b"k") is None
    db.put(b"k", b"v", 500)
    pubsub.published.clear()
    db.set(b"k", b"w")
    names = [channel.partition(b":")[2] for channel, _ in pubsub.published]
    assert names == [b"expired", b"new", b"set"]


def test_with_subscribers(keyspace: Keyspace) -> None:
    pubsub = PubSub(lambda _call: None)
    subscriber = Subscriber(None, RESP2)  # type: ignore[arg-type]
    pubsub.subscribe(subscriber, CHANNEL, b"__keyevent@0__:set")
    pubsub.subscribe(subscriber, PATTERN, b"__keyspace@*")
    Notifier(keyspace, pubsub).follow("KE$")
    keyspace.databases[0].set(b"k", b"v")
    assert len(subscriber.messages) == 2
