"""The layers of MONITOR: which calls are shown. What lines look like is in features/test_monitor.py."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

import respcache.commands  # noqa: F401 - fills the registry
from respcache.clock import Clock
from respcache.features.blocking import Disconnect, Pause
from respcache.monitoring import as_replica, monitoring
from respcache.protocol.errors import SYNTAX, Rejection
from respcache.registry import REGISTRY


class Stage:
    """A client, with what was shown of it."""

    def __init__(self, unix: bool = False) -> None:
        self.shown: list[tuple[int, bytes, list[bytes]]] = []
        monitors = SimpleNamespace(feed=lambda *words: self.shown.append(words))
        server = SimpleNamespace(monitors=monitors, clock=Clock(lambda: 5))
        peer = b"path:0" if unix else b"127.0.0.1:9"
        db = SimpleNamespace(index=3)
        self.client: Any = SimpleNamespace(server=server, unix=unix, peer=peer, db=db, names=[b"gEt"])

    def call(self, name: str, *arguments: bytes, failing: Exception | None = None) -> None:
        def handler(_client: Any, *_arguments: bytes) -> bytes:
            if failing is not None:
                raise failing
            return b""

        command = REGISTRY.find(name)
        assert command is not None
        monitoring(command, handler)(self.client, *arguments)


def test_shown_as_spelled() -> None:
    stage = Stage()
    stage.call("get", b"k")
    assert stage.shown == [(5000, b"3 127.0.0.1:9", [b"gEt", b"k"])]


def test_unix_socket() -> None:
    stage = Stage(unix=True)
    stage.call("get", b"k")
    assert stage.shown[0][1] == b"3 unix:path"


def test_queued_commands_in_upper_case() -> None:
    stage = Stage()
    stage.client.names = ()  # nobody monitored when it was queued
    stage.call("client|id")
    assert stage.shown[0][2] == [b"CLIENT", b"ID"]


@pytest.mark.parametrize(
    ("failing", "is_shown"),
    [
        (SYNTAX, True),
        (ValueError(), True),
        (Disconnect(), True),
        (Pause(retry=False), True),
        (Pause(retry=True), False),
        (Rejection(b"ERR no"), False),
    ],
)
def test_failures(failing: Exception, is_shown: bool) -> None:
    stage = Stage()
    with pytest.raises(type(failing)):
        stage.call("get", b"k", failing=failing)
    assert bool(stage.shown) == is_shown


def test_wrong_arity_is_not_shown() -> None:
    stage = Stage()
    with pytest.raises(TypeError):
        stage.call("get", failing=TypeError())
    assert stage.shown == []


def test_whose_commands_are_not_wrapped() -> None:
    for name in ("config|get", "monitor", "debug"):
        command = REGISTRY.find(name)
        assert command is not None
        assert monitoring(command, command.handler) is command.handler


def test_monitors_leave_keys_alone() -> None:
    get, ping, config = (REGISTRY.find(name) for name in ("get", "ping", "config|get"))
    assert get and ping and config
    assert as_replica(ping, ping.handler) is ping.handler
    assert as_replica(config, config.handler) is config.handler
    refuse = as_replica(get, get.handler)
    with pytest.raises(Rejection, match="Replica can't interact"):
        refuse(None, b"k")
    with pytest.raises(Rejection, match="wrong number"):
        refuse(None)
