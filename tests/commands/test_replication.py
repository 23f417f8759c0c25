"""The commands of replication on a master: their errors, and what a replica gets that speaks the protocol by hand."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator

import pytest

from tests.servers import Server, oracle_line, oracle_version, start_redis, start_respcache
from tests.wire import Error, Status, Wire, arity_error, encode

SYNTAX = Error("ERR syntax error")
NOT_INTEGER = Error("ERR value is not an integer or out of range")
OK = Status("OK")
PING = b"*1\r\n$4\r\nping\r\n"


@pytest.fixture(params=["respcache", "oracle"])
def master(request: pytest.FixtureRequest) -> Iterator[Server]:
    if request.param == "oracle" and oracle_version() is None:
        pytest.skip(oracle_line())
    start = start_respcache if request.param == "respcache" else start_redis
    with start("--repl-diskless-sync-delay", 0, "--repl-ping-replica-period", 1000) as server:
        yield server


class Hand:
    """A replica played by hand."""

    def __init__(self, server: Server, *capabilities: str) -> None:
        self.wire = Wire(server.port)
        for name in capabilities:
            assert self.wire("REPLCONF", "capa", name) == OK
        self.id = ""
        self.offset = 0

    def line(self) -> bytes:
        """The next line that is not empty."""
        found = b""
        while not found.endswith(b"\r\n"):
            found = (found + self.wire.read_exactly(1)).lstrip(b"\n")
        return found[:-2]

    def psync(self, history: str = "?", offset: int = -1) -> bytes:
        self.wire.send("PSYNC", history, offset)
        reply = self.line()
        if reply.startswith(b"+FULLRESYNC"):
            _, name, at = reply.split()
            self.id, self.offset = name.decode(), int(at)
        return reply

    def data(self) -> bytes:
        """The RDB file."""
        header = self.line()
        if not header.startswith(b"$EOF:"):
            return self.wire.read_exactly(int(header[1:]))
        found = b""
        while not found.endswith(header[5:]):
            found += self.wire.read_exactly(1)
        return found[:-40]

    def ack(self, offset: int) -> None:
        self.wire.send("REPLCONF", "ACK", offset)

    def stream(self, *commands: tuple[str | int, ...]) -> None:
        expected = b"".join(encode(*words) for words in commands)
        assert self.wire.read_exactly(len(expected)) == expected


@pytest.fixture
def hand(master: Server) -> Iterator[Callable[..., Hand]]:
    hands: list[Hand] = []

    def new(*capabilities: str) -> Hand:
        hands.append(Hand(master, *capabilities))
        return hands[-1]

    yield new
    for found in hands:
        found.wire.close()


def _info(c: Wire, section: str = "replication") -> dict[str, str]:
    reply = c("INFO", section)
    assert isinstance(reply, bytes)
    return dict(line.split(":", 1) for line in reply.decode().splitlines() if ":" in line)


def _until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def _online(c: Wire) -> bool:
    return "state=online" in _info(c).get("slave0", "")


# Errors and plain replies


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["ABORT"], "ERR No failover in progress."),
        (["TIMEOUT", 0], "ERR FAILOVER timeout must be greater than 0"),
        (["TIMEOUT", "x"], NOT_INTEGER.text),
        (["TO", "a"], SYNTAX.text),
        (["TO", "a", "b"], NOT_INTEGER.text),
        (["FORCE", "FORCE"], SYNTAX.text),
        (["TIMEOUT", 1, "TIMEOUT", 1], SYNTAX.text),
        (["ABORT", "TIMEOUT", 1], SYNTAX.text),
        (["nothing"], SYNTAX.text),
        ([], "ERR FAILOVER requires connected replicas."),
        (["FORCE"], "ERR FAILOVER requires connected replicas."),
        (["TO", "a", 1, "FORCE", "TIMEOUT", 1], "ERR FAILOVER requires connected replicas."),
    ],
)
def test_a_failover_that_is_refused(c: Wire, words: list[str | int], error: str) -> None:
    assert c("FAILOVER", *words) == Error(error)


@pytest.mark.parametrize(
    ("words", "reply"),
    [
        ([], OK),
        (["listening-port", 7000, "ip-address", "1.2.3.4"], OK),
        (["capa", "eof", "capa", "psync2", "capa", "unheard-of"], OK),
        (["rdb-only", 0], OK),
        (["rdb-filter-only", "functions"], OK),
        (["capa"], SYNTAX),
        (["ACK", 1, "FACK"], SYNTAX),
        (["listening-port", "x"], NOT_INTEGER),
        (["rdb-only", 2], Error("ERR value is out of range, value must between 0 and 1")),
        (["rdb-filter-only", "x"], Error("ERR Unsupported rdb-filter-only option: x")),
        (["VERSION", "8.0.1"], Error("ERR Unrecognized REPLCONF option: VERSION")),
        (
            ["ip-address", "x" * 300],
            Error("ERR REPLCONF ip-address provided by replica instance is too long: 300 bytes"),
        ),
    ],
)
def test_replconf(c: Wire, words: list[str | int], reply: object) -> None:
    assert c("REPLCONF", *words) == reply


def test_what_is_said_to_no_replica_is_not_answered(c: Wire) -> None:
    c.send("REPLCONF", "ACK", 10)
    c.send("REPLCONF", "GETACK", "*")
    assert c("PING") == Status("PONG")


def test_a_sync_that_is_refused(c: Wire) -> None:
    assert c("PSYNC", "?", "x") == NOT_INTEGER
    assert c("PSYNC", "?") == arity_error("psync")
    assert c("SYNC", "x") == arity_error("sync")
    assert c("PSYNC", "x", "1", "FAILOVER") == Error("ERR PSYNC FAILOVER can't be sent to a master.")
    assert c("REPLCONF", "rdb-filter-only", "") == OK
    assert c("PSYNC", "?", -1) == Error("ERR Filtered replica requires EOF capability")
    c("MULTI")
    assert c("PSYNC", "?", -1) == Error("ERR Command not allowed inside a transaction")


# A replica by hand


def test_a_full_sync_without_a_disk(master: Server, hand: Callable[..., Hand]) -> None:
    with Wire(master.port) as c:
        c("SET", "before", 1)
        replica = hand("eof", "psync2")
        reply = replica.psync()
        assert re.fullmatch(rb"\+FULLRESYNC [0-9a-f]{40} 0", reply)
        assert replica.data().startswith(b"REDIS00")
        _until(lambda: _online(c))
        c("SET", "key", 1)
        assert replica.wire.quiet()  # it has not told that it has loaded
        replica.ack(0)
        replica.stream(("SELECT", 0), ("SET", "key", 1))
        told = _info(c)
        assert told["connected_slaves"] == "1"
        assert told["master_replid"] == replica.id
        assert told["slave0"] == "ip=127.0.0.1,port=0,state=online,offset=0,lag=0"
        assert (told["master_repl_offset"], told["repl_backlog_active"]) == ("52", "1")
        assert (told["repl_backlog_first_byte_offset"], told["repl_backlog_histlen"]) == ("1", "52")
        replica.ack(52)
        _until(lambda: c("ROLE") == [b"master", 52, [[b"127.0.0.1", b"0", b"52"]]])


def test_a_full_sync_of_known_size(master: Server, hand: Callable[..., Hand]) -> None:
    with Wire(master.port) as c:
        c("SET", "before", 1)
        replica = hand("psync2")
        assert replica.psync().startswith(b"+FULLRESYNC")
        assert b"before" in replica.data()
        c("SET", "key", 1)
        replica.stream(("SELECT", 0), ("SET", "key", 1))  # without being asked


def test_sync(master: Server, hand: Callable[..., Hand]) -> None:
    replica = hand()
    replica.wire.send("SYNC")
    assert replica.data().startswith(b"REDIS00")
    with Wire(master.port) as c:
        c("SET", "key", 1)
        replica.stream(("SELECT", 0), ("SET", "key", 1))


def test_only_the_data(master: Server, hand: Callable[..., Hand]) -> None:
    replica = hand("eof", "psync2")
    assert replica.wire("REPLCONF", "rdb-only", 1) == OK
    replica.psync()
    assert replica.data().startswith(b"REDIS00")
    assert replica.wire.closed()


def test_continuing(master: Server, hand: Callable[..., Hand]) -> None:
    with Wire(master.port) as c:
        first = hand("eof", "psync2")
        first.psync()
        first.data()
        _until(lambda: _online(c))
        first.ack(0)
        c("SET", "a", 1)
        first.stream(("SELECT", 0), ("SET", "a", 1))
        first.wire.close()
        c("SET", "b", 2)
        second = hand("eof", "psync2")
        assert second.psync(first.id, 24) == b"+CONTINUE " + first.id.encode()
        second.stream(("SET", "a", 1), ("SET", "b", 2))
        c("SET", "c", 3)
        second.stream(("SET", "c", 3))
        old = hand()
        assert old.psync(first.id.upper(), 105) == b"+CONTINUE"
        assert old.wire.quiet()
        assert hand("eof").psync(first.id, 106).startswith(b"+FULLRESYNC")
        assert hand("eof").psync("0" * 40, 1).startswith(b"+FULLRESYNC")
        counts = _info(c, "stats")
        assert [counts[name] for name in ("sync_full", "sync_partial_ok", "sync_partial_err")] == [
            "3",
            "2",
            "2",
        ]


def test_what_was_too_long_ago_cannot_be_continued(master: Server, hand: Callable[..., Hand]) -> None:
    with Wire(master.port) as c:
        c("CONFIG", "SET", "repl-backlog-size", 16384)
        replica = hand("eof", "psync2")
        replica.psync()
        replica.wire.close()
        c("SET", "a", "x" * 200_000)
        assert hand("eof", "psync2").psync(replica.id, 1).startswith(b"+FULLRESYNC")


def test_messages_reach_replicas(master: Server, hand: Callable[..., Hand]) -> None:
    with Wire(master.port) as c:
        replica = hand("psync2")
        replica.psync()
        replica.data()
        c("PUBLISH", "channel", "text")
        c("SET", "a", 1)
        if master.is_oracle:  # which has it say which database it is for
            replica.stream(("SELECT", 0))
        replica.stream(("PUBLISH", "channel", "text"))
        if not master.is_oracle:
            replica.stream(("SELECT", 0))
        replica.stream(("SET", "a", 1))
        c("SPUBLISH", "channel", "text")
        replica.stream(("SPUBLISH", "channel", "text"))


def test_wait(master: Server, hand: Callable[..., Hand]) -> None:
    with Wire(master.port) as c:
        c("SET", "a", 0)
        assert c("WAIT", 1, 10) == 0
        replica = hand("psync2")
        replica.psync()
        replica.data()
        c("SET", "a", 1)
        replica.stream(("SELECT", 0), ("SET", "a", 1))
        c.send("WAIT", 1, 0)
        replica.stream(("REPLCONF", "GETACK", "*"))
        assert c.quiet()
        replica.ack(50)
        assert c.read() == 1
        assert c("WAIT", 1, 0) == 1
        replica.ack(1000)  # the oracle means what it has sent itself as well
        _until(lambda: "offset=1000" in _info(c)["slave0"])
        assert c("WAIT", 2, 10) == 1  # in vain
        c("MULTI")
        c("WAIT", 5, 0)
        assert c("EXEC") == [1]


def test_a_replica_that_asks_for_a_reply_is_disconnected(master: Server, hand: Callable[..., Hand]) -> None:
    for words in (("GET", "a"), ("PING",)):
        replica = hand("psync2")
        replica.psync()
        replica.data()
        replica.wire.send(*words)
        assert replica.wire.closed()


def test_replicas_among_the_clients(master: Server, hand: Callable[..., Hand]) -> None:
    with Wire(master.port) as c:
        replica = hand("psync2")
        replica.psync()
        replica.data()
        line = c("CLIENT", "LIST", "TYPE", "replica")
        assert isinstance(line, bytes)
        assert b" flags=S " in line
        assert line.count(b"\n") == 1
        assert _info(c, "clients")["connected_clients"] == "1"
        assert c("CLIENT", "KILL", "TYPE", "slave") == 1
        assert replica.wire.closed()
        _until(lambda: _info(c)["connected_slaves"] == "0")
        assert _info(c)["repl_backlog_active"] == "1"


def test_writes_need_replicas_if_so_configured(master: Server, hand: Callable[..., Hand]) -> None:
    refused = Error("NOREPLICAS Not enough good replicas to write.")
    with Wire(master.port) as c:
        c("CONFIG", "SET", "min-replicas-to-write", 1)
        assert _info(c)["min_slaves_good_slaves"] == "0"
        assert c("SET", "a", 1) == refused
        assert c("SET", "a") == arity_error("set")
        assert c("GET", "a") is c.null
        c("MULTI")
        assert c("SET", "a", 1) == refused
        assert c("EXEC") == Error("EXECABORT Transaction discarded because of previous errors.")
        replica = hand("psync2")
        replica.psync()
        replica.data()
        _until(lambda: c("SET", "a", 1) == OK)
        assert _info(c)["min_slaves_good_slaves"] == "1"
        replica.wire.close()
        _until(lambda: c("SET", "a", 1) == refused)
        c("CONFIG", "SET", "min-replicas-to-write", 0)
        assert c("SET", "a", 1) == OK


def test_a_failover_needs_the_replica_that_it_names(master: Server, hand: Callable[..., Hand]) -> None:
    with Wire(master.port) as c:
        replica = hand("psync2")
        replica.wire("REPLCONF", "listening-port", 7000)
        replica.psync()
        replica.data()
        _until(lambda: _online(c))
        force = Error("ERR FAILOVER with force option requires both a timeout and target HOST and IP.")
        assert c("FAILOVER", "FORCE", "TIMEOUT", 100) == force
        assert c("FAILOVER", "TO", "127.0.0.1", 7000, "FORCE") == force
        nobody = Error("ERR FAILOVER target HOST and PORT is not a replica.")
        assert c("FAILOVER", "TO", "127.0.0.1", 7001) == nobody
        c("SET", "a", 1)
        assert c("FAILOVER", "TO", "127.0.0.1", 7000) == OK
        assert _info(c)["master_failover_state"] == "waiting-for-sync"
        assert c("FAILOVER") == Error("ERR FAILOVER already in progress.")
        with Wire(master.port) as writer:
            writer.send("SET", "a", 2)
            assert writer.quiet()
            assert c("FAILOVER", "ABORT") == OK
            assert writer.read() == OK
        assert _info(c)["master_failover_state"] == "no-failover"
        c("FAILOVER", "TIMEOUT", 50)
        _until(lambda: _info(c)["master_failover_state"] == "no-failover")
        assert c("SET", "a", 3) == OK


def test_pings_are_part_of_the_stream(master: Server, hand: Callable[..., Hand]) -> None:
    with Wire(master.port) as c:
        replica = hand("psync2")
        replica.psync()
        replica.data()
        c("CONFIG", "SET", "repl-ping-replica-period", 1)
        assert (
            replica.wire.read_exactly(2 * len(PING)).replace(b"*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n", b"")[:14]
            == PING
        )
        c("CONFIG", "SET", "repl-ping-replica-period", 1000)
        assert int(_info(c)["master_repl_offset"]) >= 28
