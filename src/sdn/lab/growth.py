"""Owners grow, shrink and are replaced batch by batch in a running lab; nothing counts as there until it is reached."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping

from sdn.errors import LabError, UnschedulableError
from sdn.lab.running import Running, Say
from sdn.lab.work import Work, homes, watching, without
from sdn.model import HostState, Model, Workload
from sdn.model.lifecycle import Move, Moved, Outcome, Rollout, Scale
from sdn.scheduler import drain, evacuate, reconcile, restart, rollout_batches, with_hosts
from sdn.scheduler.replicas import replicas_of, with_replicas, with_workloads

_SHOWN = 4

STEADY = 0.3
"""Seconds for which a command must go on running to count as healthy."""


def scale(running: Running, operation: Scale, watch: bool = False, say: Say = lambda _: None) -> Outcome:
    """As many replicas as asked for, or a refusal with the reason per Host."""
    placed = running.prepared.placed
    work = Work(running, operation, say)
    try:
        model = with_replicas(placed.model, operation.workload, operation.replicas)
        proposal = reconcile(model, placed.placement)
    except UnschedulableError as error:
        return Outcome(operation, refused=error.reasons)
    except ValueError as error:
        raise LabError(str(error)) from None
    if proposal.refused:
        return Outcome(operation, refused=proposal.refused)
    work.stage("placed")
    gone = {one.key for one in placed.model.workloads} - {one.key for one in model.workloads}
    known = homes(placed.placement, gone & placed.placement.hosts.keys())
    with watching(placed, gone, watch) as end:
        if work.become(model, without(placed.placement, gone)).changes:
            work.stage("stopped" if gone else "described")
        work.moved += [Moved(move) for move in known.values()]
        work.start([move for move in proposal.moves if move.workload not in gone])
        seen = end(running.prepared.placed)
    return work.outcome(seen)


def rollout(running: Running, operation: Rollout, watch: bool = False, say: Say = lambda _: None) -> Outcome:
    """Replace one batch after another; the first that is not healthy goes back, and nothing further begins."""
    placed = running.prepared.placed
    if operation.max_unavailable < 1:
        raise LabError("a rollout replaces nothing while none may be unavailable; allow at least 1")
    if operation.hosts:
        return roll_hosts(running, operation, watch, say)
    wanted = _wanted(placed.model, operation)
    if not wanted:
        return Outcome(operation)
    work = Work(running, operation, say)
    inside = {pod for pod, node in placed.placement.nodes.items() if node in wanted}
    with watching(placed, wanted.keys() | inside, watch) as end:
        for batch in _batches(placed.model, wanted, operation.max_unavailable):
            before = [one for one in work.model.workloads if one.key in batch]
            wrong = _replace(work, [wanted[key] for key in batch], "is replaced", serving=True)
            if wrong:
                again = _replace(work, before, "goes back", serving=False)
                work.failed += [*wrong, *(f"and after it went back: {sentence}" for sentence in again)]
                work.failed.append(f"went back: {', '.join(batch)}; nothing further was replaced")
                break
        seen = end(running.prepared.placed)
    return work.outcome(seen)


def roll_hosts(running: Running, operation: Rollout, watch: bool = False, say: Say = lambda _: None) -> Outcome:
    """So many Hosts at a time are drained and taken back; one that cannot be emptied ends it, back in use itself."""
    work = Work(running, operation, say)
    names = [host.name for host in work.model.underlay.hosts if host.state is HostState.UP]
    with watching(running.prepared.placed, (), watch) as end:
        for start in range(0, len(names), operation.max_unavailable):
            batch = names[start : start + operation.max_unavailable]
            work.become(with_hosts(work.model, batch, HostState.MAINTENANCE), work.placement)
            for host in batch:
                proposal = drain(work.model, work.placement, host)
                work.failed += proposal.refused
                work.start(proposal.moves)
            work.become(with_hosts(work.model, batch, HostState.UP), work.placement)
            work.stage("taken back")
            if work.failed:
                work.failed.append(f"{batch[0]} and whatever comes after it were not replaced")
                break
        seen = end(running.prepared.placed)
    return work.outcome(seen)


def _wanted(model: Model, operation: Rollout) -> dict[str, Workload]:
    """What replaces whom: what is described anew, or all of the Application (or owner) as they are."""
    name = operation.application
    mine = {one.key: one for one in model.workloads if name in (one.application, one.namespace)}
    mine = mine or {one.key: one for one in replicas_of(model, name)}
    if not mine:
        there = ", ".join(sorted({one.application for one in model.workloads if one.application})) or "none"
        raise LabError(f"there is no application or owner {name!r} in the lab (applications: {there})")
    if not operation.workloads:
        return mine
    if mine.keys().isdisjoint(one.key for one in operation.workloads):
        shown = ", ".join(sorted(mine)[:_SHOWN]) + (", ..." if len(mine) > _SHOWN else "")
        raise LabError(
            f"the files describe no workload of {name} ({shown}), so nothing was replaced; name files that do, or none "
            "to have each start anew as it is"
        )
    return {one.key: one for one in operation.workloads if one.key in mine and one != mine[one.key]}


def _batches(model: Model, wanted: Collection[str], most: int) -> Iterator[tuple[str, ...]]:
    """Owner by owner, each with its own canary; what nothing owns is its own owner."""
    owners: dict[str, list[str]] = {}
    for one in model.workloads:
        if one.key in wanted:
            owners.setdefault(f"{one.namespace}/{one.owner[1] or one.name}", []).append(one.key)
    for name in sorted(owners):
        yield from rollout_batches(owners[name], most)


def _replace(work: Work, fresh: list[Workload], why: str, *, serving: bool) -> list[str]:
    """Stop them, start them as they are described now, and say what of it is not healthy.

    Pods leave their nodes first, alive; who finds no other place stops and starts with its node.
    """
    nodes = [one.key for one in fresh if one.is_node]
    if nodes:
        _evacuate(work, nodes)
    before = work.placement
    keys = [one.key for one in fresh]
    keys += sorted(pod for pod, node in before.nodes.items() if node in nodes and pod not in keys)
    known = homes(before, before.hosts.keys() & {*keys})
    work.become(work.model, without(before, keys))
    work.become(with_workloads(work.model, fresh), work.placement)
    work.stage("stopped")
    places = {key: _place(known, key) for key in keys}
    proposal = restart(work.model, work.placement, places, why)
    work.stage("placed")
    work.start(proposal.moves, known, serving=serving)
    wrong, work.unhealthy = work.unhealthy, []
    if serving and not wrong and any(one.command for one in fresh):
        time.sleep(STEADY)
        mine = tuple(f"{key}: " for key in keys)
        wrong = [sentence for sentence in work.running.driver.failures() if sentence.startswith(mine)]
        work.stage("steady")
    return [*proposal.notes, *wrong]


def _evacuate(work: Work, nodes: list[str]) -> None:
    proposal = evacuate(work.model, work.placement, nodes)
    work.notes += proposal.notes
    work.start(proposal.moves)
    work.stage("emptied")


def _place(known: Mapping[str, Move], key: str) -> tuple[str, str]:
    return (known[key].source, known[key].source_node) if key in known else ("", "")
