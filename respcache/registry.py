"""The registry: one declaration per command, on its handler, from which everything else is derived.

    @command(READONLY | FAST, keys=key("RO ACCESS"), syntax="key:key")
    def get(c: Client, key: bytes) -> bytes:
        \"\"\"The string value of a key. O(1). Since 1.0.0.\"\"\"

From the signature comes the arity, from the flags and the family the ACL categories, from the key specs the
legacy key range, from the docstring the summary, the complexity and the version. A declaration that
contradicts itself (a name declared twice, a key outside of the arguments, a docstring without a version)
fails at import.

A handler takes the client and then the arguments of the command, without its name; what it takes by position
is required, and `*rest` makes the number of arguments open. It returns an encoded reply or raises
`ReplyError`.
"""

from __future__ import annotations

import enum
import inspect
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from respcache.keyspec import FoundKey, KeyFinder, KeySpec, is_movable, legacy_range, positions


class Flag(enum.IntFlag):
    """What COMMAND INFO says of a command; the names are those of Redis."""

    WRITE = enum.auto()
    READONLY = enum.auto()
    DENYOOM = enum.auto()
    ADMIN = enum.auto()
    PUBSUB = enum.auto()
    NOSCRIPT = enum.auto()
    BLOCKING = enum.auto()
    LOADING = enum.auto()
    STALE = enum.auto()
    SKIP_MONITOR = enum.auto()
    SKIP_SLOWLOG = enum.auto()
    ASKING = enum.auto()
    FAST = enum.auto()
    NO_AUTH = enum.auto()
    MAY_REPLICATE = enum.auto()
    NO_MANDATORY_KEYS = enum.auto()
    PROTECTED = enum.auto()
    NO_ASYNC_LOADING = enum.auto()
    NO_MULTI = enum.auto()
    MOVABLEKEYS = enum.auto()
    ALLOW_BUSY = enum.auto()
    BRIEF = enum.auto()
    """Ours, never shown: always a matter of microseconds, so runs of it may be timed as a whole."""
    SYSCMD = enum.auto()
    """Meant for the server itself; shown by COMMAND DOCS only."""
    UNLISTED = enum.auto()
    """Ours, for a subcommand that Redis 7.4 lacks and clients ask for: it runs, but no list names it."""


WRITE = Flag.WRITE
READONLY = Flag.READONLY
DENYOOM = Flag.DENYOOM
ADMIN = Flag.ADMIN
PUBSUB = Flag.PUBSUB
NOSCRIPT = Flag.NOSCRIPT
BLOCKING = Flag.BLOCKING
LOADING = Flag.LOADING
STALE = Flag.STALE
SKIP_MONITOR = Flag.SKIP_MONITOR
SKIP_SLOWLOG = Flag.SKIP_SLOWLOG
ASKING = Flag.ASKING
FAST = Flag.FAST
NO_AUTH = Flag.NO_AUTH
MAY_REPLICATE = Flag.MAY_REPLICATE
NO_MANDATORY_KEYS = Flag.NO_MANDATORY_KEYS
PROTECTED = Flag.PROTECTED
NO_ASYNC_LOADING = Flag.NO_ASYNC_LOADING
NO_MULTI = Flag.NO_MULTI
MOVABLEKEYS = Flag.MOVABLEKEYS
ALLOW_BUSY = Flag.ALLOW_BUSY
BRIEF = Flag.BRIEF
SYSCMD = Flag.SYSCMD
UNLISTED = Flag.UNLISTED

Handler = Callable[..., bytes]

Redact = Callable[[Sequence[bytes]], Iterable[int]]
"""Where the words of a request that no log may show stand; it begins with the command's name."""

_DOCSTRING = re.compile(
    r"(?P<summary>.+?)\.\s(?:(?P<complexity>O\(.+)\.\s)?Since\s(?P<since>\d+\.\d+\.\d+)\.", re.DOTALL
)


