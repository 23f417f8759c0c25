"""Streams: adding, reading by id, deleting, trimming. Groups, blocking reads and XINFO have files of their own."""

from __future__ import annotations

from collections.abc import Sequence

from respcache.commands.arguments import integer as parse_integer
from respcache.commands.stream_arguments import (
    as_stream,
    end_of_range,
    id_reply,
    parse_id,
    parse_ids,
    partial_id,
    start_of_range,
)
from respcache.keyspec import key
from respcache.protocol.errors import NO_SUCH_KEY, SYNTAX, ReplyError, wrong_arity
from respcache.protocol.reply import EMPTY_ARRAY, OK, ZERO, array, integer
from respcache.registry import BRIEF, DENYOOM, FAST, READONLY, WRITE, command
from respcache.state import Client
from respcache.store.events import XADD, XDEL, XSETID, XTRIM
from respcache.store.stream import Stream
from respcache.store.stream_block import MASK, MAX_ID

TOO_SMALL = ReplyError(b"ERR The ID specified in XADD is equal or smaller than the target stream top item")
NOT_ZERO = ReplyError(b"ERR The ID specified in XADD must be greater than 0-0")
EXHAUSTED = ReplyError(b"ERR The stream has exhausted the last possible ID, unable to add more items")
TOO_LARGE = ReplyError(b"ERR Elements are too large to be stored")
NEGATIVE_MAXLEN = ReplyError(b"ERR The MAXLEN argument must be >= 0.")
NEGATIVE_LIMIT = ReplyError(b"ERR The LIMIT argument must be >= 0.")
TWO_STRATEGIES = ReplyError(b"ERR syntax error, MAXLEN and MINID options at the same time are not compatible")
LIMIT_ALONE = ReplyError(b"ERR syntax error, LIMIT cannot be used without specifying a trimming strategy")
LIMIT_OF_EXACT = ReplyError(b"ERR syntax error, LIMIT cannot be used without the special ~ option")
NO_STRATEGY = ReplyError(b"ERR syntax error, XTRIM must be called with a trimming strategy")

MAX_ENTRY = 1 << 30
"""Bytes of an entry's fields and values."""


class Trim:
    """The options of XADD and XTRIM up to the id or the end: how to trim, and NOMKSTREAM."""

    __slots__ = ("approximately", "by_id", "limit", "nomkstream", "threshold", "words")

    def __init__(self, c: Client, options: Sequence[bytes], adding: bool) -> None:
        self.threshold: int | None = None
        """The length or the first id to keep; None: no trimming."""
        self.by_id = self.approximately = self.nomkstream = False
        limit: int | None = None
        at, end = 0, len(options)
        while at < end and not (adding and options[at] == b"*"):
            option = options[at].lower()
            if option in (b"maxlen", b"minid") and at + 1 < end:
                at = self._strategy(option == b"minid", options, at + 1)
            elif option == b"limit" and at + 1 < end:
                limit = parse_integer(options[at + 1])
                if limit < 0:
                    raise NEGATIVE_LIMIT
                at += 2
            elif not adding:
                raise SYNTAX
            elif option == b"nomkstream":
                self.nomkstream = True
                at += 1
            else:
                break
        self.words = at
        """Number of words that the options take."""
        if adding and at < end and options[at] != b"*":
            partial_id(options[at])  # what is neither option nor id is a bad id, before all other errors
        self.limit = self._check_limit(c, limit, adding)
        """Entries that may go at most, 0: any number."""

    def _strategy(self, by_id: bool, options: Sequence[bytes], at: int) -> int:
        if self.threshold is not None:
            raise TWO_STRATEGIES
        if options[at] in (b"~", b"=") and at + 1 < len(options):
            self.approximately = options[at] == b"~"
            at += 1
        self.by_id = by_id
        self.threshold = parse_id(options[at]) if by_id else parse_integer(options[at])
        if self.threshold < 0:
            raise NEGATIVE_MAXLEN
        return at + 1

    def _check_limit(self, c: Client, limit: int | None, adding: bool) -> int:
        if c.obeyed:
            return 0  # it trimmed so far as it did, and says to what
        if limit and self.threshold is None:
            raise LIMIT_ALONE
        if not adding and self.threshold is None:
            raise NO_STRATEGY
        if limit is not None:
            if not self.approximately:
                raise LIMIT_OF_EXACT
            return limit
        if not self.approximately:
            return 0
        entries = c.server.config.stream_node_max_entries
        return min(100 * entries, 1_000_000) if entries > 0 else 10_000

    def apply(self, stream: Stream) -> int:
        """Trims a stream. Returns how many entries are gone."""
        if self.threshold is None:
            return 0
        trim = stream.trim_to_id if self.by_id else stream.trim_to_length
        return trim(self.threshold, self.approximately, self.limit)


