"""How long the compiler and reach take on large clusters, and how much memory, each in a process of its own.

The floor of a case is what nobody can do without, in the same process and right before: to read every label of every
workload once, sort the workloads into a dict by what was read, and touch every rule of every policy.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random
from typing import TypeVar

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from benchmarks import machine, policy_worlds
from benchmarks.rows import Row, compared, plain
from sdn.model import Placed, Protocol
from sdn.policy.asked import Asked
from sdn.policy.compiled import CompiledPolicy
from sdn.policy.compiler import compile_policy
from sdn.policy.live import LivePolicy
from sdn.policy.reach import Reach, families_of
from sdn.policy.reach_list import Connection, Listing

T = TypeVar("T")

TIMEOUT = 1800.0
FLOWS = 20_000


@dataclass(frozen=True)
class Options:
    """Namespaces of the first cluster, Pods of the flat one, Pods and blocks of the one that is open to outside,
    policies of the one that is asked flow by flow.
    """

    namespaces: int = 25_000
    everybody: int = 10_000
    pods: int = 16
    blocks: int = 250
    policies: int = 1_000


class Stage(Struct, frozen=True):
    """One thing that was timed; `cpu` is the process's own time, which a busy machine stretches less."""

    name: str
    seconds: float
    cpu: float


class Watch:
    """Times one stage after another."""

    def __init__(self) -> None:
        self.stages: list[Stage] = []

    def time(self, name: str, work: Callable[[], T]) -> T:
        """What the work returns; its time is a stage."""
        start, cpu = time.perf_counter(), time.process_time()
        result = work()
        self.stages.append(Stage(name, time.perf_counter() - start, time.process_time() - cpu))
        return result


class Measured(Struct, frozen=True):
    """What one process found; `peak` is the most MiB that it ever had, `made` of it before the first stage."""

    what: str
    floor: float
    stages: list[Stage]
    made: float
    peak: float


def run(options: Options, _note: Callable[[str], None]) -> Iterator[Row]:
    """All rows."""
    yield from machine.rows()
    for case, sizes in (
        ("namespaces", (options.namespaces,)),
        ("everybody", (options.everybody,)),
        ("outside", (options.pods, options.blocks)),
        ("flows", (options.policies,)),
    ):
        yield from _rows(f"policy {case}", _in_a_process(case, sizes))


def _rows(case: str, found: Measured) -> Iterator[Row]:
    yield plain(f"{case}: what", found.what)
    for stage in found.stages:
        yield compared(f"{case}: {stage.name}", stage.seconds, "s", "floor", found.floor)
        yield plain(f"{case}: {stage.name}, own time", stage.cpu, "s")
    yield compared(f"{case}: peak memory", found.peak, "MiB", "with the lab alone", found.made)


def _in_a_process(case: str, sizes: tuple[int, ...]) -> Measured:
    command = [sys.executable, "-m", __name__, case, *map(str, sizes)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, timeout=TIMEOUT)
    return msgspec.json.decode(done.stdout, type=Measured)


def floor(placed: Placed) -> int:
    """See the module; the number of kinds of workloads and of rules, so that nothing can be left out."""
    kinds: dict[tuple[str, tuple[tuple[str, str], ...]], list[str]] = {}
    for workload in placed.model.workloads:
        kind = (workload.namespace, tuple(sorted(workload.labels.items())))
        kinds.setdefault(kind, []).append(workload.key)
    rules = 0
    for policy in placed.model.network_policies:
        for rule in (*policy.ingress, *policy.egress):
            rules += len(rule.peers) + len(rule.ports)
    return len(kinds) + rules


def measure(case: str, sizes: list[int]) -> Measured:
    """In this process: make the lab, then time each stage."""
    placed = WORLDS[case](*sizes)
    made = machine.peak_memory(os.getpid())
    start = time.perf_counter()
    floor(placed)
    least = time.perf_counter() - start
    watch = Watch()
    compiled = watch.time("compile", lambda: compile_policy(placed))
    what = [_what(placed), f"{len(compiled.profiles):,} profiles, {len(compiled.groups):,} groups"]
    what += REACH[case](placed, compiled, watch) if case in REACH else []
    return Measured("; ".join(what), least, watch.stages, made, machine.peak_memory(os.getpid()))


def _what(placed: Placed) -> str:
    model = placed.model
    spaces, policies = len(model.namespaces), len(model.network_policies)
    return f"{spaces:,} namespaces, {len(model.workloads):,} pods, {policies:,} policies"


def _pairs(placed: Placed, compiled: CompiledPolicy, watch: Watch) -> list[str]:
    """Every pair of classes that may talk, and every part of the outside."""

    def everything() -> tuple[int, int]:
        reach = Reach(placed, compiled, families_of(placed.model))
        return sum(1 for _ in reach.pairs()), len(reach.outside)

    pairs, parts = watch.time("full reach", everything)
    return [f"{pairs:,} pairs of classes that may talk, {parts:,} parts of the outside"]


def _pairs_and_label(placed: Placed, compiled: CompiledPolicy, watch: Watch) -> list[str]:
    """Reach, and one Pod that changes from one app to the other."""
    what = _pairs(placed, compiled, watch)
    live, one = LivePolicy(placed), placed.model.workloads[0]
    endpoint = placed.endpoints[one.key]
    other = replace(one, labels={"app": "app-2"})
    moves = watch.time("one label to its set deltas", lambda: live.move(one.key, other, endpoint))
    elements = len(endpoint.addresses) * (len(moves.joined) + len(moves.left))
    return [*what, f"a label moves {elements} set elements"]


def _listed(placed: Placed, compiled: CompiledPolicy, watch: Watch) -> list[str]:
    """The connections as `sdn reach` lists them; a line is one range of one connection."""

    def everything() -> list[Connection]:
        return list(Listing(Reach(placed, compiled, families_of(placed.model))).connections())

    found = watch.time("reach, listed", everything)
    lines = sum(max(1, len(one.source.ranges), len(one.destination.ranges)) for one in found)
    return [f"{len(found):,} connections, {lines:,} lines with one range each"]


def _asked(placed: Placed, _compiled: CompiledPolicy, watch: Watch) -> list[str]:
    """Random pairs, a fifth of them to the outside, as `sdn evaluate` answers them; nothing is known beforehand."""
    dice = Random(FLOWS)
    keys = sorted(placed.endpoints)

    def target() -> str:
        return dice.choice(keys) if dice.random() < 0.8 else f"{dice.randrange(20, 24)}.{dice.randrange(256)}.9.9"

    flows = [(dice.choice(keys), target(), Protocol.TCP, dice.randrange(7990, 8110)) for _ in range(FLOWS)]

    def everything() -> int:
        asked = Asked(placed, families_of(placed.model))
        return sum(asked.verdict(*flow).allowed for flow in flows)

    allowed = watch.time(f"{FLOWS:,} flows", everything)
    return [f"{len(flows):,} random flows, {allowed:,} of them allowed"]


WORLDS: dict[str, Callable[..., Placed]] = {
    "namespaces": policy_worlds.namespaces,
    "everybody": policy_worlds.everybody,
    "outside": policy_worlds.outside,
    "flows": policy_worlds.flows,
}
REACH = {"namespaces": _pairs_and_label, "outside": _listed, "flows": _asked}


if __name__ == "__main__":
    print(msgspec.json.encode(measure(sys.argv[1], [int(size) for size in sys.argv[2:]])).decode())
