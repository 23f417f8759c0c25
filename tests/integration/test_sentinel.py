"""Stock redis-sentinel over servers of ours: a master that is killed has a successor soon, and nothing is lost."""

from __future__ import annotations

import re
import shutil
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from redis import Redis
from redis.exceptions import RedisError
from redis.sentinel import Sentinel

from tests.load import info, wait_equal, wait_link
from tests.servers import HAVE_ORACLE, Server, free_port
from tests.wire import Argument, Status, Wire, pairs

pytestmark = pytest.mark.skipif(
    not HAVE_ORACLE or shutil.which("redis-sentinel") is None, reason="needs a redis-sentinel"
)

NAME = "mymaster"
DOWN_AFTER = 2.0
"""Seconds after which a sentinel takes a silent server for dead."""
FAILOVER = 3.0
"""Seconds that a failover may take behind them."""

NODE = """\
# A server of a test of failovers.

# Where it is.
port {port}
bind 127.0.0.1

# What it keeps: nothing.
save ""
appendonly no
# requirepass is not set

repl-diskless-sync-delay 0
enable-debug-command yes
# The end.
"""

SENTINEL = f"""\
bind 127.0.0.1
sentinel monitor {NAME} 127.0.0.1 {{port}} 2
sentinel down-after-milliseconds {NAME} {int(DOWN_AFTER * 1000)}
sentinel failover-timeout {NAME} 5000
sentinel parallel-syncs {NAME} 1
"""

PROGRAMS = {"o": [sys.executable, "-m", "respcache"], "r": ["redis-server"]}

HASTE: tuple[Argument, ...] = ("SENTINEL", "DEBUG", "info-period", 1000, "publish-period", 500)
"""Has a returned master converted after some two seconds, not ten; a failover takes as long as ever."""

EVENTS = {
    # What a sentinel tells of its start, its fellows, and a failover that goes well.
    *("+monitor", "+slave", "+sentinel", "+config-update-from", "+switch-master", "+new-epoch", "+sdown"),
    *("+odown", "-odown", "+try-failover", "+vote-for-leader", "+elected-leader", "+promoted-slave"),
    *("+failover-state-select-slave", "+selected-slave", "+failover-state-send-slaveof-noone"),
    *("+failover-state-wait-promotion", "+failover-state-reconf-slaves", "+failover-end"),
    *("+slave-reconf-sent", "+slave-reconf-inprog", "+slave-reconf-done", "-failover-abort-not-elected"),
}
OF_THE_DEAD = {"+sdown", "-sdown", "+reboot", "+convert-to-slave", "-role-change", "+role-change"}
"""Events that only a server may have that was killed, or promoted; some are told in the debug log only."""


class Node(Server):
    """A server that is started with a configuration file, in a directory of its own."""

    def __init__(self, program: list[str], directory: Path, port: int, text: str) -> None:
        directory.mkdir()
        self.file = directory / "node.conf"
        self.file.write_text(text)
        command = [program[0], *program[1:], self.file.name, "--port", str(port)]
        super().__init__(command, port=port, directory=directory)


