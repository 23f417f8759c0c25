"""The events of the data types, as `test_notify` checks those of keys and strings."""

from __future__ import annotations

import pytest

from tests.commands.conftest import Connect
from tests.commands.test_notify import Events, check, events  # noqa: F401 - a fixture

LISTS = """
LPUSH a 1 2 3 => new a, lpush a
RPUSH a 1 || LPUSH a 1 => lpush a
RPUSH a 1 2 => new a, rpush a
LPUSHX a 1 =>
RPUSH a 1 || LPUSHX a 1 2 => lpush a
RPUSH a 1 || RPUSHX a 1 2 => rpush a
LPOP a =>
RPUSH a 1 2 || LPOP a => lpop a
RPUSH a 1 || LPOP a => lpop a, del a
RPUSH a 1 2 || RPOP a => rpop a
RPUSH a 1 2 || RPOP a 2 => rpop a, del a
RPUSH a 1 2 || LPOP a 0 =>
RPUSH a 1 2 3 || LPOP a 2 => lpop a
RPUSH a 1 2 || LSET a 0 x => lset a
RPUSH a 1 2 || LINSERT a BEFORE 1 x => linsert a
RPUSH a 1 2 || LINSERT a BEFORE 3 x =>
RPUSH a 1 2 || LREM a 0 1 => lrem a
RPUSH a 1 1 || LREM a 0 1 => lrem a, del a
RPUSH a 1 1 || LREM a 0 2 =>
RPUSH a 1 2 || LTRIM a 0 0 => ltrim a
RPUSH a 1 2 || LTRIM a 5 6 => ltrim a, del a
RPUSH a 1 2 || LTRIM a 0 -1 => ltrim a
LTRIM a 0 1 =>
LRANGE a 0 1 => keymiss a
LLEN a => keymiss a
LINDEX a 0 => keymiss a
LPOS a x => keymiss a
RPUSH a 1 2 || LMOVE a b LEFT RIGHT => new b, rpush b, lpop a
RPUSH a 1 || LMOVE a b RIGHT LEFT => new b, lpush b, rpop a, del a
RPUSH a 1 2 || LMOVE a a LEFT RIGHT => rpush a, lpop a
RPUSH a 1 || LMOVE a a LEFT RIGHT => rpush a, lpop a
LMOVE a b LEFT RIGHT =>
RPUSH a 1 2 || RPOPLPUSH a b => new b, lpush b, rpop a
RPUSH a 1 || BRPOPLPUSH a b 0 => new b, lpush b, rpop a, del a
RPUSH a 1 2 || BLMOVE a b LEFT LEFT 0 => new b, lpush b, lpop a
RPUSH a 1 2 || BLPOP x a 0 => lpop a
RPUSH a 1 || BRPOP x a 0 => rpop a, del a
RPUSH a 1 2 3 || LMPOP 2 x a LEFT COUNT 2 => lpop a
RPUSH a 1 2 3 || LMPOP 2 x a RIGHT COUNT 5 => rpop a, del a
RPUSH a 1 || BLMPOP 0 1 a LEFT => lpop a, del a
LMPOP 2 x a LEFT =>
"""

HASHES = """
HSET a f v g w => new a, hset a
HSET a f v || HSET a f v => hset a
HSETNX a f v => new a, hset a
HSET a f v || HSETNX a f v =>
HMSET a f v => new a, hset a
HINCRBY a f 1 => new a, hincrby a
HSET a f 1 || HINCRBY a f 1 => hincrby a
HINCRBYFLOAT a f 1 => new a, hincrbyfloat a
HSET a f v g w || HDEL a f x => hdel a
HSET a f v g w || HDEL a f g => hdel a, del a
HSET a f v || HDEL a x =>
HDEL a x =>
HGET a f => keymiss a
HMGET a f => keymiss a
HGETALL a => keymiss a
HEXISTS a f => keymiss a
HLEN a => keymiss a
HRANDFIELD a => keymiss a
HSCAN a 0 => keymiss a
HSTRLEN a f => keymiss a
HKEYS a => keymiss a
"""

