"""Everything in flight at once: send, wait, resend what is silent, and only then call it silence.

A lost packet is not a denial. How often a silent attempt is resent follows from how many of the others needed it: on
a network without loss three times, on one that loses a third of its packets about a dozen.
"""

from __future__ import annotations

import select
from collections.abc import Callable, Iterable, Sequence
from math import ceil, log
from time import monotonic

from sdn.kernel.namespaces import enter
from sdn.model import Outcome, Placed, Protocol
from sdn.probe.attempt import Attempt, Numbers
from sdn.probe.connect import Connector
from sdn.probe.nflog import LogReader, PacketKey
from sdn.probe.scout import Scout
from sdn.probe.sockets import packed
from sdn.probe.wire import NUMBERS

PATIENCE = 3.5  # seconds; the kernel asks three times, a second apart, for a neighbour that is not there
_QUIET = 0.15  # seconds without any news after which the silent ones are sent again
_LOG_QUIET = 0.03  # seconds; the kernel hands its log over after 10 ms
_SENDS = 3
_MOST_SENDS = 40
_MISSED = 1e-7  # the chance that is taken of reading loss as silence
_BURST = 64  # packets between two looks at what came back, so that no buffer overflows


class Flight:
    """The sockets of one wave of questions. Not thread-safe, and its thread moves between namespaces."""

    def __init__(
        self, placed: Placed, netns_of: Callable[[str], str], numbers: Numbers, logs: Sequence[LogReader]
    ) -> None:
        self._placed = placed
        self._netns_of = netns_of
        self._numbers = numbers
        self._logs = {log_reader.fileno(): log_reader for log_reader in logs}
        self._epoll = select.epoll()
        self._connector = Connector(self._epoll, numbers, self._note)
        self._scouts: dict[tuple[str, Protocol, int], Scout | None] = {}
        self._handlers: dict[int, Scout] = {}
        self._keys: dict[PacketKey, Attempt] = {}
        self._nonce = 1
        self._open = 0
        self._answered = self._late = 0
        self._loss = _underlay_loss(placed)
        for log_reader in logs:
            self._epoll.register(log_reader, select.EPOLLIN)

    def close(self) -> None:
        """Give all descriptors back, apart from the log's."""
        for scout in self._handlers.values():
            scout.close()
        self._epoll.close()

    def run(self, attempts: Sequence[Attempt], deadline: float) -> None:
        """Give every attempt an outcome; silence is TIMEOUT, `deadline` seconds after the last packet was sent."""
        ready = [attempt for attempt in attempts if self._prepare(attempt)]
        self._open = len(ready)
        sends = 0
        while ready:
            for count, attempt in enumerate(ready):
                self._send(attempt)
                if count % _BURST == _BURST - 1:
                    self._pump(0)
            last, sends = monotonic(), sends + 1
            self._wait_for_quiet()
            ready = [attempt for attempt in ready if attempt.outcome is None]
            if ready and sends >= self._enough():
                self._wait_until(last + deadline, ready)
                break
        self._conclude(ready)
        self._wait_for_logs()

    def _prepare(self, attempt: Attempt) -> bool:
        """Number it; an attempt of somebody without an address of its family ends here."""
        source = self._placed.endpoints[attempt.flow.source].address(attempt.flow.family)
        if source is None or (not attempt.connects and self._scout(attempt, source) is None):
            attempt.outcome = Outcome.UNREACHABLE
            return False
        self._nonce = self._nonce % 0xFFFF_FFFE + 1  # an SCTP tag is never 0
        attempt.number_it(packed(source, attempt.flow.family), self._numbers, self._nonce.to_bytes(4, "big"))
        self._know(attempt, source)
        return True

    def _know(self, attempt: Attempt, source: str) -> None:
        flow = attempt.flow
        self._keys[NUMBERS[flow.protocol, flow.family], packed(source, flow.family), attempt.number] = attempt

    def _scout(self, attempt: Attempt, source: str) -> Scout | None:
        flow = attempt.flow
        key = flow.source, flow.protocol, flow.family
        if key not in self._scouts:
            enter(self._netns_of(flow.source))
            self._connector.forget_place()
            try:
                scout = self._scouts[key] = Scout(flow.protocol, flow.family, source, self._note)
            except OSError:
                self._scouts[key] = None  # its interface is not there, or lacks the address
                return None
            self._handlers[scout.fileno()] = scout
            self._epoll.register(scout, select.EPOLLIN)
        return self._scouts[key]

    def _send(self, attempt: Attempt) -> None:
        flow = attempt.flow
        if attempt.outcome is not None:
            return
        source = self._placed.endpoints[flow.source].address(flow.family)
        if not attempt.connects:
            scout = self._scouts[flow.source, flow.protocol, flow.family]
            assert scout is not None  # `_prepare` left it out otherwise
            scout.send(attempt)
        elif source is not None:
            self._connector.send(attempt, self._netns_of(flow.source), source)
            self._know(attempt, source)  # under another number, if the first was taken

    def _note(self, attempt: Attempt) -> None:
        self._open -= 1
        self._answered += 1
        self._late += attempt.sent > 1

    def _enough(self) -> int:
        """How often a silent attempt must have been sent, after what the answered ones taught about loss."""
        seen = self._late / self._answered if self._answered else 0.0
        loss = min(max(self._loss, seen), 0.9)
        return _SENDS if loss == 0 else min(_MOST_SENDS, max(_SENDS, ceil(log(_MISSED) / log(loss))))

    def _pump(self, timeout: float) -> int:
        """Take in what has come; gives how many sockets had something."""
        events = self._epoll.poll(timeout)
        for fd, event in events:
            if fd in self._handlers:
                self._handlers[fd].handle(event)
            elif fd in self._logs:
                self._read_log(self._logs[fd])
            else:
                self._connector.handle(fd)
        return len(events)

    def _read_log(self, reader: LogReader) -> None:
        for _, origin, key in reader.read():
            attempt = self._keys.get(key)
            if attempt is not None:
                attempt.logs.append((attempt.sent, origin))

    def _wait_for_quiet(self) -> None:
        """Until everything is answered, or nothing has been for a while."""
        until = monotonic() + _QUIET
        while self._open and (left := until - monotonic()) > 0:
            before = self._open
            self._pump(left)
            if self._open < before:
                until = monotonic() + _QUIET

    def _wait_until(self, until: float, silent: Iterable[Attempt]) -> None:
        slow = [attempt for attempt in silent if attempt.patient]
        while self._open and (left := until - monotonic()) > 0:
            self._pump(left)
        until += PATIENCE
        while any(attempt.outcome is None for attempt in slow) and (left := until - monotonic()) > 0:
            self._pump(left)

    def _conclude(self, silent: Iterable[Attempt]) -> None:
        for attempt in silent:
            if attempt.connects and attempt.outcome is None:
                self._connector.conclude(attempt)
            if attempt.outcome is None:
                attempt.outcome = Outcome.REFUSED if attempt.refused else Outcome.TIMEOUT

    def _wait_for_logs(self) -> None:
        until = monotonic() + 1
        while self._logs and self._pump(_LOG_QUIET) and monotonic() < until:
            pass


def _underlay_loss(placed: Placed) -> float:
    """The chance that a packet or its answer is lost on the way: at most four lossy links there, and four back."""
    worst = max((link.loss for link in placed.model.underlay.links), default=0) / 100
    return float(1 - (1 - worst) ** 8)
