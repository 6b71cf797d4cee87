"""The best target again and again, without scoring all of them each time.

Two heaps whose scores may be out of date, which is harmless because scores only grow: a best entry that is still true
is the best. A Ranking knows nothing of owners, so all owners that ask for the same share one; what an owner's replicas
have made different for it lives in its own Queue and goes back afterwards.
"""

from __future__ import annotations

from collections.abc import Sequence
from heapq import heapify, heappop, heappush

from sdn.model import Workload
from sdn.scheduler.filters import fits
from sdn.scheduler.score import NOBODY, Score, Spread, load, owner_of, reluctance, score
from sdn.scheduler.target import Target


class Ranking:
    """Targets for one kind of request, best first as if nobody had replicas; those that are full drop out for good."""

    def __init__(self, workload: Workload, targets: Sequence[Target]) -> None:
        self.workload = workload
        self.targets = targets
        self.reluctant = [reluctance(workload, target) for target in targets]
        self._heap = [(self._score(index), index) for index in range(len(targets))]
        heapify(self._heap)

    def pop(self) -> int | None:
        """Take out the best target that fits."""
        while self._heap:
            known, index = heappop(self._heap)
            if not fits(self.workload, self.targets[index]):
                continue
            now = self._score(index)
            if now == known:
                return index
            heappush(self._heap, (now, index))
        return None

    def push(self, index: int) -> None:
        """Put a target back."""
        heappush(self._heap, (self._score(index), index))

    def _score(self, index: int) -> tuple[int, int, int, str]:
        target = self.targets[index]
        return (self.reluctant[index], *load(self.workload, target), target.id)


class Queue:
    """A Ranking as one owner sees it; `close` it before anybody else uses the Ranking."""

    def __init__(self, ranking: Ranking, workload: Workload, spread: Spread) -> None:
        self._ranking = ranking
        self._workload = workload
        self._owner = owner_of(workload)
        self._spread = spread
        self._own: list[tuple[Score, int]] = []  # targets that this owner's replicas made worse
        self._spare: int | None = None  # the best of the others, out of the ranking
        self._current = 0

    def best(self) -> Target | None:
        """The best target that fits, taken out until `put_back`; None if there is none."""
        spare = self._best_other()  # first, because it may move targets over
        own = self._best_own()
        if spare is not None and (own is None or self._score(spare) < own[0]):
            self._current, self._spare = spare, None
        elif own is not None:
            self._current = heappop(self._own)[1]
        else:
            return None
        return self._ranking.targets[self._current]

    def put_back(self) -> None:
        """Offer the target that `best` gave again, after something was bound to it."""
        self._return(self._current)

    def close(self) -> None:
        """Give everything back to the ranking."""
        for _, index in self._own:
            self._ranking.push(index)
        if self._spare is not None:
            self._ranking.push(self._spare)
        self._own, self._spare = [], None

    def _score(self, index: int) -> Score:
        return score(
            self._workload, self._owner, self._ranking.targets[index], self._ranking.reluctant[index], self._spread
        )

    def _counts(self, index: int) -> tuple[int, int, int]:
        return self._spread.counts(self._owner, self._workload, self._ranking.targets[index])

    def _best_own(self) -> tuple[Score, int] | None:
        """The best of those that hold replicas; it stays where it is."""
        while self._own:
            known, index = self._own[0]
            if not fits(self._workload, self._ranking.targets[index]):
                heappop(self._own)
            elif (now := self._score(index)) == known:
                return self._own[0]
            else:
                heappop(self._own)
                heappush(self._own, (now, index))
        return None

    def _best_other(self) -> int | None:
        """The best of those without replicas; on the way there, those that have some by now move over."""
        index = self._spare if self._spare is not None else self._ranking.pop()
        while index is not None and self._counts(index) != NOBODY:
            heappush(self._own, (self._score(index), index))
            index = self._ranking.pop()
        self._spare = index
        return index

    def _return(self, index: int) -> None:
        if self._counts(index) == NOBODY:
            self._ranking.push(index)
        else:
            heappush(self._own, (self._score(index), index))
