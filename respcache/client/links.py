"""Requests and replies over blocking calls: all nodes at once, and no longer than the deadline.

Sockets do not block; `poll` waits for any of them. So one thread sends to several nodes and reads from them as they
answer, also while it still sends: a node that stops reading until its replies are fetched stalls nobody. The
time of a deadline is that of `time.monotonic()`.
"""

from __future__ import annotations

import select
import ssl
import threading
from collections.abc import Callable, Iterable, Sequence
from time import monotonic

import hiredis

from respcache.client.dial import dial
from respcache.client.errors import CacheError, DeadlineError
from respcache.client.node import Node
from respcache.client.request import Request, new_reader

CHUNK = 1 << 16
MOST_IDLE = 64  # links of a node that wait for their next use

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
        self.request = request
        self._unsent = request.payload
        try:
            self._send()
        except OSError as error:
            self.fail(error)

    def go_on(self) -> bool:
        """Send and read what can be; whether the request is over, answered or not."""
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
        except _LATER:
            return False
        except (OSError, hiredis.ProtocolError) as error:
            self.fail(error)
            return True

    def _send(self) -> None:
        try:
            while self._unsent:
                sent = self._socket.send(self._unsent)
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
            if link.go_on():
                pending.remove(link)
        if left <= 0:  # what had arrived by then was read
            break
    for link in pending:
        link.fail(TimeoutError())


class Links:
    """The links of a client to all its nodes. Threads share them: each takes an idle one, or opens its own."""

    def __init__(self) -> None:
        self._idle: dict[Node, list[Link]] = {}  # lists, whose append and pop are atomic
        self._closed = False

    def ask(self, requests: Sequence[Request], deadline: float, *, repeatable: bool) -> None:
        """Have all requests answered or failed by the deadline.

        A link that was idle may turn out to be cut, by a node that started anew: what was asked on it is asked
        again on a fresh one, if it may be done twice.
        """
        links: list[tuple[Link, Request]] = []
        afresh: list[Request] = []
        for request in requests:
            link = self._take(request.node)
            if link is None:
                afresh.append(request)
            else:
                link.begin(request)
                links.append((link, request))
        finish = self._start_afresh(afresh, deadline) if afresh else None
        converse([link for link, _ in links if not link.closed], deadline)
        if finish is not None:
            finish()
        lost = [request for link, request in links if self._is_lost(link, request)]
        if repeatable and lost:
            for request in lost:
                request.again()
            self._start_afresh(lost, deadline)()

    def _is_lost(self, link: Link, request: Request) -> bool:
        """Put a link back that has done its work; whether it was cut instead, before the deadline."""
        if not link.closed:
            self._give(request.node, link)
            return False
        self.drop(request.node)
        return not isinstance(request.failure, TimeoutError)

    def _start_afresh(self, requests: Sequence[Request], deadline: float) -> Callable[[], None]:
        """Ask on fresh links; what this returns waits until all is answered or has failed.

        Each in a thread: redis-py connects to one node at a time, to each of its addresses, and gives each step its
        time; a node that does not answer must take no time from the others, and no more than there is from the caller.
        That is rare: links are kept.
        """
        over = False
        lock = threading.Lock()

        def attempt(request: Request) -> None:
            own = request.twin()
            self._ask_afresh(own, deadline)
            with lock:
                if not over:
                    request.adopt(own)

        threads = [threading.Thread(target=attempt, args=(each,), daemon=True) for each in requests]
        for thread in threads:
            thread.start()

        def finish() -> None:
            nonlocal over
            for thread in threads:
                thread.join(max(deadline - monotonic(), 0.0))
            with lock:
                over = True
            for request in requests:
                if not request.done:
                    request.fail(TimeoutError())

        return finish

    def _ask_afresh(self, request: Request, deadline: float) -> None:
        try:
            link = Link(request.node, deadline)
        except CacheError as error:
            request.fail(error)
            self.drop(request.node)
            return
        link.begin(request)
        if not link.closed:
            converse([link], deadline)
        if not link.closed:
            self._give(request.node, link)

    def _take(self, node: Node) -> Link | None:
        """An idle link that is whole: nothing is to be read from it, not even its end."""
        idle = self._idle.get(node)
        while idle:
            try:
                link = idle.pop()
            except IndexError:  # another thread was faster
                return None
            if not ready([link], 0.0):
                return link
            link.close()
        return None

    def _give(self, node: Node, link: Link) -> None:
        link.request = None
        idle = self._idle.setdefault(node, [])
        if self._closed or len(idle) >= MOST_IDLE:
            link.close()
        else:
            idle.append(link)
            if self._closed:  # meanwhile
                self.drop(node)

    def drop(self, node: Node) -> None:
        """Close the idle links of a node."""
        idle = self._idle.get(node, [])
        while idle:
            try:
                idle.pop().close()
            except IndexError:
                break

    def close(self) -> None:
        """Close all idle links; those in use are closed when they come back. Nothing more is asked."""
        self._closed = True
        for node in list(self._idle):
            self.drop(node)
