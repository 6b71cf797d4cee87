"""A large cluster as the files that a person hands over: Hosts in a lab file, everything else as Kubernetes objects.

As JSON, because who describes 150,000 Pods has a program do it; in several files, as no file may pass 32 MiB.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from msgspec import Struct

HOSTS_PER_LEAF = 40
APPS = 10
"""Deployments of one namespace, each with a NetworkPolicy and a Service of its own."""

NAMESPACES_PER_FILE = 50


class Size(Struct, frozen=True):
    """`apps` Deployments of `replicas` Pods each, with as many policies and as many Services."""

    hosts: int
    apps: int
    replicas: int


def write(folder: Path, size: Size) -> None:
    """All files of the lab."""
    (folder / "lab.json").write_text(json.dumps({"lab": "large", "underlay": _underlay(size)}))
    names = [f"ns-{number:05}" for number in range(-(-size.apps // APPS))]
    for start in range(0, len(names), NAMESPACES_PER_FILE):
        items = [
            one for index in range(start, min(start + NAMESPACES_PER_FILE, len(names))) for one in _space(size, index)
        ]
        text = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
        (folder / f"{names[start]}.json").write_text(text)


def _underlay(size: Size) -> dict[str, Any]:
    alike = {"count": size.hosts, "cpu": 64, "memory": "256Gi"}
    return {"hosts": alike, "leaves": max(2, size.hosts // HOSTS_PER_LEAF), "spines": 4}


def _space(size: Size, index: int) -> Iterator[dict[str, Any]]:
    """A namespace and the apps in it."""
    name = f"ns-{index:05}"
    yield _object("v1", "Namespace", "", name, {})
    for app in range(min(APPS, size.apps - index * APPS)):
        yield _deployment(name, app, size.replicas)
        yield _service(name, app)
        yield _policy(name, app)


def _object(version: str, kind: str, namespace: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    metadata = {"name": name} | ({"namespace": namespace} if namespace else {})
    return {"apiVersion": version, "kind": kind, "metadata": metadata} | ({"spec": spec} if spec else {})


def _deployment(namespace: str, app: int, replicas: int) -> dict[str, Any]:
    labels = {"app": f"app-{app}"}
    requests = {"cpu": f"{50 + 10 * (app % 5)}m", "memory": f"{64 << app % 3}Mi"}
    container = {
        "name": "main",
        "image": "registry.example/app:1",
        "ports": [{"containerPort": 8080, "name": "http"}],
        "resources": {"requests": requests},
    }
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template}
    return _object("apps/v1", "Deployment", namespace, f"app-{app}", spec)


def _service(namespace: str, app: int) -> dict[str, Any]:
    spec = {"selector": {"app": f"app-{app}"}, "ports": [{"port": 80, "targetPort": "http"}]}
    return _object("v1", "Service", namespace, f"app-{app}", spec)


def _policy(namespace: str, app: int) -> dict[str, Any]:
    """The app may be reached by the one before it, and may reach the one after it."""
    ports = [{"protocol": "TCP", "port": 8080}]
    before, after = ({"podSelector": {"matchLabels": {"app": f"app-{(app + step) % APPS}"}}} for step in (-1, 1))
    spec = {
        "podSelector": {"matchLabels": {"app": f"app-{app}"}},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [{"from": [before], "ports": ports}],
        "egress": [{"to": [after], "ports": ports}],
    }
    return _object("networking.k8s.io/v1", "NetworkPolicy", namespace, f"app-{app}", spec)