@command(
    WRITE | DENYOOM | FAST | BRIEF,
    group="stream",
    keys=key("RW UPDATE", notes="may also trim"),
    syntax=(
        "key:key [NOMKSTREAM{6.2.0}] [trim=(strategy=<MAXLEN | MINID{6.2.0}> [operator=<equal='=' | "
        "approximately='~'>] threshold [LIMIT count:integer{6.2.0}])] id_or_auto=<auto_id='*' | id> "
        "field_value=(field value)..."
    ),
    tips=("nondeterministic_output",),
    history=(
        ("6.2.0", "Options `NOMKSTREAM`, `MINID` and `LIMIT`."),
        ("7.0.0", "IDs of the form `<ms>-*`."),
    ),
)
def xadd(c: Client, key: bytes, first: bytes, second: bytes, third: bytes, *rest: bytes) -> bytes:
    """Appends an entry to a stream, which it makes if the key is missing. O(1). Since 5.0.0."""
    trim: Trim | None = None
    if first == b"*":
        id_word, words = first, (second, third, *rest)
    else:
        options = (first, second, third, *rest)
        trim = Trim(c, options, adding=True)
        id_word, words = b"".join(options[trim.words : trim.words + 1]), options[trim.words + 1 :]
    if not words or len(words) % 2:
        raise wrong_arity("xadd")
    millis, sequence = (None, None) if id_word == b"*" else partial_id(id_word)
    if millis == 0 and sequence == 0:
        raise NOT_ZERO
    value = c.db.peek(key)
    stream = Stream() if value is None else as_stream(value)
    assert stream is not None
    if value is None and trim is not None and trim.nomkstream:
        return c.resp.null
    id = _next_id(c, stream, millis, sequence)
    size = sum(map(len, words))
    if size > MAX_ENTRY:
        raise TOO_LARGE
    config = c.server.config
    stream.add(id, words, size, config.stream_node_max_entries, config.stream_node_max_bytes)
    trimmed = trim is not None and trim.apply(stream)
    if value is None:
        c.db.set(key, stream, XADD)
    else:
        c.db.touch(key, XADD)
    if trimmed:
        c.db.notify(key, XTRIM)
    return id_reply(id)


def _next_id(c: Client, stream: Stream, millis: int | None, sequence: int | None) -> int:
    """The id of a new entry, what is None being chosen by the server."""
    last = stream.last_id
    if last == MAX_ID:
        raise EXHAUSTED
    if millis is None:
        return max(c.server.clock.ms() << 64, last + 1)
    if sequence is None:
        if millis == last >> 64 and last & MASK == MASK:
            raise TOO_SMALL
        id = last + 1 if millis == last >> 64 else millis << 64
    else:
        id = millis << 64 | sequence
    if id <= last:
        raise TOO_SMALL
    return id


@command(READONLY | FAST | BRIEF, group="stream", keys=key("RO"), syntax="key:key")
def xlen(c: Client, key: bytes) -> bytes:
    """Number of entries of a stream. O(1). Since 5.0.0."""
    stream = as_stream(c.db.get(key))
    return ZERO if stream is None else integer(stream.length)


def _range(c: Client, key: bytes, first: int, last: int, options: Sequence[bytes], backwards: bool) -> bytes:
    """The entries between two ids."""
    count: int | None = None
    for at in range(0, len(options), 2):
        if options[at].lower() != b"count" or at + 1 == len(options):
            raise SYNTAX
        count = max(parse_integer(options[at + 1]), 0)
    stream = as_stream(c.db.get(key))
    if stream is None:
        return EMPTY_ARRAY
    if count == 0:
        return c.resp.null_array
    return array(stream.replies(first, last, count or 0, backwards))


_EXCLUSIVE = (("6.2.0", "Ranges may exclude their ends."),)


