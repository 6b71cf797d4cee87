"""What we read of Kubernetes objects. Workloads are read loosely; NetworkPolicies, selectors and Services strictly."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from pydantic import Field

from sdn.model import Protocol
from sdn.spec.kubernetes.fields import (
    DnsLabel,
    Labels,
    Loose,
    NamespaceName,
    NumberOrName,
    PortName,
    PortNumber,
    ProtocolName,
    Quantity,
    Subdomain,
    Written,
)
from sdn.spec.kubernetes.schema_affinity import Affinity, TopologySpread
from sdn.spec.kubernetes.schema_selectors import LabelSelector


class OwnerReference(Loose):
    """What made an object."""

    kind: str
    name: str


class Metadata(Loose):
    """Of a namespaced object; an absent namespace is `default`."""

    name: Subdomain
    namespace: NamespaceName = "default"
    labels: Labels = Field(default_factory=dict)
    owner_references: list[OwnerReference] = Field(default_factory=list)


# --- Pods and what makes them


class ContainerPort(Loose):
    """A port that a container says it listens on."""

    container_port: PortNumber
    name: PortName = ""
    protocol: ProtocolName = Protocol.TCP


class Amounts(Loose):
    """CPU in cores, memory in bytes; None where nothing was asked for."""

    cpu: Quantity | None = None
    memory: Quantity | None = None


class Resources(Loose):
    """A limit without a request is the request, too."""

    requests: Amounts = Amounts()
    limits: Amounts = Amounts()

    def asked(self, what: str) -> Decimal | None:
        """Cores or bytes; None where nothing is said."""
        request: Decimal | None = getattr(self.requests, what)
        limit: Decimal | None = getattr(self.limits, what)
        return limit if request is None else request


class Container(Loose):
    """`restartPolicy: Always` makes a sidecar of an init container."""

    image: str = ""
    ports: list[ContainerPort] = Field(default_factory=list)
    resources: Resources = Resources()
    restart_policy: str = ""


class Toleration(Loose):
    """`operator` is Equal or Exists."""

    key: str = ""
    operator: str = "Equal"
    value: str = ""
    effect: str = ""


class ClaimSource(Loose):
    """The claim behind a volume of a Pod."""

    claim_name: str


class PodVolume(Loose):
    """Only a claim can tie a Pod to a place."""

    persistent_volume_claim: ClaimSource | None = None


class PodSpec(Loose):
    """What runs, and where it may."""

    containers: list[Container] = Field(default_factory=list)
    init_containers: list[Container] = Field(default_factory=list)
    node_selector: dict[str, str] = Field(default_factory=dict)
    node_name: str = ""
    tolerations: list[Toleration] = Field(default_factory=list)
    topology_spread_constraints: list[TopologySpread] = Field(default_factory=list)
    affinity: Affinity | None = None
    priority_class_name: str = ""
    priority: int | None = None
    preemption_policy: str = ""
    overhead: Amounts = Amounts()
    resources: Resources = Resources()
    volumes: list[PodVolume] = Field(default_factory=list)
    host_network: bool = False


class TemplateMetadata(Loose):
    """A template has no name of its own."""

    labels: Labels = Field(default_factory=dict)


class PodTemplate(Loose):
    """What every replica looks like."""

    metadata: TemplateMetadata = TemplateMetadata()
    spec: PodSpec


class PodIP(Loose):
    """One address of a running Pod."""

    ip: str = ""


class PodStatus(Loose):
    """Only in what a cluster returned."""

    phase: str = ""
    pod_ip: str = Field(default="", alias="podIP")
    pod_ips: list[PodIP] = Field(default_factory=list, alias="podIPs")


class Pod(Loose):
    """A Pod, bare or owned."""

    metadata: Metadata
    spec: PodSpec
    status: PodStatus = PodStatus()


class Ordinals(Loose):
    """The index of a StatefulSet's first Pod."""

    start: int = Field(default=0, ge=0)


class ClaimTemplateMetadata(Loose):
    """Of a claim that every Pod gets for itself."""

    name: str = ""


class ClaimTemplate(Loose):
    """The claim of Pod NAME is called TEMPLATE-NAME."""

    metadata: ClaimTemplateMetadata = ClaimTemplateMetadata()


class ControllerSpec(Loose):
    """Of Deployment, ReplicaSet, StatefulSet and DaemonSet (which has no replicas)."""

    replicas: int = Field(default=1, ge=0)
    selector: LabelSelector = LabelSelector()
    template: PodTemplate
    ordinals: Ordinals = Ordinals()
    volume_claim_templates: list[ClaimTemplate] = Field(default_factory=list)


