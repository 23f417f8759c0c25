"""ASKING, READONLY, READWRITE, and where a node of a cluster sends its clients."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.clusters import Cluster, call, myself, node_id, start_cluster, wait_until
from tests.servers import Server, oracle_version
from tests.wire import OK, Argument, Error, Status, Wire

QUEUED = Status("QUEUED")
CROSSSLOT = Error("CROSSSLOT Keys in request don't hash to the same slot")
TRYAGAIN = Error("TRYAGAIN Multiple keys request during rehashing of slot")
UNBOUND = Error("CLUSTERDOWN Hash slot not served")
DOWN = Error("CLUSTERDOWN The cluster is down")
DOWN_FOR_WRITES = Error("CLUSTERDOWN The cluster is down and only accepts read commands")
BROKEN = Error("EXECABORT Transaction discarded because of previous errors.")
NOT_IN_MULTI = Error("ERR EXEC without MULTI")
B, FOO = 3300, 12182
"""The slots of these two words, in small letters: the first node's and the second's."""
CONFIG = {
    "cluster-preferred-endpoint-type": "ip",
    "cluster-announce-hostname": "",
    "cluster-allow-reads-when-down": "no",
    "cluster-allow-pubsubshard-when-down": "yes",
}


class Nodes:
    """Two masters and a replica of the first, and connections to them in the test's protocol."""

    def __init__(self, cluster: Cluster, protocol: int) -> None:
        self.first, self.second = cluster.nodes[:2]
        self.replica = cluster.nodes[2]
        self.protocol = protocol
        self.opened: list[Wire] = []

    def connect(self, server: Server | None = None) -> Wire:
        wire = Wire((server or self.first).port, protocol=self.protocol)
        self.opened.append(wire)
        return wire

    def moved(self, slot: int = FOO) -> Error:
        """The error for a key of one of the two slots."""
        return Error(f"MOVED {slot} 127.0.0.1:{(self.second if slot == FOO else self.first).port}")

    @property
    def ask(self) -> Error:
        return Error(f"ASK {B} 127.0.0.1:{self.second.port}")

    def migrate(self) -> None:
        """Marks the slot of `b` as on its way to the second node, at both ends."""
        self.set_slot(self.second, B, "IMPORTING", node_id(self.first))
        self.set_slot(self.first, B, "MIGRATING", node_id(self.second))

    @staticmethod
    def set_slot(server: Server, slot: int, *words: Argument) -> None:
        assert call(server, "CLUSTER", "SETSLOT", slot, *words) == OK

    def clean(self) -> None:
        for wire in self.opened:
            wire.close()
        for server in (self.first, self.second):
            self.set_slot(server, B, "STABLE")
        if B not in myself(self.first).slots:
            self.set_slot(self.first, B, "NODE", node_id(self.first))
        for server in (self.first, self.second):
            call(server, "FLUSHALL")
        for server in (self.first, self.second, self.replica):
            call(server, "CONFIG", "SET", *[word for item in CONFIG.items() for word in item])


@pytest.fixture(scope="module", params=["respcache", "oracle"] if oracle_version() else ["respcache"])
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    with start_cluster(("o" if request.param == "respcache" else "r") * 4, replicas=1) as cluster:
        yield cluster


@pytest.fixture(params=[2, 3], ids=["resp2", "resp3"])
def nodes(request: pytest.FixtureRequest, cluster: Cluster) -> Iterator[Nodes]:
    nodes = Nodes(cluster, request.param)
    yield nodes
    nodes.clean()
    assert all(server.alive for server in cluster.nodes)


@pytest.fixture
def c(nodes: Nodes) -> Wire:
    """A connection to the first node."""
    return nodes.connect()


