"""Change a lab that is up, so that the kernel holds another Plan; what is equal in both is not touched.

Closed at every instant, over all Hosts together: first the ports of workloads that leave or move, then the rules of
every Host, then links and routes, and new ports last. Links are known by name; their indexes are read from the kernel.
Nothing is undone when the kernel refuses something in the middle: what was closed stays closed, and `readback` names
the differences.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator

from msgspec import Struct

from sdn.kernel import links, processes, processors, skeleton
from sdn.kernel import node as messages
from sdn.kernel.apply_links import Device, Difference, difference
from sdn.kernel.apply_rules import LIMIT, RuleChanges, changes_of, send, send_elements, shared
from sdn.kernel.conntrack import Owned
from sdn.kernel.driver import Driver, Existing
from sdn.kernel.messages import Message
from sdn.kernel.namespaces import RUN, create, delete, inside
from sdn.kernel.node import Indexes
from sdn.kernel.rounds import Rounds, rounds
from sdn.plan.established import Connection, Established
from sdn.plan.narrow import Narrow
from sdn.plan.state import Bridge, NodeState, Plan, Port

_FEW = 2
"""Hosts that are told sooner than two threads are woken."""

Ports = dict[str, Port]
"""By namespace."""


class Applied(Struct, frozen=True):
    """What it took: netlink messages, nft commands, and the nodes whose namespaces were entered to change them.

    `cut` counts the connections that the new rules do not allow and that were ended for it. `seconds` is until all was
    enforced: every rule and link is as it shall be, and what goes is shut, and no rule or route speaks of it. That it
    is removed, too, is not in it.
    """

    messages: int = 0
    commands: int = 0
    nodes: tuple[str, ...] = ()
    seconds: float = 0.0
    cut: int = 0


def apply(
    actual: Plan,
    desired: Plan,
    driver: Driver,
    limit: int = LIMIT,
    *,
    cut_established: bool = False,
    whole: Plan | None = None,
    narrow: Narrow | None = None,
) -> Applied:
    """Make the kernel, which holds `actual`, hold `desired`; nothing is sent where they are equal.

    Both may be of the nodes that differ alone, if no cable does; `whole` is then all that the kernel holds, for other
    Hosts know connections, too. `narrow` are these nodes without what is alike in both, where somebody knows that.
    `limit` is of the characters of one nft transaction. With `cut_established` the connections that are remembered and
    that the desired rules do not allow end, whether the rules have changed or not. Raises KernelError at the first
    thing that the kernel refuses.
    """
    if actual == desired and not cut_established:
        return Applied()
    plans = (actual, desired, whole if whole is not None else actual)
    work = _Work(plans, driver, limit, cut_established, narrow or {})
    driver.worker.run(None, work.run)
    if driver.leftovers is None:
        driver.worker.run(None, work.clean_up)
    else:
        driver.leftovers.add(work.clean_up)
    return Applied(
        driver.messages - work.messages, driver.commands - work.commands, work.nodes, work.seconds, len(work.cut)
    )


class _Work:
    """One change of a lab; each method is a stage, in the order of `run`."""

    def __init__(
        self, plans: tuple[Plan, Plan, Plan], driver: Driver, limit: int, cut_established: bool, narrow: Narrow
    ) -> None:
        self.messages, self.commands = driver.messages, driver.commands
        self._actual, self._desired, self._whole = actual, desired, _ = plans
        self._driver = driver
        self._limit = limit
        self._cuts = cut_established
        self.cut: set[Connection] = set()
        self.seconds = 0.0
        self._started = time.monotonic()
        before, after = (
            {**plan, **{n: pair[i] for n, pair in narrow.items()}} for i, plan in enumerate((actual, desired))
        )
        self._narrow = before, after
        self._links: Difference = difference(before, after)
        self._kept = sorted((actual.keys() & desired.keys()) - {*self._links.removed, *self._links.added})
        self._rounds = self._rounds_of_rules()
        # The ports of Hosts on which any differs: who is among these neither before nor after is as he was.
        self._old, self._new = _ports(_other_ports(before, after)), _ports(_other_ports(after, before))
        self._differ = [name for name, port in self._old.items() if self._new.get(name) is not port]
        self.nodes = tuple(sorted({*self._links.gone, *self._links.come, *self._rounds.hosts}))
        self._doomed: dict[str, list[str]] = defaultdict(list)  # links by node, each before those that it is in
        self._last: dict[str, list[Message]] = {}

    def _rounds_of_rules(self) -> Rounds:
        before, after = self._narrow
        hosts = [n for n in self._kept if after[n].role == "host" and before[n] != after[n]]
        found = changes_of({name: (before[name], after[name]) for name in hosts})
        changes = {name: one for name, one in found.items() if len(one)}
        others = {name: node for name, node in self._whole.items() if name not in self._actual}
        old, new = ({**others, **{n: plan[n] for n in self._kept}} for plan in (self._actual, self._desired))
        return rounds(changes, old, new, self._driver.whereabouts)

    def run(self) -> None:
        """All stages; rules before links over the whole lab, since a Host's rules speak of other Hosts' workloads."""
        self._driver.aim(self._desired)
        reborn = sorted({*self._links.removed} & {*self._links.added})
        self._shut()
        self._remove_nodes(reborn)
        create(self._links.added, self._driver.found)
        self._judge()
        left, taken = self._left_behind()
        self._forget_connections(taken)
        self._read_indexes()
        self._disconnect()
        self._driver.connect(self._links.come)
        self._forget_routes()
        self._change_peers()
        self._commands()
        self._remove_nodes(name for name in self._links.removed if name not in reborn)
        self._cut_established()
        self.seconds = round(time.monotonic() - self._started, 4)
        self._forget_connections(left)
        self._last = {name: list(links.delete_links(doomed)) for name, doomed in self._doomed.items() if doomed}
        self._driver.count(messages=sum(map(len, self._last.values())))

    def clean_up(self) -> None:
        """What has been shut, and the namespaces of those who left; then the sockets that are too many to stay."""
        for name, batch in self._last.items():
            with self._driver.sockets.route(name) as netlink:
                netlink.send(batch)
        delete(name for name in self._old if name not in self._new)
        self._driver.sockets.rest()

    def _shut(self) -> None:
        """Ports that leave, move or are made anew. With a port that goes now goes the workload's own end, for there
        will be another one."""
        for name, gone in self._links.gone.items():
            leaving = [port for port in gone.ports if name in self._kept and port.namespace not in self._new]
            self._driver.tell(name, (links.shut(port.name) for port in leaving))
            self._doomed[name] += [port.name for port in leaving]
            self._delete(name, [port for port in gone.ports if port not in leaving])

    def _judge(self) -> None:
        """The rules of the Hosts that stay; the kernel takes those of two at once, and makes the namespaces of those
        who come beside it: they have no link yet."""
        self._judge_some(self._rounds.shut)
        self._wait_for_packets()
        shared(self._driver.team, self._rounds.change, self._judge_one, self._create)
        self._wait_for_packets()
        self._judge_some(self._rounds.open)

    def _wait_for_packets(self) -> None:
        """Or one that was led to rules before the last round would go on among them in the next."""
        if self._rounds.shut or self._rounds.open:
            processors.visit()

    def _judge_some(self, several: dict[str, RuleChanges]) -> None:
        if len(several) > _FEW:
            shared(self._driver.team, several, self._judge_one)
            return
        for name, changes in several.items():
            self._judge_one(name, changes)

    def _create(self) -> None:
        create((name for name in self._new if name not in self._old), bare=True)

    def _judge_one(self, name: str, changes: RuleChanges) -> None:
        with self._driver.sockets.netfilter(name) as netlink:
            whole = self._limit < LIMIT or not send_elements(changes, netlink)
        if whole:
            with self._driver.sockets.nft(name) as nft:
                send(nft, changes, self._after_change(name), self._limit)
        self._driver.count(commands=len(changes))

    def _after_change(self, name: str) -> NodeState:
        before, after = (plan.get(name, self._whole[name]) for plan in (self._actual, self._desired))
        return self._rounds.after_change(before, after)

    def _left_behind(self) -> tuple[Owned, Owned]:
        """The addresses that have no owner any more, and those that have another one."""
        gone = {(port.zone, address) for port in self._changed() for address in self._left(port)}
        if not gone:
            return frozenset(), frozenset()
        # Who is as before has none of them: no two have one address.
        come = (port for name, port in self._new.items() if self._old.get(name) is not port)
        owned = {(port.zone, address) for port in come for address in port.plain}
        return frozenset(gone - owned), frozenset(gone & owned)

    def _forget_connections(self, gone: Owned) -> None:
        """On every Host that may know any. The kernel looks through those of the whole machine each time (10 ms), so
        an address that is left to nobody can wait until all else is done."""
        zones = {zone for zone, _ in gone}
        anew = {*self._links.removed, *self._links.added}
        kept = [(name, node) for name, node in self._whole.items() if name not in anew]
        knowing = [name for name, node in kept if zones & {one.zone for one in node.interfaces}]
        for name in knowing:
            with self._driver.sockets.netfilter(name) as known:
                if known.any_known():
                    self._driver.count(messages=known.forget(gone))

    def _cut_established(self) -> None:
        """On both Hosts of each, or the one that remembers it would let the other's packets pass."""
        if not self._cuts:
            return
        allows = Established(self._desired).allows
        hosts = [name for name in self._kept if self._desired[name].role == "host"]
        for name in hosts:
            with self._driver.sockets.netfilter(name) as known:
                found = known.cut(allows)
            self.cut.update(found)
            self._driver.count(messages=len(found))

    def _changed(self) -> Iterator[Port]:
        """The ports that are gone or different."""
        return (self._old[name] for name in self._differ)

    def _left(self, port: Port) -> list[str]:
        """The addresses that this workload had and has no more."""
        now = self._new.get(port.namespace)
        kept = now.plain if now is not None and now.zone == port.zone else []
        return [address for address in port.plain if address not in kept]

    def _read_indexes(self) -> None:
        self._driver.indexes = {name: Indexes() for name in self._links.added}
        for name in {*self._links.gone, *self._links.come} - {*self._links.removed, *self._links.added}:
            gone = self._links.gone.get(name)
            if name in self._links.come or (gone is not None and (gone.fdb or gone.neighbours)):
                with inside(name):
                    self._driver.indexes[name] = Existing.here()

    def _disconnect(self) -> None:
        """Links that go, and what lies on those that stay; routes and addresses stay until there are new ones."""
        for name, come in self._of_kept(self._links.come):
            if come.loopback:
                self._driver.tell(name, messages.loopback(come.loopback))
        for name, gone in self._of_kept(self._links.gone):
            if any(uplink.loss for uplink in self._actual[name].uplinks) and gone.uplinks:
                with self._driver.sockets.nft(name) as nft:
                    nft.run(skeleton.no_losses())
            self._driver.tell(name, self._entries_gone(gone))
            unused = _tunnels_first(gone)
            if name in self._links.come and self._links.come[name].links:
                self._delete(name, unused)  # or what comes might meet its addresses
            else:
                self._doomed[name] += [link.name for link in unused]
            self._delete(name, gone.uplinks)

    def _entries_gone(self, gone: NodeState) -> Iterator[Message]:
        index = self._driver.indexes.get(gone.name, Indexes())
        yield from messages.fdb(gone.fdb, self._actual[gone.name], index, remove=True)
        yield from messages.neighbours(gone.neighbours, index, remove=True)
        yield from messages.rules(gone, remove=True)

    def _forget_routes(self) -> None:
        for name, gone in self._of_kept(self._links.gone):
            self._driver.tell(name, messages.removed_routes(gone.routes))
            self._driver.tell(name, messages.loopback(gone.loopback, remove=True))

    def _change_peers(self) -> None:
        """What workloads whose link stays know of those that came or went: what they learnt, or were told for good."""
        made = {port.namespace for come in self._links.come.values() for port in come.ports}
        left: dict[str, list[str]] = defaultdict(list)
        for port in self._changed():
            if port.bridge:
                left[port.bridge] += self._left(port)
        # Who is as before learns of others only where such left that he may have met.
        old, new = (_ports(self._actual), _ports(self._desired)) if left else (self._old, self._new)
        for name, before in old.items():
            after = new.get(name)
            if after is None or name in made or (before is after and not left.get(after.bridge)):
                continue
            known = [] if before.peers else left.get(after.bridge, [])
            changed = [*messages.forgotten(known), *messages.workload_peers(before, after)]
            if changed:
                with inside(name):
                    self._driver.send(changed)

    def _commands(self) -> None:
        """What runs in workloads that leave ends, and so does all that runs where the command is another one now."""
        ended = {n for n in self._differ if n not in self._new or self._new[n].command != self._old[n].command}
        self._driver.forget(ended)
        for name in sorted(ended):
            processes.end_inside(RUN / name)
        for name in sorted({*ended, *(self._new.keys() - self._old.keys())}):
            if name in self._new and self._new[name].command:
                self._driver.start(self._new[name])

    def _remove_nodes(self, names: Iterable[str]) -> None:
        """Their links by hand, because the kernel would take its time, and the far ends would stay as long."""
        for name in names:
            state = self._actual[name]
            self._delete(name, [*_tunnels_first(state), *state.uplinks])
            self._driver.sockets.leave([name])
            delete([name])

    def _delete(self, name: str, gone: Collection[Device]) -> None:
        self._driver.tell(name, links.delete_links(device.name for device in gone))

    def _of_kept(self, plan: Plan) -> list[tuple[str, NodeState]]:
        return [(name, plan[name]) for name in self._kept if name in plan]


def _tunnels_first(state: NodeState) -> list[Device]:
    """Before the bridges that they are in."""
    return sorted(state.links, key=lambda link: isinstance(link, Bridge))


def _other_ports(plan: Plan, other: Plan) -> Plan:
    return {name: node for name, node in plan.items() if name not in other or other[name].ports is not node.ports}


def _ports(plan: Plan) -> Ports:
    return {port.namespace: port for state in plan.values() for port in state.ports}
