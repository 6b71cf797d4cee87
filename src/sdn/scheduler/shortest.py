"""The fewest live moves that end some breaches, found by allowing one more at a time: for small misfits.

What goes step by step takes the first way that it sees, which near the limit is often a detour or none. Here each way
is tried, depth first, until there are no more moves left than must still be made; a budget of trials ends it, so large
clusters pay a bounded time and small ones are mostly solved.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from itertools import islice

from sdn.scheduler.steps import Steps
from sdn.scheduler.target import Target

BROKEN = 24
"""Workloads that break a rule, at most; with more it is not a small misfit."""

PLACES = 10
"""Targets that are looked at: the least loaded of those that are open."""

MOVABLE = 12
"""Workloads of one such target that may move for others, the smallest."""

FURTHER = 3
"""Moves beyond the fewest thinkable, at most, where nothing else has found a way."""

TRIALS = 12_000
"""Moves that are tried before it is given up."""


def shorten(steps: Steps, broken: Collection[str], why: str, complete: bool) -> bool:
    """Put fewer moves in place of all that were made, so that none of `broken` breaks a rule; False if none were found.

    `complete`: what was made is enough, so only what is shorter counts. If it stays, it stays as it was.
    """
    if not broken or len(broken) > BROKEN:
        return False
    made = tuple(steps.moves)
    steps.back_to(0)
    search = _Search(steps, sorted(broken), why)
    least = search.needed()
    most = min(least + FURTHER, len(made) - 1) if complete else least + FURTHER
    if search.has_room() and any(search.reaches(limit) for limit in range(least, most + 1)):
        return True
    steps.repeat(made)
    return False


class _Search:
    """The workloads and targets in play, and the trials that are left."""

    def __init__(self, steps: Steps, broken: Sequence[str], why: str) -> None:
        self.steps = steps
        self._broken = broken
        self._why = why
        self._left = {target.id: target for key in broken if (target := steps.cluster.where(key))}
        self._places = self._open()
        self._keys = [*broken, *self._others()]
        self._alike = {key: self._likeness(key) for key in self._keys}
        self._trials = TRIALS
        self._seen: dict[tuple[tuple[str, str], ...], int] = {}

    def reaches(self, limit: int) -> bool:
        """Whether so many moves are enough; they are made then."""
        self._seen.clear()
        return self._deepen(limit, "")

    def needed(self) -> int:
        """A number of moves without which the breaches cannot end; 0 only when they have ended."""
        least = sum(self._must_leave(target) for target in self._left.values())
        return least or int(any(self.steps.breach(key) for key in self._broken))

    def has_room(self) -> bool:
        """Whether the places in play are large enough together for all who must leave others."""
        closed = [target for target in self._left.values() if target.closed]
        leaving = [self.steps.workload(key) for target in closed for key in self._broken if key in target.bound]
        memory, cpu = (sum(t.free_memory for t in self._places), sum(t.free_cpu for t in self._places))
        return sum(w.memory for w in leaving) <= memory and sum(w.cpu for w in leaving) <= cpu

    def _must_leave(self, target: Target) -> int:
        """All, if it is in maintenance, else as many of the largest as it has too much."""
        here = [self.steps.workload(key) for key in self._broken if key in target.bound]
        if target.closed:
            return len(here)
        bound = target.bound.values()
        memory = _how_many((w.memory for w in bound), -target.free_memory)
        return max(memory, _how_many((w.cpu for w in bound), -target.free_cpu), -target.free_pods)

    def _deepen(self, left: int, last: str) -> bool:
        """Try all that `left` moves can do; the same workload is not moved twice in a row."""
        needed = self.needed()
        if needed == 0 or needed > left:
            return needed == 0
        state = self._state()
        if self._seen.get(state, 0) >= left:
            return False
        self._seen[state] = left
        mark = self.steps.mark()
        for key, target in self._offers(spare=left > needed, last=last):
            if self._trials <= 0:
                return False
            self._trials -= 1
            if self.steps.go(key, target, self._reason(key)):
                if self._deepen(left - 1, key):
                    return True
                self.steps.back_to(mark)
        return False

    def _offers(self, spare: bool, last: str) -> Iterable[tuple[str, Target]]:
        """Who could go where, as far as room says: those in breach first, all others only with moves to spare."""
        leaving = [key for key in self._broken if self._where(key) in self._left]
        rest = [key for key in self._keys if key not in leaving] if spare else []
        for key in [*leaving, *rest]:
            workload, here = self.steps.workload(key), self._where(key)
            if key == last:
                continue
            for target in self._places:
                if target.id != here and workload.memory <= target.free_memory and workload.cpu <= target.free_cpu:
                    yield key, target

    def _reason(self, key: str) -> str:
        return self._why if key in self._broken else "makes room for others"

    def _where(self, key: str) -> str:
        target = self.steps.cluster.where(key)
        return target.id if target else ""

    def _state(self) -> tuple[tuple[str, str], ...]:
        """Where those in play are; who is alike may change places, but nodes have Pods of their own."""
        return tuple(sorted((alike, self._where(key)) for key, alike in self._alike.items()))

    def _likeness(self, key: str) -> str:
        workload = self.steps.workload(key)
        return key if workload.is_node else str(self.steps.cluster.shape(workload).number)

    def _open(self) -> list[Target]:
        """The targets that those in breach may be looked for on, and those where they are."""
        found: dict[str, Target] = {}
        for key in self._broken:
            candidates = self.steps.candidates.of(self.steps.workload(key))
            found |= {t.id: t for t in islice((t for t in candidates if not t.closed), PLACES)}
        return [*{id_: t for id_, t in [*found.items(), *self._left.items()] if not t.closed}.values()]

    def _others(self) -> list[str]:
        """Who may move although he breaks no rule."""
        found = []
        for target in self._places:
            free = [w for w in target.bound.values() if not w.host and w.key not in self._broken]
            found += [w.key for w in sorted(free, key=lambda w: (w.memory, w.cpu, w.key))[:MOVABLE]]
        return found


def _how_many(sizes: Iterable[int], over: int) -> int:
    """The fewest that are so much together."""
    count = 0
    for size in sorted(sizes, reverse=True):
        if over <= 0:
            break
        over -= size
        count += 1
    return count
