"""What a Pod asks of the scheduler beside its size."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sdn.model import Scheduling
from sdn.spec.kubernetes import schema
from sdn.spec.kubernetes.affinity import affinity, topology_spread
from sdn.spec.kubernetes.objects import Objects
from sdn.spec.kubernetes.requests import limits
from sdn.spec.kubernetes.volumes import Claims
from sdn.spec.mistakes import Site, nearest
from sdn.spec.priorities import SYSTEM, PriorityClass, default_of

_POLICIES = {"PreemptLowerPriority": True, "Never": False}


@dataclass(frozen=True, slots=True)
class Desk:
    """What requests are looked up in, and where to say what could not be found."""

    priorities: Mapping[str, PriorityClass]
    claims: Claims
    warnings: list[str]


def priorities(objects: Objects) -> dict[str, PriorityClass]:
    """The classes of the manifests."""
    found = {}
    for item in objects.of("PriorityClass"):
        policy = item.content.preemption_policy
        if policy not in _POLICIES:
            site = item.site.at("preemptionPolicy")
            site.report(f'"{policy}" does not exist (there are: {", ".join(_POLICIES)}){nearest(policy, _POLICIES)}')
        preempts = _POLICIES.get(policy, True)
        found[item.name] = PriorityClass(item.content.value, preempts, item.content.global_default)
    return found


def desk(objects: Objects, lab: Mapping[str, PriorityClass]) -> Desk:
    """`lab` are the classes of a lab file beside."""
    return Desk({**SYSTEM, **lab, **priorities(objects)}, Claims.of(objects), objects.warnings)


def scheduling(spec: schema.PodSpec, labels: Mapping[str, str], namespace: str, site: Site, desk: Desk) -> Scheduling:
    """`site` is that of the Pod's spec. Of a StatefulSet's Pods the claims of their own are still to be added."""
    ranked = _ranked(spec, site, desk)
    spread = site.at("topologySpreadConstraints")
    return Scheduling(
        affinity=affinity(spec.affinity, labels, site.at("affinity")),
        spread=topology_spread(spec.topology_spread_constraints, labels, spread, desk.warnings),
        priority=ranked.value,
        preempts=ranked.preempts,
        resources=limits(spec),
        volumes=desk.claims.volumes(namespace, _claims(spec)),
        images=tuple(sorted({one.image for one in spec.containers + spec.init_containers if one.image})),
    )


def _claims(spec: schema.PodSpec) -> Iterator[str]:
    return (one.persistent_volume_claim.claim_name for one in spec.volumes if one.persistent_volume_claim)


def _ranked(spec: schema.PodSpec, site: Site, desk: Desk) -> PriorityClass:
    """A running Pod has its number written down; a class that nobody defines counts as none."""
    found = default_of(desk.priorities)
    name = spec.priority_class_name
    if name in desk.priorities:
        found = desk.priorities[name]
    elif name and spec.priority is None:
        line = site.at("priorityClassName").line
        hint = nearest(name, desk.priorities)
        desk.warnings.append(f'{line}: {site.title}: there is no PriorityClass "{name}"; its Pods get none{hint}')
    value = found.value if spec.priority is None else spec.priority
    return PriorityClass(value, _POLICIES.get(spec.preemption_policy, found.preempts))
