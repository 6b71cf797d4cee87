"""From one description of a lab that runs to another: who moves, and in which turns, so that each may move alive.

First the new description holds with everybody where he runs; then the turns are made one after the other, and no rule
is broken between two of them. Where no order exists, whoever stands in the others' way goes with them in one turn.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from msgspec import Struct

from sdn.model import HostState, Model, Placement
from sdn.model.differing import moved
from sdn.model.lifecycle import Move
from sdn.scheduler.order import moves
from sdn.scheduler.steps import NOWHERE, Place

WANTED = "is placed there now"
AT_ONCE = "changes places with others at once: there is no third place"


class Transition(Struct, frozen=True):
    """`first` is where everything is under the new description before anybody moves; who is new runs nowhere yet.

    Those of `at_once` have gone to other places with it. Each of `turns` is one change: mostly one move.
    """

    first: Placement
    at_once: tuple[Move, ...] = ()
    turns: tuple[tuple[Move, ...], ...] = ()


def transition(model: Model, before: Placement, after: Placement) -> Transition:
    """The turns from where all runs to where the Model has it; where none are needed, all is one change."""
    changed = moved(before.hosts, after.hosts) | moved(before.nodes, after.nodes)
    if not any(key in before.hosts and key in after.hosts for key in changed):
        return Transition(after)
    homeless = _homeless(model, before, after)
    first = _first(before, after, homeless)
    at_once = tuple(_move(before, after, key, why) for key, why in homeless.items())
    if all(place_in(first, key) == place_in(after, key) for key in first.hosts):
        return Transition(after, at_once)
    proposal = moves(model, first, after, WANTED)
    if proposal.refused:
        why = f"no order of moves keeps every rule ({proposal.refused[0]})"
        return Transition(after, tuple(_move(before, after, key, why) for key in _movers(before, after)))
    return Transition(first, at_once, tuple(_turns(proposal.moves)))


def place_in(placement: Placement, key: str) -> Place:
    """Host and node of a workload; `NOWHERE` if it does not run."""
    return (placement.hosts[key], placement.nodes.get(key, "")) if key in placement.hosts else NOWHERE


def net(turn: Sequence[Move]) -> tuple[Move, ...]:
    """What a turn comes to for each workload in it: from where it was to where it is in the end."""
    ends: dict[str, Move] = {}
    stops = len(turn) > 1 and not all(map(_starts, turn))
    for move in turn:
        known = ends.get(move.workload, move)
        why = AT_ONCE if stops else known.why
        ends[move.workload] = Move(move.workload, known.source, move.target, known.source_node, move.target_node, why)
    return tuple(ends.values())


def _homeless(model: Model, before: Placement, after: Placement) -> dict[str, str]:
    """Who runs, stays in the lab, and cannot be where it was until its turn comes; with the reason."""
    up = {host.name for host in model.underlay.hosts if host.state is not HostState.FAILED}
    nodes = {workload.key for workload in model.workloads if workload.is_node} & after.hosts.keys()
    found = {}
    for key in sorted(before.hosts.keys() & after.hosts.keys()):
        host, node = place_in(before, key)
        if node and node not in nodes:
            found[key] = f"{node} is not a node of the lab any more"
        elif not node and host not in up:
            found[key] = f"{host} is not in the lab any more"
    return found


def _first(before: Placement, after: Placement, homeless: Collection[str]) -> Placement:
    """Everybody who ran where he was, the homeless where they shall be; Pods are where their nodes are."""
    places = {key: place_in(after if key in homeless else before, key) for key in before.hosts if key in after.hosts}
    needed = {node for key in homeless if (node := places[key][1]) and node not in places}
    places |= {node: place_in(after, node) for node in needed}
    hosts = {key: places[node][0] if node in places else host for key, (host, node) in places.items()}
    nodes = {key: node for key, (_, node) in places.items() if node}
    return Placement(dict(sorted(hosts.items())), dict(sorted(nodes.items())))


def _movers(before: Placement, after: Placement) -> list[str]:
    """Who goes elsewhere itself, and not with its node."""
    changed = (k for k in sorted(before.hosts.keys() & after.hosts.keys()) if place_in(before, k) != place_in(after, k))
    return [key for key in changed if not (node := after.nodes.get(key)) or before.nodes.get(key) != node]


def _move(before: Placement, after: Placement, key: str, why: str) -> Move:
    (source, source_node), (target, target_node) = place_in(before, key), place_in(after, key)
    return Move(key, source, target, source_node, target_node, why)


def _turns(planned: Sequence[Move]) -> Iterator[tuple[Move, ...]]:
    """One move each; starts that follow one another together, and all between a stop and the start that ends it."""
    starts = {move.workload: index for index, move in enumerate(planned) if move.target and not move.source}
    turn: list[Move] = []
    until = -1
    for index, move in enumerate(planned):
        starting = index == starts.get(move.workload) and all(_starts(one) for one in turn)
        if turn and index > until and not starting:
            yield tuple(turn)
            turn = []
        turn.append(move)
        if not move.target:
            until = max(until, starts.get(move.workload, index))
    if turn:
        yield tuple(turn)


def _starts(move: Move) -> bool:
    return bool(move.target) and not move.source
