"""Lists: what moves elements from one key to another or pops from the first of several, waiting for it or not.

Each waiting command is its non-blocking twin, tried again until it finds something.
"""

from __future__ import annotations

from collections.abc import Sequence

from respcache.commands.arguments import INT64_MAX, timeout
from respcache.commands.arguments import integer as parse_integer
from respcache.commands.lists import as_list, pop, pop_many, push
from respcache.keyspec import counted, key
from respcache.protocol.errors import SYNTAX, ReplyError
from respcache.protocol.reply import array, bulk, bulks
from respcache.registry import BLOCKING, DENYOOM, WRITE, command
from respcache.state import Client
from respcache.store.events import LPOP, LPUSH, RPOP, RPUSH

_NUMKEYS = ReplyError(b"ERR numkeys should be greater than 0")
_COUNT = ReplyError(b"ERR count should be greater than 0")
_SIDES = {b"LEFT": True, b"RIGHT": False}
_MOVE_KEYS = (key("RW ACCESS DELETE"), key("RW INSERT", at=2))


def _is_left(word: bytes) -> bool:
    left = _SIDES.get(word.upper())
    if left is None:
        raise SYNTAX
    return left


# Moving


def _move(c: Client, source: bytes, destination: bytes, from_left: bool, to_left: bool) -> bytes | None:
    """Moves an element and replies it; None without a source."""
    value = c.db.peek(source)
    if value is None:
        return None
    origin = as_list(value)
    target = origin if source == destination else c.db.peek(destination)
    if target is not None:
        as_list(target)
    event = LPOP if from_left else RPOP
    element = origin.pop_left() if from_left else origin.pop_right()
    if target is origin:  # which keeps its size
        if to_left:
            origin.push_left((element,))
        else:
            origin.push_right((element,))
        c.db.touch(source, LPUSH if to_left else RPUSH)
        c.db.touch(source, event, 0)
        return bulk(element)
    push(c, destination, (element,), to_left, target)
    if len(origin):
        origin.lose(element, c.server.config.list_max_listpack_size)
        c.db.touch(source, event, 0)
    else:
        c.db.emptied(source, event, 0)
    return bulk(element)


def _wait_and_move(
    c: Client, source: bytes, destination: bytes, from_left: bool, to_left: bool, timeout_ms: int
) -> bytes:
    reply = _move(c, source, destination, from_left, to_left)
    if reply is not None:
        return reply
    if c.server.nested:
        return c.resp.null  # the null of LMOVE; who waits in vain gets that of an array
    return c.block(
        b"list",
        (source,),
        timeout_ms,
        lambda: _move(c, source, destination, from_left, to_left),
        c.resp.null_array,
    )


@command(
    WRITE | DENYOOM,
    group="list",
    keys=_MOVE_KEYS,
    syntax="source:key destination:key@1 wherefrom=<LEFT | RIGHT> whereto=<LEFT | RIGHT>",
)
def lmove(c: Client, source: bytes, destination: bytes, where_from: bytes, where_to: bytes) -> bytes:
    """Moves the first or the last element of a list to either end of another. O(1). Since 6.2.0."""
    return _move(c, source, destination, _is_left(where_from), _is_left(where_to)) or c.resp.null


@command(
    WRITE | DENYOOM,
    group="list",
    keys=_MOVE_KEYS,
    syntax="source:key destination:key@1",
    deprecated=("6.2.0", "`LMOVE` with `RIGHT` and `LEFT`"),
)
def rpoplpush(c: Client, source: bytes, destination: bytes) -> bytes:
    """Moves the last element of a list to the front of another. O(1). Since 1.2.0."""
    return _move(c, source, destination, False, True) or c.resp.null


@command(
    WRITE | DENYOOM | BLOCKING,
    group="list",
    keys=_MOVE_KEYS,
    syntax="source:key destination:key@1 wherefrom=<LEFT | RIGHT> whereto=<LEFT | RIGHT> timeout:double",
)
def blmove(
    c: Client, source: bytes, destination: bytes, where_from: bytes, where_to: bytes, seconds: bytes
) -> bytes:
    """Moves an element as LMOVE does, and waits for one if need be. O(1). Since 6.2.0."""
    from_left, to_left = _is_left(where_from), _is_left(where_to)
    return _wait_and_move(c, source, destination, from_left, to_left, timeout(seconds))


