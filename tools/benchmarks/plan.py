"""From the files of a large lab to the state of every Host, without a kernel; and what events cost from there on.

Each case is a process of its own. The floors, in the same process: of reading, to decode the files with the json
module; of everything, to read the finished plan through once, which is to encode each Host's state as MessagePack and
drop it, and load balancers, which are the same value on most Hosts, once. The peer of a large lab is one of a tenth of
its Hosts and Pods, ten times.
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
from random import Random
from statistics import mean
from tempfile import TemporaryDirectory

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from benchmarks import events, machine, plan_files, plan_sites
from benchmarks.policy import Stage, Watch
from benchmarks.rows import Row, compared, plain, require
from sdn.model import Flow, Model, Placed, Protocol
from sdn.plan.allocate import allocate
from sdn.plan.desired import desired_state
from sdn.plan.live import LivePlan
from sdn.plan.state import Plan
from sdn.plan.trace import Tracer
from sdn.policy.compiler import compile_policy
from sdn.policy.evaluate import Oracle
from sdn.scheduler import place
from sdn.spec.load import load

TIMEOUT = 1800.0
ASKED = 30
"""Flows that are asked of both, the plan and the policies: a fast wrong plan is none."""


@dataclass(frozen=True)
class Options:
    """Of the large cluster Hosts, Deployments and Pods of each, and events in it; and the sites of the other lab."""

    hosts: int = 5_000
    apps: int = 10_000
    replicas: int = 15
    events: int = 10_000
    sites: int = 1_000


class Measured(Struct, frozen=True):
    """What one process found; times in seconds. `peak` and `made` are MiB, `made` of it before anything was read.

    `decoded` and `encoded` are the floors, `size` the bytes of the encoded plan; `start` is until the plan may follow.
    """

    what: str
    stages: list[Stage]
    decoded: float
    encoded: float
    size: int
    made: float
    planned: float
    peak: float
    start: float
    events: list[float]
    own: list[float]
    replanned: int
    wrong: list[str]

    @property
    def total(self) -> float:
        """All stages."""
        return sum(stage.seconds for stage in self.stages)


def run(options: Options, note: Callable[[str], None]) -> Iterator[Row]:
    """All rows; flows that trace and evaluate judge differently are told on the way."""
    yield from machine.rows()
    tenth = _in_a_process("large", max(2, options.hosts // 10), max(1, options.apps // 10), options.replicas, 0)
    large = _in_a_process("large", options.hosts, options.apps, options.replicas, options.events)
    sites = _in_a_process("sites", options.sites)
    for found in (large, sites):
        for sentence in found.wrong:
            note(sentence)
    yield from _rows("plan large", large)
    yield compared("plan large: against a tenth", large.total, "s", "ten times that", 10 * tenth.total)
    yield from _event_rows("plan large", large)
    yield from _rows("plan sites", sites)
    require({"flows that trace and evaluate judge differently": len(large.wrong) + len(sites.wrong)})


def _rows(case: str, found: Measured) -> Iterator[Row]:
    yield plain(f"{case}: what", found.what)
    for stage in found.stages:
        if stage.name == "load":
            yield compared(f"{case}: load", stage.seconds, "s", "json alone", found.decoded)
        else:
            yield plain(f"{case}: {stage.name}", stage.seconds, "s")
        yield plain(f"{case}: {stage.name}, own time", stage.cpu, "s")
    floor = found.decoded + found.encoded
    yield compared(f"{case}: everything", found.total, "s", "decode files, encode plan", floor)
    yield plain(f"{case}: everything, own time", sum(stage.cpu for stage in found.stages), "s")
    yield plain(f"{case}: plan, encoded", found.size / 2**20, "MiB")
    yield plain(f"{case}: flows judged differently", len(found.wrong), f"of {ASKED}")
    yield compared(f"{case}: peak memory", found.planned, "MiB", "before reading", found.made)


def _event_rows(case: str, found: Measured) -> Iterator[Row]:
    yield compared(f"{case}: one event", mean(found.events), "s", "everything", found.total)
    yield plain(f"{case}: events", 1 / mean(found.events), "events/s")
    yield plain(f"{case}: events, own time", 1 / mean(found.own), "events/s")
    yield plain(f"{case}: follow from", found.start, "s")
    yield plain(f"{case}: planned anew", found.replanned, "events")
    yield plain(f"{case}: peak memory with events", found.peak, "MiB")


def _in_a_process(case: str, *sizes: int) -> Measured:
    command = [sys.executable, "-m", __name__, case, *map(str, sizes)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, timeout=TIMEOUT)
    return msgspec.json.decode(done.stdout, type=Measured)


def large(hosts: int, apps: int, replicas: int, number: int) -> Measured:
    """One cluster, and random events in it."""

    def write(folder: Path) -> None:
        plan_files.write(folder, plan_files.Size(hosts, apps, replicas))

    return measure(write, number)


def sites(count: int) -> Measured:
    """Many small sites under one policy."""
    return measure(lambda folder: plan_sites.write(folder / "sites.json", count), 0)


def measure(write: Callable[[Path], None], number: int) -> Measured:
    """In this process."""
    watch = Watch()
    with TemporaryDirectory() as folder:
        write(Path(folder))
        decoded = _decoded(Path(folder))
        made = machine.peak_memory(os.getpid())
        model = watch.time("load", lambda: load([Path(folder)]).model)
    placed, plan = _planned(model, watch)
    planned = machine.peak_memory(os.getpid())
    start = time.perf_counter()
    size = _encoded(plan)
    encoded = time.perf_counter() - start
    wrong = list(_differing(placed, plan))
    del plan
    what, follow, life = _what(placed), 0.0, None
    if number:
        start = time.perf_counter()
        live = LivePlan(placed)
        follow = time.perf_counter() - start
        life = events.Life(live, model, number)
        for _ in range(number):
            life.step()
    return Measured(
        what=what,
        stages=watch.stages,
        decoded=decoded,
        encoded=encoded,
        size=size,
        made=made,
        planned=planned,
        peak=machine.peak_memory(os.getpid()),
        start=follow,
        events=[seconds for kind in life.times.values() for seconds in kind] if life else [],
        own=life.own if life else [],
        replanned=live.replanned if life else 0,
        wrong=wrong,
    )


def _planned(model: Model, watch: Watch) -> tuple[Placed, Plan]:
    """What `prepare` does, stage by stage."""
    placement = watch.time("place", lambda: place(model))
    placed = watch.time("allocate", lambda: allocate(model, placement))
    compiled = watch.time("compile", lambda: compile_policy(placed))
    return placed, watch.time("plan", lambda: desired_state(placed, compiled))


def _encoded(plan: Plan) -> int:
    """Bytes of the whole plan; see the module."""
    shared = {id(node.loadbalancer.virtuals): node.loadbalancer.virtuals for node in plan.values() if node.loadbalancer}
    size = sum(len(msgspec.msgpack.encode(virtuals)) for virtuals in shared.values())
    return size + sum(len(msgspec.msgpack.encode(replace(node, loadbalancer=None))) for node in plan.values())


def _differing(placed: Placed, plan: Plan) -> Iterator[str]:
    """Flows between neighbours of one namespace, every other one to a port that policy knows."""
    oracle, tracer, dice = Oracle(placed), Tracer(plan), Random(ASKED)
    keys = list(placed.endpoints)
    for number in range(ASKED):
        index = dice.randrange(len(keys))
        other = keys[max(0, index - dice.randrange(1, 40))]
        port = (443, 8080)[number // 2 % 2] if number % 2 else 22
        flow = Flow(keys[index], placed.endpoints[other].addresses[0], Protocol.TCP, port)
        evaluated, traced = oracle.evaluate(flow), tuple(trace.answer for trace in tracer.trace(flow))
        if evaluated != traced:
            yield f"{flow.source} to {other} port {port}: evaluate says {evaluated}, trace {traced}"


def _decoded(folder: Path) -> float:
    start = time.perf_counter()
    for file in folder.iterdir():
        json.loads(file.read_bytes())
    return time.perf_counter() - start


def _what(placed: Placed) -> str:
    model = placed.model
    policies = len(model.network_policies) + len(model.policies)
    return (
        f"{len(model.underlay.hosts):,} Hosts, {len(placed.endpoints):,} pods, {policies:,} policies, "
        f"{len(model.services):,} services, {len(model.applications):,} applications"
    )


CASES: dict[str, Callable[..., Measured]] = {"large": large, "sites": sites}


if __name__ == "__main__":
    print(msgspec.json.encode(CASES[sys.argv[1]](*map(int, sys.argv[2:]))).decode())
