"""A workload that is root in its own namespace cannot speak as anybody else: none of it reaches anybody.

Each lie goes out before the truth does, on the same interface: once the truth has arrived, the lies would have, too.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from frames import BROADCAST, advert, arp, ethernet, heard_by, ipv4, udp

from labs import ask_all, inside, story, up
from sdn.lab import client
from sdn.lab.suite import ask_flows
from sdn.model import Application, Endpoint, Flow, Outcome, Protocol, SegmentKind
from sdn.plan.state import GATEWAY_MAC
from worlds_build import model, segment, workload

pytestmark = pytest.mark.kernel

NETWORK = Application(
    "a",
    (
        segment("lan", "10.1.1.0/24", "fd00:1::/64"),
        segment("pods", "10.2.0.0/16", "fd00:2::/48", kind=SegmentKind.ROUTED),
    ),
)
WORKLOADS = [
    workload("a/liar", 1, "a/lan", ":80"),
    workload("a/near", 1, "a/lan", ":80"),
    workload("a/far", 2, "a/lan", ":80"),
    workload("a/pod-liar", 1, "a/pods", ":80"),
    workload("a/pod-near", 1, "a/pods", ":80"),
    workload("a/pod-far", 2, "a/pods", ":80"),
]
LAST = "the truth, in full"


@pytest.fixture(scope="module")
def lab() -> Iterator[client.Lab]:
    """One for all: none of these tests may change anything."""
    with client.temporary(model("spoof", [NETWORK], WORKLOADS)) as running:
        running.built()
        yield running


def endpoint(lab: client.Lab, key: str) -> Endpoint:
    return lab.placed().endpoints[key]


def lies_of_packets(lab: client.Lab, sender: str, victim: str, posed_as: str) -> dict[str, bytes]:
    """Datagrams with somebody else's address; on their way they may be routed, but what they say stays."""
    me, you, other = (endpoint(lab, key) for key in (sender, victim, posed_as))
    hop = next_hop(me, you)
    gateways = ("10.1.1.1", "fd00:1::1") if me.segment == "lan" else ("10.2.0.1", "fd00:2::1")
    outside = ("203.0.113.9", "2001:db8::9")
    found = {}
    for family, target in ((4, you.addresses[0]), (6, you.addresses[1])):
        index = family == 6
        for name, mac in (("mac of another", other.mac), ("mac of the gateway", GATEWAY_MAC)):
            found[f"{name} {family}"] = udp((hop, mac), me.addresses[index], target, f"{name} {family}")
        whose = {"another": other.addresses, "the gateway": gateways, "nobody": outside, "the victim": you.addresses}
        for name, addresses in whose.items():
            found[f"{name} {family}"] = udp((hop, me.mac), addresses[index], target, f"{name} {family}")
    return found


def next_hop(me: Endpoint, you: Endpoint) -> str:
    """The neighbour itself in one l2 segment, else the gateway."""
    return you.mac if me.segment == you.segment == "lan" else GATEWAY_MAC


def truths(lab: client.Lab, sender: str, victim: str) -> list[bytes]:
    """The same under the sender's own name; the IPv6 one is the last to be sent."""
    me, you = endpoint(lab, sender), endpoint(lab, victim)
    to = (next_hop(me, you), me.mac)
    pairs = list(zip(me.addresses, you.addresses, strict=True))
    return [udp(to, *pairs[0], "true-4"), udp(to, *pairs[1], LAST)]


@pytest.mark.parametrize(
    ("sender", "victim", "posed_as"),
    [
        pytest.param("a/liar", "a/near", "a/far", id="one-host-one-segment"),
        pytest.param("a/liar", "a/far", "a/near", id="through-the-tunnel"),
        pytest.param("a/liar", "a/pod-near", "a/near", id="l2-to-routed"),
        pytest.param("a/pod-liar", "a/pod-near", "a/pod-far", id="routed-on-one-host"),
        pytest.param("a/pod-liar", "a/pod-far", "a/pod-near", id="routed-through-the-tunnel"),
        pytest.param("a/pod-liar", "a/near", "a/pod-near", id="routed-to-l2"),
    ],
)
def test_packets_of_others(sender: str, victim: str, posed_as: str, lab: client.Lab) -> None:
    lies = lies_of_packets(lab, sender, victim, posed_as)
    heard = b"|".join(heard_by(lab, victim, sender, [*lies.values(), *truths(lab, sender, victim)], LAST))
    assert b"true-4" in heard
    assert LAST.encode() in heard
    assert [name for name in lies if name.encode() in heard] == []


