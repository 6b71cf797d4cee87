"""Our own lab file: one YAML mapping that holds a whole lab, read into parts of a Model.

Every mistake is reported at once: of shape (a field, a type, a text) by the forms, of sense (a name that does not
exist, a subnet that is too small) by the builders, which skip what has no shape.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sdn.errors import Problem
from sdn.model import Application, Expectation, Heartbeat, Namespace, Options, Segment, Underlay
from sdn.spec.expect import Directory, parse_line
from sdn.spec.labfile import (
    constraints,
    networks,
    policies,
    scenario,
    scheduling,
    selectors,
    services,
    underlay,
    workloads,
)
from sdn.spec.labfile.complaints import Complaints, suggest
from sdn.spec.labfile.forms import LabForm, NodeForm, OptionsForm, WorkloadForm
from sdn.spec.labfile.forms_scenario import line_of
from sdn.spec.labfile.workloads import Group
from sdn.spec.parts import LabParts, Places, place_key
from sdn.spec.priorities import default_of
from sdn.spec.source import Document


def parse(document: Document, problems: list[Problem], beside: Sequence[LabParts] = ()) -> LabParts | None:
    """The parts of the lab in a document; None if its mistakes, added to `problems`, leave nothing to go on with.

    `beside` is what other files define, which the lab may name: applications, segments, groups.
    """
    complaints = Complaints(document, problems)
    form = complaints.read(LabForm)
    if form is None:
        return None
    if complaints.written("lab") is None:
        complaints.at((), 'field "lab" is missing; add the lab\'s name')
    ranks = scheduling.priorities(form, complaints)
    prefixes = services.prefixes(form, complaints)
    groups = workloads.find(form, complaints)
    taken = [subnet for part in beside for one in part.applications for s in one.segments for subnet in s.subnets]
    segments = networks.build(form.applications, workloads.members(groups), [*prefixes, *taken], complaints)
    known = _known(form, groups, beside, complaints)
    inline = policies.inline(form, document, complaints, problems)
    classes = {**{name: one for part in beside for name, one in part.priorities.items()}, **ranks}
    names = scheduling.Names(
        priorities=classes,
        usual=default_of(classes),
        pools=complaints.names("scheduling", "pools"),
        volumes=complaints.names("scheduling", "volumes"),
        known=known,
        warnings=inline.warnings,
    )
    fabric = underlay.build(form.underlay, complaints) if form.underlay else None
    parts = LabParts(
        name=form.lab,
        underlay=fabric,
        applications=_applications(form, segments, known, complaints),
        workloads=list(workloads.make(groups, segments, names, complaints)),
        namespaces=_namespaces(form),
        services=services.build(form, segments, prefixes, complaints),
        network_policies=inline.policies,
        policies=policies.build(form, known, complaints),
        groups=selectors.groups(form, known, complaints),
        exclusions=selectors.exclusions(form, known, complaints),
        options=_options(form.options),
        constraints=constraints.build(form, fabric, groups, known, complaints),
        priorities=ranks,
        running=_running(form, known),
        service_prefixes=prefixes,
        where=Places(lambda: _places(form, groups, inline, complaints)),
        warnings=inline.warnings,
    )
    _check_hosts(groups, parts.underlay, complaints)
    parts.expect = lambda everything, virtual, found: _expectations(
        form, scenario.World(everything, virtual, fabric), complaints.into(found)
    )
    parts.refuse_running = lambda key, message, found: _refuse_running(
        form, known, key, message, complaints.into(found)
    )
    return parts


def _options(form: OptionsForm) -> Options:
    watched = form.heartbeat
    heartbeat = Heartbeat(watched.interval, watched.fail) if watched is not None else None
    return Options(**form.model_dump(exclude={"heartbeat"}), heartbeat=heartbeat)


def _applications(
    form: LabForm, segments: Mapping[str, tuple[Segment, ...]], known: selectors.Known, complaints: Complaints
) -> list[Application]:
    for name, one in form.applications.items():
        for index, other in enumerate(one.connects):
            path = ("applications", name, "connects", index)
            if other == name:
                complaints.at(path, f'"{name}" is connected to itself anyway; leave it out')
            elif other not in known.applications:
                others = set(known.applications) - selectors.FLAT - {name}
                complaints.at(path, f'application "{other}" is not defined{suggest(other, others)}')
    return [
        Application(name, segments[name], tuple(sorted(set(one.connects))))
        for name, one in sorted(form.applications.items())
    ]


def _namespaces(form: LabForm) -> list[Namespace]:
    labels = {name: one.namespace_labels for name, one in form.applications.items()}
    if form.nodes:
        labels.setdefault(workloads.NODES, {})
    return [Namespace(name, own | {"kubernetes.io/metadata.name": name}) for name, own in sorted(labels.items())]


def _known(
    form: LabForm, groups: Sequence[Group], beside: Sequence[LabParts], complaints: Complaints
) -> selectors.Known:
    """The names that were written, also those of things that are wrong otherwise."""
    written = complaints.names("applications")
    others = [one for part in beside for one in part.applications]
    segments = selectors.FLAT | {segment.name for one in others for segment in one.segments}
    for application, one in form.applications.items():
        segments |= complaints.names("applications", application, "segments") or networks.with_default(one).keys()
    return selectors.Known(
        applications={*written, *selectors.FLAT, *(one.name for one in others)},
        segments=segments,
        groups=complaints.names("groups") | {one.name for part in beside for one in part.groups},
        replicas={f"{group.namespace}/{group.name}": group.keys for group in groups},
    )


def _check_hosts(groups: Sequence[Group], underlay: Underlay | None, complaints: Complaints) -> None:
    """A workload may be fixed on a Host, a Pod also on a node; of a default underlay the Hosts are not known here."""
    if underlay is None or complaints.touched(("underlay",)):
        return
    hosts = {host.name for host in underlay.hosts}
    nodes = {name for group in groups if isinstance(group.form, NodeForm) for name in group.names}
    for group in groups:
        wanted = group.form.host
        is_pod = isinstance(group.form, WorkloadForm) and group.form.kind == "pod"
        known = hosts | nodes if is_pod else hosts
        if wanted is not None and wanted not in known:
            complaints.at((*group.path, "host"), f'host "{wanted}" is not defined{suggest(wanted, known)}')


def _running(form: LabForm, known: selectors.Known) -> dict[str, str]:
    """Workload key → Host or node by name; a name of several replicas stands for each."""
    return {key: place for name, place in form.running.items() for key in known.replicas.get(name, (name,))}


def _refuse_running(form: LabForm, known: selectors.Known, key: str, message: str, complaints: Complaints) -> None:
    """A name that is not there may be the consequence of another mistake."""
    if any(complaints.touched((part,)) for part in ("applications", "nodes", "underlay")) or complaints.elsewhere:
        return
    name = next((name for name in form.running if key in known.replicas.get(name, (name,))), key)
    complaints.at(("running", name), message)


def _expectations(form: LabForm, world: scenario.World, complaints: Complaints) -> list[Expectation]:
    """A name that is not there may be the consequence of another mistake; only its shape is checked then."""
    directory = Directory(world.workloads, world.services)
    unsure = complaints.touched(("applications",)) or complaints.touched(("nodes",)) or complaints.elsewhere
    result: list[Expectation] = []
    if form.scenario is not None and not unsure and not complaints.touched(("underlay",)):
        scenario.build(form.scenario, world, complaints)
    for index, one in enumerate(form.expect):
        path = ("expect", index)
        try:
            line = parse_line(line_of(one))
        except ValueError as error:
            complaints.at(path, str(error))
            continue
        try:
            result += directory.expectations(line, complaints.place(path))
        except ValueError as error:
            if not unsure:
                complaints.at(path, str(error))
    return result


def _places(form: LabForm, groups: Sequence[Group], inline: policies.Inline, complaints: Complaints) -> dict[str, str]:
    where = {name: complaints.place(("network_policies", index)) for name, index in inline.index.items()}
    for group in groups:
        place = complaints.place(group.path)
        where.update((place_key("workload", key), place) for key in group.keys)
    for name, one in form.applications.items():
        path = ("applications", name)
        where[place_key("application", name)] = where[place_key("namespace", name)] = complaints.place(path)
        for service in one.services:
            where[place_key("service", f"{name}/{service}")] = complaints.place((*path, "services", service))
    for name in form.groups:
        where[place_key("group", name)] = complaints.place(("groups", name))
    for index, policy in enumerate(form.policies):
        where[place_key("policy", policy.name)] = complaints.place(("policies", index))
    for index, rule in enumerate(form.scheduling.rules or ()):
        where[place_key("rule", rule.name)] = complaints.place(("scheduling", "rules", index))
    for name in form.scheduling.volumes or ():
        where[place_key("volume", name)] = complaints.place(("scheduling", "volumes", name))
    where[place_key("admission", "control")] = complaints.place(("scheduling", "admission"))
    if form.underlay is not None:
        for field, kind in (("hosts", "host"), ("switches", "switch")):
            items = getattr(form.underlay, field)
            for index, item in enumerate(items if isinstance(items, list) else ()):
                where[place_key(kind, item.name)] = complaints.place(("underlay", field, index))
    return where
