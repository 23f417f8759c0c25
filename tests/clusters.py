"""Clusters of server processes, for tests: ours, the oracle's, or both kinds in one.

    with start_cluster("ooorrr", replicas=1) as cluster:    # o: ours, r: redis-server; masters come first
        cluster.node_of(slot_of("foo"))                     # the Server that owns the slot
        cluster.cli("check", cluster.entry)                 # redis-cli --cluster check 127.0.0.1:port
        cluster.kill(cluster.nodes[0])
        cluster.wait_ok()                                   # all that live agree and are ok, replicas are linked

`joined=False` only starts the nodes: each is a cluster of one without slots. All waiting polls, with a deadline.
Nodes listen on the loopback, with a bus port 10000 above the port; `options` are given to all of them, `ours` and
`redis` to those of one kind. A load with a checker for such a cluster is in `tests.cluster_load`.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count, pairwise
from typing import Any

from respcache.store.slot import SLOTS, hash_slot
from tests.servers import Server, start_redis, start_respcache
from tests.wire import OK, Argument, Error, Verbatim

NODE_TIMEOUT = 1500
"""Milliseconds, cluster-node-timeout of the nodes unless told otherwise."""

AT_ONCE = ("--repl-diskless-sync-delay", 0)
"""A replica that comes does not wait five seconds for others to come along."""

SECONDS = 30.0
"""How long anything may take to come about."""


def wait_until(condition: Callable[[], Any], what: str | Callable[[], str] = "", seconds: float = SECONDS) -> Any:
    """Waits until the condition holds, and returns what it returned. Raises TimeoutError, with `what` was awaited."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        if time.monotonic() > deadline:
            told = what() if callable(what) else what
            raise TimeoutError(f"not within {seconds:g} s: {told or getattr(condition, '__name__', condition)}")
        time.sleep(0.05)
    return found


def slot_of(key: str) -> int:
    """The slot of a key."""
    return hash_slot(key.encode())


def key_of(slot: int) -> str:
    """A key of a slot."""
    return next(key for number in count() if slot_of(key := f"key:{number}") == slot)


@dataclass
class Line:
    """A line of CLUSTER NODES."""

    id: str
    host: str
    port: int
    cport: int
    hostname: str
    flags: frozenset[str]
    """As shown: `myself master slave fail? fail handshake noaddr nofailover`."""
    master: str
    """Its id, `-` for none."""
    ping_sent: int
    pong_received: int
    epoch: int
    linked: bool
    ranges: tuple[tuple[int, int], ...]
    marks: tuple[str, ...]
    """Slots on their way, as shown: `3300->-<id>` to another node, `3300-<-<id>` from one."""

    @property
    def slots(self) -> frozenset[int]:
        """The slots that it owns."""
        return frozenset(slot for start, end in self.ranges for slot in range(start, end + 1))


def parse_nodes(text: str) -> dict[str, Line]:
    """The lines of CLUSTER NODES by id."""
    found = {}
    for line in text.splitlines():
        id, address, flags, master, ping, pong, epoch, state, *slots = line.split(" ")
        where, *names = address.split(",")
        place, _, cport = where.partition("@")
        host, _, port = place.rpartition(":")
        ranges = []
        for word in slots:
            if not word.startswith("["):
                start, _, end = word.partition("-")
                ranges.append((int(start), int(end or start)))
        marks = tuple(word[1:-1] for word in slots if word.startswith("["))
        assert id not in found, f"two lines of one node:\n{text}"
        found[id] = Line(
            id, host, int(port), int(cport), names[0] if names else "", frozenset(flags.split(",")), master,
            int(ping), int(pong), int(epoch), state == "connected", tuple(ranges), marks,
        )  # fmt: skip
    return found


def call(server: Server, *words: Argument, timeout: float = 10.0) -> Any:
    """Runs a command on a node, on a connection of its own; not while it loads. Raises AssertionError for an error."""
    with server.connect(timeout) as c:
        deadline = time.monotonic() + timeout
        while isinstance(reply := c(*words), Error) and reply.text.startswith("LOADING"):
            assert time.monotonic() < deadline, f"{server!r} is still loading"
            time.sleep(0.02)
    assert not isinstance(reply, Error), f"{server!r}: {words[:6]}: {reply.text}"
    return reply.data if isinstance(reply, Verbatim) else reply


def fields(server: Server, *words: Argument) -> dict[str, str]:
    """A reply of lines `name:value`, as of CLUSTER INFO."""
    lines = call(server, *words).decode().splitlines()
    return dict(line.split(":", 1) for line in lines if ":" in line)


def table(server: Server) -> dict[str, Line]:
    """CLUSTER NODES of a node, by id."""
    return parse_nodes(call(server, "CLUSTER", "NODES").decode())


def myself(server: Server) -> Line:
    """What a node says of itself."""
    return _myself(table(server))


