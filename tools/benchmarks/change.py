"""One change of a running lab, in labs of several sizes: from the request until it is enforced, and what was sent.

What a change costs should follow the change and not the lab, so every figure stands beside the smallest lab's. Half of
the events are timed, the other half counted by strace, which slows down what it counts.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from statistics import median
from typing import NamedTuple

from msgspec.structs import replace

from benchmarks import enforce, machine, strace
from benchmarks.labs import Size
from benchmarks.migrate import PERCENTILES, at
from benchmarks.rows import Row, compared, plain
from sdn.errors import LabError
from sdn.lab import client
from sdn.model import Direction, LabelSelector, Model, NetworkPolicy, ServicePort, Workload
from sdn.model.lifecycle import Label, Migrate
from sdn.spec.load import load

SHARES = {name: PERCENTILES[name] for name in ("median", "99th percentile")}
POLICY = "bench-change"

Event = Callable[[], tuple[float, float, int]]
"""Asks the lab for something; the seconds until it was enforced, of them planning, and how many nodes it touched."""


@dataclass(frozen=True)
class Options:
    """`events` of each kind are timed, and `counted` more are counted, in a lab of each number of `pods`."""

    pods: tuple[int, ...] = (100, 1000)
    events: int = 20
    counted: int = 5
    seed: int = 1


class Took(NamedTuple):
    """Seconds: from the request to the reply, of them in the holder until it was enforced, of them planning.

    `nodes` are those that it touched, which is what its cost should follow.
    """

    replied: float
    enforced: float
    planned: float
    nodes: int


class Counted(NamedTuple):
    """What an event sends, and the nodes that it touches."""

    counts: strace.Counts
    nodes: float


class Figures(NamedTuple):
    """Of one lab: kind of event → what each took, and what one sent, each in the middle of several."""

    times: dict[str, list[Took]]
    counts: dict[str, Counted]


def run(options: Options, note: client.Say) -> Iterator[Row]:
    """Rows as they come."""
    yield from machine.rows()
    smallest: tuple[int, Figures] | None = None
    for pods in options.pods:
        note(f"{options.events} events of each kind in a lab of {pods:,} pods")
        figures = _measured(pods, options, note)
        smallest = smallest or (pods, figures)
        yield from _rows(pods, figures, *smallest)


def _measured(pods: int, options: Options, note: client.Say) -> Figures:
    with tempfile.TemporaryDirectory() as folder:
        model = load([enforce.write(Path(folder), enforce.Options(pods, Size(pods).hosts))]).model
    with client.temporary(model) as lab:
        info = lab.built()
        note(f"{info.counts['pods']:,} pods are up after {sum(seconds for _, seconds in info.stages):.0f} s")
        events = _Events(lab, options.seed)
        events.one("label")  # the first one has the holder index its plan
        times: dict[str, list[Took]] = {kind: [] for kind in events.kinds}
        for _ in range(options.events):
            for kind in events.kinds:
                times[kind].append(events.one(kind))
        counts = _counted(lab, events, options, note)
        drift = lab.status(progress=note).drift
    if drift:
        raise LabError(f"after the changes the kernel differs from the plan: {drift[0]}")
    return Figures(times, counts)


def _counted(lab: client.Lab, events: _Events, options: Options, note: client.Say) -> dict[str, Counted]:
    why = strace.missing()
    if why:
        note(why)
        return {}
    counts: dict[str, list[Counted]] = {kind: [] for kind in events.kinds}
    for _ in range(options.counted):
        for kind in events.kinds:
            event = events.prepared(kind)
            with strace.counting(lab.pid) as found:
                nodes = event()[2]
            counts[kind].append(Counted(found.counts, nodes))
    return {kind: _median(found) for kind, found in counts.items() if found}


def _median(found: Sequence[Counted]) -> Counted:
    """Not the average: threads that wait for each other on a busy machine may ask the kernel a thousand times more."""
    calls, sent = (median(getattr(one.counts, field) for one in found) for field in ("calls", "sent"))
    return Counted(strace.Counts(calls, sent), median(one.nodes for one in found))


def _rows(pods: int, figures: Figures, least: int, smallest: Figures) -> Iterator[Row]:
    peer = f"{least:,} pods"
    for kind, times in figures.times.items():
        what = f"change {pods:,} pods: {kind}"
        for name, share in SHARES.items():
            for field, words in (("enforced", "to enforced"), ("replied", "to its reply")):
                mine, other = ([getattr(one, field) for one in of] for of in (times, smallest.times[kind]))
                yield compared(f"{what}, {words}, {name}", at(mine, share) * 1000, "ms", peer, at(other, share) * 1000)
        planned, others_planned = (at([one.planned for one in of], 0.5) for of in (times, smallest.times[kind]))
        yield compared(f"{what}, planned, median", planned * 1000, "ms", peer, others_planned * 1000)
        nodes, others_nodes = (sum(one.nodes for one in of) / len(of) for of in (times, smallest.times[kind]))
        yield compared(f"{what}, nodes that changed", nodes, "", peer, others_nodes)
        if kind in figures.counts:
            (counts, on), (others, others_on) = figures.counts[kind], smallest.counts[kind]
            yield compared(f"{what}, system calls", counts.calls, "", peer, others.calls)
            yield compared(f"{what}, sent to the kernel", counts.sent, "bytes", peer, others.sent)
            yield compared(f"{what}, nodes when counted", on, "", peer, others_on)
            each, others_each = counts.each(max(on, 1)), others.each(max(others_on, 1))
            yield compared(f"{what}, system calls a node", each.calls, "", peer, others_each.calls)
            yield compared(f"{what}, sent to the kernel a node", each.sent, "bytes", peer, others_each.sent)
    total = sum(len(times) for times in figures.times.values())
    yield plain(f"change {pods:,} pods: changes, and no difference from the plan after them", total)


class _Events:
    """Random events of each kind in turn; what comes or is set by one goes or is set back by another.

    What the lab has become is known here, for asking a large one for all of it takes longer than the event.
    """

    def __init__(self, lab: client.Lab, seed: int) -> None:
        self._lab = lab
        self._chance = Random(seed)
        placed = lab.placed()
        self._model = placed.model
        self._hosts = dict(placed.placement.hosts)  # without those that came meanwhile
        self._gone: Workload | None = None
        self._makers: dict[str, Callable[[], Event]] = {
            "label": self._label,
            "move": self._move,
            "remove": self._remove,
            "add": self._add,
            "policy": self._policy,
            "service": self._service,
        }
        self.kinds = tuple(self._makers)

    def one(self, kind: str) -> Took:
        """Make one event, and time it."""
        event = self.prepared(kind)
        started = time.perf_counter()
        done = event()
        return Took(time.perf_counter() - started, *done)

    def prepared(self, kind: str) -> Event:
        """What is asked of the lab; taken for done, so it has to be made."""
        return self._makers[kind]()

    def _label(self) -> Event:
        """Another app of the same namespace."""
        one = self._chance.choice(self._model.workloads)
        apps = {w.labels["app"] for w in self._model.workloads if w.namespace == one.namespace}
        other = replace(one, labels={"app": self._chance.choice(sorted(apps - {one.labels["app"]}))})
        self._model = _with(self._model, other)
        return self._operation(Label(one.key, other.labels))

    def _move(self) -> Event:
        key = self._chance.choice(sorted(self._hosts))
        others = {host.name for host in self._model.underlay.hosts} - {self._hosts[key]}
        self._hosts[key] = self._chance.choice(sorted(others))
        return self._operation(Migrate(key, self._hosts[key]))

    def _remove(self) -> Event:
        gone = self._gone = self._chance.choice(self._model.workloads)
        self._hosts.pop(gone.key, None)
        rest = tuple(one for one in self._model.workloads if one is not gone)
        return self._become(replace(self._model, workloads=rest))

    def _add(self) -> Event:
        assert self._gone is not None
        return self._become(_with(self._model, self._gone))

    def _policy(self) -> Event:
        """A policy that isolates one app, beside those that are there; the one before goes."""
        app = self._chance.choice(self._model.workloads)
        policy = NetworkPolicy(
            app.namespace, POLICY, LabelSelector((("app", app.labels["app"]),)), (Direction.INGRESS,), ()
        )
        others = [one for one in self._model.network_policies if one.name != POLICY]
        policies = sorted((*others, policy), key=lambda one: (one.namespace, one.name))
        return self._become(replace(self._model, network_policies=tuple(policies)))

    def _service(self) -> Event:
        """One Service listens on another port."""
        changed = self._chance.choice(self._model.services)
        (port,) = changed.ports
        other = replace(changed, ports=(ServicePort(port.port % 1000 + 1, port.target, port.protocol, port.name),))
        services = tuple(other if one is changed else one for one in self._model.services)
        return self._become(replace(self._model, services=services))

    def _operation(self, operation: Label | Migrate) -> Event:
        def event() -> tuple[float, float, int]:
            done = self._lab.operate(operation)
            if done.refused:
                raise LabError("; ".join(done.refused))
            return done.enforced, done.planned, len(done.hosts)

        return event

    def _become(self, model: Model) -> Event:
        self._model = model

        def event() -> tuple[float, float, int]:
            done = self._lab.apply(model)
            return done.planned + done.enforced, done.planned, len(done.nodes)

        return event


def _with(model: Model, one: Workload) -> Model:
    """A workload that comes, or is another one."""
    workloads = sorted((*(w for w in model.workloads if w.key != one.key), one), key=lambda w: w.key)
    return replace(model, workloads=tuple(workloads))
