"""What a busy kernel hands over late of its log is waited for, where it is clear that something is missing."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from sdn.model import Flow, Outcome, Placed, Protocol
from sdn.probe.attempt import Attempt, Numbers
from sdn.probe.flight import Flight
from sdn.probe.logged import Logged
from strategies_world import world

EGRESS, INGRESS = "egress default allow", "ingress application w[0]"


def attempt(*origins: str, outcome: Outcome = Outcome.CONNECTED) -> Attempt:
    made = Attempt(Flow("a/x", "10.0.0.1", Protocol.TCP, 80), "a/y", connects=True)
    made.outcome, made.sent = outcome, 1
    made.logs = [(1, origin) for origin in origins]
    return made


@pytest.mark.parametrize(
    ("origins", "outcome", "half"),
    [
        ((EGRESS,), Outcome.CONNECTED, True),
        ((INGRESS, INGRESS), Outcome.CONNECTED, True),
        ((EGRESS, INGRESS), Outcome.CONNECTED, False),
        ((), Outcome.CONNECTED, False),
        (("default: a host reaches the workloads on itself",), Outcome.CONNECTED, False),
        ((EGRESS,), Outcome.TIMEOUT, False),
        ((EGRESS,), Outcome.REFUSED, False),
    ],
)
def test_half_heard(origins: tuple[str, ...], outcome: Outcome, half: bool) -> None:
    assert attempt(*origins, outcome=outcome).is_half_heard() is half


class Late:
    """A log that the kernel hands over after a while."""

    def __init__(self, seconds: float, logged: Logged) -> None:
        self._here, self._there = socket.socketpair()
        self._here.setblocking(False)
        self._logged = logged
        self._sends = threading.Timer(seconds, self._there.send, (b".",))
        self._sends.start()

    def fileno(self) -> int:
        return self._here.fileno()

    def read(self) -> list[Logged]:
        return [self._logged for _ in self._here.recv(1)]

    def close(self) -> None:
        self._sends.join()
        self._here.close()
        self._there.close()


@pytest.fixture
def placed() -> Placed:
    return world(0)


@pytest.fixture
def late() -> Iterator[Late]:
    log = Late(0.3, (INGRESS, (6, b"\x0a\0\0\x02", 1), (6, b"\x0a\0\0\x01", 80)))
    yield log
    log.close()


@pytest.mark.parametrize(("known", "waits"), [((EGRESS,), True), ((EGRESS, INGRESS), False), ((), False)])
def test_it_is_waited_for_where_half_was_heard(placed: Placed, late: Late, known: tuple[str, ...], waits: bool) -> None:
    made = attempt(*known)
    flight = Flight(placed, str, Numbers(), [late])  # type: ignore[list-item]
    try:
        flight._keys[6, b"\x0a\0\0\x02", 1] = made
        began = time.monotonic()
        flight._wait_for_logs([made])
        assert (time.monotonic() - began >= 0.25) is waits
        assert not waits or made.logs == [(1, EGRESS), (1, INGRESS)]
    finally:
        flight.close()
