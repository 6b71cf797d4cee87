"""vSphere HA's admission control: room for some Hosts to fail, by slots or as a share of everything.

Hosts that are kept empty are no matter of counting: `Cluster` closes them.
"""

from __future__ import annotations

from collections.abc import Sequence

from sdn.model import Admission, Host, HostState, Reserve
from sdn.scheduler.filters import Reason
from sdn.scheduler.terms import shift

Amounts = tuple[int, int]  # millicores, MiB

LEAST_SLOT = 32
"""Millicores of a slot where nobody reserves more: vSphere's 32 MHz."""


class AdmissionControl:
    """What is reserved by what sits on Hosts directly, and how much of it there may be."""

    def __init__(self, written: Admission, hosts: Sequence[Host]) -> None:
        self._written = written
        self._hosts = [host for host in hosts if host.state is HostState.UP]
        failed = sum(host.state is HostState.FAILED for host in hosts)
        self._failures = max(0, written.failures - failed)
        self._sizes: tuple[dict[int, int], dict[int, int]] = ({}, {})  # reservation → workloads that have it
        self._used = [0, 0]
        self._count = 0
        self._slots: dict[Amounts, int] = {}
        self._room = (self._share(0), self._share(1))

    @property
    def used(self) -> bool:
        """Whether any room is kept."""
        match self._written.reserve:
            case Reserve.SLOTS:
                return self._failures > 0
            case Reserve.PERCENTAGE:
                return self._failures > 0 or self._written.percentage > 0
            case Reserve.DEDICATED:
                return False

    def _share(self, which: int) -> int:
        """How much of a resource may be reserved."""
        sizes = sorted(((host.cpu, host.memory)[which] for host in self._hosts), reverse=True)
        total = sum(sizes)
        if self._written.percentage:
            return total - -(-total * self._written.percentage // 100)
        return total - sum(sizes[: self._failures])

    def reason(self, before: Amounts, after: Amounts, new: bool) -> Reason | None:
        """Of a workload that reserves `after` and, unless it is `new`, reserved `before`."""
        if self._written.reserve is Reserve.PERCENTAGE:
            grows = ((i, after[i] - before[i]) for i in (0, 1))
            if any(more > 0 and self._used[i] + more > self._room[i] for i, more in grows):
                return Reason(
                    "would use up what is kept for Hosts that fail",
                    "",
                    "keep less for failures (admission), or add a Host",
                )
            return None
        slot = (self._largest(0, after[0], LEAST_SLOT), self._largest(1, after[1], 0))
        if not new and slot == (self._largest(0, 0, LEAST_SLOT), self._largest(1, 0, 0)):
            return None
        if self._count + new > self._slots_of(slot):
            return Reason(
                "would use up a slot that is kept for Hosts that fail",
                "",
                "keep less for failures (admission), or add a Host",
            )
        return None

    def _largest(self, which: int, own: int, least: int) -> int:
        return max(own, least, max(self._sizes[which], default=0))

    def _slots_of(self, slot: Amounts) -> int:
        """How many slots remain when the Hosts with most of them have failed."""
        if slot not in self._slots:
            slots = [
                min(host.cpu // slot[0], host.memory // slot[1] if slot[1] else host.pods, host.pods)
                for host in self._hosts
            ]
            self._slots[slot] = sum(sorted(slots)[: len(slots) - self._failures]) if len(slots) > self._failures else 0
        return self._slots[slot]

    def count(self, amounts: Amounts, by: int) -> None:
        """A workload with that reservation came (1) or went (-1)."""
        self._count += by
        for which, amount in enumerate(amounts):
            self._used[which] += by * amount
            shift(self._sizes[which], amount, by)
