"""Searching for places: GEOSEARCH, GEOSEARCHSTORE, GEORADIUS and its kin."""

from __future__ import annotations

import pytest

from tests.commands.test_lists import dirty
from tests.wire import NOT_A_FLOAT, NOT_AN_INTEGER, SYNTAX_ERROR, WRONGTYPE, Error, Reply, Wire, arity_error

BAD_UNIT = Error("ERR unsupported unit provided. please use M, KM, FT, MI")
NO_MEMBER = Error("ERR could not decode requested zset member")
NO_RADIUS = Error("ERR need numeric radius")
NEGATIVE_RADIUS = Error("ERR radius cannot be negative")
NEGATIVE_BOX = Error("ERR height or width cannot be negative")
COUNT_POSITIVE = Error("ERR COUNT must be > 0")
ANY_WHAT = Error("ERR the ANY argument requires COUNT argument")

CENTRE = ("FROMLONLAT", 15, 37)
NEAR = (*CENTRE, "BYRADIUS", 200, "km")


@pytest.fixture
def sicily(c: Wire) -> str:
    """Two cities and two edges."""
    c("GEOADD", "sicily", 13.361389, 38.115556, "Palermo", 15.087269, 37.502669, "Catania")
    c("GEOADD", "sicily", 12.758489, 38.788135, "edge1", 17.241510, 38.788135, "edge2")
    return "sicily"


def test_by_radius(c: Wire, sicily: str) -> None:
    assert c("GEOSEARCH", sicily, *NEAR, "ASC") == [b"Catania", b"Palermo"]
    assert c("GEOSEARCH", sicily, *NEAR, "desc") == [b"Palermo", b"Catania"]
    assert c("GEOSEARCH", sicily, *NEAR) == [b"Palermo", b"Catania"]  # as the cells have them
    assert c("GEOSEARCH", sicily, *CENTRE, "BYRADIUS", 1, "km") == []
    assert c("GEOSEARCH", sicily, *CENTRE, "BYRADIUS", "1e2", "MI", "ASC") == [b"Catania"]
    assert len(c("GEOSEARCH", sicily, *CENTRE, "BYRADIUS", "inf", "ft")) == 4


def test_by_box(c: Wire, sicily: str) -> None:
    found = c("GEOSEARCH", sicily, *CENTRE, "BYBOX", 400, 400, "km", "ASC")
    assert found == [b"Catania", b"Palermo", b"edge2", b"edge1"]
    assert c("GEOSEARCH", sicily, *CENTRE, "BYBOX", 400, 200, "km", "ASC") == [b"Catania"]
    assert c("GEOSEARCH", sicily, *CENTRE, "BYBOX", 200, 400, "km") == [b"Catania"]
    assert c("GEOSEARCH", sicily, *CENTRE, "BYBOX", 0, 0, "km") == []


def test_from_member(c: Wire, sicily: str) -> None:
    around = ("FROMMEMBER", "Palermo", "BYRADIUS", 200, "km")
    assert c("GEOSEARCH", sicily, *around, "ASC") == [b"Palermo", b"edge1", b"Catania"]
    assert c("GEOSEARCH", sicily, "FROMMEMBER", "Palermo", "BYRADIUS", 0, "m") == [b"Palermo"]
    assert c("GEOSEARCH", sicily, "BYBOX", 1, 1, "m", "FROMMEMBER", "Catania") == [b"Catania"]
    assert c("GEOSEARCH", sicily, "FROMMEMBER", "Palermo", "FROMMEMBER", "Catania", "BYBOX", 1, 1, "m") == [
        b"Catania"
    ]


def test_with(c: Wire, sicily: str) -> None:
    position = [c.as_double("15.08726745843887329"), c.as_double("37.50266842333162032")]
    catania = [b"Catania", b"56.4413", 3479447370796909, position]
    asked = ("GEOSEARCH", sicily, *NEAR, "COUNT", 1)
    assert c(*asked, "WITHCOORD", "WITHHASH", "WITHDIST") == [catania]
    assert c(*asked, "WITHDIST", "withdist") == [[b"Catania", b"56.4413"]]
    assert c(*asked, "WITHHASH") == [[b"Catania", 3479447370796909]]
    assert c(*asked, "WITHCOORD") == [[b"Catania", position]]
    in_feet = (*CENTRE, "BYRADIUS", 1000000, "ft", "COUNT", 1, "WITHDIST")
    assert c("GEOSEARCH", sicily, *in_feet) == [[b"Catania", b"185174.7305"]]


