"""The client of threads: its own duties, on servers in this process."""

from __future__ import annotations

import copy
import gc
import inspect
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import timedelta
from time import monotonic, sleep

import pytest

import respcache
from respcache.client import CacheClient, CacheError
from respcache.client.operations import Operations
from respcache.client.request import Request
from tests.unit.client.fakes import FakeNode, answering

SOON = 10.0


@pytest.fixture(scope="module")
def nodes() -> Iterator[list[str]]:
    with respcache.start(port=0) as a, respcache.start(port=0) as b:
        yield [f"127.0.0.1:{a.port}", f"127.0.0.1:{b.port}"]


@pytest.fixture
def cache(nodes: list[str]) -> Iterator[CacheClient]:
    with CacheClient(nodes, timeout=SOON) as client:
        client.clear()
        yield client


def checking() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "respcache.client"]


def wait_until_none_is_checking() -> None:
    deadline = monotonic() + SOON
    while checking():
        assert monotonic() < deadline
        sleep(0.005)


def test_like_a_dict(cache: CacheClient) -> None:
    cache["a"] = {"goals": 3}
    assert cache["a"] == {"goals": 3}
    assert "a" in cache
    del cache["a"]
    assert "a" not in cache
    with pytest.raises(KeyError):
        cache["a"]
    with pytest.raises(KeyError):
        del cache["a"]
    cache["none"] = None
    assert cache["none"] is None


def test_the_ring_and_the_health(cache: CacheClient, nodes: list[str]) -> None:
    assert cache.ring.nodes == dict.fromkeys(nodes, 1)
    assert {name: health.up for name, health in cache.health().items()} == dict.fromkeys(nodes, True)


def test_what_it_is_called_and_is_not(cache: CacheClient, nodes: list[str]) -> None:
    assert repr(cache) == f"<CacheClient of {nodes[0]}, {nodes[1]}>"
    assert repr(cache.ring) == f"<HashRing of {nodes[0]} (1), {nodes[1]} (1)>"
    assert cache.check() == cache.health()
    with pytest.raises(TypeError, match="not iterable"):
        iter(cache)
    for spoil in (pickle.dumps, copy.copy):
        with pytest.raises(TypeError, match="one in each process"):
            spoil(cache)
    with pytest.raises(TypeError, match="timeout is a number of seconds"):
        cache.get("k", timeout="1")  # type: ignore[arg-type]


def test_names_for_nodes() -> None:
    with (
        respcache.start(port=0) as server,
        CacheClient({"alpha": f"127.0.0.1:{server.port}"}, timeout=timedelta(seconds=SOON)) as cache,
    ):
        assert cache.set("k", 1, expire=timedelta(minutes=1))
        assert cache.get("k") == 1
        assert cache.ring.nodes == {"alpha": 1}


def test_methods_say_what_operations_say() -> None:
    assert CacheClient.get.__doc__ == Operations.get.__doc__
    parameters = list(inspect.signature(CacheClient.get).parameters)
    assert parameters == ["self", "key", "default", "timeout"]


def test_nothing_happens_before_the_first_operation_and_after_close() -> None:
    with FakeNode(answering(b"$-1\r\n")) as fake:
        client = CacheClient([fake.name])
        assert not checking()
        assert fake.accepted == 0
        assert client.get("k") is None
        assert len(checking()) == 1
        client.close()
        wait_until_none_is_checking()
        with pytest.raises(CacheError, match="closed"):
            client.get("k")
        client.close()


def test_a_client_that_is_forgotten_ends_its_checks(nodes: list[str]) -> None:
    client = CacheClient(nodes, check_interval=60)
    client.get("k")
    client._links.close()  # its sockets would warn
    assert checking()
    del client
    gc.collect()
    wait_until_none_is_checking()


def test_the_node_is_checked_without_operations() -> None:
    fake = FakeNode(answering(b"$-1\r\n", b"+PONG\r\n"))
    with CacheClient([fake.name], check_interval=0.01, failures=1) as client:
        with fake:
            client.get("k")
            assert client.health()[fake.name].up
        deadline = monotonic() + SOON
        while client.health()[fake.name].up:
            assert monotonic() < deadline
            sleep(0.005)
        assert client.get("k", "missed") == "missed"


def test_a_check_that_fails_is_not_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    again = threading.Event()
    checks: list[int] = []

    def failing() -> list[Request]:
        checks.append(1)
        if len(checks) == 2:
            again.set()
        raise RuntimeError("can't start new thread")

    with FakeNode(answering(b"$-1\r\n")) as fake, CacheClient([fake.name], check_interval=0.01) as client:
        monkeypatch.setattr(client._operations.fleet, "checks", failing)
        client.get("k")
        assert again.wait(SOON)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_process_has_connections_of_its_own(cache: CacheClient) -> None:
    cache.set("k", "parent")
    process = os.fork()
    if process == 0:
        try:
            for _ in range(50):
                assert cache.get("k") == "parent"
            cache.set("child", len(checking()))
        finally:
            os._exit(0)
    for _ in range(50):
        assert cache.get("k") == "parent"
    os.waitpid(process, 0)
    assert cache.get("child") == 1


def test_a_missing_package_is_named() -> None:
    code = "import sys; sys.modules['redis'] = None; import respcache; import respcache.client"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "respcache.client needs the package redis: pip install 'respcache[client]'" in done.stderr


def test_the_server_does_not_import_it_and_it_not_the_server() -> None:
    code = (
        "import sys, respcache; assert not {'redis', 'msgpack'} & sys.modules.keys();"
        "import respcache.client; assert not {'respcache.server', 'respcache.store'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
