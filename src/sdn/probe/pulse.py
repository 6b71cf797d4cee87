"""Heartbeats over the underlay: who still speaks, heard by Hosts and not by whoever holds the lab.

Every Host sends small datagrams from its loopback to those of a few observers; each observer keeps a detector of its
own, and what the one says that hears most Hosts is believed: an observer that is cut off itself hears hardly anybody.
The sockets are opened when somebody asks and closed afterwards, so that a lab in which nothing fails pays nothing.

One thread drives all of it, so its clock counts its own rounds: while this process does not get to run, no Host is
late. Who watches a lab for hours is `careful` beyond that: a round that took much too long does not count, nor does it
for an observer that has not even heard itself, for then the kernel is late with packets, and not a Host.
"""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Collection, Mapping
from types import TracebackType

from sdn.errors import ProbeError
from sdn.kernel.namespaces import NamespaceWorker, enter
from sdn.plan.state import HEARTBEAT_PORT
from sdn.probe.sockets import family_of, raise_descriptor_limit
from sdn.scheduler.heartbeat import Health, Heartbeats, Patience

PATIENCE = Patience(interval=0.02, suspect=3, fail=10)
"""Seconds, and heartbeats. A power failure is noticed after a fifth of a second."""

OBSERVERS = 3
LATE = 2
"""A round that takes so many intervals says more of this process than of any Host."""

_SPARE = 256  # descriptors for everything else in this process


class Pulse:
    """Heartbeats of Hosts (name → loopback address) while the block lasts; `racks` says whose observers to prefer.

    Hosts that never spoke count as failed as soon as the patience with them is over.
    """

    def __init__(
        self,
        loopbacks: Mapping[str, str],
        racks: Mapping[str, str],
        patience: Patience = PATIENCE,
        *,
        careful: bool = False,
    ) -> None:
        self.patience = patience
        self._careful = careful
        self.loopbacks = loopbacks
        self._sockets: dict[str, socket.socket] = {}
        self._hosts = sorted(loopbacks)
        self.observers = _spread(sorted(loopbacks), racks)
        self._detectors = {name: Heartbeats(loopbacks, 0.0, patience) for name in self.observers}
        self._owners = {address: name for name, address in loopbacks.items()}
        self._rounds = dict.fromkeys(self.observers, 0)
        self._sound = {*self.observers}  # for whom the last round counted
        self._sent = time.monotonic()

    def __enter__(self) -> Pulse:
        self.open()
        return self

    def open(self) -> None:
        """Who spoke before is known still; heartbeats that were on their way are lost."""
        needed, limit = len(self.loopbacks) + _SPARE, raise_descriptor_limit()
        if needed > limit:
            raise ProbeError(f"heartbeats need {needed} open files and this process may have {limit}; see `ulimit -n`")
        with NamespaceWorker("pulse") as worker:
            worker.run(None, self._open)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Until it is opened again nobody speaks, and nobody is late."""
        while self._sockets:
            self._sockets.popitem()[1].close()

    def end(self, host: str) -> None:
        """Its agent ends, as all that runs on a Host without power."""
        if host in self._sockets:
            self._sockets.pop(host).close()
        self._detectors.pop(host, None)
        self.observers = tuple(name for name in self.observers if name != host)

    def failed(self) -> frozenset[str]:
        """Whom the best observer has given up, of those that can judge."""
        silent = [
            frozenset(host for host in self._hosts if detector.health(host) is Health.FAILED)
            for name, detector in self._detectors.items()
            if name in self._sound
        ]
        return min(silent, key=len, default=frozenset())

    def wait(self, silent: Collection[str], patience: float = 5.0) -> frozenset[str]:
        """Beat until exactly these are given up, or `patience` seconds have passed; who is given up then."""
        deadline = time.monotonic() + patience
        while self.failed() != frozenset(silent) and time.monotonic() < deadline:
            self.beat()
        return self.failed()

    def steady(self) -> frozenset[str]:
        """Beat for as long as a Host may be silent; who is given up then."""
        for _ in range(self.patience.fail + 1):
            self.beat()
        return self.failed()

    def beat(self) -> None:
        """One round: everybody sends, time passes, the observers listen."""
        self.send()
        time.sleep(self.patience.interval)
        self.listen()

    def send(self) -> None:
        """A round begins."""
        self._sent = time.monotonic()
        for one in self._sockets.values():
            for observer in self.observers:
                with contextlib.suppress(OSError):  # no route, no power: nobody will hear it
                    one.sendto(b"beat", (self.loopbacks[observer], HEARTBEAT_PORT))

    def listen(self) -> None:
        """It ends, an interval later."""
        late = self._careful and time.monotonic() - self._sent > LATE * self.patience.interval
        for name, detector in self._detectors.items():
            heard = self._heard(name)
            if self._careful and (late or name not in heard):
                self._sound.discard(name)
            else:
                self._sound.add(name)
                self._rounds[name] += 1
            now = self._rounds[name] * self.patience.interval
            for host in heard:
                detector.heard(host, now)
            if name in self._sound:
                detector.check(now)

    def _heard(self, observer: str) -> set[str]:
        """From whom something has come since the last look, itself included."""
        found = set()
        one = self._sockets.get(observer)
        while one is not None:
            try:
                _, sender = one.recvfrom(16)
            except OSError:
                break
            if owner := self._owners.get(sender[0]):
                found.add(owner)
        return found

    def _open(self) -> None:
        for name, address in self.loopbacks.items():
            enter(name)
            one = socket.socket(family_of(6 if ":" in address else 4), socket.SOCK_DGRAM)
            one.setblocking(False)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
            one.bind((address, HEARTBEAT_PORT))
            self._sockets[name] = one


def _spread(hosts: list[str], racks: Mapping[str, str]) -> tuple[str, ...]:
    """Observers in different racks as far as there are such."""
    first = {racks.get(host, ""): host for host in reversed(hosts)}
    chosen = sorted(first.values())[:OBSERVERS]
    return tuple(sorted(tuple(dict.fromkeys((*chosen, *hosts)))[:OBSERVERS]))
