"""The data centre as a lab file in JSON, every Host and every VM by its name with all that it asks for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sdn.model import Host, Model, Placement, PlacementRule, PodTerm, Scheduling, TopologySpread, Workload

REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"


def write(path: Path, model: Model, running: Placement) -> None:
    """The file that `sdn place` reads; the inverse of loading it, for what a data centre says."""
    path.write_text(json.dumps(lab_file(model, running)))


def lab_file(model: Model, running: Placement) -> dict[str, Any]:
    """One application with all VMs in one Segment."""
    network = {"vms": {"kind": "routed", "subnets": ["10.0.0.0/10"], "slice4": 24}}
    return {
        "lab": "datacentre",
        "underlay": {"hosts": [_host(host) for host in model.underlay.hosts], "leaves": 1, "spines": 1},
        "applications": {"dc": {"segments": network, "workloads": {w.name: _vm(w) for w in model.workloads}}},
        "scheduling": {"rules": [_rule(rule) for rule in model.constraints.rules]},
        "running": dict(running.hosts),
    }


def differing(model: Model, loaded: Model, running: Placement) -> list[str]:
    """What was lost between the model and its file."""
    found = {w.key: w for w in loaded.workloads}
    wrong = [
        f"{w.key} is not what was written"
        for w in model.workloads
        if w.key not in found or _asked(found[w.key]) != _asked(w)
    ]
    if [_host_asked(h) for h in loaded.underlay.hosts] != [_host_asked(h) for h in model.underlay.hosts]:
        wrong.append("the Hosts are not what was written")
    if loaded.constraints != model.constraints:
        wrong.append("the rules are not what was written")
    return wrong if loaded.running == running else [*wrong, "where all runs is not what was written"]


def _asked(workload: Workload) -> tuple[int, int, Scheduling, str | None]:
    return workload.cpu, workload.memory, workload.scheduling, workload.labels.get("app")


def _host_asked(host: Host) -> tuple[str, int, int, str]:
    """A file adds labels of its own, such as the zone."""
    return host.name, host.cpu, host.memory, host.labels["rack"]


def _host(host: Host) -> dict[str, Any]:
    return {"name": host.name, "cpu": f"{host.cpu}m", "memory": f"{host.memory}Mi", "labels": host.labels}


def _vm(workload: Workload) -> dict[str, Any]:
    affinity, spread = workload.scheduling.affinity, workload.scheduling.spread
    said: dict[str, Any] = {
        "kind": "vm",
        "cpu": f"{workload.cpu}m",
        "memory": f"{workload.memory}Mi",
        "labels": workload.labels,
    }
    if affinity is not None:
        said["affinity"] = {"podAntiAffinity": {REQUIRED: [_term(term) for term in affinity.apart]}}
    if spread:
        said["topology_spread"] = [_spread(one) for one in spread]
    return said


def _term(term: PodTerm) -> dict[str, Any]:
    assert term.selector is not None
    return {"topologyKey": term.topology, "labelSelector": {"matchLabels": dict(term.selector.labels)}}


def _spread(spread: TopologySpread) -> dict[str, Any]:
    assert spread.selector is not None
    return {
        "topologyKey": spread.topology,
        "maxSkew": spread.max_skew,
        "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": dict(spread.selector.labels)},
    }


def _rule(rule: PlacementRule) -> dict[str, Any]:
    assert rule.workloads.labels is not None
    return {"name": rule.name, "must": rule.kind.value, "workloads": {"labels": dict(rule.workloads.labels.labels)}}
