"""What commands may ask of the cluster. Its parts stand above `respcache.state`, which knows them by this shape:
`respcache.clustering` is the node, `respcache.cluster` what it thinks.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from respcache.cluster.nodes import Link, Node, View
from respcache.cluster.services import Todo, Way


class Clustering(Protocol):
    """This node of a cluster. A server that is none has no such object."""

    view: View
    """What is known of the cluster."""

    @property
    def sent(self) -> Sequence[int]:
        """Messages sent, by type."""

    @property
    def received(self) -> Sequence[int]:
        """Messages received, by type."""

    @property
    def links(self) -> Sequence[tuple[Link, Node, bool]]:
        """All connections to known nodes; whether we made it."""

    @property
    def overflowed(self) -> int:
        """How many connections were closed because more than cluster-link-sendbuf-limit waited to be sent."""

    def now(self) -> int:
        """Milliseconds since the epoch, as all times of nodes."""

    # What commands change. They change the view themselves where that is all there is to it, and then say what is to
    # be done at the end of the loop's turn.

    def soon(self, what: Todo) -> None:
        """Has something done at the end of the loop's turn."""

    def save(self) -> None:
        """Writes nodes.conf and makes sure of it, at once. Raises OSError."""

    def announce(self) -> None:
        """Tells everybody at once who we are and what is ours."""

    def meet(self, ip: str, port: int, cport: int) -> bool:
        """Begins a handshake with whoever is there, and says MEET; nothing if one is under way. Tells whether the
        address makes sense."""

    def forget(self, node: Node) -> None:
        """Drops a node, and takes it in no more for a minute."""

    def replicate(self, master: Node) -> None:
        """Becomes a replica of a master; slots and marks are dropped. The checks were made."""

    def reset(self, hard: bool) -> None:
        """Forgets everybody and all slots; a replica becomes an empty master; `hard`: with a new id and epochs of 0."""

    def fail_over(self, way: Way) -> None:
        """CLUSTER FAILOVER, after the checks."""

    def take_all(self, slots: Sequence[int], node: Node) -> None:
        """Assigns slots; those that become ours and were being imported are no longer marked so."""

    # Messages

    def publish(self, channel: bytes, message: bytes) -> None:
        """Hands a message to all other nodes."""

    def publish_shard(self, channel: bytes, message: bytes) -> None:
        """Hands a message of a shard channel to the other nodes of this shard."""
