"""Could everything restart if a Host failed? Tried out for each Host on its own, with the room that is kept for it."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from sdn.model import Model, Placement, Workload
from sdn.scheduler.admission import LEAST_SLOT, Amounts
from sdn.scheduler.balance import compared
from sdn.scheduler.recover import restore
from sdn.scheduler.reservations import reserved
from sdn.scheduler.search import obstacles
from sdn.scheduler.states import without_reserve
from sdn.scheduler.steps import Steps
from sdn.scheduler.target import FAILED, Target


class HostFailure(Struct, frozen=True):
    """What the failure of one Host would do: how many workloads it would stop, and which could not start again.

    `reasons` say why not, a sentence each, in the order of `stranded`.
    """

    host: str
    workloads: int
    stranded: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()


class Readiness(Struct, frozen=True):
    """Per Host that runs something what its failure would do, and the slots of all Hosts that are up.

    A slot is the largest CPU and the largest memory that anything on a Host has reserved, as in vSphere (who says
    nothing has reserved all that it asks for, where its Host is not over-committed); `free` are those that no
    reservation takes, counted Host by Host, so that what is left over on each is no slot.
    """

    failures: tuple[HostFailure, ...]
    slot: tuple[int, int]  # millicores, MiB
    slots: int
    free: int

    @property
    def ready(self) -> bool:
        """Whether any one Host may fail and all restarts."""
        return not any(failure.stranded for failure in self.failures)


def readiness(model: Model, placement: Placement) -> Readiness:
    """What each single failure would do now, without evicting anybody; DaemonSets' Pods go with their Host or node."""
    steps = Steps(without_reserve(model), placement)
    up = compared(without_reserve(model), steps.cluster)
    failures = tuple(_failure(steps, host) for host in up if host.bound)
    held = [[_reserved(steps, host, workload) for workload in host.bound.values()] for host in up]
    slot = (
        max((cpu for some in held for cpu, _ in some), default=0),
        max((memory for some in held for _, memory in some), default=0),
    )
    slot = (max(slot[0], LEAST_SLOT), slot[1]) if any(held) else slot
    free = sum(_slots(host, slot, some) for host, some in zip(up, held, strict=True))
    return Readiness(failures, slot, sum(_slots(host, slot, []) for host in up), free)


def _failure(steps: Steps, host: Target) -> HostFailure:
    """Try it, and take it back."""
    lost = _running(steps, host)
    mark = steps.mark()
    for key in lost:
        if steps.cluster.where(key):
            steps.stop(key, "")
    wanted = {key: node for key, node in lost.items() if not _daemon(steps, key)}
    stranded = restore(steps, wanted, "", avoid=(host.name,), evict=False)
    host.closed = FAILED
    reasons = tuple(obstacles(steps, key) for key in stranded)
    host.closed = ""
    steps.back_to(mark)
    return HostFailure(host.name, len(lost), tuple(stranded), reasons)


def _running(steps: Steps, host: Target) -> dict[str, str]:
    """What runs on a Host, directly and in its nodes, with the node of each."""
    result = {}
    for key in sorted(host.bound):
        result[key] = ""
        result |= dict.fromkeys(steps.inside(key), key)
    return result


def _daemon(steps: Steps, key: str) -> bool:
    workload = steps.workload(key)
    return bool(workload.host) and workload.owner[0] == "DaemonSet"


def _reserved(steps: Steps, host: Target, workload: Workload) -> Amounts:
    return reserved(steps.cluster.shape(workload), host, steps.cluster.inside(workload.key))


def _slots(host: Target, slot: Amounts, held: Sequence[Amounts]) -> int:
    """How many slots a Host has beside what is held there."""
    room = [both - sum(each[i] for each in held) for i, both in enumerate((host.physical_cpu, host.physical_memory))]
    return max(0, min([host.pods - len(held), *(free // size for free, size in zip(room, slot, strict=True) if size)]))
