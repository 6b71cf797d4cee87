"""Whom a policy of a lab file talks about: selectors, peers, groups, and the workloads that nothing is for."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeVar

from sdn.model import (
    AllOf,
    AnyOf,
    Expression,
    Group,
    IPBlock,
    Kind,
    LabelSelector,
    Operator,
    Peer,
    Requirement,
    Selector,
    Where,
)
from sdn.spec.groups import circles
from sdn.spec.labfile.complaints import Complaints, Path, suggest
from sdn.spec.labfile.forms import LabForm
from sdn.spec.labfile.forms_policies import ExpressionForm, GroupForm, PeerForm, RequirementForm, SelectorForm
from sdn.spec.labfile.text import ip_block

T = TypeVar("T")
FLAT = frozenset({"cluster", "pods"})
"""The application and the segment of Kubernetes manifests: legal names, for a lab may be loaded beside some."""
SENSITIVITY = "sensitivity"
"""The label that says how sensitive a workload is."""


@dataclass(frozen=True)
class Known:
    """What selectors may name; a misspelt name would select nobody, silently.

    `replicas`: `application/name` → the keys of what it makes. Workloads of other namespaces come from manifests.
    """

    applications: Collection[str]
    segments: Collection[str]
    groups: Collection[str] = ()
    replicas: Mapping[str, Iterable[str]] = field(default_factory=dict)

    @cached_property
    def namespaces(self) -> frozenset[str]:
        """Those that the lab makes workloads in."""
        return frozenset(name.partition("/")[0] for name in self.replicas)

    @cached_property
    def single(self) -> frozenset[str]:
        """The keys of all workloads that the lab makes."""
        return frozenset(key for keys in self.replicas.values() for key in keys)


def groups(form: LabForm, known: Known, complaints: Complaints) -> list[Group]:
    """The groups of the lab; those that contain themselves are complained about."""
    found = [_group(name, one, ("groups", name), known, complaints) for name, one in sorted(form.groups.items())]
    for way in circles(found):
        complaints.at(("groups", way[0]), f"contains itself ({' → '.join(way)}); remove one of these steps", key=True)
    return found


def exclusions(form: LabForm, known: Known, complaints: Complaints) -> list[Selector]:
    """The workloads that no tier of ours is for."""
    every = enumerate(form.exclusions)
    return [selector(one, ("exclusions", index), known, complaints) for index, one in every]


def alternatives(items: Iterable[T]) -> tuple[T, ...]:
    """In one canonical order: how they were written means nothing and must not matter."""
    return tuple(sorted(items, key=repr))


def _group(name: str, form: GroupForm, path: Path, known: Known, complaints: Complaints) -> Group:
    if not form.model_fields_set:
        fields = [info.alias or name for name, info in GroupForm.model_fields.items()]
        complaints.at(path, f"is empty; give one of {', '.join(fields)}", key=True)
    _check_groups(form.include or (), (*path, "include"), known, complaints)
    return Group(
        name=name,
        members=_expression(form, path, known, complaints),
        blocks=alternatives(_blocks(form, path, complaints)),
        within=tuple(sorted(set(form.include or ()))),
    )


def _blocks(form: GroupForm, path: Path, complaints: Complaints) -> Iterable[IPBlock]:
    for index, one in enumerate(form.addresses or ()):
        if isinstance(one, str):
            yield ip_block(one, [])
            continue
        try:
            yield ip_block(one.address, one.excepts or [])
        except ValueError as error:
            complaints.at((*path, "addresses", index, "except"), str(error))


def _expression(form: ExpressionForm, path: Path, known: Known, complaints: Complaints) -> Expression | None:
    """Everything that is written must hold; None where nothing is."""
    parts: list[Expression] = []
    if _fields(form):
        parts.append(Where(selector(form, path, known, complaints)))
    for word, join in (("any", AnyOf), ("all", AllOf)):
        items = getattr(form, f"{word}_of") or ()
        inner = [_item(one, (*path, word, index), known, complaints) for index, one in enumerate(items)]
        if inner:
            parts.append(join(alternatives(inner)))
    if not parts:
        return None
    return parts[0] if len(parts) == 1 else AllOf(tuple(parts))


def _item(form: ExpressionForm, path: Path, known: Known, complaints: Complaints) -> Expression:
    found = _expression(form, path, known, complaints)
    if found is None:
        complaints.at(path, f"names nobody; give one of {', '.join([*SelectorForm.model_fields, 'any', 'all'])}")
    return found or AnyOf(())


def peers(forms: Iterable[PeerForm], path: Path, known: Known, complaints: Complaints) -> tuple[Peer, ...]:
    """The peers of a list; a group alone stands for its addresses, too."""
    return alternatives(
        found for index, one in enumerate(forms) for found in peer(one, (*path, index), known, complaints)
    )


def peer(form: PeerForm, path: Path, known: Known, complaints: Complaints) -> list[Peer]:
    """What one item of a list means; several groups are several peers."""
    if form.address is None:
        if form.excepts is not None:
            complaints.at((*path, "except"), "needs an `address` to be excepted from; add one", key=True)
            return [Peer(selector=Selector())]
        found = selector(form, path, known, complaints)
        if _fields(form) == ["groups"]:
            return [Peer(group=name) for name in found.groups]
        return [Peer(selector=found)]
    beside = _fields(form)
    if beside:
        complaints.at(path, f"has `address` beside `{beside[0]}`; write two peers, for either may match")
    try:
        return [Peer(ip_block=ip_block(form.address, form.excepts or []))]
    except ValueError as error:
        complaints.at((*path, "except"), str(error))
        return [Peer(ip_block=ip_block(form.address, []))]


def _fields(form: SelectorForm) -> list[str]:
    """The fields of a selector that were written."""
    return [name for name in SelectorForm.model_fields if getattr(form, name) is not None]


def selector(form: SelectorForm, path: Path, known: Known, complaints: Complaints) -> Selector:
    """Every field that is given must match."""
    if not _fields(form):
        fields = [*SelectorForm.model_fields] + (["address"] if isinstance(form, PeerForm) else [])
        complaints.at(path, f"names nobody; give one of {', '.join(fields)}, or leave the list out for anybody")
    for what, legal in (("applications", known.applications), ("segments", known.segments)):
        for index, name in enumerate(getattr(form, what) or ()):
            if name not in legal:
                message = f'{what.removesuffix("s")} "{name}" is not defined{suggest(name, set(legal) - FLAT)}'
                complaints.at((*path, what, index), message)
    _check_groups(form.groups or (), (*path, "groups"), known, complaints)
    return Selector(
        labels=_labels(form, path, complaints),
        namespace_labels=None if form.namespace_labels is None else LabelSelector(_pairs(form.namespace_labels)),
        namespaces=tuple(sorted(set(form.namespaces or ()))),
        applications=tuple(sorted(set(form.applications or ()))),
        segments=tuple(sorted(set(form.segments or ()))),
        kind=None if form.kind is None else Kind(form.kind),
        name=form.name or "",
        keys=_keys(form.workloads or (), (*path, "workloads"), known, complaints),
        groups=tuple(sorted(set(form.groups or ()))),
    )


def _check_groups(names: Iterable[str], path: Path, known: Known, complaints: Complaints) -> None:
    for index, name in enumerate(names):
        if name not in known.groups:
            complaints.at((*path, index), f'group "{name}" is not defined{suggest(name, known.groups)}')


def _keys(names: Iterable[str], path: Path, known: Known, complaints: Complaints) -> tuple[str, ...]:
    """Replicas counted out; what the lab does not make must come from its manifests, which are not known yet."""
    found: set[str] = set()
    for index, name in enumerate(names):
        found |= set(known.replicas.get(name, (name,)))
        if name.partition("/")[0] in known.namespaces and name not in known.replicas and name not in known.single:
            complaints.at((*path, index), f'workload "{name}" is not defined{suggest(name, known.replicas)}')
    return tuple(sorted(found))


def _pairs(labels: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(labels.items()))


def _labels(form: SelectorForm, path: Path, complaints: Complaints) -> LabelSelector | None:
    if form.labels is None and form.expressions is None and form.sensitivity is None:
        return None
    expressions = [
        _requirement(one, (*path, "expressions", index), complaints) for index, one in enumerate(form.expressions or ())
    ]
    labels, sensitivity = dict(form.labels or {}), tuple(sorted(set(form.sensitivity or ())))
    if len(sensitivity) == 1 and SENSITIVITY not in labels:
        labels[SENSITIVITY] = sensitivity[0]
    elif sensitivity:
        expressions.append(Requirement(SENSITIVITY, Operator.IN, sensitivity))
    return LabelSelector(_pairs(labels), alternatives(expressions))


def _requirement(form: RequirementForm, path: Path, complaints: Complaints) -> Requirement:
    takes_values = form.operator in ("In", "NotIn")
    if takes_values and not form.values:
        complaints.at(path, f"{form.operator} needs values; add `values` or use Exists or DoesNotExist")
    if not takes_values and form.values:
        complaints.at((*path, "values"), f"{form.operator} takes no values; remove them or use In or NotIn")
    return Requirement(form.key, Operator(form.operator), tuple(sorted(set(form.values))))
