"""Labs to measure: written as their users would write them, so that loading is part of what is measured.

Both shapes have 20 apps of five replicas for each hundred pods, each app with a Service, a default denial, and
allowances that let each app call the next one and nobody else.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

APPS = 20
REPLICAS = 5
PODS_PER_HOST = 50
FEWEST_HOSTS = 4
LEAVES, SPINES = 2, 2
HOSTS_PER_LEAF = 20
SEGMENT_MEMBERS = 50
PORT = 8080


@dataclass(frozen=True)
class Size:
    """How large a lab is, in the numbers that its floor is built from; by default with 50 pods on a Host."""

    pods: int
    many_hosts: int = 0

    @property
    def hosts(self) -> int:
        """4 for 100 pods, 20 for 1,000, 200 for 10,000."""
        return self.many_hosts or max(FEWEST_HOSTS, -(-self.pods // PODS_PER_HOST))

    @property
    def leaves(self) -> int:
        """20 Hosts to a rack, and more than one rack."""
        return max(LEAVES, -(-self.hosts // HOSTS_PER_LEAF))

    @property
    def namespaces(self) -> int:
        """Network namespaces of the kernel: workloads, Hosts and Switches."""
        return self.pods + self.hosts + self.leaves + SPINES

    @property
    def cables(self) -> int:
        """veth pairs: workloads' and the fabric's, where each Host hangs on one leaf and each leaf on all spines."""
        return self.pods + self.hosts + self.leaves * SPINES


def write_flat(folder: Path, size: Size) -> Path:
    """Kubernetes' own network: one routed Segment that all namespaces share, NetworkPolicies deciding."""
    (folder / "manifests.yaml").write_text(yaml.dump_all(manifests(size.pods), Dumper=yaml.CSafeDumper))
    return _write_lab(folder, {"lab": "bench-flat", "underlay": _underlay(size), "manifests": ["manifests.yaml"]})


def write_l2(folder: Path, size: Size) -> Path:
    """Applications of a hundred pods in two broadcast domains of 50, our own tiers deciding."""
    return _write_applications(folder, size, "bench-l2", {"front": {}, "back": {}})


def write_tenants(folder: Path, size: Size) -> Path:
    """Applications of a hundred pods on one routed Segment, all with the same addresses, our own tiers deciding."""
    segments = {"pods": {"kind": "routed", "subnets": ["10.1.0.0/16", "fd00:1::/48"]}}
    return _write_applications(folder, size, "bench-tenants", segments)


def _write_applications(folder: Path, size: Size, name: str, segments: dict[str, Any]) -> Path:
    applications: dict[str, Any] = {}
    policies: list[dict[str, Any]] = []
    for team, count in _hundreds(size.pods):
        applications[team] = _application(count, segments)
        policies += _tier_policies(team, count)
    lab = {"lab": name, "underlay": _underlay(size), "applications": applications, "policies": policies}
    return _write_lab(folder, lab)


SHAPES = {"flat": write_flat, "l2": write_l2}
"""Name of a case → what writes its lab file."""

MANY_HOSTS = {"flat": write_flat, "tenants": write_tenants}
"""The same for labs of many Hosts: where each knows all others, and where each knows those of its Applications."""


def _write_lab(folder: Path, lab: dict[str, Any]) -> Path:
    path = folder / "lab.yaml"
    path.write_text(yaml.dump(lab, Dumper=yaml.CSafeDumper))
    return path


def _underlay(size: Size) -> dict[str, Any]:
    each = -(-size.pods // size.hosts) if size.many_hosts else PODS_PER_HOST * 2
    return {"hosts": {"count": size.hosts, "pods": each}, "leaves": size.leaves, "spines": SPINES}


def _hundreds(pods: int) -> Iterator[tuple[str, int]]:
    """Name and number of pods of each namespace or application."""
    for number, start in enumerate(range(0, pods, APPS * REPLICAS)):
        yield f"team-{number}", min(APPS * REPLICAS, pods - start)


def _apps(count: int) -> list[tuple[str, int, str, str]]:
    """Name, replicas, who calls it and whom it calls; with few pods the last app has fewer replicas."""
    sizes = [min(REPLICAS, count - start) for start in range(0, count, REPLICAS)]
    names = [f"app-{number}" for number in range(len(sizes))]
    return [(name, sizes[i], names[i - 1], names[(i + 1) % len(names)]) for i, name in enumerate(names)]


def manifests(pods: int) -> Iterator[dict[str, Any]]:
    """Namespaces of a hundred pods each."""
    for namespace, count in _hundreds(pods):
        yield {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
        yield _network_policy(namespace, "default-deny", {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]})
        for name, replicas, caller, callee in _apps(count):
            yield _deployment(namespace, name, replicas)
            yield _service(namespace, name)
            yield _network_policy(namespace, name, _calls(name, caller, callee))


def _meta(namespace: str, name: str) -> dict[str, Any]:
    return {"name": name, "namespace": namespace}


def _deployment(namespace: str, name: str, replicas: int) -> dict[str, Any]:
    container = {"name": "main", "image": "example/app", "ports": [{"containerPort": PORT}]}
    template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [container]}}
    spec = {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": _meta(namespace, name), "spec": spec}


def _service(namespace: str, name: str) -> dict[str, Any]:
    spec = {"selector": {"app": name}, "ports": [{"port": 80, "targetPort": PORT}]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": _meta(namespace, name), "spec": spec}


def _network_policy(namespace: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    meta = _meta(namespace, name)
    return {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": meta, "spec": spec}


def _calls(name: str, caller: str, callee: str) -> dict[str, Any]:
    def peer(app: str) -> list[dict[str, Any]]:
        return [{"podSelector": {"matchLabels": {"app": app}}}]

    ports = [{"port": PORT}]
    return {
        "podSelector": {"matchLabels": {"app": name}},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [{"from": peer(caller), "ports": ports}],
        "egress": [{"to": peer(callee), "ports": ports}],
    }


def _application(count: int, segments: dict[str, Any]) -> dict[str, Any]:
    apps, names = _apps(count), list(segments)
    in_first = SEGMENT_MEMBERS // REPLICAS
    workloads: dict[str, Any] = {}
    for number, (name, replicas, _, _) in enumerate(apps):
        segment = names[0] if number < in_first else names[-1]
        workloads[name] = {
            "replicas": replicas,
            "segment": segment,
            "labels": {"app": name},
            "ports": [f"{PORT}/tcp"],
        }
    services = {name: {"ports": [f"80:{PORT}/tcp"], "selector": {"app": name}} for name, *_ in apps}
    return {"segments": segments, "workloads": workloads, "services": services}


def _tier_policies(team: str, count: int) -> Iterator[dict[str, Any]]:
    for name, _, caller, callee in _apps(count):
        rules = [
            {"action": "allow", "direction": "ingress", "from": [_of(team, caller)], "ports": [f"{PORT}/tcp"]},
            {"action": "allow", "direction": "egress", "to": [_of(team, callee)], "ports": [f"{PORT}/tcp"]},
        ]
        yield {"name": f"{team}-{name}", "applies_to": [_of(team, name)], "rules": rules}
    denials = [{"action": "deny", "direction": direction} for direction in ("ingress", "egress")]
    yield {"name": f"{team}-default-deny", "priority": 9000, "applies_to": [{"applications": [team]}], "rules": denials}


def _of(team: str, app: str) -> dict[str, Any]:
    return {"applications": [team], "labels": {"app": app}}