class Cluster:
    """One master, its replicas and three sentinels, each in a directory of its own; to be used in `with`."""

    def __init__(self, directory: Path, kinds: str) -> None:
        """`kinds` has a letter for each server, the master first: o of ours, r a redis-server."""
        first, *_ = ports = [free_port() for _ in kinds]
        self.nodes = [
            Node(PROGRAMS[kind], directory / f"node{port}", port, self._file(kind, port, first))
            for kind, port in zip(kinds, ports, strict=True)
        ]
        self.sentinels = [
            Node(["redis-sentinel"], directory / f"sentinel{port}", port, SENTINEL.format(port=first))
            for port in (free_port() for _ in range(3))
        ]
        self.dead: set[int] = set()
        """Ports of servers that were killed."""

    def _file(self, kind: str, port: int, first: int) -> str:
        text = NODE.format(port=port)
        if kind == "r":  # the one to be promoted if it is there
            text += "replica-priority 10\n"
        return text if port == first else f"{text}replicaof 127.0.0.1 {first}\n"

    def __enter__(self) -> Cluster:
        try:
            for server in self.nodes:
                server.start()
            for server in self.nodes[1:]:
                wait_link(server.port)
            for server in self.sentinels:
                server.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for server in [*self.sentinels, *self.nodes]:
            server.close()

    def hasten(self) -> None:
        """Has sentinels look and talk more often."""
        for server in self.sentinels:
            with Wire(server.port) as c:
                assert c(*HASTE) == Status("OK")

    @property
    def master(self) -> Server:
        """The server that the first sentinel takes for the master."""
        with Wire(self.sentinels[0].port) as c:
            port = int(c("SENTINEL", "GET-MASTER-ADDR-BY-NAME", NAME)[1])
        return next(server for server in self.nodes if server.port == port)

    def wait_known(self) -> None:
        """Waits until each sentinel knows everybody, and finds nothing to complain of."""
        for server in self.sentinels:
            with Wire(server.port) as c:
                until(partial(self._settled, c), 20, partial(c, "SENTINEL", "MASTER", NAME))
                assert c("SENTINEL", "CKQUORUM", NAME).text.startswith("OK 3 usable Sentinels.")

    def _settled(self, c: Wire) -> bool:
        seen = pairs(c("SENTINEL", "MASTER", NAME))
        flags = [pairs(replica)[b"flags"] for replica in c("SENTINEL", "REPLICAS", NAME)]
        return (
            (seen[b"num-slaves"], seen[b"num-other-sentinels"], seen[b"flags"]) == (b"2", b"2", b"master")
            and flags == [b"slave", b"slave"]
            and int(seen[b"port"]) == self.master.port
        )

    def complaints(self) -> list[str]:
        """What the sentinels have logged that no failover of a killed master asks for."""
        found = []
        for server in self.sentinels:
            for event, rest in re.findall(r"^\d+:X .*? [*#-] ([+-][a-z-]+) (.*)$", server.log, re.MULTILINE):
                address = re.match(r"(?:slave|master|sentinel) \S+ \S+ (\d+)", rest)
                of_dead = address is not None and int(address[1]) in self.dead
                if not (of_dead if event in OF_THE_DEAD else event in EVENTS):
                    found.append(f"{event} {rest}")
        return found

    @property
    def undecided(self) -> int:
        """How often the sentinels have split their votes: they try again later."""
        return self.log().count("-failover-abort-not-elected")

    def log(self) -> str:
        """What the sentinels have logged."""
        return "\n".join(server.log for server in self.sentinels)

    def check_files(self) -> None:
        """Checks that the configuration files have what they had, in its order."""
        for server in self.nodes:
            text, given = server.file.read_text(), NODE.format(port=server.port)
            assert text.startswith(given), text
            assert ("\nreplicaof " in text) == (server is not self.master), text


class Counting(threading.Thread):
    """A client of the sentinels that writes numbers, and asks for each batch that a replica has it."""

    def __init__(self, ports: list[int]) -> None:
        super().__init__(daemon=True)
        self._sentinel = Sentinel(  # type: ignore[no-untyped-call]
            [("127.0.0.1", port) for port in ports], socket_timeout=0.5
        )
        self._master: Redis = self._sentinel.master_for(NAME, socket_timeout=2.0)  # type: ignore[no-untyped-call]
        self._over = threading.Event()
        self.acknowledged: list[int] = []
        self.failures: list[str] = []
        self.began = self.ended = 0.0
        """When the last batch was sent that was answered, and when it was, monotonic."""

    def run(self) -> None:
        number = 0
        while not self._over.is_set():
            began = time.monotonic()
            batch = range(number, number + 20)
            number += 20
            try:
                with self._master.pipeline(transaction=False) as pipeline:
                    for each in batch:
                        pipeline.rpush("numbers", each)
                        pipeline.incr(f"counter:{each % 7}")
                    pipeline.wait(1, 300)
                    *_, replicas = pipeline.execute()
            except (RedisError, OSError) as error:
                self.failures.append(f"{type(error).__name__}: {error}")
                time.sleep(0.02)
                continue
            self.began, self.ended = began, time.monotonic()
            if replicas >= 1:
                self.acknowledged.extend(batch)

    def finish(self) -> None:
        """Stops it."""
        self._over.set()
        self.join(20)
        assert not self.is_alive()
        self._master.close()
        for sentinel in self._sentinel.sentinels:
            sentinel.close()


