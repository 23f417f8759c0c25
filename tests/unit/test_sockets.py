"""Sockets that listen."""

from __future__ import annotations

import socket

import pytest

from respcache.sockets import keep_alive, listening
from tests.servers import free_port


def test_a_port_is_taken_once() -> None:
    port = free_port()
    with listening("127.0.0.1", port, 5) as made:
        assert made.getsockname() == ("127.0.0.1", port)
        assert not made.getblocking()
        with pytest.raises(OSError):
            listening("127.0.0.1", port, 5)
    listening("127.0.0.1", port, 5).close()


def test_a_star_is_every_address() -> None:
    with listening("*", free_port(), 5) as made:
        assert made.getsockname()[0] == "0.0.0.0"


def test_keep_alive() -> None:
    with socket.socket() as made:
        keep_alive(made, 30)
        assert made.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert made.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 30
