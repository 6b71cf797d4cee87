"""How fast a plan follows events: a Pod that comes, goes, moves, or changes its app, each case in a process of its own.

The peer is what one event costs who plans anew: addresses, policy, every Host's state and the delta. From LARGE pods on
it is addresses and policy alone, for the states of 5,000 Hosts would need more memory than most machines have.
"""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random
from statistics import mean

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from benchmarks import events_written, machine, policy_worlds
from benchmarks.rows import Row, compared, plain
from sdn.model import Host, Link, Model, Placed, Placement, Role, Switch, Underlay
from sdn.plan.allocate import allocate
from sdn.plan.delta import delta
from sdn.plan.desired import plan_placed
from sdn.plan.live import LivePlan
from sdn.plan.live_changes import LiveChanges
from sdn.policy.compiler import compile_policy

TIMEOUT = 1800.0
PODS_PER_HOST = 20
RACK = 40
LARGE = 20_000
KINDS = ("add", "remove", "move", "relabel")


@dataclass(frozen=True)
class Options:
    """Pods of each cluster, four to a namespace; events in each, evenly of all kinds."""

    pods: tuple[int, ...] = (1_000, 10_000, 100_000)
    events: int = 10_000


class Measured(Struct, frozen=True):
    """Seconds of every event by kind; `own` is the same in the thread's own time, which others stretch less.

    `start` is until the plan may follow, `anew` what planning anew took, `states` is of events with the states of all
    Hosts kept, `written` of policies and Services. `made` and `peak` are MiB.
    """

    what: str
    events: dict[str, list[float]]
    own: list[float]
    start: float
    anew: float
    replanned: int
    made: float
    peak: float
    states: list[float]
    written: dict[str, list[float]]


def run(options: Options, _note: Callable[[str], None]) -> Iterator[Row]:
    """All rows."""
    yield from machine.rows()
    for pods in options.pods:
        yield from _rows(f"events {pods:,} pods", _in_a_process(pods, options.events))


def _rows(case: str, found: Measured) -> Iterator[Row]:
    everything = sorted(seconds for kind in found.events.values() for seconds in kind)
    yield plain(f"{case}: what", found.what)
    yield compared(f"{case}: from nothing", found.start, "s", "anew", found.anew)
    yield compared(f"{case}: one event", mean(everything), "s", "anew", found.anew)
    yield plain(f"{case}: all kinds", 1 / mean(everything), "events/s")
    yield plain(f"{case}: all kinds, own time", 1 / mean(found.own), "events/s")
    for kind, times in (*found.events.items(), ("all kinds", everything), ("all kinds, own time", found.own)):
        yield from _percentiles(f"{case}: {kind}", times)
    for kind, times in found.written.items():
        yield from _percentiles(f"{case}: {kind}", times)
    if found.states:
        yield from _percentiles(f"{case}: with states", found.states)
    yield plain(f"{case}: planned anew", found.replanned, "events")
    yield compared(f"{case}: peak memory", found.peak, "MiB", "with the lab alone", found.made)