@dataclass(frozen=True, slots=True, eq=False)
class Command:
    """A declared command or subcommand."""

    name: str
    """In lower case; a subcommand's full name is `config|get`."""
    handler: Handler
    flags: Flag
    arity: int
    """Number of words, the name (and the subcommand's name) included; negative: at least so many."""
    keys: tuple[KeySpec, ...]
    group: str
    """The family, as COMMAND DOCS names it."""
    categories: frozenset[str]
    """ACL categories without `@`."""
    summary: str
    complexity: str
    """Empty for the few commands Redis says nothing of."""
    since: str
    syntax: str
    """The arguments in the notation of `respcache.syntax`."""
    tips: tuple[str, ...]
    history: tuple[tuple[str, str], ...]
    """(version, what changed)."""
    deprecated: tuple[str, str] | None
    """(version, what replaces it)."""
    parent: Command | None
    getkeys: KeyFinder | None = None
    """Finds the keys where the specs cannot."""
    redact: Redact | None = None
    """Finds passwords."""
    subcommands: dict[bytes, Command] = field(default_factory=dict)
    """By lower-case name; empty unless this is a container."""
    unlisted: dict[bytes, Command] = field(default_factory=dict)
    """More subcommands, those with the flag of this name."""

    @property
    def key_range(self) -> tuple[int, int, int]:
        """First key, last key and step as Redis before 7 described keys."""
        return legacy_range(self.keys)

    def accepts(self, words: int) -> bool:
        """Whether a request of so many words has the right arity."""
        return words == self.arity if self.arity >= 0 else words >= -self.arity

    def find_keys(self, argv: Sequence[bytes]) -> list[FoundKey]:
        """Where the keys stand in a request of the right arity, and what happens to them.

        Empty if there are none or the arguments make no sense. `argv` begins with the command's name.
        """
        if not any("variable_flags" in spec.flags for spec in self.keys):
            found = positions(self.keys, argv)
            if found:
                return found
        return self.getkeys(argv) if self.getkeys is not None else []

    def redacted(self, argv: Sequence[bytes]) -> Sequence[bytes]:
        """A request as logs and other clients may see it: secret words are replaced."""
        if self.redact is None:
            return argv
        shown = list(argv)
        for at in self.redact(argv):
            shown[at] = b"(redacted)"
        return shown

    @property
    def has_keys(self) -> bool:
        """Whether it can have keys at all; channels are none."""
        return self.getkeys is not None or any("not_key" not in spec.flags for spec in self.keys)


class Registry:
    """All commands by lower-case name. There is one, filled by importing `respcache.commands`."""

    def __init__(self) -> None:
        self.commands: dict[bytes, Command] = {}

    def add(self, command: Command) -> None:
        """Adds a command to its container or to the top level. Raises ValueError for a duplicate."""
        if command.parent is None:
            home = self.commands
        else:
            home = command.parent.unlisted if command.flags & UNLISTED else command.parent.subcommands
        name = command.name.rpartition("|")[2].encode()
        if name in home:
            raise ValueError(f"command {command.name!r} is declared twice")
        home[name] = command

    def find(self, name: str) -> Command | None:
        """The command of a name such as `get`, `GET` or `config|get`."""
        words = name.lower().encode().split(b"|")
        found = self.commands.get(words[0])
        if found is not None and len(words) == 2:
            return found.subcommands.get(words[1])
        return found if len(words) == 1 else None

    def resolve(self, argv: Sequence[bytes]) -> Command | None:
        """The command or subcommand of a request; a container only if nothing follows its name."""
        found = self.commands.get(argv[0].lower())
        if found is not None and found.subcommands and len(argv) > 1:
            return found.subcommands.get(argv[1].lower())
        return found

    def __iter__(self) -> Iterator[Command]:
        """All commands, each container followed by its subcommands."""
        for command in self.commands.values():
            yield command
            yield from command.subcommands.values()


REGISTRY = Registry()

CATEGORIES = (
    "keyspace",
    "read",
    "write",
    "set",
    "sortedset",
    "list",
    "hash",
    "string",
    "bitmap",
    "hyperloglog",
    "geo",
    "stream",
    "pubsub",
    "admin",
    "fast",
    "slow",
    "blocking",
    "dangerous",
    "connection",
    "transaction",
    "scripting",
)
"""The ACL categories in the order in which Redis shows them."""

_GROUP_CATEGORIES = {
    "bitmap": "bitmap",
    "connection": "connection",
    "generic": "keyspace",
    "geo": "geo",
    "hash": "hash",
    "hyperloglog": "hyperloglog",
    "list": "list",
    "pubsub": "pubsub",
    "scripting": "scripting",
    "set": "set",
    "sorted-set": "sortedset",
    "stream": "stream",
    "string": "string",
    "transactions": "transaction",
}


def _categories(flags: Flag, group: str, extra: str) -> frozenset[str]:
    found = set(extra.split())
    if group in _GROUP_CATEGORIES:
        found.add(_GROUP_CATEGORIES[group])
    if flags & WRITE:
        found.add("write")
    if flags & READONLY and "scripting" not in found:
        found.add("read")
    if flags & ADMIN:
        found |= {"admin", "dangerous"}
    if flags & PUBSUB:
        found.add("pubsub")
    if flags & BLOCKING:
        found.add("blocking")
    found.add("fast" if flags & FAST else "slow")
    denied = {name for name in found if name.startswith("-")}
    return frozenset(found - denied - {name[1:] for name in denied})


