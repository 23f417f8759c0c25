"""A connection to a node, over blocking calls: a request, its replies, and no longer than the deadline.

Sockets do not block; `poll` waits for any of them. So one thread sends to several nodes and reads from them as they
answer, also while it still sends: a node that stops reading until its replies are fetched stalls nobody. The
time of a deadline is that of `time.monotonic()`; it holds while values of any size are sent and received.
"""

from __future__ import annotations

import select
import ssl
from collections.abc import Iterable
from time import monotonic

import hiredis

from respcache.client.dial import dial
from respcache.client.errors import DeadlineError
from respcache.client.node import Node
from respcache.client.request import Request, new_reader

CHUNK = 1 << 16
SLICE = 1 << 18  # bytes that are sent between two looks at the time

_LATER = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class Link:
    """A connection to a node, for one request at a time."""

    __slots__ = ("_reader", "_socket", "_unsent", "request")

    def __init__(self, node: Node, deadline: float) -> None:
        """Connect. Raises NodeError, or ReplyError if the node does not let us in."""
        left = deadline - monotonic()
        if left <= 0:
            raise DeadlineError(node.name, "no time left to connect")
        self._socket = dial(node, left)
        if monotonic() >= deadline:  # nobody waits any more; a write that came now might undo a later one
            self.close()
            raise DeadlineError(node.name, "no connection in time")
        self._reader = new_reader()
        self._unsent: bytes | memoryview = b""
        self.request: Request | None = None

    def begin(self, request: Request) -> None:
        """Send what can be sent at once."""
        request.asked = monotonic()
        self.request = request
        self._unsent = request.payload
        try:
            self._send()
        except OSError as error:
            self.fail(error)

    def go_on(self, deadline: float) -> bool:
        """Send and read what can be until the deadline; whether the request is over, answered or not."""
        request = self.request
        assert request is not None, "nothing was asked"
        try:
            if self._unsent:
                self._send()
            while True:
                data = self._socket.recv(CHUNK)
                if not data:
                    raise ConnectionResetError("the node closed the connection")
                self._reader.feed(data)
                if request.read(self._reader):
                    return True
                if monotonic() >= deadline:
                    return False
        except _LATER:
            return False
        except (OSError, hiredis.ProtocolError) as error:
            self.fail(error)
            return True

    def _send(self) -> None:
        try:
            if len(self._unsent) <= SLICE:
                sent = self._socket.send(self._unsent)
            else:
                sent = self._socket.send(memoryview(self._unsent)[:SLICE])
            self._unsent = memoryview(self._unsent)[sent:] if sent < len(self._unsent) else b""
        except _LATER:
            pass

    def fail(self, error: BaseException) -> None:
        """The request failed, and the link with it: a reply may still be on its way."""
        if self.request is not None:
            self.request.fail(error)
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()

    @property
    def closed(self) -> bool:
        """Whether we closed it."""
        return self.descriptor < 0

    @property
    def descriptor(self) -> int:
        """The number of the socket."""
        return self._socket.fileno()

    @property
    def sending(self) -> bool:
        """Whether it waits to send, and not only for replies."""
        return bool(self._unsent)


def ready(links: Iterable[Link], seconds: float) -> list[Link]:
    """Those links that can go on; waits until there is one, or for so many seconds."""
    numbered = {link.descriptor: link for link in links}
    if not hasattr(select, "poll"):  # Windows, where select has no limit on the numbers
        sending = [number for number, link in numbered.items() if link.sending]
        readable, writable, _ = select.select(list(numbered), sending, [], seconds)
        return [numbered[number] for number in {*readable, *writable}]
    poll = select.poll()
    for number, link in numbered.items():
        poll.register(number, select.POLLIN | select.POLLOUT if link.sending else select.POLLIN)
    return [numbered[number] for number, _ in poll.poll(seconds * 1000)]


def converse(links: Iterable[Link], deadline: float) -> None:
    """Drive links that have begun until all their requests are answered or have failed."""
    pending = list(links)
    while pending:
        left = deadline - monotonic()
        for link in ready(pending, max(left, 0.0)):
            if link.go_on(deadline):
                pending.remove(link)
        if left <= 0:  # what had arrived by then was read
            break
    for link in pending:
        link.fail(TimeoutError())
