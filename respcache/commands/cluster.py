"""CLUSTER: what a node tells of itself, of the others, and of the keys in a slot."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

from respcache.cluster import frames, nodes_conf
from respcache.cluster.nodes import FAIL, PFAIL, Node
from respcache.clustered import Clustering
from respcache.commands.arguments import integer as parse_integer
from respcache.commands.help import help_reply
from respcache.log import logger as log
from respcache.protocol.errors import ReplyError
from respcache.protocol.reply import OK, array, bulk, bulks, integer
from respcache.registry import ADMIN, LOADING, NO_ASYNC_LOADING, STALE, command, container
from respcache.state import Client
from respcache.store.slot import SLOTS, hash_slot

DISABLED = ReplyError(b"ERR This instance has cluster support disabled")
BAD_SLOT = ReplyError(b"ERR Invalid or out of range slot")
NO_SLOT = ReplyError(b"ERR Invalid slot")
NO_SLOT_OR_COUNT = ReplyError(b"ERR Invalid slot or number of keys")
NO_MASTER = ReplyError(b"ERR The specified node is not a master")

CLUSTER = container("cluster", group="cluster", doc="Tells of a cluster and changes it. Since 3.0.0.")


def cluster_of(c: Client) -> Clustering:
    """The cluster of the server. Raises the error of a server that is in none."""
    if c.server.cluster is None:
        raise DISABLED
    return c.server.cluster


def parse_slot(word: bytes) -> int:
    """A slot. Raises ReplyError."""
    return parse_integer(word, BAD_SLOT, 0, SLOTS - 1)


def find_node(cluster: Clustering, id: bytes) -> Node:
    """A node by its id. Raises ReplyError if it is unknown, or not yet known by this id."""
    node = cluster.view.find(id)
    if node is None:
        raise unknown_node(id)
    return node


def unknown_node(id: bytes) -> ReplyError:
    """The error of an id that nobody has."""
    return ReplyError(b"ERR Unknown node %b" % id)


def save(cluster: Clustering) -> None:
    """Writes nodes.conf at once. Raises ReplyError if that fails."""
    try:
        cluster.save()
    except OSError as error:
        raise not_saved(error) from None


def not_saved(error: OSError) -> ReplyError:
    """The error of nodes.conf that cannot be written."""
    log.warning("Cannot save the cluster configuration: %s", error)
    return ReplyError(b"ERR error saving the cluster node config: %b" % str(error).encode())


# This node


@command(STALE, group="cluster", container=CLUSTER)
def cluster_myid(c: Client) -> bytes:
    """The id of this node. O(1). Since 3.0.0."""
    return bulk(cluster_of(c).view.myself.id)


@command(STALE, group="cluster", container=CLUSTER, tips=("nondeterministic_output",))
def cluster_myshardid(c: Client) -> bytes:
    """The id that this node, its master and that one's replicas have in common. O(1). Since 7.2.0."""
    return bulk(cluster_of(c).view.myself.shard_id)


@command(STALE, group="cluster", container=CLUSTER, tips=("nondeterministic_output",))
def cluster_info(c: Client) -> bytes:
    """The state of the cluster as this node sees it, and how much it talks. O(1). Since 3.0.0."""
    cluster = cluster_of(c)
    view = cluster.view
    owners = [node for node in view.nodes.values() if node.slot_count]
    failed = sum(node.slot_count for node in owners if node.flags & FAIL)
    missed = sum(node.slot_count for node in owners if node.flags & (FAIL | PFAIL) == PFAIL)
    lines: list[tuple[str, str | int]] = [
        ("cluster_state", "ok" if view.ok else "fail"),
        ("cluster_slots_assigned", view.assigned),
        ("cluster_slots_ok", view.assigned - failed - missed),
        ("cluster_slots_pfail", missed),
        ("cluster_slots_fail", failed),
        ("cluster_known_nodes", len(view.nodes)),
        ("cluster_size", view.size),
        ("cluster_current_epoch", view.current_epoch),
        ("cluster_my_epoch", view.myself.epoch),
        *_messages(cluster.sent, "sent"),
        *_messages(cluster.received, "received"),
        ("total_cluster_links_buffer_limit_exceeded", cluster.overflowed),
    ]
    return c.resp.verbatim("".join(f"{name}:{value}\r\n" for name, value in lines).encode())


def _messages(counts: Sequence[int], way: str) -> list[tuple[str, int]]:
    """The messages that went one way: those of each type that were, and all."""
    each = [
        (f"cluster_stats_messages_{name}_{way}", count)
        for name, count in zip(frames.NAMES, counts, strict=True)
        if count
    ]
    return [*each, (f"cluster_stats_messages_{way}", sum(counts))]


