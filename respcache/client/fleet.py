"""The nodes of a cache together: who holds a key, and who is asked at the moment."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable
from time import monotonic

from respcache.client.errors import NodeError
from respcache.client.health import WELL, Health
from respcache.client.node import Node
from respcache.client.request import Request
from respcache.client.ring import Hash, HashRing

log = logging.getLogger("respcache.client")


class Fleet:
    """Nodes on a ring, and their health. Threads may share it.

    An ejected node holds its keys still, so they are misses; with `rehash` they belong to the nodes that are left,
    as with twemproxy's `auto_eject_hosts`. With `strict`, asking for a key of an ejected node raises NodeError.
    `limit` failures in a row eject; `patience` is how many seconds a node may take.

    Answers and failures come to us in any order, so what counts is when was asked: a failure is none if the node has
    answered what it was asked later, and an answer to what was asked before a failure does not undo that.
    """

    def __init__(
        self,
        nodes: tuple[Node, ...],
        *,
        hash: str | Hash = "md5",
        hash_tag: str = "",
        rehash: bool = False,
        strict: bool = False,
        limit: int = 2,
        patience: float = 0.5,
    ) -> None:
        self.nodes = nodes
        self.strict = strict
        self.ring = HashRing({node.name: node.weight for node in nodes}, hash=hash, hash_tag=hash_tag)
        self._asked = self.ring  # the ring of the nodes that are asked, with rehash
        self._rehash = rehash
        self._limit = limit
        self._patience = patience
        self._named = {node.name: node for node in nodes}
        self._health = dict.fromkeys(self._named, WELL)
        self._answered = dict.fromkeys(self._named, 0.0)  # when the last that was answered was asked
        self._failed = dict.fromkeys(self._named, 0.0)  # when the last failure was
        self._down: frozenset[str] = frozenset()
        self._lock = threading.Lock()

    def __str__(self) -> str:
        """The names, for a line of text."""
        return ", ".join(f"{name} (ejected)" if name in self._down else name for name in self._named)

    def holder(self, key: bytes) -> Node | None:
        """The node to ask for a key; None if that is ejected."""
        name = self._asked.node(key)
        if name in self._down:
            if self.strict:
                raise NodeError(name, f"ejected: {self._health[name].error}")
            return None
        return self._named[name]

    def group(self, keys: Iterable[bytes]) -> dict[Node, list[bytes]]:
        """The keys by the node to ask; those of ejected nodes are left out."""
        groups: dict[Node, list[bytes]] = {}
        for key in keys:
            node = self.holder(key)
            if node is not None:
                groups.setdefault(node, []).append(key)
        return groups

    def up(self) -> list[Node]:
        """The nodes that are asked. With `strict`, NodeError if one is ejected."""
        if self.strict and self._down:
            name = min(self._down)
            raise NodeError(name, f"ejected: {self._health[name].error}")
        return [node for node in self.nodes if node.name not in self._down]

    def account(self, requests: Iterable[Request]) -> None:
        """Learn from requests that are done."""
        for request in requests:
            name = request.node.name
            if request.failure is None:  # a refusal is an answer
                if request.asked > self._answered[name]:
                    self._answered[name] = request.asked
                if self._health[name] is not WELL and request.asked > self._failed[name]:
                    self._change(name, None)
            elif request.asked >= self._answered[name] and request.blames(self._patience):
                self._change(name, request.failure.reason)

    def _change(self, name: str, reason: str | None) -> None:
        with self._lock:
            if reason is not None:
                self._failed[name] = monotonic()
            before = self._health[name]
            after = before.answered() if reason is None else before.failed(reason, self._limit)
            self._health[name] = after
            if before.up == after.up:
                return
            self._down = frozenset(each for each, health in self._health.items() if not health.up)
            if self._rehash:
                all_down = len(self._down) == len(self.nodes)
                self._asked = self.ring if all_down else self.ring.without(*self._down)
        if after.up:
            log.info("node %s answers again", name)
        else:
            log.warning("node %s is ejected: %s", name, reason)

    def health(self) -> dict[str, Health]:
        """The state of every node, by name."""
        with self._lock:
            return dict(self._health)

    def checks(self) -> list[Request]:
        """A PING for each node, the ejected ones too."""
        return [Request(node, [(b"PING",)]) for node in self.nodes]