HASH_DEADLINES = """
HSET a f v g w || HEXPIRE a 100 FIELDS 1 f => hexpire a
HSET a f v g w || HEXPIRE a 0 FIELDS 1 f => hdel a
HSET a f v || HPEXPIREAT a 1 FIELDS 1 f => hdel a, del a
HSET a f v; HEXPIRE a 100 FIELDS 1 f || HPERSIST a FIELDS 1 f => hpersist a
HSET a f v; HEXPIRE a 100 FIELDS 1 f || HPERSIST a FIELDS 1 x =>
HPTTL a FIELDS 1 f => keymiss a
HEXPIRE a 10 FIELDS 1 f =>
"""

SETS = """
SADD a 1 2 => new a, sadd a
SADD a 1 || SADD a 1 =>
SADD a 1 || SADD a x => sadd a
SADD a 1 2 || SREM a 1 5 => srem a
SADD a 1 2 || SREM a 1 2 => srem a, del a
SADD a 1 2 || SREM a 3 =>
SADD a 1 2 || SPOP a => spop a
SADD a 1 || SPOP a => spop a, del a
SADD a 1 2 3 || SPOP a 2 => spop a
SADD a 1 2 3 || SPOP a 3 => spop a, del a
SADD a 1 2 3 || SPOP a 0 =>
SPOP a =>
SPOP a 2 =>
SRANDMEMBER a => keymiss a
SISMEMBER a x => keymiss a
SMISMEMBER a x => keymiss a
SCARD a => keymiss a
SMEMBERS a => keymiss a
SADD a 1 2 || SMOVE a b 1 => srem a, new b, sadd b
SADD a 1 || SMOVE a b 1 => srem a, del a, new b, sadd b
SADD a 1; SADD b 1 || SMOVE a b 1 => srem a, del a
SADD a 1 || SMOVE a a 1 =>
SADD a 1 || SMOVE a b 7 =>
SADD a 1 2; SADD b 2 || SINTERSTORE d a b => new d, sinterstore d
SADD a 1 2; SADD b 3 || SINTERSTORE d a b =>
SADD a 1 2; SADD b 3; SET d x || SINTERSTORE d a b => del d
SADD a 1 2; SADD d 3 || SINTERSTORE d a x => keymiss x, del d
SADD a 1 2; SADD b 2; SET d 1 || SUNIONSTORE d a b => sunionstore d
SADD a 1 2; SADD b 2 || SDIFFSTORE d a b => new d, sdiffstore d
SADD d 2 || SDIFFSTORE d a b => keymiss a, keymiss b, del d
SDIFFSTORE d a b => keymiss a, keymiss b
SADD d 2 || SUNIONSTORE d a b => keymiss a, keymiss b, del d
SINTER a b => keymiss a, keymiss b
SUNION a b => keymiss a, keymiss b
SDIFF a b => keymiss a, keymiss b
SINTERCARD 2 a b => keymiss a, keymiss b
"""

