"""The names and classes of keyspace events."""

from __future__ import annotations

from respcache.store import events


def test_each_name_stands_for_one_event() -> None:
    declared = [value for value in vars(events).values() if isinstance(value, events.Event) and value.name]
    assert {event.name: event for event in declared} == events.ALL
    assert len(declared) == len(events.ALL)


def test_constants_are_called_as_the_events_are() -> None:
    for name, event in vars(events).items():
        if isinstance(event, events.Event) and event.name:
            assert event.name.decode().replace("-", "_").upper() == name


def test_classes_are_those_of_the_directive() -> None:
    assert {event.kind for event in events.ALL.values()} == set("g$lshztxenm")
