"""Ports that are free, taken, or those of nodes that run already."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from respcache.tools.asking import Trouble
from respcache.tools.cluster_options import Options
from respcache.tools.cluster_ports import check_ports
from tests.servers import free_port
from tests.unit.tools.answering import answering

ID = "a" * 40


def test_ports_that_are_taken() -> None:
    port = free_port()
    options = Options(nodes=1, base_port=port)
    check_ports(options)
    with socket.create_server(("127.0.0.1", port + 10000)):
        with pytest.raises(Trouble) as caught:
            check_ports(options)
        assert (
            str(caught.value)
            == f"this port is taken: {port + 10000}. Nothing was started; choose others with --base-port"
        )
        with (
            socket.create_server(("127.0.0.1", port)),
            pytest.raises(Trouble, match=f"ports are taken: {port}, {port + 10000}"),
        ):
            check_ports(Options(nodes=1, base_port=port, bind="*"))
    check_ports(options)


def test_an_address_of_somebody_else() -> None:
    with pytest.raises(Trouble, match=r"^cannot listen on 192\.0\.2\.1: cannot assign requested address$"):
        check_ports(Options(bind="192.0.2.1"))


def test_nodes_that_run_already(tmp_path: Path) -> None:
    answers = {"CLUSTER MYID": b"$40\r\n%b\r\n" % ID.encode(), "INFO server": b"$16\r\nprocess_id:12\r\n\r\n\r\n"}
    with answering(answers) as server:
        port = server.address[1]
        if port > 55535:
            pytest.skip("its bus would have no port")
        options = Options(nodes=1, directory=tmp_path, found=(port,))
        with pytest.raises(Trouble, match=f"taken: {port}. Nothing was started; the nodes in {tmp_path} need them"):
            check_ports(options)
        (tmp_path / str(port)).mkdir()
        line = f"{ID} 127.0.0.1:{port}@{port + 10000} myself,master - 0 0 1 connected\nvars currentEpoch 1\n"
        (tmp_path / str(port) / "nodes.conf").write_text(line)
        with pytest.raises(Trouble) as caught:
            check_ports(options)
        assert str(caught.value) == (
            f"127.0.0.1:{port} (process 12) runs already, with its data in {tmp_path}. Nothing was started; "
            f"end it first, where it was started or with redis-cli -p {port} SHUTDOWN"
        )
