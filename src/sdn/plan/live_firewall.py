"""The firewalls of all Hosts while workloads come, go and change: which profiles, chains and sets each Host has.

All of it is counted, so that what comes and goes on a Host is known without planning the Host. Elements are not kept:
who is in a group is for the policy to say.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from sdn.model import Endpoint, default_origin, family_of
from sdn.plan.firewall import FAMILIES, Zones, chain_of, groups_of, set_name, sets_of
from sdn.plan.live_changes import Ledger
from sdn.plan.live_hosts import Hosts
from sdn.plan.parts import Element, Part, Thing
from sdn.plan.state import AddressSet, Chain, Dispatch, Firewall, ProfileChain
from sdn.policy.compiled import Profile, TierRules
from sdn.policy.live import LivePolicy, Moves
from sdn.policy.live_classes import Pair

SetName = tuple[str, int]
"""Name and family."""


class _Looked(NamedTuple):
    """A chain and the sets that its rules look up."""

    chain: Chain
    sets: tuple[SetName, ...]


class _Tier:
    """One tier of a profile, and its chain for every set of zones in which a Host may see its groups."""

    def __init__(self, rules: TierRules) -> None:
        self.rules = rules
        self.groups = groups_of(rules)
        self.chains: dict[Zones, _Looked | None] = {}
        self.zones: Zones | None = None  # in which its groups have members

    def forget(self) -> None:
        """A group has a member in a zone and family where it had none, or the other way round."""
        self.chains.clear()
        self.zones = None


class _Used:
    """A profile that some Host has."""

    def __init__(self, profile: Profile) -> None:
        self.profile = profile
        self.tiers = [_Tier(rules) for rules in profile.tiers]
        self.hosts: set[str] = set()


class _Wall:
    """What one Host's firewall holds, each with how many need it."""

    __slots__ = ("chains", "profiles", "sets", "zones", "zoneset")

    def __init__(self) -> None:
        self.zones: dict[int, int] = {}
        self.zoneset: Zones = frozenset()
        self.profiles: dict[str, tuple[int, ProfileChain]] = {}
        self.chains: dict[str, tuple[int, _Looked]] = {}
        self.sets: dict[SetName, int] = {}


class _Unread(Ledger):
    """For what is there from the start."""

    def note(self, host: str, part: Part, before: Thing | None, after: Thing | None) -> None:
        """Nothing is kept."""


