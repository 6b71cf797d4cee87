"""One event at a time in a running lab: from the request until the kernel of every Host has taken what comes of it.

Who is removed is shut by then, and no rule or route on any Host speaks of it; that its link and namespace are gone is
told apart. The lab is Kubernetes' own network with NetworkPolicies, and idle; a move is a live migration. It is
one that stays, so it is made ready for changes as soon as it is up.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import NamedTuple

import yaml
from msgspec.structs import replace

from benchmarks import enforce_floor, machine
from benchmarks.labs import LEAVES, SPINES, manifests
from benchmarks.migrate import PERCENTILES, at
from benchmarks.rows import Row, compared, plain, require
from sdn.errors import LabError
from sdn.lab import client
from sdn.model import Model, Workload
from sdn.model.lifecycle import Label, Migrate
from sdn.spec.load import load

FLOOR = "an element to each host"
KINDS = ("label", "move", "remove", "add")
READY = 2.0
"""Seconds after which a lab has all that its first change needs; it waits until nobody asks it for anything."""


@dataclass(frozen=True)
class Options:
    """`events` of each kind, one after the other."""

    pods: int = 1000
    hosts: int = 50
    events: int = 100
    seed: int = 1


def write(folder: Path, options: Options) -> Path:
    """The lab as its user would write it."""
    (folder / "manifests.yaml").write_text(yaml.dump_all(manifests(options.pods), Dumper=yaml.CSafeDumper))
    underlay = {"hosts": {"count": options.hosts, "pods": 200}, "leaves": LEAVES, "spines": SPINES}
    lab = {"lab": "bench-enforce", "underlay": underlay, "manifests": ["manifests.yaml"]}
    path = folder / "lab.yaml"
    path.write_text(yaml.dump(lab, Dumper=yaml.CSafeDumper))
    return path


def run(options: Options, note: client.Say) -> Iterator[Row]:
    """Rows as they come."""
    yield from machine.rows()
    with tempfile.TemporaryDirectory() as folder:
        model = load([write(Path(folder), options)]).model
    floor = enforce_floor.measure(options.hosts)
    least = {name: at(floor, share) * 1000 for name, share in PERCENTILES.items()}
    name = f"bench-enforce-{os.getpid()}"
    client.up([], model, name)
    lab = client.connect(name)
    try:
        time.sleep(READY)
        note(f"{options.events} events of each kind in a lab of {options.hosts} hosts and {options.pods} pods")
        events = Events(lab, options)
        times: dict[str, list[Took]] = {kind: [] for kind in KINDS}
        for _ in range(options.events):
            for kind in KINDS:
                times[kind].append(events.one(kind))
        drift = lab.status().drift
    finally:
        lab.down()
    for kind, took in times.items():
        for name, share in PERCENTILES.items():
            total = at([one.planned + one.enforced for one in took], share)
            yield compared(f"enforce {kind}: event to enforced, {name}", total * 1000, "ms", FLOOR, least[name])
        yield plain(f"enforce {kind}: planned, median", at([one.planned for one in took], 0.5) * 1000, "ms")
        yield plain(f"enforce {kind}: in the kernel, median", at([one.enforced for one in took], 0.5) * 1000, "ms")
        yield plain(f"enforce {kind}: asked to answered, median", at([one.answered for one in took], 0.5) * 1000, "ms")
        yield plain(f"enforce {kind}: event to enforced, the first", (took[0].planned + took[0].enforced) * 1000, "ms")
    for name, share in PERCENTILES.items():
        yield plain(f"enforce remove: cleaned up after that, {name}", at(events.cleaned, share) * 1000, "ms")
    every = [one.planned + one.enforced for took in times.values() for one in took]
    for name, share in PERCENTILES.items():
        yield compared(f"enforce: event to enforced, {name}", at(every, share) * 1000, "ms", FLOOR, least[name])
    yield plain("enforce: differences from the plan at the end", len(drift))
    require({"differences from the plan": len(drift)})


class Took(NamedTuple):
    """Seconds of planning, and from there until enforced; `answered` is from the client's call to its answer."""

    planned: float
    enforced: float
    answered: float


class Events:
    """Random events. `cleaned` is how long after it was enforced the last of each that was removed was gone.

    With `renamed` nobody comes back under the name that somebody had before, as Pods never do.
    """

    def __init__(self, lab: client.Lab, options: Options, renamed: bool = False) -> None:
        self._lab = lab
        self._renamed = renamed
        self._come = 0
        self._chance = Random(options.seed)
        self._hosts = [f"host-{number}" for number in range(1, options.hosts + 1)]
        self.cleaned: list[float] = []
        self._gone: Workload | None = None
        self._first = True

    def one(self, kind: str) -> Took:
        """Make one event."""
        placed = self._lab.placed()
        model = placed.model
        workload = self._chance.choice(model.workloads)
        if kind == "label":
            apps = sorted({one.labels["app"] for one in model.workloads} - {workload.labels["app"]})
            return self._operate(Label(workload.key, {"app": self._chance.choice(apps)}))
        if kind == "move":
            here = placed.placement.hosts[workload.key]
            return self._operate(Migrate(workload.key, self._chance.choice([h for h in self._hosts if h != here])))
        if kind == "remove":
            self._gone = workload
            done = self._apply(replace(model, workloads=tuple(w for w in model.workloads if w is not workload)))
            self.cleaned.append(self._lab.status(check=False).cleaned)
            return done
        assert self._gone is not None
        self._come += 1
        new = replace(self._gone, name=f"new-{self._come}") if self._renamed else self._gone
        workloads = sorted((*model.workloads, new), key=lambda one: one.key)
        return self._apply(replace(model, workloads=tuple(workloads)))

    def _operate(self, operation: Label | Migrate) -> Took:
        started = time.perf_counter()
        done = self._lab.operate(operation)
        answered = time.perf_counter() - started
        if done.refused:
            raise LabError("; ".join(done.refused))
        return Took(done.planned, done.enforced - done.planned, answered)

    def _apply(self, model: Model) -> Took:
        started = time.perf_counter()
        done = self._lab.apply(model)
        return Took(done.planned, done.enforced, time.perf_counter() - started)
