"""Moves that pay for themselves: rules that must hold first, then those that should, then even load.

Every move makes something strictly better and nothing of more weight worse, and the search ends when no move would. So
running it again on what came of it proposes nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from itertools import islice

from msgspec.structs import replace

from sdn.model import Model, Placement, Workload
from sdn.model.lifecycle import Move
from sdn.scheduler.balance import Balance, movable
from sdn.scheduler.order import moves
from sdn.scheduler.proposal import Proposal
from sdn.scheduler.repair import in_breach, mend
from sdn.scheduler.score import SCALE
from sdn.scheduler.search import obstacles
from sdn.scheduler.steps import Steps
from sdn.scheduler.target import Target

WORTH = 0.1
"""Hosts whose loads differ by half of this, a twentieth, are even enough."""

COMPARED = 24
"""Least loaded Hosts that are looked at for a workload of a loaded one."""

NOT_LOAD = -3
"""Parts of a cost before those that are load and name."""


def rebalance(model: Model, placement: Placement, *, worth: float = WORTH) -> Proposal:
    """Repair, obey, balance. A move for load must lower the sum of squared distances from the mean load by more than
    `worth` times the share of a Host's memory that it copies.

    What breaks a rule and has no other place is a note with its reason. Pods in nodes move only for rules.
    """
    steps = Steps(model, placement)
    concerned = _concerned(steps)
    made, stuck = -1, list[str]()
    while made != steps.mark():  # what one of the three has moved may make room for what another could not
        made = steps.mark()
        stuck = mend(steps, in_breach(steps))
        _obey(steps, concerned)
        _even(steps, concerned, Balance(model, steps.cluster), worth)
    return _shortest(model, steps.proposal([obstacles(steps, key) for key in stuck]), placement)


def _shortest(model: Model, found: Proposal, placement: Placement) -> Proposal:
    """The same end with less, where somebody moved twice on the way."""
    if len({move.workload for move in found.moves}) == len(found.moves):
        return found
    straight = moves(model, placement, found.placement)
    if straight.refused or len(straight.moves) >= len(found.moves) or any(not m.target for m in straight.moves):
        return found
    why = {move.workload: move.why for move in found.moves}
    told = tuple(_because(move, why.get(move.workload)) for move in straight.moves)
    return Proposal(told, straight.placement, (), found.notes)


def _because(move: Move, why: str | None) -> Move:
    return replace(move, why=why) if why else move


Concerned = dict[str, list[str]]
"""Each workload that rules should be kept for, with all whom the same rules are for."""


def _obey(steps: Steps, concerned: Concerned) -> None:
    """Move what disregards a rule that should hold, where that makes fewer broken rules of all whom it concerns."""
    progress = True
    while progress:
        progress = False
        for key in concerned:
            if _disregard(steps, [key]) and _improve(steps, key, concerned[key]):
                progress = True


def _concerned(steps: Steps) -> Concerned:
    members: defaultdict[str, list[str]] = defaultdict(list)
    rules: dict[str, list[str]] = {}
    for key, workload in steps.cluster.workloads.items():
        names = [rule.written.name for rule in steps.cluster.shape(workload).rules if not rule.written.must]
        if names and steps.cluster.where(key):
            rules[key] = names
            for name in names:
                members[name].append(key)
    return {key: sorted({other for name in names for other in members[name]}) for key, names in rules.items()}


def _disregard(steps: Steps, keys: Iterable[str]) -> int:
    """How many rules that should hold are broken, counted by each whom they are for."""
    return sum(_wishes_broken(steps, key, target) for key in keys if (target := steps.cluster.where(key)))


def _wishes_broken(steps: Steps, key: str, target: Target) -> int:
    """How many rules that should hold a workload breaks, or would break there."""
    cluster, workload = steps.cluster, steps.workload(key)
    source = cluster.unbind(key)
    broken = sum(bool(rule.broken(target)) for rule in cluster.shape(workload).rules if not rule.written.must)
    cluster.bind(workload, source)
    return broken


def _improve(steps: Steps, key: str, others: Collection[str]) -> bool:
    """Give it the place where it breaks the fewest rules that should hold, if fewer are broken then in all."""
    here = steps.cluster.where(key)
    if here is None:
        return False
    before, now = _disregard(steps, others), _wishes_broken(steps, key, here)
    ranked = sorted(
        (broken, order, target)
        for order, target in enumerate(steps.candidates.of(steps.workload(key)))
        if (broken := _wishes_broken(steps, key, target)) < now
    )
    for _, _, target in ranked:
        mark = steps.mark()
        if steps.go(key, target, "a rule that should hold asks for it"):
            if _disregard(steps, others) < before:
                return True
            steps.back_to(mark)
    return False


def _even(steps: Steps, concerned: Concerned, balance: Balance, worth: float) -> None:
    """Move from loaded Hosts to others until no move is worth it; the last sweep looks at all of them in vain."""
    progress = True
    while progress:
        progress = False
        for host in sorted(balance.hosts, key=lambda h: (-balance.percent(h), h.name)):
            while _relieve(steps, concerned, balance, host, worth):
                progress = True


def _relieve(steps: Steps, concerned: Concerned, balance: Balance, host: Target, worth: float) -> bool:
    """Make the move off a Host that gains most beyond its cost; False if none is worth it."""
    offers = []
    for workload, target in _plausible(steps, balance, host, worth):
        profit = balance.gain(workload, host, target) - balance.cost(workload, target, worth)
        if profit > 0:
            offers.append((-profit, workload.key, target.name, target))
    for _, key, _, target in sorted(offers, key=lambda offer: offer[:3]):
        why = f"balances load: {host.name} {balance.percent(host)} %, {target.name} {balance.percent(target)} %"
        if _as_welcome(steps, key, host, target) and _go_in_accord(steps, key, target, concerned.get(key, ()), why):
            balance.changed(host, target)
            return True
    return False


def _plausible(steps: Steps, balance: Balance, host: Target, worth: float) -> Iterator[tuple[Workload, Target]]:
    """What might gain: from a Host that is loaded more, by more than the workload itself would turn round."""
    by_request = [target for target in islice(steps.candidates.hosts, COMPARED) if balance.has(target)]
    least = balance.least(COMPARED) if balance.goes_by_demand else by_request
    gaps = [(target, *gap) for target in least if sum(gap := balance.gap(host, target)) > worth * SCALE / 2]
    for workload in movable(host) if gaps else ():
        cpu, memory = (used * SCALE for used in balance.uses(workload))
        for target, more_cpu, more_memory in gaps:
            if cpu < more_cpu * host.cpu or memory < more_memory * host.memory:
                yield workload, target


def _as_welcome(steps: Steps, key: str, source: Target, target: Target) -> bool:
    """Whether nothing but load speaks more against the target than against where it is."""
    cluster, workload = steps.cluster, steps.workload(key)
    cluster.unbind(key)
    here, there = (cluster.cost(workload, place)[:NOT_LOAD] for place in (source, target))
    cluster.bind(workload, source)
    return there <= here


def _go_in_accord(steps: Steps, key: str, target: Target, others: Collection[str], why: str) -> bool:
    """Go there unless that breaks more rules that should hold."""
    before, mark = _disregard(steps, others), steps.mark()
    if not steps.go(key, target, why):
        return False
    if _disregard(steps, others) <= before:
        return True
    steps.back_to(mark)
    return False
