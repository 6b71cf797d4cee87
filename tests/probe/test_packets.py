"""Packets byte by byte, against values from the standards and from other implementations."""

from __future__ import annotations

import socket
import struct

import pytest

from sdn.model import Outcome
from sdn.probe import wire
from sdn.probe.logged import Logged, LogParser, packet_keys

A4, B4 = socket.inet_aton("10.244.0.2"), socket.inet_aton("10.244.1.2")
A6, B6 = (socket.inet_pton(socket.AF_INET6, text) for text in ("fd00::2", "fd00:1::2"))


def test_crc32c_is_castagnolis() -> None:
    assert wire.crc32c(b"123456789") == 0xE3069283  # the check value of RFC 3720's polynomial
    assert wire.crc32c(bytes(32)) == 0x8A9136AA  # RFC 3720, B.4


def test_checksum_of_rfc_1071() -> None:
    assert wire.checksum(bytes.fromhex("0001f203f4f5f6f7")) == 0xFFFF - 0xDDF2


@pytest.mark.parametrize(("source", "destination"), [(A4, B4), (A6, B6)], ids=["ipv4", "ipv6"])
def test_what_is_sent_sums_to_zero(source: bytes, destination: bytes) -> None:
    """Zero has two spellings in one's complement."""
    for sequence in (0, 7, 0x1_0000, 0xFFFF_FFFE):
        syn = wire.tcp_syn(source, destination, (40000, 80), sequence)
        assert wire.checksum(wire.pseudo_header(source, destination, 6, len(syn)) + syn) in (0, 0xFFFF)
        assert (syn[:8], syn[12:14]) == (struct.pack("!HHI", 40000, 80, sequence), bytes((0x50, wire.SYN)))
    for payload in (b"even", b"odd"):
        datagram = wire.udp_datagram(source, destination, (40000, 53), payload)
        assert wire.checksum(wire.pseudo_header(source, destination, 17, len(datagram)) + datagram) in (0, 0xFFFF)
    echo = wire.echo_request(4, 40000, b"abc")
    assert wire.checksum(echo) in (0, 0xFFFF)


def test_an_sctp_handshake() -> None:
    init = wire.read_sctp(wire.sctp_init((40000, 90), 0x1234))
    assert init is not None
    assert (init.source_port, init.port, init.tag, init.kind, init.init_tag) == (40000, 90, 0, wire.INIT, 0x1234)
    said = wire.token("shop/db-0", 90)
    for make, kind in ((wire.sctp_init_ack, wire.INIT_ACK), (wire.sctp_abort, wire.ABORT)):
        packet = make((90, 40000), init.init_tag, said)
        assert len(packet) % 4 in (0, 0xFFFF)
        assert packet[8:12] == wire.crc32c(packet[:8] + bytes(4) + packet[12:]).to_bytes(4, "little")
        answer = wire.read_sctp(packet)
        assert answer is not None
        assert (answer.kind, answer.tag, wire.read_token(answer.token)) == (kind, 0x1234, ("shop/db-0", 90))


@pytest.mark.parametrize("size", range(40))
def test_a_truncated_sctp_packet_is_no_crash(size: int) -> None:
    wire.read_sctp(wire.sctp_init_ack((90, 40000), 1, b"sdn a/b 90")[:size])


@pytest.mark.parametrize("words", [b"", b"220 smtp ready", b"sdn ", b"sdn name", b"sdn name port", b"sdn  80"])
def test_words_that_are_not_a_listeners(words: bytes) -> None:
    assert wire.read_token(words) is None


@pytest.mark.parametrize(
    ("family", "kind", "code", "outcome"),
    [
        (4, 3, 0, Outcome.UNREACHABLE),
        (4, 3, 1, Outcome.UNREACHABLE),
        (4, 3, 2, Outcome.REFUSED),
        (4, 3, 3, Outcome.REFUSED),
        (4, 3, 4, None),
        (4, 3, 9, Outcome.REJECTED),
        (4, 3, 10, Outcome.REJECTED),
        (4, 3, 13, Outcome.REJECTED),
        (4, 11, 0, None),
        (6, 1, 0, Outcome.UNREACHABLE),
        (6, 1, 1, Outcome.REJECTED),
        (6, 1, 3, Outcome.UNREACHABLE),
        (6, 1, 4, Outcome.REFUSED),
        (6, 1, 5, Outcome.REJECTED),
        (6, 1, 6, Outcome.UNREACHABLE),
        (6, 2, 0, None),
        (6, 4, 1, Outcome.REFUSED),
        (6, 4, 0, None),
    ],
)
def test_what_an_icmp_error_says(family: int, kind: int, code: int, outcome: Outcome | None) -> None:
    assert wire.icmp_outcome(family, kind, code) is outcome


