"""The distributed firewall of each Host: the chains, sets and dispatch that its own endpoints need, and no others.

Sets hold (zone, address), so Applications that nobody connected can use the same addresses and never meet in a rule.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from ipaddress import IPv4Network, IPv6Network, collapse_addresses, ip_network
from itertools import groupby

import msgspec
from msgspec import Struct

from sdn.model import Endpoint, IPBlock, Placed, Protocol, default_origin, family_of
from sdn.plan.state import AddressSet, Chain, Dispatch, Firewall, FirewallRule, ProfileChain
from sdn.policy.compiled import CompiledPolicy, CompiledRule, TierRules
from sdn.policy.groups import digest

Zones = frozenset[int]
Has = Callable[[str, int, Zones], bool]
"""Whether a group has an address of a family in one of the zones."""

FAMILIES = (4, 6)
WHOLE = {4: "0.0.0.0/0", 6: "::/0"}
ANY_BLOCK = IPBlock("")
MOST_BLOCKS = 1000
"""In one rule: it is one command to the kernel with all of them, and must fit an ordinary user's socket buffer."""


def host_firewall(placed: Placed, compiled: CompiledPolicy, host: str) -> Firewall:
    """The firewall of one Host; use `FirewallPlanner` for several."""
    return FirewallPlanner(placed, compiled).host(host)


class FirewallPlanner:
    """Firewalls of any number of Hosts; chains and sets that several of them need are made once."""

    def __init__(self, placed: Placed, compiled: CompiledPolicy) -> None:
        self._placed = placed
        self._compiled = compiled
        self._groups = _GroupAddresses(placed, compiled)
        self._endpoints: dict[str, list[Endpoint]] = defaultdict(list)
        for endpoint in placed.endpoints.values():
            self._endpoints[endpoint.host].append(endpoint)
        # By identity: profiles share TierRules objects, and hashing ten thousand rules is what this cache avoids.
        self._chains: dict[tuple[int, Zones], Chain | None] = {}
        self._of_zones: dict[Zones, dict[int, Chain | None]] = defaultdict(dict)
        self.set_names: dict[str, set[tuple[str, int]]] = {}  # of a chain: (set, family)
        self._group_names: dict[int, tuple[str, ...]] = {}

    def host(self, name: str) -> Firewall:
        """What the endpoints on this Host need; nothing at all where there are none."""
        endpoints = self._endpoints.get(name, [])
        zones = frozenset(self._placed.zones[endpoint.application] for endpoint in endpoints)
        chains: dict[str, Chain] = {}
        profiles = []
        for profile in sorted(
            {p[e.workload] for e in endpoints for p in (self._compiled.egress, self._compiled.ingress)}
        ):
            found = self._compiled.profiles[profile]
            tiers = [chain for tier in found.tiers if (chain := self._chain(tier, zones)) is not None]
            chains.update((chain.name, chain) for chain in tiers)
            names = tuple(chain.name for chain in tiers)
            profiles.append(ProfileChain(f"p_{profile}", found.direction, names, default_origin(found.direction)))
        return Firewall(
            chains=tuple(chains[key] for key in sorted(chains)),
            profiles=tuple(profiles),
            sets=self._sets(chains.values(), zones),
            egress=self._dispatch(endpoints, self._compiled.egress),
            ingress=self._dispatch(endpoints, self._compiled.ingress),
        )

    def _chain(self, tier: TierRules, zones: Zones) -> Chain | None:
        """The tier as nft sees it, named by its content; None if no rule of it can match on this Host."""
        known = self._of_zones[zones]
        if id(tier) not in known:
            if id(tier) not in self._group_names:
                self._group_names[id(tier)] = groups_of(tier)
            seen = zones & self._groups.zones(self._group_names[id(tier)])
            key = (id(tier), seen)
            if key not in self._chains:
                self._chains[key] = chain_of(tier, self._groups.has, seen)
            known[id(tier)] = self._chains[key]
        return known[id(tier)]

    def _sets(self, chains: Iterable[Chain], zones: Zones) -> tuple[AddressSet, ...]:
        named: set[tuple[str, int]] = set()
        for chain in chains:
            if chain.name not in self.set_names:
                self.set_names[chain.name] = sets_of(chain)
            named |= self.set_names[chain.name]
        return tuple(self._groups.address_set(name, family, zones) for name, family in sorted(named))

    def _dispatch(self, endpoints: Iterable[Endpoint], profiles: dict[str, str]) -> tuple[Dispatch, ...]:
        zones = self._placed.zones
        return tuple(
            sorted(
                Dispatch(zones[endpoint.application], address, f"p_{profiles[endpoint.workload]}")
                for endpoint in endpoints
                for address in endpoint.addresses
            )
        )


def chain_of(tier: TierRules, has: Has, zones: Zones) -> Chain | None:
    """The tier as nft sees it on a Host of these zones, named by its content; None if no rule of it can match there."""
    written = (*tier.rules, tier.default) if tier.default is not None else tier.rules
    rules = tuple(_together(line for rule in written for line in _lines(rule, has, zones)))
    return Chain(f"t_{digest(msgspec.msgpack.encode(rules))}", rules) if rules else None


def _together(lines: Iterable[FirewallRule]) -> Iterator[FirewallRule]:
    """The blocks of one written rule looked up at once instead of one after the other; its lines have no order."""
    for _, run in groupby(lines, key=lambda line: (line.origin, line.action)):
        alike: dict[FirewallRule, list[str]] = {}
        for line in run:
            if line.block and not line.excepts:
                alike.setdefault(msgspec.structs.replace(line, block=""), []).append(line.block)
            else:
                yield line
        for line, blocks in alike.items():
            yield from _of_blocks(line, blocks)


