"""INFO: the sections and fields that tools read, against those of the oracle."""

from __future__ import annotations

import re
import time

import pytest

from respcache.commands.info_memory import readable_size
from tests.commands.conftest import Connect
from tests.servers import HAVE_ORACLE, Server, oracle_version, start_respcache
from tests.wire import OK, Error, Pair, Verbatim, Wire

DEFAULT = [
    *("Server", "Clients", "Memory", "Persistence", "Stats", "Replication", "CPU", "Modules"),
    *("Errorstats", "Cluster", "Keyspace"),
]
ALL = [*DEFAULT[:8], "Commandstats", "Errorstats", "Latencystats", *DEFAULT[9:]]

OURS = {"respcache_version", "python_version"}

# What 7.2 and 7.4 added to 7.0.
NEWER = {
    *("listener0", "pubsub_clients", "watching_clients", "total_watched_keys", "total_blocking_keys"),
    *("total_blocking_keys_on_nokey", "allocator_muzzy", "mem_overhead_db_hashtable_rehashing"),
    *("expired_subkeys", "evicted_scripts", "client_query_buffer_limit_disconnections"),
    *("client_output_buffer_limit_disconnections", "acl_access_denied_auth", "acl_access_denied_cmd"),
    *("acl_access_denied_key", "acl_access_denied_channel"),
}

LACKING = {
    # Of the event loop: they say nothing about this server.
    *("eventloop_cycles", "eventloop_duration_sum", "eventloop_duration_cmd_sum"),
    *("instantaneous_eventloop_cycles_per_sec", "instantaneous_eventloop_duration_usec"),
}


def sections(c: Wire, *names: str) -> dict[str, dict[str, str]]:
    reply = c("INFO", *names)
    data = reply.data if isinstance(reply, Verbatim) else reply
    found: dict[str, dict[str, str]] = {}
    for block in filter(None, data.decode().split("\r\n\r\n")):
        title, *lines = block.removesuffix("\r\n").split("\r\n")
        assert title.startswith("# ")
        found[title[2:]] = dict(line.split(":", 1) for line in lines)
    return found


def fields(c: Wire, section: str) -> dict[str, str]:
    (found,) = sections(c, section).values()
    return found


def test_type_and_form(c: Wire) -> None:
    assert c("INFO", "cluster") == c.as_verbatim(b"# Cluster\r\ncluster_enabled:0\r\n")
    assert c("INFO", "keyspace", "Cluster") == c.as_verbatim(
        b"# Cluster\r\ncluster_enabled:0\r\n\r\n# Keyspace\r\n"
    )
    assert c("INFO", "nosuch") == c.as_verbatim(b"")
    assert c("INFO", "modules") == c.as_verbatim(b"# Modules\r\n")


@pytest.mark.parametrize(
    ("names", "titles"),
    [
        ([], DEFAULT),
        (["default"], DEFAULT),
        (["ALL"], ALL),
        (["Everything"], ALL),
        (["all", "nosuch"], ALL),
        (["default", "commandstats"], [*DEFAULT[:8], "Commandstats", *DEFAULT[8:]]),
        (["cpu", "server", "keyspace", "cpu", "nosuch"], ["Server", "CPU", "Keyspace"]),
    ],
)
def test_sections(c: Wire, names: list[str], titles: list[str]) -> None:
    assert list(sections(c, *names)) == titles


@pytest.mark.parametrize(
    "section",
    ["server", "clients", "memory", "persistence", "stats", "replication", "cpu", "modules", "cluster"],
)
@pytest.mark.protocol(2)
def test_names_and_order(pair: Pair, section: str) -> None:
    ours, theirs = (list(fields(c, section)) for c in pair)
    version = oracle_version() or ()
    newer = NEWER if version < (7, 2) else set()
    shown = [name for name in ours if name not in OURS]
    assert [name for name in shown if name not in newer] == [name for name in theirs if name not in LACKING]


@pytest.mark.skipif(not HAVE_ORACLE, reason="compares with the oracle")
@pytest.mark.protocol(2)
def test_values_of_what_is_idle(pair: Pair) -> None:
    moving = re.compile(
        "replid|_time$|rss|ratio|bytes|used_|allocat|calls|total_|human|perc|version|id$|clock|usec|uptime|hz|port"
        "|gcc|api|executable|build|muzzy|lazyfree|changes|keyspace_|expired|instant|buffer|cpu|mem_|reply|clients$|sanitiz"
    )
    for section in ("server", "clients", "memory", "persistence", "stats", "replication", "cluster"):
        ours, theirs = (fields(c, section) for c in pair)
        for name in ours.keys() & theirs.keys():
            if not moving.search(name):
                assert ours[name] == theirs[name], name


