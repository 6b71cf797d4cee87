"""Which connections a Host must know so that a workload can go on there, and which its old Host must still know.

A connection is translated on its client's Host alone. So one through a Service is carried whole with its client, and
plain with its server; and where one of the two stays behind, each Host gets its own half of what one Host did before.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from sdn.kernel.conntrack import Changes, Conntrack, Owned, touches
from sdn.kernel.tracked import Tracked, Tuple

Exchange = tuple[Tracked, Tracked]
"""What is known now, and what shall be known instead."""


class Halves(Struct, frozen=True):
    """What becomes of one connection: `carried` is new at the target, the exchanges are for the moment of the cut."""

    carried: Tracked | None = None
    at_target: Exchange | None = None
    at_source: Exchange | None = None


class Around(Struct, frozen=True):
    """Who is where: what moves, and what is on the two Hosts and does not."""

    moving: Owned
    at_source: Owned
    at_target: Owned

    def halves(self, one: Tracked) -> Halves:
        """What each of the two Hosts must know of a connection of somebody who moves."""
        client, server = (one.zone, one.client), (one.zone, one.server)
        plain = one.plain
        if client in self.moving:
            behind = (one, plain) if one.translated and server in self.at_source else None
            if server in self.at_target:
                return Halves(at_target=(plain, one) if one.translated else None, at_source=behind)
            return Halves(carried=one, at_source=behind)
        if client in self.at_target:
            return Halves()
        return Halves(carried=plain)

    def meets(self, one: Tracked) -> bool:
        """Whether its other end is at the target, which so knows it already, with marks of that end alone."""
        return bool({(one.zone, one.client), (one.zone, one.server)} & self.at_target)

    def stays(self, one: Tracked) -> bool:
        """Whether the source has an end of it that does not move."""
        return bool({(one.zone, one.client), (one.zone, one.server)} & self.at_source)


class Carrier:
    """Carries connections from one Host to another while both go on; made in a worker thread, used from anywhere.

    `any_known` is whether the source knew any connection at all after `changes` began to listen.
    """

    def __init__(
        self,
        around: Around,
        here: Conntrack,
        there: Conntrack,
        changes: Changes,
        any_known: bool,
    ) -> None:
        self._around = around
        self._any = any_known
        self._here, self._there = here, there
        self._changes = changes
        self._known: dict[tuple[int, Tuple], Tracked] = {}
        self._exchanged_here: list[Exchange] = []
        self._exchanged_there: list[Exchange] = []
        self._marked_there: list[Tracked] = []

    @property
    def count(self) -> int:
        """How many connections of theirs were known."""
        return len(self._known)

    @property
    def translated(self) -> bool:
        """Whether any of them is, so that the target must translate, too, even if the Service is gone."""
        return any(one.translated for one in self._known.values())

    def ahead(self) -> None:
        """While the workloads still run where they were: everything that the source knows of them."""
        if not self._any:
            return
        found = self._here.of(self._around.moving)
        self._known = {one.key: one for one in found}
        self._there.carry(self._carried(found))

    def rest(self) -> None:
        """Now that they can neither send nor receive: what has changed since, and what the two Hosts must exchange."""
        heard, whole = self._changes.drain()
        if whole:
            asked = {one.key: one for one in self._known.values() if not one.settled}
            asked |= {one.key: one for one in heard if touches(one, self._around.moving)}
            now = {key: self._here.now(one) for key, one in asked.items()}
        else:
            listed = {one.key: one for one in self._here.of(self._around.moving)}
            asked = self._known | listed
            now = {key: listed.get(key) for key in asked}
        over = [one for key, one in asked.items() if now[key] is None]
        fresh = [one for one in now.values() if one is not None]
        self._there.drop(self._carried([*over, *fresh]))
        self._there.carry(self._carried(fresh))
        for one in over:
            self._known.pop(one.key, None)
        self._known |= {one.key: one for one in fresh}
        self._exchange()

    def _exchange(self) -> None:
        met = {
            one.key: self._there.answered(one)
            for one in self._known.values()
            if (one.mark or one.translated) and self._around.meets(one)
        }
        halves = [self._around.halves(one) for one in self._known.values()]
        self._exchanged_there = [half.at_target for half in halves if half.at_target is not None]
        self._there.exchange(self._exchanged_there)
        self._exchanged_here = [half.at_source for half in halves if half.at_source is not None]
        self._here.exchange(self._exchanged_here)
        self._mark(met)

    def _mark(self, met: dict[tuple[int, Tuple], Tracked | None]) -> None:
        """Where both ends are on one Host now, it has to judge for both what stateless rules let pass."""
        known = [(self._known[key], theirs) for key, theirs in met.items() if theirs is not None]
        wanted = [(theirs, one.mark | theirs.mark) for one, theirs in known if one.mark != theirs.mark]
        self._marked_there = [theirs for theirs, _ in wanted]
        renamed = {old.key: new for old, new in self._exchanged_there}
        self._there.mark([(renamed.get(theirs.key, theirs), mark) for theirs, mark in wanted])

    def back(self) -> None:
        """As if nothing had been carried: each Host knows what it knew."""
        self._here.exchange([(new, old) for old, new in self._exchanged_here])
        self._there.exchange([(new, old) for old, new in self._exchanged_there])
        self._there.mark([(theirs, theirs.mark) for theirs in self._marked_there])
        self._there.drop(self._carried(self._known.values()))

    def forget(self) -> None:
        """At the source, what nobody there has any part in any more."""
        self._here.drop([one for one in self._known.values() if not self._around.stays(one)])

    def _carried(self, several: Iterable[Tracked]) -> list[Tracked]:
        halves = map(self._around.halves, several)
        return [half.carried for half in halves if half.carried is not None]
