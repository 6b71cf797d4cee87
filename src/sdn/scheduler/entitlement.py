"""What each VM may use of a Host that has too little for all: vSphere's reservation, limit and shares.

Everybody gets at least what he has reserved, if he wants it, and never more than his limit or his demand; what is left
goes by shares, and what one does not want to the others. First among pools and the VMs beside them, then within each.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction

from msgspec import Struct

from sdn.model import Pool, Resources, Workload


class Claim(Struct, frozen=True):
    """One side of a division, all in one unit; `reservation` beyond what it wants is left to the others."""

    demand: int
    reservation: int = 0
    limit: int | None = None
    shares: int = 1000

    @property
    def most(self) -> int:
        """What it takes at best."""
        return self.demand if self.limit is None else min(self.demand, self.limit)

    @property
    def least(self) -> int:
        """What it gets in any case."""
        return min(self.reservation, self.most)


def divide(capacity: int, claims: Sequence[Claim]) -> list[Fraction]:
    """Water-filling: each gets one level times its shares, but not less than its least nor more than its most.

    Reservations beyond the capacity, which admission never lets happen, are cut in proportion.
    """
    least = sum(claim.least for claim in claims)
    if least >= capacity:
        return [Fraction(claim.least * capacity, least) if least else Fraction(0) for claim in claims]
    if sum(claim.most for claim in claims) <= capacity:
        return [Fraction(claim.most) for claim in claims]
    level = _level(capacity, claims)
    given = [min(Fraction(claim.most), max(Fraction(claim.least), claim.shares * level)) for claim in claims]
    return _without_shares(capacity, claims, given)


def _level(capacity: int, claims: Sequence[Claim]) -> Fraction:
    """How high the water stands: between two of the levels at which somebody starts to get more, or is content."""
    moving = [claim for claim in claims if claim.shares > 0]
    turns = sorted({Fraction(edge, claim.shares) for claim in moving for edge in (claim.least, claim.most)})
    low = Fraction(0)
    for high in turns:
        if _filled(high, claims) >= capacity:
            break
        low = high
    else:
        return low
    rising = sum(c.shares for c in moving if Fraction(c.least, c.shares) <= low < Fraction(c.most, c.shares))
    return low + (capacity - _filled(low, claims)) / rising if rising else low


def _filled(level: Fraction, claims: Sequence[Claim]) -> Fraction:
    return sum((min(Fraction(c.most), max(Fraction(c.least), c.shares * level)) for c in claims), Fraction(0))


def _without_shares(capacity: int, claims: Sequence[Claim], given: list[Fraction]) -> list[Fraction]:
    """Who has no shares gets what all others leave, in the same proportion of what he wants."""
    left = capacity - sum(given)
    wanted = sum(c.most - g for c, g in zip(claims, given, strict=True) if c.shares == 0)
    if left <= 0 or not wanted:
        return given
    part = min(Fraction(1), left / wanted)
    return [g + (c.most - g) * part if c.shares == 0 else g for c, g in zip(claims, given, strict=True)]


class Entitled(Struct, frozen=True):
    """What one workload may use: millicores and MiB, rounded down."""

    cpu: int
    memory: int


def entitlements(
    capacity: tuple[int, int],
    workloads: Sequence[Workload],
    demands: Mapping[str, tuple[int, int]],
    pools: Sequence[Pool] = (),
) -> dict[str, Entitled]:
    """Divide (millicores, MiB) of a Host among what runs there; a demand left out is all that a workload asks for.

    A reservation that is not written is none here: what is guaranteed to all is nothing that shares could divide.
    """
    cpu, memory = (_divided(which, capacity[which], workloads, demands, pools) for which in (0, 1))
    return {w.key: Entitled(int(cpu[w.key]), int(memory[w.key])) for w in sorted(workloads, key=lambda w: w.key)}


def _divided(
    which: int,
    capacity: int,
    workloads: Sequence[Workload],
    demands: Mapping[str, tuple[int, int]],
    pools: Sequence[Pool],
) -> dict[str, Fraction]:
    """Of one resource, from the top."""
    known = {pool.name for pool in pools}
    members: dict[str, list[Workload]] = {name: [] for name in ("", *known)}
    inner: dict[str, list[Pool]] = {name: [] for name in ("", *known)}
    for workload in sorted(workloads, key=lambda w: w.key):
        members[workload.scheduling.pool if workload.scheduling.pool in known else ""].append(workload)
    for pool in sorted(pools, key=lambda pool: pool.name):
        inner[pool.parent if pool.parent in known else ""].append(pool)
    claims = {w.key: _claim(w.scheduling.resources, _demand(w, demands)[which], which) for w in workloads}
    for pool in _upwards(pools):
        below = [*(claims[w.key] for w in members[pool.name]), *(claims[each.name] for each in inner[pool.name])]
        claims[pool.name] = _pool_claim(pool, below, which)
    result: dict[str, Fraction] = {}
    todo = [("", Fraction(capacity))]
    while todo:
        name, amount = todo.pop()
        names = [*(w.key for w in members[name]), *(pool.name for pool in inner[name])]
        parts = dict(zip(names, divide(int(amount), [claims[each] for each in names]), strict=True))
        result.update({w.key: parts[w.key] for w in members[name]})
        todo += [(pool.name, parts[pool.name]) for pool in inner[name]]
    return result


def _demand(workload: Workload, demands: Mapping[str, tuple[int, int]]) -> tuple[int, int]:
    return demands.get(workload.key, (workload.cpu, workload.memory))


def _claim(resources: Resources | None, demand: int, which: int) -> Claim:
    """Of CPU (0) or memory (1)."""
    r = resources or Resources()
    if which == 0:
        return Claim(demand, r.cpu_reservation or 0, r.cpu_limit, r.cpu_shares)
    return Claim(demand, r.memory_reservation or 0, r.memory_limit, r.memory_shares)


def _pool_claim(pool: Pool, below: Sequence[Claim], which: int) -> Claim:
    """A pool wants what its members want, and is guaranteed what they are where it expands."""
    own = _claim(pool.resources, sum(claim.most for claim in below), which)
    inside = sum(claim.least for claim in below) if pool.expandable else 0
    return Claim(own.demand, max(own.reservation, inside), own.limit, own.shares)


def _upwards(pools: Sequence[Pool]) -> list[Pool]:
    """Inner pools before those that they are in."""
    parents = {pool.name: pool.parent for pool in pools}

    def depth(name: str) -> int:
        return 1 + depth(parents[name]) if name in parents else 0

    return sorted(pools, key=lambda pool: (-depth(pool.name), pool.name))
