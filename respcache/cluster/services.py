"""What the logic of a cluster asks of the server around it: time, wires, the disk, replication, the data."""

from __future__ import annotations

import enum
from typing import Literal, Protocol

from respcache.cluster.nodes import Node
from respcache.config import Config


class Todo(enum.Flag):
    """What is to be done before the loop sleeps: asked for many times in a turn, and then done once."""

    STATE = enum.auto()
    """cluster_state may have changed."""
    SAVE = enum.auto()
    """nodes.conf is to be written."""
    FAILOVER = enum.auto()
    """This replica's master has failed: see whether to ask for votes."""
    MANUAL = enum.auto()
    """A manual failover may go on."""


Way = Literal["", "force", "takeover"]
"""How to fail over by hand: with the master's help, without it, without anybody's."""


class Services(Protocol):
    """The server, as the logic of its cluster sees it."""

    config: Config

    def now(self) -> int:
        """Milliseconds since the epoch. They never jump, whatever is done to the clock of the system."""

    def soon(self, what: Todo) -> None:
        """Has something done at the end of the loop's turn."""

    def save(self) -> None:
        """Writes nodes.conf and makes sure of it, at once: to be called before what it says is told to anybody."""

    # Replication

    @property
    def ready(self) -> bool:
        """Whether the data that was kept is loaded. A replica cannot lead before."""

    @property
    def offset(self) -> int:
        """How far the stream of changes is: produced here by a master, applied here by a replica."""

    def await_offset(self, offset: int) -> None:
        """Has `Todo.MANUAL` done when this replica has applied so much, if that is soon."""

    @property
    def data_age(self) -> int:
        """Of a replica: milliseconds since it had a link to its master, 0 while it has one; a huge number if it never
        had."""

    def follow(self, master: Node) -> None:
        """Has the data replicated from a node. Roles and slots are the caller's business."""

    def lead(self) -> None:
        """Stops to replicate from anybody; the data stays."""

    def pause_writes(self, until: int) -> None:
        """Has clients' writes wait until a time at most, for a manual failover."""

    def unpause(self) -> None:
        """Ends that."""

    # Data

    def count_keys(self, slot: int) -> int:
        """How many keys a slot has here."""

    def delete_keys(self, slot: int) -> int:
        """Has all keys of a slot deleted, which has another owner now. Returns how many there are."""

    def empty(self) -> None:
        """Deletes all data."""

    def deliver(self, channel: bytes, message: bytes, sharded: bool) -> None:
        """Hands a message to the subscribers of this node."""
