"""Moving keys: the lines, what is kept of them, and what ends a move before its time."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

import respcache
from respcache import migrating
from respcache.execute import INTERNAL_ERROR
from respcache.features.migration import NOT_READ, Batch
from respcache.following import UNBLOCKED
from respcache.migrating import BlockingLine, Line
from respcache.protocol.errors import ReplyError
from respcache.state import ServerState

Speak = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def target(speak: Speak) -> AsyncIterator[int]:
    """A server that speaks so; its port."""
    links: set[asyncio.StreamWriter] = set()

    async def meet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        links.add(writer)
        await speak(reader, writer)

    server = await asyncio.start_server(meet, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for writer in links:
            writer.close()
        await asyncio.sleep(0.02)


async def silent(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    while await reader.read(1 << 16):
        pass


async def willing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Says OK to each request, of which it knows that they begin with a `*`."""
    while data := await reader.read(1 << 16):
        writer.write(b"+OK\r\n" * data.count(b"*"))


def batch(state: ServerState, port: int, *keys: bytes, **options: Any) -> Batch:
    db = state.keyspace.databases[0]
    for key in keys:
        db.set(key, b"v")
    return Batch("127.0.0.1", port, 0, 5.0, db, keys, **options)


def begin(state: ServerState, made: Batch) -> asyncio.Future[ReplyError | None]:
    done: asyncio.Future[ReplyError | None] = state.loop.create_future()
    state.migrating.move(made, done.set_result)
    return done


async def move(state: ServerState, made: Batch) -> ReplyError | None:
    return await asyncio.wait_for(begin(state, made), 5)


def left(state: ServerState) -> int:
    return state.keyspace.databases[0].size


def run(main: Callable[[ServerState], Awaitable[None]]) -> None:
    async def inside() -> None:
        async with respcache.Server(port=0) as server:
            await main(server.state)

    asyncio.run(inside())


def test_keys_are_moved_and_lines_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migrating, "KEPT", 0.2)

    async def main(state: ServerState) -> None:
        links: list[asyncio.StreamWriter] = []

        async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            links.append(writer)
            await willing(reader, writer)

        async with target(speak) as port:
            for _ in range(3):
                assert await move(state, batch(state, port, b"a", b"b")) is None
                assert left(state) == 0
                assert state.migrating.cached == 1
            assert len(links) == 1
            await asyncio.sleep(0.3)
            assert state.migrating.cached == 0
            assert await move(state, batch(state, port, b"a", copy=True)) is None
            assert left(state) == 1
            assert len(links) == 2

    run(main)


def test_two_at_the_same_time() -> None:
    async def main(state: ServerState) -> None:
        async with target(willing) as port:
            both = [begin(state, batch(state, port, key)) for key in (b"a", b"b")]
            assert state.held.keys == {b"a", b"b"}
            assert await asyncio.gather(*both) == [None, None]
            assert state.migrating.cached == 1

    run(main)


def test_no_more_than_some_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migrating, "MOST_KEPT", 2)

    async def main(state: ServerState) -> None:
        async with target(willing) as one, target(willing) as two, target(willing) as three:
            for port in (one, two, three):
                assert await move(state, batch(state, port, b"a")) is None
            assert state.migrating.cached == 2

    run(main)


def test_a_line_on_which_something_was_said_is_not_kept() -> None:
    async def main(state: ServerState) -> None:
        async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(1 << 16)
            writer.write(b"+OK\r\n+OK\r\n+more\r\n")
            await reader.read()

        async with target(speak) as port:
            assert await move(state, batch(state, port, b"a")) is None
            assert state.migrating.cached == 0

    run(main)


def test_a_kept_line_on_which_something_is_said_is_closed() -> None:
    async def main(state: ServerState) -> None:
        closed = asyncio.Event()
        kept = asyncio.Event()

        async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(1 << 16)
            writer.write(b"+OK\r\n+OK\r\n")
            await kept.wait()
            writer.write(b"+more\r\n")
            with contextlib.suppress(ConnectionError):
                await reader.read()
            closed.set()

        async with target(speak) as port:
            assert await move(state, batch(state, port, b"a")) is None
            assert state.migrating.cached == 1
            kept.set()
            await asyncio.wait_for(closed.wait(), 5)

    run(main)