def _percentiles(case: str, times: list[float]) -> Iterator[Row]:
    series = sorted(times)
    yield plain(f"{case}, median", series[len(series) // 2] * 1000, "ms")
    yield plain(f"{case}, 99th percentile", series[int(len(series) * 0.99)] * 1000, "ms")


def _in_a_process(pods: int, events: int) -> Measured:
    command = [sys.executable, "-m", __name__, str(pods), str(events)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, timeout=TIMEOUT)
    return msgspec.json.decode(done.stdout, type=Measured)


def cluster(pods: int) -> Placed:
    """Namespaces of `policy_worlds`, dealt out to Hosts in racks, with addresses."""
    model = policy_worlds.namespaces(max(1, pods // 4)).model
    hosts = [Host(f"host-{number:05}") for number in range(max(2, pods // PODS_PER_HOST))]
    placement = Placement({w.key: hosts[index % len(hosts)].name for index, w in enumerate(model.workloads)})
    return allocate(replace(model, underlay=racks(hosts)), placement)


def racks(hosts: list[Host]) -> Underlay:
    """A leaf for each rack, below two spines."""
    leaves = [Switch(f"leaf-{number:04}") for number in range(-(-len(hosts) // RACK))]
    spines = [Switch(f"spine-{number}", Role.SPINE) for number in range(2)]
    links = [Link(host.name, leaves[index // RACK].name) for index, host in enumerate(hosts)]
    links += [Link(leaf.name, spine.name) for leaf in leaves for spine in spines]
    return Underlay(tuple(hosts), (*leaves, *spines), tuple(sorted(links, key=lambda link: (link.a, link.b))))


class Life:
    """Random events, and how long each took."""

    def __init__(self, live: LivePlan, model: Model, seed: int) -> None:
        self.times: dict[str, list[float]] = {kind: [] for kind in KINDS}
        self.own: list[float] = []
        self._live = live
        self._dice = Random(seed)
        self._hosts = [host.name for host in model.underlay.hosts]
        self._there = {workload.key: workload for workload in model.workloads}
        self._keys = list(self._there)
        self._number = 0

    def step(self) -> None:
        """One event."""
        kind = self._dice.choice(KINDS)
        if kind == "add":
            self._add()
            return
        index = self._dice.randrange(len(self._keys))
        key, host = self._keys[index], self._dice.choice(self._hosts)
        if kind == "remove":
            self._keys[index] = self._keys[-1]
            self._keys.pop()
            del self._there[key]
            self._time(kind, lambda: self._live.remove(key))
        elif kind == "move":
            self._time(kind, lambda: self._live.move(key, host))
        else:
            labels = dict(self._there[key].labels)
            labels["app"] = "app-2" if labels["app"] == "app-1" else "app-1"
            self._there[key] = replace(self._there[key], labels=labels)
            self._time(kind, lambda: self._live.relabel(key, labels))

    def _add(self) -> None:
        """Somebody with the labels of another."""
        self._number += 1
        like = self._there[self._dice.choice(self._keys)]
        workload, host = replace(like, name=f"new-{self._number}"), self._dice.choice(self._hosts)
        self._keys.append(workload.key)
        self._there[workload.key] = workload
        self._time("add", lambda: self._live.add(workload, host))

    def _time(self, kind: str, event: Callable[[], LiveChanges]) -> None:
        own, start = time.thread_time(), time.perf_counter()
        event()
        self.times[kind].append(time.perf_counter() - start)
        self.own.append(time.thread_time() - own)


def measure(pods: int, events: int) -> Measured:
    """In this process."""
    placed = cluster(pods)
    made = machine.peak_memory(os.getpid())
    start = time.perf_counter()
    live = LivePlan(placed)
    started = time.perf_counter() - start
    gc.collect()
    life = Life(live, placed.model, pods)
    for _ in range(events):
        life.step()
    peak = machine.peak_memory(os.getpid())
    written = events_written.measure(live, pods)
    anew, states = (_large(live), []) if pods >= LARGE else _small(placed)
    what = f"{len(placed.endpoints):,} pods on {len(placed.model.underlay.hosts):,} hosts, "
    what += f"{len(placed.model.network_policies):,} policies, {events:,} events"
    return Measured(what, life.times, life.own, started, anew, live.replanned, made, peak, states, written)


def _small(placed: Placed) -> tuple[float, list[float]]:
    """Planning anew for one Pod that moves, whole; and events with states, as a lab that runs needs them."""
    before = plan_placed(placed)
    key, other = next(iter(placed.endpoints)), placed.model.underlay.hosts[-1].name
    start = time.perf_counter()
    hosts = {**placed.placement.hosts, key: other}
    after = plan_placed(allocate(placed.model, Placement(hosts), placed))
    delta(before.plan, after.plan)
    anew = time.perf_counter() - start
    life = Life(LivePlan(before), placed.model, 1)
    for _ in range(400):
        life.step()
    return anew, [seconds for kind in life.times.values() for seconds in kind]


def _large(live: LivePlan) -> float:
    """Addresses and policy alone."""
    placed = live.placed
    start = time.perf_counter()
    compile_policy(allocate(placed.model, placed.placement, placed))
    return time.perf_counter() - start


if __name__ == "__main__":
    print(msgspec.json.encode(measure(int(sys.argv[1]), int(sys.argv[2]))).decode())
