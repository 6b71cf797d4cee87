"""Bind every workload: VMs onto Hosts, then Pods into the VMs that are nodes or onto Hosts that take them.

By priority, and among equals large before small. All that are alike are bound one after another and share one ranking
of their candidates: 150,000 Pods never meet 5,000 Hosts one by one. What finds no place has another workload moved
out of its way, or evicts lower ones; a small lab is tried again in another order, before anybody is refused.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from msgspec.structs import replace

from sdn.errors import UnschedulableError
from sdn.model import Kind, Model, Placement, Together, Workload
from sdn.scheduler.cluster import Cluster
from sdn.scheduler.quotas import set_quotas
from sdn.scheduler.room import Budget, make_room, preempt
from sdn.scheduler.settle import settle
from sdn.scheduler.shape import Shape

SMALL = 40_000
"""Workloads times Hosts and nodes, up to which more than one order is tried."""

ATTEMPTS = 6
"""Orders that are tried."""

ROUNDS = 3
"""How often those whom a move left alone are bound elsewhere."""


class Outcome(NamedTuple):
    """A placement of all that could be placed, and (key, why not) of the others, by key."""

    placement: Placement
    refused: tuple[tuple[str, str], ...]


MADE_ROOM = "makes room for what fits nowhere else"
"""Why somebody moves who could have stayed."""


def place(model: Model, previous: Placement | None = None) -> Placement:
    """Where everything runs; workloads stay where `previous` has them as long as that is still possible.

    Without `previous`, what the Model says is running stays. Raises UnschedulableError with a line for every workload
    that nothing can take.
    """
    outcome = schedule(model, previous)
    if outcome.refused:
        raise UnschedulableError([f"{key}: {why}" for key, why in outcome.refused])
    return outcome.placement


def schedule(model: Model, previous: Placement | None = None) -> Outcome:
    """As `place`, with what could not be placed beside what could."""
    previous = previous or model.running or Placement({})
    best = run = _Run(Cluster(model), previous, {}, packing=False)
    run.bind_all()
    first: dict[str, int] = {}
    small = len(run.cluster.workloads) * len(run.cluster.hosts) <= SMALL
    for attempt in range(1, ATTEMPTS if small else 1):
        if not best.refused:
            break
        for workload in run.refused:
            first[workload.key] = first.get(workload.key, 0) - 1
        run = _Run(Cluster(model), previous, first, packing=attempt % 2 == 1)
        run.bind_all()
        best = min(best, run, key=_Run.loss)  # the earlier one among equals
    return best.outcome()


def bind_rest(cluster: Cluster, waiting: Sequence[Workload]) -> bool:
    """Bind these, all who are bound to nothing, by key, as `schedule` would; False where that takes more than room."""
    run = _Run(cluster, Placement({}), {}, packing=False)
    return not any(run.bind([w for w in waiting if w.kind is kind]) for kind in (Kind.VM, Kind.POD))


class _Run:
    """One order tried: the Cluster, and what did not fit."""

    def __init__(self, cluster: Cluster, previous: Placement, first: dict[str, int], packing: bool) -> None:
        self.cluster = cluster
        self.refused: list[Workload] = []
        self._previous = previous
        self._first = first
        self._packing = packing
        self._budget = Budget()
        self._hopeless: set[Shape] = set()  # of whom one has found no place even so
        self._settled: frozenset[str] = frozenset()  # who run where they may stay
        self._shaken = False  # whether anything that was bound had to go elsewhere

    def bind_all(self) -> None:
        """What stays, then VMs, then Pods."""
        cluster = self.cluster
        set_quotas(cluster)
        settle(cluster, self._previous)
        self._settled = frozenset(key for key in self._previous.hosts if cluster.where(key))
        self._bind_level(Kind.VM)
        for node in [node for node in map(cluster.target, cluster.workloads) if node and not node.host]:
            for key in sorted(node.bound):
                cluster.unbind(key)  # its node runs nowhere
        self._bind_level(Kind.POD)

    def loss(self) -> list[tuple[int, int]]:
        """What is refused, the most important first."""
        counts: defaultdict[int, int] = defaultdict(int)
        for workload in self.refused:
            counts[workload.scheduling.priority] += 1
        return [(priority, counts[priority]) for priority in sorted(counts, reverse=True)]

    def outcome(self) -> Outcome:
        """With the reasons, all asked of the final state."""
        texts: dict[Shape, str] = {}  # the same for all that are alike
        for workload in self.refused:
            shape = self.cluster.shape(workload)
            if shape not in texts:
                texts[shape] = self.cluster.explain(workload).text
        refused = sorted(self.refused, key=lambda w: w.key)
        return Outcome(self.cluster.placement(), tuple((w.key, texts[self.cluster.shape(w)]) for w in refused))

    def _bind_level(self, kind: Kind) -> None:
        cluster = self.cluster
        waiting = [w for w in cluster.workloads.values() if w.kind is kind and cluster.where(w.key) is None]
        failed = self.bind(waiting)
        while failed and len(again := self.bind(failed)) < len(failed):
            failed = again  # somebody whom they must be near may have come meanwhile
        for workload in sorted(failed, key=self._urgency):
            if cluster.where(workload.key) is None and not self._force(workload):
                self.refused.append(workload)
        self._mend()

    def _mend(self) -> None:
        """Who was near somebody that had to go, or is skewed by that, goes elsewhere or is refused.

        After some rounds nobody is bound again, so that it ends.
        """
        sociable = [w for w in self.cluster.workloads.values() if _asks_of_others(w)] if self._shaken else []
        sociable.sort(key=self._urgency, reverse=True)
        for attempt in range(len(sociable) + ROUNDS + 1):
            gone = []
            for workload in sociable:
                target = self.cluster.where(workload.key)
                if target and target.host and self.cluster.broken(workload.key):
                    self.cluster.unbind(workload.key)
                    gone.append(workload)
            if not gone:
                return
            self.refused += self.bind(gone) if attempt < ROUNDS else gone

    def _force(self, workload: Workload) -> bool:
        """Have others move or go for it."""
        cluster, shape = self.cluster, self.cluster.shape(workload)
        if shape in self._hopeless and not cluster.carries(workload):
            return False
        target = cluster.best(workload)
        if target is not None:
            cluster.bind(workload, target)
            return True
        self._shaken = True
        if make_room(cluster, workload, self._budget, self._settled):
            return True
        victims = preempt(cluster, workload, self._budget)
        if victims is None:
            return self._give_up(workload)
        for victim in sorted(victims, key=self._urgency):
            if not self._force(victim):
                self.refused.append(victim)
        return True

    def _give_up(self, workload: Workload) -> bool:
        """A node that finds no place with its Pods is tried without; what is like anybody else is not tried again."""
        node = self.cluster.inside(workload.key)
        if node is None or not node.bound:
            self._hopeless.add(self.cluster.shape(workload))
            return False
        for key in sorted(node.bound):
            self.cluster.unbind(key)
        return self._force(workload)

    def bind(self, workloads: Iterable[Workload]) -> list[Workload]:
        """Bind what fits; returns what does not."""
        groups: defaultdict[object, list[Workload]] = defaultdict(list)
        for workload in workloads:
            alone = self.cluster.carries(workload) or self._first.get(workload.key)
            groups[workload.key if alone else self.cluster.shape(workload)].append(workload)
        failed: list[Workload] = []
        for group in sorted(groups.values(), key=lambda group: self._urgency(group[0])):
            failed += self._bind_group(group)
        return failed

    def _bind_group(self, group: Sequence[Workload]) -> Sequence[Workload]:
        """Bind workloads of one Shape; when one does not fit, none of the rest does."""
        if self._packing:
            return [workload for workload in group if not self._bind_full(workload)]
        start = 0
        if self._bind_with_room(group[0]):
            start = 1
        queue = self.cluster.queue(group[0])
        for index in range(start, len(group)):
            target = queue.best()
            if target is None:
                queue.close()
                return group[index:]
            self.cluster.bind(group[index], target)
            queue.bound(target)
        queue.close()
        return ()

    def _bind_full(self, workload: Workload) -> bool:
        """Bind where least is left, so that whole Hosts stay free for what is large."""
        cluster = self.cluster
        free = [target for target in cluster.targets_of(workload) if not cluster.blocked(workload, target)]
        if not free:
            return False
        cluster.bind(workload, min(free, key=lambda t: (t.free_memory, t.free_cpu, t.free_pods, t.id)))
        return True

    def _bind_with_room(self, workload: Workload) -> bool:
        """Bind the first of those that must share a Host where there is room for all of them."""
        cluster = self.cluster
        rules = [r for r in cluster.shape(workload).rules if r.written.kind is Together.TOGETHER and r.topology == ""]
        rules = [rule for rule in rules if rule.written.must and not rule.counts]
        if not rules or workload.host:
            return False
        members = [
            w
            for w in cluster.workloads.values()
            if w.kind is workload.kind and any(rule in cluster.shape(w).rules for rule in rules)
        ]
        whole = replace(workload, cpu=sum(w.cpu for w in members), memory=sum(w.memory for w in members))
        target = cluster.best(whole)
        if target is None or cluster.blocked(workload, target):
            return False
        cluster.bind(workload, target)
        return True

    def _urgency(self, workload: Workload) -> tuple[object, ...]:
        """Those with the least choice first, then the largest: small ones still fit into what is left."""
        w = workload
        affinity = w.scheduling.affinity
        limited = bool(w.selector or (affinity and affinity.nodes))
        return (
            -w.scheduling.priority,
            self._first.get(w.key, 0),
            not w.host,
            self.cluster.shape(w).hosts is None,
            not limited,
            -w.memory,
            -w.cpu,
            w.key,
        )


def _asks_of_others(workload: Workload) -> bool:
    """Whether it matters to it where others go after it was bound."""
    scheduling = workload.scheduling
    return any(each.required for each in scheduling.spread) or bool(scheduling.affinity and scheduling.affinity.near)
