"""A small client of a cluster that tells what is known of each write.

It follows redirections and tries again until a deadline, as clients do; but a write that may have been done it never
sends twice. So a write ends in one of three ways: with its reply, in `Refused` if it was surely not done, in `Unknown`
if its reply was lost. It reaches nodes through `Server.connect`, whatever address they are known by to each other.
"""

from __future__ import annotations

import random
import time
from collections.abc import Sequence

from respcache.store.slot import SLOTS
from tests.clusters import slot_of
from tests.servers import Server
from tests.wire import Argument, Error, Reply, Wire

TRY_SECONDS = 1.0
"""How long a node may take to answer: one that is paused or dead has to be given up."""

WAIT_MS = 400
"""How long a write waits for its replica."""

PAUSE = 0.02
"""Seconds between two attempts."""

LATER = {"CLUSTERDOWN", "TRYAGAIN", "LOADING", "MASTERDOWN", "READONLY"}
"""Codes of errors that say: not done, and perhaps another time or elsewhere."""


class Refused(Exception):
    """Not done within the deadline: the last reason."""


class Unknown(Exception):
    """A write was sent, and no reply came: done or not, now or later."""


class Router:
    """One client, for one thread."""

    def __init__(self, servers: Sequence[Server], seed: int | None = None) -> None:
        """Knows these nodes by their addresses, and not yet who owns what."""
        self._servers = {f"{server.host}:{server.port}": server for server in servers}
        self._owners: list[Server] = [servers[0]] * SLOTS
        self._wires: dict[Server, Wire] = {}
        self._dice = random.Random(seed)
        self._learn()

    def write(self, key: str, *words: Argument, seconds: float) -> tuple[Reply, int]:
        """Sends a write and WAIT 1; the write's reply, and how many replicas had it in time.

        Raises Refused and Unknown. An error that is no redirection is a reply like others.
        """
        replies = self._ask(key, [words, ("WAIT", 1, WAIT_MS)], seconds, again=False)
        return replies[0], replies[1] if isinstance(replies[1], int) else 0

    def read(self, key: str, *words: Argument, seconds: float) -> Reply:
        """Sends a command as often as it takes, and returns its reply. Raises Refused."""
        return self._ask(key, [words], seconds, again=True)[0]

    def owner(self, key: str) -> Server:
        """The node that was last believed to own a key."""
        return self._owners[slot_of(key)]

    def close(self) -> None:
        """Closes all connections."""
        for wire in self._wires.values():
            wire.close()
        self._wires.clear()

    def _ask(
        self, key: str, commands: Sequence[Sequence[Argument]], seconds: float, again: bool
    ) -> list[Reply]:
        deadline = time.monotonic() + seconds
        slot = slot_of(key)
        while True:
            server = self._owners[slot]
            wire = None
            try:
                wire = self._connected(server)
                replies = wire.pipeline(commands)
            except (OSError, EOFError) as error:
                self._drop(server)
                if wire is not None and not again:
                    raise Unknown(f"{server!r}: {error!r}") from error
                reason = f"{server!r}: {error!r}"
                self._learn()
            else:
                code, _, rest = (
                    replies[0].text.partition(" ") if isinstance(replies[0], Error) else ("", "", "")
                )
                if code == "MOVED":
                    self._owners[slot] = self._servers[rest.split()[1]]
                elif code in LATER:
                    self._learn()
                else:
                    return replies
                reason = f"{server!r}: {code} {rest}"
            if time.monotonic() > deadline:
                raise Refused(reason)
            time.sleep(PAUSE)

    def _connected(self, server: Server) -> Wire:
        if server not in self._wires:
            self._wires[server] = server.connect(TRY_SECONDS)
        return self._wires[server]

    def _drop(self, server: Server) -> None:
        wire = self._wires.pop(server, None)
        if wire is not None:
            wire.close()

    def _learn(self) -> None:
        """Asks any node who owns what. It may be wrong, or silent: the next attempt asks another one."""
        server = self._dice.choice([*self._servers.values()])
        try:
            parts = self._connected(server)("CLUSTER", "SLOTS")
        except (OSError, EOFError):
            self._drop(server)
            return
        if isinstance(parts, Error):
            return
        for start, end, (host, port, *_), *_ in parts:
            owner = self._servers.get(f"{host.decode()}:{port}")
            if owner is not None:
                self._owners[start : end + 1] = [owner] * (end + 1 - start)
