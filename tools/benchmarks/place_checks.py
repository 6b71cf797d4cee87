"""Placements and plans of benchmarks, looked at by the tests' checker: being fast counts only for what is right."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from checker import check, check_steps, moved
from msgspec.structs import replace

from sdn.model import Model, Placement
from sdn.model.lifecycle import Move
from sdn.scheduler import Proposal


def of_placement(model: Model, placement: Placement) -> list[str]:
    """Every broken rule of a placement from empty."""
    return check(model, placement)


def of_plan(model: Model, before: Placement, proposal: Proposal) -> list[str]:
    """Every broken rule at the end, and at each step among those whom the step can concern.

    In the data centre that is the moved workload's own group, for rules are about one group, and whoever is on the two
    Hosts; besides their Hosts one of each rack, for racks are what is spread over. All 5,000 Hosts with 30,000 VMs
    looked at once for each of thousands of moves would take hours.
    """
    steps = [sentence for step in _steps(model, before, proposal.moves) for sentence in step]
    return [*proposal.refused, *steps, *check(model, proposal.placement, before)]


def _steps(model: Model, before: Placement, moves: Iterable[Move]) -> Iterable[list[str]]:
    by_key = {workload.key: workload for workload in model.workloads}
    racks = {host.labels["rack"]: host.name for host in model.underlay.hosts}
    groups, on = defaultdict(set), defaultdict(set)
    for workload in model.workloads:
        groups[workload.labels["app"]].add(workload.key)
    for key, host in before.hosts.items():
        on[host].add(key)
    where = dict(before.hosts)
    for move in moves:
        concerned = groups[by_key[move.workload].labels["app"]] | on[move.source] | on[move.target]
        now = Placement({key: where[key] for key in concerned if key in where})
        names = {*now.hosts.values(), move.source, move.target, *racks.values()}
        hosts = tuple(host for host in model.underlay.hosts if host.name in names)
        workloads = tuple(by_key[key] for key in sorted(concerned))
        few = replace(model, underlay=replace(model.underlay, hosts=hosts), workloads=workloads)
        then = moved(now, move)
        yield check_steps(few, now, (move,), then)
        on[move.source].discard(move.workload)
        where.pop(move.workload, None)
        if move.target:
            on[move.target].add(move.workload)
            where[move.workload] = move.target
