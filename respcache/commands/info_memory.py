"""INFO memory, and the figures that MEMORY shares with it.

Python's allocators do not say what they hand out. So without a limit, memory in use is memory that is resident; with
one it is what the account of the data says, see `respcache.features.eviction`.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from respcache.durable import Fields
from respcache.features.process import STARTUP_MEMORY, peak_memory, resident_memory, system_memory
from respcache.state import ServerState
from respcache.store.sizes import ENTRY


@dataclass(frozen=True, slots=True)
class Figures:
    """Bytes."""

    used: int
    peak: int
    resident: int
    startup: int
    overhead: int
    """Of `used`, what is not data."""
    clients: int

    @classmethod
    def of(cls, server: ServerState) -> Figures:
        """As they are now."""
        limit, resident = server.memory, resident_memory()
        startup = limit.base if limit.limit else STARTUP_MEMORY
        used = limit.used() if limit.limit else resident
        peak = max(limit.peak, used) if limit.limit else peak_memory(used)
        clients = limit.buffers()
        if limit.limit:
            keys = sum(db.size for db in server.keyspace.databases)
            overhead = used - limit.dataset + keys * ENTRY
        else:
            overhead = min(startup, used)
        return cls(used, peak, resident, startup, overhead, clients)

    @property
    def data(self) -> int:
        """Bytes of data, without what is needed to find it."""
        return max(self.used - self.overhead, 0)

    @property
    def data_percent(self) -> float:
        """The part of the data in all that came since the start."""
        grown = self.used - self.startup
        return min(self.data / grown * 100, 100.0) if grown > 0 else 0.0

    @property
    def fragmentation(self) -> float:
        """Resident memory over what is used."""
        return self.resident / (self.used or 1)


def readable_size(size: int) -> str:
    """A number of bytes for people, `1023B` or `1.50K`, up to `P`."""
    if size < 1024:
        return f"{size}B"
    shown = float(size)
    for unit in "KMGT":
        shown /= 1024
        if shown < 1024:
            return f"{shown:.2f}{unit}"
    return f"{shown / 1024:.2f}P"


def memory(server: ServerState) -> Fields:
    """The section."""
    figures = Figures.of(server)
    used, peak, resident = figures.used, figures.peak, figures.resident
    total, limit = system_memory(), server.config.maxmemory
    uncounted = server.memory.uncounted()
    return {
        "used_memory": used,
        "used_memory_human": readable_size(used),
        "used_memory_rss": resident,
        "used_memory_rss_human": readable_size(resident),
        "used_memory_peak": peak,
        "used_memory_peak_human": readable_size(peak),
        "used_memory_peak_perc": f"{used / (peak or 1) * 100:.2f}%",
        "used_memory_overhead": figures.overhead,
        "used_memory_startup": figures.startup,
        "used_memory_dataset": figures.data,
        "used_memory_dataset_perc": f"{figures.data_percent:.2f}%",
        "allocator_allocated": used,
        "allocator_active": resident,
        "allocator_resident": resident,
        "allocator_muzzy": 0,
        "total_system_memory": total,
        "total_system_memory_human": readable_size(total),
        **_scripts(),
        "maxmemory": limit,
        "maxmemory_human": readable_size(limit),
        "maxmemory_policy": server.config.maxmemory_policy,
        "allocator_frag_ratio": f"{figures.fragmentation:.2f}",
        "allocator_frag_bytes": resident - used,
        "allocator_rss_ratio": "1.00",
        "allocator_rss_bytes": 0,
        "rss_overhead_ratio": "1.00",
        "rss_overhead_bytes": 0,
        "mem_fragmentation_ratio": f"{figures.fragmentation:.2f}",
        "mem_fragmentation_bytes": resident - used,
        "mem_not_counted_for_evict": uncounted,
        **server.mastering.memory(),
        "mem_clients_normal": figures.clients,
        "mem_cluster_links": 0,
        "mem_aof_buffer": uncounted,
        "mem_allocator": os.environ.get("PYTHONMALLOC") or "pymalloc",
        "mem_overhead_db_hashtable_rehashing": 0,
        "active_defrag_running": 0,
        "lazyfree_pending_objects": len(server.keyspace.graveyard),
        "lazyfreed_objects": server.keyspace.graveyard.freed,
    }


def _scripts() -> Fields:
    """What scripts and functions take of the memory."""
    return {
        "used_memory_lua": 0,
        "used_memory_vm_eval": 0,
        "used_memory_lua_human": "0B",
        "used_memory_scripts_eval": 0,
        "number_of_cached_scripts": 0,
        "number_of_functions": 0,
        "number_of_libraries": 0,
        "used_memory_vm_functions": 0,
        "used_memory_vm_total": 0,
        "used_memory_vm_total_human": "0B",
        "used_memory_functions": 0,
        "used_memory_scripts": 0,
        "used_memory_scripts_human": "0B",
    }
