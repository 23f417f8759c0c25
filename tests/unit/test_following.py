"""Who follows whom, and how far: servers in one loop, and a master that says what it is told to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

import respcache
from respcache.execute import execute
from respcache.protocol.errors import ReplyError
from respcache.protocol.reply import OK
from respcache.replaying import NoConnection
from respcache.replication.history import NOBODY
from respcache.state import Client, ServerState
from respcache.store.hiding import HidingDatabase

ID = "b" * 40


async def until(true: Callable[[], object], seconds: float = 10.0) -> None:
    async with asyncio.timeout(seconds):
        while not true():
            await asyncio.sleep(0.005)


def say(server: respcache.Server, *words: str) -> bytes:
    """Runs a command. The reply."""
    client = Client(server.state, NoConnection(), b"127.0.0.1:1", b"", False)
    return execute(client, [word.encode() for word in words])


def data(state: ServerState, key: bytes) -> object:
    return state.keyspace.databases[0].get(key)


@asynccontextmanager
async def pair(**directives: Any) -> AsyncIterator[tuple[respcache.Server, respcache.Server]]:
    """A master, and its replica, whose link is up."""
    async with respcache.Server(port=0, repl_diskless_sync_delay=0) as master:
        say(master, "SET", "early", "1")
        replicaof = f"127.0.0.1 {master.port}".split()
        async with respcache.Server(port=0, replicaof=replicaof, **directives) as replica:
            await until(lambda: replica.state.following.link_up)
            yield master, replica


async def settled(master: respcache.Server, replica: respcache.Server) -> None:
    def same() -> bool:
        master.state.mastering.flush()
        return master.state.history.offset == replica.state.history.offset

    await until(same)


def test_a_replica_from_the_start() -> None:
    async def main() -> None:
        async with pair() as (master, replica):
            following = replica.state.following
            assert following.on
            assert not following.syncing
            assert data(replica.state, b"early") == b"1"
            say(master, "SET", "late", "1")
            await settled(master, replica)
            assert data(replica.state, b"late") == b"1"
            assert isinstance(replica.state.keyspace.databases[0], HidingDatabase)
            assert say(replica, "SET", "a", "1").startswith(b"-READONLY")
            assert replica.state.history.id == master.state.history.id
            kinds = [client.kind for client in replica.state.clients.values()]
            assert kinds == ["master"]
            fields = following.info()
            assert fields["master_link_status"] == "up"
            assert fields["slave_repl_offset"] == replica.state.history.offset
            assert b"connected" in following.role()

    asyncio.run(main())


def test_promotion() -> None:
    async def main() -> None:
        async with pair() as (master, replica):
            say(master, "SET", "a", "1")
            await settled(master, replica)
            old, offset = replica.state.history.id, replica.state.history.offset
            assert say(replica, "REPLICAOF", "NO", "ONE") == OK
            history = replica.state.history
            assert not replica.state.following.on
            assert (history.id2, history.second_offset) == (old, offset + 1)
            assert history.id != old
            assert say(replica, "SET", "a", "2") == OK
            assert not isinstance(replica.state.keyspace.databases[0], HidingDatabase)
            assert replica.config.replicaof == ()
            assert say(master, "REPLICAOF", "127.0.0.1", str(replica.port)) == OK
            await until(lambda: master.state.following.link_up)
            await settled(replica, master)
            assert data(master.state, b"a") == b"2"
            assert master.state.history.id == history.id
            assert replica.state.mastering.full_syncs == 0

    asyncio.run(main())


def test_a_master_that_was_never_known_counts_from_now() -> None:
    async def main() -> None:
        async with respcache.Server(port=0) as server:
            name = server.state.history.id
            server.state.following.follow("127.0.0.1", 1)
            assert server.state.history.id != name
            assert server.state.history.backlog is not None
            assert server.config.replicaof == ("127.0.0.1", 1)
            server.state.following.lead()
            assert server.state.history.id2 != NOBODY
            server.state.following.lead()

    asyncio.run(main())


def test_nobody_there() -> None:
    async def main() -> None:
        async with respcache.Server(port=0, replica_serve_stale_data="no") as server:
            server.state.following.follow("127.0.0.1", 1)
            assert b"connecting" in server.state.following.role()
            assert say(server, "GET", "a").startswith(b"-MASTERDOWN")
            await until(lambda: b"$7\r\nconnect\r\n" in server.state.following.role())
            fields = server.state.following.info()
            assert fields["master_link_status"] == "down"
            assert fields["master_link_down_since_seconds"] == -1
            server.state.following.cron()
            assert b"connecting" in server.state.following.role()
            say(server, "CONFIG", "SET", "replica-serve-stale-data", "yes")
            assert say(server, "GET", "a") == b"$-1\r\n"

    asyncio.run(main())


class Scripted:
    """A master that gives these answers to PSYNC, one for each connection, and notes what it was sent."""

    def __init__(self, *answers: bytes) -> None:
        self.answers = list(answers)
        self.asked: list[bytes] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"PING\r\n")
            writer.write(b"+PONG\r\n")
            await reader.readuntil(b"psync2\r\n")
            writer.write(b"+OK\r\n+OK\r\n")
            asked = await reader.readuntil(b"PSYNC\r\n")
            for _ in range(4):
                asked += await reader.readuntil(b"\r\n")
            self.asked.append(b" ".join(asked.split()[4::2]))
            writer.write(self.answers.pop(0) if self.answers else b"-LOADING\r\n")
            if self.answers:
                writer.close()
            else:
                await reader.read()
        except (EOFError, OSError):
            pass
        finally:
            writer.close()


def play(test: Callable[[respcache.Server, Scripted, int], Any], *answers: bytes) -> None:
    async def main() -> None:
        master = Scripted(*answers)
        async with (
            respcache.Server(port=0) as replica,
            await asyncio.start_server(master.serve, "127.0.0.1", 0) as there,
        ):
            port = there.sockets[0].getsockname()[1]
            await test(replica, master, port)
            replica.state.following.lead()
            await asyncio.sleep(0.01)

    asyncio.run(main())


def test_the_old_history_goes_on_under_a_new_name() -> None:
    async def test(replica: respcache.Server, master: Scripted, port: int) -> None:
        replica.state.history.create_backlog(1000)
        replica.state.mastering.turn()
        name = replica.state.history.id
        replica.state.following.follow("127.0.0.1", port)
        await until(lambda: replica.state.following.link_up)
        assert master.asked == [b"%b 1" % name.encode()]
        assert replica.state.history.id == ID
        assert replica.state.history.id2 == name

    play(test, b"+CONTINUE " + ID.encode() + b"\r\n")


def test_failover() -> None:
    async def test(replica: respcache.Server, master: Scripted, port: int) -> None:
        told: list[bool] = []
        replica.state.mastering.failed_over = told.append  # type: ignore[method-assign, assignment]
        name = None
        replica.state.following.follow("127.0.0.1", port, failover=True)
        name = replica.state.history.id
        await until(lambda: told)
        assert told == [False]
        assert not replica.state.following.on
        assert replica.state.history.id == name
        assert say(replica, "SET", "a", "1") == OK

    play(test, b"-ERR PSYNC FAILOVER replid must match my replid.\r\n")


def test_who_waits_is_sent_away() -> None:
    async def main() -> None:
        async with respcache.Server(port=0) as server:
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(b"BLPOP a 0\r\n")
            await until(lambda: server.state.waiting.count)
            server.state.following.follow("127.0.0.1", 1)
            assert (await reader.read()).startswith(b"-UNBLOCKED force unblock")
            writer.close()

    asyncio.run(main())


def test_no_limit_of_memory() -> None:
    async def main() -> None:
        async with pair(maxmemory="2mb", maxmemory_policy="allkeys-lru") as (master, replica):
            assert replica.state.memory.limit == 0
            say(replica, "CONFIG", "SET", "replica-ignore-maxmemory", "no")
            assert replica.state.memory.limit > 0
            say(replica, "CONFIG", "SET", "replica-ignore-maxmemory", "yes")
            replica.state.following.lead()
            assert replica.state.memory.limit > 0
            await settled(master, master)

    asyncio.run(main())


def test_restored_data(tmp_path: Path) -> None:
    async def main() -> None:
        async with respcache.Server(port=0, repl_diskless_sync_delay=0) as master:
            options: dict[str, Any] = {"dir": str(tmp_path), "replicaof": ["127.0.0.1", str(master.port)]}
            async with respcache.Server(port=0, save="3600 1", **options) as replica:
                await until(lambda: replica.state.following.link_up)
                say(master, "SELECT", "0")
                say(master, "SET", "a", "1")
                await settled(master, replica)
            say(master, "SET", "b", "1")
            async with respcache.Server(port=0, **options) as replica:
                await until(lambda: replica.state.following.link_up)
                await settled(master, replica)
                assert data(replica.state, b"b") == b"1"
            assert master.state.mastering.full_syncs == 1
            assert master.state.mastering.partial_syncs == 1

    asyncio.run(main())


@pytest.mark.parametrize("words", [("REPLICAOF", "127.0.0.1", "x"), ("SLAVEOF", "127.0.0.1", "65536")])
def test_no_port(words: tuple[str, ...]) -> None:
    async def main() -> None:
        async with respcache.Server(port=0) as server:
            assert say(server, *words) == ReplyError(b"ERR Invalid master port").reply

    asyncio.run(main())
