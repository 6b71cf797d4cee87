"""One packet of one question, and the numbers that tell it from everything else in flight."""

from __future__ import annotations

import random

from sdn.model import Direction, Flow, Outcome, Protocol
from sdn.probe import wire
from sdn.probe.sender import Sender
from sdn.probe.sockets import CONNECT_PORTS, SCOUT_PORTS, packed


class Attempt:
    """Sent until something answers. `number` is its source port or ICMP id, `nonce` what a true answer repeats.

    `mark` is that of the packet, 0 for none.
    `connects`: a whole TCP connection, in which the listener says who it is; else one raw packet. `patient`: nobody
    may own the destination, and the kernel needs three seconds to say so. `hopeful`: an answer is expected, so silence
    deserves a closer look (None: nobody knows). `outcome` is None while it is unanswered. `sent` counts its sends;
    `sent_at` is when the last of them was, in seconds of the monotonic clock.
    `logs` are the origins that firewalls logged, each with the number of the send that it belongs to.
    """

    __slots__ = (
        "answer_logs",
        "connects",
        "flow",
        "hopeful",
        "logs",
        "mark",
        "nonce",
        "number",
        "outcome",
        "packed",
        "packet",
        "patient",
        "port",
        "refused",
        "responder",
        "sent",
        "sent_at",
        "source",
        "target",
    )

    def __init__(
        self, flow: Flow, target: str, *, connects: bool = False, patient: bool = False, hopeful: bool | None = None
    ) -> None:
        self.flow = flow
        self.target = target
        self.connects = connects
        self.patient = patient
        self.hopeful = hopeful
        self.source = ""
        self.mark = 0
        self.number = 0
        self.nonce = b""
        self.packed = b""
        self.packet = b""
        self.sent = 0
        self.sent_at = 0.0
        self.outcome: Outcome | None = None
        self.responder = ""
        self.port = 0
        self.refused = False  # by an ABORT that may be the kernel's own, where a listener of ours answers later
        self.logs: list[tuple[int, str]] = []  # (which send, origin)
        self.answer_logs: list[tuple[int, str]] = []  # of answers, which only stateless rules do not let pass unseen

    def origins(self) -> set[str]:
        """The rules that were heard of, on the way there and back."""
        return {origin for _, origin in (*self.logs, *self.answer_logs)}

    def is_half_heard(self) -> bool:
        """Whether it went through while one side's rules alone were heard of; what a Host sends is judged once."""
        if self.outcome is not Outcome.CONNECTED:
            return False
        sides = self.sides()
        return len(sides) == 1 and sides < {*Direction}

    def sides(self) -> set[str]:
        """The first words of the rules that decided about the way there: for most, directions."""
        return {origin.partition(" ")[0] for _, origin in self.logs}

    def number_it(self, sender: Sender, numbers: Numbers, nonce: bytes) -> None:
        """Give it a number that no other attempt from this address has, and make the packet."""
        self.source, self.mark = sender
        self.nonce, self.packed = nonce, packed(self.flow.destination)
        self.renumber(numbers)

    def renumber(self, numbers: Numbers) -> None:
        """Another number, and the packet with it."""
        flow = self.flow
        self.number = numbers.take(self.source, flow.protocol, self.connects)
        if self.connects:
            return
        ports, nonce = (self.number, flow.port), self.nonce
        match flow.protocol:
            case Protocol.TCP:
                self.packet = wire.tcp_syn(packed(self.source), self.packed, ports, int.from_bytes(nonce, "big"))
            case Protocol.UDP:
                self.packet = wire.udp_datagram(packed(self.source), self.packed, ports, b"ask " + nonce)
            case Protocol.SCTP:
                self.packet = wire.sctp_init(ports, int.from_bytes(nonce, "big"))
            case Protocol.ICMP:
                self.packet = wire.echo_request(flow.family, self.number, nonce)

    def is_said_by(self, said: tuple[str, int] | None) -> None:
        """Note who answered, if it is one of ours."""
        if said is not None:
            self.responder, self.port = said


class Numbers:
    """Source ports and ICMP ids, one after the other per address, so that none comes again while it is remembered.

    Connection tracking lets everything pass that belongs to a connection it knows; a question that used a known
    number would be answered by an old policy.
    """

    def __init__(self) -> None:
        self._next: dict[tuple[str, Protocol, bool], int] = {}

    def take(self, source: str, protocol: Protocol, connects: bool) -> int:
        """The next number; the first one is random, for who asked before may have been another engine."""
        ports = CONNECT_PORTS if connects else SCOUT_PORTS
        key = source, protocol, connects
        number = self._next.get(key)
        if number is None:
            number = random.choice(ports)
        self._next[key] = number + 1 if number + 1 < ports.stop else ports.start
        return number
