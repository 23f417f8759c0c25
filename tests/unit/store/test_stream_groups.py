"""Consumer groups: ids in order, what is pending for whom."""

from __future__ import annotations

import random

from respcache.store.stream_groups import Consumer, Group, Ids


def test_ids_like_a_sorted_list() -> None:
    chance = random.Random(7)
    ids, model = Ids(), set[int]()
    for step in range(20_000):
        if model and chance.random() < (0.3 if step < 10_000 else 0.8):
            id = chance.choice(sorted(model)[:50]) if step % 50 == 0 else next(iter(model))
            ids.remove(id)
            model.discard(id)
        else:
            id = chance.randrange(1 << 40) if step % 3 else step + (1 << 41)
            if id not in model:
                ids.add(id)
                model.add(id)
        if step % 500 == 0:
            expected = sorted(model)
            assert list(ids) == expected
            assert len(ids) == len(expected)
            if expected:
                assert (ids.first, ids.last) == (expected[0], expected[-1])
                low, high = sorted(chance.sample(expected, 2)) if len(expected) > 1 else (0, 1)
                assert list(ids.between(low + 1, high)) == [one for one in expected if low < one <= high]
    assert list(Ids((3, 1, 2)).between(9, 10)) == []


def make() -> tuple[Group, Consumer, Consumer]:
    group = Group(0)
    x, y = (group.consumers.setdefault(name, Consumer(name, 5)) for name in (b"x", b"y"))
    group.deliver([1, 2, 3], x, 10)
    group.deliver([4], y, 11)
    return group, x, y


def test_delivering_and_dropping() -> None:
    group, x, y = make()
    assert list(group.ids) == [1, 2, 3, 4]
    assert list(x.pending) == [1, 2, 3]
    group.deliver([2], y, 20)
    assert list(y.pending) == [2, 4]
    assert (group.pending[2].delivered, group.pending[2].count) == (20, 1)
    assert group.drop(2)
    assert not group.drop(2)
    assert (list(group.ids), list(x.pending), list(y.pending)) == ([1, 3, 4], [1, 3], [4])
    assert group.remove_consumer(b"x") == 2
    assert (list(group.ids), list(group.pending)) == ([4], [4])


def test_a_copy_shares_nothing() -> None:
    group, x, _ = make()
    x.active = 10
    twin = group.copy()
    group.drop(1)
    group.pending[2].count = 9
    assert list(twin.ids) == [1, 2, 3, 4]
    assert twin.pending[2].count == 1
    assert twin.pending[2].consumer is twin.consumers[b"x"] is not x
    assert (twin.consumers[b"x"].active, twin.consumers[b"x"].seen) == (10, 5)


def test_its_parts_are_all_that_is_big() -> None:
    group, *_ = make()
    assert sum(map(len, group.parts())) >= 4
    assert group.pending in group.parts()
