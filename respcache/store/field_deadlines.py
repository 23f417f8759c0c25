"""When the fields of one hash die.

A few deadlines are a plain dict with a lower bound of the earliest; to look for those that are due is to walk all
of it. From `FEW` on they are spread over slots by their hash, in the structure that also keeps the deadlines of keys.
"""

from __future__ import annotations

from collections.abc import Iterator

from respcache.store.expiry import TIME, Deadlines
from respcache.store.sizes import allocated

FEW = 2048
"""What is walked at once in 0.2 ms. Spread over the slots so few deadlines would take 300 bytes each, not 100."""
_SLOTS = 4095
"""A mask. A hash of a million fields has 250 to a slot, which is what one look walks over."""
_NEVER = 1 << 63


class FieldDeadlines:
    """Deadlines by field, in milliseconds since the epoch. Its length is their number."""

    __slots__ = ("_few", "_look", "_many")

    def __init__(self) -> None:
        self._few: dict[bytes, int] = {}
        self._look = _NEVER  # none of the few is earlier
        self._many: Deadlines | None = None  # in place of the few

    def __len__(self) -> int:
        return len(self._few) if self._many is None else self._many.count

    def get(self, field: bytes) -> int | None:
        """The deadline of a field, or None."""
        many = self._many
        return self._few.get(field) if many is None else many.get(hash(field) & _SLOTS, field)

    def set(self, field: bytes, when: int) -> None:
        """Gives a field a deadline, in place of the one it may have."""
        if self._many is not None:
            self._many.set(hash(field) & _SLOTS, field, when)
            return
        self._few[field] = when
        self._look = min(when, self._look)
        if len(self._few) > FEW:
            many = Deadlines()
            for each, its in self._few.items():
                many.set(hash(each) & _SLOTS, each, its)
            self._few, self._many = {}, many

    def drop(self, field: bytes) -> int | None:
        """Takes a field's deadline away, and returns it; None if there was none."""
        many = self._many
        return self._few.pop(field, None) if many is None else many.drop(hash(field) & _SLOTS, field)

    def next_look(self) -> int | None:
        """When `take_due` may find something: no deadline is earlier. None: there are none."""
        if self._many is not None:
            return self._many.next_look()
        return self._look if self._few else None

    def take_due(self, now: int, most: int) -> list[bytes] | None:
        """Some of the fields that are due, for the caller to drop. None: no more of them are.

        About `most` deadlines are looked at, and the list may be empty though there is more to do.
        """
        if self._many is not None:
            found = self._many.take_due(now, most)
            return None if found is None else found[1]
        if self._look > now:
            return None
        due = [field for field, when in self._few.items() if when <= now]
        self._look = (
            now if len(due) > most else min((at for at in self._few.values() if at > now), default=_NEVER)
        )
        return due[:most] or None

    def items(self) -> Iterator[tuple[bytes, int]]:
        """All fields that have a deadline, and it."""
        if self._many is None:
            yield from self._few.items()
        else:
            for slot in self._many.slots.values():
                yield from slot.items()

    def copy(self) -> FieldDeadlines:
        """The same deadlines, apart from these."""
        made = FieldDeadlines()
        for field, when in self.items():
            made.set(field, when)
        return made

    def parts(self) -> list[dict[bytes, int]]:
        """The builtin dicts that it consists of."""
        return [self._few] if self._many is None else list(self._many.slots.values())

    def footprint(self) -> int:
        """Bytes of it, without the fields."""
        if self._many is None:
            return allocated(self) + allocated(self._few) + len(self._few) * TIME
        return allocated(self) + self._many.footprint()