def test_moved(nodes: Nodes, c: Wire) -> None:
    assert c("SET", "b", "1") == OK
    for words in (
        *("GET foo", "SET foo 1", "DEL foo", "MGET foo {foo}x", "MSET foo 1 {foo}x 2", "RENAME foo {foo}x"),
        *("BITOP AND foo {foo}x", "OBJECT ENCODING foo", "XINFO STREAM foo", "MEMORY USAGE foo", "PFMERGE foo"),
        *("XREAD STREAMS foo 0", "XREADGROUP GROUP g c STREAMS foo >", "ZUNION 1 foo", "ZUNIONSTORE foo 1 foo"),
        *("SORT foo", "WATCH foo", "BLPOP foo 0", "BLMPOP 0 1 foo LEFT", "GEORADIUS foo 0 0 1 m STORE {foo}"),
        *("SSUBSCRIBE foo", "SUNSUBSCRIBE foo", "SPUBLISH foo m", "TOUCH foo", "DUMP foo", "TYPE foo"),
    ):
        assert c(*words.split()) == nodes.moved(), words
    assert nodes.connect(nodes.second)("SET", "foo", "1") == OK
    assert nodes.connect(nodes.second)("GET", "b") == nodes.moved(B)
    assert nodes.connect(nodes.replica)("GET", "b") == nodes.moved(B)


def test_what_has_no_keys_is_served_anywhere(nodes: Nodes, c: Wire) -> None:
    assert c("PING") == Status("PONG")
    assert c("PUBLISH", "foo", "m") == 0
    assert c("KEYS", "foo") == []
    assert c("DBSIZE") == 0
    assert c("SUNSUBSCRIBE") == c.as_push([b"sunsubscribe", c.null, 0])
    assert c("ZUNION", "x", "foo") == Error("ERR value is not an integer or out of range")
    assert c("COMMAND", "GETKEYS", "MGET", "b", "foo") == [b"b", b"foo"]
    assert c("SET", "foo") == Error("ERR wrong number of arguments for 'set' command")
    assert isinstance(c("NOSUCH", "foo"), Error)


def test_several_slots(c: Wire) -> None:
    several = ("MGET b foo", "MGET foo b", "MGET {}b {}c", "DEL b c", "MSET b 1 foo", "RENAME b c", "SUNIONSTORE b c")
    for words in several:
        assert c(*words.split()) == CROSSSLOT, words


def test_queued_commands(nodes: Nodes, c: Wire) -> None:
    assert c("MULTI") == OK
    assert c("SET", "b", "1") == QUEUED
    assert c("GET", "foo") == nodes.moved()
    assert c("EXEC") == BROKEN
    assert c("MULTI") == OK
    assert c("SET", "b", "1") == QUEUED
    assert c("SET", "c", "1") == QUEUED
    assert c("EXEC") == CROSSSLOT
    assert c("EXEC") == NOT_IN_MULTI
    assert c("MULTI") == OK
    assert c("WATCH", "foo") == nodes.moved()
    assert c("EXEC") == BROKEN
    c("MULTI")
    assert c("SET", "b", "1") == c("SET", "c", "1") == QUEUED
    assert c("GET", "foo") == nodes.moved()
    assert c("EXEC") == CROSSSLOT  # of what was queued before
    assert c("MGET", "b", "{b}") == [c.null, c.null]


def test_migrating(nodes: Nodes, c: Wire) -> None:
    c("MSET", "b", "1", "{b}x", "2", "{b}dead", "3")
    c("PEXPIRE", "{b}dead", "1")
    nodes.migrate()
    wait_until(lambda: c("GET", "{b}dead") == nodes.ask)
    assert c("GET", "b") == b"1"
    assert c("GET", "{b}gone") == c("SET", "{b}gone", "1") == nodes.ask
    assert c("MGET", "{b}gone", "{b}more") == nodes.ask
    assert c("MGET", "b", "{b}x") == [b"1", b"2"]
    assert c("MGET", "b", "{b}gone") == TRYAGAIN
    assert c("SPUBLISH", "b", "m") == 0
    assert c("GET", "foo") == nodes.moved()
    c("MULTI")
    assert c("GET", "{b}gone") == nodes.ask
    assert c("EXEC") == BROKEN
    c("MULTI")
    c("GET", "b")
    assert c("DEL", "b") == QUEUED
    assert c("EXEC") == [b"1", 1]