def test_count(c: Wire, sicily: str) -> None:
    wide = ("GEOSEARCH", sicily, *CENTRE, "BYRADIUS", 500, "km")
    assert c(*wide, "COUNT", 3) == [b"Catania", b"Palermo", b"edge2"]
    assert c(*wide, "COUNT", 2, "DESC") == [b"edge1", b"edge2"]
    assert c(*wide, "COUNT", 9) == [b"Catania", b"Palermo", b"edge2", b"edge1"]
    every = c(*wide)
    assert c(*wide, "COUNT", 2, "ANY") == every[:2]
    assert c(*wide, "ANY", "COUNT", 3) == every[:3]
    assert c(*wide, "COUNT", 9, "ANY") == every
    assert c(*wide, "COUNT", 1, "COUNT", 2, "ANY", "ASC") == [b"Palermo", b"edge1"]


def test_far_and_wide(c: Wire) -> None:
    """A grid of the whole map, so that searches cross its edges and come near the poles."""
    places = [(longitude, latitude) for longitude in range(-180, 181, 30) for latitude in range(-80, 81, 20)]
    for longitude, latitude in places:
        c("GEOADD", "k", longitude, latitude, f"{longitude},{latitude}")
    # The edge itself, 180 degrees east, lies beyond the last cell: nobody ever finds it.
    inside = sum(longitude < 180 for longitude, _ in places)
    assert len(c("GEOSEARCH", "k", "FROMLONLAT", 0, 0, "BYRADIUS", 30000, "km")) == inside
    assert c("GEOSEARCH", "k", "FROMLONLAT", 179, 0, "BYRADIUS", 500, "km") == [b"-180,0"]
    nearest = c("GEOSEARCH", "k", "FROMLONLAT", 0, 80, "BYRADIUS", 600, "km", "ASC", "WITHDIST")
    assert nearest == [[b"0,80", b"0.0001"], [b"30,80", b"573.0241"], [b"-30,80", b"573.0241"]]


def test_store(c: Wire, sicily: str) -> None:
    c("SET", "made", "x", "EX", 100)
    before = dirty(c)
    assert c("GEOSEARCHSTORE", "made", sicily, *NEAR, "COUNT", 3) == 2
    assert dirty(c) == before + 2
    assert c("TTL", "made") == -1
    assert c("ZRANGE", "made", 0, -1) == [b"Palermo", b"Catania"]
    assert c("ZSCORE", "made", "Palermo") == c.as_double("3479099956230698")
    assert c("OBJECT", "ENCODING", "made") == b"listpack"
    assert c("GEOSEARCHSTORE", "made", sicily, *NEAR, "STOREDIST") == 2
    assert c("ZRANGE", "made", 0, -1) == [b"Catania", b"Palermo"]
    # A double's last digits are another matter: 7.0 shows 17 of them.
    assert float(_text(c("ZSCORE", "made", "Catania"))) == pytest.approx(56.4412578701582)
    assert c("GEOSEARCHSTORE", sicily, sicily, *NEAR, "COUNT", 1, "DESC") == 1
    assert c("ZRANGE", sicily, 0, -1) == [b"Palermo"]


def _text(score: Reply) -> str:
    return score.decode() if isinstance(score, bytes) else str(score.text)


def test_store_of_nothing_deletes(c: Wire, sicily: str) -> None:
    for source, radius in ((sicily, 1), ("nothing", 100)):
        c("SET", "made", "x")
        assert c("GEOSEARCHSTORE", "made", source, *CENTRE, "BYRADIUS", radius, "m") == 0
        assert c("EXISTS", "made") == 0


def test_nothing(c: Wire) -> None:
    assert c("GEOSEARCH", "nothing", *NEAR) == []
    assert c("GEOSEARCH", "nothing", "FROMMEMBER", "a", "BYBOX", 1, 1, "m", "WITHDIST") == []
    assert c("GEORADIUS", "nothing", 1, 1, 1, "m") == []
    assert c("GEORADIUSBYMEMBER", "nothing", "a", "no", "matter") == []
    assert c("GEORADIUSBYMEMBER_RO", "nothing", "a", 1, "m", "WITHDIST") == []
    assert c("GEORADIUSBYMEMBER", "nothing", "a", 1, "m", "STORE", "made") == 0


def test_a_set_that_is_over(c: Wire, sicily: str) -> None:
    c("PEXPIREAT", sicily, 1)
    assert c("GEOSEARCH", sicily, *NEAR) == []


@pytest.mark.parametrize("name", ["GEORADIUS", "GEORADIUS_RO"])
def test_georadius(c: Wire, sicily: str, name: str) -> None:
    around = (name, sicily, 15, 37, 200, "km")
    assert c(*around, "ASC") == [b"Catania", b"Palermo"]
    assert c(*around, "WITHDIST", "DESC") == [[b"Palermo", b"190.4424"], [b"Catania", b"56.4413"]]
    assert c(*around, "COUNT", 1) == [b"Catania"]
    assert c(*around, "COUNT", 1, "ANY") == [b"Palermo"]


