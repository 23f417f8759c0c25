"""What commands may ask of replication. Its parts stand above `respcache.state`, which knows them by these shapes:
`respcache.mastering` is a master's side, also that of a replica with replicas of its own, `respcache.following` is a
replica's.
"""

from __future__ import annotations

from typing import Literal, Protocol

from respcache.clock import monotonic
from respcache.durable import Fields
from respcache.features.blocking import Waiter
from respcache.link import Link

State = Literal["", "wait_bgsave", "send_bulk", "online"]


class Replica:
    """A client that said that it is a replica, or is about to say so."""

    __slots__ = (
        "acked",
        "acked_at",
        "changed_at",
        "data_only",
        "held",
        "held_size",
        "host",
        "id",
        "is_old",
        "knows_eof",
        "knows_psync",
        "link",
        "parts",
        "peer",
        "port",
        "soft_since",
        "starts_at_ack",
        "state",
        "synced",
    )

    def __init__(self, link: Link, peer: bytes) -> None:
        """`peer` is the client's, ip:port."""
        self.link = link
        self.id = 0
        """Of the client."""
        self.peer = peer
        self.host = ""
        """What it announced; empty: it is where its connection comes from."""
        self.port = 0
        """Where it listens."""
        self.is_old = False
        """It has sent SYNC, and does not know of offsets."""
        self.knows_eof = False
        """Its data may come without its size being known before."""
        self.knows_psync = False
        """It understands that a history has changed its name."""
        self.data_only = False
        """It wants an RDB file, and nothing after that."""
        self.parts: frozenset[str] | None = None
        """What of the data it wants; None: all."""
        self.state: State = ""
        """Empty: it is none yet."""
        self.held: list[bytes] | None = None
        """What it is to get behind its data; None: it gets everything at once."""
        self.held_size = 0
        """Bytes of it."""
        self.starts_at_ack = False
        """It gets nothing more before it tells that it has loaded its data."""
        self.acked = 0
        """The offset that it has."""
        self.synced = 0
        """The offset up to which its append-only file is made sure of."""
        self.acked_at = 0.0
        """When it said something last, monotonic."""
        self.changed_at = 0.0
        """When its state was last changed, monotonic."""
        self.soft_since = 0.0
        """Since when what is held for it has been over the soft limit, monotonic; 0: it is not."""

    def enter(self, state: State) -> None:
        """Is in another state from now on."""
        self.state = state
        self.changed_at = monotonic()

    def come_online(self) -> None:
        """It has the data; that counts as a sign of life."""
        self.enter("online")
        self.acked_at = self.changed_at

    @property
    def ip(self) -> str:
        """Where it is, for INFO and ROLE."""
        return self.host or self.peer.rpartition(b":")[0].strip(b"[]").decode("latin-1")

    @property
    def name(self) -> str:
        """What the log calls it."""
        return f"{self.ip}:{self.port}" if self.port else f"client id #{self.id}"


