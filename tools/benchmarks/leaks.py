"""What stays behind: a small lab again and again up and down, and one lab that changes as often as in a day.

The figures of a process are its own. Those of the kernel are of the whole machine, so they are judged only where
nobody else was seen to have network namespaces meanwhile; the others always are, and one that grows is an error.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import yaml

from benchmarks import enforce, machine
from benchmarks.rows import Row, compared, plain
from benchmarks.series import Series
from sdn.errors import LabError
from sdn.kernel import sandbox
from sdn.lab import client
from sdn.spec.load import load

DAY = 24 * 60 * 60  # seconds
SETTLING = 8192.0
"""KiB by which a process may seem to grow in all steps together: a holder that rests varies by up to 12 MB between two
events, and the least of few samples still by some."""

SAMPLES = 50
"""Of a case, evenly; with fewer steps one after each."""


@dataclass(frozen=True)
class Options:
    """Labs up and down in this process; as many by the command; events in one lab of `pods`, and tests of it."""

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
    """All series of one case."""

    def __init__(self, case: str, steps: int, series: Sequence[Series]) -> None:
        self.case = case
        self._steps = steps
        self._own = list(series)
        self._machine = [
            Series("kernel memory", "KiB", 40.0 + SETTLING / steps),
            Series("network namespaces of the machine", "", 0.2),
        ]
        self._others = 0
        self._start = time.monotonic()

    def is_due(self, step: int) -> bool:
        """Whether to sample after this step."""
        every = max(1, self._steps // SAMPLES)
        return step % every == 0

    def sample(self, step: int, values: Sequence[float], holder: int = 0) -> None:
        """Of the series in their order; `holder` is the process of a lab of our own, if one is up."""
        self._others = max(self._others, _strangers(holder))
        for series, value in zip(self._own, values, strict=True):
            series.add(step, value)
        for series, value in zip(self._machine, (machine.kernel_memory() * 1024, namespaces()), strict=True):
            series.add(step, value)

    def rows(self) -> Iterator[Row]:
        """A row for each series."""
        yield plain(f"{self.case}: steps", self._steps)
        yield plain(f"{self.case}: one step", (time.monotonic() - self._start) / self._steps * 1000, "ms")
        for series in (*self._own, *self._machine):
            unit = f"{series.unit}/step".removeprefix("/step") or "/step"
            yield compared(f"{self.case}: {series.name}, slope", series.slope, unit, "allowed", series.allowed)
            yield compared(f"{self.case}: {series.name}, last", series.last, series.unit, "first", series.first)
        if self._others:
            yield plain(f"{self.case}: kernel", f"not judged: others had {self._others} network namespaces")

    def growing(self) -> list[str]:
        """A sentence for each series that must not grow and does."""
        judged = self._own if self._others else [*self._own, *self._machine]
        return [
            f"{self.case}: {one.name} grow by {one.slope:.3g} {one.unit} at each step (allowed: {one.allowed:g})"
            for one in judged
            if one.grows
        ]


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
    note(f"{options.cycles} labs up and down in one process")
    yield in_one_process(path, options.cycles)
    note(f"{options.commands} labs up and down by the command")
    yield by_command(path, options.commands)
    hours = f"one every {DAY / options.events:.3g} s would be 24 hours"
    note(f"{options.events} events in one lab, without waiting between them; {hours}")
    yield changing(options)


def in_one_process(path: Path, cycles: int) -> Watched:
    """As a test suite does it."""
    model = load([path]).model
    watched = Watched("leaks in one process", cycles, _of_process("this process", 4.0 + SETTLING / cycles))
    for step in range(1, cycles + 1):
        with client.temporary(model) as lab:
            lab.built()
        if watched.is_due(step):
            watched.sample(step, _process(os.getpid()))
    return watched


def by_command(path: Path, cycles: int) -> Watched:
    """As a shell script does it; nothing of a lab may be left when `sdn down` has returned."""
    name = f"bench-leaks-{os.getpid()}"
    watched = Watched("leaks by command", cycles, [Series("labs that still run", "", 0.0)])
    for step in range(1, cycles + 1):
        _sdn("up", str(path), "--name", name)
        _sdn("down", name)
        if watched.is_due(step):
            watched.sample(step, [sum(lab.name == name for lab in sandbox.labs())])
    return watched


def changing(options: Options) -> Watched:
    """One lab through a day: labels, live migrations, pods that go and come, and the whole suite now and then."""
    wanted = enforce.Options(pods=options.pods, hosts=4, events=options.events)
    with TemporaryDirectory(prefix="sdn-bench-") as folder:
        model = load([enforce.write(Path(folder), wanted)]).model
    series = [
        *_of_process("the holder", 0.5 + SETTLING / options.events),
        Series("connections known to hosts", "", 0.05 + 20 / options.events),
    ]
    watched = Watched("leaks of events", options.events, series)
    hosts = [host.name for host in model.underlay.hosts]
    with client.temporary(model) as lab:
        lab.built()
        lab.test()  # what a holder keeps from then on is no leak
        events = enforce.Events(lab, wanted)
        every = max(1, options.events // options.tests)
        for step in range(1, options.events + 1):
            events.one(enforce.KINDS[step % len(enforce.KINDS) - 1])
            if step % every == 0 and not lab.test().ok:
                raise LabError(f"after {step} events the three answers differ; run tools/bench enforce")
            if watched.is_due(step):
                connections = sum(_connections(lab.pid, host) for host in hosts)
                watched.sample(step, [*_process(lab.pid), connections], lab.pid)
        if drift := lab.status().drift:
            raise LabError(f"after {options.events} events the kernel differs from the plan: {drift[0]}")
    return watched


def _of_process(name: str, memory: float) -> list[Series]:
    """`memory` is what a step may add in KiB."""
    return [
        Series(f"memory of {name}", "KiB", memory),
        Series(f"descriptors of {name}", "", 0.01),
        Series(f"threads of {name}", "", 0.01),
        Series(f"processes below {name}", "", 0.01),
    ]


def _process(pid: int) -> list[float]:
    """In the order of `_of_process`."""
    lines = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return [
        float(lines["VmRSS"].split()[0]),
        float(sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())),
        float(lines["Threads"]),
        float(sum(len(one.read_text().split()) for one in Path(f"/proc/{pid}/task").glob("*/children"))),
    ]


def _connections(pid: int, host: str) -> int:
    """Entries of a Host's conntrack."""
    count = ["cat", "/proc/sys/net/netfilter/nf_conntrack_count"]
    enter = [sys.executable, "-P", "-m", "sdn.kernel.enter", str(pid), host]
    return int(subprocess.run([*enter, *count], check=True, capture_output=True, text=True).stdout)


def _strangers(holder: int) -> int:
    """Network namespaces of processes that are neither in ours nor of the lab of this holder."""
    found = {Path("/proc/self/ns/net").readlink()}
    if holder:
        found.add(Path(f"/proc/{holder}/ns/net").readlink())
    own = len(found)
    for process in Path("/proc").glob("[0-9]*/ns/net"):
        with suppress(OSError):  # it has ended, or is somebody else's
            found.add(process.readlink())
    return len(found) - own


def namespaces() -> float:
    """Network namespaces that the machine's kernel holds; 0 where only root may know."""
    try:
        lines = Path("/proc/slabinfo").read_text(encoding="ascii").splitlines()
    except PermissionError:
        return 0.0
    return float(next((line.split()[1] for line in lines if line.startswith("net_namespace ")), 0))


def _sdn(*arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, "-P", "-m", "sdn.cli", *arguments], check=False, capture_output=True, text=True
    )
    if done.returncode:
        raise LabError(f"sdn {' '.join(arguments)}: {done.stderr.strip()}")
