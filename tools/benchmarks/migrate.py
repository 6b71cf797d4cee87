"""Live migrations of workloads that all talk to each other: what broke, what leaked, and for how long each was away.

Every workload has a connection to every other, directly and through the other's Service, over IPv4 and IPv6, with
numbers going both ways all the time; beside them go datagrams that the policy allows, and as many that it forbids.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import yaml

from benchmarks import machine, migrate_floor
from benchmarks.rows import Row, compared, plain, require
from benchmarks.traffic import FORBIDDEN, TCP_PORT
from sdn.errors import LabError
from sdn.lab import client
from sdn.model.lifecycle import Migrate, Outcome
from sdn.plan.ids import namespace_of
from sdn.spec.load import load

HOSTS = 4
FLOOR_MOVES = 30
PERCENTILES = {"median": 0.5, "90th percentile": 0.9, "99th percentile": 0.99, "most": 1.0}


@dataclass(frozen=True)
class Options:
    """How many migrations of how many workloads; `seed` chooses who goes where."""

    migrations: int = 200
    workloads: int = 8
    seed: int = 1


def write(folder: Path, workloads: int) -> Path:
    """Half of them bridged, half of them routed; each is behind a Service of its own."""
    names = [f"w{number}" for number in range(workloads)]
    application = {
        "segments": {
            "lan": {"subnets": ["10.1.0.0/24", "fd00:1::/64"]},
            "pods": {"kind": "routed", "subnets": ["10.2.0.0/16", "fd00:2::/48"]},
        },
        "workloads": {
            name: {"segment": "lan" if number % 2 else "pods", "labels": {"app": name}, "ports": [f"{TCP_PORT}/tcp"]}
            for number, name in enumerate(names)
        },
        "services": {name: {"ports": [f"{TCP_PORT}/tcp"], "selector": {"app": name}} for name in names},
    }
    deny = {"action": "deny", "direction": "ingress", "ports": [f"{FORBIDDEN}/udp"]}
    lab = {
        "lab": "bench-migrate",
        "underlay": {"hosts": HOSTS},
        "applications": {"a": application},
        "policies": [{"name": "closed", "applies_to": [{"applications": ["a"]}], "rules": [deny]}],
    }
    path = folder / "lab.yaml"
    path.write_text(yaml.dump(lab, Dumper=yaml.CSafeDumper))
    return path


class Talk:
    """The traffic of all workloads."""

    def __init__(self, lab: client.Lab, stack: ExitStack) -> None:
        placed = lab.placed()
        services = {service.name: service.addresses for service in placed.model.services}
        self._processes = []
        for key in placed.endpoints:
            others = [other for other in placed.endpoints if other != key]
            addresses = [a for other in others for a in placed.endpoints[other].addresses]
            addresses += [a for other in others for a in services[other.partition("/")[2]]]
            self._processes.append(stack.enter_context(_start(lab, key, addresses)))
        self._hear("ready")
        for word in ("call", "send"):
            self._all(word)

    def _all(self, word: str) -> None:
        """Have all of them do it; returns when the last has."""
        self._say(word)
        self._hear(word)

    def _say(self, word: str) -> None:
        for process in self._processes:
            assert process.stdin is not None
            process.stdin.write(word + "\n")
            process.stdin.flush()

    def _hear(self, word: str) -> None:
        for process in self._processes:
            assert process.stdout is not None
            if process.stdout.readline().strip() != word:
                raise LabError("a workload of the benchmark does not talk; its error is above")

    def end(self) -> list[dict[str, Any]]:
        """What each of them saw."""
        self._all("settle")
        self._say("tell")
        found = []
        for process in self._processes:
            assert process.stdout is not None
            found.append(json.loads(process.stdout.readline()))
        return found


def _start(lab: client.Lab, key: str, addresses: Sequence[str]) -> subprocess.Popen[str]:
    enter = [sys.executable, "-P", "-m", "sdn.kernel.enter", str(lab.pid), namespace_of(key)]
    command = [*enter, sys.executable, "-m", "benchmarks.traffic", *addresses]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def _migrations(lab: client.Lab, options: Options) -> Iterator[Outcome]:
    chance = Random(options.seed)
    for _ in range(options.migrations):
        where = lab.placed().placement.hosts
        key = chance.choice(sorted(where))
        target = chance.choice([f"host-{n}" for n in range(1, HOSTS + 1) if f"host-{n}" != where[key]])
        done = lab.operate(Migrate(key, target))
        if not done.moved:
            raise LabError(f"{key} could not go to {target}: {'; '.join(done.refused)}")
        yield done


def run(options: Options, note: client.Say) -> Iterator[Row]:
    """Rows as they come."""
    yield from machine.rows()
    floor = migrate_floor.measure(FLOOR_MOVES)
    with tempfile.TemporaryDirectory() as folder:
        model = load([write(Path(folder), options.workloads)]).model
    with client.temporary(model) as lab, ExitStack() as stack:
        lab.built()
        talk = Talk(lab, stack)
        note(f"{options.migrations} migrations of {options.workloads} workloads over {HOSTS} hosts")
        done = list(_migrations(lab, options))
        seen = talk.end()
        drift = lab.status().drift
    yield from _rows(done, seen, floor)
    yield plain("migrate: differences from the plan at the end", len(drift))
    require(
        {
            "broken connections": sum(len(one["broken"]) for one in seen),
            "forbidden datagrams that came": sum(one["forbidden"] for one in seen),
            "workloads that exchanged nothing": sum(not one["exchanged"] or not one["datagrams"] for one in seen),
            "differences from the plan": len(drift),
        }
    )


def _rows(done: Sequence[Outcome], seen: Sequence[dict[str, Any]], floor: Sequence[float]) -> Iterator[Row]:
    yield plain("migrate: live migrations", len(done))
    yield plain("migrate: connections", sum(one["connections"] for one in seen), "open")
    yield plain("migrate: numbers over them", sum(one["exchanged"] for one in seen), "both ways")
    yield plain("migrate: broken connections", sum(len(one["broken"]) for one in seen))
    yield plain("migrate: datagrams that came", sum(one["datagrams"] for one in seen), "permitted")
    yield plain("migrate: duplicate datagrams that came", sum(one["duplicates"] for one in seen))
    yield plain("migrate: forbidden datagrams that came", sum(one["forbidden"] for one in seen))
    moved = [one.moved[0] for one in done]
    yield plain("migrate: connections carried", sum(one.connections for one in moved))
    for name, share in PERCENTILES.items():
        gap, least = at([one.gap for one in moved], share), at(floor, share)
        yield compared(f"migrate: gap, {name}", gap * 1000, "ms", "link moved", least * 1000)
    for name, share in PERCENTILES.items():
        yield plain(f"migrate: asked to enforced, {name}", at([one.enforced for one in done], share) * 1000, "ms")
    for stage in done[0].stages:
        times = [s.seconds for one in done for s in one.stages if s.name == stage.name]
        yield plain(f"migrate: stage {stage.name}, median", at(times, 0.5) * 1000, "ms")


def at(values: Sequence[float], share: float) -> float:
    """The value below which this share of all lies; the largest for 1."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