@command(
    WRITE | DENYOOM | BLOCKING,
    group="list",
    keys=_MOVE_KEYS,
    syntax="source:key destination:key@1 timeout:double",
    history=(("6.0.0", "`timeout` may have a fraction."),),
    deprecated=("6.2.0", "`BLMOVE` with `RIGHT` and `LEFT`"),
)
def brpoplpush(c: Client, source: bytes, destination: bytes, seconds: bytes) -> bytes:
    """Moves an element as RPOPLPUSH does, and waits for one if need be. O(1). Since 2.2.0."""
    return _wait_and_move(c, source, destination, False, True, timeout(seconds))


# Popping from the first of several lists


def _pop_first(c: Client, keys: Sequence[bytes], left: bool) -> bytes | None:
    """Replies the first key that is there and an element of it; None if there is none."""
    for name in keys:
        value = c.db.peek(name)
        if value is not None:
            return array((bulk(name), bulk(pop(c, name, as_list(value), left))))
    return None


def _pop_many_first(c: Client, keys: Sequence[bytes], left: bool, count: int) -> bytes | None:
    """As `_pop_first`, with up to so many elements."""
    for name in keys:
        value = c.db.peek(name)
        if value is not None:
            return array((bulk(name), bulks(pop_many(c, name, as_list(value), count, left))))
    return None


def _wait_and_pop(c: Client, words: Sequence[bytes], left: bool) -> bytes:
    """BLPOP and BRPOP: the last word is the timeout."""
    timeout_ms, keys = timeout(words[-1]), words[:-1]
    reply = _pop_first(c, keys, left)
    if reply is not None:
        return reply
    return c.block(b"list", keys, timeout_ms, lambda: _pop_first(c, keys, left), c.resp.null_array)


@command(
    WRITE | BLOCKING,
    group="list",
    keys=key("RW ACCESS DELETE", last=-2),
    syntax="key:key... timeout:double",
    history=(("6.0.0", "`timeout` may have a fraction."),),
)
def blpop(c: Client, key: bytes, second: bytes, *rest: bytes) -> bytes:
    """Takes the first element of the first of these lists that is there, and waits for one if need be.

    O(N) with N keys. Since 2.0.0.
    """
    return _wait_and_pop(c, (key, second, *rest), True)


@command(
    WRITE | BLOCKING,
    group="list",
    keys=key("RW ACCESS DELETE", last=-2),
    syntax="key:key... timeout:double",
    history=(("6.0.0", "`timeout` may have a fraction."),),
)
def brpop(c: Client, key: bytes, second: bytes, *rest: bytes) -> bytes:
    """Takes the last element of the first of these lists that is there, and waits for one if need be.

    O(N) with N keys. Since 2.0.0.
    """
    return _wait_and_pop(c, (key, second, *rest), False)


def _several(words: Sequence[bytes]) -> tuple[Sequence[bytes], bool, int]:
    """The keys, the side and the count of LMPOP, from the number of keys on."""
    number = parse_integer(words[0], _NUMKEYS, low=1)
    if number + 1 >= len(words):
        raise SYNTAX
    left = _is_left(words[number + 1])
    options = words[number + 2 :]
    if not options:
        return words[1 : number + 1], left, 1
    if len(options) < 2 or options[0].upper() != b"COUNT":
        raise SYNTAX
    count = parse_integer(options[1], _COUNT, low=1, high=INT64_MAX)
    if len(options) > 2:
        raise SYNTAX
    return words[1 : number + 1], left, count


@command(
    WRITE,
    group="list",
    keys=counted("RW ACCESS DELETE", 1),
    syntax="numkeys:integer key:key... where=<LEFT | RIGHT> [COUNT count:integer]",
)
def lmpop(c: Client, numkeys: bytes, key: bytes, where: bytes, *rest: bytes) -> bytes:
    """Takes elements from one end of the first of these lists that is there.

    O(N+M) with N keys and M elements replied. Since 7.0.0.
    """
    keys, left, count = _several((numkeys, key, where, *rest))
    return _pop_many_first(c, keys, left, count) or c.resp.null_array


@command(
    WRITE | BLOCKING,
    group="list",
    keys=counted("RW ACCESS DELETE", 2),
    syntax="timeout:double numkeys:integer key:key... where=<LEFT | RIGHT> [COUNT count:integer]",
)
def blmpop(c: Client, seconds: bytes, numkeys: bytes, key: bytes, where: bytes, *rest: bytes) -> bytes:
    """Takes elements as LMPOP does, and waits for some if need be.

    O(N+M) with N keys and M elements replied. Since 7.0.0.
    """
    keys, left, count = _several((numkeys, key, where, *rest))
    timeout_ms = timeout(seconds)
    reply = _pop_many_first(c, keys, left, count)
    if reply is not None:
        return reply
    return c.block(
        b"list", keys, timeout_ms, lambda: _pop_many_first(c, keys, left, count), c.resp.null_array
    )