SORTED_SETS = """
ZADD a 1 x 2 y => new a, zadd a
ZADD a 1 x || ZADD a 1 x =>
ZADD a 1 x || ZADD a 2 x => zadd a
ZADD a 1 x || ZADD a XX 2 y =>
ZADD a XX 2 y =>
ZADD a INCR 2 y => new a, zincr a
ZADD a 1 x || ZADD a INCR 0 x =>
ZADD a 1 x || ZADD a INCR 1 x => zincr a
ZINCRBY a 1 x => new a, zincr a
ZADD a 1 x || ZINCRBY a 1 x => zincr a
ZADD a 1 x || ZINCRBY a 0 x =>
ZADD a 1 x 2 y || ZREM a x q => zrem a
ZADD a 1 x 2 y || ZREM a x y => zrem a, del a
ZADD a 1 x 2 y || ZREM a q =>
ZADD a 1 x 2 y || ZPOPMIN a => zpopmin a
ZADD a 1 x || ZPOPMIN a => zpopmin a, del a
ZADD a 1 x 2 y || ZPOPMAX a 2 => zpopmax a, del a
ZADD a 1 x 2 y || ZPOPMAX a 0 =>
ZADD a 1 x 2 y || BZPOPMIN q a 0 => zpopmin a
ZADD a 1 x || BZPOPMAX q a 0 => zpopmax a, del a
ZADD a 1 x 2 y || ZMPOP 2 q a MIN => zpopmin a
ZADD a 1 x 2 y || ZMPOP 1 a MAX COUNT 3 => zpopmax a, del a
ZADD a 1 x 2 y || BZMPOP 0 1 a MAX COUNT 3 => zpopmax a, del a
ZPOPMIN a =>
ZMPOP 2 q a MIN =>
ZADD a 1 x 2 y || ZREMRANGEBYRANK a 0 0 => zremrangebyrank a
ZADD a 1 x 2 y || ZREMRANGEBYRANK a 0 5 => zremrangebyrank a, del a
ZADD a 1 x 2 y || ZREMRANGEBYRANK a 5 9 =>
ZADD a 1 x 2 y || ZREMRANGEBYSCORE a 0 1 => zremrangebyscore a
ZADD a 1 x 2 y || ZREMRANGEBYSCORE a 0 5 => zremrangebyscore a, del a
ZADD a 1 x 1 y || ZREMRANGEBYLEX a [x [x => zremrangebylex a
ZREMRANGEBYLEX a [x [x =>
ZADD a 1 x 2 y || ZRANGESTORE d a 0 -1 => new d, zrangestore d
ZADD a 1 x 2 y || ZRANGESTORE d a 5 9 =>
ZADD a 1 x 2 y; SET d 1 || ZRANGESTORE d a 5 9 => del d
ZADD a 1 x 2 y; SET d 1 || ZRANGESTORE d a 0 0 => zrangestore d
ZADD a 1 x; ZADD b 2 x || ZUNIONSTORE d 2 a b => new d, zunionstore d
ZADD a 1 x; ZADD b 2 x; SET d 1 || ZINTERSTORE d 2 a b => zinterstore d
ZADD a 1 x; ZADD b 2 y; SET d 1 || ZINTERSTORE d 2 a b => del d
ZADD a 1 x; ZADD b 2 y || ZINTERSTORE d 2 a b =>
ZADD a 1 x; ZADD b 2 y || ZDIFFSTORE d 2 a b => new d, zdiffstore d
ZDIFFSTORE d 2 a b => keymiss a, keymiss b
ZCARD a => keymiss a
ZSCORE a x => keymiss a
ZRANGE a 0 1 => keymiss a
ZRANK a x => keymiss a
ZMSCORE a x => keymiss a
ZCOUNT a 0 1 => keymiss a
ZRANDMEMBER a => keymiss a
ZINTER 2 a b => keymiss a, keymiss b
ZINTERCARD 2 a b => keymiss a, keymiss b
ZUNION 2 a b => keymiss a, keymiss b
ZDIFF 2 a b => keymiss a, keymiss b
ZSCAN a 0 => keymiss a
"""

