"""After Hosts failed: what ran on them starts elsewhere, the important first, and others give way only where they must.

First all of it is stopped where it was, so that nothing runs twice when a Host returns. The room that was kept for
failures is used now. What finds no place is a note with its reason, never a refusal: the rest starts.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from itertools import islice

from sdn.model import HostState, Model, Placement, Workload
from sdn.scheduler.proposal import Proposal
from sdn.scheduler.restart import restart_order
from sdn.scheduler.search import obstacles, relocate
from sdn.scheduler.states import with_hosts, without_reserve
from sdn.scheduler.steps import Place, Steps
from sdn.scheduler.target import Target

PREEMPTED_ON = 256
"""Targets that are looked at for victims, the least loaded first."""


def recover(model: Model, placement: Placement, failed: Collection[str]) -> Proposal:
    """Start what ran on the failed Hosts; Pods in nodes there, too, in the same node where that starts again."""
    steps = Steps(without_reserve(with_hosts(model, failed, HostState.FAILED)), placement)
    lost = {key: node for key in placement.hosts if (node := _lost(steps, key, failed)) is not None}
    for key in sorted(lost, key=lambda k: (k not in placement.nodes, k)):
        if steps.place_of(key)[0]:
            steps.stop(key, f"{placement.hosts[key]} failed")
    known = {key: node for key, node in lost.items() if key in steps.cluster.workloads}
    missing = restore(steps, known, "starts again after a failure")
    return steps.proposal(notes=[obstacles(steps, key) for key in missing])


def restart(model: Model, placement: Placement, places: Mapping[str, Place], why: str) -> Proposal:
    """Start workloads that do not run: where they ran (key → place), else wherever there is room, as `recover` does."""
    steps = Steps(without_reserve(model), placement)
    left: dict[str, str] = {}
    for key in restart_order(steps.cluster.workloads, [key for key in places if key in steps.cluster.workloads]):
        host, node = places[key]
        target = steps.cluster.target(node or host)
        if target is None or not target.host or not steps.go(key, target, why):
            left[key] = node
    missing = restore(steps, left, why)
    return steps.proposal(notes=[obstacles(steps, key) for key in missing])


def _lost(steps: Steps, key: str, failed: Collection[str]) -> str | None:
    """The node that it ran in on a failed Host (empty: on the Host itself), None if it ran elsewhere."""
    host, node = steps.place_of(key)
    return node if host in failed else None


def restore(steps: Steps, lost: dict[str, str], why: str, avoid: Collection[str] = (), evict: bool = True) -> list[str]:
    """Start workloads (key → node to prefer); others may move, or be evicted, for them. Returns who found no place."""
    waiting = restart_order(steps.cluster.workloads, lost, lost)
    missing: list[str] = []
    progress = True
    while waiting:
        victims: list[str] = []
        for key in waiting:
            started = _start(steps, key, lost.get(key, ""), why, avoid) or (
                evict and _preempt(steps, key, why, avoid, victims)
            )
            progress = started or progress
            if steps.cluster.where(key) is None:
                missing.append(key)
        waiting = restart_order(steps.cluster.workloads, victims)
        if not waiting and missing and progress:  # a node that has started takes Pods that found no place before it
            waiting, missing, progress = restart_order(steps.cluster.workloads, missing, lost), [], False
    return sorted(missing)


def _start(steps: Steps, key: str, node: str, why: str, avoid: Collection[str]) -> bool:
    """Start one: in its node again, else wherever it fits, else by moving others."""
    old = steps.cluster.target(node) if node else None
    if old is not None and old.host not in avoid and steps.go(key, old, why):
        return True
    return relocate(steps, key, why, avoid)


def _preempt(steps: Steps, key: str, why: str, avoid: Collection[str], victims: list[str]) -> bool:
    """Evict the fewest and least important that make it fit."""
    workload = steps.workload(key)
    if not workload.scheduling.preempts:
        return False
    best: tuple[int, int, int, str] | None = None
    chosen: tuple[Target, list[Workload]] | None = None
    for target in islice(steps.candidates.of(workload), PREEMPTED_ON):
        evicted = [] if target.host in avoid else _victims(steps, workload, target)
        if not evicted:
            continue
        rank = (max(w.scheduling.priority for w in evicted), len(evicted), sum(w.memory for w in evicted), target.id)
        if best is None or rank < best:
            best, chosen = rank, (target, evicted)
    if chosen is None:
        return False
    target, evicted = chosen
    for victim in evicted:
        steps.stop(victim.key, f"gives way to {workload.key}, which is more important")
        victims.append(victim.key)
    return steps.go(workload.key, target, why)


def _victims(steps: Steps, workload: Workload, target: Target) -> list[Workload]:
    """Those of lower priority without whom it fits there; none if that is not enough."""
    cluster = steps.cluster
    lower = [w for w in target.bound.values() if w.scheduling.priority < workload.scheduling.priority and not w.is_node]
    lower.sort(key=lambda w: (w.scheduling.priority, w.memory, w.key))
    if workload.memory > target.free_memory + sum(w.memory for w in lower):
        return []
    gone: list[Workload] = []
    while lower and cluster.blocked(workload, target):
        gone.append(lower.pop(0))
        cluster.unbind(gone[-1].key)
    needed = [] if cluster.blocked(workload, target) else _fewest(steps, workload, target, gone)
    for victim in gone:
        if cluster.where(victim.key) is None:
            cluster.bind(victim, target)
    return needed


def _fewest(steps: Steps, workload: Workload, target: Target, gone: list[Workload]) -> list[Workload]:
    """Of those taken off, the ones that must stay away: the important come back first where they can."""
    needed = []
    for victim in sorted(gone, key=lambda w: (-w.scheduling.priority, -w.memory, w.key)):
        steps.cluster.bind(victim, target)
        if steps.cluster.blocked(workload, target):
            steps.cluster.unbind(victim.key)
            needed.append(victim)
    return needed
