"""INFO: what monitoring tools read. Sections, names and their order are those of Redis 7.4.

A section is a function from the server to its fields. What belongs to a feature that is not there has the
value of an idle Redis, as has what would have to be counted on the way of every request and is charted by
exporters: `total_reads_processed`. Left out is what says nothing about this server: `eventloop_cycles` and its kind.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import sys
import time
from collections.abc import Callable, Iterable

from respcache.clock import monotonic
from respcache.commands.info_memory import memory
from respcache.commands.info_persistence import persistence
from respcache.commands.info_replication import replication
from respcache.features.process import cpu_times
from respcache.registry import LOADING, STALE, command
from respcache.state import Client, ServerState
from respcache.version import REDIS_VERSION, __version__

Fields = dict[str, str | int]


@command(
    LOADING | STALE,
    group="server",
    categories="dangerous",
    syntax="[section...]",
    tips=("nondeterministic_output", "request_policy:all_shards", "response_policy:special"),
    history=(("7.0.0", "Several sections may be named."),),
)
def info(c: Client, *sections: bytes) -> bytes:
    """Tells of the state and the statistics of the server, section by section. O(1). Since 1.0.0."""
    asked = {section.lower().decode("latin-1") for section in sections} or {"default"}
    if asked & {"all", "everything"}:
        asked |= SECTIONS.keys()
    elif "default" in asked:
        asked |= SECTIONS.keys() - _VERBOSE
    blocks = []
    for name, tell in SECTIONS.items():
        if name in asked:
            lines = [f"# {'CPU' if name == 'cpu' else name.capitalize()}"]
            lines += [f"{field}:{value}" for field, value in tell(c.server).items()]
            blocks.append("".join(f"{line}\r\n" for line in lines))
    return c.resp.verbatim("\r\n".join(blocks).encode("utf-8", "surrogateescape"))


def _idle(names: str) -> Fields:
    """Figures of a feature that is not there: nothing was ever counted."""
    return dict.fromkeys(names.split(), 0)


def _server(server: ServerState) -> Fields:
    up = int(monotonic() - server.started)
    hz = server.config.hz
    compiler = re.match(r"GCC ([\d.]+)", platform.python_compiler())
    return {
        "redis_version": REDIS_VERSION,
        "respcache_version": __version__,
        "redis_git_sha1": "00000000",
        "redis_git_dirty": 0,
        "redis_build_id": hashlib.sha256(__version__.encode()).hexdigest()[:16],
        "redis_mode": "standalone" if server.cluster is None else "cluster",
        "os": f"{platform.system()} {platform.release()} {platform.machine()}",
        "arch_bits": 64 if sys.maxsize > 1 << 32 else 32,
        "monotonic_clock": time.get_clock_info("perf_counter").implementation,
        "multiplexing_api": type(server.loop).__module__.partition(".")[0],
        "atomicvar_api": "none",
        "gcc_version": compiler[1] if compiler else "0.0.0",
        "python_version": platform.python_version(),
        "process_id": os.getpid(),
        "process_supervised": "no",
        "run_id": server.run_id,
        "tcp_port": server.port,
        "server_time_usec": server.clock.us(),
        "uptime_in_seconds": up,
        "uptime_in_days": up // 86400,
        "hz": hz,
        "configured_hz": hz,
        "lru_clock": server.clock.ms() // 1000 & 0xFFFFFF,
        "executable": sys.executable,
        "config_file": server.config_path,
        "io_threads_active": 0,
        **{f"listener{number}": listener for number, listener in enumerate(_listeners(server))},
    }


def _listeners(server: ServerState) -> Iterable[str]:
    if server.port:
        binds = "".join(f",bind={address}" for address in server.config.get_text("bind").split())
        yield f"name=tcp{binds},port={server.port}"
    if path := server.config.get_text("unixsocket"):
        yield f"name=unix,bind={path}"


def _clients(server: ServerState) -> Fields:
    links = [client.connection for client in server.clients.values()]
    return {
        "connected_clients": len(links) - len(server.mastering.replicas),
        "cluster_connections": 2 * (len(server.cluster.view.nodes) - 1) if server.cluster is not None else 0,
        "maxclients": server.config.maxclients,
        "client_recent_max_input_buffer": max((link.input_pending for link in links), default=0),
        "client_recent_max_output_buffer": max((link.output_pending for link in links), default=0),
        "blocked_clients": sum(client.paused for client in server.clients.values()),
        "tracking_clients": 0,
        "pubsub_clients": sum(client.subscriber is not None for client in server.clients.values()),
        "watching_clients": sum(client.watch is not None for client in server.clients.values()),
        "clients_in_timeout_table": sum(
            client.waiter is not None and client.waiter.deadline > 0 for client in server.clients.values()
        ),
        "total_watched_keys": len(server.watches),
        "total_blocking_keys": server.waiting.keys,
        "total_blocking_keys_on_nokey": server.waiting.keys_of_seekers,
    }


def _stats(server: ServerState) -> Fields:
    stats, keyspace = server.stats, server.keyspace
    clients = server.clients.values()
    exceeded, exceeding = server.memory.exceeded
    return {
        "total_connections_received": stats.connections,
        "total_commands_processed": stats.processed,
        "instantaneous_ops_per_sec": round(stats.ops_rate.value),
        "total_net_input_bytes": stats.net_input + sum(client.net_input for client in clients),
        "total_net_output_bytes": stats.net_output + sum(client.net_output for client in clients),
        "total_net_repl_input_bytes": 0,
        "total_net_repl_output_bytes": server.mastering.sent,
        "instantaneous_input_kbps": f"{stats.input_rate.value / 1024:.2f}",
        "instantaneous_output_kbps": f"{stats.output_rate.value / 1024:.2f}",
        "instantaneous_input_repl_kbps": "0.00",
        "instantaneous_output_repl_kbps": "0.00",
        "rejected_connections": stats.rejected_connections,
        "sync_full": server.mastering.full_syncs,
        "sync_partial_ok": server.mastering.partial_syncs,
        "sync_partial_err": server.mastering.partial_refused,
        "expired_subkeys": keyspace.expired_fields,
        "expired_keys": keyspace.expired_keys,
        "expired_stale_perc": "0.00",
        **_idle("expired_time_cap_reached_count expire_cycle_cpu_milliseconds"),
        "evicted_keys": keyspace.evicted_keys,
        "evicted_clients": stats.evicted_clients,
        "evicted_scripts": 0,
        "total_eviction_exceeded_time": exceeded,
        "current_eviction_exceeded_time": exceeding,
        "keyspace_hits": keyspace.hits,
        "keyspace_misses": keyspace.misses,
        "pubsub_channels": len(server.pubsub.channels),
        "pubsub_patterns": len(server.pubsub.patterns),
        "pubsubshard_channels": len(server.pubsub.shards),
        **_idle("latest_fork_usec total_forks"),
        "migrate_cached_sockets": server.migrating.cached,
        **_idle("slave_expires_tracked_keys"),
        **_idle("active_defrag_hits active_defrag_misses active_defrag_key_hits active_defrag_key_misses"),
        **_idle("total_active_defrag_time current_active_defrag_time"),
        **_idle("tracking_total_keys tracking_total_items tracking_total_prefixes"),
        "unexpected_error_replies": 0,
        "total_error_replies": sum(stats.errors.values()),
        **_idle("dump_payload_sanitizations total_reads_processed total_writes_processed"),
        **_idle("io_threaded_reads_processed io_threaded_writes_processed"),
        "client_query_buffer_limit_disconnections": stats.query_limit_disconnections,
        "client_output_buffer_limit_disconnections": stats.output_limit_disconnections,
        **_idle("reply_buffer_shrinks reply_buffer_expands"),
        **_idle("acl_access_denied_auth acl_access_denied_cmd"),
        **_idle("acl_access_denied_key acl_access_denied_channel"),
    }


def _cpu(_server: ServerState) -> Fields:
    own, children, thread = cpu_times()
    shown = {"": own, "_children": children, "_main_thread": thread}
    return {
        f"used_cpu_{kind}{whose}": f"{getattr(times, name):.6f}"
        for whose, times in shown.items()
        if times is not None
        for kind, name in (("sys", "system"), ("user", "user"))
    }


def _modules(_server: ServerState) -> Fields:
    return {}


def _commandstats(server: ServerState) -> Fields:
    shown: Fields = {}
    for name, stats in server.stats.commands.items():
        if stats.calls or stats.rejected or stats.failed:
            spent = int(stats.seconds * 1e6)
            each = spent / stats.calls if stats.calls else 0
            shown[f"cmdstat_{name}"] = (
                f"calls={stats.calls},usec={spent},usec_per_call={each:.2f},"
                f"rejected_calls={stats.rejected},failed_calls={stats.failed}"
            )
    return shown


def _errorstats(server: ServerState) -> Fields:
    return {f"errorstat_{code}": f"count={count}" for code, count in sorted(server.stats.errors.items())}


def _latencystats(server: ServerState) -> Fields:
    if not server.config.latency_tracking:
        return {}
    percents = server.config.get_text("latency-tracking-info-percentiles").split()
    return {
        f"latency_percentiles_usec_{name}": ",".join(
            f"p{percent}={stats.percentile(float(percent)):.3f}" for percent in percents
        )
        for name, stats in server.stats.commands.items()
        if stats.calls
    }


def _cluster(server: ServerState) -> Fields:
    return {"cluster_enabled": int(server.cluster is not None)}


def _keyspace(server: ServerState) -> Fields:
    now = server.clock.ms()
    shown: Fields = {}
    for db in server.keyspace.databases:
        if db.size:
            expires = db.deadlines.count
            left = max(db.deadlines.total // expires - now, 0) if expires else 0
            hashes = db.field_deadlines.count
            shown[f"db{db.index}"] = f"keys={db.size},expires={expires},avg_ttl={left},subexpiry={hashes}"
    return shown


SECTIONS: dict[str, Callable[[ServerState], Fields]] = {
    "server": _server,
    "clients": _clients,
    "memory": memory,
    "persistence": persistence,
    "stats": _stats,
    "replication": replication,
    "cpu": _cpu,
    "modules": _modules,
    "commandstats": _commandstats,
    "errorstats": _errorstats,
    "latencystats": _latencystats,
    "cluster": _cluster,
    "keyspace": _keyspace,
}
"""In the order in which INFO prints them."""

_VERBOSE = {"commandstats", "latencystats"}
"""Sections that INFO shows only if they, or all, are asked for."""
