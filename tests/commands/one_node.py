"""A cluster of one node of each kind, in place of the shared servers, for a whole module of tests:

    from tests.commands.one_node import shared_oracle, shared_respcache  # noqa: F401

Before each test the node is new: it owns nothing, knows nobody, and has an id that it never had. `own_all(c)` makes it
the owner of all slots, and waits until the cluster is ok.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.conftest import SharedServer
from tests.servers import Server, start_redis, start_respcache
from tests.wire import OK, Error, Verbatim, Wire

OPTIONS = ("--cluster-enabled", "yes", "--cluster-node-timeout", 500, "--enable-debug-command", "yes")
LAST = 16383


class SharedNode(SharedServer):
    """A node that many tests use one after another."""

    def reset(self) -> None:
        """Make the node as new."""
        with Wire(self.server.port) as c:
            c.pipeline([("CLIENT", "UNPAUSE"), ("RESET",), ("FLUSHALL",)])
            assert c("CLUSTER", "RESET", "HARD") == OK
        super().reset()


def _shared(server: Server) -> Iterator[SharedNode]:
    with server:
        yield SharedNode(server)


@pytest.fixture(scope="module")
def shared_respcache() -> Iterator[SharedNode]:
    yield from _shared(start_respcache(*OPTIONS))


@pytest.fixture(scope="module")
def shared_oracle() -> Iterator[SharedNode]:
    yield from _shared(start_redis(*OPTIONS))


def text(c: Wire, *words: str | int) -> str:
    """A reply that is text: a bulk string, in RESP3 a verbatim one."""
    reply = c(*words)
    assert not isinstance(reply, Error), reply
    assert isinstance(reply, Verbatim if c.protocol == 3 else bytes)
    return (reply.data if isinstance(reply, Verbatim) else reply).decode()


def cluster_info(c: Wire) -> dict[str, str]:
    """CLUSTER INFO by name."""
    lines = text(c, "CLUSTER", "INFO").split("\r\n")
    assert lines.pop() == ""
    return dict(line.split(":") for line in lines)


def own_all(c: Wire) -> None:
    """Makes the node the owner of all slots, and waits until it is ok: half a second, as if it had been cut off."""
    assert c("CLUSTER", "ADDSLOTSRANGE", 0, LAST) == OK
    deadline = time.monotonic() + 5
    while cluster_info(c)["cluster_state"] != "ok":
        assert time.monotonic() < deadline
        time.sleep(0.01)


def my_id(c: Wire) -> str:
    """The id of the node."""
    return str(c("CLUSTER", "MYID").decode())
