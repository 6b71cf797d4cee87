"""Raw packets from one sender to anywhere: one socket for each protocol and family, whatever the number of questions.

A SYN by hand costs a tenth of a connection, holds no descriptor and can be resent at will, so silence is cheap to make
sure of. The kernel resets what answers, as if the asker had hung up.
"""

from __future__ import annotations

import errno
import select
import socket
from collections.abc import Callable, Sequence
from struct import unpack_from
from time import monotonic

from sdn.model import Outcome, Protocol
from sdn.probe.attempt import Attempt
from sdn.probe.batch import Batch
from sdn.probe.post import Post
from sdn.probe.sender import Sender
from sdn.probe.sockets import raw_socket, read_errors
from sdn.probe.wire import ABORT, ACK, INIT_ACK, RST, SYN, read_sctp, read_token

_BUSY = frozenset({errno.ENOBUFS, errno.EAGAIN, errno.ENOMEM})


class Scout:
    """Asks from one address in one protocol. Made in the namespace that owns the address; used from anywhere."""

    def __init__(
        self,
        protocol: Protocol,
        sender: Sender,
        batches: list[Batch],
        resolved: Callable[[Attempt], None],
    ) -> None:
        """`batches` are two of the sender's IP family, which all scouts share."""
        self._version = batches[0].version
        self._batches = batches
        self._resolved = resolved
        self._protocol = protocol
        self._asked: dict[int, Attempt] = {}
        self._socket = raw_socket(protocol, self._version, *sender)
        self._read = {
            Protocol.TCP: self._read_tcp,
            Protocol.UDP: self._read_udp,
            Protocol.SCTP: self._read_sctp,
            Protocol.ICMP: self._read_echo,
        }[protocol]

    def fileno(self) -> int:
        """For epoll."""
        return self._socket.fileno()

    def close(self) -> None:
        """Give the descriptor back."""
        self._socket.close()

    def send(self, attempts: Sequence[Attempt], post: Post) -> None:
        """Send, or send again, up to `batch.MOST`."""
        self._batches.reverse()  # the other one may be under way
        batch = self._batches[0]
        batch.fill([(attempt.packed, attempt.packet) for attempt in attempts])
        for attempt in attempts:
            self._asked[attempt.number] = attempt
            attempt.sent += 1
        post.send(lambda: batch.send(self.fileno(), len(attempts)), lambda taken: self._sent(attempts, taken))

    def _sent(self, attempts: Sequence[Attempt], taken: int) -> None:
        """What the kernel did not take, perhaps because of an earlier packet's error, is sent singly."""
        for attempt in attempts[taken:]:
            if attempt.outcome is None:
                self._send(attempt)
        now = monotonic()
        for attempt in attempts:
            attempt.sent_at = now

    def _send(self, attempt: Attempt) -> None:
        """What the own kernel refuses is answered at once."""
        try:
            self._socket.sendto(attempt.packet, (attempt.flow.destination, 0))
            return
        except OSError:
            # Perhaps an earlier packet's error, which the kernel reports to whoever calls next: take it, try again.
            self._read_errors()
        if attempt.outcome is not None:
            return
        try:
            self._socket.sendto(attempt.packet, (attempt.flow.destination, 0))
        except OSError as error:
            if error.errno not in _BUSY:
                self._answer(attempt, Outcome.UNREACHABLE)

    def handle(self, events: int) -> None:
        """Read all answers and errors that wait."""
        if events & select.EPOLLERR:
            self._read_errors()
        if not events & select.EPOLLIN:
            return
        for _ in range(256):  # then the others have their turn
            try:
                data, sender = self._socket.recvfrom(1024)
            except BlockingIOError:
                return
            except OSError:
                continue  # a pending error, which the error queue tells in full
            if self._version == 4:
                self._read(data, (data[0] & 15) * 4, data[12:16])
            else:
                self._read(data, 0, socket.inet_pton(socket.AF_INET6, sender[0].partition("%")[0]))

    def _read_errors(self) -> None:
        at = 4 if self._protocol is Protocol.ICMP else 0
        for quoted, outcome in read_errors(self._socket, self._version):
            attempt = self._asked.get(int.from_bytes(quoted[at : at + 2], "big"))
            if attempt is not None:
                self._answer(attempt, outcome)
        self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)  # takes it away, or epoll would never rest

    def _attempt(self, number: int, source: bytes) -> Attempt | None:
        attempt = self._asked.get(number)
        return attempt if attempt is not None and attempt.packed == source else None

    def _answer(self, attempt: Attempt, outcome: Outcome, said: bytes = b"") -> None:
        if attempt.outcome is None:
            attempt.is_said_by(read_token(said))
            attempt.outcome = outcome
            self._resolved(attempt)

    def _read_tcp(self, data: bytes, at: int, source: bytes) -> None:
        if len(data) < at + 20:
            return
        port, number, _, acknowledged, _, flags = unpack_from("!HHIIBB", data, at)
        attempt = self._attempt(number, source)
        if attempt is None or attempt.flow.port != port:
            return
        if acknowledged != int.from_bytes(attempt.nonce, "big") + 1 & 0xFFFFFFFF:
            return
        if flags & RST:
            self._answer(attempt, Outcome.REFUSED)
        elif flags & (SYN | ACK) == SYN | ACK:
            self._answer(attempt, Outcome.CONNECTED)

    def _read_udp(self, data: bytes, at: int, source: bytes) -> None:
        if len(data) < at + 8:
            return
        port, number = unpack_from("!HH", data, at)
        attempt = self._attempt(number, source)
        if attempt is not None and attempt.flow.port == port and data.endswith(attempt.nonce):
            said, _, _ = data[at + 8 :].partition(b"\0")
            self._answer(attempt, Outcome.CONNECTED, said)

    def _read_echo(self, data: bytes, at: int, source: bytes) -> None:
        if len(data) < at + 8:
            return
        (number,) = unpack_from("!H", data, at + 4)
        attempt = self._attempt(number, source)
        if attempt is not None and data[at + 8 :] == attempt.nonce and attempt.outcome is None:
            # An echo cannot say who it is; that the address is its owner's is what the TCP questions show.
            attempt.responder = attempt.target
            self._answer(attempt, Outcome.CONNECTED)

    def _read_sctp(self, data: bytes, at: int, source: bytes) -> None:
        packet = read_sctp(data[at:])
        attempt = None if packet is None else self._attempt(packet.port, source)
        if packet is None or attempt is None or packet.tag != int.from_bytes(attempt.nonce, "big"):
            return
        if packet.source_port != attempt.flow.port:
            return
        if packet.kind == INIT_ACK:
            self._answer(attempt, Outcome.CONNECTED, packet.token)
        elif packet.kind == ABORT and read_token(packet.token):
            self._answer(attempt, Outcome.REFUSED)
        elif packet.kind == ABORT:
            attempt.refused = True
