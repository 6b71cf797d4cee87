"""From a Model to the desired state of every Host, in one call: place, allocate, compile, plan.

Pure: the same Model gives a byte-equal Plan, in whatever order it was written.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import cycle

from sdn.errors import UnschedulableError
from sdn.model import Model, Placed, Placement
from sdn.plan.allocate import allocate
from sdn.plan.fabric import Fabric, fabric
from sdn.plan.firewall import FirewallPlanner
from sdn.plan.loadbalancer import LoadBalancerPlanner
from sdn.plan.overlay import HostOverlay, OverlayPlanner
from sdn.plan.state import Firewall, LoadBalancer, NodeState, Plan
from sdn.policy.collector import without_gc
from sdn.policy.compiled import CompiledPolicy
from sdn.policy.compiler import compile_policy
from sdn.scheduler import place


@dataclass(frozen=True, slots=True)
class Prepared:
    """Everything that is known before the kernel is touched."""

    placed: Placed
    plan: Plan


def prepare(model: Model, previous: Placed | None = None) -> Prepared:
    """Place and plan a Model; what `previous` holds stays where it is as far as it still fits.

    Raises UnschedulableError with a reason per Host, and SdnError when addresses run out.
    """
    placement = place(model, previous.placement if previous else None)
    return plan_placed(allocate(model, placement, previous))


def placed_anyhow(model: Model) -> Placed:
    """Addresses for questions about policy alone: what finds no room is put on some Host all the same."""
    try:
        placement = place(model)
    except UnschedulableError:
        hosts = cycle(sorted(host.name for host in model.underlay.hosts))
        placement = Placement({workload.key: next(hosts) for workload in sorted(model.workloads, key=lambda w: w.key)})
    return allocate(model, placement)


def plan_placed(placed: Placed) -> Prepared:
    """Compile and plan what has been placed already."""
    return Prepared(placed, desired_state(placed, compile_policy(placed)))


def desired_state(placed: Placed, compiled: CompiledPolicy) -> Plan:
    """The state of every node, in sorted order."""
    with without_gc():
        ground = UnderlayPlan.of(placed.model)
        overlay = OverlayPlanner(placed, ground.vteps, ground.mtu)
        firewalls = FirewallPlanner(placed, compiled)
        balancers = LoadBalancerPlanner(placed)
        plan = ground.switches()
        for host in placed.model.underlay.hosts:
            name = host.name
            plan[name] = ground.host(name, overlay.host(name), firewalls.host(name), balancers.host(name))
        return dict(sorted(plan.items()))


@dataclass(frozen=True, slots=True)
class UnderlayPlan:
    """What the underlay gives to each node; `vteps` is Host → tunnel address, `mtu` the least of all cables."""

    model: Model
    paths: Fabric
    vteps: dict[str, str]
    mtu: int

    @classmethod
    def of(cls, model: Model) -> UnderlayPlan:
        """Raises SdnError where the underlay falls apart."""
        paths = fabric(model.underlay)
        mtu = min((link.mtu for link in model.underlay.links), default=9000)
        return cls(model, paths, {host.name: paths.loopback[host.name] for host in model.underlay.hosts}, mtu)

    def switches(self) -> Plan:
        """The state of every Switch."""
        return {s.name: _switch(s.name, str(s.role), self.paths) for s in self.model.underlay.switches}

    def host(self, name: str, overlay: HostOverlay, firewall: Firewall, balancer: LoadBalancer) -> NodeState:
        """The state of a Host, with everything else that is planned for it."""
        paths = self.paths
        overlay.neighbours.update(paths.neighbours[name])
        return NodeState(
            name=name,
            role="host",
            loopback=(paths.loopback[name],),
            uplinks=paths.uplinks[name],
            links=tuple(overlay.links[key] for key in sorted(overlay.links)),
            interfaces=tuple(sorted(overlay.interfaces)),
            ports=tuple(sorted(overlay.ports, key=lambda port: port.name)),
            routes=(*paths.routes[name], *overlay.all_routes()),
            rules=tuple(sorted(overlay.rules)),
            neighbours=overlay.all_neighbours(),
            fdb=overlay.all_fdb(),
            firewall=firewall,
            loadbalancer=balancer,
        )


def _switch(name: str, role: str, paths: Fabric) -> NodeState:
    return NodeState(
        name=name,
        role=role,
        loopback=(paths.loopback[name],),
        uplinks=paths.uplinks[name],
        routes=paths.routes[name],
        neighbours=paths.neighbours[name],
    )
