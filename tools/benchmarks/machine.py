"""What it was measured on, and how much memory its kernel uses."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from benchmarks.rows import Row, plain

_KERNEL_MEMORY = ("Slab", "Percpu")


def rows() -> Iterator[Row]:
    """Cores, kernel, memory, and what else the machine is doing: a ratio of two busy minutes is worth less."""
    yield plain("machine: cores", len(os.sched_getaffinity(0)))
    yield plain("machine: kernel", platform.release())
    yield plain("machine: memory", meminfo()["MemTotal"] / 1024, "MiB")
    yield plain("machine: load before", os.getloadavg()[0])
    yield plain("machine: user", "root" if os.geteuid() == 0 else "ordinary user")


def meminfo() -> dict[str, int]:
    """/proc/meminfo in KiB."""
    lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    return {name: int(rest.split()[0]) for name, rest in (line.split(":") for line in lines)}


def kernel_memory() -> float:
    """MiB of objects and per-CPU data of the whole machine's kernel; only differences mean anything."""
    found = meminfo()
    return sum(found[name] for name in _KERNEL_MEMORY) / 1024


def peak_memory(pid: int) -> float:
    """The most MiB that a process ever had resident."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1024


def processor_seconds(pid: int) -> float:
    """What a process has used of all processors so far, in user and system mode: other work hardly touches it."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Others:
    """Network namespaces of others that come or go: what the kernel needs for them is not ours.

    `count` is by how many they ever differed from the first look. Nothing more is kept: who looks may be measured.
    """

    def __init__(self) -> None:
        self.count = 0
        self._first: set[Path] | None = None

    def look(self, *holders: int) -> None:
        """At all but our own and those of the labs of these holders."""
        self.saw(namespaces() - {namespace(str(process)) for process in ("self", *holders)})

    def saw(self, found: set[Path]) -> None:
        """These are there now."""
        self._first = found if self._first is None else self._first
        self.count = max(self.count, len(found ^ self._first))


def namespaces() -> set[Path]:
    """The network namespaces of all processes that we may ask."""
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended, or is somebody else's
            found.add(namespace(process.name))
    return found


def reachable() -> int:
    """Network namespaces that some process is in, or that have a name in its mounts; for root."""
    found, looked_at = {str(one) for one in namespaces()}, set()
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended
            mounts = (process / "ns/mnt").readlink()
            if mounts not in looked_at:
                looked_at.add(mounts)
                found |= {one for one in mounted(process) if one.startswith("net:")}
    return len(found)


def mounted(process: Path) -> Iterator[str]:
    """The roots of what is mounted where a process is, which of a namespace is its name."""
    for line in (process / "mountinfo").read_text().splitlines():
        yield line.split()[3]


def namespace(process: str) -> Path:
    """The network namespace of a process, as the kernel calls it."""
    return Path(f"/proc/{process}/ns/net").readlink()