class Controller(Loose):
    """Deployment, ReplicaSet, StatefulSet or DaemonSet."""

    metadata: Metadata
    spec: ControllerSpec


class JobSpec(Loose):
    """At most `parallelism` Pods run at once, and no more than there are completions."""

    parallelism: int = Field(default=1, ge=0)
    completions: int | None = Field(default=None, ge=0)
    suspend: bool = False
    template: PodTemplate


class JobCondition(Loose):
    """`type` Complete or Failed with status "True": it runs no more."""

    type: str = ""
    status: str = ""


class JobStatus(Loose):
    """Only in what a cluster returned."""

    conditions: list[JobCondition] = Field(default_factory=list)


class Job(Loose):
    """Runs Pods to their end."""

    metadata: Metadata
    spec: JobSpec
    status: JobStatus = JobStatus()


class JobTemplate(Loose):
    """What every run of a CronJob looks like."""

    spec: JobSpec


class CronJobSpec(Loose):
    """When it runs is not modelled: it counts as running."""

    job_template: JobTemplate
    suspend: bool = False


class CronJob(Loose):
    """Runs Jobs by the clock."""

    metadata: Metadata
    spec: CronJobSpec


class NamespaceMetadata(Loose):
    """A namespace is in no namespace."""

    name: DnsLabel
    labels: Labels = Field(default_factory=dict)


class Namespace(Loose):
    """A name and labels."""

    metadata: NamespaceMetadata


# --- Services


class ServicePort(Written):
    """`targetPort` defaults to `port`."""

    port: PortNumber
    target_port: NumberOrName | None = None
    protocol: ProtocolName = Protocol.TCP
    name: str = ""
    node_port: int | None = None
    app_protocol: str = ""


class ServiceSpec(Written):
    """Every field that Kubernetes knows; those without a type here change nothing in a lab."""

    ports: list[ServicePort] = Field(default_factory=list)
    selector: Labels = Field(default_factory=dict)
    type: str = "ClusterIP"
    cluster_ip: str = Field(default="", alias="clusterIP")
    cluster_ips: list[str] = Field(default_factory=list, alias="clusterIPs")
    ip_families: list[str] = Field(default_factory=list)
    ip_family_policy: str = ""
    allocate_load_balancer_node_ports: Any = None
    external_ips: Any = Field(default=None, alias="externalIPs")
    external_name: Any = None
    external_traffic_policy: Any = None
    health_check_node_port: Any = None
    internal_traffic_policy: Any = None
    load_balancer_class: Any = None
    load_balancer_ip: Any = Field(default=None, alias="loadBalancerIP")
    load_balancer_source_ranges: Any = None
    publish_not_ready_addresses: Any = None
    session_affinity: Any = None
    session_affinity_config: Any = None
    traffic_distribution: Any = None
    traffic_policy: Any = None


class ServiceMetadata(Metadata):
    """A Service's name is one DNS label."""

    name: DnsLabel


class Service(Written):
    """A virtual address."""

    api_version: Any = None
    kind: Any = None
    metadata: ServiceMetadata
    spec: ServiceSpec
    status: Any = None


# --- NetworkPolicy


class IPBlock(Written):
    """`except` lies inside `cidr`."""

    cidr: str
    except_: list[str] = Field(default_factory=list, alias="except")


class Peer(Written):
    """Selectors or an ipBlock; None is absent, which is not the same as empty."""

    pod_selector: LabelSelector | None = None
    namespace_selector: LabelSelector | None = None
    ip_block: IPBlock | None = Field(default=None, alias="ipBlock")


class PolicyPort(Written):
    """Without `port` every port of the protocol."""

    protocol: ProtocolName = Protocol.TCP
    port: NumberOrName | None = None
    end_port: PortNumber | None = None


class IngressRule(Written):
    """No `from`: anybody."""

    from_: list[Peer] = Field(default_factory=list, alias="from")
    ports: list[PolicyPort] = Field(default_factory=list)


class EgressRule(Written):
    """No `to`: anybody."""

    to: list[Peer] = Field(default_factory=list)
    ports: list[PolicyPort] = Field(default_factory=list)


class NetworkPolicySpec(Written):
    """An absent or empty `podSelector` selects every Pod of the namespace."""

    pod_selector: LabelSelector = LabelSelector()
    policy_types: list[str] = Field(default_factory=list)
    ingress: list[IngressRule] = Field(default_factory=list)
    egress: list[EgressRule] = Field(default_factory=list)


class NetworkPolicy(Written):
    """networking.k8s.io/v1."""

    api_version: Any = None
    kind: Any = None
    metadata: Metadata
    spec: NetworkPolicySpec = NetworkPolicySpec()
    status: Any = None