@pytest.mark.parametrize("name", ["GEORADIUSBYMEMBER", "GEORADIUSBYMEMBER_RO"])
def test_georadiusbymember(c: Wire, sicily: str, name: str) -> None:
    around = (name, sicily, "Palermo", 200, "km")
    assert c(*around, "ASC") == [b"Palermo", b"edge1", b"Catania"]
    assert c(*around, "COUNT", 1, "WITHHASH") == [[b"Palermo", 3479099956230698]]
    assert c(name, sicily, "nobody", 200, "km") == NO_MEMBER
    assert c(name, sicily, "nobody", "x", "km", "FOO") == NO_MEMBER


def test_georadius_store(c: Wire, sicily: str) -> None:
    around = ("GEORADIUS", sicily, 15, 37, 200, "km")
    assert c(*around, "STORE", "made") == 2
    assert c("ZSCORE", "made", "Palermo") == c.as_double("3479099956230698")
    assert c(*around, "STORE", "other", "STOREDIST", "made", "COUNT", 1) == 1
    assert c("EXISTS", "other") == 0
    assert float(_text(c("ZSCORE", "made", "Catania"))) == pytest.approx(56.4412578701582)
    assert c(*around, "STOREDIST", "other", "STORE", "made") == 2
    assert c("ZSCORE", "made", "Palermo") == c.as_double("3479099956230698")
    assert c("GEORADIUSBYMEMBER", sicily, "Palermo", 0, "km", "STORE", "made") == 1
    assert c("GEORADIUS", sicily, 0, 0, 1, "m", "STORE", "made") == 0
    assert c("EXISTS", "made") == 0


@pytest.mark.parametrize("option", ["WITHDIST", "WITHHASH", "WITHCOORD"])
def test_storing_replies_nothing_more(c: Wire, sicily: str, option: str) -> None:
    text = "is not compatible with WITHDIST, WITHHASH and WITHCOORD options"
    for store in ("STORE", "STOREDIST"):
        found = c("GEORADIUS", sicily, 15, 37, 200, "km", store, "made", option)
        assert found == Error(f"ERR STORE option in GEORADIUS {text}")
        assert c("GEORADIUSBYMEMBER", sicily, "Palermo", 200, "km", option, store, "made") == found
        assert c("GEORADIUS_RO", sicily, 15, 37, 200, "km", store, "made") == SYNTAX_ERROR
    assert c("GEOSEARCHSTORE", "made", sicily, *NEAR, option) == Error(f"ERR GEOSEARCHSTORE {text}")


@pytest.mark.parametrize("stores", [False, True])
def test_what_geosearch_must_know(c: Wire, sicily: str, stores: bool) -> None:
    name = "GEOSEARCHSTORE" if stores else "GEOSEARCH"
    start = (name, "made", sicily) if stores else (name, sicily)
    no_centre = Error(f"ERR exactly one of FROMMEMBER or FROMLONLAT can be specified for {name}")
    no_shape = Error(f"ERR exactly one of BYRADIUS and BYBOX can be specified for {name}")
    assert c(*start, "BYRADIUS", 1, "m", "ASC", "ASC") == no_centre
    assert c(*start, "ASC", "ASC", "ASC", "ASC", "ANY") == no_centre
    assert c(*start, *CENTRE, "ASC", "ANY") == no_shape
    assert c(*start, *NEAR, "ANY") == ANY_WHAT
    assert c(*start, *CENTRE, "FROMMEMBER", "Palermo", "BYRADIUS", 1, "m") == SYNTAX_ERROR
    assert c(*start, "FROMMEMBER", "Palermo", *NEAR) == SYNTAX_ERROR
    assert c(*start, *NEAR, "BYBOX", 1, 1, "m") == SYNTAX_ERROR
    assert c(*start, *CENTRE, "BYBOX", 1, 1, "m", "BYRADIUS", 1, "m") == SYNTAX_ERROR
    assert c(*start, *NEAR, "BYRADIUS", 0, "m") == ([] if not stores else 0)


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (("FOO",), SYNTAX_ERROR),
        (("COUNT",), SYNTAX_ERROR),
        (("FROMMEMBER",), SYNTAX_ERROR),
        (("FROMLONLAT", 1), SYNTAX_ERROR),
        (("BYRADIUS", 1), SYNTAX_ERROR),
        (("STORE", "made"), SYNTAX_ERROR),
        (("COUNT", 0), COUNT_POSITIVE),
        (("COUNT", -1), COUNT_POSITIVE),
        (("COUNT", "x"), NOT_AN_INTEGER),
        (("FROMLONLAT", "x", 1), NOT_A_FLOAT),
        (("FROMLONLAT", 181, 1), Error("ERR invalid longitude,latitude pair 181.000000,1.000000")),
        (("BYRADIUS", "x", "m"), NO_RADIUS),
        (("BYRADIUS", -1, "m"), NEGATIVE_RADIUS),
        (("BYRADIUS", -1, "parsec"), NEGATIVE_RADIUS),
        (("BYRADIUS", 1, "parsec"), BAD_UNIT),
        (("BYRADIUS", "nan", "m"), NO_RADIUS),
    ],
)
def test_errors_of_geosearch(c: Wire, sicily: str, words: tuple[str, ...], error: Error) -> None:
    assert c("GEOSEARCH", sicily, *NEAR, *words) == error


