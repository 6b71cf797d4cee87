"""The independent checker: does a placement, and does every step of a plan, keep every hard rule?

A second reading of the rules, from the model's docstrings and from Kubernetes' and vSphere's documentation. It shares
no code with the scheduler, and has plain loops over everything where the scheduler counts. Where both disagree the
documentation decides; `checker_pods` says how rules that Kubernetes asks only at binding are asked of what is bound.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import checker_pods as pods
import checker_room as room
import checker_rules as lab
from checker_state import State, Violation

from sdn.model import Model, Placement
from sdn.model.lifecycle import Move

RULES: tuple[Callable[[State], Iterator[Violation]], ...] = (
    lab.whereabouts,
    lab.pins,
    lab.host_states,
    lab.separations,
    lab.rules,
    lab.volumes,
    lab.images,
    room.host_capacity,
    room.node_capacity,
    room.numa,
    room.pools,
    room.admission,
    pods.node_affinity,
    pods.taints,
    pods.apart,
    pods.near,
    pods.spread,
)


def violations(model: Model, placement: Placement, before: Placement | None = None) -> list[Violation]:
    """Every broken rule, each named by whom it is broken."""
    state = State(model, placement, before)
    return [violation for rule in RULES for violation in rule(state)]


def check(model: Model, placement: Placement, before: Placement | None = None, *, whole: bool = True) -> list[str]:
    """A sentence per broken rule; with `whole` also per workload that is nowhere.

    `before` is where all ran: what NoSchedule taints, Hosts in maintenance and the image gate do not send away stays.
    """
    missing = [w.key for w in model.workloads if w.key not in placement.hosts] if whole else []
    return [*(f"nowhere: {key}" for key in missing), *map(str, violations(model, placement, before))]


def check_steps(model: Model, before: Placement, moves: Sequence[Move], after: Placement) -> list[str]:
    """What is wrong with a plan: nothing is broken that was not, at no step, and it leads where it says.

    What was broken before may stay so, but never gets worse.
    """
    told = []
    now, broken = before, excesses(model, before, before)
    for number, move in enumerate(moves):
        told += [f"step {number} {move.workload}: {wrong}" for wrong in misfit(model, now, move)]
        following = moved(now, move)
        found = excesses(model, following, now)
        told += [
            f"step {number} {move.workload}: {violation}"
            for violation in [*found.values(), *arrivals(model, now, following, move)]
            if violation.excess > (broken[key].excess if (key := (violation.rule, violation.subject)) in broken else 0)
        ]
        now, broken = following, found
    if now != after:
        told.append(f"the end is not what was said: {differing(now, after)}")
    return told


def excesses(model: Model, placement: Placement, before: Placement) -> dict[tuple[str, str], Violation]:
    """The violations by what they are, without how far they go."""
    return {(violation.rule, violation.subject): violation for violation in violations(model, placement, before)}


def arrivals(model: Model, before: Placement, after: Placement, move: Move) -> list[Violation]:
    """Rules that are asked of what has just been bound: the workload, and of a node the Pods that came with it."""
    state = State(model, after, before)
    keys = {move.workload, *(key for key, node in after.nodes.items() if node == move.workload)}
    return list(pods.arrived_near(state, [w for w in state.placed if w.key in keys]))


def misfit(model: Model, now: Placement, move: Move) -> Iterator[str]:
    """Whether a move begins where its workload is, and is one at all."""
    known = {workload.key: workload for workload in model.workloads}
    source, node = now.hosts.get(move.workload, ""), now.nodes.get(move.workload, "")
    if (move.source, move.source_node) != (source, node):
        yield f"begins in {move.source_node or move.source or 'nowhere'}, is in {node or source or 'nowhere'}"
    if (move.source, move.source_node) == (move.target, move.target_node):
        yield "leads nowhere"
    if move.target and move.workload not in known:
        yield "is not in the lab"
    if not move.target and move.workload in known and known[move.workload].is_node:
        yield from (f"its node stops under {key}" for key, inside in now.nodes.items() if inside == move.workload)


def moved(now: Placement, move: Move) -> Placement:
    """After one move; a node takes its Pods along."""
    hosts, nodes = dict(now.hosts), dict(now.nodes)
    hosts.pop(move.workload, None)
    nodes.pop(move.workload, None)
    if move.target:
        hosts[move.workload] = move.target
        hosts |= {pod: move.target for pod, node in now.nodes.items() if node == move.workload}
        if move.target_node:
            nodes[move.workload] = move.target_node
    return Placement(hosts, nodes)


def differing(now: Placement, after: Placement) -> str:
    """The first few that are elsewhere."""
    keys = sorted({*now.hosts, *after.hosts})
    wrong = [k for k in keys if (now.hosts.get(k), now.nodes.get(k)) != (after.hosts.get(k), after.nodes.get(k))]
    return ", ".join(f"{key} ends on {now.hosts.get(key)}, not {after.hosts.get(key)}" for key in wrong[:5])
