"""Which of the targets that fit is best: the smallest score wins, and a name decides between equals.

In the order of weight: taints that ask to stay away and rules that should hold about Hosts; places that others of
another level need; rules that should hold between workloads; affinity; spread; replicas of the same owner in its
domain, on its Host, on itself; load, which adds up what would be used of each resource (Kubernetes' LeastAllocated).
Load only grows while workloads are bound, so that a heap may hold old ones, and it puts all targets of one size in the
same order whatever is asked for, so that workloads of all sizes share one heap. The scarcest resource alone would not.
"""

from __future__ import annotations

from collections import defaultdict

from sdn.model import Effect, Workload
from sdn.scheduler.filters import tolerates
from sdn.scheduler.shape import Owner, Shape
from sdn.scheduler.target import Target

Score = tuple[int, int, int, int, int, int, int, int, int, str]

SCALE = 10_000
"""Shares are whole numbers of this, so that they are equal on every machine."""


class Replicas:
    """How many replicas of each owner are in each domain, on each Host and on each target."""

    def __init__(self) -> None:
        self._domains: defaultdict[tuple[Owner, str, str], int] = defaultdict(int)
        self._targets: defaultdict[tuple[Owner, str], int] = defaultdict(int)

    def count(self, shape: Shape, target: Target, by: int) -> None:
        """A workload of that shape came (1) or went (-1); one without an owner has no replicas."""
        owner = shape.owner
        if owner is None:
            return
        label = shape.workload.spread
        if label:
            self._domains[owner, label, target.domain(label)] += by
        self._targets[owner, target.host] += by
        if target.node:
            self._targets[owner, target.node] += by

    def in_domain(self, shape: Shape, target: Target) -> int:
        """Replicas in the domain of the label over which they are spread; 0 where that is the Host."""
        label = shape.workload.spread
        if shape.owner is None or not label:
            return 0
        return self._domains.get((shape.owner, label, target.domain(label)), 0)

    def near(self, shape: Shape, target: Target) -> tuple[int, int]:
        """Replicas on the Host, and on the target itself."""
        owner = shape.owner
        if owner is None:
            return 0, 0
        on_host = self._targets.get((owner, target.host), 0)
        return on_host, self._targets.get((owner, target.node), 0) if target.node else on_host


def reluctance(workload: Workload, target: Target) -> int:
    """PreferNoSchedule taints that the workload does not tolerate: such a target is used when no other fits."""
    return sum(taint.effect is Effect.PREFER_NO_SCHEDULE and not tolerates(workload, taint) for taint in target.taints)
