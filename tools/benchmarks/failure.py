"""A Host with many workloads loses its power in a running lab: how long each stage takes, and whether all is right.

Afterwards every question of `sdn test` is asked three ways. Half of the workloads are bridged, half of them routed;
each app has a Service, and calls the next one and nobody else.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from msgspec.structs import replace

from benchmarks import floor, machine
from benchmarks.labs import PORT, REPLICAS, Size
from benchmarks.migrate import PERCENTILES, at
from benchmarks.rows import Row, compared, plain, require
from sdn.errors import LabError
from sdn.lab import client
from sdn.model import Model, Placed, Placement, Report
from sdn.model.lifecycle import Fail, Outcome, What
from sdn.spec.load import load

VICTIM = "host-1"


@dataclass(frozen=True)
class Options:
    """`workloads` run on the Host that fails, and as many on all others together."""

    workloads: int = 50
    hosts: int = 8


def write(folder: Path, options: Options) -> Path:
    """The lab as its user would write it."""
    apps = [f"app-{number}" for number in range(-(-2 * options.workloads // REPLICAS))]
    application = {
        "segments": {
            "lan": {"subnets": ["10.1.0.0/24", "fd00:1::/64"]},
            "pods": {"kind": "routed", "subnets": ["10.2.0.0/16", "fd00:2::/48"]},
        },
        "workloads": {app: _workload(app, number) for number, app in enumerate(apps)},
        "services": {app: {"ports": [f"80:{PORT}/tcp"], "selector": {"app": app}} for app in apps},
    }
    lab = {
        "lab": "bench-failure",
        "underlay": {"hosts": {"count": options.hosts, "pods": 4 * options.workloads}, "leaves": 2, "spines": 2},
        "applications": {"a": application},
        "policies": [_policy(app, apps[number - 1]) for number, app in enumerate(apps)],
    }
    path = folder / "lab.yaml"
    path.write_text(yaml.dump(lab, Dumper=yaml.CSafeDumper))
    return path


def _workload(app: str, number: int) -> dict[str, Any]:
    segment = "lan" if number % 2 else "pods"
    return {"segment": segment, "replicas": REPLICAS, "labels": {"app": app}, "ports": [f"{PORT}/tcp"]}


def _policy(app: str, caller: str) -> dict[str, Any]:
    allow = {"action": "allow", "direction": "ingress", "from": [{"labels": {"app": caller}}], "ports": [f"{PORT}/tcp"]}
    return {
        "name": app,
        "applies_to": [{"labels": {"app": app}}],
        "rules": [allow, {"action": "deny", "direction": "ingress"}],
    }


def placed_as_asked(model: Model, options: Options) -> Model:
    """Every second workload is on the Host that will fail, the others are dealt out."""
    keys = [one.key for one in model.workloads]
    others = options.hosts - 1
    victims = set(keys[::2][: options.workloads])
    rest = [key for key in keys if key not in victims]
    hosts = dict.fromkeys(victims, VICTIM) | {key: f"host-{2 + n % others}" for n, key in enumerate(rest)}
    return replace(model, running=Placement(dict(sorted(hosts.items()))))


def run(options: Options, note: client.Say) -> Iterator[Row]:
    """Rows as they come."""
    yield from machine.rows()
    with tempfile.TemporaryDirectory() as folder:
        model = placed_as_asked(load([write(Path(folder), options)]).model, options)
    least = floor.measure(Size(options.workloads, options.hosts))
    with client.temporary(model) as lab:
        lab.built()
        before = lab.placed()
        note(f"{VICTIM} of {options.hosts} fails with {options.workloads} workloads of {len(model.workloads)}")
        done = lab.operate(Fail(What.HOST, VICTIM), watch=True)
        if done.refused:
            raise LabError("; ".join(done.refused))
        after = lab.placed()
        yield from _rows(done, before, after, least.seconds)
        drift, report = len(lab.status().drift), lab.test()
        yield plain("failure: differences from the plan", drift)
        yield from _asked(report, {key for key, host in before.placement.hosts.items() if host == VICTIM})
    require(
        {
            "workloads that run nowhere else": options.workloads - len(done.moved),
            "forbidden packets that came": done.leaked,
            "differences from the plan": drift,
            "answers that differ": len(report.disagreements),
        }
    )


def _rows(done: Outcome, before: Placed, after: Placed, least: float) -> Iterator[Row]:
    """`least`: seconds that as many namespaces and cables alone take, the floor of the stage that makes them."""
    lost = [key for key, host in before.placement.hosts.items() if host == VICTIM]
    where: Mapping[str, str] = after.placement.hosts
    again = [key for key in lost if where.get(key, VICTIM) != VICTIM]
    same = [key for key in lost if before.endpoints[key].addresses == after.endpoints[key].addresses]
    yield plain("failure: workloads that were lost", len(lost))
    yield plain("failure: that run elsewhere", len(again))
    yield plain("failure: with the addresses they had", len(same))
    for stage in done.stages:
        title, taken = f"failure: stage {stage.name}", stage.seconds * 1000
        is_floored = stage.name == "programmed"
        yield compared(title, taken, "ms", "floor", least * 1000) if is_floored else plain(title, taken, "ms")
    for name, share in PERCENTILES.items():
        yield plain(f"failure: away, {name}", at([one.gap for one in done.moved], share) * 1000, "ms")
    yield plain("failure: of others' permitted packets", done.sent, "sent")
    yield plain("failure: of them lost", done.lost)
    yield plain("failure: forbidden packets that came", done.leaked)
    yield plain("failure: what could not be done", len(done.notes))


def _asked(report: Report, lost: set[str]) -> Iterator[Row]:
    theirs = [r for r in report.results if {r.question.flow.source, r.question.target} & lost]
    yield plain("failure: questions asked", len(report.results))
    yield plain("failure: of those who were lost", len(theirs))
    yield plain("failure: of them permitted", sum(all(a.verdict.allowed for a in r.evaluate) for r in theirs))
    yield plain("failure: answers that differ", len(report.disagreements))
