"""A lab's plan while workloads, policies and Services come, go and change: an event costs what it changes, not what
there is.

Every answer is what planning the whole lab anew, with the one before it as `previous`, would say; where that cannot be
known from the event alone the lab is planned anew, and counted (`replanned`).
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from sdn.errors import SdnError
from sdn.model import Endpoint, Model, Placed, Placement, Workload
from sdn.plan.allocate import allocate
from sdn.plan.desired import Prepared, UnderlayPlan, plan_placed
from sdn.plan.live_addresses import LiveAddresses
from sdn.plan.live_changes import Ledger, LiveChanges, between, together
from sdn.plan.live_events import Event, Written, events_between, written_between
from sdn.plan.live_firewall import LiveFirewalls
from sdn.plan.live_overlay import LiveOverlay
from sdn.plan.live_services import LiveServices
from sdn.plan.moment import Moment
from sdn.plan.patches import Patches
from sdn.plan.state import NodeState, Plan
from sdn.policy.collector import settle, without_gc
from sdn.policy.live import LivePolicy

FEW = 8
"""So many events are always made one by one, and never more than a quarter of a lab."""


class LivePlan:
    """Made of a lab that is planned, whose states it then keeps up to date, or of one that is only placed.

    Of the latter a Host's state is made when somebody asks for it, so that a lab of thousands of Hosts costs no more
    than its indexes. Events raise SdnError, and change nothing, where planning anew would.
    """

    def __init__(self, lab: Prepared | Placed) -> None:
        self.replanned = 0
        with without_gc():
            self._start(lab)
        settle(len(self._endpoints))

    def _start(self, lab: Prepared | Placed) -> None:
        placed = lab.placed if isinstance(lab, Prepared) else lab
        self._base = placed
        self._given = (
            True  # whether that is the Model and Placement that are now, of which the last event made no other
        )
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
        if workload.key in self._workloads:
            raise SdnError(f"{workload.key}: is in the lab already; remove it first, or give the new one another name")
        self._check_host(host)
        return self._make(Event(workload.key, workload, host, node))

    def remove(self, key: str) -> LiveChanges:
        """A workload goes."""
        self._check_workload(key)
        return self._make(Event(key, None))

    def move(self, key: str, host: str, node: str = "") -> LiveChanges:
        """A workload runs on another Host, or in another VM, and keeps its addresses."""
        self._check_workload(key)
        self._check_host(host)
        return self._make(Event(key, self._workloads[key], host, node))

    def stop(self, key: str) -> LiveChanges:
        """A workload runs nowhere: it has no addresses until it is moved to a Host."""
        self._check_workload(key)
        return self._make(Event(key, self._workloads[key]))

    def relabel(self, key: str, labels: dict[str, str]) -> LiveChanges:
        """A workload has these labels now, and no others."""
        self._check_workload(key)
        workload = replace(self._workloads[key], labels=labels)
        return self._make(Event(key, workload, self._hosts.get(key, ""), self._nodes.get(key, "")))

    def become(self, model: Model, placement: Placement, known: Placed | None = None) -> LiveChanges:
        """The lab is another one: by events, where it differs in few workloads, policies and Services, or planned anew.

        With `known`, which has addresses of others beside those that are there, it is planned anew from these.
        """
        if known is not None:
            return self._replan(model, placement, known)
        old = self._model
        written = written_between(old, model)
        now = self._base.placement if self._given else Placement(self._hosts, self._nodes)
        events = events_between(old, self._workloads, now, model, placement) if written is not None else None
        if written is None or events is None or len(events) + len(written) > max(FEW, len(self._workloads) // 4):
            return self._replan(model, placement)
        changes = self._make_each(events, written, model, placement)
        self._base = replace(self._base, model=model, placement=self._tidy(placement))
        self._given = True
        self._placed = None
        return changes

    @property
    def placed(self) -> Placed:
        """Where everything is now; made when it is asked for."""
        if self._placed is None:
            self._placed = self._moment({}).prepared.placed
        return self._placed

    @property
    def moment(self) -> Moment:
        """Both, as they stay when this goes on."""
        return self._moment(self.plan)

    def _moment(self, plan: Plan) -> Moment:
        base = replace(self._base, model=self._model, placement=self._placement)
        return Moment(base, plan, dict(self._endpoints), dict(self._addresses.slices))

    @property
    def _model(self) -> Model:
        """As it was given, or with the workloads that single events left."""
        if self._given:
            return self._base.model
        return replace(self._base.model, workloads=tuple(self._workloads[key] for key in sorted(self._workloads)))

    @property
    def _placement(self) -> Placement:
        return self._base.placement if self._given else Placement(dict(self._hosts), dict(self._nodes))

    def _tidy(self, placement: Placement) -> Placement:
        """Without what runs and is no workload."""
        whole = len(placement.hosts) == len(self._hosts) and len(placement.nodes) == len(self._nodes)
        return placement if whole else Placement(dict(self._hosts), dict(self._nodes))

    @property
    def plan(self) -> Plan:
        """The state of every node now."""
        if self._keeps:
            return dict(self._states)
        hosts = {host.name: self.host(host.name) for host in self._base.model.underlay.hosts}
        return dict(sorted({**self._ground.switches(), **hosts}.items()))

    @property
    def prepared(self) -> Prepared:
        """Both."""
        return Prepared(self.placed, self.plan)

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

    def _make(self, event: Event) -> LiveChanges:
        """One event, or the lab planned anew where one event cannot know what comes of it."""
        found = self._attach(event)
        if found is None:
            return self._replan(*self._after(event))
        return self._step(event, *found)

    def _make_each(self, events: list[Event], written: Written, model: Model, placement: Placement) -> LiveChanges:
        if not events and self._settled:
            return self._rewrite(written, model)
        if len(events) == 1 and not written:
            return self._make(events[0])
        return self._make_all(events, written, model, placement)

    def _make_all(self, events: list[Event], written: Written, model: Model, placement: Placement) -> LiveChanges:
        """Several at once: who gets which address is asked of all of them together."""
        allocated = allocate(model, placement, self.placed)
        mine = {event.key for event in events}
        kept = all(
            allocated.endpoints[key].addresses == endpoint.addresses
            for key, endpoint in self._endpoints.items()
            if key in allocated.endpoints
        )
        reads_addresses = self._reads_addresses or LivePolicy.reads_addresses(model)
        comes_or_goes = any((key in self._endpoints) != (key in allocated.endpoints) for key in mine)
        if not (kept and self._settled) or (comes_or_goes and reads_addresses):
            return self._replan(model, placement)
        steps = [self._rewrite(written, model)]
        for event in events:
            after = allocated.endpoints.get(event.key)
            where = (after.application, after.segment, after.host) if after is not None else ("", "", "")
            steps.append(
                self._step(event, _same(self._endpoints.get(event.key), after), allocated.slices.get(where, ()))
            )
        self._addresses.take_over(allocated)
        self._settled = self._addresses.settled
        return together(steps)

    def _rewrite(self, written: Written, model: Model) -> LiveChanges:
        """Policies and Services as in this Model."""
        ledger = Ledger()
        if written.gone or written.come:
            policies = {"network_policies": model.network_policies, "policies": model.policies}
            moves = self._policy.follow(
                replace(self._base.model, **policies), written.gone, written.come, self._everybody
            )
            self._reads_addresses = LivePolicy.reads_addresses(model)
            self._firewalls.change(moves, None, None, ledger)
        if written.services_gone or written.services_come:
            self._services.follow(
                written.services_gone, written.services_come, self._in_namespace, self._overlay, ledger
            )
        return self._kept(ledger.finish())

    def _everybody(self) -> Iterator[tuple[Workload, Endpoint]]:
        return ((self._workloads[key], endpoint) for key, endpoint in self._endpoints.items())

    def _in_namespace(self, name: str) -> Iterator[tuple[Workload, Endpoint]]:
        return ((self._workloads[key], self._endpoints[key]) for key in self._policy.among(name))

    def _attach(self, event: Event) -> tuple[Endpoint | None, tuple[str, ...]] | None:
        """The workload's Endpoint after the event, and what its Host owns then; None if only `allocate` knows."""
        workload, before = event.workload, self._endpoints.get(event.key)
        wired = workload is not None and bool(workload.segment and event.host) and not workload.host_network
        if before is None and not wired:
            return None, ()
        if not self._settled or (self._reads_addresses and (before is None or not wired)):
            return None
        if not wired or workload is None:
            return None, ()
        if before is not None:
            if before.host == event.host:
                return before, ()
            slices = self._addresses.owned_with(before, event.host)
            return None if slices is None else (replace(before, host=event.host), slices)
        offer = self._addresses.offer(workload, event.host)
        if offer is None:
            return None
        where = (workload.application, workload.segment, event.host)
        return Endpoint(event.key, *where, offer.mac, offer.addresses), offer.slices

    def _step(self, event: Event, after: Endpoint | None, slices: tuple[str, ...]) -> LiveChanges:
        """What is asked of the workload as it was is asked before the indexes follow."""
        key, workload = event.key, event.workload
        was, before = self._workloads.get(key), self._endpoints.get(key)
        self._enter(event)
        if before is None and after is None:
            return LiveChanges({})
        ledger = Ledger()
        if after is not None:
            self._endpoints[key] = after
        else:
            self._workloads[key] = was or self._workloads[key]
            del self._endpoints[key]
        regrouped = self._overlay.change(before, after, slices, ledger) if before is not after else {}
        if workload is not None:
            self._workloads[key] = workload
        else:
            del self._workloads[key]
        moves = self._policy.move(key, workload, after)
        self._firewalls.change(moves, before, after, ledger)
        old = (was, before) if was is not None and before is not None else None
        new = (workload, after) if workload is not None and after is not None else None
        self._services.change(old, new, regrouped, self._overlay, ledger)
        return self._kept(ledger.finish())

    def _enter(self, event: Event) -> None:
        """What the workload is and where, in the lists from which Placed is made."""
        self._placed = None
        self._given = False
        for known, value in ((self._hosts, event.host), (self._nodes, event.node)):
            if value:
                known[event.key] = value
            else:
                known.pop(event.key, None)
        if event.workload is not None:
            self._workloads[event.key] = event.workload
        else:
            self._workloads.pop(event.key, None)

    def _kept(self, changes: LiveChanges) -> LiveChanges:
        """With the states before and after, which follow."""
        if self._keeps:
            patches = Patches()
            for name, turns in changes.turns().items():
                changes.before[name] = self._states[name]
                self._states[name] = changes.after[name] = patches.patched(self._states[name], turns)
        return changes

    def _after(self, event: Event) -> tuple[Model, Placement]:
        """The whole lab after an event."""
        workloads = {key: workload for key, workload in self._workloads.items() if key != event.key}
        hosts = {key: host for key, host in self._hosts.items() if key != event.key}
        nodes = {key: node for key, node in self._nodes.items() if key != event.key}
        if event.workload is not None:
            workloads[event.key] = event.workload
            hosts |= {event.key: event.host} if event.host else {}
            nodes |= {event.key: event.node} if event.node else {}
        listed = tuple(workloads[key] for key in sorted(workloads))
        return replace(self._base.model, workloads=listed), Placement(hosts, nodes)

    def _replan(self, model: Model, placement: Placement, known: Placed | None = None) -> LiveChanges:
        """Everything, with the lab as it is as the previous one."""
        placed = allocate(model, placement, known or self.placed)
        before = self.plan
        prepared = plan_placed(placed)
        self.replanned += 1
        with without_gc():
            self._start(prepared if self._keeps else placed)
        settle(len(self._endpoints))
        found = between(before, prepared.plan)
        return found if self._keeps else LiveChanges(found.local)

    def _check_workload(self, key: str) -> None:
        if key not in self._workloads:
            raise SdnError(f"there is no workload {key}; `namespace/name` names one")

    def _check_host(self, host: str) -> None:
        if host not in self._ground.vteps:
            raise SdnError(f"there is no host {host} (there are: {', '.join(sorted(self._ground.vteps)[:5])}, ...)")


def _same(before: Endpoint | None, after: Endpoint | None) -> Endpoint | None:
    """The object that is known already where nothing is different."""
    return before if before == after else after