def test_asking(nodes: Nodes) -> None:
    nodes.migrate()
    c = nodes.connect(nodes.second)
    moved = nodes.moved(B)
    assert c("SET", "b", "1") == moved
    assert c("ASKING") == OK
    assert c("SET", "b", "1") == OK
    assert c("GET", "b") == moved
    for words in (["PING"], ["NOSUCH"], ["GET"], ["GET", "foo"], ["OBJECT", "NOSUCH"], ["MULTI", "x"]):
        assert c("ASKING") == OK
        c(*words)
        assert c("GET", "b") == moved, words
    c("ASKING")
    assert c("ASKING") == OK
    assert c("get", "b") == b"1"
    assert c("ASKING", "x") == Error("ERR wrong number of arguments for 'asking' command")
    c("ASKING")
    c("ASKING", "x")
    assert c("GET", "b") == b"1"
    c("ASKING")
    assert c("MGET", "b", "{b}x") == TRYAGAIN
    c("ASKING")
    assert c("MGET", "{b}x", "{b}x") == [c.null, c.null]
    assert c.pipeline([["ASKING"], ["GET", "b"], ["GET", "b"]]) == [OK, b"1", moved]


def test_asking_and_transactions(nodes: Nodes) -> None:
    nodes.migrate()
    c = nodes.connect(nodes.second)
    moved = nodes.moved(B)
    assert c.pipeline([["ASKING"], ["MULTI"], ["SET", "b", "1"], ["GET", "b"], ["EXEC"]]) == [
        *(OK, OK, QUEUED, QUEUED, [OK, b"1"])
    ]
    assert c("GET", "b") == moved
    assert c.pipeline([["ASKING"], ["MULTI"], ["DISCARD"], ["GET", "b"]]) == [OK, OK, OK, moved]
    assert c.pipeline([["MULTI"], ["ASKING"], ["GET", "b"], ["EXEC"]]) == [OK, QUEUED, moved, BROKEN]
    assert c.pipeline([["MULTI"], ["ASKING"], ["EXEC"], ["GET", "b"]]) == [OK, QUEUED, [OK], moved]
    assert c.pipeline([["ASKING"], ["WATCH", "b"], ["MULTI"], ["GET", "b"]])[1:] == [OK, OK, moved]
    assert c("RESET") == Status("RESET")


def test_restore_asking(nodes: Nodes) -> None:
    first, c = nodes.connect(), nodes.connect(nodes.second)
    first("SET", "b", "1")
    dump = first("DUMP", "b")
    assert isinstance(dump, bytes)
    assert c("RESTORE-ASKING", "b", "0", dump) == nodes.moved(B)
    nodes.migrate()
    assert c("RESTORE", "b", "0", dump) == nodes.moved(B)
    assert c("RESTORE-ASKING", "b", "0", dump) == OK
    assert c("GET", "b") == nodes.moved(B)
    queued = c.pipeline([["MULTI"], ["RESTORE-ASKING", "b", "0", dump, "REPLACE"], ["EXEC"]])
    assert queued == [OK, QUEUED, nodes.moved(B)]  # EXEC is not asking


def test_readonly(nodes: Nodes) -> None:
    nodes.connect()("SET", "b", "1")
    c = nodes.connect(nodes.replica)
    moved = nodes.moved(B)
    assert c("READONLY") == OK
    wait_until(lambda: c("GET", "b") == b"1")
    assert c("SET", "b", "1") == moved
    assert c("GET", "foo") == nodes.moved()
    assert c("MGET", "b", "{b}x") == [b"1", c.null]
    c("MULTI")
    assert c("GET", "b") == QUEUED
    assert c("EXEC") == [b"1"]
    c("MULTI")
    assert c("GET", "b") == QUEUED
    assert c("DEL", "b") == moved
    assert c("EXEC") == BROKEN
    assert _flags(c) == "r"
    assert c("READWRITE") == OK
    assert c("GET", "b") == moved
    assert _flags(c) == "N"
    c("READONLY")
    c("RESET")
    assert nodes.connect(nodes.replica)("GET", "b") == moved
    assert c("GET", "b") == moved
    master = nodes.connect()
    assert master("READONLY") == OK
    assert master("SET", "b", "1") == OK
    assert master("GET", "foo") == nodes.moved()


