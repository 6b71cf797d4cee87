"""The physical data centre: Hosts, Switches and the links between them."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct


class Role(StrEnum):
    """What a Switch is for; the fabric treats all alike, pictures and names do not."""

    LEAF = "leaf"
    SPINE = "spine"
    BORDER = "border"


class Effect(StrEnum):
    """What a taint does to a workload that does not tolerate it."""

    NO_SCHEDULE = "NoSchedule"
    PREFER_NO_SCHEDULE = "PreferNoSchedule"
    NO_EXECUTE = "NoExecute"


class Taint(Struct, frozen=True, order=True):
    """Keeps workloads away that do not tolerate it (Kubernetes' words and meaning)."""

    key: str
    value: str = ""
    effect: Effect = Effect.NO_SCHEDULE


class HostState(StrEnum):
    """`maintenance` takes nothing new and is to be emptied; a `failed` Host runs nothing."""

    UP = "up"
    MAINTENANCE = "maintenance"
    FAILED = "failed"


class Host(Struct, frozen=True):
    """A physical server: runs VMs, or Pods directly.

    `cpu_overcommit` and `memory_overcommit` are percent: requests may add up to that much of it, reservations to what
    there is. `numa` holds (millicores, MiB) of each NUMA node; empty is one node with everything.
    """

    name: str
    cpu: int = 64_000  # millicores
    memory: int = 256 * 1024  # MiB
    pods: int = 256  # the most workloads that it may run
    labels: dict[str, str] = {}
    taints: tuple[Taint, ...] = ()
    cpu_overcommit: int = 100
    memory_overcommit: int = 100
    numa: tuple[tuple[int, int], ...] = ()
    state: HostState = HostState.UP


class Switch(Struct, frozen=True):
    """A router of the underlay; it forwards, and knows nothing of overlay or policy. A `failed` one has no power."""

    name: str
    role: Role = Role.LEAF
    failed: bool = False


class Link(Struct, frozen=True):
    """A cable between two nodes; `a` < `b` by name. Two cables between the same nodes differ in `index`.

    A `failed` one is down at both ends.
    """

    a: str
    b: str
    index: int = 0
    mtu: int = 9000  # bytes
    bandwidth: int = 0  # Mbit/s; 0 is as fast as the kernel goes
    loss: int = 0  # percent of packets, each way
    delay: int = 0  # milliseconds, each way
    failed: bool = False


class Underlay(Struct, frozen=True):
    """All nodes and cables, each sorted by name. `family` is the IP version (4 or 6) that carries the tunnels.

    `isolated` are Hosts that have power and count as failed because nobody reaches them: their own cables are up.
    """

    hosts: tuple[Host, ...]
    switches: tuple[Switch, ...] = ()
    links: tuple[Link, ...] = ()
    family: int = 4
    isolated: tuple[str, ...] = ()
