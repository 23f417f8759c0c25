"""What holds in a cluster that has got over whatever befell it."""

from __future__ import annotations

from tests.clusters import Cluster, Line, call, fields, myself, table, wait_until
from tests.servers import Server


def wait_agreed(cluster: Cluster, seconds: float) -> None:
    """Waits until the living nodes agree and are well, and replicas have what their masters have; nobody is to write.

    Nodes must also be done with writing their data to disk again, as after a full synchronization: before that,
    a kill would throw them back to what they had before. Raises TimeoutError and AssertionError.
    """
    cluster.wait_ok(seconds)
    wait_until(
        lambda: not _differing(cluster), lambda: f"{_differing(cluster)}\n{cluster.picture()}", seconds
    )
    cluster.wait_synced(seconds)
    wait_until(
        lambda: not _silent(cluster), lambda: f"{_silent(cluster)} are not heard by their masters", seconds
    )
    wait_until(lambda: not _rewriting(cluster), lambda: f"{_rewriting(cluster)} rewrite their files", seconds)
    for replica in cluster.replicas():
        digests = {str(call(each, "DEBUG", "DIGEST")) for each in (replica, cluster.master_of(replica))}
        assert len(digests) == 1, f"{replica!r} has other data than its master"


def _differing(cluster: Cluster) -> str:
    """In what the nodes differ about owners and config epochs; empty if in nothing. One owner has each slot."""
    seen = {server: owners(table(server)) for server in cluster.living}
    own = {line.id: (line.epoch, line.ranges) for line in map(myself, cluster.masters()) if line.ranges}
    if strange := [server for server, each in seen.items() if each != own]:
        return f"{strange} see other owners or epochs than these have themselves: {own}"
    slots = [slot for _, ranges in own.values() for start, end in ranges for slot in range(start, end + 1)]
    if len(slots) != len({*slots}):
        return "a slot has two owners"
    epochs = [epoch for epoch, _ in own.values()]
    return f"epochs are not distinct: {epochs}" if len({*epochs}) != len(epochs) else ""


def owners(lines: dict[str, Line]) -> dict[str, tuple[int, tuple[tuple[int, int], ...]]]:
    """Config epochs and slots of masters that have slots, by id, as one node sees them."""
    return {
        line.id: (line.epoch, line.ranges)
        for line in lines.values()
        if line.ranges and "master" in line.flags
    }


def _silent(cluster: Cluster) -> list[str]:
    """Replicas whose acknowledgements do not come: after a cut, one way of a connection may be silent longer."""
    lines = [line for server in cluster.masters() for line in fields(server, "INFO", "replication").items()]
    replicas = [value for name, value in lines if name.startswith("slave") and "state=" in value]
    return [each for each in replicas if "state=online" not in each or not each.endswith(("lag=0", "lag=1"))]


def _rewriting(cluster: Cluster) -> list[Server]:
    names = "aof_rewrite_in_progress", "aof_rewrite_scheduled", "rdb_bgsave_in_progress"
    told = {server: fields(server, "INFO", "persistence") for server in cluster.living}
    return [server for server, each in told.items() if any(each[name] != "0" for name in names)]