def _myself(lines: dict[str, Line]) -> Line:
    return next(line for line in lines.values() if "myself" in line.flags)


def node_id(server: Server) -> str:
    """The id of a node."""
    return str(call(server, "CLUSTER", "MYID").decode())


@dataclass
class Cluster:
    """Some nodes, be they joined or not."""

    nodes: list[Server] = field(default_factory=list)
    """All that were started here, killed ones included, in the order of `kinds`, then of `add`."""
    options: tuple[str | int, ...] = ()
    ours: tuple[str | int, ...] = ()
    redis: tuple[str | int, ...] = ()
    _paused: set[Server] = field(default_factory=set)

    # Processes

    def add(self, kind: str = "o", *options: str | int) -> Server:
        """Starts a node more; it knows nobody."""
        own = self.ours if kind == "o" else self.redis
        start = start_respcache if kind == "o" else start_redis
        server = start("--cluster-enabled", "yes", *self.options, *own, *options)
        self.nodes.append(server)
        return server

    def kill(self, server: Server) -> None:
        """kill -9; `server.start()` starts it again, in its directory."""
        self.resume(server)
        server.kill()

    def pause(self, server: Server) -> None:
        """Stops a process where it stands; its connections stay."""
        os.kill(server.pid, signal.SIGSTOP)
        self._paused.add(server)

    def resume(self, server: Server) -> None:
        """Lets it go on."""
        if server in self._paused:
            self._paused.discard(server)
            os.kill(server.pid, signal.SIGCONT)

    @property
    def living(self) -> list[Server]:
        """The nodes whose processes run."""
        return [server for server in self.nodes if server.alive and server not in self._paused]

    def close(self) -> None:
        """Ends all nodes."""
        for server in self.nodes:
            self.resume(server)
            if server.alive:
                server.kill()
            server.close()

    def __enter__(self) -> Cluster:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # Who is who, as the first living node sees it

    @property
    def entry(self) -> str:
        """Address of the first living node, for `redis-cli --cluster`."""
        return address(self.living[0])

    def server(self, id: str) -> Server:
        """The living node of an id."""
        return next(server for server in self.living if node_id(server) == id)

    def masters(self) -> list[Server]:
        """The living nodes that are masters in their own eyes, with slots or without."""
        return [server for server in self.living if "master" in myself(server).flags]

    def replicas(self, of: Server | None = None) -> list[Server]:
        """The living nodes that are replicas in their own eyes, all or those of a master."""
        id = node_id(of) if of is not None else None
        lines = {server: myself(server) for server in self.living}
        return [server for server, line in lines.items() if "slave" in line.flags and id in (None, line.master)]

    def master_of(self, replica: Server) -> Server:
        """The master of a living replica."""
        return self.server(myself(replica).master)

    def node_of(self, slot: int) -> Server:
        """The living node that owns a slot in its own eyes. Raises AssertionError if it is not exactly one."""
        owners = [server for server in self.masters() if slot in myself(server).slots]
        assert len(owners) == 1, f"slot {slot} is owned by {owners}"
        return owners[0]

    # Waiting

    def trouble(self) -> str:
        """Why the cluster is not ok yet: the first reason that is found; empty if it is."""
        tables = {server: table(server) for server in self.living}
        own = {server: _myself(lines) for server, lines in tables.items()}
        layouts = {}
        for server, lines in tables.items():
            if strange := [line.id for line in lines.values() if line.flags & {"handshake", "noaddr"}]:
                return f"{server!r} shakes hands with {strange}"
            layouts[server] = sorted((line.id, line.ranges) for line in lines.values() if line.ranges)
            for other, line in own.items():
                seen = lines.get(line.id)
                if seen is None:
                    return f"{server!r} does not know {other!r}"
                if seen.flags - {"myself"} != line.flags - {"myself"} or seen.master != line.master:
                    return f"{server!r} sees {other!r} as {set(seen.flags)} of {seen.master}, not {set(line.flags)}"
                if not seen.linked:
                    return f"{server!r} is not connected with {other!r}"
            if (state := fields(server, "CLUSTER", "INFO")["cluster_state"]) != "ok":
                return f"{server!r} has cluster_state {state}"
        first = next(iter(layouts.values()))
        if differing := [server for server, layout in layouts.items() if layout != first]:
            return f"{differing} see other owners than {self.living[0]!r}"
        for server, line in own.items():
            if "slave" in line.flags and fields(server, "INFO", "replication")["master_link_status"] != "up":
                return f"{server!r} has no link to its master"
        return ""

    def wait_ok(self, seconds: float = SECONDS) -> None:
        """Waits until all living nodes know and see each other alike and are ok, and replicas are linked."""
        reason = ""

        def is_ok() -> bool:
            nonlocal reason
            try:
                reason = self.trouble()
            except (OSError, EOFError, AssertionError) as error:
                reason = repr(error)
            return not reason

        wait_until(is_ok, lambda: f"{reason}\n{self.picture()}", seconds)

    def wait_synced(self, seconds: float = SECONDS) -> None:
        """Waits until every replica has all that its master has; nobody is to write meanwhile."""

        def offset(server: Server) -> str:
            return fields(server, "INFO", "replication")["master_repl_offset"]

        def behind() -> list[Server]:
            return [server for server in self.replicas() if offset(server) != offset(self.master_of(server))]

        wait_until(lambda: not behind(), lambda: f"{behind()} are behind", seconds)

    def picture(self) -> str:
        """CLUSTER NODES of all living nodes, for messages."""
        told = []
        for server in self.living:
            try:
                told.append(f"{server!r}:\n{call(server, 'CLUSTER', 'NODES', timeout=2).decode()}")
            except (OSError, EOFError, AssertionError) as error:
                told.append(f"{server!r}: {error!r}\n")
        return "".join(told)

    # Doing

    def cli(self, *args: str | int, answer: str = "", seconds: float = 120.0, succeeds: bool = True) -> str:
        """Runs `redis-cli --cluster` with these arguments and returns what it printed.

        Raises AssertionError if it fails, or with `succeeds=False` if it does not.
        """
        command = ["redis-cli", "--cluster", *map(str, args)]
        done = subprocess.run(command, input=answer, capture_output=True, text=True, timeout=seconds, check=False)
        printed = done.stdout + done.stderr
        assert (done.returncode == 0) == succeeds, f"{command} ended with {done.returncode}:\n{printed[-6000:]}"
        return printed

    def join(self, replicas: int = 0, parts: Sequence[tuple[int, int]] = ()) -> None:
        """Makes one cluster of all nodes: as many masters as there can be, each with a part of the slots."""
        half = len(self.nodes) // (replicas + 1)
        masters, others = self.nodes[:half], self.nodes[half:]
        for number, server in enumerate(self.nodes, 1):
            assert call(server, "CLUSTER", "SET-CONFIG-EPOCH", number) == OK
        for server, (start, end) in zip(masters, parts or equal_parts(len(masters)), strict=True):
            assert call(server, "CLUSTER", "ADDSLOTSRANGE", start, end) == OK
        for server in self.nodes[1:]:
            self.meet(server, self.nodes[0])
        self.wait_acquainted()
        for number, server in enumerate(others):
            assert call(server, "CLUSTER", "REPLICATE", node_id(masters[number % len(masters)])) == OK
        self.wait_ok()

    def meet(self, server: Server, other: Server) -> None:
        """Has a node meet another one."""
        assert call(server, "CLUSTER", "MEET", other.host, other.port) == OK

    def wait_acquainted(self, seconds: float = SECONDS) -> None:
        """Waits until all living nodes know each other."""

        def acquainted() -> bool:
            ids = {node_id(server) for server in self.living}
            return all(
                ids <= (lines := table(server)).keys()
                and not any(line.flags & {"handshake", "noaddr"} for line in lines.values())
                for server in self.living
            )

        wait_until(acquainted, self.picture, seconds)


