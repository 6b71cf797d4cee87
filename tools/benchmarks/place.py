"""How fast the scheduler places large clusters and mends large data centres, each case in a process of its own.

The floor of a case is a loop that only asks each Host how full a Pod would make it and keeps the least full, for some
Pods and in the same process, times the number of Pods: what scoring every Host costs who does nothing clever.
What is placed or planned is checked afterwards, outside of the timing, by the tests' own checker.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import msgspec
from msgspec import Struct

from benchmarks import machine, place_checks, place_worlds
from benchmarks.policy import Stage, Watch
from benchmarks.rows import Row, compared, plain
from sdn.model import Model
from sdn.scheduler import place

TIMEOUT = 1800.0
SAMPLE = 50
"""Pods for which the floor really scores every Host."""


@dataclass(frozen=True)
class Options:
    """Hosts and Pods of the flat clusters, nodes and Pods in them, VMs of the data centre."""

    hosts: int = 5_000
    plain: int = 100_000
    pods: int = 20_000
    nodes: int = 5_000
    inside: int = 150_000
    vms: int = 30_000


class Measured(Struct, frozen=True):
    """What one process found. `count` is of what the first stage is about; `floor` is seconds for one of them."""

    what: str
    count: int
    floor: float
    stages: list[Stage]
    made: float
    peak: float
    wrong: list[str]


def run(options: Options, note: Callable[[str], None]) -> Iterator[Row]:
    """All rows; a broken rule is told on the way, for a fast wrong answer is none."""
    yield from machine.rows()
    for case, sizes in (
        ("plain", (options.hosts, options.plain)),
        ("affinity", (options.hosts, options.pods)),
        ("spread", (options.hosts, options.pods)),
        ("nodes", (max(1, options.nodes // 5), options.nodes, options.inside)),
        ("datacentre", (options.hosts, options.vms)),
    ):
        found = _in_a_process(case, sizes)
        for sentence in found.wrong[:5]:
            note(f"{case}: {sentence}")
        yield from _rows(f"place {case}", found)


def _rows(case: str, found: Measured) -> Iterator[Row]:
    yield plain(f"{case}: what", found.what)
    for stage in found.stages:
        yield compared(f"{case}: {stage.name}", stage.seconds, "s", "floor", found.floor * found.count)
        yield plain(f"{case}: {stage.name}, own time", stage.cpu, "s")
    yield compared(f"{case}: rate", found.count / found.stages[0].seconds, "1/s", "floor", 1 / found.floor)
    yield compared(f"{case}: peak memory", found.peak, "MiB", "with the lab alone", found.made)
    yield plain(f"{case}: rules broken", len(found.wrong))


def _in_a_process(case: str, sizes: tuple[int, ...]) -> Measured:
    command = [sys.executable, "-m", __name__, case, *map(str, sizes)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, timeout=TIMEOUT)
    return msgspec.json.decode(done.stdout, type=Measured)


def floor(model: Model) -> float:
    """Seconds to score every Host for one Pod; see the module."""
    hosts = [[host.cpu, host.memory, host.pods, host.cpu, host.memory] for host in model.underlay.hosts]
    start = time.perf_counter()
    sample = [w for w in model.workloads if not w.is_node][:SAMPLE]
    for pod in sample:
        best, least = None, 2.0
        for host in hosts:
            if host[0] < pod.cpu or host[1] < pod.memory or not host[2]:
                continue
            fullness = max(1 - (host[0] - pod.cpu) / host[3], 1 - (host[1] - pod.memory) / host[4])
            if fullness < least:
                best, least = host, fullness
        if best is not None:
            best[0] -= pod.cpu
            best[1] -= pod.memory
            best[2] -= 1
    return (time.perf_counter() - start) / len(sample)


def measure(case: str, sizes: list[int]) -> Measured:
    """In this process: make the lab, place it from empty, and only then look whether it is right."""
    model = WORLDS[case](*sizes)
    made = machine.peak_memory(os.getpid())
    least = floor(model)
    watch = Watch()
    placement = watch.time("place", lambda: place(model))
    peak = machine.peak_memory(os.getpid())
    wrong = place_checks.of_placement(model, placement)
    what = f"{len(model.underlay.hosts):,} Hosts, {len(model.workloads):,} workloads"
    return Measured(what, len(model.workloads), least, watch.stages, made, peak, wrong)


WORLDS: dict[str, Callable[..., Model]] = {
    "plain": place_worlds.plain,
    "affinity": place_worlds.affinity,
    "spread": place_worlds.spread,
    "nodes": place_worlds.nodes,
    "datacentre": place_worlds.datacentre,
}


if __name__ == "__main__":
    print(msgspec.json.encode(measure(sys.argv[1], [int(size) for size in sys.argv[2:]])).decode())
