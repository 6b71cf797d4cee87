"""Back to a placement that keeps the rules, after load rose, labels changed or a Host went into maintenance.

As few moves as that takes: of those that break a rule together, the one whose leaving mends most goes first, and who is
then no longer in breach stays.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from msgspec.structs import replace

from sdn.errors import UnschedulableError
from sdn.model import Model, Placement
from sdn.scheduler.order import moves
from sdn.scheduler.place import MADE_ROOM, place
from sdn.scheduler.proposal import Proposal
from sdn.scheduler.search import obstacles, regroup, relocate
from sdn.scheduler.shortest import shorten
from sdn.scheduler.steps import Steps
from sdn.scheduler.target import Target

JUDGED_TOGETHER = 16
"""Workloads of one target that are tried as the one whose leaving mends most; with more, only room is compared."""


def repair(model: Model, placement: Placement) -> Proposal:
    """Move what breaks a rule where it runs; refused with what has no other place."""
    steps = Steps(model, placement)
    broken = in_breach(steps)
    stuck = mend(steps, broken)
    if shorten(steps, broken, "cannot stay where it was", complete=not stuck) or not stuck:
        return steps.proposal()
    return anew(model, placement, broken) or steps.proposal(refused=[obstacles(steps, key) for key in stuck])


def reconcile(model: Model, previous: Placement) -> Proposal:
    """From what ran to what the Model asks for now: stops, starts, and moves of what cannot stay, as `place` has it.

    Raises UnschedulableError with a line for every workload that nothing can take.
    """
    return moves(model, previous, place(model, previous), MADE_ROOM)


def anew(model: Model, placement: Placement, leaving: Collection[str]) -> Proposal | None:
    """The way to where `place` would have those who leave, as if they came new; None if that finds nothing either."""
    running = replace(model, workloads=tuple(w for w in model.workloads if w.key in placement.hosts))
    staying = Placement({key: host for key, host in placement.hosts.items() if key not in leaving}, placement.nodes)
    try:
        proposal = moves(model, placement, place(running, staying), MADE_ROOM)
    except UnschedulableError:
        return None
    return None if proposal.refused else proposal


def in_breach(steps: Steps) -> list[str]:
    """Who breaks a rule where he runs."""
    return [key for key in steps.cluster.workloads if steps.breach(key)]


def mend(steps: Steps, broken: Iterable[str]) -> list[str]:
    """Move until nobody breaks a rule, if those `broken` do now; who still does and has no other place."""
    places = {target.id for key in broken if (target := steps.cluster.where(key))}
    for name in sorted(places):
        _mend(steps, name)
    stuck = [key for name in sorted(places) for key in _mend(steps, name)]  # who left since may have made room
    if stuck and regroup(steps, stuck, "cannot stay where it was"):
        return []
    return stuck


def _mend(steps: Steps, name: str) -> list[str]:
    """Move away from one Host or node until all that is left may stay; who may not, but has no other place."""
    target = steps.cluster.target(name)
    while target is not None:
        broken = {key: reason for key in sorted(target.bound) if (reason := steps.breach(key))}
        ranked = _ranked(steps, target, list(broken))
        if not any(relocate(steps, key, f"cannot stay on {name}: {broken[key].one}") for key in ranked):
            return ranked
    return []


def _ranked(steps: Steps, target: Target, keys: list[str]) -> list[str]:
    """Whose leaving mends most comes first; of equals one that is large enough, or if none is, the largest."""
    if len(keys) > JUDGED_TOGETHER:
        over = (-target.free_cpu, -target.free_memory)
        left = {key: int(_takes(steps, key, 0) < over[0] or _takes(steps, key, 1) < over[1]) for key in keys}
    else:
        left = {key: _left_broken(steps, key, keys) for key in keys}

    def merit(key: str) -> tuple[int, int, int, str]:
        memory = _takes(steps, key, 1)
        return (left[key], -memory if left[key] else memory, steps.workload(key).scheduling.priority, key)

    return sorted(keys, key=merit)


def _takes(steps: Steps, key: str, which: int) -> int:
    workload = steps.workload(key)
    return (workload.cpu, workload.memory)[which]


def _left_broken(steps: Steps, key: str, others: Iterable[str]) -> int:
    """How many of the others still break a rule once it has left."""
    target = steps.cluster.unbind(key)
    broken = sum(other != key and steps.breach(other) is not None for other in others)
    steps.cluster.bind(steps.workload(key), target)
    return broken
