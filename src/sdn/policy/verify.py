"""Properties of a lab, proved over all pairs, ports and addresses, or refuted by a flow that anybody can try.

`deny` says that nothing of some services gets from some to others, `allow` that all of it does. Starts from `Reach`;
whom an assertion means is decided by the words of policies, as the oracle reads them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import cached_property
from ipaddress import ip_address
from itertools import pairwise
from typing import NamedTuple

from sdn.model import Action, IPBlock, Placed, PortRange, Protocol, Verdict, Workload, family_of
from sdn.model.assertion import Assertion, Traffic, Who
from sdn.policy.compiled import CompiledPolicy, CompiledRule
from sdn.policy.intervals import Services, rules_of
from sdn.policy.oracle_members import Members
from sdn.policy.reach import Families, OutsidePart, Reach
from sdn.policy.reach_peers import BITS, bounds, spelt
from sdn.policy.reach_reasons import verdict


class Counterexample(NamedTuple):
    """A flow that refutes an assertion. An end is a workload's key, or an address where `address` says so alone."""

    source: str
    destination: str
    address: str
    family: int
    protocol: Protocol
    port: int
    verdict: Verdict


class Proof(NamedTuple):
    """What came of an assertion: it holds, or a flow says otherwise; `pairs` counts those that refute it, in the
    IP family where there are most.

    `idle` says which of its ends, if any, mean nobody, so that it holds of nothing.
    """

    assertion: Assertion
    counterexample: Counterexample | None
    pairs: int
    idle: tuple[str, ...]

    @property
    def holds(self) -> bool:
        """Whether nothing refutes it."""
        return self.counterexample is None


class Cell(NamedTuple):
    """Workloads of one class, or a stretch of the outside, that an assertion does not tell apart either."""

    position: int  # of `Judge`
    members: tuple[str, ...]  # empty: outside
    part: OutsidePart | None
    low: int
    sides: tuple[bool, ...]  # in (sources, destinations) of the assertion and of each exception


def verify(
    placed: Placed, compiled: CompiledPolicy, assertions: Iterable[Assertion], families: Families = (4, 6)
) -> list[Proof]:
    """A proof or a counterexample for each assertion, in their order."""
    assertions = list(assertions)
    spoken = [traffic for one in assertions for traffic in (one.traffic, *one.exceptions)]
    rules = [line for traffic in spoken for port in traffic.ports for line in _line(port)]
    services = Services([*rules_of(compiled.profiles.values()), *rules])
    prover = _Prover(Reach(placed, compiled, families, services))
    return [prover.prove(one) for one in assertions]


def _line(port: PortRange) -> Iterator[CompiledRule]:
    """A port as a rule, so that the services know its edges."""
    if isinstance(port.port, int):
        yield CompiledRule("", Action.ALLOW, protocol=port.protocol, ports=((port.port, port.end or port.port),))


