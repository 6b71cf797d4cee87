"""What operations of several stages share: their clock, what was done to the kernel, and starting what does not run."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager

from msgspec.structs import replace

from sdn.lab.operations import after, total
from sdn.lab.running import Done, Running, Say
from sdn.model import HostState, Model, Placed, Placement
from sdn.model.lifecycle import Move, Moved, Operation, Outcome, Stage
from sdn.plan.ids import namespace_of
from sdn.plan.state import Plan
from sdn.probe.health import Checked, check
from sdn.probe.pulse import Pulse
from sdn.probe.watch import Seen, Watch


class Work:
    """One operation under way. Each stage's seconds are from the end of the one before it."""

    def __init__(self, running: Running, operation: Operation, say: Say) -> None:
        running.finish()
        running.require_whole()
        self.running = running
        self.operation = operation
        self.moved: list[Moved] = []
        self.notes: list[str] = []
        self.unhealthy: list[str] = []
        self.failed: list[str] = []
        self._say = say
        self._done: list[Done] = []
        self._stages: dict[str, float] = {}
        self._started = self._since = time.monotonic()

    @property
    def model(self) -> Model:
        """What the lab is asked to be now."""
        return self.running.model

    @property
    def placement(self) -> Placement:
        """Where everything is now."""
        return self.running.placement

    def seconds(self) -> float:
        """Since it was asked for."""
        return time.monotonic() - self._started

    def stage(self, name: str) -> None:
        """A stage has ended; one of the same name goes on."""
        now = time.monotonic()
        self._stages[name] = self._stages.get(name, 0.0) + now - self._since
        self._since = now
        self._say(name)

    def become(self, model: Model, placement: Placement) -> Done:
        """Have the kernel hold this, if it is anything else."""
        if (model, placement) == (self.model, self.placement):
            return Done()
        self._done.append(self.running.move(model, placement, self._say))
        self.running.finish()  # what comes next may look at the kernel
        return self._done[-1]

    def start(self, moves: Sequence[Move], homes: Mapping[str, Move] | None = None, *, serving: bool = False) -> None:
        """Make moves of which most are starts: those that wait for nobody begin together, and must be reached.

        `homes` says of who starts again where it ran before; `serving` asks that commands listen.
        """
        homes = homes or {}
        for group in _groups(self.model, moves):
            placement = self.placement
            for move in group:
                placement = after(placement, move)
            done = self.become(self.model, placement)
            if done.changes:
                self.stage("programmed")
            keys = [move.workload for move in group if move.target]
            checked = check(self.running.prepared.placed, keys, namespace_of, serving=serving)
            failed = [one for _, one in sorted(checked.items()) if one.failure]
            self.unhealthy += [f"{one.workload} is not reached: {one.failure}" for one in failed]
            if checked:
                self.stage("reachable")
            if done.gap or all(move.source for move in group):
                self.moved += [Moved(move, done.gap, done.connections) for move in group]
                continue
            self.moved += [self._moved(move, homes.get(move.workload), checked.get(move.workload)) for move in group]

    def _moved(self, move: Move, home: Move | None, checked: Checked | None) -> Moved:
        """The gap of who starts again is all the time from the request until it was reached."""
        if home is not None:
            move = replace(move, source=home.source, source_node=home.source_node)
        return Moved(move, round(self.seconds(), 4) if checked and not checked.failure else 0.0)

    def pulse(self, also: Collection[str] = ()) -> Pulse:
        """Heartbeats of the Hosts that are not known to have failed, and of some that may be back."""
        return Pulse(*speakers(self.model, self.running.plan, also))

    def outcome(self, seen: Seen | None = None) -> Outcome:
        """All of it; the operation is over."""
        seen = seen or Seen()
        return Outcome(
            self.operation,
            moved=tuple(self.moved),
            hosts=tuple(sorted({node for one in self._done for node in one.nodes})),
            changes=total(one.changes for one in self._done),
            stages=tuple(Stage(name, round(seconds, 4)) for name, seconds in self._stages.items()),
            planned=round(sum(one.planned for one in self._done), 4),
            enforced=round(self.seconds(), 4),
            sent=seen.sent,
            lost=seen.lost,
            duplicated=seen.duplicated,
            leaked=seen.leaked,
            notes=(*self.notes, *self.unhealthy),
            failed=tuple(self.failed),
        )


def speakers(model: Model, plan: Plan, also: Collection[str] = ()) -> tuple[dict[str, str], dict[str, str]]:
    """The Hosts that are not known to have failed, and some others, with their loopbacks; and with their racks."""
    all_hosts = model.underlay.hosts
    hosts = [host.name for host in all_hosts if host.state is not HostState.FAILED or host.name in also]
    racks = {host: ",".join(sorted({veth.peer_node for veth in plan[host].uplinks})) for host in hosts}
    return {host: plan[host].loopback[0].partition("/")[0] for host in hosts}, racks


@contextmanager
def watching(placed: Placed, without: Collection[str], wanted: bool) -> Iterator[Callable[[Placed], Seen]]:
    """Watch a few who are not concerned themselves; the callable ends it."""
    bystanders = {key: endpoint for key, endpoint in placed.endpoints.items() if key not in without}
    if not wanted or len(bystanders) < 2:
        yield lambda _: Seen()
        return
    with Watch(replace(placed, endpoints=bystanders), list(bystanders), namespace_of) as watch:
        yield watch.end


def without(placement: Placement, keys: Collection[str]) -> Placement:
    """The same, but that these run nowhere."""
    hosts = {key: host for key, host in placement.hosts.items() if key not in keys}
    return Placement(hosts, {key: node for key, node in placement.nodes.items() if key not in keys})


def homes(placement: Placement, keys: Collection[str]) -> dict[str, Move]:
    """Where these run, as moves from there to nowhere."""
    nodes = placement.nodes
    return {key: Move(key, placement.hosts[key], "", nodes.get(key, "")) for key in sorted(keys)}


def _groups(model: Model, moves: Sequence[Move]) -> Iterator[list[Move]]:
    """Starts of one priority together, unless one waits for another of them; everything else alone."""
    workloads = {workload.key: workload for workload in model.workloads}
    group: list[Move] = []
    for move in moves:
        scheduling = workloads[move.workload].scheduling
        if group and not (
            _starts(move)
            and _starts(group[-1])
            and workloads[group[-1].workload].scheduling.priority == scheduling.priority
            and not {one.workload for one in group} & {*scheduling.after}
        ):
            yield group
            group = []
        group.append(move)
    if group:
        yield group


def _starts(move: Move) -> bool:
    return bool(move.target) and not move.source
