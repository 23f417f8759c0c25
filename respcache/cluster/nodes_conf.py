"""What CLUSTER NODES prints and nodes.conf keeps: a line for each node.

    <id> <ip>:<port>@<bus port>[,hostname] <flags> <master's id or -> <ping sent> <pong received> <epoch> <link> [slots]

The file has `,<hostname or nothing>[,key=value]...` after the address, and `vars currentEpoch <n> lastVoteEpoch <n>`
for its last line. Written as 7.4 does, read in every form since 4.0 (no bus port before that). Times are in
milliseconds since the epoch. Formats: as observed, and as documented for CLUSTER NODES.
"""

from __future__ import annotations

import re

from respcache.cluster import slots
from respcache.cluster.nodes import (
    BUS_OFFSET,
    FAIL,
    HANDSHAKE,
    MASTER,
    MYSELF,
    NOADDR,
    NOFAILOVER,
    PFAIL,
    REPLICA,
    Node,
    View,
)
from respcache.store.slot import SLOTS

# In the order in which they are printed.
_FLAGS = {
    "myself": MYSELF,
    "master": MASTER,
    "slave": REPLICA,
    "fail?": PFAIL,
    "fail": FAIL,
    "handshake": HANDSHAKE,
    "noaddr": NOADDR,
    "nofailover": NOFAILOVER,
}
_NO_FLAGS = "noflags"
# Epochs and times are far below; a greater epoch could not be raised any more on the wire.
_MAX_NUMBER = (1 << 63) - 1

_is_id = re.compile("[0-9a-f]{40}").fullmatch
_address = re.compile(r"(?P<ip>[^@]*):(?P<port>[0-9]+)(?:@(?P<cport>[0-9]+))?").fullmatch
_range = re.compile("(?P<first>[0-9]+)(?:-(?P<last>[0-9]+))?").fullmatch
_moving = re.compile(r"\[(?P<slot>[0-9]+)-(?P<way>[<>])-(?P<id>[0-9a-f]{40})\]").fullmatch
_is_number = re.compile("[0-9]{1,20}").fullmatch


class NodesConfError(Exception):
    """A nodes.conf that cannot be understood; the text says which line."""


def line(node: Node, view: View, for_file: bool) -> str:
    """The line of a node, without an end: for nodes.conf, or for CLUSTER NODES and CLUSTER REPLICAS."""
    words = [
        node.id.decode(),
        _write_address(node, for_file),
        ",".join(name for name, flag in _FLAGS.items() if node.flags & flag) or _NO_FLAGS,
        node.master.id.decode() if node.master is not None else "-",
        str(node.ping_sent),
        str(node.pong_received),
        str(node.epoch),
        "connected" if node.link is not None or node.flags & MYSELF else "disconnected",
    ]
    if node.slot_count:
        words += (
            f"{first}-{last}" if last > first else str(first) for first, last in slots.ranges(node.slots)
        )
    if node is view.myself:
        marks = [(slot, ">", other) for slot, other in view.migrating.items()]
        marks += ((slot, "<", other) for slot, other in view.importing.items() if slot not in view.migrating)
        words += (
            f"[{slot}-{way}-{other.id.decode()}]" for slot, way, other in sorted(marks, key=lambda m: m[0])
        )
    return " ".join(words)


def describe(view: View) -> str:
    """All of CLUSTER NODES."""
    return "".join(line(node, view, False) + "\n" for node in view.nodes.values())


def render(view: View) -> str:
    """All of nodes.conf. Nodes in handshake are left out: their ids mean nothing."""
    lines = [line(node, view, True) for node in view.nodes.values() if node.is_known]
    lines.append(f"vars currentEpoch {view.current_epoch} lastVoteEpoch {view.last_vote_epoch}")
    return "\n".join(lines) + "\n"


def _write_address(node: Node, for_file: bool) -> str:
    address = f"{node.ip}:{node.port}@{node.cport}"
    if not for_file:
        return f"{address},{node.hostname}" if node.hostname else address
    # The order of the keys is that of 7.4.
    nodename = f",nodename={node.nodename}" if node.nodename else ""
    return f"{address},{node.hostname},tls-port={node.plain_port}{nodename},shard-id={node.shard_id.decode()}"


def load(text: str, now: int) -> View:
    """The cluster that a nodes.conf tells of; `now` stands for the times of pings in it, as they are long past.

    An empty file is as good as none, and the caller's business. Raises `NodesConfError` for one with a line that
    does not parse, or without a line of `myself`: to go on with half of it could cost data.
    """
    loader = _Loader(now)
    for number, content in enumerate(text.split("\n"), 1):
        words = content.split()
        try:
            if words and words[0] == "vars":
                loader.read_vars(words[1:])
            elif words:
                loader.read_node(words)
        except NodesConfError as error:
            raise NodesConfError(f"line {number}: {error}") from None
    return loader.finish()


