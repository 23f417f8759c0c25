"""A TCP proxy whose connections can be cut, for tests of links that are lost."""

from __future__ import annotations

import contextlib
import random
import selectors
import socket
import threading


class Proxy:
    """Passes on bytes between clients and a port of the loopback, in a thread of its own; to be used in `with`.

    A cut comes at any byte: what was read from one side and not yet written to the other is lost.
    """

    def __init__(self, target: int, seed: int = 1) -> None:
        self._target = target
        self._dice = random.Random(seed)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        """Where it listens."""
        self._pairs: dict[socket.socket, socket.socket] = {}
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._lock = threading.Lock()
        self._cut = False
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.accepted = 0
        """Connections so far."""

    def cut(self) -> None:
        """Cuts all connections, soon."""
        self._cut = True

    def __enter__(self) -> Proxy:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(10)
        for each in [*self._pairs]:
            each.close()
        self._listener.close()
        self._selector.close()

    def _run(self) -> None:
        while not self._over.is_set():
            for key, _ in self._selector.select(0.02):
                if key.fileobj is self._listener:
                    self._accept()
                elif isinstance(key.fileobj, socket.socket) and key.fileobj in self._pairs:
                    self._pass(key.fileobj)
            if self._cut:
                self._cut = False
                for each in [*self._pairs]:
                    self._close(each)

    def _accept(self) -> None:
        client, _ = self._listener.accept()
        try:
            server = socket.create_connection(("127.0.0.1", self._target), 5)
        except OSError:
            client.close()
            return
        self.accepted += 1
        for one, other in ((client, server), (server, client)):
            self._pairs[one] = other
            self._selector.register(one, selectors.EVENT_READ)

    def _pass(self, one: socket.socket) -> None:
        other = self._pairs[one]
        try:
            data = one.recv(1 << 16)
            if not data:
                raise ConnectionError
            if self._cut:
                data = data[: self._dice.randrange(len(data))]
            other.sendall(data)
        except OSError:
            self._close(one)

    def _close(self, one: socket.socket) -> None:
        other = self._pairs.get(one)
        for each in (one, other):
            if each is not None and self._pairs.pop(each, None) is not None:
                with contextlib.suppress(KeyError, ValueError):
                    self._selector.unregister(each)
                each.close()
