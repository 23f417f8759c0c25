"""Lines of CLUSTER NODES and nodes.conf: written as 7.4 does, read as 4.0 to 7.4 wrote them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from respcache.cluster import nodes_conf
from respcache.cluster.nodes import (
    FAIL,
    HANDSHAKE,
    MASTER,
    MIGRATE_TO,
    MYSELF,
    NOADDR,
    NOFAILOVER,
    PFAIL,
    REPLICA,
    Node,
    View,
)
from respcache.cluster.nodes_conf import NodesConfError
from respcache.cluster.slots import members

A, B, C, D = (digit * 40 for digit in "abcd")
NOW = 1_795_000_000_000

REDIS_70 = f"""\
{A} 127.0.0.1:21300@21400 myself,master - 0 0 4 connected 0-5460 5462 16383 [5462->-{B}] [9000-<-{B}]
{B} 127.0.0.1:21301@21401,host-b.example master,fail? - 1795191905123 1795191900000 2 connected 9000 10000-10001
{C} 127.0.0.1:21302@21402 slave,nofailover {A} 0 1795191900000 4 disconnected
{D} :0@0 master,fail,noaddr - 0 0 0 disconnected
vars currentEpoch 4 lastVoteEpoch 3
"""

REDIS_74 = f"""\
{A} 127.0.0.1:21300@21400,,tls-port=0,shard-id={D} myself,master - 0 0 4 connected 0-5460 5462 16383 [5462->-{B}] \
[9000-<-{B}]
{B} ::1:21301@21401,host-b.example,tls-port=7,nodename=bee,shard-id={B} master,fail? - 1795000000000 1795000000000 2 \
disconnected 9000 10000-10001
{C} 127.0.0.1:21302@21402,,tls-port=0,shard-id={D} slave,nofailover {A} 0 1795000000000 4 disconnected
vars currentEpoch 4 lastVoteEpoch 3
"""


class Link:
    created = 0
    pending = 0

    def send(self, frame: bytes) -> None: ...

    def close(self) -> None: ...


def test_the_epoch_of_a_replica_is_none_of_its_own() -> None:
    text = f"{A} 127.0.0.1:1@2 master - 0 0 5 connected 0-16383\n{B} 127.0.0.1:3@4 myself,slave {A} 0 0 5 connected\n"
    view = nodes_conf.load(text, NOW)
    assert (view.myself.config_epoch, view.myself.epoch) == (0, 5)
    assert view.bump_epoch()  # CLUSTER FAILOVER TAKEOVER: with its master's epoch nobody would believe it
    assert view.myself.config_epoch == 6


def test_a_file_of_7_0() -> None:
    view = nodes_conf.load(REDIS_70, NOW)
    a, b, c, d = (view.nodes[id.encode()] for id in (A, B, C, D))
    assert len(view.nodes) == 4
    assert view.myself is a
    assert (view.current_epoch, view.last_vote_epoch) == (4, 3)
    assert (a.ip, a.port, a.cport, a.plain_port, a.hostname) == ("127.0.0.1", 21300, 21400, 0, "")
    assert b.hostname == "host-b.example"
    assert (a.flags, b.flags) == (MYSELF | MASTER | MIGRATE_TO, MASTER | PFAIL | MIGRATE_TO)
    assert (c.flags, d.flags) == (REPLICA | NOFAILOVER, MASTER | FAIL | NOADDR)
    assert (c.master, a.replicas, c.shard_id) == (a, [c], a.id)
    assert (d.ip, d.port, d.cport, d.fail_time) == ("", 0, 0, NOW)
    assert members(a.slots) == [*range(5461), 5462, 16383]
    assert (a.slot_count, b.slot_count, view.assigned) == (5463, 3, 5466)
    assert (view.owners[16383], view.owners[10001], view.owners[5461]) == (a, b, None)
    assert (view.migrating, view.importing) == ({5462: b}, {9000: b})
    assert (b.ping_sent, b.pong_received, c.ping_sent, c.pong_received) == (NOW, NOW, 0, NOW)
    assert (a.config_epoch, b.config_epoch) == (4, 2)


def test_a_file_of_7_4_is_written_as_it_was_read() -> None:
    view = nodes_conf.load(REDIS_74, NOW)
    b = view.nodes[B.encode()]
    assert (b.ip, b.port, b.cport, b.plain_port, b.nodename) == ("::1", 21301, 21401, 7, "bee")
    assert view.myself.shard_id == D.encode()
    assert nodes_conf.render(view) == REDIS_74


def test_cluster_nodes_shows_neither_shards_nor_node_names() -> None:
    view = nodes_conf.load(REDIS_74, NOW)
    view.nodes[C.encode()].link = Link()
    assert nodes_conf.describe(view) == (
        f"{A} 127.0.0.1:21300@21400 myself,master - 0 0 4 connected 0-5460 5462 16383 [5462->-{B}] [9000-<-{B}]\n"
        f"{B} ::1:21301@21401,host-b.example master,fail? - {NOW} {NOW} 2 disconnected 9000 10000-10001\n"
        f"{C} 127.0.0.1:21302@21402 slave,nofailover {A} 0 {NOW} 4 connected\n"
    )


def test_a_new_node() -> None:
    node = Node(A.encode(), MASTER, NOW)
    node.port, node.cport = 21300, 31300
    view = View(node)
    assert nodes_conf.line(node, view, False) == f"{A} :21300@31300 myself,master - 0 0 0 connected"
    assert nodes_conf.render(view) == (
        f"{A} :21300@31300,,tls-port=0,shard-id={A} myself,master - 0 0 0 connected\n"
        "vars currentEpoch 0 lastVoteEpoch 0\n"
    )


def test_handshakes_are_shown_but_not_saved() -> None:
    view = View(Node(A.encode(), MASTER, NOW))
    met = Node(B.encode(), HANDSHAKE, NOW)
    met.ip, met.port, met.cport = "10.0.0.9", 6379, 16379
    view.add(met)
    view.add(Node(C.encode(), 0, NOW))
    assert nodes_conf.describe(view).splitlines()[1:] == [
        f"{B} 10.0.0.9:6379@16379 handshake - 0 0 0 disconnected",
        f"{C} :0@0 noflags - 0 0 0 disconnected",
    ]
    assert B not in nodes_conf.render(view)
    assert len(nodes_conf.load(nodes_conf.render(view), NOW).nodes) == 2


def test_marks_are_in_the_order_of_slots() -> None:
    view = nodes_conf.load(REDIS_70, NOW)
    b = view.nodes[B.encode()]
    view.mark_migrating(7, b)
    view.mark_importing(6, b)
    assert nodes_conf.line(view.myself, view, True).endswith(
        f" [6-<-{B}] [7->-{B}] [5462->-{B}] [9000-<-{B}]"
    )


def test_forms_of_old_and_new_versions() -> None:
    view = nodes_conf.load(
        f"vars currentEpoch 1 lastVoteEpoch 0 later 5\n"
        f"\n{A} 10.0.0.1:6379 slave,myself {B} 0 0 9 connected 5 5-6\n"
        f"{C} 10.0.0.3:6379@16379,,tcp-port=7,color=red master - 0 0 1 disconnected 6\n",
        NOW,
    )
    assert view.myself.cport == 16379
    assert view.current_epoch == 9
    assert view.nodes[C.encode()].plain_port == 7
    # Who has a slot first keeps it; a master without a line is somewhere.
    assert view.owners[6] is view.myself
    assert view.myself.master is view.nodes[B.encode()]
    assert view.nodes[B.encode()].flags & (MASTER | NOADDR) == MASTER | NOADDR


GOOD = f"{A} 127.0.0.1:1@2 myself,master - 0 0 4 connected"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "vars currentEpoch 1 lastVoteEpoch 0\n",
        f"{GOOD}\n{GOOD}\n",
        f"{GOOD}\n{GOOD.replace(A, B)}\n",
        f"{GOOD}\nvars currentEpoch\n",
        f"{GOOD}\nvars currentEpoch x lastVoteEpoch 0\n",
        f"{GOOD}\nhello\n",
        GOOD.replace(A, A[1:]),
        GOOD.replace(A, A[1:] + "g"),
        GOOD.replace(" connected", ""),
        GOOD.replace("127.0.0.1:1@2", "127.0.0.1"),
        GOOD.replace("127.0.0.1:1@2", "127.0.0.1:x@2"),
        GOOD.replace("127.0.0.1:1@2", "127.0.0.1:65536@2"),
        GOOD.replace("127.0.0.1:1@2", "127.0.0.1:65000"),
        GOOD.replace("@2", "@2,host,x"),
        GOOD.replace("@2", "@2,host,shard-id=x"),
        GOOD.replace("@2", "@2,host,tls-port=x"),
        GOOD.replace("master", "master,king"),
        GOOD.replace("- 0 0", "x 0 0"),
        GOOD.replace("- 0 0", "- -1 0"),
        GOOD.replace(" 4 ", " 99999999999999999999 "),
        GOOD + " 16384",
        GOOD + " 0-99999999999",
        GOOD + " 1-x",
        GOOD + " [5->-x]",
        f"{GOOD} [16384->-{B}]",
        f"{GOOD}\n{GOOD.replace(A, B).replace('myself,', '')} [5->-{A}]\n",
    ],
)
def test_what_does_not_parse_is_refused(text: str) -> None:
    with pytest.raises(NodesConfError):
        nodes_conf.load(text, NOW)


def test_the_line_is_named() -> None:
    with pytest.raises(NodesConfError, match="line 2: unknown flag king"):
        nodes_conf.load(REDIS_70.replace("master,fail?", "king"), NOW)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, len(REDIS_74)), st.integers(0, 30), st.text(max_size=10))
def test_broken_files_raise_nothing_else(at: int, cut: int, more: str) -> None:
    try:
        view = nodes_conf.load(REDIS_74[:at] + more + REDIS_74[at + cut :], NOW)
    except NodesConfError:
        return
    nodes_conf.load(nodes_conf.render(view), NOW)
