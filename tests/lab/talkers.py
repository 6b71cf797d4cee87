"""Open connections between workloads of a lab: each talker listens, calls whom it is told, and says what still works.

Every connection stays open for the whole block; `exchange` sends one new line over each and waits for its echo.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager

from labs import entering
from sdn.lab import client

PORT = 4010
"""Where every talker listens, on TCP."""

_TALKER = """
import select, socket, sys, threading, time
PORT = int(sys.argv[1])

def echo(connection):
    while data := connection.recv(4096):
        connection.sendall(data)

def serve():
    server = socket.create_server(("::", PORT), family=socket.AF_INET6, dualstack_ipv6=True, backlog=128)
    print("ready", flush=True)
    while True:
        threading.Thread(target=echo, args=(server.accept()[0],), daemon=True).start()

threading.Thread(target=serve, daemon=True).start()
calls = {}
for line in sys.stdin:
    word, *rest = line.split()
    if word == "call":
        for target in rest:
            address, port = target.rsplit(":", 1)
            try:
                calls[target] = socket.create_connection((address, int(port)), timeout=5)
            except OSError as error:
                print("cannot call", target, error, flush=True)
        print("called", len(calls), flush=True)
    else:
        token = f"{time.monotonic_ns()}\\n".encode()
        deadline = time.monotonic() + 8
        broken = []
        for target, connection in calls.items():
            try:
                connection.sendall(token)
            except OSError as error:
                broken.append(f"{target} {error}")
        for target, connection in calls.items():
            got = b""
            try:
                while token not in got:
                    connection.settimeout(max(deadline - time.monotonic(), 0.01))
                    more = connection.recv(4096)
                    if not more:
                        raise OSError("closed")
                    got += more
            except OSError as error:
                broken.append(f"{target} {error}")
        print("broken", "; ".join(broken), flush=True)
"""


class Talkers:
    """What has been called stays open."""

    def __init__(self, processes: Mapping[str, subprocess.Popen[str]]) -> None:
        self._processes = processes

    def _each(self, line: str | Mapping[str, str]) -> Iterator[tuple[str, str]]:
        told = {key: line if isinstance(line, str) else line[key] for key in self._processes}
        for key, process in self._processes.items():
            assert process.stdin is not None
            process.stdin.write(told[key] + "\n")
            process.stdin.flush()
        for key, process in self._processes.items():
            assert process.stdout is not None
            yield key, process.stdout.readline().rstrip("\n")

    def call(self, whom: Mapping[str, Sequence[str]]) -> int:
        """Open a connection to each `address:port`; how many there are now."""
        lines = {key: " ".join(["call", *whom.get(key, ())]) for key in self._processes}
        answers = dict(self._each(lines))
        assert all(answer.startswith("called ") for answer in answers.values()), answers
        return sum(int(answer.split()[1]) for answer in answers.values())

    def exchange(self) -> list[str]:
        """One line over each connection, both ways; a sentence for each that is broken."""
        answers = [(key, answer.removeprefix("broken").strip()) for key, answer in self._each("go")]
        return [f"{key}: {answer}" for key, answer in answers if answer]


@contextmanager
def talking(lab: client.Lab, keys: Sequence[str]) -> Iterator[Talkers]:
    """A talker in each workload, for as long as the block."""
    with ExitStack() as stack:
        processes = {}
        for key in keys:
            command = entering(lab, key, sys.executable, "-c", _TALKER, str(PORT))
            process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            stack.callback(process.communicate)
            processes[key] = process
        for process in processes.values():
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        yield Talkers(processes)
