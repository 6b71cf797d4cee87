"""Where a flow's packets leave from: the address that they carry, and the mark by which a Host says whom it means.

A Host sends as its workloads' gateway, the one neighbour that each of them knows; of two Applications with the same
addresses the mark chooses.
"""

from __future__ import annotations

from functools import cached_property
from ipaddress import ip_network
from typing import NamedTuple

from sdn.model import Endpoint, Flow, Placed, Segment


class Sender(NamedTuple):
    """`mark` is 0 in a workload's namespace, where nothing is marked."""

    address: str
    mark: int = 0


class Senders:
    """Those of one lab."""

    def __init__(self, placed: Placed) -> None:
        self._placed = placed
        self._workloads: dict[tuple[str, int], Sender | None] = {}

    def of(self, flow: Flow) -> Sender | None:
        """Who sends a flow; None where the source has no address of its family."""
        key = flow.source, flow.family
        if key in self._workloads:
            return self._workloads[key]
        endpoint = self._placed.endpoints.get(flow.source)
        if endpoint is not None:
            address = endpoint.address(flow.family)
            self._workloads[key] = Sender(address) if address is not None else None
            return self._workloads[key]
        gateway = next((g for segment in self._segments(flow) if (g := _gateway(segment, flow.family))), "")
        return Sender(gateway, self._placed.marks.get(flow.application, 0)) if gateway else None

    def _segments(self, flow: Flow) -> list[Segment]:
        """Of the Application that a Host means, with the destination's own first."""
        target = self._owners.get((flow.application, flow.destination))
        own = target.segment if target is not None else ""
        found = [s for a in self._placed.model.applications if a.name == flow.application for s in a.segments]
        return sorted(found, key=lambda segment: segment.name != own)

    @cached_property
    def _owners(self) -> dict[tuple[str, str], Endpoint]:
        return {(e.application, address): e for e in self._placed.endpoints.values() for address in e.addresses}


def _gateway(segment: Segment, family: int) -> str:
    """The first address of the segment's subnet of a family; empty where it has none."""
    networks = (ip_network(subnet) for subnet in segment.subnets)
    return next((str(network[1]) for network in networks if network.version == family), "")
