"""Both ends of a conversation in one thread: a socket in the client's namespace, another in the server's.

The kernel carries a packet from one to the other within the call that sends it, so nobody waits for the scheduler, and
the median of thousands is the same on a busy machine. Measured are a round trip of small datagrams (`rtt`), one
that nobody answers (`datagram`), a connection that begins and ends (`connection`), and 64 KiB over one that stays
(`bulk`) or over each of 64 in turn (`bulks`).
"""

from __future__ import annotations

import os
import socket
import struct
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from itertools import cycle

from sdn.kernel import syscalls
from sdn.kernel.enter import join

CHUNK = 64 * 1024
"""Bytes of one `bulk`: what a single packet of the kernel can hold, and less than a socket's buffer."""
SMALL = 64
"""Bytes of a datagram that nobody answers."""
FLOWS = 64

_PATIENCE = 5.0
_RESET = struct.pack("ii", 1, 0)
"""Close with a reset, so that the client does not run out of ports: each would wait for a minute (TIME_WAIT)."""

Once = Callable[[], None]
Measure = Callable[[str, str, tuple[str, int]], AbstractContextManager[Once]]


def _enter(namespace: str) -> None:
    fd = os.open(f"/run/netns/{namespace}", os.O_RDONLY | os.O_CLOEXEC)
    syscalls.setns(fd, syscalls.CLONE_NEWNET)
    os.close(fd)


def _listener(kind: socket.SocketKind, port: int) -> socket.socket:
    found = socket.socket(socket.AF_INET, kind)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    found.bind(("0.0.0.0", port))
    found.settimeout(_PATIENCE)
    return found


def _datagrams(client: str, server: str, target: tuple[str, int]) -> tuple[socket.socket, socket.socket]:
    """A socket of the client, connected, and one of the server."""
    _enter(server)
    far = _listener(socket.SOCK_DGRAM, target[1])
    _enter(client)
    near = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    near.settimeout(_PATIENCE)
    near.connect(target)
    return near, far


@contextmanager
def rtt(client: str, server: str, target: tuple[str, int]) -> Iterator[Once]:
    """A datagram there and one back."""
    near, far = _datagrams(client, server, target)

    def once() -> None:
        near.send(b"12345678")
        far.sendto(*far.recvfrom(64))
        near.recv(64)

    with near, far:
        yield once


@contextmanager
def connection(client: str, server: str, target: tuple[str, int]) -> Iterator[Once]:
    """A TCP connection that is made, accepted and reset."""
    _enter(server)
    far = _listener(socket.SOCK_STREAM, target[1])
    far.listen(16)
    _enter(client)

    def once() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as near:
            near.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            near.settimeout(_PATIENCE)
            near.connect(target)
            accepted = far.accept()[0]
        accepted.close()

    with far:
        yield once


@contextmanager
def datagram(client: str, server: str, target: tuple[str, int]) -> Iterator[Once]:
    """A small datagram there, and none back."""
    near, far = _datagrams(client, server, target)
    data = bytes(SMALL)

    def once() -> None:
        near.send(data)
        far.recv(SMALL)

    with near, far:
        # Established is only what was answered once.
        near.send(data)
        far.sendto(*far.recvfrom(SMALL))
        near.recv(SMALL)
        yield once


@contextmanager
def bulk(client: str, server: str, target: tuple[str, int], flows: int = 1) -> Iterator[Once]:
    """So many bytes over an established TCP connection, or over each of several in turn."""
    _enter(server)
    far = _listener(socket.SOCK_STREAM, target[1])
    far.listen(16)
    _enter(client)
    pairs = []
    for _ in range(flows):
        near = socket.create_connection(target, timeout=_PATIENCE)
        pairs.append((near, far.accept()[0]))
        pairs[-1][1].settimeout(_PATIENCE)
    data, into = bytes(CHUNK), memoryview(bytearray(CHUNK))
    turn = cycle(pairs)

    def once() -> None:
        near, accepted = next(turn)
        near.sendall(data)
        left = CHUNK
        while left:
            left -= accepted.recv_into(into, left)

    with far:
        yield once
    for pair in pairs:
        for one in pair:
            one.close()


MEASURES: dict[str, Measure] = {
    "rtt": rtt,
    "datagram": datagram,
    "connection": connection,
    "bulk": bulk,
    "bulks": partial(bulk, flows=FLOWS),
}


def _median(once: Once, seconds: float) -> float:
    times, until = [], time.perf_counter() + seconds
    while (start := time.perf_counter()) < until:
        once()
        times.append(time.perf_counter() - start)
    return 1e6 * sorted(times)[len(times) // 2]


def main() -> None:
    """`PID CLIENT SERVER ADDRESS PORT WHAT`: the lab's holder, two namespaces, and what to measure.

    For each number on its input it measures for so many seconds; the end of the input ends it.
    """
    pid, near, far, address, port, what = sys.argv[1:]
    join(int(pid), "")
    with MEASURES[what](near, far, (address, int(port))) as once:
        for _ in range(10 * FLOWS):  # caches, neighbours, and the window of a new TCP connection
            once()
        for seconds in sys.stdin:
            print(_median(once, float(seconds)), flush=True)


if __name__ == "__main__":
    main()
