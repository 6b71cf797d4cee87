"""Many Hosts with few pods: up, every pod probed, down; what each Host knows of all others is what grows here.

The floor is that of `boot`: namespaces and cables alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks import boot, machine
from benchmarks.boot import Times
from benchmarks.labs import MANY_HOSTS, Size
from benchmarks.rows import Row, plain


@dataclass(frozen=True)
class Options:
    """Sizes: Hosts, each with so many pods; a name of `labs.MANY_HOSTS`."""

    hosts: Sequence[int] = (1000,)
    pods_per_host: int = 5
    shape: str = "flat"


def run(options: Options, note: Callable[[str], None]) -> Iterator[Row]:
    """All rows; `note` is told how far it is."""
    yield from machine.rows()
    for hosts in options.hosts:
        size, found = Size(hosts * options.pods_per_host, hosts), Times()
        case = f"hosts {options.shape} {hosts} of {options.pods_per_host} pods"
        note(case)
        with TemporaryDirectory(prefix="sdn-bench-") as folder:
            boot.measure(MANY_HOSTS[options.shape], Path(folder), size, found)
        yield from boot.rows(case, size.pods, found)
        if found.others.count:
            continue
        over = max(found.kernel) - max(one.memory for one in found.floors)
        yield plain(f"{case}: kernel memory beyond the floor, per Host", over * 1024 / hosts, "KiB")