def test_resolution_in_the_name_of_others(lab: client.Lab) -> None:
    """ARP and neighbour discovery, which everything else on a segment believes; and frames that are neither."""
    me, you, other = (endpoint(lab, key) for key in ("a/liar", "a/near", "a/far"))
    to, all_of_them = (you.mac, me.mac), (BROADCAST, me.mac)
    mine, yours, theirs = me.addresses, you.addresses, other.addresses
    tagged = b"\x00\x05\x08\x00" + ipv4(mine[0], yours[0], 17, b"in a VLAN of its own")
    lies = {
        "arp": arp(to, me.mac, theirs[0], yours[0]),
        "arp to all": arp(all_of_them, me.mac, theirs[0], theirs[0]),
        "arp for the gateway": arp(all_of_them, me.mac, "10.1.1.1", "10.1.1.1"),
        "arp with another's hardware": arp(to, other.mac, mine[0], yours[0]),
        "arp from another's mac": arp((you.mac, other.mac), other.mac, theirs[0], yours[0]),
        "advert": advert(to, mine[1], yours[1], theirs[1]),
        "advert from its victim": advert(to, theirs[1], yours[1], theirs[1]),
        "advert for the gateway": advert(to, mine[1], yours[1], "fd00:1::1"),
        "advert from the gateway": advert(to, "fd00:1::1", yours[1], "fd00:1::1"),
        "advert to all": advert(("33:33:00:00:00:01", me.mac), mine[1], "ff02::1", theirs[1]),
        "advert behind an extension header": advert(to, mine[1], yours[1], theirs[1], hidden=True),
        "vlan": ethernet(you.mac, me.mac, 0x8100, tagged),
        "another protocol": ethernet(you.mac, me.mac, 0x88B5, b"experiment" * 5),
    }
    true = {
        "arp": arp(to, me.mac, mine[0], yours[0]),
        "arp to all": arp(all_of_them, me.mac, mine[0], mine[0]),
        "advert": advert(to, mine[1], yours[1], mine[1]),
        "advert behind an extension header": advert(to, mine[1], yours[1], mine[1], hidden=True),
    }
    sent = [*lies.values(), *true.values(), *truths(lab, "a/liar", "a/near")]
    heard = heard_by(lab, "a/near", "a/liar", sent, LAST)
    assert arrived(true, heard) == list(true)
    assert arrived(lies, heard) == []


def arrived(frames: dict[str, bytes], heard: list[bytes]) -> list[str]:
    """Which of them are among what was heard; short ones may have been padded."""
    return [name for name, frame in frames.items() if any(one.startswith(frame) for one in heard)]


def test_nobody_was_persuaded(lab: client.Lab) -> None:
    """After a burst of lies everybody still reaches everybody, where the plan says that they are."""
    me, you, other = (endpoint(lab, key) for key in ("a/liar", "a/near", "a/far"))
    to = (BROADCAST, me.mac)
    lies = [arp(to, me.mac, who, who) for who in (you.addresses[0], other.addresses[0], "10.1.1.1")]
    lies += [advert(to, who, "ff02::1", who) for who in (you.addresses[1], other.addresses[1], "fd00:1::1")]
    heard_by(lab, "a/near", "a/liar", [*lies * 20, *truths(lab, "a/liar", "a/near")], LAST)
    assert story(ask_all(lab)) == ""


def test_whoever_changes_its_own_hardware_address_is_not_heard() -> None:
    """It may call itself what it likes, and loses the network by it."""
    with up(model("spoof", [NETWORK], WORKLOADS[:2])) as lab:
        inside(lab, "a/liar", "ip", "link", "set", "eth0", "address", "02:00:00:00:00:99")
        flows = [Flow("a/liar", address, Protocol.ICMP) for address in endpoint(lab, "a/near").addresses]
        outcomes = {one.observations[0].outcome for one in ask_flows(lab, lab.placed(), flows)}
        assert outcomes <= {Outcome.TIMEOUT, Outcome.UNREACHABLE}
