"""What one workload asks of the scheduler beside its size: where it may run, beside whom, and who gives way.

Kubernetes' words keep Kubernetes' meaning, vSphere's keep vSphere's. Nothing here is resolved or counted.
"""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

from sdn.model.selectors import LabelSelector

HOSTNAME = "kubernetes.io/hostname"
"""The label that every Host and node has of itself; as a topology: the Host or node alone."""

WORKER = "node-role.kubernetes.io/worker"
"""A Host with this label, whatever its value, takes Pods directly also where there are nodes."""

NODE_NAME = "metadata.name"
"""In a NodeRequirement: the name of the Host or node, which is no label (Kubernetes' matchFields)."""


class NodeOperator(StrEnum):
    """Gt and Lt compare whole numbers; a label that is absent, or no number, matches neither."""

    IN = "In"
    NOT_IN = "NotIn"
    EXISTS = "Exists"
    DOES_NOT_EXIST = "DoesNotExist"
    GT = "Gt"
    LT = "Lt"


class NodeRequirement(Struct, frozen=True):
    """One condition on labels of a Host or node; `key` may be NODE_NAME.

    A node has the labels of its Host, too, where it has none of its own; HOSTNAME is always its own.
    """

    key: str
    operator: NodeOperator
    values: tuple[str, ...] = ()


class NodeTerm(Struct, frozen=True):
    """All requirements must hold; a term without any matches nothing, as in Kubernetes."""

    requirements: tuple[NodeRequirement, ...] = ()


class PodTerm(Struct, frozen=True):
    """Workloads to be near to, or apart from: those that `selector` matches in the namespaces, within one `topology`.

    `topology` is a label of Hosts and nodes; two places are one domain where both have it with one value. No
    `namespaces` and no `namespace_labels` means the own namespace; an empty LabelSelector in `namespace_labels` every
    one. `selector` None matches nobody.
    """

    topology: str
    selector: LabelSelector | None = None
    namespaces: tuple[str, ...] = ()
    namespace_labels: LabelSelector | None = None


class Weighted(Struct, frozen=True):
    """A wish, not a must: 1 to 100, and either a term about nodes or one about workloads."""

    weight: int
    node: NodeTerm | None = None
    pods: PodTerm | None = None


class Affinity(Struct, frozen=True):
    """Kubernetes' affinity. `nodes`: one of the terms must match (none: every node).

    `near` and `apart` must each hold when the workload is bound. `apart` also holds the other way round: who comes
    later must not sit with whoever wants to be apart from it. `wishes` add their weight, `apart_wishes` subtract it.
    A workload that matches its own `near` term may start a domain of its own when nobody else matches it yet.
    """

    nodes: tuple[NodeTerm, ...] = ()
    near: tuple[PodTerm, ...] = ()
    apart: tuple[PodTerm, ...] = ()
    wishes: tuple[Weighted, ...] = ()
    apart_wishes: tuple[Weighted, ...] = ()


class TopologySpread(Struct, frozen=True):
    """Kubernetes' topologySpreadConstraints element, over the workloads of the own namespace that `selector` matches.

    `required` is DoNotSchedule: after binding, the domain may hold at most `max_skew` more than the least of the
    domains that the workload's own node selector and affinity admit; only on places that they admit is counted at all,
    and `failed` Hosts are no places. Fewer than `min_domains` domains count as a least of 0. Places without the label
    are no domain, and refused when it is required.
    """

    topology: str
    max_skew: int = 1
    selector: LabelSelector | None = None
    required: bool = True
    min_domains: int = 1


class Resources(Struct, frozen=True):
    """vSphere's numbers of a VM, or of a pool: CPU in millicores, memory in MiB; shares are relative among siblings.

    A `None` reservation of a VM is all of its request where its Host is not over-committed (CPU and memory each), else
    what the Pods in it ask for; that of a Pod is its request, that of a pool 0. A `None` limit is none.
    """

    cpu_reservation: int | None = None
    memory_reservation: int | None = None
    cpu_limit: int | None = None
    memory_limit: int | None = None
    cpu_shares: int = 1000
    memory_shares: int = 1000


class Scheduling(Struct, frozen=True):
    """What one workload asks of the scheduler beside its size; all replicas of one owner share one object.

    `priority`: higher goes first, and may evict lower ones if it `preempts`. `pool` is of VMs, and of Pods directly on
    a Host: a Pod in a node draws on the node's. `numa` 1 keeps a VM within that many NUMA nodes of its Host, which are
    over-committed as the Host is (0: does not care); several share its CPU and memory as they have room. `volumes` and
    `images` are names. `after` are keys of workloads that are restarted first. `cpu_demand` and `memory_demand` are
    what it uses now, which decides nothing but how Hosts are balanced (None: all that it asks for).
    """

    affinity: Affinity | None = None
    spread: tuple[TopologySpread, ...] = ()
    priority: int = 0
    preempts: bool = True
    resources: Resources | None = None
    pool: str = ""
    numa: int = 0
    volumes: tuple[str, ...] = ()
    images: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    cpu_demand: int | None = None  # millicores
    memory_demand: int | None = None  # MiB