def test_server(c: Wire, server: Server) -> None:
    told = fields(c, "server")
    assert told["redis_version"] == ".".join(map(str, server.version))
    assert told["redis_mode"] == "standalone"
    assert told["arch_bits"] in ("32", "64")
    assert int(told["process_id"]) == server.pid
    assert int(told["tcp_port"]) == server.port
    assert abs(int(told["server_time_usec"]) / 1e6 - time.time()) < 5
    assert int(told["uptime_in_seconds"]) < 10_000 and told["uptime_in_days"] == "0"
    assert re.fullmatch("[0-9a-f]{40}", told["run_id"])
    assert re.fullmatch("[0-9a-f]+", told["redis_build_id"])
    assert told["hz"] == told["configured_hz"] == "10"
    assert told["config_file"] == ""
    assert abs(int(told["lru_clock"]) - (int(time.time()) & 0xFFFFFF)) < 5
    assert told["run_id"] == fields(c, "server")["run_id"]
    if not server.is_oracle:
        assert told["respcache_version"]
        assert told["multiplexing_api"] in ("uvloop", "asyncio")
        assert told["listener0"] == f"name=tcp,bind=127.0.0.1,port={server.port}"


@pytest.mark.protocol(2)
def test_clients(c: Wire, connect: Connect) -> None:
    assert fields(c, "clients")["connected_clients"] == "1"
    other = connect()
    other("ECHO", "accepted")
    told = fields(c, "clients")
    assert told["connected_clients"] == "2"
    assert told["maxclients"] == c("CONFIG", "GET", "maxclients")[1].decode()
    assert c("CLIENT", "PAUSE", 10000, "WRITE") == OK
    other.send("SET", "k", "v")
    assert other.quiet()
    assert fields(c, "clients")["blocked_clients"] == "1"
    assert c("CLIENT", "UNPAUSE") == OK
    assert other.read() == OK
    assert fields(c, "clients")["blocked_clients"] == "0"


def test_memory(c: Wire) -> None:
    told = fields(c, "memory")
    used, peak = int(told["used_memory"]), int(told["used_memory_peak"])
    assert 0 < int(told["used_memory_startup"]) <= used
    assert peak * 1.05 >= used
    assert int(told["total_system_memory"]) > used
    assert re.fullmatch(r"\d+\.\d\d[KMG]", told["used_memory_human"])
    assert re.fullmatch(r"\d+\.\d\d%", told["used_memory_peak_perc"])
    assert told["maxmemory"] == "0" and told["maxmemory_human"] == "0B"
    assert told["maxmemory_policy"] == "noeviction"
    assert told["mem_allocator"]
    assert float(told["mem_fragmentation_ratio"]) > 0
    assert c("CONFIG", "SET", "maxmemory", "1500mb", "maxmemory-policy", "allkeys-lru") == OK
    told = fields(c, "memory")
    assert told["maxmemory"] == str(1500 << 20) and told["maxmemory_human"] == "1.46G"
    assert told["maxmemory_policy"] == "allkeys-lru"


def test_memory_grows_with_the_data(c: Wire) -> None:
    before = int(fields(c, "memory")["used_memory"])
    assert c("SET", "big", "x" * (20 << 20)) == OK
    assert int(fields(c, "memory")["used_memory"]) > before + (15 << 20)


def test_stats(c: Wire, connect: Connect) -> None:
    assert c("CONFIG", "RESETSTAT") == OK
    before = fields(c, "stats")
    assert before["total_error_replies"] == "0"
    assert before["keyspace_hits"] == before["keyspace_misses"] == "0"
    c("SET", "k", "v")
    c("GET", "k")
    c("GET", "k")
    c("GET", "nothing")
    c("NOSUCH")
    c("GET")
    connect()("ECHO", "accepted")
    told = fields(c, "stats")
    assert (told["keyspace_hits"], told["keyspace_misses"]) == ("2", "1")
    assert told["total_error_replies"] == "2"
    assert int(told["total_connections_received"]) - int(before["total_connections_received"]) == 1
    assert int(told["total_commands_processed"]) - int(before["total_commands_processed"]) >= 5
    assert int(told["total_net_input_bytes"]) > int(before["total_net_input_bytes"]) + 100
    assert int(told["total_net_output_bytes"]) > int(before["total_net_output_bytes"]) + 100
    assert re.fullmatch(r"\d+\.\d\d", told["instantaneous_input_kbps"])


def test_expired_keys(c: Wire) -> None:
    assert c("CONFIG", "RESETSTAT") == OK
    c("SET", "k", "v", "PX", 1)
    deadline = time.monotonic() + 3
    while fields(c, "stats")["expired_keys"] != "1":
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert c("CONFIG", "RESETSTAT") == OK
    assert fields(c, "stats")["expired_keys"] == "0"


def test_changes_since_the_last_save(c: Wire) -> None:
    def changes() -> int:
        return int(fields(c, "persistence")["rdb_changes_since_last_save"])

    before = changes()
    c("SET", "a", 1)
    c("INCR", "a")
    c("GET", "a")
    c("DEL", "a", "b")
    assert changes() == before + 3


def test_replication(c: Wire, server: Server) -> None:
    told = fields(c, "replication")
    assert (told["role"], told["connected_slaves"], told["master_repl_offset"]) == ("master", "0", "0")
    assert re.fullmatch("[0-9a-f]{40}", told["master_replid"])
    assert told["master_replid"] != fields(c, "server")["run_id"]
    assert c("DEBUG", "CHANGE-REPL-ID") == OK
    assert fields(c, "replication")["master_replid"] != told["master_replid"]


