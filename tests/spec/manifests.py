"""Shorthands for tests of manifests: text in, parts and problems out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from sdn.errors import Problem
from sdn.model import Workload
from sdn.spec.kubernetes import read
from sdn.spec.parts import LabParts
from sdn.spec.source import read_text

DATA = Path(__file__).parents[3] / "shared" / "data"
"""Published manifests beside the repository; tests on them say so when it is not there."""


def parts(text: str, lab: LabParts | None = None) -> tuple[LabParts, list[str]]:
    """What manifests become, and their mistakes."""
    problems: list[Problem] = []
    found = read(read_text("k.yaml", text.encode(), problems), problems, lab)
    return found, [str(problem) for problem in sorted(problems)]


def good(text: str, lab: LabParts | None = None) -> LabParts:
    """What manifests without a mistake become."""
    found, problems = parts(text, lab)
    assert problems == []
    return found


def errors(text: str) -> list[str]:
    """The mistakes alone."""
    return parts(text)[1]


def pods(found: LabParts) -> dict[str, Workload]:
    """Workloads by key."""
    return {workload.key: workload for workload in found.workloads}


def written(*objects: dict[str, Any]) -> str:
    """Objects as YAML documents."""
    return yaml.safe_dump_all(objects, sort_keys=False)


def thing(kind: str, name: str, spec: dict[str, Any] | None = None, **meta: Any) -> dict[str, Any]:
    """An object of a kind with its usual API version; `status` and `owner` (kind, name) may be given, too."""
    groups = {"Pod": "v1", "Service": "v1", "Namespace": "v1", "Job": "batch/v1", "CronJob": "batch/v1"}
    groups["NetworkPolicy"] = "networking.k8s.io/v1"
    status, owner = meta.pop("status", None), meta.pop("owner", None)
    if owner is not None:
        meta["ownerReferences"] = [{"apiVersion": "v1", "kind": owner[0], "name": owner[1], "controller": True}]
    made: dict[str, Any] = {"apiVersion": groups.get(kind, "apps/v1"), "kind": kind, "metadata": {"name": name, **meta}}
    if spec is not None:
        made["spec"] = spec
    return made if status is None else {**made, "status": status}


def controller(kind: str, name: str, **spec: Any) -> dict[str, Any]:
    """A controller whose Pods carry `app: NAME`; `pod` is the Pod's spec."""
    pod = spec.pop("pod", {"containers": [{"name": "c", "ports": [{"containerPort": 80}]}]})
    template = {"metadata": {"labels": {"app": name}}, "spec": pod}
    return thing(kind, name, {"selector": {"matchLabels": {"app": name}}, "template": template, **spec})
