"""Searching for places in a circle or a box: GEOSEARCH, and GEORADIUS, its four older forms."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from operator import itemgetter

from respcache.commands.arguments import double, integer
from respcache.commands.geo import distance_reply, parse_position, parse_unit, position_reply
from respcache.commands.zsets import zset as as_zset
from respcache.keyspec import after, georadius_keys, key
from respcache.protocol.errors import SYNTAX, ReplyError
from respcache.protocol.reply import EMPTY_ARRAY, ZERO, array, bulk, bulks
from respcache.protocol.reply import integer as integer_reply
from respcache.registry import DENYOOM, READONLY, WRITE, command
from respcache.state import Client
from respcache.store.events import GEORADIUSSTORE, GEOSEARCHSTORE, Event
from respcache.store.geohash import Box, Circle, Position, Shape, decode
from respcache.store.zset import ZSet

_BLOCK = 512
"""Members looked at together; a search that has enough stops behind one."""

_NO_MEMBER = ReplyError(b"ERR could not decode requested zset member")
_NO_RADIUS = ReplyError(b"ERR need numeric radius")
_NO_WIDTH = ReplyError(b"ERR need numeric width")
_NO_HEIGHT = ReplyError(b"ERR need numeric height")
_NEGATIVE_RADIUS = ReplyError(b"ERR radius cannot be negative")
_NEGATIVE_BOX = ReplyError(b"ERR height or width cannot be negative")
_COUNT_POSITIVE = ReplyError(b"ERR COUNT must be > 0")
_ANY_WHAT = ReplyError(b"ERR the ANY argument requires COUNT argument")
_STORE_AND_WITH = b"ERR %b is not compatible with WITHDIST, WITHHASH and WITHCOORD options"
_NO_CENTRE = b"ERR exactly one of FROMMEMBER or FROMLONLAT can be specified for %b"
_NO_SHAPE = b"ERR exactly one of BYRADIUS and BYBOX can be specified for %b"

Found = tuple[float, float, bytes, Position]
"""The distance in metres, the score, the member and its position."""


@dataclass(slots=True)
class _Query:
    """What to look for and what to do with it."""

    name: bytes
    """As errors call the command."""
    centre: Position | None = None
    from_member: bool = False
    from_position: bool = False
    unit: float = 1.0
    sizes: tuple[float, ...] = ()  # the radius, or width and height; in that unit
    order: bytes = b""
    count: int = 0
    any: bool = False
    with_distance: bool = False
    with_hash: bool = False
    with_position: bool = False
    store: bytes | None = None
    store_distances: bool = False

    def shape(self) -> Shape:
        """The shape in metres; centre and sizes must be known."""
        assert self.centre is not None
        sizes = [size * self.unit for size in self.sizes]
        return Circle(self.centre, *sizes) if len(sizes) == 1 else Box(self.centre, *sizes)


def _set_radius(query: _Query, radius: bytes, unit: bytes) -> None:
    size = double(radius, _NO_RADIUS)
    if size < 0:
        raise _NEGATIVE_RADIUS
    query.sizes, query.unit = (size,), parse_unit(unit)


def _set_box(query: _Query, width: bytes, height: bytes, unit: bytes) -> None:
    sizes = double(width, _NO_WIDTH), double(height, _NO_HEIGHT)
    if min(sizes) < 0:
        raise _NEGATIVE_BOX
    query.sizes, query.unit = sizes, parse_unit(unit)


def _set_member(query: _Query, zset: ZSet, member: bytes) -> None:
    score = zset.score(member)
    if score is None:
        raise _NO_MEMBER
    query.centre = decode(score)


def _parse(query: _Query, words: Sequence[bytes], zset: ZSet | None, stores: bool, searches: bool) -> None:
    """The options. `stores`: there is STORE; `searches`: there is what tells centre and shape of GEOSEARCH.

    A member is looked up as soon as it is read, so that errors come in Redis's order.
    """
    at = 0

    def take(count: int) -> Sequence[bytes]:
        nonlocal at
        taken = words[at : at + count]
        if len(taken) < count:
            raise SYNTAX
        at += count
        return taken

    while at < len(words):
        option = words[at].upper()
        at += 1
        if option == b"WITHDIST":
            query.with_distance = True
        elif option == b"WITHHASH":
            query.with_hash = True
        elif option == b"WITHCOORD":
            query.with_position = True
        elif option == b"ANY":
            query.any = True
        elif option in (b"ASC", b"DESC"):
            query.order = option
        elif option == b"COUNT":
            (count,) = take(1)
            query.count = integer(count)
            if query.count <= 0:
                raise _COUNT_POSITIVE
        elif option in (b"STORE", b"STOREDIST") and stores and not searches:
            (query.store,) = take(1)
            query.store_distances = option == b"STOREDIST"
        elif option == b"STOREDIST" and stores:
            query.store_distances = True
        elif not searches:
            raise SYNTAX
        elif option == b"FROMMEMBER" and not query.from_position:
            (member,) = take(1)
            if zset is not None:
                _set_member(query, zset, member)
            query.from_member = True
        elif option == b"FROMLONLAT" and not query.from_member:
            query.centre = parse_position(*take(2))
            query.from_position = True
        elif option == b"BYRADIUS" and len(query.sizes) < 2:
            _set_radius(query, *take(2))
        elif option == b"BYBOX" and len(query.sizes) != 1:
            _set_box(query, *take(3))
        else:
            raise SYNTAX


def _check(query: _Query, searches: bool) -> None:
    """Raises the error of options that do not go together, or are missing."""
    if query.store is not None and (query.with_distance or query.with_hash or query.with_position):
        raise ReplyError(_STORE_AND_WITH % (query.name if searches else b"STORE option in GEORADIUS"))
    if searches and not (query.from_member or query.from_position):
        raise ReplyError(_NO_CENTRE % query.name)
    if searches and not query.sizes:
        raise ReplyError(_NO_SHAPE % query.name)
    if query.any and not query.count:
        raise _ANY_WHAT


def _matches(zset: ZSet, shape: Shape) -> Iterator[Found]:
    """The members in a shape, in the order in which the cells are looked into."""
    for low, high in shape.ranges():
        behind = zset.below(float(high))
        for start in range(zset.below(float(low)), behind, _BLOCK):
            for member, score in zip(*zset.slice(start, min(start + _BLOCK, behind)), strict=True):
                position = decode(score)
                distance = shape.holds(position)
                if distance is not None:
                    yield distance, score, member, position


def _find(zset: ZSet, query: _Query) -> list[Found]:
    """The members asked for, in the order asked for."""
    found: list[Found] = []
    enough = query.count if query.any else 0
    for match in _matches(zset, query.shape()):
        found.append(match)
        if len(found) == enough:
            break
    # COUNT alone means the nearest; with ANY it means whichever come first.
    order = query.order or (b"ASC" if query.count and not query.any else b"")
    if order:
        found.sort(key=itemgetter(0), reverse=order == b"DESC")
    return found[: query.count] if query.count else found


def _reply(c: Client, query: _Query, found: Sequence[Found]) -> bytes:
    if not (query.with_distance or query.with_hash or query.with_position):
        return bulks(member for _, _, member, _ in found)
    items = []
    for distance, score, member, position in found:
        parts = [bulk(member)]
        if query.with_distance:
            parts.append(distance_reply(distance, query.unit))
        if query.with_hash:
            parts.append(integer_reply(int(score)))
        if query.with_position:
            parts.append(position_reply(c, position))
        items.append(array(parts))
    return array(items)


def _store(c: Client, query: _Query, target: bytes, found: Sequence[Found], event: Event) -> bytes:
    if not found:
        c.db.delete(target)
        return ZERO
    if query.store_distances:
        scores = {member: distance / query.unit for distance, _, member, _ in found}
    else:
        scores = {member: score for _, score, member, _ in found}
    config = c.server.config
    made = ZSet.of(scores, config.zset_max_listpack_entries, config.zset_max_listpack_value)
    c.db.set(target, made, event)
    c.db.dirty += len(found) - 1
    return integer_reply(len(found))


def _run(c: Client, query: _Query, zset: ZSet | None, event: Event) -> bytes:
    found = [] if zset is None else _find(zset, query)
    if query.store is not None:
        return _store(c, query, query.store, found, event)
    return _reply(c, query, found) if found else EMPTY_ARRAY


def _search(c: Client, key: bytes, query: _Query, words: Sequence[bytes]) -> bytes:
    zset = as_zset(c.db.get(key))
    _parse(query, words, zset, query.store is not None, searches=True)
    _check(query, searches=True)
    return _run(c, query, zset, GEOSEARCHSTORE)


def _around_position(c: Client, key: bytes, words: Sequence[bytes], stores: bool) -> bytes:
    """GEORADIUS; the words are longitude, latitude, radius, unit and the options."""
    zset = as_zset(c.db.get(key))
    query = _Query(b"GEORADIUS")
    query.centre = parse_position(words[0], words[1])
    _set_radius(query, words[2], words[3])
    _parse(query, words[4:], zset, stores, searches=False)
    _check(query, searches=False)
    return _run(c, query, zset, GEORADIUSSTORE)


def _around_member(c: Client, key: bytes, words: Sequence[bytes], stores: bool) -> bytes:
    """GEORADIUSBYMEMBER; the words are the member, radius, unit and the options."""
    zset = as_zset(c.db.get(key))
    query = _Query(b"GEORADIUSBYMEMBER")
    if zset is not None:  # else even the radius may be nonsense
        _set_member(query, zset, words[0])
        _set_radius(query, words[1], words[2])
    _parse(query, words[3:], zset, stores, searches=False)
    _check(query, searches=False)
    return _run(c, query, zset, GEORADIUSSTORE)


# What the syntaxes share: the shape of GEOSEARCH, and the options of all.

_BY = (
    "by=<circle=(BYRADIUS radius:double unit=<M | KM | FT | MI>) | box=(BYBOX width:double height:double "
    "unit=<M | KM | FT | MI>)>"
)
_FROM = "from=<FROMMEMBER member | FROMLONLAT longitude_latitude=(longitude:double latitude:double)> " + _BY
_RADIUS = "radius:double unit=<M | KM | FT | MI> [WITHCOORD] [WITHDIST] [WITHHASH]"
_ORDER = "[order=<ASC | DESC>]"
_COUNT = "[count=(COUNT count:integer [ANY])]"
_COUNT_SINCE = "[count=(COUNT count:integer [ANY{6.2.0}])]"
_STORE = "[STORE key:key@1] [STOREDIST key:key@2]"
_UPPER_CASE = ("7.0.0", "Units may be in upper case.")


@command(
    READONLY,
    group="geo",
    keys=key("RO ACCESS"),
    syntax=f"key:key {_FROM} {_ORDER} {_COUNT} [WITHCOORD] [WITHDIST] [WITHHASH]",
    history=(_UPPER_CASE,),
)
def geosearch(
    c: Client, key: bytes, one: bytes, two: bytes, three: bytes, four: bytes, five: bytes, *rest: bytes
) -> bytes:
    """The members in a circle or a box around a member or a position.

    O(N+log(M)) with N members in the cells around the shape and M in all. Since 6.2.0.
    """
    return _search(c, key, _Query(b"GEOSEARCH"), (one, two, three, four, five, *rest))


@command(
    WRITE | DENYOOM,
    group="geo",
    keys=(key("OW UPDATE"), key("RO ACCESS", at=2)),
    syntax=f"destination:key source:key@1 {_FROM} {_ORDER} {_COUNT} [STOREDIST]",
    history=(_UPPER_CASE,),
)
def geosearchstore(
    c: Client,
    target: bytes,
    key: bytes,
    one: bytes,
    two: bytes,
    three: bytes,
    four: bytes,
    five: bytes,
    *rest: bytes,
) -> bytes:
    """Stores the members in a circle or a box as a sorted set, and replies how many there are.

    O(N+log(M)) with N members in the cells around the shape and M in all. Since 6.2.0.
    """
    return _search(c, key, _Query(b"GEOSEARCHSTORE", store=target), (one, two, three, four, five, *rest))


@command(
    WRITE | DENYOOM,
    group="geo",
    keys=(key("RO ACCESS"), after("OW UPDATE", b"STORE", 6), after("OW UPDATE", b"STOREDIST", 6)),
    getkeys=georadius_keys,
    syntax=f"key:key longitude:double latitude:double {_RADIUS} {_COUNT_SINCE} {_ORDER} {_STORE}",
    history=(("6.2.0", "Option `ANY` of `COUNT`."), _UPPER_CASE),
    deprecated=("6.2.0", "`GEOSEARCH` and `GEOSEARCHSTORE` with `BYRADIUS`"),
)
def georadius(
    c: Client, key: bytes, longitude: bytes, latitude: bytes, radius: bytes, unit: bytes, *options: bytes
) -> bytes:
    """The members in a circle around a position; they may be stored.

    O(N+log(M)) with N members in the cells around the circle and M in all. Since 3.2.0.
    """
    return _around_position(c, key, (longitude, latitude, radius, unit, *options), stores=True)


@command(
    READONLY,
    group="geo",
    name="georadius_ro",
    keys=key("RO ACCESS"),
    syntax=f"key:key longitude:double latitude:double {_RADIUS} {_COUNT_SINCE} {_ORDER}",
    history=(("6.2.0", "Option `ANY` of `COUNT`."),),
    deprecated=("6.2.0", "`GEOSEARCH` with `BYRADIUS`"),
)
def georadius_ro(
    c: Client, key: bytes, longitude: bytes, latitude: bytes, radius: bytes, unit: bytes, *options: bytes
) -> bytes:
    """The members in a circle around a position, as GEORADIUS, and can store nothing.

    O(N+log(M)) with N members in the cells around the circle and M in all. Since 3.2.10.
    """
    return _around_position(c, key, (longitude, latitude, radius, unit, *options), stores=False)


@command(
    WRITE | DENYOOM,
    group="geo",
    keys=(key("RO ACCESS"), after("OW UPDATE", b"STORE", 5), after("OW UPDATE", b"STOREDIST", 5)),
    getkeys=georadius_keys,
    syntax=f"key:key member {_RADIUS} {_COUNT} {_ORDER} {_STORE}",
    history=(_UPPER_CASE,),
    deprecated=("6.2.0", "`GEOSEARCH` and `GEOSEARCHSTORE` with `BYRADIUS` and `FROMMEMBER`"),
)
def georadiusbymember(
    c: Client, key: bytes, member: bytes, radius: bytes, unit: bytes, *options: bytes
) -> bytes:
    """The members in a circle around one of them; they may be stored.

    O(N+log(M)) with N members in the cells around the circle and M in all. Since 3.2.0.
    """
    return _around_member(c, key, (member, radius, unit, *options), stores=True)


@command(
    READONLY,
    group="geo",
    name="georadiusbymember_ro",
    keys=key("RO ACCESS"),
    syntax=f"key:key member {_RADIUS} {_COUNT} {_ORDER}",
    deprecated=("6.2.0", "`GEOSEARCH` with `BYRADIUS` and `FROMMEMBER`"),
)
def georadiusbymember_ro(
    c: Client, key: bytes, member: bytes, radius: bytes, unit: bytes, *options: bytes
) -> bytes:
    """The members in a circle around one of them, as GEORADIUSBYMEMBER, and can store nothing.

    O(N+log(M)) with N members in the cells around the circle and M in all. Since 3.2.10.
    """
    return _around_member(c, key, (member, radius, unit, *options), stores=False)
