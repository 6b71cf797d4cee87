"""Everything in flight at once: send, wait, resend what is silent, and only then call it silence.

A lost packet is not a denial, and the firewalls' log tells them apart without knowing what any rule does: whoever was
denied was last seen by a rule that nobody passed. A packet that vanished elsewhere is in doubt, and is sent again until
chance is no explanation any more.
"""

from __future__ import annotations

import select
from collections.abc import Callable, Iterable, Iterator, Sequence
from math import ceil, log
from time import monotonic

from sdn.kernel.namespaces import enter
from sdn.model import HOST, Direction, Outcome, Placed, Protocol, default_origin
from sdn.probe.attempt import Attempt, Numbers
from sdn.probe.batch import MOST, Batch
from sdn.probe.connect import CONNECTIONS, Connector
from sdn.probe.logged import PacketKey
from sdn.probe.nflog import LogReader
from sdn.probe.post import Post
from sdn.probe.scout import Scout
from sdn.probe.sender import Sender, Senders
from sdn.probe.sockets import packed
from sdn.probe.wire import NUMBERS

PATIENCE = 8.0  # seconds; the kernel asks thrice, a second apart or more, for a neighbour that is not there
_QUIET = 0.15  # seconds without any news after which the silent ones are sent again
_LOOK = 0.05  # seconds; connections are looked after that often
_LOG_QUIET = 0.03  # seconds; the kernel hands its log over after 10 ms
_SENDS = 3
_MOST_SENDS = 60
_DOUBT = 8.0  # seconds of sending again, however much of the lab is broken
_MISSED = 1e-7  # the chance that is taken of reading loss as silence
_LEAST_LOSS = 0.5  # of a packet or its answer, where something vanished
_PASSED = (Outcome.CONNECTED, Outcome.REFUSED)
_BURST = 32  # connections between two looks at what came back, so that no buffer overflows
_CALLERS = 2  # threads that connect: each is in the kernel until the packet has arrived, and the answer
_STUCK = 1.0  # seconds; by then each connection that nobody took has given its descriptor back


