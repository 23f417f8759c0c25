"""What a declaration says of a command, and the declarations that are refused."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from respcache import registry as module
from respcache.keyspec import after, counted, key, sort_keys
from respcache.registry import (
    ADMIN,
    BLOCKING,
    FAST,
    MOVABLEKEYS,
    PUBSUB,
    READONLY,
    WRITE,
    Command,
    Flag,
    Registry,
    command,
    container,
)


@pytest.fixture(autouse=True)
def registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    """An empty registry in the place of the real one."""
    empty = Registry()
    monkeypatch.setattr(module, "REGISTRY", empty)
    yield empty


def handler(_c: Any, _key: bytes, *_rest: bytes) -> bytes:
    """Does something. O(1). Since 1.0.0."""
    return b""


def declared(registry: Registry, name: str = "some", flags: Flag = READONLY, **rest: Any) -> Command:
    command(flags, name=name, group=rest.pop("group", "string"), **rest)(handler)
    found = registry.find(name)
    assert found is not None
    return found


def test_what_is_derived(registry: Registry) -> None:
    @command(READONLY | FAST, group="string", keys=key("RO ACCESS"), syntax="key:key")
    def get_(_c: Any, _key: bytes) -> bytes:
        """The value of a
        key. O(1) or so. Since 1.0.0.

        More text.
        """
        return b""

    made = registry.find("GET")
    assert made is registry.resolve([b"Get", b"k"])
    assert made is not None
    assert (made.name, made.arity, made.key_range) == ("get", 2, (1, 1, 1))
    assert (made.summary, made.complexity, made.since) == ("The value of a key", "O(1) or so", "1.0.0")
    assert made.categories == {"read", "string", "fast"}
    assert made.accepts(2) and not made.accepts(1) and not made.accepts(3)
    assert not made.flags & MOVABLEKEYS


def test_a_docstring_may_say_nothing_of_the_cost(registry: Registry) -> None:
    @command(group="server")
    def monitor(_c: Any) -> bytes:
        """Shows what runs. As it runs. Since 1.0.0."""
        return b""

    made = registry.find("monitor")
    assert made is not None
    assert (made.summary, made.complexity) == ("Shows what runs. As it runs", "")


def test_an_open_arity(registry: Registry) -> None:
    made = declared(registry)
    assert made.arity == -2
    assert made.accepts(2) and made.accepts(9) and not made.accepts(1)


@pytest.mark.parametrize(
    ("flags", "group", "extra", "expected"),
    [
        (WRITE, "sorted-set", "", "write sortedset slow"),
        (READONLY, "generic", "dangerous", "read keyspace slow dangerous"),
        (ADMIN, "server", "", "admin dangerous slow"),
        (PUBSUB | FAST, "pubsub", "", "pubsub fast"),
        (WRITE | BLOCKING, "list", "", "write list blocking slow"),
        (READONLY, "scripting", "", "scripting slow"),
        (WRITE, "generic", "list -keyspace", "write list slow"),
    ],
)
def test_categories(registry: Registry, flags: Flag, group: str, extra: str, expected: str) -> None:
    assert declared(registry, flags=flags, group=group, categories=extra).categories == set(expected.split())


def test_subcommands(registry: Registry) -> None:
    config = container("config", group="server", doc="Settings. O(1). Since 2.0.0.")

    @command(ADMIN, group="server", container=config)
    def config_get(_c: Any, _pattern: bytes) -> bytes:
        """The values of settings. O(N). Since 2.0.0."""
        return b""

    get = registry.find("config|get")
    assert get is not None
    assert (get.name, get.arity, get.parent) == ("config|get", 3, config)
    assert registry.resolve([b"CONFIG", b"GET", b"*"]) is get
    assert registry.resolve([b"config"]) is config
    assert registry.resolve([b"config", b"nothing"]) is None
    assert registry.resolve([b"nothing"]) is None
    assert registry.find("config|nothing") is None
    assert registry.find("get|config") is None
    assert registry.find("config|get|more") is None
    assert list(registry) == [config, get]
    assert config.arity == -2 and not config.accepts(1)


def test_a_container_that_stands_alone(registry: Registry) -> None:
    def everything(_c: Any, *_rest: bytes) -> bytes:
        """Everything. O(N). Since 2.8.13."""
        return b"all"

    made = container("command", group="server", doc="Everything. O(N). Since 2.8.13.", bare=everything)
    assert made.arity == -1 and made.accepts(1)
    assert made.handler(None) == b"all"


def test_keys_come_from_the_specs_first_and_then_from_the_finder(registry: Registry) -> None:
    specs = (key("RO ACCESS"), after("OW UPDATE", b"STORE", 2))
    made = declared(registry, keys=specs, getkeys=sort_keys)
    assert made.flags & MOVABLEKEYS and made.has_keys
    assert [at for at, _spec in made.find_keys([b"sort", b"k", b"by", b"store", b"w"])] == [1, 4]
    assert [at for at, _spec in made.find_keys([b"sort", b"k", b"by", b"w"])] == [1]
    vague = declared(registry, "vague", keys=key("RW variable_flags"), getkeys=sort_keys)
    assert vague.find_keys([b"vague", b"k"])[0][1].names == ("RO", "access")
    lone = declared(registry, "lone", keys=counted("RO", 1))
    assert lone.find_keys([b"lone", b"2", b"a"]) == []


def test_channels_are_no_keys(registry: Registry) -> None:
    assert not declared(registry, keys=key("not_key")).has_keys
    assert not declared(registry, "other").has_keys


def test_a_name_is_declared_once(registry: Registry) -> None:
    declared(registry)
    with pytest.raises(ValueError, match="declared twice"):
        declared(registry)


def test_a_key_outside_of_the_arguments(registry: Registry) -> None:
    with pytest.raises(ValueError, match="not among its arguments"):

        @command(READONLY, group="string", keys=key("RO", at=2))
        def get(_c: Any, _key: bytes) -> bytes:
            """The value of a key. O(1). Since 1.0.0."""
            return b""


@pytest.mark.parametrize("doc", ["", "No version. O(1).", "No stop at the end O(1). since 1.0.0"])
def test_a_docstring_of_another_form(doc: str) -> None:
    with pytest.raises(ValueError, match="the docstring must read"):
        container("some", group="server", doc=doc)


def test_an_optional_argument_that_is_not_rest() -> None:
    with pytest.raises(ValueError, match=r"through \*rest"):

        @command(READONLY, group="string")
        def get(_c: Any, _key: bytes = b"") -> bytes:
            """The value of a key. O(1). Since 1.0.0."""
            return b""


def test_redacted(registry: Registry) -> None:
    secret = declared(registry, "secret", redact=lambda argv: range(1, len(argv)))
    argv = [b"SECRET", b"u", b"p"]
    assert secret.redacted(argv) == [b"SECRET", b"(redacted)", b"(redacted)"]
    assert argv == [b"SECRET", b"u", b"p"]
    assert declared(registry).redacted(argv) is argv
