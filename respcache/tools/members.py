"""What `CLUSTER NODES` says, read; and who does what in a new cluster."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

SLOTS = 16384

MOST_RANGES = 3
"""So many ranges of slots are shown to people."""

Ranges = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Member:
    """A node as one of the nodes, perhaps itself, sees it. `slots` are ranges with both ends in them.

    `linked` says whether the bus reaches it.
    """

    id: str
    ip: str
    port: int
    bus_port: int
    flags: frozenset[str]
    master: str
    slots: Ranges
    linked: bool

    @property
    def is_gone(self) -> bool:
        """Whether it is silent for longer than the timeout of nodes, or its address is another node's now."""
        return bool(self.flags & {"fail", "fail?", "noaddr"})

    @property
    def is_replica(self) -> bool:
        """Whether it is a replica; else it is a master, with slots or without."""
        return "slave" in self.flags

    @property
    def shape(self) -> tuple[str, str, Ranges]:
        """What all nodes of a cluster have to agree on."""
        return self.id, self.master, self.slots


def read_members(text: str) -> list[Member]:
    """The lines of CLUSTER NODES. Raises ValueError for what are none.

    `id ip:port@busport[,hostname...] flags master ping pong epoch link slot...`; marks of slots that move, in
    brackets, are left out.
    """
    members = []
    for line in text.splitlines():
        words = line.split()
        if len(words) < 8:
            raise ValueError(f"not a line of CLUSTER NODES: {line!r}")
        place, _, bus = words[1].partition(",")[0].rpartition("@")
        ip, _, port = place.rpartition(":")
        spans = (word.partition("-") for word in words[8:] if not word.startswith("["))
        slots = tuple((int(first), int(last or first)) for first, _, last in spans)
        master = "" if words[3] == "-" else words[3]
        flags = frozenset(words[2].split(","))
        linked = words[7] == "connected"
        members.append(Member(words[0], ip, int(port), int(bus), flags, master, slots, linked))
    return members


def count(slots: Ranges) -> int:
    """How many slots are in these ranges."""
    return sum(last - first + 1 for first, last in slots)


def shown(slots: Ranges) -> str:
    """`0-100 200`, as CLUSTER NODES shows slots; of more than three ranges the first, and how many slots it are."""
    words = [f"{first}" if first == last else f"{first}-{last}" for first, last in slots]
    if len(words) > MOST_RANGES:
        words[MOST_RANGES:] = [f"... ({count(slots)} slots)"]
    return " ".join(words)


@dataclass(frozen=True, slots=True)
class Place:
    """What a node of a new cluster is to be: a master with slots, or a replica of the node of index `master`."""

    slots: Ranges = ()
    master: int | None = None


def default_replicas(nodes: int) -> int:
    """Replicas of each master where nobody says: one if three masters remain, else none."""
    return 1 if nodes >= 6 else 0


def plan(hosts: Sequence[str], replicas: int) -> list[Place]:
    """A place for each node, given the host that each is on; the same hosts give the same plan.

    As few nodes as possible of one host become masters, and a replica is on another host than its master and
    the master's other replicas if that can be. Nodes that are left over become replicas, too. Raises ValueError
    with a text for people.
    """
    masters = len(hosts) // (replicas + 1)
    if masters < 1:
        raise ValueError(
            f"{replicas} {'replica' if replicas == 1 else 'replicas'} for each master need at least "
            f"{replicas + 1} nodes, not {len(hosts)}"
        )
    order = _alternate(hosts)
    groups = [[index] for index in order[:masters]]
    for number, index in enumerate(order[masters:]):
        groups[number % masters].append(index)
    _spread(groups, hosts)
    places: dict[int, Place] = {}
    for number, (master, *followers) in enumerate(groups):
        first, last = (round(SLOTS * part / masters) for part in (number, number + 1))
        places[master] = Place(((first, last - 1),))
        places.update((index, Place(master=master)) for index in followers)
    return [places[index] for index in range(len(hosts))]


def _spread(groups: list[list[int]], hosts: Sequence[str]) -> None:
    """Exchanges replicas, all but the first of each group, as long as fewer of a group are then on one host."""

    def together(group: list[int], at: int, host: str) -> int:
        return sum(hosts[index] == host for other, index in enumerate(group) if other != at)

    def exchange(group: list[int], at: int) -> bool:
        mine = hosts[group[at]]
        for other in groups:
            for there in range(1, len(other)):
                theirs = hosts[other[there]]
                if other is group or mine == theirs:
                    continue
                now = together(group, at, mine) + together(other, there, theirs)
                if together(group, at, theirs) + together(other, there, mine) < now:
                    group[at], other[there] = other[there], group[at]
                    return True
        return False

    moved = True
    while moved:  # it ends: each exchange lessens the number of pairs on one host
        moved = False
        for group in groups:
            for at in range(1, len(group)):
                if together(group, at, hosts[group[at]]):
                    moved = exchange(group, at) or moved


def _alternate(hosts: Sequence[str]) -> list[int]:
    """The indices, one of each host in turn."""
    seen: dict[str, int] = {}
    turns = []
    for index, host in enumerate(hosts):
        turns.append((seen.get(host, 0), index))
        seen[host] = seen.get(host, 0) + 1
    return [index for _, index in sorted(turns)]
