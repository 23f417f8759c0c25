"""MIGRATE while clients go on: who waits and who does not, and that nothing is lost and nothing is there twice."""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections.abc import Iterator, Sequence

import pytest

from tests.load import wait_equal, wait_link
from tests.servers import HAVE_ORACLE, Server, start_redis, start_respcache
from tests.targets import Silent
from tests.wire import OK, Error, Status, Wire, encode

NO_KEY = Status("NOKEY")
NOT_READ = Error("IOERR error or timeout reading to target instance")
PAIRS = ["oo", *(["or", "ro"] if HAVE_ORACLE else [])]


def start(kind: str, *args: str | int) -> Server:
    program = start_redis if kind == "r" else start_respcache
    return program("--enable-debug-command", "yes", *args)


def keys(c: Wire) -> list[bytes]:
    return sorted(c("KEYS", "*"))


@pytest.fixture
def server() -> Iterator[Server]:
    with start("o") as made:
        yield made


@pytest.fixture
def c(server: Server) -> Iterator[Wire]:
    with Wire(server.port) as wire:
        yield wire


@pytest.fixture
def other(server: Server) -> Iterator[Wire]:
    with Wire(server.port) as wire:
        yield wire


@pytest.fixture
def target() -> Iterator[Silent]:
    made = Silent()
    yield made
    made.close()


def begin(c: Wire, target: Silent, *words: str, timeout: int = 5000) -> None:
    """Begins to move the keys `a` and `b`; returns when they are on their way."""
    assert c("MSET", "a", "1", "b", "2", "other", "3") == OK
    c.send("MIGRATE", "127.0.0.1", target.port, "", 0, timeout, *words, "KEYS", "a", "b", "none")
    target.accept()


# Who waits


def test_others_go_on(c: Wire, other: Wire, target: Silent) -> None:
    begin(c, target)
    assert other("INCR", "other") == 4
    assert other("PING") == Status("PONG")
    assert len(other("KEYS", "*")) == 3
    target.answer(b"+OK\r\n" * 3)
    assert c.read() == OK
    assert keys(other) == [b"other"]


WANT = (
    "GET a", "INCR b", "SET a x", "DEL other b", "EXISTS a", "RENAME other b", "COPY other b REPLACE", "TYPE a",
    "EXPIRE a 10", "WATCH a", "MIGRATE h 1 a 0 1", "FLUSHALL", "SWAPDB 0 1", "OBJECT ENCODING a", "BLPOP a 1",
    "SORT a", "ZUNION 2 other a", "RESTORE a 0 x", "XREAD STREAMS a 0", "REPLICAOF NO ONE",
)  # fmt: skip


def test_who_wants_the_keys_waits(server: Server, c: Wire, target: Silent) -> None:
    with contextlib.ExitStack() as stack:
        others = [stack.enter_context(Wire(server.port)) for _ in WANT]
        for wire in others:
            assert wire("PING") == Status("PONG")
        begin(c, target)
        for wire, words in zip(others, WANT, strict=True):
            wire.raw(encode(*words.split()) + encode("ECHO", "behind"))
        time.sleep(0.1)
        assert [words for wire, words in zip(others, WANT, strict=True) if wire.readable] == []
        target.answer(b"+OK\r\n" * 3)
        assert c.read() == OK
        for wire in others:
            wire.read()
            assert wire.read(5) == b"behind"


def test_what_is_read_is_what_is_true(c: Wire, other: Wire, target: Silent) -> None:
    begin(c, target)
    other.send("GET", "a")
    assert other.quiet()
    target.answer(b"+OK\r\n" * 3)
    assert other.read() == other.null
    assert c.read() == OK


def test_what_could_not_go_is_there_again(c: Wire, other: Wire, target: Silent) -> None:
    begin(c, target)
    other.raw(encode("INCR", "a") + encode("INCR", "b"))
    assert other.quiet()
    target.answer(b"+OK\r\n+OK\r\n-ERR no\r\n")
    assert [other.read(), other.read()] == [1, 3]
    assert c.read() == Error("ERR Target instance replied with error: ERR no")


def test_a_transaction_waits_as_a_whole(c: Wire, other: Wire, target: Silent) -> None:
    begin(c, target)
    assert other.pipeline([("MULTI",), ("INCR", "other"), ("EXEC",)])[2] == [4]
    queued = other.pipeline([("MULTI",), ("INCR", "other"), ("INCR", "a")])
    assert queued == [OK, Status("QUEUED"), Status("QUEUED")]
    other.send("EXEC")
    assert other.quiet()
    target.answer(b"+OK\r\n" * 3)
    assert other.read() == [5, 1]
    assert c.read() == OK


