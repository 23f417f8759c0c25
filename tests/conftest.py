"""Fixtures shared by all tests: one server of each kind for the session, left clean for each test.

Markers, decided at collection so that nothing is reported as skipped:

    @pytest.mark.since("7.4")    only servers of at least this version; an older oracle is left out
    @pytest.mark.protocol(3)     only this version of RESP
    @pytest.mark.programs("rq")  only where this package is installed
"""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Iterator
from typing import Any

import pytest

import respcache.commands  # noqa: F401 - fills the registry
from respcache.registry import REGISTRY
from tests.servers import (
    HAVE_ORACLE,
    Server,
    Version,
    oracle_line,
    oracle_version,
    parse_version,
    start_redis,
    start_respcache,
)
from tests.wire import Error, Pair, Wire, pairs

# What a test may leave behind besides keys and configuration. A server may not know all of it: errors are
# ignored.
_CLEAN_UP = (
    ("CLIENT", "UNPAUSE"),
    ("REPLICAOF", "NO", "ONE"),
    ("FUNCTION", "FLUSH"),
    ("SCRIPT", "FLUSH"),
    ("SLOWLOG", "RESET"),
    ("LATENCY", "RESET"),
    ("ACL", "LOG", "RESET"),
    ("DEBUG", "SET-ACTIVE-EXPIRE", "1"),
)


class SharedServer:
    """A server that many tests use one after another."""

    def __init__(self, server: Server) -> None:
        self.server = server
        with Wire(server.port) as c:
            self._config = pairs(c("CONFIG", "GET", "*"))
            self._users = c("ACL", "LIST")

    def reset(self) -> None:
        """Make the server as new: no keys or clients, its first configuration and users.

        A server that cannot be reset so, perhaps since it wants a password now, is started again.
        """
        try:
            with Wire(self.server.port) as c:
                self._reset(c)
        except (OSError, EOFError, AssertionError):
            self.server.stop()
            self.server.start()

    def _reset(self, c: Wire) -> None:
        *_, config, users, flushed = c.pipeline(
            [*_CLEAN_UP, ("CONFIG", "GET", "*"), ("ACL", "LIST"), ("FLUSHALL",)]
        )
        assert not isinstance(flushed, Error), flushed
        changed = self._config.items() - pairs(config).items()
        if changed:
            reply = c("CONFIG", "SET", *[part for item in changed for part in item])
            assert not isinstance(reply, Error), reply
        if users != self._users:
            self._reset_users(c, users)
        # Connections of the last test: closed on our side, perhaps not yet seen by the server.
        deadline = time.monotonic() + 2
        while c("CLIENT", "LIST").count(b"\n") > 1:
            assert time.monotonic() < deadline, "clients of the last test are still connected"
            time.sleep(0.001)
        c("QUIT")
        assert c.closed()

    def _reset_users(self, c: Wire, users: list[bytes]) -> None:
        for user in users:
            _, name, *_rules = user.split()
            if name != b"default":
                c("ACL", "DELUSER", name)
        for user in set(self._users) - set(users):
            _, name, *rules = user.split()
            # Not `reset`: it turns on `sanitize-payload`, which nothing turns off, and ACL LIST shows.
            c("ACL", "SETUSER", name, "resetpass", "clearselectors", *rules)
        assert c("ACL", "LIST") == self._users


def _shared(server: Server) -> Iterator[SharedServer]:
    with server:
        yield SharedServer(server)


@pytest.fixture(scope="session")
def shared_respcache() -> Iterator[SharedServer]:
    yield from _shared(start_respcache("--enable-debug-command", "yes"))


@pytest.fixture(scope="session")
def shared_oracle() -> Iterator[SharedServer]:
    yield from _shared(start_redis("--enable-debug-command", "yes"))


def still_alive(*servers: SharedServer) -> None:
    """Fail the test after which a shared server is gone, and start the server again."""
    for shared in servers:
        if not shared.server.alive:
            log = shared.server.log[-3000:]
            shared.server.start()
            pytest.fail(f"{shared.server!r} died during this test; its log ends:\n{log}")


@pytest.fixture
def pair(
    request: pytest.FixtureRequest, shared_respcache: SharedServer, shared_oracle: SharedServer
) -> Iterator[Pair]:
    """Connections to our server and to the oracle, in the same protocol; not collected without an oracle."""
    for shared in (shared_respcache, shared_oracle):
        shared.reset()
    with (
        Wire(shared_respcache.server.port, protocol=request.param) as ours,
        Wire(shared_oracle.server.port, protocol=request.param) as oracle,
    ):
        yield Pair(ours, oracle)
    still_alive(shared_respcache, shared_oracle)


def protocols(test: pytest.Item) -> list[int]:
    """The versions of RESP that a test is for."""
    mark = test.get_closest_marker("protocol")
    return list(mark.args) if mark else [2, 3]


def oracle_knows(test: pytest.Item) -> bool:
    """Whether there is an oracle, as new as the test wants it."""
    version: Version | None = oracle_version()
    if version is None:
        return False
    return all(version >= parse_version(mark.args[0]) for mark in test.iter_markers("since"))


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "since(version): only for servers of at least this version")
    config.addinivalue_line("markers", "needs(*commands): left out on respcache until it has them")
    config.addinivalue_line("markers", "programs(*packages): left out where one is not installed")
    config.addinivalue_line("markers", "protocol(*versions): only these versions of RESP, of 2 and 3")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "pair" in metafunc.fixturenames:
        versions = protocols(metafunc.definition)
        metafunc.parametrize("pair", versions, indirect=True, ids=[f"resp{version}" for version in versions])


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    left_out = {item for item in items if not _possible(item)}
    if left_out:
        config.hook.pytest_deselected(items=list(left_out))
        items[:] = [item for item in items if item not in left_out]


def _possible(item: pytest.Item) -> bool:
    """Whether the servers of a test have what it is about."""
    programs = [name for mark in item.iter_markers("programs") for name in mark.args]
    if not all(importlib.util.find_spec(name) for name in programs):
        return False
    fixtures = getattr(item, "fixturenames", ())
    if "pair" in fixtures and not oracle_knows(item):
        return False
    parameters = item.callspec.params if hasattr(item, "callspec") else {}
    if "oracle" in (parameters.get("target", ("",))[0], parameters.get("kind")):
        return True
    needed = [name for mark in item.iter_markers("needs") for name in mark.args]
    if "wrong" in fixtures:
        needed.append("rpush")
    return all(REGISTRY.find(name) is not None for name in needed)


def pytest_report_header(config: pytest.Config) -> str:
    return oracle_line()


def pytest_terminal_summary(terminalreporter: Any) -> None:
    # With -q there is no header.
    if not terminalreporter.showheader and not HAVE_ORACLE:
        terminalreporter.write_line(oracle_line())
