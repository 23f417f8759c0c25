"""Tables: what names mean in each mode, and what a layer changes."""

from __future__ import annotations

import pytest

from respcache.config import ConfigError, Line, Rename
from respcache.dispatch import GATES, LAYERS, Dispatcher, Layer
from respcache.features.blocking import Disconnect
from respcache.features.stats import Stats
from respcache.protocol.errors import ReplyError
from respcache.registry import BRIEF, REGISTRY, Command, Handler
from respcache.server import Server
from respcache.table import Gone


@pytest.fixture
def dispatcher() -> Dispatcher:
    Server(port=0)  # whose import fills the registry
    layers = LAYERS | {"first": answering(b"1"), "second": answering(b"2")}
    return Dispatcher(REGISTRY, Stats(), layers=layers, gates=GATES | {"gate": answering(b"gate ")})


def answering(text: bytes) -> Layer:
    """A layer around PING and CLIENT ID that puts a text before the reply."""

    def layer(command: Command, handler: Handler) -> Handler:
        if command.name not in ("ping", "client|id"):
            return handler
        return lambda client, *arguments: text + handler(client, *arguments)

    return layer


def test_names(dispatcher: Dispatcher) -> None:
    mode = dispatcher.normal
    assert mode.table[b"ping"] is mode.table[b"PING"] is mode.entries[b"ping"]
    assert b"Ping" not in mode.table  # the careful way finds it
    assert b"client" not in mode.table
    assert b"CLIENT" not in mode.table
    assert mode.subcommands[b"client"][b"id"].command is REGISTRY.find("client|id")
    assert b"ping" not in mode.subcommands
    assert mode.entries.keys() == REGISTRY.commands.keys()


def test_what_is_not_listed_runs_all_the_same(dispatcher: Dispatcher) -> None:
    client = REGISTRY.commands[b"client"]
    assert b"maint_notifications" not in client.subcommands
    assert REGISTRY.find("client|maint_notifications") is None
    entry = dispatcher.normal.subcommands[b"client"][b"maint_notifications"]
    assert entry.command.parent is client


def test_a_layer_changes_tables_in_place(dispatcher: Dispatcher) -> None:
    mode = dispatcher.normal
    table, ping, own = mode.table, mode.table[b"PING"], mode.subcommands[b"client"][b"id"]
    plain = ping.run
    dispatcher.switch("first", True)
    dispatcher.switch("second", True)
    assert mode.table is table
    assert table[b"ping"] is ping
    client = _Muted(False)
    assert ping.run(client) == b"21" + plain(client)
    assert own.run is not own.command.handler
    assert table[b"GET"].run is table[b"GET"].command.handler
    dispatcher.switch("first", False)
    assert ping.run(client) == b"2" + plain(client)
    dispatcher.switch("second", False)
    dispatcher.switch("second", False)
    assert ping.run is plain


def test_the_order_is_that_of_the_table(dispatcher: Dispatcher) -> None:
    ping, client = dispatcher.normal.table[b"PING"], _Muted(False)
    for name in ("gate", "second", "first"):
        dispatcher.switch(name, True)
    assert ping.run(client) == b"gate 21+PONG\r\n"


def test_a_gate_stands_before_what_is_queued(dispatcher: Dispatcher) -> None:
    ping = dispatcher.queueing.table[b"PING"]
    queued = ping.run
    dispatcher.switch("first", True)
    assert ping.run.__qualname__ == queued.__qualname__
    dispatcher.switch("gate", True)
    assert ping.run.__qualname__ != queued.__qualname__


def test_monitors_take_the_fast_tables_away(dispatcher: Dispatcher) -> None:
    mode = dispatcher.normal
    table, get = mode.table, mode.entries[b"get"]
    plain = get.run
    dispatcher.switch("monitor", True)
    dispatcher.switch("monitor", True)
    assert mode.table is table
    assert table == {}
    assert mode.entries[b"get"] is get
    assert get.run is not plain
    dispatcher.switch("monitor", False)
    assert table[b"GET"] is get
    assert get.run is plain


def test_modes_share_statistics(dispatcher: Dispatcher) -> None:
    entries = [mode.table[b"GET"] for mode in (dispatcher.normal, dispatcher.unauthenticated)]
    entries.append(dispatcher.mute(dispatcher.normal).table[b"GET"])
    assert len({id(entry.stats) for entry in entries}) == 1
    assert entries[0].stats is dispatcher.stats.commands["get"]
    assert len({id(entry) for entry in entries}) == 3


def test_exact_timing(dispatcher: Dispatcher) -> None:
    table = dispatcher.normal.table
    assert not table[b"GET"].lone
    assert table[b"MGET"].lone
    assert all(entry.lone is not bool(entry.command.flags & BRIEF) for entry in table.values())
    dispatcher.exact_timing = True
    dispatcher.compile()
    assert all(entry.lone for entry in table.values())


