"""Pub/sub commands.

SUBSCRIBE and the like answer once for each channel, and they answer in any case: confirmations reach even a client that
asked for no replies. In a transaction all confirmations of a command stand where its element would be.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Sized

from respcache.commands.help import help_reply
from respcache.features.pubsub import CHANNEL, PATTERN, SHARD, Subscriber, Topic
from respcache.keyspec import key
from respcache.protocol.errors import ReplyError
from respcache.protocol.reply import array, bulk, bulks, integer
from respcache.registry import (
    FAST,
    LOADING,
    MAY_REPLICATE,
    NOSCRIPT,
    PUBSUB,
    STALE,
    command,
    container,
)
from respcache.state import Client
from respcache.store.glob import compile_glob

SSUBSCRIBE_DENIED = ReplyError(b"ERR SSUBSCRIBE isn't allowed for a DENY BLOCKING client")


def _subscribe(c: Client, verb: bytes, topic: Topic, names: Sequence[bytes]) -> bytes:
    subscriber = c.subscriber
    if subscriber is None:
        subscriber = c.subscriber = Subscriber(c.connection, c.resp)
        c.connection.output_limit = c.server.config.output_limit("pubsub")
        c.rest()
    confirmations = []
    for name in names:
        c.server.pubsub.subscribe(subscriber, topic, name)
        confirmations.append(_confirmation(c, verb, bulk(name), subscriber.count(topic)))
    return _confirm(c, confirmations)


def _unsubscribe(c: Client, verb: bytes, topic: Topic, names: Sequence[bytes]) -> bytes:
    subscriber = c.subscriber
    if subscriber is None:
        return _confirm(
            c, [_confirmation(c, verb, name, 0) for name in map(bulk, names)] or [_none(c, verb, 0)]
        )
    if not c.server.nested:
        subscriber.deliver()  # no message of a channel behind the end of its subscription
    confirmations = []
    for name in names or [*subscriber.names[topic]]:
        c.server.pubsub.unsubscribe(subscriber, topic, name)
        confirmations.append(_confirmation(c, verb, bulk(name), subscriber.count(topic)))
    reply = _confirm(c, confirmations or [_none(c, verb, subscriber.count(topic))])
    if subscriber.idle:
        c.unsubscribe()
        c.rest()
    return reply


def _confirmation(c: Client, verb: bytes, name: bytes, count: int) -> bytes:
    return c.resp.push([bulk(verb), name, integer(count)])


def _none(c: Client, verb: bytes, count: int) -> bytes:
    return _confirmation(c, verb, c.resp.null, count)


def _confirm(c: Client, confirmations: Iterable[bytes]) -> bytes:
    reply = b"".join(confirmations)
    if c.muted:
        c.connection.send(reply)
        return b""
    return reply


@command(PUBSUB | NOSCRIPT | LOADING | STALE, group="pubsub", syntax="channel...")
def subscribe(c: Client, channel: bytes, *more: bytes) -> bytes:
    """Listens to channels. O(N) with N the number of channels. Since 2.0.0."""
    return _subscribe(c, b"subscribe", CHANNEL, (channel, *more))


@command(PUBSUB | NOSCRIPT | LOADING | STALE, group="pubsub", syntax="[channel...]")
def unsubscribe(c: Client, *channels: bytes) -> bytes:
    """Listens no longer to these channels, or to any. O(N) with N the number of channels. Since 2.0.0."""
    return _unsubscribe(c, b"unsubscribe", CHANNEL, channels)


@command(PUBSUB | NOSCRIPT | LOADING | STALE, group="pubsub", syntax="pattern=(pattern:pattern)...")
def psubscribe(c: Client, pattern: bytes, *more: bytes) -> bytes:
    """Listens to all channels that fit a pattern. O(N) with N the number of patterns. Since 2.0.0."""
    return _subscribe(c, b"psubscribe", PATTERN, (pattern, *more))


@command(PUBSUB | NOSCRIPT | LOADING | STALE, group="pubsub", syntax="[pattern:pattern...]")
def punsubscribe(c: Client, *patterns: bytes) -> bytes:
    """Listens no longer to these patterns, or to any. O(N) with N the number of patterns. Since 2.0.0."""
    return _unsubscribe(c, b"punsubscribe", PATTERN, patterns)


@command(
    PUBSUB | NOSCRIPT | LOADING | STALE,
    group="pubsub",
    keys=key("not_key", last=-1),
    syntax="shardchannel...",
)
def ssubscribe(c: Client, channel: bytes, *more: bytes) -> bytes:
    """Listens to shard channels. O(N) with N the number of channels. Since 7.0.0."""
    if c.server.nested:
        raise SSUBSCRIBE_DENIED
    return _subscribe(c, b"ssubscribe", SHARD, (channel, *more))


@command(
    PUBSUB | NOSCRIPT | LOADING | STALE,
    group="pubsub",
    keys=key("not_key", last=-1),
    syntax="[shardchannel...]",
)
def sunsubscribe(c: Client, *channels: bytes) -> bytes:
    """Listens no longer to these shard channels, or to any. O(N) with N the number of channels. Since 7.0.0."""
    return _unsubscribe(c, b"sunsubscribe", SHARD, channels)


@command(PUBSUB | LOADING | STALE | FAST | MAY_REPLICATE, group="pubsub", syntax="channel message")
def publish(c: Client, channel: bytes, message: bytes) -> bytes:
    """Sends a message to all who listen to a channel.
    O(N+M) with N the number of the channel's subscribers and M that of all patterns. Since 2.0.0.
    """
    if c.server.cluster is not None:
        c.server.cluster.publish(channel, message)
    return integer(c.server.pubsub.publish(channel, message))


@command(
    PUBSUB | LOADING | STALE | FAST | MAY_REPLICATE,
    group="pubsub",
    keys=key("not_key"),
    syntax="shardchannel message",
)
def spublish(c: Client, channel: bytes, message: bytes) -> bytes:
    """Sends a message to all who listen to a shard channel. O(N) with N the number of them. Since 7.0.0."""
    if c.server.cluster is not None:
        c.server.cluster.publish_shard(channel, message)
    return integer(c.server.pubsub.publish_shard(channel, message))


PUBSUB_ = container(
    "pubsub",
    group="pubsub",
    doc="Tells what there is to listen to and who listens. Since 2.8.0.",
    categories="-pubsub",
)


@command(PUBSUB | LOADING | STALE, group="pubsub", container=PUBSUB_, syntax="[pattern:pattern]")
def pubsub_channels(c: Client, *pattern: bytes) -> bytes:
    """The channels that have subscribers. O(N) with N the number of channels. Since 2.8.0."""
    return _matching(c.server.pubsub.channels, b"CHANNELS", pattern)


def _matching(channels: Iterable[bytes], subcommand: bytes, pattern: Sequence[bytes]) -> bytes:
    if len(pattern) > 1:
        raise ReplyError(
            b"ERR unknown subcommand or wrong number of arguments for '%b'. Try PUBSUB HELP." % subcommand
        )
    return bulks(filter(compile_glob(pattern[0]), channels) if pattern else channels)


@command(LOADING | STALE, group="pubsub", container=PUBSUB_, categories="-pubsub")
def pubsub_help(c: Client) -> bytes:
    """What each subcommand does. O(1). Since 6.2.0."""
    return help_reply(PUBSUB_)


@command(PUBSUB | LOADING | STALE, group="pubsub", container=PUBSUB_)
def pubsub_numpat(c: Client) -> bytes:
    """How many different patterns are listened to. O(1). Since 2.8.0."""
    return integer(len(c.server.pubsub.patterns))


@command(PUBSUB | LOADING | STALE, group="pubsub", container=PUBSUB_, syntax="[channel...]")
def pubsub_numsub(c: Client, *channels: bytes) -> bytes:
    """How many listen to each of these channels, patterns aside. O(N) with N the number of channels. Since 2.8.0."""
    return _counts(c.server.pubsub.channels, channels)


def _counts(subscribers: Mapping[bytes, Sized], channels: Iterable[bytes]) -> bytes:
    found = []
    for channel in channels:
        found += [bulk(channel), integer(len(subscribers.get(channel, ())))]
    return array(found)


@command(PUBSUB | LOADING | STALE, group="pubsub", container=PUBSUB_, syntax="[pattern:pattern]")
def pubsub_shardchannels(c: Client, *pattern: bytes) -> bytes:
    """The shard channels that have subscribers. O(N) with N the number of channels. Since 7.0.0."""
    return _matching(c.server.pubsub.shards, b"SHARDCHANNELS", pattern)


@command(PUBSUB | LOADING | STALE, group="pubsub", container=PUBSUB_, syntax="[shardchannel...]")
def pubsub_shardnumsub(c: Client, *channels: bytes) -> bytes:
    """How many listen to each of these shard channels. O(N) with N the number of channels. Since 7.0.0."""
    return _counts(c.server.pubsub.shards, channels)
