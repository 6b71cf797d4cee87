"""Back to a placement that keeps the rules, after load rose, labels changed or a Host went into maintenance.

As few moves as that takes: of those that break a rule together, the one whose leaving mends most goes first, and who is
then no longer in breach stays.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from sdn.model import Model, Placement
from sdn.scheduler.filters import Reason
from sdn.scheduler.order import moves
from sdn.scheduler.place import place
from sdn.scheduler.proposal import Proposal
from sdn.scheduler.search import by_size, obstacles, regroup, relocate
from sdn.scheduler.steps import Steps

JUDGED_TOGETHER = 64
"""Workloads of one target that are tried as the one whose leaving mends most; of more, the largest."""


def repair(model: Model, placement: Placement) -> Proposal:
    """Move what breaks a rule where it runs; refused with what has no other place."""
    steps = Steps(model, placement)
    stuck = mend(steps)
    return steps.proposal(refused=[obstacles(steps, key) for key in stuck])


def reconcile(model: Model, previous: Placement) -> Proposal:
    """From what ran to what the Model asks for now: stops, starts, and moves of what cannot stay, as `place` has it.

    Raises UnschedulableError with a line for every workload that nothing can take.
    """
    return moves(model, previous, place(model, previous))


def breach(steps: Steps, key: str) -> Reason | None:
    """The rule that a workload breaks by staying where it is."""
    target = steps.cluster.where(key)
    if target is None:
        return None
    workload = steps.workload(key)
    steps.cluster.unbind(key)
    reason = steps.cluster.blocked(workload, target, staying=True)
    steps.cluster.bind(workload, target)
    return reason


def mend(steps: Steps) -> list[str]:
    """Move until nobody breaks a rule; who still does and has no other place."""
    stuck: list[str] = []
    for key in _by_merit(steps, [key for key in steps.cluster.workloads if breach(steps, key)]):
        reason = breach(steps, key)
        if reason is not None and not relocate(steps, key, _why(steps, key, reason)):
            stuck.append(key)
    stuck = [key for key in stuck if (why := breach(steps, key)) and not relocate(steps, key, _why(steps, key, why))]
    if stuck and regroup(steps, stuck, "cannot stay where it was"):
        return []
    return stuck


def _why(steps: Steps, key: str, reason: Reason) -> str:
    target = steps.cluster.where(key)
    return f"cannot stay on {target.id if target else 'nothing'}: {reason.one}"


def _by_merit(steps: Steps, broken: Iterable[str]) -> list[str]:
    """Target by target, the one whose leaving mends most first; of several, the least important and smallest."""
    places: defaultdict[str, list[str]] = defaultdict(list)
    for key in broken:
        target = steps.cluster.where(key)
        if target:
            places[target.id].append(key)
    return [key for name in sorted(places) for key in _ranked(steps, places[name])]


def _ranked(steps: Steps, keys: list[str]) -> list[str]:
    """Those of one target, as if only the first left, then only the second."""
    if len(keys) == 1:
        return keys
    looked_at = by_size(steps.cluster, keys)[:JUDGED_TOGETHER]
    left = {key: _left_broken(steps, key, looked_at) for key in looked_at}

    def merit(key: str) -> tuple[int, int, int, str]:
        workload = steps.workload(key)
        return (left.get(key, len(keys)), workload.scheduling.priority, workload.memory, key)

    return sorted(keys, key=merit)


def _left_broken(steps: Steps, key: str, others: Iterable[str]) -> int:
    """How many of the others still break a rule once it has left."""
    target = steps.cluster.unbind(key)
    broken = sum(other != key and breach(steps, other) is not None for other in others)
    steps.cluster.bind(steps.workload(key), target)
    return broken
