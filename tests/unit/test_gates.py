"""What is refused while data is loaded, or cannot be written to disk; and what is not."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from respcache.gates import MISCONF_AOF, MISCONF_RDB, deny_writes
from tests.unit.test_connection import Peers
from tests.wire import encode

LOADING = b"-LOADING Redis is loading the dataset in memory\r\n"
RDB = b"-" + MISCONF_RDB + b"\r\n"
AOF = MISCONF_AOF % b"No space left on device"
OK, QUEUED = b"+OK\r\n", b"+QUEUED\r\n"
BROKEN = b"-EXECABORT Transaction discarded because of previous errors.\r\n"


class Asking:
    """One connection, by hand."""

    def __init__(self) -> None:
        self.peers = Peers(save="")
        self.state = self.peers.state
        self.connection, self.socket = self.peers.connect()

    def __call__(self, *words: str) -> bytes:
        self.socket.writes.clear()
        self.connection.data_received(encode(*words))
        return b"".join(self.socket.writes)


@pytest.fixture
def ask() -> Iterator[Asking]:
    made = Asking()
    yield made
    made.state.loop.close()


@pytest.mark.parametrize(
    "words", ["GET k", "SET k v", "PING", "DEL k", "KEYS *", "FLUSHALL", "OBJECT ENCODING k"]
)
def test_loading(ask: Asking, words: str) -> None:
    ask.state.modes.switch("loading", True)
    assert ask(*words.split()) == LOADING
    ask.state.modes.switch("loading", False)
    assert not ask(*words.split()).startswith(b"-LOADING")


@pytest.mark.parametrize(
    "words", ["ECHO x", "SELECT 1", "MULTI", "CONFIG GET port", "CLIENT ID", "TIME", "ROLE"]
)
def test_what_runs_while_loading(ask: Asking, words: str) -> None:
    ask.state.modes.switch("loading", True)
    assert not ask(*words.split()).startswith(b"-")


def test_the_arity_comes_first(ask: Asking) -> None:
    for gate in ("loading", "misconf"):
        ask.state.modes.switch(gate, True)
        deny_writes(ask.state, "rdb", MISCONF_RDB)
        assert ask("SET", "k") == b"-ERR wrong number of arguments for 'set' command\r\n"
        ask.state.modes.switch(gate, False)


def test_transactions_while_loading(ask: Asking) -> None:
    assert ask("MULTI") == OK
    assert ask("GET", "k") == QUEUED
    ask.state.modes.switch("loading", True)
    assert ask("EXEC") == (
        b"-EXECABORT Transaction discarded because of: LOADING Redis is loading the dataset in memory\r\n"
    )
    assert ask("EXEC") == b"-ERR EXEC without MULTI\r\n"
    assert ask("MULTI") == OK
    assert ask("ECHO", "x") == QUEUED
    assert ask("EXEC") == b"*1\r\n$1\r\nx\r\n"
    assert ask("MULTI") == OK
    assert ask("GET", "k") == LOADING
    assert ask("EXEC") == BROKEN


@pytest.mark.parametrize("words", ["SET k v", "PING", "PING x", "DEL k", "FLUSHALL", "LPUSH l a"])
def test_misconf(ask: Asking, words: str) -> None:
    deny_writes(ask.state, "rdb", MISCONF_RDB)
    assert ask(*words.split()) == RDB
    deny_writes(ask.state, "rdb", None)
    assert not ask(*words.split()).startswith(b"-")


@pytest.mark.parametrize("words", ["GET k", "ECHO x", "CONFIG GET port", "MULTI", "PUBLISH a b", "PFCOUNT k"])
def test_what_runs_in_spite_of_misconf(ask: Asking, words: str) -> None:
    deny_writes(ask.state, "rdb", MISCONF_RDB)
    assert not ask(*words.split()).startswith(b"-")


def test_transactions_and_misconf(ask: Asking) -> None:
    assert ask("MULTI") == OK
    assert ask("SET", "k", "v") == QUEUED
    deny_writes(ask.state, "rdb", MISCONF_RDB)
    assert ask("EXEC") == b"-EXECABORT Transaction discarded because of: " + MISCONF_RDB + b"\r\n"
    assert ask("MULTI") == OK
    assert ask("GET", "k") == QUEUED
    assert ask("EXEC") == b"*1\r\n$-1\r\n"
    assert ask("MULTI") == OK
    assert ask("PING") == RDB
    assert ask("EXEC") == BROKEN


def test_two_reasons(ask: Asking) -> None:
    deny_writes(ask.state, "aof", AOF)
    assert ask("SET", "k", "v") == b"-" + AOF + b"\r\n"
    deny_writes(ask.state, "rdb", MISCONF_RDB)
    assert ask("SET", "k", "v") == RDB
    deny_writes(ask.state, "rdb", None)
    assert ask("SET", "k", "v") == b"-" + AOF + b"\r\n"
    deny_writes(ask.state, "aof", None)
    deny_writes(ask.state, "aof", None)
    assert ask("SET", "k", "v") == OK


def test_they_count_as_rejected(ask: Asking) -> None:
    deny_writes(ask.state, "rdb", MISCONF_RDB)
    ask("SET", "k", "v")
    assert ask.state.stats.errors == {"MISCONF": 1}
    assert ask.state.stats.commands["set"].rejected == 1


READONLY = b"-READONLY You can't write against a read only replica.\r\n"
MASTERDOWN = b"-MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.\r\n"


def test_nobody_writes_to_a_replica(ask: Asking) -> None:
    ask("MULTI")
    ask("SET", "k", "v")
    ask.state.modes.switch("readonly", True)
    assert ask("EXEC").startswith(b"-EXECABORT Transaction discarded because of: READONLY")
    assert ask("SET", "k", "v") == READONLY
    assert ask("SET", "k").startswith(b"-ERR wrong number")
    assert ask("GET", "k") == b"$-1\r\n"
    assert ask("EXEC").startswith(b"-ERR EXEC without")
    assert [ask(*words) for words in (["MULTI"], ["DEL", "k"], ["EXEC"])] == [OK, READONLY, BROKEN]
    assert [ask(*words) for words in (["MULTI"], ["TYPE", "k"], ["EXEC"])] == [OK, QUEUED, b"*1\r\n+none\r\n"]


def test_data_that_may_be_old(ask: Asking) -> None:
    ask.state.modes.switch("masterdown", True)
    assert ask("GET", "k") == MASTERDOWN
    assert ask("PING") == MASTERDOWN
    assert ask("GET").startswith(b"-ERR wrong number")
    assert ask("SELECT", "0") == OK
    assert [ask(*words) for words in (["MULTI"], ["GET", "k"], ["EXEC"])] == [OK, MASTERDOWN, BROKEN]
    assert [ask(*words) for words in (["MULTI"], ["SELECT", "0"], ["EXEC"])] == [OK, QUEUED, b"*1\r\n+OK\r\n"]
    ask.state.modes.switch("masterdown", False)
    assert ask("PING") == b"+PONG\r\n"
