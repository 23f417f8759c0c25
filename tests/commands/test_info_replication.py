"""INFO replication of a master without replicas; with some, see test_replication.py."""

from __future__ import annotations

import re

from tests.servers import Server
from tests.wire import Status, Wire


def _fields(c: Wire) -> list[tuple[str, str]]:
    text = c("INFO", "replication")
    found = text if isinstance(text, bytes) else text.data
    title, *lines = found.decode().splitlines()
    assert title == "# Replication"
    return [(name, value) for name, _, value in (line.partition(":") for line in lines)]


def test_a_master_without_replicas(server: Server) -> None:
    server.stop()  # another test may have made it a replica once, and that leaves traces
    server.start()
    with Wire(server.port) as c:
        fields = _fields(c)
    assert [name for name, _ in fields] == [
        "role",
        "connected_slaves",
        "master_failover_state",
        "master_replid",
        "master_replid2",
        "master_repl_offset",
        "second_repl_offset",
        "repl_backlog_active",
        "repl_backlog_size",
        "repl_backlog_first_byte_offset",
        "repl_backlog_histlen",
    ]
    told = dict(fields)
    assert re.fullmatch("[0-9a-f]{40}", told.pop("master_replid"))
    assert told == {
        "role": "master",
        "connected_slaves": "0",
        "master_failover_state": "no-failover",
        "master_replid2": "0" * 40,
        "master_repl_offset": "0",
        "second_repl_offset": "-1",
        "repl_backlog_active": "0",
        "repl_backlog_size": "1048576",
        "repl_backlog_first_byte_offset": "0",
        "repl_backlog_histlen": "0",
    }


def test_good_replicas_are_counted_where_they_are_needed(c: Wire) -> None:
    assert c("CONFIG", "SET", "min-replicas-to-write", 1) == Status("OK")
    assert _fields(c)[1:3] == [("connected_slaves", "0"), ("min_slaves_good_slaves", "0")]
    c("CONFIG", "SET", "min-replicas-to-write", 0)
    assert "min_slaves_good_slaves" not in dict(_fields(c))
