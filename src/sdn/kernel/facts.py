"""What is in a namespace and what should be, as words that can be compared: links, addresses, routes, neighbours.

Nothing is remembered from building: links are known by name, the rest by what it is.
"""

from __future__ import annotations

from collections.abc import Iterator

from sdn.kernel.node import LOCAL_PRIORITY, MARK_PRIORITY
from sdn.kernel.owned import UNDERLAY
from sdn.kernel.rtnetlink import Netlink
from sdn.plan.state import GATEWAY_MAC, Bridge, Link, NodeState, Port, Sink, Veth, Vxlan

_IPV6_DEFAULT_METRIC = 1024
_SHOWN = 5
_KERNEL = 2
"""RTPROT_KERNEL, the protocol of routes and rules that the kernel makes by itself."""
_OF_LINKS = ("mtu of", "group of")
_ONCE = ("link", *_OF_LINKS)
"""Facts that a name can have only one of: where two differ, one has become the other."""

Facts = set[tuple[str, ...]]


def compare(wanted: Facts, found: Facts) -> Iterator[str]:
    """A sentence for each difference, at most a few that are missing and a few that are not planned."""
    if wanted == found:
        return
    both = {fact[1] for fact in wanted if fact[0] == "link"} & {fact[1] for fact in found if fact[0] == "link"}
    missing, foreign = (
        {fact for fact in differing if fact[0] not in _OF_LINKS or fact[1] in both}
        for differing in (wanted - found, found - wanted)
    )
    by_name = {fact[:2]: fact for fact in sorted(foreign) if fact[0] in _ONCE}
    changed = {fact: by_name[fact[:2]] for fact in sorted(missing) if fact[0] in _ONCE and fact[:2] in by_name}
    yield from (f"{_words(now)}, should be {_words(fact[2:])}" for fact, now in changed.items())
    foreign -= set(changed.values())
    for what, facts in (("is missing", missing - set(changed)), ("is not planned", foreign)):
        ordered = sorted(facts)
        yield from (f"{_words(fact)} {what}" for fact in ordered[:_SHOWN])
        if len(ordered) > _SHOWN:
            yield f"{len(ordered) - _SHOWN} more {what.replace('is ', '')}"


def _words(fact: tuple[str, ...]) -> str:
    return " ".join(part for part in fact if part)


def actual(netlink: Netlink) -> Facts:
    """What is in a namespace, as words, but for what the kernel puts there by itself: all else may lead packets."""
    links = netlink.links()
    name = {link.index: link.name for link in links}
    facts: Facts = {
        ("link", link.name, link.kind, "up" if link.up else "down", name.get(link.master, "")) for link in links
    }
    facts |= {("mtu of", link.name, str(link.mtu)) for link in links if link.kind}
    facts |= {("group of", link.name, str(link.group)) for link in links if link.group}
    facts |= {("address", a.prefix, name.get(a.index, "?")) for a in netlink.addresses() if not _implied(a.prefix)}
    for route in netlink.routes():
        if route.protocol != _KERNEL:
            hops = ",".join(sorted(f"{name.get(h.index, '?')} {h.via}".strip() for h in route.hops))
            facts.add(_route(route.table, route.prefix, route.kind, hops, route.metric))
    facts |= {
        ("rule", str(r.priority), f"IPv{r.family}", f"{r.mark:#x}", str(r.table))
        for r in netlink.rules()
        if r.protocol != _KERNEL
    }
    facts |= {("neighbour", n.address, n.mac, name.get(n.index, "?")) for n in netlink.neighbours() if n.permanent}
    # What else a link lists are its own addresses; and to ask for a namespace without any costs as much as for links.
    for entry in netlink.fdb() if any(link.kind not in ("", "veth") for link in links) else ():
        # Without a tunnel's far end, a permanent entry is a bridge's own address or a multicast group of its port.
        if entry.dst or (entry.static and not entry.local):
            facts.add(("fdb", entry.mac, name.get(entry.index, "?"), entry.dst))
    return facts


def planned(state: NodeState) -> Facts:
    """What should be in a node's namespace, in the same words."""
    facts: Facts = {("link", "lo", "", "up", "")}
    facts |= {("link", uplink.name, "veth", "up" if uplink.up else "down", "") for uplink in state.uplinks}
    facts |= {("group of", uplink.name, str(UNDERLAY)) for uplink in state.uplinks}
    facts |= {("link", b.name, "bridge", "up", "") for b in state.links if isinstance(b, Bridge)}
    facts |= {("link", v.name, "vxlan", "up", v.bridge) for v in state.links if isinstance(v, Vxlan)}
    facts |= {("link", port.name, "veth", "up", port.bridge) for port in state.ports}
    sinks = [link for link in state.links if isinstance(link, Sink)]
    facts |= {("link", name, "veth", up, "") for sink in sinks for name, up in ((sink.name, "up"), (sink.far, "down"))}
    devices: list[Veth | Link | Port] = [*state.uplinks, *state.links, *state.ports]
    facts |= {("mtu of", device.name, str(device.mtu)) for device in devices}
    facts |= {("mtu of", sink.far, str(sink.mtu)) for sink in sinks}
    facts |= {("address", _whole(address), "lo") for address in state.loopback}
    facts |= {("address", address, link.name) for link in state.links for address in link.addresses}
    for route in state.routes:
        hops = ",".join(sorted(f"{hop.dev} {hop.via}".strip() for hop in route.nexthops))
        facts.add(_route(route.table, route.prefix, route.kind, hops, route.metric))
    facts |= {("rule", str(MARK_PRIORITY), f"IPv{r.family}", f"{r.mark:#x}", str(r.table)) for r in state.rules}
    if state.role == "host":
        facts |= {("rule", str(LOCAL_PRIORITY), f"IPv{family}", "0x0", "255") for family in (4, 6)}
    facts |= {("neighbour", n.address, n.mac, n.dev) for n in state.neighbours}
    bridged = {v.name for v in state.links if isinstance(v, Vxlan) and v.bridge}
    for entry in state.fdb:
        facts.add(("fdb", entry.mac, entry.dev, entry.dst))
        if entry.dev in bridged:
            facts.add(("fdb", entry.mac, entry.dev, ""))
    return facts


def planned_workload(port: Port) -> Facts:
    """What should be in a workload's namespace; what its user adds there shows as not planned."""
    facts: Facts = {("link", "lo", "", "up", ""), ("link", "eth0", "veth", "up", ""), ("mtu of", "eth0", str(port.mtu))}
    facts |= {("address", address, "eth0") for address in port.addresses}
    for gateway in port.gateways:
        facts.add(_route(254, "::/0" if ":" in gateway else "0.0.0.0/0", "unicast", f"eth0 {gateway}", 0))
    macs = dict.fromkeys(port.gateways, GATEWAY_MAC) | dict(port.peers)
    return facts | {("neighbour", address, mac, "eth0") for address, mac in macs.items()}


def _route(table: int, prefix: str, kind: str, hops: str, metric: int) -> tuple[str, ...]:
    shown = metric or (_IPV6_DEFAULT_METRIC if ":" in prefix else 0)
    # The kernel puts an unreachable IPv6 route on lo.
    return ("route", prefix, f"table {table}", kind, "" if kind == "unreachable" else hops, f"metric {shown}")


def _implied(prefix: str) -> bool:
    return prefix in ("127.0.0.1/8", "::1/128")


def _whole(address: str) -> str:
    return address if "/" in address else f"{address}/{128 if ':' in address else 32}"
