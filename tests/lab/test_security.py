"""What a workload that is root in its own namespace can send and no policy speaks of: it is judged, or it dies.

Whoever is forbidden to talk to a neighbour tries every other kind of frame, and the neighbour's interface is asked what
it took in. What is allowed goes out last, on the same interface: once it has arrived, the rest would have, too.
"""

from __future__ import annotations

from collections.abc import Iterator
from struct import pack

import pytest
from frames import BROADCAST, ethernet, heard_by, ipv4, ipv6, raw, udp

from labs import ask_all, inside, story, up
from sdn.lab import client
from sdn.model import Application, Endpoint, PortRange, Protocol, SegmentKind, Selector
from sdn.plan.ids import port_name
from sdn.plan.state import GATEWAY_MAC
from sdn.probe.wire import checksum, udp_datagram
from worlds_build import INGRESS, act, model, segment, tier, workload

pytestmark = pytest.mark.kernel

NETWORKS = [
    Application(
        name,
        (
            segment("lan", "10.1.1.0/24", "fd00:1::/64"),
            segment("pods", "10.2.0.0/16", "fd00:2::/48", kind=SegmentKind.ROUTED),
        ),
    )
    for name in ("a", "b")
]
"""Two tenants with the same addresses."""

WORKLOADS = [
    workload("a/friend", 1, "a/lan", ip=("10.1.1.10", "fd00:1::10")),
    workload("a/victim", 1, "a/lan", ip=("10.1.1.20", "fd00:1::20")),
    workload("a/rogue", 1, "a/lan", ip=("10.1.1.30", "fd00:1::30")),
    workload("a/far", 2, "a/lan", ip=("10.1.1.40", "fd00:1::40")),
    workload("a/pod-rogue", 1, "a/pods"),
    workload("a/pod-victim", 1, "a/pods"),
    workload("a/pod-far", 2, "a/pods"),
    workload("b/spy", 1, "b/lan", ip=("10.1.1.20", "fd00:1::20")),
    workload("b/rogue", 1, "b/lan", ip=("10.1.1.30", "fd00:1::30")),
]
CLOSED = tier(
    "application/t",
    act("allow", INGRESS, PortRange(Protocol.UDP, 4001, 4001)),
    act("deny", INGRESS),
    to=[Selector(name=name) for name in ("victim", "pod-victim", "pod-far")],
)
"""One port is open, for the last frame of each test."""
LAST = "what is allowed, in full"


@pytest.fixture(scope="module")
def lab() -> Iterator[client.Lab]:
    """One for all: none of these tests may change anything."""
    with up(model("security", NETWORKS, WORKLOADS, CLOSED)) as running:
        yield running


def endpoint(lab: client.Lab, key: str) -> Endpoint:
    return lab.placed().endpoints[key]


def shut(source: str, target: str, tag: str) -> bytes:
    """A packet to a port that is closed to everybody."""
    datagram = udp_datagram(raw(source), raw(target), (4000, 4009), tag.encode())
    return (ipv6 if ":" in source else ipv4)(source, target, 17, datagram)


def kind_of(address: str) -> int:
    """The EtherType."""
    return 0x86DD if ":" in address else 0x0800


def heard(lab: client.Lab, victim: str, sender: str, tricks: dict[str, bytes]) -> list[str]:
    """The names of the tricks whose frames arrived."""
    me, you = endpoint(lab, sender), endpoint(lab, victim)
    hop = you.mac if you.segment == me.segment == "lan" else GATEWAY_MAC
    allowed = udp((hop, me.mac), me.addresses[0], you.addresses[0], LAST)
    frames = b"|".join(heard_by(lab, victim, sender, [*tricks.values(), allowed], LAST))
    assert LAST.encode() in frames
    return [name for name in tricks if name.encode() in frames]


def test_frames_whose_port_is_not_their_packets_destination(lab: client.Lab) -> None:
    """Policy judges addresses, bridges look at MACs: together they must name one neighbour."""
    me, you = endpoint(lab, "a/rogue"), endpoint(lab, "a/victim")
    targets = {
        "friend": endpoint(lab, "a/friend").addresses,
        "far": endpoint(lab, "a/far").addresses,
        "nobody": ("10.1.1.99", "fd00:1::99"),
        "all of the segment": ("10.1.1.255", "ff02::1"),
        "all hosts": ("224.0.0.1", "ff02::2"),
        "everybody": ("255.255.255.255", "ff0e::1"),
        "the victim": you.addresses,
    }
    tricks = {}
    for mac, how in ((you.mac, "its MAC"), (BROADCAST, "broadcast"), ("33:33:00:00:00:01", "multicast")):
        for name, addresses in targets.items():
            for source, target in zip(me.addresses, addresses, strict=True):
                tag = f"{how}, {name}, IPv{6 if ':' in target else 4}"
                tricks[tag] = ethernet(mac, me.mac, kind_of(target), shut(source, target, tag))
    assert heard(lab, "a/victim", "a/rogue", tricks) == []


