"""Which connections that Hosts remember a plan still allows: those that it does not are cut after a strict change.

Judged as the first packet of each would be now, on the Hosts of both of its ends. What no local endpoint sends or
receives is nobody's to judge, and stays; so does what a Host sends to the workloads on it.
"""

from __future__ import annotations

from msgspec import Struct

from sdn.model import Direction, Disposition, Protocol
from sdn.plan.state import Plan
from sdn.plan.walk import NodeIndex


class Connection(Struct, frozen=True):
    """One connection of a zone as policy sees it: from the sender's own address to where translation led it.

    `port` is 0 for ICMP. `protocol` None: one that no rule can name, such as GRE, or ICMP that is no echo.
    """

    zone: int
    source: str
    source_port: int
    destination: str
    protocol: Protocol | None
    port: int


class Established:
    """Answers for all Hosts of one plan; they are indexed as they are asked about."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._nodes: dict[str, NodeIndex] = {}
        self._gateways = {(p.zone, address) for node in plan.values() for p in node.ports for address in p.gateways}
        self._hosts = {
            (entry.zone, entry.address): name
            for name, node in plan.items()
            if node.firewall is not None
            for entry in node.firewall.egress
        }

    def allows(self, connection: Connection) -> bool:
        """Whether it could begin now."""
        source, destination = connection.source, connection.destination
        if (connection.zone, source) in self._gateways:
            return True  # a Host's own: nobody else has a gateway's address
        if source == destination and self._is_unjudged(connection):
            return True
        return self._passes(Direction.EGRESS, connection, source, destination) and self._passes(
            Direction.INGRESS, connection, destination, source
        )

    def _is_unjudged(self, connection: Connection) -> bool:
        """Whether a client that met itself behind a Service is not for policy to judge."""
        node = self._node(connection.zone, connection.source)
        return node is not None and node.hairpin(connection.zone, connection.source) is False

    def _passes(self, direction: Direction, connection: Connection, own: str, peer: str) -> bool:
        node = self._node(connection.zone, own)
        service = (connection.protocol, connection.port)
        found = node.judge(direction, connection.zone, own, peer, service) if node is not None else None
        if node is None or found is None:
            return True
        if found.stateless and node.stopped_reply(direction, connection.zone, own, peer, connection.protocol):
            return False
        return found.disposition is Disposition.ALLOW

    def _node(self, zone: int, address: str) -> NodeIndex | None:
        name = self._hosts.get((zone, address))
        if name is None:
            return None
        if name not in self._nodes:
            self._nodes[name] = NodeIndex(self._plan[name])
        return self._nodes[name]
