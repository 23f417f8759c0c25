"""Lists: elements that are pushed, popped, read, cut and looked for."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

from respcache.commands.arguments import INT64_MAX
from respcache.commands.arguments import integer as parse_integer
from respcache.keyspec import key
from respcache.protocol.errors import (
    MUST_BE_POSITIVE,
    NO_SUCH_KEY,
    SYNTAX,
    WRONGTYPE,
    ReplyError,
    wrong_arity,
)
from respcache.protocol.reply import CRLF, EMPTY_ARRAY, HEADERS, OK, ZERO, array, bulk, bulks, integer
from respcache.registry import BRIEF, DENYOOM, FAST, READONLY, WRITE, command
from respcache.state import BIG, Client
from respcache.store.events import LINSERT, LPOP, LPUSH, LREM, LSET, LTRIM, RPOP, RPUSH
from respcache.store.lazyfree import HEAVY
from respcache.store.list import ENTRY_OVERHEAD, List, Listpack, Quicklist, empty_list

_INDEX_RANGE = ReplyError(b"ERR index out of range")
_MIN = -INT64_MAX
_COUNT_RANGE = ReplyError(b"ERR value is out of range, value must between %d and %d" % (_MIN, INT64_MAX))
_NO_RANK = ReplyError(
    b"ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... or use negative to start "
    b"from the end of the list"
)
_NO_COUNT = ReplyError(b"ERR COUNT can't be negative")
_NO_MAXLEN = ReplyError(b"ERR MAXLEN can't be negative")


def as_list(value: object) -> List:
    """A value as a list. Raises WRONGTYPE for the other types."""
    if type(value) is Quicklist or type(value) is Listpack:
        return value
    raise WRONGTYPE


def _signed(word: bytes) -> int:
    """An integer whose opposite is one too."""
    value = parse_integer(word)
    if value < _MIN:
        raise _COUNT_RANGE
    return value


# Pushing


def push(c: Client, key: bytes, elements: Sequence[bytes], left: bool, value: object) -> int:
    """Pushes onto the list at a key, given its value or None. Returns the new size. Raises WRONGTYPE."""
    limit = c.server.config.list_max_listpack_size
    target = empty_list() if value is None else as_list(value)
    target.grow(elements, limit)
    if left:
        target.push_left(elements)
        event = LPUSH
    else:
        target.push_right(elements)
        event = RPUSH
    if value is None:
        c.db.set(key, target, event)
        c.db.dirty += len(elements) - 1
    else:
        c.db.touch(key, event, len(elements))
    return len(target)


@command(
    WRITE | DENYOOM | FAST | BRIEF,
    group="list",
    keys=key("RW INSERT"),
    syntax="key:key element...",
    history=(("2.4.0", "Takes more than one `element`."),),
)
def lpush(c: Client, key: bytes, element: bytes, *more: bytes) -> bytes:
    """Prepends elements to a list, which is made if it is missing; replies its size.

    O(1) for each element. Since 1.0.0.
    """
    value = c.db.peek(key)
    if type(value) is Quicklist and not more:
        if not value.start:
            value.make_room()
        value.start = start = value.start - 1
        items = value.items
        items[start] = element
        c.db.touch(key, LPUSH)
        return b":%d\r\n" % (len(items) - start)
    return integer(push(c, key, (element, *more), True, value))


@command(
    WRITE | DENYOOM | FAST | BRIEF,
    group="list",
    keys=key("RW INSERT"),
    syntax="key:key element...",
    history=(("2.4.0", "Takes more than one `element`."),),
)
def rpush(c: Client, key: bytes, element: bytes, *more: bytes) -> bytes:
    """Appends elements to a list, which is made if it is missing; replies its size.

    O(1) for each element. Since 1.0.0.
    """
    value = c.db.peek(key)
    if type(value) is Quicklist and not more:
        items = value.items
        items.append(element)
        c.db.touch(key, RPUSH)
        return b":%d\r\n" % (len(items) - value.start)
    return integer(push(c, key, (element, *more), False, value))


@command(
    WRITE | DENYOOM | FAST | BRIEF,
    group="list",
    keys=key("RW INSERT"),
    syntax="key:key element...",
    history=(("4.0.0", "Takes more than one `element`."),),
)
def lpushx(c: Client, key: bytes, element: bytes, *more: bytes) -> bytes:
    """Prepends elements to a list if it is there; replies its size. O(1) for each element. Since 2.2.0."""
    value = c.db.peek(key)
    return ZERO if value is None else integer(push(c, key, (element, *more), True, value))


@command(
    WRITE | DENYOOM | FAST | BRIEF,
    group="list",
    keys=key("RW INSERT"),
    syntax="key:key element...",
    history=(("4.0.0", "Takes more than one `element`."),),
)
def rpushx(c: Client, key: bytes, element: bytes, *more: bytes) -> bytes:
    """Appends elements to a list if it is there; replies its size. O(1) for each element. Since 2.2.0."""
    value = c.db.peek(key)
    return ZERO if value is None else integer(push(c, key, (element, *more), False, value))


# Popping


def pop(c: Client, key: bytes, value: List, left: bool) -> bytes:
    """Takes the first or the last element of a list."""
    element = value.pop_left() if left else value.pop_right()
    event = LPOP if left else RPOP
    if value.start == len(value.items):
        c.db.emptied(key, event)
    else:
        value.lose(element, c.server.config.list_max_listpack_size)
        c.db.touch(key, event)
    return element


def pop_many(c: Client, key: bytes, value: List, count: int, left: bool) -> list[bytes]:
    """Takes so many elements of a list, or all if there are not more; those popped first come first."""
    event = LPOP if left else RPOP
    size = len(value)
    if count < size:
        elements = value.pop_many(count, left)
        value.shrink(elements, c.server.config.list_max_listpack_size)
        c.db.touch(key, event, count)
        return elements
    elements = value.elements()
    if not left:
        elements.reverse()
    c.db.emptied(key, event, size)
    return elements


def _pop_counted(c: Client, key: bytes, count: bytes, more: Sequence[bytes], left: bool) -> bytes:
    if more:
        raise wrong_arity("lpop" if left else "rpop")
    number = parse_integer(count, MUST_BE_POSITIVE, low=0)
    value = c.db.peek(key)
    if value is None:
        return c.resp.null_array
    found = as_list(value)
    if not number:
        return EMPTY_ARRAY
    reply = bulks(pop_many(c, key, found, number, left))
    if len(reply) >= BIG:
        c.connection.relieve()
    return reply


@command(
    WRITE | FAST | BRIEF,
    group="list",
    keys=key("RW ACCESS DELETE"),
    syntax="key:key [count:integer{6.2.0}]",
    history=(("6.2.0", "Argument `count`."),),
)
def lpop(c: Client, key: bytes, *count: bytes) -> bytes:
    """Takes the first element of a list, or the first ones. O(N) with N elements. Since 1.0.0."""
    if count:
        return _pop_counted(c, key, count[0], count[1:], True)
    value = c.db.peek(key)
    if type(value) is Quicklist and (start := value.start) < len(items := value.items) - 1:
        element = items[start]
        items[start] = b""
        value.start = start + 1
        if not start & 255 and start > len(items) >> 1:
            value.compact()
        size = len(element)
        value.size = left = value.size - size - ENTRY_OVERHEAD
        if left < 0:
            value.measure(c.server.config.list_max_listpack_size)
        c.db.touch(key, LPOP)
    elif value is None:
        return c.resp.null
    else:
        element = pop(c, key, as_list(value), True)
        size = len(element)
    return HEADERS[size] + element + CRLF if size < 1024 else c.bulk(element)


@command(
    WRITE | FAST | BRIEF,
    group="list",
    keys=key("RW ACCESS DELETE"),
    syntax="key:key [count:integer{6.2.0}]",
    history=(("6.2.0", "Argument `count`."),),
)
def rpop(c: Client, key: bytes, *count: bytes) -> bytes:
    """Takes the last element of a list, or the last ones. O(N) with N elements. Since 1.0.0."""
    if count:
        return _pop_counted(c, key, count[0], count[1:], False)
    value = c.db.peek(key)
    if type(value) is Quicklist and value.start < len(items := value.items) - 1:
        element = items.pop()
        size = len(element)
        value.size = left = value.size - size - ENTRY_OVERHEAD
        if left < 0:
            value.measure(c.server.config.list_max_listpack_size)
        c.db.touch(key, RPOP)
    elif value is None:
        return c.resp.null
    else:
        element = pop(c, key, as_list(value), False)
        size = len(element)
    return HEADERS[size] + element + CRLF if size < 1024 else c.bulk(element)


# Reading


@command(READONLY | FAST | BRIEF, group="list", keys=key("RO"), syntax="key:key")
def llen(c: Client, key: bytes) -> bytes:
    """The number of elements of a list, 0 if it is missing. O(1). Since 1.0.0."""
    value = c.db.get(key)
    return ZERO if value is None else integer(len(as_list(value)))


@command(READONLY, group="list", keys=key("RO ACCESS"), syntax="key:key index:integer")
def lindex(c: Client, key: bytes, index: bytes) -> bytes:
    """The element at a place, counted from the end if it is negative. O(1). Since 1.0.0."""
    value = c.db.get(key)
    if value is None:
        return c.resp.null  # whatever the index, as in Redis
    found = as_list(value)
    at = parse_integer(index)
    size = len(found)
    if at < 0:
        at += size
    return bulk(found.items[found.start + at]) if 0 <= at < size else c.resp.null


@command(READONLY, group="list", keys=key("RO ACCESS"), syntax="key:key start:integer stop:integer")
def lrange(c: Client, key: bytes, start: bytes, stop: bytes) -> bytes:
    """The elements from one place to another, both included. O(N) with N elements replied. Since 1.0.0."""
    first, last = parse_integer(start), parse_integer(stop)
    value = c.db.get(key)
    if value is None:
        return EMPTY_ARRAY
    found = as_list(value)
    size = len(found)
    if first < 0:
        first = max(first + size, 0)
    if last < 0:
        last += size
    return bulks(found.elements(first, last + 1)) if first <= last and first < size else EMPTY_ARRAY


@command(
    READONLY,
    group="list",
    keys=key("RO ACCESS"),
    syntax="key:key element [RANK rank:integer] [COUNT num-matches:integer] [MAXLEN len:integer]",
)
def lpos(c: Client, key: bytes, element: bytes, *options: bytes) -> bytes:
    """The places of the elements that equal a given one. O(N) with N elements looked at. Since 6.0.6."""
    rank, count, most = 1, None, 0
    for at in range(0, len(options), 2):
        if at + 1 == len(options):
            raise SYNTAX
        option, word = options[at].upper(), options[at + 1]
        if option == b"RANK":
            rank = _signed(word)
            if not rank:
                raise _NO_RANK
        elif option == b"COUNT":
            count = parse_integer(word, _NO_COUNT, low=0)
        elif option == b"MAXLEN":
            most = parse_integer(word, _NO_MAXLEN, low=0)
        else:
            raise SYNTAX
    value = c.db.get(key)
    places: list[int] = []
    if value is not None:
        found = as_list(value)
        size = len(found)
        matches = (
            found.find(element, most or None) if rank > 0 else found.find_backwards(element, most or None)
        )
        first = min(abs(rank) - 1, size)
        wanted = 1 if count is None else count or size
        places = list(islice(matches, first, min(first + wanted, size)))
    if count is not None:
        return array([integer(place) for place in places])
    return integer(places[0]) if places else c.resp.null


# Changing


@command(WRITE | DENYOOM, group="list", keys=key("RW UPDATE"), syntax="key:key index:integer element")
def lset(c: Client, key: bytes, index: bytes, element: bytes) -> bytes:
    """Replaces the element at a place, counted from the end if it is negative. O(1). Since 1.0.0."""
    value = c.db.peek(key)
    if value is None:
        raise NO_SUCH_KEY
    found = as_list(value)
    at = parse_integer(index)
    size = len(found)
    if at < 0:
        at += size
    if not 0 <= at < size:
        raise _INDEX_RANGE
    limit = c.server.config.list_max_listpack_size
    found.grow((element,), limit)
    found.lose(found.replace(at, element), limit)
    c.db.touch(key, LSET)
    return OK


@command(
    WRITE | DENYOOM,
    group="list",
    keys=key("RW INSERT"),
    syntax="key:key where=<BEFORE | AFTER> pivot element",
)
def linsert(c: Client, key: bytes, where: bytes, pivot: bytes, element: bytes) -> bytes:
    """Inserts an element before or after the first that equals a given one; replies the size of the list.

    O(N) with N elements of the list. Since 2.2.0.
    """
    side = where.upper()
    if side not in (b"BEFORE", b"AFTER"):
        raise SYNTAX
    value = c.db.peek(key)
    if value is None:
        return ZERO
    found = as_list(value)
    at = next(found.find(pivot), None)
    if at is None:
        return integer(-1)
    found.grow((element,), c.server.config.list_max_listpack_size)
    found.insert(at if side == b"BEFORE" else at + 1, element)
    c.db.touch(key, LINSERT)
    return integer(len(found))


@command(WRITE, group="list", keys=key("RW DELETE"), syntax="key:key count:integer element")
def lrem(c: Client, key: bytes, count: bytes, element: bytes) -> bytes:
    """Removes elements that equal a given one: the first ones, the last ones if `count` is negative, or all if it is 0.

    O(N) with N elements of the list. Since 1.0.0.
    """
    number = _signed(count)
    value = c.db.peek(key)
    if value is None:
        return ZERO
    found = as_list(value)
    removed = found.remove(element, number)
    if removed:
        if len(found):
            found.lose(element, c.server.config.list_max_listpack_size, removed)
            c.db.touch(key, LREM, removed)
        else:
            c.db.emptied(key, LREM, removed)
    return integer(removed)


@command(WRITE, group="list", keys=key("RW DELETE"), syntax="key:key start:integer stop:integer")
def ltrim(c: Client, key: bytes, start: bytes, stop: bytes) -> bytes:
    """Removes all elements but those from one place to another, both included.

    O(N) with N elements removed. Since 1.0.0.
    """
    first, last = parse_integer(start), parse_integer(stop)
    value = c.db.peek(key)
    if value is None:
        return OK
    found = as_list(value)
    size = len(found)
    if first < 0:
        first = max(first + size, 0)
    if last < 0:
        last += size
    behind = min(last + 1, size)
    if first >= behind:
        c.db.emptied(key, LTRIM, size)
        return OK
    if behind - first < size:
        for cut in found.trim(first, behind, c.server.config.list_max_listpack_size):
            if len(cut) > HEAVY:
                c.db.graveyard.bury(cut)
    c.db.touch(key, LTRIM, size - len(found))  # even if nothing was removed, as in Redis
    return OK
