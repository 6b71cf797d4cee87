"""The lab file as people write it: one form per mapping, field by field, checked for shape but not yet for sense."""

# ruff: noqa: RUF012 - pydantic copies mutable defaults for every form

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import ConfigDict, Field, Tag

from sdn.spec.labfile.fields import (
    Address,
    Bandwidth,
    Block,
    Cpu,
    Delay,
    Form,
    Hosts,
    LabelKey,
    Labels,
    LabelValue,
    LabelValues,
    Loss,
    Memory,
    Mtu,
    Name,
    NotEmpty,
    Replicas,
    RuleName,
    RulePort,
    ServicePortText,
    Subnet,
    Switches,
    WorkloadKey,
    WorkloadPort,
    by_kind,
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
    labels: Labels = {}
    taints: list[TaintForm] = []


class NamedHostForm(HostForm):
    """One Host by name."""

    name: Name
    leaf: Name | None = None
    """The leaf it hangs on; dealt out in turn if left out."""


class AlikeHostsForm(HostForm):
    """`count` Hosts alike: host-1, host-2, ..."""

    count: Hosts


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
    subnets: list[Subnet] = []
    """At most one per IP version; chosen for you (dual stack) if left out."""
    slice4: Annotated[int, Field(ge=1, le=30)] | None = None
    """Prefix length of what one Host owns of a routed segment."""
    slice6: Annotated[int, Field(ge=1, le=126)] | None = None


class RunnableForm(Form):
    """What workloads and nodes have in common."""

    replicas: Replicas | None = None
    """Makes NAME-0, NAME-1, ...; left out, there is one, called NAME."""
    labels: Labels = {}
    segment: Name | None = None
    host: Name | None = None
    """The Host, or node, it must run on."""
    node_selector: Labels = {}
    """Labels that its Host, or node, must have."""
    tolerations: list[TolerationForm] = []
    spread: LabelKey | None = None
    """Label of Hosts over which replicas are spread; over Hosts if left out."""
    ip: list[Address] = []
    """Addresses of its own choice, at most one per IP version."""


class WorkloadForm(RunnableForm):
    """A Pod or VM, or several alike."""

    kind: Literal["pod", "vm"] = "pod"
    ports: list[WorkloadPort] = []
    """What it listens on: 80/tcp, or http=8080/tcp to give the port a name."""
    cpu: Cpu = 0
    memory: Memory = 0
    command: list[str] = []
    """A program and its arguments to run inside; none is needed for probes."""


class NodeForm(RunnableForm):
    """A Kubernetes node: a VM that runs Pods. It has an endpoint of its own only if it names an application."""

    application: Name | None = None
    cpu: Cpu = 4_000
    memory: Memory = 8 * 1024
    pods: Annotated[int, Field(ge=0, le=1_000)] = 110
    taints: list[TaintForm] = []


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

    connects: list[Name] = []
    """Applications it is connected to, both ways; to all others there is no path."""
    namespace_labels: Labels = {}
    segments: dict[Name, SegmentForm] = {}
    """Left out, the application gets one l2 segment called default."""
    workloads: dict[Name, WorkloadForm] = {}
    services: dict[Name, ServiceForm] = {}


GroupName = Annotated[str, Field(min_length=1)]
"""Also a name that only another file defines, which need not be a DNS label."""


class PolicyForm(Form):
    """Base of everything in policies: a field without a value is a mistake there, never "anybody"."""

    empty_is_absent: ClassVar[bool] = False


class RequirementForm(PolicyForm):
    """Kubernetes' matchExpressions element."""

    key: LabelKey
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist"]
    values: list[LabelValue] = []


class SelectorForm(PolicyForm):
    """Workloads: every field that is given must match."""

    labels: Annotated[Labels | None, NotEmpty] = None
    expressions: Annotated[list[RequirementForm] | None, NotEmpty] = None
    namespace_labels: Annotated[Labels | None, NotEmpty] = None
    namespaces: Annotated[list[Name] | None, NotEmpty] = None
    applications: Annotated[list[Name] | None, NotEmpty] = None
    segments: Annotated[list[Name] | None, NotEmpty] = None
    kind: Annotated[Literal["pod", "vm"] | None, NotEmpty] = None
    name: Annotated[str | None, NotEmpty] = None
    """A shell pattern on the workload's name: web-*"""
    sensitivity: Annotated[LabelValues | None, NotEmpty] = None
    """Values of the label `sensitivity`."""
    workloads: Annotated[list[WorkloadKey] | None, NotEmpty] = None
    """Workloads by name, with their application: shop/web stands for all its replicas, shop/web-0 for one."""
    groups: Annotated[list[GroupName] | None, NotEmpty] = None
    """Members of at least one of these groups. A peer of this field alone means the groups' addresses, too."""


class ExpressionForm(SelectorForm):
    """Part of a group: every field that is given must match, so must each of `all` and at least one of `any`."""

    any_of: Annotated[list[ExpressionForm] | None, NotEmpty] = Field(default=None, alias="any")
    all_of: Annotated[list[ExpressionForm] | None, NotEmpty] = Field(default=None, alias="all")


class AddressForm(PolicyForm):
    """An address block without the blocks in `except`."""

    address: Block
    excepts: Annotated[list[Block] | None, NotEmpty] = Field(default=None, alias="except")


class GroupForm(ExpressionForm):
    """Whom policies may name together: the workloads that match, and besides those `addresses` and `include`."""

    addresses: Annotated[
        list[
            Annotated[
                Annotated[Block, Tag("text")] | Annotated[AddressForm, Tag("mapping")],
                by_kind("expected an address, a network such as 203.0.113.0/24, or {address: ..., except: [...]}"),
            ]
        ]
        | None,
        NotEmpty,
    ] = None
    """Added to the group; as a peer, it matches also these."""
    include: Annotated[list[GroupName] | None, NotEmpty] = None
    """Groups that belong to this one as a whole, with their addresses."""


class PeerForm(SelectorForm):
    """Workloads, or an `address` without the addresses in `except`."""

    address: Annotated[Block | None, NotEmpty] = None
    excepts: Annotated[list[Block] | None, NotEmpty] = Field(default=None, alias="except")


class RuleForm(PolicyForm):
    """No `from` or `to`: anybody. No `ports`: every port and protocol."""

    name: RuleName | None = None
    """Stands for the rule in verdicts and logs; its position if left out."""
    action: Literal["allow", "deny", "reject", "pass"]
    direction: Literal["ingress", "egress"]
    sources: Annotated[list[PeerForm] | None, NotEmpty] = Field(default=None, alias="from")
    """Of an ingress rule."""
    destinations: Annotated[list[PeerForm] | None, NotEmpty] = Field(default=None, alias="to")
    """Of an egress rule."""
    not_from: Annotated[list[PeerForm] | None, NotEmpty] = None
    """Of an ingress rule: everybody but these."""
    not_to: Annotated[list[PeerForm] | None, NotEmpty] = None
    """Of an egress rule: everybody but these."""
    ports: Annotated[list[RulePort] | None, NotEmpty] = None
    only_for: Annotated[list[PeerForm] | None, NotEmpty] = None
    """Of those that the policy applies to, only these; an `address` means who has it."""
    not_for: Annotated[list[PeerForm] | None, NotEmpty] = None
    """Of those that the policy applies to, all but these."""
    applies_to: Annotated[list[SelectorForm] | None, NotEmpty] = None
    """Whom this rule is for, in a policy that does not say it itself."""
    log: bool = False


class TierPolicyForm(PolicyForm):
    """An ordered list of rules in one tier; the first that matches decides."""

    name: Name
    tier: Literal["emergency", "infrastructure", "environment", "application", "admin", "baseline"] = "application"
    """In the order in which they are asked; Kubernetes' NetworkPolicy comes between admin and baseline."""
    priority: Annotated[int, Field(ge=0, le=1_000_000)] = 1000
    """Lower comes first."""
    applies_to: Annotated[list[SelectorForm] | None, NotEmpty] = None
    """Whom it is for; every workload if left out."""
    rules: Annotated[list[RuleForm], NotEmpty]


class OptionsForm(Form):
    """Where real systems differ, the lab says which one it is."""

    ipblock_matches_pods: bool = True
    """NetworkPolicy's ipBlock also matches addresses of workloads."""
    judge_hairpin: bool = True
    """Policy judges a client that a Service leads back to itself."""


class LabForm(Form):
    """A lab: underlay, applications, policies and expectations in one file."""

    model_config = ConfigDict(json_schema_extra={"required": ["lab"]})

    # Required, as `parse` and the schema say; the default lets a lab with a wrong name be checked to its end.
    lab: Name = "lab"
    """The lab's name."""
    underlay: UnderlayForm | None = None
    """Left out, a leaf–spine fabric that is large enough."""
    applications: dict[Name, ApplicationForm] = {}
    nodes: dict[Name, NodeForm] = {}
    """Kubernetes nodes: VMs that run the pods; without any, pods run on Hosts directly."""
    groups: dict[Name, GroupForm] = {}
    policies: list[TierPolicyForm] = []
    exclusions: list[SelectorForm] = []
    """Workloads that the tiers emergency to application are not for; admin, NetworkPolicy and baseline still are."""
    network_policies: list[dict[str, Any]] = []
    """Kubernetes NetworkPolicy objects: metadata and spec."""
    manifests: list[Annotated[str, Field(min_length=1)]] = []
    """Kubernetes files or folders to load too, relative to this file."""
    service_prefixes: list[Subnet] = []
    """Where service addresses come from, at most one per IP version."""
    options: OptionsForm = OptionsForm()
    expect: list[
        Annotated[
            Annotated[str, Tag("text")] | Annotated[dict[str, str], Tag("mapping")],
            by_kind("expected a line such as `web → app 9090/tcp: allow`"),
        ]
    ] = []
    """Lines such as web → app 9090/tcp: allow (also ->)."""
