"""One written rule as the lines that a packet filter can check: one peer, one protocol, numeric ports.

All lines of a rule share its action and origin, so their order among each other is free; it is sorted, so that the
order in which peers and ports were written does not show.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import NamedTuple

from sdn.model import Direction, IPBlock, PortRange, Protocol, Selector, family_of
from sdn.policy.compiled import CompiledRule
from sdn.policy.compiler_ranges import Ranges, merge
from sdn.policy.compiler_vocabulary import NamedPort
from sdn.policy.compiler_written import WrittenRule
from sdn.policy.groups import Groups

EVERYBODY = (Selector(),)
EVERY_PORT: Mapping[Protocol | None, Ranges] = {None: ()}


def compile_rule(rule: WrittenRule, groups: Groups, own: Mapping[NamedPort, Iterable[int]]) -> list[CompiledRule]:
    """The lines of a rule; none at all if it can match nobody or no port.

    `own` are the named ports of the workload that is judged, for ingress: it is the destination, who gives names their
    numbers. For egress `own` is empty: the peers give them, so a group is split by number.
    """
    if not rule.ports:
        lines = _lines(rule, groups, EVERY_PORT)
    else:
        matches, names = port_matches(rule.ports, own) if own else _numbered(rule.ports)
        lines = _lines(rule, groups, matches)
        if names and rule.direction is Direction.EGRESS:
            lines += _named_lines(rule, groups, names)
    return sorted(set(lines), key=_order) if len(lines) > 1 else lines


@lru_cache(maxsize=1 << 14)
def _numbered(ports: tuple[PortRange, ...]) -> tuple[dict[Protocol | None, Ranges], list[NamedPort]]:
    """The same for workloads that give no number to any of the names: clusters write few different lists of ports."""
    return port_matches(ports, {})


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


class _Peer(NamedTuple):
    """What one line says about the other side, see `CompiledRule`."""

    group: str | None = None
    block: IPBlock | None = None
    not_group: str | None = None
    not_blocks: tuple[str, ...] = ()


def _lines(rule: WrittenRule, groups: Groups, matches: Mapping[Protocol | None, Ranges]) -> list[CompiledRule]:
    """Every peer with every protocol."""
    if not matches:
        return []
    return [
        _line(rule, peer, protocol, ranges) for peer in _peers(rule, groups) for protocol, ranges in matches.items()
    ]


def _peers(rule: WrittenRule, groups: Groups) -> Iterator[_Peer]:
    """The alternatives; a group without members is none, and excludes nobody."""
    if rule.peers.anybody:
        yield _excluding(rule, groups)
    elif rule.peers.parts and (group := groups.union(rule.peers.parts)) is not None:
        yield _Peer(group)
    for block in rule.peers.blocks:
        if _fits(rule, block):
            yield _Peer(block=block)


def _named_lines(rule: WrittenRule, groups: Groups, names: Iterable[NamedPort]) -> Iterator[CompiledRule]:
    """Named ports of egress: the peers that give the name, by number.

    Of "anybody" and of a block those are workloads only: nobody else gives names to ports.
    """
    among = [(EVERYBODY, _excluding(rule, groups))] if rule.peers.anybody else [(rule.peers.parts, _Peer())]
    among += [(EVERYBODY, _Peer(block=block)) for block in rule.peers.blocks if _fits(rule, block)]
    for parts, peer in among:
        for name in names if parts else ():
            for number, group in groups.by_port(parts, name):
                yield _line(rule, peer._replace(group=group), name[0], ((number, number),))


def _excluding(rule: WrittenRule, groups: Groups) -> _Peer:
    """Anybody, but not those whom the rule excludes."""
    excluded = groups.union(rule.peers.but) if rule.peers.but else None
    return _Peer(not_group=excluded, not_blocks=rule.peers.but_blocks)


def _fits(rule: WrittenRule, block: IPBlock) -> bool:
    """Whether a packet of the rule's family can come from the block."""
    return rule.family in {0, family_of(block.cidr)}


def _line(rule: WrittenRule, peer: _Peer, protocol: Protocol | None, ranges: Ranges) -> CompiledRule:
    words = (peer.group, peer.block, protocol, ranges, *peer[2:], rule.family, rule.stateless)
    return CompiledRule(rule.origin, rule.action, *words)


def _order(line: CompiledRule) -> tuple[str, str, tuple[str, ...], str, Ranges]:
    """A total order of one rule's lines: they differ in nothing else."""
    block = line.block or IPBlock("")
    return line.group or "", block.cidr, block.excepts, line.protocol or "", line.ports
