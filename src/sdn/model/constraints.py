"""What the scheduler must keep to over the whole lab: pools, rules, separations, storage, images, room for failures."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

from sdn.model.policy import Selector
from sdn.model.scheduling import HOSTNAME, Resources


class Pool(Struct, frozen=True):
    """A resource pool; `parent` is empty at the top. An `expandable` one may take reservations from its parent.

    Reservations of its members and of pools in it never add up to more than its own, or, expandable, than its limit and
    what its parent has left. At the top is all that the Hosts have that have not failed.
    """

    name: str
    parent: str = ""
    resources: Resources = Resources()
    expandable: bool = True


class Together(StrEnum):
    """What a PlacementRule asks: one Host for all, a Host for each, only certain Hosts, or never those."""

    TOGETHER = "together"
    APART = "apart"
    ON = "on"
    NOT_ON = "not-on"


class PlacementRule(Struct, frozen=True):
    """A vSphere rule over workloads: with each other (together, apart) or with Hosts that `hosts` labels (on, not-on).

    `must` is never broken, by no move and no restart; otherwise it is broken rather than nothing started. `topology`
    is the label within which together and apart hold; HOSTNAME is the Host, also of Pods in nodes. A place without
    the label takes nobody of `together` and is apart from everything. A must that names no Host admits none.
    """

    name: str
    kind: Together
    workloads: Selector
    hosts: dict[str, str] = {}  # labels that the Hosts of `on` and `not-on` have
    host_names: tuple[str, ...] = ()  # or their names
    must: bool = True
    topology: str = HOSTNAME


class Separation(Struct, frozen=True):
    """Workloads whose values of `label` differ never share a Host, or with `vm` never a VM (NIST SP 800-190, 4.3.3).

    With `vm` they may share the Host if each has a VM; Pods and other VMs that are in no node are then kept apart by
    Host among themselves. Having no such label is a value of its own. A VM that is a node counts by its Pods, unless it
    has the label itself: then only Pods of that value run in it, and with `host` it counts even while it is empty.
    """

    label: str
    within: str = "host"  # or "vm"


class Volume(Struct, frozen=True):
    """Storage that a workload needs; it runs only on Hosts that hold a replica."""

    name: str
    hosts: tuple[str, ...]


class Severity(StrEnum):
    """Of the worst known flaw in an image."""

    NONE = "none"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


class Image(Struct, frozen=True):
    """What is known of a container or VM image. A name that nobody describes is neither signed nor scanned."""

    name: str
    signed: bool = False
    scanned: bool = False
    severity: Severity = Severity.NONE


class ImageGate(Struct, frozen=True):
    """What images must be to be admitted; `severity` is the worst that passes."""

    signed: bool = False
    scanned: bool = False
    severity: Severity = Severity.CRITICAL


class Reserve(StrEnum):
    """How room for failures is kept: whole slots of the largest reservation, a share of all, or Hosts kept empty."""

    SLOTS = "slots"
    PERCENTAGE = "percentage"
    DEDICATED = "dedicated"


class Admission(Struct, frozen=True):
    """Room for `failures` Hosts to fail: a workload that would use it up is refused. 0 failures keeps none.

    What counts are reservations of what sits on Hosts directly. Each Host that has failed uses up one of `failures`.
    `slots`: as large as the largest reservation of CPU (at least 32 millicores, vSphere's default) and of memory among
    what runs; without the Hosts that have most slots, as many must remain as there are workloads. `percentage`: of CPU
    and memory over all Hosts (0 is worked out from the `failures` largest Hosts; a share that is written is kept
    whatever `failures` says). `dedicated` are Hosts that stay empty until another one fails.
    """

    failures: int = 0
    reserve: Reserve = Reserve.SLOTS
    percentage: int = 0
    dedicated: tuple[str, ...] = ()


class Constraints(Struct, frozen=True):
    """What holds for the whole lab; each tuple is sorted by name."""

    pools: tuple[Pool, ...] = ()
    rules: tuple[PlacementRule, ...] = ()
    separations: tuple[Separation, ...] = ()
    volumes: tuple[Volume, ...] = ()
    images: tuple[Image, ...] = ()
    gate: ImageGate = ImageGate()
    admission: Admission = Admission()
