"""What had failed, or was in maintenance, takes part again: cables first, workloads only when it is known to be empty.

A Host that comes back counts as failed until heartbeats are heard of it and the kernel says that nothing is left on it
of what runs elsewhere by now. Then whatever waits for room may start.
"""

from __future__ import annotations

from sdn.errors import LabError
from sdn.kernel.readback import drift
from sdn.lab.running import Running, Say
from sdn.lab.work import Work
from sdn.model import HostState, Model
from sdn.model.lifecycle import Heal, Outcome
from sdn.plan.topology import cut_off
from sdn.scheduler import restart, with_hosts
from sdn.scheduler.underlay import failed_hosts, links_between, with_isolated, with_link, with_switch


def heal(running: Running, operation: Heal, watch: bool = False, say: Say = lambda _: None) -> Outcome:
    """Mend it; refused where nothing is wrong with it. Nobody is watched: nothing that runs is touched."""
    placed = running.prepared.placed
    mended = _mended(placed.model, operation.name)
    waiting = waiting_in(placed.model, running)
    known = operation.name in {one.key for one in placed.model.workloads}
    heard_again = operation.name in {*placed.model.underlay.isolated} - {*cut_off(placed.model.underlay)}
    if mended == placed.model and not (heard_again or (known and operation.name in waiting)):
        return Outcome(operation, refused=(_nothing_wrong(placed.model, operation.name),))
    work = Work(running, operation, say)
    if operation.name in {h.name for h in placed.model.underlay.hosts if h.state is HostState.MAINTENANCE}:
        work.notes += [f"{operation.name} takes workloads again"]
    work.become(mended, work.placement)
    work.stage("mended")
    _readmit(work)
    waiting = [key for key in waiting if not known or key == operation.name]
    if waiting:
        proposal = restart(work.model, work.placement, dict.fromkeys(waiting, ("", "")), "there is room again")
        work.stage("placed")
        work.notes += proposal.notes
        work.start(proposal.moves)
    return work.outcome()


def _nothing_wrong(model: Model, name: str) -> str:
    if name in model.underlay.isolated:
        return f"nobody reaches {name} before a way to it is mended; `sdn status` says which links and switches failed"
    return f"{name} has not failed; there is nothing to heal"


def waiting_in(model: Model, running: Running) -> list[str]:
    """Who is asked for and runs nowhere."""
    return [one.key for one in model.workloads if one.key not in running.prepared.placed.placement.hosts]


def _mended(model: Model, name: str) -> Model:
    """The Model with that thing in order again; a Host that was without power counts as not reached until it is."""
    hosts = {host.name: host.state for host in model.underlay.hosts}
    if name in hosts:
        if hosts[name] is HostState.MAINTENANCE:
            return with_hosts(model, {name}, HostState.UP)
        if hosts[name] is HostState.FAILED and name not in model.underlay.isolated:
            return with_isolated(model, {*model.underlay.isolated, name})
        return model
    if any(switch.name == name for switch in model.underlay.switches):
        return with_switch(model, name, failed=False)
    if links_between(model, name):
        return with_link(model, name, failed=False)
    if any(one.key == name for one in model.workloads):
        return model
    raise LabError(f"there is no host, switch, link A:B or workload {name!r}; `sdn status` says what has failed")


def _readmit(work: Work) -> None:
    """The Hosts that are heard again, and on which nothing is left, run things from now on."""
    isolated = {*work.model.underlay.isolated}
    returning = isolated - {*cut_off(work.model.underlay)}
    if not returning:
        return
    with work.pulse(returning) as pulse:
        silent = pulse.steady() if len(work.model.underlay.hosts) > 1 else frozenset()
    work.stage("heard")
    plan = work.running.prepared.plan
    left = drift({host: plan[host] for host in sorted(returning - silent)})
    work.stage("read back")
    if left:
        work.notes += [f"not used again before it is as planned: {difference}" for difference in left]
        return
    back = returning - silent
    work.notes += [f"{host} is not heard, so it still runs nothing" for host in sorted(returning & silent)]
    model = with_hosts(work.model, back & failed_hosts(work.model), HostState.UP)
    work.become(with_isolated(model, isolated - back), work.placement)
    work.stage("readmitted")
