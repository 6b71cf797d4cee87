"""Random events in the life of a lab, each made twice: by LivePlans, and by planning the lab anew."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from msgspec.msgpack import decode, encode
from msgspec.structs import replace

from sdn.errors import SdnError
from sdn.model import Model, Placed, Placement
from sdn.plan.allocate import allocate
from sdn.plan.delta import delta
from sdn.plan.desired import plan_placed
from sdn.plan.live import LivePlan
from sdn.plan.live_changes import LiveChanges
from strategies_words import Dice, labels
from strategies_world import workload

KINDS = ("add", "add", "remove", "stop", "move", "move", "relabel", "relabel")


class Events:
    """One lab, kept by a LivePlan with states and by one without; `step` raises AssertionError if either is wrong."""

    def __init__(self, seed: int, placed: Placed) -> None:
        self.dice = Dice(seed)
        self.prepared = plan_placed(allocate(placed.model, placed.placement, placed))
        self.keeping, self.lazy = LivePlan(self.prepared), LivePlan(self.prepared.placed)
        self.done: Counter[str] = Counter()
        self._hosts = sorted(host.name for host in placed.model.underlay.hosts)

    def step(self, kinds: tuple[str, ...] = KINDS) -> None:
        """One event of one of these kinds, as far as there is anybody to whom it may happen."""
        keys = [workload.key for workload in self.prepared.placed.model.workloads]
        kind = self.dice.pick(kinds) if keys else "add"
        self.done[kind] += 1
        if kind == "add":
            self._add()
        elif kind == "remove":
            self._remove(self.dice.pick(keys))
        elif kind == "stop":
            self._stop(self.dice.pick(keys))
        elif kind == "move":
            self._move(self.dice.pick(keys))
        else:
            self._relabel(self.dice.pick(keys))

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
            assert changes.hosts == tuple(wanted.nodes)
            assert encode(live.plan) == encode(scratch.plan)
            assert live.placed == scratch.placed
            known = live is self.keeping
            assert changes.before == {name: self.prepared.plan[name] for name in wanted.nodes if known}
            assert changes.after == {name: scratch.plan[name] for name in wanted.nodes if known}
        self.done["empty"] += not wanted
        self.prepared = scratch


def _refusal(live: LivePlan, event: Callable[[LivePlan], LiveChanges]) -> str:
    try:
        event(live)
    except SdnError as error:
        return str(error)
    return ""
