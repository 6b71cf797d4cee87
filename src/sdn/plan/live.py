"""A lab's plan while its workloads come, go, move and change: one event costs what it changes, not what there is.

Every answer is what planning the whole lab anew, with the one before it as `previous`, would say; where that cannot be
known from the event alone the lab is planned anew, and counted (`replanned`).
"""

from __future__ import annotations

from msgspec.structs import replace

from sdn.errors import SdnError
from sdn.model import Endpoint, Model, Placed, Placement, Workload
from sdn.plan.allocate import allocate
from sdn.plan.delta import delta
from sdn.plan.desired import Prepared, UnderlayPlan, plan_placed
from sdn.plan.live_addresses import LiveAddresses
from sdn.plan.live_changes import Ledger, LiveChanges, patched
from sdn.plan.live_firewall import LiveFirewalls
from sdn.plan.live_overlay import LiveOverlay
from sdn.plan.live_services import LiveServices
from sdn.plan.state import NodeState, Plan
from sdn.policy.compiler import compile_policy
from sdn.policy.live import LivePolicy


class LivePlan:
    """Made of a lab that is planned, whose states it then keeps up to date, or of one that is only placed.

    Of the latter a Host's state is made when somebody asks for it, so that a lab of thousands of Hosts costs no more
    than its indexes. Events raise SdnError, and change nothing, where planning anew would.
    """

    def __init__(self, lab: Prepared | Placed) -> None:
        self.replanned = 0
        self._start(lab)

    def _start(self, lab: Prepared | Placed) -> None:
        placed = lab.placed if isinstance(lab, Prepared) else lab
        self._base = placed
        self._placed: Placed | None = placed
        self._keeps = isinstance(lab, Prepared)
        self._states: dict[str, NodeState] = dict(lab.plan) if isinstance(lab, Prepared) else {}
        self._workloads: dict[str, Workload] = {workload.key: workload for workload in placed.model.workloads}
        self._hosts: dict[str, str] = dict(placed.placement.hosts)
        self._nodes: dict[str, str] = dict(placed.placement.nodes)
        self._endpoints: dict[str, Endpoint] = dict(placed.endpoints)
        self._ground = UnderlayPlan.of(placed.model)
        self._addresses = LiveAddresses(placed)
        self._settled: bool = self._addresses.settled
        self._policy = LivePolicy(placed)
        self._reads_addresses: bool = LivePolicy.reads_addresses(placed.model)
        ground = self._ground
        self._overlay = LiveOverlay(placed, ground.vteps, ground.mtu, self._workloads, self._addresses)
        self._firewalls = LiveFirewalls(self._policy, placed.zones, self._endpoints)
        self._services = LiveServices(placed)

    def add(self, workload: Workload, host: str, node: str = "") -> LiveChanges:
        """A workload comes; `node` is the VM that it runs in."""
        key = workload.key
        if key in self._workloads:
            raise SdnError(f"{key}: is in the lab already; remove it first, or give the new one another name")
        self._check_host(host)
        if workload.host_network or not workload.segment:
            self._workloads[key] = workload
            self._put(key, host, node)
            return LiveChanges({})
        offer = None if self._reads_addresses or not self._settled else self._addresses.offer(workload, host)
        if offer is None:
            return self._replan({**self._workloads, key: workload}, *self._placing(key, host, node))
        self._workloads[key] = workload
        self._put(key, host, node)
        endpoint = Endpoint(key, workload.application, workload.segment, host, offer.mac, offer.addresses)
        return self._step(key, workload, endpoint, offer.slices)

    def remove(self, key: str) -> LiveChanges:
        """A workload goes."""
        self._check_workload(key)
        if key in self._endpoints and (self._reads_addresses or not self._settled):
            rest = {name: workload for name, workload in self._workloads.items() if name != key}
            return self._replan(rest, *self._placing(key))
        self._hosts.pop(key, None)
        self._nodes.pop(key, None)
        changes = self._step(key, None, None) if key in self._endpoints else LiveChanges({})
        del self._workloads[key]
        self._placed = None
        return changes

    def move(self, key: str, host: str, node: str = "") -> LiveChanges:
        """A workload runs on another Host, or in another VM, and keeps its addresses."""
        self._check_workload(key)
        self._check_host(host)
        endpoint = self._endpoints.get(key)
        if endpoint is None or endpoint.host == host:
            self._put(key, host, node)
            return LiveChanges({})
        slices = self._addresses.owned_with(endpoint, host) if self._settled else None
        if slices is None:
            return self._replan(self._workloads, *self._placing(key, host, node))
        self._put(key, host, node)
        return self._step(key, self._workloads[key], replace(endpoint, host=host), slices)

    def relabel(self, key: str, labels: dict[str, str]) -> LiveChanges:
        """A workload has these labels now, and no others."""
        self._check_workload(key)
        workload = replace(self._workloads[key], labels=labels)
        if not self._settled:
            return self._replan({**self._workloads, key: workload}, self._hosts, self._nodes)
        self._placed = None
        endpoint = self._endpoints.get(key)
        if endpoint is None:
            self._workloads[key] = workload
            return LiveChanges({})
        return self._step(key, workload, endpoint)

    def become(self, model: Model, placement: Placement) -> LiveChanges:
        """The lab is another one: planned anew, whatever it is in which they differ."""
        placed = allocate(model, placement, self.placed)
        before = self.plan
        prepared = plan_placed(placed)
        changes = delta(before, prepared.plan)
        self.replanned += 1
        self._start(prepared if self._keeps else placed)
        found = LiveChanges({node: [(c.part, c.before, c.after) for c in of] for node, of in changes.nodes.items()})
        if self._keeps:
            found.before = {node: before[node] for node in changes.nodes if node in before}
            found.after = {node: prepared.plan[node] for node in changes.nodes if node in prepared.plan}
        return found

    @property
    def placed(self) -> Placed:
        """Where everything is now; made when it is asked for."""
        if self._placed is None:
            base = self._base
            workloads = tuple(self._workloads[key] for key in sorted(self._workloads))
            self._placed = replace(
                base,
                model=replace(base.model, workloads=workloads),
                placement=Placement(dict(self._hosts), dict(self._nodes)),
                endpoints=dict(sorted(self._endpoints.items())),
                slices=dict(sorted(self._addresses.slices.items())),
            )
        return self._placed

    @property
    def plan(self) -> Plan:
        """The state of every node now."""
        if self._keeps:
            return dict(self._states)
        hosts = {host.name: self.host(host.name) for host in self._base.model.underlay.hosts}
        return dict(sorted({**self._ground.switches(), **hosts}.items()))

    @property
    def prepared(self) -> Prepared:
        """The same as from scratch, the policy compiled again."""
        return Prepared(self.placed, compile_policy(self.placed), self.plan)

    def host(self, name: str) -> NodeState:
        """The state of one Host now."""
        if self._keeps:
            return self._states[name]
        here = self._overlay.local.get(name, [])
        return self._ground.host(
            name,
            self._overlay.host(name),
            self._firewalls.host(name, here),
            self._services.host(
                sorted(self._overlay.applications_on(name)), [(self._workloads[e.workload], e) for e in here]
            ),
        )

    def _step(
        self, key: str, workload: Workload | None, after: Endpoint | None, slices: tuple[str, ...] = ()
    ) -> LiveChanges:
        """One workload is this now. Everything that is asked of it as it was is asked before its indexes follow."""
        ledger, was, before = Ledger(), self._workloads[key], self._endpoints.get(key)
        if after is not None:
            self._workloads[key], self._endpoints[key] = workload or was, after
        else:
            del self._endpoints[key]
        regrouped = self._overlay.change(before, after, slices, ledger) if before is not after else {}
        moves = self._policy.move(key, workload, after)
        self._firewalls.change(moves, before, after, ledger)
        old = (was, before) if before is not None else None
        new = (workload, after) if workload is not None and after is not None else None
        self._services.change(old, new, regrouped, self._overlay, ledger)
        changes = ledger.finish()
        if self._keeps:
            for name, turns in changes.turns().items():
                changes.before[name] = self._states[name]
                self._states[name] = changes.after[name] = patched(self._states[name], turns)
        return changes

    def _put(self, key: str, host: str, node: str) -> None:
        self._placed = None
        self._hosts[key] = host
        self._nodes.pop(key, None)
        if node:
            self._nodes[key] = node

    def _placing(self, key: str, host: str = "", node: str = "") -> tuple[dict[str, str], dict[str, str]]:
        """Hosts and nodes with a workload elsewhere, or gone."""
        hosts = {name: found for name, found in self._hosts.items() if name != key}
        nodes = {name: found for name, found in self._nodes.items() if name != key}
        return hosts | ({key: host} if host else {}), nodes | ({key: node} if node else {})

    def _replan(self, workloads: dict[str, Workload], hosts: dict[str, str], nodes: dict[str, str]) -> LiveChanges:
        model = replace(self._base.model, workloads=tuple(workloads[key] for key in sorted(workloads)))
        return self.become(model, Placement(hosts, nodes))

    def _check_workload(self, key: str) -> None:
        if key not in self._workloads:
            raise SdnError(f"there is no workload {key}; `namespace/name` names one")

    def _check_host(self, host: str) -> None:
        if host not in self._ground.vteps:
            raise SdnError(f"there is no host {host} (there are: {', '.join(sorted(self._ground.vteps)[:5])}, ...)")
