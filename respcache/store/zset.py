"""Sorted sets: members with a score each, in the order of (score, member).

The mapping `scores` tells a member's score. The order is cut into chunks of about `LEAST` to `MOST` members, and a
chunk is an array of scores beside a list of members, so that all searches are `bisect` in C on doubles side by side
(in a list of floats each step would be a cache miss), and on members only among equal scores. Between two chunks
stands a bound, which no member on its left exceeds and every member on its right does; bounds change with splits and
joins only, so adding and removing a member touch one chunk. The members of each group of chunks are counted when a
rank is first asked for; the counts are kept up to date, and forgotten when a chunk is split or joined.

Measured on 1,000,000 members with random scores (CPython 3.11, microseconds; in brackets a dict beside a
`sortedcontainers.SortedList` of tuples, which was therefore rejected): add 5.1 (5.1), remove 4.5 (6.9), another score 8
(12), another score and its rank 7.5 (13.4), rank 4.8 (6.3), ten members by rank 4.7 (3.4), number of lower scores 3.4
(5.5), take the first 1.2 (1.4). Bytes for a member, itself and its score not counted: 59 (116).
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence, Sized
from itertools import chain
from typing import Any

from respcache.store.cursor import part
from respcache.store.hashtable import Table
from respcache.store.sizes import allocated, sampled
from respcache.store.types import TypeInfo, register

MOST = 512
"""Members from which on a chunk is split: inserting into a list of so many moves 4 KB, some 50 ns."""
LEAST = 128
"""Members below which a chunk is joined with its neighbour."""
_FILLED = 384  # members of each chunk of a set that is made at once
_GROUP = 6  # chunks are counted in groups of 2^6
BIG = 512
"""Members from which on the mapping is a `Table`, which never stalls to grow and can be walked in parts."""

Scores = dict[bytes, float] | Table[float]
Span = tuple[list[bytes], list[float]]
"""Members and their scores, in order."""


class ZSet:
    """A sorted set. Scores are never NaN. The methods keep `packed`; who adds members decides about it."""

    __slots__ = ("_counts", "_member_bounds", "_members", "_score_bounds", "_scores", "packed", "scores")

    def __init__(self, packed: bool = True) -> None:
        self.packed = packed
        """Whether Redis would hold it as a listpack; once it does not it never does again."""
        self.scores: Scores = {}
        """The score of each member, to be read. It is another object after some insertions."""
        self._scores = [array("d")]  # by chunk; there is always one
        self._members: list[list[bytes]] = [[]]
        self._score_bounds = array("d")  # one less than chunks
        self._member_bounds: list[bytes] = []
        self._counts: list[int] | None = None  # members of each group of chunks

    @classmethod
    def of(cls, scores: Mapping[bytes, float], entries: int, size: int) -> ZSet:
        """A sorted set of these members, packed if there are at most `entries`, none longer than `size` bytes."""
        made = cls(len(scores) <= entries and max(map(len, scores), default=0) <= size)
        if made.packed:
            scores = {member: score + 0.0 for member, score in scores.items()}
        order = sorted(zip(scores.values(), scores, strict=True))
        made.scores = _mapping(scores)
        for at in range(0, len(order), _FILLED):
            part = order[at : at + _FILLED]
            made._scores.append(array("d", [score for score, _ in part]))
            made._members.append([member for _, member in part])
        if order:
            del made._scores[0], made._members[0]
        made._score_bounds = array("d", [chunk[-1] for chunk in made._scores[:-1]])
        made._member_bounds = [chunk[-1] for chunk in made._members[:-1]]
        return made

    def __len__(self) -> int:
        return len(self.scores)

    def __contains__(self, member: object) -> bool:
        return member in self.scores

    def __iter__(self) -> Iterator[bytes]:
        """The members in order. The set must not change on the way."""
        return chain.from_iterable(self._members)

    def items(self) -> Iterator[tuple[bytes, float]]:
        """Members and scores in order. The set must not change on the way."""
        return zip(chain.from_iterable(self._members), chain.from_iterable(self._scores), strict=True)

    def score(self, member: bytes) -> float | None:
        """The score of a member, None if it is not there."""
        return self.scores.get(member)

    # Changing

    def add(self, member: bytes, score: float) -> bool:
        """Adds a member or changes its score. Tells whether it is new."""
        old = self.scores.get(member)
        if old is None:
            self.insert(member, score)
            return True
        if old != score:
            self.move(member, old, score)
        return False

    def insert(self, member: bytes, score: float) -> None:
        """Adds a member that is not there."""
        if self.packed:
            score += 0.0  # a listpack knows no -0.0
        self.scores[member] = score
        bounds, at = self._score_bounds, 0
        if bounds:
            at = bisect_left(bounds, score)
            if at < len(bounds) and bounds[at] == score:
                at = bisect_left(self._member_bounds, member, at, bisect_right(bounds, score, at))
        scores, members = self._scores[at], self._members[at]
        place = bisect_right(scores, score)
        if place and scores[place - 1] == score:
            place = bisect_left(members, member, bisect_left(scores, score, 0, place), place)
        scores.insert(place, score)
        members.insert(place, member)
        if self._counts is not None:
            self._counts[at >> _GROUP] += 1
        if len(scores) > MOST:
            self._split(at, place)

    def move(self, member: bytes, old: float, score: float) -> None:
        """Changes the score of a member that is there with another one."""
        at, place = self._find(member, old)
        scores = self._scores[at]
        above = scores[place - 1] < score if place else not at
        if above and (
            score < scores[place + 1] if place + 1 < len(scores) else at == len(self._score_bounds)
        ):
            if self.packed:
                score += 0.0
            scores[place] = self.scores[member] = score
            return
        del scores[place], self._members[at][place]
        if self._score_bounds:
            if self._counts is not None:
                self._counts[at >> _GROUP] -= 1
            if len(scores) < LEAST:
                self._join(at)
        self.insert(member, score)

    def remove(self, member: bytes) -> bool:
        """Removes a member. Tells whether it was there."""
        score = self.scores.pop(member, None)
        if score is None:
            return False
        self._cut(*self._find(member, score))
        return True

    def pop_min(self) -> tuple[bytes, float]:
        """Removes the first member; there must be one."""
        scores = self._scores[0]
        score, member = scores.pop(0), self._members[0].pop(0)
        mapping = self.scores
        if type(mapping) is dict:
            del mapping[member]
        else:
            mapping.drop(member)  # type: ignore[union-attr]
        if self._score_bounds:
            if self._counts is not None:
                self._counts[0] -= 1
            if len(scores) < LEAST:
                self._join(0)
        return member, score

    def pop_max(self) -> tuple[bytes, float]:
        """Removes the last member; there must be one."""
        at = len(self._score_bounds)
        score, member = self._scores[at][-1], self._members[at][-1]
        del self.scores[member]
        self._cut(at, len(self._scores[at]) - 1)
        return member, score

    def remove_slice(self, start: int, stop: int) -> int:
        """Removes the members of these ranks, `stop` not included. Returns how many there were."""
        stop = min(stop, len(self))
        if start >= stop:
            return 0
        (first, place), (last, end) = self._locate(start), self._locate(stop)
        gone = self.scores
        for members in self._parts(first, place, last, end):
            for member in members:
                del gone[member]
        self._scores[first : last + 1] = [self._scores[first][:place] + self._scores[last][end:]]
        self._members[first : last + 1] = [self._members[first][:place] + self._members[last][end:]]
        del self._score_bounds[first:last], self._member_bounds[first:last]
        self._counts = None
        if len(self._scores[first]) > MOST:
            self._split(first, 0)
        elif len(self._scores[first]) < LEAST and self._score_bounds:
            self._join(first)
        return stop - start

    # Ranks

    def rank(self, member: bytes) -> int | None:
        """How many members stand before this one, None if it is not there."""
        score = self.scores.get(member)
        if score is None:
            return None
        at, place = self._find(member, score)
        return self._before(at) + place

    def below(self, score: float, included: bool = False) -> int:
        """How many members have a lower score, or the same one where it is included: a rank."""
        search = bisect_right if included else bisect_left
        at = search(self._score_bounds, score)
        return self._before(at) + search(self._scores[at], score)

    def before(self, member: bytes, included: bool = False) -> int:
        """How many members are lower as bytes, or equal where that is included. All scores must be equal."""
        search = bisect_right if included else bisect_left
        at = search(self._member_bounds, member)
        return self._before(at) + search(self._members[at], member)

    def at(self, rank: int) -> tuple[bytes, float]:
        """The member of a rank, from 0 to below the length, and its score."""
        at, place = self._locate(rank)
        return self._members[at][place], self._scores[at][place]

    def slice(self, start: int, stop: int) -> Span:
        """The members of these ranks, `stop` not included, and their scores; the lists are the caller's."""
        stop = min(stop, len(self.scores))
        if start >= stop:
            return [], []
        left = stop - start
        at, place = self._locate(start)
        members = self._members[at][place : place + left]
        scores = self._scores[at][place : place + left].tolist()
        while len(members) < left:
            at += 1
            rest = left - len(members)
            members += self._members[at][:rest]
            scores += self._scores[at][:rest]
        return members, scores

    def between(self, low: float, high: float) -> Span:
        """The members with a score from `low` to `high`, both included, and their scores."""
        return self.slice(self.below(low), self.below(high, True))

    def scan(self, cursor: int, count: int) -> tuple[int, list[bytes]]:
        """The next members of a walk and the next cursor, 0 at the end. What is there all the time is seen.

        Some are seen twice if the mapping becomes a `Table` meanwhile: a cursor from before is a low one then.
        """
        if isinstance(self.scores, Table):
            return self.scores.scan(cursor, count)
        return part(self.scores, cursor, count)

    def copy(self) -> ZSet:
        """A set that shares nothing mutable with this one."""
        made = ZSet(self.packed)
        made.scores = self.scores.copy()
        made._scores = [chunk[:] for chunk in self._scores]
        made._members = [chunk.copy() for chunk in self._members]
        made._score_bounds = self._score_bounds[:]
        made._member_bounds = self._member_bounds.copy()
        return made

    # Chunks

    def _chunk(self, score: float, member: bytes) -> int:
        """The chunk in which a member stands, or where it belongs."""
        bounds = self._score_bounds
        at = bisect_left(bounds, score)
        if at < len(bounds) and bounds[at] == score:
            return bisect_left(self._member_bounds, member, at, bisect_right(bounds, score, at))
        return at

    def _find(self, member: bytes, score: float) -> tuple[int, int]:
        """The chunk of a member that is there, and its place in it."""
        at = self._chunk(score, member) if self._score_bounds else 0
        scores, members = self._scores[at], self._members[at]
        place = bisect_left(scores, score)
        if members[place] != member:
            place = bisect_left(members, member, place, bisect_right(scores, score, place))
        return at, place

    def _cut(self, at: int, place: int) -> None:
        scores = self._scores[at]
        del scores[place], self._members[at][place]
        if self._score_bounds:
            if self._counts is not None:
                self._counts[at >> _GROUP] -= 1
            if len(scores) < LEAST:
                self._join(at)

    def _split(self, at: int, place: int) -> None:
        """Splits a chunk, in the middle, or near the end of the last one if members are appended to it."""
        scores, members = self._scores[at], self._members[at]
        appended = at == len(self._score_bounds) and place == len(scores) - 1
        middle = len(scores) - LEAST if appended else len(scores) // 2
        self._scores[at : at + 1] = [scores[:middle], scores[middle:]]
        self._members[at : at + 1] = [members[:middle], members[middle:]]
        self._score_bounds.insert(at, scores[middle - 1])
        self._member_bounds.insert(at, members[middle - 1])
        self._counts = None
        if type(self.scores) is dict and len(self.scores) > BIG:
            self.scores = _mapping(self.scores)

    def _join(self, at: int) -> None:
        """Joins a chunk with the one behind it, or before it; what is too long then is split again."""
        at = min(at, len(self._score_bounds) - 1)
        self._scores[at] = self._scores[at] + self._scores.pop(at + 1)
        self._members[at] = self._members[at] + self._members.pop(at + 1)
        del self._score_bounds[at], self._member_bounds[at]
        self._counts = None
        if len(self._scores[at]) > MOST:
            self._split(at, 0)

    def _count(self) -> list[int]:
        """Members of each group of chunks."""
        if self._counts is None:
            sizes = list(map(len, self._scores))
            size = 1 << _GROUP
            self._counts = [sum(sizes[at : at + size]) for at in range(0, len(sizes), size)]
        return self._counts

    def _before(self, at: int) -> int:
        """How many members stand in the chunks before this one."""
        if not at:
            return 0
        group = at >> _GROUP
        return sum(self._count()[:group]) + sum(map(len, self._scores[group << _GROUP : at]))

    def _locate(self, rank: int) -> tuple[int, int]:
        """The chunk and the place of a rank; that of the length is the place behind the last member."""
        if rank < len(self._scores[0]):
            return 0, rank
        behind, last = len(self) - rank, len(self._scores[-1])
        if behind <= last:
            return len(self._score_bounds), last - behind
        at = 0
        for size in self._count():
            if rank < size:
                break
            rank -= size
            at += 1 << _GROUP
        while rank >= (size := len(self._scores[at])):
            rank -= size
            at += 1
        return at, rank

    def _parts(self, first: int, place: int, last: int, end: int) -> Iterable[Sequence[bytes]]:
        """The members from one place to before another, as parts of chunks."""
        if first == last:
            return (self._members[first][place:end],)
        return (self._members[first][place:], *self._members[first + 1 : last], self._members[last][:end])


def _mapping(scores: Mapping[bytes, float]) -> Scores:
    return Table(scores) if len(scores) > BIG else dict(scores)


_FLOAT = 32  # bytes


def _encoding(value: ZSet, _config: object) -> bytes:
    return b"listpack" if value.packed else b"skiplist"


def _size(value: ZSet, samples: int) -> int:
    """Bytes of a sorted set: the mapping, the chunks and their bounds, the members and the scores."""
    scores = value.scores
    buckets = [scores.directory, *scores.buckets] if isinstance(scores, Table) else [scores]
    containers: Iterable[Any] = chain(
        (value, value._scores, value._members), value._scores, value._members, buckets
    )
    return sum(map(allocated, containers)) + _FLOAT * len(value) + sampled(value, samples)


def _containers(value: ZSet) -> list[Sized]:
    return [value.scores, value._scores, value._members]


register(TypeInfo(b"zset", _encoding, ZSet.copy, _size, _containers), ZSet)
