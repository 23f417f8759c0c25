"""A connection: bytes in, requests run, one write out.

Two ways lead from bytes to requests. The fast one hands a piece of input to hiredis and calls, for each request it
finds, the entry of the client's table. It is right only for pieces that are well-formed and complete, and it proves
afterwards that they were; whatever else arrives (inline requests, the torn end of a piece, malformed frames, types
that requests may not have, clients that have not authenticated) goes the careful way, through `RequestReader`,
which allocates nothing for what a header only promises and knows every error. hiredis so never keeps anything from
one piece to the next.

`_detour` is the one switch: while it is set it takes the input instead of the fast way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import hiredis

from respcache.clock import monotonic
from respcache.execute import execute, failure
from respcache.features.blocking import Disconnect, Pause
from respcache.peer import Peer
from respcache.protocol.errors import ProtocolError
from respcache.protocol.guard import has_arrays, has_huge_count, has_strings
from respcache.protocol.request import Limits, RequestReader
from respcache.state import BIG, Client, ServerState
from respcache.table import Entry, Gone

CR = 13
STAR = 42
PIECE = 16 * 1024
"""Bytes handed to hiredis at once. It moves what is left of its buffer after each request, so less is faster; and
it bounds the replies that are gathered before the output limits are looked at."""

NIL = b"_\r\n"
"""Fed to hiredis behind a piece, it comes back as None if the piece was complete, and as anything else if not.
(`has_data` does not tell: the elements of an array are consumed as they come.)"""
GONE = Gone()


class _Malformed(Exception):
    """hiredis found something that a request may not contain."""


class Connection(Peer):
    """One client's connection. Implements `respcache.state.Link`."""

    __slots__ = ("_detour", "_feed", "_gets", "_has_data", "_held", "_limits", "_reader", "on_lost")

    def __init__(
        self, server: ServerState, limits: Limits, unix: bool, on_lost: Callable[[Connection], None]
    ) -> None:
        super().__init__(server, unix)
        self.on_lost = on_lost
        self._limits = limits
        self._detour: Callable[[bytes], None] | None = None
        self._reader: RequestReader | None = None
        self._held: list[bytes] | None = None  # the paused request; empty if it is not to be run again
        self._new_parser()

    # What asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Registers the client."""
        super().connection_made(transport)
        peer, local = self.addresses
        self.client = Client(self.server, self, peer, local, self.unix)
        refusal = self.server.admit(self.client)
        if refusal:
            self.write(refusal)
            self.close()
        elif not self.client.authenticated:
            self._go_careful()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forgets the client."""
        super().connection_lost(exc)
        self._detour = _ignore
        self._reader = None
        self._held = None
        self.server.forget(self.client)
        self.on_lost(self)

    def data_received(self, data: bytes) -> None:
        """Runs what has arrived."""
        self.client.net_input += len(data)
        if self._detour is not None:
            self._detour(data)
        elif data.rfind(b"*") == 0:
            self._run_one(data)
        elif data[0] != STAR:
            self._go_careful(data)
        elif len(data) <= PIECE:
            self._run(data)
        else:
            self._run_pieces(data)

    # What handlers may ask for (Link)

    @property
    def input_pending(self) -> int:
        """Bytes received and not yet part of an executed request."""
        return self._reader.pending if self._reader is not None else 0

    def close(self, flush: bool = True) -> None:
        """Closes the connection; without `flush` what is still to be sent is dropped."""
        self._detour = _ignore
        self._held = None
        self.client.table = GONE
        super().close(flush)
        if not flush:
            self.server.forget(self.client)  # at once: it shall get no element and no message any more
            self.on_lost(self)

    def release(self, reply: bytes | None = None) -> None:
        """Ends a pause: with this reply, or by running the paused request again.

        Who gives a reply is in the middle of somebody else's command: what came behind the paused request runs later.
        """
        if self._held is None:
            return
        self.client.paused = False
        if reply is None:
            self._resume()
        else:
            self._held = []
            if not self.client.swallow():
                self.send(reply)
            self.server.loop.call_soon(self._resume)

    def _pause(self, pause: Pause, argv: list[bytes]) -> None:
        """Begins a pause. Who waits for keys does not run the request again, but tells of it once it is served."""
        self._held = argv if pause.retry else []
        if self.client.waiter:
            self.client.waiter.arguments = argv[1:]

    def _resume(self) -> None:
        """Goes on behind a pause."""
        held = self._held
        if held is None:
            return  # closed meanwhile
        self._held = None
        self._detour = self._careful
        self._drain(held or None)

    def distrust(self) -> None:
        """From now on the limits of clients that have not authenticated hold for the input."""
        if self._detour is None:
            self._go_careful()

    # The fast way

    def _new_parser(self) -> None:
        reader = hiredis.Reader()
        self._feed = reader.feed
        self._gets = reader.gets
        self._has_data = reader.has_data

    def _run_pieces(self, data: bytes) -> None:
        """Runs a long input in pieces, each of which ends where a request seems to begin."""
        start, end = 0, len(data)
        while end - start > PIECE:
            cut = data.rfind(b"\r\n*", start, start + PIECE) + 2
            if cut < 2:
                break
            self._run(data[start:cut])
            start = cut
            if self._detour is not None:  # closed, paused, or the cut was inside of a value
                self._detour(data[start:])
                return
        self._run(data[start:])

    def _run_one(self, data: bytes) -> None:
        """Runs a piece that holds one request at most: as `_run`, without what only several need.

        It is worth its lines: what runs once per piece runs with cold caches, right after a system call.
        """
        client = self.client
        since = monotonic()
        try:
            if (data[2] != CR and has_huge_count(data)) or has_strings(data):
                raise _Malformed
            self._feed(data)
            argv = self._gets()
            self._feed(NIL)
            if self._gets() is not None or self._has_data():  # the peer may have sent a null of its own
                raise _Malformed
            entry = client.table[argv[0]]
            for word in argv:
                if type(word) is not bytes:
                    raise _Malformed
        except KeyError:
            self._run(data)
            return
        except (hiredis.ProtocolError, _Malformed, IndexError, TypeError, MemoryError):
            self._new_parser()
            self._go_careful(data)
            return
        if entry.lone:
            self._run(data)
            return
        ran = True
        try:
            words = len(argv)
            if words == 2:
                reply = entry.run(client, argv[1])
            elif words == 3:
                reply = entry.run(client, argv[1], argv[2])
            else:
                reply = entry.run(client, *argv[1:])
        except Pause as pause:
            self._pause(pause, argv)
            self._go_careful(data, 1)
            return
        except Disconnect as goodbye:
            reply = goodbye.reply
            self.closing = True
        except Exception as error:
            ran, reply = failure(client, entry, len(argv), error)
        now = monotonic()
        if ran:
            seconds = now - since
            entry.stats.record(1, seconds)
            if seconds >= self.server.slow_after:
                self.server.exceeded(client, entry, argv, seconds)
        client.seen = now
        client.last = entry
        client.net_output += len(reply)
        self.write(reply)
        if self.congested:
            self.check_output(now)
        if self.closing:
            self.close()

    def _run(self, data: bytes) -> None:
        """Runs the requests of a piece. This loop is the server's hot path."""
        if has_huge_count(data) or has_strings(data) or has_arrays(data):
            self._go_careful(data)
            return
        client = self.client
        gets = self._gets
        out: list[bytes] = []
        self.out = out
        push = out.append
        entry: Entry | None = None  # of the request at hand
        run: Entry | None = None  # what a next request must mean to belong to the run; None after a lone call
        last: Entry | None = None  # of the run that is open
        argv: list[bytes] = []
        opened = argv  # the first request of that run
        done = before = 0  # requests run; those of them that were before that run
        torn = False
        since = monotonic()
        try:
            self._feed(data)
            while (argv := gets()) is not False:
                try:
                    entry = client.table[argv[0]]
                except KeyError:
                    if done > before:
                        self._record(last, done - before, since, opened)
                    if type(argv) is not list or not all(type(word) is bytes for word in argv):
                        before = done
                        raise _Malformed from None
                    entry = last = run = None
                    push(execute(client, argv))
                    done += 1
                    before = done
                    since = monotonic()
                    continue
                if entry is not run:
                    if done > before:
                        since = self._record(last, done - before, since, opened)
                    if (
                        self._detour is not None
                    ):  # the last request was RESET, and other limits hold from here on
                        before = done
                        torn = True
                        break
                    last = entry
                    run = None if entry.lone else entry
                    opened = argv
                    before = done
                try:
                    words = len(argv)
                    if words == 2:
                        word = argv[1]
                        if type(word) is not bytes:
                            raise _Malformed
                        push(entry.run(client, word))
                    elif words == 3:
                        _, word, other = argv
                        if type(word) is not bytes or type(other) is not bytes:
                            raise _Malformed
                        push(entry.run(client, word, other))
                    elif words == 4:
                        _, word, other, third = argv
                        if type(word) is not bytes or type(other) is not bytes or type(third) is not bytes:
                            raise _Malformed
                        push(entry.run(client, word, other, third))
                    else:
                        for word in argv:
                            if type(word) is not bytes:
                                raise _Malformed
                        push(entry.run(client, *argv[1:]))
                except (Pause, Disconnect, _Malformed):
                    raise
                except Exception as error:
                    ran, reply = failure(client, entry, len(argv), error)
                    push(reply)
                    before += not ran
                done += 1
            else:
                self._feed(NIL)
                torn = gets() is not None
        except (hiredis.ProtocolError, _Malformed, IndexError, TypeError, MemoryError):
            torn = True  # or malformed: the careful way finds out which error it is
        except Pause as pause:
            self._pause(pause, argv)
            done += 1
            before += pause.retry
            torn = True
        except Disconnect as goodbye:
            push(goodbye.reply)
            done += not self.closing  # if it was, this request did not run
            self.close()
        if done > before:
            since = self._record(last, done - before, since, opened)
        client.seen = since
        if entry is not None:
            client.last = entry
        self.out = None
        if done:
            reply = out[0] if len(out) == 1 else b"".join(out)
            client.net_output += len(reply)
            self.write(reply)
            if self.congested:
                self.check_output(since)
        if torn or self.closing:
            self._after(data, done)

    def _after(self, data: bytes, done: int) -> None:
        """What a piece leaves to do that was not well-formed and complete, or that ended the connection."""
        if self.closing:
            self.close()
        else:
            self._new_parser()
            self._go_careful(data, done)

    def _record(self, entry: Entry | None, calls: int, since: float, argv: list[bytes]) -> float:
        """Ends a run of calls that began at `since` with the request `argv`. Returns the time."""
        now = monotonic()
        if entry is not None:
            seconds = now - since
            entry.stats.record(calls, seconds)
            if seconds >= self.server.slow_after and calls == 1:
                self.server.exceeded(self.client, entry, argv, seconds)
            if entry.lone and self.out and len(self.out[-1]) >= BIG:
                self.relieve()
        return now

    # The careful way

    def _go_careful(self, data: bytes = b"", done: int = 0) -> None:
        """Leaves the fast way with a piece of input whose first `done` requests have been run."""
        reader = RequestReader(self._limits)
        reader.feed(data)
        try:
            for _ in range(done):
                reader.next()
        except ProtocolError as error:  # hiredis takes `$1\r\naxx+b\r\n`, blind to what stands for a CRLF
            self.flush([self.refusal(error)])
            self.close()
            return
        reader.authenticated = self.client.authenticated
        self._reader = reader
        self._detour = self._careful if self._held is None else self._hold
        if data and self._held is None:
            self._drain(None)

    def _careful(self, data: bytes) -> None:
        """Input while the careful reader is in use: as soon as its torn request is complete, the fast way goes on."""
        reader = self._reader
        assert reader is not None
        reader.feed(data)
        done = self._drain(None, most=1)
        if self._detour != self._careful:
            return  # closed or paused
        if done and self.client.authenticated and reader.between_requests:
            rest = reader.take_rest()
            if not rest or rest[0] == STAR:
                self._leave_careful()
                if rest:
                    self._run_pieces(rest)
                return
            reader.feed(rest)
        self._drain(None)

    def _hold(self, data: bytes) -> None:
        """Keeps the input of a paused client."""
        assert self._reader is not None
        self._reader.feed(data)
        self.check_input(self._reader.pending)

    def _drain(self, argv: list[bytes] | None, most: int = 1 << 62) -> int:
        """Runs a request, if one is given, and then up to `most` that the careful reader holds. Tells how many."""
        reader, client = self._reader, self.client
        assert reader is not None
        out: list[bytes] = []
        self.out = out
        done = size = 0
        try:
            while done < most and (argv := argv or reader.next()) is not None:
                reply = execute(client, argv)
                out.append(reply)
                argv = None
                done += 1
                size += len(reply)
                if size >= BIG:
                    self.relieve()
                    size = 0
                reader.authenticated = client.authenticated
                if self.closing:
                    break
        except Pause as pause:
            self._pause(pause, argv or [])
            self._detour = self._hold
        except Disconnect as last:
            out.append(last.reply)
            self.close()
        except ProtocolError as error:
            out.append(self.refusal(error))
            self.close()
        self.out = None
        client.seen = monotonic()
        self.flush(out)
        if self._detour == self._careful:
            if reader.pending == 0 and client.authenticated:
                self._leave_careful()
            else:
                self.check_input(reader.pending)
        return done

    def _leave_careful(self) -> None:
        self._reader = None
        self._detour = None


def _ignore(_data: bytes) -> None:
    """The input of a connection that is closing."""