def _flags(c: Wire) -> str:
    info = c("CLIENT", "INFO")
    text = info if isinstance(info, bytes) else info.data
    return next(word.decode()[6:] for word in text.split() if word.startswith(b"flags="))


def test_a_key_that_is_due_on_a_replica(nodes: Nodes) -> None:
    first, c = nodes.connect(), nodes.connect(nodes.replica)
    assert call(nodes.first, "DEBUG", "SET-ACTIVE-EXPIRE", "0") == OK
    first("SET", "b", "1", "PX", "30")
    assert first("WAIT", "1", "5000") == 1
    c("READONLY")
    wait_until(lambda: c("TTL", "b") == -2)
    assert c("GET", "b") == c.null
    assert call(nodes.first, "DEBUG", "SET-ACTIVE-EXPIRE", "1") == OK


def test_shard_channels_of_a_replica(nodes: Nodes) -> None:
    c = nodes.connect(nodes.replica)
    assert c("SSUBSCRIBE", "foo") == nodes.moved()
    assert c("SSUBSCRIBE", "b") == c.as_push([b"ssubscribe", b"b", 1])


def test_down(nodes: Nodes, c: Wire) -> None:
    c("SET", "b", "1")
    assert c("CLUSTER", "DELSLOTS", "5") == OK
    try:
        wait_until(lambda: c("GET", "b") == DOWN)
        assert c("GET", "foo") == c("SET", "b", "1") == DOWN
        assert c("GET", "5h") in (DOWN, UNBOUND)
        assert c("MGET", "b", "foo") == CROSSSLOT
        assert c("PING") == Status("PONG")
        assert c("SPUBLISH", "b", "m") == 0
        c("CONFIG", "SET", "cluster-allow-pubsubshard-when-down", "no")
        assert c("SPUBLISH", "b", "m") == DOWN
        c("CONFIG", "SET", "cluster-allow-reads-when-down", "yes")
        assert c("GET", "b") == b"1"
        assert c("GET", "foo") == nodes.moved()
        assert c("SET", "b", "1") == c("SET", "foo", "1") == DOWN_FOR_WRITES
        assert c("MULTI") == OK
        assert c("SET", "b", "1") == DOWN_FOR_WRITES
        assert c("EXEC") == BROKEN
    finally:
        assert c("CLUSTER", "ADDSLOTS", "5") == OK
    wait_until(lambda: c("GET", "b") == b"1")


def test_a_slot_that_nobody_has(nodes: Nodes, c: Wire) -> None:
    assert c("CLUSTER", "DELSLOTS", str(B)) == OK
    assert c("GET", "b") == UNBOUND
    assert c("MGET", "b", "foo") == UNBOUND
    assert c("MGET", "foo", "b") == CROSSSLOT
    assert c("CLUSTER", "ADDSLOTS", str(B)) == OK
    wait_until(lambda: c("GET", "b") == c.null)


@pytest.mark.parametrize("words", ["BLPOP b 0", "BZPOPMIN b 0", "XREAD BLOCK 0 STREAMS b $"])
def test_who_waits_when_a_slot_goes(nodes: Nodes, c: Wire, words: str) -> None:
    c.send(*words.split())
    assert c.quiet()
    nodes.set_slot(nodes.first, B, "NODE", node_id(nodes.second))
    assert c.read(5) == Error(f"MOVED {B} 127.0.0.1:{nodes.second.port}")
    assert c("PING") == Status("PONG")


def test_who_waits_when_nobody_has_the_slot_any_more(nodes: Nodes, c: Wire) -> None:
    other = nodes.connect()
    c.send("BLPOP", "b", "0")
    other.send("WAIT", "9", "0")
    assert c.quiet()
    with nodes.connect() as admin:
        assert admin("CLUSTER", "DELSLOTS", str(B)) == OK
        assert c.read(5) in (UNBOUND, DOWN)
        assert admin("CLUSTER", "ADDSLOTS", str(B)) == OK
    assert other.quiet()


