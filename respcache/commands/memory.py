"""MEMORY: what keys and the server take. See `info_memory.py` for what the figures mean."""

from __future__ import annotations

import gc
import sys

from respcache.commands.arguments import integer as parse_integer
from respcache.commands.help import help_reply
from respcache.commands.info_memory import Figures, readable_size
from respcache.features.process import release_memory, resident_memory
from respcache.keyspec import key
from respcache.protocol.errors import SYNTAX
from respcache.protocol.reply import OK, integer, text
from respcache.registry import LOADING, READONLY, STALE, command, container
from respcache.state import Client
from respcache.store.sizes import ENTRY, key_size
from respcache.store.slot import hash_slot
from respcache.store.types import TYPES

DEFAULT_SAMPLES = 5
ENOUGH_DATA = 5 << 20
"""Bytes of data below which there is nothing to diagnose."""

_TELLS = ("nondeterministic_output", "request_policy:all_shards", "response_policy:special")

MEMORY = container("memory", group="server", doc="Tells what the data takes. Since 4.0.0.")


@command(
    READONLY,
    group="server",
    container=MEMORY,
    keys=key("RO", at=2),
    syntax="key:key [SAMPLES count:integer]",
)
def memory_usage(c: Client, key: bytes, *options: bytes) -> bytes:
    """The memory that a key and its value take, in bytes. O(N). Since 4.0.0."""
    samples = DEFAULT_SAMPLES
    for at in range(0, len(options), 2):
        if options[at].lower() != b"samples" or at + 1 == len(options):
            raise SYNTAX
        samples = parse_integer(options[at + 1])
        if samples < 0:
            raise SYNTAX
    value = c.db.peek(key)
    if value is None:
        return c.resp.null
    own = key_size(key, c.db.shards[hash_slot(key)], c.db.deadline(key) is not None)
    return integer(own + TYPES[type(value)].size(value, samples))


@command(group="server", container=MEMORY, tips=_TELLS)
def memory_stats(c: Client) -> bytes:
    """What the server takes, by purpose. O(1). Since 4.0.0."""
    server = c.server
    figures = Figures.of(server)
    used, peak, overhead = figures.used, figures.peak, figures.overhead
    replication = server.mastering.memory()
    fields: dict[str, int | float | dict[str, int]] = {
        "peak.allocated": peak,
        "total.allocated": used,
        "startup.allocated": figures.startup,
        "replication.backlog": replication["mem_replication_backlog"],
        "clients.slaves": replication["mem_clients_slaves"],
        "clients.normal": figures.clients,
        "cluster.links": 0,
        "aof.buffer": server.memory.uncounted(),
        "lua.caches": 0,
        "functions.caches": 0,
    }
    for db in server.keyspace.databases:
        if db.size:
            tables = {
                "overhead.hashtable.main": db.size * ENTRY,
                "overhead.hashtable.expires": db.deadlines.count * ENTRY,
            }
            fields[f"db.{db.index}"] = tables
            if not server.memory.limit:  # else they are part of it
                overhead += sum(tables.values())
    data, grown = max(used - overhead, 0), max(used - figures.startup, 0)
    keys = sum(db.size for db in server.keyspace.databases)
    fields |= {
        "overhead.db.hashtable.lut": 0,
        "overhead.db.hashtable.rehashing": 0,
        "db.dict.rehashing.count": 0,
        "overhead.total": overhead,
        "keys.count": keys,
        "keys.bytes-per-key": grown // keys if keys else 0,
        "dataset.bytes": data,
        "dataset.percentage": min(data / grown * 100, 100.0) if grown else 0.0,
        "peak.percentage": used / peak * 100 if peak else 0.0,
        "allocator.allocated": used,
        "allocator.active": figures.resident,
        "allocator.resident": figures.resident,
        "allocator.muzzy": 0,
        "allocator-fragmentation.ratio": figures.fragmentation,
        "allocator-fragmentation.bytes": figures.resident - used,
        "allocator-rss.ratio": 1.0,
        "allocator-rss.bytes": 0,
        "rss-overhead.ratio": 1.0,
        "rss-overhead.bytes": 0,
        "fragmentation": figures.fragmentation,
        "fragmentation.bytes": figures.resident - used,
    }
    return c.resp.map([part for name, value in fields.items() for part in (text(name), _figure(c, value))])


def _figure(c: Client, value: int | float | dict[str, int]) -> bytes:
    if isinstance(value, dict):
        return c.resp.map([part for name, count in value.items() for part in (text(name), integer(count))])
    return integer(value) if isinstance(value, int) else c.resp.double(value)


@command(group="server", container=MEMORY, tips=_TELLS)
def memory_doctor(c: Client) -> bytes:
    """Explains the use of memory to a person. O(1). Since 4.0.0."""
    return c.resp.verbatim(f"{_diagnosis(c)}\n".encode())


def _diagnosis(c: Client) -> str:
    figures = Figures.of(c.server)
    used, peak = figures.used, figures.peak
    if used - figures.startup < ENOUGH_DATA:
        return "There is so little data that there is nothing to tell."
    found = []
    if peak > used * 1.5:
        found.append(
            f"The process once took {readable_size(peak)}, now it takes {readable_size(used)}: what looks "
            "free to it may not be free for others. MEMORY PURGE gives back what it can."
        )
    limit = c.server.config.maxmemory
    if limit and used > limit * 0.9:
        found.append(f"{readable_size(used)} of {readable_size(limit)} (maxmemory) are in use.")
    pending = sum(client.connection.output_pending for client in c.server.clients.values())
    if pending > used * 0.1:
        found.append(f"Replies not yet read take {readable_size(pending)}: see omem in CLIENT LIST.")
    return "\n".join(f"- {each}" for each in found) or "Nothing unusual was found."


@command(group="server", container=MEMORY, tips=_TELLS)
def memory_malloc_stats(c: Client) -> bytes:
    """What the memory allocator tells of itself. Since 4.0.0."""
    lines = [
        f"Resident memory: {resident_memory()} bytes",
        f"Blocks that Python has allocated: {sys.getallocatedblocks()}",
        f"Containers the garbage collector never looks at again: {gc.get_freeze_count()}",
    ]
    for generation, numbers in enumerate(gc.get_stats()):
        shown = ", ".join(f"{name} {number}" for name, number in numbers.items())
        lines.append(f"Garbage of generation {generation}: {shown}")
    return c.resp.verbatim("".join(f"{line}\n" for line in lines).encode())


@command(
    group="server",
    container=MEMORY,
    tips=("request_policy:all_shards", "response_policy:all_succeeded"),
)
def memory_purge(_c: Client) -> bytes:
    """Gives free memory back to the system. Since 4.0.0."""
    release_memory()
    return OK


@command(LOADING | STALE, group="server", container=MEMORY)
def memory_help(_c: Client) -> bytes:
    """The subcommands of MEMORY. O(1). Since 4.0.0."""
    return help_reply(MEMORY)
