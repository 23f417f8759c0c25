"""The notation of arguments: every form, what it refuses, and how HELP shows it."""

from __future__ import annotations

import pytest

from respcache.syntax import Argument, parse, usage

NX = Argument("nx", "pure-token", "NX")
XX = Argument("xx", "pure-token", "XX")

FORMS: list[tuple[str, tuple[Argument, ...]]] = [
    ("", ()),
    ("  ", ()),
    ("value", (Argument("value", "string"),)),
    ("seconds:integer", (Argument("seconds", "integer"),)),
    ("increment:double", (Argument("increment", "double"),)),
    ("at:unix-time", (Argument("at", "unix-time"),)),
    ("pattern:pattern", (Argument("pattern", "pattern"),)),
    ("key:key", (Argument("key", "key", key_spec=0),)),
    ("key:key@1", (Argument("key", "key", key_spec=1),)),
    ("by:pattern@2", (Argument("by", "pattern", key_spec=2),)),
    ("value@1", (Argument("value", "string", key_spec=1),)),
    ('"ip:port"', (Argument("ip:port", "string"),)),
    ("yes/no new_id", (Argument("yes/no", "string"), Argument("new_id", "string"))),
    ("NX", (NX,)),
    ("NX XX", (NX, XX)),
    ("auto_id='*'", (Argument("auto_id", "pure-token", "*"),)),
    ("empty=''", (Argument("empty", "pure-token", ""),)),
    ("change=CH", (Argument("change", "pure-token", "CH"),)),
    ("NX change=CH", (NX, Argument("change", "pure-token", "CH"))),
    ("EX seconds:integer", (Argument("seconds", "integer", "EX"),)),
    ("AUTH2 name", (Argument("name", "string", "AUTH2"),)),
    ("'lib-name' libname", (Argument("libname", "string", "lib-name"),)),
    ("[NX]", (Argument("nx", "pure-token", "NX", optional=True),)),
    ("[NX] value", (Argument("nx", "pure-token", "NX", optional=True), Argument("value", "string"))),
    ("key:key...", (Argument("key", "key", key_spec=0, multiple=True),)),
    ("[value...]", (Argument("value", "string", optional=True, multiple=True),)),
    (
        "[GET pattern:pattern]...",
        (Argument("pattern", "pattern", "GET", optional=True, multiple=True, multiple_token=True),),
    ),
    ("value{6.2.0}", (Argument("value", "string", since="6.2.0"),)),
    ("value{until 6.2.0}", (Argument("value", "string", deprecated="6.2.0"),)),
    ("value{2.0.0 until 6.2.0}", (Argument("value", "string", since="2.0.0", deprecated="6.2.0"),)),
    ("value...{6.2.0}", (Argument("value", "string", since="6.2.0", multiple=True),)),
    ("when=<NX|XX>", (Argument("when", "oneof", arguments=(NX, XX)),)),
    ("[a=<NX | XX>{6.2.0}]", (Argument("a", "oneof", since="6.2.0", optional=True, arguments=(NX, XX)),)),
    ("BY how=<NX|XX>", (Argument("how", "oneof", "BY", arguments=(NX, XX)),)),
    (
        "pair=(field value)...",
        (
            Argument(
                "pair",
                "block",
                multiple=True,
                arguments=(Argument("field", "string"), Argument("value", "string")),
            ),
        ),
    ),
    (
        "[LIMIT limit=(offset:integer count:integer)]",
        (
            Argument(
                "limit",
                "block",
                "LIMIT",
                optional=True,
                arguments=(Argument("offset", "integer"), Argument("count", "integer")),
            ),
        ),
    ),
]


@pytest.mark.parametrize(("text", "tree"), FORMS)
def test_each_form(text: str, tree: tuple[Argument, ...]) -> None:
    assert parse(text) == tree


@pytest.mark.parametrize(
    "text",
    [
        "[",
        "[]",
        "[a",
        "a]",
        "a b)",
        "a:number",
        "a:",
        "key:key@x",
        "a=",
        "a=b",
        "a=<>",
        "a=<b|>",
        "a=<b",
        "a=(b",
        "<a>",
        "(a)",
        "...",
        "a..",
        "a{6.2.0",
        "a{next}",
        "'open",
        'a "',
        "a ? b",
        "Ab",
    ],
)
def test_what_is_not_in_the_notation(text: str) -> None:
    with pytest.raises(ValueError, match="syntax"):
        parse(text)


def test_the_flags_of_an_argument() -> None:
    (argument,) = parse("[GET pattern]...")
    assert argument.flags == ("optional", "multiple", "multiple_token")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("key:key value", "<key> <value>"),
        ("[when=<NX | XX>]", "[NX|XX]"),
        ("when=<NX | XX>", "(NX|XX)"),
        ("[BY by=<NX | XX>]", "[BY (NX|XX)]"),
        ("[EX seconds:integer]", "[EX <seconds>]"),
        ("key:key...", "<key> [<key> ...]"),
        ("[key:key...]", "[<key> [<key> ...]]"),
        ("pair=(field value)...", "<field> <value> [<field> <value> ...]"),
        ("KEYS key:key...", "KEYS <key> [<key> ...]"),
        ("[GET pattern]...", "[GET <pattern> [GET <pattern> ...]]"),
        ("filter=<a | b>...", "(<a>|<b>) ..."),
        ("empty=''", '""'),
        ("", ""),
    ],
)
def test_usage(text: str, shown: str) -> None:
    assert usage(parse(text)) == shown
