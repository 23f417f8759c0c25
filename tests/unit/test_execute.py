"""One request for a client: how it is found, run, timed, and what becomes of its errors."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from respcache.connection import Connection
from respcache.execute import execute, failure, find
from respcache.features.blocking import Disconnect, Pause
from respcache.protocol.errors import SYNTAX, Rejection, ReplyError
from respcache.state import Client
from tests.unit.test_connection import Peers


@pytest.fixture
def peers() -> Iterator[Peers]:
    made = Peers()
    yield made
    made.state.loop.close()


@pytest.fixture
def client(peers: Peers) -> Client:
    connection, _ = peers.connect()
    assert isinstance(connection, Connection)
    return connection.client


@pytest.mark.parametrize("name", [b"get", b"GET", b"gEt"])
def test_the_case_of_a_name_means_nothing(client: Client, name: bytes) -> None:
    client.db.set(b"k", b"v")
    assert execute(client, [name, b"k"]) == b"$1\r\nv\r\n"
    assert client.last is not None
    assert client.last.command.name == "get"
    assert client.server.stats.commands["get"].calls == 1


def test_subcommands(client: Client) -> None:
    entry, first = find(client, [b"Config", b"GeT", b"port"])
    assert (entry.command.name, first) == ("config|get", 2)
    entry, first = find(client, [b"PING", b"text"])
    assert (entry.command.name, first) == ("ping", 1)


@pytest.mark.parametrize(
    ("argv", "reply"),
    [
        ([b"NOPE", b"a"], b"-ERR unknown command 'NOPE', with args beginning with: 'a' \r\n"),
        ([b""], b"-ERR unknown command '', with args beginning with: \r\n"),
        ([b"get"], b"-ERR wrong number of arguments for 'get' command\r\n"),
        ([b"get", b"a", b"b"], b"-ERR wrong number of arguments for 'get' command\r\n"),
        ([b"config"], b"-ERR wrong number of arguments for 'config' command\r\n"),
        ([b"config", b"nope"], b"-ERR unknown subcommand 'nope'. Try CONFIG HELP.\r\n"),
        ([b"config", b"get"], b"-ERR wrong number of arguments for 'config|get' command\r\n"),
        ([b"set", b"k", b"v", b"NOPE"], b"-ERR syntax error\r\n"),
    ],
)
def test_errors(client: Client, argv: list[bytes], reply: bytes) -> None:
    assert execute(client, argv) == reply
    assert client.server.stats.errors == {"ERR": 1}


def test_errors_are_counted_by_kind(client: Client) -> None:
    stats = client.server.stats
    execute(client, [b"get"])
    execute(client, [b"set", b"k", b"v", b"NOPE"])
    execute(client, [b"get", b"k"])
    execute(client, [b"NOPE"])
    of_get, of_set = stats.commands["get"], stats.commands["set"]
    assert (of_get.calls, of_get.rejected, of_get.failed) == (1, 1, 0)
    assert (of_set.calls, of_set.rejected, of_set.failed) == (1, 0, 1)
    assert stats.unknown_commands == 1


def test_an_error_keeps_nothing_of_the_calls_that_raised_it(client: Client) -> None:
    """The constants of `errors` are raised again and again: a traceback would hold each request for ever."""
    for _ in range(3):
        execute(client, [b"set", b"k", b"v", b"NOPE"])
    assert SYNTAX.__traceback__ is None
    assert SYNTAX.__context__ is None
    connection = client.connection
    assert isinstance(connection, Connection)
    connection.data_received(b"*4\r\n$3\r\nset\r\n$1\r\nk\r\n$1\r\nv\r\n$4\r\nNOPE\r\n" * 3)
    assert SYNTAX.__traceback__ is None


def test_what_should_not_happen_is_logged(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    entry, _ = find(client, [b"get", b"k"])
    with caplog.at_level(logging.ERROR, "respcache"):
        assert failure(client, entry, 2, ZeroDivisionError("division by zero")) == (
            True,
            b"-ERR internal error, see the log of the server\r\n",
        )
    assert caplog.messages == ["get failed: ZeroDivisionError('division by zero')"]
    assert caplog.records[0].exc_info is not None


def test_a_wrong_number_of_arguments_is_found_by_the_call(client: Client) -> None:
    entry, _ = find(client, [b"get", b"k"])
    told = failure(client, entry, 1, TypeError("missing 1 required positional argument"))
    assert told == (False, b"-ERR wrong number of arguments for 'get' command\r\n")
    assert not failure(client, entry, 2, Rejection(b"NOAUTH no"))[0]
    assert failure(client, entry, 2, ReplyError(b"ERR no")) == (True, b"-ERR no\r\n")


@pytest.mark.parametrize("word", [b"POST", b"host:"])
def test_a_browser_is_sent_away(client: Client, word: bytes, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "respcache"), pytest.raises(Disconnect) as ended:
        execute(client, [word, b"/"])
    assert ended.value.reply == b""
    assert "Possible SECURITY ATTACK: 127.0.0.1:1234" in caplog.text


def test_a_muted_client_gets_no_error(client: Client) -> None:
    client.mute(True)
    assert execute(client, [b"NOPE"]) == b""
    assert execute(client, [b"set", b"k", b"v", b"NOPE"]) == b""
    assert execute(client, [b"ping"]) == b""


def test_a_request_that_waits_has_not_run(client: Client) -> None:
    client.server.start_pause(client.server.clock.ms() + 100_000, True)
    with pytest.raises(Pause) as pause:
        execute(client, [b"get", b"k"])
    assert pause.value.retry
    assert client.server.stats.commands["get"].calls == 0
    client.server.unpause()
    assert execute(client, [b"get", b"k"]) == b"$-1\r\n"


def test_one_that_ends_the_connection_has_run(client: Client) -> None:
    with pytest.raises(Disconnect) as ended:
        execute(client, [b"quit"])
    assert ended.value.reply == b"+OK\r\n"
    assert client.server.stats.commands["quit"].calls == 1


def test_slow_requests_are_reported(client: Client) -> None:
    client.server.config.set_many([("slowlog-log-slower-than", "0")])
    execute(client, [b"set", b"k", b"v"])
    assert len(client.server.slowlog.entries) == 1
