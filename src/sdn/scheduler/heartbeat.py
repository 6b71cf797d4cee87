"""Which Hosts are silent: told what was heard and what time it is, it says who is suspected, failed, or back.

There is no clock inside, and a change carries the instant at which it became true, not the one at which somebody asked:
the same heartbeats give the same changes however often they are looked at. A Host that was declared failed and speaks
again is `returned`, not alive: what ran there runs elsewhere by now, so it may run nothing until it is readmitted.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from msgspec import Struct


class Health(StrEnum):
    """What is believed of a Host. What ran on a `failed` one starts elsewhere; a `returned` one is not used yet."""

    ALIVE = "alive"
    SUSPECTED = "suspected"
    FAILED = "failed"
    RETURNED = "returned"


class Change(Struct, frozen=True, order=True):
    """At that instant (seconds, on the caller's clock) the belief about a Host became this."""

    at: float
    host: str
    health: Health


class Patience(Struct, frozen=True):
    """Seconds between two heartbeats, and after how many missing ones a Host is suspected, and then failed."""

    interval: float = 1.0
    suspect: int = 2
    fail: int = 5


@dataclass(slots=True)
class _Seen:
    """The last heartbeat of one Host and what is believed of it."""

    last: float
    health: Health = Health.ALIVE


class Heartbeats:
    """The detector: every Host counts as heard when it is first watched."""

    def __init__(self, hosts: Iterable[str], now: float, patience: Patience | None = None) -> None:
        self.patience = patience or Patience()
        if not 0 < self.patience.suspect <= self.patience.fail or self.patience.interval <= 0:
            raise ValueError("heartbeats need an interval above 0 and 0 < suspect <= fail")
        self._seen: dict[str, _Seen] = {}
        for host in sorted(hosts):
            self.watch(host, now)

    def watch(self, host: str, now: float) -> None:
        """Expect heartbeats of a Host from now on."""
        self._seen[host] = _Seen(now)

    def forget(self, host: str) -> None:
        """Expect nothing more of a Host, such as one that left the lab."""
        self._seen.pop(host, None)

    def health(self, host: str) -> Health:
        """What was believed at the last `check`."""
        return self._seen[host].health

    def heard(self, host: str, now: float) -> tuple[Change, ...]:
        """A heartbeat arrived; silence that ended with it is told first. One of an unwatched Host says nothing."""
        seen = self._seen.get(host)
        if seen is None or now < seen.last:  # overtaken on the way: a later one has been heard
            return ()
        changes = self._silence(host, seen, now)
        seen.last = now
        if seen.health is Health.FAILED:
            seen.health = Health.RETURNED
        elif seen.health is Health.SUSPECTED:
            seen.health = Health.ALIVE
        else:
            return tuple(changes)
        return (*changes, Change(now, host, seen.health))

    def check(self, now: float) -> tuple[Change, ...]:
        """Whose silence has become too long by now, in the order in which it did."""
        return tuple(sorted(change for host, seen in self._seen.items() for change in self._silence(host, seen, now)))

    def readmit(self, host: str, now: float) -> tuple[Change, ...]:
        """Let a returned Host run something again; whoever says so has seen that it runs nothing."""
        seen = self._seen[host]
        if seen.health is not Health.RETURNED:
            return ()
        seen.health, seen.last = Health.ALIVE, now
        return (Change(now, host, Health.ALIVE),)

    def due(self) -> float | None:
        """The next instant at which silence would change a belief; None while there is nobody to wait for."""
        return min((at for seen in self._seen.values() for at, _ in self._deadlines(seen)), default=None)

    def _deadlines(self, seen: _Seen) -> list[tuple[float, Health]]:
        """What further silence makes of a Host, and when."""
        suspected = (seen.last + self.patience.suspect * self.patience.interval, Health.SUSPECTED)
        failed = (seen.last + self.patience.fail * self.patience.interval, Health.FAILED)
        match seen.health:
            case Health.ALIVE:
                return [suspected, failed]
            case Health.FAILED:
                return []
            case _:  # a returned Host runs nothing that suspicion could be about
                return [failed]

    def _silence(self, host: str, seen: _Seen, now: float) -> list[Change]:
        passed = [(at, health) for at, health in self._deadlines(seen) if at <= now]
        if passed:
            seen.health = passed[-1][1]
        return [Change(at, host, health) for at, health in passed]