def until(done: Callable[[], bool], seconds: float, what: Callable[[], object]) -> None:
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, what()
        time.sleep(0.02)


def run_round(cluster: Cluster) -> float:
    """Kills the master under load; the seconds until its successor has taken a write."""
    old = cluster.master
    undecided = cluster.undecided
    load = Counting([server.port for server in cluster.sentinels])
    load.start()
    try:
        until(lambda: len(load.acknowledged) > 200, 10, lambda: str(load.failures[-3:]))
        cluster.dead.add(old.port)
        old.kill()
        killed = time.monotonic()
        until(lambda: load.began > killed, 30, cluster.log)
        seconds = load.ended - killed
        new = cluster.master
        assert new is not old
        old.start()
        until(lambda: follows(old, new), 30, cluster.log)
        before = len(load.acknowledged)
        until(lambda: len(load.acknowledged) > before + 100, 10, lambda: str(load.failures[-3:]))
    finally:
        load.finish()
    replicas = [server for server in cluster.nodes if server is not new]
    until(lambda: all(follows(server, new) for server in replicas), 20, cluster.log)
    wait_equal([new.port, *(server.port for server in replicas)])
    with Wire(new.port) as c:
        lost = set(load.acknowledged).difference(map(int, c("LRANGE", "numbers", 0, -1)))
        c("FLUSHALL")
    assert not lost, sorted(lost)[:10]
    cluster.wait_known()
    assert not cluster.complaints()
    cluster.check_files()
    if undecided == cluster.undecided:
        assert seconds < DOWN_AFTER + FAILOVER, seconds
    return seconds


def follows(server: Server, master: Server) -> bool:
    """Whether a server is a replica of another, with its link up. It may be cut off while it is told so."""
    try:
        with Wire(server.port) as c:
            seen = info(c)
    except (OSError, EOFError):
        return False
    wanted = ("slave", str(master.port), "up")
    return (seen["role"], seen.get("master_port"), seen.get("master_link_status")) == wanted


def check_restarts(cluster: Cluster) -> None:
    """Without sentinels, started again: each has the role that they gave it last, and its file as it was."""
    master = cluster.master
    for server in cluster.sentinels:
        server.stop()
    for server in cluster.nodes:
        before = server.file.read_text()
        with Wire(server.port) as c:
            assert c("CONFIG", "REWRITE") == Status("OK")
        assert server.file.read_text().rstrip() == before.rstrip()  # at most a blank line comes at its end
        server.kill()
        server.start()
    for server in cluster.nodes:
        if server is not master:
            until(partial(follows, server, master), 10, partial(getattr, server, "log"))
    with Wire(master.port) as c:
        assert info(c)["role"] == "master"


def run(directory: Path, kinds: str, rounds: int, *, haste: bool) -> None:
    with Cluster(directory, kinds) as cluster:
        if haste:
            cluster.hasten()
        cluster.wait_known()
        seconds = [run_round(cluster) for _ in range(rounds)]
        check_restarts(cluster)
    print(f"{kinds}: a new master after", *(f"{each:.2f}" for each in seconds), "s")


@pytest.mark.parametrize(("kinds", "rounds"), [("ooo", 1), ("oor", 2)])
def test_a_master_that_is_killed(tmp_path: Path, kinds: str, rounds: int) -> None:
    run(tmp_path, kinds, rounds, haste=True)


@pytest.mark.long
@pytest.mark.parametrize("kinds", ["ooo", "oor"])
def test_masters_that_are_killed_ten_times(tmp_path: Path, kinds: str) -> None:
    run(tmp_path, kinds, 10, haste=False)
