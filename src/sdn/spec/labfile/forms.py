"""The lab file as people write it: one form per mapping, field by field, checked for shape but not yet for sense."""

# ruff: noqa: RUF012 - pydantic copies mutable defaults for every form

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, Tag

from sdn.spec.labfile.fields import (
    Address,
    Bandwidth,
    Cpu,
    Delay,
    Form,
    Hosts,
    Interval,
    LabelKey,
    Labels,
    LabelValue,
    Loss,
    Memory,
    Mtu,
    Name,
    Replicas,
    ServicePortText,
    Subnet,
    Switches,
    WorkloadKey,
    WorkloadPort,
    by_kind,
    recalled,
)
from sdn.spec.labfile.forms_policies import GroupForm, SelectorForm, TierPolicyForm
from sdn.spec.labfile.forms_scenario import ScenarioForm
from sdn.spec.labfile.forms_scheduling import (
    ConstraintsForm,
    NumaNodes,
    OvercommitForm,
    PriorityClass,
    SchedulingForm,
)

Effect = Literal["NoSchedule", "PreferNoSchedule", "NoExecute"]


class TaintForm(Form):
    """Keeps workloads away that do not tolerate it."""

    key: LabelKey
    value: LabelValue = ""
    effect: Effect = "NoSchedule"


class TolerationForm(Form):
    """Kubernetes' toleration: `operator: Exists` without `key` tolerates every taint; no `effect` means each."""

    key: LabelKey | None = None
    operator: Literal["Equal", "Exists"] = "Equal"
    value: LabelValue = ""
    effect: Effect | None = None


class HostForm(Form):
    """What one Host, or each of `count` alike, offers."""

    cpu: Cpu = 64_000
    """Cores (16) or millicores (500m)."""
    memory: Memory = 256 * 1024
    """With its unit: 64Gi."""
    pods: Annotated[int, Field(ge=0, le=100_000)] = 256
    """The most workloads it may run."""
    labels: Labels = Field(default_factory=dict)
    taints: list[TaintForm] = Field(default_factory=list)
    overcommit: OvercommitForm = OvercommitForm()
    """How much of it may be asked for: {cpu: 200%, memory: 120%}."""
    numa: NumaNodes | None = None
    """NUMA nodes: a number of equal ones, or each with its cpu and memory; one if left out."""
    state: Literal["up", "maintenance", "failed"] = "up"
    """maintenance takes nothing new and is to be emptied; failed runs nothing."""


class NamedHostForm(HostForm):
    """One Host by name."""

    name: Name
    leaf: Name | None = None
    """The leaf it hangs on; dealt out in turn if left out."""


class AlikeHostsForm(HostForm):
    """`count` Hosts alike: host-1, host-2, ..."""

    count: Hosts
    racks: Hosts | None = None
    """Deals them out, in equal blocks, to that many values of the label `rack`: rack-1, rack-2, ..."""
    zones: Hosts | None = None
    """The same for `topology.kubernetes.io/zone`: zone-1, zone-2, ...; the leaf's name if left out."""


class SwitchForm(Form):
    """One Switch of an explicit underlay."""

    name: Name
    role: Literal["leaf", "spine", "border"] = "leaf"


class LinkForm(Form):
    """One cable of an explicit underlay, between two Hosts or Switches."""

    a: Name
    b: Name
    mtu: Mtu | None = None
    """Bytes; the underlay's if left out."""
    bandwidth: Bandwidth | None = None
    loss: Loss | None = None
    delay: Delay | None = None


class UnderlayForm(Form):
    """The physical network: a leaf–spine fabric from counts, or explicit `switches` and `links`."""

    hosts: Annotated[
        Annotated[Hosts, Tag("number")]
        | Annotated[list[NamedHostForm], Tag("list")]
        | Annotated[AlikeHostsForm, Tag("mapping")],
        by_kind("expected a number of hosts, a list of {name: ...}, or {count: ..., cpu: ..., ...}"),
    ]
    """A count, a list of Hosts by name, or a mapping with `count` and what each offers."""
    leaves: Switches | None = None
    """Leaf switches: leaf-1, leaf-2, ... (2, or 1 for a single Host)."""
    spines: Switches | None = None
    """Spine switches: spine-1, spine-2, ... (2)."""
    uplinks: Annotated[int, Field(ge=1, le=16)] | None = None
    """Leaves that each Host is connected to (1)."""
    mtu: Mtu = 9000
    """Bytes, of every link that does not say its own."""
    bandwidth: Bandwidth = 0
    """Of every link that does not say its own; unlimited if left out."""
    loss: Loss = 0
    delay: Delay = 0
    family: Literal["ipv4", "ipv6"] = "ipv4"
    """The IP version that carries the tunnels; workloads are free to use both."""
    switches: list[SwitchForm] | None = None
    links: list[LinkForm] | None = None


class SegmentForm(Form):
    """A subnet of an Application."""

    kind: Literal["l2", "routed"] = "l2"
    """l2: one broadcast domain over Hosts. routed: every Host owns a slice, for large flat pod networks."""
    subnets: list[Subnet] = Field(default_factory=list)
    """At most one per IP version; chosen for you (dual stack) if left out."""
    slice4: Annotated[int, Field(ge=1, le=30)] | None = None
    """Prefix length of what one Host owns of a routed segment."""
    slice6: Annotated[int, Field(ge=1, le=126)] | None = None


