"""CLUSTER: who belongs to the cluster, and who is whose replica."""

from __future__ import annotations

from respcache.cluster.nodes import BUS_OFFSET, FAIL
from respcache.cluster.services import Todo, Way
from respcache.commands.arguments import integer
from respcache.commands.cluster import CLUSTER, cluster_of, find_node, not_saved, unknown_node
from respcache.log import logger as log
from respcache.protocol.errors import SYNTAX, ReplyError
from respcache.protocol.reply import OK
from respcache.registry import ADMIN, NO_ASYNC_LOADING, NOSCRIPT, STALE, command
from respcache.state import Client

NOT_MYSELF = ReplyError(b"ERR I tried hard but I can't forget myself...")
NOT_MY_MASTER = ReplyError(b"ERR Can't forget my master!")
OF_MYSELF = ReplyError(b"ERR Can't replicate myself")
OF_A_REPLICA = ReplyError(b"ERR I can only replicate a master, not a replica.")
NOT_EMPTY = ReplyError(b"ERR To set a master the node must be empty and without assigned slots.")
IS_MASTER = ReplyError(b"ERR You should send CLUSTER FAILOVER to a replica")
NO_MASTER = ReplyError(b"ERR I'm a replica but my master is unknown to me")
MASTER_DOWN = ReplyError(b"ERR Master is down or failed, please use CLUSTER FAILOVER FORCE")
HAS_KEYS = ReplyError(b"ERR CLUSTER RESET can't be called with master nodes containing keys")


def _too_many(subcommand: bytes) -> ReplyError:
    text = b"ERR unknown subcommand or wrong number of arguments for '%b'. Try CLUSTER HELP."
    return ReplyError(text % subcommand)


@command(
    ADMIN | STALE | NO_ASYNC_LOADING,
    group="cluster",
    container=CLUSTER,
    syntax="ip port:integer [cluster_bus_port:integer{4.0.0}]",
    history=(("4.0.0", "Argument `cluster_bus_port`."),),
)
def cluster_meet(c: Client, ip: bytes, port: bytes, *bus_port: bytes) -> bytes:
    """Has this node and another one get to know each other, and all that each of them knows. O(1). Since 3.0.0."""
    cluster = cluster_of(c)
    if len(bus_port) > 1:
        raise _too_many(b"MEET")
    number = integer(port, ReplyError(b"ERR Invalid base port specified: %b" % port))
    bus = number + BUS_OFFSET
    if bus_port:
        bus = integer(bus_port[0], ReplyError(b"ERR Invalid bus port specified: %b" % bus_port[0]))
    in_range = 0 < number < 1 << 16 and 0 < bus < 1 << 16
    if not in_range or not cluster.meet(ip.decode("latin-1"), number, bus):
        raise ReplyError(b"ERR Invalid node address specified: %b:%b" % (ip, port))
    return OK


@command(
    ADMIN | STALE | NO_ASYNC_LOADING,
    group="cluster",
    container=CLUSTER,
    syntax="node-id",
)
def cluster_forget(c: Client, node_id: bytes) -> bytes:
    """Drops a node, and takes it in no more for a minute. O(1). Since 3.0.0."""
    cluster = cluster_of(c)
    view = cluster.view
    node = view.nodes.get(node_id)  # one in handshake too: it may be somebody who will never answer
    if node is None:
        if view.forgotten.get(node_id, 0) > cluster.now():
            return OK  # others have said so already
        raise unknown_node(node_id)
    if node is view.myself:
        raise NOT_MYSELF
    if view.myself.is_replica and view.myself.master is node:
        raise NOT_MY_MASTER
    cluster.forget(node)
    cluster.soon(Todo.SAVE | Todo.STATE)
    return OK


@command(
    ADMIN | STALE | NO_ASYNC_LOADING,
    group="cluster",
    container=CLUSTER,
    syntax="node-id",
)
def cluster_replicate(c: Client, node_id: bytes) -> bytes:
    """Makes this node a replica of a master. O(1). Since 3.0.0."""
    cluster = cluster_of(c)
    me = cluster.view.myself
    node = find_node(cluster, node_id)
    if node is me:
        raise OF_MYSELF
    if node.is_replica:
        raise OF_A_REPLICA
    if me.is_master and (me.slot_count or c.server.keyspace.databases[0].size):
        raise NOT_EMPTY
    if me.master is not node:
        cluster.replicate(node)
    cluster.soon(Todo.SAVE | Todo.STATE)
    return OK


WAYS: dict[bytes, Way] = {b"force": "force", b"takeover": "takeover"}


@command(
    ADMIN | STALE | NO_ASYNC_LOADING,
    group="cluster",
    container=CLUSTER,
    syntax="[options=<FORCE | TAKEOVER>]",
)
def cluster_failover(c: Client, *options: bytes) -> bytes:
    """Has this replica take the place of its master. O(1). Since 3.0.0."""
    cluster = cluster_of(c)
    if len(options) > 1:
        raise _too_many(b"FAILOVER")
    way: Way = ""
    if options:
        if options[0].lower() not in WAYS:
            raise SYNTAX
        way = WAYS[options[0].lower()]
    me = cluster.view.myself
    if me.is_master:
        raise IS_MASTER
    if me.master is None:
        raise NO_MASTER
    if not way and (me.master.flags & FAIL or me.master.link is None):
        raise MASTER_DOWN
    log.info("Manual failover user request (%s) accepted from '%s'.", way or "safe", c.peer.decode("latin-1"))
    try:
        cluster.fail_over(way)
    except OSError as error:
        raise not_saved(error) from None
    return OK


@command(ADMIN | NOSCRIPT | STALE, group="cluster", container=CLUSTER, syntax="[hard_soft=<HARD | SOFT>]")
def cluster_reset(c: Client, *options: bytes) -> bytes:
    """Leaves the cluster: forgets all nodes and slots; HARD, with a new id and epochs of 0. O(N). Since 3.0.0."""
    cluster = cluster_of(c)
    if len(options) > 1:
        raise _too_many(b"RESET")
    if options and options[0].lower() not in (b"hard", b"soft"):
        raise SYNTAX
    if cluster.view.myself.is_master and c.server.keyspace.databases[0].size:
        raise HAS_KEYS
    cluster.reset(bool(options) and options[0].lower() == b"hard")
    return OK
