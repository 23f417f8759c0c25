"""A cache on several nodes that are no cluster: any Redis, placed on a ring by the client.

    from respcache.client import CacheClient

    cache = CacheClient(["10.0.0.1:6379", "10.0.0.2:6379", "10.0.0.3:6379"])
    cache.set("brazil", "football")

`AsyncCacheClient` is the same for asyncio; `HashRing` alone tells which node holds a key, as twemproxy does. It needs
redis-py and msgpack: `pip install 'respcache[client]'`. It imports nothing of the server.
"""

from __future__ import annotations

try:
    import msgpack as _msgpack  # noqa: F401
    import redis as _redis  # noqa: F401
except ImportError as error:
    raise ImportError(
        f"respcache.client needs the package {error.name}: pip install 'respcache[client]'", name=error.name
    ) from error

from respcache.client.async_cache_client import AsyncCacheClient
from respcache.client.cache_client import CacheClient
from respcache.client.errors import (
    CacheError,
    DeadlineError,
    LocalError,
    NodeError,
    ReplyError,
    StoredValueError,
    ValueSizeError,
    ValueTypeError,
)
from respcache.client.health import Health
from respcache.client.ring import HashRing
from respcache.client.values import Codec

__all__ = [
    "AsyncCacheClient",
    "CacheClient",
    "CacheError",
    "Codec",
    "DeadlineError",
    "HashRing",
    "Health",
    "LocalError",
    "NodeError",
    "ReplyError",
    "StoredValueError",
    "ValueSizeError",
    "ValueTypeError",
]
