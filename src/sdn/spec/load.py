"""Files and folders as one checked Model: a lab file of ours, Kubernetes manifests, exports of NSX, or all together."""

from __future__ import annotations

import gc
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from msgspec import structs

from sdn.errors import Problem, SpecError
from sdn.model import (
    Constraints,
    Expectation,
    Model,
    Namespace,
    Options,
    Placement,
    Policy,
    Selector,
    Underlay,
    Workload,
)
from sdn.spec import kubernetes, labfile, nsx
from sdn.spec.check import check
from sdn.spec.files import files
from sdn.spec.kubernetes.read import METADATA_NAME
from sdn.spec.loaded import Inputs, Loaded, digest
from sdn.spec.parts import LabParts, Places
from sdn.spec.running import placement
from sdn.spec.source import Document, read_bytes, read_text
from sdn.spec.underlay import default_underlay

__all__ = ["Loaded", "is_lab", "load", "name_of"]


def load(paths: Sequence[Path]) -> Loaded:
    """One Model from all of `paths`. Raises SpecError with every mistake that was found."""
    with _nothing_to_collect():
        return _load(paths)


@contextmanager
def _nothing_to_collect() -> Iterator[None]:
    """Without looking for garbage: what is read has no circles, and looking takes as long as reading 30,000 VMs.

    Nor is it looked at as soon as that is over: what has been made meanwhile counts as old.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            if not gc.get_freeze_count():  # somebody else's would be thawed, too
                gc.freeze()
                gc.unfreeze()
            gc.enable()


def _load(paths: Sequence[Path]) -> Loaded:
    problems: list[Problem] = []
    inputs, seen = Inputs(), set[Path]()
    documents = _read(paths, seen, inputs, problems)
    lab_documents = [document for document in documents if is_lab(document)]
    for other in lab_documents[1:]:
        first = lab_documents[0]
        message = f"is a second lab beside {first.file}:{first.where(())[0]}; load one at a time"
        problems.append(other.problem(("lab",), message, key=True))
    if lab_documents:
        further = _further(lab_documents[0])
        inputs.further = tuple(map(str, further))
        documents += _read(further, seen, inputs, problems)
    others = [document for document in documents if not is_lab(document)]
    exports = [document for document in others if nsx.is_nsx(document)]
    manifests = [document for document in others if not nsx.is_nsx(document)]
    parts = [_export(exports, bool(lab_documents or manifests), problems)] if exports else []
    lab, lab_is_sound = None, True
    if lab_documents:
        before = len(problems)
        tenants = LabParts(applications=kubernetes.applications(manifests), priorities=kubernetes.priorities(manifests))
        lab = labfile.parse(lab_documents[0], problems, [*parts, tenants])
        lab_is_sound = len(problems) == before
    if lab is not None:
        parts.insert(0, lab)
    if manifests:
        parts.append(kubernetes.read(manifests, problems, _beside(lab, parts)))
    if not documents and not problems:
        problems.append(Problem(", ".join(map(str, paths)), 0, 0, "nothing to load; name a lab file or manifests"))
    if not parts:
        raise SpecError(problems)
    model = _merge(lab.name if lab is not None else name_of(paths), parts, problems)
    # A lab file's own reader has said what is wrong inside it, with better places.
    if lab_is_sound:
        problems += check(model, [part.where for part in parts])
    if problems:
        raise SpecError(problems)
    where = Places(*[partial(dict, part.where) for part in parts])
    return Loaded(model, tuple(dict.fromkeys(line for part in parts for line in part.warnings)), where, inputs)


def is_lab(document: Document) -> bool:
    """Whether a document is a lab file of ours rather than a Kubernetes object."""
    return isinstance(document.data, dict) and "lab" in document.data and "kind" not in document.data


def _further(lab: Document) -> list[Path]:
    """The files and folders that a lab names; what is wrong with the list is told when the lab is read."""
    written = lab.data.get("manifests")
    names = [name for name in written if isinstance(name, str) and name] if isinstance(written, list) else []
    return [Path(lab.file).parent / name for name in names]


def _export(documents: Sequence[Document], has_neighbours: bool, problems: list[Problem]) -> LabParts:
    """An export of NSX. Its firewall sits on the cards of its VMs, so a rule for everybody is none for neighbours."""
    from sdn.spec.nsx.read import read  # noqa: PLC0415 - its forms are a fifth of what all readers take to import

    export = read(documents, problems)
    names = tuple(sorted(one.name for one in export.applications))
    if has_neighbours and names:
        export.policies = [_narrowed(policy, Selector(applications=names)) for policy in export.policies]
    return export


def _narrowed(policy: Policy, own: Selector) -> Policy:
    if policy.applies_to:
        return policy
    rules = [structs.replace(rule, applies_to=rule.applies_to or (own,)) for rule in policy.rules]
    return structs.replace(policy, rules=tuple(rules))


def _beside(lab: LabParts | None, parts: Sequence[LabParts]) -> LabParts:
    """What Kubernetes manifests share the lab with: they need Hosts for all, and names that nobody has."""
    return replace(
        lab or LabParts(),
        workloads=[one for part in parts for one in part.workloads],
        policies=[one for part in parts for one in part.policies],
    )


def name_of(paths: Sequence[Path]) -> str:
    """A name for manifests without a lab file: the folder's, or the only file's without its ending."""
    path = paths[0].resolve() if paths else Path("lab")
    text = path.name if path.is_dir() else path.stem if len(paths) == 1 else path.parent.name
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:40].strip("-") or "lab"


def _read(paths: Iterable[Path], seen: set[Path], inputs: Inputs, problems: list[Problem]) -> list[Document]:
    """The documents of all files that were not read before."""
    documents: list[Document] = []
    for file in files(paths, problems):
        if file.resolve() in seen:
            continue
        seen.add(file.resolve())
        raw = read_bytes(file, problems)
        if raw is not None:
            inputs.files[str(file)] = digest(raw)
            documents += read_text(str(file), raw, problems)
    return documents


def _merge(name: str, parts: Sequence[LabParts], problems: list[Problem]) -> Model:
    """All parts as one Model, every tuple sorted. The first part is the lab's where there is one."""
    workloads = sorted((one for part in parts for one in part.workloads), key=lambda one: one.key)
    services = sorted((one for part in parts for one in part.services), key=lambda one: one.key)
    policies = [one for part in parts for one in part.policies]
    network_policies = [one for part in parts for one in part.network_policies]
    expectations = [one for part in parts for one in part.expectations]
    for part in parts:
        if part.expect is not None:
            expectations += part.expect(workloads, services, problems)
    optional: dict[str, Any] = {}
    underlay = next((part.underlay for part in parts if part.underlay is not None), None) or default_underlay(workloads)
    prefixes = next((part.service_prefixes for part in parts if part.service_prefixes), None)
    if prefixes:
        optional["service_prefixes"] = prefixes
    return Model(
        name=name,
        underlay=underlay,
        applications=tuple(sorted((one for part in parts for one in part.applications), key=lambda one: one.name)),
        workloads=tuple(workloads),
        namespaces=_namespaces(parts),
        services=tuple(services),
        network_policies=tuple(sorted(network_policies, key=lambda one: (one.namespace, one.name))),
        policies=tuple(sorted(policies, key=lambda one: one.name)),
        groups=tuple(sorted((one for part in parts for one in part.groups), key=lambda one: one.name)),
        exclusions=tuple(sorted({one for part in parts for one in part.exclusions}, key=repr)),
        expectations=tuple(sorted(expectations, key=_expectation_key)),
        options=next((part.options for part in parts if part.options is not None), Options()),
        constraints=_constraints(parts),
        running=_running(parts, workloads, underlay, problems),
        **optional,
    )


