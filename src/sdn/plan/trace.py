"""What the planned state of every Host would do to a packet: hop by hop, and by which rule. No kernel, no root.

The trace starts at the sender's interface and looks only at `NodeState` values, as a packet would: it never asks the
policy, and it finds a missing route, neighbour, FDB entry or set element where the packet would be lost.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import lru_cache
from ipaddress import ip_interface

from sdn.model import (
    GATEWAY,
    HOST,
    NO_BACKEND,
    NO_PATH,
    OWN_ADDRESS,
    UNKNOWN,
    Answer,
    Direction,
    Disposition,
    Flow,
    Protocol,
    Step,
    Trace,
    Verdict,
    family_of,
)
from sdn.plan.state import LOCAL, NOWHERE, UPLINK_ROUTES, Backend, Plan, Port, Route, Vxlan
from sdn.plan.walk import Judged, NodeIndex, number, span

_MAX_HOPS = 64
"""An underlay path longer than the largest TTL we set is a loop."""


def trace(plan: Plan, flow: Flow) -> tuple[Trace, ...]:
    """One Trace per Backend, sorted by (backend, port); a single one where no Service is involved."""
    return Tracer(plan).trace(flow)


@dataclass
class _Packet:
    """A packet on its way; `egress` and `ingress` are the origins that let it pass, `steps` what happened so far.

    `unremembered` are the ends at which a stateless rule let it pass, and where the answer is judged, too.
    """

    flow: Flow
    source: str
    destination: str
    port: int
    mark: int
    zone: int
    backend: str = ""
    egress: str = ""
    ingress: str = ""
    unremembered: list[tuple[NodeIndex, Direction]] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)

    @property
    def service(self) -> tuple[Protocol, int]:
        return self.flow.protocol, self.port

    def step(self, node: str, what: str, rule: str = "") -> None:
        self.steps.append(Step(node, what, rule))

    def end(self, disposition: Disposition, rule: str) -> Trace:
        known = disposition in (Disposition.ALLOW, Disposition.DENY, Disposition.REJECT)
        verdict = Verdict(disposition, rule, self.egress if known else "")
        answer = Answer(verdict, self.backend, self.port) if known else Answer(verdict, "", self.flow.port)
        return Trace(self.flow, answer, tuple(self.steps))

    def lost(self, node: str, what: str) -> Trace:
        self.step(node, what, NO_PATH)
        return self.end(Disposition.NO_ROUTE, NO_PATH)


class Tracer:
    """Answers any number of flows over one Plan; indexes are built as nodes are met."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._index: dict[str, NodeIndex] = {}
        self._ports: dict[str, tuple[str, Port]] = {}
        self._owners: dict[tuple[int, str], str] = {}
        self._loopbacks: dict[str, str] = {}
        for node in plan.values():
            self._loopbacks.update((address.split("/")[0], node.name) for address in node.loopback)
            for port in node.ports:
                self._ports[port.workload] = (node.name, port)
                self._owners.update(((port.zone, a.split("/")[0]), port.workload) for a in port.addresses)

    def node(self, name: str) -> NodeIndex:
        """The index of one node."""
        if name not in self._index:
            self._index[name] = NodeIndex(self.plan[name])
        return self._index[name]

    def trace(self, flow: Flow) -> tuple[Trace, ...]:
        """See the module's `trace`. A source without an interface has no path anywhere."""
        if flow.source in self.plan:
            return (self._from_host(self.node(flow.source), flow),)
        if flow.source not in self._ports:
            return (_Packet(flow, "", flow.destination, flow.port, 0, 0).lost(flow.source, "has no interface"),)
        host, port = self._ports[flow.source]
        source = next((a for a in map(_plain, port.addresses) if (":" in a) == (flow.family == 6)), "")
        packet = _Packet(flow, source, flow.destination, flow.port, port.mark | LOCAL, port.zone)
        if not source:
            return (packet.lost(flow.source, f"has no IPv{flow.family} address"),)
        if source == flow.destination:
            packet.step(flow.source, "to itself, inside the workload", OWN_ADDRESS)
            packet.backend = flow.source
            return (packet.end(Disposition.ALLOW, OWN_ADDRESS),)
        return self._leave(host, port, packet)

    def _from_host(self, node: NodeIndex, flow: Flow) -> Trace:
        """A Host's own packet: its mark chooses the table, and only workloads on this Host may receive it."""
        host, mark = node.state.name, node.mark(flow.application)
        port = node.own(mark, flow.destination)
        packet = _Packet(flow, "", flow.destination, flow.port, mark, port.zone if port else 0)
        if not mark:
            return packet.lost(host, f"has no routing table of application {flow.application}")
        packet.source = next((g for g in port.gateways if family_of(g) == flow.family), "") if port else ""
        what = " → ".join(filter(None, (packet.source, flow.destination)))
        packet.step(host, f"{what} {_service(flow.protocol, flow.port)}, with mark {mark}")
        route = self._lookup(node, packet)
        if route is None or route.kind == "unreachable":
            return packet.lost(host, _no_route(route, packet))
        hop = route.nexthops[0]
        packet.step(host, f"route {route.prefix} table {route.table} dev {hop.dev}")
        if port is None:
            return packet.lost(
                host, f"{flow.destination} is no workload of application {flow.application} on this host"
            )
        packet.step(host, "output allow", HOST)
        packet.ingress = HOST
        return self._out(node, hop.dev, hop.via or flow.destination, packet)

    def _leave(self, host: str, port: Port, packet: _Packet) -> tuple[Trace, ...]:
        """Out of the workload, through anti-spoofing and the load balancer of its Host."""
        flow = packet.flow
        way = "on its segment" if _on_link(port, flow.destination) else "to its gateway"
        packet.step(
            flow.source, f"eth0 {packet.source} → {flow.destination} {_service(flow.protocol, flow.port)}, {way}"
        )
        node = self.node(host)
        packet.step(host, f"in {port.name}: mark {port.mark}, zone {port.zone}")
        virtual = node.virtual(packet.mark, flow.destination, flow.protocol, flow.port)
        if virtual is None:
            packet.backend = self._owners.get((packet.zone, flow.destination), "")
            return (self._forward(node, port, packet),)
        if not virtual.backends:
            packet.step(host, f"service {virtual.service} has no backend", NO_BACKEND)
            return (packet.end(Disposition.NO_BACKEND, NO_BACKEND),)
        balanced = [self._translated(packet, host, virtual.service, backend) for backend in virtual.backends]
        traces = [self._forward(node, port, one) for one in balanced]
        return tuple(sorted(traces, key=lambda t: (t.answer.backend, t.answer.port)))

    def _translated(self, packet: _Packet, host: str, service: str, backend: Backend) -> _Packet:
        copy = replace(
            packet,
            destination=backend.address,
            port=backend.port,
            backend=backend.workload,
            steps=list(packet.steps),
            unremembered=[],
        )
        copy.step(host, f"service {service}: dnat to {_socket(backend.address, backend.port)} ({backend.workload})")
        return copy

    def _forward(self, node: NodeIndex, port: Port, packet: _Packet) -> Trace:
        """Routing or bridging on the sender's Host, then both sides of the firewall as far as they are here."""
        host = node.state.name
        if packet.source == packet.destination and (judged := node.hairpin(packet.zone, packet.source)) is not None:
            packet.step(host, "back to its sender, masqueraded to the gateway", "" if judged else OWN_ADDRESS)
            if not judged:
                return packet.end(Disposition.ALLOW, OWN_ADDRESS)
        if port.bridge and _on_link(port, packet.destination) and packet.destination == packet.flow.destination:
            dev, via = port.bridge, packet.destination
            if (dev, via) not in node.neighbours:
                return self._gateway(node, packet) or packet.lost(host, f"nobody on {dev} answers for {via}")
        else:
            route = self._lookup(node, packet)
            if route is None or route.kind != "unicast":
                return self._gateway(node, packet) or packet.lost(host, _no_route(route, packet))
            hop = route.nexthops[0]
            dev, via = hop.dev, hop.via or packet.destination
            packet.step(
                host, f"route {route.prefix} table {route.table} dev {dev}" + (f" via {hop.via}" if hop.via else "")
            )
        return self._filter(node, packet, dev) or self._out(node, dev, via, packet)

    def _gateway(self, node: NodeIndex, packet: _Packet) -> Trace | None:
        """The Host itself answers echo to the gateway's address, and refuses everything else."""
        route = self._lookup(node, packet)
        if route is None or route.kind != "local" or packet.flow.protocol is not Protocol.ICMP:
            return None
        packet.step(node.state.name, f"{packet.destination} is the gateway", GATEWAY)
        return packet.end(Disposition.ALLOW, GATEWAY)

    def _lookup(self, node: NodeIndex, packet: _Packet) -> Route | None:
        table = node.table(packet.mark, packet.flow.family)
        return None if table is None else node.route(table, packet.destination)

    def _filter(self, node: NodeIndex, packet: _Packet, dev: str) -> Trace | None:
        """Egress where the sender is local, ingress where the receiver is; None lets the packet on."""
        host = node.state.name
        if dev == NOWHERE:
            packet.backend = ""
        if packet.mark & LOCAL:
            found = node.judge(Direction.EGRESS, packet.zone, packet.source, packet.destination, packet.service)
            disposition, rule, stateless = found or Judged(Disposition.DENY, UNKNOWN)
            packet.step(host, f"egress {disposition}", rule)
            if disposition is not Disposition.ALLOW:
                return packet.end(disposition, rule)
            packet.egress = rule
            if stateless:
                packet.unremembered.append((node, Direction.EGRESS))
        if dev == NOWHERE:
            return packet.lost(host, "no route")
        found = node.judge(Direction.INGRESS, packet.zone, packet.destination, packet.source, packet.service)
        if found is None:
            if packet.mark & LOCAL:
                return None
            packet.step(host, "ingress deny: no such endpoint here", UNKNOWN)
            return packet.end(Disposition.DENY, UNKNOWN)
        disposition, rule, stateless = found
        packet.step(host, f"ingress {disposition}", rule)
        packet.ingress = rule
        if stateless:
            packet.unremembered.append((node, Direction.INGRESS))
        return None if disposition is Disposition.ALLOW else packet.end(disposition, rule)

    def _out(self, node: NodeIndex, dev: str, via: str, packet: _Packet) -> Trace:
        """Out of a port, or into a tunnel: what the neighbour table and the FDB say."""
        host = node.state.name
        mac = node.neighbours.get((dev, via))
        if mac is None:
            return packet.lost(host, f"no neighbour {via} on {dev}")
        if dev in node.ports:
            return self._deliver(node, node.ports[dev], mac, packet)
        entry = node.fdb.get((dev, mac))
        if entry is None:
            return packet.lost(host, f"no FDB entry for {mac} on {dev}")
        out, vtep = entry
        if not vtep:
            return self._deliver(node, node.ports[out], mac, packet)
        tunnel = next(link for link in node.state.links if isinstance(link, Vxlan) and link.name == out)
        packet.step(host, f"{mac} on {out}: VXLAN {tunnel.vni} to {vtep}")
        remote = self._underlay(host, vtep, packet)
        if remote is None:
            return packet.lost(host, f"no way to {vtep} in the underlay")
        return self._arrive(self.node(remote), tunnel.vni, mac, packet)

    def _underlay(self, host: str, vtep: str, packet: _Packet) -> str | None:
        """Follow the main tables; of several equal paths the first, the kernel may take another."""
        here = host
        for _ in range(_MAX_HOPS):
            if self._loopbacks.get(vtep) == here:
                return here
            node = self.node(here)
            route = node.route(UPLINK_ROUTES, vtep)
            if route is None or not route.nexthops:
                return None
            hop = route.nexthops[0]
            if hop.dev not in node.uplinks or (hop.via and (hop.dev, hop.via) not in node.neighbours):
                return None
            more = f" (1 of {len(route.nexthops)} equal paths)" if len(route.nexthops) > 1 else ""
            here = node.uplinks[hop.dev].peer_node
            packet.step(node.state.name, f"underlay {route.prefix} dev {hop.dev} to {here}{more}")
        return None

    def _arrive(self, node: NodeIndex, vni: int, mac: str, packet: _Packet) -> Trace:
        """Out of the tunnel on the receiver's Host, where its ingress is judged."""
        host = node.state.name
        tunnel = node.tunnels.get(vni)
        entry = node.interfaces.get(tunnel.bridge or tunnel.name) if tunnel else None
        if tunnel is None or entry is None:
            return packet.lost(host, f"no tunnel end for VNI {vni}")
        packet.mark, packet.zone = entry.mark, entry.zone
        packet.step(host, f"in {tunnel.name}: VNI {vni}, zone {entry.zone}")
        if tunnel.bridge:
            dev, vtep = node.fdb.get((tunnel.bridge, mac), ("", ""))
            if not dev or vtep:
                return packet.lost(host, f"no local FDB entry for {mac} on {tunnel.bridge}")
        else:
            route = self._lookup(node, packet)
            if route is None or route.kind != "unicast":
                return packet.lost(host, _no_route(route, packet))
            dev = route.nexthops[0].dev
            mac = node.neighbours.get((dev, packet.destination), "")
        if dev not in node.ports and dev != NOWHERE:
            return packet.lost(host, f"{packet.destination} is behind {dev}, which is no port of this host")
        return self._filter(node, packet, dev) or self._deliver(node, node.ports[dev], mac, packet)

    def _deliver(self, node: NodeIndex, port: Port, mac: str, packet: _Packet) -> Trace:
        if port.mac != mac or packet.destination not in map(_plain, port.addresses):
            return packet.lost(node.state.name, f"{port.name} is not {packet.destination} at {mac}")
        packet.backend = port.workload
        packet.step(node.state.name, f"out {port.name}")
        packet.step(port.workload, f"eth0 receives {_socket(packet.destination, packet.port)}")
        return self._answered(packet)

    def _answered(self, packet: _Packet) -> Trace:
        """The answer, at the ends where a stateless rule let the packet pass: it meets them in the other order."""
        for node, direction in reversed(packet.unremembered):
            ends = (packet.source, packet.destination)
            own, peer = ends if direction is Direction.EGRESS else ends[::-1]
            stopped = node.stopped_reply(direction, packet.zone, own, peer, packet.flow.protocol)
            side = "ingress" if direction is Direction.EGRESS else "egress"
            if stopped is not None:
                packet.step(node.state.name, f"the answer: {side} {stopped.disposition}", stopped.rule)
                verdict = Verdict(Disposition.DENY, stopped.rule, packet.egress, reply=True)
                return Trace(packet.flow, Answer(verdict, packet.backend, packet.port), tuple(packet.steps))
            packet.step(node.state.name, f"the answer: {side} allow")
        return packet.end(Disposition.ALLOW, packet.ingress)


def _plain(address: str) -> str:
    return address.split("/", 1)[0]


def _on_link(port: Port, address: str) -> bool:
    """Whether the workload's own kernel would send directly: the address is in a subnet of its interface."""
    family, value = family_of(address), number(address)
    spans = (span(_network(a)) for a in port.addresses)
    return any(version == family and first <= value <= last for version, first, last in spans)


@lru_cache(maxsize=1 << 16)
def _network(interface: str) -> str:
    return str(ip_interface(interface).network)


def _no_route(route: Route | None, packet: _Packet) -> str:
    if route is None:
        return f"no route to {packet.destination}"
    return f"{route.kind} {route.prefix} table {route.table}"


def _socket(address: str, port: int) -> str:
    if not port:
        return address
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _service(protocol: Protocol, port: int) -> str:
    return f"{port}/{protocol}" if port else str(protocol)
