"""INFO's section about data on disk: each part tells of itself, and this puts it together."""

from __future__ import annotations

from respcache.durable import Fields
from respcache.state import ServerState

MODULES: Fields = {"module_fork_in_progress": 0, "module_fork_last_cow_size": 0}
"""No module ever forks."""

SIZES = "aof_current_size"
"""The first of the fields that only a server with an append-only file has; Redis shows them behind all others."""


def persistence(server: ServerState) -> Fields:
    """Loading, snapshots, the append-only file."""
    aof = list(server.appending.info().items())
    names = [name for name, _ in aof]
    first = names.index(SIZES) if SIZES in names else len(names)
    return {
        "loading": int(server.loading is not None),
        "async_loading": 0,
        **server.saving.info(),
        **dict(aof[:first]),
        **MODULES,
        **dict(aof[first:]),
        **(server.loading.info() if server.loading is not None else {}),
    }
