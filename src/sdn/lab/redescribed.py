"""A running lab takes a new description: first that, with everybody where he runs, then moves, each of them alive.

What cannot be placed, ordered or numbered is known before anything is touched. A move that the kernel refuses goes
back alone: the lab is whole then, and the same file asked for again goes on from there.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator

from sdn.lab.operations import take_turns, total
from sdn.lab.running import Done, Running, Say
from sdn.model import Model, Placement
from sdn.model.lifecycle import Moved
from sdn.plan.allocate import allocate
from sdn.scheduler.transition import transition

_SHOWN = 3


def redescribe(running: Running, model: Model, placement: Placement, say: Say) -> tuple[tuple[Moved, ...], Done]:
    """Become this Model at this Placement; who moved and how, and what all of it took."""
    started = time.monotonic()
    way = transition(model, running.placement, placement)
    if way.turns:
        allocate(model, placement, running.prepared.placed)  # raises what would else be found when a part is done
    ordered = time.monotonic() - started
    first = running.move(model, way.first, say)
    moved, done = take_turns(running, model, way.turns, say)
    made = [first, *done]
    whole = Done(
        changes=total(one.changes for one in made),
        nodes=tuple(sorted({node for one in made for node in one.nodes})),
        messages=sum(one.messages for one in made),
        commands=sum(one.commands for one in made),
        planned=round(ordered + sum(one.planned for one in made), 4),
        enforced=round(sum(one.enforced for one in made), 4),
        cut=sum(one.cut for one in made),
    )
    return (*(Moved(move, first.gap, first.connections) for move in way.at_once), *_others(moved)), whole


def _others(moved: Iterable[Moved]) -> Iterator[Moved]:
    """Those that ran before: who starts with a new description is what it adds."""
    return (one for one in moved if one.move.source)


def rewired(running: Running, moved: Iterable[Moved]) -> Iterator[str]:
    """A sentence about those that got a new cable, for each reason."""
    there = list(moved)
    wired = running.prepared.placed.endpoints if there else {}
    reasons: dict[str, list[str]] = {}
    for one in there:
        move = one.move
        if move.workload in wired and move.source != move.target and move.target and not one.gap:
            reasons.setdefault(move.why, []).append(move.workload)
    for why, keys in reasons.items():
        more = f" and {len(keys) - _SHOWN} more" if len(keys) > _SHOWN else ""
        yield f"{', '.join(keys[:_SHOWN])}{more} could not move alive, so open connections were lost: {why}"