class RunnableForm(SchedulingForm):
    """What workloads and nodes have in common."""

    replicas: Replicas | None = None
    """Makes NAME-0, NAME-1, ...; left out, there is one, called NAME."""
    labels: Labels = Field(default_factory=dict)
    segment: Name | None = None
    host: Name | None = None
    """The Host, or node, it must run on."""
    node_selector: Labels = Field(default_factory=dict)
    """Labels that its Host, or node, must have."""
    tolerations: list[TolerationForm] = Field(default_factory=list)
    spread: LabelKey | None = None
    """Label of Hosts over which replicas are spread; over Hosts if left out."""
    ip: list[Address] = Field(default_factory=list)
    """Addresses of its own choice, at most one per IP version."""


class WorkloadForm(RunnableForm):
    """A Pod or VM, or several alike."""

    kind: Literal["pod", "vm"] = "pod"
    ports: list[WorkloadPort] = Field(default_factory=list)
    """What it listens on: 80/tcp, or http=8080/tcp to give the port a name."""
    cpu: Cpu = 0
    memory: Memory = 0
    command: list[str] = Field(default_factory=list)
    """A program and its arguments to run inside; none is needed for probes."""


class NodeForm(RunnableForm):
    """A Kubernetes node: a VM that runs Pods. It has an endpoint of its own only if it names an application."""

    application: Name | None = None
    cpu: Cpu = 4_000
    memory: Memory = 8 * 1024
    pods: Annotated[int, Field(ge=0, le=1_000)] = 110
    taints: list[TaintForm] = Field(default_factory=list)


class ServiceForm(Form):
    """A virtual address; its Backends are the workloads of its application that `selector` matches."""

    ports: Annotated[list[ServicePortText], Field(min_length=1)]
    """Clients' port and the backend's: 80:8080/tcp, http=80:web/tcp."""
    selector: Labels
    address: Annotated[
        Annotated[Literal["auto", "none"], Tag("text")] | Annotated[list[Address], Tag("list")],
        by_kind("expected auto, none (headless) or a list of addresses"),
    ] = "auto"
    """auto: chosen from the service prefixes. none: a name only. Or addresses, at most one per IP version."""


class ApplicationForm(Form):
    """One application's virtual network and what runs in it; also a namespace of the same name."""

    connects: list[Name] = Field(default_factory=list)
    """Applications it is connected to, both ways; to all others there is no path."""
    namespace_labels: Labels = Field(default_factory=dict)
    segments: dict[Name, SegmentForm] = Field(default_factory=dict)
    """Left out, the application gets one l2 segment called default."""
    workloads: dict[Name, Annotated[WorkloadForm, recalled()]] = Field(default_factory=dict)
    services: dict[Name, ServiceForm] = Field(default_factory=dict)


class HeartbeatForm(Form):
    """The hosts of a running lab are watched all the time."""

    interval: Interval = 1000
    """Between two heartbeats of a host: 1s, 200ms."""
    fail: Annotated[int, Field(ge=2, le=1000)] = 5
    """After so many missing ones a host has failed: it is fenced, and what ran there starts elsewhere."""


class OptionsForm(Form):
    """Where real systems differ, the lab says which one it is."""

    ipblock_matches_pods: bool = True
    """NetworkPolicy's ipBlock also matches addresses of workloads."""
    judge_hairpin: bool = True
    """Policy judges a client that a Service leads back to itself."""
    cut_established: bool = False
    """When a running lab changes, established connections that are no longer allowed end."""
    heartbeat: HeartbeatForm | None = None
    """Watch the hosts all the time, {} as usual; left out, only sdn fail looks for who is silent."""


class LabForm(Form):
    """A lab: underlay, applications, policies and expectations in one file."""

    model_config = ConfigDict(json_schema_extra={"required": ["lab"]})

    # Required, as `parse` and the schema say; the default lets a lab with a wrong name be checked to its end.
    lab: Name = "lab"
    """The lab's name."""
    underlay: UnderlayForm | None = None
    """Left out, a leaf–spine fabric that is large enough."""
    applications: dict[Name, ApplicationForm] = Field(default_factory=dict)
    nodes: dict[Name, NodeForm] = Field(default_factory=dict)
    """Kubernetes nodes: VMs that run the pods; without any, pods run on Hosts directly."""
    priority_classes: dict[Name, PriorityClass] = Field(default_factory=dict)
    """Names for priorities: {gold: 1000}."""
    scheduling: ConstraintsForm = ConstraintsForm()
    """What holds for the whole lab: pools, rules, separations, volumes, images, room for failures."""
    running: dict[WorkloadKey, Name] = Field(default_factory=dict)
    """Where workloads run now: the Host, or of a pod the node."""
    groups: dict[Name, GroupForm] = Field(default_factory=dict)
    policies: list[TierPolicyForm] = Field(default_factory=list)
    exclusions: list[SelectorForm] = Field(default_factory=list)
    """Workloads that the tiers emergency to application are not for; admin, NetworkPolicy and baseline still are."""
    network_policies: list[dict[str, Any]] = Field(default_factory=list)
    """Kubernetes NetworkPolicy objects: metadata and spec."""
    manifests: list[Annotated[str, Field(min_length=1)]] = Field(default_factory=list)
    """Kubernetes files or folders to load too, relative to this file."""
    service_prefixes: list[Subnet] = Field(default_factory=list)
    """Where service addresses come from, at most one per IP version."""
    options: OptionsForm = OptionsForm()
    expect: list[
        Annotated[
            Annotated[str, Tag("text")] | Annotated[dict[str, str], Tag("mapping")],
            by_kind("expected a line such as `web → app 9090/tcp: allow`"),
        ]
    ] = []
    """Lines such as web → app 9090/tcp: allow (also ->)."""
    scenario: ScenarioForm | None = None
    """What happens to the lab, when, and what must hold afterwards: for sdn scenario."""
