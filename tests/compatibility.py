"""Writes `docs/compatibility.md`: `python -m tests.compatibility`.

The page is `docs/compatibility.in.md`, written by hand, with the registry laid beside the list of what Redis 7.4 has,
`docs/redis-7.4-commands.txt`. A test compares the page with what would be written now.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import respcache.commands  # noqa: F401 - fills the registry
from respcache.registry import REGISTRY, Registry

DOCS = Path(__file__).resolve().parent.parent / "docs"
PAGE = DOCS / "compatibility.md"
TEMPLATE = DOCS / "compatibility.in.md"
COMMANDS = DOCS / "redis-7.4-commands.txt"

GROUPS = {
    "string": "strings",
    "list": "lists",
    "hash": "hashes",
    "set": "sets",
    "sorted-set": "sorted sets",
    "stream": "streams",
    "bitmap": "bitmaps",
    "hyperloglog": "HyperLogLog",
    "geo": "geo",
    "generic": "generic keys",
    "transactions": "transactions",
    "pubsub": "pub/sub",
    "scripting": "scripting",
    "connection": "connection",
    "server": "server",
    "cluster": "cluster",
}
"""Groups of commands in the order of the page, and what they are called there."""

REASONS = {
    "scripts and functions, which need Lua": "eval eval_ro evalsha evalsha_ro script fcall fcall_ro function",
    "persistence: RDB and the append-only file": "save bgsave bgrewriteaof dump restore restore-asking",
    "replication": "replicaof slaveof psync sync replconf failover",
    "cluster": "cluster asking readonly readwrite migrate",
    "users": "acl",
    "client-side caching": "client|tracking client|caching",
}
"""What commands wait for, or why they will not come. A container stands for its subcommands. Those that are there
already are not shown."""


@dataclass(frozen=True, slots=True)
class Known:
    """A command or subcommand (`config|get`) of Redis 7.4."""

    name: str
    group: str
    since: str

    @property
    def container(self) -> str:
        """The first word of its name."""
        return self.name.partition("|")[0]

    @property
    def shown(self) -> str:
        """As one types it."""
        return self.name.replace("|", " ").upper()


def known_commands() -> list[Known]:
    """The list of what Redis 7.4 has, by name."""
    lines = COMMANDS.read_text(encoding="utf-8").splitlines()
    return [Known(*line.split()) for line in lines if line and not line.startswith("#")]


def reason(command: Known) -> str:
    """What a missing command waits for; empty if nobody has said."""
    for text, names in REASONS.items():
        if {command.name, command.container} & set(names.split()):
            return text
    return ""


def _there(command: Known, registry: Registry) -> bool:
    return registry.find(command.name) is not None


def _table(head: tuple[str, str], rows: Iterable[tuple[str, str]]) -> str:
    return "\n".join(
        (f"| {head[0]} | {head[1]} |", "|---|---|", *(f"| {one} | {other} |" for one, other in rows))
    )


def _there_table(known: Sequence[Known], registry: Registry) -> str:
    rows = []
    for group, title in GROUPS.items():
        names = [
            command.shown
            for command in known
            if command.group == group and command.name == command.container and _there(command, registry)
        ]
        if names:
            rows.append((title, ", ".join(names)))
    return _table(("family", "commands"), rows)


def _missing_table(known: Sequence[Known], registry: Registry) -> str:
    missing: dict[str, list[str]] = {text: [] for text in (*REASONS, "")}
    gone = {command.name for command in known if not _there(command, registry)}
    for command in known:
        if command.name in gone and (command.name == command.container or command.container not in gone):
            missing[reason(command)].append(command.shown)
    rows = [(text or "others", ", ".join(names)) for text, names in missing.items() if names]
    return _table(("waits for", "commands"), rows)


def _count(known: Sequence[Known], registry: Registry) -> str:
    tops = [command for command in known if command.name == command.container]
    subs = [command for command in known if command.name != command.container]
    return (
        f"COMMAND COUNT is {sum(_there(each, registry) for each in tops)} of Redis's {len(tops)}; of the "
        f"{len(subs)} subcommands {sum(_there(each, registry) for each in subs)} are there."
    )


def page(registry: Registry = REGISTRY) -> str:
    """The whole page."""
    known = known_commands()
    text = TEMPLATE.read_text(encoding="utf-8")
    for name, part in (("count", _count), ("there", _there_table), ("missing", _missing_table)):
        text = text.replace(f"{{{{ {name} }}}}", part(known, registry))
    return text


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
