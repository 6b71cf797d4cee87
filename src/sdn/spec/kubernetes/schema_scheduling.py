"""Objects that say where Pods may run: PriorityClass, Node, and the volumes that Pods are tied to; read loosely."""

from __future__ import annotations

from pydantic import Field

from sdn.spec.kubernetes.fields import Labels, Loose, NamespaceName, Quantity, Subdomain
from sdn.spec.kubernetes.schema_affinity import NodeSelector


class ClusterMetadata(Loose):
    """Of an object that is in no namespace."""

    name: Subdomain
    labels: Labels = Field(default_factory=dict)


class PriorityClass(Loose):
    """scheduling.k8s.io/v1. The name of a priority."""

    metadata: ClusterMetadata
    value: int
    global_default: bool = False
    preemption_policy: str = "PreemptLowerPriority"


class NodeTaint(Loose):
    """`effect` is NoSchedule, PreferNoSchedule or NoExecute."""

    key: str
    value: str = ""
    effect: str = "NoSchedule"


class NodeSpec(Loose):
    """`unschedulable` is what `kubectl cordon` sets."""

    taints: list[NodeTaint] = Field(default_factory=list)
    unschedulable: bool = False


class NodeAmounts(Loose):
    """CPU in cores, memory in bytes."""

    cpu: Quantity | None = None
    memory: Quantity | None = None
    pods: Quantity | None = None


class NodeStatus(Loose):
    """Pods share what is allocatable."""

    capacity: NodeAmounts = NodeAmounts()
    allocatable: NodeAmounts = NodeAmounts()


class Node(Loose):
    """A machine of the cluster."""

    metadata: ClusterMetadata
    spec: NodeSpec = NodeSpec()
    status: NodeStatus = NodeStatus()


class ClaimMetadata(Loose):
    """Of a PersistentVolumeClaim."""

    name: Subdomain
    namespace: NamespaceName = "default"


class ClaimSpec(Loose):
    """`volumeName` is there once it is bound."""

    volume_name: str = ""


class PersistentVolumeClaim(Loose):
    """What Pods name."""

    metadata: ClaimMetadata
    spec: ClaimSpec = ClaimSpec()


class ClaimReference(Loose):
    """The claim that a volume is bound to."""

    name: str = ""
    namespace: str = ""


class VolumeNodeAffinity(Loose):
    """Where a volume can be used."""

    required: NodeSelector | None = None


class VolumeSpec(Loose):
    """Without `nodeAffinity` it can be used everywhere."""

    node_affinity: VolumeNodeAffinity | None = None
    claim_ref: ClaimReference = Field(default=ClaimReference(), alias="claimRef")


class PersistentVolume(Loose):
    """Storage."""

    metadata: ClusterMetadata
    spec: VolumeSpec = VolumeSpec()
