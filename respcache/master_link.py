"""The connection to a master: the handshake, all data if need be, and then its stream.

The order of events is the protocol's: `begun` or `continued`, then, with all data, `loaded`; `lost` at any time, once.
"""

from __future__ import annotations

import asyncio
from typing import Literal, Protocol, cast

from respcache.applying import Applier, DesyncError
from respcache.clock import monotonic
from respcache.loading import Loader, LoadError, LoadingStopped
from respcache.log import logger as log
from respcache.peer import address
from respcache.protocol.reply import bulks
from respcache.receiving import Incoming, receive
from respcache.replaying import NoConnection
from respcache.replication.handshake import Continued, Greeting, Handshake, Outcome, RefusedError
from respcache.replication.transfer import Transfer, TransferError
from respcache.state import ServerState

Phase = Literal["handshake", "sync", "connected"]


class Owner(Protocol):
    """Who has the connection."""

    def answered(self, link: MasterLink, outcome: Outcome) -> None:
        """The handshake is over. After `Continued` the link is to be given its applier."""

    def begun(self, link: MasterLink) -> None:
        """All data is about to come: that which was there must go now."""

    def loaded(self, link: MasterLink, loader: Loader) -> None:
        """All data is there. The link is to be given its applier."""

    def asked(self, offset: int) -> None:
        """The master wants to know how far its stream is applied: up to this offset."""

    def lost(self, link: MasterLink, reason: str) -> None:
        """The connection is gone."""


