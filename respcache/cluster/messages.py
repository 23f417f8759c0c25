"""The messages of the cluster bus: what they say. How they look as bytes: frames.py, which has all these names too."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final

from respcache.cluster.nodes import BITMAP

ID_BYTES: Final = 40
NO_SLOTS: Final = bytes(BITMAP)

# The bits of `Header.mflags`.
MFLAG_PAUSED: Final = 1
"""The sender is a master paused for a manual failover."""
MFLAG_FORCE_ACK: Final = 2
"""Vote although the master is up."""
MFLAG_EXTENSIONS: Final = 4
"""Extensions follow the gossip; set and cleared by the encoders."""


class MessageType(IntEnum):
    """The types of messages, as on the wire; `NAMES[type]` is the name in CLUSTER INFO."""

    PING = 0
    PONG = 1
    MEET = 2
    FAIL = 3
    PUBLISH = 4
    AUTH_REQUEST = 5
    AUTH_ACK = 6
    UPDATE = 7
    MFSTART = 8
    MODULE = 9
    PUBLISHSHARD = 10


(PING, PONG, MEET, FAIL, PUBLISH, AUTH_REQUEST, AUTH_ACK, UPDATE, MFSTART, MODULE, PUBLISHSHARD) = MessageType

NAMES: Final = (
    "ping",
    "pong",
    "meet",
    "fail",
    "publish",
    "auth-req",
    "auth-ack",
    "update",
    "mfstart",
    "module",
    "publishshard",
)
"""The names of the types as CLUSTER INFO prints them, in the order of their numbers."""

PINGS: Final = frozenset({PING, PONG, MEET})
PUBLISHES: Final = frozenset({PUBLISH, PUBLISHSHARD})


@dataclass(slots=True, kw_only=True)
class Header:
    """What every message says of its sender.

    The encoders set `count`, `extensions`, bit MFLAG_EXTENSIONS of `mflags` and, where the message has just one
    type, `type` on the wire by themselves; what these fields hold does not matter to them.
    """

    type: int
    sender: bytes
    """Its id, 40 hex digits."""
    port: int = 0
    """Of its clients; the TLS port in a cluster that speaks TLS."""
    count: int = 0
    """Gossip entries."""
    current_epoch: int = 0
    config_epoch: int = 0
    """Its own if it is a master, else its master's."""
    offset: int = 0
    """Of replication, in bytes."""
    slots: bytes | bytearray = NO_SLOTS
    """The bitmap of its own slots if it is a master, else of its master's."""
    master: bytes = b""
    """The id of its master; empty if it is one itself."""
    ip: str = ""
    """The address it announces; empty: the one it is connected from."""
    extensions: int = 0
    """How many follow."""
    pport: int = 0
    """The plain port if `port` is the TLS one, else the TLS port or 0."""
    cport: int = 0
    """Of its bus."""
    flags: int = 0
    """Of the node: MASTER, REPLICA, ... of nodes.py. Unknown bits are possible."""
    state: int = 0
    """The cluster as it sees it: 0 ok, 1 fail."""
    mflags: int = 0


@dataclass(slots=True)
class Gossip:
    """What the sender of a PING, PONG or MEET tells of another node."""

    id: bytes
    ping_sent: int
    """Unix time in seconds of the ping that waits for its pong; 0 if none does."""
    pong_received: int
    """Unix time in seconds."""
    ip: str
    port: int
    cport: int
    flags: int
    pport: int = 0


@dataclass(slots=True)
class Extensions:
    """What came to the PINGs later, in 7.0 (hostname) and 7.2 (the others)."""

    hostname: str | None = None
    """None: not said, so it has none. Sent unless empty."""
    nodename: str | None = None
    """As `hostname`; also None if it cannot be written to nodes.conf."""
    forgotten: list[tuple[bytes, int]] = field(default_factory=list)
    """Ids the sender forgot, and for how many seconds they are to be kept out."""
    shard_id: bytes | None = None


@dataclass(slots=True)
class Ping:
    """PING, PONG or MEET, by `header.type`."""

    header: Header
    gossip: list[Gossip]
    extensions: Extensions


@dataclass(slots=True)
class Fail:
    """The node `id` has failed: a majority of the masters says so."""

    header: Header
    id: bytes


@dataclass(slots=True)
class Publish:
    """PUBLISH or PUBLISHSHARD, by `header.type`."""

    header: Header
    channel: bytes
    message: bytes


@dataclass(slots=True)
class Update:
    """The slots of the node `id` in its `config_epoch`, for somebody whose claim is stale."""

    header: Header
    config_epoch: int
    id: bytes
    slots: bytes


@dataclass(slots=True)
class Module:
    """A message between modules."""

    header: Header
    module: int
    kind: int
    payload: bytes


@dataclass(slots=True)
class Plain:
    """A message without data, by `header.type`: AUTH_REQUEST, AUTH_ACK, MFSTART."""

    header: Header


Message = Ping | Fail | Publish | Update | Module | Plain
