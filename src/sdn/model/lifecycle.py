"""What happens to a running lab: operations that a user or a scenario asks for, and what comes of each."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

from sdn.model.workload import Workload


class What(StrEnum):
    """What can fail and be healed."""

    HOST = "host"
    VM = "vm"
    POD = "pod"
    SWITCH = "switch"
    LINK = "link"


class Migrate(Struct, frozen=True, tag="migrate"):
    """Move one workload to a Host (or a Pod to a node) while it runs. A node takes its Pods along."""

    workload: str
    host: str


class Drain(Struct, frozen=True, tag="drain"):
    """Maintenance: nothing new on this Host, and what runs there moves away. `heal` ends it."""

    host: str


class Rebalance(Struct, frozen=True, tag="rebalance"):
    """Move what pays for itself; with `dry_run` only say what would move and why."""

    dry_run: bool = False


class Fail(Struct, frozen=True, tag="fail"):
    """Break something: a Host with all that runs on it, a VM or Pod, a Switch, or the link `A:B`."""

    what: What
    name: str


class Heal(Struct, frozen=True, tag="heal"):
    """Mend what failed or is in maintenance, by its name."""

    name: str


class Scale(Struct, frozen=True, tag="scale"):
    """As many replicas of `namespace/name` as this."""

    workload: str
    replicas: int


class Label(Struct, frozen=True, tag="label"):
    """Set labels of workloads (one key, or an owner's for all replicas); an empty value removes the label."""

    workload: str
    labels: dict[str, str]


class Rollout(Struct, frozen=True, tag="rollout"):
    """Replace the replicas of an Application's owners one batch after another; a canary batch of one comes first.

    At most `max_unavailable` are away at a time; each batch must be healthy before the next begins, else it stops and
    it goes back. `workloads` are new descriptions of some of them, which then are all that is replaced; without any
    each is replaced by its like. `application` may also be `namespace/name` of one owner.

    With `hosts` it is the Hosts' turn instead: so many at a time go into maintenance and come back.
    """

    application: str
    max_unavailable: int = 1
    workloads: tuple[Workload, ...] = ()
    hosts: bool = False


Operation = Migrate | Drain | Rebalance | Fail | Heal | Scale | Label | Rollout


class Move(Struct, frozen=True):
    """One step of an ordered plan: `source` and `target` are Hosts, the nodes empty outside of VMs.

    An empty `source` starts a workload, an empty `target` stops it. `why` is for people.
    """

    workload: str
    source: str
    target: str
    source_node: str = ""
    target_node: str = ""
    why: str = ""


class Moved(Struct, frozen=True):
    """One Move as it was made: seconds until the workload could send and receive again, connections carried."""

    move: Move
    gap: float = 0.0
    connections: int = 0


class Stage(Struct, frozen=True):
    """A named part of an operation and how long it took, in seconds."""

    name: str
    seconds: float


class Outcome(Struct, frozen=True):
    """What came of an Operation: what moved and why, what was touched, what it cost.

    `changes` is by kind (added, changed, removed), as in `sdn apply`. `enforced` is seconds from the request until the
    kernel had taken the last of it. The watching probe counts packets: `sent` are those that were permitted, of them
    `lost` did not come and `duplicated` came again; `leaked` are forbidden ones that came. `refused` holds reasons
    where the answer is no; nothing has been changed then. `failed` holds what was begun and taken back. `notes` say
    what the moves could not do.
    """

    operation: Operation
    moved: tuple[Moved, ...] = ()
    hosts: tuple[str, ...] = ()
    changes: dict[str, tuple[int, int, int]] = {}
    stages: tuple[Stage, ...] = ()
    planned: float = 0.0
    enforced: float = 0.0
    sent: int = 0
    lost: int = 0
    duplicated: int = 0
    leaked: int = 0
    refused: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
