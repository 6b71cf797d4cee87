"""Room for what fits nowhere: another workload moves out of its way, or lower ones are evicted."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from sdn.model import Kind, Workload
from sdn.scheduler.cluster import Cluster
from sdn.scheduler.filters import fits
from sdn.scheduler.target import Target

TRIALS = 400
"""Moves that are tried for one workload before it is given up."""

TARGETS = 100
"""Targets on which evictions are worked out, as Kubernetes looks at some of its nodes only."""

FEW = 3
"""Targets that are looked at all the same when a run has used up its budget."""


@dataclass(slots=True)
class Budget:
    """How much all workloads of one run may try together, so that thousands that fit nowhere end in time."""

    trials: int = 20_000
    targets: int = 5_000
    start: int = 0  # the candidate at which evictions are looked for next: those before it have given already


def make_room(cluster: Cluster, workload: Workload, budget: Budget, settled: Collection[str] = ()) -> bool:
    """Bind it by moving one other that finds a place elsewhere; False leaves all as it was.

    One of the `settled`, who run where they are already, moves only where none of those that come new helps.
    """
    return (
        _move_another(cluster, workload, budget, lambda other: other.key not in settled)
        or _move_node(cluster, workload, budget, settled)
        or (bool(settled) and _move_another(cluster, workload, budget, lambda other: other.key in settled))
    )


def _move_another(cluster: Cluster, workload: Workload, budget: Budget, may_move: Callable[[Workload], bool]) -> bool:
    """Put one out of the way, and it in place of that."""
    shape = cluster.shape(workload)
    trials = min(TRIALS, budget.trials)
    for target in cluster.targets_of(workload):
        if not cluster.standing.fits(shape, target):
            continue
        for other in filter(may_move, _around(cluster, target)):
            if trials == 0:
                return False
            trials -= 1
            budget.trials -= 1
            if _swap(cluster, workload, target, other):
                return True
    return False


def _move_node(cluster: Cluster, workload: Workload, budget: Budget, settled: Collection[str]) -> bool:
    """Put a Pod into a node that goes to another Host for it, where that has come new itself and is still empty."""
    if workload.kind is not Kind.POD:
        return False
    for node in cluster.targets_of(workload):
        if node.vm is None or node.vm.host or node.bound or node.node in settled or not fits(workload, node):
            continue
        if budget.trials <= 0:
            return False
        if not cluster.strands(node.node) and _carry(cluster, workload, node, budget):
            return True
    return False


def _carry(cluster: Cluster, workload: Workload, node: Target, budget: Budget) -> bool:
    """Have a node on the cheapest Host where the Pod may be in it."""
    vm = cluster.workloads[node.node]
    here = cluster.unbind(vm.key)
    hosts = cluster.targets_of(vm)
    budget.trials -= len(hosts)
    free = [host for host in hosts if host is not here and cluster.blocked(vm, host) is None]
    for host in sorted(free, key=lambda host: cluster.cost(vm, host)):
        cluster.bind(vm, host)
        if cluster.blocked(workload, node) is None and not any(s.skewed() for s in cluster.shape(vm).spread_over):
            cluster.bind(workload, node)
            if not cluster.split(workload):
                return True
            cluster.unbind(workload.key)
        cluster.unbind(vm.key)
    cluster.bind(vm, here)
    return False


def _around(cluster: Cluster, target: Target) -> list[Workload]:
    """What runs on the Host, in its nodes, too; those that the user pinned stay where they are."""
    found = [w for each in cluster.on_host(target.host) for w in each.bound.values()]
    return sorted(
        (w for w in found if not w.host and w.key != target.node), key=lambda w: (w.scheduling.priority, w.key)
    )


def _swap(cluster: Cluster, workload: Workload, target: Target, other: Workload) -> bool:
    """Bind one in place of another, if that finds a place as well."""
    if cluster.strands(other.key):
        return False
    there = cluster.unbind(other.key)
    if target.host and cluster.blocked(workload, target) is None:
        cluster.bind(workload, target)
        elsewhere = cluster.best(other)
        if elsewhere is not None:
            cluster.bind(other, elsewhere)
            if not cluster.split(workload) and not any(each.skewed() for each in cluster.shape(other).spread_over):
                return True
            cluster.unbind(other.key)
        cluster.unbind(workload.key)
    cluster.bind(other, there)
    return False


def preempt(cluster: Cluster, workload: Workload, budget: Budget) -> list[Workload] | None:
    """Bind it in place of lower ones, which are returned unbound; None if that would not help.

    The target is the one whose highest victim is lowest, then the one with fewest; who could stay after all, stays.
    """
    if not workload.scheduling.preempts or workload.scheduling.priority <= cluster.lowest_priority:
        return None
    shape = cluster.shape(workload)
    best: tuple[tuple[int, int, int, str], Target, list[Workload]] | None = None
    left = max(FEW, min(TARGETS, budget.targets))
    for target in _from_start(cluster.targets_of(workload), budget):
        lower = _lower(cluster, workload, target) if cluster.standing.fits(shape, target) else []
        if not lower:
            continue
        if left == 0:
            break
        left -= 1
        budget.targets -= 1
        victims = _victims(cluster, workload, target, lower)
        if victims:
            rank = (max(_priorities(cluster, victims)), len(victims), sum(_priorities(cluster, victims)), target.id)
            best = min(best, (rank, target, victims), key=lambda item: item[0]) if best else (rank, target, victims)
    if best is None:
        return None
    budget.start = cluster.targets_of(workload).index(best[1])
    for victim in best[2]:
        cluster.unbind(victim.key)
    cluster.bind(workload, best[1])
    return best[2]


def _from_start(targets: Sequence[Target], budget: Budget) -> Sequence[Target]:
    """All of them where that is affordable in any order, else from where something was found last."""
    start = budget.start if budget.start < len(targets) > TARGETS else 0
    return [*targets[start:], *targets[:start]]


def _priorities(cluster: Cluster, victims: Sequence[Workload]) -> list[int]:
    return [victim.scheduling.priority for victim in victims]


def _lower(cluster: Cluster, workload: Workload, target: Target) -> list[Workload]:
    """What on the Host is less important, with all that it carries; the node itself stays if it is for a Pod."""
    found: list[Workload] = []
    mine = workload.scheduling.priority
    if not any(w.scheduling.priority < mine for each in cluster.on_host(target.host) for w in each.bound.values()):
        return found
    for other in _around(cluster, target):
        node = cluster.inside(other.key)
        carried = [other, *(node.bound.values() if node else ())]
        if not cluster.strands(other.key) and all(
            each.scheduling.priority < workload.scheduling.priority for each in carried
        ):
            found.append(other)
    return found


def _victims(cluster: Cluster, workload: Workload, target: Target, lower: Sequence[Workload]) -> list[Workload]:
    """Whom it would evict there, all put back afterwards; nobody if it does not fit even so."""
    # Pods before the nodes that they are in: each is unbound from where it was.
    order = sorted(lower, key=lambda w: (cluster.inside(w.key) is not None, w.key))
    where = {other.key: cluster.unbind(other.key) for other in order}
    victims: list[Workload] = []
    fits = cluster.blocked(workload, target) is None
    if fits:
        cluster.bind(workload, target)
        for other in sorted(lower, key=lambda w: (-w.scheduling.priority, cluster.inside(w.key) is None, w.key)):
            if where[other.key].host and cluster.blocked(other, where[other.key], staying=True) is None:
                cluster.bind(other, where[other.key])
            else:
                victims.append(other)
        victims = [] if cluster.split(workload) else victims
        cluster.unbind(workload.key)
    for other in reversed(order):
        if cluster.where(other.key) is None:
            cluster.bind(other, where[other.key])
    return victims