def test_cpu(c: Wire) -> None:
    for value in fields(c, "cpu").values():
        assert re.fullmatch(r"\d+\.\d{6}", value)


def test_commandstats(c: Wire) -> None:
    assert c("CONFIG", "RESETSTAT") == OK
    c("SET", "k", "v")
    c("SET", "k", "v")
    c("GET")
    c("INCR", "k")
    c("CONFIG", "GET", "hz")
    c("SLOWLOG")
    told = fields(c, "commandstats")
    form = r"calls=(\d+),usec=(\d+),usec_per_call=(\d+\.\d\d),rejected_calls=(\d+),failed_calls=(\d+)"
    shown = {}
    for name, value in told.items():
        found = re.fullmatch(form, value)
        assert found, value
        calls, usec, each, rejected, failed = found.groups()
        shown[name] = (int(calls), int(rejected), int(failed))
        assert abs(float(each) - (int(usec) / int(calls) if int(calls) else 0)) < 0.01
    assert shown == {
        "cmdstat_config|resetstat": (1, 0, 0),
        "cmdstat_set": (2, 0, 0),
        "cmdstat_get": (0, 1, 0),
        "cmdstat_incr": (1, 0, 1),
        "cmdstat_config|get": (1, 0, 0),
        "cmdstat_slowlog": (0, 1, 0),
    }


def test_unknown_names_are_in_no_commandstats(c: Wire) -> None:
    assert c("CONFIG", "RESETSTAT") == OK
    c("NOSUCH")
    c("CONFIG", "NOSUCH")
    assert list(fields(c, "commandstats")) == ["cmdstat_config|resetstat"]


def test_errorstats(c: Wire) -> None:
    assert c("CONFIG", "RESETSTAT") == OK
    assert c("INFO", "errorstats") == c.as_verbatim(b"# Errorstats\r\n")
    c("GET")
    c("NOSUCH")
    c("HELLO", 9)
    c("DEBUG", "ERROR", "NOTCOUNTED as such")
    assert fields(c, "errorstats") == {"errorstat_ERR": "count=2", "errorstat_NOPROTO": "count=1"}


def test_latencystats(c: Wire) -> None:
    assert c("CONFIG", "RESETSTAT") == OK
    c("GET", "k")
    told = fields(c, "latencystats")
    form = r"p50=\d+\.\d{3},p99=\d+\.\d{3},p99\.9=\d+\.\d{3}"
    assert re.fullmatch(form, told["latency_percentiles_usec_get"])
    assert "latency_percentiles_usec_config|resetstat" in told
    assert c("CONFIG", "SET", "latency-tracking-info-percentiles", "0 99.99 100") == OK
    told = fields(c, "latencystats")
    assert re.fullmatch(r"p0=[\d.]+,p99\.99=[\d.]+,p100=[\d.]+", told["latency_percentiles_usec_get"])
    assert c("CONFIG", "SET", "latency-tracking-info-percentiles", "") == OK
    assert fields(c, "latencystats")["latency_percentiles_usec_get"] == ""
    assert c("CONFIG", "SET", "latency-tracking", "no") == OK
    assert fields(c, "latencystats") == {}


def test_keyspace(c: Wire, server: Server) -> None:
    tail = ",subexpiry=0" if server.version >= (7, 4) else ""
    assert fields(c, "keyspace") == {}
    c("SET", "a", 1)
    c("SELECT", 3)
    c("SET", "b", 1)
    c("SET", "c", 1)
    assert fields(c, "keyspace") == {
        "db0": f"keys=1,expires=0,avg_ttl=0{tail}",
        "db3": f"keys=2,expires=0,avg_ttl=0{tail}",
    }
    c("SET", "c", 1, "EX", 100)
    found = re.fullmatch(rf"keys=2,expires=1,avg_ttl=(\d+){tail}", fields(c, "keyspace")["db3"])
    assert found
    if not server.is_oracle:  # which knows only once its cron has looked
        assert 99_000 < int(found[1]) <= 100_000
    c("FLUSHALL")
    assert fields(c, "keyspace") == {}


def test_unix_socket_is_listed() -> None:
    with start_respcache("--unixsocket", "s.sock") as server, Wire(server.port) as c:
        told = fields(c, "server")
        assert told["listener1"].startswith("name=unix,bind=")
        assert told["listener1"].endswith("s.sock")


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0B"),
        (1023, "1023B"),
        (1024, "1.00K"),
        (966000, "943.36K"),
        (1 << 20, "1.00M"),
        ((1 << 30) - 1, "1024.00M"),
        (23 << 30, "23.00G"),
        (5 << 40, "5.00T"),
        (7 << 50, "7.00P"),
    ],
)
def test_readable_size(size: int, text: str) -> None:
    assert readable_size(size) == text


def test_never_an_error(c: Wire) -> None:
    assert not isinstance(c("INFO", *["x" * 100] * 50), Error)
