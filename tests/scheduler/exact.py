"""The best that can be had, by z3: how many workloads fit, and how few must move. For small labs of Hosts alone.

It knows capacity, what each Host is open to, apart (as affinity and as a rule), together, and volumes; a lab that asks
for anything else must not come here.
"""

from __future__ import annotations

from itertools import combinations, pairwise
from typing import Any

import z3  # type: ignore[import-untyped]
from checker_pods import tolerated
from checker_state import admits, affinity_of, host_place
from msgspec.structs import replace

from sdn.model import HOSTNAME, Effect, Host, HostState, LabelSelector, Model, Placement, Together, Workload
from sdn.policy.oracle_match import labels_match

TIMEOUT = 20_000
"""Milliseconds for one lab; one that takes longer is an error, not a worse answer."""


def most_placed(model: Model) -> int:
    """The largest number of workloads that can be placed together."""
    solver, where = encoded(model)
    in_order(solver, model, where)
    count = z3.Sum([z3.If(z3.Or(list(places.values())), 1, 0) for places in where.values()])
    return optimum(solver, count, solver.maximize)


def fewest_moves(model: Model, before: Placement) -> int:
    """The smallest number of workloads that must leave their Host for all to be placed; -1 if they cannot be.

    Only the end is looked at: an order of moves with detours may take more.
    """
    up = [host for host in model.underlay.hosts if host.state is HostState.UP]
    if sum(w.memory for w in model.workloads) > sum(host.memory for host in up):
        return -1  # a pigeonhole, which z3 would prove by trying
    solver, where = encoded(model)
    in_order(solver, model, where, before)
    for places in where.values():
        solver.add(z3.Or(list(places.values())))
    moves = z3.Sum([z3.If(places.get(before.hosts[key], z3.BoolVal(False)), 0, 1) for key, places in where.items()])
    return optimum(solver, moves, solver.minimize)


def optimum(solver: z3.Optimize, value: Any, direction: Any) -> int:
    """The proven best value; -1 where nothing fulfils everything."""
    direction(value)
    solver.set("timeout", TIMEOUT)
    found = solver.check()
    if found == z3.unknown:
        raise TimeoutError(f"z3 gave up after {TIMEOUT} ms: {solver.reason_unknown()}")
    return int(solver.model().eval(value).as_long()) if found == z3.sat else -1


Where = dict[str, dict[str, Any]]
"""Workload key → Host → whether it is there."""


def encoded(model: Model) -> tuple[z3.Optimize, Where]:
    """Everything that must hold of those who are placed."""
    solver = z3.Optimize()
    where = {
        w.key: {host.name: z3.Bool(f"{w.key}@{host.name}") for host in model.underlay.hosts if is_open(model, w, host)}
        for w in model.workloads
    }
    add_rules(solver, model, where)
    return solver, where


def add_rules(solver: Any, model: Model, where: Where) -> None:
    """Everything that must hold of one state of a lab."""
    hosts = {host.name: host for host in model.underlay.hosts}
    for places in where.values():
        solver.add(z3.AtMost(*places.values(), 1) if places else True)
    for host in hosts.values():
        add_room(solver, model, where, host)
    for one, other in combinations(model.workloads, 2):
        for topology in apart_over(model, one, other):
            add_apart(solver, hosts, where, (one, other), topology)
        if together(model, one, other):
            for name, is_here in where[one.key].items():
                elsewhere = [there for host, there in where[other.key].items() if host != name]
                solver.add(z3.Implies(is_here, z3.Not(z3.Or(elsewhere))))


def has_plan(model: Model, before: Placement, steps: int) -> bool:
    """Whether so many moves, one after another and each leading to a state that is right, lead from where all run to
    where all may run. Who is where he may not be any more can stay until then.
    """
    solver = z3.Solver()
    solver.set("timeout", TIMEOUT)
    states = [state_at(model, before, time) for time in range(steps + 1)]
    for where in states:
        add_rules(solver, model, where)
        for places in where.values():
            solver.add(z3.Or(list(places.values())))
    for key, host in before.hosts.items():
        solver.add(states[0][key][host])
    for earlier, later in pairwise(states):
        stays = [z3.And(*(later[key][name] == is_there for name, is_there in earlier[key].items())) for key in earlier]
        solver.add(z3.AtMost(*map(z3.Not, stays), 1))
    for workload in model.workloads:
        at = before.hosts[workload.key]
        if not is_open(model, workload, next(host for host in model.underlay.hosts if host.name == at)):
            solver.add(z3.Not(states[-1][workload.key][at]))
            for earlier, later in pairwise(states):
                solver.add(z3.Implies(later[workload.key][at], earlier[workload.key][at]))
    found = solver.check()
    if found == z3.unknown:
        raise TimeoutError(f"z3 gave up after {TIMEOUT} ms: {solver.reason_unknown()}")
    return bool(found == z3.sat)


