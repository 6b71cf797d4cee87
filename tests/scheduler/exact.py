"""The best that can be had, by z3: how many workloads fit, and how few must move. For small labs of Hosts alone.

It knows capacity, what each Host is open to, apart (as affinity and as a rule), together, and volumes; a lab that asks
for anything else must not come here.
"""

from __future__ import annotations

from collections.abc import Iterator
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
    solver, where = encoded(model, z3.Optimize())
    in_order(solver, model, where)
    count = z3.Sum([z3.If(z3.Or(list(places.values())), 1, 0) for places in where.values()])
    return optimum(solver, count, solver.maximize)


def must_move(model: Model, before: Placement) -> int:
    """How many are where they may not be, whoever else is there: no plan has fewer moves."""
    hosts = {host.name: host for host in model.underlay.hosts}
    return sum(not is_open(model, w, hosts[before.hosts[w.key]]) for w in model.workloads)


def has_end(model: Model) -> bool:
    """Whether all can run at once, however they get there."""
    up = [host for host in model.underlay.hosts if host.state is HostState.UP]
    if sum(w.memory for w in model.workloads) > sum(host.memory for host in up):
        return False  # a pigeonhole, which z3 would prove by trying
    solver, where = encoded(model, z3.Solver())
    in_order(solver, model, where)
    solver.add(*(z3.Or(list(places.values())) for places in where.values()))
    return decided(solver)


def decided(solver: z3.Solver) -> bool:
    """Whether all that was asked for can be had."""
    solver.set("timeout", TIMEOUT)
    found = solver.check()
    if found == z3.unknown:
        raise TimeoutError(f"z3 gave up after {TIMEOUT} ms: {solver.reason_unknown()}")
    return bool(found == z3.sat)


def shortest_plan(model: Model, before: Placement, most: int, kept: bool = True) -> int:
    """The fewest live moves after which all is right, at most so many; -1 if there are more, or there is no plan."""
    best = -1
    while most >= must_move(model, before) and has_plan(model, before, most, kept):
        best, most = most, most - 1
    return best


def optimum(solver: z3.Optimize, value: Any, direction: Any) -> int:
    """The proven best value; -1 where nothing fulfils everything."""
    direction(value)
    solver.set("timeout", TIMEOUT)
    found = solver.check()
    if found == z3.unknown:
        raise TimeoutError(f"z3 gave up after {TIMEOUT} ms: {solver.reason_unknown()}")
    return int(solver.model().eval(value).as_long()) if found == z3.sat else -1


At = tuple[str, str]
"""A workload's key and a Host."""

Where = dict[str, dict[str, Any]]
"""Workload key → Host → whether it is there."""


def encoded(model: Model, solver: Any) -> tuple[Any, Where]:
    """Everything that must hold of those who are placed."""
    where = {
        w.key: {host.name: z3.Bool(f"{w.key}@{host.name}") for host in model.underlay.hosts if is_open(model, w, host)}
        for w in model.workloads
    }
    add_rules(solver, model, where)
    return solver, where


def add_rules(solver: Any, model: Model, where: Where) -> None:
    """Everything that must hold of one state of a lab."""
    solver.add(*at_most_once(where))
    solver.add(*(rule for rule, _ in rules(model, where)))


def at_most_once(where: Where) -> Iterator[Any]:
    """Nobody is in two places."""
    return (z3.AtMost(*places.values(), 1) for places in where.values() if places)


def rules(model: Model, where: Where) -> Iterator[tuple[Any, list[At]]]:
    """Each rule that must hold between workloads, and of whom in which places it speaks."""
    hosts = {host.name: host for host in model.underlay.hosts}
    for host in hosts.values():
        here = [(w.key, host.name) for w in model.workloads if host.name in where[w.key]]
        yield from ((rule, here) for rule in room(model, where, host))
    for one, other in combinations(model.workloads, 2):
        for topology in apart_over(model, one, other):
            yield from apart_pairs(hosts, where, (one, other), topology)
        if together(model, one, other):
            for name, is_here in where[one.key].items():
                elsewhere = {host: there for host, there in where[other.key].items() if host != name}
                meant = [(one.key, name), *((other.key, host) for host in elsewhere)]
                yield z3.Implies(is_here, z3.Not(z3.Or(list(elsewhere.values())))), meant


