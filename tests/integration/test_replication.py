"""A master of ours with a redis-server as its replica: full and partial synchronization, and what goes wrong."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.servers import HAVE_ORACLE, Server, start_redis, start_respcache
from tests.wire import Argument, Error, Status, Wire

pytestmark = pytest.mark.skipif(not HAVE_ORACLE, reason="needs a redis-server")

OK = Status("OK")

ALL_TYPES: list[tuple[Argument, ...]] = [
    ("SET", "string", "text"),
    ("SET", "number", 12345),
    ("SET", "long", "x" * 100_000),
    ("SETBIT", "bits", 1000, 1),
    ("RPUSH", "list", *range(50)),
    ("RPUSH", "big-list", *range(5000)),
    ("SADD", "numbers", 1, 2, 3),
    ("SADD", "words", "a", "b", "c", 1),
    ("SADD", "big-set", *(f"member:{number}" for number in range(2000))),
    ("ZADD", "zset", 1, "a", 2.5, "b", "-inf", "c"),
    ("ZADD", "big-zset", *(word for number in range(1000) for word in (number / 3, f"member:{number}"))),
    ("HSET", "hash", "f", 1, "g", "text"),
    ("HSET", "big-hash", *(word for number in range(1000) for word in (f"field:{number}", number))),
    *(("XADD", "stream", f"{number}-1", "field", number) for number in range(1, 300)),
    ("XGROUP", "CREATE", "stream", "group", 0),
    ("XREADGROUP", "GROUP", "group", "consumer", "COUNT", 10, "STREAMS", "stream", ">"),
    ("PFADD", "hll", *range(200)),
    ("GEOADD", "geo", 13.4, 52.5, "Berlin"),
    ("SET", "mortal", 1, "EX", 1000),
    ("SELECT", 9),
    ("SET", "elsewhere", 1),
    ("SELECT", 0),
]

CHANGES: list[tuple[Argument, ...]] = [
    ("APPEND", "string", "more"),
    ("INCRBYFLOAT", "number", "0.1"),
    ("SPOP", "big-set", 10),
    ("SPOP", "words"),
    ("LPOP", "list", 3),
    ("EXPIRE", "string", 1000),
    ("GETEX", "mortal", "PERSIST"),
    ("SET", "brief", 1, "PX", 30),
    ("HINCRBYFLOAT", "hash", "f", "1.5"),
    ("XADD", "stream", "*", "a", "b"),
    ("XREADGROUP", "GROUP", "group", "other", "COUNT", 5, "STREAMS", "stream", ">"),
    ("MULTI",),
    ("SET", "in", "unit"),
    ("RPUSH", "list", "x"),
    ("BLPOP", "list", 0),
    ("EXEC",),
    ("COPY", "hash", "copy", "DB", 5),
    ("MOVE", "bits", 4),
    ("SELECT", 9),
    ("RPUSH", "q", 1),
    ("SWAPDB", 9, 8),
    ("SELECT", 0),
]


def _until(condition: Callable[[], object], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _info(c: Wire, section: str = "replication") -> dict[str, str]:
    reply = c("INFO", section)
    assert isinstance(reply, bytes)
    return dict(line.split(":", 1) for line in reply.decode().splitlines() if ":" in line)


class Couple:
    """A master and its replica."""

    def __init__(self, master: Server, replica: Server) -> None:
        self.master = Wire(master.port)
        self.replica = Wire(replica.port)
        self.log = master
        self.port = master.port

    def linked(self) -> bool:
        return _info(self.replica)["master_link_status"] == "up"

    def same(self) -> None:
        """Asserts that both have the same data, when the replica has everything. Keys may expire meanwhile."""
        assert self.master("WAIT", 1, 5000) == 1, _info(self.master)
        _until(lambda: self.master("DEBUG", "DIGEST") == self.replica("DEBUG", "DIGEST"), 2)

    def count(self, name: str) -> int:
        return int(_info(self.master, "stats")[name])


@pytest.fixture(params=["yes", "no"], ids=["diskless", "sized"])
def couple(request: pytest.FixtureRequest) -> Iterator[Couple]:
    args = ("--enable-debug-command", "yes", "--repl-diskless-sync", request.param)
    with start_respcache(*args, "--repl-diskless-sync-delay", 0) as master:
        with Wire(master.port) as c:
            c.pipeline(ALL_TYPES)
        with start_redis(
            "--enable-debug-command", "yes", "--replicaof", f"127.0.0.1 {master.port}"
        ) as replica:
            found = Couple(master, replica)
            _until(found.linked)
            yield found
            found.master.close()
            found.replica.close()


def test_all_types_and_what_changes_them(couple: Couple) -> None:
    couple.same()
    couple.master.pipeline(CHANGES)
    with Wire(couple.port) as waiting:
        waiting.send("BRPOPLPUSH", "nothing", "list", 0)
        _until(lambda: _info(couple.master, "clients")["blocked_clients"] == "1")
        couple.master("RPUSH", "nothing", "something")
        assert waiting.read() == b"something"
    _until(lambda: couple.master("EXISTS", "brief") == 0)
    couple.same()
    couple.master("FLUSHALL")
    couple.master("SET", "a", 1)
    couple.same()
    assert couple.replica("DBSIZE") == 1
    assert couple.count("sync_full") == 1


def test_a_lost_replica_continues(couple: Couple) -> None:
    for turn in range(1, 4):
        assert couple.master("CLIENT", "KILL", "TYPE", "replica") == 1
        couple.master("SET", "meanwhile", turn)
        couple.master("SELECT", turn)
        couple.master("SET", "elsewhere", turn)
        _until(lambda turn=turn: couple.count("sync_partial_ok") == turn)  # type: ignore[misc]
        couple.same()
    assert couple.count("sync_full") == 1
    couple.log.wait_log("accepted. Sending ")


def test_messages_reach_the_replica(couple: Couple) -> None:
    couple.replica("SUBSCRIBE", "channel")
    couple.master("PUBLISH", "channel", "text")
    assert couple.replica.read() == [b"message", b"channel", b"text"]


def test_a_replica_that_misses_too_much_begins_again(couple: Couple) -> None:
    couple.master("CONFIG", "SET", "repl-backlog-size", 16384)
    couple.master("MULTI")
    couple.master("CLIENT", "KILL", "TYPE", "replica")
    couple.master("SET", "much", "x" * 200_000)
    couple.master("EXEC")
    _until(lambda: couple.count("sync_full") == 2)
    _until(couple.linked)
    couple.same()
    assert couple.count("sync_partial_err") == 1


def test_a_replica_that_takes_nothing_is_dropped(couple: Couple) -> None:
    with Wire(couple.port) as idle:
        idle("REPLCONF", "listening-port", 1)
        idle.send("SYNC")
        _until(lambda: "state=online" in _info(couple.master).get("slave1", ""))
        couple.master("CONFIG", "SET", "client-output-buffer-limit", "replica 1mb 0 0")
        for _ in range(60):
            couple.master("SET", "much", "x" * 500_000)
        _until(lambda: _info(couple.master)["connected_slaves"] == "1")
    couple.log.wait_log("scheduled to be closed ASAP for overcoming of output buffer limits")
    couple.same()


def test_with_an_append_only_file_beside(couple: Couple) -> None:
    couple.master("CONFIG", "SET", "appendonly", "yes")
    couple.master.pipeline(CHANGES)
    couple.same()
    assert couple.master("WAITAOF", 1, 0, 3000) == [1, 0]
    couple.master("CONFIG", "SET", "appendonly", "no")
    couple.master("SET", "still", "there")
    couple.same()
    couple.master("CONFIG", "SET", "appendonly", "yes", "appendfsync", "always")
    couple.master.pipeline(CHANGES)
    couple.same()


def test_a_silent_replica_is_dropped() -> None:
    with (
        start_respcache("--repl-diskless-sync", "no", "--repl-timeout", 1) as master,
        Wire(master.port) as c,
        Wire(master.port) as silent,
    ):
        silent.send("PSYNC", "?", -1)
        master.wait_log("Disconnecting timedout replica (streaming sync)")
        _until(lambda: _info(c)["connected_slaves"] == "0")


def test_a_backlog_that_nobody_needs_is_freed() -> None:
    with (
        start_respcache("--repl-diskless-sync", "no", "--repl-backlog-ttl", 1) as master,
        Wire(master.port) as c,
    ):
        with Wire(master.port) as replica:
            replica.send("PSYNC", "?", -1)
            _until(lambda: _info(c)["connected_slaves"] == "1")
        before = _info(c)["master_replid"]
        _until(lambda: _info(c)["repl_backlog_active"] == "0")
        assert _info(c)["master_replid"] != before
        offset = _info(c)["master_repl_offset"]
        c("SET", "a", 1)
        assert _info(c)["master_repl_offset"] == offset


def test_redis_cli_as_a_replica(tmp_path: Path) -> None:
    with start_respcache("--repl-diskless-sync-delay", 0) as master, Wire(master.port) as c:
        c("SET", "key", "value")
        for option in ("--rdb", "--functions-rdb"):
            path = tmp_path / f"dump{option}.rdb"
            command = ["redis-cli", "-p", str(master.port), option, str(path)]
            subprocess.run(command, check=True, capture_output=True, timeout=10)
            subprocess.run(["redis-check-rdb", str(path)], check=True, capture_output=True, timeout=10)
            assert (b"value" in path.read_bytes()) == (option == "--rdb")
        command = ["redis-cli", "-p", str(master.port), "--replica"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as listening:
            _until(lambda: "state=online" in _info(c).get("slave0", ""))
            c("SET", "seen", "yes")
            assert listening.stdout is not None
            while b'"seen","yes"' not in (line := listening.stdout.readline()):
                assert line
            listening.kill()


def test_wait_of_many(couple: Couple) -> None:
    with Wire(couple.port) as other:
        couple.master("SET", "a", 1)
        since = time.monotonic()
        assert couple.master("WAIT", 2, 100) == 1
        assert time.monotonic() - since > 0.08
        couple.master("SET", "a", 2)
        couple.master.send("WAIT", 1, 0)
        other.send("WAIT", 1, 0)
        assert couple.master.read() == other.read() == 1
        assert couple.master("WAIT", "x", 0) == Error("ERR value is not an integer or out of range")
