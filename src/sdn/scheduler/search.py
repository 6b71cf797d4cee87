"""Finding a place for what must leave where it is: straight, by moving another out of the way, or by a stop.

Each of these makes allowed steps only and takes them back when they lead to nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from itertools import combinations, islice

from sdn.model import Kind
from sdn.scheduler.cluster import Cluster
from sdn.scheduler.steps import Steps
from sdn.scheduler.target import Target

LOOKED_AT = 48
"""Targets on which room is made, the least loaded first."""

MOVED_AWAY = 12
"""Workloads of one target that are tried as the one to move out of the way, and in pairs."""

STOPPED = 64
"""Workloads that are stopped so that others can go, at most: each is tried with all the rest."""


def relocate(steps: Steps, key: str, why: str, avoid: Collection[str] = ()) -> bool:
    """Give it another place, with as few moves of others as that takes: none, one or two."""
    target = steps.best(key, avoid, lenient=True)
    if target is not None:
        return steps.go(key, target, why)
    return _make_room(steps, key, why, avoid, 1) or _make_room(steps, key, why, avoid, 2)


def _make_room(steps: Steps, key: str, why: str, avoid: Collection[str], others: int) -> bool:
    """Move that many others off one target and go there."""
    for target in islice(_roomy(steps, key, avoid), LOOKED_AT if others == 1 else LOOKED_AT // 4):
        movable = _movable(steps, key, target)
        for chosen in combinations(movable, others):
            if _would_do(steps, key, target, chosen) and _clear(steps, key, target, chosen, avoid, why):
                return True
    return False


def _roomy(steps: Steps, key: str, avoid: Collection[str]) -> Iterable[Target]:
    """Targets that are large enough for it, were they empty."""
    workload, here = steps.workload(key), steps.cluster.where(key)
    return [
        target
        for target in steps.candidates.of(workload)
        if target is not here
        and target.bound
        and not {target.host, target.id} & {*avoid}
        and workload.memory <= target.memory
        and workload.cpu <= target.cpu
    ]


def _movable(steps: Steps, key: str, target: Target) -> Sequence[str]:
    """Those of a target that may move out of the way, the smallest first: they find another place most easily."""
    others = [w for w in target.bound.values() if not w.host and w.key != key]
    return [w.key for w in sorted(others, key=lambda w: (w.memory, w.cpu, w.key))[:MOVED_AWAY]]


def _would_do(steps: Steps, key: str, target: Target, chosen: Sequence[str]) -> bool:
    """Whether nothing forbids the target any more when the chosen ones are gone from it."""
    cluster = steps.cluster
    away = [cluster.workloads[other] for other in chosen]
    if steps.workload(key).memory > target.free_memory + sum(w.memory for w in away):
        return False
    for other in chosen:
        cluster.unbind(other)
    reason = steps.why_not(key, target)
    for workload in away:
        cluster.bind(workload, target)
    return reason is None


def _clear(steps: Steps, key: str, target: Target, chosen: Sequence[str], avoid: Collection[str], why: str) -> bool:
    """Move the chosen ones elsewhere and go there; all or nothing."""
    mark = steps.mark()
    for other in chosen:
        there = steps.best(other, {*avoid, target.id})
        if there is None or not steps.go(other, there, f"makes room for {key}"):
            break
    else:
        if steps.go(key, target, why):
            return True
    steps.back_to(mark)
    return False


def regroup(steps: Steps, keys: Collection[str], why: str, avoid: Collection[str] = ()) -> bool:
    """Find places for workloads that cannot leave one by one, such as those that must stay together.

    Some stop, the others move, those that stopped start again: all or nothing. Those that stop are few, of low priority
    and small. If that does not help, those who must be near one of them come along.
    """
    followers = {other for key in keys for other in steps.bystanders.followers(key) if steps.cluster.where(other)}
    wider = sorted({*keys, *followers})
    return _regroup(steps, keys, why, avoid) or (len(wider) > len(keys) and _regroup(steps, wider, why, avoid))


def _regroup(steps: Steps, keys: Collection[str], why: str, avoid: Collection[str]) -> bool:
    mark = steps.mark()
    moving, stopped = list(keys), list[str]()
    for key in sorted(moving, key=lambda k: expendable(steps, k))[:STOPPED]:
        if key not in moving or steps.hurts_by_stopping(key):
            continue
        moving.remove(key)
        stopped += _halt(steps, key)
        while _advance(steps, moving, stopped, why, avoid):
            pass
        if not moving and not stopped:
            return True
    steps.back_to(mark)
    return False


def _halt(steps: Steps, key: str) -> list[str]:
    """Stop a workload, or a node with its Pods; what to start again, in that order."""
    pods = steps.inside(key)
    steps.stop(key, "cannot move while it runs")
    return [key, *pods]


def _advance(steps: Steps, moving: list[str], stopped: list[str], why: str, avoid: Collection[str]) -> bool:
    """Move or start the first that can, those that still run before those that have stopped."""
    for waiting in (moving, stopped):
        for key in waiting:
            target = steps.best(key, avoid)
            if target is not None and steps.go(key, target, why):
                waiting.remove(key)
                return True
    return False


def expendable(steps: Steps, key: str) -> tuple[bool, int, int, str]:
    """Who stops first if somebody must: no node, low priority, little memory."""
    workload = steps.workload(key)
    return (workload.is_node, workload.scheduling.priority, workload.memory, key)


def by_size(cluster: Cluster, keys: Iterable[str]) -> list[str]:
    """The largest first, because small ones still fit into what is left; VMs before Pods, which may run in them."""

    def order(key: str) -> tuple[bool, int, int, str]:
        workload = cluster.workloads[key]
        return (workload.kind is Kind.POD, -workload.memory, -workload.cpu, key)

    return sorted(keys, key=order)


def obstacles(steps: Steps, key: str) -> str:
    """Why it can go nowhere: `shop/db-0: 0 of 3 hosts fit: 2 too little memory (needs 4 GiB), 1 is maintenance`."""
    return f"{key}: {steps.cluster.explain(steps.workload(key)).text}"
