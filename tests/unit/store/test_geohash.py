"""Geohashes: known places, their cells, and searches beside a plain look at all places."""

from __future__ import annotations

import itertools
import math
import random

import pytest

from respcache.store import geohash
from respcache.store.geohash import LATITUDE_MAX, Box, Circle, Shape

PALERMO = (13.361389, 38.115556)
CATANIA = (15.087269, 37.502669)


def test_known_places() -> None:
    assert geohash.encode(*PALERMO) == 3479099956230698
    assert geohash.encode(*CATANIA) == 3479447370796909
    assert geohash.text(3479099956230698) == b"sqc8b49rny0"
    assert geohash.encode(0, 0) == 0b11 << 50
    assert geohash.encode(-180, -LATITUDE_MAX) == 0
    assert geohash.encode(179.9999999, 85.0511287) == (1 << 52) - 1


def test_the_upper_edges_have_a_bit_more() -> None:
    assert geohash.encode(180, -LATITUDE_MAX) == 1 << 53
    assert geohash.encode(-180, LATITUDE_MAX) == 1 << 52
    assert geohash.decode(3 << 52) == (180.0, LATITUDE_MAX)


def _slowly(latitude: int, longitude: int) -> int:
    return sum((latitude >> bit & 1) << 2 * bit | (longitude >> bit & 1) << 2 * bit + 1 for bit in range(27))


def test_interleaving_bit_by_bit() -> None:
    draw = random.Random(1).randrange
    for _ in range(200):
        latitude, longitude = draw(1 << 26), draw(1 << 26)
        assert geohash._interleave(latitude, longitude) == _slowly(latitude, longitude)


def test_decoding_gives_the_middle_of_the_cell() -> None:
    draw = random.Random(2)
    width, height = 360 / (1 << 26), 2 * LATITUDE_MAX / (1 << 26)
    for _ in range(200):
        longitude, latitude = draw.uniform(-180, 180), draw.uniform(-LATITUDE_MAX, LATITUDE_MAX)
        score = geohash.encode(longitude, latitude)
        east, north = geohash.decode(score)
        assert abs(east - longitude) <= width / 2 + 1e-13
        assert abs(north - latitude) <= height / 2 + 1e-13
        assert geohash.encode(east, north) == score


@pytest.mark.parametrize("score", [math.inf, -math.inf, 1e300, -1e300, -1.0, 2.0**63, 2.0**64, 2.0**52, 0.5])
def test_any_score_is_on_the_map(score: float) -> None:
    assert geohash.is_place(*geohash.decode(score))
    assert len(geohash.text(score)) == 11


def test_what_is_on_the_map() -> None:
    assert geohash.is_place(180, LATITUDE_MAX)
    assert geohash.is_place(-180, -LATITUDE_MAX)
    assert not geohash.is_place(180.0000001, 0)
    assert not geohash.is_place(0, 85.06)
    assert not geohash.is_place(math.inf, 0)
    assert not geohash.is_place(math.nan, 0)


def test_distances() -> None:
    assert geohash.distance(PALERMO, PALERMO) == 0
    assert geohash.distance(PALERMO, CATANIA) == pytest.approx(166274, rel=1e-4)
    assert geohash.distance(PALERMO, CATANIA) == geohash.distance(CATANIA, PALERMO)
    quarter = math.pi / 2 * geohash._EARTH_RADIUS
    assert geohash.distance((0, 0), (90, 0)) == pytest.approx(quarter)
    assert geohash.distance((0, 0), (180, 0)) == pytest.approx(2 * quarter)
    assert geohash.distance((5, 0), (5, 45)) == pytest.approx(quarter / 2)


def test_opposite_points_are_half_a_globe_apart() -> None:
    """However the chord is rounded."""
    draw = random.Random(3)
    half = math.pi * geohash._EARTH_RADIUS
    for _ in range(500):
        longitude, latitude = draw.uniform(-180, 0), draw.uniform(-80, 80)
        assert geohash.distance((longitude, latitude), (longitude + 180, -latitude)) == pytest.approx(half)


def test_a_circle_measures_as_the_distance() -> None:
    draw = random.Random(4)
    circle = Circle(PALERMO, 1e9)
    for _ in range(100):
        place = draw.uniform(-180, 180), draw.uniform(-85, 85)
        assert circle.holds(place) == geohash.distance(PALERMO, place)
    assert circle.holds((PALERMO[0], 0.0)) == geohash.distance(PALERMO, (PALERMO[0], 0.0))
    assert Circle(PALERMO, 166_000).holds(CATANIA) is None


def test_a_box_is_as_wide_as_it_says() -> None:
    box = Box((0.0, 0.0), 100_000, 50_000)
    degree = geohash.distance((0, 0), (1, 0))
    for east, north, inside in ((49, 0, True), (51, 0, False), (0, 24, True), (0, 26, False), (49, 24, True)):
        place = (east * 1000 / degree, north * 1000 / degree)
        assert (box.holds(place) is not None) is inside


def _found(shape: Shape, scores: list[int]) -> list[int]:
    return [
        score
        for low, high in shape.ranges()
        for score in scores
        if low <= score < high and shape.holds(geohash.decode(score)) is not None
    ]


@pytest.mark.parametrize("seed", range(8))
def test_the_cells_hold_the_shape(seed: int) -> None:
    """Away from the edges of the map, where neighbours are on its other side, nothing is missed."""
    draw = random.Random(seed)
    middle = draw.uniform(-100, 100), draw.uniform(-60, 60)
    spread = 10 ** draw.uniform(-3, 1)
    places = [(middle[0] + draw.gauss(0, spread), middle[1] + draw.gauss(0, spread / 4)) for _ in range(300)]
    scores = [geohash.encode(*place) for place in places]
    for _ in range(20):
        size = 10 ** draw.uniform(0, 5.5)
        shape = (
            Circle(middle, size) if draw.random() < 0.5 else Box(middle, size, size * draw.uniform(0.2, 5))
        )
        expected = [score for score in scores if shape.holds(geohash.decode(score)) is not None]
        assert sorted(_found(shape, scores)) == sorted(expected)


def test_ranges_are_few_and_apart() -> None:
    for radius in (0, 1, 1000, 1e5, 1e7, 1e9, math.inf):
        ranges = sorted(Circle(PALERMO, radius).ranges())
        assert 1 <= len(ranges) <= 9
        assert all(low < high for low, high in ranges)
        assert all(high <= low for (_, high), (low, _) in itertools.pairwise(ranges))


def test_the_centre_comes_first() -> None:
    low, high = next(Circle(PALERMO, 5000).ranges())
    assert low <= geohash.encode(*PALERMO) < high
