"""Every way to name a node."""

from __future__ import annotations

from typing import Any

import pytest

from respcache.client.node import NodeLike, Nodes, read_nodes


@pytest.mark.parametrize(
    ("given", "name", "weight", "kind", "settings"),
    [
        ("10.0.0.1:7001", "10.0.0.1:7001", 1, "tcp", {"host": "10.0.0.1", "port": 7001}),
        ("cache", "cache:6379", 1, "tcp", {"host": "cache", "port": 6379}),
        ("cache:11211", "cache", 1, "tcp", {"host": "cache", "port": 11211}),
        ("[::1]:7001", "::1:7001", 1, "tcp", {"host": "::1", "port": 7001}),
        ("[::1]", "::1:6379", 1, "tcp", {"host": "::1", "port": 6379}),
        ("::1", "::1:6379", 1, "tcp", {"host": "::1", "port": 6379}),
        ("10.0.0.1:7001:3", "10.0.0.1:7001", 3, "tcp", {"host": "10.0.0.1", "port": 7001}),
        ("10.0.0.1:7001:3 alpha", "alpha", 3, "tcp", {"host": "10.0.0.1", "port": 7001}),
        ("/run/redis.sock", "/run/redis.sock", 1, "unix", {"path": "/run/redis.sock"}),
        ("/run/redis.sock:2 beta", "beta", 2, "unix", {"path": "/run/redis.sock"}),
        (("10.0.0.1", 7001), "10.0.0.1:7001", 1, "tcp", {"host": "10.0.0.1", "port": 7001}),
        ("redis://h:7001", "h:7001", 1, "tcp", {"host": "h", "port": 7001}),
        ("redis://h", "h:6379", 1, "tcp", {"host": "h", "port": 6379}),
        (
            "redis://me:secret@h:7001/2",
            "h:7001",
            1,
            "tcp",
            {"host": "h", "port": 7001, "username": "me", "password": "secret", "db": 2},
        ),
        ("rediss://h:7001", "h:7001", 1, "tls", {"host": "h", "port": 7001}),
        ("unix:///run/r.sock?db=1", "/run/r.sock", 1, "unix", {"path": "/run/r.sock", "db": 1}),
        (
            {"url": "redis://h:1", "name": "a", "weight": 4, "password": "x"},
            "a",
            4,
            "tcp",
            {"host": "h", "port": 1, "password": "x"},
        ),
        ({"host": "h", "name": "a"}, "a", 1, "tcp", {"host": "h", "port": 6379}),
        ({"path": "/s"}, "/s", 1, "unix", {"path": "/s"}),
        ({"url": "h:7001", "name": "a"}, "a", 1, "tcp", {"host": "h", "port": 7001}),
        ({"url": "h:7001", "weight": 2}, "h:7001", 2, "tcp", {"host": "h", "port": 7001}),
        ({"url": "/s", "name": "a"}, "a", 1, "unix", {"path": "/s"}),
    ],
)
def test_a_node(given: NodeLike, name: str, weight: int, kind: str, settings: dict[str, Any]) -> None:
    (node,) = read_nodes([given], {})
    assert (node.name, node.weight, node.kind, node.settings) == (name, weight, kind, settings)


def test_one_string_is_one_node() -> None:
    assert [node.name for node in read_nodes("h:1", {})] == ["h:1"]


def test_a_mapping_of_names() -> None:
    given: Nodes = {"a": "h:1", "b": {"url": "redis://h:2", "weight": 2}, "c": ("h", 3), "d": "h:4:5 d"}
    read = read_nodes(given, {"db": 1})
    assert [(node.name, node.weight, node.settings["port"]) for node in read] == [
        ("a", 1, 1),
        ("b", 2, 2),
        ("c", 1, 3),
        ("d", 5, 4),
    ]
    assert all(node.settings["db"] == 1 for node in read)


def test_options_that_all_have() -> None:
    common = {"password": "all", "client_name": "c"}
    first, second = read_nodes(["a:1", {"host": "b", "port": 2, "password": "own"}], common)
    assert first.settings == {**common, "host": "a", "port": 1}
    assert second.settings == {"client_name": "c", "password": "own", "host": "b", "port": 2}
    assert repr(first) == "<Node a:1>"


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ([], "needs a node"),
        ({}, "needs a node"),
        (["h:x"], "no host:port"),
        ([":1"], "no host"),
        ([{}], "neither url nor path nor host"),
        ([{"name": "a"}], "neither url nor path nor host"),
        ([5], "5 names no node"),
        (["http://h"], "scheme"),
        (["unix://h"], "no path"),
        (["h:1", "h:1"], "two nodes"),
        (["h:99999"], "1 to 65535, not 99999"),
        (["h:0"], "1 to 65535, not 0"),
        (["redis://h:99999"], "range"),
        ([("h", "6379")], "1 to 65535, not '6379'"),
        (["alpha=h:1"], "'alpha=h' is no host"),
        ([("h", 1, "alpha")], r"not \(host, port\)"),
        ({"host": "h", "port": 1}, "put it into a list"),
        ({"a": 1}, "1 names no node"),
        ({"a": "h:1:1 b"}, "another name, too: 'b'"),
    ],
)
def test_what_names_no_node(given: Any, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        read_nodes(given, {})