def test_who_is_served_by_others_waits_as_well(server: Server, c: Wire, other: Wire, target: Silent) -> None:
    with Wire(server.port) as third:
        third.send("BLMOVE", "source", "list", "LEFT", "RIGHT", 0)
        assert third.quiet()
        c("RPUSH", "list", "x")
        c.send("MIGRATE", "127.0.0.1", target.port, "list", 0, 5000)
        target.accept()
        assert other("RPUSH", "source", "y") == 1
        assert third.quiet()
        target.answer(b"+OK\r\n" * 2)
        assert c.read() == OK
        assert third.read() == b"y"
        assert other("LRANGE", "list", 0, -1) == [b"y"]


def test_the_same_keys_twice(c: Wire, other: Wire, target: Silent) -> None:
    begin(c, target)
    other.send("MIGRATE", "127.0.0.1", target.port, "", 0, 5000, "KEYS", "a", "b")
    assert other.quiet()
    target.answer(b"+OK\r\n" * 3)
    assert (c.read(), other.read()) == (OK, NO_KEY)


def test_a_timeout(c: Wire, other: Wire, target: Silent) -> None:
    began = time.monotonic()
    begin(c, target, timeout=300)
    other.send("GET", "a")
    assert c.read() == NOT_READ
    assert 0.25 < time.monotonic() - began < 3
    assert other.read() == b"1"


def test_to_itself(server: Server, c: Wire) -> None:
    c("SET", "a", "1")
    assert c("MIGRATE", "127.0.0.1", server.port, "a", 1, 200) == NOT_READ
    assert c("GET", "a") == b"1"
    c("SELECT", 1)
    assert c("DBSIZE") == 0


# What happens meanwhile


def test_the_client_goes(c: Wire, other: Wire, target: Silent) -> None:
    begin(c, target)
    c.close()
    other.send("EXISTS", "a", "b")
    assert other.quiet()
    target.answer(b"+OK\r\n" * 3)
    assert other.read() == 0


def test_who_waits_goes(server: Server, c: Wire, other: Wire, target: Silent) -> None:
    begin(c, target)
    with Wire(server.port) as gone:
        gone.send("DEL", "other", "a")
        assert gone.quiet()
    target.answer(b"+OK\r\n+OK\r\n-ERR no\r\n")
    assert isinstance(c.read(), Error)
    assert keys(c) == [b"b", b"other"]


def test_a_key_expires(c: Wire, other: Wire, target: Silent) -> None:
    c("SET", "k", "v", "PX", 500)
    c.send("MIGRATE", "127.0.0.1", target.port, "k", 0, 5000)
    target.accept()
    other.send("SET", "k", "new")
    assert other.quiet(0.6)
    target.answer(b"+OK\r\n" * 2)
    assert (c.read(), other.read()) == (OK, OK)
    assert other("GET", "k") == b"new"


def test_a_pause(c: Wire, other: Wire, target: Silent) -> None:
    begin(c, target)
    assert other("CLIENT", "PAUSE", 60_000, "WRITE") == OK
    target.answer(b"+OK\r\n" * 3)
    assert c.quiet(0.2)
    assert len(other("KEYS", "*")) == 3
    assert other("CLIENT", "UNPAUSE") == OK
    assert c.read() == OK
    assert keys(other) == [b"other"]


def test_a_shutdown(target: Silent) -> None:
    with start("o", "--appendonly", "yes") as server:
        with Wire(server.port) as c:
            begin(c, target)
            target.answer(b"+OK\r\n" * 2)  # for SELECT and `a`
            time.sleep(0.1)
            server.stop()
            assert c.read() == NOT_READ
        server.start()
        with Wire(server.port) as c:
            assert keys(c) == [b"b", b"other"]


def test_a_connection_that_is_kept_is_closed_by_the_target(c: Wire) -> None:
    with start("o") as second, Wire(second.port) as there:
        for key in "ab":
            c("SET", key, "v")
            assert c("MIGRATE", "127.0.0.1", second.port, key, 0, 1000) == OK
            assert there("CLIENT", "KILL", "TYPE", "normal") == 1
        assert keys(there) == [b"a", b"b"]
        c("SET", "c", "v")
        second.stop()
        assert c("MIGRATE", "127.0.0.1", second.port, "c", 0, 1000) == Error(
            "IOERR error or timeout writing to target instance"
        )


@pytest.mark.long
def test_kept_connections_are_closed_after_a_while(c: Wire) -> None:
    with start("o") as second, Wire(second.port) as there:
        c("SET", "k", "v")
        assert c("MIGRATE", "127.0.0.1", second.port, "k", 0, 1000) == OK
        assert b"migrate_cached_sockets:1" in c("INFO", "stats")
        assert there("CLIENT", "LIST").count(b"\n") == 2
        time.sleep(10.5)
        assert b"migrate_cached_sockets:0" in c("INFO", "stats")
        assert there("CLIENT", "LIST").count(b"\n") == 1


