"""The workloads and nodes of a lab file, replicas counted out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_address, ip_network

from msgspec.structs import astuple, replace

from sdn.model import HOSTNAME, Kind, Scheduling, Segment, Toleration, Workload
from sdn.spec.labfile import networks
from sdn.spec.labfile.complaints import Complaints, Path, suggest
from sdn.spec.labfile.forms import LabForm, NodeForm, RunnableForm, SegmentForm, WorkloadForm
from sdn.spec.labfile.scheduling import Names, labels, scheduling

_NO_NODE = NodeForm()
_NODE = WorkloadForm(kind="vm")
NODES = "nodes"
"""The namespace of Kubernetes nodes, which have none in Kubernetes."""


@dataclass(frozen=True, slots=True)
class Group:
    """What one entry of `workloads` or `nodes` makes; `application` and `segment` are empty without an endpoint."""

    name: str
    namespace: str
    application: str
    segment: str
    form: WorkloadForm | NodeForm
    path: Path

    @property
    def names(self) -> list[str]:
        """NAME, or NAME-0, NAME-1, ..."""
        count = self.form.replicas
        return [self.name] if count is None else [f"{self.name}-{index}" for index in range(count)]

    @property
    def keys(self) -> list[str]:
        """The keys of all it makes."""
        return [f"{self.namespace}/{name}" for name in self.names]


def find(form: LabForm, complaints: Complaints) -> list[Group]:
    """Every group with its network; names that clash, and networks that do not exist, are complained about."""
    groups: list[Group] = []
    for application, one in sorted(form.applications.items()):
        known = networks.with_default(one)
        for name, workload in sorted(one.workloads.items()):
            path: Path = ("applications", application, "workloads", name)
            segment = _segment(workload, application, known, path, complaints)
            groups.append(Group(name, application, application, segment, workload, path))
    for name, node in sorted(form.nodes.items()):
        path = (NODES, name)
        home, segment = _home(node, form, path, complaints)
        groups.append(Group(name, NODES, home, segment, node, path))
    if form.nodes and NODES in form.applications:
        complaints.at(("applications", NODES), "is the namespace of `nodes`; choose another name", key=True)
    _check_names(groups, complaints)
    return groups


def members(groups: Iterable[Group]) -> dict[tuple[str, str], int]:
    """(application, segment) → number of workloads."""
    count: dict[tuple[str, str], int] = {}
    for one in groups:
        home = (one.application, one.segment)
        count[home] = count.get(home, 0) + (1 if one.form.replicas is None else one.form.replicas)
    return count


def _segment(
    form: RunnableForm, application: str, known: Mapping[str, SegmentForm], path: Path, complaints: Complaints
) -> str:
    """The segment a workload names, or the only one there is."""
    if form.segment is None:
        if len(known) > 1:
            complaints.at(path, f"needs `segment`, for {application} has several: {', '.join(sorted(known))}", key=True)
        return min(known)
    if form.segment not in known:
        written = complaints.names("applications", application, "segments") or known
        message = f'segment "{form.segment}" is not defined in {application}{suggest(form.segment, written)}'
        complaints.at((*path, "segment"), message)
        return min(known)
    return form.segment


def _home(form: NodeForm, lab: LabForm, path: Path, complaints: Complaints) -> tuple[str, str]:
    """Application and segment of a node's own endpoint; both empty if it has none."""
    if form.application is None:
        for field_name in ("segment", "ip"):
            if getattr(form, field_name):
                complaints.at(
                    (*path, field_name), "gives the node an endpoint, but no `application` to have it in; add one"
                )
        return "", ""
    home = lab.applications.get(form.application)
    if home is None:
        written = complaints.names("applications")
        message = f'application "{form.application}" is not defined{suggest(form.application, written)}'
        complaints.at((*path, "application"), message)
        return "", ""
    return form.application, _segment(form, form.application, networks.with_default(home), path, complaints)


def _check_names(groups: Iterable[Group], complaints: Complaints) -> None:
    made: dict[str, Group] = {}
    for group in groups:
        for key in group.keys:
            if key in made and made[key] is not group:
                place = complaints.place(made[key].path)
                complaints.at(group.path, f'"{key}" is made here and at {place}; rename one of them', key=True)
                break
            made[key] = group
        longest = group.names[-1:]
        if longest and len(longest[0]) > 63:
            message = f'"{longest[0]}" is longer than the 63 characters of a DNS name; choose a shorter name'
            complaints.at(group.path, message, key=True)


