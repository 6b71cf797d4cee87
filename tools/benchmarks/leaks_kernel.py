"""What the machine's kernel keeps, all of it: nobody can ask it for one lab's part.

Objects that the kernel gives back when memory is short (dentries, inodes, buffers) are left out, for they are what the
machine has read lately.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path

from benchmarks import machine
from benchmarks.leaks_process import SETTLED
from benchmarks.rows import Row, plain
from benchmarks.series import Series

MOST = 3
"""Kinds of objects that are named: those that grow most."""

_SLABS = Path("/proc/slabinfo")
_NAMESPACES = "net_namespace"


class Kernel:
    """The series of the machine's kernel in one case."""

    def __init__(self) -> None:
        self.series = [Series("kernel's stacks and per-CPU data", "KiB", 1.0, SETTLED, shared=True)]
        self._kinds: dict[str, Series] = {}
        self.missing = ""
        try:
            slabs()
        except PermissionError:
            self.missing = "the kernel's objects and network namespaces are not counted: only root may read them"
        else:
            self.series += [
                Series("kernel objects", "KiB", 1.0, SETTLED, shared=True),
                Series("network namespaces that nobody reaches", "", 0.2),
            ]

    def sample(self, step: int) -> None:
        """All of them, now."""
        found = machine.meminfo()
        self.series[0].add(step, found["Percpu"] + found["KernelStack"])
        if self.missing:
            return
        kept = {name: (number, size) for name, (number, size) in slabs().items() if not _is_given_back(name)}
        self.series[1].add(step, sum(number * size for number, size in kept.values()) / 1024)
        # Those of others come and go, and are reached; those that are being removed are, after a while, none.
        self.series[2].add(step, kept[_NAMESPACES][0] - machine.reachable())
        for name, (number, size) in kept.items():
            if name not in self._kinds:
                self._kinds[name] = Series(name, "B", 1024.0)
            self._kinds[name].add(step, number * size)

    def rows(self, case: str) -> Iterator[Row]:
        """The kinds of objects that grow most, whether or not that is more than noise."""
        for one in sorted(self._kinds.values(), key=lambda one: -one.slope)[:MOST]:
            yield plain(f"{case}: of kernel objects {one.name}, slope", one.slope, "B/step")
            yield plain(f"{case}: of kernel objects {one.name}, its standard error", one.error, "B/step")


def slabs() -> dict[str, tuple[int, int]]:
    """Kind of object → how many there are, and bytes of each. PermissionError for all but root."""
    lines = [line.split() for line in _SLABS.read_text(encoding="ascii").splitlines()[2:]]
    return {words[0]: (int(words[1]), int(words[3])) for words in lines}


@cache
def _is_given_back(name: str) -> bool:
    with suppress(OSError):
        return Path(f"/sys/kernel/slab/{name}/reclaim_account").read_text(encoding="ascii").strip() == "1"
    return False
