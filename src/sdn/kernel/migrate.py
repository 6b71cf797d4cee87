"""Live migration: workloads go to another Host while they run, with their connections, as one transaction.

Reserve → fence and program the target → read back that it holds → carry connections ahead → cut → commit. In the cut
the port is shut at the source, what has changed meanwhile is carried after it, the target opens, and the very same
cable (its far end is the workload's `eth0`, which keeps addresses, routes and neighbours) is plugged in there. So the
workload is at one Host or at none, and never at one whose rules are not in place. Nothing announces it (no gratuitous
ARP): its MAC and addresses stay, and no bridge or tunnel of a lab learns where somebody is; it is told.

A failure before the commit goes all the way back. Should even that fail, the ports stay shut.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress

from msgspec import Struct

from sdn.errors import HalfDoneError, KernelError, RolledBackError
from sdn.kernel import links, realised, routing, ruleset, skeleton
from sdn.kernel import node as messages
from sdn.kernel.apply_rules import LIMIT, RuleChanges, changes_of, rule_changes, send, send_elements, shared
from sdn.kernel.carry import Around, Carrier
from sdn.kernel.conntrack import Changes, Owned
from sdn.kernel.driver import Driver, Existing, Named
from sdn.kernel.dumps import Neighbour
from sdn.kernel.libnft import Nft
from sdn.kernel.messages import Message
from sdn.kernel.migrate_parts import Cut, Parts, entries, fenced, identities, tunnels_first
from sdn.kernel.namespaces import inside, open_namespace, opened
from sdn.kernel.rtnetlink import Netlink
from sdn.plan.narrow import Narrow
from sdn.plan.state import NodeState, Plan, Port

Say = Callable[[str], None]

PATIENCE = 10.0
"""Seconds until a cable that was plugged in must carry packets."""

_POLL = 0.0001


class Migrated(Struct, frozen=True):
    """`seconds` until the workloads run at the target, `gap` the part of it in which they could neither send nor
    receive; `connections` is how many of theirs were carried. `stages` are names with their seconds."""

    messages: int
    commands: int
    nodes: tuple[str, ...]
    seconds: float
    gap: float
    connections: int
    stages: tuple[tuple[str, float], ...]


def migrate(
    parts: Parts,
    actual: Plan,
    desired: Plan,
    driver: Driver,
    say: Say = lambda _: None,
    narrow: Narrow | None = None,
    limit: int = LIMIT,
) -> Migrated:
    """Make the kernel, which holds `actual`, hold `desired`, to which `parts` leads; `say` hears each stage begin.

    `narrow` are nodes without what is alike in both, where somebody knows that; `limit` is of the characters of one nft
    transaction.

    RolledBackError if the kernel refused and everything is as before; any other error leaves it in between, closed.
    """
    with ExitStack() as stack:
        stack.callback(driver.sockets.rest)
        return driver.worker.run(
            None, _Migration(parts, (actual, desired, narrow or {}), driver, say, (stack, limit)).run
        )


class _Migration:
    """One transaction; what was done is undone in reverse."""

    def __init__(
        self,
        parts: Parts,
        states: tuple[Plan, Plan, Narrow],
        driver: Driver,
        say: Say,
        means: tuple[ExitStack, int],
    ) -> None:
        self._parts = parts
        self._actual, self._desired, self._narrow = states
        self._driver, self._say = driver, say
        self._sockets, self._limit = means
        self._fenced = fenced(self._desired[parts.target], parts.ports)
        self._before = (driver.messages, driver.commands)
        self._nft: dict[str, Nft] = {}
        self._netlink: dict[str, Netlink] = {}
        self._kept: dict[str, list[Neighbour]] = {}
        self._running: list[Port] = []  # whose own end is up: whoever runs there may have shut it
        self._undo: list[Callable[[], None]] = []
        self._shut = False  # whether the workloads can neither send nor receive
        self._stages: list[tuple[str, float]] = []
        self._since = self._started = time.monotonic()
        self._name = ""

    def run(self) -> Migrated:
        """All stages."""
        try:
            self._stage("program")
            self._program()
            self._stage("read back")
            self._read_back()
            self._stage("carry")
            carrier = self._carrier()
            self._undo.append(carrier.back)
            carrier.ahead()
            self._translate(carrier)
            cut = self._prepare_cut()
            gap = self._cut(carrier, cut)
        except Exception as error:
            self._go_back(error)
            raise
        seconds = time.monotonic() - self._started
        self._stage("clean up")
        self._clean_up()
        carrier.forget()
        self._stage("")
        return self._told(seconds, gap, carrier.count)

    def _told(self, seconds: float, gap: float, connections: int) -> Migrated:
        sent = (self._driver.messages - self._before[0], self._driver.commands - self._before[1])
        parts = self._parts
        nodes = {parts.source, parts.target, *parts.staged, *parts.cuts, *parts.late}
        return Migrated(*sent, tuple(sorted(nodes)), round(seconds, 4), round(gap, 5), connections, tuple(self._stages))

    def _stage(self, name: str) -> None:
        now = time.monotonic()
        if self._name:
            self._stages.append((self._name, round(now - self._since, 5)))
        self._name, self._since = name, now
        if name:
            self._say(name)

    def _go_back(self, error: Exception) -> None:
        """Whatever is raised on the way back ends it: what would be undone next may rest upon what was not."""
        who = ", ".join(port.workload for port in self._parts.ports[:3])
        while self._undo:
            try:
                self._say("take back")
                self._undo.pop()()
            except Exception as again:
                left = self._shut_down() if self._shut else "it runs where it was"
                raise KernelError(
                    f"{who} could not be moved ({error}), nor all of it be taken back ({again}); {left}, "
                    "and `sdn status` says what differs"
                ) from error
        if isinstance(error, HalfDoneError):
            raise KernelError(f"{who} could not be moved ({error}); `sdn status` says what is left of it") from error
        if isinstance(error, KernelError | OSError):
            raise RolledBackError(f"{who} could not be moved ({error}); everything is as it was") from error

    def _shut_down(self) -> str:
        """Wherever the cables are by now, for the rules there may be open; what can be said of that."""
        shut: set[str] = set()
        for name in (self._parts.source, self._parts.target):
            with suppress(KernelError, OSError), inside(name), Netlink() as netlink:
                here = [port.name for port in self._parts.ports if netlink.exists(port.name)]
                netlink.send([links.set_up(netlink.index(port), False) for port in here])
                shut.update(here)
        return "it stays shut" if len(shut) == len(self._parts.ports) else "its port could not be found, or not be shut"

    def _program(self) -> None:
        """All that the target and others need beforehand; the rules of the source have to stay until it is empty."""
        self._driver.aim(self._desired)
        others = sorted(self._actual.keys() - {self._parts.source, self._parts.target})
        changed = changes_of({name: self._pair(name) for name in others})
        changed = {name: changes for name, changes in changed.items() if len(changes)}
        shared(
            self._driver.team,
            changed,
            lambda name, changes: self._judge(name, self._actual[name], self._desired[name], changes),
        )
        target = self._parts.target
        before, after = self._pair(target)
        changes = rule_changes(before, fenced(after, self._parts.ports))
        self._judge(target, self._actual[target], self._fenced, changes)
        for name in self._parts.staged:
            with inside(name):
                self._driver.indexes[name] = Existing.here()
        self._undo.append(self._withdraw)
        self._driver.connect(self._parts.staged)

    def _pair(self, name: str) -> tuple[NodeState, NodeState]:
        """Before and after, without what is alike in both where somebody knows that."""
        return self._narrow.get(name, (self._actual[name], self._desired[name]))

    def _judge(
        self, name: str, before: NodeState, after: NodeState, changes: RuleChanges, *, undo: bool = True
    ) -> None:
        """One Host's rules from one state to another by these changes, and back when all else goes back."""
        if not len(changes):
            return
        with self._driver.sockets.netfilter(name) as netlink:
            whole = not send_elements(changes, netlink)
        if whole:
            if name not in self._nft:
                self._nft[name] = self._sockets.enter_context(self._driver.sockets.nft(name))
            send(self._nft[name], changes, after, self._limit)
        self._driver.count(commands=len(changes))
        if undo:
            self._undo.append(lambda: self._judge(name, after, before, rule_changes(after, before), undo=False))

    def _withdraw(self) -> None:
        """What was staged goes, and what it replaced comes back."""
        for name, staged in self._parts.staged.items():
            with inside(name):
                index = Existing.here()
                self._driver.send(self._entries(staged, self._desired[name], index, remove=True))
                self._driver.send(messages.rules(staged, remove=True))
                self._driver.send(links.delete_links(link.name for link in tunnels_first(staged)))
                self._driver.send(self._entries(_replaced(staged, self._actual[name]), self._actual[name], index))

    @staticmethod
    def _entries(
        state: NodeState, whole: NodeState, index: messages.Indexes, *, remove: bool = False
    ) -> Iterator[Message]:
        """Forwarding entries, neighbours and routes of one node; `whole` knows the kinds of its links."""
        yield from messages.fdb(state.fdb, whole, index, remove=remove)
        yield from messages.neighbours(state.neighbours, index, remove=remove)
        yield from messages.removed_routes(state.routes) if remove else messages.routes(state.routes, index)

    def _read_back(self) -> None:
        with inside(self._parts.target), Netlink() as netlink:
            realised.require(self._desired[self._parts.target], self._parts.owned)
            for bridge in {port.bridge for port in self._parts.ports if port.bridge}:
                if not netlink.exists(bridge):
                    raise KernelError(f"{self._parts.target}: link {bridge} is not there; `sdn status` says more")

    def _carrier(self) -> Carrier:
        source, target = self._parts.source, self._parts.target
        around = Around(
            moving=self._parts.owned,
            at_source=_owned(self._desired[source]),
            at_target=_owned(self._actual[target]),
        )
        with inside(source):
            changes = Changes()
        self._sockets.callback(changes.close)
        here, there = (self._sockets.enter_context(self._driver.sockets.netfilter(name)) for name in (source, target))
        return Carrier(around, here, there, changes, here.any_known())

    def _translate(self, carrier: Carrier) -> None:
        """A connection outlives the Service that it goes through, and the target may have none."""
        target = self._parts.target
        if carrier.translated and not ruleset.translates(self._desired[target]):
            with self._driver.sockets.nft(target) as nft:
                nft.run(skeleton.translation())

    def _prepare_cut(self) -> dict[str, list[Message]]:
        """Sockets into all that takes part, and what to send there, so that nothing is left to look up; the target's
        messages name an index that exists only when the cable is there."""
        found = {}
        for name, cut in self._parts.cuts.items():
            netlink = self._netlink[name] = self._sockets.enter_context(self._driver.sockets.route(name))
            if name != self._parts.target:
                found[name] = list(self._change(name, cut, Named(netlink)))
        for port in self._parts.ports:
            with inside(port.namespace):
                self._netlink[port.namespace] = self._sockets.enter_context(Netlink())
            if self._netlink[port.namespace].runs("eth0"):
                self._running.append(port)
            if port.bridge:  # who is routed meets his gateway alone, which he was told of for good
                self._keep_learnt(port.namespace)
        return found

    def _keep_learnt(self, namespace: str) -> None:
        """A link without carrier forgets its neighbours, and what is asked without carrier is asked again after 1 s.

        Not what was computed: as something learnt it would age, and no multicast group answers who asks for its MAC, so
        some seconds later nobody could be asked for any more (neighbour discovery asks through such a group).
        """
        netlink = self._netlink[namespace]
        known = [
            one
            for one in netlink.neighbours()
            if one.index == messages.WORKLOAD_LINK and one.mac and not (one.permanent or one.computed)
        ]
        self._undo.append(lambda: self._let_learn(namespace, known))
        self._kept[namespace] = known
        self._send(namespace, (routing.learnt(one.index, one.address, one.mac, kept=True) for one in known))

    def _let_learn(self, namespace: str, known: list[Neighbour]) -> None:
        """From now on it may forget and ask as before; what it asked in vain, it asks again at once."""
        netlink = self._netlink[namespace]
        vain = [one for one in netlink.neighbours() if one.index == messages.WORKLOAD_LINK and not one.mac]
        self._send(namespace, messages.forgotten(one.address for one in vain))
        self._send(namespace, (routing.learnt(one.index, one.address, one.mac, kept=False) for one in known))

    def _change(self, name: str, cut: Cut, index: messages.Indexes) -> Iterator[Message]:
        yield from self._entries(cut.stale, self._actual[name], index, remove=True)
        known = self._driver.entries
        yield from known.fdb(cut.away.fdb, self._desired[name], index)
        yield from known.neighbours(cut.away.neighbours, index)
        yield from known.routes(cut.away.routes, index)

    def _cut(self, carrier: Carrier, others: dict[str, list[Message]]) -> float:
        """From the Host where they are to the one where they shall be; seconds in which they were nowhere."""
        parts = self._parts
        self._stage("cut")
        with opened([parts.target]) as fds:
            indexes = [self._netlink[parts.source].index(port.name) for port in parts.ports]
            shut = time.monotonic()
            self._undo.append(self._return)
            self._shut = True
            self._send(parts.source, (links.set_up(index, False) for index in indexes))
            self._stage("carry the rest")
            carrier.rest()
            self._stage("open")
            after = self._pair(parts.target)[1]
            changes = rule_changes(fenced(after, parts.ports), after)
            self._judge(parts.target, self._fenced, self._desired[parts.target], changes)
            self._stage("plug in")
            self._send(parts.source, (links.move_link(index, fds[parts.target]) for index in indexes))
        self._attach(parts.target, self._parts.cuts[parts.target])
        self._stage("tell the others")
        for name, wanted in others.items():
            self._send(name, wanted)
        self._stage("settle")
        self._settle()
        for namespace, known in self._kept.items():
            self._let_learn(namespace, known)
        return time.monotonic() - shut

    def _attach(self, name: str, cut: Cut) -> None:
        """The cables are in this Host's namespace: into their bridges, up, and known where they are."""
        with inside(name):
            index = Existing.here()
            self._send(name, (m for port in self._parts.ports for m in messages.attached(port, index)))
            self._send(name, self._change(name, cut, index))

    def _return(self) -> None:
        """The cables back to the source, wherever they are, and everybody told so."""
        source, target = self._parts.source, self._parts.target
        home = open_namespace(source)
        with inside(target), Netlink() as netlink, ExitStack() as stack:
            stack.callback(os.close, home)
            present = [name for name in (port.name for port in self._parts.ports) if netlink.exists(name)]
            netlink.send([links.move_link(netlink.index(name), home) for name in present])
        back = {name: Cut(cut.away, cut.home, cut.away) for name, cut in self._parts.cuts.items()}
        for name, cut in back.items():
            with inside(name):
                index = Existing.here()
                self._driver.send(self._entries(cut.stale, self._desired[name], index, remove=True))
                if name == source:
                    self._driver.send(m for port in self._parts.ports for m in messages.attached(port, index))
                self._driver.send(self._entries(cut.away, self._actual[name], index))
        self._shut = False

    def _settle(self) -> None:
        """Until the kernel has noticed the carrier on both ends; what is sent before that is lost."""
        deadline = time.monotonic() + PATIENCE
        waiting = [(self._parts.target, port.name) for port in self._running]
        waiting += [(port.namespace, "eth0") for port in self._running]
        for where, name in waiting:
            while not self._netlink[where].runs(name):
                if time.monotonic() > deadline:
                    raise KernelError(f"{name} of {where} is not in use after {PATIENCE:g} s; try again")
                time.sleep(_POLL)

    def _clean_up(self) -> None:
        """What the source needed, and what nobody needs any more."""
        source = self._parts.source
        changes = rule_changes(*self._pair(source))
        self._judge(source, self._actual[source], self._desired[source], changes, undo=False)
        for name, late in self._parts.late.items():
            with inside(name):
                index = Existing.here()
                self._driver.send(self._entries(late, self._actual[name], index, remove=True))
                self._driver.send(messages.rules(late, remove=True))
                self._driver.send(links.delete_links(link.name for link in tunnels_first(late)))

    def _send(self, name: str, wanted: Iterator[Message] | list[Message]) -> None:
        batch = list(wanted)
        if batch:
            self._netlink[name].send(batch)
            self._driver.count(messages=len(batch))


def _replaced(staged: NodeState, actual: NodeState) -> NodeState:
    """What a node had before under the identities of what was staged."""
    routes, neighbours, fdb = identities(staged)
    return entries(
        actual,
        routes=(one for one in actual.routes if (one.table, one.prefix, one.metric) in routes),
        neighbours=(one for one in actual.neighbours if (one.dev, one.address) in neighbours),
        fdb=(one for one in actual.fdb if (one.dev, one.mac) in fdb),
    )


def _owned(state: NodeState) -> Owned:
    """The addresses of a Host's workloads."""
    return frozenset((port.zone, address) for port in state.ports for address in port.plain)
