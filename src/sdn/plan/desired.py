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
from sdn.plan.overlay import OverlayPlanner
from sdn.plan.state import NodeState, Plan
from sdn.policy.compiled import CompiledPolicy
from sdn.policy.compiler import compile_policy
from sdn.scheduler import place


@dataclass(frozen=True, slots=True)
class Prepared:
    """Everything that is known before the kernel is touched."""

    placed: Placed
    compiled: CompiledPolicy
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
    compiled = compile_policy(placed)
    return Prepared(placed, compiled, desired_state(placed, compiled))


def desired_state(placed: Placed, compiled: CompiledPolicy) -> Plan:
    """The state of every node, in sorted order."""
    underlay = placed.model.underlay
    paths = fabric(underlay)
    mtu = min((link.mtu for link in underlay.links), default=9000)
    overlay = OverlayPlanner(placed, {host.name: paths.loopback[host.name] for host in underlay.hosts}, mtu)
    firewalls = FirewallPlanner(placed, compiled)
    balancers = LoadBalancerPlanner(placed)
    plan = {switch.name: _switch(switch.name, str(switch.role), paths) for switch in underlay.switches}
    for host in underlay.hosts:
        plan[host.name] = _host(host.name, paths, overlay, firewalls, balancers)
    return dict(sorted(plan.items()))


def _switch(name: str, role: str, paths: Fabric) -> NodeState:
    return NodeState(
        name=name,
        role=role,
        loopback=(paths.loopback[name],),
        uplinks=paths.uplinks[name],
        routes=paths.routes[name],
        neighbours=paths.neighbours[name],
    )


def _host(
    name: str,
    paths: Fabric,
    overlay: OverlayPlanner,
    firewalls: FirewallPlanner,
    balancers: LoadBalancerPlanner,
) -> NodeState:
    mine = overlay.host(name)
    return NodeState(
        name=name,
        role="host",
        loopback=(paths.loopback[name],),
        uplinks=paths.uplinks[name],
        links=tuple(mine.links[key] for key in sorted(mine.links)),
        interfaces=tuple(sorted(mine.interfaces)),
        ports=tuple(sorted(mine.ports, key=lambda port: port.name)),
        routes=tuple(sorted((*paths.routes[name], *mine.routes))),
        rules=tuple(sorted(mine.rules)),
        neighbours=tuple(sorted((*paths.neighbours[name], *mine.neighbours))),
        fdb=tuple(sorted(mine.fdb)),
        firewall=firewalls.host(name),
        loadbalancer=balancers.host(name),
    )
