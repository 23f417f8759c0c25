"""CLUSTER SLOTS and SHARDS: who serves what, for clients."""

from __future__ import annotations

from collections.abc import Iterable

from respcache.cluster import slots
from respcache.cluster.nodes import FAIL, MYSELF, Node
from respcache.commands.cluster import CLUSTER, cluster_of
from respcache.protocol.reply import array, bulk, integer
from respcache.registry import LOADING, STALE, command
from respcache.routing import endpoint
from respcache.state import Client


def _offset(c: Client, node: Node) -> int:
    """How far a node is in the stream of changes, as was heard last."""
    return c.server.history.offset if node.flags & MYSELF else node.offset


@command(
    LOADING | STALE,
    group="cluster",
    container=CLUSTER,
    tips=("nondeterministic_output",),
    history=(("4.0.0", "Replies with node ids."), ("7.0.0", "Replies with network metadata.")),
    deprecated=("7.0.0", "`CLUSTER SHARDS`"),
)
def cluster_slots(c: Client) -> bytes:
    """The ranges of slots that have an owner, each with its master and the replicas of that. O(N). Since 3.0.0."""
    c.server.mastering.flush()
    shown = []
    for node in cluster_of(c).view.voters:
        # A replica that has no data yet is no use to anybody.
        replicas = [one for one in node.replicas if not one.flags & FAIL and _offset(c, one)]
        homes = [_home(c, each) for each in (node, *replicas)]
        for start, end in slots.ranges(node.slots):
            shown.append((start, array([integer(start), integer(end), *homes])))
    return array([range_ for _, range_ in sorted(shown)])


def _home(c: Client, node: Node) -> bytes:
    """Where a node is to be found: endpoint, port, id, what else is known."""
    where = endpoint(node, c.server.config)
    host = c.resp.null if where.host is None else bulk(where.host)
    metadata = c.resp.map([bulk(word) for pair in where.metadata for word in pair])
    return array([host, integer(node.port), bulk(node.id), metadata])


@command(
    LOADING | STALE,
    group="cluster",
    container=CLUSTER,
    tips=("nondeterministic_output",),
)
def cluster_shards(c: Client) -> bytes:
    """All masters with their replicas, what they serve and how they are. O(N). Since 7.0.0."""
    c.server.mastering.flush()
    shards: dict[bytes, list[Node]] = {}
    for node in cluster_of(c).view.nodes.values():
        if node.is_known:
            shards.setdefault(node.shard_id, []).append(node)
    return array([_shard(c, nodes) for nodes in shards.values()])


def _shard(c: Client, nodes: list[Node]) -> bytes:
    owned = next((node.slots for node in nodes if node.slot_count), b"")
    bounds = [integer(slot) for range_ in slots.ranges(owned) for slot in range_]
    return _map(c, [(b"slots", array(bounds)), (b"nodes", array([_member(c, node) for node in nodes]))])


def _member(c: Client, node: Node) -> bytes:
    """What SHARDS tells of a node."""
    offset = _offset(c, node)
    health = b"online"
    if node.flags & FAIL:
        health = b"fail"
    elif node.is_replica and not offset:
        health = b"loading"
    told = [(b"id", bulk(node.id))]
    if node.port:
        told.append((b"port", integer(node.port)))
    if node.plain_port:
        told.append((b"tls-port", integer(node.plain_port)))
    told += [(b"ip", bulk(node.ip.encode())), (b"endpoint", bulk(endpoint(node, c.server.config).host or b""))]
    if node.hostname:
        told.append((b"hostname", bulk(node.hostname.encode())))
    told += [
        (b"role", bulk(b"replica" if node.is_replica else b"master")),
        (b"replication-offset", integer(offset)),
        (b"health", bulk(health)),
    ]
    return _map(c, told)


def _map(c: Client, pairs: Iterable[tuple[bytes, bytes]]) -> bytes:
    return c.resp.map([part for name, value in pairs for part in (bulk(name), value)])