def make(
    groups: Iterable[Group], segments: Mapping[str, tuple[Segment, ...]], names: Names, complaints: Complaints
) -> Iterator[Workload]:
    """The workloads of all groups; what is alike but for its name is looked at once, as long as all is right."""
    known: dict[tuple[int, str, str, str], Workload] = {}
    for group in groups:
        alike = (id(group.form), group.namespace, group.application, group.segment)
        pattern = None if group.form.replicas is not None else known.get(alike)
        if pattern is None:
            told = len(names.warnings)
            pattern = _checked(group, segments, names, complaints)
            if not complaints.any and len(names.warnings) == told:
                known[alike] = pattern
        for name in group.names:
            own = {HOSTNAME: name} | pattern.labels if pattern.is_node else pattern.labels
            yield replace(pattern, name=name, labels=own)


def _checked(
    group: Group, segments: Mapping[str, tuple[Segment, ...]], names: Names, complaints: Complaints
) -> Workload:
    """What all of a group have in common, all mistakes in it told."""
    _check_ip(group, segments, complaints)
    _check_ports(group, complaints)
    own = labels(group.form, group.path, complaints)
    return _pattern(group, own, scheduling(group.form, own, group.path, names, complaints))


def _pattern(group: Group, own: dict[str, str], asked: Scheduling) -> Workload:
    """What all of a group have in common."""
    form = group.form
    node = form if isinstance(form, NodeForm) else _NO_NODE
    plain = form if isinstance(form, WorkloadForm) else _NODE
    return Workload(
        namespace=group.namespace,
        name=group.name,
        kind=Kind(plain.kind),
        application=group.application,
        segment=group.segment,
        labels=own,
        owner=("", "") if form.replicas is None else ("Workload", group.name),
        ports=tuple(sorted(plain.ports)),
        cpu=form.cpu,
        memory=form.memory,
        is_node=isinstance(form, NodeForm),
        pods=node.pods,
        taints=tuple(sorted((one.key, one.value, one.effect) for one in node.taints)),
        selector=form.node_selector,
        tolerations=_tolerations(form),
        spread=form.spread or "",
        host=form.host or "",
        ip=tuple(sorted(form.ip, key=lambda text: ":" in text)),
        command=tuple(plain.command),
        scheduling=asked,
    )


def _tolerations(form: RunnableForm) -> tuple[Toleration, ...]:
    tolerations = [
        Toleration(one.key or "", one.value, one.operator == "Exists", one.effect or "") for one in form.tolerations
    ]
    return tuple(sorted(tolerations, key=astuple))


def _check_ports(group: Group, complaints: Complaints) -> None:
    if not isinstance(group.form, WorkloadForm):
        return
    numbers, names = set(), set()
    for index, port in enumerate(group.form.ports):
        at = (*group.path, "ports", index)
        if (port.number, port.protocol) in numbers:
            complaints.at(at, f"{port.number}/{port.protocol} is there twice; keep one of them")
        if port.name and (port.name, port.protocol) in names:
            complaints.at(at, f'port name "{port.name}" is there twice; rename one of them')
        numbers.add((port.number, port.protocol))
        names.add((port.name, port.protocol))


def _check_ip(group: Group, segments: Mapping[str, tuple[Segment, ...]], complaints: Complaints) -> None:
    """Addresses that a user fixed must be one workload's, of its segment, and nobody else's by nature."""
    form = group.form
    if form.ip and (form.replicas or 1) > 1:
        message = f"fixes the address of one workload, but there are {form.replicas}; leave out `ip` or `replicas`"
        complaints.at((*group.path, "ip"), message)
    home = next((one for one in segments.get(group.application, ()) if one.name == group.segment), None)
    seen: set[int] = set()
    for index, text in enumerate(form.ip):
        at, version = (*group.path, "ip", index), ip_address(text).version
        if version in seen:
            complaints.at(at, f"{text} is a second IPv{version} address; a workload has one of each version")
            continue
        seen.add(version)
        fault = _fault(text, home.subnets) if home else ""
        if fault:
            complaints.at(at, f"{text} is {fault}; choose another address or leave it out")


def _fault(text: str, subnets: tuple[str, ...]) -> str:
    """Why an address cannot be a workload's on these subnets; empty if it can."""
    address = ip_address(text)
    network = next((one for one in map(ip_network, subnets) if address in one), None)
    if network is None:
        return f"not inside the segment's {' and '.join(subnets)}"
    offset = int(address) - int(network.network_address)
    if offset == 0:
        return f"the address of the network {network} itself"
    if offset == 1:
        return f"the gateway of {network}"
    return f"the broadcast address of {network}" if address.version == 4 and offset == network.num_addresses - 1 else ""
