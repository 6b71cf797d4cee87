"""The virtual networks: Applications, their Segments, and the Endpoints that workloads have on them."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from msgspec import Struct


class SegmentKind(StrEnum):
    """`l2`: one broadcast domain over Hosts. `routed`: every Host owns a slice, for large flat pod networks."""

    L2 = "l2"
    ROUTED = "routed"


class Segment(Struct, frozen=True):
    """A subnet of an Application: at most one prefix per IP family, network address written out (`10.1.1.0/24`).

    The first address of each prefix is the gateway, the same on every Host. `slice4` and `slice6` are the prefix
    lengths of what one Host owns of a `routed` segment; 0 leaves the choice to the plan.
    """

    name: str
    subnets: tuple[str, ...]
    kind: SegmentKind = SegmentKind.L2
    slice4: int = 0
    slice6: int = 0


class Application(Struct, frozen=True):
    """One application's virtual network; no other Application reaches it unless a connection says so.

    `connects` names the Applications it is connected to; a connection holds in both directions and is not
    transitive. Applications that are joined by connections, also through others, may not overlap in addresses.
    """

    name: str
    segments: tuple[Segment, ...]
    connects: tuple[str, ...] = ()


class Endpoint(Struct, frozen=True, gc=False):
    """The interface of one Workload: where it is attached and which addresses are its own."""

    workload: str
    application: str
    segment: str
    host: str
    mac: str
    addresses: tuple[str, ...]  # plain addresses, IPv4 before IPv6

    def address(self, family: int) -> str | None:
        """The address of an IP family (4 or 6), None where it has none."""
        return next((a for a in self.addresses if (":" in a) == (family == 6)), None)


def connected(applications: Sequence[Application]) -> dict[str, frozenset[str]]:
    """Each Application with itself and those that a connection joins to it, whichever of the two it is written at."""
    found = {application.name: {application.name} for application in applications}
    for application in applications:
        for other in application.connects:
            if other in found:
                found[application.name].add(other)
                found[other].add(application.name)
    return {name: frozenset(joined) for name, joined in found.items()}
