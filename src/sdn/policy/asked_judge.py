"""The oracle's judge for whoever asks thousands of flows: the same reading of every rule, but no reading twice.

Whether a rule's peers mean an end of a packet, and which rules are about a port, never depends on the rest of the
packet. Both are asked of `oracle_judge` and `oracle_match` once and kept; the order of rules stays as it is there.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

from sdn.model import (
    NETWORK_POLICY,
    Action,
    Direction,
    Model,
    NetworkPolicy,
    NetworkPolicyPeer,
    Peer,
    PortRange,
    Protocol,
    Workload,
    isolation_origin,
    rule_origin,
)
from sdn.policy.oracle_judge import Decision, Judge, Side, key_of, ports_match, rules_of

MOST_ENDS = 65_536
"""Ends that are remembered; who asks about millions of addresses seldom asks one again."""


_REPLIES = -1
"""Stands for the stretch of ports that answers go to."""


class _Line(NamedTuple):
    """One rule: `wishes` are the numbers of its peers, none for anybody."""

    decision: Decision
    wishes: tuple[int, ...]
    excluded: bool
    ports: tuple[PortRange, ...]


class _Lines:
    """The rules of one tier that are for a workload, in their order, and `otherwise` if none of them matches."""

    def __init__(self, lines: tuple[_Line, ...], otherwise: Decision | None) -> None:
        self.all = lines
        self.otherwise = otherwise
        self.about: dict[tuple[Protocol, int, int], tuple[_Line, ...]] = {}


class RememberingJudge(Judge):
    """Decides as `Judge` does."""

    def __init__(self, model: Model) -> None:
        super().__init__(model)
        self._used = {policy.tier for policy in model.policies}
        self._edges = _edges(model)
        kinds: dict[object, int] = {}
        self._ports = {w.key: kinds.setdefault(w.ports, len(kinds)) for w in model.workloads}
        self._wishes: list[Callable[[Side], bool]] = []
        self._numbers: dict[tuple[Peer | NetworkPolicyPeer, str], int] = {}
        self._lines: dict[tuple[str, str, Direction, str | None], _Lines] = {}
        self._shared: dict[tuple[object, ...], _Lines] = {}
        self._ends: dict[tuple[str, str, bool], dict[int, bool]] = {}

    def _by_tier(self, tier: str, side: Side) -> Decision | None:
        if tier not in self._used:
            return None
        key = (tier, side.subject.key, side.direction, side.own_address)
        lines = self._lines.get(key)
        if lines is None:
            lines = self._lines[key] = self._tier_lines(tier, side)
        return self._first(lines, side)

    def _by_network_policies(self, side: Side) -> Decision | None:
        key = (NETWORK_POLICY, side.subject.key, side.direction, "")
        lines = self._lines.get(key)
        if lines is None:
            lines = self._lines[key] = self._network_lines(side.subject, side.direction)
        return self._first(lines, side)

    def _first(self, lines: _Lines, side: Side) -> Decision | None:
        if not lines.all:
            return lines.otherwise
        end = self._end(side)
        for line in self._about(lines, side):
            if not line.wishes or any(self._is_meant(wish, end, side) for wish in line.wishes) != line.excluded:
                return line.decision
        return lines.otherwise

    def _about(self, lines: _Lines, side: Side) -> tuple[_Line, ...]:
        """Those about the packet's port: the same for all ports between two edges, if names mean the same."""
        target = side.destination
        stretch = _REPLIES if side.is_reply else bisect_right(self._edges[side.protocol], side.port)
        key = (side.protocol, stretch, self._ports[target.key] if target is not None else -1)
        found = lines.about.get(key)
        if found is None:
            found = lines.about[key] = tuple(line for line in lines.all if ports_match(line.ports, side))
        return found

    def _end(self, side: Side) -> dict[int, bool]:
        """What is known of the other end of a packet: the number of a peer → whether it means this end."""
        key = (side.peer.key if side.peer is not None else "", side.peer_address, side.is_workloads)
        end = self._ends.get(key)
        if end is None:
            if len(self._ends) >= MOST_ENDS:
                self._ends.clear()
            end = self._ends[key] = {}
        return end

    def _is_meant(self, number: int, end: dict[int, bool], side: Side) -> bool:
        known = end.get(number)
        if known is None:
            known = end[number] = self._wishes[number](side)
        return known

    def _tier_lines(self, tier: str, side: Side) -> _Lines:
        rules = [
            (rule, origin)
            for rule, origin in self._tier_rules(tier, side.subject, side.direction)
            if not rule.nothing and self._is_among(rule.own, rule.own_excluded, side.subject, side.own_address)
        ]
        key = tuple((id(rule), origin) for rule, origin in rules)
        if key not in self._shared:
            lines = (
                _Line(self._decision(rule, origin), tuple(map(self._peer, rule.peers)), rule.peers_excluded, rule.ports)
                for rule, origin in rules
            )
            self._shared[key] = _Lines(tuple(lines), None)
        return self._shared[key]

    def _network_lines(self, subject: Workload, direction: Direction) -> _Lines:
        isolating = self._isolating_policies(subject, direction)
        if not isolating:
            return _Lines((), None)
        key = (direction, *map(id, isolating))
        if key not in self._shared:
            lines = (line for policy in isolating for line in self._policy_lines(policy, direction))
            denied = Decision(Action.DENY, isolation_origin(direction, tuple(map(key_of, isolating))))
            self._shared[key] = _Lines(tuple(lines), denied)
        return self._shared[key]

    def _policy_lines(self, policy: NetworkPolicy, direction: Direction) -> Iterator[_Line]:
        for index, rule in enumerate(rules_of(policy, direction)):
            origin = rule_origin(direction, NETWORK_POLICY, key_of(policy), index)
            wishes = tuple(self._network_peer(peer, policy.namespace) for peer in rule.peers)
            yield _Line(Decision(Action.ALLOW, origin), wishes, False, rule.ports)

    def _peer(self, peer: Peer) -> int:
        return self._number(peer, "", lambda side: self._members.is_peer(peer, side.peer, side.peer_address))

    def _network_peer(self, peer: NetworkPolicyPeer, namespace: str) -> int:
        return self._number(peer, namespace, partial(self._network_peer_matches, peer, namespace))

    def _number(self, peer: Peer | NetworkPolicyPeer, namespace: str, is_meant: Callable[[Side], bool]) -> int:
        """Equal peers are asked about once; those of NetworkPolicies may mean the namespace that they are in."""
        number = self._numbers.setdefault((peer, namespace), len(self._wishes))
        if number == len(self._wishes):
            self._wishes.append(is_meant)
        return number


def _edges(model: Model) -> dict[Protocol, list[int]]:
    """Where a rule's ports begin or end, or the port is that some workload has a name for."""
    found: dict[Protocol, set[int]] = defaultdict(set)
    ports = [port for policy in model.policies for rule in policy.rules for port in rule.ports]
    for policy in model.network_policies:
        ports += [port for rule in (*policy.ingress, *policy.egress) for port in rule.ports]
    for port in ports:
        if isinstance(port.port, int):
            found[port.protocol].update((port.port, (port.end or port.port) + 1))
    for named in (port for workload in model.workloads for port in workload.ports):
        found[named.protocol].update((named.number, named.number + 1))
    return {protocol: sorted(found[protocol]) for protocol in Protocol}
