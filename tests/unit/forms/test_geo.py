"""Places."""

from __future__ import annotations

from tests.propagation import Origin


def test_geoadd(origin: Origin) -> None:
    words = ("13.361389", "38.115556", "Palermo", "15.087269", "37.502669", "Catania")
    assert origin.told("GEOADD", "g", *words) == ["ZADD g 3479099956230698 Palermo 3479447370796909 Catania"]
    assert origin.told("GEOADD", "g", *words) == []
    moved = origin.told("GEOADD", "g", "xx", "CH", "13.361389", "38.115556", "Catania")
    assert moved == ["ZADD g xx CH 3479099956230698 Catania"]


def test_hexadecimal_places_stay(origin: Origin) -> None:
    assert origin.told("GEOADD", "g", "0x1p3", "1", "m") == ["GEOADD g 0x1p3 1 m"]