def test_replicas_and_files_are_told() -> None:
    options = "--appendonly", "yes", "--repl-diskless-sync-delay", 0
    with start("o", *options) as server, start("o") as second, start("o") as replica:
        with Wire(server.port) as c, Wire(replica.port) as copy, Wire(second.port) as there:
            copy("REPLICAOF", "127.0.0.1", server.port)
            wait_link(replica.port)
            c("MSET", "a", "1", "b", "2", "c", "3")
            there("SET", "b", "x")
            reply = c("MIGRATE", "127.0.0.1", second.port, "", 0, 1000, "KEYS", "a", "b", "c")
            assert isinstance(reply, Error)
            wait_equal([server.port, replica.port])
            assert keys(copy) == [b"b"]
            c("MULTI")
            c("MIGRATE", "127.0.0.1", second.port, "b", 0, 1000, "REPLACE")
            assert c("EXEC") == [OK]
            wait_equal([server.port, replica.port])
        files = b"".join(
            path.read_bytes() for path in (server.directory / "appendonlydir").glob("*.incr.aof")
        )
        assert files.endswith(encode("DEL", "a", "c") + encode("DEL", "b"))
        assert b"MIGRATE" not in files


def test_a_big_key_stops_nobody(c: Wire, other: Wire, server: Server) -> None:
    big = random.Random(1).randbytes(20_000_000)
    c("SET", "big", big)
    for first in range(0, 200_000, 10_000):
        c("SADD", "set", *[f"member:{number}" for number in range(first, first + 10_000)])
    with start("o") as second:
        c.send("MIGRATE", "127.0.0.1", second.port, "", 0, 20_000, "KEYS", "big", "set")
        longest = 0.0
        while not c.readable:
            began = time.monotonic()
            assert other("PING") == Status("PONG")
            longest = max(longest, time.monotonic() - began)
            time.sleep(0.002)
        assert c.read(20) == OK
        assert longest < 0.5  # of which nearly all is for the other processes here
        with Wire(second.port, timeout=20) as there:
            assert there("GET", "big") == big
            assert there("SCARD", "set") == 200_000


# Load


class Appender(threading.Thread):
    """Appends numbers to lists. On a miss it goes on at the other server: there the list is, or will be at once."""

    def __init__(self, number: int, ports: Sequence[int], lists: Sequence[str]) -> None:
        super().__init__(daemon=True)
        self.number = number
        self.ports = ports
        self.lists = lists
        self.done: dict[str, list[int]] = {name: [] for name in lists}
        self.misses = 0
        self.failure: BaseException | None = None
        self.stopping = False

    def run(self) -> None:
        try:
            with Wire(self.ports[0]) as one, Wire(self.ports[1]) as two:
                self._append([one, two])
        except BaseException as error:
            self.failure = error

    def _append(self, wires: list[Wire]) -> None:
        draw = random.Random(self.number)
        count = 0
        at = dict.fromkeys(self.lists, 0)
        while not self.stopping:
            name = draw.choice(self.lists)
            count += 1
            while not wires[at[name]]("RPUSHX", name, f"{self.number}:{count}"):
                at[name] ^= 1
                self.misses += 1
            self.done[name].append(count)


@pytest.mark.parametrize("kinds", PAIRS)
def test_no_write_is_lost(kinds: str) -> None:
    """Lists go to and fro between two servers while four clients append to them."""
    names = [f"list:{number}" for number in range(40)]
    with start(kinds[0]) as first, start(kinds[1]) as second:
        ports = first.port, second.port
        with Wire(ports[0]) as one, Wire(ports[1]) as two:
            for name in names:
                one("RPUSH", name, "0:0")
            clients = [Appender(number, ports, names) for number in range(1, 5)]
            for client in clients:
                client.start()
            draw = random.Random(7)
            ends = time.monotonic() + 4
            moved = 0
            while time.monotonic() < ends:
                for source, port in ((one, ports[1]), (two, ports[0])):
                    some = draw.sample(names, draw.randrange(1, 40))
                    reply = source("MIGRATE", "127.0.0.1", port, "", 0, 5000, "KEYS", *some)
                    assert reply in (OK, NO_KEY), reply
                    moved += 1
            for client in clients:
                client.stopping = True
            for client in clients:
                client.join(10)
                assert client.failure is None, client.failure
                assert client.misses
            assert moved > 20
            for name in names:
                found = [wire("LRANGE", name, 0, -1) for wire in (one, two)]
                assert [] in found, "a list is in both places"
                items = [tuple(map(int, item.split(b":"))) for item in found[0] or found[1]]
                for client in clients:
                    own = [count for number, count in items if number == client.number]
                    assert own == client.done[name]
                assert len(items) == 1 + sum(len(client.done[name]) for client in clients)
