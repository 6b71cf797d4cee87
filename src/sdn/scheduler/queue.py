"""A Ranking as one kind of workload sees it: with the rules about who is near, and its own replicas.

Targets on which somebody near makes a difference lie in heaps of its own (`near`), those that such a rule forbids wait,
and all others stay in the Ranking, which every kind with equal requests shares.
"""

from __future__ import annotations

from collections.abc import Iterable
from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING

from sdn.model import HOSTNAME, Together, Workload
from sdn.scheduler.score import Score
from sdn.scheduler.shape import Shape
from sdn.scheduler.target import Target

if TYPE_CHECKING:
    from sdn.scheduler.cluster import Cluster
    from sdn.scheduler.ranking import Ranking

Offset = tuple[int, int, int, int, int]  # what all targets of a cell have in common: `Cluster.far_cost`, and its load

NOBODY = (0, 0, 0, 0, 0, 0)
"""`Cluster.near_cost` where nobody near makes a difference."""


class Queue:
    """The best target for one Shape; `close` it before another one uses the Ranking."""

    def __init__(self, cluster: Cluster, ranking: Ranking, shape: Shape, workload: Workload) -> None:
        self._cluster, self._ranking, self._shape = cluster, ranking, shape
        self._workload = workload
        self._carries = cluster.carries(workload)
        self._near: dict[int, list[tuple[Score, int, int]]] = {}  # cell → heap of (score, target, stamp)
        self._held: dict[int, int] = {}  # targets that are out of the Ranking → stamp
        self._clock = 0
        self._waiting: set[int] = set()  # those of them that a rule about who is near forbids
        self._full: set[int] = set()  # those of them that have too little for this Shape
        self._spreads = tuple(each for each in shape.spreads if each.written.required)
        self._together = tuple(r for r in shape.rules if r.written.kind is Together.TOGETHER)
        wanted = (*shape.near, *(term for weight, term in shape.wishes if weight > 0))
        self._wanted = tuple(term for term in wanted if term.topology == HOSTNAME)
        self._social = bool(shape.owner or shape.wishes or shape.spreads or shape.rules)
        self._watched = bool(shape.near or shape.apart or shape.repelled or self._spreads or shape.rules)
        self._state = self._signature()
        self._order: list[tuple[Score, int, int, int]] = []  # (score, cell, its stamp, target)
        self._cell_stamps = [0] * len(ranking.samples)
        for index in ranking.news():
            ranking.push(index)
        self._draw(None)
        for cell in range(len(ranking.samples)):
            self._judge(cell, order=False)
        heapify(self._order)

    def best(self) -> Target | None:
        """The best target that nothing forbids; None if there is none."""
        while self._order:
            _, cell, stamp, index = self._order[0]
            if stamp != self._cell_stamps[cell]:
                heappop(self._order)
                continue
            return self._ranking.targets[index]
        return None

    def bound(self, target: Target) -> None:
        """Somebody of the Shape was bound to it."""
        ranking = self._ranking
        dirty = {ranking.cell_of[ranking.index[target.id]]}
        for index in ranking.news():
            self._full.discard(index)
            self._waiting.discard(index)
            self._push(index) if index in self._held else ranking.push(index)
            dirty.add(ranking.cell_of[index])
        state = self._signature()
        changed = state != self._state
        if changed:
            self._state = state
            self._release()
        if changed or self._cluster.shares_limits:
            dirty = set(range(len(ranking.samples)))
        if target.node:
            siblings = (ranking.index.get(each.id) for each in self._cluster.on_host(target.host))
            dirty.update(ranking.cell_of[index] for index in siblings if index is not None)
        for label in self._shape.topologies:
            dirty.update(ranking.cells_at.get((label, target.places.get(label)), ()))
        self._draw(target)
        if self._held.get(ranking.index[target.id]):
            self._push(ranking.index[target.id])
        for cell in dirty:
            self._judge(cell)

    def close(self) -> None:
        """Give everything back to the Ranking."""
        for index in self._held:
            self._ranking.push(index)
        self._held.clear()

    def _signature(self) -> tuple[object, ...]:
        """What forbids targets far from the one that somebody was bound to."""
        if not self._watched:
            return ()
        return (
            *(each.least() for each in self._spreads),
            *(bool(term.counts) for term in self._shape.near),
            *(bool(rule.counts) for rule in self._together),
        )

    def _release(self) -> None:
        """What was forbidden may no longer be."""
        for index in self._waiting:
            self._ranking.push(index)
            del self._held[index]
        self._waiting.clear()

    def _draw(self, around: Target | None) -> None:
        """Targets that somebody near makes better are looked at first, for they lie anywhere in the Ranking."""
        for target in self._attractive(around):
            index = self._ranking.index.get(target.id)
            if index is not None and index not in self._waiting and index not in self._full:
                self._push(index)

    def _attractive(self, around: Target | None) -> Iterable[Target]:
        if not self._wanted and not self._together:
            return
        names = {around.id} if around else {domain for term in self._wanted for domain in term.counts}
        for name in sorted(names):
            if found := self._cluster.target(name):
                yield found
        if self._together:
            hosts = {around.host} if around else {h for r in self._together if r.topology == "" for h in r.counts}
            for host in sorted(hosts):
                yield from self._cluster.on_host(host)

    def _push(self, index: int) -> None:
        """Into a heap of our own, in place of what was known of it."""
        ranking = self._ranking
        if index not in self._held:
            ranking.take(index)
        self._clock += 1
        stamp = self._held[index] = self._clock
        heap = self._near.setdefault(ranking.cell_of[index], [])
        heappush(heap, (self._score(index), index, stamp))

    def _judge(self, cell: int, order: bool = True) -> None:
        """Find the best target of a cell anew."""
        self._cell_stamps[cell] += 1
        if self._shape.topologies and self._closed(self._ranking.samples[cell]):
            return
        sample = self._ranking.samples[cell]
        far = self._cluster.far_cost(self._shape, sample) if self._social else (0, 0, 0, 0)
        offset = (*far, sample.adds(self._shape.workload))
        other = self._best_other(cell, offset)
        near = self._best_near(cell)
        best: tuple[Score, int] | None = near
        if near is not None:
            best = (_sum(near[0], offset), near[1])
        if other is not None and (best is None or other[0] < best[0]):
            best = other
        if best is not None:
            entry = (best[0], cell, self._cell_stamps[cell], best[1])
            heappush(self._order, entry) if order else self._order.append(entry)

    def _closed(self, sample: Target) -> bool:
        """Whether a rule about domains forbids the whole cell."""
        return self._cluster.forbidden(self._shape, sample, far=True) is not None

    def _best_near(self, cell: int) -> tuple[Score, int] | None:
        """Of the targets where somebody near makes a difference; without the offset of the cell."""
        heap = self._near.get(cell)
        while heap:
            known, index, stamp = heap[0]
            if self._held.get(index) != stamp or self._unfit(index):
                heappop(heap)
            elif (now := self._score(index)) != known:
                heappop(heap)
                heappush(heap, (now, index, stamp))
            else:
                return known, index
        return None

    def _best_other(self, cell: int, offset: Offset) -> tuple[Score, int] | None:
        """Of all others; on the way there, those where somebody near makes a difference by now move over."""
        ranking, shape = self._ranking, self._shape
        while (index := ranking.peek(cell)) is not None:
            target = ranking.targets[index]
            if self._social and self._cluster.near_cost(shape, target) != NOBODY:
                self._push(index)
                continue
            if self._unfit(index):
                continue
            dislike, opening, wish = self._cluster.standing_cost(shape, target)
            d, w, s, r, load = offset
            return (dislike, opening, d, wish + w, s, r, 0, 0, target.load + load, target.id), index
        return None

    def _unfit(self, index: int) -> bool:
        """Sort out a target that cannot be bound to: for this Shape, or until a rule about who is near allows it."""
        ranking, shape = self._ranking, self._shape
        target = ranking.targets[index]
        if self._cluster.full(shape, target, self._workload.key):
            self._set_aside(index, self._full)
            return True
        if (self._watched and self._cluster.forbidden(shape, target)) or (
            self._carries and self._cluster.unfit_inside(self._workload, target)
        ):
            self._set_aside(index, self._waiting)
            return True
        return False

    def _set_aside(self, index: int, why: set[int]) -> None:
        if index not in self._held:
            self._ranking.take(index)
        self._held[index] = 0
        why.add(index)

    def _score(self, index: int) -> Score:
        target = self._ranking.targets[index]
        dislike, opening, wish = self._cluster.standing_cost(self._shape, target)
        near = self._cluster.near_cost(self._shape, target)
        return (
            dislike,
            opening,
            near[0],
            wish + near[1],
            *near[2:],
            target.load,
            target.id,
        )


def _sum(score: Score, offset: Offset) -> Score:
    a, b, c, d, e, f, host, own, load, name = score
    p, q, r, s, t = offset
    return a, b, c + p, d + q, e + r, f + s, host, own, load + t, name