def _constraints(parts: Sequence[LabParts]) -> Constraints:
    """The lab's, with the volumes of all: only a lab says anything else."""
    volumes = sorted((one for part in parts for one in part.constraints.volumes), key=lambda one: one.name)
    return structs.replace(parts[0].constraints, volumes=tuple(volumes))


def _running(
    parts: Sequence[LabParts], workloads: Sequence[Workload], underlay: Underlay, problems: list[Problem]
) -> Placement | None:
    """Where a lab and a manifest both say it, the lab counts."""
    said = {key: place for part in reversed(parts) for key, place in part.running.items()}
    refuse = parts[0].refuse_running
    return placement(said, workloads, underlay, lambda key, message: refuse(key, message, problems) if refuse else None)


def _namespaces(parts: Sequence[LabParts]) -> tuple[Namespace, ...]:
    """Every namespace that anything is in; one that a lab and a manifest both speak of has the labels of both."""
    labels: dict[str, dict[str, str]] = {}
    for part in parts:
        mentioned = {one.namespace for one in part.workloads} | {one.namespace for one in part.services}
        for name in mentioned | {one.namespace for one in part.network_policies}:
            labels.setdefault(name, {})
        for namespace in part.namespaces:
            labels.setdefault(namespace.name, {}).update(namespace.labels)
    return tuple(
        Namespace(name, dict(sorted({**own, METADATA_NAME: name}.items()))) for name, own in sorted(labels.items())
    )


def _expectation_key(one: Expectation) -> tuple[str, str, str, int, str]:
    return one.source, one.destination, one.protocol, one.port, one.at
