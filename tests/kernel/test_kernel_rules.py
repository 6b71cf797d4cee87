"""Rules of every shape against the real kernel: which of them count a packet that was really sent."""

from __future__ import annotations

import json
import re
import socket
import time
from contextlib import closing

from inside import in_lab, namespaces

from sdn.kernel import links
from sdn.kernel.libnft import Nft
from sdn.kernel.routing import address
from sdn.kernel.rtnetlink import Netlink
from sdn.kernel.ruleset import define_chain, define_set
from sdn.model import Action, Protocol
from sdn.plan.state import AddressSet, Chain, FirewallRule

BASE = """
table inet sdn {
  chain c_zone { type filter hook output priority raw; ct zone set 7; }
  chain c_out { type filter hook output priority filter; jump c_rules; }
  chain c_rules { }
}
"""
SETS = (
    AddressSet("g_a4", 4, ((7, "127.0.0.2"), (8, "127.0.0.3"))),
    AddressSet("g_a6", 6, ((7, "fd00::2"),)),
)
UDP = {"protocol": Protocol.UDP, "ports": ((9, 9),)}


def rule(number: int, **fields: object) -> FirewallRule:
    return FirewallRule(f"ingress application p[{number}]", Action.PASS, **fields)  # type: ignore[arg-type]


# (the rule, the senders that it matches)
CASES: tuple[tuple[dict[str, object], set[str]], ...] = (
    ({"family": 4, "set": "g_a4"}, {"127.0.0.2"}),
    ({"family": 4, "not_set": "g_a4"}, {"127.0.0.1", "127.0.0.3"}),  # .3 is somebody else's, of another zone
    ({"family": 6, "not_set": "g_a6"}, {"fd00::1", "fd00::3"}),
    ({"family": 4, "not_blocks": ("127.0.0.2/31",)}, {"127.0.0.1"}),
    ({"family": 4, "not_blocks": ("127.0.0.1/32", "127.0.0.3/32")}, {"127.0.0.2"}),
    ({"family": 6, "not_blocks": ("fd00::2/127",)}, {"fd00::1"}),
    ({"family": 4, "not_set": "g_a4", "not_blocks": ("127.0.0.3/32", "10.0.0.0/8")}, {"127.0.0.1"}),
    ({"family": 4, "blocks": ("127.0.0.1/32", "127.0.0.3/32", "203.0.113.0/24")}, {"127.0.0.1", "127.0.0.3"}),
    ({"family": 6, "blocks": ("2001:db8::/32", "fd00::2/127")}, {"fd00::2", "fd00::3"}),
    ({"family": 4, "set": "g_a4", "blocks": ("127.0.0.1/32", "127.0.0.3/32")}, set()),
    ({"family": 4}, {"127.0.0.1", "127.0.0.2", "127.0.0.3"}),
    ({"family": 6}, {"fd00::1", "fd00::2", "fd00::3"}),
    ({"family": 4, "not_set": "g_a4", "protocol": Protocol.UDP, "ports": ((10, 20),)}, set()),
    ({}, {"127.0.0.1", "127.0.0.2", "127.0.0.3", "fd00::1", "fd00::2", "fd00::3"}),
)


@in_lab
def test_what_each_rule_matches() -> None:
    with namespaces("one") as worker, closing(worker.run("one", Nft)) as nft:
        worker.run("one", prepare)
        nft.run(BASE)
        nft.run("\n".join(line for one in SETS for line in define_set(one)))
        matched: dict[int, set[str]] = {number: set() for number in range(len(CASES))}
        for sender in sorted(CASES[-1][1]):
            # A rule whose action is pass leaves its chain, so each has one of its own.
            for number, (fields, _) in enumerate(CASES):
                chain = Chain("c_rules", (rule(number, **{**UDP, **fields}),))
                nft.run("\n".join(define_chain(chain)))
                worker.run("one", lambda sender=sender: send(sender))  # type: ignore[misc]
                if packets(nft):
                    matched[number].add(sender)
        wrong = {number: found for number, found in matched.items() if found != CASES[number][1]}
        assert not wrong, wrong


def prepare() -> None:
    with Netlink() as netlink:
        netlink.send([links.set_up(1), *(address(1, f"fd00::{number}/128") for number in (1, 2, 3))])
    deadline = time.monotonic() + 10
    while not reachable() and time.monotonic() < deadline:
        time.sleep(0.001)


def reachable() -> bool:
    """The kernel adds an IPv6 address's route a little later, in a worker of its own."""
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
        return all(sock.connect_ex((f"fd00::{number}", 9)) == 0 for number in (1, 2, 3))


def send(sender: str) -> None:
    """One datagram to a port of our own: nobody need listen."""
    family = socket.AF_INET6 if ":" in sender else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.bind((sender, 0))
        sock.sendto(b"x", ("fd00::1" if family == socket.AF_INET6 else "127.0.0.1", 9))


def packets(nft: Nft) -> int:
    """How many the only rule counted."""
    listed = nft.run("list chain inet sdn c_rules", json=True)
    assert len(json.loads(listed)["nftables"]) == 3, listed
    return sum(int(count) for count in re.findall(r'"packets": (\d+)', listed))
