"""Resource pools: whether a reservation is to be had, from the own pool or, where it expands, from its parents.

A pool claims of its parent what it reserves for itself, or what was reserved in it where that is more.
"""

from __future__ import annotations

from sdn.model import Pool, Resources
from sdn.scheduler.filters import Reason, cpu_text, memory_text

Amounts = tuple[int, int]  # millicores, MiB


class _Pool:
    """One pool, and what is reserved in it: by members, and claimed by the pools in it."""

    __slots__ = ("expandable", "limit", "name", "own", "parent", "used")

    def __init__(self, name: str, resources: Resources, expandable: bool) -> None:
        self.name = name
        self.own = (resources.cpu_reservation or 0, resources.memory_reservation or 0)
        self.limit = (resources.cpu_limit, resources.memory_limit)
        self.expandable = expandable
        self.used = [0, 0]
        self.parent: _Pool | None = None

    def claim(self, which: int) -> int:
        """What its parent gives it."""
        return max(self.own[which], self.used[which])


class Pools:
    """All pools; the root has what the Hosts have together."""

    def __init__(self, written: tuple[Pool, ...], total: Amounts) -> None:
        self._root = _Pool("", Resources(*total), expandable=False)
        self._pools = {each.name: _Pool(each.name, each.resources, each.expandable) for each in written}
        for each in written:
            pool = self._pools[each.name]
            pool.parent = self._pools.get(each.parent, self._root)
        for pool in self._pools.values():
            for which in (0, 1):
                self._add(pool.parent, which, pool.own[which])

    @property
    def used(self) -> bool:
        """Whether there is any pool."""
        return bool(self._pools)

    def reason(self, name: str, amounts: Amounts) -> Reason | None:
        """The first pool on the way up that has too little left."""
        for which, amount in enumerate(amounts):
            full = self._full(name, which, amount) if amount > 0 else None
            if full is not None:
                text = cpu_text(amount) + " CPU" if which == 0 else memory_text(amount) + " memory"
                where = f"pool {full.name}" if full.name else "what all Hosts have"
                return Reason(
                    f"{where} has no {text} left to reserve", "", f"raise what {where} reserves or may reserve"
                )
        return None

    def _full(self, name: str, which: int, amount: int) -> _Pool | None:
        pool: _Pool | None = self._pools.get(name, self._root)
        while pool is not None and amount > 0:
            before, after = pool.claim(which), pool.used[which] + amount
            limit = pool.limit[which]
            if (limit is not None and after > limit) or (not pool.expandable and after > pool.own[which]):
                return pool
            amount = max(pool.own[which], after) - before
            pool = pool.parent
        return None

    def take(self, name: str, amounts: Amounts) -> None:
        """Reserve, or with negative amounts give back."""
        for which, amount in enumerate(amounts):
            self._add(self._pools.get(name, self._root), which, amount)

    @staticmethod
    def _add(pool: _Pool | None, which: int, amount: int) -> None:
        while pool is not None and amount:
            before = pool.claim(which)
            pool.used[which] += amount
            amount = pool.claim(which) - before
            pool = pool.parent
