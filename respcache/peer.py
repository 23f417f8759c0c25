"""The peer of a connection: its socket, what is sent to it, and how much of that may wait."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from typing import cast

from respcache.clock import monotonic
from respcache.protocol.errors import ProtocolError
from respcache.state import BIG, Client, ServerState

log = logging.getLogger("respcache")


class Peer(asyncio.Protocol):
    """The socket's side of a connection; what the requests mean is `respcache.connection`'s business."""

    __slots__ = (
        "_gated",
        "_soft_since",
        "_transport",
        "client",
        "closing",
        "congested",
        "out",
        "output_limit",
        "server",
        "unix",
        "write",
    )

    client: Client

    def __init__(self, server: ServerState, unix: bool) -> None:
        self.server = server
        self.unix = unix
        self.closing = False
        self.congested = False  # the peer is slower than we are
        self.out: list[bytes] | None = None  # replies gathered so far, while requests are being run
        self.output_limit = (0, 0, 0)  # hard, soft, soft seconds of client-output-buffer-limit
        self.write: Callable[[bytes], None] = nowhere
        self._transport: asyncio.Transport | None = None
        self._soft_since = 0.0
        self._gated = 0  # bytes of replies that wait at the gate

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Takes the socket into use."""
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=0)  # tells at once of a peer slower than we are
        self.pass_gate(self.server.gated)
        self.output_limit = self.server.config.output_limit("normal")

    def pass_gate(self, on: bool) -> None:
        """Writes through the server's gate from now on, or directly."""
        if self._transport is not None and not self.closing:
            self.write = self._write_at_gate if on else self._transport.write

    def _write_at_gate(self, data: bytes) -> None:
        """Writes, or has it wait: the transport knows nothing of that, but it is output that waits like any other."""
        self._gated += len(data)
        self.server.gate.write(self._deliver, data)
        if self._gated >= BIG:
            self.check_output(monotonic())

    def _deliver(self, data: bytes) -> None:
        """Writes what the gate let through, unless the peer has gone meanwhile."""
        self._gated -= len(data)
        if self._transport is not None:
            self._transport.write(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """Drops all output from now on."""
        self._transport = None
        self.write = nowhere

    def eof_received(self) -> bool:
        """The peer says nothing more. It still gets its replies, however slowly, but nothing that it waited for.

        Tells whether the transport is to stay: some replies are still at the gate, and `close` stands behind them.
        """
        self.close()
        self.server.forget(self.client)
        self.client.unsubscribe()
        self.client.monitor(False)
        return self.server.gate.shut

    def pause_writing(self) -> None:
        """The peer is slower than we are."""
        self.congested = True

    def resume_writing(self) -> None:
        """The peer has caught up."""
        self.congested = False
        self._soft_since = 0.0

    @property
    def addresses(self) -> tuple[bytes, bytes]:
        """The peer's address and ours, as CLIENT LIST prints them."""
        assert self._transport is not None
        peer, local = (self._transport.get_extra_info(name) for name in ("peername", "sockname"))
        if self.unix:
            here = b"%b:0" % (local if isinstance(local, bytes) else str(local).encode())
            return here, here
        return address(peer), address(local)

    @property
    def fd(self) -> int:
        """The file descriptor, -1 once closed."""
        sock = self._transport.get_extra_info("socket") if self._transport else None
        return sock.fileno() if sock is not None else -1

    @property
    def output_pending(self) -> int:
        """Bytes of replies that the peer has not taken yet."""
        return self._transport.get_write_buffer_size() + self._gated if self._transport is not None else 0

    def send(self, data: bytes) -> None:
        """Sends an encoded reply or message behind what was already replied."""
        if self.out is not None:
            self.out.append(data)
        else:
            self.flush([data])

    def flush(self, out: list[bytes]) -> None:
        """Writes replies, all in one."""
        data = out[0] if len(out) == 1 else b"".join(out)
        if data:
            self.client.net_output += len(data)
            self.write(data)
            if self.congested:
                self.check_output(monotonic())
        if self.closing:
            self.close()

    def relieve(self) -> None:
        """Sends the replies gathered so far, so that the output limit is looked at. Called around big replies."""
        out = self.out
        if out:
            data = b"".join(out)
            out.clear()
            self.client.net_output += len(data)
            self.write(data)
            if self.congested:
                self.check_output(monotonic())

    def keep_alive(self, seconds: int) -> None:
        """Lets the kernel probe a silent peer after so many seconds, and give it up after twice as many."""
        sock = self._transport.get_extra_info("socket") if self._transport else None
        if sock is None or not seconds:
            return
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if hasattr(socket, "TCP_KEEPIDLE"):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, seconds)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, max(seconds // 3, 1))
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)

    def close(self, flush: bool = True) -> None:
        """Closes the socket: at once, or when all is sent, the replies that are being gathered included."""
        self.closing = True
        if self._transport is None:
            return
        if not flush:
            self.write = nowhere
            self._transport.abort()
            self._transport = None
        elif self.out is None:
            self.server.gate.after(self._transport.close)

    def refusal(self, error: ProtocolError) -> bytes:
        """Counts a protocol error. Returns the last reply of the connection."""
        self.server.stats.protocol_errors += 1
        self.server.stats.error("ERR")
        peer = self.client.peer.decode("latin-1")
        log.debug("Protocol error (%s) from client: %s", error.text.decode("latin-1"), peer)
        return b"" if self.client.swallow() else error.reply

    def check_input(self, pending: int) -> None:
        """Closes a client that has sent more bytes than may wait to be run."""
        if pending > self.server.max_pending_input:
            log.warning(
                "Closing client that reached max query buffer length: %s", self.client.peer.decode("latin-1")
            )
            self.server.stats.query_limit_disconnections += 1
            self.close(flush=False)

    def check_output(self, now: float) -> None:
        """Closes a client over its output limit: at once if over the hard one, in time if over the soft one."""
        hard, soft, seconds = self.output_limit
        if not (hard or soft) or self._transport is None:
            return
        pending = self.output_pending
        if soft and pending >= soft:
            self._soft_since = self._soft_since or now
        else:
            self._soft_since = 0.0
        if (hard and pending >= hard) or (self._soft_since and now - self._soft_since > seconds):
            log.warning(
                "Client %s scheduled to be closed ASAP for overcoming of output buffer limits.",
                self.client.peer.decode("latin-1"),
            )
            self.server.stats.output_limit_disconnections += 1
            self.close(flush=False)


def nowhere(_data: bytes) -> None:
    """Takes the output of a connection that is closed."""


def address(name: object) -> bytes:
    """A socket's address as CLIENT LIST prints it."""
    if not isinstance(name, tuple):
        return b""
    host = f"[{name[0]}]" if ":" in name[0] else name[0]
    return f"{host}:{name[1]}".encode()
