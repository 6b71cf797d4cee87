"""Birth under fire: workloads start in a running lab while all the others flood them with what policy forbids.

The process that a lab is stops at random points while it makes them, so that whatever is half done stays so for long.
What arrives is counted by the kernel, on sockets that are there before the new workload has a link.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import yaml
from msgspec.structs import replace

from benchmarks import machine
from benchmarks.birth_frames import EGRESS_PORT, INGRESS_PORT, KINDS
from benchmarks.migrate import at
from benchmarks.rows import Row, plain, require
from sdn.errors import LabError
from sdn.lab import client
from sdn.model import Model, Workload
from sdn.plan.ids import mac_of, namespace_of
from sdn.spec.load import load

PER_SEGMENT = 100
VETERANS, STRANGERS = 10, 2
"""Who is there before anybody is born; strangers are of another Application with the very same addresses."""

HEARD_WITHIN = 30.0
"""Seconds until what is permitted must have reached all that were born."""

_AFTERWARDS = 0.1  # seconds of fire when all that was permitted has arrived


class _Most(NamedTuple):
    """Seconds, at most, for which the lab runs and is stopped."""

    run: float
    stopped: float


_BRIEFLY, _LONG = _Most(0.0015, 0.004), _Most(0.008, 0.03)


@dataclass(frozen=True)
class Options:
    """How many are born, in waves of how many; `seed` chooses who fires at whom, and when the lab stops."""

    workloads: int = 1000
    wave: int = 20
    hosts: int = 10
    seed: int = 1


@dataclass
class Seen:
    """Of all waves: seconds of each, stops, packets sent, those that came, whose socket was there before the link."""

    seconds: list[float] = field(default_factory=list)
    stops: int = 0
    stopped: float = 0.0
    sent: int = 0
    permitted: int = 0
    forbidden: dict[str, int] = field(default_factory=dict)
    early: int = 0
    born: int = 0


def write(folder: Path, options: Options) -> Path:
    """Everybody who ever lives; half of them bridged, half of them routed."""
    total = options.workloads + VETERANS
    lans = -(-total // PER_SEGMENT)
    segments: dict[str, Any] = {"pods": {"kind": "routed", "subnets": ["10.2.0.0/16", "fd00:2::/48"]}}
    segments |= {f"lan-{n}": {"subnets": [f"10.1.{n}.0/24", f"fd00:1:{n:x}::/64"]} for n in range(lans)}
    everybody = {f"w{n}": _workload(n, "veteran" if n < VETERANS else "born") for n in range(total)}
    strangers = {f"s{n}": _workload(total + n, "stranger") for n in range(STRANGERS)}
    denials = [("ingress", INGRESS_PORT), ("egress", EGRESS_PORT)]
    policies = [
        {
            "name": direction,
            "applies_to": [{"labels": {"role": "born"}} if direction == "ingress" else {"applications": ["a"]}],
            "rules": [{"action": "deny", "direction": direction, "ports": [f"{port}/udp"]}],
        }
        for direction, port in denials
    ]
    lab = {
        "lab": "bench-birth",
        "underlay": {"hosts": {"count": options.hosts, "pods": 400}, "leaves": 2, "spines": 2},
        "applications": {
            "a": {"segments": segments, "workloads": everybody},
            "b": {"segments": segments, "workloads": strangers},
        },
        "policies": policies,
    }
    path = folder / "lab.yaml"
    path.write_text(yaml.dump(lab, Dumper=yaml.CSafeDumper))
    return path


def _workload(number: int, role: str) -> dict[str, Any]:
    lan, last = number // PER_SEGMENT, number % PER_SEGMENT + 10
    if number % 2:
        ip, segment = [f"10.1.{lan}.{last}", f"fd00:1:{lan:x}::{last:x}"], f"lan-{lan}"
    else:
        ip, segment = [f"10.2.{100 + lan}.{last}", f"fd00:2:0:{lan + 1:x}::{last:x}"], "pods"
    return {"segment": segment, "labels": {"role": role}, "ip": ip}


def run(options: Options, note: client.Say) -> Iterator[Row]:
    """Rows as they come."""
    yield from machine.rows()
    with tempfile.TemporaryDirectory() as folder:
        model = load([write(Path(folder), options)]).model
    unborn = [one for one in model.workloads if one.labels["role"] == "born"]
    Random(options.seed).shuffle(unborn)
    waves = [unborn[start : start + options.wave] for start in range(0, len(unborn), options.wave)]
    alive = [one for one in model.workloads if one.labels["role"] != "born"]
    seen = Seen()
    with client.temporary(replace(model, workloads=tuple(alive))) as lab, ExitStack() as stack:
        lab.built()
        note(f"{len(unborn)} workloads are born in {len(waves)} waves, in a lab of {options.hosts} hosts")
        battle = _Battle(lab, stack, model, options.seed)
        for wave in waves:
            battle.born(alive, wave, seen)
            alive += wave
        drift = len(lab.status().drift)
        freed = battle.freed(alive)
    yield from _rows(seen, options)
    yield plain("birth: differences from the plan at the end", drift)
    for kind in KINDS.values():
        yield plain(f"birth: without policies there came, {kind}", freed.get(kind, 0))
    require(
        {
            "workloads that were not born": options.workloads - seen.born,
            "runs in which nobody was listened to before a link": not seen.early,
            "forbidden packets that came": sum(seen.forbidden.values()),
            "fires that hit nobody even without policies": not sum(freed.values()),
            "differences from the plan": drift,
        }
    )


def _rows(seen: Seen, options: Options) -> Iterator[Row]:
    yield plain("birth: workloads born", seen.born, f"of {options.workloads}")
    yield plain("birth: heard from before they had a link", seen.early, f"of {options.workloads}")
    yield plain("birth: times the lab was stopped", seen.stops)
    yield plain("birth: it was stopped for", seen.stopped, "s")
    yield plain("birth: a wave, median", at(seen.seconds, 0.5) * 1000, "ms")
    yield plain("birth: packets sent at the unborn and newborn", seen.sent)
    yield plain("birth: permitted packets that came", seen.permitted)
    for kind in sorted({*KINDS.values(), *seen.forbidden}):
        yield plain(f"birth: forbidden packets that came, {kind}", seen.forbidden.get(kind, 0))
    yield plain("birth: forbidden packets that came", sum(seen.forbidden.values()))


class _Battle:
    """Two processes inside the lab, one that fires and one that listens."""

    def __init__(self, lab: client.Lab, stack: ExitStack, model: Model, seed: int) -> None:
        self._lab, self._model = lab, model
        self._chance = Random(seed)
        self._fire = stack.enter_context(_inside(lab, "benchmarks.birth_fire", str(seed)))
        self._ears = stack.enter_context(_inside(lab, "benchmarks.birth_ears"))

    def born(self, alive: Sequence[Workload], wave: Sequence[Workload], seen: Seen) -> None:
        """One wave, from the first shot until all hear what they may."""
        self._ask({"listen": [namespace_of(one.key) for one in wave]})
        _tell(self._fire, {"from": [_who(one) for one in alive], "at": [_who(one) for one in wave]})
        _hear(self._fire)
        with _stopping(self._lab.pid, self._chance, seen, self._is_listening):
            started = time.monotonic()
            self._lab.apply(replace(self._model, workloads=_sorted([*alive, *wave])))
            seen.seconds.append(time.monotonic() - started)
        self._until_all_hear(len(wave))
        time.sleep(_AFTERWARDS)
        _tell(self._fire, {})
        seen.sent += int(_hear(self._fire)["sent"])
        told = self._ask({"end": True})
        seen.born += int(told["hearing"])
        seen.early += int(told["early"])
        seen.permitted += int(told["permitted"])
        for kind, number in told["forbidden"].items():
            seen.forbidden[kind] = seen.forbidden.get(kind, 0) + number

    def freed(self, alive: Sequence[Workload]) -> dict[str, int]:
        """The same fire at some who live, without policies: what policy alone has kept away comes now, by kind."""
        few = alive[-10:]
        self._ask({"listen": [namespace_of(one.key) for one in few]})
        _tell(self._fire, {"from": [_who(one) for one in alive], "at": [_who(one) for one in few]})
        _hear(self._fire)
        self._lab.apply(replace(self._model, workloads=_sorted(alive), policies=()))
        self._until_all_hear(len(few))
        time.sleep(_AFTERWARDS)
        _tell(self._fire, {})
        _hear(self._fire)
        found: dict[str, int] = self._ask({"end": True})["forbidden"]
        return found

    def _is_listening(self) -> bool:
        return not self._ask({"tell": True})["missing"]

    def _until_all_hear(self, number: int) -> None:
        deadline = time.monotonic() + HEARD_WITHIN
        while (told := self._ask({"tell": True}))["missing"] or told["hearing"] < number:
            if time.monotonic() > deadline:
                raise LabError(f"{number - told['hearing']} workloads hear nothing of what they may; see `sdn status`")
            time.sleep(0.01)

    def _ask(self, what: dict[str, Any]) -> dict[str, Any]:
        _tell(self._ears, what)
        return _hear(self._ears)


def _who(one: Workload) -> dict[str, Any]:
    return {
        "namespace": namespace_of(one.key),
        "application": one.application,
        "segment": one.segment,
        "mac": mac_of(one.key),
        "addresses": one.ip,
    }


def _sorted(workloads: Sequence[Workload]) -> tuple[Workload, ...]:
    return tuple(sorted(workloads, key=lambda one: one.key))


@contextmanager
def _inside(lab: client.Lab, module: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    enter = [sys.executable, "-P", "-m", "sdn.kernel.enter", str(lab.pid), ""]
    command = [*enter, sys.executable, "-m", module, *arguments]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        _hear(process)
        yield process
        assert process.stdin is not None
        process.stdin.close()


def _tell(process: subprocess.Popen[str], what: dict[str, Any]) -> None:
    assert process.stdin is not None
    process.stdin.write(json.dumps(what) + "\n")
    process.stdin.flush()


def _hear(process: subprocess.Popen[str]) -> dict[str, Any]:
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise LabError("a process of the benchmark has ended inside the lab; its error is above")
    found: dict[str, Any] = json.loads(line)
    return found


@contextmanager
def _stopping(pid: int, chance: Random, seen: Seen, listening: Callable[[], bool]) -> Iterator[None]:
    """Meanwhile a process stops again and again, wherever it happens to be, for some milliseconds.

    Until all are listened to it may run for less than what lies between a namespace and the link that goes there.
    """
    over = threading.Event()

    def stop() -> None:
        most = _BRIEFLY
        while not over.wait(chance.uniform(0, most.run)):
            os.kill(pid, signal.SIGSTOP)
            stopped = time.monotonic()
            most = _LONG if most is _LONG or listening() else _BRIEFLY
            over.wait(chance.uniform(0, most.stopped))
            os.kill(pid, signal.SIGCONT)
            seen.stops += 1
            seen.stopped += time.monotonic() - stopped

    thread = threading.Thread(target=stop, name="stopping")
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
