"""The best target again and again, without scoring all of them each time.

A Ranking holds the candidates of one kind of request in cells: those of one cell are in the same domains of every
topology that the request's rules speak of, so a rule about domains is asked once per cell, and of one size, so that a
workload of whatever size finds them in the same order. In a cell they lie in a heap
whose scores may be out of date, which is harmless because they only grow while workloads are bound; what may have
become better is pushed again.
"""

from __future__ import annotations

from collections.abc import Sequence
from heapq import heapify, heappop, heappush, heapreplace
from typing import TYPE_CHECKING

from sdn.scheduler.shape import Shape
from sdn.scheduler.target import Target

if TYPE_CHECKING:
    from sdn.scheduler.cluster import Cluster

Base = tuple[int, int, int, int, str]  # dislike, opening, wish, load, name


MOSTLY_VOID = 8
"""A heap of so many entries for each target of its cell is cleared of those that are void."""


class Ranking:
    """Targets for requests that differ in size alone, and by less than twice, as if nobody were near.

    Those that have no room for the least of these drop out.
    """

    def __init__(self, cluster: Cluster, shape: Shape, candidates: Sequence[Target]) -> None:
        self._cluster = cluster
        self.shape = shape
        fits_ = cluster.standing.fits
        self.targets = [target for target in candidates if fits_(shape, target)]
        self.index = {target.id: index for index, target in enumerate(self.targets)}
        w = shape.workload
        self._least = (1 << w.cpu.bit_length() >> 1, 1 << w.memory.bit_length() >> 1)
        self._stamps = [0] * len(self.targets)  # an entry with another stamp is void
        self.cell_of: list[int] = []
        self.samples: list[Target] = []  # one target of each cell
        self.cells_at: dict[tuple[str, str | None], list[int]] = {}  # (topology, domain) → cells
        self._heaps: list[list[tuple[Base, int, int]]] = []
        self._divide()
        self._sizes = [len(heap) for heap in self._heaps]
        self._seen = cluster.loosened.now

    def _divide(self) -> None:
        known: dict[object, int] = {}
        topologies = self.shape.topologies
        for index, target in enumerate(self.targets):
            domains = tuple([target.places.get(label) for label in topologies])
            cell = known.setdefault((domains, target.weights), len(known))
            if cell == len(self._heaps):
                self._heaps.append([])
                self.samples.append(target)
                for pair in zip(topologies, domains, strict=True):
                    self.cells_at.setdefault(pair, []).append(cell)
            self.cell_of.append(cell)
            self._heaps[cell].append((self._score(target), index, 0))
        for heap in self._heaps:
            heapify(heap)

    def news(self) -> list[int]:
        """What may have become better since somebody last asked."""
        log, seen = self._cluster.loosened, self._seen
        if log.now == seen:
            return []
        self._seen = log.now
        return sorted(self.index[name] for name in log.since(seen) if name in self.index)

    def peek(self, cell: int) -> int | None:
        """The best target of a cell that has any room; it stays."""
        heap = self._heaps[cell]
        while heap:
            known, index, stamp = heap[0]
            target = self.targets[index]
            if stamp != self._stamps[index] or not self._has_room(target):
                heappop(heap)
                continue
            now = self._score(target)
            if now == known:
                return index
            heapreplace(heap, (now, index, stamp))
        return None

    def _has_room(self, target: Target) -> bool:
        cpu, memory = self._least
        return target.free_cpu >= cpu and target.free_memory >= memory and target.free_pods > 0

    def take(self, index: int) -> None:
        """Leave a target out until it is pushed again."""
        self._stamps[index] += 1

    def push(self, index: int) -> None:
        """Put a target back, or say that it may have become better."""
        self._stamps[index] += 1
        cell = self.cell_of[index]
        heap = self._heaps[cell]
        heappush(heap, (self._score(self.targets[index]), index, self._stamps[index]))
        if len(heap) > MOSTLY_VOID * self._sizes[cell]:
            heap[:] = [entry for entry in heap if entry[2] == self._stamps[entry[1]]]
            heapify(heap)

    def _score(self, target: Target) -> Base:
        return (*self._cluster.standing_cost(self.shape, target), target.load, target.id)
