"""The connections of a client to all its nodes: so many to each at most, shared by threads.

The time of a deadline is that of `time.monotonic()`.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from time import monotonic

from respcache.client.errors import CacheError, DeadlineError, LocalError
from respcache.client.link import Link, converse, ready
from respcache.client.node import Node
from respcache.client.request import Request

CONNECTIONS = 32  # to a node


class _Turn:
    """A thread that waits for a link. Its lock is free when it has one, or the place of one, or an error."""

    __slots__ = ("error", "link", "lock", "over")

    def __init__(self) -> None:
        self.over = False
        self.link: Link | None = None
        self.error: CacheError | None = None
        self.lock = threading.Lock()
        self.lock.acquire()

    def end(self, link: Link | None, error: CacheError | None = None) -> None:
        """Wake the thread up."""
        self.over, self.link, self.error = True, link, error
        self.lock.release()


class Pool:
    """The links to a node: at most so many. Who finds none free waits for one, first come, first served.

    Who takes one gives it back (`give`), or tells that it is closed (`leave`). `take` may give the place of a link
    instead of one: then it is opened, and kept just so, or it could not be (`fail`).
    """

    def __init__(self, node: Node, size: int) -> None:
        self._node = node
        self._size = size
        self._taken = 0  # places: links in use, idle, or being opened
        self._idle: list[Link] = []  # its pop is atomic, and needs no lock
        self._waiting: deque[_Turn] = deque()  # empty while a link is idle
        self._lock = threading.Lock()
        self._closed = False

    def spare(self) -> Link | None:
        """An idle link that is whole: nothing is to be read from it, not even its end. None if there is none."""
        while self._idle:
            try:
                link = self._idle.pop()
            except IndexError:  # another thread was faster
                break
            if not ready([link], 0.0):
                return link
            link.close()
            self.leave()
        return None

    def take(self, deadline: float, *, patient: bool = False) -> Link | None:
        """A link, or None for the place of one. `patient`: waits, first of all, for a link if there is any.

        Raises DeadlineError, or what those who opened one were told.
        """
        while True:
            link = self.spare()
            if link is not None:
                return link
            with self._lock:
                if self._idle:  # by now
                    continue
                if self._taken < self._size and not self._waiting and not (patient and self._taken):
                    self._taken += 1
                    return None
                turn = _Turn()
                if patient:
                    self._waiting.appendleft(turn)
                else:
                    self._waiting.append(turn)
            return self._wait(turn, deadline)

    def _wait(self, turn: _Turn, deadline: float) -> Link | None:
        try:
            turn.lock.acquire(timeout=max(deadline - monotonic(), 0.0))
        except BaseException:  # a signal's
            self._withdraw(turn)
            raise
        if turn.error is not None:
            raise turn.error
        if not turn.over or monotonic() >= deadline:  # nothing may be sent any more
            self._withdraw(turn)
            raise DeadlineError(self._node.name, "no connection was free in time")
        return turn.link

    def _withdraw(self, turn: _Turn) -> None:
        with self._lock:
            if not turn.over:
                self._waiting.remove(turn)
                return
        if turn.link is not None:
            self.give(turn.link)
        elif turn.error is None:
            self.leave()

    def give(self, link: Link) -> None:
        """Put a link back that is whole."""
        link.request = None
        with self._lock:
            # One that was answered before it was heard would take what comes next for the rest.
            if not self._closed and not link.sending:
                if self._waiting:
                    self._waiting.popleft().end(link)
                else:
                    self._idle.append(link)
                return
        link.close()
        self.leave()

    def leave(self) -> None:
        """A link is closed: its place is for the first who waits."""
        with self._lock:
            if self._waiting:
                self._waiting.popleft().end(None)
            else:
                self._taken -= 1

    def fail(self, error: CacheError) -> bool:
        """A link could not be opened; whether there are others.

        Who waits is not sent to try the same: others come back, or else the error is for all.
        """
        with self._lock:
            self._taken -= 1
            while self._waiting and not self._taken:
                self._waiting.popleft().end(None, error)
            return self._taken > 0

    def drop(self) -> None:
        """Close the idle links."""
        while self._idle:
            try:
                self._idle.pop().close()
            except IndexError:
                break
            self.leave()

    def close(self) -> None:
        """Close the idle links, and others when they come back."""
        with self._lock:
            self._closed = True
        self.drop()


class Links:
    """The links of a client to all its nodes, so many to each at most. Threads share them."""

    def __init__(self, connections: int = CONNECTIONS) -> None:
        self._connections = connections
        self._pools: dict[Node, Pool] = {}
        self._closed = False

    def ask(self, requests: Sequence[Request], deadline: float, *, repeatable: bool) -> None:
        """Have all requests answered or failed by the deadline.

        A link that was idle may turn out to be cut, by a node that started anew: what was asked on it is asked
        again on a fresh one, if it may be done twice.
        """
        alone = len(requests) == 1
        asked: list[tuple[Link, Request, Pool]] = []
        afresh: list[Request] = []
        for request in requests:
            pool = self.pool(request.node)
            try:
                # Nobody waits who holds a link: two might wait for each other, and a node for one that is slow.
                link = pool.take(deadline) if alone else pool.spare()
            except CacheError as error:
                request.fail(error)
                continue
            if link is None:
                afresh.append(request)
            else:
                link.begin(request)
                asked.append((link, request, pool))
        finish = self._start_afresh(afresh, deadline, placed=alone) if afresh else None
        try:
            converse([link for link, _, _ in asked if not link.closed], deadline)
            if finish is not None:
                finish()
        except BaseException:  # a signal's: replies are still on their way
            for link, _, pool in asked:
                link.close()
                pool.leave()
            raise
        lost: list[Request] = []
        for link, request, pool in asked:
            if not link.closed:
                pool.give(link)
                continue
            cut = not isinstance(request.failure, TimeoutError)
            if cut:  # and so may be the others
                pool.drop()
            if cut and repeatable:  # in the place of that link
                request.again()
                lost.append(request)
            else:
                pool.leave()
        if lost:
            self._start_afresh(lost, deadline, placed=True)()

    def _start_afresh(
        self, requests: Sequence[Request], deadline: float, *, placed: bool
    ) -> Callable[[], None]:
        """Ask on other links; what this returns waits until all is answered or has failed.

        `placed`: we have the places of these links already.

        Each in a thread: redis-py connects to one node at a time, to each of its addresses, and gives each step its
        time; a node that does not answer must take no time from the others, and no more than there is from the caller.
        That is rare: links are kept.
        """
        attempts: list[tuple[threading.Thread, Request, Request]] = []
        for request in requests:
            own = request.twin()
            thread = threading.Thread(target=self._ask_afresh, args=(own, deadline, placed), daemon=True)
            try:
                thread.start()
            except RuntimeError as error:
                request.fail(LocalError(request.node.name, str(error)))
                if placed:
                    self.pool(request.node).leave()
            else:
                attempts.append((thread, request, own))

        def finish() -> None:
            for thread, request, own in attempts:
                thread.join(max(deadline - monotonic(), 0.0))
                over = not thread.is_alive()
                request.adopt(own)
                if not over:  # whatever it still finds is for nobody
                    request.fail(TimeoutError())

        return finish

    def _ask_afresh(self, request: Request, deadline: float, placed: bool) -> None:
        pool = self.pool(request.node)
        try:
            link = None if placed else pool.take(deadline)
            while link is None:
                link = self._open(pool, request, deadline)
        except CacheError as error:
            request.fail(error)
            return
        link.begin(request)
        if not link.closed:
            converse([link], deadline)
        if link.closed:
            pool.leave()
        else:
            pool.give(link)

    def _open(self, pool: Pool, request: Request, deadline: float) -> Link | None:
        """A new link in a place that we have; if we can open none, one that others have used, or its place."""
        request.asked = monotonic()
        try:
            return Link(request.node, deadline)
        except DeadlineError:
            pool.leave()
            raise
        except LocalError as error:
            if not pool.fail(error):
                raise
        except CacheError as error:
            pool.drop()
            pool.fail(error)
            raise
        request.excuse()
        return pool.take(deadline, patient=True)

    def pool(self, node: Node) -> Pool:
        """The links to a node."""
        found = self._pools.get(node)
        if found is None:
            found = self._pools.setdefault(node, Pool(node, self._connections))
            if self._closed:  # perhaps meanwhile
                found.close()
        return found

    def close(self) -> None:
        """Close all idle links; those in use are closed when they come back. Nothing more is asked."""
        self._closed = True
        for pool in list(self._pools.values()):
            pool.close()