class _Prover:
    def __init__(self, reach: Reach) -> None:
        self._reach = reach
        self._placed = reach.placed
        self._members = Members(reach.placed.model)
        self._workloads = {workload.key: workload for workload in reach.placed.model.workloads}
        self._owned = {address for endpoint in reach.placed.endpoints.values() for address in endpoint.addresses}

    @cached_property
    def _rows(self) -> dict[int, dict[int, dict[int, int]]]:
        """source class → destination class → family → services, where there are any."""
        rows: dict[int, dict[int, dict[int, int]]] = defaultdict(dict)
        for pair in self._reach.pairs():
            rows[pair.source][pair.destination] = dict(pair.services)
        return rows

    def prove(self, assertion: Assertion) -> Proof:
        """Look at every two cells; the first that refutes it gives the flow."""
        first: Counterexample | None = None
        pairs = 0
        meant = [False, False]
        for family in self._reach.families:
            cells = self._cells(assertion, family)
            sources = [cell for cell in cells if cell.sides[0]]
            destinations = [cell for cell in cells if cell.sides[1]]
            meant = [meant[0] or bool(sources), meant[1] or bool(destinations)]
            refuting = 0
            for source, destination, services in self._refuting(assertion, family, sources, destinations):
                refuting += _count(source, destination)
                first = first or self._flow(family, source, destination, services)
            pairs = max(pairs, refuting)
        idle = tuple(end for end, known in zip(("from", "to"), meant, strict=True) if not known)
        return Proof(assertion, first, pairs, idle)

    def _refuting(
        self, assertion: Assertion, family: int, sources: list[Cell], destinations: list[Cell]
    ) -> Iterator[tuple[Cell, Cell, int]]:
        """Pairs of cells and the services by which they refute the assertion."""
        by_position: dict[int, list[Cell]] = defaultdict(list)
        for cell in destinations:
            by_position[cell.position].append(cell)
        outside = [cell for cell in destinations if cell.part is not None]
        for source in sources:
            near = destinations
            if not assertion.allows and source.part is None:
                row = self._rows.get(source.position, {})
                near = [*(cell for number in row for cell in by_position.get(number, ())), *outside]
            for destination in near:
                if _count(source, destination):
                    found = self._services(family, source, destination)
                    wrong = (~found if assertion.allows else found) & self._asked(assertion, source, destination)
                    if wrong:
                        yield source, destination, wrong

    def _asked(self, assertion: Assertion, source: Cell, destination: Cell) -> int:
        """The services that the assertion is about between two cells: less where exceptions match both."""
        asked = self._mask(assertion.traffic)
        for number, traffic in enumerate(assertion.exceptions, 1):
            if source.sides[2 * number] and destination.sides[2 * number + 1]:
                asked &= ~self._mask(traffic)
        return asked

    def _mask(self, traffic: Traffic) -> int:
        services = self._reach.services
        if not traffic.ports:
            return services.all
        mask = 0
        for port in traffic.ports:
            span = ((port.port, port.end or port.port),) if isinstance(port.port, int) else ()
            mask |= services.mask(port.protocol, span)
        return mask

    def _services(self, family: int, source: Cell, destination: Cell) -> int:
        if source.part is not None:
            return self._reach.inwards(source.part, destination.position)
        if destination.part is not None:
            return self._reach.outwards(source.position, destination.part)
        return self._rows.get(source.position, {}).get(destination.position, {}).get(family, 0)

    def _cells(self, assertion: Assertion, family: int) -> list[Cell]:
        spoken = (assertion.traffic, *assertion.exceptions)
        ends = [end for traffic in spoken for end in (traffic.sources, traffic.destinations)]
        inside: dict[tuple[int, tuple[bool, ...]], list[str]] = defaultdict(list)
        for key, endpoint in sorted(self._placed.endpoints.items()):
            address = endpoint.address(family)
            if address is not None:
                sides = tuple(self._is_in(end, self._workloads[key], address) for end in ends)
                inside[self._reach.classes.of(key), sides].append(key)
        cells = [Cell(number, tuple(keys), None, 0, sides) for (number, sides), keys in inside.items()]
        return [*cells, *self._outside(ends, family)]

    def _outside(self, ends: list[tuple[Who, ...]], family: int) -> Iterator[Cell]:
        """The outside in stretches that neither the policies nor the assertion tell apart."""
        edges = {edge for end in ends for who in end for edge in self._edges(who, family)}
        edges |= {0, 1 << BITS[family]}
        for part in self._reach.outside:
            for low, high in part.ranges if part.family == family else ():
                cuts = sorted({low, high + 1, *(edge for edge in edges if low < edge <= high)})
                for first, after in pairwise(cuts):
                    if (free := self._free(family, first, after)) is not None:
                        sides = tuple(self._is_in(end, None, spelt(family, free)) for end in ends)
                        yield Cell(part.position, (), part, free, sides)

    def _free(self, family: int, first: int, after: int) -> int | None:
        """The first address in a stretch that no workload has."""
        return next((number for number in range(first, after) if spelt(family, number) not in self._owned), None)

    def _edges(self, who: Who, family: int) -> Iterator[int]:
        for inner in who.none_of:
            yield from self._edges(inner, family)
        blocks: list[IPBlock] = [peer.ip_block for peer in who.peers if peer.ip_block is not None]
        if any(peer.group for peer in who.peers):
            blocks += [block for group in self._placed.model.groups for block in group.blocks]
        for text in (text for block in blocks for text in (block.cidr, *block.excepts)):
            if family_of(text) == family:
                low, high = bounds(text)
                yield from (low, high + 1)

    def _is_in(self, end: tuple[Who, ...], workload: Workload | None, address: str) -> bool:
        return not end or any(self._is(who, workload, address) for who in end)

    def _is(self, who: Who, workload: Workload | None, address: str) -> bool:
        if who.outside:
            return workload is None
        if who.none_of:
            return not any(self._is(inner, workload, address) for inner in who.none_of)
        return any(self._members.is_peer(peer, workload, address) for peer in who.peers)

    def _flow(self, family: int, source: Cell, destination: Cell, services: int) -> Counterexample:
        """One flow between two cells by the first of the services."""
        protocol, port, _ = next(self._reach.services.parts(services & self._reach.services.all))
        service = self._reach.services.at(protocol, port)
        said = verdict(self._reach, source.position, destination.position, family, service)
        sender = source.members[0] if source.members else spelt(family, source.low)
        target = next((key for key in destination.members if key != sender), "")
        address = spelt(family, destination.low)
        if target:
            address = str(ip_address(self._placed.endpoints[target].address(family) or ""))
        return Counterexample(sender, target, address, family, protocol, port, said)


def _count(source: Cell, destination: Cell) -> int:
    """How many pairs of different ends two cells make; none where both are outside."""
    if source.part is not None and destination.part is not None:
        return 0
    both = len(set(source.members) & set(destination.members))
    return max(1, len(source.members)) * max(1, len(destination.members)) - both
