"""Random events in the life of a lab, each made twice: by LivePlans, and by planning the lab anew."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import TypeVar

from msgspec.msgpack import decode, encode
from msgspec.structs import replace

from sdn.errors import SdnError
from sdn.model import Model, Placed, Placement
from sdn.plan.allocate import allocate
from sdn.plan.delta import delta
from sdn.plan.desired import plan_placed
from sdn.plan.live import LivePlan
from sdn.plan.live_changes import LiveChanges
from strategies_tiers import Writer
from strategies_words import Dice, labels
from strategies_world import network_policy, service, workload

KINDS = ("add", "add", "remove", "stop", "move", "move", "relabel", "relabel")
WRITING = ("network policy", "network policy", "tier policy", "service")
"""What people write beside their workloads: something comes, changes or goes."""


K = TypeVar("K", str, tuple[str, str])
V = TypeVar("V")


class Events:
    """One lab, kept by a LivePlan with states and by one without; `step` raises AssertionError if either is wrong."""

    def __init__(self, seed: int, placed: Placed) -> None:
        self.dice = Dice(seed)
        self.prepared = plan_placed(allocate(placed.model, placed.placement, placed))
        self.keeping, self.lazy = LivePlan(self.prepared), LivePlan(self.prepared.placed)
        self.done: Counter[str] = Counter()
        self._hosts = sorted(host.name for host in placed.model.underlay.hosts)

    def step(self, kinds: tuple[str, ...] = (*KINDS, *WRITING)) -> None:
        """One event of one of these kinds, as far as there is anybody to whom it may happen."""
        keys = [workload.key for workload in self.prepared.placed.model.workloads]
        kind = self.dice.pick(tuple(k for k in kinds if keys or k in ("add", *WRITING)))
        self.done[kind] += 1
        if kind == "add":
            self._add()
        elif kind == "remove":
            self._remove(self.dice.pick(keys))
        elif kind == "stop":
            self._stop(self.dice.pick(keys))
        elif kind == "move":
            self._move(self.dice.pick(keys))
        elif kind == "relabel":
            self._relabel(self.dice.pick(keys))
        else:
            self._write(kind)

    def several(self, number: int) -> None:
        """As many events at once as `become` is told of: some of the same workload, some that undo each other."""
        kept = self.keeping, self.lazy
        before = self.prepared
        self.keeping, self.lazy = LivePlan(before), LivePlan(before.placed)
        for _ in range(number):
            self.step()
        model, placement = self.prepared.placed.model, self.prepared.placed.placement
        self.prepared = before
        self.keeping, self.lazy = kept
        self.done["several"] += 1
        self._both(model, placement, lambda live: live.become(model, placement))

    def _add(self) -> None:
        """Somebody new, sometimes under the name of one who went, or with an address that people fixed."""
        model = self.prepared.placed.model
        places = [(a.name, s) for a in model.applications for s in a.segments]
        number = self.dice.randint(0, 9)
        one = workload(self.dice, number, *self.dice.pick(places))
        name = f"w{number if self.dice.one_in(4) else self.dice.randint(10, 10_000)}"
        one = replace(one, name=name, host=self.dice.pick(self._hosts))
        if one.key in {workload.key for workload in model.workloads}:
            return
        everybody = sorted((*model.workloads, one), key=lambda w: w.key)
        placement = self._placement({one.key: one.host})
        self._both(replace(model, workloads=tuple(everybody)), placement, lambda live: live.add(one, one.host))

    def _remove(self, key: str) -> None:
        model, placement = self.prepared.placed.model, self.prepared.placed.placement
        rest = tuple(w for w in model.workloads if w.key != key)
        hosts = {name: host for name, host in placement.hosts.items() if name != key}
        nodes = {name: node for name, node in placement.nodes.items() if name != key}
        self._both(replace(model, workloads=rest), Placement(hosts, nodes), lambda live: live.remove(key))

    def _stop(self, key: str) -> None:
        placement = self.prepared.placed.placement
        hosts = {name: host for name, host in placement.hosts.items() if name != key}
        nodes = {name: node for name, node in placement.nodes.items() if name != key}
        self._both(self.prepared.placed.model, Placement(hosts, nodes), lambda live: live.stop(key))

    def _move(self, key: str) -> None:
        """Also of one that runs nowhere."""
        host = self.dice.pick(self._hosts)
        self._both(self.prepared.placed.model, self._placement({key: host}), lambda live: live.move(key, host))

    def _relabel(self, key: str) -> None:
        model, new = self.prepared.placed.model, labels(self.dice)
        changed = tuple(replace(w, labels=new) if w.key == key else w for w in model.workloads)
        placement = self.prepared.placed.placement
        self._both(replace(model, workloads=changed), placement, lambda live: live.relabel(key, new))

    def _write(self, kind: str) -> None:
        """A policy or Service goes, comes, or is another one under the name of one that is there."""
        {"network policy": self._network_policy, "tier policy": self._tier_policy, "service": self._service}[kind]()

    def _network_policy(self) -> None:
        model = self.prepared.placed.model
        one = network_policy(self.dice, self._addresses())
        there = {(p.namespace, p.name): p for p in model.network_policies}
        there = _changed(self.dice, there, (one.namespace, one.name), one)
        self._become(replace(model, network_policies=tuple(there[key] for key in sorted(there))))

    def _tier_policy(self) -> None:
        model = self.prepared.placed.model
        one = Writer(self.dice, model, self._addresses()).policy(f"t{self.dice.randint(0, 6)}")
        there = _changed(self.dice, {p.name: p for p in model.policies}, one.name, one)
        self._become(replace(model, policies=tuple(there[key] for key in sorted(there))))

    def _service(self) -> None:
        model = self.prepared.placed.model
        one = service(self.dice, self.dice.randint(0, 4), [a.name for a in model.applications])
        # Its address is made of its number, so no two in different namespaces may have the same one.
        others = {s.key: s for s in model.services if s.name != one.name}
        mine = next((s for s in model.services if s.name == one.name), None)
        there = _changed(self.dice, {**others, **({mine.key: mine} if mine else {})}, one.key, one)
        if mine is not None and mine.key != one.key and one.key in there:
            del there[mine.key]
        self._become(replace(model, services=tuple(there[key] for key in sorted(there))))

    def _addresses(self) -> list[str]:
        endpoints = self.prepared.placed.endpoints.values()
        return sorted({a for endpoint in endpoints for a in endpoint.addresses}) or ["203.0.113.7"]

    def _become(self, model: Model) -> None:
        placement = self.prepared.placed.placement
        self._both(model, placement, lambda live: live.become(model, placement))

    def _placement(self, hosts: dict[str, str]) -> Placement:
        old = self.prepared.placed.placement
        nodes = {key: node for key, node in old.nodes.items() if key not in hosts}
        return Placement({**old.hosts, **hosts}, nodes)

    def _both(self, model: Model, placement: Placement, event: Callable[[LivePlan], LiveChanges]) -> None:
        try:
            scratch = plan_placed(allocate(model, placement, self.prepared.placed))
        except SdnError as error:
            self.done["refused"] += 1
            assert [_refusal(live, event) for live in (self.keeping, self.lazy)] == [str(error)] * 2
            return
        wanted = delta(self.prepared.plan, scratch.plan)
        if self.dice.one_in(3):  # the same, as somebody tells it who has everything anew
            sent = decode(encode(model), type=Model)
            event = lambda live: live.become(sent, placement)  # noqa: E731
        for live in (self.keeping, self.lazy):
            moment = live.moment
            changes = event(live)
            assert moment.prepared == self.prepared
            assert encode(changes.changes) == encode(wanted)
            assert changes.counts == wanted.counts
            assert changes.hosts == tuple(wanted.nodes)
            assert encode(live.plan) == encode(scratch.plan)
            assert live.placed == scratch.placed
            known = live is self.keeping
            assert changes.before == {name: self.prepared.plan[name] for name in wanted.nodes if known}
            assert changes.after == {name: scratch.plan[name] for name in wanted.nodes if known}
        self.done["empty"] += not wanted
        self.prepared = scratch


def _changed(dice: Dice, there: dict[K, V], key: K, one: V) -> dict[K, V]:
    """One of them goes, or another one comes, in the place of the one that had its key."""
    if there and dice.one_in(3):
        gone = dice.pick(sorted(there))
        return {name: value for name, value in there.items() if name != gone}
    return {**there, key: one}


def _refusal(live: LivePlan, event: Callable[[LivePlan], LiveChanges]) -> str:
    try:
        event(live)
    except SdnError as error:
        return str(error)
    return ""