def test_the_gate_rests_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migrating, "LINGER", 0.1)

    async def main(state: ServerState) -> None:
        switched: list[tuple[str, bool]] = []
        switch = state.modes.switch

        def noted(name: str, on: bool) -> None:
            switched.append((name, on))
            switch(name, on)

        monkeypatch.setattr(state.modes, "switch", noted)
        async with target(willing) as port:
            assert await move(state, batch(state, port, b"a")) is None
            assert await move(state, batch(state, port, b"a")) is None
            assert switched == [("held", True)] * 2
            await asyncio.sleep(0.2)
            assert switched[2:] == [("held", False)]

    run(main)


def test_a_server_that_becomes_a_replica_deletes_nothing() -> None:
    async def main(state: ServerState) -> None:
        async with target(silent) as port:
            done = begin(state, batch(state, port, b"a"))
            await asyncio.sleep(0.05)
            state.following.follow("127.0.0.1", 1)  # where nobody is
            assert await done is UNBLOCKED
            assert left(state) == 1
            assert not state.held.keys
            state.following.lead()

    run(main)


def test_also_when_all_is_confirmed() -> None:
    async def main(state: ServerState) -> None:
        async with target(willing) as port:
            state.start_pause(state.clock.ms() + 60_000, all_commands=False)
            done = begin(state, batch(state, port, b"a"))
            await asyncio.sleep(0.1)
            assert not done.done()
            state.held.abandon(UNBLOCKED)
            assert await done is UNBLOCKED
            assert left(state) == 1
            state.unpause()

    run(main)


def test_a_pause_holds_the_deletion_back() -> None:
    async def main(state: ServerState) -> None:
        async with target(willing) as port:
            state.start_pause(state.clock.ms() + 60_000, all_commands=False)
            done = begin(state, batch(state, port, b"a"))
            await asyncio.sleep(0.1)
            assert (done.done(), left(state)) == (False, 1)
            state.unpause()
            assert await done is None
            assert left(state) == 0

    run(main)


def test_a_copy_does_not_wait_for_the_end_of_a_pause() -> None:
    async def main(state: ServerState) -> None:
        async with target(willing) as port:
            state.start_pause(state.clock.ms() + 60_000, all_commands=False)
            assert await move(state, batch(state, port, b"a", copy=True)) is None
            assert left(state) == 1
            state.unpause()

    run(main)


def test_a_pause_that_begins_with_the_last_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main(state: ServerState) -> None:
        found: list[int] = []

        def pause() -> None:
            state.start_pause(state.clock.ms() + 60_000, all_commands=False)
            found.append(left(state))

        async def deliver(made: Batch, _connect: object) -> None:
            made.confirmed.extend(made.keys)
            state.loop.call_soon(pause)

        monkeypatch.setattr(Batch, "deliver", deliver)
        assert await move(state, batch(state, 0, b"a")) is None
        assert found == [left(state)] == [0]  # nothing was deleted after it had begun
        state.unpause()

    run(main)


def test_what_fails_inside_lets_the_keys_go(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main(state: ServerState) -> None:
        async with target(willing) as port:
            made = batch(state, port, b"a")
            monkeypatch.setattr(Batch, "requests", lambda *_: 1 / 0)
            assert await move(state, made) is INTERNAL_ERROR
            assert not state.held.keys
            assert left(state) == 1

    run(main)


def test_the_end_of_the_server() -> None:
    replies: list[ReplyError | None] = []

    async def main() -> None:
        async with target(silent) as port:
            async with respcache.Server(port=0) as server:
                server.state.migrating.move(batch(server.state, port, b"a"), replies.append)
                await asyncio.sleep(0.05)
            assert replies == [NOT_READ]
            assert server.state.migrating.cached == 0

    asyncio.run(main())


def test_the_end_of_the_server_with_one_move_behind_the_other() -> None:
    async def main() -> None:
        async with target(silent) as port:
            async with respcache.Server(port=0) as server:
                state = server.state
                state.keyspace.databases[0].set(b"k", b"v")
                clients = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(3)]
                for _, writer in clients:
                    writer.write(b"MIGRATE 127.0.0.1 %d k 0 60000\r\n" % port)
                await asyncio.sleep(0.1)
                assert state.held.keys
            assert not state.held.keys
            for _, writer in clients:
                writer.close()
        assert [task for task in asyncio.all_tasks() if "_deliver" in repr(task)] == []

    asyncio.run(main())


