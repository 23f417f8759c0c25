"""Payloads of DUMP that were damaged: RESTORE refuses them, or they are other values, as good as any."""

from __future__ import annotations

import random

import pytest

from respcache.persistence.payload import seal, unseal
from tests.commands.test_debug import VALUES
from tests.commands.test_dump import BAD_CHECKSUM, BAD_FORMAT, digest, make
from tests.servers import Server
from tests.wire import OK, Wire


def payloads(c: Wire) -> dict[str, bytes]:
    found = {}
    for kind in VALUES:
        c("DEL", "k")
        make(c, kind)
        found[kind] = c("DUMP", "k")
    return found


def test_what_is_cut_off(c: Wire) -> None:
    for payload in payloads(c).values():
        c("DEL", "k")
        for size in range(len(payload)) if len(payload) < 400 else range(0, len(payload), 53):
            assert c("RESTORE", "k", 0, payload[:size]) == BAD_CHECKSUM


@pytest.mark.since("7.4")  # older servers crash
def test_what_is_cut_off_and_sealed_again(c: Wire) -> None:
    for kind, payload in payloads(c).items():
        c("DEL", "k")
        body = unseal(payload)
        for size in range(1, len(body)) if len(body) < 400 else range(1, len(body), 53):
            assert c("RESTORE", "k", 0, seal(body[0], body[1:size])) == BAD_FORMAT, (kind, size)


@pytest.mark.since("7.4")  # older servers crash
def test_what_is_damaged_and_sealed_again(c: Wire, server: Server) -> None:
    """It is refused, or it is another value, as good as any."""
    some = random.Random(1)
    bodies = [unseal(payload) for payload in payloads(c).values()]
    for _ in range(1500):
        body = bytearray(some.choice(bodies))
        for _ in range(some.choice((1, 1, 2, 5))):
            body[some.randrange(len(body))] = some.choice((some.randrange(256), 0xFF, 0x81, 0xC3, 0))
        c("DEL", "k")
        reply = c("RESTORE", "k", 0, seal(body[0], bytes(body[1:])))
        assert reply in (OK, BAD_FORMAT)
        if reply == OK:
            again = c("DUMP", "k")
            seen = digest(c)
            assert c("RESTORE", "k", 0, again, "REPLACE") == OK, body
            assert digest(c) == seen
    assert server.log.count("Traceback") == 0
