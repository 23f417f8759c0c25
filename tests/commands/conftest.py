"""Every test of a command runs on {respcache, oracle} x {RESP2, RESP3}.

    def test_get(c: Wire) -> None:
        assert c("GET", "nothing") == c.null

The two servers live as long as the session and are made as new before each test. A test that ends a server
or starts it with other arguments has its own: `with start_respcache(...) as server`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from tests.conftest import SharedServer, oracle_knows, protocols, still_alive
from tests.servers import Server
from tests.wire import Wire


@dataclass
class Connect:
    """Opens connections to the server of the test: `connect()`, in the test's protocol unless told."""

    server: Server
    protocol: int
    opened: list[Wire] = field(default_factory=list)

    def __call__(self, *, protocol: int | None = None) -> Wire:
        wire = Wire(self.server.port, protocol=protocol or self.protocol)
        self.opened.append(wire)
        return wire


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "target" not in metafunc.fixturenames:
        return
    kinds = ["respcache", "oracle"] if oracle_knows(metafunc.definition) else ["respcache"]
    targets = [(kind, protocol) for kind in kinds for protocol in protocols(metafunc.definition)]
    metafunc.parametrize(
        "target", targets, indirect=True, ids=[f"{kind}-resp{protocol}" for kind, protocol in targets]
    )


@pytest.fixture
def target(request: pytest.FixtureRequest) -> Iterator[tuple[SharedServer, int]]:
    """The clean server and the protocol of this test."""
    kind, protocol = request.param
    # By name: the other server need not exist, and starts only if a test wants it.
    shared: SharedServer = request.getfixturevalue(f"shared_{kind}")
    shared.reset()
    yield shared, protocol
    still_alive(shared)


@pytest.fixture
def server(target: tuple[SharedServer, int]) -> Server:
    """The server of this test: `.is_oracle`, `.version` as `(7, 0, 15)`, `.port`, `.pid`, `.log`."""
    return target[0].server


@pytest.fixture
def connect(target: tuple[SharedServer, int]) -> Iterator[Connect]:
    """More connections to the same server, closed after the test."""
    shared, protocol = target
    connect = Connect(shared.server, protocol)
    yield connect
    for wire in connect.opened:
        wire.close()


@pytest.fixture
def c(connect: Connect) -> Wire:
    """A fresh connection."""
    return connect()


@pytest.fixture
def wrong(c: Wire) -> str:
    """A key that holds a list, for commands that want something else."""
    assert c("RPUSH", "list", "a") == 1
    return "list"
