"""COMMAND: what the server can do, told from the declarations alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache

from respcache.commands.help import help_reply
from respcache.keyspec import FoundKey, Index, KeyNum, KeySpec, Keyword, Range
from respcache.protocol.errors import SYNTAX, ReplyError
from respcache.protocol.reply import Resp, array, bulk, bulks, integer, status, text
from respcache.registry import (
    BRIEF,
    CATEGORIES,
    LOADING,
    MAY_REPLICATE,
    REGISTRY,
    STALE,
    SYSCMD,
    Command,
    Flag,
    command,
    container,
)
from respcache.state import Client
from respcache.store.glob import compile_glob
from respcache.syntax import Argument, parse

NO_SUCH_COMMAND = ReplyError(b"ERR Invalid command specified")
NO_KEYS = ReplyError(b"ERR The command has no key arguments")
BAD_COUNT = ReplyError(b"ERR Invalid number of arguments specified for command")
BAD_ARGUMENTS = ReplyError(b"ERR Invalid arguments specified for command")


def command_all(c: Client, *_rest: bytes) -> bytes:
    """Tells of all commands. O(N). Since 2.8.13."""
    return array([_info(each, c.resp) for each in REGISTRY.commands.values()])


COMMAND = container(
    "command",
    group="server",
    doc="Tells of all commands. O(N). Since 2.8.13.",
    categories="connection",
    flags=LOADING | STALE,
    bare=command_all,
    tips=("nondeterministic_output_order",),
)


@command(LOADING | STALE, group="server", container=COMMAND, categories="connection")
def command_count(_c: Client) -> bytes:
    """The number of commands. O(1). Since 2.8.13."""
    return integer(len(REGISTRY.commands))


@command(
    LOADING | STALE,
    group="server",
    container=COMMAND,
    categories="connection",
    syntax="[command-name...]",
    tips=("nondeterministic_output_order",),
    history=(("7.0.0", "Without names it tells of all commands."),),
)
def command_info(c: Client, *names: bytes) -> bytes:
    """Arity, flags, keys and ACL categories of some commands or of all. O(N). Since 2.8.13."""
    if not names:
        return command_all(c)
    found = [_find(name) for name in names]
    return array([c.resp.null if each is None else _info(each, c.resp) for each in found])


@command(
    LOADING | STALE,
    group="server",
    container=COMMAND,
    categories="connection",
    syntax="[command-name...]",
    tips=("nondeterministic_output_order",),
)
def command_docs(c: Client, *names: bytes) -> bytes:
    """Summary, history and arguments of some commands or of all. O(N). Since 7.0.0."""
    found = [_find(name) for name in names] if names else REGISTRY.commands.values()
    pairs: list[bytes] = []
    for each in found:
        if each is not None:
            pairs += (text(each.name), _docs(each, c.resp))
    return c.resp.map(pairs)


@command(
    LOADING | STALE,
    group="server",
    container=COMMAND,
    categories="connection",
    syntax="[FILTERBY filterby=<MODULE module-name | ACLCAT category | PATTERN pattern:pattern>]",
    tips=("nondeterministic_output_order",),
)
def command_list(_c: Client, *options: bytes) -> bytes:
    """The names of all commands, or of those that a filter lets pass. O(N). Since 7.0.0."""
    return array([text(each.name) for each in filter(_filter(options), REGISTRY)])


@command(
    LOADING | STALE,
    group="server",
    container=COMMAND,
    categories="connection",
    syntax="command [arg...]",
)
def command_getkeys(_c: Client, name: bytes, *arguments: bytes) -> bytes:
    """The keys of a request. O(N). Since 2.8.13."""
    argv = (name, *arguments)
    return bulks(argv[at] for at, _spec in _keys(argv))


@command(
    LOADING | STALE,
    group="server",
    container=COMMAND,
    categories="connection",
    syntax="command [arg...]",
)
def command_getkeysandflags(c: Client, name: bytes, *arguments: bytes) -> bytes:
    """The keys of a request, each with what is done to it. O(N). Since 7.0.0."""
    argv = (name, *arguments)
    return array([array([bulk(argv[at]), _statuses(_uses(spec), c.resp)]) for at, spec in _keys(argv)])


@command(LOADING | STALE, group="server", container=COMMAND, categories="connection")
def command_help(_c: Client) -> bytes:
    """The subcommands of COMMAND. O(1). Since 5.0.0."""
    return help_reply(COMMAND)


def _find(name: bytes) -> Command | None:
    return REGISTRY.find(name.decode("latin-1"))


def _filter(options: Sequence[bytes]) -> Callable[[Command], object]:
    """The filter of COMMAND LIST. Raises SYNTAX."""
    match [option.upper() for option in options]:
        case []:
            return lambda _each: True
        case [b"FILTERBY", b"MODULE", _]:
            return lambda _each: False  # there are no modules
        case [b"FILTERBY", b"ACLCAT", _]:
            category = options[2].lower().decode("latin-1")
            return lambda each: category in each.categories
        case [b"FILTERBY", b"PATTERN", _]:
            matches = compile_glob(options[2], nocase=True)
            return lambda each: matches(each.name.encode())
        case _:
            raise SYNTAX


def _keys(argv: Sequence[bytes]) -> list[FoundKey]:
    """The keys of a request. Raises ReplyError if it has none."""
    found = REGISTRY.resolve(argv)
    if found is None:
        raise NO_SUCH_COMMAND
    if not found.has_keys:
        raise NO_KEYS
    if not found.accepts(len(argv)):
        raise BAD_COUNT
    keys = found.find_keys(argv)
    if not keys and not found.flags & Flag.NO_MANDATORY_KEYS:
        raise BAD_ARGUMENTS
    return keys


def _uses(spec: KeySpec) -> list[str]:
    """What is done to a key; how it was found is left out."""
    return [name for name in spec.names if name not in ("incomplete", "variable_flags")]


def _statuses(names: Sequence[str], resp: Resp) -> bytes:
    return resp.set([status(name.encode()) for name in names])


@cache
def _info(each: Command, resp: Resp) -> bytes:
    """One element of COMMAND INFO. Subcommands are an array, but no subcommands are an empty set."""
    subcommands = [_info(subcommand, resp) for subcommand in each.subcommands.values()]
    shown = each.flags & ~(BRIEF | SYSCMD | MAY_REPLICATE)  # what Redis knows and does not show
    return array(
        [
            text(each.name),
            integer(each.arity),
            _statuses([str(flag.name).lower() for flag in Flag if flag & shown], resp),
            *(integer(number) for number in each.key_range),
            _statuses([f"@{name}" for name in CATEGORIES if name in each.categories], resp),
            resp.set([text(tip) for tip in each.tips]),
            resp.set([_key_spec(spec, resp) for spec in each.keys]),
            array(subcommands) if subcommands else resp.set([]),
        ]
    )


def _map(fields: dict[str, bytes], resp: Resp) -> bytes:
    return resp.map([part for name, value in fields.items() for part in (text(name), value)])


def _numbers(resp: Resp, **fields: int) -> bytes:
    return _map({name: integer(number) for name, number in fields.items()}, resp)


def _key_spec(spec: KeySpec, resp: Resp) -> bytes:
    match spec.begin:
        case Index(at):
            begin = ("index", _numbers(resp, index=at))
        case Keyword(word, start):
            begin = ("keyword", _map({"keyword": bulk(word), "startfrom": integer(start)}, resp))
        case _:
            begin = ("unknown", resp.map([]))
    match spec.find:
        case Range(last, step, limit):
            find = ("range", _numbers(resp, lastkey=last, keystep=step, limit=limit))
        case KeyNum(at, first, step):
            find = ("keynum", _numbers(resp, keynumidx=at, firstkey=first, keystep=step))
        case _:
            find = ("unknown", resp.map([]))
    fields = {"notes": text(spec.notes)} if spec.notes else {}
    fields["flags"] = _statuses(spec.names, resp)
    for name, (kind, how) in (("begin_search", begin), ("find_keys", find)):
        fields[name] = _map({"type": text(kind), "spec": how}, resp)
    return _map(fields, resp)


@cache
def _docs(each: Command, resp: Resp) -> bytes:
    """One value of COMMAND DOCS. Kept, as redis-cli asks for all of them whenever it starts."""
    fields = {"summary": text(each.summary), "since": text(each.since), "group": text(each.group)}
    if complexity := each.complexity or "Depends on the subcommand." * bool(each.subcommands):
        fields["complexity"] = text(complexity)
    if flags := ["deprecated"] * bool(each.deprecated) + ["syscmd"] * bool(each.flags & SYSCMD):
        fields["doc_flags"] = _statuses(flags, resp)
    if each.deprecated is not None:
        fields["deprecated_since"], fields["replaced_by"] = map(text, each.deprecated)
    if each.history:
        fields["history"] = resp.set([array([text(version), text(what)]) for version, what in each.history])
    if arguments := parse(each.syntax):
        fields["arguments"] = _arguments(arguments, resp)
    if each.subcommands:
        docs = ((text(sub.name), _docs(sub, resp)) for sub in each.subcommands.values())
        fields["subcommands"] = resp.map([part for pair in docs for part in pair])
    return _map(fields, resp)


def _arguments(arguments: Sequence[Argument], resp: Resp) -> bytes:
    return array([_argument(argument, resp) for argument in arguments])


def _argument(argument: Argument, resp: Resp) -> bytes:
    """A node of the argument tree. `display_text` is there since 7.2."""
    fields = {"name": text(argument.name), "type": text(argument.type)}
    if argument.type not in ("oneof", "block"):
        fields["display_text"] = text(argument.name)
    if argument.key_spec is not None:
        fields["key_spec_index"] = integer(argument.key_spec)
    if argument.token is not None:
        fields["token"] = text(argument.token)
    if argument.since:
        fields["since"] = text(argument.since)
    if argument.deprecated:
        fields["deprecated_since"] = text(argument.deprecated)
    if argument.flags:
        fields["flags"] = _statuses(argument.flags, resp)
    if argument.arguments:
        fields["arguments"] = _arguments(argument.arguments, resp)
    return _map(fields, resp)
