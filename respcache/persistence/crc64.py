"""CRC-64 (Jones) of RDB files and DUMP payloads: polynomial ad93d23594c935a9, reflected, no inversions.

A table lookup for each byte takes 100 ns in Python, ten times what reading the file does. So a long text is
first folded: as one big integer it is a polynomial over GF(2), and only its remainder matters. The generator
divides polynomials of few terms, such as

    x^16384 + x^1312 + x^1217 + x^1185 + x^999 + x^881 + x^428 + x^400 + x^9

so whatever stands at x^16384 and above may be replaced by copies of itself, shifted to the other terms: eight
shifts and XORs of big integers, some 3 ns for each byte. Squaring such a polynomial doubles all exponents,
hence the same terms fold texts of any size down to 2 KB, others with more terms go on to 256 bytes, and the
table does the rest.

The terms were found by the generalised birthday method (Wagner 2002) among all sums of 8 and of 14 powers below
x^2400 and x^600; a test multiplies them out. Lanes that step through the table with `bytes.translate` were
rejected: 16 passes over all bytes.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

Bytes = bytes | bytearray | memoryview

_POLYNOMIAL = 0x95AC9329AC4BC9B5  # bit 63 - n is the coefficient of x^n
TERMS = {
    2048: (522, 450, 363, 274, 255, 187, 172, 126, 124, 82, 58, 52, 43, 28),
    16384: (1312, 1217, 1185, 999, 881, 428, 400, 9),
}
"""Powers of x, each modulo the generator the sum of other powers."""
_DOUBLINGS = {2048: 3, 16384: 8}

_PIECE = 1 << 18
"""Bytes that are folded at a time: beyond, more of them do not make it faster."""


class _Fold(NamedTuple):
    """x^degree is a sum of powers of x; `steps` are the differences of their exponents, the greatest ones first."""

    degree: int
    steps: tuple[int, ...]
    most: int
    """Bits that may be folded at a time: one more and the result would have to be folded again."""


def _folds() -> list[_Fold]:
    folds = []
    for degree, terms in TERMS.items():
        for doubling in range(_DOUBLINGS[degree]):
            steps = tuple((a - b) << doubling for a, b in pairwise(terms))
            folds.append(_Fold(degree << doubling, steps, (degree - terms[0]) << doubling))
    return sorted(folds, reverse=True)


def _table() -> tuple[int, ...]:
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (_POLYNOMIAL if value & 1 else 0)
        table.append(value)
    return tuple(table)


_FOLDS = _folds()
_TABLE = _table()
_SMALL = min(TERMS) // 8


def update(crc: int, data: Bytes) -> int:
    """The checksum of some bytes and of those behind them; `crc` is that of the first ones, 0 if there are none."""
    size = memoryview(data).nbytes
    if size > _SMALL:
        if size > _PIECE:
            with memoryview(data).cast("B") as view:
                for at in range(0, size, _PIECE):
                    crc = update(crc, view[at : at + _PIECE])
            return crc
        data = _folded(crc, data, size * 8)
        crc = 0
    table = _TABLE
    for byte in memoryview(data):
        crc = table[(crc ^ byte) & 255] ^ crc >> 8
    return crc


def _folded(crc: int, data: Bytes, bits: int) -> bytes:
    """A short text that has the checksum, from 0 on, that `data` has from `crc` on."""
    # The first bit, which has the highest degree, is the lowest one.
    value = int.from_bytes(data, "little") ^ crc
    for degree, steps, most in _FOLDS:
        while bits > degree:
            high = min(bits - degree, most)
            part = value & (1 << high) - 1
            value >>= high
            bits -= high
            total = part
            for step in reversed(steps):
                total = total << step ^ part
            # The shift is 0 for a part as long as may be: its first copy then begins where what is left does.
            value ^= total << most - high
    return value.to_bytes((bits + 7) // 8, "little")
