"""`respcache cluster` as a process: it starts, resumes and stops real nodes, ours and redis-server's."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis.cluster import RedisCluster

from tests.servers import HAVE_ORACLE, ROOT, free_port, start_redis, start_respcache
from tests.wire import Wire

READY = 60.0
PROGRAMS = [
    pytest.param((), id="respcache"),
    pytest.param(
        ("--program", "redis-server"),
        id="redis-server",
        marks=[pytest.mark.skipif(not HAVE_ORACLE, reason="no redis-server"), pytest.mark.long],
    ),
]
NODE = re.compile(r"^127\.0\.0\.1:(\d+)  (master|replica of 127\.0\.0\.1:\d+) +(\S+) +(\d+)  (\S+)$", re.MULTILINE)


def free_ports(count: int) -> int:
    """The first of so many free ports in a row."""
    for _ in range(100):
        first = free_port()
        with contextlib.suppress(OSError):
            import socket

            for port in range(first, first + count):
                for each in (port, port + 10000):
                    socket.create_server(("127.0.0.1", each)).close()
            return first
    raise RuntimeError("no free ports")


class Run:
    """`respcache cluster` with these arguments, its output kept in files."""

    def __init__(self, place: Path, *words: str, **environment: str) -> None:
        self.out, self.err = place / "out", place / "err"
        path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
        with self.out.open("w") as out, self.err.open("w") as err:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "respcache", "cluster", *words],
                stdout=out,
                stderr=err,
                stdin=subprocess.DEVNULL,
                cwd=place,
                env={**os.environ, "PYTHONPATH": path, **environment},
            )

    def ready(self) -> Run:
        deadline = time.monotonic() + READY
        while "Ready after" not in self.out.read_text():
            assert self.process.poll() is None, self.err.read_text()
            assert time.monotonic() < deadline, self.err.read_text()
            time.sleep(0.05)
        return self

    @property
    def nodes(self) -> dict[int, tuple[str, str, int, Path]]:
        """Port -> role, slots, pid, directory, of the table."""
        found = NODE.findall(self.out.read_text())
        return {int(port): (role, slots, int(pid), Path(place)) for port, role, slots, pid, place in found}

    def told(self, text: str, seconds: float = 10.0) -> None:
        deadline = time.monotonic() + seconds
        while text not in self.err.read_text():
            assert time.monotonic() < deadline, self.err.read_text()
            time.sleep(0.02)

    def stop(self, number: signal.Signals = signal.SIGINT) -> int:
        self.process.send_signal(number)
        return self.process.wait(20)


@contextlib.contextmanager
def running(place: Path, *words: str, **environment: str) -> Iterator[Run]:
    run = Run(place, *words, **environment)
    try:
        yield run
    finally:
        if run.process.poll() is None:
            run.stop(signal.SIGTERM)


def gone(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return True
    return state == "Z"


def wait_gone(pids: list[int], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not all(map(gone, pids)):
        assert time.monotonic() < deadline, "some nodes run on"
        time.sleep(0.02)


def ids(run: Run) -> dict[int, str]:
    found = {}
    for port in run.nodes:
        with Wire(port) as c:
            found[port] = c("CLUSTER", "MYID").decode()
    return found


@pytest.mark.parametrize("program", PROGRAMS)
def test_six_nodes_stopped_and_resumed(tmp_path: Path, program: tuple[str, ...]) -> None:
    first = free_ports(6)
    place = tmp_path / "data"
    with running(tmp_path, "--dir", str(place), "--base-port", str(first), *program) as run:
        run.ready()
        nodes = run.nodes
        assert [*nodes] == [*range(first, first + 6)]
        assert [slots for _, slots, _, _ in nodes.values()][:3] == ["0-5460", "5461-10922", "10923-16383"]
        assert [nodes[first + n][0] for n in (3, 4, 5)] == [f"replica of 127.0.0.1:{first + n}" for n in range(3)]
        assert all(where == place / str(port) for port, (_, _, _, where) in nodes.items())
        client = RedisCluster("127.0.0.1", first)
        for n in range(100):
            client.set(f"key:{n}", n)
        client.close()
        before = ids(run)
        assert run.stop() == 0
        assert run.err.read_text().endswith("Stopped.\n")
        wait_gone([pid for _, _, pid, _ in nodes.values()], 0)
    with running(tmp_path, "--dir", str(place), *program) as run:
        run.ready()
        assert ids(run) == before
        assert [slots for _, slots, _, _ in run.nodes.values()][:3] == ["0-5460", "5461-10922", "10923-16383"]
        client = RedisCluster("127.0.0.1", first)
        assert [client.get(f"key:{n}") for n in range(100)] == [b"%d" % n for n in range(100)]
        client.close()
        assert run.stop(signal.SIGTERM) == 0


def test_grown_and_missing_a_node(tmp_path: Path) -> None:
    """What was kept without a log is there with one, too; new nodes come; a node that is away is named."""
    first = free_ports(4)
    place = tmp_path / "data"
    words = ("--dir", str(place), "--base-port", str(first), "--cluster-node-timeout", "1000")
    with running(tmp_path, "--nodes", "3", *words) as run:
        run.ready()
        client = RedisCluster("127.0.0.1", first)
        for n in range(20):
            client.set(f"key:{n}", n)
        client.close()
        assert run.stop() == 0
    with running(tmp_path, *words, "--nodes=4", "--appendonly", "yes") as run:
        run.ready()
        assert run.nodes[first + 3][:2] == ("master", "-")
        assert f"Without slots: 127.0.0.1:{first + 3}. " in run.out.read_text()
        client = RedisCluster("127.0.0.1", first)
        assert [client.get(f"key:{n}") for n in range(20)] == [b"%d" % n for n in range(20)]
        client.close()
        assert run.stop() == 0
    (place / str(first + 1)).rename(tmp_path / "away")
    with running(tmp_path, "--dir", str(place)) as run:
        run.told(f"nobody reaches 127.0.0.1:{first + 1}, which has the slots 5461-10922. ")
        deadline = time.monotonic() + 5
        while "Started, but not ok." not in run.out.read_text():
            assert time.monotonic() < deadline
            time.sleep(0.02)
        with Wire(first) as c:
            assert c("CONFIG", "GET", "appendonly")[1] == b"yes"
        assert run.stop() == 0


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_node_that_dies_is_told_of(tmp_path: Path, program: tuple[str, ...]) -> None:
    first = free_ports(6)
    timeout = ("--cluster-node-timeout", "1000")
    with running(tmp_path, "--base-port", str(first), *timeout, *program) as run:
        run.ready()
        os.kill(run.nodes[first][2], signal.SIGKILL)
        run.told(f"127.0.0.1:{first} has ended: killed by SIGKILL. Its log: {run.nodes[first][3] / 'node.log'}")
        run.told("To start it again, in another terminal:\n")
        deadline = time.monotonic() + 15
        with Wire(first + 3) as c:
            while c("ROLE")[0] != b"master":
                assert time.monotonic() < deadline, "its replica does not take over"
                time.sleep(0.05)
        directory = run.nodes[first][3].parent
        assert run.stop() == 0
        assert not directory.exists()


def test_one_node(tmp_path: Path) -> None:
    first = free_ports(1)
    with running(tmp_path, "--nodes", "1", "--base-port", str(first)) as run:
        run.ready()
        client = RedisCluster("127.0.0.1", first)
        client.set("a", 1)
        assert client.get("a") == b"1"
        client.close()
        assert run.stop() == 0


def test_a_password(tmp_path: Path) -> None:
    first = free_ports(2)
    words = ("--nodes", "2", "--replicas", "1", "--requirepass", "secret")
    with running(tmp_path, *words, "--base-port", str(first)) as run:
        run.ready()
        assert "Warning: with 1 master no replica takes over" in run.err.read_text()
        assert "secret" not in run.out.read_text() + run.err.read_text()
        assert run.stop() == 0


def test_the_parent_sleeps_and_its_nodes_do_not_outlive_it(tmp_path: Path) -> None:
    first = free_ports(3)
    with running(tmp_path, "--nodes", "3", "--dir", "data", "--base-port", str(first)) as run:
        run.ready()
        status = Path(f"/proc/{run.process.pid}/status")
        if status.exists():
            time.sleep(0.2)
            before = re.findall(r"ctxt_switches:.*", status.read_text())
            time.sleep(1)
            assert re.findall(r"ctxt_switches:.*", status.read_text()) == before
        run.process.kill()
        run.process.wait()
        wait_gone([pid for _, _, pid, _ in run.nodes.values()])


def test_a_second_signal_kills(tmp_path: Path) -> None:
    first = free_ports(1)
    with running(tmp_path, "--nodes", "1", "--base-port", str(first)) as run:
        run.ready()
        pid = run.nodes[first][2]
        os.kill(pid, signal.SIGSTOP)
        run.process.send_signal(signal.SIGINT)
        run.told("stopping 1 node")
        time.sleep(0.2)
        assert not gone(pid)
        run.stop()
        assert gone(pid)
        assert run.err.read_text().endswith("Killed.\n")


def test_a_signal_while_it_starts(tmp_path: Path) -> None:
    first = free_ports(6)
    with running(tmp_path, "--base-port", str(first)) as run:
        run.told("waiting for the nodes")
        assert run.stop() == 0
        assert run.out.read_text() == ""


def test_ports_that_are_taken(tmp_path: Path) -> None:
    first = free_ports(3)
    with (
        start_respcache(port=first + 1),
        running(tmp_path, "--nodes", "3", "--base-port", str(first), "--dir", "data") as run,
    ):
        assert run.process.wait(10) == 1
        assert run.err.read_text() == (
            f"respcache cluster: this port is taken: {first + 1}. Nothing was started; "
            "choose others with --base-port\n"
        )
        assert [*(tmp_path / "data").iterdir()] == []


@pytest.mark.skipif(not HAVE_ORACLE, reason="no redis-server")
def test_nodes_that_do_not_start(tmp_path: Path) -> None:
    first = free_ports(1)
    words = ("--nodes", "1", "--base-port", str(first), "--program", "redis-server", "--no-such", "1")
    with running(tmp_path, *words) as run:
        assert run.process.wait(10) == 1
        err = run.err.read_text()
        assert f"respcache cluster: 127.0.0.1:{first} has ended: exit code 1. Its log ends:\n" in err
        assert "Bad directive or wrong number of arguments" in err
        assert "Traceback" not in err


@pytest.mark.parametrize("kind", ["respcache", pytest.param("redis-server", marks=PROGRAMS[1].marks)])
def test_running_nodes_are_joined(tmp_path: Path, kind: str) -> None:
    start = start_respcache if kind == "respcache" else start_redis
    with contextlib.ExitStack() as stack:
        servers = [
            stack.enter_context(start("--cluster-enabled", "yes", "--requirepass", "s", "--masterauth", "s"))
            for _ in range(4)
        ]
        words = ["--join", *(f"localhost:{server.port}" for server in servers), "--replicas", "1"]
        for told in ("is made, and ok", "was there already, and ok"):
            with running(tmp_path, *words, RESPCACHE_PASSWORD="s") as run:
                assert run.process.wait(READY) == 0, run.err.read_text()
                assert told in run.out.read_text()
        with running(tmp_path, *words, RESPCACHE_PASSWORD="wrong") as run:
            assert run.process.wait(10) == 1
            assert "WRONGPASS" in run.err.read_text()
        with start_respcache() as alone, running(tmp_path, "--join", f"127.0.0.1:{alone.port}") as run:
            assert run.process.wait(10) == 1
            assert "not in cluster mode" in run.err.read_text()
