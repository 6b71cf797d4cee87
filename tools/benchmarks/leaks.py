"""What stays behind: a small lab again and again up and down, and one lab that changes as often as in a day.

Each figure is a slope with its standard error (see `series`). The figures of a process are its own, and so is its
error where one grows. Those of the kernel are of the whole machine: where others had network namespaces meanwhile,
they may be found flat, but growth is not ours to tell.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from tempfile import TemporaryDirectory

import yaml

from benchmarks import command, enforce, leaks_process, machine
from benchmarks.gone import seconds_until_gone
from benchmarks.leaks_kernel import Kernel
from benchmarks.rows import Row, compared, plain
from benchmarks.series import Series, Verdict
from sdn.errors import LabError
from sdn.kernel import sandbox
from sdn.lab import client
from sdn.spec.load import load

DAY = 24 * 60 * 60  # seconds

SAMPLES = 100
"""Of a case, evenly; with fewer steps one after each."""

TOLD = 10
"""Times that a case says how far it is."""


@dataclass(frozen=True)
class Options:
    """Labs up and down in this process; as many by the command; events in one lab of `pods`, and tests of it.

    0 leaves a case out.
    """

    cycles: int = 1_000
    commands: int = 1_000
    events: int = 10_000
    tests: int = 20
    pods: int = 40


LAB = {
    "lab": "bench-leaks",
    "underlay": {"hosts": 2, "leaves": 1, "spines": 1},
    "applications": {
        "shop": {
            "segments": {"front": {"subnets": ["10.1.0.0/24", "fd00:1::/64"]}, "back": {"kind": "routed"}},
            "workloads": {
                "web": {"replicas": 2, "segment": "front", "labels": {"app": "web"}, "ports": ["80/tcp"]},
                "db": {"replicas": 2, "segment": "back", "labels": {"app": "db"}, "ports": ["5432/tcp"]},
            },
            "services": {"db": {"ports": ["5432/tcp"], "selector": {"app": "db"}}},
        }
    },
}
"""Something of each kind: bridged and routed, both families, a Service, policy."""


class Watched:
    """All series of one case, and how far it is; after each `turn` of steps all is as before, if nothing leaks."""

    def __init__(self, case: str, steps: int, series: Sequence[Series], note: client.Say, turn: int = 1) -> None:
        self.case = case
        self._steps = steps
        self._every = turn * max(1, steps // SAMPLES // turn)
        self._own = list(series)
        self._kernel = Kernel()
        if self._kernel.missing:
            note(self._kernel.missing)
        self._others = machine.Others()
        self._note = note
        self._start = time.monotonic()

    def is_due(self, step: int) -> bool:
        """Whether to sample after this step."""
        if step % max(1, self._steps // TOLD) == 0:
            self._note(f"{self.case}: {step:,} of {self._steps:,}, {time.monotonic() - self._start:.0f} s")
        return step % self._every == 0

    def sample(self, step: int, values: Sequence[float], *holders: int) -> None:
        """Of the series in their order; `holders` are the processes of labs of our own that are up."""
        self._others.look(*holders)
        for series, value in zip(self._own, values, strict=True):
            series.add(step, value)
        self._kernel.sample(step)

    def rows(self) -> Iterator[Row]:
        """A few rows for each series, and what can be said of all."""
        yield plain(f"{self.case}: steps", self._steps)
        yield plain(f"{self.case}: one step", (time.monotonic() - self._start) / self._steps * 1000, "ms")
        for series in (*self._own, *self._kernel.series):
            name, unit = f"{self.case}: {series.name}", f"{series.unit}/step"
            yield compared(f"{name}, slope", series.slope, unit, "allowed", series.allowed)
            error = series.error if isfinite(series.error) else "unknown: too few steps"
            yield plain(f"{name}, its standard error", error, unit)
            yield compared(f"{name}, last", series.last, series.unit, "first", series.first)
        yield from self._kernel.rows(self.case)
        yield plain(f"{self.case}: network namespaces of others that came or went", self._others.count)
        verdicts = list(self._verdicts())
        for verdict in Verdict:
            yield plain(f"{self.case}: {verdict}", ", ".join(s.name for s, v in verdicts if v is verdict) or "nothing")

    def growing(self) -> list[str]:
        """A sentence for each series that must not grow and does."""
        return [
            f"{self.case}: {one.name}: each step adds {one.slope:.3g} {one.unit} ± {one.error:.2g} "
            f"(allowed: {one.allowed:g})"
            for one, verdict in self._verdicts()
            if verdict is Verdict.GROWS
        ]

    def _verdicts(self) -> Iterator[tuple[Series, Verdict]]:
        yield from ((one, one.verdict) for one in self._own)
        for one in self._kernel.series:
            others = self._others.count and one.verdict is Verdict.GROWS
            yield one, Verdict.UNKNOWN if others else one.verdict


def run(options: Options, note: client.Say) -> Iterator[Row]:
    """All rows. Raises LabError at the end where anything grew."""
    yield from machine.rows()
    growing: list[str] = []
    with TemporaryDirectory(prefix="sdn-bench-") as folder:
        path = Path(folder) / "lab.yaml"
        path.write_text(yaml.dump(LAB))
        for watched in _cases(options, path, note):
            yield from watched.rows()
            growing += watched.growing()
    if growing:
        raise LabError("; ".join(growing))


def _cases(options: Options, path: Path, note: client.Say) -> Iterator[Watched]:
    cases: list[tuple[int, str, Callable[[], Watched]]] = [
        (options.cycles, "labs up and down in one process", lambda: in_one_process(path, options.cycles, note)),
        (options.commands, "labs up and down by the command", lambda: by_command(path, options.commands, note)),
        (options.events, "events in one lab, without waiting between them", lambda: changing(options, note)),
    ]
    for steps, what, case in cases:
        note(f"{steps:,} {what}" if steps else f"left out, as asked: {what}")
        if steps:
            yield case()


def in_one_process(path: Path, cycles: int, note: client.Say) -> Watched:
    """As a test suite does it."""
    model = load([path]).model
    watched = Watched("leaks in one process", cycles, leaks_process.series("this process"), note)
    for step in range(1, cycles + 1):
        with client.temporary(model) as lab:
            lab.built()
        if watched.is_due(step):
            seconds_until_gone(time.monotonic)
            watched.sample(step, leaks_process.sample(os.getpid(), leaks_process.here()))
    return watched


def by_command(path: Path, cycles: int, note: client.Say) -> Watched:
    """As a shell script does it; nothing of a lab may be left when `sdn down` has returned."""
    name = f"bench-leaks-{os.getpid()}"
    watched = Watched("leaks by command", cycles, [Series("labs that still run", "", 0.0)], note)
    with command.ending(name):
        for step in range(1, cycles + 1):
            command.sdn("up", str(path), "--name", name)
            command.sdn("down", name)
            if watched.is_due(step):
                seconds_until_gone(time.monotonic)
                watched.sample(step, [sum(lab.name == name for lab in sandbox.labs())])
    return watched


def changing(options: Options, note: client.Say) -> Watched:
    """One lab through a day: labels, live migrations, pods that go and others that come; now and then the suite."""
    note(f"one event every {DAY / options.events:.3g} s would be 24 hours")
    wanted = enforce.Options(pods=options.pods, hosts=4, events=options.events)
    with TemporaryDirectory(prefix="sdn-bench-") as folder:
        model = load([enforce.write(Path(folder), wanted)]).model
    series = [*leaks_process.series("the holder"), Series("connections known to hosts", "", 0.05)]
    watched = Watched("leaks of events", options.events, series, note, len(enforce.KINDS))
    hosts = [host.name for host in model.underlay.hosts]
    with leaks_process.counting() as count, client.temporary(model) as lab:
        lab.built()
        lab.test()  # what a holder keeps from then on is no leak
        events = enforce.Events(lab, wanted, renamed=True)
        for step in range(1, options.events + 1):
            events.one(enforce.KINDS[(step - 1) % len(enforce.KINDS)])
            if step % max(1, options.events // options.tests) == 0 and not lab.test().ok:
                raise LabError(f"after {step} events the three answers differ; run tools/bench enforce")
            if watched.is_due(step):
                connections = sum(_connections(lab.pid, host) for host in hosts)
                watched.sample(step, [*leaks_process.sample(lab.pid, count(lab.pid)), connections], lab.pid)
        if drift := lab.status().drift:
            raise LabError(f"after {options.events} events the kernel differs from the plan: {drift[0]}")
    return watched


def _connections(pid: int, host: str) -> int:
    """Entries of a Host's conntrack."""
    count = ["cat", "/proc/sys/net/netfilter/nf_conntrack_count"]
    enter = [sys.executable, "-P", "-m", "sdn.kernel.enter", str(pid), host]
    return int(subprocess.run([*enter, *count], check=True, capture_output=True, text=True).stdout)
