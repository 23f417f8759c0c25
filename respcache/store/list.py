"""Lists: a Python list of elements behind some empty places, so that both ends are cheap.

    items   [ b"" b"" b"" | first ... last ]
                          start

A pop from the left leaves an empty place, a push to the left fills one; when there is none, an eighth of the size is
made at once. All else is an index or a slice: the middle of a million elements is as near as the ends (a deque takes
0.03 ms for an index there and 3 ms for a slice).

The class of a list is its encoding: `Listpack` while Redis 7.4 would keep it in one block of memory, else `Quicklist`.
A list changes its class in place.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from itertools import islice

from respcache.store.sizes import allocated, sampled
from respcache.store.types import TypeInfo, register

Elements = list[bytes]

_EMPTY = 7
"""Bytes of a listpack without elements."""
ENTRY_OVERHEAD = 10
"""More than an element takes besides its own bytes, up to 256 MB."""
_LEAST_ENTRY = 2
_LEVELS = (65536, 32768, 16384, 8192, 4096)
"""Bytes of a listpack by `list-max-listpack-size`, where that is negative: -5 to -1."""
_SAFE = 8192
"""Bytes of a listpack whose limit is a number of elements."""
_INTEGER_SIZES = (*[2] * 8, *[3] * 5, *[4] * 3, *[5] * 8, *[6] * 8, *[10] * 32)
"""Bytes of an integer in a listpack by the bits of its value: 7, 12, 15, 23, 31 or 63 besides the sign."""
_CHUNK = 1024
_FEW = 4


def entry_size(element: bytes) -> int:
    """Bytes that an element takes in a listpack: its text or, if it is an integer, its value, between two lengths.

    Source: the listpack specification.
    """
    size = len(element)
    if size < 21 and size and 48 <= element[-1] <= 57 and (element.isdigit() or element[0] == 45):
        try:
            value = int(element)
        except ValueError:
            return size + 2
        if b"%d" % value == element and -(1 << 63) <= value < 1 << 63:
            bits = value.bit_length() if value >= 0 else max((~value).bit_length(), 12)
            return _INTEGER_SIZES[bits]
    if size < 64:
        return size + 2
    size += 2 if size < 4096 else 5
    # The length behind an entry has seven bits to the byte.
    return size + 1 if size < 128 else size + (size.bit_length() + 6) // 7


def byte_size(elements: Sequence[bytes]) -> int:
    """Bytes of a listpack of these elements."""
    return _EMPTY + sum(map(entry_size, elements))


def _limits(limit: int) -> tuple[int, int]:
    """The bytes and the elements that `list-max-listpack-size` grants."""
    return (_LEVELS[max(limit, -5)], 1 << 62) if limit < 0 else (_SAFE, limit or 1)


class _List(ABC):
    """What both encodings share. There is always an element: the list that loses its last one is deleted.

    Methods that push do not look at the limits of an encoding, nor do those that take away, but for `trim`. As in
    Redis who pushes calls `grow` before, and who takes away calls `shrink`, `lose` or `measure` after. Their `limit` is
    `list-max-listpack-size`.
    """

    __slots__ = ("items", "size", "start")

    items: Elements
    """Begins with `start` empty places."""
    start: int
    size: int
    """Of a listpack: its bytes. Of a quicklist: as many bytes may go before it can be a listpack."""

    def __init__(self, elements: Elements) -> None:
        """Takes the elements over."""
        self.items = elements
        self.start = 0
        self.size = 0

    def __len__(self) -> int:
        return len(self.items) - self.start

    def __iter__(self) -> Iterator[bytes]:
        return islice(self.items, self.start, None)

    def elements(self, first: int = 0, behind: int | None = None) -> Elements:
        """A copy of the elements from one to another, which is not included; neither may be negative."""
        start = self.start
        return self.items[start + first : None if behind is None else start + behind]

    # Encoding

    @abstractmethod
    def shrink(self, elements: Sequence[bytes], limit: int) -> None:
        """These elements were taken away."""

    @abstractmethod
    def measure(self, limit: int) -> None:
        """Many elements were taken away."""

    # Both ends

    def push_right(self, elements: Sequence[bytes]) -> None:
        """Appends elements."""
        self.items += elements

    def push_left(self, elements: Sequence[bytes]) -> None:
        """Prepends elements one by one: the last of them comes first."""
        count = len(elements)
        if self.start < count:
            self.make_room(count)
        start = self.start - count
        self.items[start : self.start] = elements[::-1]
        self.start = start

    def pop_right(self) -> bytes:
        """Takes the last element."""
        return self.items.pop()

    def pop_left(self) -> bytes:
        """Takes the first element."""
        items, start = self.items, self.start
        element = items[start]
        items[start] = b""
        self.start = start = start + 1
        if not start & 15 and start > len(items) >> 1:
            self.compact()
        return element

    def pop_many(self, count: int, left: bool) -> Elements:
        """Takes some of the elements, those popped first first; there are more of them."""
        if left:
            taken = self.elements(0, count)
            self._skip(count)
        else:
            taken = self.items[-count:]
            del self.items[-count:]
            taken.reverse()
        return taken

    def make_room(self, count: int = 1) -> None:
        """Makes so many empty places or more. An eighth of the size, so that it is rarely done."""
        room = count + 3 + (len(self.items) >> 3)
        self.items[:0] = [b""] * room
        self.start += room

    def compact(self) -> None:
        """Drops the empty places."""
        del self.items[: self.start]
        self.start = 0

    # Search

    def find(self, element: bytes, most: int | None = None) -> Iterator[int]:
        """Where equal elements are among the first `most` ones, ascending."""
        items, start = self.items, self.start
        behind = len(items) if most is None else min(start + most, len(items))
        at = start - 1
        while True:
            try:
                at = items.index(element, at + 1, behind)
            except ValueError:
                return
            yield at - start

    def find_backwards(self, element: bytes, most: int | None = None) -> Iterator[int]:
        """Where equal elements are among the last `most` ones, descending."""
        items, start, behind = self.items, self.start, len(self.items)
        first = start if most is None else max(start, behind - most)
        while behind > first:
            chunk = items[max(behind - _CHUNK, first) : behind]
            chunk.reverse()
            at = -1
            while True:
                try:
                    at = chunk.index(element, at + 1)
                except ValueError:
                    break
                yield behind - 1 - at - start
            behind -= len(chunk)

    # Changes

    def replace(self, at: int, element: bytes) -> bytes:
        """Puts an element in the place of another, which is returned; `at` is not negative."""
        at += self.start
        old = self.items[at]
        self.items[at] = element
        return old

    def insert(self, at: int, element: bytes) -> None:
        """Inserts an element before that at a place, or behind all of them."""
        self.items.insert(self.start + at, element)

    def remove(self, element: bytes, count: int) -> int:
        """Removes equal elements: the first ones, the last ones if `count` is negative, all if 0. Returns how many.

        It may be empty then.
        """
        if count:
            found = self.find(element) if count > 0 else self.find_backwards(element)
            places = list(islice(found, abs(count)))
            if count < 0:
                places.reverse()
        else:
            places = list(islice(self.find(element), _FEW + 1))
            if len(places) > _FEW:
                count = len(self)
                self.items = [each for each in self if each != element]
                self.start = 0
                return count - len(self.items)
        items, start = self.items, self.start
        if len(places) <= _FEW:
            for place in reversed(places):
                del items[start + place]
        else:
            kept: Elements = []
            before = 0
            for place in places:
                kept += items[start + before : start + place]
                before = place + 1
            kept += items[start + before :]
            self.items = kept
            self.start = 0
        return len(places)

    def trim(self, first: int, behind: int, limit: int) -> tuple[Elements, ...]:
        """Removes all elements but those from one place to another, which is not included; some are left.

        Returns what was cut off, for lazy freeing. `limit` is as for `shrink`.
        """
        items, start = self.items, self.start
        if behind - first < len(items) >> 1:
            self.items = items[start + first : start + behind]
            self.start = 0
            self.measure(limit)
            return (items,)
        tail, head = items[start + behind :], items[start : start + first]
        del items[start + behind :]
        self._skip(first)
        self.shrink(head + tail if head and tail else head or tail, limit)  # once: it may change the class
        return head, tail

    def _skip(self, count: int) -> None:
        """Drops the first elements."""
        items, start = self.items, self.start
        self.start = behind = start + count
        items[start:behind] = [b""] * count
        if behind > len(items) >> 1:
            self.compact()


class Listpack(_List):
    """A short list."""

    __slots__ = ()

    def grow(self, elements: Sequence[bytes], limit: int) -> None:
        """Counts the elements that are about to come in; with too many bytes or elements becomes a quicklist."""
        size = self.size
        most_bytes, most = _limits(limit)
        if size + sum(map(len, elements)) > most_bytes or len(self) + len(elements) > most:
            self.__class__ = Quicklist  # type: ignore[assignment]
            self.size = 0
        else:
            self.size = size + sum(map(entry_size, elements))

    def shrink(self, elements: Sequence[bytes], limit: int) -> None:
        """These elements were taken away."""
        self.size -= sum(map(entry_size, elements))

    def lose(self, element: bytes, limit: int, times: int = 1) -> None:
        """This element was taken away, so many times."""
        self.size -= entry_size(element) * times

    def measure(self, limit: int) -> None:
        """Many elements were taken away."""
        self.size = byte_size(self.elements())


class Quicklist(_List):
    """A list that is not short. It becomes a listpack when it is half as big as a listpack may be."""

    __slots__ = ()

    def grow(self, elements: Sequence[bytes], limit: int) -> None:
        """Elements are about to come in: it stays what it is."""

    def shrink(self, elements: Sequence[bytes], limit: int) -> None:
        """These elements were taken away."""
        self.size = left = self.size - sum(map(len, elements)) - ENTRY_OVERHEAD * len(elements)
        if left < 0:
            self.measure(limit)

    def lose(self, element: bytes, limit: int, times: int = 1) -> None:
        """This element was taken away, so many times."""
        self.size = left = self.size - (len(element) + ENTRY_OVERHEAD) * times
        if left < 0:
            self.measure(limit)

    def measure(self, limit: int) -> None:
        """Becomes a listpack if it is small enough; else finds out how far it is from that.

        Redis asks besides that all be in one block; one half empty block is not told from two here.
        """
        most_bytes, most = _limits(limit)
        if limit < 0:
            most_bytes //= 2
        most //= 2
        count = len(self)
        if count > most:
            self.size = ENTRY_OVERHEAD * (count - most) - 1
            return
        size = _EMPTY + _LEAST_ENTRY * count
        if size <= most_bytes:
            size = byte_size(self.elements())
            if size <= most_bytes:
                self.__class__ = Listpack  # type: ignore[assignment]
                self.size = size
                return
        self.size = size - most_bytes - 1


List = Listpack | Quicklist


def make_list(elements: Elements, limit: int) -> List:
    """A list of these elements, which it takes over, as SORT STORE makes one."""
    most_bytes, most = _limits(limit)
    if len(elements) <= most and _EMPTY + _LEAST_ENTRY * len(elements) <= most_bytes:
        size = byte_size(elements)
        if size <= most_bytes:
            made = Listpack(elements)
            made.size = size
            return made
    return Quicklist(elements)


def empty_list() -> Listpack:
    """A list to be filled at once."""
    made = Listpack([])
    made.size = _EMPTY
    return made


def _copy(value: _List) -> List:
    copied = Listpack(value.elements()) if type(value) is Listpack else Quicklist(value.elements())
    copied.size = value.size
    return copied


def _size(value: List, samples: int) -> int:
    own = allocated(value) + allocated(value.items)
    if not samples or samples >= len(value):
        return own + sum(map(allocated, value))
    return own + sampled(value.elements(0, samples), samples) * len(value) // samples


def _parts(value: List) -> tuple[Elements]:
    return (value.items,)


register(TypeInfo(b"list", lambda _value, _config: b"listpack", _copy, _size, _parts), Listpack)
register(TypeInfo(b"list", lambda _value, _config: b"quicklist", _copy, _size, _parts), Quicklist)
