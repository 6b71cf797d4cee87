"""The smallest possible reader of compiled policy and of a planned firewall: what they would do to one packet.

Written from the docstrings of `CompiledPolicy` and `Firewall` alone, for the tests of what makes them; it shares
nothing with the compiler, the oracle or the trace.
"""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_address, ip_network
from typing import NamedTuple

from sdn.model import EPHEMERAL, Action, Direction, Disposition, Flow, Placed, Protocol, Verdict, default_origin
from sdn.plan.firewall import FirewallPlanner
from sdn.plan.loadbalancer import LoadBalancerPlanner
from sdn.plan.state import Backend, Firewall, FirewallRule
from sdn.policy.compiled import CompiledPolicy, CompiledRule

Judged = tuple[Disposition, str, bool]
"""What becomes of it on one side, by which rule, and whether the answer is judged there, too."""

STOPS = {Action.DENY: Disposition.DENY, Action.REJECT: Disposition.REJECT}


class Packet(NamedTuple):
    """A packet after any DNAT, and the workloads at its ends (empty where there is none). Port -1 is an answer's."""

    source: str
    source_address: str
    destination: str
    address: str
    protocol: Protocol
    port: int

    def peer(self, direction: Direction) -> tuple[str, str]:
        """(workload, address) of the other side."""
        if direction is Direction.INGRESS:
            return self.source, self.source_address
        return self.destination, self.address

    def own(self, direction: Direction) -> tuple[str, str]:
        """(workload, address) of the side that judges."""
        return self.peer(Direction.INGRESS if direction is Direction.EGRESS else Direction.EGRESS)


def packets(placed: Placed, flow: Flow) -> list[Packet]:
    """The flow as it leaves its Host: once, or once for each Backend of a Service."""
    sender = placed.endpoints[flow.source]
    balancer = LoadBalancerPlanner(placed).host(sender.host)
    mark = placed.marks[sender.application]
    asked = (mark, flow.destination, flow.protocol, flow.port)
    found = [v.backends for v in balancer.virtuals if (v.mark, v.address, v.protocol, v.port) == asked]
    zone = placed.zones[sender.application]
    owners = {
        address: key
        for key, endpoint in placed.endpoints.items()
        for address in endpoint.addresses
        if placed.zones[endpoint.application] == zone
    }
    ends = found[0] if found else (Backend(flow.destination, flow.port, owners.get(flow.destination, "")),)
    own = sender.address(flow.family) or ""
    return [Packet(flow.source, own, end.workload, end.address, flow.protocol, end.port) for end in ends]


def by_policy(compiled: CompiledPolicy, packet: Packet) -> Verdict:
    """Both sides by their compiled profiles."""

    def judge(direction: Direction, packet: Packet) -> Judged:
        workload = packet.own(direction)[0]
        chosen = compiled.ingress if direction is Direction.INGRESS else compiled.egress
        profile = compiled.profiles[chosen[workload]]
        assert profile.direction is direction
        for tier in profile.tiers:
            decided = next((r for r in tier.rules if _meets(compiled, r, packet, direction)), tier.default)
            if decided is not None and decided.action is not Action.PASS:
                return STOPS.get(decided.action, Disposition.ALLOW), decided.origin, decided.stateless
        return Disposition.ALLOW, default_origin(direction), False

    return _both(judge, packet)


