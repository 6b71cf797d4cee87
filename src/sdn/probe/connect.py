"""Whole TCP connections, for what a SYN alone cannot tell: who answers."""

from __future__ import annotations

import contextlib
import errno
import select
import socket
from collections import deque
from collections.abc import Callable, Sequence
from time import monotonic

from sdn.kernel.namespaces import enter
from sdn.model import Outcome
from sdn.probe.attempt import Attempt, Numbers
from sdn.probe.post import Post
from sdn.probe.sockets import family_of, read_errors, set_mark, want_errors
from sdn.probe.wire import read_token

CONNECTIONS = 3000
"""At a time; each is a descriptor of the asker and one of the listener."""

_UNREACHABLE = frozenset({errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EADDRNOTAVAIL, errno.EACCES, errno.EINVAL})
_WAITS = frozenset({errno.EINPROGRESS, errno.EAGAIN})
_BEFORE_SECOND_SYN = 0.8  # seconds; it comes after one
_NUDGES = 6  # sends after which a connection on which nothing was said is begun anew
_HANG_UP = b"\1\0\0\0\0\0\0\0"  # struct linger: on, 0 s; a reset leaves no TIME_WAIT on either side


class Connector:
    """Connections of many attempts; each takes a descriptor from `begin` until it is answered or `drop`ped."""

    def __init__(self, epoll: select.epoll, numbers: Numbers, resolved: Callable[[Attempt], None]) -> None:
        self._epoll = epoll
        self._numbers = numbers
        self._resolved = resolved
        self._open: dict[int, tuple[socket.socket, Attempt]] = {}
        self._fd: dict[Attempt, int] = {}
        self._begun: list[tuple[socket.socket, Attempt]] = []
        self._sent_at: deque[tuple[float, Attempt, int]] = deque()
        self._inside = ""

    def count(self) -> int:
        """Descriptors in use."""
        return len(self._open)

    def forget_place(self) -> None:
        """The thread was moved by somebody else."""
        self._inside = ""

    def begin(self, attempt: Attempt, namespace: str) -> bool:
        """Have it connected by the next `send`, in the sender's namespace; again, from another port, if it was before.

        False where that is not to be done. A listener that answered the first SYN, and whose answer was lost, would not
        understand another from that port.
        """
        attempt.sent += 1
        attempt.sent_at = monotonic()
        if self.is_established(attempt) and attempt.sent % _NUDGES:
            self._nudge(attempt)
            return False
        if attempt.sent > 1:
            attempt.renumber(self._numbers)
        self.drop(attempt)
        if self._inside != namespace:
            enter(namespace)
            self._inside = namespace
        sock = _socket(attempt)
        self._open[sock.fileno()] = sock, attempt
        self._fd[attempt] = sock.fileno()
        try:
            while not _bound(sock, (attempt.source, attempt.number)):
                attempt.renumber(self._numbers)
        except OSError as error:
            self._fail(sock, attempt, error.errno or errno.EINVAL)
            return False
        self._begun.append((sock, attempt))
        return True

    def send(self, post: Post) -> None:
        """Connect what was begun since the last time."""
        begun, self._begun = self._begun, []
        if begun:
            post.send(lambda: [_connect(*one) for one in begun], lambda codes: self._sent(begun, codes))

    def _sent(self, begun: Sequence[tuple[socket.socket, Attempt]], codes: Sequence[int]) -> None:
        """A socket that is not connecting yet would seem to be hung up, so it is listened to from now on only."""
        now = monotonic()
        for (sock, attempt), code in zip(begun, codes, strict=True):
            attempt.sent_at = now
            if code in _WAITS or code == 0:
                self._epoll.register(sock, select.EPOLLIN)
                self._sent_at.append((now, attempt, attempt.sent))
            else:
                self._fail(sock, attempt, code)

    def _nudge(self, attempt: Attempt) -> None:
        """Send a byte: if the end of the handshake was lost, TCP repeats it with the byte, and five times sooner."""
        with contextlib.suppress(OSError):
            self._open[self._fd[attempt]][0].send(b"\n")

    def is_established(self, attempt: Attempt) -> bool:
        """Whether somebody took the connection, who has said nothing so far."""
        fd = self._fd.get(attempt)
        if fd is None:
            return False
        try:
            self._open[fd][0].getpeername()
        except OSError:
            return False
        return True

    def expire(self) -> None:
        """Hang up where the kernel is about to send its own second SYN.

        To a Service that would be another try, which may be led elsewhere, and the answer could be either one's.
        """
        until = monotonic() - _BEFORE_SECOND_SYN
        while self._sent_at and self._sent_at[0][0] < until:
            _, attempt, sent = self._sent_at.popleft()
            if attempt.sent == sent and not self.is_established(attempt):
                self.drop(attempt)

    def drop(self, attempt: Attempt) -> None:
        """Hang up, if there is a connection."""
        fd = self._fd.pop(attempt, None)
        if fd is not None:
            self._open.pop(fd)[0].close()

    def conclude(self, attempt: Attempt) -> None:
        """Nothing was said in time: connected to somebody unknown, or not at all."""
        if self.is_established(attempt):
            attempt.outcome = Outcome.CONNECTED
        self.drop(attempt)

    def handle(self, fd: int) -> bool:
        """Read what happened on a connection; False if it is none of ours."""
        found = self._open.get(fd)
        if found is None:
            return False
        sock, attempt = found
        try:
            said = sock.recv(256)
        except BlockingIOError:
            # An ICMP error that came while `connect` still had the socket locked is on its error queue, and only there.
            told = read_errors(sock, attempt.flow.family)
            if told and not self.is_established(attempt):
                self._answer(attempt, told[-1][1])
            return True
        except OSError as error:
            self._fail(sock, attempt, error.errno or 0)
            return True
        attempt.is_said_by(read_token(said))
        self._answer(attempt, Outcome.CONNECTED)
        return True

    def _fail(self, sock: socket.socket, attempt: Attempt, code: int) -> None:
        told = read_errors(sock, attempt.flow.family)
        if told:
            self._answer(attempt, told[-1][1])
        elif code == errno.ECONNREFUSED:
            self._answer(attempt, Outcome.REFUSED)
        elif code in _UNREACHABLE:
            self._answer(attempt, Outcome.UNREACHABLE)
        else:
            self.drop(attempt)  # the kernel gave up, or the listener hung up before it was heard: silence so far

    def _answer(self, attempt: Attempt, outcome: Outcome) -> None:
        self.drop(attempt)
        attempt.outcome = outcome
        self._resolved(attempt)


def _socket(attempt: Attempt) -> socket.socket:
    version = attempt.flow.family
    sock = socket.socket(family_of(version), socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    want_errors(sock, version)
    set_mark(sock, attempt.mark)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _HANG_UP)
    return sock


def _connect(sock: socket.socket, attempt: Attempt) -> int:
    try:
        return sock.connect_ex((attempt.flow.destination, attempt.flow.port))
    except OSError as error:
        return error.errno or errno.EINVAL


def _bound(sock: socket.socket, source: tuple[str, int]) -> bool:
    """False where the port is taken, by a listener on it for instance."""
    try:
        sock.bind(source)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            return False
        raise
    return True
