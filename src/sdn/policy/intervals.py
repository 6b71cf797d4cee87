"""Sets of (protocol, destination port) as small ints: one bit for each stretch of ports that some rule tells apart.

Exact without 65,536 bits per protocol: ports that no rule separates share a bit. All sets that are compared must come
from one `Services`. Port 0 does not exist; ICMP is one bit, for echo has no ports.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator

from sdn.model import EPHEMERAL, Protocol
from sdn.policy.compiled import CompiledRule, Profile

FIRST_PORT, LAST_PORT = 1, 65535

Spans = tuple[tuple[int, int], ...]
"""Inclusive, sorted, disjoint and not adjacent."""

ORDER = (Protocol.TCP, Protocol.UDP, Protocol.SCTP, Protocol.ICMP)
"""In which protocols are written; together they are every protocol that a flow can have."""

Stretch = tuple[Protocol, int, int]
"""Ports `first`..`last` of a protocol; (icmp, 0, 0) is echo."""


class Services:
    """The stretches that these rules tell apart, and the translation to and from their sets."""

    def __init__(self, rules: Iterable[CompiledRule]) -> None:
        rules = list(rules)
        # Where answers are judged, the ports that they go to are told apart from others.
        edges = {EPHEMERAL[0], EPHEMERAL[1] + 1} if any(rule.stateless for rule in rules) else set()
        cuts = {protocol: {FIRST_PORT} | edges for protocol in ORDER}
        # By identity, for an enumeration hashes by calling Python.
        told_apart = {(id(rule.protocol), rule.ports) for rule in rules if rule.ports}
        for protocol in ORDER:
            for ports in (ports for number, ports in told_apart if number == id(protocol)):
                cuts[protocol].update(cut for first, last in ports for cut in (first, last + 1))
        self._starts = {p: sorted(cut for cut in cuts[p] if FIRST_PORT <= cut <= LAST_PORT) for p in ORDER[:-1]}
        self.stretches: list[Stretch] = []  # bit i is stretches[i]
        self._offset: dict[Protocol, int] = {}
        for protocol, starts in self._starts.items():
            self._offset[protocol] = len(self.stretches)
            ends = [start - 1 for start in starts[1:]] + [LAST_PORT]
            self.stretches += [(protocol, a, b) for a, b in zip(starts, ends, strict=True)]
        self._offset[Protocol.ICMP] = len(self.stretches)
        self.stretches.append((Protocol.ICMP, 0, 0))
        self.all = (1 << len(self.stretches)) - 1
        self._masks: dict[tuple[int, Spans], int] = {}

    def mask(self, protocol: Protocol | None, ports: Spans = ()) -> int:
        """The set of a rule: None is every protocol, no ports are all of them."""
        # By identity: an enumeration hashes by calling Python, and this is asked for every rule.
        key = (id(protocol), ports)
        found = self._masks.get(key)
        if found is None:
            found = self._masks[key] = self._mask(protocol, ports)
        return found

    def answered(self, mask: int) -> int:
        """All services of those protocols whose answers a rule for these services is about, or a set allows."""
        found = 0
        for protocol in ORDER:
            answers = self.mask(protocol, () if protocol is Protocol.ICMP else (EPHEMERAL,))
            if mask & answers == answers:
                found |= self.mask(protocol)
        return found

    def at(self, protocol: Protocol, port: int) -> int:
        """The set that holds one flow's service, and all that no rule tells apart from it."""
        if protocol is Protocol.ICMP:
            return 1 << self._offset[protocol]
        return 1 << self._offset[protocol] + bisect_right(self._starts[protocol], port) - 1

    def spans(self, mask: int) -> dict[Protocol, Spans]:
        """What a set holds, per protocol in `ORDER`; protocols of which it holds nothing are left out."""
        found: dict[Protocol, list[tuple[int, int]]] = {}
        for protocol, first, last in self.parts(mask):
            spans = found.setdefault(protocol, [])
            if spans and spans[-1][1] == first - 1:
                spans[-1] = (spans[-1][0], last)
            else:
                spans.append((first, last))
        return {protocol: tuple(spans) for protocol, spans in found.items()}

    def parts(self, mask: int) -> Iterator[Stretch]:
        """The stretches in a set, ascending."""
        while mask:
            lowest = mask & -mask
            yield self.stretches[lowest.bit_length() - 1]
            mask ^= lowest

    def _mask(self, protocol: Protocol | None, ports: Spans) -> int:
        if protocol is None:
            return self.all
        if protocol is Protocol.ICMP:
            return 1 << self._offset[protocol]
        offset, starts = self._offset[protocol], self._starts[protocol]
        found = 0
        for first, last in ports or ((FIRST_PORT, LAST_PORT),):
            low, high = bisect_right(starts, max(first, FIRST_PORT)) - 1, bisect_right(starts, last)
            if last >= FIRST_PORT:
                found |= (1 << offset + high) - (1 << offset + low)
        return found


def rules_of(profiles: Iterable[Profile]) -> Iterator[CompiledRule]:
    """Every rule of these profiles, those of shared tiers once."""
    seen: set[int] = set()
    for profile in profiles:
        for tier in profile.tiers:
            if id(tier) not in seen:
                seen.add(id(tier))
                yield from tier.rules
