"""Something breaks in a running lab, is noticed by heartbeats, fenced, and what was lost starts elsewhere.

Nothing starts anywhere before all that could still run of it is gone, ports first: no split brain. What the plan is
told is what the heartbeats say, not what was broken.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from sdn.errors import LabError
from sdn.kernel import outage
from sdn.lab.running import Running, Say
from sdn.lab.work import Work, homes, watching, without
from sdn.model import HostState, Kind, Model, Placed
from sdn.model.lifecycle import Fail, Move, Moved, Outcome, What
from sdn.plan.topology import cut_off
from sdn.scheduler import recover, restart, with_hosts
from sdn.scheduler.underlay import ends_of, failed_hosts, links_between, with_isolated, with_link, with_switch


def fail(running: Running, operation: Fail, watch: bool = False, say: Say = lambda _: None) -> Outcome:
    """Break it, and recover from it; refused where it is broken already."""
    refused = _refusal(running.prepared.placed, operation)
    if refused:
        return Outcome(operation, refused=(refused,))
    work = Work(running, operation, say)
    lost = _concerned(work, operation)
    with watching(running.prepared.placed, lost, watch) as end:
        BREAKERS[operation.what](work, operation.name)
        seen = end(running.prepared.placed)
    return work.outcome(seen)


def _refusal(placed: Placed, operation: Fail) -> str:
    """Why it cannot fail (any more), empty if it can; LabError where there is no such thing."""
    model = placed.model
    name, what, underlay = operation.name, operation.what, model.underlay
    again = f"{what} {name} has failed already; `sdn heal {name}` mends it"
    if what is What.HOST:
        host = next((one for one in underlay.hosts if one.name == name), None)
        _require(host is not None, what, name, [one.name for one in underlay.hosts])
        powerless = host is not None and host.state is HostState.FAILED and name not in underlay.isolated
        return again if powerless else ""
    if what is What.SWITCH:
        switches = {one.name: one for one in underlay.switches}
        _require(name in switches, what, name, list(switches))
        return again if switches[name].failed else ""
    if what is What.LINK:
        between = links_between(model, name)
        _require(bool(between), what, name, [f"{link.a}:{link.b}" for link in underlay.links])
        return again if all(link.failed for link in between) else ""
    keys = [one.key for one in model.workloads if one.kind is Kind(what.value)]
    _require(name in keys, what, name, keys)
    return "" if name in placed.placement.hosts else f"{name} does not run, so it cannot fail; `sdn status` says why"


def _require(found: bool, what: What, name: str, known: list[str]) -> None:
    if not found:
        shown = ", ".join(known[:8]) + (", ..." if len(known) > 8 else "")
        raise LabError(f"there is no {what} {name!r} in the lab (there are: {shown or 'none'}); name one of them")


def _concerned(work: Work, operation: Fail) -> frozenset[str]:
    """Who does not survive it, as far as that is known beforehand."""
    where = work.placement
    if operation.what is What.HOST:
        return frozenset(key for key, host in where.hosts.items() if host == operation.name)
    inside = {key for key, node in where.nodes.items() if node == operation.name}
    return frozenset(inside | {operation.name}) if operation.what in (What.VM, What.POD) else frozenset()


def _host(work: Work, name: str) -> None:
    with work.pulse() as pulse:
        known = failed_hosts(work.model)
        outage.power_off(work.running.prepared.plan[name])
        pulse.end(name)
        work.stage("broken")
        silent = pulse.wait({name}) if pulse.observers and name not in known else frozenset({name})
        work.stage("detected")
    if not pulse.observers:
        work.notes.append("no other host is up, so nobody noticed and nothing can start elsewhere")
    isolated = {*work.model.underlay.isolated, *silent} - {name}
    _give_up(work, with_hosts(work.model, {name}, HostState.FAILED), isolated, (silent | {name}) - known)


def _switch(work: Work, name: str) -> None:
    outage.power_off(work.running.prepared.plan[name])
    work.stage("broken")
    _lead_around(work, with_switch(work.model, name, failed=True))


def _link(work: Work, name: str) -> None:
    outage.pull(work.running.prepared.plan, *ends_of(name))
    work.stage("broken")
    _lead_around(work, with_link(work.model, name, failed=True))


def _lead_around(work: Work, model: Model) -> None:
    """Routes first, which the nodes beside it see at once; then whoever is silent all the same is cut off."""
    known = failed_hosts(model)
    cut = {*cut_off(model.underlay)} - known
    pulse = work.pulse()
    work.become(with_isolated(model, {*model.underlay.isolated, *cut}), work.placement)
    work.stage("led around")
    if cut:
        with pulse:
            silent = pulse.wait(cut)
        work.stage("detected")
        _give_up(work, work.model, {*work.model.underlay.isolated, *silent}, frozenset(silent | cut))


def _give_up(work: Work, model: Model, isolated: Collection[str], failed: frozenset[str]) -> None:
    """Fence Hosts, then start elsewhere what ran there."""
    before = work.placement
    lost = {key for key, host in before.hosts.items() if host in failed}
    known = homes(before, lost)
    work.become(with_isolated(model, isolated), without(before, lost))
    work.stage("fenced")
    proposal = recover(work.model, before, failed)
    if lost:
        work.stage("placed")
    work.notes += proposal.notes
    work.start(_started(proposal.moves, lost), known)
    started = {one.move.workload for one in work.moved}
    work.moved += [Moved(move) for key, move in known.items() if key not in started]


def give_up(running: Running, silent: Collection[str], say: Say = lambda _: None) -> Outcome:
    """Hosts are not heard any more, and nobody has said that they should not: as if their cables had been pulled.

    Cables that carry nothing are down from now on, until they are healed.
    """
    work = Work(running, Fail(What.HOST, ", ".join(sorted(silent))), say)
    model = work.model
    known = failed_hosts(model)
    for one, other in outage.cut_cables(running.prepared.plan):
        work.notes.append(f"link {one}:{other} is down")
        model = with_link(model, f"{one}:{other}", failed=True)
    lost = frozenset({*silent, *cut_off(model.underlay)} - known)
    _give_up(work, model, {*model.underlay.isolated, *lost}, lost)
    return work.outcome()


def given_up(outcome: Outcome) -> str:
    """What came of it, as one sentence of a log."""
    moved = [one.move for one in outcome.moved]
    again = sum(bool(move.target) for move in moved)
    seconds = ", ".join(f"{stage.name} {stage.seconds * 1000:.0f} ms" for stage in outcome.stages)
    assert isinstance(outcome.operation, Fail)
    told = f"not heard any more: {outcome.operation.name}, fenced; {again} of {len(moved)} workloads run elsewhere"
    return "; ".join([f"{told} ({seconds})", *outcome.notes])


def _started(planned: Sequence[Move], lost: Collection[str]) -> list[Move]:
    """Without the stops of what was lost, which have happened."""
    waiting = set(lost)
    moves = []
    for move in planned:
        if move.workload in waiting and not move.target:
            waiting.remove(move.workload)
        else:
            moves.append(move)
    return moves


def _workload(work: Work, name: str) -> None:
    """A VM with its Pods, or a Pod: gone, and started again, where it was if that is possible."""
    before = work.placement
    lost = {key for key in _concerned(work, Fail(What.VM, name)) if key in before.hosts}
    known = homes(before, lost)
    for host in sorted({before.hosts[key] for key in lost}):
        outage.crash(work.running.prepared.plan[host], lost)
    work.stage("broken")
    work.become(work.model, without(before, lost))
    work.stage("stopped")
    places = {key: (move.source, move.source_node) for key, move in known.items()}
    proposal = restart(work.model, work.placement, places, "starts again after it failed")
    work.stage("placed")
    work.notes += proposal.notes
    work.start(proposal.moves, known)
    started = {one.move.workload for one in work.moved}
    work.moved += [Moved(move) for key, move in known.items() if key not in started]


BREAKERS: dict[What, Callable[[Work, str], None]] = {
    What.HOST: _host,
    What.SWITCH: _switch,
    What.LINK: _link,
    What.VM: _workload,
    What.POD: _workload,
}
"""What breaks → what then happens."""
