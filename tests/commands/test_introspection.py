"""COMMAND, and with it every declaration: compared with what the oracle says of the same commands."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.wire import Error, Pair, Reply, Set, Status, Wire, arity_error, members, pairs

NEWER = frozenset(
    {
        # 7.2 lets scripts call them
        *("blmove", "blpop", "brpop", "brpoplpush", "bzpopmax", "bzpopmin", "wait"),
        # 7.2: WITHSCORE
        *("zrank", "zrevrank"),
        # 7.2: needs one word less, and has arguments
        *("command|getkeys", "command|getkeysandflags"),
        # 7.2 and 7.4: more fields, told in the history
        *("acl|log", "client|list", "xinfo|consumers", "xinfo|stream"),
        # 7.4: NOVALUES, MAXAGE
        *("hscan", "client|kill"),
        # 7.4: allowed while loading
        *("cluster|shards", "cluster|slots"),
    }
)
"""Commands that Redis 7.2 or 7.4 changed, so that an oracle of 7.0 tells something else of them."""

OWN_WORDS = frozenset({b"summary", b"complexity", b"replaced_by", b"display_text", b"notes"})
"""Texts; `display_text` is new in 7.2."""


def newest(wire: Wire) -> bool:
    """Whether the server tells of commands as Redis 7.4 does."""
    return bool(wire("COMMAND", "INFO", "waitaof") != [wire.null])


def plain(value: Reply) -> Any:
    """A reply with maps as dicts, without the texts, and with sets and arrays told apart."""
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, Set):
        return {"set": [plain(item) for item in value.items]}
    return value


def fields(value: Reply) -> list[tuple[bytes, Reply]]:
    """The pairs of a map in their order, without the texts."""
    return [(name, item) for name, item in pairs(value).items() if name not in OWN_WORDS]


def items(value: Reply) -> list[Reply]:
    """The items of a set, which is an array in RESP2."""
    return list(value.items) if isinstance(value, Set) else value


def key_spec(value: Reply) -> list[tuple[bytes, Any]]:
    found: list[tuple[bytes, Any]] = []
    for name, item in fields(value):
        if name == b"flags":
            found.append((name, plain(item)))
        else:
            (_type, kind), (_spec, how) = fields(item)
            found.append((name, (_type, kind, _spec, fields(how))))
    return found


def info_by_name(commands: list[Reply]) -> Iterator[tuple[str, list[Any]]]:
    """All commands and subcommands with their nine fields."""
    for each in commands:
        name, arity, flags, first, last, step, categories, tips, specs, subcommands = each
        about = [arity, plain(flags), first, last, step, plain(categories), plain(tips)]
        about += [type(specs), [key_spec(spec) for spec in items(specs)], type(subcommands)]
        yield name.decode(), about
        yield from info_by_name(items(subcommands))


def docs_by_name(docs: Reply) -> Iterator[tuple[str, list[Any]]]:
    """The documentation of all commands and subcommands."""
    for name, about in pairs(docs).items():
        found: list[Any] = []
        for field, value in fields(about):
            if field == b"subcommands":
                yield from docs_by_name(value)
            elif field == b"history":
                found.append((type(value), [version for version, _what in items(value)]))
            elif field == b"arguments":
                found.append((field, [argument(each) for each in value]))
            else:
                found.append((field, plain(value)))
        yield name.decode(), found


def argument(value: Reply) -> list[tuple[bytes, Any]]:
    return [
        (name, [argument(each) for each in item] if name == b"arguments" else plain(item))
        for name, item in fields(value)
    ]


def test_every_declaration_is_that_of_the_oracle(pair: Pair) -> None:
    ours, oracle = (dict(info_by_name(wire("COMMAND"))) for wire in pair)
    old = frozenset() if newest(pair.oracle) else NEWER
    common = ours.keys() & oracle.keys() - old
    assert {name: ours[name] for name in common} == {name: oracle[name] for name in common}


def test_all_documentation_is_that_of_the_oracle(pair: Pair) -> None:
    ours, oracle = (dict(docs_by_name(wire("COMMAND", "DOCS"))) for wire in pair)
    old = frozenset() if newest(pair.oracle) else NEWER
    common = ours.keys() & oracle.keys() - old
    assert {name: ours[name] for name in common} == {name: oracle[name] for name in common}


TO_COME = {b"cluster", b"scripting", b"sentinel"}
"""The families that are still to be written."""

TO_COME_COMMANDS = {
    *(
        "acl",
        "client|caching",
        "client|tracking",
        "debug",
    ),
}


def test_every_command_of_the_oracle_is_there(pair: Pair) -> None:
    ours, oracle = ({name.decode() for name in wire("COMMAND", "LIST")} for wire in pair)
    groups = {name: dict(found)[b"group"] for name, found in docs_by_name(pair.oracle("COMMAND", "DOCS"))}
    missing = {
        name
        for name in oracle - ours
        if groups[name] not in TO_COME and not {name, name.split("|")[0]} & TO_COME_COMMANDS
    }
    assert missing == set()


def test_info(c: Wire) -> None:
    get, nothing, config_get = c("COMMAND", "INFO", "GET", "nothing", "CONFIG|get")
    assert get[:3] == [b"get", 2, c.as_set([Status("readonly"), Status("fast")])]
    assert get[3:6] == [1, 1, 1]
    assert get[6] == c.as_set([Status("@read"), Status("@string"), Status("@fast")])
    assert get[7] == c.as_set([])
    spec = [
        (b"flags", c.as_set([Status("RO"), Status("access")])),
        (b"begin_search", c.as_map({b"type": b"index", b"spec": c.as_map({b"index": 1})})),
        (
            b"find_keys",
            c.as_map(
                {b"type": b"range", b"spec": c.as_map({b"lastkey": 0, b"keystep": 1, b"limit": 0})},
            ),
        ),
    ]
    assert get[8:] == [c.as_set([c.as_map(spec)]), c.as_set([])]
    assert nothing == c.null
    assert config_get[:2] == [b"config|get", -3]


@pytest.mark.parametrize("name", ["get|x", "config|x", "config|get|x", "", "|", "g\xe9t"])
def test_info_of_what_is_not_there(c: Wire, name: str) -> None:
    assert c("COMMAND", "INFO", name) == [c.null]
    assert c("COMMAND", "DOCS", name) == c.as_map({})


def test_all_forms_of_all(c: Wire) -> None:
    everything = c("COMMAND")
    assert len(everything) == c("COMMAND", "COUNT") > 10
    assert sorted(each[0] for each in c("COMMAND", "INFO")) == sorted(each[0] for each in everything)
    names = set(c("COMMAND", "LIST"))
    assert {each[0] for each in everything} | {b"config|get", b"command|list"} <= names
    assert set(pairs(c("COMMAND", "DOCS"))) == {each[0] for each in everything}


def test_docs(c: Wire) -> None:
    ((name, about),) = pairs(c("COMMAND", "DOCS", "Get")).items()
    assert name == b"get"
    assert list(pairs(about)) == [b"summary", b"since", b"group", b"complexity", b"arguments"]
    assert pairs(about)[b"group"] == b"string"
    ((name, about),) = pairs(c("COMMAND", "DOCS", "config|get")).items()
    assert name == b"config|get"
    assert pairs(about)[b"since"] == b"2.0.0"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("PATTERN", "config|g*"), [b"config|get"]),
        (("pattern", "GE[t]"), [b"get"]),
        (("PATTERN", "nothing*"), []),
        (("MODULE", "some"), []),
        (("ACLCAT", "nothing"), []),
        (("ACLCAT", "@string"), []),
    ],
)
def test_list(c: Wire, arguments: tuple[str, str], expected: list[bytes]) -> None:
    assert members(c("COMMAND", "LIST", "FILTERBY", *arguments)) == expected


def test_list_by_category(c: Wire) -> None:
    names = c("COMMAND", "LIST", "filterby", "aclcat", "STRING")
    assert {b"get", b"set"} <= set(names)
    assert b"del" not in names


@pytest.mark.parametrize(
    "arguments", ["x", "filterby", "filterby pattern", "filterby nothing x", "filterby pattern a b"]
)
def test_list_refuses(c: Wire, arguments: str) -> None:
    assert c("COMMAND", "LIST", *arguments.split()) == Error("ERR syntax error")


@pytest.mark.parametrize(
    ("request_", "keys"),
    [
        ("get a", "a"),
        ("mget a b c", "a b c"),
        ("mset a 1 b 2", "a b"),
        ("mset a 1 b", "a b"),
        ("object encoding a", "a"),
        pytest.param("zunionstore d 2 a b weights 1 2", "d a b", marks=pytest.mark.needs("zunionstore")),
        pytest.param("eval script 2 a b c", "a b", marks=pytest.mark.needs("eval")),
        pytest.param("eval script 0", "", marks=pytest.mark.needs("eval")),
        pytest.param("eval script 2 a", "", marks=pytest.mark.needs("eval")),
        pytest.param("eval script x a", "", marks=pytest.mark.needs("eval")),
        pytest.param("xread count 2 streams a b 0 0", "a b", marks=pytest.mark.needs("xread")),
        pytest.param("xread streams streams 0", "streams", marks=pytest.mark.needs("xread")),
        pytest.param("sort a by store get store", "a", marks=pytest.mark.needs("sort")),
        pytest.param("sort a store b store c", "a c", marks=pytest.mark.needs("sort")),
        pytest.param("sort_ro a by w", "a", marks=pytest.mark.needs("sort_ro")),
        pytest.param("georadius a 1 2 3 m store b", "a b", marks=pytest.mark.needs("georadius")),
        pytest.param(
            "georadius a 1 2 3 m store b storedist c", "a b c", marks=pytest.mark.needs("georadius")
        ),
        pytest.param("migrate h p a 0 1 auth keys", "a", marks=pytest.mark.needs("migrate")),
        pytest.param("migrate h p  0 1 keys a b", "a b", marks=pytest.mark.needs("migrate")),
        pytest.param("blpop a b 0", "a b", marks=pytest.mark.needs("blpop")),
        pytest.param("lmpop 2 a b left", "a b", marks=pytest.mark.needs("lmpop")),
        pytest.param("xgroup create a g 0", "a", marks=pytest.mark.needs("xgroup")),
    ],
)
def test_getkeys(c: Wire, request_: str, keys: str) -> None:
    assert c("COMMAND", "GETKEYS", *request_.split(" ")) == [word.encode() for word in keys.split()]


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        ("get a", {"a": "RO access"}),
        ("set a 1", {"a": "OW update"}),
        ("set a 1 GET", {"a": "RW access update"}),
        pytest.param("bitfield a get u8 0", {"a": "RO access"}, marks=pytest.mark.needs("bitfield")),
        pytest.param("bitfield a set u8 0 1", {"a": "RW access update"}, marks=pytest.mark.needs("bitfield")),
        pytest.param(
            "lmove a b left right",
            {"a": "RW access delete", "b": "RW insert"},
            marks=pytest.mark.needs("lmove"),
        ),
        ("exists a b", {"a": "RO", "b": "RO"}),
        pytest.param("sort a store b", {"a": "RO access", "b": "OW update"}, marks=pytest.mark.needs("sort")),
        pytest.param("pfcount a", {"a": "RW access"}, marks=pytest.mark.needs("pfcount")),
    ],
)
def test_getkeysandflags(c: Wire, request_: str, expected: dict[str, str]) -> None:
    assert c("COMMAND", "GETKEYSANDFLAGS", *request_.split()) == [
        [key.encode(), c.as_set([Status(flag) for flag in flags.split()])] for key, flags in expected.items()
    ]


@pytest.mark.parametrize(
    ("request_", "text"),
    [
        ("nothing a", "Invalid command specified"),
        ("config nothing a", "Invalid command specified"),
        ("config|get a", "Invalid command specified"),
        ("config get a", "The command has no key arguments"),
        pytest.param(
            "publish channel message", "The command has no key arguments", marks=pytest.mark.needs("publish")
        ),
        pytest.param(
            "spublish channel message",
            "The command has no key arguments",
            marks=pytest.mark.needs("spublish"),
        ),
        ("get a b", "Invalid number of arguments specified for command"),
        pytest.param(
            "zunionstore d 0 a",
            "Invalid arguments specified for command",
            marks=pytest.mark.needs("zunionstore"),
        ),
        pytest.param(
            "zunionstore d 5 a b",
            "Invalid arguments specified for command",
            marks=pytest.mark.needs("zunionstore"),
        ),
        pytest.param(
            "xread count 2 stream a 0",
            "Invalid arguments specified for command",
            marks=pytest.mark.needs("xread"),
        ),
    ],
)
@pytest.mark.parametrize("subcommand", ["GETKEYS", "GETKEYSANDFLAGS"])
def test_getkeys_refuses(c: Wire, subcommand: str, request_: str, text: str) -> None:
    assert c("COMMAND", subcommand, *request_.split()) == Error(f"ERR {text}")


@pytest.mark.since("7.2")
@pytest.mark.parametrize(
    ("request_", "text"),
    [
        ("get", "Invalid number of arguments specified for command"),
        ("ping", "The command has no key arguments"),
        ("config", "The command has no key arguments"),
    ],
)
def test_getkeys_of_a_single_word(c: Wire, request_: str, text: str) -> None:
    assert c("COMMAND", "GETKEYS", request_) == Error(f"ERR {text}")


def test_help(c: Wire) -> None:
    lines = c("COMMAND", "HELP")
    assert all(isinstance(line, Status) for line in lines)
    texts = [line.text for line in lines]
    assert texts[:2] == [
        "COMMAND <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "(no subcommand)",
    ]
    assert texts[-2:] == ["HELP", "    Prints this help."]
    assert {"COUNT"} <= set(texts)
    assert any(text.startswith("    ") for text in texts[2:-2])


def test_what_is_no_subcommand(c: Wire) -> None:
    assert c("COMMAND", "nothing") == Error("ERR unknown subcommand 'nothing'. Try COMMAND HELP.")
    assert c("COMMAND", "COUNT", "x") == arity_error("command|count")
    assert c("COMMAND", "GETKEYS") == arity_error("command|getkeys")
