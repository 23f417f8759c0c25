"""Routing: the gate of a node of a cluster, which sends clients to the node that has their keys.

Almost all that a master is asked for is served here without any more thought, which one byte of `View.plain` tells;
what is not goes the careful way, which decides as the table of `_decide` says. A command is looked at when it is
queued as well as when it would run, and EXEC for the keys of all that it would run. What has no keys is not wrapped.
Source: the Redis Cluster specification, "MOVED Redirection" and "ASK redirection".
"""

from __future__ import annotations

from binascii import crc_hqx
from collections.abc import Callable, Container, Sequence
from typing import NamedTuple

from respcache.cluster.nodes import Node, View
from respcache.config import Config
from respcache.features.blocking import Pause
from respcache.keyspec import Index, KeySpec, Range
from respcache.protocol.errors import Redirection, wrong_arity
from respcache.registry import ASKING, PUBSUB, WRITE, Command, Flag, Handler
from respcache.state import Client, ServerState
from respcache.store.database import Database
from respcache.store.slot import BRACE, MASK, hash_slot, tagged_slot

UNBOUND = Redirection(b"CLUSTERDOWN Hash slot not served")
CROSSSLOT = Redirection(b"CROSSSLOT Keys in request don't hash to the same slot")
DOWN = Redirection(b"CLUSTERDOWN The cluster is down")
DOWN_FOR_WRITES = Redirection(b"CLUSTERDOWN The cluster is down and only accepts read commands")
TRYAGAIN = Redirection(b"TRYAGAIN Multiple keys request during rehashing of slot")

Keys = Callable[[Sequence[bytes]], Sequence[bytes]]
"""Finds the keys, or shard channels, among the arguments of a command, its name left out."""


class Endpoint(NamedTuple):
    """Where clients are to look for a node."""

    host: bytes | None
    """None: where they already are."""
    metadata: list[tuple[bytes, bytes]]
    """What else is known of it, for CLUSTER SLOTS: by name."""


def endpoint(node: Node, config: Config) -> Endpoint:
    """Where clients are to look for a node, by cluster-preferred-endpoint-type."""
    kind = config.cluster_preferred_endpoint_type
    ip, hostname = node.ip.encode(), node.hostname.encode()
    metadata = [(b"ip", ip)] if kind != "ip" else []
    if kind == "hostname":
        return Endpoint(hostname or b"?", metadata)
    if hostname:
        metadata.append((b"hostname", hostname))
    return Endpoint(ip if kind == "ip" else None, metadata)


def moved(slot: int, node: Node, config: Config) -> Redirection:
    """The error that names the owner of a slot."""
    return _to(b"MOVED", slot, node, config)


def _to(word: bytes, slot: int, node: Node, config: Config) -> Redirection:
    return Redirection(b"%b %d %b:%d" % (word, slot, endpoint(node, config).host or b"", node.port))


# The gate


def routing(command: Command, handler: Handler) -> Handler:
    """The gate of a node of a cluster."""
    if command.name == "exec":
        return _routing_exec(handler)
    keys = finder(command)
    if keys is None:
        return handler
    careful = _careful(command, handler, keys)
    words = 1 if command.parent is None else 2
    least = abs(command.arity) - words
    if [(spec.begin, spec.find) for spec in command.keys] == [(Index(words), Range())]:
        return _quick(least, command.arity < 0, handler, careful)
    if keys is _all and least:  # SUNSUBSCRIBE may have none
        return _quick_all(handler, careful)
    return _quick_many(handler, careful, keys)


def _quick(least: int, is_open: bool, handler: Handler, careful: Handler) -> Handler:
    """What stands for a command whose only key is its first argument; it takes so many at least, or exactly.

    This is the hot path: arguments are passed by position, as tuples of them cost more than all the rest.
    """

    def one(client: Client, key: bytes) -> bytes:
        if client.server.cluster.view.plain[  # type: ignore[union-attr] # the gate is on
            tagged_slot(key) if BRACE in key else crc_hqx(key, 0) & MASK
        ]:
            return handler(client, key)
        return careful(client, key)

    def two(client: Client, key: bytes, second: bytes) -> bytes:
        if client.server.cluster.view.plain[  # type: ignore[union-attr]
            tagged_slot(key) if BRACE in key else crc_hqx(key, 0) & MASK
        ]:
            return handler(client, key, second)
        return careful(client, key, second)

    def three(client: Client, key: bytes, second: bytes, third: bytes) -> bytes:
        if client.server.cluster.view.plain[  # type: ignore[union-attr]
            tagged_slot(key) if BRACE in key else crc_hqx(key, 0) & MASK
        ]:
            return handler(client, key, second, third)
        return careful(client, key, second, third)

    def two_or_more(client: Client, key: bytes, second: bytes, *more: bytes) -> bytes:
        if client.server.cluster.view.plain[  # type: ignore[union-attr]
            tagged_slot(key) if BRACE in key else crc_hqx(key, 0) & MASK
        ]:
            return handler(client, key, second, *more) if more else handler(client, key, second)
        return careful(client, key, second, *more)

    def three_or_more(client: Client, key: bytes, second: bytes, third: bytes, *more: bytes) -> bytes:
        if client.server.cluster.view.plain[  # type: ignore[union-attr]
            tagged_slot(key) if BRACE in key else crc_hqx(key, 0) & MASK
        ]:
            return handler(client, key, second, third, *more) if more else handler(client, key, second, third)
        return careful(client, key, second, third, *more)

    def any_number(client: Client, key: bytes, *more: bytes) -> bytes:
        if client.server.cluster.view.plain[  # type: ignore[union-attr]
            tagged_slot(key) if BRACE in key else crc_hqx(key, 0) & MASK
        ]:
            return handler(client, key, *more)
        return careful(client, key, *more)

    ways: dict[int, Handler] = {2: two_or_more, 3: three_or_more} if is_open else {1: one, 2: two, 3: three}
    return ways.get(least, any_number)


