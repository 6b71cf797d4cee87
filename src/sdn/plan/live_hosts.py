"""Sets of Hosts that change one by one and are asked for whole, sorted, thousands of times in between."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Iterable


class Hosts:
    """Names in order; the tuples that it hands out are made anew only after a change."""

    __slots__ = ("_names", "_tuple", "_where")

    def __init__(self, names: Iterable[str] = ()) -> None:
        self._names = sorted(names)
        self._tuple: tuple[str, ...] | None = None
        self._where: dict[int, tuple[str, ...]] = {}

    def __len__(self) -> int:
        return len(self._names)

    def add(self, host: str) -> None:
        """Of one that is not in it."""
        insort(self._names, host)
        self.forget()

    def discard(self, host: str) -> None:
        """Of one that is in it."""
        del self._names[bisect_left(self._names, host)]
        self.forget()

    def forget(self) -> None:
        """What `where` found may be otherwise now."""
        self._tuple = None
        self._where = {}

    @property
    def all(self) -> tuple[str, ...]:
        """Every one."""
        if self._tuple is None:
            self._tuple = tuple(self._names)
        return self._tuple

    def where(self, value: int, holds: Callable[[str, int], bool]) -> tuple[str, ...]:
        """Those for which it holds; the answer is kept until `forget`."""
        found = self._where.get(value)
        if found is None:
            found = tuple(host for host in self._names if holds(host, value))
            self._where[value] = found = self.all if len(found) == len(self._names) else found
        return found
