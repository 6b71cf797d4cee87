"""Things break: what the world does to a lab, without asking any plan. Whoever plans finds out and follows.

A failed Host or Switch is one without power: its links go down at once, then all that ran there ends. Its namespace
stays, as the machine does.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import partial

from sdn.kernel import links, processes
from sdn.kernel.namespaces import RUN, NamespaceWorker, inside
from sdn.kernel.rtnetlink import Netlink
from sdn.plan.state import NodeState, Plan


def power_off(state: NodeState) -> None:
    """All cables of a node, and of a Host its workloads' ports, go down; then its processes end, and theirs."""
    devices = [uplink.name for uplink in state.uplinks] + [port.name for port in state.ports]
    with NamespaceWorker("outage") as worker:
        worker.run(None, lambda: _down(state.name, devices))
    processes.end_inside(RUN / state.name, *(RUN / port.namespace for port in state.ports))


def crash(state: NodeState, workloads: Collection[str]) -> None:
    """Workloads of a Host lose their ports and their processes; their namespaces are the plan's to remove."""
    ports = [port for port in state.ports if port.workload in workloads]
    with NamespaceWorker("outage") as worker:
        worker.run(None, lambda: _down(state.name, [port.name for port in ports]))
    if ports:
        processes.end_inside(*(RUN / port.namespace for port in ports))


def pull(plan: Plan, node: str, peer: str) -> None:
    """All cables between two nodes go down, at both ends."""
    with NamespaceWorker("outage") as worker:
        for one, other in ((node, peer), (peer, node)):
            devices = [veth.name for veth in plan[one].uplinks if veth.peer_node == other]
            worker.run(None, partial(_down, one, devices))


def cut_cables(plan: Plan) -> list[tuple[str, str]]:
    """The two nodes of each cable that should be up, and is not at one of its ends, or not there at all.

    Whether it carries packets would be no answer: that is noticed late of a cable that has just been made.
    """
    found: set[tuple[str, str]] = set()

    def look() -> None:
        for node, state in plan.items():
            wanted = [veth for veth in state.uplinks if veth.up]
            if wanted:
                with inside(node), Netlink() as netlink:
                    up = {link.name for link in netlink.links() if link.up}
                found.update((min(node, v.peer_node), max(node, v.peer_node)) for v in wanted if v.name not in up)

    with NamespaceWorker("outage") as worker:
        worker.run(None, look)
    return sorted(found)


def _down(name: str, devices: Collection[str]) -> None:
    """What somebody has removed by hand is down already."""
    with inside(name), Netlink() as netlink:
        indexes = netlink.indexes()
        netlink.send([links.set_up(indexes[device], False) for device in devices if device in indexes])
