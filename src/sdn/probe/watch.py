"""A watching probe: numbered packets between a few pairs while something happens to a lab, and what became of them.

Permitted pairs say what was lost, forbidden ones what leaked. Every packet that policy judges alike before and after
counts; where the verdict changes, those that are sent, as a new connection, after the change was enforced.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from struct import Struct
from time import monotonic

from msgspec import Struct as Value

from sdn.kernel.namespaces import NamespaceWorker, enter
from sdn.model import Disposition, Endpoint, Flow, Placed, Protocol, connected
from sdn.policy.evaluate import Oracle
from sdn.probe.sockets import attach_filter, family_of, packed
from sdn.probe.wire import NUMBERS, SYN, tcp_syn, udp_datagram

TICK = 0.005
"""Seconds from one packet of a flow to its next."""

AFTERWARDS = 0.03
"""Seconds for which it goes on when the change is enforced."""

SUBJECTS, PEERS = 2, 3
"""Whom it watches at most, and with how many others each."""

_FIRST_PORT = 61_000
_UNDECLARED = (Protocol.UDP, 4999)
_LOOKED_AT = 12  # others, until enough are found
_MAGIC = 0x53444E57
_SEQUENCE = 0x5D
_DECIDED = (Disposition.DENY, Disposition.REJECT)
_number = Struct("!IHI")  # magic, flow, number
_DRAIN = 0.05
_LOAD_WORD, _LOAD_BYTE = {4: 0x40, 6: 0x20}, {4: 0x50, 6: 0x30}
_SKIP_HEADER = {4: [(0xB1, 0, 0, 0)], 6: []}


class Seen(Value, frozen=True):
    """Packets of permitted flows: sent, lost and come twice; and those of forbidden flows that came."""

    sent: int = 0
    lost: int = 0
    duplicated: int = 0
    leaked: int = 0


class _Watched:
    """One flow with the numbers of its packets; `allowed` before the change."""

    def __init__(self, number: int, flow: Flow, source: str, target: str, allowed: bool) -> None:
        self.number, self.flow, self.target, self.allowed = number, flow, target, allowed
        self.source, self.destination = packed(source), packed(flow.destination)
        self.port = _FIRST_PORT + number
        self.sent = 0
        self.since = 0  # the first packet that counts
        self.came: Counter[int] = Counter()
        self.socket: socket.socket | None = None

    def packet(self) -> bytes:
        """The next one; of TCP each is a connection of its own, for only the first packet of one can be sent alone."""
        self.sent += 1
        if self.flow.protocol is Protocol.TCP:
            ports = (10_000 + (self.number * 997 + self.sent) % 50_000, self.flow.port)
            return tcp_syn(self.source, self.destination, ports, _SEQUENCE << 24 | self.number << 16 | self.sent)
        payload = _number.pack(_MAGIC, self.number, self.sent)
        return udp_datagram(self.source, self.destination, (self.port, self.flow.port), payload)

    def seen(self, allowed: bool) -> Seen:
        """What came of it, judged as it is at the end."""
        came = {number: times for number, times in self.came.items() if number > self.since}
        if not allowed:
            return Seen(leaked=sum(came.values()))
        sent = self.sent - self.since
        return Seen(sent, sent - len(came), sum(came.values()) - len(came))


class Watch:
    """Watches some workloads of a lab until `end`; everything runs in a thread of its own."""

    def __init__(self, placed: Placed, subjects: Sequence[str], netns_of: Callable[[str], str]) -> None:
        self._netns_of = netns_of
        self._flows = list(_choose(placed, subjects))
        self._receivers: dict[tuple[str, Protocol, int], socket.socket] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)

    def __enter__(self) -> Watch:
        with NamespaceWorker("watch") as worker:
            worker.run(None, self._open)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()
        for one in (*self._receivers.values(), *(f.socket for f in self._flows if f.socket is not None)):
            one.close()

    def end(self, placed: Placed) -> Seen:
        """The change is enforced, and this is the lab now: go on for a moment, then say what was seen."""
        oracle = Oracle(placed)
        now = {one.number: _allows(oracle, placed, one.flow) for one in self._flows}
        for one in self._flows:
            if now[one.number] is not None and now[one.number] != one.allowed:
                one.since = one.sent + 1  # the thread may be about to send another one
                one.port += len(self._flows)
        self._over.wait(AFTERWARDS)
        self._stop()
        total = Counter[str]()
        for one in self._flows:
            allowed = now[one.number]
            if allowed is not None:
                seen = one.seen(allowed)
                total.update({name: getattr(seen, name) for name in seen.__struct_fields__})
        return Seen(**total)

    def _stop(self) -> None:
        self._over.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _open(self) -> None:
        """A raw socket at each sender and each receiver; it stays where it was opened."""
        for one in self._flows:
            version, protocol = one.flow.family, one.flow.protocol
            enter(self._netns_of(one.flow.source))
            one.socket = socket.socket(family_of(version), socket.SOCK_RAW, NUMBERS[protocol, version])
            one.socket.setblocking(False)
            attach_filter(one.socket, [(0x06, 0, 0, 0)])  # it only sends
        for one in self._flows:
            key = (one.target, one.flow.protocol, one.flow.family)
            if key not in self._receivers:
                enter(self._netns_of(key[0]))
                self._receivers[key] = _receiver(key[1], key[2])

    def _run(self) -> None:
        following = monotonic()
        while not self._over.wait(max(following - monotonic(), 0)):
            following += TICK
            for one in self._flows:
                self._send(one)
            self._take_in()
        until = monotonic() + _DRAIN
        while (left := until - monotonic()) > 0:
            self._take_in()
            threading.Event().wait(min(left, TICK))
        self._take_in()

    @staticmethod
    def _send(one: _Watched) -> None:
        """A packet that cannot even leave its workload is lost like any other."""
        assert one.socket is not None
        with contextlib.suppress(OSError):
            one.socket.sendto(one.packet(), (one.flow.destination, 0))

    def _take_in(self) -> None:
        for (_, protocol, version), receiver in self._receivers.items():
            for packet in _received(receiver):
                start = (packet[0] & 15) * 4 if version == 4 else 0
                flow, number = _read(protocol, packet[start:])
                if flow < len(self._flows):
                    self._flows[flow].came[number] += 1


def _choose(placed: Placed, subjects: Sequence[str]) -> Iterator[_Watched]:
    """From and to each subject: a permitted and a forbidden flow with a few others each, where there are such."""
    oracle = Oracle(placed)
    number = 0
    for key in [key for key in subjects if key in placed.endpoints][:SUBJECTS]:
        enough: Counter[bool] = Counter()
        for other in _others(placed, placed.endpoints[key]):
            for flow, target, allowed in _between(oracle, placed, placed.endpoints[key], other):
                if enough[allowed] < 2 * PEERS:
                    enough[allowed] += 1
                    source = placed.endpoints[flow.source].address(flow.family)
                    assert source is not None
                    yield _Watched(number, flow, source, target, allowed)
                    number += 1


def _others(placed: Placed, subject: Endpoint) -> list[Endpoint]:
    """Workloads that it has a path to: one of each Host first, since what may go wrong depends on where they are."""
    near = connected(placed.model.applications)[subject.application]
    rank: Counter[str] = Counter()
    found = []
    for endpoint in placed.endpoints.values():
        if endpoint is not subject and endpoint.application in near:
            found.append((rank[endpoint.host], endpoint.host != subject.host, endpoint.workload))
            rank[endpoint.host] += 1
    return [placed.endpoints[key] for _, _, key in sorted(found)[:_LOOKED_AT]]


def _between(oracle: Oracle, placed: Placed, one: Endpoint, other: Endpoint) -> Iterator[tuple[Flow, str, bool]]:
    """For each direction the first flow that is permitted and the first that is not, of what the target declares."""
    for source, target in ((one, other), (other, one)):
        address = target.addresses[-1] if len(target.workload) % 2 else target.addresses[0]
        verdicts: dict[bool, Flow] = {}
        for protocol, port in _declared(placed, target.workload):
            flow = Flow(source.workload, address, protocol, port)
            allowed = _allows(oracle, placed, flow)
            if allowed is not None and source.address(flow.family) is not None:
                verdicts.setdefault(allowed, flow)
        yield from ((flow, target.workload, allowed) for allowed, flow in verdicts.items())


def _declared(placed: Placed, key: str) -> list[tuple[Protocol, int]]:
    """A datagram to nobody first: it is the lightest, where policy lets it pass."""
    workload = next(workload for workload in placed.model.workloads if workload.key == key)
    ports = [(port.protocol, port.number) for port in workload.ports]
    return [_UNDECLARED, *(port for port in ports if port[0] in (Protocol.UDP, Protocol.TCP))]


def _allows(oracle: Oracle, placed: Placed, flow: Flow) -> bool | None:
    """None where one of the two is no longer there, or the address is nobody's."""
    if flow.source not in placed.endpoints:
        return None
    (answer, *_) = oracle.evaluate(flow)
    return answer.verdict.allowed if answer.backend or answer.verdict.disposition in _DECIDED else None


