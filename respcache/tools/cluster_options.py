"""The arguments of `respcache cluster`, read and checked."""

from __future__ import annotations

import ipaddress
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from respcache.config import Config, ConfigError, parse_args
from respcache.directives import DIRECTIVES
from respcache.kinds import parse_memory
from respcache.tools.asking import address_of
from respcache.tools.members import default_replicas, plan

HELP = """\
Usage: respcache cluster [--nodes 6] [--replicas 1] [--dir DIR] [--base-port 7000] [--bind 127.0.0.1]
                         [--directive value ...]
       respcache cluster --join HOST:PORT HOST:PORT ... [--replicas 1] [--timeout 60]

Starts a cluster on this machine, a process for each node, and stops it on Ctrl-C; a second Ctrl-C kills it.

  --nodes 6         how many; three or more masters survive the loss of one. More than DIR holds: the new ones come as
                    masters without slots
  --replicas 1      of each master; one unless given if there are six nodes or more, else none
  --dir DIR         where the data is kept, in DIR/7000, DIR/7001 ..., with a log in each. With the same directory the
                    cluster goes on where it ended: all nodes in it are started, with the directives of the last time.
                    Without it, all is gone at the end
  --base-port 7000  port of the first node; the others follow. Each also takes its port + 10000, for the cluster bus
  --bind 127.0.0.1  the address that all nodes listen on
  --timeout 60      seconds to wait for each step; more for more than twenty nodes
  --program NAME    start this program in place of respcache, such as redis-server

Every other --directive of redis.conf is given to each node: --appendonly yes, --maxmemory 256mb. Unless given,
cluster-node-timeout is 5000, repl-diskless-sync-delay 0 and repl-ping-replica-period 1; without --dir nothing is saved.
With --dir, --appendonly yes keeps every write, also if a node is killed.

With --join no process is started: nodes that run already, empty and in cluster mode, are joined, over the ordinary
protocol. The first ones become masters. It may be run again at any time: a cluster that exists is left as it is, and
the exit code is 0 when it is ok. The password is taken from RESPCACHE_PASSWORD or REDISCLI_AUTH."""

DEFAULTS = (
    ("cluster-node-timeout", "5000"),
    ("repl-diskless-sync-delay", "0"),
    ("repl-ping-replica-period", "1"),
)
"""For one machine: a node that was killed is noticed in 5 seconds, not in 15; a replica gets its data at once, without
5 seconds for others to come; and it is named to clients after one second, not after 10."""

BUS = 10000
"""The cluster bus is at the port plus this."""

SMALL = 64 << 20
"""A node whose maxmemory is below this has little room: without data it takes half of it."""

# Directives that are the tool's own business, and what to say.
_OWN = {
    **dict.fromkeys(("port", "cluster-announce-port"), "the ports are those from --base-port on"),
    **dict.fromkeys(("cluster-port", "cluster-announce-bus-port"), "the bus is at each port + 10000"),
    **dict.fromkeys(("tls-port", "cluster-announce-tls-port"), "the nodes do not speak TLS"),
    **dict.fromkeys(("cluster-enabled", "cluster-config-file"), "it is set for each node"),
    **dict.fromkeys(("daemonize", "pidfile", "supervised"), "the nodes belong to this process"),
    "logfile": "the log of a node is in its directory",
    "unixsocket": "all nodes would have the same",
    **dict.fromkeys(("replicaof", "slaveof"), "the cluster says who is whose replica"),
}


@dataclass(frozen=True, slots=True)
class Options:
    """What `respcache cluster` is to do.

    `extra` are directives, each a name and its words; `given` the names of the options that were; `found` the ports of
    the nodes that the directory holds already.
    """

    nodes: int = 6
    replicas: int | None = None
    directory: Path | None = None
    base_port: int = 7000
    bind: str = "127.0.0.1"
    timeout: float | None = None
    program: tuple[str, ...] = ()
    join: tuple[tuple[str, int], ...] = ()
    extra: tuple[tuple[str, ...], ...] = ()
    given: frozenset[str] = frozenset()
    found: tuple[int, ...] = ()

    @property
    def each(self) -> int:
        """Replicas of each master."""
        return default_replicas(self.nodes) if self.replicas is None else self.replicas

    @property
    def ports(self) -> list[int]:
        """The ports of the nodes: those that are there, and what follows."""
        following = self.found[-1] + 1 if self.found else self.base_port
        return [*self.found, *range(following, following + self.nodes - len(self.found))]

    @property
    def seconds(self) -> float:
        """How long to wait for a step. Many nodes take their time to start and to get to know each other."""
        return float(max(60, 3 * self.nodes)) if self.timeout is None else self.timeout

    @property
    def host(self) -> str:
        """Where the nodes are reached from this machine."""
        return {"*": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.bind, self.bind)

    def directive(self, name: str) -> str | None:
        """The value of a further directive, None if it is not given."""
        found = [words[1:] for words in self.extra if words[0].lower() == name]
        return " ".join(found[-1]) if found else None