@command(ADMIN | STALE | NO_ASYNC_LOADING, group="cluster", container=CLUSTER)
def cluster_saveconfig(c: Client) -> bytes:
    """Writes what this node knows of the cluster to its file. O(1). Since 3.0.0."""
    save(cluster_of(c))
    return OK


# All nodes


@command(STALE, group="cluster", container=CLUSTER, tips=("nondeterministic_output",))
def cluster_nodes(c: Client) -> bytes:
    """All nodes that are known, a line for each. O(N). Since 3.0.0."""
    return c.resp.verbatim(nodes_conf.describe(cluster_of(c).view).encode())


def _replicas(c: Client, id: bytes) -> bytes:
    cluster = cluster_of(c)
    node = find_node(cluster, id)
    if not node.is_master:
        raise NO_MASTER
    return bulks([nodes_conf.line(replica, cluster.view, False).encode() for replica in node.replicas])


@command(
    ADMIN | STALE,
    group="cluster",
    container=CLUSTER,
    syntax="node-id",
    tips=("nondeterministic_output",),
)
def cluster_replicas(c: Client, node_id: bytes) -> bytes:
    """The replicas of a master, as CLUSTER NODES shows them. O(N). Since 5.0.0."""
    return _replicas(c, node_id)


@command(
    ADMIN | STALE,
    group="cluster",
    container=CLUSTER,
    syntax="node-id",
    tips=("nondeterministic_output",),
    deprecated=("5.0.0", "`CLUSTER REPLICAS`"),
)
def cluster_slaves(c: Client, node_id: bytes) -> bytes:
    """The replicas of a master, as CLUSTER NODES shows them. O(N). Since 3.0.0."""
    return _replicas(c, node_id)


@command(
    ADMIN | STALE,
    group="cluster",
    container=CLUSTER,
    syntax="node-id",
    tips=("nondeterministic_output",),
)
def cluster_count_failure_reports(c: Client, node_id: bytes) -> bytes:
    """How many masters say that a node does not answer. O(N). Since 3.0.0."""
    cluster = cluster_of(c)
    node = find_node(cluster, node_id)
    oldest = cluster.now() - 2 * c.server.config.cluster_node_timeout  # an older one does not count any more
    return integer(sum(when >= oldest for when in node.reports.values()))


@command(STALE, group="cluster", container=CLUSTER, tips=("nondeterministic_output",))
def cluster_links(c: Client) -> bytes:
    """The connections with other nodes: two with each. O(N). Since 7.0.0."""
    shown = []
    for link, node, is_ours in cluster_of(c).links:
        told = {
            b"direction": bulk(b"to" if is_ours else b"from"),
            b"node": bulk(node.id),
            b"create-time": integer(link.created),
            b"events": bulk(b"rw" if link.pending else b"r"),
            b"send-buffer-allocated": integer(link.pending),
            b"send-buffer-used": integer(link.pending),
        }
        shown.append(c.resp.map([part for name, value in told.items() for part in (bulk(name), value)]))
    return array(shown)


# Keys


@command(STALE, group="cluster", container=CLUSTER, syntax="key")
def cluster_keyslot(c: Client, key: bytes) -> bytes:
    """The slot of a key. O(N). Since 3.0.0."""
    cluster_of(c)
    return integer(hash_slot(key))


@command(STALE, group="cluster", container=CLUSTER, syntax="slot:integer")
def cluster_countkeysinslot(c: Client, slot: bytes) -> bytes:
    """How many keys this node has in a slot. O(1). Since 3.0.0."""
    cluster_of(c)
    number = parse_integer(slot)
    if not 0 <= number < SLOTS:
        raise NO_SLOT
    return integer(len(c.db.shards[number]))


@command(
    STALE,
    group="cluster",
    container=CLUSTER,
    syntax="slot:integer count:integer",
    tips=("nondeterministic_output",),
)
def cluster_getkeysinslot(c: Client, slot: bytes, count: bytes) -> bytes:
    """Some of the keys that this node has in a slot. O(N). Since 3.0.0."""
    cluster_of(c)
    number, most = parse_integer(slot), parse_integer(count)
    if not 0 <= number < SLOTS or most < 0:
        raise NO_SLOT_OR_COUNT
    shard = c.db.shards[number]
    return bulks(list(islice(shard, min(most, len(shard)))))


@command(LOADING | STALE, group="cluster", container=CLUSTER)
def cluster_help(c: Client) -> bytes:
    """The subcommands of CLUSTER. O(1). Since 5.0.0."""
    cluster_of(c)
    return help_reply(CLUSTER)