def test_a_logged_packet_is_known_by_its_source() -> None:
    syn = wire.tcp_syn(A4, B4, (40000, 80), 7)
    ip4 = bytes([0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6, 0, 0]) + A4 + B4
    assert packet_keys(ip4 + syn) == ((6, A4, 40000), (6, B4, 80))
    echo = wire.echo_request(6, 41000, b"abcd")
    ip6 = bytes([0x60, 0, 0, 0, 0, 12, 58, 64]) + A6 + B6
    nobody = -1
    assert packet_keys(ip6 + echo) == ((58, A6, 41000), (58, B6, nobody))
    assert packet_keys(ip6 + b"\x81" + echo[1:]) == ((58, A6, nobody), (58, B6, 41000))
    assert packet_keys(ip6) is None
    assert packet_keys(b"") is None


def _attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


def _message(origin: str, packet: bytes, *, origin_last: bool = False) -> bytes:
    """One of NFLOG's, with the attributes that Linux writes: packet header, prefix, mark, payload."""
    header, prefix = _attribute(1, b"\x08\0\x02\0"), _attribute(10, origin.encode() + b"\0")
    rest = _attribute(2, bytes(4)) + (_attribute(9, packet) if packet else b"")
    body = bytes(4) + header + (rest + prefix if origin_last else prefix + rest)
    return struct.pack("=IHHII", 16 + len(body), 0x400, 0, 0, 0) + body + bytes(-len(body) % 4)


def _ip4(protocol: int, above: bytes, options: bytes = b"") -> bytes:
    return bytes([0x45 + len(options) // 4, 0, 0, 40, 0, 0, 0, 0, 64, protocol, 0, 0]) + A4 + B4 + options + above


SYN, ECHO = wire.tcp_syn(A4, B4, (40000, 80), 7), wire.echo_request(4, 41000, b"abcd")
LOGGED = {
    "usual": (_message("egress a[0]", _ip4(6, SYN)), ("egress a[0]", (6, A4, 40000), (6, B4, 80))),
    "another length of origin": (_message("e", _ip4(6, SYN)), ("e", (6, A4, 40000), (6, B4, 80))),
    "options": (_message("egress a[0]", _ip4(6, SYN, bytes(4))), ("egress a[0]", (6, A4, 40000), (6, B4, 80))),
    "origin last": (_message("x", _ip4(6, SYN), origin_last=True), ("x", (6, A4, 40000), (6, B4, 80))),
    "echo": (_message("egress a[0]", _ip4(1, ECHO)), ("egress a[0]", (1, A4, 41000), (1, B4, -1))),
    "IPv6": (
        _message("egress a[0]", bytes([0x60, 0, 0, 0, 0, 20, 6, 64]) + A6 + B6 + SYN),
        ("egress a[0]", (6, A6, 40000), (6, B6, 80)),
    ),
    "not IP": (_message("egress a[0]", b"\x45" + bytes(10)), None),
    "no packet": (_message("egress a[0]", b""), None),
}


@pytest.mark.parametrize("name", LOGGED)
def test_a_log_is_read_alike_the_first_time_and_when_its_kind_is_known(name: str) -> None:
    """Between messages of every other kind, whose shapes are remembered, too."""
    message, expected = LOGGED[name]
    parser = LogParser()
    for _ in range(3):
        for other, _ in LOGGED.values():
            found: list[Logged] = []
            parser.parse(message + other + message, found)
            assert [one for one in found if one == expected][:2] == ([expected] * 2 if expected else [])
        found = []
        parser.parse(message * 2, found)
        assert found == ([expected] * 2 if expected else [])


def test_a_log_that_is_no_message_ends_the_reading() -> None:
    found: list[Logged] = []
    LogParser().parse(bytes(64), found)
    assert found == []
