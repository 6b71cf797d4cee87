"""How long one waits for an answer: the command's start, one trace, many traces, real packets between all pairs.

Whole processes are measured as their user sees them, with a cache of files of its own that begins empty.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import yaml

from benchmarks import bare, machine
from benchmarks.labs import LEAVES, SPINES
from benchmarks.rows import Row, best_and_median, compared, plain
from sdn.errors import LabError
from sdn.lab import client
from sdn.model import Answer, Flow, Outcome, Protocol, Question
from sdn.plan.desired import Prepared, prepare
from sdn.plan.trace import Tracer
from sdn.policy.evaluate import Oracle
from sdn.probe.questions import questions
from sdn.spec.load import load

TOPOLOGIES = Path(__file__).parents[2] / "topologies"
APPS = 20
PER_HOST = 25


@dataclass(frozen=True)
class Options:
    """`workloads` that all ask each other; `flows` that are traced; `repeat`: times for each command."""

    workloads: int = 200
    flows: int = 20_000
    repeat: int = 5


def run(options: Options, note: Callable[[str], None]) -> Iterator[Row]:
    """Rows as they come."""
    yield from machine.rows()
    with tempfile.TemporaryDirectory() as folder:
        note("sdn --help, sdn trace, sdn test: whole processes")
        yield from _commands(options, Path(folder))
        file = Path(folder) / "lab.yaml"
        file.write_text(yaml.dump(lab(options.workloads), Dumper=yaml.CSafeDumper))
        prepared = prepare(load([file]).model)
    yield from _traced(options, prepared)
    note(f"{options.workloads} workloads ask each other on three ports each")
    yield from _probed(prepared)


def lab(workloads: int) -> dict[str, Any]:
    """Twenty apps that listen on two ports; every other app may ask on the first of them, and nobody on the second."""
    sizes = [workloads // APPS + (number < workloads % APPS) for number in range(APPS)]
    apps = {
        f"app-{number}": {"replicas": size, "labels": {"app": f"app-{number}"}, "ports": ["80/tcp", "443/tcp"]}
        for number, size in enumerate(sizes)
        if size
    }
    hosts = {"count": max(2, workloads // PER_HOST), "pods": 2 * PER_HOST}
    return {
        "lab": "bench-questions",
        "underlay": {"hosts": hosts, "leaves": LEAVES, "spines": SPINES},
        "applications": {"shop": {"segments": {"all": {"subnets": ["10.20.0.0/20"]}}, "workloads": apps}},
        "policies": [_policy(number, len(apps)) for number in range(len(apps))],
    }


def _policy(number: int, apps: int) -> dict[str, Any]:
    callers = [{"labels": {"app": f"app-{other}"}} for other in range(apps) if (number + other) % 2]
    rules = [
        {"action": "allow", "direction": "ingress", "from": callers, "ports": ["80/tcp"]},
        {"action": "deny", "direction": "ingress"},
    ]
    return {"name": f"app-{number}", "applies_to": [{"labels": {"app": f"app-{number}"}}], "rules": rules}


def _commands(options: Options, folder: Path) -> Iterator[Row]:
    """The start of a command beside Python's with click alone, which none can undercut."""
    floor = [_seconds([sys.executable, "-c", "import click"]) for _ in range(options.repeat)]
    trace = ["trace", "-f", str(TOPOLOGIES / "three-tier.yaml"), "web-0", "app-0:8080", "-4"]
    boutique = ["test", str(TOPOLOGIES / "online-boutique.yaml")]
    cases: dict[str, tuple[list[str], bool]] = {
        "sdn --help": (["--help"], True),
        "sdn trace, a new file": (trace, False),
        "sdn trace, a file that was read before": (trace, True),
        "sdn test of Online Boutique, a new file": (boutique, False),
        "sdn test of Online Boutique, read before": (boutique, True),
    }
    for case, (arguments, warm) in cases.items():
        command = [sys.executable, "-m", "sdn.cli", *arguments]
        taken = []
        if warm:
            _seconds(command, folder / "warm")
        for number in range(options.repeat):
            taken.append(_seconds(command, folder / ("warm" if warm else f"{case}-{number}")))
        for word, value in best_and_median(taken):
            peer = min(floor) if "best" in word or not word else sorted(floor)[len(floor) // 2]
            yield compared(f"questions: {case}{word}", value * 1000, "ms", "import click", peer * 1000)


def _seconds(command: Sequence[str], cache: Path | None = None) -> float:
    environment = os.environ | ({"XDG_CACHE_HOME": str(cache)} if cache is not None else {})
    start = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    seconds = time.perf_counter() - start
    if done.returncode:
        raise LabError(f"{' '.join(command[1:])} ended with {done.returncode}: {done.stderr.strip()}")
    return seconds


def _traced(options: Options, prepared: Prepared) -> Iterator[Row]:
    """From a Tracer that knows nothing yet; the peer is the oracle on the same flows."""
    chance = Random(1)
    ends = list(prepared.placed.endpoints.values())
    flows: list[Flow] = []
    while len(flows) < options.flows:
        source, target = chance.sample(ends, 2)
        flows.append(Flow(source.workload, target.addresses[0], Protocol.TCP, chance.choice((80, 443, 7))))
    tracer, oracle = Tracer(prepared.plan), Oracle(prepared.placed)
    traced, answers = _timed(lambda: [tracer.trace(flow) for flow in flows])
    judged, verdicts = _timed(lambda: [oracle.evaluate(flow) for flow in flows])
    if [tuple(one.answer for one in several) for several in answers] != verdicts:
        raise LabError("trace and evaluate disagree")
    what = f"questions: {len(flows):,} traces"
    yield compared(what, traced, "s", "evaluate", judged)
    yield plain(f"{what}, each second", len(flows) / traced, "flows/s")


def _timed(work: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def _probed(prepared: Prepared) -> Iterator[Row]:
    """Three ports of all pairs, in a lab that is up; the floor is as many bare packets."""
    asked = [one for one in questions(prepared.placed) if one.flow.protocol is Protocol.TCP]
    asked = [one for one in asked if one.flow.source in prepared.placed.endpoints]
    oracle = Oracle(prepared.placed)
    answers = [oracle.evaluate(one.flow) for one in asked]
    floor = bare.measure(len(asked))
    with client.temporary(prepared.placed.model) as running:
        running.built()
        before = machine.processor_seconds(running.pid)
        seconds, found = _timed(lambda: running.ask(asked, answers))
        used = machine.processor_seconds(running.pid) - before
    _require_agreement(asked, answers, [one.outcome for (one,) in found.observations])
    what = f"questions: {len(asked):,} probes"
    yield compared(what, seconds, "s", "SYN and reset on lo", floor)
    yield compared(f"{what}, the holder's processor time", used, "s", "SYN and reset on lo", floor)
    allowed = sum(one[0].verdict.allowed for one in answers)
    yield plain(f"{what}, of which are allowed", allowed)


def _require_agreement(
    asked: Sequence[Question], answers: Sequence[tuple[Answer, ...]], seen: Sequence[Outcome]
) -> None:
    """A fast probe that sees something else is none."""
    for question, (answer,), outcome in zip(asked, answers, seen, strict=True):
        if answer.verdict.allowed != (outcome in (Outcome.CONNECTED, Outcome.REFUSED)):
            raise LabError(f"{question.flow}: {outcome}, but {answer.verdict.rule} says {answer.verdict.disposition}")
