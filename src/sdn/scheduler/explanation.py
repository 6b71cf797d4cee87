"""Why a workload fits nowhere, or where it would: a reason per target, counted, and what would have to change."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from sdn.model import Kind, Workload
from sdn.scheduler.filters import Reason
from sdn.scheduler.score import Score

if TYPE_CHECKING:
    from sdn.scheduler.cluster import Cluster

NAMES_SHOWN = 8
"""Names that an error lists before it only counts."""


class Explanation(NamedTuple):
    """What was found at every Host and node that a workload may go to, as if it were not bound."""

    workload: str
    counts: tuple[tuple[int, Reason], ...]  # Hosts and nodes per reason, most first
    targets: tuple[tuple[str, Reason | None], ...]  # name of the Host or key of the node → why not
    scores: tuple[tuple[Score, str], ...] = ()  # of those that fit, the best first
    changes: tuple[str, ...] = ()  # what would have to change, each for those that nothing else forbids
    nowhere: str = ""  # why there is nothing to look at

    @property
    def text(self) -> str:
        """`0 of 3 hosts fit: 2 too little memory (needs 4 GiB), 1 has taint gpu=yes:NoSchedule`."""
        if self.nowhere:
            return self.nowhere
        what = "nodes" if any("/" in name for name, _ in self.targets) else "hosts"
        fitting = len(self.scores)
        reasons = ", ".join(f"{count} {reason.text(count)}" for count, reason in self.counts)
        return f"{fitting} of {len(self.targets)} {what} fit" + (f": {reasons}" if reasons else "")


def explanation(cluster: Cluster, workload: Workload) -> Explanation:
    """Ask every candidate; the workload is not bound meanwhile."""
    targets = cluster.targets_of(workload)
    if not targets:
        return Explanation(workload.key, (), (), (), (), _nowhere(cluster, workload))
    asked = [(target, cluster.blocked(workload, target)) for target in targets]
    counts = Counter(reason for _, reason in asked if reason)
    return Explanation(
        workload.key,
        tuple(sorted(((n, reason) for reason, n in counts.items()), key=lambda item: (-item[0], item[1]))),
        tuple((target.id, reason) for target, reason in asked),
        tuple(sorted((cluster.cost(workload, target), target.id) for target, reason in asked if reason is None)),
        tuple(sorted({reason.change for reason in counts if reason.change})),
    )


def _nowhere(cluster: Cluster, workload: Workload) -> str:
    """Why a workload has no candidate at all."""
    names = [target.name for target in (*cluster.nodes, *cluster.hosts)]
    asleep = [w.key for w in cluster.workloads.values() if w.is_node and workload.host in (w.key, w.name)]
    if asleep and workload.kind is Kind.POD:
        return f"{asleep[0]}, the node that it is pinned to, runs on no Host"
    if workload.host:
        more = f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else ""
        there = ", ".join(names[:NAMES_SHOWN]) + more or "none"
        return f'"{workload.host}" is neither a Host nor a node that takes Pods (there are: {there})'
    if names:
        return "0 of 0 nodes fit: no VM that is a node is on a Host"
    return "0 of 0 hosts fit: there is neither a Host nor a node; add one to the underlay"
