"""Places: GEOADD, GEOPOS, GEODIST, GEOHASH. Searching is in `test_geo_search`."""

from __future__ import annotations

import pytest

from tests.wire import NOT_A_FLOAT, SYNTAX_ERROR, WRONGTYPE, Error, Wire, arity_error

BAD_UNIT = Error("ERR unsupported unit provided. please use M, KM, FT, MI")


@pytest.fixture
def sicily(c: Wire) -> str:
    """Two cities on an island."""
    assert c("GEOADD", "sicily", 13.361389, 38.115556, "Palermo", 15.087269, 37.502669, "Catania") == 2
    return "sicily"


def test_scores(c: Wire, sicily: str) -> None:
    assert c("ZSCORE", sicily, "Palermo") == c.as_double("3479099956230698")
    assert c("ZSCORE", sicily, "Catania") == c.as_double("3479447370796909")
    assert c("TYPE", sicily).text == "zset"
    assert c("OBJECT", "ENCODING", sicily) == b"listpack"


@pytest.mark.parametrize(
    ("longitude", "latitude", "score"),
    [
        ("0", "0", "3377699720527872"),
        ("-180", "-85.05112878", "0"),
        ("180", "85.05112878", "13510798882111488"),
        ("180", "-85.05112878", "9007199254740992"),
        ("-180", "85.05112878", "4503599627370496"),
        ("0x10", "-1e-5", "2636593808406480"),
        ("-0", "+.5", "3377721195642960"),
    ],
)
def test_edges_of_the_map(c: Wire, longitude: str, latitude: str, score: str) -> None:
    assert c("GEOADD", "k", longitude, latitude, "m") == 1
    assert c("ZSCORE", "k", "m") == c.as_double(score)


def test_geoadd_counts_what_is_new(c: Wire, sicily: str) -> None:
    assert c("GEOADD", sicily, 1, 1, "Palermo", 2, 2, "a", 3, 3, "b") == 2
    assert c("GEOADD", sicily, 1, 1, "Palermo") == 0
    assert c("GEOADD", sicily, "CH", 1, 1, "Palermo", 5, 5, "a", 6, 6, "c") == 2
    assert c("GEOADD", sicily, 7, 7, "d", 8, 8, "d") == 1
    assert c("ZCARD", sicily) == 6


def test_geoadd_options(c: Wire, sicily: str) -> None:
    before = c("GEOPOS", sicily, "Palermo")
    assert c("GEOADD", sicily, "NX", 1, 1, "Palermo", 2, 2, "new") == 1
    assert c("GEOPOS", sicily, "Palermo") == before
    assert c("GEOADD", sicily, "xx", "ch", 1, 1, "Palermo", 2, 2, "never") == 1
    assert c("GEOPOS", sicily, "Palermo") != before
    assert c("ZSCORE", sicily, "never") == c.null
    assert c("GEOADD", "nothing", "XX", 1, 1, "a") == 0
    assert c("EXISTS", "nothing") == 0
    assert c("GEOADD", sicily, "NX", "NX", "CH", "nx", 1, 1, "z") == 1


def test_geoadd_keeps_the_time_to_live(c: Wire, sicily: str) -> None:
    c("EXPIRE", sicily, 100)
    c("GEOADD", sicily, 1, 1, "a")
    assert 0 < c("TTL", sicily) <= 100
    c("PEXPIREAT", sicily, 1)
    assert c("GEOADD", sicily, 1, 1, "a") == 1
    assert c("TTL", sicily) == -1


def test_geoadd_encodings(c: Wire) -> None:
    c("GEOADD", "long", 1, 1, "x" * 65)
    c("GEOADD", "many", *(word for at in range(129) for word in (1, 1, at)))
    assert c("OBJECT", "ENCODING", "long") == b"skiplist"
    assert c("OBJECT", "ENCODING", "many") == b"skiplist"
    assert c("ZCARD", "many") == 129


def test_geoadd_errors(c: Wire, wrong: str) -> None:
    assert c("GEOADD", "k", 1, 1) == arity_error("geoadd")
    assert c("GEOADD", wrong, 1, 1, "a") == WRONGTYPE
    assert c("GEOADD", "k", 1, 1, "a", 2) == SYNTAX_ERROR
    assert c("GEOADD", "k", 1, 1, "a", 2, 2) == SYNTAX_ERROR
    assert c("GEOADD", "k", "NX", "XX", 1, 1, "a") == SYNTAX_ERROR
    assert c("GEOADD", "k", "NX", "CH", "NX") == SYNTAX_ERROR
    assert c("GEOADD", "k", "x", 1, "a") == NOT_A_FLOAT
    assert c("GEOADD", "k", 1, "x", "a") == NOT_A_FLOAT
    assert c("GEOADD", "k", 1, 1, "a", "nan", 1, "b") == NOT_A_FLOAT
    assert c("GEOADD", "k", 1, 1, "NX", 2, 2, "FOO", "x", 1, "b") == NOT_A_FLOAT
    assert c("EXISTS", "k") == 0


