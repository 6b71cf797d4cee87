"""How long a lab takes from its file to "up" and the last answer, and from "down" until the kernel has removed it.

Each number stands beside the floor (see `floor`) and beside Mininet where it is there, all measured in the same run:
absolute times are the machine's, ratios are ours.
"""

from __future__ import annotations

import os
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks import command, floor, machine, peers
from benchmarks.floor import Floor
from benchmarks.gone import seconds_until_gone
from benchmarks.labs import SHAPES, Size
from benchmarks.positive import ask_everybody
from benchmarks.rows import Row, best_and_median, compared, plain
from sdn.lab import client
from sdn.lab.ahead import ahead
from sdn.policy import lint
from sdn.report import words
from sdn.spec.load import load

SMALL = 100
"""Up to so many pods a lab is quick enough to be measured several times."""

BY_COMMAND = 1000
"""Up to so many it is also built by the command line, which then differs by Python's start alone."""


@dataclass(frozen=True)
class Options:
    """What is measured: sizes in pods, names of `labs.SHAPES`, and how often small and large labs are built."""

    pods: Sequence[int] = (100, 1000)
    shapes: Sequence[str] = tuple(SHAPES)
    repeat: int = 3
    repeat_large: int = 1


@dataclass
class Times:
    """One lab and its floor, built and removed several times; seconds, and MiB of memory."""

    up: list[float] = field(default_factory=list)
    probed: list[float] = field(default_factory=list)
    down: list[float] = field(default_factory=list)
    command_up: list[float] = field(default_factory=list)
    command_down: list[float] = field(default_factory=list)
    holder: list[float] = field(default_factory=list)
    kernel: list[float] = field(default_factory=list)
    others: machine.Others = field(default_factory=machine.Others)
    stages: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    counts: dict[str, int] = field(default_factory=dict)
    questions: int = 0
    floors: list[Floor] = field(default_factory=list)
    floors_down: list[float] = field(default_factory=list)


def run(options: Options, note: Callable[[str], None]) -> Iterator[Row]:
    """All rows; `note` is told what was left out, and why."""
    yield from machine.rows()
    other = peers.mininet(min(peers.MOST_HOSTS, max(options.pods)))
    if isinstance(other, str):
        note(other)
    with TemporaryDirectory(prefix="sdn-bench-") as folder:
        _warm_up(Path(folder))
        for pods in options.pods:
            size, times = Size(pods), options.repeat if pods <= SMALL else options.repeat_large
            for shape in options.shapes:
                place = Path(folder) / f"{shape}-{pods}"
                place.mkdir()
                measured = Times()
                for _ in range(times):
                    # Side by side with what is compared with it: the machine may be busier in a minute.
                    measure(SHAPES[shape], place, size, measured)
                yield from rows(f"boot {shape} {pods}", pods, measured)
                if not isinstance(other, str):
                    yield from _beside_mininet(f"boot {shape} {pods}", pods, measured, other)


def measure(write: Callable[[Path, Size], Path], folder: Path, size: Size, found: Times) -> None:
    """One floor, and one lab from its file until it is gone; where that is quick, by the command line as well."""
    _floor(size, found)
    path, name = write(folder, size), f"bench-{os.getpid()}-{size.pods}"
    found.others.look()
    with command.ending(name):
        _in_process(path, name, found)
        found.others.look()
        if size.pods <= BY_COMMAND:
            _by_command(path, name, found)


def _floor(size: Size, found: Times) -> None:
    """The floor, and how long the kernel takes to remove it."""

    def build_and_end() -> float:
        found.floors.append(floor.measure(size))
        return found.floors[-1].ending

    found.floors_down.append(seconds_until_gone(build_and_end))


def _in_process(path: Path, name: str, found: Times) -> None:
    """What `sdn up` and `sdn down` do, called in this process."""
    memory, start = machine.kernel_memory(), time.monotonic()
    with ahead() as begun:
        loaded = load([path])
        loaded_at = time.monotonic()
        warnings = (*loaded.warnings, *lint.warnings(loaded.model, loaded.where))
        linted_at = time.monotonic()
        info = client.up([path], loaded.model, name, warnings=warnings, begun=begun)
        up_at = time.monotonic()
    lab = client.connect(name)
    found.questions = ask_everybody(lab)
    found.probed.append(time.monotonic() - start)
    found.up.append(up_at - start)
    found.kernel.append(machine.kernel_memory() - memory)
    found.holder.append(machine.peak_memory(lab.pid))
    found.down.append(seconds_until_gone(lambda: _began(lab.down)))
    stages = {"load": loaded_at - start, "lint": linted_at - loaded_at, **_merged(info.stages)}
    stages["holder start, messages"] = found.up[-1] - sum(stages.values())
    for stage, seconds in stages.items():
        found.stages[stage].append(seconds)
    found.counts = info.counts


