"""The fewest live moves out of a deadlock, by trying all in the order of how many they would be: small clusters only.

A state is where each workload in play runs; how many are not yet where they are to be is a lower bound for the moves
still to come (A*). What it gives up on is left to the heuristics of `order`.
"""

from __future__ import annotations

from collections.abc import Mapping
from heapq import heappop, heappush

from sdn.scheduler.steps import Steps
from sdn.scheduler.target import Target

HOSTS = 8
"""Hosts and nodes, at most, of a cluster that is searched like this."""

IN_PLAY = 16
"""Workloads, at most."""

STATES = 600
"""States that are looked at before it is given up."""

State = tuple[str, ...]
"""Ids of targets, in the order of the workloads in play."""


def solve(steps: Steps, wanted: Mapping[str, Target | None]) -> list[tuple[str, Target]] | None:
    """Moves of what runs that lead it where it is wanted; None if none were found. Nothing is changed."""
    targets = [*steps.cluster.hosts, *steps.cluster.nodes]
    running = {key: at for key in steps.cluster.workloads if (at := steps.cluster.where(key))}
    keys = [key for key in running if not steps.workload(key).host]
    if len(targets) > HOSTS or len(keys) > IN_PLAY:
        return None
    goal = {key: (wanted.get(key) or running[key]).id for key in keys}
    found = _search(steps, keys, goal)
    by_id = {target.id: target for target in targets}
    return None if found is None else [(key, by_id[name]) for key, name in found]


def _search(steps: Steps, keys: list[str], goal: Mapping[str, str]) -> list[tuple[str, str]] | None:
    start = _state(steps, keys)
    came: dict[State, tuple[State, str] | None] = {start: None}
    cost = {start: 0}
    queue = [(_misplaced(keys, start, goal), 0, start)]
    for _ in range(STATES):
        if not queue:
            break
        bound, made, state = heappop(queue)
        if bound == made:
            _restore(steps, keys, start)
            return _path(keys, came, state)
        _restore(steps, keys, state)
        for key, following in _following(steps, keys, state):
            if made + 1 < cost.get(following, made + 2):
                cost[following] = made + 1
                came[following] = (state, key)
                heappush(queue, (made + 1 + _misplaced(keys, following, goal), made + 1, following))
    _restore(steps, keys, start)
    return None


def _state(steps: Steps, keys: list[str]) -> State:
    return tuple(target.id if (target := steps.cluster.where(key)) else "" for key in keys)


def _misplaced(keys: list[str], state: State, goal: Mapping[str, str]) -> int:
    return sum(here != goal[key] for key, here in zip(keys, state, strict=True))


def _following(steps: Steps, keys: list[str], state: State) -> list[tuple[str, State]]:
    """Every state that one allowed move leads to."""
    cluster, result = steps.cluster, list[tuple[str, State]]()
    for index, key in enumerate(keys):
        workload, source = steps.workload(key), cluster.unbind(key)
        places = [t for t in cluster.targets_of(workload) if t is not source and cluster.blocked(workload, t) is None]
        cluster.bind(workload, source)
        others = steps.bystanders.of(key)
        free = [target for target in places if steps.hurts(key, target, others) is None]
        result += [(key, (*state[:index], target.id, *state[index + 1 :])) for target in free]
    return result


def _restore(steps: Steps, keys: list[str], state: State) -> None:
    """Bind everything as in a state, without asking: it was reached by allowed moves."""
    cluster = steps.cluster
    for key, name in zip(keys, state, strict=True):
        here, target = cluster.where(key), cluster.target(name)
        if target is not None and here is not target:
            cluster.unbind(key)
            cluster.bind(steps.workload(key), target)


def _path(keys: list[str], came: Mapping[State, tuple[State, str] | None], state: State) -> list[tuple[str, str]]:
    moves: list[tuple[str, str]] = []
    while (step := came[state]) is not None:
        before, key = step
        moves.append((key, state[keys.index(key)]))
        state = before
    return moves[::-1]
