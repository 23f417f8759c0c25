"""Which commands a node of a cluster runs, and where it sends the others."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import pytest

from respcache.cluster.nodes import MASTER, Node, View
from respcache.clustered import Clustering
from respcache.connection import Connection
from respcache.registry import REGISTRY
from respcache.routing import Endpoint, endpoint, farewell, finder
from respcache.store.slot import SLOTS, hash_slot
from tests.unit.test_connection import Peers, Socket
from tests.wire import encode

CROSSSLOT = b"-CROSSSLOT Keys in request don't hash to the same slot\r\n"
TRYAGAIN = b"-TRYAGAIN Multiple keys request during rehashing of slot\r\n"
UNBOUND = b"-CLUSTERDOWN Hash slot not served\r\n"
DOWN = b"-CLUSTERDOWN The cluster is down\r\n"
DOWN_FOR_WRITES = b"-CLUSTERDOWN The cluster is down and only accepts read commands\r\n"
BROKEN = b"-EXECABORT Transaction discarded because of previous errors.\r\n"
OK, QUEUED, NIL = b"+OK\r\n", b"+QUEUED\r\n", b"$-1\r\n"
B, FOO = 3300, 12182
"""The slots of these two words, in small letters."""
LOST = 14000
"""A slot that nobody has."""
HALF = SLOTS // 2
ASK_B = b"-ASK 3300 127.0.0.1:7002\r\n"
MOVED_FOO = b"-MOVED 12182 127.0.0.1:7002\r\n"


class FakeClustering:
    """A cluster that nobody works on."""

    def __init__(self, view: View) -> None:
        self.view = view

    def publish(self, _channel: bytes, _message: bytes) -> None:
        """Nobody else listens."""

    publish_shard = publish


class Asking:
    """A connection, by hand, to a node that has the lower half of the slots. Another node has the others but one."""

    def __init__(self) -> None:
        self.peers = Peers(save="")
        self.state = self.peers.state
        self.me, self.other = (Node(id * 40, MASTER, 0) for id in (b"a", b"b"))
        for node, port in (self.me, 7001), (self.other, 7002):
            node.ip, node.port = "127.0.0.1", port
        self.view = View(self.me)
        self.view.add(self.other)
        for slot in range(SLOTS):
            if slot != LOST:
                self.view.assign(slot, self.me if slot < HALF else self.other)
        self.view.become(True)
        self.state.cluster = cast(Clustering, FakeClustering(self.view))
        self.view.released = farewell(self.state)
        self.state.modes.switch("cluster", True)
        self.connection, self.socket = self.peers.connect()

    def __call__(self, *words: str | bytes) -> bytes:
        return self.on((self.connection, self.socket), *words)

    def connect(self) -> tuple[Connection, Socket]:
        return self.peers.connect()

    @staticmethod
    def on(who: tuple[Connection, Socket], *words: str | bytes) -> bytes:
        connection, socket = who
        socket.writes.clear()
        connection.data_received(encode(*words))
        return socket.told

    def follow(self) -> None:
        """Makes this node a replica of the other one, without slots of its own."""
        for slot in range(HALF):
            self.view.release(slot)
        self.view.make_replica(self.me, self.other)

    @property
    def rejected(self) -> int:
        return sum(stats.rejected for stats in self.state.stats.commands.values())


@pytest.fixture
def ask() -> Iterator[Asking]:
    made = Asking()
    yield made
    made.state.loop.close()


def key_of(slot: int) -> str:
    """A key in a slot."""
    return next(key for key in map(str, range(10**6)) if hash_slot(key.encode()) == slot)


def test_what_is_ours_runs(ask: Asking) -> None:
    assert ask("SET", "b", "1") == OK
    assert ask("GET", "b") == b"$1\r\n1\r\n"
    assert ask("MSET", "b", "1", "x{b}", "2") == OK
    assert ask("MGET", "b", "{b}", "x{b}y") == b"*3\r\n$1\r\n1\r\n$-1\r\n$-1\r\n"
    assert ask("DEL", "b", "x{b}") == b":2\r\n"


@pytest.mark.parametrize(
    "words",
    [
        *("GET foo", "SET foo 1", "SET foo 1 EX 10", "INCR foo", "HSET foo f v", "DEL foo", "DEL foo {foo}"),
        *("LPOP foo 1",),
        *("MSET foo 1 {foo} 2", "RENAME foo {foo}", "BITOP AND foo {foo}", "OBJECT ENCODING foo", "XINFO STREAM foo"),
        *("XREAD STREAMS foo 0", "ZUNION 1 foo", "ZUNIONSTORE foo 1 foo", "SORT foo STORE {foo}", "WATCH foo"),
        *("BLPOP foo 0", "BLMPOP 0 1 foo LEFT", "SSUBSCRIBE foo", "SUNSUBSCRIBE foo", "SPUBLISH foo m"),
        *("MEMORY USAGE foo", "GEORADIUS foo 0 0 1 m STORE {foo}", "SET foo", "EVALSHA x 1 foo"),
    ],
)  # fmt: skip
def test_what_is_another_nodes_is_moved(ask: Asking, words: str) -> None:
    name = words.split()[0]
    if name == "EVALSHA" and name.lower().encode() not in REGISTRY.commands:
        pytest.skip("there are no scripts")
    expected = MOVED_FOO
    if words == "SET foo":
        expected = b"-ERR wrong number of arguments for 'set' command\r\n"  # this comes first
    assert ask(*words.split()) == expected
    assert ask.rejected == 1


@pytest.mark.parametrize("words", ["GET", "SET foo", "DEL", "OBJECT ENCODING", "RENAME foo", "EXEC x", "SET b"])
def test_the_arity_comes_first(ask: Asking, words: str) -> None:
    assert ask(*words.split()).startswith(b"-ERR wrong number of arguments")


@pytest.mark.parametrize("queued", [False, True])
def test_too_few_words_break_nothing(ask: Asking, queued: bool) -> None:
    short = ["sort", "sort_ro", "georadius", "georadiusbymember", "migrate", "xread", "zunion", "object encoding"]
    for name in short:
        for count in range(3):
            if queued:
                ask("MULTI")
            assert b"internal error" not in ask(*name.split(), *["b"] * count), name
            if queued:
                ask("DISCARD")


@pytest.mark.parametrize(
    "words",
    [
        *("PING", "KEYS foo", "PUBLISH foo m", "OBJECT HELP", "SUNSUBSCRIBE", "sunsubscribe", "ZUNION x foo"),
        *("DBSIZE", "MULTI"),
    ],
)
def test_what_has_no_keys_runs(ask: Asking, words: str) -> None:
    reply = ask(*words.split())
    assert not reply.startswith(b"-") or reply == b"-ERR value is not an integer or out of range\r\n"


def test_keys_of_several_slots(ask: Asking) -> None:
    for words in ("MGET b foo", "MGET foo b", "DEL {b} c", "MSET b 1 foo", "RENAME b c", "SINTERCARD 2 b c"):
        assert ask(*words.split()) == CROSSSLOT
    assert ask("MGET", "{}b", "{}c") == CROSSSLOT  # an empty tag is none
    assert ask("MGET", "b", "bb") == CROSSSLOT


def test_a_slot_that_nobody_has(ask: Asking) -> None:
    assert ask("GET", key_of(LOST)) == UNBOUND
    assert ask("MGET", key_of(LOST), "foo") == UNBOUND
    assert ask("MGET", "foo", key_of(LOST)) == CROSSSLOT


# The cluster is down


def test_down(ask: Asking) -> None:
    ask.view.become(False)
    assert ask("GET", "b") == ask("GET", "foo") == ask("SET", "b", "1") == DOWN
    assert ask("GET", key_of(LOST)) == UNBOUND
    assert ask("MGET", "b", "foo") == CROSSSLOT
    assert ask("PING") == b"+PONG\r\n"
    assert ask("SPUBLISH", "b", "m") == b":0\r\n"
    assert ask("SPUBLISH", "foo", "m") == MOVED_FOO
    ask("CONFIG", "SET", "cluster-allow-pubsubshard-when-down", "no")
    assert ask("SPUBLISH", "b", "m") == DOWN


def test_reads_while_down(ask: Asking) -> None:
    ask("SET", "b", "1")
    ask.view.become(False)
    ask("CONFIG", "SET", "cluster-allow-reads-when-down", "yes")
    assert ask("GET", "b") == b"$1\r\n1\r\n"
    assert ask("GET", "foo") == MOVED_FOO
    assert ask("SET", "b", "1") == ask("SET", "foo", "1") == DOWN_FOR_WRITES


# Slots on their way


def test_migrating(ask: Asking) -> None:
    ask("MSET", "b", "1", "{b}x", "2", "{b}late", "3")
    ask("PEXPIREAT", "{b}late", str(ask.state.clock.ms() + 100_000))
    ask.view.mark_migrating(B, ask.other)
    assert ask("GET", "b") == b"$1\r\n1\r\n"
    assert ask("GET", "{b}gone") == ask("SET", "{b}gone", "1") == ask("MGET", "{b}gone", "{b}more") == ASK_B
    assert ask("MGET", "b", "{b}x") == b"*2\r\n$1\r\n1\r\n$1\r\n2\r\n"
    assert ask("MGET", "b", "{b}gone") == TRYAGAIN
    assert ask("SPUBLISH", "b", "m") == b":0\r\n"
    assert ask("GET", "foo") == MOVED_FOO
    db = ask.state.keyspace.databases[0]
    db.expire_at(b"{b}late", 1)
    dirty = db.dirty
    assert ask("GET", "{b}late") == ASK_B
    assert (db.dirty, db.size) == (dirty, 3)  # to ask has changed nothing
    ask.view.mark_migrating(B, None)
    assert ask("GET", "{b}gone") == NIL


def test_importing(ask: Asking) -> None:
    ask.view.mark_importing(FOO, ask.other)
    assert ask("SET", "foo", "1") == MOVED_FOO
    assert ask("ASKING") == OK
    assert ask("SET", "foo", "1") == OK
    assert ask("GET", "foo") == MOVED_FOO  # it holds for one command
    ask("ASKING")
    assert ask("MGET", "foo", "{foo}x") == TRYAGAIN
    ask("ASKING")
    assert ask("MGET", "foo", "foo") == b"*2\r\n$1\r\n1\r\n$1\r\n1\r\n"
    ask("ASKING")
    assert ask("MGET", "{foo}x", "{foo}x") == b"*2\r\n$-1\r\n$-1\r\n"
    ask("ASKING")
    assert ask("GET", "b") == NIL
    assert ask("GET", "foo") == MOVED_FOO
    assert ask.connection.client.asking is False


@pytest.mark.skipif(b"restore-asking" not in REGISTRY.commands, reason="there is no RESTORE-ASKING")
def test_restore_asking(ask: Asking) -> None:
    ask("SET", "b", "1")
    size, payload = ask("DUMP", "b").split(b"\r\n", 1)
    payload = payload[: int(size[1:])]
    assert ask("RESTORE-ASKING", "foo", "0", payload) == MOVED_FOO
    ask.view.mark_importing(FOO, ask.other)
    assert ask("RESTORE", "foo", "0", payload) == MOVED_FOO
    assert ask("RESTORE-ASKING", "foo", "0", payload) == OK


@pytest.mark.skipif(b"migrate" not in REGISTRY.commands, reason="there is no MIGRATE")
def test_migrate_goes_on_where_a_slot_is_on_its_way(ask: Asking) -> None:
    words = ("MIGRATE", "127.0.0.1", "1", "foo", "0", "10")
    assert ask(*words) == MOVED_FOO
    ask.view.mark_importing(FOO, ask.other)
    assert ask(*words) == b"+NOKEY\r\n"


# Replicas


def test_a_replica_serves_who_says_readonly(ask: Asking) -> None:
    ask.follow()
    assert ask("GET", "foo") == MOVED_FOO
    assert ask("READONLY") == OK
    assert ask("GET", "foo") == NIL
    assert ask("SET", "foo", "1") == MOVED_FOO
    assert ask("GET", "b") == UNBOUND
    assert ask("CLIENT", "LIST").count(b" flags=r ") == 1
    ask("MULTI")
    assert ask("GET", "foo") == QUEUED
    assert ask("EXEC") == b"*1\r\n$-1\r\n"
    ask("MULTI")
    ask("GET", "foo")
    assert ask("SET", "foo", "1") == MOVED_FOO
    ask("DISCARD")
    assert ask("READWRITE") == OK
    assert ask("GET", "foo") == MOVED_FOO
    ask("READONLY")
    ask("RESET")
    assert ask("GET", "foo") == MOVED_FOO


def test_a_replica_of_another_master(ask: Asking) -> None:
    third = Node(b"c" * 40, MASTER, 0)
    ask.view.add(third)
    ask.follow()
    ask.view.make_replica(ask.me, third)
    ask("READONLY")
    assert ask("GET", "foo") == MOVED_FOO


def test_readonly_means_nothing_to_a_master(ask: Asking) -> None:
    ask("READONLY")
    assert ask("GET", "foo") == MOVED_FOO
    assert ask("SET", "b", "1") == OK


def test_shard_channels_of_a_replica(ask: Asking) -> None:
    ask.follow()
    assert ask("SPUBLISH", "foo", "m") == b":0\r\n"
    assert ask("SSUBSCRIBE", "foo") == b"*3\r\n$10\r\nssubscribe\r\n$3\r\nfoo\r\n:1\r\n"


# Names


@pytest.mark.parametrize(
    ("kind", "hostname", "expected"),
    [
        ("ip", "", Endpoint(b"10.0.0.1", [])),
        ("ip", "a.example", Endpoint(b"10.0.0.1", [(b"hostname", b"a.example")])),
        ("hostname", "a.example", Endpoint(b"a.example", [(b"ip", b"10.0.0.1")])),
        ("hostname", "", Endpoint(b"?", [(b"ip", b"10.0.0.1")])),
        ("unknown-endpoint", "", Endpoint(None, [(b"ip", b"10.0.0.1")])),
        ("unknown-endpoint", "a.b", Endpoint(None, [(b"ip", b"10.0.0.1"), (b"hostname", b"a.b")])),
    ],
)
def test_endpoint(ask: Asking, kind: str, hostname: str, expected: Endpoint) -> None:
    ask("CONFIG", "SET", "cluster-preferred-endpoint-type", kind)
    ask.other.ip, ask.other.hostname = "10.0.0.1", hostname
    assert endpoint(ask.other, ask.state.config) == expected
    assert ask("GET", "foo") == b"-MOVED 12182 %b:7002\r\n" % (expected.host or b"")


# Keys


@pytest.mark.parametrize(
    ("words", "keys"),
    [
        ("GET a", "a"),
        ("MSET a 1 b 2", "a b"),
        ("BLPOP a b 0", "a b"),
        ("RENAME a b", "a b"),
        ("BITOP AND a b c", "a b c"),
        ("SMOVE a b m", "a b"),
        ("OBJECT|FREQ a", "a"),
        ("XGROUP|CREATE a g $", "a"),
        ("XREADGROUP GROUP g c STREAMS a b 0 0", "a b"),
        ("ZINTERSTORE a 2 b c", "a b c"),
        ("SORT a BY x STORE b", "a b"),
        ("SSUBSCRIBE a b", "a b"),
        ("SPUBLISH a b", "a"),
        ("SET a 1 GET", "a"),
        ("LMPOP 2 a b LEFT", "a b"),
        ("PFCOUNT a b", "a b"),
    ],
)
def test_finder(words: str, keys: str) -> None:
    name, *arguments = words.split()
    command = REGISTRY.find(name)
    assert command is not None
    find = finder(command)
    assert find is not None
    assert list(find([word.encode() for word in arguments])) == keys.encode().split()


def test_every_command_with_keys_finds_those_that_its_specs_tell() -> None:
    """The slices are a quicker way to say the same."""
    for command in REGISTRY:
        find = finder(command)
        if find is None or any("not_key" in spec.flags for spec in command.keys):
            continue
        names = command.name.encode().split(b"|")
        for count in range(max(0, abs(command.arity) - len(names)), 9):
            arguments = [b"k%d" % number for number in range(count)]
            argv = [*names, *arguments]
            if command.accepts(len(argv)):
                expected = [argv[at] for at, _ in command.find_keys(argv)]
                if expected:  # of PFMERGE with one key COMMAND GETKEYS knows none; it is redirected all the same
                    assert list(find(arguments)) == expected, (command.name, count)
