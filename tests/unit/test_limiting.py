"""The gate of the memory limit, client eviction, and clients that leave no trace."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

import respcache.commands  # noqa: F401 - fills the registry
from respcache.clock import Clock
from respcache.limiting import LEAST_FOR_CLIENTS, OOM, evict_clients, limiting, memory_of, sparing
from respcache.protocol.errors import Rejection, ReplyError
from respcache.registry import DENYOOM, REGISTRY, Flag
from respcache.store.database import Database
from respcache.store.keyspace import Keyspace
from respcache.store.tracked import TrackedDatabase


class Stage:
    """A client of a server in which room can or cannot be made."""

    def __init__(self, over: bool = True, room: bool = False) -> None:
        self.asked = 0
        self.room = room
        account = SimpleNamespace(bytes=2 if over else 1, allowed=1)
        memory = SimpleNamespace(account=account, make_room=self._make_room)
        server = SimpleNamespace(memory=memory, nested=False)
        self.client: Any = SimpleNamespace(server=server, transaction=None, no_touch=False, db=None)

    def _make_room(self) -> bool:
        self.asked += 1
        return self.room

    def call(self, name: str, *arguments: bytes) -> bytes:
        command = REGISTRY.find(name)
        assert command is not None
        return limiting(command, lambda _client, *_arguments: b"done")(self.client, *arguments)


def test_under_the_limit_nothing_is_asked() -> None:
    stage = Stage(over=False)
    assert stage.call("set", b"k", b"v") == b"done"
    assert stage.asked == 0


def test_room_is_made_first() -> None:
    stage = Stage(room=True)
    assert stage.call("set", b"k", b"v") == b"done"
    assert stage.asked == 1


def test_what_grows_is_refused() -> None:
    stage = Stage()
    with pytest.raises(Rejection, match="OOM"):
        stage.call("set", b"k", b"v")
    assert stage.call("del", b"k") == b"done"
    assert stage.call("get", b"k") == b"done"
    with pytest.raises(ReplyError, match="wrong number"):
        stage.call("set", b"k")


def test_nested_calls_pass() -> None:
    stage = Stage()
    stage.client.server.nested = True
    assert stage.call("set", b"k", b"v") == b"done"
    assert stage.asked == 0


def test_transactions() -> None:
    stage = Stage()
    stage.client.transaction = SimpleNamespace(flags=Flag(0))
    with pytest.raises(Rejection):
        stage.call("ping")
    for name in ("exec", "discard", "multi", "reset", "quit"):
        assert stage.call(name) == b"done"
    stage.client.transaction.flags = DENYOOM
    with pytest.raises(Rejection):
        stage.call("exec")


def test_plain_reads_have_no_gate() -> None:
    command = REGISTRY.find("get")
    assert command is not None
    assert limiting(command, command.handler) is command.handler
    assert OOM.text.startswith(b"OOM ")


def connected(number: int, size: int, no_evict: bool = False) -> Any:
    link = SimpleNamespace(input_pending=size, output_pending=0, closed=False)
    link.close = lambda flush: setattr(link, "closed", not flush)
    return SimpleNamespace(id=number, connection=link, no_evict=no_evict, is_replica=False, peer=b"127.0.0.1:1")


@pytest.mark.parametrize(("setting", "maxmemory"), [(1000_000, 0), (-10, 10_000_000)])
def test_who_uses_most_goes_first(setting: int, maxmemory: int) -> None:
    clients = [connected(1, 400_000), connected(2, 700_000), connected(3, 300_000), connected(4, 10**9, True)]
    server: Any = SimpleNamespace(
        clients={client.id: client for client in clients},
        config=SimpleNamespace(maxmemory_clients=setting, maxmemory=maxmemory),
        stats=SimpleNamespace(evicted_clients=0),
    )
    assert memory_of(clients[0]) == 400_000
    evict_clients(server)
    assert [client.connection.closed for client in clients] == [False, True, False, False]
    assert server.stats.evicted_clients == 1


def test_clients_may_always_have_a_little() -> None:
    client = connected(1, LEAST_FOR_CLIENTS)
    config = SimpleNamespace(maxmemory_clients=1, maxmemory=0)
    server: Any = SimpleNamespace(clients={1: client}, config=config, stats=SimpleNamespace(evicted_clients=0))
    evict_clients(server)
    config.maxmemory_clients = -10  # of no limit
    evict_clients(server)
    assert not client.connection.closed


def test_sparing() -> None:
    stage = Stage()
    keyspace = Keyspace(1, Clock())
    db = stage.client.db = keyspace.databases[0]
    command = REGISTRY.find("get")
    assert command is not None
    seen: list[bool] = []

    def handler(client: Any, *_arguments: bytes) -> bytes:
        seen.append(isinstance(client.db, TrackedDatabase))
        return b""

    run = sparing(command, handler)
    stage.client.no_touch = True
    run(stage.client, b"k")
    assert type(db) is Database
    keyspace.track()
    run(stage.client, b"k")
    assert isinstance(db, TrackedDatabase)
    stage.client.no_touch = False
    run(stage.client, b"k")
    assert seen == [False, False, True]
    touch = REGISTRY.find("touch")
    assert touch is not None
    assert sparing(touch, handler) is handler
