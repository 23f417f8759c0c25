"""What the logic of a cluster asks of replication, on servers in one loop."""

from __future__ import annotations

import asyncio

import pytest

import respcache
from respcache.cluster.nodes import MASTER, Node
from respcache.cluster_replication import NEVER, ReplicationServices
from respcache.following import Following
from respcache.master_link import MasterLink
from respcache.store.hiding import HidingDatabase
from tests.unit.test_following import data, pair, say, settled, until


def services_of(server: respcache.Server) -> ReplicationServices:
    return ReplicationServices(server.state, server.state.clock.ms)


def node_at(port: int, ip: str = "127.0.0.1") -> Node:
    node = Node(b"a" * 40, MASTER, 0)
    node.ip, node.port = ip, port
    return node


def test_offset_and_age() -> None:
    async def main() -> None:
        async with pair() as (master, replica):
            leads, follows = services_of(master), services_of(replica)
            say(master, "SET", "k", "v")
            assert leads.offset > 0  # that is in it already
            await settled(master, replica)
            assert follows.offset == leads.offset
            assert follows.data_age < 1000
            assert leads.data_age == NEVER
            await master.stop()
            await asyncio.sleep(0.05)
            assert 40 <= follows.data_age < 1000
            assert follows.offset == leads.offset > 0  # it still has what it had
            follows.follow(node_at(1))
            assert follows.data_age == NEVER

    asyncio.run(main())


def test_the_offset_of_somebody_elses_data_is_none() -> None:
    async def main() -> None:
        async with pair() as (master, replica), respcache.Server(port=0) as other:
            say(master, "SET", "k", "v")
            await settled(master, replica)
            assert services_of(replica).offset > 0
            services_of(replica).follow(node_at(other.port))
            await until(lambda: replica.state.following.syncing)
            assert services_of(replica).offset == 0

    asyncio.run(main())


def test_half_of_the_masters_data_is_as_good_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """A replica that is getting all data anew has given up what it had: it must not be elected then."""

    async def main() -> None:
        async with pair() as (master, replica):
            services, following = services_of(replica), replica.state.following
            assert isinstance(following, Following)
            for number in range(3000):
                say(master, "SET", f"k{number}", "v" * 100)
            await settled(master, replica)
            begun, ages = following.begun, []

            def note(link: MasterLink) -> None:
                begun(link)
                ages.append(services.data_age)

            monkeypatch.setattr(following, "begun", note)
            master.state.history.renew()
            assert following._link is not None
            following._link.drop("")
            await until(lambda: ages and following.link_up)
            assert ages == [NEVER]
            assert services.data_age < 5000

    asyncio.run(main())


def test_it_is_followed_once_for_an_address() -> None:
    async def main() -> None:
        async with respcache.Server(port=0, repl_diskless_sync_delay=0) as master, respcache.Server(port=0) as server:
            services, following = services_of(server), server.state.following
            services.follow(node_at(master.port, ip=""))
            assert not following.on  # it is not known where the master is
            services.follow(node_at(master.port))
            await until(lambda: following.link_up)
            before = master.state.mastering.full_syncs + master.state.mastering.partial_syncs
            for _ in range(3):
                services.follow(node_at(master.port))
                await asyncio.sleep(0.01)
            assert following.link_up
            assert master.state.mastering.full_syncs + master.state.mastering.partial_syncs == before
            services.follow(node_at(1))
            assert following.address == ("127.0.0.1", 1) and not following.link_up

    asyncio.run(main())


def test_others_continue_with_the_one_that_leads_now() -> None:
    async def main() -> None:
        async with pair() as (master, replica), respcache.Server(port=0) as second:
            services_of(second).follow(node_at(master.port))
            await until(lambda: second.state.following.link_up)
            say(master, "SET", "k", "v")
            await settled(master, replica)
            await settled(master, second)
            services_of(replica).lead()
            services_of(second).follow(node_at(replica.port))
            services_of(master).follow(node_at(replica.port))
            await until(lambda: second.state.following.link_up and master.state.following.link_up)
            mastering = replica.state.mastering
            assert (mastering.full_syncs, mastering.partial_syncs) == (0, 2)
            say(replica, "SET", "new", "1")
            await settled(replica, second)
            await settled(replica, master)
            assert data(second.state, b"new") == data(master.state, b"new") == b"1"

    asyncio.run(main())


def test_a_pause_is_no_affair_of_clients() -> None:
    async def main() -> None:
        async with respcache.Server(port=0) as server:
            services, state = services_of(server), server.state
            services.pause_writes(state.clock.ms() + 5000)
            assert state.pause.active and not state.pause.all_commands
            assert 4000 < state.pause.until - state.clock.ms() <= 5000
            say(server, "CLIENT", "UNPAUSE")
            assert state.pause.active
            assert isinstance(state.keyspace.databases[0], HidingDatabase)  # nothing is deleted meanwhile
            say(server, "CLIENT", "PAUSE", "60000", "WRITE")
            services.unpause()
            assert state.pause.active
            say(server, "CLIENT", "UNPAUSE")
            assert not state.pause.active
            assert not isinstance(state.keyspace.databases[0], HidingDatabase)

    asyncio.run(main())


def test_an_offset_is_awaited() -> None:
    async def main() -> None:
        async with pair() as (master, replica):
            services, reached = services_of(replica), []
            say(master, "SET", "k", "v")
            offset = services_of(master).offset
            services.await_offset(offset, lambda: reached.append(services.offset))
            await until(lambda: reached)
            assert reached == [offset]
            services.await_offset(offset + 1000, lambda: reached.append(0))
            services.stop()
            await asyncio.sleep(0.02)
            assert reached == [offset]

    asyncio.run(main())


def test_it_is_awaited_for_a_while_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("respcache.cluster_replication.PATIENCE", 0.01)

    async def main() -> None:
        async with respcache.Server(port=0) as server:
            services = services_of(server)
            services.await_offset(10, lambda: pytest.fail("it was never reached"))
            await asyncio.sleep(0.05)
            assert services._timer is None

    asyncio.run(main())
