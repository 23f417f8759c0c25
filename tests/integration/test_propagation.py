"""What is propagated, beside the append-only file of the oracle after the same commands."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence

import pytest

from tests.propagation import Origin, Said, words
from tests.servers import HAVE_ORACLE, Server, start_redis
from tests.wire import Wire

pytestmark = pytest.mark.skipif(not HAVE_ORACLE, reason="needs a redis-server")

Turn = Sequence[str]

# A semicolon or the end of a line ends a command; `''` is an empty word. `(wait)` lets forty milliseconds pass. A
# command whose name begins with `&` comes from another client, which waits.
SEQUENCES: dict[str, str] = {
    "set": """
        SET a 1; SET a 2 EX 100; SET a 3 PX 100000 NX; SET a 3 PX 100000 XX GET; SET a 4 GET
        SET a 5 KEEPTTL GET; SET b 1 NX GET; SET b 1 EXAT 4000000000; SET b 2 XX; SETEX c 100 v
        PSETEX c 100000 v; SETNX c v; SETNX d v; GETSET c w; GETDEL c; GETDEL c; MSET a 1 b 2
        MSETNX a 1; MSETNX x 1 y 2
    """,
    "strings": """
        INCR n; INCRBY n 0; DECRBY n 3; APPEND s abc; APPEND s ''; SETRANGE s 1 xx; SETRANGE s 1 ''
        SETBIT b 7 1; SETBIT b 7 1; BITOP NOT b2 b; BITFIELD b GET u4 0; BITFIELD b SET u4 0 3
        INCRBYFLOAT f 1.5; INCRBYFLOAT f 0.1; INCR s; BITOP AND none no nope; PFADD p a b; PFADD p a
        PFCOUNT p; PFCOUNT p; PFMERGE q p
    """,
    "times": """
        SET a 1; EXPIRE a 100; PEXPIRE a 900000 GT; EXPIREAT a 4000000000
        PEXPIREAT a 4000000000000 xx; PERSIST a; PERSIST a; EXPIRE none 1; GETEX a EX 100; GETEX a
        GETEX a PERSIST; GETEX a PERSIST; GETEX a PXAT 1; SET a 1; EXPIRE a -1; SET a 1
        PEXPIREAT a 5
    """,
    "expiry": """
        SET a 1 PX 20; (wait); GET a; SET a 1 PX 20; (wait); INCR a; SET b 1 PX 20; (wait); SET b 2
        SET b 1 PX 20; (wait); DEL b; SET b 1 PX 20; SET c 1; (wait); RENAME c b; SET b 1 PX 20
        (wait); MULTI; SET x 1; GET b; SET x 2; EXEC
    """,
    "keys": """
        SET a 1; DEL no; DEL a no; SET a 1; UNLINK a b; SET a 1; RENAME a b; RENAME b b
        RENAMENX b c; COPY c d; COPY c d; COPY c d DB 3 REPLACE; MOVE c 4; MOVE c 4; SWAPDB 0 5
        FLUSHDB; FLUSHALL; FLUSHALL ASYNC; SELECT 9; SET a 1; SELECT 0; GET a; SET a 1; TOUCH a
        OBJECT ENCODING a; LSET a 0 x
    """,
    "lists": """
        RPUSH l 1 2 3 4 5 6; LPUSHX no 1; LPUSH l 0; LPOP l; RPOP l 2; LREM l 0 x; LREM l 1 2
        LTRIM l 0 -1; LTRIM l 1 -1; LSET l 0 z; LINSERT l BEFORE z y; LINSERT l AFTER no y
        LMOVE l m LEFT RIGHT; RPOPLPUSH l m; BLMOVE m l LEFT RIGHT 0; BRPOPLPUSH l m 0; BLPOP no m 0
        RPUSH l 1 2 3; BRPOP l 0; LMPOP 2 no l LEFT COUNT 2; BLMPOP 0 1 l RIGHT; RPUSH l 3 1 2
        SORT l STORE s; SORT l; SORT no STORE s; SORT no STORE s
    """,
    "sets": """
        SADD s 1 2; SADD s 1; SREM s 9; SREM s 1; SMOVE s t 2; SPOP t; SADD s a b; SPOP s 9; SPOP s
        SPOP s 3; SADD s a; SUNIONSTORE u s; SINTERSTORE u s no; SINTERSTORE u s no; SDIFFSTORE u s
        SPOP u 0
    """,
    "zsets": """
        ZADD z 1 a 2 b; ZADD z 1 a; ZADD z XX CH 5 a; ZINCRBY z 0 a; ZINCRBY z 2 a; ZPOPMIN z
        ZPOPMAX no; ZREM z no; ZADD z 1 a 2 b 3 c; ZMPOP 2 no z MIN COUNT 2; BZMPOP 0 1 z MAX
        ZADD z 1 a 2 b 3 c; BZPOPMIN z 0; BZPOPMAX z 0; ZRANGESTORE y z 0 -1; ZRANGESTORE y no 0 -1
        ZUNIONSTORE y 1 z; ZREMRANGEBYSCORE z 0 1; ZREMRANGEBYSCORE z -inf inf
        GEOADD g 13.361389 38.115556 Palermo; GEOADD g XX CH 15.087269 37.502669 Palermo 1 1 no
        GEOSEARCHSTORE h g FROMLONLAT 15 37 BYRADIUS 300 km; GEOADD g NX 1 1 Palermo
        GEORADIUS g 15 37 300 km STORE h
    """,
    "hashes": """
        HSET h f 1; HSET h f 1; HSETNX h f 2; HSETNX h g 2; HDEL h x; HINCRBY h f 2
        HINCRBYFLOAT h f 0.5; HINCRBYFLOAT h n -2e3; HMSET h a b; HDEL h f g n a; HGET h a
    """,
    "streams": """
        XADD x * f v; XADD x NOMKSTREAM * f v; XADD no NOMKSTREAM * f v; DEL x; XADD x 1-1 f v
        XADD x 1-* f v; XADD x MAXLEN 2 5 f v; XADD x 6-0 f v; XADD x MAXLEN ~ 1 7-1 f v
        XADD y MINID ~ 6 7-2 f v; XDEL x 6-0 9; XTRIM x MAXLEN ~ 1; XTRIM x MAXLEN 3
        XTRIM x MINID 7; XSETID x 9-9; XDEL x 1
    """,
    "groups": """
        XADD x 1-1 f v; XADD x 1-2 f v; XADD x 1-3 f v; XADD x 1-4 f v; XGROUP CREATE x g 0
        XGROUP CREATE y g $ MKSTREAM; XGROUP CREATECONSUMER x g c; XGROUP CREATECONSUMER x g c
        XREADGROUP GROUP g c COUNT 2 STREAMS x >; XREADGROUP GROUP g c STREAMS x 0
        XREADGROUP GROUP g d NOACK COUNT 1 STREAMS x >; XACK x g 1-1; XACK x g 1-1
        XCLAIM x g e 0 1-2; XCLAIM x g e 100000 1-2; XAUTOCLAIM x g f 0 -
        XREADGROUP GROUP g c STREAMS x x > >; XGROUP SETID x g $; XGROUP DELCONSUMER x g c
        XGROUP DESTROY x g; XGROUP DESTROY x g
    """,
    "transactions": """
        MULTI; SET a 1; INCRBYFLOAT a 1; GET a; EXEC; MULTI; GET a; EXEC; MULTI; SET a 1; EXEC
        MULTI; SET a 1; SELECT 2; SET b 1; EXEC; MULTI; LPUSH b x; SET c 1; EXEC; MULTI; SET c 1
        DISCARD; SELECT 0; MULTI; SADD s a; SPOP s; BLPOP no 0; EXPIRE a 100; EXEC
    """,
    "waiting": """
        &BLPOP l 0; RPUSH l 1 2; &BRPOP m 0; RPUSH m 1 2; DEL l m; &BLMOVE l m LEFT RIGHT 0
        LPUSH l 1; &BRPOPLPUSH l m 0; LPUSH l 1; &BLMPOP 0 1 l RIGHT COUNT 5; MULTI; LPUSH l 1 2
        SET k v; EXEC; &BZPOPMIN z 0; ZADD z 1 a 2 b; &BZPOPMAX y 0; ZADD y 1 a 2 b
        &BZMPOP 0 1 w MIN COUNT 9; ZADD w 1 a 2 b; XGROUP CREATE x g $ MKSTREAM
        XGROUP CREATECONSUMER x g c; &XREADGROUP GROUP g c BLOCK 0 STREAMS x >; XADD x 1-1 f v
    """,
}


def turns(name: str) -> list[Turn]:
    """The commands of a sequence."""
    lines = re.split("[;\n]", SEQUENCES[name])
    return [["" if word == "''" else word for word in line.split()] for line in lines if line.strip()]


_TIME = re.compile(r"\b1\d{12}\b(-\d+)?")


def units(commands: Said) -> list[list[str]]:
    """What belongs together, each command with its database in front. Times are all the same, and what 7.2 and newer
    add to an XCLAIM is left out, so that it makes no difference where the SELECT of a unit stands and so on."""
    found: list[list[str]] = []
    db, inside = "0", False
    for argv in commands:
        name = argv[0]
        if name == b"SELECT":
            db = argv[1].decode()
        elif name in (b"MULTI", b"EXEC"):
            inside = name == b"MULTI"
            if inside:
                found.append([])
        else:
            line = f"{db}> " + _TIME.sub("TIME", b" ".join(argv).decode("latin-1")).upper()
            if not inside:
                found.append([line])
            elif not (found[-1] and "XCLAIM" in found[-1][-1] and "XGROUP SETID" in line):
                found[-1].append(line)
    return found


@pytest.fixture(scope="module")
def oracle() -> Iterator[Server]:
    options = ("--aof-use-rdb-preamble", "no", "--enable-debug-command", "yes")
    with start_redis("--appendonly", "yes", "--appendfsync", "always", *options) as server:
        with Wire(server.port) as c:
            c("DEBUG", "SET-ACTIVE-EXPIRE", "0")
        yield server


def of_oracle(oracle: Server, commands: list[Turn]) -> Said:
    """What the oracle writes."""
    (file,) = (oracle.directory / "appendonlydir").glob("*.incr.aof")
    with Wire(oracle.port) as c:
        c("FLUSHALL")
        before = file.stat().st_size
        others: list[Wire] = []
        try:
            for name, *arguments in commands:
                if name == "(wait)":
                    time.sleep(0.04)
                elif name[0] == "&":
                    others.append(Wire(oracle.port))
                    others[-1].send(name[1:], *arguments)
                    while b"blocked_clients:1" not in c("INFO", "clients"):
                        time.sleep(0.001)
                else:
                    c(name, *arguments)
        finally:
            for other in others:
                other.close()
        return words(file.read_bytes()[before:])


def of_ours(commands: list[Turn]) -> Said:
    """What respcache propagates."""
    origin = Origin()
    try:
        for name, *arguments in commands:
            origin.now += 1
            if name == "(wait)":
                origin.now += 40
            elif name[0] == "&":
                origin.connect(name[1:], *arguments)
            else:
                origin(name, *arguments)
        return origin.taken()
    finally:
        origin.close()


@pytest.mark.parametrize("name", SEQUENCES)
def test_as_in_the_file_of_the_oracle(oracle: Server, name: str) -> None:
    assert units(of_ours(turns(name))) == units(of_oracle(oracle, turns(name)))
