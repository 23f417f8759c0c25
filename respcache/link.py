"""What handlers may ask of a client's connection."""

from __future__ import annotations

from typing import Protocol


class Link(Protocol):
    """What a handler may ask of a client's connection."""

    @property
    def fd(self) -> int:
        """The file descriptor, -1 once closed."""

    @property
    def input_pending(self) -> int:
        """Bytes received and not yet part of an executed request."""

    @property
    def output_pending(self) -> int:
        """Bytes of replies that the peer has not taken yet."""

    @property
    def congested(self) -> bool:
        """Whether the peer is slower than the server."""

    @property
    def closing(self) -> bool:
        """Whether the connection is being closed: nothing more is to be sent."""

    output_limit: tuple[int, int, int]
    """Of client-output-buffer-limit, see `Peer.check_output`."""

    def check_output(self, now: float) -> None:
        """Closes the connection if it is over its output limit; `now` is monotonic, in seconds."""

    def send(self, data: bytes) -> None:
        """Sends an encoded reply or message behind what was already replied."""

    def close(self, flush: bool = True) -> None:
        """Closes the connection; without `flush` what is still to be sent is dropped."""

    def release(self, reply: bytes | None = None) -> None:
        """Ends a pause: with this reply, or by running the paused request again."""

    def relieve(self) -> None:
        """Sends the replies gathered so far, so that the output limit is looked at."""

    def distrust(self) -> None:
        """From now on the limits of clients that have not authenticated hold for the input."""
