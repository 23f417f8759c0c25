"""Places on the globe as 52-bit numbers, the scores of geo commands, and the search for those in a shape.

A geohash halves the range of longitudes and that of latitudes again and again; the bits that tell the halves,
longitude and latitude by turns (latitude in the even bits, from the lowest on), make one number. Near places mostly
have near numbers, and all places of a cell, which is a number cut after so many halvings, stand behind one another in
a sorted set. So a search looks into the cell of its centre and the eight around it, cells so big that the nine
hold the whole shape, and measures the distance of what it finds there.

Source: G. Niemeyer's geohash (bits, text); the range of latitudes and the radius of the earth are those of Redis,
found by comparing scores and distances. Latitudes end where the square map of the web does. Distances are in metres,
along a great circle, by the haversine formula; positions are (longitude, latitude) in degrees.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator

LONGITUDE_MAX = 180.0
LATITUDE_MAX = 85.05112878
STEPS = 26
"""Halvings of each range in a score."""

_EARTH_RADIUS = 6372797.560856
_RADIANS = math.pi / 180.0
_MERCATOR_MAX = 20037726.37
"""Metres from the middle of the square map to its edge."""

_BITS = (1 << 64) - 1
_SCORES = 1 << 2 * STEPS
_STEP = 1 / (1 << STEPS)
_HEIGHT = 2 * LATITUDE_MAX
_ALPHABET = b"0123456789bcdefghjkmnpqrstuvwxyz"

Position = tuple[float, float]


def _spread_table() -> list[int]:
    """For each number of 13 bits: bit n at 2n. One more for the upper edge of the map, which has a 27th bit."""
    table = [0]
    for bit in range(13):
        table += [value | 1 << 2 * bit for value in table]
    return [*table, 1 << 26]


def _gather_table() -> list[int]:
    """For each number of 14 bits: the even bits from bit 0 on, the odd ones from bit 32 on."""
    table = [0]
    for bit in range(14):
        table += [value | 1 << (bit // 2 + bit % 2 * 32) for value in table]
    return table


_SPREAD = _spread_table()
_GATHER = _gather_table()


def _interleave(latitude: int, longitude: int) -> int:
    even = _SPREAD[latitude & 0x1FFF] | _SPREAD[latitude >> 13] << 26
    odd = _SPREAD[longitude & 0x1FFF] | _SPREAD[longitude >> 13] << 26
    return even | odd << 1


def _hash(longitude: float, latitude: float, latitude_max: float, steps: int) -> int:
    scale = 1 << steps
    return _interleave(
        int((latitude + latitude_max) / (2 * latitude_max) * scale),
        int((longitude + LONGITUDE_MAX) / (2 * LONGITUDE_MAX) * scale),
    )


def is_place(longitude: float, latitude: float) -> bool:
    """Whether the map has this position."""
    return abs(longitude) <= LONGITUDE_MAX and abs(latitude) <= LATITUDE_MAX


def encode(longitude: float, latitude: float) -> int:
    """The score of a position on the map."""
    return _hash(longitude, latitude, LATITUDE_MAX, STEPS)


def decode(score: float) -> Position:
    """The middle of a score's cell, on the map for any score: a geo set is a sorted set, whoever wrote it."""
    if not 0 <= score < _SCORES:
        return _decode_any(score)
    bits = int(score)
    both = (
        _GATHER[bits & 0x3FFF]
        | _GATHER[bits >> 14 & 0x3FFF] << 7
        | _GATHER[bits >> 28 & 0x3FFF] << 14
        | _GATHER[bits >> 42] << 21
    )
    # As `_bounds` has it, whose rounding is part of what clients see, without the call.
    latitude, longitude = both & 0x3FFFFFF, both >> 32
    south = latitude * _STEP * _HEIGHT - LATITUDE_MAX
    north = (latitude + 1) * _STEP * _HEIGHT - LATITUDE_MAX
    west = longitude * _STEP * 360.0 - 180.0
    east = (longitude + 1) * _STEP * 360.0 - 180.0
    return (west + east) / 2, (south + north) / 2


def _decode_any(score: float) -> Position:
    """`decode` of what no place on the map has, its edges excepted."""
    bits = _as_unsigned(score)
    both = sum(_GATHER[bits >> 2 * at & 0x3FFF] << at for at in range(0, 32, 7))
    south, north, west, east = _bounds(both & 0xFFFFFFFF, both >> 32 & 0xFFFFFFFF, STEPS)
    longitude = (west + east) / 2
    latitude = (south + north) / 2
    return (
        min(max(longitude, -LONGITUDE_MAX), LONGITUDE_MAX),
        min(max(latitude, -LATITUDE_MAX), LATITUDE_MAX),
    )