class Flight:
    """The sockets of one wave of questions. Not thread-safe, and its thread moves between namespaces."""

    def __init__(
        self, placed: Placed, netns_of: Callable[[str], str], numbers: Numbers, logs: Sequence[LogReader]
    ) -> None:
        self._senders = Senders(placed)
        self._netns_of = netns_of
        self._numbers = numbers
        self._logs = {log_reader.fileno(): log_reader for log_reader in logs}
        self._epoll = select.epoll()
        self._connector = Connector(self._epoll, numbers, self._note)
        self._post = Post()
        self._calls = Post(_CALLERS)
        self._batches_of = {version: [Batch(version), Batch(version)] for version in (4, 6)}
        self._scouts: dict[tuple[str, Protocol, Sender], Scout | None] = {}
        self._handlers: dict[int, Scout] = {}
        self._keys: dict[PacketKey, Attempt] = {}
        self._nonce = 1
        self._open = 0
        self._answered: list[Attempt] = []
        self._late = 0
        self._loss = _underlay_loss(placed)
        for log_reader in logs:
            self._epoll.register(log_reader, select.EPOLLIN)

    def close(self) -> None:
        """Give all descriptors back, apart from the log's."""
        self._post.close()
        self._calls.close()
        for scout in self._handlers.values():
            scout.close()
        self._epoll.close()

    def run(self, attempts: Sequence[Attempt], deadline: float) -> None:
        """Give every attempt an outcome; silence is TIMEOUT, `deadline` seconds after its last packet was sent."""
        while attempts:
            attempts = self._run(attempts, deadline)

    def _run(self, attempts: Sequence[Attempt], deadline: float) -> list[Attempt]:
        """Gives those that were not sent, because others have all descriptors for connections and say nothing."""
        first = monotonic()
        left = self._launch(attempts)
        silent = ready = [attempt for attempt in attempts if attempt.sent]
        sends, tired = 1, 0.0
        while ready:
            self._wait_for_quiet()
            if sends == 1:
                tired = monotonic() + _DOUBT
            over = sends >= self._enough() or (sends >= _SENDS and monotonic() > tired)
            ready = [] if over else self._doubtful(attempt for attempt in ready if attempt.outcome is None)
            self._launch(ready)
            sends += 1
        self._wait_for_answers(deadline, silent)
        self._wait_until(first + PATIENCE, [attempt for attempt in silent if attempt.patient and not attempt.logs])
        mute = [attempt for attempt in silent if attempt.connects and self._connector.is_established(attempt)]
        self._wait_until(monotonic() + deadline, mute)  # who took the connection a moment ago may still speak
        self._conclude(silent)
        self._wait_for_logs(attempts)
        return left

    def _launch(self, attempts: Sequence[Attempt]) -> list[Attempt]:
        """Send, or send again, and give those for whose connection there is no descriptor.

        Connections come last: the wait for what is denied, which most raw packets are, passes while they are made.
        """
        for scout, batch in self._batches(attempt for attempt in attempts if not attempt.connects):
            scout.send(batch, self._post)
            self._pump(0)
        connecting = [attempt for attempt in attempts if attempt.connects]
        done = 0
        while done < len(connecting) and self._has_room():
            for attempt in connecting[done : done + _BURST]:
                self._connect(attempt)
            done += _BURST
            self._connector.send(self._calls)
            self._pump(0)
        self._post.wait()
        self._calls.wait()
        return connecting[done:]

    def _batches(self, raw: Iterable[Attempt]) -> Iterator[tuple[Scout, list[Attempt]]]:
        """By their sockets, and one source after another."""
        batches: dict[Scout, list[Attempt]] = {}
        source = ""
        for attempt in raw:
            if attempt.flow.source != source:
                yield from batches.items()
                batches, source = {}, attempt.flow.source
            scout = self._ready(attempt)
            if scout is None:
                continue
            batch = batches.setdefault(scout, [])
            batch.append(attempt)
            if len(batch) == MOST:
                yield scout, batches.pop(scout)
        yield from batches.items()

    def _has_room(self) -> bool:
        """Whether there are descriptors for more connections; where there are none, it waits for others to end."""
        until = monotonic() + _STUCK
        while self._connector.count() > CONNECTIONS - _BURST and (left := until - monotonic()) > 0:
            self._pump(left)
        return self._connector.count() <= CONNECTIONS - _BURST

    def _ready(self, attempt: Attempt) -> Scout | None:
        """Who sends its packet, which has been made; None where there is nothing to send."""
        if attempt.outcome is not None:
            return None
        if not attempt.sent:
            return self._prepare(attempt)
        if attempt.flow.protocol is Protocol.TCP:
            # A listener answers the same SYN again only twice a second; one from another port at once.
            attempt.renumber(self._numbers)
            self._know(attempt)
        return self._scout(attempt, Sender(attempt.source, attempt.mark))

    def _prepare(self, attempt: Attempt) -> Scout | None:
        """Number it; an attempt of somebody without an address of its family ends here."""
        sender = self._senders.of(attempt.flow)
        scout = None if sender is None or attempt.connects else self._scout(attempt, sender)
        if sender is None or (scout is None and not attempt.connects):
            attempt.outcome = Outcome.UNREACHABLE
            return None
        self._nonce = self._nonce % 0xFFFF_FFFE + 1  # an SCTP tag is never 0
        attempt.number_it(sender, self._numbers, self._nonce.to_bytes(4, "big"))
        self._know(attempt)
        self._open += 1
        return scout

    def _know(self, attempt: Attempt) -> None:
        flow = attempt.flow
        self._keys[NUMBERS[flow.protocol, flow.family], packed(attempt.source), attempt.number] = attempt

    def _scout(self, attempt: Attempt, sender: Sender) -> Scout | None:
        flow = attempt.flow
        key = flow.source, flow.protocol, sender
        if key not in self._scouts:
            enter(self._netns_of(flow.source))
            self._connector.forget_place()
            try:
                scout = self._scouts[key] = Scout(flow.protocol, sender, self._batches_of[flow.family], self._note)
            except OSError:
                self._scouts[key] = None  # its interface is not there, or lacks the address
                return None
            self._handlers[scout.fileno()] = scout
            self._epoll.register(scout, select.EPOLLIN)
        return self._scouts[key]

    def _connect(self, attempt: Attempt) -> None:
        if not attempt.sent:
            self._prepare(attempt)
        if attempt.outcome is None and self._connector.begin(attempt, self._netns_of(attempt.flow.source)):
            self._know(attempt)  # under another number, if the first was taken

    def _note(self, attempt: Attempt) -> None:
        self._open -= 1
        self._late += attempt.sent > 1
        self._answered.append(attempt)

    def _doubtful(self, silent: Iterable[Attempt]) -> list[Attempt]:
        """Those that are worth another packet, which never changes an answer but may bring one.

        That is who should be answered, who was only seen by rules that let others pass, or by none at all, and, where
        nobody knows what to expect, everybody for a few times. A neighbour that is not there is waited for instead:
        what no firewall saw has not left its workload.
        """
        passed = {origin for attempt in self._answered if attempt.outcome in _PASSED for origin in attempt.origins()}
        passed.update((HOST, *map(default_origin, Direction)))
        return [
            attempt
            for attempt in silent
            if (attempt.hopeful and (attempt.logs or not attempt.patient))
            or (attempt.hopeful is None and attempt.sent < _SENDS)
            or (all(origin in passed for origin in attempt.origins()) and not attempt.patient)
        ]

    def _enough(self) -> int:
        """How often one in doubt must have been sent, after what the configuration and the others say about loss."""
        seen = self._late / len(self._answered) if self._answered else 0.0
        loss = min(max(self._loss, seen, _LEAST_LOSS), 0.9)
        return min(_MOST_SENDS, ceil(log(_MISSED) / log(loss)))

    def _pump(self, timeout: float) -> int:
        """Take in what has come; gives how many sockets had something."""
        events = self._epoll.poll(min(timeout, _LOOK))
        self._connector.expire()
        for fd, event in events:
            if fd in self._handlers:
                self._handlers[fd].handle(event)
            elif fd in self._logs:
                self._read_log(self._logs[fd])
            else:
                self._connector.handle(fd)
        return len(events)

    def _read_log(self, reader: LogReader) -> None:
        known = self._keys
        for origin, key, answers in reader.read():
            if (attempt := known.get(key)) is not None:
                attempt.logs.append((attempt.sent, origin))
            elif (attempt := known.get(answers)) is not None:
                attempt.answer_logs.append((attempt.sent, origin))

    def _wait_for_quiet(self) -> None:
        """Until everything is answered, or nothing has been for a while."""
        until = monotonic() + _QUIET
        while self._open and (left := until - monotonic()) > 0:
            before = self._open
            self._pump(left)
            if self._open < before:
                until = monotonic() + _QUIET

    def _wait_for_answers(self, deadline: float, silent: Sequence[Attempt]) -> None:
        while waiting := [attempt for attempt in silent if attempt.outcome is None]:
            until = max(attempt.sent_at for attempt in waiting) + deadline
            if monotonic() >= until:
                return
            self._wait_until(until, waiting)

    def _wait_until(self, until: float, silent: Sequence[Attempt]) -> None:
        waiting = [attempt for attempt in silent if attempt.outcome is None]
        while any(attempt.outcome is None for attempt in waiting) and (left := until - monotonic()) > 0:
            self._pump(left)

    def _conclude(self, silent: Iterable[Attempt]) -> None:
        for attempt in silent:
            if attempt.outcome is not None:
                continue
            self._open -= 1
            if attempt.connects:
                self._connector.conclude(attempt)
            if attempt.outcome is None:
                attempt.outcome = Outcome.REFUSED if attempt.refused else Outcome.TIMEOUT

    def _wait_for_logs(self, attempts: Sequence[Attempt]) -> None:
        """Until nothing more comes; a busy kernel hands over late what one Host's rules said of a connection of which
        the other's were heard."""
        until = monotonic() + 1
        half = list(attempts)
        while self._logs and monotonic() < until:
            if not self._pump(_LOG_QUIET):
                half = [attempt for attempt in half if attempt.is_half_heard()]
                if not half:
                    return


def _underlay_loss(placed: Placed) -> float:
    """The chance that a packet or its answer is lost on the way: at most four lossy links there, and four back."""
    worst = max((link.loss for link in placed.model.underlay.links), default=0) / 100
    return float(1 - (1 - worst) ** 8)