def test_muted_modes(dispatcher: Dispatcher) -> None:
    muted = dispatcher.mute(dispatcher.normal)
    assert muted is not dispatcher.normal
    assert dispatcher.mute(dispatcher.normal) is muted
    assert dispatcher.mute(muted) is muted
    assert dispatcher.mute(dispatcher.unauthenticated) is not muted
    dispatcher.switch("first", True)
    assert muted.table[b"PING"].run(_Muted(False)) == b"1+PONG\r\n"
    assert muted.table[b"PING"].run(_Muted(True)) == b""
    for swallows, reply in ((False, b"+OK\r\n"), (True, b"")):
        with pytest.raises(Disconnect) as goodbye:
            muted.table[b"QUIT"].run(_Muted(swallows))
        assert goodbye.value.reply == reply


class _Muted:
    """As much of a client as the layer asks for."""

    def __init__(self, swallows: bool) -> None:
        self.swallow = lambda: swallows
        self.subscriber = None


class _Stranger:
    """A client that has not authenticated."""

    def __init__(self, password: str) -> None:
        self.server = Server(port=0, requirepass=password).state
        self.user = b"default"
        self.subscriber = None
        self.logged_in = False

    def log_in(self, _user: bytes) -> None:
        self.logged_in = True


def test_strangers(dispatcher: Dispatcher) -> None:
    table = dispatcher.unauthenticated.table
    for arguments, error in (
        ((), b"ERR wrong number of arguments for 'get' command"),
        ((b"k",), b"NOAUTH Authentication required."),
    ):
        with pytest.raises(ReplyError) as refusal:
            table[b"GET"].run(_Stranger("secret"), *arguments)
        assert refusal.value.text == error
    with pytest.raises(ReplyError, match=r"'client\|id'"):
        dispatcher.unauthenticated.subcommands[b"client"][b"id"].run(_Stranger("secret"), b"x")
    for name in (b"AUTH", b"HELLO", b"QUIT", b"RESET"):
        assert table[name].run is table[name].command.handler
    stranger = _Stranger("")
    assert table[b"PING"].run(stranger) == b"+PONG\r\n"
    assert stranger.logged_in


def test_a_pause_is_a_layer(dispatcher: Dispatcher) -> None:
    table = dispatcher.normal.table
    plain = {name: entry.run for name, entry in table.items()}
    dispatcher.pause(False)
    assert table[b"GET"].run is plain[b"GET"]
    assert table[b"SET"].run is not plain[b"SET"]
    with pytest.raises(ReplyError, match="wrong number"):
        table[b"SET"].run(None, b"k")
    dispatcher.pause(True)
    assert all(entry.run is not plain[name] for name, entry in table.items())
    dispatcher.pause(None)
    assert all(entry.run is plain[name] for name, entry in table.items())


def test_the_table_of_the_closed() -> None:
    with pytest.raises(Disconnect):
        Gone()[b"PING"]


def rename(*pairs: tuple[str, str]) -> Dispatcher:
    return Dispatcher(REGISTRY, Stats(), [Rename(old, new, Line("a.conf", 1, "x")) for old, new in pairs])


def test_renamed_commands(dispatcher: Dispatcher) -> None:
    mode = rename(("GET", "Foo"), ("append", ""), ("client", "klient"), ("set", "GET")).normal
    assert mode.table[b"foo"] is mode.table[b"FOO"] is mode.entries[b"foo"]
    assert mode.entries[b"foo"].command.name == "get"
    assert mode.table[b"GET"].command.name == "set"
    assert b"set" not in mode.entries
    assert b"append" not in mode.entries
    assert b"APPEND" not in mode.table
    assert mode.subcommands[b"klient"][b"id"].command.name == "client|id"
    assert b"client" not in mode.subcommands
    assert b"append" in dispatcher.normal.entries  # of another server


@pytest.mark.parametrize(
    ("pairs", "reason"),
    [
        ([("nosuch", "x")], "No such command in rename-command"),
        ([("get", "x"), ("get", "y")], "No such command in rename-command"),
        ([("config|get", "x")], "No such command in rename-command"),
        ([("get", "set")], "Target command name already exists"),
    ],
)
def test_renames_that_are_refused(pairs: list[tuple[str, str]], reason: str) -> None:
    with pytest.raises(ConfigError) as caught:
        rename(*pairs)
    expected = f"*** FATAL CONFIG FILE ERROR ***\nReading a.conf, at line 1\n>>> 'x'\n{reason}"
    assert str(caught.value) == expected
