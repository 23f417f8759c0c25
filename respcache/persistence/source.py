"""What RDB files consist of: lengths, strings and numbers, read one behind another from a stream.

    00llllll                    length of 6 bits             11000000, 1 byte         string: integer of 8 bits
    01llllll llllllll           of 14 bits, BE               11000001, 2 bytes LE     of 16
    10000000, 4 bytes BE        of 32                        11000010, 4 bytes LE     of 32
    10000001, 8 bytes BE        of 64                        11000011, length, length, text     compressed

A string is a length and as many bytes, or one of the four on the right.
"""

from __future__ import annotations

from collections.abc import Callable

from respcache.persistence import crc64, lzf

Read = Callable[[int], bytes]
"""Gives up to so many bytes, fewer at will, none only at the end."""

PIECE = 1 << 18
"""Bytes asked for at a time. No length that a file claims makes for a bigger request."""

_INTEGER_SIZES = (1, 2, 4)
_COMPRESSED = 3


class RdbError(ValueError):
    """What is wrong with a file or a payload, and where."""

    def __init__(self, text: str, offset: int) -> None:
        super().__init__(f"{text} (offset {offset})")
        self.text = text
        self.offset = offset
        """Bytes before the place, or before the value in which it is."""


class ForeignError(RdbError):
    """It may well be sound, but only others can read it: a value of a module, a newer version, no such file at all."""


class Source:
    """A stream of bytes that are read once, and their checksum.

    What was read ahead is in `data`; `at` is the next byte of it. Both may be used directly, as long as no
    other method is called meanwhile and `at` never exceeds what is there.
    """

    __slots__ = ("_crc", "_read", "_summed", "at", "base", "checksum", "data")

    def __init__(self, read: Read, checksum: bool = False) -> None:
        """`checksum` tells whether `crc` will be asked for."""
        self._read = read
        self.checksum = checksum
        """Whether the checksum is kept; it must not change."""
        self._crc = 0
        self._summed = 0  # bytes of `data` that `_crc` covers
        self.data = b""
        self.at = 0
        self.base = 0
        """Bytes before `data`."""

    @classmethod
    def of(cls, data: bytes) -> Source:
        """These bytes."""
        made = cls(_nothing)
        made.data = data
        return made

    @property
    def offset(self) -> int:
        """How many bytes have been read."""
        return self.base + self.at

    @property
    def rest(self) -> bytes:
        """What was read ahead."""
        return self.data[self.at :]

    def beyond(self) -> Source:
        """The rest of the stream, of which no checksum is kept."""
        made = Source(self._read)
        made.data = self.rest
        made.base = self.offset
        return made

    def crc(self) -> int:
        """The checksum of all that was read, what was read ahead not included."""
        if self._summed < self.at:
            with memoryview(self.data) as view:
                self._crc = crc64.update(self._crc, view[self._summed : self.at])
            self._summed = self.at
        return self._crc

    def error(self, text: str) -> RdbError:
        """An error here."""
        return RdbError(text, self.offset)

    def fill(self, count: int) -> bool:
        """Reads ahead until so many bytes are there, if there are; at least one piece. Tells whether there are.

        `count` is a few pieces at most.
        """
        if self.checksum:
            self.crc()
            self._summed = 0
        parts = [self.data[self.at :]]
        there = len(parts[0])
        self.base += self.at
        self.at = 0
        wanted = max(count, there + 1)
        while there < wanted and (part := self._read(PIECE)):
            parts.append(part)
            there += len(part)
        self.data = b"".join(parts)
        return there >= count

    def byte(self) -> int:
        """The next byte."""
        at = self.at
        if at >= len(self.data):
            if not self.fill(1):
                raise self.error("unexpected end")
            at = 0
        self.at = at + 1
        return self.data[at]

    def take(self, count: int) -> bytes:
        """The next bytes, so many. They are read in pieces, so that a wrong number costs nothing."""
        at = self.at
        behind = at + count
        if behind > len(self.data):
            if count > PIECE:
                return self._take_many(count)
            if not self.fill(count):
                raise self.error(f"unexpected end, {count} bytes should follow")
            at, behind = 0, count
        self.at = behind
        return self.data[at:behind]

    def _take_many(self, count: int) -> bytes:
        start = self.offset
        parts = []
        left = count
        while left:
            if self.at == len(self.data) and not self.fill(1):
                raise RdbError(f"unexpected end, {count} bytes should follow", start)
            part = self.data[self.at : self.at + left]
            self.at += len(part)
            left -= len(part)
            parts.append(part)
        return b"".join(parts)

    def integer(self, size: int, signed: bool = True) -> int:
        """An integer of so many bytes, little endian."""
        return int.from_bytes(self.take(size), "little", signed=signed)

    def length(self) -> int:
        """A length, or any number from 0 to 2^64 - 1."""
        first = self.byte()
        if first < 0x40:
            return first
        if first < 0x80:
            return (first & 63) << 8 | self.byte()
        if first == 0x80:
            return int.from_bytes(self.take(4), "big")
        if first == 0x81:
            return int.from_bytes(self.take(8), "big")
        self.at -= 1
        raise self.error(f"no length begins with {first:#x}")

    def string(self) -> bytes:
        """A string; an integer as its text."""
        data, at = self.data, self.at
        if at + 64 <= len(data):
            first = data[at]
            if first < 0x40:
                self.at = behind = at + 1 + first
                return data[at + 1 : behind]
        else:
            first = self.byte()
            self.at -= 1
        if first < 0xC0:
            return self.take(self.length())
        start = self.offset
        self.at += 1
        kind = first & 63
        if kind < _COMPRESSED:
            return b"%d" % self.integer(_INTEGER_SIZES[kind])
        if kind > _COMPRESSED:
            raise RdbError(f"no string begins with {first:#x}", start)
        packed = self.length()
        size = self.length()
        try:
            return lzf.decompress(self.take(packed), size)
        except RdbError:
            raise
        except ValueError as error:
            raise RdbError(str(error), start) from None

    def strings(self, count: int) -> list[bytes]:
        """So many strings."""
        found: list[bytes] = []
        add = found.append
        while count:
            data, at = self.data, self.at
            safe = len(data) - 64
            left = count
            while left and at <= safe and (first := data[at]) < 0x40:
                at += 1
                add(data[at : at + first])
                at += first
                left -= 1
            self.at = at
            if left:
                add(self.string())
                left -= 1
            count = left
        return found

    def strings_and(self, count: int, size: int) -> tuple[list[bytes], bytes]:
        """So many strings with `size` bytes behind each of them, and all of these."""
        found: list[bytes] = []
        behind: list[bytes] = []
        add, add_behind = found.append, behind.append
        while count:
            data, at = self.data, self.at
            safe = len(data) - 64 - size
            left = count
            while left and at <= safe and (first := data[at]) < 0x40:
                end = at + 1 + first
                add(data[at + 1 : end])
                at = end + size
                add_behind(data[end:at])
                left -= 1
            self.at = at
            if left:
                add(self.string())
                add_behind(self.take(size))
                left -= 1
            count = left
        return found, b"".join(behind)


def _nothing(_count: int) -> bytes:
    return b""
