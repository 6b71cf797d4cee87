"""What happens to a running lab, one operation at a time: planned as ordered moves, made one after the other.

Each move is a change of the whole lab in the kernel before the next one begins, so that no intermediate step is over
capacity or against a rule. A refusal changes nothing; a move that fails leaves those before it made.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

from msgspec.structs import replace

from sdn.errors import LabError, UnschedulableError
from sdn.lab.running import Counts, Done, Running, Say
from sdn.model import Model, Placement, Workload
from sdn.model.lifecycle import Label, Migrate, Move, Moved, Operation, Outcome, Stage
from sdn.scheduler import place
from sdn.scheduler.proposal import Proposal, refusal

Planned = tuple[Model, Proposal]
"""What the lab is asked to be, and the moves that lead there; the Model is as before where nothing about it changes."""

Planner = Callable[[Model, Placement, Any], Planned]


def propose(operation: Operation, model: Model, placement: Placement) -> Planned:
    """What an operation comes to; LabError for names that are not there."""
    planner = PLANNERS.get(type(operation))
    if planner is None:
        raise LabError(f"this version of sdn cannot do that to a running lab; it can: {', '.join(sorted(_verbs()))}")
    return planner(model, placement, operation)


def operate(running: Running, operation: Operation, say: Say = lambda _: None) -> Outcome:
    """Do it, and say what came of it."""
    started = time.monotonic()
    running.require_whole()
    placed = running.prepared.placed
    model, proposal = propose(operation, placed.model, placed.placement)
    if proposal.refused:
        return Outcome(operation, refused=proposal.refused)
    stages = [Stage("decide", _since(started))]
    done: list[Done] = []
    moved: list[Moved] = []
    if model != placed.model:
        say("the lab's new description")
        done.append(running.move(model, placed.placement, say))
    for move in proposal.moves:
        say(f"{move.workload} from {move.source or 'nowhere'} to {move.target or 'nowhere'}")
        one = running.move(model, after(model, running.prepared.placed.placement, move), say)
        moved.append(Moved(move, one.gap, one.connections))
        done.append(one)
    planned, enforced = (sum(getattr(one, part) for one in done) for part in ("planned", "enforced"))
    stages += [Stage("plan", round(planned, 4)), Stage("enforce", round(enforced, 4))]
    return Outcome(
        operation,
        moved=tuple(moved),
        hosts=tuple(sorted({node for one in done for node in one.nodes})),
        changes=total(one.changes for one in done),
        stages=tuple(stages),
        planned=round(stages[0].seconds + planned, 4),
        enforced=_since(started),
    )


def after(model: Model, placement: Placement, move: Move) -> Placement:
    """Where everything runs after one move; the Pods of a node go where its VM goes."""
    hosts, nodes = dict(placement.hosts), dict(placement.nodes)
    for places, target in ((hosts, move.target), (nodes, move.target_node)):
        if target:
            places[move.workload] = target
        else:
            places.pop(move.workload, None)
    for pod, node in nodes.items():
        if node == move.workload and move.target:
            hosts[pod] = move.target
    return Placement(dict(sorted(hosts.items())), dict(sorted(nodes.items())))


def total(several: Iterator[Counts]) -> Counts:
    """The sum, by kind."""
    found: Counts = {}
    for counts in several:
        for kind, (added, changed, removed) in counts.items():
            one, two, three = found.get(kind, (0, 0, 0))
            found[kind] = (one + added, two + changed, three + removed)
    return found


def _since(started: float) -> float:
    return round(time.monotonic() - started, 4)


def _verbs() -> Iterator[str]:
    return (kind.__name__.lower() for kind in PLANNERS)


def _called(model: Model, name: str) -> list[Workload]:
    """The workload of that key, or all replicas of the owner of that `namespace/name`; LabError if there is neither."""
    exact = [workload for workload in model.workloads if workload.key == name]
    found = exact or [w for w in model.workloads if f"{w.namespace}/{w.owner[1]}" == name and w.owner[1]]
    if not found:
        raise LabError(f"there is no workload {name!r} in the lab; `sdn status` lists them")
    return found


def _host(model: Model, name: str) -> str:
    names = [host.name for host in model.underlay.hosts]
    if name not in names:
        raise LabError(f"there is no host {name!r} in the lab; there are: {', '.join(sorted(names)[:12])}")
    return name


def _label(model: Model, placement: Placement, operation: Label) -> Planned:
    """Nobody moves: groups are what changes, and with them the sets of every Host at once."""
    keys = {workload.key for workload in _called(model, operation.workload)}
    workloads = tuple(
        replace(one, labels=_labelled(one.labels, operation.labels)) if one.key in keys else one
        for one in model.workloads
    )
    return replace(model, workloads=workloads), Proposal((), placement)


def _labelled(labels: dict[str, str], changes: dict[str, str]) -> dict[str, str]:
    return dict(sorted((key, value) for key, value in {**labels, **changes}.items() if value))


def _migrate(model: Model, placement: Placement, operation: Migrate) -> Planned:
    (workload, *others) = _called(model, operation.workload)
    if others:
        raise LabError(f"{operation.workload} are {len(others) + 1} workloads; name one, such as {workload.key}")
    target = _host(model, operation.host)
    source = placement.hosts[workload.key]
    if source == target:
        return model, refusal(placement, [f"{workload.key} runs on {target} already"])
    if workload.host:
        return model, refusal(placement, [f"{workload.key} is fixed to {workload.host}; change that with `sdn apply`"])
    pinned = tuple(replace(one, host=target) if one is workload else one for one in model.workloads)
    try:
        found = place(replace(model, workloads=pinned), placement)
    except UnschedulableError as error:
        return model, refusal(placement, [str(error)])
    return model, Proposal((Move(workload.key, source, target, why="asked for"),), found)


PLANNERS: dict[type, Planner] = {Label: _label, Migrate: _migrate}
"""Operation → what plans it."""
