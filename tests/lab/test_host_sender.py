"""What the Host's own way to its workloads opens, and what it must not: nobody comes in by it, and it ends at the Host.

Whatever should not arrive is sent before something that should, so that silence is no accident of time.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator

import pytest
from frames import ethernet, heard_while, ipv4, ipv6, raw, send

from labs import entering, inside, up
from sdn.lab import client
from sdn.model import Application, Options, SegmentKind
from sdn.plan.state import GATEWAY_MAC, LOCAL
from sdn.probe.wire import udp_datagram
from worlds_build import EGRESS, INGRESS, act, model, segment, tier, workload

pytestmark = pytest.mark.kernel

NETWORK = Application(
    "a",
    (
        segment("lan", "10.1.1.0/24", "fd00:1::/64"),
        segment("pods", "10.2.0.0/16", "fd00:2::/48", kind=SegmentKind.ROUTED),
    ),
)
OTHER = Application("b", (segment("lan", "10.1.1.0/24", "fd00:1::/64"),))
SAME = ("10.1.1.20", "fd00:1::20")
WORKLOADS = [
    workload("a/x", 1, "a/lan", ip=SAME),
    workload("a/y", 1, "a/lan"),
    workload("a/far", 2, "a/lan"),
    workload("a/pod", 1, "a/pods"),
    workload("a/pod-far", 2, "a/pods"),
    workload("b/x", 1, "b/lan", ip=SAME),
]
SHUT = tier("emergency/shut", act("deny", INGRESS), act("deny", EGRESS))
GATEWAYS = {"lan": ("10.1.1.1", "fd00:1::1"), "pods": ("10.2.0.1", "fd00:2::1")}

_SERVE = """
import socket, sys
kept = [socket.create_server((own, 7000), family=family) for own, family in (
    ("0.0.0.0", socket.AF_INET), ("::", socket.AF_INET6))]
print("ready", flush=True)
sys.stdin.read()
"""
_CONNECT = """
import json, socket, sys
for mark, device, source, target, port in json.loads(sys.argv[1]):
    sock = socket.socket(socket.AF_INET6 if ":" in target else socket.AF_INET, socket.SOCK_STREAM)
    sock.settimeout(0.3)
    if mark:
        sock.setsockopt(socket.SOL_SOCKET, 36, mark.to_bytes(4, sys.byteorder))  # SO_MARK
    if device:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode())
    try:
        if source:
            sock.bind((source, 0))
        sock.connect((target, port))
        print("connected")
    except ConnectionRefusedError:
        print("refused")
    except OSError:
        print("lost")
    sock.close()
"""
_HEAR = """
import json, socket, sys
mark, source, target = json.loads(sys.argv[1])
sock = socket.socket(socket.AF_INET6 if ":" in target else socket.AF_INET, socket.SOCK_DGRAM)
sock.setsockopt(socket.SOL_SOCKET, 36, mark.to_bytes(4, sys.byteorder))
sock.settimeout(10)
sock.bind((source, 5000))
sock.sendto(b"hello", (target, 6000))
print("ready", flush=True)
heard = []
while "the answer" not in heard:
    heard.append(sock.recv(99).decode())
print(json.dumps(heard))
"""
_SAY = """
import json, socket, sys
for mark, device, source, target, word in json.loads(sys.argv[1]):
    sock = socket.socket(socket.AF_INET6 if ":" in target else socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, 36, mark.to_bytes(4, sys.byteorder))
    if device:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode())
    sock.bind((source, 0))
    try:
        sock.sendto(word.encode(), (target, 6000))
    except OSError:
        pass