@pytest.mark.parametrize(
    ("sizes", "error"),
    [
        (("x", 1, "m"), Error("ERR need numeric width")),
        ((1, "x", "m"), Error("ERR need numeric height")),
        ((-1, 1, "m"), NEGATIVE_BOX),
        ((1, -1, "parsec"), NEGATIVE_BOX),
        ((1, 1, "parsec"), BAD_UNIT),
        ((1, 1), SYNTAX_ERROR),
    ],
)
def test_errors_of_boxes(c: Wire, sicily: str, sizes: tuple[str, ...], error: Error) -> None:
    assert c("GEOSEARCH", sicily, *CENTRE, "BYBOX", *sizes) == error


def test_errors_of_members(c: Wire, sicily: str) -> None:
    around = ("FROMMEMBER", "nobody", "BYRADIUS", 1, "m")
    assert c("GEOSEARCH", sicily, *around) == NO_MEMBER
    assert c("GEOSEARCH", sicily, *around, "FOO") == NO_MEMBER
    assert c("GEOSEARCH", "nothing", *around, "FOO") == SYNTAX_ERROR


def test_errors_of_georadius(c: Wire, sicily: str) -> None:
    around = ("GEORADIUS", sicily, 15, 37)
    assert c(*around, "x", "km") == NO_RADIUS
    assert c(*around, -1, "km") == NEGATIVE_RADIUS
    assert c(*around, 1, "parsec") == BAD_UNIT
    assert c(*around, 1, "km", "FROMMEMBER", "a") == SYNTAX_ERROR
    assert c(*around, 1, "km", "STORE") == SYNTAX_ERROR
    assert c(*around, 1, "km", "ANY") == ANY_WHAT
    assert c("GEORADIUS", sicily, "x", 37, "x", "km") == NOT_A_FLOAT
    assert c("GEORADIUS", "nothing", 15, 37, 1, "parsec") == BAD_UNIT
    assert c("GEORADIUSBYMEMBER", sicily, "Palermo", 1, "parsec") == BAD_UNIT
    assert c("GEORADIUSBYMEMBER", "nothing", "a", 1, "m", "FOO") == SYNTAX_ERROR


def test_wrong_types_come_first(c: Wire, wrong: str) -> None:
    assert c("GEOSEARCH", wrong, "a", "b", "c", "d", "e") == WRONGTYPE
    assert c("GEOSEARCHSTORE", "made", wrong, "a", "b", "c", "d", "e") == WRONGTYPE
    assert c("GEORADIUS", wrong, "x", "x", "x", "x") == WRONGTYPE
    assert c("GEORADIUSBYMEMBER_RO", wrong, "x", "x", "x") == WRONGTYPE


def test_arity(c: Wire) -> None:
    for name, words in (
        *(("geosearch", 5), ("geosearchstore", 6), ("georadius", 4), ("georadius_ro", 4)),
        *(("georadiusbymember", 3), ("georadiusbymember_ro", 3)),
    ):
        assert c(name, *["x"] * words) == arity_error(name)


def test_many(c: Wire) -> None:
    """More than is looked at together."""
    for start in range(0, 3000, 500):
        c("GEOADD", "k", *(word for at in range(start, start + 500) for word in (at / 1000, 0.5, at)))
    near = ("GEOSEARCH", "k", "FROMLONLAT", 0, 0.5, "BYRADIUS", 400, "km")
    assert c(*near, "ASC") == [b"%d" % at for at in range(3000)]
    assert len(c(*near, "COUNT", 1500, "ANY")) == 1500
    assert c("GEOSEARCHSTORE", "made", "k", *near[2:]) == 3000
    assert c("OBJECT", "ENCODING", "made") == b"skiplist"
