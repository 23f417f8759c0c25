"""HRANDFIELD: fields by chance."""

from __future__ import annotations

from respcache.commands.arguments import INT64_MAX, integer
from respcache.commands.hashes import living
from respcache.keyspec import key
from respcache.protocol.errors import OUT_OF_RANGE, SYNTAX, ReplyError
from respcache.protocol.reply import EMPTY_ARRAY, array, bulk
from respcache.registry import READONLY, command
from respcache.state import Client
from respcache.store.hash import Hash
from respcache.store.hashtable import MOST_REPEATS, random_key, repeated_keys, sample_keys

_COUNT = ReplyError(
    b"ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807"
)


@command(
    READONLY,
    group="hash",
    keys=key("RO ACCESS"),
    syntax="key:key [options=(count:integer [WITHVALUES])]",
    tips=("nondeterministic_output",),
)
def hrandfield(c: Client, key: bytes, *options: bytes) -> bytes:
    """Random fields of a hash: one, some different ones, or with a negative count some that may be the same.

    O(N) with N fields replied. Since 6.2.0.
    """
    if not options:
        hash_ = living(c, key, c.db.get(key), None)
        return c.resp.null if hash_ is None else bulk(random_key(hash_))
    count = integer(options[0])
    if count < -INT64_MAX:
        raise _COUNT
    if len(options) > 2 or (len(options) == 2 and options[1].upper() != b"WITHVALUES"):
        raise SYNTAX
    with_values = len(options) == 2
    if with_values and abs(count) > INT64_MAX // 2:
        raise OUT_OF_RANGE
    hash_ = living(c, key, c.db.get(key), None)
    if hash_ is None or not count:
        return EMPTY_ARRAY
    if count < -MOST_REPEATS:
        raise OUT_OF_RANGE  # where Redis goes on until its memory ends
    fields = _fields(hash_, count)
    if not with_values:
        return array([bulk(field) for field in fields])
    pairs = [bulk(field) + bulk(hash_[field]) for field in fields]
    if c.resp.version == 3:
        return array([b"*2\r\n" + pair for pair in pairs])
    return b"*%d\r\n%b" % (2 * len(pairs), b"".join(pairs))


def _fields(hash_: Hash, count: int) -> list[bytes]:
    """So many different fields, all there are at most, or `-count` of them one after the other."""
    if count >= len(hash_):
        return list(hash_)
    return sample_keys(hash_, count) if count > 0 else repeated_keys(hash_, -count)