"""


@pytest.fixture(scope="module")
def lab() -> Iterator[client.Lab]:
    """One for all: none of these tests may change anything that lasts. Policy forbids everything."""
    with client.temporary(model("sender", [NETWORK, OTHER], WORKLOADS, SHUT)) as running:
        running.built()
        yield running


Attempt = tuple[int, str, str, str, int]
"""(mark, device, source, destination, TCP port); 0 and empty are none."""


def connecting(lab: client.Lab, where: str, attempts: list[Attempt]) -> list[str]:
    """What becomes of each: connected, refused (it arrived, and nobody listens), or lost."""
    return inside(lab, where, sys.executable, "-c", _CONNECT, json.dumps(attempts)).split()


def mark_of(lab: client.Lab, application: str) -> int:
    return lab.placed().marks[application]


def gateway(lab: client.Lab, key: str, family: int) -> str:
    return GATEWAYS[lab.placed().endpoints[key].segment][family == 6]


def test_no_workload_opens_a_connection_to_its_host(lab: client.Lab) -> None:
    """Though a process of the Host listens on all of its addresses, as that Host sees."""
    with subprocess.Popen(
        entering(lab, "host-1", sys.executable, "-c", _SERVE),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as serving:  # fmt: skip
        assert serving.stdout is not None
        assert serving.stdout.readline() == "ready\n"
        for key in ("a/x", "a/y", "a/pod", "b/x"):
            own = [gateway(lab, key, family) for family in (4, 6)]
            marked = [
                (mark_of(lab, key[0]), "", gateway(lab, key, 6 if ":" in address else 4), address, 7000)
                for address in lab.placed().endpoints[key].addresses
            ]
            assert connecting(lab, "host-1", marked) == ["refused", "refused"], "there are connections with it"
            everything = [*own, "192.168.1.1", *GATEWAYS["lan"], *GATEWAYS["pods"]]
            found = connecting(lab, key, [(0, "", "", address, 7000) for address in everything])
            assert set(found) == {"lost"}, (key, everything, found)
        everywhere = [(0, "", "", address, 7000) for addresses in GATEWAYS.values() for address in addresses]
        assert set(connecting(lab, "host-1", everywhere)) == {"connected"}
        serving.communicate("")


@pytest.mark.parametrize("family", [4, 6])
def test_a_host_gets_no_further_than_its_own_workloads(family: int, lab: client.Lab) -> None:
    placed = lab.placed()
    a, b = mark_of(lab, "a"), mark_of(lab, "b")
    lan, pods = (GATEWAYS[name][family == 6] for name in ("lan", "pods"))
    bridge = next(port.bridge for port in lab.plan()["host-1"].ports if port.workload == "a/x")

    def to(key: str) -> str:
        return placed.endpoints[key].addresses[family == 6]

    arrives: list[Attempt] = [
        (a, "", lan, to("a/x"), 80),
        (b, "", lan, to("b/x"), 80),
        (a, "", pods, to("a/pod"), 80),
        (a, "", pods, to("a/x"), 80),
    ]
    gets_nowhere: list[Attempt] = [
        (a, "", lan, to("a/far"), 80),
        (a, "", pods, to("a/pod-far"), 80),
        (a | LOCAL, "", lan, to("a/far"), 80),
        (a | LOCAL, "", lan, to("a/x"), 80),
        (0, bridge, lan, to("a/far"), 80),
        (0, bridge, lan, to("a/x"), 80),
        (0, "", lan, to("a/x"), 80),
        (b, "", lan, to("a/y"), 80),
        (b, "", lan, to("a/pod"), 80),
    ]
    found = connecting(lab, "host-1", [*gets_nowhere, *arrives])
    assert found == ["lost"] * len(gets_nowhere) + ["refused"] * len(arrives)


@pytest.mark.parametrize("key", ["a/x", "a/pod"])
def test_a_host_that_does_not_say_whom_it_means_is_not_heard(key: str, lab: client.Lab) -> None:
    """Not even where it names the device, so that it needs no route: what it sends has no zone to be known in."""
    (port,) = [port for port in lab.plan()["host-1"].ports if port.workload == key]
    mark = mark_of(lab, "a")
    said: list[tuple[int, str, str, str, str]] = []
    for address in lab.placed().endpoints[key].addresses:
        own = gateway(lab, key, 6 if ":" in address else 4)
        for number in (0, mark | LOCAL, 99):
            said.append((number, port.bridge or port.name, own, address, f"marked {number}"))
        said.append((mark, "", own, address, f"truth {len(said)}"))
    act = json.dumps(said)
    heard = heard_while(lab, key, said[-1][-1], lambda: inside(lab, "host-1", sys.executable, "-c", _SAY, act))
    together = b"|".join(heard)
    assert [word for *_, word in said if word.encode() in together] == ["truth 3", "truth 7"]


def test_nobody_reaches_a_workload_through_its_host(lab: client.Lab) -> None:
    """From a Switch and from another Host, whatever routes and marks they use; the Host itself they do reach."""
    targets = [lab.placed().endpoints[key].addresses[0] for key in ("a/x", "a/pod")]
    way = r"$(ip route get 192.168.1.1 | sed -n 's/.*\(via [^ ]* dev [^ ]*\).*/\1 onlink/p')"
    for where in ("leaf-1", "spine-1", "leaf-2", "host-2"):
        inside(lab, where, "sh", "-ec", "; ".join(f"ip route add {target}/32 {way}" for target in targets))
        marks = (0, mark_of(lab, "a"), mark_of(lab, "b")) if where == "host-2" else (0,)
        tcp: list[Attempt] = [(mark, "", "", target, 80) for target in targets for mark in marks]
        assert set(connecting(lab, where, tcp)) == {"lost"}, where
        for target in targets:
            assert "Destination Net Unreachable" in inside(lab, where, "sh", "-c", f"ping -c1 -W1 {target} || true")
        assert "1 received" in inside(lab, where, "ping", "-c1", "-W1", "192.168.1.1")


@pytest.mark.parametrize("key", ["a/x", "a/pod"])
def test_a_strict_change_of_policy_leaves_it_what_it_has_begun(key: str) -> None:
    strict = Options(cut_established=True)
    with up(model("sender", [NETWORK, OTHER], WORKLOADS, options=strict)) as lab:
        asked, own = lab.placed().endpoints[key], gateway(lab, key, 4)
        asking = json.dumps([mark_of(lab, "a"), own, asked.addresses[0]])
        command = entering(lab, "host-1", sys.executable, "-c", _HEAR, asking)
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as hearing:
            assert hearing.stdout is not None
            assert hearing.stdout.readline() == "ready\n"
            lab.apply(model("sender", [NETWORK, OTHER], WORKLOADS, SHUT, options=strict))
            packet = udp_datagram(raw(asked.addresses[0]), raw(own), (6000, 5000), b"the answer")
            send(lab, key, [ethernet(GATEWAY_MAC, asked.mac, 0x0800, ipv4(asked.addresses[0], own, 17, packet))])
            assert json.loads(hearing.stdout.read()) == ["the answer"]


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("key", ["a/x", "a/pod"])
def test_only_whom_a_host_asked_may_answer(key: str, family: int, lab: client.Lab) -> None:
    """Not another workload in its name, nor one in its own name, nor one with the same address elsewhere."""
    placed = lab.placed()
    asked, own = placed.endpoints[key], gateway(lab, key, family)

    def datagram(mac: str, source: str, port: int, tag: str) -> bytes:
        """From a workload to the Host's socket."""
        packet = udp_datagram(raw(source), raw(own), (port, 5000), tag.encode())
        if family == 6:
            return ethernet(GATEWAY_MAC, mac, 0x86DD, ipv6(source, own, 17, packet))
        return ethernet(GATEWAY_MAC, mac, 0x0800, ipv4(source, own, 17, packet))

    address = asked.addresses[family == 6]
    liar, twin = placed.endpoints["a/y"], placed.endpoints["b/x"]
    asking = json.dumps([mark_of(lab, "a"), own, address])
    command = entering(lab, "host-1", sys.executable, "-c", _HEAR, asking)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as hearing:
        assert hearing.stdout is not None
        assert hearing.stdout.readline() == "ready\n"
        its_own = liar.addresses[family == 6]
        send(lab, "a/y", [
            datagram(liar.mac, address, 6000, "in its name"),
            datagram(asked.mac, address, 6000, "with its hardware address"),
            datagram(liar.mac, own, 6000, "as the gateway"),
            datagram(liar.mac, its_own, 6000, "as itself"),
        ])  # fmt: skip
        send(lab, "b/x", [datagram(twin.mac, twin.addresses[family == 6], 6000, "from the other application")])
        send(lab, key, [
            datagram(asked.mac, address, 6001, "from another port"),
            datagram(asked.mac, address, 6000, "the answer"),
        ])  # fmt: skip
        assert json.loads(hearing.stdout.read()) == ["the answer"]
