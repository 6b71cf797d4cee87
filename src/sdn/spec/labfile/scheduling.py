"""What a workload of a lab file asks of the scheduler; replicas share one answer."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from sdn.errors import Problem
from sdn.model import Affinity, Resources, Scheduling, TopologySpread
from sdn.spec.kubernetes.affinity import affinity, topology_spread
from sdn.spec.labfile.complaints import Complaints, Path, suggest
from sdn.spec.labfile.forms import LabForm, RunnableForm
from sdn.spec.labfile.forms_scheduling import PriorityClassForm, ResourcesForm, SchedulingForm, SharesForm
from sdn.spec.labfile.selectors import Known
from sdn.spec.priorities import NONE, SYSTEM, PriorityClass

PLAIN = Scheduling()
_SHARES = {"low": 500, "normal": 1000, "high": 2000}
_FIELDS = frozenset(SchedulingForm.model_fields)
_SHORTHANDS = ("sensitivity", "tenant")


@dataclass(frozen=True, slots=True)
class Names:
    """What workloads may name."""

    priorities: Mapping[str, PriorityClass] = field(default_factory=dict)
    usual: PriorityClass = NONE  # of those that name none
    pools: Collection[str] = ()
    volumes: Collection[str] = ()
    known: Known = field(default_factory=lambda: Known((), ()))
    warnings: list[str] = field(default_factory=list)


def priorities(form: LabForm, complaints: Complaints) -> dict[str, PriorityClass]:
    """The lab's own classes and those that every cluster has."""
    found = dict(SYSTEM)
    first = ""
    for name, one in sorted(form.priority_classes.items()):
        path = ("priority_classes", name)
        if name in SYSTEM:
            complaints.at(path, f"is always {SYSTEM[name].value}; choose another name", key=True)
        if isinstance(one, PriorityClassForm):
            if one.default and first:
                complaints.at((*path, "default"), f'"{first}" is the default already; keep one of them')
            first = name if one.default and not first else first
            found[name] = PriorityClass(one.value, one.preempts, one.default)
        else:
            found[name] = PriorityClass(one)
    return found


def labels(form: RunnableForm, path: Path, complaints: Complaints) -> dict[str, str]:
    """Its labels with those that have fields of their own."""
    found = form.labels
    for name in _SHORTHANDS:
        value = getattr(form, name)
        if value is None:
            continue
        if found.get(name, value) != value:
            complaints.at((*path, name), f'"{value}" is not the label {name}={found[name]}; write one of them')
        found = dict(sorted({**found, name: value}.items()))
    return found


def scheduling(
    form: RunnableForm, own: Mapping[str, str], path: Path, names: Names, complaints: Complaints
) -> Scheduling:
    """`own` are the workload's labels, `path` is where it is written."""
    ranked = names.usual
    if form.model_fields_set.isdisjoint(_FIELDS):
        return Scheduling(priority=ranked.value, preempts=ranked.preempts) if ranked.default else PLAIN
    ranked = _ranked(form, ranked, (*path, "priority"), names, complaints)
    for what, legal in (("pool", names.pools), ("volumes", names.volumes)):
        _check_named(form, what, legal, path, complaints)
    _check_size(form, path, complaints)
    return Scheduling(
        affinity=_affinity(form, own, (*path, "affinity"), complaints),
        spread=_spread(form, own, (*path, "topology_spread"), names, complaints),
        priority=ranked.value,
        preempts=ranked.preempts if form.preempts is None else form.preempts,
        resources=resources(form.resources, (*path, "resources"), complaints) if form.resources else None,
        pool=form.pool or "",
        numa=form.numa,
        volumes=tuple(sorted(set(form.volumes or ()))),
        images=tuple(sorted(set(form.images or ()))),
        after=_after(form, path, names, complaints),
        cpu_demand=form.demand.cpu if form.demand else None,
        memory_demand=form.demand.memory if form.demand else None,
    )


def _ranked(
    form: RunnableForm, default: PriorityClass, path: Path, names: Names, complaints: Complaints
) -> PriorityClass:
    if isinstance(form.priority, int):
        return PriorityClass(form.priority)
    if form.priority is None:
        return default
    if form.priority not in names.priorities:
        own = names.priorities.keys() - SYSTEM.keys() or names.priorities
        complaints.at(path, f'priority class "{form.priority}" is not defined{suggest(form.priority, own)}')
    return names.priorities.get(form.priority, default)


