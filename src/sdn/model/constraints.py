"""What the scheduler must keep to over the whole lab: pools, rules, separations, storage, images, room for failures."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

from sdn.model.policy import Selector
from sdn.model.scheduling import HOSTNAME, Resources


class Pool(Struct, frozen=True):
    """A resource pool; `parent` is empty at the top. An `expandable` one may take reservations from its parent."""

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
    is the label within which together and apart hold; HOSTNAME is the Host.
    """

    name: str
    kind: Together
    workloads: Selector
    hosts: dict[str, str] = {}  # labels that the Hosts of `on` and `not-on` have
    host_names: tuple[str, ...] = ()  # or their names
    must: bool = True
    topology: str = HOSTNAME


class Separation(Struct, frozen=True):
    """Workloads whose values of `label` differ never share a Host, or with `vm` not even a VM (NIST SP 800-190, 4.3.3).

    Having no such label is a value of its own. A VM that is a node counts by its Pods, unless it has the label itself:
    then only Pods of that value run in it.
    """

    label: str
    within: str = "host"  # or "vm", which for workloads outside of a node is the Host all the same


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

    `percentage`: of CPU and memory over all Hosts (0 is worked out from `failures` largest Hosts). `dedicated` are
    Hosts that stay empty until one fails.
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
