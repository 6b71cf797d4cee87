"""How fast the scheduler places large clusters and mends large data centres, each case in a process of its own.

The floor of a case is a loop that only asks each Host how full a Pod would make it and keeps the least full, for some
Pods and in the same process, times the number of Pods: what scoring every Host costs who does nothing clever. It is
in the process's own time, as one row of each stage is, for a busy machine stretches that less.
What is placed or planned is checked afterwards, outside of the timing, by the tests' own checker.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
from checker import check
from msgspec import Struct

from benchmarks import machine, place_checks, place_file, place_worlds
from benchmarks.policy import Stage, Watch
from benchmarks.rows import Row, compared, plain, require
from sdn.model import HostState, Model, Placement
from sdn.scheduler import Proposal, place, recover, repair, with_hosts
from sdn.spec.load import load

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


class Timed(Struct, frozen=True):
    """One stage; the floor is `floor` seconds. `count` is of pods that were placed, or moves; 0 of what has none."""

    stage: Stage
    floor: float
    count: int = 0


class Measured(Struct, frozen=True):
    """What one process found; `made` and `peak` are MiB, before the first stage and at most in any."""

    what: str
    timed: list[Timed]
    made: float
    peak: float
    wrong: list[str]


def run(options: Options, note: Callable[[str], None]) -> Iterator[Row]:
    """All rows; a broken rule is told on the way, for a fast wrong answer is none."""
    yield from machine.rows()
    wrong: dict[str, int] = {}
    for case, sizes in (
        ("plain", (options.hosts, options.plain)),
        ("affinity", (options.hosts, options.pods)),
        ("spread", (options.hosts, options.pods)),
        ("nodes", (max(1, options.nodes // 5), options.nodes, options.inside)),
        ("datacentre", (options.hosts, options.vms)),
        ("failure", (options.hosts, options.vms)),
        ("uneven", (options.hosts, options.vms)),
        ("packed", (options.hosts, options.vms)),
        ("file", (options.hosts, options.vms)),
    ):
        found = _in_a_process(case, sizes)
        for sentence in found.wrong[:5]:
            note(f"{case}: {sentence}")
        yield from _rows(f"place {case}", found)
        wrong[f"rules broken in {case}"] = len(found.wrong)
    require(wrong)


def _rows(case: str, found: Measured) -> Iterator[Row]:
    yield plain(f"{case}: what", found.what)
    for timed in found.timed:
        stage = timed.stage
        yield compared(f"{case}: {stage.name}", stage.seconds, "s", "floor", timed.floor)
        yield compared(f"{case}: {stage.name}, own time", stage.cpu, "s", "floor", timed.floor)
        if timed.count:
            yield compared(
                f"{case}: {stage.name}, rate", timed.count / stage.seconds, "1/s", "floor", timed.count / timed.floor
            )
            yield plain(f"{case}: {stage.name}, count", timed.count)
    yield compared(f"{case}: peak memory", found.peak, "MiB", "with the lab alone", found.made)
    yield plain(f"{case}: rules broken", len(found.wrong))


def _in_a_process(case: str, sizes: tuple[int, ...]) -> Measured:
    command = [sys.executable, "-m", __name__, case, *map(str, sizes)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, timeout=TIMEOUT)
    return msgspec.json.decode(done.stdout, type=Measured)


def floor(model: Model) -> float:
    """Seconds of the process's own time to score every Host for one Pod; see the module."""
    hosts = [[host.cpu, host.memory, host.pods, host.cpu, host.memory] for host in model.underlay.hosts]
    start = time.process_time()
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
    return (time.process_time() - start) / len(sample)


def from_empty(model: Model) -> Measured:
    """Place everything, and only then look whether it is right."""
    made, least, watch = machine.peak_memory(os.getpid()), floor(model), Watch()
    placement = watch.time("place", lambda: place(model))
    peak = machine.peak_memory(os.getpid())
    count = len(model.workloads)
    timed = [Timed(watch.stages[0], least * count, count)]
    return Measured(_what(model), timed, made, peak, place_checks.of_placement(model, placement))


def mended(model: Model, before: Placement, name: str, work: Callable[[], Proposal]) -> Measured:
    """Plan the moves of a lab that runs and is no longer right, and only then look at every step."""
    made, least, watch = machine.peak_memory(os.getpid()), floor(model), Watch()
    proposal = watch.time(name, work)
    peak = machine.peak_memory(os.getpid())
    count = len(proposal.moves)
    timed = [Timed(watch.stages[0], least * count, count)]
    broken = len(check(model, before, before))
    what = f"{_what(model)}, {broken:,} rules broken before, {len(proposal.notes):,} notes"
    return Measured(what, timed, made, peak, place_checks.of_plan(model, before, proposal))


def failure(hosts: int, vms: int) -> Measured:
    """One Host in a hundred fails; what ran there starts elsewhere. The plan also says what the failure stopped."""
    model = place_worlds.datacentre(hosts, vms)
    before = place(model)
    failed = {host.name for host in model.underlay.hosts[50::100]}
    broken = with_hosts(model, failed, HostState.FAILED)
    return mended(broken, before, "recover", lambda: recover(model, before, failed))


def uneven(hosts: int, vms: int) -> Measured:
    """One VM in ten asks for twice as much: a tenth more in all, where Hosts were about equally full."""
    model = place_worlds.datacentre(hosts, vms)
    before = place(model)
    grown = place_worlds.doubled(model, 10)
    return mended(grown, before, "repair", lambda: repair(grown, before))


def packed(hosts: int, vms: int) -> Measured:
    """Every VM asks for a tenth more, where four Hosts in five were full and the others empty."""
    model = place_worlds.datacentre(hosts, vms)
    before = place_worlds.packed(model)
    grown = place_worlds.grown(model, 10)
    return mended(grown, before, "repair", lambda: repair(grown, before))


def file(hosts: int, vms: int) -> Measured:
    """Read the data centre from a lab file in JSON, with all checks; the floor is to decode it with the json module."""
    model = place_worlds.datacentre(hosts, vms)
    running = place_worlds.packed(model)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "datacentre.json"
        place_file.write(path, model, running)
        start = time.process_time()
        json.loads(path.read_bytes())
        least = time.process_time() - start
        made, watch = machine.peak_memory(os.getpid()), Watch()
        loaded = watch.time("load", lambda: load([path]).model)
        what = f"{_what(model)}, {path.stat().st_size / 1e6:.1f} MB"
    peak = machine.peak_memory(os.getpid())
    return Measured(what, [Timed(watch.stages[0], least)], made, peak, place_file.differing(model, loaded, running))


def _what(model: Model) -> str:
    return f"{len(model.underlay.hosts):,} Hosts, {len(model.workloads):,} workloads"


def _from_empty(world: Callable[..., Model]) -> Callable[..., Measured]:
    return lambda *sizes: from_empty(world(*sizes))


CASES: dict[str, Callable[..., Measured]] = {
    "plain": _from_empty(place_worlds.plain),
    "affinity": _from_empty(place_worlds.affinity),
    "spread": _from_empty(place_worlds.spread),
    "nodes": _from_empty(place_worlds.nodes),
    "datacentre": _from_empty(place_worlds.datacentre),
    "failure": failure,
    "uneven": uneven,
    "packed": packed,
    "file": file,
}


if __name__ == "__main__":
    print(msgspec.json.encode(CASES[sys.argv[1]](*map(int, sys.argv[2:]))).decode())