def _check_named(form: RunnableForm, what: str, legal: Collection[str], path: Path, complaints: Complaints) -> None:
    written = getattr(form, what)
    single = isinstance(written, str)
    for index, name in enumerate([written] if single else written or ()):
        if name not in legal:
            here = (*path, what) if single else (*path, what, index)
            complaints.at(here, f'{what.removesuffix("s")} "{name}" is not defined{suggest(name, legal)}')


def _check_size(form: RunnableForm, path: Path, complaints: Complaints) -> None:
    """Nothing can be guaranteed, or used, beyond what was asked for."""
    reservation = form.resources.reservation if form.resources else None
    sizes: dict[str, int] = {"cpu": getattr(form, "cpu", 0), "memory": getattr(form, "memory", 0)}
    for place, amounts in ((("resources", "reservation"), reservation), (("demand",), form.demand)):
        for what, size in sizes.items():
            written = getattr(amounts, what, None)
            if written is not None and written > size:
                message = f"{amount(what, written)} is more than the {amount(what, size)} that it asks for; lower it"
                complaints.at((*path, *place, what), message)


def amount(what: str, value: int) -> str:
    """As people write it: `1500m`, `512Mi`."""
    return f"{value}m" if what == "cpu" else f"{value}Mi"


def resources(form: ResourcesForm, path: Path, complaints: Complaints) -> Resources:
    """A limit below a reservation can never be met."""
    reservation, limit = form.reservation, form.limit
    for what in ("cpu", "memory"):
        low, high = getattr(reservation, what, None), getattr(limit, what, None)
        if low is not None and high is not None and low > high:
            message = f"{amount(what, low)} is more than the limit of {amount(what, high)}; lower it or raise the limit"
            complaints.at((*path, "reservation", what), message)
    shares = form.shares
    both = _SHARES[shares] if isinstance(shares, str) else shares
    cpu, memory = (both.cpu, both.memory) if isinstance(both, SharesForm) else (both, both)
    return Resources(
        cpu_reservation=reservation.cpu if reservation else None,
        memory_reservation=reservation.memory if reservation else None,
        cpu_limit=limit.cpu if limit else None,
        memory_limit=limit.memory if limit else None,
        cpu_shares=cpu,
        memory_shares=memory,
    )


def _affinity(form: RunnableForm, own: Mapping[str, str], path: Path, complaints: Complaints) -> Affinity | None:
    """Read by the same code as a manifest's; what lost a part would be misread."""
    if form.affinity is None or complaints.touched(complaints.source(path)):
        return None
    mistakes: list[Problem] = []
    found = affinity(form.affinity, own, complaints.site(path, mistakes))
    # To name a place takes longer than to read what stands there.
    return affinity(form.affinity, own, complaints.site(path)) if mistakes else found


def _spread(
    form: RunnableForm, own: Mapping[str, str], path: Path, names: Names, complaints: Complaints
) -> tuple[TopologySpread, ...]:
    if not form.topology_spread or complaints.touched(complaints.source(path)):
        return ()
    return topology_spread(form.topology_spread, own, complaints.site(path), names.warnings)


def _after(form: RunnableForm, path: Path, names: Names, complaints: Complaints) -> tuple[str, ...]:
    """The keys of those that come first; what a manifest makes is not known yet, and checked later."""
    if not form.after:
        return ()
    home = path[1] if path[0] == "applications" else path[0]
    found: set[str] = set()
    for index, text in enumerate(form.after):
        name = text if "/" in text else f"{home}/{text}"
        known = _keys(name, names)
        if not known and name.partition("/")[0] in names.known.namespaces:
            complaints.at(
                (*path, "after", index), f'workload "{name}" is not defined{suggest(name, names.known.replicas)}'
            )
        found |= set(known or (name,))
    return tuple(sorted(found))


def _keys(name: str, names: Names) -> Iterable[str]:
    """Of all replicas, or of the one that is meant."""
    if name in names.known.replicas:
        return names.known.replicas[name]
    return (name,) if name in names.known.single else ()
