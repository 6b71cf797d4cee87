"""The data path of labs that are up: throughput, packets, new connections and round trips, with ever larger policies.

All labs are up side by side and are measured in turn, several rounds; each ratio is of neighbours in the same round,
and the median over the rounds is what is printed. So a machine that is busy for a minute harms no comparison.
"""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import msgspec

from benchmarks import datapath_hosts, machine
from benchmarks.datapath_ends import Case, Figure, ends, serve
from benchmarks.datapath_labs import HOST, entries, lab
from benchmarks.rows import Row, compared, plain
from sdn.errors import LabError
from sdn.lab import client
from sdn.model import Model

FEWEST = 10
"""Entries that every other number of entries is compared with."""
LINEAR = {"iptables-legacy": "iptables-legacy-restore", "iptables-nft": "iptables-nft-restore"}


@dataclass(frozen=True)
class Options:
    """Sizes in policy entries of host-1, of `linear` chains and of lists of `blocks`; a size of 0 is left out.

    Each lab has its turn `rounds` times for each figure, and a fifth as often for those by iperf3, which take longer.
    """

    entries: Sequence[int] = (FEWEST, 1000, 10_000, 100_000)
    linear: Sequence[int] = (10_000,)
    blocks: Sequence[int] = (1000,)
    rounds: int = 20
    paths: Sequence[str] = ("near", "far", "near-lan", "far-lan", "service near", "service far")
    measures: Sequence[str] = ("rtt", "datagram", "connection", "bulk", "bulks", "flow", "flows", "packets")


UNITS = {
    "rtt": ("us", ""),
    "datagram": ("us", ""),
    "connection": ("us", ""),
    "bulk": ("us/64 KiB", ""),
    "bulks": ("us/64 KiB", ""),
    "flow": ("Gbit/s", "us/MiB"),
    "flows": ("Gbit/s", "us/MiB"),
    "packets": ("packets/s", "us"),
}
"""What is measured, in what, and in what the processor time for it: the first five by one thread that is both ends,
whose time is that, the others by iperf3."""


def run(options: Options, note: Callable[[str], None]) -> Iterator[Row]:
    """Rows as they come."""
    yield from machine.rows()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sdn-bench-")))
        cases = list(_cases(stack, folder, options, note))
        for case in cases:
            yield plain(f"datapath {case.name}: entries on {HOST}", case.holds)
            if any(UNITS[measure][1] for measure in options.measures):
                serve(stack, case, options.paths)
        for path in options.paths:
            for measure in options.measures:
                if able := [case for case in cases if case.services or not path.startswith("service")]:
                    yield from _rows(path, measure, _rounds(able, path, measure, options), able)


def _cases(stack: ExitStack, folder: Path, options: Options, note: Callable[[str], None]) -> Iterator[Case]:
    yield _case(stack, "no firewall", lab(folder, "none", FEWEST), datapath_hosts.no_firewall)
    bare = msgspec.structs.replace(lab(folder, "bare", FEWEST), services=())
    yield _case(stack, "no Services", bare)
    for number in filter(None, options.entries):
        yield _case(stack, f"{number:,} entries", lab(folder, f"e{number}", number))
    for number in filter(None, options.blocks):
        yield _case(stack, f"{number:,} blocks", lab(folder, f"b{number}", FEWEST, number))
    for name, program in LINEAR.items():
        for number in filter(None, options.linear):
            try:
                replace = datapath_hosts.linear(program)
                yield _case(stack, f"{name} {number:,}", lab(folder, f"l{number}", number), replace)
            except LabError as error:
                note(f"{name} is not compared: {error}")
                break


def _case(stack: ExitStack, name: str, model: Model, replace: Callable[[client.Lab], None] | None = None) -> Case:
    running = stack.enter_context(client.temporary(model))
    running.built()
    holds = entries(running.plan()[HOST])
    if replace is not None:
        replace(running)
    return Case(name, running, running.placed(), holds, replace is None and bool(model.services))


def _rounds(cases: Sequence[Case], path: str, measure: str, options: Options) -> dict[str, list[Figure]]:
    """Case → a figure per round; every other round goes the other way, so that nobody always follows the same one."""
    found: dict[str, list[Figure]] = defaultdict(list)
    with ExitStack() as stack:
        asked = [(case.name, stack.enter_context(ends(case, path, measure))) for case in cases]
        for number in range(-(-options.rounds // 5) if UNITS[measure][1] else options.rounds):
            for name, figure in asked if number % 2 == 0 else reversed(asked):
                found[name].append(figure())
    return found


def _rows(path: str, measure: str, found: dict[str, list[Figure]], cases: Sequence[Case]) -> Iterator[Row]:
    """Each beside no firewall, and beside the fewest entries."""
    unit, of_processor = UNITS[measure]
    for case in cases:
        title = f"datapath {path} {measure}: {case.name}"
        beside = [name for name in ("no firewall", f"{FEWEST:,} entries") if name in found and name != case.name]
        beside = beside if case.name != "no firewall" else []
        values = {name: [figure.value for figure in figures] for name, figures in found.items()}
        yield from _beside(title, values, case.name, beside, unit)
        if of_processor:
            spent = {name: [figure.spent for figure in figures] for name, figures in found.items()}
            yield from _beside(f"{title}, processor", spent, case.name, beside, of_processor)


def _beside(title: str, found: dict[str, list[float]], name: str, peers: Sequence[str], unit: str) -> Iterator[Row]:
    if not peers:
        yield plain(title, median(found[name]), unit)
    for peer in peers:
        ratio = median(one / other for one, other in zip(found[name], found[peer], strict=True))
        yield compared(title, median(found[name]), unit, peer, median(found[name]) / ratio)
