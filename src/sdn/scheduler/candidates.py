"""Where a workload can go, without looking at every Host: the least loaded first, kept in order while moves change it.

Only the first few that no rule forbids are compared by cost, because with thousands of Hosts the difference to the best
of all is small and the time is not.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Collection, Iterable, Iterator
from itertools import islice

from sdn.model import WORKER, Kind, Workload
from sdn.scheduler.cluster import Cluster
from sdn.scheduler.score import SCALE
from sdn.scheduler.target import Target

WHOLE = 64
"""Hosts of a cluster that is small enough to compare all that fit by cost."""

COMPARED = 16
"""Targets that fit and are compared by cost in larger ones."""


class Ladder:
    """Targets by how much of their scarcest resource is used, then by name."""

    def __init__(self, targets: Iterable[Target]) -> None:
        self._load = {target.id: used(target) for target in targets}
        self._targets = {target.id: target for target in targets}
        self._rungs = sorted((load, name) for name, load in self._load.items())

    def __iter__(self) -> Iterator[Target]:
        """Least loaded first; nothing may change meanwhile."""
        return (self._targets[name] for _, name in self._rungs)

    def changed(self, target: Target) -> None:
        """Something was bound to it or taken off; a target that is not on the ladder is nothing to it."""
        before = self._load.get(target.id)
        now = used(target)
        if before is None or before == now:
            return
        del self._rungs[bisect_left(self._rungs, (before, target.id))]
        insort(self._rungs, (now, target.id))
        self._load[target.id] = now


class Candidates:
    """The ladders of one Cluster: Hosts for VMs, and whatever takes Pods."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        nodes = [node for w in cluster.workloads.values() if w.is_node and (node := cluster.target(w.key))]
        self.hosts = Ladder(cluster.hosts)
        self._compared = WHOLE if len(cluster.hosts) <= WHOLE else COMPARED
        workers = [host for host in cluster.hosts if WORKER in host.labels]
        self._pods = Ladder([*nodes, *workers]) if nodes else self.hosts

    def of(self, workload: Workload) -> Iterable[Target]:
        """All that it may be looked for on, least loaded first unless it is pinned."""
        if workload.host:
            return self._cluster.targets_of(workload)
        return self.hosts if workload.kind is Kind.VM else self._pods

    def best(self, workload: Workload, avoid: Collection[str] = ()) -> Target | None:
        """The cheapest of the least loaded targets that no rule forbids; `workload` must be bound to nothing.

        `avoid` are names of Hosts, with all nodes on them, and keys of nodes.
        """
        affinity = workload.scheduling.affinity
        wishes = affinity is not None and (affinity.wishes or affinity.apart_wishes)
        found = list(islice(self._found(workload, avoid), None if wishes else self._compared))
        if len(found) < 2:
            return found[0] if found else None
        return min(found, key=lambda target: self._cluster.cost(workload, target))

    def ranked(self, workload: Workload, avoid: Collection[str] = ()) -> Iterator[Target]:
        """All that no rule forbids: the cheapest of the least loaded first, then the cheapest of the next ones.

        Nothing may be bound meanwhile, except what is taken off again before the next is asked for.
        """
        found = self._found(workload, avoid)
        while several := list(islice(found, self._compared)):
            yield from sorted(several, key=lambda target: self._cluster.cost(workload, target))

    def _found(self, workload: Workload, avoid: Collection[str]) -> Iterator[Target]:
        return (target for target in self.of(workload) if self._fits(workload, target, avoid))

    def _fits(self, workload: Workload, target: Target, avoid: Collection[str]) -> bool:
        if workload.memory > target.free_memory or workload.cpu > target.free_cpu:
            return False
        if target.host in avoid or target.id in avoid:
            return False
        return self._cluster.blocked(workload, target) is None

    def changed(self, target: Target) -> None:
        """Something was bound to it or taken off."""
        self.hosts.changed(target)
        if self._pods is not self.hosts:
            self._pods.changed(target)


def used(target: Target) -> int:
    """Of the scarcest resource, in parts of SCALE; something without room is full."""
    shares = ((target.cpu, target.free_cpu), (target.memory, target.free_memory), (target.pods, target.free_pods))
    return max((room - free) * SCALE // room if room else SCALE for room, free in shares)