class MasterLink(NoConnection, asyncio.Protocol):
    """One connection to a master. For commands it is that of a client who is sent nothing."""

    def __init__(self, server: ServerState, owner: Owner, greeting: Greeting) -> None:
        super().__init__()
        self._server = server
        self._owner = owner
        self._transport: asyncio.Transport | None = None
        self._handshake = Handshake(greeting)
        self._incoming: Incoming | None = None
        self._behind: list[bytes] = []  # what came behind the data, before that was loaded
        self._load: asyncio.Task[None] | None = None
        self._reason = ""  # why it is closed
        self.transfer: Transfer | None = None
        """Of all data, while that comes."""
        self.applier: Applier | None = None
        """Takes the stream."""
        self.closing = False
        self.phase: Phase = "handshake"
        self.heard = monotonic()
        """When something came last."""

    # What asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begins the handshake."""
        self._transport = cast(asyncio.Transport, transport)
        self.heard = monotonic()
        log.info("MASTER <-> REPLICA sync started")
        self.send_to_master(self._handshake.begin())

    def data_received(self, data: bytes) -> None:
        """Takes what has come."""
        self.heard = monotonic()
        if self.closing:
            return
        try:
            if self.applier is not None:
                self.applier.feed(data)
            elif self.phase == "handshake":
                self._shake(data)
            else:
                self._transfer(data)
        except DesyncError as error:
            self.drop(f"Protocol error from MASTER: {error}")
        except (RefusedError, TransferError) as error:
            self.drop(str(error))

    def eof_received(self) -> None:
        """The master has closed the connection."""

    def connection_lost(self, exc: Exception | None) -> None:
        """Tells the owner, behind the end of a load."""
        self._transport = None
        self.closing = True
        if exc is not None and not self._reason:
            self._reason = str(exc)
        if self._load is None:
            self._owner.lost(self, self._reason)
        elif self._incoming is not None:
            self._incoming.end()

    # What clients' connections have

    @property
    def addresses(self) -> tuple[bytes, bytes]:
        """The master's and ours, as CLIENT LIST prints them."""
        if self._transport is None:
            return b"", b""
        peer, local = (self._transport.get_extra_info(name) for name in ("peername", "sockname"))
        return address(peer), address(local)

    @property
    def fd(self) -> int:  # type: ignore[override]
        """The file descriptor, -1 once closed."""
        sock = self._transport.get_extra_info("socket") if self._transport else None
        return sock.fileno() if sock is not None else -1

    @property
    def input_pending(self) -> int:  # type: ignore[override]
        """Bytes that have come and are not applied."""
        return self.applier.pending if self.applier is not None else 0

    def close(self, flush: bool = True) -> None:
        """Closes the connection: CLIENT KILL."""
        self.drop("")

    # What the owner may do

    def drop(self, reason: str) -> None:
        """Closes the connection."""
        if not self.closing:
            self.closing = True
            self._reason = reason
            if self._incoming is not None and self._load is not None:
                self._incoming.end(drop=True)
            if self._transport is not None:
                self._transport.abort()

    async def ended(self) -> None:
        """Waits until a load, if there is one, is given up. The connection is closed."""
        if self._load is not None:
            await asyncio.wait([self._load])

    def send_to_master(self, data: bytes) -> None:
        """Sends something, unless the connection is closed."""
        if self._transport is not None and not self.closing and data:
            self._transport.write(data)

    def acknowledge(self, offset: int, synced: int | None = None) -> None:
        """Tells the master how far its stream is applied, and how far our append-only file has it, if there is one."""
        words = [b"REPLCONF", b"ACK", b"%d" % offset]
        if synced is not None:
            words += [b"FACK", b"%d" % synced]
        self.send_to_master(bulks(words))

    def start(self, applier: Applier) -> None:
        """Gives the stream to this from now on, beginning with what has come already."""
        self.phase = "connected"
        self.transfer = None
        self.applier = applier
        applier.acknowledge = self._owner.asked
        behind, self._behind = b"".join(self._behind), []
        if behind:
            self.data_received(behind)

    # How

    def _shake(self, data: bytes) -> None:
        shake = self._handshake
        self.send_to_master(shake.feed(data))
        for complaint in shake.complaints:
            log.warning("%s", complaint)
        shake.complaints.clear()
        outcome = shake.outcome
        if outcome is None:
            return
        if isinstance(outcome, Continued):
            self._behind = [shake.rest]
            self._owner.answered(self, outcome)
            return
        self.phase = "sync"
        self.transfer = Transfer()
        self._owner.answered(self, outcome)
        if shake.rest:
            self._transfer(shake.rest)

    def _transfer(self, data: bytes) -> None:
        transfer = self.transfer
        if transfer is None or transfer.done:
            self._behind.append(data)
            return
        payload = transfer.feed(data)
        if transfer.begun and self._incoming is None:
            self._begin(transfer)
        if self._incoming is not None:
            self._incoming.put(payload)
            if transfer.done:
                self._incoming.end()
                self._behind.append(transfer.rest)
                self._pause()  # the stream comes when the data is there

    def _begin(self, transfer: Transfer) -> None:
        kind = "with EOF mark" if transfer.size < 0 else f"{transfer.size} bytes"
        log.info("MASTER <-> REPLICA sync: receiving %s from master to parser", kind)
        self._owner.begun(self)
        log.info("MASTER <-> REPLICA sync: Loading DB in memory")
        loop = self._server.loop
        self._incoming = Incoming(loop, self._pause, self._resume)
        self._load = loop.create_task(self._receive(self._incoming, transfer.size))

    async def _receive(self, incoming: Incoming, size: int) -> None:
        loader: Loader | None = None
        stopped = False
        try:
            loader = await receive(self._server, incoming, size)
        except LoadError as error:
            if not self.closing:
                self.drop(f"Failed trying to load the MASTER synchronization DB: {error}")
        except LoadingStopped:
            stopped = True
            self.drop("the server ends")
        self._load = None
        if self.closing:
            self._owner.lost(self, self._reason)
        elif loader is not None:
            self._owner.loaded(self, loader)
            self._resume()
        if stopped:
            self._server.shutdown()

    def _pause(self) -> None:
        if self._transport is not None and not self.closing:
            self._transport.pause_reading()

    def _resume(self) -> None:
        transfer = self.transfer
        if self._transport is not None and not self.closing and (transfer is None or not transfer.done):
            self._transport.resume_reading()