def _receiver(protocol: Protocol, version: int) -> socket.socket:
    """Hears the watch's own packets and nothing else. IPv4's raw sockets see the IP header, IPv6's do not."""
    sock = socket.socket(family_of(version), socket.SOCK_RAW, NUMBERS[protocol, version])
    sock.setblocking(False)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    word, byte = _LOAD_WORD[version], _LOAD_BYTE[version]
    if protocol is Protocol.UDP:
        wanted = [(word, 0, 0, 8), (0x15, 0, 1, _MAGIC)]
    else:
        wanted = [(byte, 0, 0, 4), (0x15, 0, 3, _SEQUENCE), (byte, 0, 0, 13), (0x15, 0, 1, SYN)]
    attach_filter(sock, [*_SKIP_HEADER[version], *wanted, (0x06, 0, 0, 0xFFFF), (0x06, 0, 0, 0)])
    return sock


def _received(receiver: socket.socket) -> Iterable[bytes]:
    while True:
        try:
            yield receiver.recv(256)
        except BlockingIOError:
            return


def _read(protocol: Protocol, packet: bytes) -> tuple[int, int]:
    """Flow and number."""
    if protocol is Protocol.TCP:
        return packet[5], int.from_bytes(packet[6:8], "big")
    _, flow, number = _number.unpack_from(packet, 8)
    return flow, number
