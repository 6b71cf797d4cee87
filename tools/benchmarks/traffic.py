"""What runs in each workload while it is moved about: open connections, datagrams that may pass, and some that may not.

`python -m benchmarks.traffic ADDRESS...` does what its input says. Each connection carries numbers both ways; what
comes back must be what went out, in order. At the end it prints one line of JSON.
"""

from __future__ import annotations

import json
import selectors
import socket
import struct
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from functools import partial

TCP_PORT, ALLOWED, FORBIDDEN = 4010, 4010, 4009
TICK = 0.05
"""Seconds between two packets of each kind to each other workload."""

_SETTLE = 3.0
"""Seconds that a connection may take at the end to bring what is still on its way: TCP repeats what was lost."""

_NUMBER = struct.Struct("!Q")


class Traffic:
    """All sockets of one workload, in one thread."""

    def __init__(self, others: list[str]) -> None:
        self._others = others
        self._selector = selectors.DefaultSelector()
        self._clients: dict[socket.socket, list[int]] = {}  # → sent, come back
        self._pending: dict[socket.socket, bytes] = {}
        self.broken: list[str] = []
        self.exchanged = self.sent = self.forbidden = 0
        self._came: Counter[tuple[str, int]] = Counter()
        server = socket.create_server(("::", TCP_PORT), family=socket.AF_INET6, dualstack_ipv6=True, backlog=256)
        self._watch(server, "accept")
        for port in (ALLOWED, FORBIDDEN):
            self._datagrams(port)
        # From a port of their own: what comes back to where somebody has sent from is an answer, and passes.
        self._udp = {port: self._datagrams(0) for port in (ALLOWED, FORBIDDEN)}

    def _datagrams(self, port: int) -> socket.socket:
        sock = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        sock.bind(("::", port))
        self._watch(sock, str(port))
        return sock

    def _watch(self, sock: socket.socket, what: str) -> None:
        sock.setblocking(False)
        self._selector.register(sock, selectors.EVENT_READ, what)

    def call(self) -> None:
        """Open a connection to everybody."""
        for address in self._others:
            sock = socket.create_connection((address, TCP_PORT), timeout=10)
            self._clients[sock] = [0, 0]
            self._watch(sock, "client")

    def tick(self) -> None:
        """One number over each connection, one datagram of each kind to everybody."""
        for sock, counts in list(self._clients.items()):
            self._guarded(sock, partial(self._count, sock, counts))
        self.sent += 1
        for address in self._others:
            target = address if ":" in address else f"::ffff:{address}"
            for port, sock in self._udp.items():
                with suppress(OSError):  # without carrier; whoever waits for it notices
                    sock.sendto(_NUMBER.pack(self.sent), (target, port))

    def _count(self, sock: socket.socket, counts: list[int]) -> None:
        sock.send(_NUMBER.pack(counts[0]))
        counts[0] += 1

    def _guarded(self, sock: socket.socket, call: Callable[[], None]) -> None:
        try:
            call()
        except BlockingIOError:
            pass
        except OSError as error:
            self._break(sock, str(error))

    def _break(self, sock: socket.socket, why: str) -> None:
        if sock in self._clients:
            self.broken.append(why)
            del self._clients[sock]
        self._selector.unregister(sock)
        sock.close()

    def take_in(self, patience: float) -> None:
        """Whatever comes until then."""
        until = time.monotonic() + patience
        while (left := until - time.monotonic()) > 0:
            for key, _ in self._selector.select(left):
                sock = key.fileobj
                assert isinstance(sock, socket.socket)
                self._guarded(sock, partial(self._read, sock, key.data))

    def _read(self, sock: socket.socket, what: str) -> None:
        if what == "accept":
            self._watch(sock.accept()[0], "server")
        elif what == "client":
            self._compare(sock, sock.recv(65536))
        elif what == "server":
            data = sock.recv(65536)
            if data:
                sock.send(data)
            else:
                self._break(sock, "closed")
        else:
            data, sender = sock.recvfrom(64)
            self._datagram(int(what), data, sender)

    def _compare(self, sock: socket.socket, data: bytes) -> None:
        if not data:
            raise OSError("closed by the other side")
        data = self._pending.pop(sock, b"") + data
        whole = len(data) // 8 * 8
        self._pending[sock] = data[whole:]
        counts = self._clients[sock]
        for (number,) in _NUMBER.iter_unpack(data[:whole]):
            if number != counts[1]:
                raise OSError(f"{number} came where {counts[1]} should")
            counts[1] += 1
            self.exchanged += 1

    def _datagram(self, port: int, data: bytes, sender: tuple[str, int]) -> None:
        if port == FORBIDDEN:
            self.forbidden += 1
        elif port == ALLOWED:
            self._came[sender[0], _NUMBER.unpack(data)[0]] += 1

    def settle(self) -> None:
        """Take in and answer what is still on its way, for as long as others may need that."""
        self.take_in(_SETTLE)

    def told(self) -> dict[str, object]:
        """What came of all."""
        missing = [sent - back for sent, back in self._clients.values() if sent > back]
        return {
            "connections": len(self._clients),
            "exchanged": self.exchanged,
            "broken": self.broken + [f"{number} numbers never came back" for number in missing],
            "forbidden": self.forbidden,
            "datagrams": len(self._came),
            "duplicates": sum(times - 1 for times in self._came.values()),
            "sent": self.sent,
        }


def main() -> None:
    """`call` everybody, `send`, `settle`, and then `tell`."""
    traffic = Traffic(sys.argv[1:])
    print("ready", flush=True)
    commands = selectors.DefaultSelector()
    commands.register(sys.stdin, selectors.EVENT_READ)
    word = ""
    while word != "settle":
        if commands.select(0):
            word = sys.stdin.readline().strip()
            if word == "call":
                traffic.call()
            elif word == "settle":
                traffic.settle()
            print(word, flush=True)
        if word == "send":
            traffic.tick()
        if word != "settle":
            traffic.take_in(TICK)
    sys.stdin.readline()  # whoever tells first hangs up, which nobody shall hear
    print(json.dumps(traffic.told()), flush=True)


if __name__ == "__main__":
    main()