def _of_blocks(line: FirewallRule, blocks: Sequence[str]) -> Iterator[FirewallRule]:
    """The line with these blocks; nft refuses a set whose prefixes overlap."""
    if len(blocks) == 1:
        yield msgspec.structs.replace(line, block=blocks[0])
        return
    disjoint = [str(network) for network in _disjoint(blocks)]
    for start in range(0, len(disjoint), MOST_BLOCKS):
        some = tuple(disjoint[start : start + MOST_BLOCKS])
        yield msgspec.structs.replace(line, blocks=some)


def _disjoint(blocks: Iterable[str]) -> Iterator[IPv4Network | IPv6Network]:
    """The fewest prefixes for these, which are of one family."""
    networks = [ip_network(block) for block in blocks]
    if networks[0].version == 4:
        return collapse_addresses([network for network in networks if isinstance(network, IPv4Network)])
    return collapse_addresses([network for network in networks if isinstance(network, IPv6Network)])


def groups_of(tier: TierRules) -> tuple[str, ...]:
    """Every group that its rules name, once."""
    return tuple({name for rule in tier.rules for name in (rule.group, rule.not_group) if name is not None})


def sets_of(chain: Chain) -> set[tuple[str, int]]:
    """(name, family) of every set that its rules look up."""
    return {(name, rule.family) for rule in chain.rules for name in (rule.set, rule.not_set) if name}


def set_name(group: str | None, family: int) -> str:
    """The nft set of a group's addresses of one family; empty for no group."""
    return f"g_{group}{family}" if group is not None else ""


def _lines(rule: CompiledRule, has: Has, zones: Zones) -> list[FirewallRule]:
    """One nft rule, or one per family; a family without members matches nobody: no rule."""
    lines = [line for family in FAMILIES if (line := _line(rule, family, has, zones)) is not None]
    if len(lines) == len(FAMILIES) and rule.protocol is not Protocol.ICMP and not any(map(_speaks, lines)):
        # Echo is another protocol in each family; all else that says nothing of addresses is the same.
        return [msgspec.structs.replace(lines[0], family=0)]
    return lines


def _line(rule: CompiledRule, family: int, has: Has, zones: Zones) -> FirewallRule | None:
    """The rule for packets of one family, None if none can match."""
    block = rule.block or ANY_BLOCK
    blocks = tuple(prefix for prefix in rule.not_blocks if family_of(prefix) == family)
    if rule.family not in {0, family} or WHOLE[family] in blocks:
        return None
    if rule.block is not None and family_of(block.cidr) != family:
        return None
    if rule.group is not None and not has(rule.group, family, zones):
        return None
    spared = rule.not_group if rule.not_group and has(rule.not_group, family, zones) else None
    return FirewallRule(
        rule.origin,
        rule.action,
        family,
        set=set_name(rule.group, family),
        block=block.cidr,
        excepts=block.excepts,
        protocol=rule.protocol,
        ports=rule.ports,
        not_set=set_name(spared, family),
        not_blocks=blocks,
        stateless=rule.stateless,
    )


def _speaks(line: FirewallRule) -> bool:
    """Whether the rule says anything of addresses."""
    return bool(line.set or line.block or line.not_set or line.not_blocks)


class _Addresses(Struct, frozen=True):
    """A group's addresses by family and zone."""

    elements: dict[int, dict[int, tuple[tuple[int, str], ...]]]
    zones: Zones


class _GroupAddresses:
    """Groups as addresses. Equal groups share their members' tuple (the compiler sees to it), so each is read once."""

    def __init__(self, placed: Placed, compiled: CompiledPolicy) -> None:
        self._placed = placed
        self._groups = compiled.groups
        self._known: dict[int, _Addresses] = {}
        self._elements: dict[tuple[int, int, Zones], tuple[tuple[int, str], ...]] = {}
        self._sets: dict[tuple[str, Zones], AddressSet] = {}

    def zones(self, groups: Iterable[str]) -> Zones:
        """The zones in which at least one of the groups has a member."""
        return frozenset().union(*(self._of(group).zones for group in groups))

    def has(self, group: str, family: int, zones: Zones) -> bool:
        """Whether the group has an address of this family in one of the zones."""
        return not zones.isdisjoint(self._of(group).elements[family])

    def address_set(self, name: str, family: int, zones: Zones) -> AddressSet:
        """The set of this name, see `set_name`, with the group's elements in these zones."""
        if (name, zones) not in self._sets:
            self._sets[name, zones] = AddressSet(name, family, self._within(name[2:-1], family, zones))
        return self._sets[name, zones]

    def _within(self, group: str, family: int, zones: Zones) -> tuple[tuple[int, str], ...]:
        key = (id(self._groups[group]), family, zones)
        if key not in self._elements:
            by_zone = self._of(group).elements[family]
            found = [element for zone in sorted(zones & by_zone.keys()) for element in by_zone[zone]]
            self._elements[key] = tuple(found)
        return self._elements[key]

    def _of(self, group: str) -> _Addresses:
        members = self._groups[group]
        if id(members) not in self._known:
            self._known[id(members)] = self._read(members)
        return self._known[id(members)]

    def _read(self, members: Iterable[str]) -> _Addresses:
        found: dict[int, dict[int, set[tuple[int, str]]]] = {family: defaultdict(set) for family in FAMILIES}
        for key in members:
            endpoint = self._placed.endpoints[key]
            zone = self._placed.zones[endpoint.application]
            for address in endpoint.addresses:
                found[family_of(address)][zone].add((zone, address))
        elements = {
            family: {zone: tuple(sorted(one)) for zone, one in by_zone.items()} for family, by_zone in found.items()
        }
        return _Addresses(elements, frozenset(zone for by_zone in elements.values() for zone in by_zone))
