"""The floor of a probe: as many SYNs by hand as it asks, each reset by the kernel, over a loopback device alone.

No lab, no cable, no tunnel, no rule, nothing remembered of any packet but that an answer came.
"""

from __future__ import annotations

import os
import socket
import sys
import time
from contextlib import suppress

from benchmarks.floor import TIMEOUT
from sdn.errors import KernelError
from sdn.kernel import links, sandbox
from sdn.kernel.namespaces import NamespaceWorker
from sdn.kernel.rtnetlink import Netlink
from sdn.model import Protocol
from sdn.probe.sockets import SCOUT_PORTS, packed, raw_socket
from sdn.probe.wire import tcp_syn

_LO = 1
_HERE, _THERE = "127.0.0.1", "127.0.0.2"
_PORT = 7
_BURST = 64


def measure(count: int) -> float:
    """Seconds for `count` packets and their answers; KernelError where one stays away."""
    done = sandbox.run([sys.executable, "-m", __name__, str(count)], timeout=TIMEOUT)
    if done.status:
        raise KernelError(f"bare packets could not be sent: {done.stderr.strip()}")
    return float(done.stdout)


def _ask(count: int) -> float:
    with Netlink() as netlink:
        netlink.send([links.set_up(_LO)])
    asker = raw_socket(Protocol.TCP, 4, _HERE)
    start, answered = time.perf_counter(), 0
    for number in range(count):
        ports = SCOUT_PORTS[number % len(SCOUT_PORTS)], _PORT
        asker.sendto(tcp_syn(packed(_HERE), packed(_THERE), ports, number), (_THERE, 0))
        if number % _BURST == _BURST - 1:
            answered += _heard(asker)
    answered += _heard(asker)
    seconds = time.perf_counter() - start
    if answered != count:
        raise KernelError(f"{count - answered} of {count} packets on lo were not answered")
    return seconds


def _heard(asker: socket.socket) -> int:
    heard = 0
    with suppress(BlockingIOError):
        while asker.recv(1024):
            heard += 1
    return heard


def main() -> None:
    """In a namespace of its own."""
    with NamespaceWorker("bare") as worker:
        print(worker.run(None, lambda: _ask(int(sys.argv[1]))), flush=True)
    os._exit(0)


if __name__ == "__main__":
    main()
