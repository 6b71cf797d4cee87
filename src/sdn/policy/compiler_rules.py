"""One written rule as the lines that a packet filter can check: one peer, one protocol, numeric ports.

All lines of a rule share its action and origin, so their order among each other is free; it is sorted, so that the
order in which peers and ports were written does not show.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sdn.model import Direction, IPBlock, PortRange, Protocol, Selector
from sdn.policy.compiled import CompiledRule
from sdn.policy.compiler_classes import NamedPort
from sdn.policy.compiler_written import WrittenRule
from sdn.policy.groups import Groups

Ranges = tuple[tuple[int, int], ...]
"""Inclusive, sorted, disjoint; empty: every port."""

EVERYBODY = (Selector(),)


def compile_rule(rule: WrittenRule, groups: Groups, own: Mapping[NamedPort, Iterable[int]]) -> list[CompiledRule]:
    """The lines of a rule; none at all if it can match nobody or no port.

    `own` are the named ports of the workload that is judged, for ingress: it is the destination, who gives names their
    numbers. For egress `own` is empty: the peers give them, so a group is split by number.
    """
    if not rule.ports:
        return _lines(rule, groups, {None: ()})
    matches, names = port_matches(rule.ports, own)
    lines = _lines(rule, groups, matches)
    if rule.direction is Direction.EGRESS:
        lines += _named_lines(rule, groups, names)
    return sorted(set(lines), key=_order)


def port_matches(
    ports: Iterable[PortRange], own: Mapping[NamedPort, Iterable[int]]
) -> tuple[dict[Protocol | None, Ranges], list[NamedPort]]:
    """Per protocol its ranges, names resolved by `own`; and the names left, but for protocols that match wholly."""
    ranges: dict[Protocol, list[tuple[int, int]]] = {}
    names: set[NamedPort] = set()
    whole = {port.protocol for port in ports if port.port is None or port.protocol is Protocol.ICMP}
    for port in ports:
        if isinstance(port.port, int):
            ranges.setdefault(port.protocol, []).append((port.port, port.port if port.end is None else port.end))
        elif port.port is not None:
            name = (port.protocol, port.port)
            names.add(name)
            ranges.setdefault(port.protocol, []).extend((number, number) for number in own.get(name, ()))
    matches: dict[Protocol | None, Ranges] = {}
    for protocol in sorted(whole | ranges.keys()):
        merged = () if protocol in whole else merge(ranges[protocol])
        if merged or protocol in whole:
            matches[protocol] = merged
    return matches, sorted(name for name in names if name[0] not in whole)


def merge(ranges: Iterable[tuple[int, int]]) -> Ranges:
    """Overlapping and adjacent ranges joined; one that ends before it starts holds no port."""
    merged: list[tuple[int, int]] = []
    for first, last in sorted(ranges):
        if last < first:
            continue
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(merged[-1][1], last))
        else:
            merged.append((first, last))
    return tuple(merged)


def _lines(rule: WrittenRule, groups: Groups, matches: Mapping[Protocol | None, Ranges]) -> list[CompiledRule]:
    """Every peer with every protocol."""
    if not matches:
        return []
    peers: list[tuple[str | None, IPBlock | None]] = [(None, block) for block in rule.peers.blocks]
    if rule.peers.anybody:
        peers = [(None, None)]
    elif rule.peers.parts and (group := groups.union(rule.peers.parts)) is not None:
        peers.append((group, None))
    return sorted(
        {
            CompiledRule(rule.origin, rule.action, group, block, protocol, ranges)
            for group, block in peers
            for protocol, ranges in matches.items()
        },
        key=_order,
    )


def _named_lines(rule: WrittenRule, groups: Groups, names: Iterable[NamedPort]) -> list[CompiledRule]:
    """Named ports of egress: the peers that give the name, by number.

    Of "anybody" and of a block those are workloads only: nobody else gives names to ports.
    """
    parts = EVERYBODY if rule.peers.anybody else rule.peers.parts
    peers = [(parts, None)] if parts else []
    return [
        CompiledRule(rule.origin, rule.action, group, block, name[0], ((number, number),))
        for among, block in [*peers, *((EVERYBODY, block) for block in rule.peers.blocks)]
        for name in names
        for number, group in groups.by_port(among, name)
    ]


def _order(line: CompiledRule) -> tuple[str, str, tuple[str, ...], str, Ranges]:
    block = line.block or IPBlock("")
    return line.group or "", block.cidr, block.excepts, line.protocol or "", line.ports
