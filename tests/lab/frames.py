"""Ethernet frames by hand, for a workload that lies about who it is; and how to send and to see them.

Everything is sent from inside a workload through a raw socket on its own interface, which is all that its root can do.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from ipaddress import ip_address
from struct import pack

from labs import entering, inside
from sdn.lab import client
from sdn.probe.wire import checksum, udp_datagram

BROADCAST = "ff:ff:ff:ff:ff:ff"
MOST = 500
"""Frames that a listener takes before it gives up waiting for the last one."""

_SEND = """
import socket, sys
sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
sock.bind(("eth0", 0))
for frame in sys.argv[1:]:
    sock.send(bytes.fromhex(frame))
"""
_HEAR = """
import json, socket, sys
sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
sock.bind(("eth0", 3))
sock.settimeout(10)
print("ready", flush=True)
heard = []
while len(heard) < int(sys.argv[2]):
    try:
        frame, (_, _, kind, _, _) = sock.recvfrom(4096)
    except TimeoutError:
        break
    if kind != socket.PACKET_OUTGOING:
        heard.append(frame.hex())
        if sys.argv[1] in heard[-1]:
            break
print(json.dumps(heard))
"""


def raw(address: str) -> bytes:
    """A MAC, IPv4 or IPv6 address as it stands in a packet."""
    is_mac = len(address) == 17 and address[2::3] == ":::::"
    return bytes.fromhex(address.replace(":", "")) if is_mac else ip_address(address).packed


def ethernet(target: str, source: str, kind: int, payload: bytes) -> bytes:
    """A frame."""
    return raw(target) + raw(source) + pack("!H", kind) + payload


def ipv4(source: str, target: str, protocol: int, payload: bytes) -> bytes:
    """A packet."""
    head = pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), 0, 0, 64, protocol, 0, raw(source), raw(target))
    return head[:10] + pack("!H", checksum(head)) + head[12:] + payload


def ipv6(source: str, target: str, protocol: int, payload: bytes, hops: int = 64) -> bytes:
    """A packet."""
    return pack("!IHBB16s16s", 0x60000000, len(payload), protocol, hops, raw(source), raw(target)) + payload


def udp(macs: tuple[str, str], source: str, target: str, tag: str) -> bytes:
    """A datagram that says `tag`, from `source`, whoever that is; `macs` are the target's and the source's."""
    datagram = udp_datagram(raw(source), raw(target), (4000, 4001), tag.encode())
    if ":" in source:
        return ethernet(*macs, 0x86DD, ipv6(source, target, 17, datagram))
    return ethernet(*macs, 0x0800, ipv4(source, target, 17, datagram))


def arp(macs: tuple[str, str], hardware: str, sender: str, target: str) -> bytes:
    """An ARP reply: `sender` is at `hardware`."""
    body = pack("!HHBBH6s4s6s4s", 1, 0x0800, 6, 4, 2, raw(hardware), raw(sender), raw(macs[0]), raw(target))
    return ethernet(*macs, 0x0806, body)


def advert(macs: tuple[str, str], source: str, target: str, claimed: str, *, hidden: bool = False) -> bytes:
    """A neighbour advertisement: `claimed` is at the sender's MAC. `hidden`: behind an extension header."""
    body = pack("!BBHI16sBB6s", 136, 0, 0, 0x60000000, raw(claimed), 2, 1, raw(macs[1]))
    pseudo = raw(source) + raw(target) + pack("!II", len(body), 58)
    body = body[:2] + pack("!H", checksum(pseudo + body)) + body[4:]
    if hidden:
        return ethernet(*macs, 0x86DD, ipv6(source, target, 0, pack("!BBHI", 58, 0, 0x0104, 0) + body, 255))
    return ethernet(*macs, 0x86DD, ipv6(source, target, 58, body, 255))


def send(lab: client.Lab, sender: str, frames: list[bytes]) -> None:
    """Out of a workload's interface."""
    inside(lab, sender, sys.executable, "-c", _SEND, *(frame.hex() for frame in frames))


def heard_by(lab: client.Lab, listener: str, sender: str, frames: list[bytes], last: str) -> list[bytes]:
    """All frames that a workload's interface takes in until one that contains the tag `last`."""
    return heard_while(lab, listener, last, lambda: send(lab, sender, frames))


def heard_while(lab: client.Lab, listener: str, last: str, act: Callable[[], object]) -> list[bytes]:
    """The same, of whatever `act` has somebody send."""
    command = entering(lab, listener, sys.executable, "-c", _HEAR, last.encode().hex(), str(MOST))
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as hearing:
        assert hearing.stdout is not None
        assert hearing.stdout.readline() == "ready\n"
        act()
        return [bytes.fromhex(text) for text in json.loads(hearing.stdout.read())]
