"""Bind every workload: VMs onto Hosts, then Pods onto the VMs that are nodes, or onto Hosts if there are none.

Workloads with the same requests and the same owner are bound one after another, and all with the same requests share
one ranking of their candidates: 150,000 Pods never meet 5,000 Hosts one by one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from sdn.errors import UnschedulableError
from sdn.model import Kind, Model, Placement, Workload
from sdn.scheduler.cluster import Cluster
from sdn.scheduler.filters import explain
from sdn.scheduler.ranking import Queue, Ranking
from sdn.scheduler.score import owner_of
from sdn.scheduler.target import Target

NAMES_SHOWN = 8
"""Names that an error lists before it only counts."""


def place(model: Model, previous: Placement | None = None) -> Placement:
    """Where everything runs; workloads stay where `previous` has them as long as that is still possible.

    Without `previous`, what the Model says is running stays. Raises UnschedulableError with a line for every workload
    that nothing can take.
    """
    scheduler = _Scheduler(model, previous or model.running or Placement({}))
    scheduler.bind_all([workload for workload in model.workloads if workload.kind is Kind.VM])
    scheduler.bind_all([workload for workload in model.workloads if workload.kind is Kind.POD])
    if scheduler.reasons:
        raise UnschedulableError(sorted(scheduler.reasons))
    return scheduler.cluster.placement()


class _Scheduler:
    """One run: the Cluster, and what did not fit."""

    def __init__(self, model: Model, previous: Placement) -> None:
        self.cluster = Cluster(model)
        self.reasons: list[str] = []
        self._previous = previous

    def bind_all(self, workloads: Sequence[Workload]) -> None:
        """First what stays, then pins, then large before small."""
        groups: defaultdict[tuple[object, ...], list[Workload]] = defaultdict(list)
        for workload in sorted(workloads, key=lambda w: w.key):
            target = self._previous_target(workload)
            if target and not self.cluster.blocked(workload, target, staying=True):
                self.cluster.bind(workload, target)
            else:
                groups[(owner_of(workload), workload.spread, *_request(workload))].append(workload)
        rankings: dict[tuple[object, ...], Ranking] = {}
        for group in sorted(groups.values(), key=_urgency):
            self._bind_group(group, rankings)

    def _previous_target(self, workload: Workload) -> Target | None:
        """Where it was, if that is still a place that it may be."""
        key, cluster = workload.key, self.cluster
        target = cluster.target(self._previous.nodes.get(key) or self._previous.hosts.get(key, ""))
        if target is None or not target.host:
            return None
        return target if not workload.host or target in cluster.targets_of(workload) else None

    def _bind_group(self, group: Sequence[Workload], rankings: dict[tuple[object, ...], Ranking]) -> None:
        """Bind workloads with equal requests; when one does not fit, none of the rest does."""
        first = group[0]
        candidates = self.cluster.targets_of(first)
        if first.host and not candidates:
            self.reasons += [self._unknown_pin(workload) for workload in group]
            return
        request = _request(first)
        if request not in rankings:
            rankings[request] = Ranking(first, [t for t in candidates if not self.cluster.mismatch(first, t)])
        queue = Queue(rankings[request], first, self.cluster.spread)
        for index, workload in enumerate(group):
            target = queue.best()
            if target is None:
                why = explain(first, candidates)
                self.reasons += [f"{rest.key}: {why}" for rest in group[index:]]
                break
            self.cluster.bind(workload, target)
            queue.put_back()
        queue.close()

    def _unknown_pin(self, workload: Workload) -> str:
        """The sentence for a pin to nobody."""
        names = [target.name for target in (*self.cluster.nodes, *self.cluster.hosts)]
        more = f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else ""
        there = ", ".join(names[:NAMES_SHOWN]) + more or "none"
        return f'{workload.key}: "{workload.host}" is neither a Host nor a node that takes Pods (there are: {there})'


def _request(workload: Workload) -> tuple[object, ...]:
    """What decides where a workload may go and how it loads a target, whoever owns it."""
    return (
        workload.cpu,
        workload.memory,
        tuple(sorted(workload.selector.items())),
        workload.tolerations,
        workload.host,
    )


def _urgency(group: Sequence[Workload]) -> tuple[bool, bool, int, int, str]:
    """Those with the least choice first, then the largest: small ones still fit into what is left."""
    first = group[0]
    return (not first.host, not first.selector, -first.memory, -first.cpu, first.key)