def test_exec_after_the_slot_has_gone(nodes: Nodes, c: Wire) -> None:
    c("WATCH", "b")
    assert c.pipeline([["MULTI"], ["SET", "b", "1"]]) == [OK, QUEUED]
    nodes.set_slot(nodes.first, B, "NODE", node_id(nodes.second))
    assert c("EXEC") == Error(f"MOVED {B} 127.0.0.1:{nodes.second.port}")
    assert c("EXEC") == NOT_IN_MULTI


def test_shard_subscriptions_end_with_the_slot(nodes: Nodes, c: Wire) -> None:
    assert c("SSUBSCRIBE", "b", "{b}x") == c.as_push([b"ssubscribe", b"b", 1])
    assert c.read() == c.as_push([b"ssubscribe", b"{b}x", 2])
    nodes.set_slot(nodes.first, B, "NODE", node_id(nodes.second))
    gone = [c.read(5), c.read(5)]
    assert gone in [
        [c.as_push([b"sunsubscribe", first, 1]), c.as_push([b"sunsubscribe", second, 0])]
        for first, second in ((b"b", b"{b}x"), (b"{b}x", b"b"))
    ]
    assert c("GET", "foo") == nodes.moved()  # also in RESP2: it listens to nothing any more
    assert c("SSUBSCRIBE", "b") == Error(f"MOVED {B} 127.0.0.1:{nodes.second.port}")


def test_endpoints(nodes: Nodes, c: Wire) -> None:
    port = nodes.second.port
    c("CONFIG", "SET", "cluster-preferred-endpoint-type", "unknown-endpoint")
    assert c("GET", "foo") == Error(f"MOVED {FOO} :{port}")
    c("CONFIG", "SET", "cluster-preferred-endpoint-type", "hostname")
    wait_until(lambda: c("GET", "foo") == Error(f"MOVED {FOO} ?:{port}"))  # the test before told the name
    call(nodes.second, "CONFIG", "SET", "cluster-announce-hostname", "second.example")
    wait_until(lambda: c("GET", "foo") == Error(f"MOVED {FOO} second.example:{port}"))


def test_what_is_redirected_did_not_run(nodes: Nodes, c: Wire) -> None:
    c("CONFIG", "RESETSTAT")
    monitor = nodes.connect()
    assert monitor("MONITOR") == OK
    c("GET", "foo")
    c("GET", "b")
    line = monitor.read(5)
    assert isinstance(line, Status)
    assert line.text.endswith('"GET" "b"')
    stats = call(nodes.first, "INFO", "commandstats").decode()
    told = next(line for line in stats.splitlines() if line.startswith("cmdstat_get:"))
    assert "calls=1," in told
    assert told.endswith("rejected_calls=1,failed_calls=0")
    assert "errorstat_MOVED:count=1" in call(nodes.first, "INFO", "errorstats").decode()


def test_a_muted_client(nodes: Nodes, c: Wire) -> None:
    c.send("CLIENT", "REPLY", "OFF")
    c.send("GET", "foo")
    assert c("CLIENT", "REPLY", "ON") == OK
    c.send("CLIENT", "REPLY", "SKIP")
    c.send("GET", "foo")
    assert c("GET", "foo") == nodes.moved()


@pytest.mark.parametrize("kind", ["respcache", "oracle"] if oracle_version() else ["respcache"])
def test_without_a_cluster(request: pytest.FixtureRequest, kind: str) -> None:
    shared = request.getfixturevalue(f"shared_{kind}")
    shared.reset()
    with Wire(shared.server.port) as c:
        for name in ("ASKING", "READONLY", "READWRITE"):
            assert c(name) == Error("ERR This instance has cluster support disabled")
            assert c(name, "x") == Error(f"ERR wrong number of arguments for '{name.lower()}' command")
