"""What all Hosts with the same Applications see of each other: made once, and the same objects on every one of them.

Of 5,000 Hosts each has routes, neighbours and FDB entries for 4,999 others; 75 million values of their own would need
10 GiB, as references to 15,000 common ones they need 600 MiB. Every tuple is sorted, so a Host's few own things are
searched for and put between slices of it, and nothing is compared one by one.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from typing import Any, NamedTuple, TypeVar

from sdn.plan.state import Fdb, Neighbour, Route

Thing = TypeVar("Thing", Fdb, Neighbour, Route)


class Shared(NamedTuple):
    """As a Host sees it that holds no member of anything; each sorted."""

    routes: tuple[Route, ...] = ()
    neighbours: tuple[Neighbour, ...] = ()
    fdb: tuple[Fdb, ...] = ()


NOTHING = Shared()


def joined(parts: Iterable[tuple[Thing, ...]]) -> tuple[Thing, ...]:
    """Several sorted tuples as one, each thing once."""
    found = [part for part in parts if part]
    if len(found) < 2:
        return found[0] if found else ()
    return tuple(sorted({thing for part in found for thing in part}))


def spliced(shared: tuple[Thing, ...], without: Iterable[Thing], own: Iterable[Thing]) -> tuple[Thing, ...]:
    """`shared` with some things of `own` and without those of `without` that are in it, still sorted."""
    cuts: list[tuple[int, int, Any]] = []  # where, how many of `shared` go, what comes
    for thing in sorted(own):
        cuts.append((bisect_left(shared, thing), 0, thing))
    for thing in without:
        index = bisect_left(shared, thing)
        if index < len(shared) and shared[index] == thing:
            cuts.append((index, 1, None))
    if not shared:
        return tuple(thing for _, _, thing in cuts)
    found: list[Thing] = []
    done = 0
    for index, gone, thing in sorted(cuts, key=_order):
        found += shared[done:index]
        if not gone:
            found.append(thing)
        done = index + gone
    found += shared[done:]
    return tuple(found)


def _order(cut: tuple[int, int, Any]) -> tuple[int, int]:
    """What comes lies before what goes there; of several that come the order is kept."""
    return cut[:2]
