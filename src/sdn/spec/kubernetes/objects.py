"""The Kubernetes objects in some documents: Lists unrolled, each read by its schema, the last of equal ones kept.

Kinds that say nothing about a network are counted and left out, so that any published manifest loads.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

from sdn.errors import Problem
from sdn.spec.kubernetes import schema, schema_cluster, schema_networks, schema_scheduling
from sdn.spec.mistakes import Path, Site, dotted, near_misses, nearest, validate
from sdn.spec.source import Document

_CLUSTER_WIDE = frozenset({"policy.networking.k8s.io"})

KINDS: dict[str, tuple[frozenset[str], type[BaseModel]]] = {
    "Namespace": (frozenset({""}), schema.Namespace),
    "Pod": (frozenset({""}), schema.Pod),
    "Deployment": (frozenset({"apps", "extensions"}), schema.Controller),
    "ReplicaSet": (frozenset({"apps", "extensions"}), schema.Controller),
    "StatefulSet": (frozenset({"apps"}), schema.Controller),
    "DaemonSet": (frozenset({"apps", "extensions"}), schema.Controller),
    "Job": (frozenset({"batch"}), schema.Job),
    "CronJob": (frozenset({"batch"}), schema.CronJob),
    "Service": (frozenset({""}), schema.Service),
    "NetworkPolicy": (frozenset({"networking.k8s.io", "extensions"}), schema.NetworkPolicy),
    "ClusterNetworkPolicy": (_CLUSTER_WIDE, schema_cluster.ClusterNetworkPolicy),
    "AdminNetworkPolicy": (_CLUSTER_WIDE, schema_cluster.AdminNetworkPolicy),
    "BaselineAdminNetworkPolicy": (_CLUSTER_WIDE, schema_cluster.BaselineAdminNetworkPolicy),
    "PriorityClass": (frozenset({"scheduling.k8s.io"}), schema_scheduling.PriorityClass),
    "Node": (frozenset({""}), schema_scheduling.Node),
    "PersistentVolume": (frozenset({""}), schema_scheduling.PersistentVolume),
    "PersistentVolumeClaim": (frozenset({""}), schema_scheduling.PersistentVolumeClaim),
    "UserDefinedNetwork": (frozenset({"k8s.ovn.org"}), schema_networks.UserDefinedNetwork),
    "ClusterUserDefinedNetwork": (frozenset({"k8s.ovn.org"}), schema_networks.ClusterUserDefinedNetwork),
}
"""Kind → the API groups whose kind is meant (`serving.knative.dev` has another Service), and how to read it."""

IN_NO_NAMESPACE = frozenset(
    {
        "Namespace",
        "ClusterNetworkPolicy",
        "AdminNetworkPolicy",
        "BaselineAdminNetworkPolicy",
        "ClusterUserDefinedNetwork",
        "PriorityClass",
        "Node",
        "PersistentVolume",
    }
)
"""Kinds whose objects belong to the cluster."""


@dataclass(frozen=True)
class Object:
    """One object as written: `content` is an instance of its schema, `raw` its plain data."""

    kind: str
    namespace: str  # empty for IN_NO_NAMESPACE
    name: str
    content: Any
    raw: dict[str, Any]
    site: Site

    @property
    def key(self) -> tuple[str, str, str]:
        """Its identity in a cluster."""
        return self.kind, self.namespace, self.name


@dataclass
class Objects:
    """The objects that count, by identity in the order read, and what to tell the user."""

    found: dict[tuple[str, str, str], Object] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    def of(self, *kinds: str) -> list[Object]:
        """All of some kinds, sorted by identity."""
        return sorted((item for item in self.found.values() if item.kind in kinds), key=lambda item: item.key)

    def add(self, item: Object) -> None:
        """The later of two equal identities wins, as with `kubectl apply -f DIR`."""
        earlier = self.found.pop(item.key, None)
        if earlier is not None:
            same = "is repeated at" if earlier.raw == item.raw else "is replaced by"
            self.warnings.append(
                f"{earlier.site.line}: {earlier.site.title} {same} {item.site.line}; the later one counts"
            )
        self.found[item.key] = item


def collect(documents: Sequence[Document], problems: list[Problem]) -> Objects:
    """Every object of the documents in order; mistakes go to `problems`."""
    objects = Objects()
    unused: Counter[str] = Counter()
    for document in documents:
        for path, data in unrolled(document):
            item = _read(document, path, data, problems, unused)
            if item is not None:
                objects.add(item)
                objects.warnings += _misspelt(item)
    if unused:
        objects.warnings.append("not used here: " + ", ".join(f"{kind} ({unused[kind]})" for kind in sorted(unused)))
    return objects


def unrolled(document: Document) -> Iterator[tuple[Path, Any]]:
    """The object itself with its place, or the items of a List; those of a PodList need no kind of their own."""
    return _unrolled((), document.data)


def _unrolled(path: Path, data: Any) -> Iterator[tuple[Path, Any]]:
    kind = data.get("kind") if isinstance(data, dict) else None
    if not (isinstance(kind, str) and kind.endswith("List") and isinstance(data.get("items"), list)):
        yield path, data
        return
    default = {"apiVersion": data.get("apiVersion"), "kind": kind.removesuffix("List")}
    for position, item in enumerate(data["items"]):
        if isinstance(item, dict) and "kind" not in item and default["kind"]:
            yield (*path, "items", position), {**default, **item}
        else:
            yield from _unrolled((*path, "items", position), item)


def _read(document: Document, path: Path, data: Any, problems: list[Problem], unused: Counter[str]) -> Object | None:
    site = Site(document, path, "", problems)
    if not isinstance(data, dict):
        site.report("is no Kubernetes object; write a mapping with apiVersion, kind and metadata")
        return None
    kind, version = data.get("kind"), data.get("apiVersion")
    if not isinstance(kind, str) or not isinstance(version, str):
        missing = "kind" if not isinstance(kind, str) else "apiVersion"
        hint = "" if missing == "apiVersion" else ' (and no "lab", as a lab file of ours has)'
        site.report(f'has no "{missing}"{hint}; add it, or leave the file out')
        return None
    group = version.rpartition("/")[0]
    groups, model = KINDS.get(kind, (frozenset(), BaseModel))
    if group not in groups:
        unused[kind if not groups else f"{kind} of {version}"] += 1
        return None
    site = Site(document, path, f"{kind} {_title(kind, data)}", problems)
    content: Any = validate(model, data, site)
    if content is None:
        return None
    meta = content.metadata
    return Object(kind, "" if kind in IN_NO_NAMESPACE else meta.namespace, meta.name, content, data, site)


def _title(kind: str, data: dict[str, Any]) -> str:
    """`shop/cart`, also for what turns out to be wrong."""
    meta = data.get("metadata")
    meta = meta if isinstance(meta, dict) else {}
    name = meta.get("name") or meta.get("generateName") or "without a name"
    return str(name) if kind in IN_NO_NAMESPACE else f"{meta.get('namespace') or 'default'}/{name}"


def _misspelt(item: Object) -> Iterator[str]:
    for steps, meant in near_misses(type(item.content), item.raw):
        line = item.site.document.where_key((*item.site.root, *steps))[0]
        yield (
            f"{item.site.document.file}:{line}: {item.site.title}: {dotted(steps)} is not used here"
            f"{nearest(str(steps[-1]), [meant]) or f'; {meant} is'}"
        )