def address(server: Server) -> str:
    """Where a node listens, as `host:port`."""
    return f"{server.host}:{server.port}"


def equal_parts(number: int) -> list[tuple[int, int]]:
    """The slots in so many ranges of about the same length."""
    bounds = [SLOTS * part // number for part in range(number + 1)]
    return [(start, end - 1) for start, end in pairwise(bounds)]


def spread(cluster: Cluster, number: int, prefix: str = "key") -> Iterator[tuple[Server, str]]:
    """Keys `<prefix>:<n>` with the nodes that own their slots."""
    owners = {server: myself(server).slots for server in cluster.masters()}
    for at in range(number):
        key = f"{prefix}:{at}"
        yield next(server for server, slots in owners.items() if slot_of(key) in slots), key


def start_cluster(
    kinds: str = "ooorrr",
    replicas: int = 1,
    options: Sequence[str | int] = (),
    *,
    ours: Sequence[str | int] = (),
    redis: Sequence[str | int] = (),
    node_timeout: int = NODE_TIMEOUT,
    joined: bool = True,
    parts: Sequence[tuple[int, int]] = (),
) -> Cluster:
    """A cluster of these nodes, to be used in `with`: n of them, of which n / (replicas + 1) are masters.

    Replica number i replicates master number i, counted round and round: `ororor` has masters and replicas of
    both kinds. The slots are in equal `parts` unless told: a first and a last one for each master.
    """
    common = ("--cluster-node-timeout", node_timeout, "--enable-debug-command", "yes", *AT_ONCE, *options)
    cluster = Cluster([], common, tuple(ours), tuple(redis))
    try:
        for kind in kinds:
            cluster.add(kind)
        if joined:
            cluster.join(replicas, parts)
    except BaseException:
        cluster.close()
        raise
    return cluster
