"""Which of the targets that fit is best: the smallest score wins, and a name decides between equals.

Every part of a score only grows while workloads are bound to anything; `place` relies on it to look again at nothing
but the best candidate. That rules out Kubernetes' balance score, which can fall; the scarcest resource stands in.
"""

from __future__ import annotations

from collections import defaultdict

from sdn.model import Effect, Workload
from sdn.scheduler.filters import tolerates
from sdn.scheduler.target import Target

Owner = tuple[str, str, str]  # namespace, kind and name of what made the replicas
Score = tuple[int, int, int, int, int, int, str]

NOBODY = (0, 0, 0)
"""No replica of the owner in a target's domain, on its Host, or on itself."""

SCALE = 10_000
"""Scores are whole numbers, so that they are equal on every machine."""


class Spread:
    """How many replicas of each owner are in each domain, on each Host and on each target."""

    def __init__(self) -> None:
        self._domains: defaultdict[tuple[Owner, str, str], int] = defaultdict(int)
        self._hosts: defaultdict[tuple[Owner, str], int] = defaultdict(int)
        self._targets: defaultdict[tuple[Owner, str, str], int] = defaultdict(int)

    def add(self, owner: Owner | None, workload: Workload, target: Target) -> None:
        """Count a replica that was bound; a workload without an owner has no replicas."""
        if owner is None:
            return
        self._domains[owner, workload.spread, target.domain(workload.spread)] += 1
        self._hosts[owner, target.host] += 1
        self._targets[owner, target.host, target.node] += 1

    def remove(self, owner: Owner | None, workload: Workload, target: Target) -> None:
        """No longer count a replica; its target is still where it was when it was counted."""
        if owner is None:
            return
        self._domains[owner, workload.spread, target.domain(workload.spread)] -= 1
        self._hosts[owner, target.host] -= 1
        self._targets[owner, target.host, target.node] -= 1

    def counts(self, owner: Owner | None, workload: Workload, target: Target) -> tuple[int, int, int]:
        """Replicas of the same owner in the target's domain, on its Host, and on itself."""
        if owner is None:
            return NOBODY
        return (
            self._domains.get((owner, workload.spread, target.domain(workload.spread)), 0),
            self._hosts.get((owner, target.host), 0),
            self._targets.get((owner, target.host, target.node), 0),
        )


def owner_of(workload: Workload) -> Owner | None:
    """Whose replica it is."""
    return (workload.namespace, *workload.owner) if any(workload.owner) else None


def reluctance(workload: Workload, target: Target) -> int:
    """PreferNoSchedule taints that the workload does not tolerate: such a target is used when no other fits."""
    return sum(taint.effect is Effect.PREFER_NO_SCHEDULE and not tolerates(workload, taint) for taint in target.taints)


def load(workload: Workload, target: Target) -> tuple[int, int]:
    """What would be used after binding: of the scarcest resource, then over all three together (of 1 and 3 SCALE)."""
    cpu = _used(target.cpu, target.free_cpu - workload.cpu)
    memory = _used(target.memory, target.free_memory - workload.memory)
    pods = _used(target.pods, target.free_pods - 1)
    return max(cpu, memory, pods), cpu + memory + pods


def _used(capacity: int, free: int) -> int:
    return (capacity - free) * SCALE // capacity if capacity else SCALE


def score(workload: Workload, owner: Owner | None, target: Target, reluctant: int, spread: Spread) -> Score:
    """Taints first, then few replicas of the same owner, then the least loaded, then the name."""
    return (
        reluctant,
        *spread.counts(owner, workload, target),
        *load(workload, target),
        target.id,
    )
