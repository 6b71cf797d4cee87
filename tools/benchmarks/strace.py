"""What a process asks of the kernel while something happens in it: its system calls, and bytes of netlink among them.

Counted by strace from outside, so that nobody counts himself.
"""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sdn.errors import LabError

_CALL = re.compile(r"^\d+\s+(?:<\.\.\. (?P<resumed>\w+) resumed>|(?P<call>\w+)\()(?P<rest>.*)$")
_DESCRIPTOR = re.compile(r"^(\d+)")
_RESULT = re.compile(r"= (\d+)")
_SENDS = {"sendto", "sendmsg"}


@dataclass(frozen=True)
class Counts:
    """System calls, and bytes that went to the kernel by netlink."""

    calls: float = 0
    sent: float = 0

    def each(self, number: float) -> Counts:
        """One of so many."""
        return Counts(self.calls / number, self.sent / number)


class Found:
    """`counts` are there once `counting` has ended."""

    counts = Counts()


def missing() -> str:
    """The sentence that says why nothing can be counted; empty where it can."""
    return (
        "" if shutil.which("strace") else "system calls are not counted: strace is not installed (apt install strace)"
    )


@contextmanager
def counting(pid: int) -> Iterator[Found]:
    """Count what all threads of a process do within the block."""
    found = Found()
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        command = ["strace", "-f", "-s", "0", "-o", str(log), "-p", str(pid)]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as tracer:
            assert tracer.stderr is not None
            said = tracer.stderr.readline()
            if "attached" not in said:
                raise LabError(f"system calls cannot be counted: {said.strip()}")
            try:
                yield found
            finally:
                tracer.send_signal(signal.SIGINT)
                tracer.communicate()
        found.counts = counted(log.read_text())


def counted(log: str) -> Counts:
    """Every call that began, and what the ones that send gave back, but for the connections that were accepted."""
    calls, sent = 0, 0
    accepted: set[str] = set()
    pending: dict[str, str] = {}  # thread → the descriptor that its unfinished call is about
    for line in log.splitlines():
        match = _CALL.match(line)
        if match is None:
            continue
        thread, call, rest = line.split(None, 1)[0], match["call"] or match["resumed"], match["rest"]
        calls += match["call"] is not None
        descriptor = pending.pop(thread, "") if match["resumed"] else _first(rest)
        if rest.endswith("<unfinished ...>"):
            pending[thread] = descriptor
            continue
        result = _RESULT.search(rest)
        if result is None:
            continue
        if call == "accept4":
            accepted.add(result[1])
        elif call == "close":
            accepted.discard(descriptor)
        elif call in _SENDS and descriptor not in accepted:
            sent += int(result[1])
    return Counts(calls, sent)


def _first(arguments: str) -> str:
    match = _DESCRIPTOR.match(arguments)
    return match[1] if match else ""