def _as_unsigned(score: float) -> int:
    """A double as a 64-bit number without sign, out of range too: as C programs on x86-64 have it."""
    if score >= 1 << 64:
        return 0
    return int(score) & _BITS if score >= -(1 << 63) else 1 << 63


def _bounds(latitude: int, longitude: int, steps: int) -> tuple[float, float, float, float]:
    """South, north, west and east of a cell in degrees."""
    scale = 1 << steps
    height, width = 2 * LATITUDE_MAX, 2 * LONGITUDE_MAX
    return (
        -LATITUDE_MAX + latitude / scale * height,
        -LATITUDE_MAX + (latitude + 1) / scale * height,
        -LONGITUDE_MAX + longitude / scale * width,
        -LONGITUDE_MAX + (longitude + 1) / scale * width,
    )


def text(score: float) -> bytes:
    """The standard geohash of a score's position: eleven letters of five bits, of latitudes to the poles.

    There are bits for ten letters and two more; the last letter is always 0.
    """
    bits = _hash(*decode(score), 90.0, STEPS)
    return bytes(_ALPHABET[bits >> 47 - 5 * place & 31] for place in range(10)) + b"0"


def distance(one: Position, other: Position) -> float:
    """Metres between two positions."""
    east = math.sin((other[0] * _RADIANS - one[0] * _RADIANS) / 2)
    if east == 0:
        return _meridian_distance(one[1], other[1])
    latitude, other_latitude = one[1] * _RADIANS, other[1] * _RADIANS
    north = math.sin((other_latitude - latitude) / 2)
    chord = north * north + math.cos(latitude) * math.cos(other_latitude) * east * east
    # Rounding may take the chord of opposite points above 1.
    return 2.0 * _EARTH_RADIUS * math.asin(min(math.sqrt(chord), 1.0))


def _meridian_distance(latitude: float, other: float) -> float:
    return _EARTH_RADIUS * abs(other * _RADIANS - latitude * _RADIANS)


class Shape(ABC):
    """What a search looks for: an area around a centre, its sizes in metres."""

    __slots__ = ("centre", "half_height", "half_width", "reach")

    def __init__(self, centre: Position, half_width: float, half_height: float, reach: float) -> None:
        self.centre = centre
        self.half_width = half_width
        self.half_height = half_height
        self.reach = reach  # from the centre to the farthest point

    @abstractmethod
    def holds(self, position: Position) -> float | None:
        """The distance of a position from the centre; None if it is outside."""

    def box(self) -> tuple[float, float, float, float]:
        """South, north, west and east of a box around the shape, in degrees; it may leave the map."""
        longitude, latitude = self.centre
        up = self.half_height / _EARTH_RADIUS / _RADIANS
        # The parallel nearer to the pole has more degrees to the metre.
        parallel = latitude - up if latitude < 0 else latitude + up
        radians = parallel * _RADIANS
        narrowing = math.cos(radians) if math.isfinite(radians) else math.nan
        side = self.half_width / _EARTH_RADIUS / narrowing / _RADIANS
        return latitude - up, latitude + up, longitude - side, longitude + side

    def ranges(self) -> Iterator[tuple[int, int]]:
        """The scores of the cells to look into, each from the first to before the second, centre first.

        In the order in which Redis looks into them: without sorting that is the order of the reply.
        """
        steps = self._steps()
        cell = _Cell.at(self.centre, steps)
        south, north, west, east = self.box()
        if steps > 1 and not cell.surrounds(south, north, west, east):
            steps -= 1
            cell = _Cell.at(self.centre, steps)
        shift = 2 * (STEPS - steps)
        last: int | None = None
        for number, bits in enumerate(cell.with_neighbours(south, north, west, east)):
            # Around a small globe neighbours are the same cell; only those behind one another are left out.
            if bits is None or bits == last:
                continue
            if number:
                last = bits
            yield bits << shift & _BITS, (bits + 1) << shift & _BITS

    def _steps(self) -> int:
        """How many halvings make cells of which nine should hold the shape."""
        reach, steps = self.reach, 1
        if reach == 0:
            return STEPS
        while reach < _MERCATOR_MAX:
            reach *= 2
            steps += 1
        steps -= 2
        # The farther from the equator, the narrower the cells.
        latitude = abs(self.centre[1])
        steps -= (latitude > 66) + (latitude > 80)
        return min(max(steps, 1), STEPS)


