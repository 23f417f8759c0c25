"""What clients of a replica see, of ours and of the oracle."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.load import info, wait_equal, wait_link
from tests.servers import HAVE_ORACLE, Server, free_port, start_redis, start_respcache
from tests.wire import OK, Error, Status, Wire

pytestmark = pytest.mark.skipif(not HAVE_ORACLE, reason="needs a redis-server")

READONLY = Error("READONLY You can't write against a read only replica.")
EXECABORT = Error("EXECABORT Transaction discarded because of previous errors.")
MASTERDOWN = Error("MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.")
UNBLOCKED = Error(
    "UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)"
)


class Pair(NamedTuple):
    """A master, which is the oracle, and its replica, with a connection to each."""

    master: Server
    replica: Server
    there: Wire
    c: Wire


def start(kind: str, *args: str | int, directory: Path | None = None) -> Server:
    program = start_redis if kind == "r" else start_respcache
    options = ("--enable-debug-command", "yes", "--repl-diskless-sync-delay", 0)
    return program(*options, *args, directory=directory)


@pytest.fixture(params=["o", "r"], ids=["respcache", "redis"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def pair(kind: str) -> Iterator[Pair]:
    with contextlib.ExitStack() as stack:
        master, replica = stack.enter_context(start("r")), stack.enter_context(start(kind))
        there, c = stack.enter_context(Wire(master.port)), stack.enter_context(Wire(replica.port))
        assert c("REPLICAOF", "127.0.0.1", master.port) == Status("OK")
        wait_link(replica.port)
        yield Pair(master, replica, there, c)


def settle(pair: Pair) -> None:
    wait_equal([pair.master.port, pair.replica.port])


def test_nobody_writes(pair: Pair) -> None:
    pair.there("SET", "a", 1)
    settle(pair)
    c = pair.c
    assert c("SET", "a", 2) == READONLY
    assert c("FLUSHALL") == READONLY
    assert c("GET", "a") == b"1"
    assert c.pipeline([["MULTI"], ["GET", "a"], ["SET", "a", 2], ["EXEC"]]) == [
        Status("OK"),
        Status("QUEUED"),
        READONLY,
        EXECABORT,
    ]
    assert c.pipeline([["MULTI"], ["GET", "a"], ["EXEC"]])[2] == [b"1"]
    assert c("BLPOP", "a", 1) == READONLY
    assert c("PUBLISH", "news", "x") == 0
    assert c("SET", "a") == Error("ERR wrong number of arguments for 'set' command")


def test_a_transaction_begun_before(pair: Pair) -> None:
    c = pair.c
    assert c("REPLICAOF", "NO", "ONE") == Status("OK")
    assert c.pipeline([["MULTI"], ["SET", "a", 2]])[1] == Status("QUEUED")
    with Wire(pair.replica.port) as other:
        other("REPLICAOF", "127.0.0.1", pair.master.port)
    assert c("EXEC") == Error(
        "EXECABORT Transaction discarded because of: READONLY You can't write against a read only replica."
    )


def test_local_writes(pair: Pair) -> None:
    c = pair.c
    assert c("CONFIG", "SET", "replica-read-only", "no") == Status("OK")
    before = info(c)["slave_repl_offset"]
    assert c("SET", "mine", 1) == Status("OK")
    assert info(c)["slave_read_only"] == "0"
    assert c("CONFIG", "SET", "replica-read-only", "yes") == Status("OK")
    assert c("SET", "mine", 1) == READONLY
    assert int(info(c)["slave_repl_offset"]) - int(before) in (0, 14)
    assert pair.there("GET", "mine") == pair.there.null


def test_what_is_due_is_hidden(pair: Pair) -> None:
    c, there = pair.c, pair.there
    there("DEBUG", "SET-ACTIVE-EXPIRE", 0)
    there.pipeline([["SET", "a", 1, "PX", 50], ["SET", "b", 1], ["RPUSH", "l", 1], ["PEXPIRE", "l", 50]])
    settle(pair)
    time.sleep(0.1)
    with Wire(pair.replica.port) as other:
        assert [
            other(*words) for words in (["GET", "a"], ["EXISTS", "a"], ["TTL", "a"], ["LRANGE", "l", 0, -1])
        ] == [
            other.null,
            0,
            -2,
            [],
        ]
        assert other("DBSIZE") == 3
        assert other("KEYS", "*") == [b"b"]
        assert other("SCAN", 0, "COUNT", 100)[1] == [b"b"]
        assert other("RANDOMKEY") == b"b"
        assert other("TYPE", "a") == Status("none")
    there("GET", "a")  # it is deleted now
    end = time.monotonic() + 5
    while c("DBSIZE") != 2:
        assert time.monotonic() < end
        time.sleep(0.02)
    assert info(c, "stats")["expired_keys"] == "0"


def test_the_master_sees_what_is_hidden(pair: Pair) -> None:
    there = pair.there
    there("DEBUG", "SET-ACTIVE-EXPIRE", 0)
    due = time.monotonic() + 1.5
    there("SET", "n", 5, "PX", 1500)
    settle(pair)
    with Wire(pair.replica.port) as other:
        assert other("GET", "n") == b"5"
        there.pipeline([["INCR", "n"], ["PERSIST", "n"]])
        settle(pair)
        time.sleep(max(due - time.monotonic(), 0) + 0.1)
        assert other("GET", "n") == b"6"


def test_old_data_is_not_shown(pair: Pair) -> None:
    c = pair.c
    assert c("CONFIG", "SET", "replica-serve-stale-data", "no") == Status("OK")
    assert c("GET", "a") == c.null
    pair.master.stop()
    end = time.monotonic() + 5
    while c("GET", "a") != MASTERDOWN:
        assert time.monotonic() < end
        time.sleep(0.02)
    assert c("PING") == MASTERDOWN
    assert c("KEYS", "*") == MASTERDOWN
    assert c("SELECT", 0) == Status("OK")
    assert c("CONFIG", "GET", "port")[0] == b"port"
    assert c.pipeline([["MULTI"], ["GET", "a"], ["EXEC"]])[1:] == [MASTERDOWN, EXECABORT]
    fields = info(c)
    assert fields["master_link_status"] == "down"
    assert int(fields["master_link_down_since_seconds"]) <= 5
    assert fields["master_last_io_seconds_ago"] == "-1"
    assert c("ROLE")[3] in (b"connect", b"connecting")
    assert c("CONFIG", "SET", "replica-serve-stale-data", "yes") == Status("OK")
    assert c("GET", "a") == c.null


def test_who_waits_is_sent_away(kind: str) -> None:
    with start("r") as master, start(kind) as server, Wire(server.port) as c, Wire(server.port) as other:
        other.send("BLPOP", "list", 0)
        end = time.monotonic() + 5
        while info(c, "clients")["blocked_clients"] != "1":
            assert time.monotonic() < end
            time.sleep(0.01)
        assert c("SLAVEOF", "127.0.0.1", master.port) == Status("OK")
        assert other.read() == UNBLOCKED
        assert other.closed()
        wait_link(server.port)


def test_readers_of_streams_are_served(pair: Pair) -> None:
    pair.c.send("XREAD", "BLOCK", 0, "STREAMS", "x", "$")
    time.sleep(0.05)
    pair.there("XADD", "x", "1-1", "f", "v")
    assert pair.c.read() == [[b"x", [[b"1-1", [b"f", b"v"]]]]]


def test_messages(pair: Pair) -> None:
    with Wire(pair.replica.port) as other:
        other("SUBSCRIBE", "news")
        pair.there("PUBLISH", "news", "hello")
        assert other.read() == [b"message", b"news", b"hello"]


def test_the_role_and_the_client(pair: Pair) -> None:
    pair.there("SET", "a", 1)
    settle(pair)
    c = pair.c
    role = c("ROLE")
    assert role[:4] == [b"slave", b"127.0.0.1", pair.master.port, b"connected"]
    assert role[4] > 0
    listed = c("CLIENT", "LIST", "TYPE", "master")
    assert listed.count(b"\n") == 1
    assert b" flags=M " in listed
    assert f" addr=127.0.0.1:{pair.master.port} ".encode() in listed
    assert c("CLIENT", "KILL", "TYPE", "master") == 1
    wait_link(pair.replica.port)
    settle(pair)
    stats = info(pair.there, "stats")
    assert (stats["sync_full"], stats["sync_partial_ok"]) == ("1", "1")


def test_fields_of_info(pair: Pair) -> None:
    settle(pair)
    names = [name for name in info(pair.c) if name != "slave_read_repl_offset"]
    assert names[:11] == [
        "role",
        "master_host",
        "master_port",
        "master_link_status",
        "master_last_io_seconds_ago",
        "master_sync_in_progress",
        "slave_repl_offset",
        "slave_priority",
        "slave_read_only",
        "replica_announced",
        "connected_slaves",
    ]


def test_wrong_words(kind: str) -> None:
    with start(kind) as server, Wire(server.port) as c:
        assert c("REPLICAOF", "NO", "ONE") == Status("OK")
        assert c("REPLICAOF", "127.0.0.1", "x") == Error("ERR Invalid master port")
        assert c("REPLICAOF", "127.0.0.1", 65536) == Error("ERR Invalid master port")
        assert c("REPLICAOF", "127.0.0.1", -1) == Error("ERR Invalid master port")
        assert c("REPLICAOF", "x") == Error("ERR wrong number of arguments for 'replicaof' command")
        port = free_port()
        assert c("REPLICAOF", "127.0.0.1", port) == Status("OK")
        assert c("REPLICAOF", "127.0.0.1", port) == Status("OK Already connected to specified master")
        assert c("REPLICAOF", "no", "one") == Status("OK")
        assert info(c)["role"] == "master"


def test_a_password_and_an_announced_address(kind: str) -> None:
    with start("r", "--requirepass", "pw") as master:
        announced = ("--replica-announce-ip", "1.2.3.4", "--replica-announce-port", 777)
        with start(kind, *announced) as replica, Wire(replica.port) as c, Wire(master.port) as there:
            there("AUTH", "pw")
            c("REPLICAOF", "127.0.0.1", master.port)
            time.sleep(0.3)
            assert info(c)["master_link_status"] == "down"
            c("CONFIG", "SET", "masterauth", "pw")
            wait_link(replica.port)
            assert info(there)["slave0"].startswith("ip=1.2.3.4,port=777,state=online")


def test_the_file_of_the_configuration(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "my.conf"
    path.write_text("# mine\nmaxclients 100\n\n# the end\n")
    with start("r") as master:
        program = start_redis if kind == "r" else start_respcache
        with program(str(path)) as server, Wire(server.port) as c:
            c.pipeline([["MULTI"], ["SLAVEOF", "127.0.0.1", master.port], ["CONFIG", "REWRITE"], ["EXEC"]])
            text = path.read_text()
            assert text.startswith("# mine\nmaxclients 100\n\n# the end\n")
            assert f"replicaof 127.0.0.1 {master.port}\n" in text
            assert c("CONFIG", "GET", "replicaof") == [b"replicaof", b"127.0.0.1 %d" % master.port]
            wait_link(server.port)  # while it loads its data it would refuse
            assert c("REPLICAOF", "NO", "ONE") == OK
            c("CONFIG", "REWRITE")
            assert "replicaof" not in path.read_text()


def test_fields_that_are_due_are_hidden() -> None:
    """Only ours: the oracle has no fields with a time to live."""
    with start("o") as master, start("o") as replica, Wire(master.port) as there, Wire(replica.port) as c:
        c("REPLICAOF", "127.0.0.1", master.port)
        wait_link(replica.port)
        there("DEBUG", "SET-ACTIVE-EXPIRE", 0)
        there("HSET", "h", "a", 1, "b", 2)
        there("HPEXPIRE", "h", 50, "FIELDS", 1, "a")
        time.sleep(0.2)
        assert c("HGET", "h", "a") == c.null
        assert c("HGETALL", "h") == [b"b", b"2"]
        assert c("HSCAN", "h", 0) == [b"0", [b"b", b"2"]]
        assert c("HTTL", "h", "FIELDS", 2, "a", "b") == [-2, -1]
        assert c("HLEN", "h") == 2
        assert there("HGET", "h", "a") == there.null  # it is deleted now
        wait_equal([master.port, replica.port])
        assert c("HLEN", "h") == 1
