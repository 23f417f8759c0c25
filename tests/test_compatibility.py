"""The compatibility page says what is true."""

from __future__ import annotations

import pytest

from respcache.registry import REGISTRY, Registry
from tests.compatibility import GROUPS, PAGE, REASONS, known_commands, page, reason
from tests.wire import Map, Pair

KNOWN = {command.name: command for command in known_commands()}


def test_the_page_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "write it anew: python -m tests.compatibility"


def test_all_that_is_declared_is_known() -> None:
    assert {command.name for command in REGISTRY} <= KNOWN.keys()


def test_groups_and_versions_are_those_of_redis() -> None:
    ours = {command.name: (command.group, command.since) for command in REGISTRY}
    assert ours == {name: (KNOWN[name].group, KNOWN[name].since) for name in ours}
    assert {command.group for command in KNOWN.values()} == GROUPS.keys()


@pytest.mark.protocol(3)
def test_the_list_is_that_of_the_oracle(pair: Pair) -> None:
    _check(pair.oracle("COMMAND", "DOCS"))


def _check(docs: Map) -> None:
    for name, entry in docs.pairs:
        fields = dict(entry.pairs)
        known = KNOWN[name.decode()]
        assert (known.group, known.since) == (fields[b"group"].decode(), fields[b"since"].decode())
        _check(fields.get(b"subcommands", Map(())))


def test_every_missing_command_has_its_reason() -> None:
    assert [name for name in KNOWN if REGISTRY.find(name) is None and not reason(KNOWN[name])] == []


def test_reasons_speak_of_commands_that_exist() -> None:
    assert [name for names in REASONS.values() for name in names.split() if name not in KNOWN] == []


def test_a_page_of_nothing() -> None:
    text = page(Registry())
    assert f"COMMAND COUNT is 0 of Redis's {sum('|' not in name for name in KNOWN)}" in text
    assert "| others | APPEND, " in text
    assert "CLIENT TRACKING" not in text  # the container is missing as a whole
