"""Rules of NSX as the model's: each is up to two, one for the side that sends and one for the side that receives.

A rule stands on the cards that it is applied to, whichever of its sides they are. So its ingress half looks for its
destinations at the card itself and for its sources at the other end, and its egress half the other way round.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

from sdn.model import Action, Direction, IPBlock, Peer, PortRange, Rule, Selector
from sdn.spec.mistakes import Site, nearest
from sdn.spec.nsx import schema
from sdn.spec.nsx.collect import Item
from sdn.spec.nsx.fields import ANY, Notes, blocks, family, is_address
from sdn.spec.nsx.groups import Groups
from sdn.spec.nsx.inventory import Inventory
from sdn.spec.nsx.services import Match, Services

T = TypeVar("T")
ACTIONS = {
    "ALLOW": Action.ALLOW,
    "DROP": Action.DENY,
    "REJECT": Action.REJECT,
    "JUMP_TO_APPLICATION": Action.PASS,
}
DIRECTIONS = {
    "IN": (Direction.INGRESS,),
    "OUT": (Direction.EGRESS,),
    "IN_OUT": (Direction.INGRESS, Direction.EGRESS),
}
FAMILIES = {"IPV4": 4, "IPV6": 6, "IPV4_IPV6": 0}
EVERY = {4: IPBlock("0.0.0.0/0"), 6: IPBlock("::/0")}
JUMPS_IN = "Environment"


@dataclass(frozen=True)
class End:
    """The sources or the destinations of a rule; no peers: anybody."""

    peers: tuple[Peer, ...] = ()
    excluded: bool = False


@dataclass(frozen=True)
class Reader:
    """What rules refer to."""

    groups: Groups
    services: Services
    inventory: Inventory
    notes: Notes

    def rules(self, item: Item, category: str, label: str) -> list[Rule]:
        """The model's rules for one of NSX; none where it is disabled."""
        rule: schema.Rule = item.content
        action = self._action(rule, category, item.site)
        directions = _choice(rule.direction, DIRECTIONS, item.site.at("direction"))
        version = _choice(rule.ip_protocol, FAMILIES, item.site.at("ip_protocol"))
        sources = self._end(rule.source_groups, rule.sources_excluded, item.site.at("source_groups"))
        targets = self._end(rule.destination_groups, rule.destinations_excluded, item.site.at("destination_groups"))
        matches = self.services.of(rule, item.site)
        scope = self.scope(rule.scope, item.site.at("scope"))
        if rule.disabled or action is None or directions is None or version is None:
            return []
        result = []
        for one, ports in self._split(self._feasible(matches, action, rule, item), version):
            for direction in directions:
                own, peers = (targets, sources) if direction is Direction.INGRESS else (sources, targets)
                own, peers, fits = self._in_family(one, own, peers, action, item)
                result.append(
                    Rule(
                        action=action,
                        direction=direction,
                        peers=peers.peers,
                        ports=ports or (),
                        peers_excluded=peers.excluded,
                        own=own.peers,
                        own_excluded=own.excluded,
                        applies_to=scope,
                        nothing=not fits or ports == (),
                        label=label,
                        log=rule.logged,
                    )
                )
        return result

    def scope(self, paths: list[str], site: Site) -> tuple[Selector, ...]:
        """Whom a policy or rule is applied to; empty: every card."""
        if _is_any(paths, site):
            return ()
        groups: list[str] = []
        result: list[Selector] = []
        for index, path in enumerate(paths):
            here = site.at(index)
            if "/groups/" in path:
                groups.append(self.groups.name(path, here))
            elif (selector := self.inventory.segment(path)) is not None:
                result.append(selector)
            elif keys := self.inventory.by_port.get(path):
                result.append(Selector(keys=tuple(keys)))
            elif path not in self.inventory.broken:
                here.report(f'"{path}" is no group, segment or port of the export; a rule is applied to nothing else')
        if groups:
            result.append(Selector(groups=tuple(sorted(set(groups)))))
        return tuple(sorted(result, key=repr))

    def _action(self, rule: schema.Rule, category: str, site: Site) -> Action | None:
        action = _choice(rule.action, ACTIONS, site.at("action"))
        if action is Action.PASS and category != JUMPS_IN:
            site.at("action").report(f"JUMP_TO_APPLICATION is of category {JUMPS_IN} alone; use ALLOW, DROP or REJECT")
            return None
        return action

    def _end(self, texts: list[str], excluded: bool, site: Site) -> End:
        if _is_any(texts, site):
            if excluded:
                site.report("ANY cannot be excluded, for nobody would be left; name groups")
            return End()
        peers: list[Peer] = []
        for index, text in enumerate(texts):
            peers += self._peers(text, site.at(index))
        return End(tuple(sorted(set(peers), key=repr)), excluded)

    def _peers(self, text: str, site: Site) -> Iterator[Peer]:
        if is_address(text):
            try:
                yield from (Peer(ip_block=block) for block in blocks(text))
            except ValueError as error:
                site.report(str(error))
        elif "/groups/" in text:
            yield Peer(group=self.groups.name(text, site))
        elif (selector := self.inventory.segment(text)) is not None:
            yield Peer(selector=selector)
        elif keys := self.inventory.by_port.get(text):
            yield Peer(selector=Selector(keys=tuple(keys)))
        elif text not in self.inventory.broken:
            site.report(f'"{text}" is no group of the export and no address; correct it')

    def _feasible(
        self, matches: tuple[Match, ...] | None, action: Action, rule: schema.Rule, item: Item
    ) -> tuple[Match, ...] | None:
        """What is left of the services when what we cannot tell apart fails closed."""
        if any(path.upper() != ANY for path in rule.profiles):
            closed = "it allows nothing" if action is Action.ALLOW else "it matches whatever the application is"
            self.notes.warn(item.site, f"has context profiles, which are not judged here; {closed}")
            if action is Action.ALLOW:
                return ()
        if matches is None or not any(match.source for match in matches):
            return matches
        closed = "those services match nothing" if action is Action.ALLOW else "any source port is meant"
        self.notes.warn(item.site, f"has services with source ports, which flows do not have here; {closed}")
        if action is Action.ALLOW:
            return tuple(match for match in matches if not match.source)
        return matches

    def _split(self, matches: tuple[Match, ...] | None, version: int) -> list[tuple[int, tuple[PortRange, ...] | None]]:
        """Ports by the family that they are of, 0 for both; no ports at all (None) are every port."""
        if matches is None:
            return [(version, None)]
        by_family: dict[int, dict[PortRange, None]] = {}
        both = {port for port in {m.port for m in matches} if {4, 6} <= {m.family for m in matches if m.port == port}}
        for match in matches:
            own = 0 if match.port in both else match.family
            if version and own and own != version:
                continue
            by_family.setdefault(version or own, {})[match.port] = None
        return [(one, tuple(ports)) for one, ports in sorted(by_family.items())] or [(0, ())]

    def _in_family(self, version: int, own: End, peers: End, action: Action, item: Item) -> tuple[End, End, bool]:
        """Both ends so that only packets of one family match; False where none can."""
        present = self.inventory.families
        if version == 0 or present == {version}:
            return own, peers, True
        if version not in present:
            return own, peers, False
        for first, other, is_own in ((peers, own, False), (own, peers, True)):
            limited = _limited(first, version)
            if limited is not None:
                fits = bool(limited.peers)
                return (limited, other, fits) if is_own else (other, limited, fits)
        closed = "it allows nothing" if action is Action.ALLOW else "it matches both families"
        self.notes.warn(item.site, f"is for IPv{version} alone between groups, which is not enforced here; {closed}")
        return own, peers, action is not Action.ALLOW


def _limited(end: End, version: int) -> End | None:
    """An end without the addresses of the other family; None where its groups do not let it."""
    if not end.peers:
        return End((Peer(ip_block=EVERY[version]),))
    if end.excluded:
        return End((*end.peers, Peer(ip_block=EVERY[10 - version])), True)
    own = [peer.ip_block for peer in end.peers if peer.ip_block is not None]
    if len(own) < len(end.peers):
        return None
    return End(tuple(Peer(ip_block=block) for block in own if family(block) == version))


def _is_any(texts: list[str], site: Site) -> bool:
    if not any(text.upper() == ANY for text in texts):
        return not texts
    if len(texts) > 1:
        site.report("ANY stands alone; remove it or the others")
    return True


def _choice(value: str, known: dict[str, T], site: Site) -> T | None:
    if value not in known:
        site.report(f'"{value}" is not known (there are: {", ".join(known)}){nearest(value, known)}')
    return known.get(value)
