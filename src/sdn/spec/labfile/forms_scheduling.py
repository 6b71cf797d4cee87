"""What a lab file tells the scheduler: of a Host, of a workload, and of the whole lab; one form per mapping."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, Tag

from sdn.spec.kubernetes.schema_affinity import Affinity, TopologySpread
from sdn.spec.labfile.fields import Cpu, Form, LabelKey, Labels, LabelValue, Memory, Name, Percent, by_kind
from sdn.spec.labfile.forms_policies import SelectorForm

Text = Annotated[str, Field(min_length=1, max_length=255)]


class OvercommitForm(Form):
    """How much of what there is may be asked for; reservations never exceed 100%."""

    cpu: Percent = 100
    memory: Percent = 100


class NumaForm(Form):
    """One NUMA node of a Host."""

    cpu: Cpu
    memory: Memory


NumaNodes = Annotated[
    Annotated[Annotated[int, Field(ge=1, le=64)], Tag("number")] | Annotated[list[NumaForm], Tag("list")],
    by_kind("expected a number of NUMA nodes, or a list of {cpu: ..., memory: ...}"),
]


class AmountsForm(Form):
    """An amount of CPU, of memory, or of both."""

    cpu: Cpu | None = None
    memory: Memory | None = None


Share = Annotated[int, Field(ge=1, le=1_000_000)]


class SharesForm(Form):
    """Relative among siblings."""

    cpu: Share = 1000
    memory: Share = 1000


Shares = Annotated[
    Annotated[Literal["low", "normal", "high"], Tag("text")]
    | Annotated[Share, Tag("number")]
    | Annotated[SharesForm, Tag("mapping")],
    by_kind("expected low, normal, high, a number, or {cpu: ..., memory: ...}"),
]
"""low is 500, normal 1000, high 2000: vSphere's ratio."""


class ResourcesForm(Form):
    """vSphere's numbers."""

    reservation: AmountsForm | None = None
    """What it gets whatever others ask for; at most what it asks for."""
    limit: AmountsForm | None = None
    """What it never gets more of."""
    shares: Shares = "normal"


Priority = Annotated[
    Annotated[Annotated[int, Field(ge=-(2**31), le=1_000_000_000)], Tag("number")] | Annotated[Text, Tag("text")],
    by_kind("expected a number or the name of a priority class"),
]


class SchedulingForm(Form):
    """What one workload, or node, asks of the scheduler beside its size."""

    affinity: Affinity | None = None
    """Kubernetes' affinity, in its own words."""
    topology_spread: list[TopologySpread] | None = None
    """Kubernetes' topologySpreadConstraints, in its own words."""
    priority: Priority | None = None
    """A number, or the name of one of `priority_classes`; higher goes first."""
    preempts: bool | None = None
    """Whether it may evict workloads of a lower priority (true)."""
    resources: ResourcesForm | None = None
    demand: AmountsForm | None = None
    """What it uses now, at most what it asks for: sdn rebalance goes by what it is entitled to of that."""
    pool: Name | None = None
    """One of `scheduling.pools`."""
    numa: Annotated[int, Field(ge=0, le=64)] = 0
    """NUMA nodes of its Host that a VM must fit into; 0 does not care."""
    volumes: list[Name] | None = None
    """Of `scheduling.volumes`: it runs only on Hosts that hold a replica of each."""
    images: list[Text] | None = None
    """What it is made of; `scheduling.gate` judges them."""
    after: list[Text] | None = None
    """Workloads that are restarted before it: NAME of its own application, or application/NAME."""
    sensitivity: LabelValue | None = None
    """Short for the label `sensitivity`."""
    tenant: LabelValue | None = None
    """Short for the label `tenant`."""


class PriorityClassForm(Form):
    """A name for a priority."""

    value: Annotated[int, Field(ge=-(2**31), le=1_000_000_000)]
    preempts: bool = True
    default: bool = False
    """Of all workloads that say nothing."""


PriorityClass = Annotated[
    Annotated[Annotated[int, Field(ge=-(2**31), le=1_000_000_000)], Tag("number")]
    | Annotated[PriorityClassForm, Tag("mapping")],
    by_kind("expected a number or {value: ..., preempts: ..., default: ...}"),
]


class PoolForm(ResourcesForm):
    """A resource pool."""

    parent: Name | None = None
    expandable: bool = True
    """May take reservations from its parent when its own are used up."""


class RuleHostsForm(Form):
    """Hosts that have these labels."""

    labels: Labels


Where = Literal["together", "apart", "on", "not_on"]


class PlacementRuleForm(Form):
    """Workloads with each other (together, apart), or with `hosts` (on, not_on)."""

    name: Name
    must: Where | None = None
    """Never broken, by no move and no restart."""
    should: Where | None = None
    """Broken rather than nothing started."""
    workloads: SelectorForm
    hosts: (
        Annotated[
            Annotated[list[Name], Tag("list")] | Annotated[RuleHostsForm, Tag("mapping")],
            by_kind("expected a list of hosts, or {labels: ...}"),
        ]
        | None
    ) = None
    """Of on and not_on: their names, or `labels` that they have."""
    within: LabelKey | None = None
    """Of together and apart: the label of Hosts within which they hold, such as rack; the Host if left out."""


class SeparateForm(Form):
    """Workloads whose values of `label` differ never share a Host, or not even a VM; to have none is a value, too."""

    label: LabelKey
    within: Literal["host", "vm"] = "host"


class ImageForm(Form):
    """What is known of an image."""

    signed: bool = False
    scanned: bool = False
    severity: Literal["none", "low", "medium", "high", "critical"] = "none"
    """Of the worst known flaw."""


class GateForm(Form):
    """What images must be to be admitted."""

    signed: bool = False
    scanned: bool = False
    severity: Literal["none", "low", "medium", "high", "critical"] = "critical"
    """The worst that passes."""


class AdmissionForm(Form):
    """Room for Hosts to fail; what would use it up is refused."""

    failures: Annotated[int, Field(ge=0, le=10_000)] = 0
    """Hosts that may fail at once."""
    reserve: Literal["slots", "percentage", "dedicated"] = "slots"
    """Slots of the largest reservation, a share of everything, or Hosts that stay empty."""
    percentage: Percent | None = None
    """Of CPU and memory over all Hosts; worked out from `failures` if left out."""
    dedicated: list[Name] | None = None
    """The Hosts that stay empty."""


class ConstraintsForm(Form):
    """What the scheduler must keep to over the whole lab."""

    pools: dict[Name, PoolForm] | None = None
    rules: list[PlacementRuleForm] | None = None
    separate: list[SeparateForm] | None = None
    volumes: dict[Name, list[Name]] | None = None
    """Volume: the Hosts that hold a replica."""
    images: dict[Text, ImageForm] | None = None
    gate: GateForm = GateForm()
    admission: AdmissionForm = AdmissionForm()
