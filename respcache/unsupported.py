"""What redis.conf may ask for and this version does not have.

It is what somebody relies on for safety, or to find the data: a server that ignores it is worse than none.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from respcache.config import Config, ConfigError
from respcache.version import __version__

REFUSED: dict[str, Callable[[Config], bool]] = {
    "user": lambda config: not all(map(is_plain_default, config.users)),
    "aclfile": lambda config: bool(config.aclfile),
    "tls-port": lambda config: bool(config.tls_port),
}
"""Directives, and whether a configuration makes use of them."""

_ALIASES = {"allkeys": "~*", "allchannels": "&*", "allcommands": "+@all"}
_PLAIN = {"on", "nopass", "~*", "&*", "+@all"}


def is_plain_default(words: Sequence[str]) -> bool:
    """Whether a `user` line only says what holds anyway: the user `default` may do everything."""
    rules = {_ALIASES.get(word, word) for word in words[1:]} - {"sanitize-payload"}
    return words[0] == "default" and rules == _PLAIN


def refuse(config: Config) -> None:
    """Raises ConfigError for the first directive that cannot be ignored, or that another one rules out."""
    for name, used in REFUSED.items():
        if used(config):
            raise ConfigError(f"'{name}' is not supported yet by respcache {__version__}")
    if config.cluster_enabled and config.replicaof:
        raise ConfigError("replicaof directive not allowed in cluster mode")
