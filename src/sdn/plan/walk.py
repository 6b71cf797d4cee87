"""Look things up in one node's planned state the way the kernel would: routes, neighbours, FDB, sets and chains.

`trace` asks these questions packet by packet. Nothing here knows why the state is what it is.
"""

from __future__ import annotations

from collections import defaultdict
from functools import cached_property, lru_cache
from ipaddress import ip_address, ip_network
from typing import NamedTuple

from sdn.model import EPHEMERAL, Action, Direction, Disposition, Protocol, family_of
from sdn.plan.state import (
    LOCAL,
    FirewallRule,
    NodeState,
    Port,
    ProfileChain,
    Route,
    Virtual,
    Vxlan,
)

REPLY = -1
"""Stands for the port of an answer: whichever its asker sent from."""


class Judged(NamedTuple):
    """What the firewall of one Host does with a packet, and by which rule. `stateless`: it judges the answer, too."""

    disposition: Disposition
    rule: str
    stateless: bool = False


_STOPS = {Action.DENY: Disposition.DENY, Action.REJECT: Disposition.REJECT}


@lru_cache(maxsize=1 << 17)
def number(address: str) -> int:
    """An address as an integer."""
    return int(ip_address(address))


@lru_cache(maxsize=1 << 17)
def span(prefix: str) -> tuple[int, int, int]:
    """A prefix as (family, first, last)."""
    network = ip_network(prefix)
    return network.version, int(network.network_address), int(network.broadcast_address)


