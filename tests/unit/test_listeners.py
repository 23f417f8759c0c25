"""listeners.py: addresses are opened and closed. What CONFIG SET does to them is in tests/integration."""

from __future__ import annotations

import asyncio
import os
import socket
from pathlib import Path

import pytest

from respcache.server import Server


def test_a_free_port_is_the_same_on_all_addresses() -> None:
    async def main() -> None:
        async with Server(port=0, bind="127.0.0.1 127.0.0.2") as server:
            names = [listener.sockets[0].getsockname() for listener in server._listeners.tcp]
            assert names == [("127.0.0.1", server.port), ("127.0.0.2", server.port)]

    asyncio.run(main())


def test_a_port_that_is_taken_is_told() -> None:
    async def main() -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            with pytest.raises(OSError, match=f"Could not create server TCP listening socket 127.0.0.1:{port}"):
                await Server(port=port).start()

    asyncio.run(main())


def test_an_address_that_may_be_missing() -> None:
    async def main() -> None:
        async with Server(port=0, bind="127.0.0.1 -192.0.2.1") as server:
            assert len(server._listeners.tcp) == 1
        with pytest.raises(OSError, match="None of the addresses"):
            await Server(port=0, bind="-192.0.2.1").start()

    asyncio.run(main())


def test_a_unix_socket_is_removed_at_the_end(tmp_path: Path) -> None:
    path = str(tmp_path / "socket")

    async def main() -> None:
        async with Server(port=0, unixsocket=path, unixsocketperm="700") as server:
            assert server._listeners.path == path
            assert os.stat(path).st_mode & 0o777 == 0o700

    asyncio.run(main())
    assert not os.path.exists(path)
