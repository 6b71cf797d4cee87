"""TCP is strict: a connection that no Host saw begin is none, so what comes from its middle reaches nobody.

The segments go to a port that policy allows. One that begins a connection goes out last, on the same interface: once
it has arrived, the others would have, too.
"""

from __future__ import annotations

from collections.abc import Iterator
from struct import pack

import pytest
from frames import ethernet, heard_by, ipv4, ipv6, raw

from labs import up
from sdn.lab import client
from sdn.model import Application, PortRange, Protocol, SegmentKind
from sdn.plan.state import GATEWAY_MAC
from sdn.probe.wire import checksum
from worlds_build import INGRESS, act, model, segment, tier, workload

pytestmark = pytest.mark.kernel

NETWORK = Application(
    "a",
    (
        segment("lan", "10.1.1.0/24", "fd00:1::/64"),
        segment("pods", "10.2.0.0/16", "fd00:2::/48", kind=SegmentKind.ROUTED),
    ),
)
WORKLOADS = [
    workload("a/x", 1, "a/lan"),
    workload("a/near", 1, "a/lan", ":80"),
    workload("a/far", 2, "a/lan", ":80"),
    workload("a/pod", 1, "a/pods"),
    workload("a/pod-near", 1, "a/pods", ":80"),
    workload("a/pod-far", 2, "a/pods", ":80"),
]
OPEN = tier("application/t", act("allow", INGRESS, PortRange(Protocol.TCP, 80, 80)), act("deny", INGRESS))
FIN, SYN, RST, PSH, ACK = 0x01, 0x02, 0x04, 0x08, 0x10
MIDDLE = {"ack": ACK, "data": PSH | ACK, "answer": SYN | ACK, "end": FIN | ACK, "reset": RST, "reset answer": RST | ACK}


@pytest.fixture(scope="module")
def lab() -> Iterator[client.Lab]:
    """One for all: none of these tests changes anything."""
    with up(model("strict", [NETWORK], WORKLOADS, OPEN)) as running:
        yield running


def tcp(source: str, target: str, flags: int, number: int, tag: str) -> bytes:
    """A packet with a segment of these flags to the open port, each from a port of its own."""
    head = pack("!HHIIBBHHH", 4000 + number, 80, 7, 9, 0x50, flags, 1000, 0, 0) + tag.encode()
    pseudo = raw(source) + raw(target) + pack("!II", 6, len(head))
    segment_ = head[:16] + pack("!H", checksum(pseudo + head)) + head[18:]
    return (ipv6 if ":" in source else ipv4)(source, target, 6, segment_)


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize(
    ("sender", "target"),
    [
        ("a/x", "a/near"),
        ("a/x", "a/far"),
        ("a/pod", "a/pod-near"),
        ("a/pod", "a/pod-far"),
        ("a/x", "a/pod-far"),
        ("a/pod", "a/near"),
    ],
)
def test_a_connection_is_never_picked_up_in_the_middle(lab: client.Lab, sender: str, target: str, family: int) -> None:
    me, you = (lab.placed().endpoints[key] for key in (sender, target))
    own, other = me.address(family), you.address(family)
    assert own is not None and other is not None
    hop = you.mac if you.segment == me.segment == "lan" else GATEWAY_MAC
    wanted = {**MIDDLE, "the beginning, in full": SYN}
    frames = [
        ethernet(hop, me.mac, 0x86DD if family == 6 else 0x0800, tcp(own, other, flags, number, f"<{tag}>"))
        for number, (tag, flags) in enumerate(wanted.items())
    ]
    heard = b"|".join(heard_by(lab, target, sender, frames, "<the beginning, in full>"))
    assert [tag for tag in wanted if f"<{tag}>".encode() in heard] == ["the beginning, in full"]
