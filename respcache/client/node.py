"""A node as the caller names it, and what is needed to reach it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from redis.connection import SSLConnection, UnixDomainSocketConnection, parse_url

from respcache.client.ring import default_name, parse_server

DEFAULT_PORT = 6379

MAPPING = '{"host": "10.0.0.1", "port": 6379, "name": "alpha"}'
_HOST = re.compile(r"[^\s=,;@/?#]+")
_WITH_WEIGHT = re.compile(r"/.*:\d+|[^:/]+:\d+:\d+")

# "host:port", "host:port:weight name" as in twemproxy's configuration, a URL, a path, (host, port),
# or a mapping with one of "url", "path", "host" and perhaps "port", "name", "weight", and options of redis-py.
NodeLike = str | tuple[str, int] | Mapping[str, Any]
# Nodes, or names and nodes: the names are those on the ring.
Nodes = Iterable[NodeLike] | Mapping[str, NodeLike]


class Node:
    """A node of the cache: its name on the ring, its weight, and redis-py's settings of a connection to it.

    `kind` is `tcp`, `tls` or `unix`; `settings` are keyword arguments of the connection of that kind.
    """

    __slots__ = ("kind", "name", "settings", "weight")

    def __init__(self, name: str, weight: int, kind: str, settings: Mapping[str, Any]) -> None:
        self.name = name
        self.weight = weight
        self.kind = kind
        self.settings = settings

    def __repr__(self) -> str:
        return f"<Node {self.name}>"


def read_nodes(given: Nodes, common: Mapping[str, Any]) -> tuple[Node, ...]:
    """The nodes, with the options that all have in common. Raises ValueError for what names no node."""
    if isinstance(given, Mapping):
        if given.keys() & {"url", "path", "host"}:
            raise ValueError("that is one node: put it into a list")
        nodes = tuple(_named(name, each, common) for name, each in given.items())
    else:
        nodes = tuple(_read(each, common) for each in ([given] if isinstance(given, str) else given))
    names = [node.name for node in nodes]
    if not nodes:
        raise ValueError("a cache needs a node")
    if twice := {name for name in names if names.count(name) > 1}:
        raise ValueError(f"two nodes are named {', '.join(sorted(twice))}: give each a name")
    return nodes


def _named(name: str, given: NodeLike, common: Mapping[str, Any]) -> Node:
    """A node of a mapping of names."""
    fields = _fields(given)
    if fields.get("name") not in (None, name):
        raise ValueError(f"the node {name!r} has another name, too: {fields['name']!r}")
    return _make({**fields, "name": name}, common)


def _read(given: NodeLike, common: Mapping[str, Any]) -> Node:
    return _make(_fields(given), common)


def _fields(given: NodeLike) -> dict[str, Any]:
    """What is said of a node, whichever way."""
    if isinstance(given, Mapping):
        fields = dict(given)
        url = fields.get("url")
        if url is not None and "://" not in str(url):
            del fields["url"]
            fields = {**_fields(str(url)), **fields}
        return fields
    if isinstance(given, tuple):
        if len(given) != 2:
            raise ValueError(f"{given!r} is not (host, port); more of a node is said in a mapping: {MAPPING}")
        host, port = given
        return {"host": host, "port": port}
    if not isinstance(given, str):
        raise ValueError(f"{given!r} names no node")
    if "://" in given:
        return {"url": given}
    address, weight, name = _split(given)
    place = {"path": address} if address.startswith("/") else _host_and_port(address)
    return {**place, "weight": weight, "name": name}


def _split(text: str) -> tuple[str, int, str | None]:
    """Address, weight and name of `host`, `host:port`, `[v6]:port`, a path, each as in twemproxy's lines too."""
    where, _, name = text.strip().partition(" ")
    if name or _WITH_WEIGHT.fullmatch(where):
        return parse_server(text)
    return where, 1, None


def _host_and_port(address: str) -> dict[str, Any]:
    if address.startswith("[") or address.count(":") == 1:
        host, _, port = address.rpartition(":")
        if address.endswith("]"):
            host, port = address, str(DEFAULT_PORT)
    else:  # a name alone, or an IPv6 address without brackets
        host, port = address, str(DEFAULT_PORT)
    if not port.isdecimal():
        raise ValueError(f"{address!r} is no host:port")
    return {"host": host.strip("[]"), "port": int(port)}


def _make(given: dict[str, Any], common: Mapping[str, Any]) -> Node:
    name = given.pop("name", None)
    weight = given.pop("weight", 1)
    kind = "tcp"
    settings: dict[str, Any] = {}
    if url := given.pop("url", None):
        settings = dict(parse_url(url))  # type: ignore[no-untyped-call]
        found = settings.pop("connection_class", None)
        kind = "unix" if found is UnixDomainSocketConnection else "tls" if found is SSLConnection else "tcp"
    elif path := given.pop("path", None):
        kind, settings = "unix", {"path": path}
    elif "host" not in given:
        raise ValueError(f"{given!r} names no node: it has neither url nor path nor host")
    settings = {**common, **settings, **given}
    if kind == "unix":
        if "path" not in settings:
            raise ValueError(f"{url!r} names no node: it has no path")
        return Node(name or settings["path"], weight, kind, settings)
    host, port = settings.setdefault("host", "localhost"), settings.setdefault("port", DEFAULT_PORT)
    if not isinstance(host, str) or not _HOST.fullmatch(host):
        raise ValueError(f"{host!r} is no host; a node is named so: {MAPPING}")
    if type(port) is not int or not 0 < port < 1 << 16:
        raise ValueError(f"the port of {name or host} is an integer from 1 to 65535, not {port!r}")
    return Node(name or default_name(f"{host}:{port}"), weight, kind, settings)