@command(
    READONLY,
    group="stream",
    keys=key("RO ACCESS"),
    syntax="key:key start end [COUNT count:integer]",
    history=_EXCLUSIVE,
)
def xrange(c: Client, key: bytes, start: bytes, end: bytes, *options: bytes) -> bytes:
    """The entries of a stream from one id to another. O(N) with N entries replied. Since 5.0.0."""
    return _range(c, key, start_of_range(start), end_of_range(end), options, backwards=False)


@command(
    READONLY,
    group="stream",
    keys=key("RO ACCESS"),
    syntax="key:key end start [COUNT count:integer]",
    history=_EXCLUSIVE,
)
def xrevrange(c: Client, key: bytes, end: bytes, start: bytes, *options: bytes) -> bytes:
    """The entries of a stream between two ids, the last one first. O(N) with N entries replied. Since 5.0.0."""
    return _range(c, key, start_of_range(start), end_of_range(end), options, backwards=True)


@command(WRITE | FAST | BRIEF, group="stream", keys=key("RW DELETE"), syntax="key:key id...")
def xdel(c: Client, key: bytes, id: bytes, *more: bytes) -> bytes:
    """Deletes entries of a stream and replies how many there were. O(1) for each of them. Since 5.0.0."""
    stream = as_stream(c.db.peek(key))
    if stream is None:
        return ZERO
    removed = stream.remove(parse_ids((id, *more)))
    if removed:
        c.db.touch(key, XDEL, removed)
    return integer(removed)


@command(
    WRITE,
    group="stream",
    keys=key("RW DELETE"),
    syntax=(
        "key:key trim=(strategy=<MAXLEN | MINID{6.2.0}> [operator=<equal='=' | approximately='~'>] "
        "threshold [LIMIT count:integer{6.2.0}])"
    ),
    tips=("nondeterministic_output",),
    history=(("6.2.0", "Options `MINID` and `LIMIT`."),),
)
def xtrim(c: Client, key: bytes, strategy: bytes, threshold: bytes, *options: bytes) -> bytes:
    """Deletes the oldest entries of a stream. O(N) with N entries deleted. Since 5.0.0."""
    trim = Trim(c, (strategy, threshold, *options), adding=False)
    stream = as_stream(c.db.peek(key))
    if stream is None:
        return ZERO
    removed = trim.apply(stream)
    if removed:
        c.db.touch(key, XTRIM, removed)
    return integer(removed)


@command(
    WRITE | DENYOOM | FAST | BRIEF,
    group="stream",
    keys=key("RW UPDATE"),
    syntax=(
        "key:key last-id [ENTRIESADDED entries_added:integer{7.0.0}] [MAXDELETEDID "
        "max_deleted_entry_id{7.0.0}]"
    ),
    history=(("7.0.0", "Arguments `entries_added` and `max_deleted_entry_id`."),),
)
def xsetid(c: Client, key: bytes, last_id: bytes, *options: bytes) -> bytes:
    """Sets the last id of a stream, as a replica or a restored file needs it. O(1). Since 5.0.0."""
    last = parse_id(last_id)
    added, deleted = -1, 0
    for at in range(0, len(options), 2):
        option = options[at].lower()
        if at + 1 == len(options) or option not in (b"entriesadded", b"maxdeletedid"):
            raise SYNTAX
        if option == b"entriesadded":
            added = parse_integer(options[at + 1])
            if added < 0:
                raise ReplyError(b"ERR entries_added must be positive")
        else:
            deleted = parse_id(options[at + 1])
            if last < deleted:
                raise _smaller_than(b"the provided max_deleted_entry_id")
    stream = as_stream(c.db.peek(key))
    if stream is None:
        raise NO_SUCH_KEY
    if last < stream.max_deleted_id:
        raise _smaller_than(b"current max_deleted_entry_id")
    if stream.length:
        if last < stream.last_living:
            raise _smaller_than(b"the target stream top item")
        if added != -1 and stream.length > added:
            raise ReplyError(
                b"ERR The entries_added specified in XSETID is smaller than the target stream length"
            )
    stream.last_id = last
    if added != -1:
        stream.entries_added = added
    if deleted:
        stream.max_deleted_id = deleted
    c.db.touch(key, XSETID)
    return OK


def _smaller_than(what: bytes) -> ReplyError:
    return ReplyError(b"ERR The ID specified in XSETID is smaller than %b" % what)
