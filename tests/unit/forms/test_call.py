"""What forms are told of a call, and their table."""

from __future__ import annotations

import pytest

from respcache.forms import FORMS, Call
from respcache.forms.call import form
from respcache.propagating import FOR_REPLICAS, VERBATIM
from respcache.registry import MAY_REPLICATE, REGISTRY, WRITE
from tests.propagation import START, Origin


def test_each_command_that_writes_has_one_place() -> None:
    commands = {command.name for command in REGISTRY if command.flags & (WRITE | MAY_REPLICATE)}
    places = [*VERBATIM, *FORMS, *FOR_REPLICAS]
    assert len(places) == len(set(places))
    assert commands == set(places)


def test_a_form_is_declared_once() -> None:
    with pytest.raises(ValueError, match="'set' has two forms"):
        form("set")(lambda _call: ())


def test_replies_are_read(origin: Origin) -> None:
    client = origin.connection.client
    for reply, value in (
        (b"*2\r\n$1\r\na\r\n:1\r\n", [b"a", 1]),
        (b"~2\r\n$1\r\na\r\n$1\r\na\r\n", [b"a", b"a"]),
        (b"%2\r\n$1\r\na\r\n*0\r\n$1\r\na\r\n:1\r\n", [b"a", [], b"a", 1]),
        (b"*-1\r\n", None),
        (b"_\r\n", None),
    ):
        assert Call(client, (), reply, 1).parsed() == value


def test_values_are_not_looked_up(origin: Origin) -> None:
    origin("SET", "k", "v", "PX", "10")
    origin.taken()
    call = Call(origin.connection.client, (), b"", 1)
    origin.now += 100
    assert call.value(b"k") == b"v" and call.value(b"none") is None
    assert call.deadline(b"k") == b"%d" % (START + 10)
    assert origin.lines() == []