class Circle(Shape):
    """All within a radius."""

    __slots__ = ("_cosine", "_latitude", "_longitude")

    def __init__(self, centre: Position, radius: float) -> None:
        super().__init__(centre, radius, radius, radius)
        self._longitude = centre[0] * _RADIANS
        self._latitude = centre[1] * _RADIANS
        self._cosine = math.cos(self._latitude)

    def holds(self, position: Position) -> float | None:
        """`distance`, with what does not change computed beforehand."""
        east = math.sin((position[0] * _RADIANS - self._longitude) / 2)
        latitude = position[1] * _RADIANS
        if east == 0:
            away = _EARTH_RADIUS * abs(latitude - self._latitude)
        else:
            north = math.sin((latitude - self._latitude) / 2)
            chord = north * north + self._cosine * math.cos(latitude) * east * east
            away = 2.0 * _EARTH_RADIUS * math.asin(min(math.sqrt(chord), 1.0))
        return away if away <= self.reach else None


class Box(Shape):
    """A rectangle along the meridian and the parallel of its centre."""

    __slots__ = ()

    def __init__(self, centre: Position, width: float, height: float) -> None:
        reach = math.sqrt(width / 2 * (width / 2) + height / 2 * (height / 2))
        super().__init__(centre, width / 2, height / 2, reach)

    def holds(self, position: Position) -> float | None:
        """The distance of a position whose ways north and east are both short enough."""
        if _meridian_distance(position[1], self.centre[1]) > self.half_height:
            return None
        if distance(position, (self.centre[0], position[1])) > self.half_width:
            return None
        return distance(self.centre, position)


class _Cell:
    """A cell after some halvings, and those around it; they wrap at the edges of the map."""

    __slots__ = ("bits", "latitude", "longitude", "mask", "steps")

    def __init__(self, latitude: int, longitude: int, steps: int) -> None:
        self.latitude = latitude
        self.longitude = longitude
        self.steps = steps
        self.mask = (1 << steps) - 1

    @classmethod
    def at(cls, position: Position, steps: int) -> _Cell:
        """The cell of a position."""
        scale = 1 << steps
        return cls(
            int((position[1] + LATITUDE_MAX) / (2 * LATITUDE_MAX) * scale),
            int((position[0] + LONGITUDE_MAX) / (2 * LONGITUDE_MAX) * scale),
            steps,
        )

    def _neighbour(self, up: int, aside: int) -> tuple[int, int]:
        # What does not move is not wrapped: the upper edge of the map is beyond the last cell.
        return (
            self.latitude + up & self.mask if up else self.latitude,
            self.longitude + aside & self.mask if aside else self.longitude,
        )

    def _bounds(self, up: int, aside: int) -> tuple[float, float, float, float]:
        return _bounds(*self._neighbour(up, aside), self.steps)

    def surrounds(self, south: float, north: float, west: float, east: float) -> bool:
        """Whether this cell and its neighbours reach as far as a box; a neighbour over the edge never does."""
        return not (
            self._bounds(1, 0)[1] < north
            or self._bounds(-1, 0)[0] > south
            or self._bounds(0, 1)[3] < east
            or self._bounds(0, -1)[2] > west
        )

    def with_neighbours(self, south: float, north: float, west: float, east: float) -> Iterator[int | None]:
        """The bits of the nine cells; None for one that has nothing of the box, as the cell itself shows."""
        bottom, top, left, right = self._bounds(0, 0)
        useless: set[tuple[int, int]] = set()
        if self.steps >= 2:
            if bottom < south:
                useless |= {(-1, 0), (-1, -1), (-1, 1)}
            if top > north:
                useless |= {(1, 0), (1, -1), (1, 1)}
            if left < west:
                useless |= {(0, -1), (1, -1), (-1, -1)}
            if right > east:
                useless |= {(0, 1), (1, 1), (-1, 1)}
        yield _interleave(self.latitude, self.longitude)
        for move in _AROUND:
            yield None if move in useless else _interleave(*self._neighbour(*move))


_AROUND = ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (1, -1), (-1, 1), (-1, -1))
"""Steps (north, east) to the neighbours: north, south, east, west, then the corners."""