STREAMS = """
XADD a 1-1 f v => new a, xadd a
XADD a 1-1 f v || XADD a 2-1 f v => xadd a
XADD a 1-1 f v || XADD a MAXLEN 1 2-1 f v => xadd a, xtrim a
XADD a 1-1 f v || XADD a MAXLEN 5 2-1 f v => xadd a
XADD a NOMKSTREAM 1-1 f v =>
XADD a 1-1 f v; XADD a 2-1 f v || XTRIM a MAXLEN 1 => xtrim a
XADD a 1-1 f v; XADD a 2-1 f v || XTRIM a MAXLEN 9 =>
XADD a 1-1 f v || XDEL a 1-1 => xdel a
XADD a 1-1 f v || XDEL a 1-2 =>
XADD a 1-1 f v || XSETID a 2-2 => xsetid a
XGROUP CREATE a g 0 MKSTREAM => new a, xgroup-create a
XADD a 1-1 f v || XGROUP CREATE a g 0 => xgroup-create a
XGROUP CREATE a g 0 MKSTREAM || XGROUP SETID a g 5 => xgroup-setid a
XGROUP CREATE a g 0 MKSTREAM || XGROUP CREATECONSUMER a g c => xgroup-createconsumer a
XGROUP CREATE a g 0 MKSTREAM; XGROUP CREATECONSUMER a g c || XGROUP CREATECONSUMER a g c =>
XGROUP CREATE a g 0 MKSTREAM; XGROUP CREATECONSUMER a g c || XGROUP DELCONSUMER a g c => xgroup-delconsumer a
XGROUP CREATE a g 0 MKSTREAM || XGROUP DELCONSUMER a g c =>
XGROUP CREATE a g 0 MKSTREAM || XGROUP DESTROY a g => xgroup-destroy a
XGROUP CREATE a g 0 MKSTREAM || XGROUP DESTROY a h =>
XGROUP CREATE a g 0 MKSTREAM; XADD a 1-1 f v || \
XREADGROUP GROUP g c STREAMS a >; XREADGROUP GROUP g c STREAMS a >; XACK a g 1-1 => xgroup-createconsumer a
XGROUP CREATE a g 0 MKSTREAM; XADD a 1-1 f v; XREADGROUP GROUP g c STREAMS a > || \
XCLAIM a g d 0 1-1; XAUTOCLAIM a g e 0 0 => xgroup-createconsumer a, xgroup-createconsumer a
XREAD STREAMS a 0 => keymiss a, keymiss a
XLEN a => keymiss a
XRANGE a - + => keymiss a
XPENDING a g => keymiss a
XINFO STREAM a => keymiss a
"""

BITMAPS = """
SETBIT a 1 1 => new a, setbit a
SETBIT a 1 1 || SETBIT a 1 1 =>
GETBIT a 1 => keymiss a
BITCOUNT a => keymiss a
BITPOS a 1 => keymiss a
BITFIELD a SET u8 0 1 => new a, setbit a
BITFIELD a GET u8 0 => keymiss a
SET a x || BITFIELD a INCRBY u8 0 1 SET u8 0 1 => setbit a
SET a x || BITFIELD a OVERFLOW FAIL INCRBY u8 0 255 =>
BITFIELD_RO a GET u8 0 => keymiss a
SET a x || BITOP NOT d a => new d, set d
BITOP AND d a b => keymiss a, keymiss b
SET d x || BITOP AND d a b => keymiss a, keymiss b, del d
"""

HYPERLOGLOGS = """
PFADD a x => new a, pfadd a
PFADD a x || PFADD a x =>
PFADD a x || PFADD a =>
PFADD a => new a, pfadd a
PFADD a x || PFADD a y => pfadd a
PFADD a x || PFCOUNT a =>
PFCOUNT a => keymiss a
PFADD a x || PFMERGE d a => keymiss d, new d, pfadd d
PFMERGE d a => keymiss d, keymiss a, new d, pfadd d
PFADD a x || PFMERGE a => pfadd a
"""

GEO = """
GEOADD a 1 1 x => new a, zadd a
GEOADD a 1 1 x || GEOADD a 2 2 x => zadd a
GEOADD a 1 1 x || GEOADD a 1 1 x =>
GEOADD a 1 1 x || GEOSEARCHSTORE d a FROMMEMBER x BYRADIUS 9 km => new d, geosearchstore d
GEOADD a 1 1 x; SET d 1 || GEOSEARCHSTORE d a FROMLONLAT 50 50 BYRADIUS 9 km => del d
GEOADD a 1 1 x || GEOSEARCHSTORE d a FROMLONLAT 50 50 BYRADIUS 9 km =>
GEOADD a 1 1 x || GEORADIUS a 1 1 9 km STORE d => new d, georadiusstore d
GEOADD a 1 1 x; SET d 1 || GEORADIUS a 1 1 9 km STORE d => georadiusstore d
GEOADD a 1 1 x; SET d 1 || GEORADIUS a 50 50 9 km STOREDIST d => del d
GEOPOS a x => keymiss a
GEODIST a x y => keymiss a
GEOHASH a x => keymiss a
GEOSEARCH a FROMLONLAT 50 50 BYRADIUS 9 km => keymiss a
GEOSEARCHSTORE d a FROMLONLAT 50 50 BYRADIUS 9 km => keymiss a
SET d 1 || GEOSEARCHSTORE d a FROMLONLAT 50 50 BYRADIUS 9 km => keymiss a, del d
"""