def test_frames_in_wrappings(lab: client.Lab) -> None:
    """What bridges pass on without showing it to the firewall as IP."""
    me, you = endpoint(lab, "a/rogue"), endpoint(lab, "a/victim")
    tricks = {}
    for source, target in zip(me.addresses, you.addresses, strict=True):
        family = 6 if ":" in target else 4
        wrappings = {
            "vlan": pack("!HH", 0x8100, 5),
            "priority": pack("!HH", 0x8100, 0),
            "provider": pack("!HH", 0x88A8, 5),
            "two tags": pack("!HHHH", 0x88A8, 5, 0x8100, 6),
            "pppoe": pack("!HBBHHH", 0x8864, 0x11, 0, 1, 200, 0x0021 if family == 4 else 0x0057),
            "mpls": pack("!HI", 0x8847, 0x0001_01FF),
            "nsh": pack("!H", 0x894F),
        }
        for name, wrapping in wrappings.items():
            tag = f"{name} {family}"
            inner = b"" if name in ("pppoe", "mpls") else pack("!H", kind_of(target))
            tricks[tag] = raw(you.mac) + raw(me.mac) + wrapping + inner + shut(source, target, tag)
        snap = b"\xaa\xaa\x03\0\0\0" + pack("!H", kind_of(target)) + shut(source, target, f"snap {family}")
        tricks[f"snap {family}"] = ethernet(you.mac, me.mac, len(snap), snap)
    assert heard(lab, "a/victim", "a/rogue", tricks) == []


def neighbour_message(kind: int, source: str, target: str, tag: str, hops: int) -> bytes:
    """A solicitation (135) or advertisement (136) that carries something else."""
    body = pack("!BBHI16s", kind, 0, 0, 0, raw(source)) + tag.encode()
    pseudo = raw(source) + raw(target) + pack("!II", len(body), 58)
    body = body[:2] + pack("!H", checksum(pseudo + body)) + body[4:]
    return ipv6(source, target, 58, body, hops)


@pytest.mark.parametrize(
    ("sender", "victim"),
    [("a/pod-rogue", "a/pod-victim"), ("a/pod-rogue", "a/pod-far"), ("a/pod-rogue", "a/victim")],
)
def test_neighbour_discovery_is_never_routed(sender: str, victim: str, lab: client.Lab) -> None:
    me, you = endpoint(lab, sender), endpoint(lab, victim)
    tricks = {}
    for kind in (135, 136):
        for hops in (64, 255):
            tag = f"kind {kind}, {hops} hops"
            packet = neighbour_message(kind, me.addresses[1], you.addresses[1], tag, hops)
            tricks[tag] = ethernet(GATEWAY_MAC, me.mac, 0x86DD, packet)
    assert heard(lab, victim, sender, tricks) == []


def fragment(source: str, target: str, offset: int, more: bool, data: bytes) -> bytes:
    """A part of a datagram, `offset` in units of 8 bytes."""
    if ":" in source:
        return ipv6(source, target, 44, pack("!BBHI", 17, 0, offset << 3 | more, 77) + data)
    packet = ipv4(source, target, 17, data)
    head = packet[:4] + pack("!HH", 77, more << 13 | offset) + packet[8:10] + b"\0\0" + packet[12:20]
    return head[:10] + pack("!H", checksum(head)) + head[12:] + data


@pytest.mark.parametrize("family", [4, 6])
def test_fragments_of_two_tenants_are_never_put_together(family: int, lab: client.Lab) -> None:
    """Both tenants have the same addresses; one sends the beginning of a datagram, the other the end."""
    tenants = [
        (endpoint(lab, f"{name}/rogue"), endpoint(lab, you)) for name, you in (("b", "b/spy"), ("a", "a/victim"))
    ]
    index = family == 6
    source, target = tenants[0][0].addresses[index], tenants[0][1].addresses[index]
    whole = udp_datagram(raw(source), raw(target), (4000, 4001), b"b" * 24 + b"secret of a")
    frames = []
    for (me, you), part in zip(tenants, ((0, True, whole[:32]), (4, False, whole[32:])), strict=True):
        frames.append(ethernet(you.mac, me.mac, kind_of(source), fragment(source, target, *part)))
    assert heard(lab, "a/victim", "a/rogue", {"secret of a": frames[1]}) == []
    # The end waits for its beginning now, and must go on waiting when somebody else's comes.
    assert heard(lab, "b/spy", "b/rogue", {"secret of a": frames[0]}) == []


def tcp(source: str, target: str, flags: int, tag: str) -> bytes:
    """A segment with these flags to a closed port."""
    head = pack("!HHIIBBHHH", 4000, 80, 7, 9, 0x50, flags, 1000, 0, 0) + tag.encode()
    pseudo = raw(source) + raw(target) + pack("!II", 6, len(head))
    return head[:16] + pack("!H", checksum(pseudo + head)) + head[18:]


