"""What two descriptions of one lab do not have in common, of things or places: most are the very same objects in both.

A lab that runs is described anew at every event, and looking into each workload would cost more than the event.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import compress, count, islice
from operator import is_not
from typing import TypeVar

from sdn.model.workload import Workload

T = TypeVar("T")
Pair = tuple[Workload | None, Workload | None]
"""A workload as it is in the one and in the other; None where it is not there."""


def differing(before: Sequence[Workload], after: Sequence[Workload]) -> dict[str, Pair]:
    """Key → what is there before and after, sorted by key, of those that are not equal."""
    return differing_by(before, after, lambda one: one.key)


def differing_by(
    before: Sequence[T], after: Sequence[T], key: Callable[[T], str]
) -> dict[str, tuple[T | None, T | None]]:
    """The same of whatever has a key of its own."""
    if before is after:
        return {}
    head, tail = alike(before, after)
    old = _by_identity(before[head : len(before) - tail])
    new = _by_identity(after[head : len(after) - tail])
    was = {key(old[one]): old[one] for one in old.keys() - new.keys()}
    now = {key(new[one]): new[one] for one in new.keys() - old.keys()}
    pairs = {name: (was.get(name), now.get(name)) for name in sorted(was.keys() | now.keys())}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def alike(before: Sequence[object], after: Sequence[object]) -> tuple[int, int]:
    """How many at the beginning, and how many of the others at the end, are the same objects."""
    shorter = min(len(before), len(after))
    head = _shared(before, after, shorter)
    return head, _shared(reversed(before), reversed(after), shorter - head)


def _by_identity(things: Sequence[T]) -> dict[int, T]:
    """Without a step of Python for each: between the place that one left and the one that it took are thousands."""
    return dict(zip(map(id, things), things, strict=True))


def moved(before: dict[str, str], after: dict[str, str]) -> set[str]:
    """Who is elsewhere: the keys that do not have the same value in both."""
    if before is after:
        return set()
    most = min(len(before), len(after))
    head = min(_shared(before, after, most), _shared(before.values(), after.values(), most))
    tail = _shared(reversed(before), reversed(after), most - head)
    tail = min(tail, _shared(reversed(before.values()), reversed(after.values()), most - head))
    old = dict(islice(before.items(), head, len(before) - tail))
    new = dict(islice(after.items(), head, len(after) - tail))
    return {key for key in old.keys() | new.keys() if old.get(key) != new.get(key)}


def _shared(one: Iterable[object], other: Iterable[object], most: int) -> int:
    """How many at the beginning of both are the same objects, up to so many."""
    return min(most, next(compress(count(), map(is_not, one, other)), most))