def has_plan(model: Model, before: Placement, steps: int, kept: bool = True) -> bool:
    """Whether so many moves, one after another, lead from where all run to where all may run.

    `kept`: all rules between workloads hold at first, so they must in between. Otherwise only those must, after each
    move, that speak of who moved. Who is where he may not be any more can stay until the end.
    """
    solver = z3.Solver()
    states = [state_at(model, before, time) for time in range(steps + 1)]
    for where in states:
        solver.add(*at_most_once(where))
        solver.add(*(z3.Or(list(places.values())) for places in where.values()))
    solver.add(*(states[0][key][host] for key, host in before.hosts.items()))
    for where in states[1:] if kept else states[-1:]:
        solver.add(*(rule for rule, _ in rules(model, where)))
    for earlier, later in pairwise(states):
        comes = coming(earlier, later)
        solver.add(z3.AtMost(*comes.values(), 1))
        for rule, meant in () if kept else rules(model, later):
            solver.add(z3.Implies(z3.Or([comes[at] for at in meant]), rule))
    add_leaving(solver, model, before, states)
    return decided(solver)


def coming(earlier: Where, later: Where) -> dict[At, Any]:
    """Who is where he was not before."""
    return {
        (key, name): z3.And(is_there, z3.Not(earlier[key][name]))
        for key, places in later.items()
        for name, is_there in places.items()
    }


def add_leaving(solver: Any, model: Model, before: Placement, states: list[Where]) -> None:
    """Who is where he may not be any more has left in the end, and does not come back."""
    hosts = {host.name: host for host in model.underlay.hosts}
    for workload in model.workloads:
        at = before.hosts[workload.key]
        if not is_open(model, workload, hosts[at]):
            solver.add(z3.Not(states[-1][workload.key][at]))
            for earlier, later in pairwise(states):
                solver.add(z3.Implies(later[workload.key][at], earlier[workload.key][at]))


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


def in_order(solver: Any, model: Model, where: Where) -> None:
    """Replicas that are all alike are placed in the order of their names.

    Nothing is lost, for they could change places, and much is not tried.
    """
    alike: dict[str, list[Workload]] = {}
    for workload in model.workloads:
        alike.setdefault(repr(replace(workload, name="")), []).append(workload)
    for group in alike.values():
        for one, other in pairwise(group):
            solver.add(rank(where[one.key]) <= rank(where[other.key]))


def rank(places: dict[str, Any]) -> Any:
    """Which of the places it is, 0 the first; as many as there are where it is in none."""
    names = sorted(places)
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


def room(model: Model, where: Where, host: Host) -> Iterator[Any]:
    """CPU, memory and number."""
    there = [(w, where[w.key][host.name]) for w in model.workloads if host.name in where[w.key]]
    if there:
        yield z3.PbLe([(is_there, w.cpu) for w, is_there in there], host.cpu)
        yield z3.PbLe([(is_there, w.memory) for w, is_there in there], host.memory)
        yield z3.PbLe([(is_there, 1) for _, is_there in there], host.pods)


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


def apart_pairs(
    hosts: dict[str, Host], where: Where, pair: tuple[Workload, Workload], topology: str
) -> Iterator[tuple[Any, list[At]]]:
    """No two Hosts of one domain, and no one Host, for both."""
    one, other = (workload.key for workload in pair)
    for name, is_here in where[one].items():
        for name2, is_there in where[other].items():
            mine, theirs = (host_place(hosts[host]).labels.get(topology) for host in (name, name2))
            if mine is not None and mine == theirs:
                yield z3.Not(z3.And(is_here, is_there)), [(one, name), (other, name2)]
