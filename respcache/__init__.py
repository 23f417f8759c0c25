"""respcache: the Redis you can pip install.

async with respcache.Server(port=0) as server:   # in your event loop
    ...

server = respcache.start(port=0)                 # in a thread, for code that has no loop
server.stop()
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from respcache.version import __version__

if TYPE_CHECKING:
    from respcache.clock import Clock
    from respcache.config import ConfigError
    from respcache.server import Server
    from respcache.thread import ServerThread, start, stop

__all__ = ["Clock", "ConfigError", "Server", "ServerThread", "__version__", "start", "stop"]


def __getattr__(name: str) -> Any:
    """Imports the server with its first use: `import respcache.client` does without it."""
    if name in ("Clock", "ConfigError"):
        import respcache.clock
        import respcache.config

        return getattr(respcache.clock if name == "Clock" else respcache.config, name)
    if name == "Server":
        from respcache.server import Server

        return Server
    if name in ("ServerThread", "start", "stop"):
        import respcache.thread

        return getattr(respcache.thread, name)
    raise AttributeError(f"module 'respcache' has no attribute {name!r}")


def __dir__() -> list[str]:
    """Names what is imported lazily too."""
    return __all__
