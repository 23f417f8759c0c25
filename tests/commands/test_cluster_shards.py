"""CLUSTER SLOTS and SHARDS: who serves what, and where clients find it."""

from __future__ import annotations

from tests.commands.one_node import (
    my_id,
    shared_oracle,  # noqa: F401
    shared_respcache,  # noqa: F401
    text,
)
from tests.servers import Server
from tests.wire import OK, Wire


def test_slots(c: Wire, server: Server) -> None:
    assert c("CLUSTER", "SLOTS") == []
    assert c("CLUSTER", "ADDSLOTS", 1, 2, 3, 5, 16383) == OK
    home = [b"", server.port, my_id(c).encode(), c.as_map({})]
    assert c("CLUSTER", "SLOTS") == [[1, 3, home], [5, 5, home], [16383, 16383, home]]


def _shard(c: Wire, server: Server, slots: list[int], **changed: object) -> list[object]:
    member = {
        "id": my_id(c).encode(),
        "port": server.port,
        "ip": b"",
        "endpoint": b"",
        "hostname": b"",
        "role": b"master",
        "replication-offset": 0,
        "health": b"online",
        **changed,
    }
    if not member["hostname"]:
        del member["hostname"]
    shown = c.as_map({name.encode(): value for name, value in member.items()})
    return [c.as_map({b"slots": slots, b"nodes": [shown]})]


def test_shards(c: Wire, server: Server) -> None:
    assert c("CLUSTER", "SHARDS") == _shard(c, server, [])
    assert c("CLUSTER", "ADDSLOTS", 1, 2, 3, 5, 16383) == OK
    assert c("CLUSTER", "SHARDS") == _shard(c, server, [1, 3, 5, 5, 16383, 16383])


def test_endpoints_that_are_hostnames(c: Wire, server: Server) -> None:
    assert c("CLUSTER", "ADDSLOTS", 1) == OK
    id = my_id(c).encode()
    assert c("CONFIG", "SET", "cluster-preferred-endpoint-type", "hostname") == OK
    assert c("CLUSTER", "SLOTS") == [[1, 1, [b"?", server.port, id, c.as_map({b"ip": b""})]]]
    assert c("CLUSTER", "SHARDS") == _shard(c, server, [1, 1], endpoint=b"?")
    assert c("CONFIG", "SET", "cluster-announce-hostname", "host.example") == OK
    assert c("CLUSTER", "SLOTS") == [[1, 1, [b"host.example", server.port, id, c.as_map({b"ip": b""})]]]
    assert c("CLUSTER", "SHARDS") == _shard(c, server, [1, 1], endpoint=b"host.example", hostname=b"host.example")
    assert f"@{server.port + 10000},host.example myself" in text(c, "CLUSTER", "NODES")


def test_other_endpoints(c: Wire, server: Server) -> None:
    assert c("CLUSTER", "ADDSLOTS", 1) == OK
    id = my_id(c).encode()
    assert c("CONFIG", "SET", "cluster-announce-hostname", "host.example") == OK
    name = {b"hostname": b"host.example"}
    assert c("CLUSTER", "SLOTS") == [[1, 1, [b"", server.port, id, c.as_map(name)]]]
    assert c("CONFIG", "SET", "cluster-preferred-endpoint-type", "unknown-endpoint") == OK
    assert c("CLUSTER", "SLOTS") == [[1, 1, [c.null, server.port, id, c.as_map({b"ip": b"", **name})]]]
    assert c("CLUSTER", "SHARDS") == _shard(c, server, [1, 1], hostname=b"host.example")
