"""Random tier policies, groups and exclusions: everything that the languages before and after NetworkPolicy can say.

A group names only groups that were made before it, and one that does not exist: circles are a mistake of the file.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from sdn.model import (
    BASELINE,
    LAST_TIERS,
    TIERS,
    Action,
    AllOf,
    AnyOf,
    Direction,
    Expression,
    Group,
    InGroup,
    Kind,
    Model,
    Peer,
    Policy,
    Rule,
    Selector,
    Where,
)
from strategies_words import TIER_PORTS, Dice, block, label_selector

FIELDS = (
    *("labels", "labels", "namespace_labels", "namespaces", "applications", "segments", "kind", "name"),
    *("groups", "groups", "keys"),
)
ANYWHERE = (*TIERS, *LAST_TIERS, BASELINE)
NOBODY = "nobody"
"""A group that is never there."""


class Writer:
    """Writes the tier policies of one world; `addresses` are its workloads', around which blocks begin and end."""

    def __init__(self, dice: Dice, bare: Model, addresses: list[str]) -> None:
        self._dice = dice
        self._addresses = addresses
        self._keys = [*(workload.key for workload in bare.workloads), "n1/nobody"]
        self._groups: list[Group] = list(bare.groups)

    def write(self, model: Model) -> Model:
        """The model with groups, policies of all tiers, and sometimes an exclusion list."""
        dice = self._dice
        for number in range(dice.randint(0, 4)):
            self._groups.append(self._group(f"g{number}"))
        policies = tuple(self.policy(f"t{number}") for number in range(dice.randint(0, 5)))
        excluded = dice.up_to(2, self.selector) if dice.one_in(3) else ()
        return replace(model, groups=tuple(self._groups), policies=policies, exclusions=excluded)

    def selector(self) -> Selector:
        """With none, one or two of its fields set."""
        dice = self._dice
        chosen = set(dice.up_to(2, lambda: dice.pick(FIELDS)))
        return Selector(
            label_selector(dice) if "labels" in chosen else None,
            label_selector(dice) if "namespace_labels" in chosen else None,
            dice.pick((("n1",), ("n2", "n3"))) if "namespaces" in chosen else (),
            dice.pick((("a",), ("b",), ("a", "c"))) if "applications" in chosen else (),
            dice.pick((("s0",), ("s1",))) if "segments" in chosen else (),
            dice.pick(list(Kind)) if "kind" in chosen else None,
            dice.pick(("w*", "w0", "w[0-2]", "?3", "nobody")) if "name" in chosen else "",
            keys=dice.up_to(3, lambda: dice.pick(self._keys), least=1) if "keys" in chosen else (),
            groups=dice.up_to(2, self._name, least=1) if "groups" in chosen else (),
        )

    def _name(self) -> str:
        return self._dice.pick([*(group.name for group in self._groups), NOBODY])

    def _group(self, name: str) -> Group:
        dice = self._dice
        members = None if dice.one_in(4) else self._expression(2)
        return Group(name, members, dice.up_to(2, lambda: block(dice, self._addresses)), self._nested())

    def _nested(self) -> tuple[str, ...]:
        return self._dice.up_to(2, self._name) if self._dice.one_in(2) else ()

    def _expression(self, depth: int) -> Expression:
        dice = self._dice
        match dice.randrange(5 if depth else 3):
            case 0 | 1:
                return Where(self.selector())
            case 2:
                return InGroup(self._name())
            case 3:
                return AllOf(dice.up_to(3, lambda: self._expression(depth - 1)))
            case _:
                return AnyOf(dice.up_to(3, lambda: self._expression(depth - 1)))

    def _peer(self) -> Peer:
        match self._dice.randrange(4):
            case 0:
                return Peer(ip_block=block(self._dice, self._addresses))
            case 1:
                return Peer(group=self._name())
            case _:
                return Peer(self.selector())

    def policy(self, name: str) -> Policy:
        """Of any tier."""
        dice = self._dice
        rules = tuple(rule for number in range(dice.randint(1, 3)) for rule in self._rules(number))
        applies_to = dice.up_to(2, self.selector) if dice.one_in(2) else ()
        priority = dice.pick((0, 1000, 1000))
        return Policy(name, dice.pick(ANYWHERE), rules, applies_to, priority, stateless=dice.one_in(3))

    def _rules(self, number: int) -> Iterator[Rule]:
        """One rule, or two that are one of NSX: out at its sources, in at its destinations."""
        rule = self._rule(f"r{number}" if self._dice.one_in(3) else "")
        yield rule
        if self._dice.one_in(3):
            other = Direction.INGRESS if rule.direction is Direction.EGRESS else Direction.EGRESS
            yield replace(
                rule,
                direction=other,
                peers=rule.own,
                peers_excluded=rule.own_excluded,
                own=rule.peers,
                own_excluded=rule.peers_excluded,
            )

    def _rule(self, label: str) -> Rule:
        dice = self._dice
        return Rule(
            dice.pick(list(Action)),
            dice.pick(list(Direction)),
            dice.up_to(2, self._peer),
            dice.up_to(2, lambda: dice.pick(TIER_PORTS)),
            peers_excluded=dice.one_in(5),
            own=dice.up_to(2, self._peer, least=1) if dice.one_in(3) else (),
            own_excluded=dice.one_in(4),
            applies_to=dice.up_to(2, self.selector, least=1) if dice.one_in(4) else (),
            nothing=dice.one_in(12),
            label=label,
            log=dice.one_in(4),
        )