def wrapped(source: str, target: str, header: int, option: bytes, tag: str) -> bytes:
    """An IPv6 packet to a closed port behind one extension header; `option` is what follows its first two bytes."""
    datagram = udp_datagram(raw(source), raw(target), (4000, 4009), tag.encode())
    return ipv6(source, target, header, pack("!BB", 17, len(option) // 8) + option + datagram)


def optioned(source: str, target: str, options: bytes, tag: str) -> bytes:
    """An IPv4 packet to a closed port with options, padded by whoever calls."""
    plain = shut(source, target, tag)
    length = pack("!BBH", 0x45 + len(options) // 4, 0, len(plain) + len(options))
    head = length + plain[4:10] + b"\0\0" + plain[12:20] + options
    return head[:10] + pack("!H", checksum(head)) + head[12:] + plain[20:]


def shapes_of_ipv4(source: str, target: str) -> dict[str, bytes]:
    """Everything but a plain datagram."""
    found = {f"tcp {flags:02x} v4": ipv4(source, target, 6, tcp(source, target, flags, f"tcp {flags:02x} v4"))
             for flags in (0x00, 0x01, 0x04, 0x10, 0x12, 0x29, 0x3F)}  # fmt: skip
    quoted = ipv4(target, source, 17, pack("!HHHH", 53, 999, 20, 0))
    for kind in (3, 5, 11, 12):
        body = pack("!BBHI", kind, 1, 0, 0) + quoted + f"error {kind} v4".encode()
        found[f"error {kind} v4"] = ipv4(source, target, 1, body[:2] + pack("!H", checksum(body)) + body[4:])
    for protocol in (2, 4, 41, 47, 50, 89, 253):
        found[f"protocol {protocol} v4"] = ipv4(source, target, protocol, bytes(8) + f"protocol {protocol} v4".encode())
    route = pack("!BBB4sx", 131, 7, 4, raw(target))
    found["source route"] = optioned(source, target, route, "source route")
    found["record route"] = optioned(source, target, pack("!BBB4sx", 7, 7, 4, bytes(4)), "record route")
    return found


def shapes_of_ipv6(source: str, target: str) -> dict[str, bytes]:
    """The same, with headers between."""
    found = {f"tcp {flags:02x} v6": ipv6(source, target, 6, tcp(source, target, flags, f"tcp {flags:02x} v6"))
             for flags in (0x00, 0x04, 0x10, 0x12)}  # fmt: skip
    padding = b"\x01\x04" + bytes(4)
    for header in (0, 60, 135, 140):
        found[f"header {header}"] = wrapped(source, target, header, padding, f"header {header}")
    found["routing 0"] = wrapped(source, target, 43, pack("!BBI", 0, 0, 0), "routing 0")
    whole = udp_datagram(raw(source), raw(target), (4000, 4009), b"atomic fragment")
    found["atomic fragment"] = fragment(source, target, 0, False, whole)
    for kind in (1, 2, 133, 134, 137, 151):
        body = pack("!BBHI", kind, 0, 0, 0) + f"icmp {kind} v6".encode().rjust(60)
        pseudo = raw(source) + raw(target) + pack("!II", len(body), 58)
        body = body[:2] + pack("!H", checksum(pseudo + body)) + body[4:]
        found[f"icmp {kind} v6"] = ipv6(source, target, 58, body, 255)
    return found


@pytest.mark.parametrize(
    ("sender", "victim"),
    [
        ("a/rogue", "a/victim"),
        ("a/pod-rogue", "a/pod-victim"),
        ("a/pod-rogue", "a/pod-far"),
        ("a/pod-rogue", "a/victim"),
    ],
)
def test_packets_of_every_shape_are_judged(sender: str, victim: str, lab: client.Lab) -> None:
    me, you = endpoint(lab, sender), endpoint(lab, victim)
    hop = you.mac if you.segment == me.segment == "lan" else GATEWAY_MAC
    shapes = shapes_of_ipv4(me.addresses[0], you.addresses[0]), shapes_of_ipv6(me.addresses[1], you.addresses[1])
    tricks = {
        name: ethernet(hop, me.mac, kind, packet)
        for kind, found in zip((0x0800, 0x86DD), shapes, strict=True)
        for name, packet in found.items()
    }
    assert heard(lab, victim, sender, tricks) == []


def test_a_pod_that_asks_in_the_name_of_others_is_not_remembered(lab: client.Lab) -> None:
    """All namespaces of a machine share a thousand places for learnt neighbours."""
    me = endpoint(lab, "a/pod-rogue")
    asked = []
    for number in range(2, 42):
        who = raw(me.mac) + raw(f"10.2.99.{number}")
        body = pack("!HHBBH", 1, 0x0800, 6, 4, 1) + who + bytes(6) + raw("10.2.0.1")
        asked.append(ethernet(BROADCAST, me.mac, 0x0806, body))
    assert heard(lab, "a/pod-victim", "a/pod-rogue", {f"question {n}": frame for n, frame in enumerate(asked)}) == []
    known = inside(lab, "host-1", "ip", "neigh", "show", "dev", port_name("a/pod-rogue")).splitlines()
    assert {line.split()[0] for line in known} == set(me.addresses)


def test_nobody_was_harmed(lab: client.Lab) -> None:
    """After all of it the three answers still agree, and the kernel is as planned."""
    assert story(ask_all(lab)) == ""
    assert lab.status().drift == ()