def by_firewall(placed: Placed, firewalls: dict[str, Firewall], packet: Packet) -> Verdict:
    """Both sides by the firewalls of their Hosts."""

    def judge(direction: Direction, packet: Packet) -> Judged:
        workload, own = packet.own(direction)
        endpoint = placed.endpoints[workload]
        zone = placed.zones[endpoint.application]
        firewall = firewalls[endpoint.host]
        dispatch = firewall.ingress if direction is Direction.INGRESS else firewall.egress
        (name,) = [entry.profile for entry in dispatch if (entry.zone, entry.address) == (zone, own)]
        (profile,) = [profile for profile in firewall.profiles if profile.name == name]
        assert profile.direction is direction
        for tier in profile.tiers:
            (rules,) = [chain.rules for chain in firewall.chains if chain.name == tier]
            decided = next((r for r in rules if _passes(firewall, r, packet, direction, zone)), None)
            if decided is not None and decided.action is not Action.PASS:
                return STOPS.get(decided.action, Disposition.ALLOW), decided.origin, decided.stateless
        return Disposition.ALLOW, profile.default, False

    return _both(judge, packet)


def firewalls(placed: Placed, compiled: CompiledPolicy) -> dict[str, Firewall]:
    """The firewall of every Host."""
    planner = FirewallPlanner(placed, compiled)
    return {host.name: planner.host(host.name) for host in placed.model.underlay.hosts}


def _both(judge: Callable[[Direction, Packet], Judged], packet: Packet) -> Verdict:
    disposition, egress, forgotten = judge(Direction.EGRESS, packet)
    if disposition is not Disposition.ALLOW:
        return Verdict(disposition, egress)
    disposition, ingress, also = judge(Direction.INGRESS, packet)
    if disposition is Disposition.ALLOW:
        answer = Packet(*packet[2:4], *packet[:2], packet.protocol, -1)
        stops = [judge(Direction.EGRESS, answer)] if also else []
        stops += [judge(Direction.INGRESS, answer)] if forgotten else []
        for stopped, rule, _ in stops:
            if stopped is not Disposition.ALLOW:
                return Verdict(Disposition.DENY, rule, egress, reply=True)
    return Verdict(disposition, ingress, egress)


def _meets(compiled: CompiledPolicy, rule: CompiledRule, packet: Packet, direction: Direction) -> bool:
    workload, address = packet.peer(direction)
    if rule.family not in (0, ip_address(address).version):
        return False
    if rule.not_group is not None and workload in compiled.groups[rule.not_group]:
        return False
    if any(ip_address(address) in ip_network(prefix) for prefix in rule.not_blocks):
        return False
    if rule.group is not None and workload not in compiled.groups[rule.group]:
        return False
    if rule.block is not None and not _inside(rule.block.cidr, rule.block.excepts, address):
        return False
    return _service(rule.protocol, rule.ports, packet)


def _passes(firewall: Firewall, rule: FirewallRule, packet: Packet, direction: Direction, zone: int) -> bool:
    address = packet.peer(direction)[1]
    family = 6 if ":" in address else 4
    if rule.family not in (0, family):
        return False
    for name, wanted in ((rule.set, True), (rule.not_set, False)):
        if name:
            (found,) = [s for s in firewall.sets if s.name == name]
            assert found.family == rule.family
            if ((zone, address) in found.elements) is not wanted:
                return False
    assert all(ip_network(prefix).version == rule.family for prefix in rule.not_blocks)
    if any(ip_address(address) in ip_network(prefix) for prefix in rule.not_blocks):
        return False
    if rule.blocks and not any(ip_address(address) in ip_network(prefix) for prefix in rule.blocks):
        return False
    if rule.block and not _inside(rule.block, rule.excepts, address):
        return False
    assert rule.family or rule.protocol is not Protocol.ICMP, "echo is another protocol in each family"
    return _service(rule.protocol, rule.ports, packet)


def _service(protocol: Protocol | None, ports: tuple[tuple[int, int], ...], packet: Packet) -> bool:
    if protocol is None:
        return True
    first, last = EPHEMERAL if packet.port == -1 else (packet.port, packet.port)
    return protocol is packet.protocol and (not ports or any(a <= first and last <= b for a, b in ports))


def _inside(cidr: str, excepts: tuple[str, ...], address: str) -> bool:
    value = ip_address(address)
    return value in ip_network(cidr) and not any(value in ip_network(other) for other in excepts)
