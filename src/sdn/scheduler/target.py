"""What a workload can be bound to: a Host, or a VM that is a Kubernetes node. The only state of the scheduler."""

from __future__ import annotations

from dataclasses import dataclass

from sdn.model import Effect, Host, Taint, Workload

HOSTNAME = "kubernetes.io/hostname"

_LINUX = {"kubernetes.io/os": "linux", "beta.kubernetes.io/os": "linux"}
"""Every real node has these, and published manifests select them."""


@dataclass(slots=True, eq=False)
class Target:
    """A Host or a node with what is still free on it; CPU in millicores, memory in MiB."""

    name: str
    host: str
    node: str  # key of the VM, empty for a Host
    cpu: int
    memory: int
    pods: int
    labels: dict[str, str]
    host_labels: dict[str, str]
    taints: tuple[Taint, ...]
    free_cpu: int
    free_memory: int
    free_pods: int

    @classmethod
    def of_host(cls, host: Host) -> Target:
        """An empty Host."""
        labels = {**_LINUX, HOSTNAME: host.name, **host.labels}
        room = (host.cpu, host.memory, host.pods)
        return cls(host.name, host.name, "", *room, labels, labels, tuple(sorted(host.taints)), *room)

    @classmethod
    def of_node(cls, vm: Workload, host: Target) -> Target:
        """An empty node on the Host that its VM was bound to."""
        labels = {**_LINUX, HOSTNAME: vm.name, **vm.labels}
        taints = tuple(sorted(Taint(key, value, Effect(effect)) for key, value, effect in vm.taints))
        room = (vm.cpu, vm.memory, vm.pods)
        return cls(vm.name, host.name, vm.key, *room, labels, host.labels, taints, *room)

    @property
    def id(self) -> str:
        """Unique among the candidates of one workload, so it decides between equals."""
        return self.node or self.name

    def domain(self, label: str) -> str:
        """The place that replicas are spread over: the Host, or the value of a label of the node or else its Host.

        Targets without the label are one place together.
        """
        if not label:
            return self.host
        return self.labels.get(label, self.host_labels.get(label, ""))

    def take(self, workload: Workload) -> None:
        """Bind: what the workload asks for is no longer free."""
        self.free_cpu -= workload.cpu
        self.free_memory -= workload.memory
        self.free_pods -= 1
