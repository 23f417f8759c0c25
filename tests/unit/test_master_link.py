"""The connection to a master, whose bytes are given by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest

import respcache
from respcache.applying import Applier
from respcache.loading import Loader
from respcache.master_link import MasterLink
from respcache.protocol.reply import bulks
from respcache.replication.handshake import Continued, Full, Greeting, Outcome, Unnamed
from tests.unit.test_receiving import file_of

ID = "a" * 40
MARK = b"m" * 40
PING = b"*1\r\n$4\r\nping\r\n"


class Transport(asyncio.Transport):
    """A socket that keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.aborted = False
        self.paused = False

    def write(self, data: Any) -> None:
        self.written += bytes(data)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return {"peername": ("127.0.0.1", 6379), "sockname": ("127.0.0.1", 50000)}.get(name, default)

    def abort(self) -> None:
        self.aborted = True

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False


class Talk:
    """A link, its socket, and what its owner was told."""

    def __init__(self) -> None:
        self.state = respcache.Server(port=0).state
        self.state.loop = asyncio.get_running_loop()
        self.state.history.create_backlog(1 << 20)
        self.told: list[Any] = []
        self.link = MasterLink(self.state, self, Greeting(777))
        self.socket = Transport()
        self.link.connection_made(self.socket)

    def greet(self, answer: bytes) -> None:
        """The handshake up to an answer to PSYNC."""
        self.link.data_received(b"+PONG\r\n+OK\r\n+OK\r\n" + answer)

    async def ended(self, what: str) -> None:
        """Waits until the owner was told of something."""
        async with asyncio.timeout(5):
            while not any(each[0] == what for each in self.told):
                await asyncio.sleep(0.001)

    # The owner

    def answered(self, link: MasterLink, outcome: Outcome) -> None:
        self.told.append(("answered", outcome))
        if isinstance(outcome, Continued):
            link.start(Applier(self.state, link, *link.addresses))

    def begun(self, link: MasterLink) -> None:
        self.told.append(("begun",))

    def loaded(self, link: MasterLink, loader: Loader) -> None:
        self.told.append(("loaded", loader.keys))
        link.start(Applier(self.state, link, *link.addresses))

    def asked(self, offset: int) -> None:
        self.told.append(("asked", offset))

    def lost(self, link: MasterLink, reason: str) -> None:
        self.told.append(("lost", reason))


@pytest.fixture
def run() -> Iterator[Callable[[Callable[[Talk], Coroutine[Any, Any, None]]], None]]:
    def run(test: Callable[[Talk], Coroutine[Any, Any, None]]) -> None:
        async def main() -> None:
            await test(Talk())

        asyncio.run(main())

    yield run


Run = Callable[[Callable[[Talk], Coroutine[Any, Any, None]]], None]


def test_the_stream_goes_on(run: Run) -> None:
    async def test(talk: Talk) -> None:
        assert talk.socket.written == b"*1\r\n$4\r\nPING\r\n"
        talk.greet(b"+CONTINUE " + ID.encode() + b"\r\n" + bulks([b"SET", b"a", b"1"])[:9])
        assert talk.told == [("answered", Continued(ID))]
        assert talk.link.phase == "connected"
        assert talk.link.input_pending == 9
        talk.link.data_received(bulks([b"SET", b"a", b"1"])[9:] + bulks([b"REPLCONF", b"GETACK", b"*"]))
        assert talk.told[1:] == [("asked", 27)]
        assert talk.state.keyspace.databases[0].get(b"a") == b"1"
        talk.socket.written = b""
        talk.link.acknowledge(27)
        talk.link.acknowledge(27, 5)
        ack = bulks([b"REPLCONF", b"ACK", b"27"])
        assert talk.socket.written == ack + bulks([b"REPLCONF", b"ACK", b"27", b"FACK", b"5"])
        talk.link.data_received(b"hello\r\n")
        assert talk.socket.aborted
        talk.link.connection_lost(None)
        assert talk.told[2][0] == "lost"
        assert "Protocol error" in talk.told[2][1]

    run(test)


@pytest.mark.parametrize("size", [1, 1000])
@pytest.mark.parametrize("sized", [True, False])
def test_all_data_comes(run: Run, size: int, sized: bool) -> None:
    payload = file_of(20)
    header = b"$%d\r\n" % len(payload) if sized else b"$EOF:" + MARK + b"\r\n"
    data = b"\n\n" + header + payload + (b"" if sized else MARK) + bulks([b"SET", b"new", b"1"]) + PING

    async def test(talk: Talk) -> None:
        talk.greet(b"+FULLRESYNC " + ID.encode() + b" 100\r\n")
        for at in range(0, len(data), size):
            talk.link.data_received(data[at : at + size])
        await talk.ended("loaded")
        assert talk.told == [("answered", Full(ID, 100)), ("begun",), ("loaded", 21)]
        assert talk.state.keyspace.databases[0].get(b"new") == b"1"
        assert not talk.socket.paused
        assert talk.link.transfer is None

    run(test)


def test_the_link_is_lost_while_data_comes(run: Run) -> None:
    payload = file_of(20)

    async def test(talk: Talk) -> None:
        talk.greet(b"+FULLRESYNC " + ID.encode() + b" 100\r\n$%d\r\n" % len(payload) + payload[:50])
        await asyncio.sleep(0.01)
        assert talk.state.loading is not None
        talk.link.connection_lost(None)
        await talk.ended("lost")
        assert talk.state.loading is None
        assert [each[0] for each in talk.told] == ["answered", "begun", "lost"]

    run(test)


def test_data_that_is_none(run: Run) -> None:
    async def test(talk: Talk) -> None:
        talk.greet(b"+FULLRESYNC " + ID.encode() + b" 100\r\n$9\r\nGARBAGE!!")
        await talk.ended("lost")
        assert talk.socket.aborted
        assert "Failed trying to load" in talk.told[-1][1]

    run(test)


def test_no_data(run: Run) -> None:
    async def test(talk: Talk) -> None:
        talk.greet(b"+FULLRESYNC " + ID.encode() + b" 100\r\n-ERR no\r\n")
        assert talk.socket.aborted
        talk.link.connection_lost(None)
        assert talk.told[-1] == ("lost", "MASTER aborted replication with an error: ERR no")

    run(test)


def test_a_master_without_psync(run: Run) -> None:
    async def test(talk: Talk) -> None:
        talk.greet(b"-ERR unknown command\r\n")
        assert talk.told == [("answered", Unnamed())]
        assert talk.socket.written.endswith(b"SYNC\r\n")
        assert talk.link.phase == "sync"

    run(test)


def test_as_a_connection(run: Run) -> None:
    async def test(talk: Talk) -> None:
        assert talk.link.addresses == (b"127.0.0.1:6379", b"127.0.0.1:50000")
        assert talk.link.fd == -1
        talk.link.close()
        assert talk.socket.aborted
        talk.link.data_received(b"+PONG\r\n")
        talk.link.connection_lost(None)
        assert talk.told == [("lost", "")]
        assert talk.link.addresses == (b"", b"")
        await talk.link.ended()

    run(test)