def read(words: Sequence[str]) -> Options:
    """The options of a command line, without `cluster`. Raises ValueError with a text for people."""
    try:
        arguments = parse_args([part for word in words for part in _split(word)])
    except ConfigError as error:
        raise ValueError(error.line.text if error.line else str(error)) from None
    if arguments.action != "run" or arguments.path is not None or arguments.stdin:
        raise ValueError(f"unexpected argument {words[0]!r}")
    options = Options()
    given: set[str] = set()
    for name, *values in arguments.overrides:
        own = name.lower()
        if own in _READERS:
            options = _READERS[own](options, values)
            given.add(own)
        elif own in _OWN:
            raise ValueError(f"--{own} cannot be given: {_OWN[own]}")
        else:
            options = replace(options, extra=(*options.extra, (name, *values)))
    options = replace(options, given=frozenset(given))
    if options.join:
        if spare := given - {"join", "replicas", "timeout"}:
            raise ValueError(f"--{min(spare)} does not go with --join")
        if options.extra:
            raise ValueError(f"--{options.extra[0][0]} does not go with --join: the nodes run already")
        return replace(options, nodes=len(options.join))
    return options


def _split(word: str) -> list[str]:
    """`--name=value` in two."""
    name, equals, value = word.partition("=")
    return [name, value] if equals and name.startswith("--") and name[2:].lower() in _READERS else [word]


def _number(name: str, lowest: int, highest: int, values: Sequence[str]) -> int:
    if len(values) == 1 and values[0].isascii() and values[0].isdigit() and lowest <= int(values[0]) <= highest:
        return int(values[0])
    raise ValueError(f"--{name} wants a number from {lowest} to {highest}, not {' '.join(values)!r}")


def _one(name: str, values: Sequence[str]) -> str:
    if len(values) != 1 or not values[0]:
        raise ValueError(f"--{name} wants one value")
    return values[0]


def _join(values: Sequence[str]) -> tuple[tuple[str, int], ...]:
    if not values:
        raise ValueError("--join wants the nodes: HOST:PORT HOST:PORT ...")
    return tuple(map(address_of, values))


def _bind(values: Sequence[str]) -> str:
    address = _one("bind", values)
    try:
        if address != "*":
            ipaddress.ip_address(address)
    except ValueError:
        raise ValueError(f"--bind wants one IP address, not {address!r}") from None
    return address


_READERS = {
    "nodes": lambda options, values: replace(options, nodes=_number("nodes", 1, 1000, values)),
    "replicas": lambda options, values: replace(options, replicas=_number("replicas", 0, 999, values)),
    "dir": lambda options, values: replace(options, directory=Path(_one("dir", values)).absolute()),
    "base-port": lambda options, values: replace(options, base_port=_number("base-port", 1, 55535, values)),
    "bind": lambda options, values: replace(options, bind=_bind(values)),
    "timeout": lambda options, values: replace(options, timeout=float(_number("timeout", 1, 86400, values))),
    "program": lambda options, values: replace(options, program=tuple(shlex.split(_one("program", values)))),
    "join": lambda options, values: replace(options, join=_join(values)),
}


def check(options: Options) -> None:
    """Raises ValueError with a text for people if no cluster can be started with these options."""
    if not options.found:
        plan([""] * options.nodes, options.each)
    if options.ports[-1] + BUS > 65535:
        raise ValueError(f"{options.nodes} nodes from port {options.ports[0]} on need ports above 65535 for the bus")
    if not options.program:
        config = Config(DIRECTIVES)
        for words in options.extra:
            try:
                config.load_arguments([words])
            except ConfigError as error:
                raise ValueError(f"--{' '.join(words)}: {error.reason}") from None
    reached = options.bind in ("*", "0.0.0.0", "::") or not ipaddress.ip_address(options.bind).is_loopback
    if reached and not options.directive("requirepass") and options.directive("protected-mode") != "no":
        raise ValueError(
            f"with --bind {options.bind} others can reach the nodes: add --requirepass PASSWORD, "
            "or --protected-mode no if everybody may"
        )


def doubts(options: Options) -> list[str]:
    """What can be started, but will hardly be what was wanted: sentences for people."""
    found = []
    masters = options.nodes // (options.each + 1)
    if not options.found and masters < 3 and options.each:
        found.append(
            f"with {masters} {'master' if masters == 1 else 'masters'} no replica takes over by itself: "
            "that takes the votes of most masters, so three at least."
        )
    memory = options.directive("maxmemory")
    if memory and not options.program and 0 < parse_memory(memory) < SMALL:
        found.append(
            f"--maxmemory {memory} leaves little room for data: a node takes about 35 MB without any; "
            "docs/memory.md says what counts."
        )
    return found
