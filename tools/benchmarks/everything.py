"""`tools/bench all`: every benchmark one after the other, each in a process of its own, in under a quarter of an hour.

A process of its own, because memory is measured by what a process ever had, and because one that fails must not take
the rows of the others with it. Sizes are smaller here than each benchmark has by default where that would take long.
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence

import msgspec

from benchmarks.rows import Row, plain

LIMIT = 600.0
"""Seconds after which one of them is ended; none takes a third of it on a quiet machine."""

EVERY: Sequence[Sequence[str]] = (
    ("boot", "--pods=100", "--pods=1000"),
    ("boot", "--pods=10000", "--shape=flat"),
    ("hosts", "--hosts=500"),
    ("policy",),
    ("place",),
    ("plan",),
    ("events",),
    ("enforce", "--events=25"),
    ("change", "--events=5", "--counted=2"),
    ("migrate",),
    ("birth", "--workloads=400"),
    ("failure",),
    (
        "datapath",
        "--entries=10",
        "--entries=10000",
        "--blocks=1000",
        "--rounds=1",
        "--path=near",
        "--path=far",
        "--path=far-lan",
    ),
    ("questions",),
    ("leaks", "--cycles=30", "--commands=10", "--events=200", "--tests=1"),
)


class Run:
    """The rows of all, as they come; afterwards `failed` names those that did not end well."""

    def __init__(self, note: Callable[[str], None], every: Sequence[Sequence[str]] = EVERY) -> None:
        self.failed: list[str] = []
        self._note = note
        self._every = every

    def rows(self) -> Generator[Row, None, None]:
        """Those of each benchmark, and then how long each took."""
        took: list[Row] = []
        start = time.monotonic()
        for number, command in enumerate(self._every, 1):
            words = f"tools/bench {' '.join(command)}"
            began = time.monotonic()
            self._note(f"{number} of {len(self._every)}, after {began - start:.0f} s: {words}")
            yield from self._one(command, words)
            took.append(plain(f"all: {words}", time.monotonic() - began, "s"))
        yield from took
        yield plain("all: together", time.monotonic() - start, "s")
        yield plain("all: failed", "; ".join(self.failed) or "none")

    def _one(self, command: Sequence[str], words: str) -> Iterator[Row]:
        whole = [sys.executable, "-m", "benchmarks", *command, "--format=lines"]
        with subprocess.Popen(whole, stdout=subprocess.PIPE) as process:
            limit = threading.Timer(LIMIT, process.terminate)
            limit.start()
            try:
                assert process.stdout is not None
                for line in process.stdout:
                    yield msgspec.json.decode(line, type=Row)
                status = process.wait()
            finally:
                limit.cancel()
                # It ends its labs before it ends itself; where it has heard of the same signal it is at it already.
                process.terminate()
                process.wait()
        if status:
            self.failed.append(words)
            self._note(f"{words} ended with status {status}; the others go on")
