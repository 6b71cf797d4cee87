"""The data path of labs that are up: throughput, packets, new connections and round trips, with ever larger policies.

All labs are up side by side and are measured in turn, several rounds; each ratio is of neighbours in the same round,
and the median over the rounds is what is printed. So a machine that is busy for a minute harms no comparison.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import msgspec

from benchmarks import datapath_hosts, machine
from benchmarks.datapath_labs import HOST, IPERF, TALK, entries, lab
from benchmarks.rows import Row, compared, plain
from sdn.errors import LabError
from sdn.lab import client
from sdn.model import Model, Placed
from sdn.plan.ids import namespace_of

FEWEST = 10
"""Entries that every other number of entries is compared with."""
LINEAR = {"iptables-legacy": "iptables-legacy-restore", "iptables-nft": "iptables-nft-restore"}
SMALL = 64
"""Bytes of a datagram."""
FLOWS = 64


@dataclass(frozen=True)
class Options:
    """Sizes in policy entries of host-1, of `linear` chains and of lists of `blocks`; a size of 0 is left out."""

    entries: Sequence[int] = (FEWEST, 1000, 10_000, 100_000)
    linear: Sequence[int] = (10_000,)
    blocks: Sequence[int] = (1000,)
    rounds: int = 3
    paths: Sequence[str] = ("near", "far", "near-lan", "far-lan", "service near", "service far")
    measures: Sequence[str] = ("rtt", "connection", "bulk", "flow", "flows", "packets")


@dataclass(frozen=True)
class Case:
    """One lab that is up; `holds` says how much policy is in it."""

    name: str
    lab: client.Lab
    placed: Placed
    holds: int
    enforced: bool = True

    def address(self, path: str) -> str:
        """Of a server, or of the Service before it; IPv4."""
        word, _, name = path.rpartition(" ")
        if word:
            return next(s.addresses[0] for s in self.placed.model.services if s.name == name)
        return self.placed.endpoints[f"a/{name}"].addresses[0]

    def client(self, path: str) -> str:
        """The namespace of whoever calls on this path: of the same Segment as the server."""
        return namespace_of("a/client-lan" if path.endswith("-lan") else "a/client")


SECONDS, SECONDS_OF_IPERF = 0.2, 1
IPERF_PATHS = ("near", "far")
UNITS = {
    "rtt": "us",
    "connection": "us",
    "bulk": "us/64 KiB",
    "flow": "Gbit/s",
    "flows": "Gbit/s",
    "packets": "packets/s",
}
"""What is measured, and in what: the first three by one thread that is both ends, the others by iperf3."""


def _measure(case: Case, path: str, measure: str) -> float:
    """A figure of one lab, now."""
    if measure in ("flow", "flows"):
        many = ["-P", str(FLOWS)] if measure == "flows" else []
        return float(_iperf(case, path, many)["end"]["sum_received"]["bits_per_second"]) / 1e9
    if measure == "packets":
        said = _iperf(case, path, ["-u", "-b", "0", "-l", str(SMALL)])["end"]["sum"]
        return float((said["packets"] - said["lost_packets"]) / said["seconds"])
    return _talk(case, path, measure)


def _iperf(case: Case, path: str, how: Sequence[str]) -> dict[str, Any]:
    command = ["iperf3", "-J", "-c", case.address(path), "-p", str(IPERF), "-t", str(SECONDS_OF_IPERF), *how]
    said = datapath_hosts.run(case.lab, case.client(path), command)
    return msgspec.json.decode(said, type=dict[str, Any])


def _talk(case: Case, path: str, what: str) -> float:
    """Microseconds."""
    server = namespace_of(f"a/{path.rpartition(' ')[2]}")
    words = [case.lab.pid, case.client(path), server, case.address(path), TALK, SECONDS, what]
    command = [sys.executable, "-m", "benchmarks.datapath_talk", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    if done.returncode:
        raise LabError(f"{what} from {case.client(path)} to {server} failed in {case.name}: {done.stderr.strip()}")
    return float(done.stdout)


def run(options: Options, note: Callable[[str], None]) -> Iterator[Row]:
    """Rows as they come."""
    yield from machine.rows()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sdn-bench-")))
        cases = list(_cases(stack, folder, options, note))
        for case in cases:
            yield plain(f"datapath {case.name}: entries on {HOST}", case.holds)
            if not set(options.measures) <= {"rtt", "connection", "bulk"}:
                _serve(stack, case)
        for path in options.paths:
            for measure in options.measures:
                if able := [case for case in cases if _able(case, path, measure)]:
                    yield from _rows(path, measure, _rounds(able, path, measure, options), able)


def _able(case: Case, path: str, measure: str) -> bool:
    """What iperf3 measures differs more from second to second than any firewall makes, so it is asked less."""
    if measure in ("flow", "flows", "packets"):
        return path in IPERF_PATHS and not case.name.startswith("iptables")
    return case.enforced or not path.startswith("service")


def _cases(stack: ExitStack, folder: Path, options: Options, note: Callable[[str], None]) -> Iterator[Case]:
    yield _case(stack, "no firewall", lab(folder, "none", FEWEST), datapath_hosts.no_firewall)
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
    return Case(name, running, running.placed(), holds, replace is None)


def _serve(stack: ExitStack, case: Case) -> None:
    """Servers that stay until their lab ends; returns when they listen."""
    for name in IPERF_PATHS:
        command = ["iperf3", "-s", "-p", str(IPERF), "--forceflush"]
        whole = datapath_hosts.inside(case.lab, namespace_of(f"a/{name}"), command)
        process = stack.enter_context(subprocess.Popen(whole, stdout=subprocess.PIPE, text=True))
        stack.callback(process.kill)
        assert process.stdout is not None
        while (line := process.stdout.readline()) and "listening" not in line:
            pass
        if not line:
            raise LabError(f"iperf3 does not listen in {name}; its error is above")


def _rounds(cases: Sequence[Case], path: str, measure: str, options: Options) -> dict[str, list[float]]:
    """Case → a figure per round; every other round goes the other way, so that nobody always follows the same one."""
    found: dict[str, list[float]] = defaultdict(list)
    for number in range(options.rounds):
        for case in cases if number % 2 == 0 else reversed(cases):
            found[case.name].append(_measure(case, path, measure))
    return found


def _rows(path: str, measure: str, found: dict[str, list[float]], cases: Sequence[Case]) -> Iterator[Row]:
    """Each beside no firewall, and beside the fewest entries."""
    unit = UNITS[measure]
    names = [case.name for case in cases]
    peers = [name for name in ("no firewall", f"{FEWEST:,} entries") if name in names]
    for name in names:
        title = f"datapath {path} {measure}: {name}"
        beside = [peer for peer in peers if peers.index(peer) < names.index(name) and peer != name]
        if not beside:
            yield plain(title, median(found[name]), unit)
        for peer in beside:
            ratio = median(one / other for one, other in zip(found[name], found[peer], strict=True))
            yield compared(title, median(found[name]), unit, peer, median(found[name]) / ratio)
