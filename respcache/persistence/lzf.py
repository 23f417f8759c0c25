"""LZF: the compression of strings in RDB files.

A stream of control bytes, each followed by what it announces:

    000lllll                        l + 1 literal bytes follow
    lllddddd dddddddd               copy l + 2 bytes (l from 1 to 6) from d + 1 bytes behind
    111ddddd llllllll dddddddd      copy l + 9 bytes from d + 1 bytes behind

A copy may overlap its own output. Source: the RDB format's description of compressed strings.
"""

from __future__ import annotations

_WINDOW = 8192
_LONGEST = 264
_LITERALS = 32
_BLOCK = 4096
"""Places whose triples are made at a time: each takes 40 bytes of memory."""
_PATIENCE = 1024
"""Bytes without a repetition from which on the search becomes hasty."""


def decompress(data: bytes, size: int) -> bytes:
    """What was compressed, exactly `size` bytes of it.

    Raises ValueError if the stream is cut short, points before its beginning, or makes another size. No more memory
    is used than `size` bytes, and a stream that is too short for that many is refused before.
    """
    # Three bytes make 264 at most.
    if size > len(data) * 88:
        raise ValueError(f"{len(data)} compressed bytes cannot be {size}")
    out = bytearray()
    at, end = 0, len(data)
    try:
        while at < end:
            control = data[at]
            if control < 32:
                behind = at + control + 2
                if behind > end:
                    raise ValueError("compressed string is cut short")
                out += data[at + 1 : behind]
                at = behind
                continue
            length = (control >> 5) + 2
            at += 1
            if length == 9:
                length += data[at]
                at += 1
            distance = ((control & 31) << 8 | data[at]) + 1
            at += 1
            start = len(out) - distance
            if start < 0:
                raise ValueError("compressed string points before its beginning")
            if length <= distance:
                out += out[start : start + length]
            else:
                out += (out[start:] * (length // distance + 1))[:length]
            if len(out) > size:
                break
    except IndexError:
        raise ValueError("compressed string is cut short") from None
    if len(out) != size:
        raise ValueError(f"compressed string makes {len(out)} bytes or more, not {size}")
    return bytes(out)


def compress(data: bytes, most: int | None = None) -> bytes | None:
    """The compressed form; None if it is longer than `most` bytes, by default `len(data) - 4` as in Redis.

    Greedy: the last occurrence of the next three bytes is taken, if it is near enough. Where that is looked for, how
    long a copy may be, and that it is given up a few bytes early follow Redis, so that most strings come out with the
    same bytes. Where nothing repeats for a while the steps grow, so that it costs little; and a short string of which
    too little repeats is refused at once: 100 bytes take 4 us, and 10 us or more if they are compressed.
    """
    size = len(data)
    if most is None:
        most = size - 4
    if size < 5 or most <= 0:
        return None
    last = size - 3
    triples = _triples(data, 0, min(_BLOCK, size - 2))
    if size <= _PATIENCE and _most_saved(triples) < size - most:
        return None
    out = bytearray()
    seen: dict[int, int] = {}
    look = seen.get
    start, end = 0, len(triples)  # the places of the triples
    at = 0
    literal = 0  # from here to `at` nothing was written yet
    patience = _PATIENCE
    while at <= last:
        if at >= end:
            start, end = at - 2, min(at + _BLOCK, size - 2)
            triples = _triples(data, start, end)
            if len(seen) > 4 * _WINDOW:
                for triple in [triple for triple, there in seen.items() if at - there > _WINDOW]:
                    del seen[triple]
        if at:  # a copy ends here
            seen[triples[at - 2 - start]] = at - 2
            seen[triples[at - 1 - start]] = at - 1
        while at < end:
            triple = triples[at - start]
            before = look(triple, 0)
            seen[triple] = at
            # What stands at 0 is never copied, so 0 is nowhere.
            if before and at - before <= _WINDOW:
                break
            at += 1
            patience -= 1
            if patience < 0:
                at += -patience >> 8
        else:
            continue
        patience = _PATIENCE
        left = size - at
        length = _common(data, before, at, min(max(left - 2, 19 if left >= 19 else 3), _LONGEST))
        if literal < at:
            _put_literals(out, data, literal, at)
        if len(out) + 4 >= most:
            return None
        distance = at - before - 1
        if length < 9:
            out.append((length - 2) << 5 | distance >> 8)
        else:
            out.append(0xE0 | distance >> 8)
            out.append(length - 9)
        out.append(distance & 255)
        literal = at = at + length
    waiting = at - literal
    if len(out) + waiting + waiting // _LITERALS + 4 > most:
        return None
    if literal < size:
        _put_literals(out, data, literal, size)
    return bytes(out)


def _triples(data: bytes, start: int, end: int) -> list[int]:
    """The three bytes that stand at each of these places, as a number."""
    lanes = bytearray(4 * (end - start))
    lanes[::4] = data[start:end]
    lanes[1::4] = data[start + 1 : end + 1]
    lanes[2::4] = data[start + 2 : end + 2]
    return memoryview(lanes).cast("I").tolist()


def _most_saved(triples: list[int]) -> int:
    """No string with these triples gets shorter by more.

    A copy of n bytes has n - 2 triples that were there before, and takes at least two bytes. There is at least one more
    byte for each 32 that are not copied, which are all but three for each such triple.
    """
    repeated = len(triples) - len(set(triples))
    return repeated - max(len(triples) + 2 - 3 * repeated + _LITERALS - 1, _LITERALS) // _LITERALS


def _put_literals(out: bytearray, data: bytes, start: int, end: int) -> None:
    while end - start > _LITERALS:
        out.append(_LITERALS - 1)
        out += data[start : start + _LITERALS]
        start += _LITERALS
    out.append(end - start - 1)
    out += data[start:end]


def _common(data: bytes, first: int, second: int, most: int) -> int:
    """How many bytes from two places on are equal, which the first three are; at most `most`."""
    known, step = 3, 8
    while known < most:
        step = min(step, most - known)
        a, b = first + known, second + known
        if data[a : a + step] == data[b : b + step]:
            known += step
            step *= 2
        elif step == 1:
            break
        else:
            one = int.from_bytes(data[a : a + step], "little") ^ int.from_bytes(data[b : b + step], "little")
            return known + ((one & -one).bit_length() - 1) // 8
    return known
