"""A change of policy under open connections: those that it forbids end where the lab says so, all others live on."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import ip_address

import pytest
from msgspec.structs import replace

from labs import entering, up
from sdn.lab import client
from sdn.model import Application, Model, Options, Policy, SegmentKind, Selector, Service, ServicePort, Workload
from worlds_build import EGRESS, INGRESS, act, model, segment, tcp, tier, workload

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
    workload("a/near", 1, "a/lan"),
    workload("a/far", 2, "a/lan"),
    workload("a/pod", 2, "a/pods", role="pod"),
]
SITE = Service(
    "a", "s", "a", {"role": "pod"}, (ServicePort(81, 81), ServicePort(82, 82)), ("10.96.0.9", "fd00:10:96::9")
)
SERVERS = ("near", "far", "pod")
PORTS = (81, 82)

_SERVE = """
import socket, sys, threading
def echo(sock):
    while data := sock.recv(99):
        sock.sendall(data)
def serve(listener):
    while True:
        threading.Thread(target=echo, args=(listener.accept()[0],), daemon=True).start()
for port in map(int, sys.argv[1:]):
    listener = socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True)
    threading.Thread(target=serve, args=(listener,), daemon=True).start()
print("ready", flush=True)
sys.stdin.read()
"""
_TALK = """
import json, select, socket, sys
socks = {}
for name, target, port in json.loads(sys.argv[1]):
    socks[name] = socket.create_connection((target, port), timeout=5)
print("ready", flush=True)
for number, line in enumerate(sys.stdin):
    word = b"%d\\n" % number
    for sock in socks.values():
        sock.send(word)
    alive, silent = [], {sock: name for name, sock in socks.items()}
    while silent and (ready := select.select(list(silent), [], [], float(line))[0]):
        for sock in ready:
            if word in sock.recv(999):
                alive.append(silent.pop(sock))
    print(json.dumps(sorted(alive)), flush=True)
"""


@dataclass
class Talk:
    """Open connections, by name."""

    process: subprocess.Popen[str]

    def alive(self, patience: float = 0.5) -> set[str]:
        """Those on which somebody still answers; silence lasts this many seconds."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(f"{patience}\n")
        self.process.stdin.flush()
        return set(json.loads(self.process.stdout.readline()))


@contextmanager
def started(lab: client.Lab, where: str, code: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A program in a workload that has said that it is ready, and that ends with the block."""
    command = entering(lab, where, sys.executable, "-c", code, *arguments)
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process
        process.kill()


@contextmanager
def talking(lab: client.Lab) -> Iterator[Talk]:
    """x with a connection to each port of everybody, in each family, and to the Service."""
    targets = {name: lab.placed().endpoints[f"a/{name}"].addresses for name in SERVERS} | {"service": SITE.addresses}
    wanted = [
        (f"{name} {port} IPv{ip_address(address).version}", address, port)
        for name, addresses in targets.items()
        for address in addresses
        for port in PORTS
    ]
    ports = [str(port) for port in PORTS]
    with (
        started(lab, "a/near", _SERVE, *ports),
        started(lab, "a/far", _SERVE, *ports),
        started(lab, "a/pod", _SERVE, *ports),
        started(lab, "a/x", _TALK, json.dumps(wanted)) as process,
    ):
        yield Talk(process)


def lab_of(*policies: Policy, cut: bool, workloads: Sequence[Workload] = WORKLOADS) -> Model:
    return model("cut", [NETWORK], workloads, SITE, *policies, options=Options(cut_established=cut))


FORBIDDEN = {
    "at the receiver": tier("application/t", act("deny", INGRESS, tcp(82))),
    "at the sender": tier("application/t", act("reject", EGRESS, tcp(82)), to=[Selector(name="x")]),
}


@pytest.mark.parametrize("where", FORBIDDEN)
def test_what_a_change_forbids_ends_and_the_rest_lives_on(where: str) -> None:
    with up(lab_of(cut=False)) as lab, talking(lab) as talk:
        everything = talk.alive()
        assert len(everything) == 16
        assert lab.apply(lab_of(FORBIDDEN[where], cut=False)).cut == 0
        assert talk.alive() == everything
        done = lab.apply(lab_of(FORBIDDEN[where], cut=True))
        assert done.cut == 8
        assert talk.alive() == {name for name in everything if " 81 " in name}
        assert lab.apply(lab_of(FORBIDDEN[where], cut=True)).cut == 0
        assert lab.status().drift == ()


def test_one_receiver_of_several() -> None:
    """The connections to others on the same port stay."""
    only_friends = tier("application/t", act("deny", INGRESS, Selector(name="x"), tcp(81)), to=[Selector(name="far")])
    with up(lab_of(cut=True)) as lab, talking(lab) as talk:
        everything = talk.alive()
        assert lab.apply(lab_of(only_friends, cut=True)).cut == 2
        assert everything - talk.alive() == {"far 81 IPv4", "far 81 IPv6"}


OPEN = tier("application/t", act("allow", INGRESS), act("allow", EGRESS), stateless=True)
CLOSED = tier(
    "application/t", act("deny", INGRESS, tcp(82)), act("allow", INGRESS), act("allow", EGRESS), stateless=True
)


def test_what_is_not_remembered_needs_no_cut() -> None:
    """Each packet of a connection that stateless rules allowed meets the rules as they are now."""
    with up(lab_of(OPEN, cut=False)) as lab, talking(lab) as talk:
        everything = talk.alive()
        assert len(everything) == 16
        assert lab.apply(lab_of(CLOSED, cut=False)).cut == 0
        assert talk.alive() == {name for name in everything if " 81 " in name}


def test_what_moves_takes_no_forbidden_connection_along() -> None:
    """The policy changes with the place; what is still allowed lives on there."""
    moved = [replace(one, host="host-3") if one.name == "far" else one for one in WORKLOADS]
    with up(lab_of(cut=True)) as lab, talking(lab) as talk:
        everything = talk.alive()
        lab.apply(lab_of(FORBIDDEN["at the receiver"], cut=True, workloads=moved))
        assert lab.placed().endpoints["a/far"].host == "host-3"
        assert talk.alive() == {name for name in everything if " 81 " in name}