def _began(call: Callable[[], None]) -> float:
    start = time.monotonic()
    call()
    return start


def _merged(stages: Sequence[tuple[str, float]]) -> dict[str, float]:
    """`workloads 13 of 100` and its like under one name."""
    together: dict[str, float] = defaultdict(float)
    for stage, seconds in stages:
        together[stage.split(" of ")[0].rstrip("0123456789").rstrip()] += seconds
    return together


def _by_command(path: Path, name: str, found: Times) -> None:
    """The same by the command line, Python's start included; its `down` returns when the last process has ended."""

    def down() -> float:
        start = time.monotonic()
        command.sdn("down", name)
        found.command_down.append(time.monotonic() - start)
        return start

    start = time.monotonic()
    command.sdn("up", str(path), "--name", name)
    found.command_up.append(time.monotonic() - start)
    # The kernel holds its lock on links while it removes them, which the next lab would have to wait for.
    seconds_until_gone(down)


def _warm_up(folder: Path) -> None:
    """One small lab, so that Python's bytecode is cached, as it is for whoever uses sdn a second time.

    The cache is in `folder`: the checkout may be read-only, and an environment may forbid to write beside the source.
    """
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ["PYTHONPYCACHEPREFIX"] = str(folder / "bytecode")
    place = folder / "warm-up"
    place.mkdir()
    name = f"bench-{os.getpid()}-warm-up"
    with command.ending(name):
        command.sdn("up", str(SHAPES["flat"](place, Size(1))), "--name", name)
        command.sdn("down", name)


def rows(case: str, pods: int, found: Times) -> Iterator[Row]:
    """What `found` says, for a case of so many pods."""
    counts = ", ".join(words.count(number, what) for what, number in found.counts.items() if number)
    yield plain(f"{case}: what", counts)
    up_floor, down_floor = [one.seconds for one in found.floors], found.floors_down
    for title, series, peer in (
        ("up", found.up, up_floor),
        ("`sdn up`", found.command_up, up_floor),
        ("up, every pod probed", found.probed, up_floor),
        ("down, all gone", found.down, down_floor),
    ):
        if not series:
            continue
        for (which, value), (_, peer_value) in zip(best_and_median(series), best_and_median(peer), strict=True):
            yield compared(f"{case}: {title}{which}", 1e3 * value / pods, "ms/pod", "floor", 1e3 * peer_value / pods)
    if found.command_down:
        yield plain(f"{case}: `sdn down`", 1e3 * min(found.command_down) / pods, "ms/pod")
    yield compared(f"{case}: down of up", min(found.down), "s", "up, every pod probed", min(found.probed))
    yield plain(f"{case}: questions that were answered", found.questions)
    best, best_floor = min(found.up), min(up_floor)
    yield plain(f"{case}: up in all", best, "s")
    yield compared(f"{case}: rate", pods / best, "pods/s", "floor", pods / best_floor)
    for stage, seconds in found.stages.items():
        yield plain(f"{case}: of it {stage}", min(seconds), "s")
    yield plain(f"{case}: holder's peak memory", max(found.holder), "MiB")
    if found.others.count:
        yield plain(
            f"{case}: kernel memory", f"not told: {found.others.count} network namespaces of others came or went"
        )
    else:
        memory = max(one.memory for one in found.floors)
        yield compared(f"{case}: kernel memory", max(found.kernel), "MiB", "floor", memory)


def _beside_mininet(case: str, pods: int, found: Times, other: peers.Mininet) -> Iterator[Row]:
    for title, series, seconds in (("up", found.up, other.up), ("down, all gone", found.down, other.down)):
        per_host = 1e3 * seconds / other.hosts
        yield compared(f"{case}: {title}", 1e3 * min(series) / pods, "ms/pod", other.label, per_host)