SORT = """
RPUSH a 1 || SORT a STORE d => new d, sortstore d
SORT a STORE d => keymiss a
SET d 1 || SORT a STORE d => keymiss a, del d
SORT a => keymiss a
SORT_RO a => keymiss a
SORT a BY w_* GET x_* => keymiss a
RPUSH a 1 2 || SORT a BY w_* GET x_* => keymiss w_1, keymiss w_2, keymiss x_1, keymiss x_2
"""


@pytest.mark.needs("rpush", "blmpop")
def test_lists(events: Events) -> None:  # noqa: F811 - the fixture
    check(events, LISTS)


@pytest.mark.needs("hset", "hscan")
def test_hashes(events: Events) -> None:  # noqa: F811 - the fixture
    check(events, HASHES)


@pytest.mark.since("7.4")
@pytest.mark.needs("hexpire", "hpersist")
def test_hash_deadlines(events: Events) -> None:  # noqa: F811 - the fixture
    check(events, HASH_DEADLINES)


@pytest.mark.needs("sadd", "sintercard")
def test_sets(events: Events) -> None:  # noqa: F811 - the fixture
    check(events, SETS)


@pytest.mark.needs("zadd", "bzmpop", "zrangestore")
def test_sorted_sets(events: Events) -> None:  # noqa: F811 - the fixture
    check(events, SORTED_SETS)


@pytest.mark.needs("xadd", "xreadgroup", "xautoclaim", "xinfo")
def test_streams(events: Events) -> None:  # noqa: F811 - the fixture
    check(events, STREAMS)


@pytest.mark.needs("setbit", "bitfield", "bitop")
def test_bitmaps(events: Events) -> None:  # noqa: F811 - the fixture
    check(events, BITMAPS)


@pytest.mark.needs("pfadd", "pfmerge")
def test_hyperloglogs(events: Events) -> None:  # noqa: F811 - the fixture
    check(events, HYPERLOGLOGS)


@pytest.mark.needs("geoadd", "geosearchstore", "georadius")
def test_geo(events: Events) -> None:  # noqa: F811 - the fixture
    check(events, GEO)


@pytest.mark.needs("sort", "rpush", "sort_ro")
def test_sort(events: Events) -> None:  # noqa: F811 - the fixture
    check(events, SORT)


@pytest.mark.since("7.2")
@pytest.mark.needs("xreadgroup")
def test_consumer_of_nothing(events: Events) -> None:  # noqa: F811 - the fixture
    check(
        events, "XGROUP CREATE a g 0 MKSTREAM || XREADGROUP GROUP g c STREAMS a > => xgroup-createconsumer a"
    )


@pytest.mark.needs("blpop", "rpush", "blmove")
def test_clients_that_wait(events: Events, connect: Connect) -> None:  # noqa: F811 - the fixture
    waiting, behind = connect(), connect()
    waiting.send("BLMOVE", "a", "b", "LEFT", "RIGHT", 0)
    behind.send("BLPOP", "b", 0)
    assert waiting.quiet() and behind.quiet()
    assert events("RPUSH a x") == "new a, rpush a, new b, rpush b, lpop a, del a, lpop b, del b"
    assert (waiting.read(), behind.read()) == (b"x", [b"b", b"x"])
