"""Pub/sub: who is subscribed to what, and how messages reach them.

A message is encoded once for each protocol and then handed to each subscriber by reference. It does not leave at once:
a subscriber gathers what it is told in one turn of the loop and is sent all of it, in one write, in the next. So a
pipeline of PUBLISH costs each subscriber one write, and a client that publishes to itself finds the message behind
the reply of the command, as in Redis 7.2.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable
from typing import Protocol

from respcache.protocol.errors import Rejection, wrong_arity
from respcache.protocol.reply import RESP3, Resp, bulk
from respcache.registry import Command, Handler
from respcache.store.glob import Matcher, compile_glob


class Topic(enum.IntEnum):
    """What one can be subscribed to."""

    CHANNEL = 0
    PATTERN = 1
    SHARD = 2


CHANNEL, PATTERN, SHARD = Topic

_ALLOWED = frozenset(
    [
        "subscribe",
        "unsubscribe",
        "psubscribe",
        "punsubscribe",
        "ssubscribe",
        "sunsubscribe",
        "ping",
        "quit",
        "reset",
    ]
)
_CONTEXT = b"only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context"


class Link(Protocol):
    """What messages are sent by."""

    @property
    def closing(self) -> bool:
        """Whether nothing more is to be sent."""

    def send(self, data: bytes) -> None:
        """Sends encoded messages behind what was already replied."""


class Subscriber:
    """The subscriptions of one client, and the messages that it is about to get."""

    __slots__ = ("link", "messages", "names", "resp")

    def __init__(self, link: Link, resp: Resp) -> None:
        self.link = link
        self.resp = resp
        """What messages are written in."""
        self.names: tuple[dict[bytes, None], ...] = ({}, {}, {})
        """By `Topic`, in the order in which they were made."""
        self.messages: list[bytes] = []
        """Encoded, to be sent in the next turn of the loop."""

    def count(self, topic: Topic) -> int:
        """How many subscriptions a confirmation tells: channels and patterns are counted together."""
        channels, patterns, shards = self.names
        return len(shards) if topic is SHARD else len(channels) + len(patterns)

    @property
    def idle(self) -> bool:
        """Whether it is subscribed to nothing."""
        return not any(self.names)

    def deliver(self) -> None:
        """Sends what has been gathered."""
        messages = self.messages
        if messages:
            self.messages = []
            if not self.link.closing:
                self.link.send(messages[0] if len(messages) == 1 else b"".join(messages))

    def speak(self, resp: Resp) -> None:
        """Changes the protocol; what was gathered in the old one is sent before."""
        self.deliver()
        self.resp = resp


Subscribers = dict[Subscriber, None]


class PubSub:
    """All subscriptions of a server. `defer` calls a function in the next turn of the loop."""

    __slots__ = ("_defer", "_fits", "_homes", "_late", "channels", "patterns", "shards")

    def __init__(self, defer: Callable[[Callable[[], None]], object]) -> None:
        self._defer = defer
        self._late: list[Subscriber] = []  # those with messages
        self._fits: dict[bytes, Matcher] = {}  # by pattern
        self.channels: dict[bytes, Subscribers] = {}
        self.patterns: dict[bytes, Subscribers] = {}
        self.shards: dict[bytes, Subscribers] = {}
        self._homes = (self.channels, self.patterns, self.shards)  # by `Topic`

    def subscribe(self, subscriber: Subscriber, topic: Topic, name: bytes) -> None:
        """Adds a subscription; nothing happens if it is there."""
        subscriber.names[topic][name] = None
        home = self._homes[topic]
        found = home.get(name)
        if found is None:
            found = home[name] = {}
            if topic is PATTERN:
                self._fits[name] = compile_glob(name)
        found[subscriber] = None

    def unsubscribe(self, subscriber: Subscriber, topic: Topic, name: bytes) -> None:
        """Ends a subscription, if there is one."""
        own = subscriber.names[topic]
        if name not in own:
            return
        del own[name]
        home = self._homes[topic]
        del home[name][subscriber]
        if not home[name]:
            del home[name]
            if topic is PATTERN:
                del self._fits[name]

    def close_shard(self, channel: bytes) -> None:
        """Ends all subscriptions of a shard channel, and tells so who had them."""
        for subscriber in [*self.shards.get(channel, ())]:
            self.unsubscribe(subscriber, SHARD, channel)
            left = subscriber.count(SHARD)
            message = b"*3\r\n$12\r\nsunsubscribe\r\n%b:%d\r\n" % (bulk(channel), left)
            self._hand_out((subscriber,), message)

    def forget(self, subscriber: Subscriber) -> None:
        """Ends all subscriptions of a client."""
        for topic in Topic:
            for name in [*subscriber.names[topic]]:
                self.unsubscribe(subscriber, topic, name)

    def publish(self, channel: bytes, message: bytes) -> int:
        """Hands a message to all subscribers of its channel. Returns how many times."""
        count = 0
        subscribers = self.channels.get(channel)
        if subscribers is not None:
            count = len(subscribers)
            self._hand_out(subscribers, b"*3\r\n$7\r\nmessage\r\n" + bulk(channel) + bulk(message))
        if self.patterns:
            rest = bulk(channel) + bulk(message)
            for pattern, fits in self._fits.items():
                if fits(channel):
                    subscribers = self.patterns[pattern]
                    count += len(subscribers)
                    self._hand_out(subscribers, b"*4\r\n$8\r\npmessage\r\n" + bulk(pattern) + rest)
        return count

    def publish_shard(self, channel: bytes, message: bytes) -> int:
        """Hands a message to all subscribers of a shard channel. Returns how many there were."""
        subscribers = self.shards.get(channel)
        if subscribers is None:
            return 0
        self._hand_out(subscribers, b"*3\r\n$8\r\nsmessage\r\n" + bulk(channel) + bulk(message))
        return len(subscribers)

    def _hand_out(self, subscribers: Iterable[Subscriber], message: bytes) -> None:
        """As RESP2 writes it; for RESP3 only the first byte differs."""
        late = self._late
        if not late:
            self._defer(self._deliver)
        push = b""
        for subscriber in subscribers:
            messages = subscriber.messages
            if not messages:
                late.append(subscriber)
            if subscriber.resp is RESP3:
                push = push or b">" + message[1:]
                messages.append(push)
            else:
                messages.append(message)

    def _deliver(self) -> None:
        late = self._late
        self._late = []
        for subscriber in late:
            subscriber.deliver()


def restrict(command: Command, handler: Handler) -> Handler:
    """The layer of RESP2 clients with subscriptions, whose replies could not be told from messages."""
    if command.name in _ALLOWED:
        return handler
    text = b"Can't execute '%b': %b" % (command.name.encode(), _CONTEXT)
    aborts = command.name == "exec"
    refusal = Rejection((b"EXECABORT Transaction discarded because of: " if aborts else b"ERR ") + text)

    def refuse(_client: object, *arguments: bytes) -> bytes:
        if not command.accepts(len(arguments) + (1 if command.parent is None else 2)):
            raise wrong_arity(command.name)
        raise refusal

    return refuse