@pytest.mark.parametrize(
    ("longitude", "latitude", "shown"),
    [
        ("200", "100", "200.000000,100.000000"),
        ("-180.1", "0", "-180.100000,0.000000"),
        ("0", "85.0511288", "0.000000,85.051129"),
        ("0", "-90", "0.000000,-90.000000"),
        ("inf", "1e300", f"inf,{1e300:f}"),
    ],
)
def test_geoadd_off_the_map(c: Wire, longitude: str, latitude: str, shown: str) -> None:
    error = Error(f"ERR invalid longitude,latitude pair {shown}")
    assert c("GEOADD", "k", 1, 1, "a", longitude, latitude, "b") == error
    assert c("EXISTS", "k") == 0


def _position(c: Wire, longitude: str, latitude: str) -> object:
    return [c.as_double(longitude), c.as_double(latitude)]


def test_geopos(c: Wire, sicily: str) -> None:
    null = c.null_array
    palermo = _position(c, "13.36138933897018433", "38.11555639549629859")
    assert c("GEOPOS", sicily, "Palermo", "nobody", "Palermo") == [palermo, null, palermo]
    assert c("GEOPOS", sicily) == []
    assert c("GEOPOS", "nothing", "a", "b") == [null, null]
    assert c("GEOPOS", "nothing") == []


@pytest.mark.parametrize(
    ("score", "longitude", "latitude", "text"),
    [
        ("1", "-179.99999731779098511", "-85.05112497791824921", "00bh0hbj210"),
        ("1.9", "-179.99999731779098511", "-85.05112497791824921", "00bh0hbj210"),
        ("4503599627370495", "179.99999731779098511", "85.05112751263942528", "zzpgzgpfxz0"),
        ("9007199254740993", "180", "-85.05112751263942528", "00bh0hbj200"),
        ("1e18", "180", "85.0511287799999991", "bp05b5048p0"),
        ("9223372036854775808", "180", "-85.05112751263942528", "00bh0hbj200"),
        ("1e19", "180", "85.0511287799999991", "bp05b5048p0"),
        ("1.84467440737096e19", "-179.99999731779098511", "-85.05112751263942528", "00bh0hbj200"),
        ("1e300", "-179.99999731779098511", "-85.05112751263942528", "00bh0hbj200"),
        ("inf", "-179.99999731779098511", "-85.05112751263942528", "00bh0hbj200"),
        ("-0.5", "-179.99999731779098511", "-85.05112751263942528", "00bh0hbj200"),
        ("-1", "180", "85.0511287799999991", "bp05b5048p0"),
        ("-1e19", "180", "-85.05112751263942528", "00bh0hbj200"),
        ("-inf", "180", "-85.05112751263942528", "00bh0hbj200"),
    ],
)
def test_any_score_has_a_position(c: Wire, score: str, longitude: str, latitude: str, text: str) -> None:
    c("ZADD", "k", score, "m")
    assert c("GEOPOS", "k", "m") == [_position(c, longitude, latitude)]
    assert c("GEOHASH", "k", "m") == [text.encode()]


def test_geohash(c: Wire, sicily: str) -> None:
    assert c("GEOHASH", sicily, "Palermo", "nobody", "Catania") == [b"sqc8b49rny0", c.null, b"sqdtr74hyu0"]
    assert c("GEOHASH", sicily) == []
    assert c("GEOHASH", "nothing", "a", "b") == [c.null, c.null]
    assert c("GEOHASH", "nothing") == []


def test_geodist(c: Wire, sicily: str) -> None:
    between = (sicily, "Palermo", "Catania")
    assert c("GEODIST", *between) == b"166274.1516"
    assert c("GEODIST", *between, "m") == b"166274.1516"
    assert c("GEODIST", *between, "KM") == b"166.2742"
    assert c("GEODIST", *between, "mi") == b"103.3182"
    assert c("GEODIST", *between, "Ft") == b"545518.8700"
    assert c("GEODIST", sicily, "Palermo", "Palermo") == b"0.0000"
    assert c("GEODIST", sicily, "Palermo", "nobody") == c.null
    assert c("GEODIST", sicily, "nobody", "Palermo") == c.null
    assert c("GEODIST", "nothing", "a", "b", "km") == c.null


def test_geodist_along_a_meridian_and_around_the_globe(c: Wire) -> None:
    c("GEOADD", "k", 0, 0, "a", 0, 45, "b", 180, 0, "c", 179.999999, -45, "d")
    assert c("GEODIST", "k", "a", "b", "km") == b"5005.1835"
    assert c("GEODIST", "k", "a", "c", "km") == b"20020.7336"
    assert c("GEODIST", "k", "b", "d", "km") == b"20020.7336"


def test_geodist_errors(c: Wire, sicily: str, wrong: str) -> None:
    between = (sicily, "Palermo", "Catania")
    assert c("GEODIST", sicily, "Palermo") == arity_error("geodist")
    assert c("GEODIST", *between, "parsec") == BAD_UNIT
    assert c("GEODIST", "nothing", "a", "b", "parsec") == BAD_UNIT
    assert c("GEODIST", *between, "m", "m") == SYNTAX_ERROR
    assert c("GEODIST", wrong, "a", "b") == WRONGTYPE


@pytest.mark.parametrize("name", ["GEOPOS", "GEOHASH"])
def test_errors(c: Wire, wrong: str, name: str) -> None:
    assert c(name) == arity_error(name.lower())
    assert c(name, wrong, "a") == WRONGTYPE
    assert c(name, wrong) == WRONGTYPE