def _quick_all(handler: Handler, careful: Handler) -> Handler:
    """What stands for a command whose arguments are all keys: it is served if they are in one slot that is."""

    def run(client: Client, key: bytes, *more: bytes) -> bytes:
        slot = tagged_slot(key) if BRACE in key else crc_hqx(key, 0) & MASK
        if not client.server.cluster.view.plain[slot]:  # type: ignore[union-attr]
            return careful(client, key, *more)
        if not more:
            return handler(client, key)
        return (handler if _all_in(slot, key, more) else careful)(client, key, *more)

    return run


def _quick_many(handler: Handler, careful: Handler, keys: Keys) -> Handler:
    """What stands for any other command."""

    def run(client: Client, *arguments: bytes) -> bytes:
        found = keys(arguments)
        if not found:
            return handler(client, *arguments)
        slot = hash_slot(found[0])
        plain = client.server.cluster.view.plain[slot]  # type: ignore[union-attr]
        return (handler if plain and _all_in(slot, found[0], found) else careful)(client, *arguments)

    return run


def _all_in(slot: int, first: bytes, keys: Sequence[bytes]) -> bool:
    """Whether keys are in a slot, as the first one is. Mostly they begin with the same hash tag."""
    tag = first[: first.find(b"}") + 1] if first[:1] == b"{" else b""
    others = [key for key in keys if not key.startswith(tag)] if len(tag) > 2 else keys  # `{}` is no tag
    return not others or {hash_slot(key) for key in others} == {slot}


def _careful(command: Command, handler: Handler, keys: Keys) -> Handler:
    is_migrate = command.name == "migrate"
    words = 1 if command.parent is None else 2

    def run(client: Client, *arguments: bytes) -> bytes:
        if not command.accepts(len(arguments) + words):
            raise wrong_arity(command.name)
        if not client.server.nested:
            found = keys(arguments)
            if found:
                _decide(client, found, command.flags, bool(command.flags & PUBSUB), is_migrate)
        return handler(client, *arguments)

    return run


def _routing_exec(handler: Handler) -> Handler:
    """EXEC runs nothing unless all of it may run here. It is refused even if it would fail anyhow, as in Redis."""

    def run(client: Client, *arguments: bytes) -> bytes:
        transaction = client.transaction
        if transaction is not None and not arguments:
            found: list[bytes] = []
            sharded = True  # it has to do with shard channels only
            for entry, words, _ in transaction.queued:
                keys = finder(entry.command)
                if keys is not None:
                    found += keys(words)
                    sharded = sharded and bool(entry.command.flags & PUBSUB)
            if found:
                _decide(client, found, transaction.flags & ~ASKING, sharded)
        return handler(client, *arguments)

    return run


def _decide(
    client: Client, keys: Sequence[bytes], flags: Flag, sharded: bool, is_migrate: bool = False
) -> None:
    """Raises a `Redirection` unless a command with these keys and flags is to be run here."""
    server = client.server
    assert server.cluster is not None
    view, config = server.cluster.view, server.config
    slot = hash_slot(keys[0])
    owner = view.owners[slot]
    if owner is None:
        raise UNBOUND
    for key in keys:
        if hash_slot(key) != slot:
            raise CROSSSLOT
    if not view.ok:
        if sharded:
            if not config.cluster_allow_pubsubshard_when_down:
                raise DOWN
        elif not config.cluster_allow_reads_when_down:
            raise DOWN
        elif flags & WRITE:
            raise DOWN_FOR_WRITES
    myself = view.myself
    target = view.migrating.get(slot) if owner is myself else None
    importing = target is None and slot in view.importing
    if is_migrate and (target is not None or importing):
        return
    if target is not None and not sharded:
        here = _count(server.keyspace.databases[0], slot, keys)
        if here < len(keys):
            raise TRYAGAIN if here else _to(b"ASK", slot, target, config)
    if importing and (client.asking or flags & ASKING):
        several = not sharded and any(key != keys[0] for key in keys)
        if several and _count(server.keyspace.databases[0], slot, keys) < len(keys):
            raise TRYAGAIN
        return
    if owner is myself or (
        (client.readonly or sharded) and not flags & WRITE and myself.is_replica and myself.master is owner
    ):
        return
    raise moved(slot, owner, config)


