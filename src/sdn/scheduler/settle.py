"""What stays where it was: everything that breaks no rule there, the least important going first where not all can."""

from __future__ import annotations

from collections.abc import Iterable

from sdn.model import Kind, Placement, Workload
from sdn.scheduler.cluster import Cluster
from sdn.scheduler.target import Target


def settle(cluster: Cluster, previous: Placement) -> None:
    """Bind as `previous` says, then unbind what may not be there; Pods of a node that must go stay in it."""
    if not previous.hosts:
        return
    _bind(cluster, previous)
    order = _by_importance(cluster.workloads.values())
    for workload in order:
        _check(cluster, workload)
    # Whoever left may have been the one whom another had to be near.
    company = [workload for workload in order if _needs_company(workload)]
    while sum(_check(cluster, workload) for workload in company):
        continue


def _by_importance(workloads: Iterable[Workload]) -> list[Workload]:
    """VMs before Pods, the least important first, and among equals the last by name."""
    by_key = sorted(workloads, key=lambda w: w.key, reverse=True)
    return sorted(by_key, key=lambda w: (w.kind is Kind.POD, w.scheduling.priority))


def _needs_company(workload: Workload) -> bool:
    affinity = workload.scheduling.affinity
    return bool(affinity and affinity.near)


def _bind(cluster: Cluster, previous: Placement) -> None:
    """VMs first; a Pod stays in its node also where that cannot be bound at once."""
    for workload in sorted(cluster.workloads.values(), key=lambda w: (w.kind is Kind.POD, w.key)):
        target = _target(cluster, workload, previous)
        if target is not None:
            cluster.bind(workload, target)


def _target(cluster: Cluster, workload: Workload, previous: Placement) -> Target | None:
    node = previous.nodes.get(workload.key)
    if node:
        return cluster.inside(node) if workload.kind is Kind.POD else None
    target = cluster.target(previous.hosts.get(workload.key, ""))
    return target if target and not target.node else None


def _check(cluster: Cluster, workload: Workload) -> bool:
    """Unbind it if it may not stay; whether it went."""
    target = cluster.where(workload.key)
    if target is None or not target.host:
        return False
    if cluster.leaves(workload.key) is None:
        return False
    cluster.unbind(workload.key)
    return True