class Mastering(Protocol):
    """The replicas of this server, and what they get."""

    replicas: dict[int, Replica]
    """Those that are attached, by the id of the client, the oldest first."""

    sent: int
    """Bytes sent to replicas so far."""
    full_syncs: int
    partial_syncs: int
    partial_refused: int
    """PSYNC that wanted to continue something, and could not."""

    good: int
    """How many are online, and not behind for longer than min-replicas-max-lag."""

    @property
    def failover_state(self) -> str:
        """As INFO prints it."""

    def flush(self) -> None:
        """Puts what commands have changed so far into the history, so that its offset is up to date."""

    @property
    def selected(self) -> int:
        """The database that the stream has selected for what comes next."""

    def forward(self, data: bytes) -> None:
        """Appends to the history what this server, a replica, has just applied, and sends it on."""

    def publish(self, *words: bytes) -> None:
        """Tells replicas of a message."""

    def stop(self) -> None:
        """Sends what there is, and nothing more: the server ends."""

    def turn(self) -> None:
        """To be called when this server has become a master or a replica: from then on what clients change is its
        history, or is not."""

    def drop_replicas(self) -> None:
        """Disconnects all replicas: they shall ask anew what they may continue."""

    # Commands

    def continue_sync(self, replica: Replica, history: bytes, offset: int) -> None:
        """PSYNC, after the checks: sends the stream from there, or all data."""

    def full_sync(self, replica: Replica) -> None:
        """SYNC: sends all data."""

    def acknowledged(self, replica: Replica, offset: int, synced: int | None) -> None:
        """REPLCONF ACK."""

    def gone(self, client_id: int) -> None:
        """A client has gone, which may have been a replica."""

    @property
    def written(self) -> int:
        """The offset of what clients have written so far."""

    def acked(self, offset: int) -> int:
        """How many replicas have everything up to that offset."""

    def synced(self, offset: int) -> int:
        """How many replicas have that in their append-only files."""

    def wait(
        self, waiter: Waiter, offset: int, replicas: int, mark: int | None = None, local: bool = False
    ) -> None:
        """Asks replicas what they have, and ends the waiter of WAIT when so many have everything up to `offset`.

        Of WAITAOF, which has a `mark` (see `durable.Appending`), when so many have it in their append-only files, and
        we have ours in our own if `local`. Until then its reply for when the time is over is kept true."""

    def fail_over(self, target: tuple[str, int] | None, milliseconds: int, force: bool) -> None:
        """FAILOVER. Raises ReplyError."""

    def abort_failover(self) -> None:
        """FAILOVER ABORT. Raises ReplyError."""

    def failed_over(self, well: bool) -> None:
        """Tells how PSYNC ... FAILOVER went: the other server is the master now, or this one remains it."""

    def memory(self) -> dict[str, int]:
        """Bytes of the backlog and of what waits for replicas, by the names of INFO memory."""

    def cron(self) -> None:
        """Called once a second."""


class Following(Protocol):
    """The master of this server, if it has one."""

    on: bool
    """This server is a replica."""
    hides: bool
    """What is due is not deleted here: that is its master's business."""
    continues: bool
    """The data is that of the master's history, up to our offset."""

    @property
    def address(self) -> tuple[str, int]:
        """Host and port of the master."""

    @property
    def fresh_at(self) -> float:
        """When something came from the master, or when the link to it was lost, monotonic; 0: there never was one."""

    @property
    def link_up(self) -> bool:
        """Whether it has all data of its master and gets what changes."""

    @property
    def syncing(self) -> bool:
        """Whether it is getting all data."""

    @property
    def selected(self) -> int:
        """The database that the master's stream has selected for what comes next."""

    def restore(self, history: str, offset: int, selected: int) -> None:
        """The data that was loaded at start is that of a history up to an offset."""

    def info(self) -> Fields:
        """Fields of INFO replication, from master_host to replica_announced."""

    def role(self) -> bytes:
        """The reply to ROLE."""

    def follow(self, host: str, port: int, failover: bool = False) -> None:
        """Becomes a replica of that server: all that was here gives way to its data.

        With `failover` the other one is asked to become a master first (PSYNC ... FAILOVER): `Mastering.failed_over`
        is told how it answered; if it refused, this server is a master again, as before."""

    def lead(self) -> None:
        """Becomes a master, if it is a replica."""

    def cron(self) -> None:
        """Called once a second."""


class NoMaster:
    """What a server follows that follows nobody, and cannot."""

    def __init__(self) -> None:
        self.on = False
        self.hides = False
        self.continues = False
        self.address = ("", 0)
        self.fresh_at = 0.0
        self.link_up = False
        self.syncing = False
        self.selected = 0

    def restore(self, history: str, offset: int, selected: int) -> None:
        """Not noted."""

    def info(self) -> Fields:
        """Nothing."""
        return {}

    def role(self) -> bytes:
        """Nothing."""
        return b""

    def follow(self, host: str, port: int, failover: bool = False) -> None:
        """Not done."""

    def lead(self) -> None:
        """It does."""

    def cron(self) -> None:
        """Nothing."""
