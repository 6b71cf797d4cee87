"""What a workload can be bound to: a Host, or a VM that is a Kubernetes node."""

from __future__ import annotations

from dataclasses import dataclass, field

from sdn.model import HOSTNAME, Effect, Host, HostState, Taint, Workload

_LINUX = {"kubernetes.io/os": "linux", "beta.kubernetes.io/os": "linux"}
"""Every real node has these, and published manifests select them."""

FAILED = "has failed"
MAINTENANCE = "is in maintenance"

WHOLE = 10**12
"""A full resource in `Target.load`: whole numbers are equal on every machine, and so fine do sums stay exact enough."""

_CLOSED = {HostState.UP: "", HostState.MAINTENANCE: MAINTENANCE, HostState.FAILED: FAILED}


@dataclass(slots=True, eq=False)
class Target:
    """A Host or a node with what is still free on it; CPU in millicores, memory in MiB, over-commitment included.

    `labels` of a node hold those of its Host, too, where it has none itself; its name is its own.
    """

    name: str
    host: str  # name of the Host, empty while the VM of a node is nowhere
    node: str  # key of the VM, empty for a Host
    cpu: int
    memory: int
    pods: int
    own_labels: dict[str, str]
    labels: dict[str, str]
    taints: tuple[Taint, ...]
    free_cpu: int
    free_memory: int
    free_pods: int
    id: str  # unique among all targets: a node's key has a slash, a Host's name has none
    closed: str = ""  # why it takes nobody new, after "it"
    base: Target | None = None  # the Host below a node
    vm: Workload | None = None  # what it is itself, of a node
    physical_cpu: int = 0  # of a Host, without over-commitment
    physical_memory: int = 0
    reserved_cpu: int = 0
    reserved_memory: int = 0
    places: dict[str, str] = field(default_factory=dict)  # topology → domain; "" is the Host
    weights: tuple[int, int, int] = (0, 0, 0)  # of a millicore, a MiB and a workload in `load`
    load: int = 0  # what is used, each resource as a share of WHOLE
    look: int = 0  # equal for targets with equal labels and taints, names left out
    bound: dict[str, Workload] = field(default_factory=dict)  # what runs directly on it, by key

    @classmethod
    def of_host(cls, host: Host) -> Target:
        """An empty Host."""
        labels = {**_LINUX, HOSTNAME: host.name, **host.labels}
        room = (host.cpu * host.cpu_overcommit // 100, host.memory * host.memory_overcommit // 100, host.pods)
        result = cls(host.name, host.name, "", *room, labels, labels, tuple(sorted(host.taints)), *room, host.name)
        result.closed = _CLOSED[host.state]
        result.weights = _weights(room)
        result.physical_cpu, result.physical_memory = host.cpu, host.memory
        result.places = {**labels, HOSTNAME: host.name, "": host.name}
        return result

    @classmethod
    def of_node(cls, vm: Workload, base: Target | None = None) -> Target:
        """An empty node, on a Host or nowhere yet."""
        labels = {**_LINUX, HOSTNAME: vm.name, **vm.labels}
        taints = tuple(sorted(Taint(key, value, Effect(effect)) for key, value, effect in vm.taints))
        room = (vm.cpu, vm.memory, vm.pods)
        node = cls(vm.name, "", vm.key, *room, labels, labels, taints, *room, vm.key, vm=vm)
        node.weights = _weights(room)
        node.settle(base)
        return node

    def settle(self, base: Target | None) -> None:
        """The VM of this node was bound to a Host, or (None) taken off."""
        self.base = base
        self.host = base.host if base else ""
        self.closed = base.closed if base else "is on no Host"
        self.labels = {**base.labels, **self.own_labels} if base else self.own_labels
        self.places = {**self.labels, HOSTNAME: self.id, "": self.host}

    def domain(self, label: str) -> str:
        """The place that replicas are spread over: the Host, or the value of a label of the node or else its Host.

        Targets without the label are one place together.
        """
        return self.places.get(label, "")

    def adds(self, workload: Workload) -> int:
        """By how much a workload makes `load` grow: a sum of shares, so the same for all targets of one size."""
        cpu, memory, one = self.weights
        return workload.cpu * cpu + workload.memory * memory + one

    def take(self, workload: Workload) -> None:
        """Bind: what the workload asks for is no longer free."""
        self.load += self.adds(workload)
        self.free_cpu -= workload.cpu
        self.free_memory -= workload.memory
        self.free_pods -= 1
        self.bound[workload.key] = workload

    def give_back(self, workload: Workload) -> None:
        """Unbind."""
        self.load -= self.adds(workload)
        del self.bound[workload.key]
        self.free_cpu += workload.cpu
        self.free_memory += workload.memory
        self.free_pods += 1


def _weights(room: tuple[int, int, int]) -> tuple[int, int, int]:
    cpu, memory, pods = (WHOLE // max(1, size) for size in room)
    return cpu, memory, pods
