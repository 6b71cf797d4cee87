"""What happens to a running lab, one operation at a time: planned as ordered moves, made one after the other.

Each move is a change of the whole lab in the kernel before the next one begins, so that no intermediate step is over
capacity or against a rule. A refusal changes nothing; a move that fails leaves those before it made.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from msgspec.structs import replace

from sdn.errors import LabError, RolledBackError
from sdn.lab.running import Counts, Done, Running, Say
from sdn.model import HostState, Kind, Model, Placement, Workload
from sdn.model.lifecycle import Drain, Label, Migrate, Move, Moved, Operation, Outcome, Rebalance, Stage
from sdn.plan.ids import namespace_of
from sdn.probe.watch import Seen, Watch
from sdn.scheduler import Proposal, drain, migrate, rebalance, with_hosts
from sdn.scheduler.kept import Kept
from sdn.scheduler.transition import net

Planned = tuple[Model, Proposal]
"""What the lab is asked to be, and the moves that lead there; the Model is as before where nothing about it changes."""

Planner = Callable[[Model, Placement, Any, Kept], Planned]


def propose(operation: Operation, model: Model, placement: Placement, kept: Kept) -> Planned:
    """What an operation comes to; LabError for names that are not there."""
    planner = PLANNERS.get(type(operation))
    if planner is None:
        can = ", ".join(sorted(kind.__name__.lower() for kind in PLANNERS))
        raise LabError(f"this version of sdn cannot do that to a running lab; it can: {can}")
    return planner(model, placement, operation, kept)


def operate(running: Running, operation: Operation, watch: bool = False, say: Say = lambda _: None) -> Outcome:
    """Do it, and say what came of it; with `watch` packets are sent meanwhile around whoever is concerned."""
    started = time.monotonic()
    running.require_whole()
    before = running.model
    model, proposal = propose(operation, before, running.placement, running.kept)
    decided = _since(started)
    if proposal.refused:
        return Outcome(operation, refused=proposal.refused, notes=proposal.notes)
    if isinstance(operation, Rebalance) and operation.dry_run:
        moved = tuple(map(Moved, proposal.moves))
        return Outcome(operation, moved, stages=(Stage("decide", decided),), planned=decided, notes=proposal.notes)
    with _watching(running, concerned(operation, model, proposal) if watch else ()) as watching:
        moved, done = _make(running, model, proposal.moves, say)
        seen = watching.end(running.prepared.placed) if watching is not None else Seen()
    changes = total(one.changes for one in done)
    unheard = _unheard(operation, changed=model != before) if not changes else ()
    return Outcome(
        operation,
        moved=moved,
        hosts=tuple(sorted({node for one in done for node in one.nodes})),
        changes=changes,
        stages=(Stage("decide", decided), *_stages(done)),
        planned=round(decided + sum(one.planned for one in done), 4),
        enforced=round(decided + sum(one.planned + one.enforced for one in done), 4),
        sent=seen.sent,
        lost=seen.lost,
        duplicated=seen.duplicated,
        leaked=seen.leaked,
        notes=(*proposal.notes, *unheard),
    )


def _unheard(operation: Operation, changed: bool) -> Iterator[str]:
    """Of labels that made no difference to any Host: why."""
    if isinstance(operation, Label):
        written = ", ".join(f"{key}={value}" if value else f"no {key}" for key, value in operation.labels.items())
        if changed:
            yield f"{operation.workload} has {written} now; no policy, group or service that is in use follows that"
        else:
            yield f"{operation.workload} has {written} already"


def _make(running: Running, model: Model, moves: Sequence[Move], say: Say) -> tuple[tuple[Moved, ...], list[Done]]:
    """First what the lab is asked to be, where everything is, then one move after the other."""
    done: list[Done] = []
    if model is not running.model and model != running.model:
        say("the lab's new description")
        done.append(running.move(model, running.placement, say))
    moved, made = take_turns(running, model, [(move,) for move in moves], say)
    return moved, done + made


def take_turns(
    running: Running, model: Model, turns: Sequence[Sequence[Move]], say: Say
) -> tuple[tuple[Moved, ...], list[Done]]:
    """One change after the other, each of one move or of several at once; who refuses leaves those before it made."""
    done: list[Done] = []
    moved: list[Moved] = []
    for number, turn in enumerate(turns, 1):
        placement = running.placement
        for move in turn:
            placement = after(placement, move)
        say(f"{number} of {len(turns)}: {_told(net(turn))}")
        try:
            one = running.move(model, placement, say)
        except RolledBackError as error:
            if number == 1:
                raise
            raise RolledBackError(f"{number - 1} of {len(turns)} changes of place were made; then {error}") from error
        moved += [Moved(move, one.gap, one.connections) for move in net(turn)]
        done.append(one)
    return tuple(moved), done


def _told(turn: Sequence[Move]) -> str:
    first = turn[0]
    more = f" and {len(turn) - 1} more" if len(turn) > 1 else ""
    return f"{first.workload} from {first.source or 'nowhere'} to {first.target or 'nowhere'}{more}"


def _stages(done: Sequence[Done]) -> Iterator[Stage]:
    """Of several changes together; what is not live migration has one stage in the kernel."""
    stages = {"plan": sum(one.planned for one in done)}
    for one in done:
        for name, seconds in one.stages or (("enforce", one.enforced),):
            stages[name] = stages.get(name, 0.0) + seconds
    return (Stage(name, round(seconds, 4)) for name, seconds in stages.items())


def _watching(running: Running, subjects: Sequence[str]) -> AbstractContextManager[Watch | None]:
    return Watch(running.prepared.placed, subjects, namespace_of) if subjects else nullcontext()


def concerned(operation: Operation, model: Model, proposal: Proposal) -> list[str]:
    """Around whom to watch: what moves, with the Pods of a node, or is labelled."""
    nodes = proposal.placement.nodes
    found = {move.workload: None for move in proposal.moves if move.source and move.target}
    found |= {pod: None for pod, node in nodes.items() if node in found}
    if isinstance(operation, Label):
        found |= {workload.key: None for workload in _called(model, operation.workload)}
    return list(found)


def after(placement: Placement, move: Move) -> Placement:
    """Where everything runs after one move; the Pods of a node go where its VM goes."""
    hosts, nodes = dict(placement.hosts), dict(placement.nodes)
    for places, target in ((hosts, move.target), (nodes, move.target_node)):
        if target:
            places[move.workload] = target
        else:
            places.pop(move.workload, None)
    inside = [pod for pod, node in nodes.items() if node == move.workload] if move.target else []
    hosts.update(dict.fromkeys(inside, move.target))
    return Placement.in_order(hosts, nodes)


def total(several: Iterable[Counts]) -> Counts:
    """The sum, by kind."""
    found: Counts = {}
    for counts in several:
        for kind, (added, changed, removed) in counts.items():
            one, two, three = found.get(kind, (0, 0, 0))
            found[kind] = (one + added, two + changed, three + removed)
    return found


def _since(started: float) -> float:
    return round(time.monotonic() - started, 4)


def _called(model: Model, name: str) -> list[Workload]:
    """The workload of that key, or all replicas of the owner of that `namespace/name`; LabError if there is neither."""
    where, _, called = name.partition("/")
    exact = [workload for workload in model.workloads if workload.name == called and workload.namespace == where]
    found = exact or [w for w in model.workloads if w.owner[1] == called != "" and w.namespace == where]
    if not found:
        raise LabError(f"there is no workload {name!r} in the lab; `sdn status` lists them")
    return found


def _label(model: Model, placement: Placement, operation: Label, _: Kept) -> Planned:
    """Nobody moves: groups are what changes, and with them the sets of every Host at once."""
    chosen = {id(one) for one in _called(model, operation.workload)}
    workloads = tuple(
        [
            replace(one, labels=_labelled(one.labels, operation.labels)) if id(one) in chosen else one
            for one in model.workloads
        ]
    )
    return replace(model, workloads=workloads), Proposal((), placement)


def _labelled(labels: dict[str, str], changes: dict[str, str]) -> dict[str, str]:
    return dict(sorted((key, value) for key, value in {**labels, **changes}.items() if value))


def _require_target(model: Model, target: str, nodes: bool = False) -> None:
    """LabError where nothing has that name; that something cannot go there is the scheduler's to say."""
    hosts = {host.name for host in model.underlay.hosts}
    vms = {name for w in model.workloads if nodes and w.kind is Kind.VM for name in (w.key, w.name)}
    if target not in hosts | vms:
        what = "Host or node" if nodes else "Host"
        raise LabError(f"there is no {what} {target!r} in the lab; `sdn status` lists them")


def _migrate(model: Model, placement: Placement, operation: Migrate, kept: Kept) -> Planned:
    _require_target(model, operation.host, nodes=True)
    return model, migrate(model, placement, operation.workload, operation.host, kept)


def _drain(model: Model, placement: Placement, operation: Drain, _: Kept) -> Planned:
    """The Host takes nothing new from now on, also if nothing runs there."""
    _require_target(model, operation.host)
    emptied = with_hosts(model, {operation.host}, HostState.MAINTENANCE)
    return emptied, drain(model, placement, operation.host)


def _rebalance(model: Model, placement: Placement, operation: Rebalance, _: Kept) -> Planned:
    return model, rebalance(model, placement)


PLANNERS: dict[type, Planner] = {Drain: _drain, Label: _label, Migrate: _migrate, Rebalance: _rebalance}
"""Operation → what plans it."""
