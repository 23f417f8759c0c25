"""CLUSTER: which node owns a slot, and the epoch of that claim."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from respcache.cluster.services import Todo
from respcache.clustered import Clustering
from respcache.commands.arguments import integer
from respcache.commands.cluster import CLUSTER, cluster_of, find_node, parse_slot, save
from respcache.log import logger as log
from respcache.protocol.errors import ReplyError, wrong_arity
from respcache.protocol.reply import OK, status
from respcache.registry import ADMIN, NO_ASYNC_LOADING, STALE, command
from respcache.state import Client

NOT_EMPTY = ReplyError(b"ERR DB must be empty to perform CLUSTER FLUSHSLOTS.")
NOT_ALONE = ReplyError(
    b"ERR The user can assign a config epoch only when the node does not know any other node."
)
HAS_EPOCH = ReplyError(b"ERR Node config epoch is already non-zero")
ONLY_MASTERS = ReplyError(b"ERR Please use SETSLOT only with masters.")
NO_MASTER = ReplyError(b"ERR Target node is not a master")
BAD_SETSLOT = ReplyError(
    b"ERR Invalid CLUSTER SETSLOT action or number of arguments. Try CLUSTER HELP"
)

CHANGED = Todo.SAVE | Todo.STATE


# Slots of this node


def _ranges(words: Sequence[bytes]) -> Iterator[int]:
    """The slots of ranges, each a first and a last one. Raises ReplyError, on the way: each is looked at
    before the next one is read."""
    for first, last in zip(words[::2], words[1::2], strict=True):
        start, end = parse_slot(first), parse_slot(last)
        if start > end:
            raise ReplyError(b"ERR start slot number %d is greater than end slot number %d" % (start, end))
        yield from range(start, end + 1)


def _check(cluster: Clustering, slots: Iterable[int], assigned: bool) -> list[int]:
    """The slots, if all of them have an owner, or none has, and each is named once. Raises ReplyError."""
    owners = cluster.view.owners
    seen: dict[int, None] = {}
    for slot in slots:
        if (owners[slot] is not None) != assigned:
            raise ReplyError(b"ERR Slot %d is already %b" % (slot, b"unassigned" if assigned else b"busy"))
        if slot in seen:
            raise ReplyError(b"ERR Slot %d specified multiple times" % slot)
        seen[slot] = None
    return list(seen)


def _add(c: Client, slots: Iterable[int]) -> bytes:
    """Takes slots."""
    cluster = cluster_of(c)
    cluster.take_all(_check(cluster, slots, assigned=False), cluster.view.myself)
    cluster.soon(CHANGED)
    return OK


def _delete(c: Client, slots: Iterable[int]) -> bytes:
    """Takes slots from their owners."""
    cluster = cluster_of(c)
    for slot in _check(cluster, slots, assigned=True):
        cluster.view.release(slot)
    cluster.soon(CHANGED)
    return OK


@command(ADMIN | STALE | NO_ASYNC_LOADING, group="cluster", container=CLUSTER, syntax="slot:integer...")
def cluster_addslots(c: Client, slot: bytes, *more: bytes) -> bytes:
    """Makes this node the owner of slots that have none. O(N). Since 3.0.0."""
    cluster_of(c)
    return _add(c, [parse_slot(word) for word in (slot, *more)])


@command(
    ADMIN | STALE | NO_ASYNC_LOADING,
    group="cluster",
    container=CLUSTER,
    syntax="start-slot_end-slot=(start-slot:integer end-slot:integer)...",
)
def cluster_addslotsrange(c: Client, start: bytes, end: bytes, *more: bytes) -> bytes:
    """Makes this node the owner of ranges of slots that have none. O(N). Since 7.0.0."""
    if len(more) % 2:
        raise wrong_arity("cluster|addslotsrange")
    return _add(c, _ranges((start, end, *more)))


@command(ADMIN | STALE | NO_ASYNC_LOADING, group="cluster", container=CLUSTER, syntax="slot:integer...")
def cluster_delslots(c: Client, slot: bytes, *more: bytes) -> bytes:
    """Has this node forget who owns slots. O(N). Since 3.0.0."""
    cluster_of(c)
    return _delete(c, [parse_slot(word) for word in (slot, *more)])


@command(
    ADMIN | STALE | NO_ASYNC_LOADING,
    group="cluster",
    container=CLUSTER,
    syntax="start-slot_end-slot=(start-slot:integer end-slot:integer)...",
)
def cluster_delslotsrange(c: Client, start: bytes, end: bytes, *more: bytes) -> bytes:
    """Has this node forget who owns ranges of slots. O(N). Since 7.0.0."""
    if len(more) % 2:
        raise wrong_arity("cluster|delslotsrange")
    return _delete(c, _ranges((start, end, *more)))


@command(ADMIN | STALE | NO_ASYNC_LOADING, group="cluster", container=CLUSTER)
def cluster_flushslots(c: Client) -> bytes:
    """Has this node, which must be empty, own no slot any more. O(1). Since 3.0.0."""
    cluster = cluster_of(c)
    if c.server.keyspace.databases[0].size:
        raise NOT_EMPTY
    cluster.view.release_all(cluster.view.myself)
    cluster.soon(CHANGED)
    return OK


# A slot on its way from one node to another


@command(
    ADMIN | STALE | NO_ASYNC_LOADING,
    group="cluster",
    container=CLUSTER,
    syntax="slot:integer subcommand=<IMPORTING node-id | MIGRATING node-id | NODE node-id | STABLE>",
)
def cluster_setslot(c: Client, slot: bytes, action: bytes, *node_id: bytes) -> bytes:
    """Marks a slot as on its way to or from a node, takes the marks away, or makes a node its owner.

    O(1). Since 3.0.0.
    """
    cluster = cluster_of(c)
    if cluster.view.myself.is_replica:
        raise ONLY_MASTERS
    number = parse_slot(slot)
    match action.lower(), *node_id:
        case b"migrating", id:
            _migrate(cluster, number, id)
        case b"importing", id:
            _import(cluster, number, id)
        case (b"stable",):
            cluster.view.mark_migrating(number, None)
            cluster.view.mark_importing(number, None)
        case b"node", id:
            _give(c, cluster, number, id)
        case _:
            raise BAD_SETSLOT
    cluster.soon(CHANGED)
    return OK


def _migrate(cluster: Clustering, slot: int, id: bytes) -> None:
    view = cluster.view
    if view.owners[slot] is not view.myself:
        raise ReplyError(b"ERR I'm not the owner of hash slot %d" % slot)
    node = view.find(id)
    if node is None:
        raise ReplyError(b"ERR I don't know about node %b" % id)
    if node.is_replica:
        raise NO_MASTER
    view.mark_migrating(slot, node)


def _import(cluster: Clustering, slot: int, id: bytes) -> None:
    view = cluster.view
    if view.owners[slot] is view.myself:
        raise ReplyError(b"ERR I'm already the owner of hash slot %d" % slot)
    node = view.find(id)
    if node is None:
        raise ReplyError(b"ERR I don't know about node %b" % id)
    if node.is_replica:
        raise NO_MASTER
    view.mark_importing(slot, node)


def _give(c: Client, cluster: Clustering, slot: int, id: bytes) -> None:
    """SETSLOT NODE: the owner of a slot is this one, says the one who moved it."""
    view = cluster.view
    me = view.myself
    node = find_node(cluster, id)
    if node.is_replica:
        raise NO_MASTER
    was_mine = view.owners[slot] is me
    keys = len(c.server.keyspace.databases[0].shards[slot])
    if was_mine and node is not me and keys:
        text = b"ERR Can't assign hashslot %d to a different node while I still hold keys for this hash slot."
        raise ReplyError(text % slot)
    if not keys:
        view.mark_migrating(slot, None)
    was_imported = node is me and slot in view.importing
    cluster.take_all([slot], node)
    if was_mine and node is not me and not me.slot_count and c.server.config.cluster_allow_replica_migration:
        log.info("The last slot moved to node %s: this node becomes its replica.", node.name)
        cluster.replicate(node)
    elif was_imported:
        # The one who imports takes an epoch of its own, above that of the claim of the old owner, who may not even
        # have been told yet: with it everybody believes this one.
        if view.bump_epoch():
            log.info("configEpoch updated after importing slot %d", slot)
        save(cluster)
        cluster.announce()


# Epochs


@command(
    ADMIN | STALE | NO_ASYNC_LOADING,
    group="cluster",
    container=CLUSTER,
    tips=("nondeterministic_output",),
)
def cluster_bumpepoch(c: Client) -> bytes:
    """Takes the next epoch for this node's claim, unless it has the greatest already. O(1). Since 3.0.0."""
    cluster = cluster_of(c)
    done = b"STILL"
    if cluster.view.bump_epoch():
        done = b"BUMPED"
        save(cluster)
    return status(b"%b %d" % (done, cluster.view.myself.config_epoch))


@command(
    ADMIN | STALE | NO_ASYNC_LOADING,
    group="cluster",
    container=CLUSTER,
    syntax="config-epoch:integer",
)
def cluster_set_config_epoch(c: Client, config_epoch: bytes) -> bytes:
    """Gives a node that knows no other one an epoch of its own. O(1). Since 3.0.0."""
    cluster = cluster_of(c)
    view = cluster.view
    epoch = integer(config_epoch)
    if epoch < 0:
        raise ReplyError(b"ERR Invalid config epoch specified: %b" % config_epoch)
    if len(view.nodes) > 1:
        raise NOT_ALONE
    if view.myself.config_epoch:
        raise HAS_EPOCH
    view.myself.config_epoch = epoch
    view.current_epoch = max(view.current_epoch, epoch)
    log.info("configEpoch set to %d via CLUSTER SET-CONFIG-EPOCH", epoch)
    save(cluster)
    cluster.soon(Todo.STATE)
    return OK
