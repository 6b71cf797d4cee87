"""Somebody at home: a listener on every port that a workload declares, each saying who it is.

TCP says it to whoever connects, UDP says it before it repeats the request, SCTP (whose sockets many kernels lack) puts
it into the answer to an INIT. ICMP echo is the workload's own kernel. One thread serves all of them, also while nobody
probes, so that a user's `nc` meets the same listener.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import threading
from collections import deque
from collections.abc import Callable, Sequence
from time import monotonic

from sdn.errors import ProbeError
from sdn.kernel.namespaces import enter
from sdn.model import Protocol
from sdn.probe.sockets import answer_everything, attach_filter
from sdn.probe.wire import INIT, MAGIC, NUMBERS, read_sctp, sctp_abort, sctp_init_ack, token

_BACKLOG = 4096
_LINGER = 5.0  # seconds that a connection may stay after its listener has spoken
_ONLY_INIT = {4: [(0xB1, 0, 0, 0), (0x50, 0, 0, 12)], 6: [(0x30, 0, 0, 12)]}  # the first chunk's type


class Listeners:
    """All listeners of a lab; `foreign` are the declared ports on which a workload's own process listens already."""

    def __init__(self) -> None:
        self.foreign: set[tuple[str, Protocol, int]] = set()
        self._serve: dict[int, tuple[socket.socket, Callable[[socket.socket], None]]] = {}
        self._lingering: deque[tuple[float, socket.socket]] = deque()
        self._epoll = select.epoll()
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._epoll.register(self._wake, select.EPOLLIN)
        self._thread: threading.Thread | None = None

    def open(self, workload: str, namespace: str, ports: Sequence[tuple[Protocol, int]]) -> None:
        """Listen on a workload's TCP and UDP ports, in both families; the calling thread stays in its namespace."""
        enter(namespace)
        for protocol, number in ports:
            if protocol in (Protocol.TCP, Protocol.UDP):
                self._open_port(workload, protocol, number)

    def refuse_everything(self, namespace: str) -> None:
        """Have a workload's kernel say of every datagram that nobody takes it; the thread stays in its namespace."""
        enter(namespace)
        answer_everything()

    def _open_port(self, workload: str, protocol: Protocol, number: int) -> None:
        said = token(workload, number)
        try:
            if protocol is Protocol.TCP:
                self._add(_bound(socket.SOCK_STREAM, number), self._accepting(said))
            else:
                self._add(_bound(socket.SOCK_DGRAM, number), _echoing(said))
        except OSError as error:
            if error.errno != 98:  # EADDRINUSE: the workload's own process is there
                raise ProbeError(f"cannot listen on {number}/{protocol} in {workload}: {error.strerror}") from error
            self.foreign.add((workload, protocol, number))

    def open_sctp(self, workload: str, namespace: str, numbers: frozenset[int]) -> None:
        """Answer every INIT that reaches a workload: yes for its own ports, ABORT for all others."""
        enter(namespace)
        for version, family in ((4, socket.AF_INET), (6, socket.AF_INET6)):
            try:
                sock = socket.socket(family, socket.SOCK_RAW | socket.SOCK_NONBLOCK, NUMBERS[Protocol.SCTP, version])
            except OSError as error:
                if version == 6:
                    continue  # a kernel without IPv6
                raise ProbeError(f"cannot listen for SCTP in {workload}: {error.strerror}") from error
            attach_filter(sock, [*_ONLY_INIT[version], (0x15, 0, 1, INIT), (0x06, 0, 0, 0xFFFF), (0x06, 0, 0, 0)])
            self._add(sock, _associating(version, workload, numbers))

    def _add(self, sock: socket.socket, serve: Callable[[socket.socket], None]) -> None:
        self._serve[sock.fileno()] = sock, serve
        self._epoll.register(sock, select.EPOLLIN)

    def _accepting(self, said: bytes) -> Callable[[socket.socket], None]:
        def serve(sock: socket.socket) -> None:
            self._hang_up_on_the_slow()
            for _ in range(64):
                connection, _ = sock.accept()
                connection.send(said, socket.MSG_MORE)  # in one segment with the end
                connection.shutdown(socket.SHUT_WR)
                # Kept until the other side is done: what arrives at a closed socket is answered with a reset, which
                # would destroy words that were lost and are to be sent again.
                self._lingering.append((monotonic(), connection))
                self._add(connection, self._listen_on)

        return serve

    def _listen_on(self, connection: socket.socket) -> None:
        try:
            if connection.recv(512, socket.MSG_DONTWAIT):
                return
        except BlockingIOError:
            return
        except OSError:
            pass
        self._hang_up(connection)

    def _hang_up(self, connection: socket.socket) -> None:
        self._serve.pop(connection.fileno(), None)
        connection.close()

    def _hang_up_on_the_slow(self) -> None:
        until = monotonic() - _LINGER
        while self._lingering and (self._lingering[0][0] < until or self._lingering[0][1].fileno() < 0):
            self._hang_up(self._lingering.popleft()[1])

    def count(self) -> int:
        """Descriptors in use."""
        return len(self._serve) + 2

    def start(self) -> None:
        """Begin to answer, in a thread of its own."""
        self._thread = threading.Thread(target=self._run, name="listeners", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while True:
            for fd, _ in self._epoll.poll():
                if fd == self._wake:
                    return
                found = self._serve.get(fd)
                if found is None:
                    continue  # hung up on a moment ago
                sock, serve = found
                with contextlib.suppress(OSError):  # whoever asked has gone; the next one is served all the same
                    serve(sock)

    def close(self) -> None:
        """End the thread and give every port back."""
        os.eventfd_write(self._wake, 1)
        if self._thread is not None:
            self._thread.join()
        for sock, _ in list(self._serve.values()):
            sock.close()
        self._epoll.close()
        os.close(self._wake)


def _bound(kind: socket.SocketKind, number: int) -> socket.socket:
    """One socket for both families where the namespace has both."""
    try:
        sock = socket.socket(socket.AF_INET6, kind | socket.SOCK_NONBLOCK)
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        anywhere = "::"
    except OSError:
        sock = socket.socket(socket.AF_INET, kind | socket.SOCK_NONBLOCK)
        anywhere = "0.0.0.0"
    try:
        if kind == socket.SOCK_STREAM:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((anywhere, number))
        if kind == socket.SOCK_STREAM:
            sock.listen(_BACKLOG)
    except OSError:
        sock.close()
        raise
    return sock


def _echoing(said: bytes) -> Callable[[socket.socket], None]:
    def serve(sock: socket.socket) -> None:
        for _ in range(64):
            data, sender = sock.recvfrom(512)
            if not data.startswith(MAGIC):  # two listeners that answer each other's answers would never end
                sock.sendto(said + b"\0" + data, sender)

    return serve


def _associating(version: int, workload: str, numbers: frozenset[int]) -> Callable[[socket.socket], None]:
    def serve(sock: socket.socket) -> None:
        for _ in range(64):
            data, sender = sock.recvfrom(512)
            packet = read_sctp(data[(data[0] & 15) * 4 :] if version == 4 else data)
            if packet is None or packet.kind != INIT:
                continue
            ports = packet.port, packet.source_port
            answer = sctp_init_ack if packet.port in numbers else sctp_abort
            sock.sendto(answer(ports, packet.init_tag, token(workload, packet.port)), (sender[0], 0))

    return serve
