"""Packets byte by byte, against values from the standards and from other implementations."""

from __future__ import annotations

import socket

import pytest

from sdn.model import Outcome
from sdn.probe import wire
from sdn.probe.nflog import packet_keys

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
    syn = wire.tcp_syn(source, destination, (40000, 80), 7)
    assert wire.checksum(wire.pseudo_header(source, destination, 6, len(syn)) + syn) in (0, 0xFFFF)
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