def _arity(handler: Handler, words: int) -> int:
    """The arity of a handler whose name takes so many words."""
    required, is_open = words, False
    for parameter in list(inspect.signature(handler).parameters.values())[1:]:
        if parameter.kind is parameter.VAR_POSITIONAL:
            is_open = True
        elif parameter.default is parameter.empty:
            required += 1
        else:
            raise ValueError(f"{handler.__name__}: an optional argument must come through *rest")
    return -required if is_open else required


def command(
    flags: Flag = Flag(0),  # noqa: B008 - flags are immutable
    *,
    group: str,
    name: str = "",
    keys: KeySpec | Sequence[KeySpec] = (),
    categories: str = "",
    syntax: str = "",
    tips: Sequence[str] = (),
    history: Sequence[tuple[str, str]] = (),
    deprecated: tuple[str, str] | None = None,
    container: Command | None = None,
    getkeys: KeyFinder | None = None,
    redact: Redact | None = None,
) -> Callable[[Handler], Handler]:
    """Declares the decorated handler as a command.

    `name` is needed only where a Python name cannot say it. `categories` adds ACL categories to the derived
    ones, or takes one away with `-name`. `getkeys` finds the keys where the specs cannot, or cannot tell what
    is done to them. `redact` finds the passwords among the words. A subcommand names its `container`; its
    handler is called `<container>_<name>`. Raises ValueError for a declaration that contradicts itself.
    """

    def declare(handler: Handler) -> Handler:
        own = name or handler.__name__.rstrip("_").replace("_", "-")
        if container is not None and not name:
            own = own.removeprefix(f"{container.name}-")
        rest = (categories, syntax, tips, history, deprecated, container, getkeys, redact)
        add_command(handler, own, flags, group, keys, *rest)
        return handler

    return declare


def container(
    name: str,
    group: str,
    doc: str,
    categories: str = "",
    flags: Flag = Flag(0),  # noqa: B008 - flags are immutable
    bare: Handler | None = None,
    tips: Sequence[str] = (),
) -> Command:
    """Declares a command that has subcommands; `doc` reads like a handler's docstring.

    `bare`, if given, is called when the container's name stands alone, as in COMMAND. Without it the name
    alone has the wrong number of arguments, so the handler is never called.
    """
    if bare is not None:
        return add_command(bare, name, flags, group, (), categories, "", tips, (), None, None, None)

    def handler(_client: object, _subcommand: bytes, *_rest: bytes) -> bytes:
        raise AssertionError(f"{name} is resolved to a subcommand before it is called")

    handler.__doc__ = doc
    return add_command(handler, name, flags, group, (), categories, "", tips, (), None, None, None)


def add_command(
    handler: Handler,
    name: str,
    flags: Flag,
    group: str,
    keys: KeySpec | Sequence[KeySpec],
    categories: str,
    syntax: str,
    tips: Sequence[str],
    history: Sequence[tuple[str, str]],
    deprecated: tuple[str, str] | None,
    parent: Command | None,
    getkeys: KeyFinder | None,
    redact: Redact | None = None,
) -> Command:
    """Builds a `Command`, checks it and puts it into the registry."""
    doc: Any = _DOCSTRING.match(inspect.getdoc(handler) or "")
    if doc is None:
        raise ValueError(f"{name}: the docstring must read: Summary. O(...). Since X.Y.Z.")
    specs = (keys,) if isinstance(keys, KeySpec) else tuple(keys)
    if is_movable(specs):
        flags |= MOVABLEKEYS
    made = Command(
        name=f"{parent.name}|{name}" if parent else name,
        handler=handler,
        flags=flags,
        arity=_arity(handler, 2 if parent else 1),
        keys=specs,
        group=group,
        categories=_categories(flags, group, categories),
        summary=" ".join(doc["summary"].split()),
        complexity=" ".join((doc["complexity"] or "").split()),
        since=doc["since"],
        syntax=syntax,
        tips=tuple(tips),
        history=tuple(history),
        deprecated=deprecated,
        parent=parent,
        getkeys=getkeys,
        redact=redact,
    )
    first = made.key_range[0]
    if first and first >= max(abs(made.arity), 2) and not flags & NO_MANDATORY_KEYS and made.arity > 0:
        raise ValueError(f"{name}: its first key is not among its arguments")
    REGISTRY.add(made)
    return made
