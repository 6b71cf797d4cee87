"""Both ends of a conversation in a lab that is up, which can be asked for a figure again and again.

They stay while labs take turns, so that a turn may be short: whatever else the machine does then meets all labs alike.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from benchmarks import datapath_hosts
from benchmarks.datapath_labs import IPERF, TALK
from benchmarks.datapath_talk import FLOWS, SMALL
from sdn.errors import LabError
from sdn.lab import client
from sdn.model import Placed
from sdn.plan.ids import namespace_of

_MIB = 1 << 20
_PATIENCE = 10.0
_SLICE = 0.03
"""Seconds in which one thread talks to itself."""
_HOW = {"flow": [], "flows": ["-P", str(FLOWS)], "packets": ["-u", "-b", "0", "-l", str(SMALL)]}
"""By iperf3, which measures for a second at least."""


class Figure(NamedTuple):
    """`spent`: microseconds of processor time, of both ends, for each MiB or packet; 0 where `value` is that."""

    value: float
    spent: float = 0.0


Asked = Callable[[], Figure]


@dataclass(frozen=True)
class Case:
    """One lab that is up; `holds` says how much policy is in it, `services` whether its Services lead anywhere."""

    name: str
    lab: client.Lab
    placed: Placed
    holds: int
    services: bool = True

    def address(self, path: str) -> str:
        """Of a server, or of the Service before it; IPv4."""
        word, _, name = path.rpartition(" ")
        if word:
            return next(s.addresses[0] for s in self.placed.model.services if s.name == name)
        return self.placed.endpoints[f"a/{name}"].addresses[0]

    def client(self, path: str) -> str:
        """The namespace of whoever calls on this path: of the same Segment as the server."""
        return namespace_of("a/client-lan" if path.endswith("-lan") else "a/client")


@contextmanager
def ends(case: Case, path: str, measure: str) -> Iterator[Asked]:
    """What answers with a figure of this lab, now."""
    if measure in _HOW:
        yield lambda: _iperf(case, path, measure)
    else:
        with _talker(case, path, measure) as asked:
            yield asked


def _iperf(case: Case, path: str, measure: str) -> Figure:
    command = ["iperf3", "-J", "-c", case.address(path), "-p", str(IPERF), "-t", "1", *_HOW[measure]]
    said = msgspec.json.decode(datapath_hosts.run(case.lab, case.client(path), command), type=dict[str, Any])["end"]
    busy = (said["cpu_utilization_percent"]["host_total"] + said["cpu_utilization_percent"]["remote_total"]) / 100
    if measure == "packets":
        came = said["sum"]["packets"] - said["sum"]["lost_packets"]
        return Figure(came / said["sum"]["seconds"], 1e6 * busy * said["sum"]["seconds"] / came)
    received = said["sum_received"]
    return Figure(received["bits_per_second"] / 1e9, 1e6 * busy * received["seconds"] / (received["bytes"] / _MIB))


@contextmanager
def _talker(case: Case, path: str, what: str) -> Iterator[Asked]:
    """Microseconds, of one thread that is both ends."""
    server = namespace_of(f"a/{path.rpartition(' ')[2]}")
    words = [case.lab.pid, case.client(path), server, case.address(path), TALK, what]
    command = [sys.executable, "-m", "benchmarks.datapath_talk", *map(str, words)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None and process.stdout is not None
        writing, reading = process.stdin, process.stdout

        def told(request: str) -> str:
            print(request, file=writing, flush=True)
            if not (line := reading.readline()):
                raise LabError(f"{what} from {case.client(path)} to {server} failed in {case.name}; its error is above")
            return line

        yield lambda: Figure(float(told(str(_SLICE))))


def serve(stack: ExitStack, case: Case, paths: Sequence[str]) -> None:
    """iperf3 servers that stay until their lab ends; returns when they listen."""
    # Into files, for a server tells of every flow, and would wait for whoever reads that.
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sdn-bench-")))
    for name in {path.rpartition(" ")[2] for path in paths}:
        said = folder / name
        said.touch()
        command = ["iperf3", "-s", "-p", str(IPERF), "--forceflush", "--logfile", str(said)]
        whole = datapath_hosts.inside(case.lab, namespace_of(f"a/{name}"), command)
        process = stack.enter_context(subprocess.Popen(whole))
        stack.callback(process.kill)
        until = time.monotonic() + _PATIENCE
        while "listening" not in said.read_text():
            if process.poll() is not None or time.monotonic() > until:
                raise LabError(f"iperf3 does not listen in {name}: {said.read_text().strip() or 'its error is above'}")
            time.sleep(0.01)