def _count(db: Database, slot: int, keys: Sequence[bytes]) -> int:
    """How many of these keys are here, alive. To ask that changes nothing: what is due stays where it is."""
    shard, now = db.shards[slot], db.clock.ms()
    return sum(key in shard and ((when := db.deadline(key)) is None or when > now) for key in keys)


def ask(client: Client) -> None:
    """ASKING: the client's next request, or its next transaction, may go to a slot that is on its way here."""
    if not (client.server.nested or client.monitors):  # it would come too late; it has nothing to do with keys
        client.asking = True
        client.enter(client.server.modes.asking)


def once_asked(command: Command, handler: Handler) -> Handler:
    """The layer of clients that have just said ASKING: it holds for one request, or up to EXEC if that is MULTI."""
    if command.name == "asking":
        return handler

    def run(client: Client, *arguments: bytes) -> bytes:
        client.rest()
        try:
            return handler(client, *arguments)
        except Pause as pause:
            if pause.retry:  # it is to be asked again
                ask(client)
            raise
        finally:
            if client.transaction is None and client.base is not client.server.modes.asking:
                client.asking = False

    return run


# Keys

_FINDERS: dict[Command, Keys | None] = {}


def finder(command: Command) -> Keys | None:
    """What finds the keys of a command; None if it has none. Shard channels are keys here: they have slots, too."""
    try:
        return _FINDERS[command]
    except KeyError:
        made = _FINDERS[command] = _make_finder(command)
        return made


def _make_finder(command: Command) -> Keys | None:
    if not command.keys and command.getkeys is None:
        return None
    words = 1 if command.parent is None else 2
    slices = [_slice(spec, words) for spec in command.keys]
    if not slices or None in slices:
        names = command.name.encode().split(b"|")

        def find(arguments: Sequence[bytes]) -> Sequence[bytes]:
            argv = [*names, *arguments]
            if not command.accepts(len(argv)):
                return ()  # the handler will say so
            return [argv[at] for at, _ in command.find_keys(argv)]

        return find

    def cut(arguments: Sequence[bytes]) -> Sequence[bytes]:
        found: list[bytes] = []
        for part in slices:
            found += arguments[part]  # type: ignore[index]
        return found

    only = slices[0]
    if len(slices) > 1:
        return cut
    if only == slice(0, None, 1):
        return _all
    return lambda arguments: arguments[only]  # type: ignore[index]


def _all(arguments: Sequence[bytes]) -> Sequence[bytes]:
    return arguments


def _slice(spec: KeySpec, words: int) -> slice | None:
    """The arguments behind so many words of the name that a spec selects; None if it takes more to tell."""
    begin, find = spec.begin, spec.find
    if not isinstance(begin, Index) or not isinstance(find, Range) or find.limit or "incomplete" in spec.flags:
        return None
    start = begin.at - words
    stop = start + find.last + 1 if find.last >= 0 else find.last + 1 or None
    return slice(start, stop, find.step)


# Who is here already when a slot goes


def redirect_waiting(server: ServerState) -> None:
    """Ends the wait of all who wait for keys that are no longer served here, or while the cluster is down."""
    cluster = server.cluster
    if cluster is None or not server.waiting.count:
        return
    view = cluster.view
    for client in list(server.clients.values()):
        waiter = client.waiter
        if waiter is None or not waiter.keys:
            continue
        error = _lost(client, view, hash_slot(waiter.keys[0][1]), server.config)
        if error is not None:
            server.stats.error(error.code)
            server.end_wait(waiter, error.reply)


def _lost(client: Client, view: View, slot: int, config: Config) -> Redirection | None:
    """What to tell a client that waits for keys of a slot; None: it may wait on."""
    if not view.ok:
        return DOWN
    owner, myself = view.owners[slot], view.myself
    if owner is None:
        return UNBOUND if slot not in view.importing else None
    writes = client.last is None or bool(client.last.command.flags & WRITE)
    followed = client.readonly and not writes and myself.is_replica and myself.master is owner
    if owner is myself or followed or slot in view.importing:
        return None
    return moved(slot, owner, config)


def farewell(server: ServerState) -> Callable[[int], None]:
    """What `View.released` is to call: in the loop's next turn, for all slots of this one, who waits for their keys or
    listens to their shard channels is told to go on elsewhere."""
    gone: set[int] = set()

    def tell() -> None:
        redirect_waiting(server)
        _close_shards(server, gone)
        gone.clear()

    def released(slot: int) -> None:
        if server.pubsub.shards or server.waiting.count:
            if not gone:
                server.loop.call_soon(tell)
            gone.add(slot)

    return released


def _close_shards(server: ServerState, slots: Container[int]) -> None:
    """Ends the subscriptions of the shard channels of slots, even if this node has them still: so does Redis."""
    pubsub = server.pubsub
    channels = [channel for channel in pubsub.shards if hash_slot(channel) in slots]
    if not channels:
        return
    for channel in channels:
        pubsub.close_shard(channel)
    for client in server.clients.values():
        if client.subscriber is not None and client.subscriber.idle:
            client.unsubscribe()
            if client.base is server.modes.subscribed:
                client.rest()
