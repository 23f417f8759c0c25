"""Geo: places on the globe, held as the scores of a sorted set (see `store.geohash`)."""

from __future__ import annotations

from collections.abc import Sequence

from respcache.commands.arguments import double
from respcache.commands.zsets import zadd
from respcache.commands.zsets import zset as as_zset
from respcache.keyspec import key
from respcache.protocol.errors import NOT_FLOAT, SYNTAX, ReplyError
from respcache.protocol.reply import array, bulk
from respcache.registry import DENYOOM, READONLY, WRITE, command
from respcache.state import Client
from respcache.store import geohash
from respcache.store.geohash import Position

_UNITS = {b"M": 1.0, b"KM": 1000.0, b"FT": 0.3048, b"MI": 1609.34}

UNKNOWN_UNIT = ReplyError(b"ERR unsupported unit provided. please use M, KM, FT, MI")


def parse_unit(word: bytes) -> float:
    """How many metres a unit has. Raises an error for one that nobody knows."""
    metres = _UNITS.get(word.upper())
    if metres is None:
        raise UNKNOWN_UNIT
    return metres


def parse_position(longitude: bytes, latitude: bytes) -> Position:
    """A position on the map. Raises an error for what is no number or off the map."""
    east, north = double(longitude, NOT_FLOAT), double(latitude, NOT_FLOAT)
    if not geohash.is_place(east, north):
        raise ReplyError(b"ERR invalid longitude,latitude pair %f,%f" % (east, north))
    return east, north


def distance_reply(metres: float, unit: float) -> bytes:
    """A distance in a unit, to the fourth decimal."""
    return bulk(b"%.4f" % (metres / unit))


def position_reply(c: Client, position: Position) -> bytes:
    """Longitude and latitude, as Redis prints what has no business in a double: all digits, no exponent."""
    return array([_coordinate(c, degrees) for degrees in position])


def _coordinate(c: Client, degrees: float) -> bytes:
    text = (b"%.17f" % degrees).rstrip(b"0").rstrip(b".")
    if text == b"-0":
        text = b"0"
    return b",%b\r\n" % text if c.resp.version == 3 else bulk(text)


def _scores(c: Client, key: bytes, members: Sequence[bytes]) -> list[float | None]:
    zset = as_zset(c.db.get(key))
    return [None] * len(members) if zset is None else [zset.score(member) for member in members]


@command(
    WRITE | DENYOOM,
    group="geo",
    keys=key("RW UPDATE"),
    syntax=(
        "key:key [condition=<NX | XX>{6.2.0}] [change=CH{6.2.0}] "
        "longitude_latitude_member=(longitude:double latitude:double member)..."
    ),
    history=(("6.2.0", "Options `CH`, `NX` and `XX`."),),
)
def geoadd(c: Client, key: bytes, longitude: bytes, latitude: bytes, member: bytes, *rest: bytes) -> bytes:
    """Adds places to a sorted set or moves them; replies how many are new. O(log(N)) for each. Since 3.2.0."""
    words = (longitude, latitude, member, *rest)
    at = 0
    while at < len(words) and words[at].upper() in (b"NX", b"XX", b"CH"):
        at += 1
    options = [option.upper() for option in words[:at]]
    if (len(words) - at) % 3 or at == len(words) or (b"NX" in options and b"XX" in options):
        raise SYNTAX
    pairs: list[bytes] = []
    for place in range(at, len(words), 3):
        position = parse_position(words[place], words[place + 1])
        pairs += (b"%d" % geohash.encode(*position), words[place + 2])
    return zadd(c, key, *options, *pairs)


@command(READONLY, group="geo", keys=key("RO ACCESS"), syntax="key:key member...")
def geopos(c: Client, key: bytes, *members: bytes) -> bytes:
    """Longitudes and latitudes of members. O(1) for each. Since 3.2.0."""
    null = c.resp.null_array
    return array(
        [
            null if score is None else position_reply(c, geohash.decode(score))
            for score in _scores(c, key, members)
        ]
    )


@command(READONLY, group="geo", keys=key("RO ACCESS"), syntax="key:key member...")
def geohash_(c: Client, key: bytes, *members: bytes) -> bytes:
    """Geohashes of members as text. O(1) for each. Since 3.2.0."""
    null = c.resp.null
    return array([null if score is None else bulk(geohash.text(score)) for score in _scores(c, key, members)])


@command(
    READONLY,
    group="geo",
    keys=key("RO ACCESS"),
    syntax="key:key member1 member2 [unit=<M | KM | FT | MI>]",
)
def geodist(c: Client, key: bytes, one: bytes, other: bytes, *unit: bytes) -> bytes:
    """The distance between two members, in metres if no unit is given. O(1). Since 3.2.0."""
    if len(unit) > 1:
        raise SYNTAX
    metres = parse_unit(unit[0]) if unit else 1.0
    start, end = _scores(c, key, (one, other))
    if start is None or end is None:
        return c.resp.null
    return distance_reply(geohash.distance(geohash.decode(start), geohash.decode(end)), metres)
