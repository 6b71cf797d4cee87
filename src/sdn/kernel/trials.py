"""What this kernel can do, tried for real inside a throw-away lab: run as `python -m sdn.kernel.trials`, prints JSON.

Each trial makes the thing itself, as the lab would; asking for versions or modules says less. `features` starts it.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec

from sdn.errors import KernelError
from sdn.kernel import conntrack, libnft, links, namespaces, qdisc, routing
from sdn.kernel.messages import Message
from sdn.kernel.routing import Hop
from sdn.kernel.rtnetlink import Netlink

_BRIDGE_CALL = Path("/proc/sys/net/bridge/bridge-nf-call-iptables")
_LOOSE = Path("/proc/sys/net/netfilter/nf_conntrack_tcp_loose")
_CABLE, _FAR, _BRIDGE, _TUNNEL, _TUNNEL6 = range(10, 15)

MESSAGES: dict[str, list[Message]] = {
    "veth": [links.veth(links.Device("v0", _CABLE), links.Device("v1", _FAR)), links.set_up(_CABLE)],
    "bridge": [links.bridge(links.Device("br0", _BRIDGE)), links.set_link(_CABLE, master=_BRIDGE)],
    "vxlan": [links.vxlan(links.Device("vx0", _TUNNEL), 77, "192.168.0.1"), links.set_link(_TUNNEL, master=_BRIDGE)],
    "vxlan over IPv6": [links.vxlan(links.Device("vx1", _TUNNEL6), 78, "fd00::1")],
    "ARP suppression": [links.set_port(_TUNNEL, links.PortFlags(neigh_suppress=True))],
    "IPv6": [routing.address(_BRIDGE, "fd10::1/64"), routing.neighbour(_BRIDGE, "fd10::2", "02:00:00:00:00:02")],
    "policy routing": [routing.rule(family, routing.Rule(100, 1001, 1, 0xFF)) for family in (4, 6)],
    "ECMP": [
        links.set_up(namespaces.LOOPBACK),
        links.set_up(_BRIDGE),
        routing.route("10.9.0.0/16", [Hop(_BRIDGE, "10.0.0.1", True), Hop(_CABLE, "fe80::1", True)]),
    ],
    "tbf": [qdisc.bandwidth(_CABLE, 100)],
    "netem": [qdisc.impairment(_CABLE, delay_ms=1)],
}
"""In this order: later ones use what earlier ones made."""

RULESETS: dict[str, str] = {
    "nft inet": 'add table inet t; add chain inet t f { type filter hook forward priority 0; }; add rule inet t f '
    'meta nfproto ipv4 ct state established,related counter accept comment "x"; '
    "add rule inet t f reject with icmpx type admin-prohibited",
    "nft zones": "add table inet z; add chain inet z p { type filter hook prerouting priority -300; }; "
    "add rule inet z p ct zone set iifname map { \"a\" : 1, \"b\" : 2 }; add rule inet z p meta mark set 1",
    "nft bridge": "add table bridge t; add chain bridge t p { type filter hook prerouting priority -300; }; "
    "add rule bridge t p arp saddr ip 10.0.0.1 accept",
    "nft arp": "add table arp t; add chain arp t i { type filter hook input priority 0; }; "
    "add rule arp t i arp saddr ip 10.0.0.1 accept",
    "nft log": "add table inet l; add chain inet l f { type filter hook forward priority 0; }; "
    'add rule inet l f log prefix "origin" group 7',
    "nft load balancing": "add table inet n; add chain inet n p { type nat hook prerouting priority -100; }; "
    "add rule inet n p tcp dport 80 dnat ip to numgen inc mod 2 map { 0 : 10.0.0.1, 1 : 10.0.0.2 }; "
    "add chain inet n o { type nat hook postrouting priority 100; }; add rule inet n o masquerade",
    "nft concatenations": "add table inet c; add map inet c m { typeof ct zone . ip daddr : verdict; }; "
    "add set inet c s { typeof ct zone . ip saddr; }; add chain inet c f { type filter hook forward priority 0; }; "
    "add rule inet c f ct zone . ip daddr vmap @m; add rule inet c f ct zone . ip saddr @s accept",
}  # fmt: skip


def bridge_calls_firewall() -> None:
    """br_netfilter: without it, bridged packets pass every rule unseen."""
    _BRIDGE_CALL.write_text("1", encoding="ascii")
    if _BRIDGE_CALL.read_text(encoding="ascii").strip() != "1":
        raise KernelError(f"{_BRIDGE_CALL} does not take a value")


def sctp_socket() -> None:
    """Only the probe needs sockets of SCTP; the firewall matches its packets anyway."""
    socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_SCTP).close()


def named_namespace() -> None:
    """A namespace, named and left again, in a worker thread."""
    with namespaces.NamespaceWorker() as worker:
        worker.run(None, lambda: namespaces.create(["doctor"]))
        worker.run("doctor", lambda: None)


def connections_listed() -> None:
    """What a changing lab has Hosts forget, it must find first."""
    with conntrack.Conntrack() as known:
        known.of(frozenset())


def tcp_is_strict() -> None:
    """The switch is there once something tracks connections, which the rulesets do."""
    _LOOSE.write_text("0", encoding="ascii")
    if _LOOSE.read_text(encoding="ascii").strip() != "0":
        raise KernelError(f"{_LOOSE} does not take a value")


CALLS: dict[str, Callable[[], None]] = {
    "network namespaces": named_namespace,
    "br_netfilter": bridge_calls_firewall,
    "ctnetlink": connections_listed,
    "SCTP sockets": sctp_socket,
}


def attempt(call: Callable[[], object]) -> str:
    """Empty if it worked, else why not."""
    try:
        call()
    except KernelError as error:
        return str(error).partition("; `sdn doctor`")[0].partition("\n")[0]
    except OSError as error:
        return f"{error.strerror}" + (f" ({error.filename})" if error.filename else "")
    return ""


def trials() -> dict[str, str]:
    """Trial → empty if it worked, else why not."""
    found = {name: attempt(call) for name, call in CALLS.items()}
    with Netlink() as netlink:
        found |= {name: attempt(lambda sent=sent: netlink.send(sent)) for name, sent in MESSAGES.items()}  # type: ignore[misc]
    try:
        nft = libnft.Nft()
    except KernelError as error:
        return found | dict.fromkeys(RULESETS, str(error))
    with nft:
        found |= {name: attempt(lambda text=text: nft.run(text)) for name, text in RULESETS.items()}  # type: ignore[misc]
    return found | {"strict TCP": attempt(tcp_is_strict)}


if __name__ == "__main__":
    sys.stdout.buffer.write(msgspec.json.encode(trials()))
    sys.stdout.flush()
    os._exit(0)
