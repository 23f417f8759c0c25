"""INFO's section about data on disk has the fields of Redis in its order."""

from __future__ import annotations

import pytest

from tests.commands.test_info import fields
from tests.servers import HAVE_ORACLE, start_redis, start_respcache
from tests.wire import Wire

STARTS = [start_respcache, *([start_redis] if HAVE_ORACLE else [])]


def test_a_server_that_has_nothing_to_do(c: Wire) -> None:
    told = fields(c, "persistence")
    assert {
        name: told[name] for name in ("loading", "async_loading", "rdb_bgsave_in_progress", "aof_enabled")
    } == {
        "loading": "0",
        "async_loading": "0",
        "rdb_bgsave_in_progress": "0",
        "aof_enabled": "0",
    }
    assert told["current_fork_perc"] == "0.00"
    assert told["current_save_keys_total"] == "0"
    assert list(told)[-2:] == ["module_fork_in_progress", "module_fork_last_cow_size"]


@pytest.mark.skipif(not HAVE_ORACLE, reason="no redis-server on PATH")
@pytest.mark.parametrize("aof", ["no", "yes"])
def test_names_and_their_order(aof: str) -> None:
    found = []
    for start in STARTS:
        with start("--appendonly", aof) as server, Wire(server.port) as c:
            found.append(list(fields(c, "persistence")))
    ours, theirs = found
    assert ours == theirs