def test_now() -> None:
    async def main(state: ServerState) -> None:
        async with target(willing) as port:
            made = batch(state, port, b"a", b"b")
            other = await asyncio.to_thread(state.migrating.move_now, made)  # so that the target may speak
            assert (other, left(state)) == (None, 0)
        error = state.migrating.move_now(batch(state, port, b"a"))
        assert error is not None
        assert left(state) == 1

    run(main)


def test_a_blocking_line() -> None:
    async def main(_state: ServerState) -> None:
        async with target(silent) as port:

            def use() -> None:
                line = BlockingLine("127.0.0.1", port, 0.1)
                with pytest.raises(TimeoutError):
                    migrating._run(line.read())
                line.close()

            await asyncio.to_thread(use)

    run(main)


class Transport(asyncio.Transport):
    """Takes all, and remembers it."""

    def __init__(self) -> None:
        super().__init__()
        self.wrote: list[bytes] = []
        self.aborted = False

    def write(self, data: Any) -> None:
        self.wrote.append(bytes(data))

    def abort(self) -> None:
        self.aborted = True


def line(seconds: float = 5.0) -> tuple[Line, Transport]:
    made, transport = Line(), Transport()
    made.connection_made(transport)
    made.expect(3, seconds)
    return made, transport


def test_answers_come_torn_and_together() -> None:
    async def main() -> None:
        made, _ = line()
        for part in (b"+O", b"K\r", b"\n-no\nx\r\n"):
            made.data_received(part)
        assert [await made.read() for _ in range(3)] == [b"+OK", b"-no", b"x"]
        assert made.is_idle
        made.data_received(b"torn")
        assert not made.is_idle

    asyncio.run(main())


def test_an_answer_without_end() -> None:
    made, transport = line()
    for _ in range(17):
        made.data_received(bytes(1 << 16))
    assert transport.aborted
    assert not made.is_idle


def test_more_answers_than_there_can_be() -> None:
    made, transport = line()
    made.data_received(b"+OK\r\n" * 3)
    assert not transport.aborted
    made.data_received(b"+OK\r\n")
    assert transport.aborted


def test_a_cancellation_and_an_answer_at_the_same_time() -> None:
    async def main() -> None:
        made, _ = line()

        async def read_two() -> None:
            await made.read()
            await made.read()

        reading = asyncio.create_task(read_two())
        await asyncio.sleep(0)
        made.data_received(b"+OK\r\n")
        reading.cancel()
        done, _ = await asyncio.wait([reading], timeout=1)
        assert reading.cancelled()
        assert done

    asyncio.run(main())


def test_writing_waits_while_the_other_server_is_slow() -> None:
    async def main() -> None:
        made, transport = line()
        made.pause_writing()
        writing = asyncio.create_task(made.write(b"x"))
        await asyncio.sleep(0.01)
        assert not writing.done()
        assert transport.wrote == [b"x"]
        made.resume_writing()
        await asyncio.wait_for(writing, 1)
        await made.write(b"")
        assert transport.wrote == [b"x"]

    asyncio.run(main())


def test_time_runs_out() -> None:
    async def main() -> None:
        made, _ = line(0.01)
        with pytest.raises(TimeoutError):
            await made.read()
        made.pause_writing()
        with pytest.raises(TimeoutError):
            await made.write(b"x")

    asyncio.run(main())


def test_a_line_is_lost() -> None:
    async def main() -> None:
        made, _ = line()
        reading = asyncio.create_task(made.read())
        await asyncio.sleep(0)
        made.data_received(b"+OK\r\n+OK\r\n")
        made.connection_lost(None)
        assert await reading == b"+OK"
        assert await made.read() == b"+OK"
        with pytest.raises(ConnectionResetError):
            await made.read()
        with pytest.raises(ConnectionResetError):
            await made.write(b"x")
        made.close()

    asyncio.run(main())
