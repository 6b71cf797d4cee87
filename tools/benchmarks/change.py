"""One change of a running lab, in labs of several sizes: from the request until it is enforced, and what was sent.

What a change costs should follow the change and not the lab, so every figure stands beside the smallest lab's. Half of
the events are timed, the other half counted by strace, which slows down what it counts.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import NamedTuple

from msgspec.structs import replace

from benchmarks import enforce, machine, strace
from benchmarks.labs import Size
from benchmarks.migrate import PERCENTILES, at
from benchmarks.rows import Row, compared, plain
from sdn.errors import LabError
from sdn.lab import client
from sdn.model import Direction, LabelSelector, Model, NetworkPolicy, Placed, ServicePort, Workload
from sdn.model.lifecycle import Label, Migrate
from sdn.spec.load import load

SHARES = {name: PERCENTILES[name] for name in ("median", "99th percentile")}
POLICY = "bench-change"


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


class Figures(NamedTuple):
    """Of one lab: kind of event → what each took, and what one sent on average."""

    times: dict[str, list[Took]]
    counts: dict[str, strace.Counts]


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
        lab.built()
        events = _Events(lab, options.seed)
        events.one("label")  # the first one has the holder index its plan
        times: dict[str, list[Took]] = {kind: [] for kind in events.kinds}
        for _ in range(options.events):
            for kind in events.kinds:
                times[kind].append(events.one(kind))
        counts = _counted(lab, events, options, note)
        drift = lab.status().drift
    if drift:
        raise LabError(f"after the changes the kernel differs from the plan: {drift[0]}")
    return Figures(times, counts)


def _counted(lab: client.Lab, events: _Events, options: Options, note: client.Say) -> dict[str, strace.Counts]:
    why = strace.missing()
    if why:
        note(why)
        return {}
    counts = {kind: strace.Counts() for kind in events.kinds}
    for _ in range(options.counted):
        for kind in events.kinds:
            event = events.prepared(kind)
            with strace.counting(lab.pid) as found:
                event()
            counts[kind] += found.counts
    return {kind: one.each(options.counted) for kind, one in counts.items()}


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
            counts, others = figures.counts[kind], smallest.counts[kind]
            yield compared(f"{what}, system calls", counts.calls, "", peer, others.calls)
            yield compared(f"{what}, sent to the kernel", counts.sent, "bytes", peer, others.sent)
    total = sum(len(times) for times in figures.times.values())
    yield plain(f"change {pods:,} pods: changes, and no difference from the plan after them", total)


class _Events:
    """Random events of each kind in turn; what comes or is set by one goes or is set back by another."""

    def __init__(self, lab: client.Lab, seed: int) -> None:
        self._lab = lab
        self._chance = Random(seed)
        self._gone: Workload | None = None
        self._makers: dict[str, Callable[[Placed], Callable[[], tuple[float, float, int]]]] = {
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

    def prepared(self, kind: str) -> Callable[[], tuple[float, float, int]]:
        """What is asked of the lab; it gives the seconds until it was enforced, of them planning, and the nodes."""
        return self._makers[kind](self._lab.placed())

    def _label(self, placed: Placed) -> Callable[[], tuple[float, float, int]]:
        """Another app of the same namespace."""
        one = self._chance.choice(placed.model.workloads)
        apps = {w.labels["app"] for w in placed.model.workloads if w.namespace == one.namespace}
        return self._operation(Label(one.key, {"app": self._chance.choice(sorted(apps - {one.labels["app"]}))}))

    def _move(self, placed: Placed) -> Callable[[], tuple[float, float, int]]:
        one = self._chance.choice(placed.model.workloads)
        hosts = {host.name for host in placed.model.underlay.hosts} - {placed.placement.hosts[one.key]}
        return self._operation(Migrate(one.key, self._chance.choice(sorted(hosts))))

    def _remove(self, placed: Placed) -> Callable[[], tuple[float, float, int]]:
        gone = self._gone = self._chance.choice(placed.model.workloads)
        rest = tuple(one for one in placed.model.workloads if one is not gone)
        return self._model(replace(placed.model, workloads=rest))

    def _add(self, placed: Placed) -> Callable[[], tuple[float, float, int]]:
        assert self._gone is not None
        workloads = sorted((*placed.model.workloads, self._gone), key=lambda one: one.key)
        return self._model(replace(placed.model, workloads=tuple(workloads)))

    def _policy(self, placed: Placed) -> Callable[[], tuple[float, float, int]]:
        """A policy that isolates one app, beside those that are there; the one before goes."""
        app = self._chance.choice(placed.model.workloads)
        policy = NetworkPolicy(
            app.namespace, POLICY, LabelSelector((("app", app.labels["app"]),)), (Direction.INGRESS,), ()
        )
        others = [one for one in placed.model.network_policies if one.name != POLICY]
        policies = sorted((*others, policy), key=lambda one: (one.namespace, one.name))
        return self._model(replace(placed.model, network_policies=tuple(policies)))

    def _service(self, placed: Placed) -> Callable[[], tuple[float, float, int]]:
        """One Service listens on another port."""
        changed = self._chance.choice(placed.model.services)
        (port,) = changed.ports
        other = replace(changed, ports=(ServicePort(port.port % 1000 + 1, port.target, port.protocol, port.name),))
        return self._model(
            replace(placed.model, services=tuple(other if one is changed else one for one in placed.model.services))
        )

    def _operation(self, operation: Label | Migrate) -> Callable[[], tuple[float, float, int]]:
        def event() -> tuple[float, float, int]:
            done = self._lab.operate(operation)
            if done.refused:
                raise LabError("; ".join(done.refused))
            return done.enforced, done.planned, len(done.hosts)

        return event

    def _model(self, model: Model) -> Callable[[], tuple[float, float, int]]:
        def event() -> tuple[float, float, int]:
            done = self._lab.apply(model)
            return done.planned + done.enforced, done.planned, len(done.nodes)

        return event
