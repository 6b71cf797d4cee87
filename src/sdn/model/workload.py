"""What runs: Workloads (VMs and Pods), what they ask for, and the ports they listen on."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

from sdn.model.scheduling import Scheduling


class Kind(StrEnum):
    """A VM may also be a Kubernetes node that runs Pods (`Workload.is_node`)."""

    VM = "vm"
    POD = "pod"


class Protocol(StrEnum):
    """What a rule or a flow can speak of. ICMP is echo of either family: ICMP over IPv4, ICMPv6 over IPv6."""

    TCP = "tcp"
    UDP = "udp"
    SCTP = "sctp"
    ICMP = "icmp"


class Port(Struct, frozen=True, order=True):
    """A port that a workload listens on; `name` is empty or what policies and services may call it."""

    number: int
    protocol: Protocol = Protocol.TCP
    name: str = ""


class Toleration(Struct, frozen=True):
    """Kubernetes' toleration: empty `key` with `exists` tolerates everything; empty `effect` tolerates each effect."""

    key: str = ""
    value: str = ""
    exists: bool = False
    effect: str = ""


class Namespace(Struct, frozen=True):
    """A Kubernetes namespace, or the namespace that every Application of a lab file has under its own name.

    `labels` always holds `kubernetes.io/metadata.name`.
    """

    name: str
    labels: dict[str, str] = {}


class Workload(Struct, frozen=True):
    """One VM or one Pod, replicas already counted out; `key` is its identity everywhere.

    `owner` is what made it, such as ("Deployment", "cart"), else empty. `ip` holds addresses that the user fixed.
    A host-network Pod has no endpoint of its own: it is placed, but policies never select it and nothing probes it.
    """

    namespace: str
    name: str
    kind: Kind
    application: str
    segment: str
    labels: dict[str, str] = {}
    owner: tuple[str, str] = ("", "")
    ports: tuple[Port, ...] = ()
    cpu: int = 0  # millicores asked for; of a node: what it offers to its Pods, and takes from its Host
    memory: int = 0  # MiB
    is_node: bool = False
    pods: int = 110  # of a node: the most Pods it may run
    taints: tuple[tuple[str, str, str], ...] = ()  # of a node: (key, value, effect)
    selector: dict[str, str] = {}  # labels that its Host or node must have
    tolerations: tuple[Toleration, ...] = ()
    spread: str = ""  # label of Hosts over which replicas of one owner are spread ("" is the Host itself)
    host: str = ""  # Host or node that the user fixed
    host_network: bool = False
    ip: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    scheduling: Scheduling = Scheduling()

    @property
    def key(self) -> str:
        """`namespace/name`, unique in a lab."""
        return f"{self.namespace}/{self.name}"