class LiveFirewalls:
    """`zones` is of Applications; `endpoints` is shared with whoever calls, who changes it before `change`."""

    def __init__(self, policy: LivePolicy, zones: Mapping[str, int], endpoints: Mapping[str, Endpoint]) -> None:
        self._policy = policy
        self._zones = zones
        self._endpoints = endpoints
        self._counts: dict[str, dict[tuple[int, int], int]] = {}  # group → (family, zone) → members
        self._elements: dict[str, dict[SetName, tuple[tuple[int, str], ...]]] = {}
        self._mentions: dict[str, set[str]] = defaultdict(set)  # group → profiles
        self._used: dict[str, _Used] = {}
        self._walls: dict[str, _Wall] = defaultdict(_Wall)
        self._sets: dict[SetName, Hosts] = defaultdict(Hosts)
        self._turned: dict[tuple[str, SetName], int] = {}  # sets that came to a Host (1), went (-1) or did both (0)
        self._ledger: Ledger = _Unread()
        for endpoint in endpoints.values():
            self._zone(endpoint, 1)
        for key, endpoint in endpoints.items():
            for name in policy.pair(key):
                self._take(endpoint.host, name)
        self._turned.clear()

    def host(self, name: str, endpoints: Iterable[Endpoint]) -> Firewall:
        """The whole firewall of one Host, on which these are."""
        wall = self._walls.get(name) or _Wall()
        return Firewall(
            chains=tuple(wall.chains[key][1].chain for key in sorted(wall.chains)),
            profiles=tuple(wall.profiles[key][1] for key in sorted(wall.profiles)),
            sets=tuple(AddressSet(*one, tuple(self._within(one, wall.zoneset))) for one in sorted(wall.sets)),
            egress=tuple(sorted(d for e in endpoints for d in self._dispatch(e, self._policy.pair(e.workload)[0]))),
            ingress=tuple(sorted(d for e in endpoints for d in self._dispatch(e, self._policy.pair(e.workload)[1]))),
        )

    def change(self, moves: Moves, before: Endpoint | None, after: Endpoint | None, ledger: Ledger) -> None:
        """One workload was there and is here, None for not at all; `moves` is what the policy makes of it."""
        self._ledger = ledger
        self._turned.clear()
        zoned = self._rezone(before, after)
        flipped = self._count(moves, before, after)
        if before is not None and after is not None and before.host == after.host:
            self._judge(after, moves.before, moves.after)
        else:
            if after is not None:
                self._judge(after, None, moves.after)
            if before is not None:
                self._judge(before, moves.before, None)
        for one, was in moves.profiles:
            for key in one.members:
                if after is None or key != after.workload:
                    self._judge(self._endpoints[key], was, one.pair)
        self._rechain(flipped, zoned)
        self._move_elements(moves, before, after, zoned)

    def _rezone(self, before: Endpoint | None, after: Endpoint | None) -> dict[str, Zones]:
        """Hosts whose zones are others now, with those that they had."""
        old = {e.host: self._walls[e.host].zoneset for e in (before, after) if e is not None}
        if after is not None:
            self._zone(after, 1)
        if before is not None:
            self._zone(before, -1)
        changed = {host: zones for host, zones in old.items() if self._walls[host].zoneset != zones}
        for host in changed:
            for one in self._walls[host].sets:
                self._sets[one].forget()
        return changed

    def _zone(self, endpoint: Endpoint, number: int) -> None:
        wall = self._walls[endpoint.host]
        zone = self._zones[endpoint.application]
        now = wall.zones.get(zone, 0) + number
        if now:
            wall.zones[zone] = now
        else:
            del wall.zones[zone]
        if (now > 0) != (zone in wall.zoneset):
            wall.zoneset = frozenset(wall.zones)

    def _count(self, moves: Moves, before: Endpoint | None, after: Endpoint | None) -> set[str]:
        """Groups that have a first member in a zone and family, or none any more."""
        flipped = set()
        for names, endpoint, number in ((moves.joined, after, 1), (moves.left, before, -1)):
            for name in names if endpoint is not None else ():
                assert endpoint is not None
                self._elements.pop(name, None)
                counts = self._counts.get(name)
                for address in endpoint.addresses if counts is not None else ():
                    assert counts is not None
                    key = (family_of(address), self._zones[endpoint.application])
                    was = counts.get(key, 0)
                    counts[key] = was + number
                    if not was or not counts[key]:
                        flipped.add(name)
        return flipped

    def _judge(self, endpoint: Endpoint, before: Pair | None, after: Pair | None) -> None:
        """A local workload's packets are judged by other profiles."""
        if before == after:
            return
        for index, part in enumerate((Part.EGRESS, Part.INGRESS)):
            for entry in self._dispatch(endpoint, before[index]) if before else ():
                self._ledger.note(endpoint.host, part, entry, None)
            for entry in self._dispatch(endpoint, after[index]) if after else ():
                self._ledger.note(endpoint.host, part, None, entry)
        for name in after or ():
            self._take(endpoint.host, name)
        for name in before or ():
            self._release(endpoint.host, name)

    def _dispatch(self, endpoint: Endpoint, profile: str) -> list[Dispatch]:
        zone = self._zones[endpoint.application]
        return [Dispatch(zone, address, f"p_{profile}") for address in endpoint.addresses]

    def _take(self, host: str, name: str) -> None:
        """One more workload of the Host has the profile."""
        wall = self._walls[host]
        known = wall.profiles.get(name)
        if known is not None:
            wall.profiles[name] = known[0] + 1, known[1]
            return
        used = self._used.get(name) or self._register(name)
        used.hosts.add(host)
        chains = self._chains(used, wall.zoneset)
        wall.profiles[name] = 1, self._profile(used, chains)
        self._ledger.note(host, Part.PROFILE, None, wall.profiles[name][1])
        for chain in chains:
            self._take_chain(host, wall, chain)

    def _release(self, host: str, name: str) -> None:
        wall = self._walls[host]
        number, profile = wall.profiles[name]
        if number > 1:
            wall.profiles[name] = number - 1, profile
            return
        del wall.profiles[name]
        self._ledger.note(host, Part.PROFILE, profile, None)
        for chain in profile.tiers:
            self._release_chain(host, wall, chain)
        used = self._used[name]
        used.hosts.discard(host)
        if not used.hosts:
            self._unregister(name, used)

    def _register(self, name: str) -> _Used:
        used = self._used[name] = _Used(self._policy.profiles[name])
        for tier in used.tiers:
            for group in tier.groups:
                self._mentions[group].add(name)
                if group not in self._counts:
                    self._counts[group] = self._counted(group)
        return used

    def _unregister(self, name: str, used: _Used) -> None:
        del self._used[name]
        for tier in used.tiers:
            for group in tier.groups:
                self._mentions[group].discard(name)
                if not self._mentions[group]:
                    del self._mentions[group]
                    self._counts.pop(group, None)
                    self._elements.pop(group, None)

    def _counted(self, group: str) -> dict[tuple[int, int], int]:
        counts: dict[tuple[int, int], int] = defaultdict(int)
        for key in self._policy.members(group):
            endpoint = self._endpoints[key]
            for address in endpoint.addresses:
                counts[family_of(address), self._zones[endpoint.application]] += 1
        return dict(counts)

    def _chains(self, used: _Used, zones: Zones) -> list[_Looked]:
        return [chain for tier in used.tiers if (chain := self._chain(tier, zones)) is not None]

    def _chain(self, tier: _Tier, zones: Zones) -> _Looked | None:
        if tier.zones is None:
            counts = (self._counts[group] for group in tier.groups)
            tier.zones = frozenset(zone for found in counts for (_, zone), number in found.items() if number)
        seen = zones & tier.zones
        if seen not in tier.chains:
            chain = chain_of(tier.rules, self._has, seen)
            tier.chains[seen] = _Looked(chain, tuple(sets_of(chain))) if chain is not None else None
        return tier.chains[seen]

    def _has(self, group: str, family: int, zones: Zones) -> bool:
        counts = self._counts[group]
        return any(counts.get((family, zone)) for zone in zones)

    def _profile(self, used: _Used, chains: Iterable[_Looked]) -> ProfileChain:
        profile = used.profile
        names = tuple(looked.chain.name for looked in chains)
        return ProfileChain(f"p_{profile.id}", profile.direction, names, default_origin(profile.direction))

    def _take_chain(self, host: str, wall: _Wall, looked: _Looked) -> None:
        chain = looked.chain
        known = wall.chains.get(chain.name)
        if known is not None:
            wall.chains[chain.name] = known[0] + 1, looked
            return
        wall.chains[chain.name] = 1, looked
        self._ledger.note(host, Part.CHAIN, None, chain)
        for one in looked.sets:
            number = wall.sets.get(one, 0)
            wall.sets[one] = number + 1
            if not number:
                self._sets[one].add(host)
                self._turned[host, one] = self._turned.get((host, one), 0) + 1

    def _release_chain(self, host: str, wall: _Wall, name: str) -> None:
        number, looked = wall.chains[name]
        if number > 1:
            wall.chains[name] = number - 1, looked
            return
        del wall.chains[name]
        self._ledger.note(host, Part.CHAIN, looked.chain, None)
        for one in looked.sets:
            wall.sets[one] -= 1
            if not wall.sets[one]:
                del wall.sets[one]
                self._sets[one].discard(host)
                if not len(self._sets[one]):
                    del self._sets[one]
                self._turned[host, one] = self._turned.get((host, one), 0) - 1

    def _rechain(self, flipped: Iterable[str], zoned: Iterable[str]) -> None:
        """Profiles whose groups have a first member somewhere, or none, and all of a Host whose zones changed."""
        names = {name for group in flipped for name in self._mentions.get(group, ())}
        for name in names:
            for tier in self._used[name].tiers:
                tier.forget()
        todo = [(host, name) for name in sorted(names) for host in sorted(self._used[name].hosts)]
        todo += [(host, name) for host in zoned for name in list(self._walls[host].profiles)]
        for host, name in dict.fromkeys(todo):
            wall, used = self._walls[host], self._used[name]
            number, was = wall.profiles[name]
            chains = self._chains(used, wall.zoneset)
            now = self._profile(used, chains)
            if now != was:
                wall.profiles[name] = number, now
                self._ledger.note(host, Part.PROFILE, was, now)
                for chain in chains:
                    self._take_chain(host, wall, chain)
                for gone in was.tiers:
                    self._release_chain(host, wall, gone)

    def _move_elements(
        self, moves: Moves, before: Endpoint | None, after: Endpoint | None, zoned: Mapping[str, Zones]
    ) -> None:
        """Members of sets that stay, and all those of sets that came or went."""
        added = set(self._of_groups(moves.joined, after))
        removed = set(self._of_groups(moves.left, before))
        if removed or added:
            self._share_elements(added, removed, zoned)
        for (host, one), turned in self._turned.items():
            if turned > 0:
                self._ledger.note(host, Part.SET, None, AddressSet(*one, ()))
                self._note_elements(host, one, frozenset(), self._walls[host].zoneset, added, removed)
            elif turned < 0:
                self._ledger.note(host, Part.SET, AddressSet(*one, ()), None)
                zones = zoned.get(host) or self._walls[host].zoneset
                self._note_elements(host, one, zones, frozenset(), added, removed)
        for host, zones in zoned.items():
            for one in self._walls[host].sets:
                if not self._turned.get((host, one)):
                    self._note_elements(host, one, zones, self._walls[host].zoneset, added, removed)

    def _share_elements(self, added: set[Element], removed: set[Element], zoned: Mapping[str, Zones]) -> None:
        for element in sorted(added | removed):
            one = (element.set, element.family)
            if one not in self._sets:
                continue
            hosts = self._sets[one].where(element.zone, self._has_zone)
            turned = (host for (host, name), number in self._turned.items() if name == one and number)
            but = frozenset((*turned, *zoned))
            turn = (Part.ELEMENT, *((None, element) if element in added else (element, None)))
            self._ledger.share(turn, hosts, but)

    def _has_zone(self, host: str, zone: int) -> bool:
        return zone in self._walls[host].zoneset

    def _note_elements(
        self, host: str, one: SetName, before: Zones, after: Zones, added: set[Element], removed: set[Element]
    ) -> None:
        """A set whose Host saw it in other zones, or not at all."""
        now = [Element(*one, *element) for element in self._within(one, before | after)]
        if before:
            was = {element for element in now if element.zone in before and element not in added}
            was |= {e for e in removed if (e.set, e.family) == one and e.zone in before}
        else:
            was = set()
        is_now = {element for element in now if element.zone in after} if after else set()
        for element in was - is_now:
            self._ledger.note(host, Part.ELEMENT, element, None)
        for element in is_now - was:
            self._ledger.note(host, Part.ELEMENT, None, element)

    def _of_groups(self, groups: Iterable[str], endpoint: Endpoint | None) -> Iterator[Element]:
        if endpoint is None:
            return
        zone = self._zones[endpoint.application]
        for group in groups:
            for address in endpoint.addresses:
                family = family_of(address)
                yield Element(set_name(group, family), family, zone, address)

    def _within(self, one: SetName, zones: Zones) -> Iterator[tuple[int, str]]:
        """A set's elements in these zones, sorted."""
        name, family = one
        group = name[2:-1]
        found = self._elements.get(group)
        if found is None:
            found = self._read(group)
            if group in self._mentions:  # else nobody tells of who joins it, and it was read to be taken away
                self._elements[group] = found
        return (element for element in found.get((name, family), ()) if element[0] in zones)

    def _read(self, group: str) -> dict[SetName, tuple[tuple[int, str], ...]]:
        found: dict[int, list[tuple[int, str]]] = {family: [] for family in FAMILIES}
        for key in self._policy.members(group):
            endpoint = self._endpoints[key]
            zone = self._zones[endpoint.application]
            for address in endpoint.addresses:
                found[family_of(address)].append((zone, address))
        return {(set_name(group, family), family): tuple(sorted(each)) for family, each in found.items()}
