"""The same Model with more or fewer replicas of one owner, or with other descriptions of what it has.

A new replica is its sibling under another name: where policies and rules list all replicas by name they list it, too,
or it would be born under another policy.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TypeVar

from msgspec import Struct
from msgspec.structs import replace

from sdn.model import Model, Selector, Workload

Value = TypeVar("Value")


def replicas_of(model: Model, name: str) -> list[Workload]:
    """All that `namespace/name` owns, and the workload of that key with its siblings; sorted by number, then by key."""
    exact = next((one for one in model.workloads if one.key == name), None)
    owner = f"{exact.namespace}/{exact.owner[1]}" if exact is not None and exact.owner[1] else name
    owned = (one for one in model.workloads if one.owner[1] and f"{one.namespace}/{one.owner[1]}" == owner)
    return sorted({one.key: one for one in (*owned, *filter(None, [exact]))}.values(), key=_order)


def with_replicas(model: Model, name: str, count: int) -> Model:
    """As many replicas as that; the highest numbers go first. ValueError where there is none to copy, or none left."""
    present = replicas_of(model, name)
    if not present:
        raise ValueError(f"there is no workload or owner {name!r} in the lab; `sdn status` lists the workloads")
    if present[0].owner[0] == "DaemonSet":
        raise ValueError(
            f"{name} is a DaemonSet: it runs once on each host or node that its nodeSelector and tolerations admit, so "
            "its number is theirs; add hosts or nodes, or change the nodeSelector, in the files and `sdn apply` them"
        )
    if count < 1:
        raise ValueError(f"{name} would have no replica left to be made more of again; keep at least 1")
    gone = {one.key for one in present[count:]}
    kept = [one for one in model.workloads if one.key not in gone]
    fresh = _copies(present, {one.key for one in model.workloads}, count - len(present))
    listed = _listing(model, [one.key for one in present], [one.key for one in fresh])
    lost = [one for one in listed.expectations if not {one.source, one.destination} & gone]
    return replace(listed, workloads=tuple(sorted((*kept, *fresh), key=lambda one: one.key)), expectations=tuple(lost))


def with_workloads(model: Model, changed: Iterable[Workload]) -> Model:
    """These as they are described now, all others as before."""
    by_key = {one.key: one for one in changed}
    return replace(model, workloads=tuple(by_key.get(one.key, one) for one in model.workloads))


def _order(workload: Workload) -> tuple[int, str]:
    number = workload.name.rpartition("-")[2]
    return (int(number) if number.isdigit() else -1, workload.key)


def _copies(present: list[Workload], taken: Collection[str], count: int) -> list[Workload]:
    """Named like their siblings, with the lowest free numbers; an address that somebody fixed is nobody else's."""
    pattern = present[0]
    stem = pattern.owner[1] or pattern.name
    found: list[Workload] = []
    number = 0
    while len(found) < count:
        name = f"{stem}-{number}"
        if f"{pattern.namespace}/{name}" not in taken:
            labels = {key: name if value == pattern.name else value for key, value in pattern.labels.items()}
            if "apps.kubernetes.io/pod-index" in labels:
                labels["apps.kubernetes.io/pod-index"] = str(number)
            owner = pattern.owner if pattern.owner[1] else ("Workload", pattern.name)
            found.append(replace(pattern, name=name, labels=labels, owner=owner, ip=()))
        number += 1
    return found


def _listing(model: Model, present: Collection[str], fresh: Collection[str]) -> Model:
    """Every list of keys that names all who are present names the fresh ones, too."""
    if not fresh:
        return model
    policies, groups, exclusions, constraints = (
        _extended(part, {*present}, tuple(fresh))
        for part in (model.policies, model.groups, model.exclusions, model.constraints)
    )
    return replace(model, policies=policies, groups=groups, exclusions=exclusions, constraints=constraints)


def _extended(value: Value, present: set[str], fresh: tuple[str, ...]) -> Value:
    """A value with all values inside it."""
    if isinstance(value, tuple):
        return type(value)(_extended(one, present, fresh) for one in value)
    if not isinstance(value, Struct):
        return value
    if isinstance(value, Selector):
        named = present <= {*value.keys}
        return replace(value, keys=tuple(sorted({*value.keys, *fresh}))) if named else value
    fields = {name: getattr(value, name) for name in value.__struct_fields__}
    changed = {name: _extended(one, present, fresh) for name, one in fields.items()}
    return replace(value, **changed) if changed != fields else value