class NodeIndex:
    """One node's state, indexed the way a packet meets it."""

    def __init__(self, state: NodeState) -> None:
        self.state = state
        self.ports = {port.name: port for port in state.ports}
        self.interfaces = {interface.name: interface for interface in state.interfaces}
        self.neighbours = {(n.dev, n.address): n.mac for n in state.neighbours}
        self.uplinks = {uplink.name: uplink for uplink in state.uplinks}
        self.bridge_of = {link.name: link.bridge for link in state.links if isinstance(link, Vxlan)}
        self.tunnels = {link.vni: link for link in state.links if isinstance(link, Vxlan)}

    @cached_property
    def fdb(self) -> dict[tuple[str, str], tuple[str, str]]:
        """(bridge or routed tunnel, MAC) → (device, remote VTEP or "")."""
        found = {}
        for entry in self.state.fdb:
            port = self.ports.get(entry.dev)
            above = port.bridge if port else self.bridge_of.get(entry.dev, "")
            found[above or entry.dev, entry.mac] = (entry.dev, entry.dst)
        return found

    @cached_property
    def _tables(self) -> dict[tuple[int, int], dict[int, dict[int, Route]]]:
        """(table, family) → prefix length → network → the Route with the lowest metric."""
        tables: dict[tuple[int, int], dict[int, dict[int, Route]]] = defaultdict(lambda: defaultdict(dict))
        for route in sorted(self.state.routes, key=lambda r: -r.metric):
            family, first, _ = span(route.prefix)
            tables[route.table, family][int(route.prefix.split("/")[1])][first] = route
        return {key: dict(sorted(value.items(), reverse=True)) for key, value in tables.items()}

    def route(self, table: int, address: str) -> Route | None:
        """The longest match in one table."""
        family, bits = (6, 128) if ":" in address else (4, 32)
        value = number(address)
        for length, networks in self._tables.get((table, family), {}).items():
            shift = bits - length
            if (route := networks.get(value >> shift << shift)) is not None:
                return route
        return None

    def table(self, mark: int, family: int) -> int | None:
        """The table that packets with a mark look up first."""
        return self._rules.get((mark & ~LOCAL, family))

    @cached_property
    def _rules(self) -> dict[tuple[int, int], int]:
        return {(rule.mark, rule.family): rule.table for rule in self.state.rules}

    def mark(self, application: str) -> int:
        """With what mark the Host itself sends into an Application; 0 if that is not on this Host."""
        return next((rule.mark for rule in self.state.rules if rule.application == application), 0)

    @cached_property
    def _own(self) -> dict[tuple[int, str], Port]:
        return {(port.mark, a.split("/")[0]): port for port in self.state.ports for a in port.addresses}

    def own(self, mark: int, address: str) -> Port | None:
        """The port of the workload on this Host that has an address in the Application of a mark."""
        return self._own.get((mark, address))

    @cached_property
    def _virtuals(self) -> dict[tuple[int, str, Protocol, int], Virtual]:
        balancer = self.state.loadbalancer
        return {(v.mark, v.address, v.protocol, v.port): v for v in balancer.virtuals} if balancer else {}

    def virtual(self, mark: int, address: str, protocol: Protocol, port: int) -> Virtual | None:
        """The Service that a packet of a local workload is for."""
        return self._virtuals.get((mark & ~LOCAL, address, protocol, port))

    @cached_property
    def _hairpin(self) -> dict[tuple[int, str], bool]:
        balancer = self.state.loadbalancer
        return {(zone, address): judged for zone, address, _, judged in balancer.hairpin} if balancer else {}

    def hairpin(self, zone: int, address: str) -> bool | None:
        """Whether policy judges a workload that meets itself behind a Service; None: it is not even masqueraded."""
        return self._hairpin.get((zone, address))

    @cached_property
    def _sets(self) -> dict[str, frozenset[tuple[int, str]]]:
        firewall = self.state.firewall
        return {s.name: frozenset(s.elements) for s in firewall.sets} if firewall else {}

    @cached_property
    def _chains(self) -> dict[str, tuple[FirewallRule, ...]]:
        firewall = self.state.firewall
        return {chain.name: chain.rules for chain in firewall.chains} if firewall else {}

    @cached_property
    def _dispatch(self) -> dict[tuple[Direction, int, str], ProfileChain]:
        firewall = self.state.firewall
        if firewall is None:
            return {}
        profiles = {profile.name: profile for profile in firewall.profiles}
        sides = ((Direction.EGRESS, firewall.egress), (Direction.INGRESS, firewall.ingress))
        return {(side, e.zone, e.address): profiles[e.profile] for side, entries in sides for e in entries}

    def judge(
        self, direction: Direction, zone: int, own: str, peer: str, service: tuple[Protocol | None, int]
    ) -> Judged | None:
        """The profile of a local address `own` on a packet whose other side is `peer`; None if `own` is not local.

        A `service` without a protocol is of one that no rule can name: only rules for all of them match it. Port
        `REPLY` is an answer's, which only rules match that are about all ports of senders.
        """
        profile = self._dispatch.get((direction, zone, own))
        if profile is None:
            return None
        for tier in profile.tiers:
            for rule in self._chains[tier]:
                if not self._matches(rule, zone, peer, service):
                    continue
                if rule.action is Action.PASS:
                    break
                return Judged(_STOPS.get(rule.action, Disposition.ALLOW), rule.origin, rule.stateless)
        return Judged(Disposition.ALLOW, profile.default)

    def stopped_reply(
        self, direction: Direction, zone: int, own: str, peer: str, protocol: Protocol | None
    ) -> Judged | None:
        """What stops the answer to a packet at the end where a stateless rule let it pass; None if nothing does."""
        other = Direction.INGRESS if direction is Direction.EGRESS else Direction.EGRESS
        found = self.judge(other, zone, own, peer, (protocol, REPLY))
        return found if found is not None and found.disposition is not Disposition.ALLOW else None

    def _matches(self, rule: FirewallRule, zone: int, peer: str, service: tuple[Protocol | None, int]) -> bool:
        protocol, port = service
        if rule.protocol is not None and rule.protocol is not protocol:
            return False
        first, last = EPHEMERAL if port == REPLY else (port, port)
        if rule.ports and not any(low <= first and last <= high for low, high in rule.ports):
            return False
        if rule.family and rule.family != family_of(peer):
            return False
        if rule.set and (zone, peer) not in self._sets[rule.set]:
            return False
        if rule.not_set and (zone, peer) in self._sets[rule.not_set]:
            return False
        if rule.not_blocks and _in_any(rule.not_blocks, peer):
            return False
        if rule.blocks and not _in_any(rule.blocks, peer):
            return False
        return not rule.block or _in_block(rule, peer)


def _in_block(rule: FirewallRule, peer: str) -> bool:
    value = number(peer)
    _, first, last = span(rule.block)
    if not first <= value <= last:
        return False
    return not _in_any(rule.excepts, peer)


def _in_any(prefixes: tuple[str, ...], address: str) -> bool:
    """Whether one of the prefixes, all of the address's family, holds it."""
    value = number(address)
    return any(low <= value <= high for _, low, high in map(span, prefixes))
