"""The layer that propagates: which commands, when, and as what. The forms have tests of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from respcache.features.blocking import Pause
from respcache.propagating import propagating
from respcache.protocol.errors import SYNTAX
from respcache.registry import REGISTRY, Command
from respcache.state import Client
from tests.propagation import Origin, well_formed
from tests.wire import encode


@pytest.fixture
def origin() -> Iterator[Origin]:
    made = Origin()
    yield made
    made.close()


def find(name: str) -> Command:
    command = REGISTRY.find(name)
    assert command is not None
    return command


@pytest.mark.parametrize(
    "name", ["get", "multi", "watch", "select", "config|set", "sort_ro"]
)
def test_what_changes_no_data_is_left_alone(name: str) -> None:
    command = find(name)
    assert propagating(command, command.handler) is command.handler


def test_off_is_absent(origin: Origin) -> None:
    client = origin.connection.client
    assert client.table[b"set"].run is not find("set").handler
    origin.state.modes.switch("propagate", False)
    assert client.table[b"set"].run is find("set").handler


@pytest.mark.parametrize(
    "command",
    [
        "SADD s a",
        "SADD s a b",
        "SADD s a b c",
        "SADD s a b c d",
        "HSET h f v",
        "MSET a 1 b 2",
        "INCR n",
        "XGROUP CREATE x g 0 MKSTREAM",
    ],
)
def test_as_it_came(origin: Origin, command: str) -> None:
    origin.propagator.reselect()
    for _ in range(2):  # the first one needs a SELECT, and goes another way
        assert origin.told(*command.split())[-1:] == [command]
        origin.told("FLUSHALL")


@pytest.mark.parametrize("size", [0, 1, 1023, 1024, 70_000])
def test_words_of_any_size(origin: Origin, size: int) -> None:
    word = "x" * size
    for command in (
        ("INCR", "n"),
        ("SET", "k", word),
        ("SET", word, "v"),
        ("SADD", "s" + word, word, "b"),
        ("DEL", word),
    ):
        assert origin.told(*command) == [" ".join(command)]


def test_names_are_those_of_redis() -> None:
    origin = Origin(rename_command=("SET", "STORE"))
    try:
        assert origin.told("store", "k", "v") == ["SET k v"]
        assert origin.told("xGroup", "creaTE", "x", "g", "$", "mkstream") == ["XGROUP CREATE x g $ mkstream"]
    finally:
        origin.close()


def test_nothing_changed(origin: Origin) -> None:
    origin.told("SET", "k", "v")
    for command in (
        "DEL none",
        "SETNX k v",
        "SADD none",
        "RENAME k k",
        "SPOP none",
        "GETEX k",
        "EXPIRE none 1",
    ):
        origin(*command.split())
        assert origin.lines() == [], command
    assert origin("INCR", "k").startswith(b"-ERR") and origin.lines() == []
    assert origin("SET", "k").startswith(b"-ERR wrong number") and origin.lines() == []
    assert origin("INCR").startswith(b"-ERR wrong number") and origin.lines() == []
    assert origin("INCR", "k", "k", "k", "k").startswith(b"-ERR wrong number") and origin.lines() == []


def test_flushes_always(origin: Origin) -> None:
    assert origin.told("FLUSHALL") == ["FLUSHALL"]
    assert origin.told("FLUSHDB", "async") == ["FLUSHDB async"]


def test_other_databases(origin: Origin) -> None:
    origin.told("SET", "k", "v")
    assert origin.told("COPY", "k", "k", "DB", "3") == ["COPY k k DB 3"]
    assert origin.told("MOVE", "k", "3") == []
    assert origin.told("MOVE", "k", "4") == ["MOVE k 4"]
    assert origin.told("SWAPDB", "4", "3") == ["SWAPDB 4 3"]
    origin("SELECT", "4")
    assert origin.told("DEL", "k") == ["SELECT 4", "DEL k"]
    origin("SELECT", "0")
    assert origin.lines() == []
    assert origin.told("SET", "k", "v") == ["SELECT 0", "SET k v"]


def test_a_transaction_is_a_unit(origin: Origin) -> None:
    def transaction(*commands: str) -> list[str]:
        for command in ("MULTI", *commands):
            origin(*command.split())
        return origin.told("EXEC")

    assert transaction("SET a 1", "GET a", "INCRBYFLOAT a 1") == [
        "MULTI",
        "SET a 1",
        "SET a 2 KEEPTTL",
        "EXEC",
    ]
    assert transaction("SET a 1", "GET a", "DEL none", "LPUSH a x") == ["SET a 1"]
    assert transaction("GET a") == []
    lines = transaction("SET a 1", "SELECT 5", "SADD s a", "SPOP s", "BLPOP none 0", "SELECT 0")
    assert lines == ["MULTI", "SET a 1", "SELECT 5", "SADD s a", "SREM s a", "EXEC"]
    assert transaction("SET b 1") == ["SELECT 0", "SET b 1"]


def test_keys_that_were_due(origin: Origin) -> None:
    def mortal(*keys: str) -> None:
        for key in keys:
            origin.told("SET", key, "v", "PX", "10")
        origin.now += 10

    mortal("k")
    assert origin.told("GET", "k") == ["DEL k"]
    mortal("k")
    assert origin.told("INCR", "k") == ["MULTI", "DEL k", "INCR k", "EXEC"]
    mortal("k", "l")
    assert origin.told("DEL", "k", "l") == ["DEL k", "DEL l"]
    mortal("k", "l")
    assert origin.told("MSET", "k", "1", "l", "1") == ["MULTI", "DEL k", "DEL l", "MSET k 1 l 1", "EXEC"]
    mortal("k")
    origin.told("SET", "s", "v")
    assert origin.told("RENAME", "s", "k") == ["MULTI", "DEL k", "RENAME s k", "EXEC"]
    mortal("k")
    for command in (("MULTI",), ("GET", "k"), ("SET", "a", "1")):
        origin(*command)
    assert origin.told("EXEC") == ["MULTI", "DEL k", "SET a 1", "EXEC"]
    mortal("k", "l")
    origin.now += 1000
    origin.expire()
    assert sorted(origin.lines()) == ["DEL k", "DEL l"]


def test_fields_that_were_due(origin: Origin) -> None:
    for key in ("h", "w1"):
        origin("HSET", key, "f", "1", "g", "2")
        origin("HPEXPIRE", key, "10", "FIELDS", "1", "f")
    origin("RPUSH", "l", "1")
    origin.now += 10
    origin.lines()
    assert origin.told("HSETNX", "h", "f", "3") == ["MULTI", "HDEL h f", "HSETNX h f 3", "EXEC"]
    sort = "SORT l BY w*->f GET w*->f STORE d"
    assert origin.told(*sort.split()) == ["MULTI", "HDEL w1 f", sort, "EXEC"]


def test_muted_clients(origin: Origin) -> None:
    assert origin("CLIENT", "REPLY", "OFF") == b""
    assert origin("SADD", "s", "a") == origin("SPOP", "s") == origin("SET", "k", "v") == b""
    assert origin.lines() == ["SADD s a", "SREM s a", "SET k v"]


def test_in_pipelines(origin: Origin) -> None:
    commands = [("SET", "a", "1"), ("INCR", "a"), ("GET", "a"), ("set", "a", "2", "GET"), ("DEL", "a")]
    origin.connection.data_received(b"".join(encode(*command) for command in commands))
    assert origin.lines() == ["SET a 1", "INCR a", "SET a 2", "DEL a"]


# Clients that wait


def test_who_waited_is_propagated_behind_who_pushed(origin: Origin) -> None:
    first, second = (
        origin.connect("BLPOP", "l", "0"),
        origin.connect("blmove", "l", "m", "left", "right", "0"),
    )
    assert origin.lines() == []
    assert origin.told("RPUSH", "l", "1", "2", "3") == ["RPUSH l 1 2 3", "LPOP l", "LMOVE l m LEFT RIGHT"]
    assert first.told and second.told


def test_who_waited_in_another_database(origin: Origin) -> None:
    connection, _ = origin.peers.connect()
    connection.data_received(encode("SELECT", "2") + encode("BRPOP", "l", "0"))
    origin("MULTI")
    origin("SELECT", "2")
    origin("RPUSH", "l", "1")
    origin("SELECT", "0")
    origin("SET", "k", "v")
    lines = origin.told("EXEC")
    assert lines == ["MULTI", "SELECT 2", "RPUSH l 1", "SELECT 0", "SET k v", "EXEC", "SELECT 2", "RPOP l"]


def test_who_waits_in_vain_changes_nothing(origin: Origin) -> None:
    sock = origin.connect("BLPOP", "l", "0")
    waiter = next(client for client in origin.state.clients.values() if client.paused).waiter
    assert waiter is not None and waiter.arguments == [b"l", b"0"]
    origin.state.end_wait(waiter, waiter.nothing)
    assert sock.told == b"*-1\r\n"
    assert origin.lines() == []


def test_chains_of_who_wait(origin: Origin) -> None:
    origin.connect("BLMOVE", "a", "b", "LEFT", "LEFT", "0")
    origin.connect("BRPOPLPUSH", "b", "c", "0")
    origin.connect("BLMPOP", "0", "1", "c", "LEFT", "COUNT", "3")
    expected = ["LPUSH a x", "LMOVE a b LEFT LEFT", "RPOPLPUSH b c", "LPOP c 1"]
    assert origin.told("LPUSH", "a", "x") == expected


def test_the_layer_goes_while_somebody_waits(origin: Origin) -> None:
    origin.connect("BLPOP", "l", "0")
    origin.state.modes.switch("propagate", False)
    origin.propagator.stop()
    assert origin.told("RPUSH", "l", "1") == []


# Handlers that fail


def broken(command: Command, change: Callable[[Client], object], error: Exception) -> Callable[..., bytes]:
    def handler(client: Client, *_arguments: bytes) -> bytes:
        change(client)
        raise error

    return propagating(command, handler)


@pytest.mark.parametrize("name", ["incr", "set", "spop"])
def test_what_was_done_half_way_is_propagated(origin: Origin, name: str) -> None:
    client = origin.connection.client
    for _ in range(2):
        run = broken(find(name), lambda c: c.db.set(b"k", b"v"), SYNTAX)
        with pytest.raises(type(SYNTAX)):
            run(client, b"a")
        assert origin.lines() == [f"{name.upper()} a"]
    run = broken(find(name), lambda c: None, SYNTAX)
    with pytest.raises(type(SYNTAX)):
        run(client, b"a")
    assert origin.lines() == []


def test_a_pause_for_all_is_none_of_its_business(origin: Origin) -> None:
    run = broken(find("blpop"), lambda c: None, Pause(retry=True))
    with pytest.raises(Pause):
        run(origin.connection.client, b"a", b"0")
    assert origin.lines() == []


def test_streams_are_well_formed() -> None:
    def commands(*lines: str) -> list[list[bytes]]:
        return [line.encode().split() for line in lines]

    assert well_formed(commands("DEL a", "MULTI", "SELECT 1", "DEL a", "DEL b", "EXEC"))
    assert not well_formed(commands("MULTI", "SELECT 1", "DEL a", "EXEC"))
    assert not well_formed(commands("EXEC"))
    assert not well_formed(commands("MULTI", "DEL a", "MULTI"))
    assert not well_formed(commands("MULTI", "DEL a", "DEL a"))
