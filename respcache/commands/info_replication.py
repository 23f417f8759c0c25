"""INFO replication: the role of the server, its master, its replicas, its history."""

from __future__ import annotations

from respcache.clock import monotonic
from respcache.durable import Fields
from respcache.replicated import Replica
from respcache.state import ServerState


def replication(server: ServerState) -> Fields:
    """The section's fields, in their order."""
    mastering, following, config = server.mastering, server.following, server.config
    mastering.flush()
    history = server.history
    fields: Fields = {"role": "slave" if following.on else "master"}
    if following.on:
        fields |= following.info()
    fields["connected_slaves"] = len(mastering.replicas)
    if config.min_replicas_to_write and config.min_replicas_max_lag:
        fields["min_slaves_good_slaves"] = mastering.good
    now = monotonic()
    for number, replica in enumerate(mastering.replicas.values()):
        fields[f"slave{number}"] = _line(replica, now)
    return fields | {
        "master_failover_state": mastering.failover_state,
        "master_replid": history.id,
        "master_replid2": history.id2,
        "master_repl_offset": history.offset,
        "second_repl_offset": history.second_offset,
        "repl_backlog_active": int(history.backlog is not None),
        "repl_backlog_size": config.repl_backlog_size,
        "repl_backlog_first_byte_offset": history.first,
        "repl_backlog_histlen": history.length,
    }


def _line(replica: Replica, now: float) -> str:
    lag = int(now - replica.acked_at) if replica.state == "online" else 0
    return f"ip={replica.ip},port={replica.port},state={replica.state},offset={replica.acked},lag={lag}"
