"""The arguments of `respcache cluster`, read and checked."""

from __future__ import annotations

import ipaddress
import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from respcache.config import Config, ConfigError, parse_args
from respcache.directives import DIRECTIVES
from respcache.tools.asking import address_of
from respcache.tools.members import default_replicas, plan

HELP = """\
Usage: respcache cluster [--nodes 6] [--replicas 1] [--dir DIR] [--base-port 7000] [--bind 127.0.0.1]
                         [--directive value ...]
       respcache cluster --join HOST:PORT HOST:PORT ... [--replicas 1] [--timeout 60]

Starts a cluster on this machine, a process for each node, and stops it on Ctrl-C; a second Ctrl-C kills it.

  --nodes 6         how many; three or more masters survive the loss of one
  --replicas 1      of each master; one unless given if there are six nodes or more, else none
  --dir DIR         where the data is kept, in DIR/7000, DIR/7001 ..., with a log in each. With the same directory the
                    cluster goes on where it ended. Without it, all is gone at the end
  --base-port 7000  port of the first node; the others follow. Each also takes its port + 10000, for the cluster bus
  --bind 127.0.0.1  the address that all nodes listen on
  --timeout 60      seconds to wait for each step
  --program NAME    start this program in place of respcache, such as redis-server

Every other --directive of redis.conf is given to each node: --appendonly yes, --maxmemory 64mb. Unless given,
cluster-node-timeout is 5000, repl-diskless-sync-delay 0 and repl-ping-replica-period 1; without --dir nothing is saved.

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

NOTES = "cluster.json"
"""The file in the directory that says what cluster it holds."""

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
    """What `respcache cluster` is to do. `extra` are directives, each a name and its words."""

    nodes: int = 6
    replicas: int | None = None
    directory: Path | None = None
    base_port: int = 7000
    bind: str = "127.0.0.1"
    timeout: float = 60.0
    program: tuple[str, ...] = ()
    join: tuple[tuple[str, int], ...] = ()
    extra: tuple[tuple[str, ...], ...] = ()
    given: frozenset[str] = frozenset()

    @property
    def each(self) -> int:
        """Replicas of each master."""
        return default_replicas(self.nodes) if self.replicas is None else self.replicas

    @property
    def ports(self) -> list[int]:
        """The ports of the nodes."""
        return [self.base_port + number for number in range(self.nodes)]

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
        arguments = parse_args(words)
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
    plan([""] * options.nodes, options.each)
    if options.ports[-1] + BUS > 65535:
        raise ValueError(f"{options.nodes} nodes from port {options.base_port} on need ports above 65535 for the bus")
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


def recall(options: Options) -> tuple[Options, bool]:
    """The options of the cluster that the directory holds, and True; as they are, and False, if it holds none.

    Raises ValueError if some were given that contradict what the directory holds, OSError if it cannot be read.
    """
    if options.directory is None or not (notes := options.directory / NOTES).exists():
        return options, False
    try:
        held = {name: str(value) for name, value in json.loads(notes.read_text()).items()}
        kept = read([word for name in _chosen(options) for word in (f"--{name}", held[name])])
    except (ValueError, KeyError, AttributeError) as error:
        raise ValueError(f"{notes} cannot be read: {error}") from None
    for name, value in _chosen(options).items():
        if name in options.given and held[name] != str(value):
            raise ValueError(
                f"{options.directory} holds a cluster with --{name} {held[name]}: leave --{name} out, "
                "or choose another --dir"
            )
    found = replace(
        options, nodes=kept.nodes, replicas=kept.replicas, base_port=kept.base_port, bind=kept.bind
    )
    return found, True


def note(options: Options) -> None:
    """Writes down in the directory, if there is one, which cluster it holds. Raises OSError."""
    if options.directory is not None:
        (options.directory / NOTES).write_text(json.dumps(_chosen(options)) + "\n")


def _chosen(options: Options) -> dict[str, int | str]:
    """What stays as it is for the life of a cluster: the nodes know each other by it."""
    return {
        "nodes": options.nodes,
        "replicas": options.each,
        "base-port": options.base_port,
        "bind": options.bind,
    }