class _Loader:
    """Reads line by line, and puts together what refers to other lines at the end."""

    def __init__(self, now: int) -> None:
        self._now = now
        self._nodes: dict[bytes, Node] = {}
        self._masters: list[tuple[Node, bytes]] = []
        self._slots: list[tuple[Node, int, int]] = []
        self._moving: list[tuple[int, str, bytes]] = []
        self._vars = {"currentEpoch": 0, "lastVoteEpoch": 0}

    def read_vars(self, words: list[str]) -> None:
        """Names and values by turns; an unknown name is of a later version."""
        if len(words) % 2:
            raise NodesConfError("a variable without a value")
        for name, value in zip(words[::2], words[1::2], strict=True):
            self._vars[name] = _number(value)

    def read_node(self, words: list[str]) -> None:
        """The line of a node."""
        if len(words) < 8:
            raise NodesConfError(f"{len(words)} fields")
        id, address, flags, master, ping_sent, pong_received, epoch, _, *owned = words
        node = Node(_id(id), 0, self._now)
        if node.id in self._nodes:
            raise NodesConfError(f"node {id} for the second time")
        self._nodes[node.id] = node
        self._read_address(node, address)
        for name in flags.split(","):
            if name not in _FLAGS and name != _NO_FLAGS:
                raise NodesConfError(f"unknown flag {name}")
            node.flags |= _FLAGS.get(name, 0)
        if node.flags & FAIL:
            node.fail_time = self._now
        if master != "-":
            self._masters.append((node, _id(master)))
        node.ping_sent = self._now if _number(ping_sent) else 0
        node.pong_received = self._now if _number(pong_received) else 0
        node.config_epoch = _number(epoch)
        for word in owned:
            self._read_slots(node, word)

    def _read_address(self, node: Node, word: str) -> None:
        """`ip:port[@bus port][,hostname[,key=value]...]`; unknown keys are of a later version."""
        address, *more = word.split(",")
        found = _address(address)
        if found is None:
            raise NodesConfError(f"address {address}")
        node.ip = found["ip"]
        node.port = _port(found["port"])
        node.cport = _port(found["cport"] or str(node.port + BUS_OFFSET))
        if not more:
            return
        node.hostname, *pairs = more
        for pair in pairs:
            key, is_pair, value = pair.partition("=")
            if not is_pair:
                raise NodesConfError(f"{pair} is no key=value")
            if key == "shard-id":
                node.shard_id = _id(value)
            elif key == "nodename":
                node.nodename = value
            elif key in ("tls-port", "tcp-port"):
                # A file tells of the one that is not in the address.
                node.plain_port = _port(value)

    def _read_slots(self, node: Node, word: str) -> None:
        """`5`, `0-100`, `[5->-<id>]` or `[5-<-<id>]`."""
        moving = _moving(word)
        if moving is not None:
            if not node.flags & MYSELF:
                raise NodesConfError(f"{word} at another node")
            self._moving.append((_slot(moving["slot"]), moving["way"], _id(moving["id"])))
            return
        found = _range(word)
        if found is None:
            raise NodesConfError(f"slots {word}")
        first = _slot(found["first"])
        self._slots.append((node, first, _slot(found["last"] or found["first"])))

    def finish(self) -> View:
        """The cluster of all lines."""
        mine = [node for node in self._nodes.values() if node.flags & MYSELF]
        if len(mine) != 1:
            raise NodesConfError(f"{len(mine)} nodes are myself")
        view = View(mine[0])
        for node in self._nodes.values():
            view.add(node)
        for node, master in self._masters:
            view.make_replica(node, self._known(view, master))
        for node, first, last in self._slots:
            for slot in range(first, last + 1):
                if view.owners[slot] is None:
                    view.assign(slot, node)
        for slot, way, id in self._moving:
            mark = view.mark_migrating if way == ">" else view.mark_importing
            mark(slot, self._known(view, id))
        view.last_vote_epoch = self._vars["lastVoteEpoch"]
        view.current_epoch = self._vars["currentEpoch"]
        view.current_epoch = view.max_epoch
        for node in self._nodes.values():
            if node.is_replica:
                node.config_epoch = 0  # its line shows its master's: as its own it would be a second such claim
        return view

    def _known(self, view: View, id: bytes) -> Node:
        """A node that another one's line refers to; without a line of its own, all that is missing is unknown."""
        node = view.nodes.get(id)
        if node is None:
            node = Node(id, MASTER | NOADDR, self._now)
            view.add(node)
        return node


def _id(word: str) -> bytes:
    if not _is_id(word):
        raise NodesConfError(f"{word} is no node id")
    return word.encode()


def _number(word: str) -> int:
    if not _is_number(word) or int(word) > _MAX_NUMBER:
        raise NodesConfError(f"{word} is no number")
    return int(word)


def _port(word: str) -> int:
    port = _number(word)
    if port > 65535:
        raise NodesConfError(f"port {port}")
    return port


def _slot(word: str) -> int:
    slot = _number(word)
    if slot >= SLOTS:
        raise NodesConfError(f"slot {slot}")
    return slot
