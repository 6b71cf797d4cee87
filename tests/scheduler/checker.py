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
)
"""What is asked of every state, also in the middle of a plan."""

AT_BINDING: tuple[Callable[[State], Iterator[Violation]], ...] = (pods.near, pods.spread)
"""What is asked of finished placements, and at a step of what has just been bound; see `checker_pods`."""


def violations(model: Model, placement: Placement, before: Placement | None = None) -> list[Violation]:
    """Every broken rule of a finished placement, each named by whom it is broken."""
    state = State(model, placement, before)
    return [violation for rule in (*RULES, *AT_BINDING) for violation in rule(state)]


def check(model: Model, placement: Placement, before: Placement | None = None, *, whole: bool = True) -> list[str]:
    """A sentence per broken rule of a placement from empty; with `whole` also per workload that is nowhere.

    `before` is where all ran: what NoSchedule taints, Hosts in maintenance and the image gate do not send away stays.
    """
    starters = pods.starters(State(model, placement, before))
    missing = [w.key for w in model.workloads if w.key not in placement.hosts] if whole else []
    return [*(f"nowhere: {key}" for key in missing), *map(str, [*violations(model, placement, before), *starters])]


def check_steps(model: Model, before: Placement, moves: Sequence[Move], after: Placement) -> list[str]:
    """What is wrong with a plan: nothing is broken that was not, at no step, and it leads where it says.

    What was broken before may stay so, but never gets worse.
    """
    told = []
    now, state = before, State(model, before, before)
    broken = [violation for rule in RULES for violation in rule(state)]
    for number, move in enumerate(moves):
        wrong = [*misfit(model, now, move)]
        now, earlier = moved(now, move), state
        state = State(model, now, earlier.placement)
        found = [violation for rule in RULES for violation in rule(state)]
        wrong += [*map(str, worse(found, broken)), *map(str, arrivals(earlier, state, move))]
        told += [f"step {number} {move.workload}: {sentence}" for sentence in wrong]
        broken = found
    if now != after:
        told.append(f"the end is not what was said: {differing(now, after)}")
    return told


def worse(found: Sequence[Violation], before: Sequence[Violation]) -> list[Violation]:
    """Those that were not there before, or not as bad."""
    known = {(violation.rule, violation.subject): violation.excess for violation in before}
    return [v for v in found if v.excess > known.get((v.rule, v.subject), 0)]


def arrivals(before: State, after: State, move: Move) -> Iterator[Violation]:
    """The rules at binding, asked of the workload that moved, and of a node's Pods that came with it."""
    keys = {move.workload, *(key for key, node in after.placement.nodes.items() if node == move.workload)}
    arrived = [workload for workload in after.placed if workload.key in keys]
    yield from pods.arrived_near(after, arrived)
    yield from pods.arrived_spread(before, after, arrived)


def left_behind(model: Model, before: Placement, after: Placement) -> list[str]:
    """Whom a plan leaves without company or in a domain that is too full, and who was not before.

    Kubernetes ignores this "during execution", so it breaks no rule; but nobody would bind them there today.
    """
    earlier, later = State(model, before, before), State(model, after, before)
    known = [violation for rule in AT_BINDING for violation in rule(earlier)]
    found = [violation for rule in AT_BINDING for violation in rule(later)]
    return [str(violation) for violation in [*worse(found, known), *pods.left_alone(earlier, later)]]


def always(model: Model, placement: Placement, before: Placement) -> list[str]:
    """The rules that are asked of what runs as well, however it came there."""
    state = State(model, placement, before)
    return [str(violation) for rule in RULES for violation in rule(state)]


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