def state_at(model: Model, before: Placement, time: int) -> Where:
    """The variables of one moment: where a workload may be, and where it was at first."""
    return {
        w.key: {
            host.name: z3.Bool(f"{w.key}@{host.name}#{time}")
            for host in model.underlay.hosts
            if is_open(model, w, host) or host.name == before.hosts[w.key]
        }
        for w in model.workloads
    }


def in_order(solver: Any, model: Model, where: Where, before: Placement | None = None) -> None:
    """Replicas that are all alike, and run on one Host if they do, are placed in the order of their names.

    Nothing is lost, for they could change places, and much is not tried. To stay counts as the first place.
    """
    at = before.hosts if before else {}
    alike: dict[str, list[Workload]] = {}
    for workload in model.workloads:
        alike.setdefault(repr((replace(workload, name=""), at.get(workload.key))), []).append(workload)
    for group in alike.values():
        for one, other in pairwise(group):
            solver.add(rank(where[one.key], at.get(one.key)) <= rank(where[other.key], at.get(other.key)))


def rank(places: dict[str, Any], first: str | None) -> Any:
    """Which of the places it is, 0 the first; as many as there are where it is in none."""
    names = sorted(places, key=lambda name: (name != first, name))
    return z3.Sum([z3.If(places[name], number, 0) for number, name in enumerate(names)]) + z3.If(
        z3.Or(list(places.values())), 0, len(names)
    )


def is_open(model: Model, workload: Workload, host: Host) -> bool:
    """Whether a Host could take a workload if it were empty, room aside."""
    place = host_place(host)
    repelled = any(t.effect is not Effect.PREFER_NO_SCHEDULE and not tolerated(t, workload) for t in host.taints)
    replicas = {volume.name: volume.hosts for volume in model.constraints.volumes}
    held = all(host.name in replicas[name] for name in workload.scheduling.volumes)
    return host.state is HostState.UP and admits(workload, place) and not repelled and held


def add_room(solver: Any, model: Model, where: Where, host: Host) -> None:
    """CPU, memory and number."""
    there = [(w, where[w.key][host.name]) for w in model.workloads if host.name in where[w.key]]
    if not there:
        return
    solver.add(z3.PbLe([(is_there, w.cpu) for w, is_there in there], host.cpu))
    solver.add(z3.PbLe([(is_there, w.memory) for w, is_there in there], host.memory))
    solver.add(z3.PbLe([(is_there, 1) for _, is_there in there], host.pods))


def apart_over(model: Model, one: Workload, other: Workload) -> list[str]:
    """The topologies within which two must not meet."""
    found = []
    for asking, asked in ((one, other), (other, one)):
        terms = affinity_of(asking).apart
        found += [t.topology for t in terms if t.selector is not None and labels_match(t.selector, asked.labels)]
    return found + [HOSTNAME for _ in ruled(model, Together.APART, one, other)]


def together(model: Model, one: Workload, other: Workload) -> bool:
    """Whether a rule wants both on one Host."""
    return bool(ruled(model, Together.TOGETHER, one, other))


def ruled(model: Model, kind: Together, one: Workload, other: Workload) -> list[str]:
    """The names of the rules of a kind, within a Host, that are about both."""
    rules = [rule for rule in model.constraints.rules if rule.kind is kind and rule.must]
    chosen = [(rule.name, rule.workloads.labels or LabelSelector()) for rule in rules]
    return [name for name, labels in chosen if labels_match(labels, one.labels) and labels_match(labels, other.labels)]


def add_apart(
    solver: Any, hosts: dict[str, Host], where: Where, pair: tuple[Workload, Workload], topology: str
) -> None:
    """No two Hosts of one domain, and no one Host, for both."""
    for name, is_here in where[pair[0].key].items():
        for name2, is_there in where[pair[1].key].items():
            mine, theirs = (host_place(hosts[host]).labels.get(topology) for host in (name, name2))
            if mine is not None and mine == theirs:
                solver.add(z3.Not(z3.And(is_here, is_there)))
