"""Security policies of NSX as our tiers, in NSX's order: by category, sequence number, name; the default rule last."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise

from msgspec.structs import replace

from sdn.model import Action, Direction, Policy, Rule
from sdn.spec.mistakes import nearest
from sdn.spec.nsx.collect import Item, Objects
from sdn.spec.nsx.fields import Notes, labelled
from sdn.spec.nsx.rules import Reader
from sdn.spec.parts import place_key

CATEGORIES = {
    "Emergency": "emergency",
    "Infrastructure": "infrastructure",
    "Environment": "environment",
    "Application": "application",
    "": "application",
}
"""Category → tier; without a category it comes after those with one (Policy API, Policy)."""
ETHERNET = "Ethernet"
PREFERENCES = {
    "NONE": None,
    "ALLOWLIST": Action.DENY,
    "ALLOWLIST_ENABLE_LOGGING": Action.DENY,
    "DENYLIST": Action.ALLOW,
    "DENYLIST_ENABLE_LOGGING": Action.ALLOW,
    "WHITELIST": Action.DENY,
    "WHITELIST_ENABLE_LOGGING": Action.DENY,
    "BLACKLIST": Action.ALLOW,
    "BLACKLIST_ENABLE_LOGGING": Action.ALLOW,
}
"""connectivity_preference (or its older spelling in connectivity_strategy) → what the default rule of a scope does."""


class Policies:
    """All policies of an export, and where each was written."""

    def __init__(self, objects: Objects, reader: Reader) -> None:
        self._reader = reader
        self._notes: Notes = objects.notes
        self.where: dict[str, str] = {}
        items = objects.of("SecurityPolicy")
        self._rules = _rules_by_policy(objects, items)
        self.policies: list[Policy] = []
        names = labelled((path, item.content.name, item.content.id) for path, item in items.items())
        tiers: dict[str, list[Item]] = defaultdict(list)
        for item in items.values():
            if self._counts(item):
                tiers[CATEGORIES.get(item.content.category, "application")].append(item)
        for tier, members in tiers.items():
            self._tier(tier, members, names)
        if items and not any(item.content.is_default and item.content.category != ETHERNET for item in items.values()):
            self._notes.say("the export has no default policy; what no rule matches is allowed, as in a new NSX")

    def _counts(self, item: Item) -> bool:
        policy = item.content
        if policy.category == ETHERNET:
            # The layer 2 policy that every NSX has allows everything.
            if not policy.is_default or any(r.content.action != "ALLOW" for r in self._rules.get(item.path, ())):
                self._notes.once(item.site, "is of category Ethernet, which is not used here")
            return False
        if policy.category not in CATEGORIES:
            known = [ETHERNET, *filter(None, CATEGORIES)]
            message = f'"{policy.category}" is not known (there are: {", ".join(known)})'
            item.site.at("category").report(message + nearest(policy.category, known))
        if policy.stateful and not policy.tcp_strict:
            self._notes.once(item.site, "has tcp_strict off; it is enforced strictly here, as everything is")
        if policy.scheduler_path:
            self._notes.once(item.site, "has a schedule; it is taken as always in force")
        return True

    def _tier(self, tier: str, items: Sequence[Item], names: dict[str, str]) -> None:
        """Ranks become priorities; numbers of NSX go beyond ours."""
        internal = all(item.content.internal_sequence_number is not None for item in items)

        def place(item: Item) -> tuple[bool, bool, int]:
            policy = item.content
            number = policy.internal_sequence_number if internal else policy.sequence_number
            return policy.is_default, not policy.category, number

        ordered = sorted(items, key=lambda item: (*place(item), item.content.name, item.path))
        tied: dict[str, str] = {}
        for one, other in pairwise(ordered):
            if place(one) == place(other):
                tied[other.path] = names[one.path]
                self._notes.warn(
                    one.site,
                    f"has the sequence number {place(one)[2]}, as policy {other.content.name} has; "
                    "which of them comes first is not defined",
                )
        last = [item for item in ordered if item.content.is_default]
        first = [item for item in ordered if not item.content.is_default]
        for rank, item in enumerate([*first, *last]):
            priority = rank + (len(first) if item.content.is_default else 0)
            self._policy(item, tier, names[item.path], priority, tied.get(item.path, ""))
        for rank, item in enumerate(first):
            self._preference(item, tier, names[item.path], len(first) + rank)

    def _policy(self, item: Item, tier: str, name: str, priority: int, tied: str) -> None:
        applies_to = self._reader.scope(item.content.scope, item.site.at("scope"))
        ordered = sorted(self._rules.get(item.path, ()), key=lambda one: one.content.sequence_number)
        active = [rule for rule in ordered if not rule.content.disabled]
        labels = labelled((rule.path, rule.content.name, rule.content.id) for rule in ordered)
        beside: dict[str, str] = {}
        for one, other in pairwise(active):
            if one.content.sequence_number == other.content.sequence_number:
                beside[other.path] = labels[one.path]
                self._notes.warn(
                    one.site,
                    f"has the sequence number {one.content.sequence_number}, as rule {other.content.name} of policy "
                    f"{item.content.name} has; which of them comes first is not defined",
                )
        rules = [
            replace(made, tied=beside.get(rule.path, ""))
            for rule in ordered
            for made in self._reader.rules(rule, item.content.category, labels[rule.path])
        ]
        self._add(item, Policy(name, tier, tuple(rules), applies_to, priority, tied, not item.content.stateful))

    def _preference(self, item: Item, tier: str, name: str, priority: int) -> None:
        """The rule that NSX makes for all traffic of a policy's scope, after all other policies of the category."""
        field = "connectivity_preference" if item.content.connectivity_preference else "connectivity_strategy"
        wanted = getattr(item.content, field) or "NONE"
        if wanted not in PREFERENCES:
            item.site.at(field).report(f'"{wanted}" is not known (there are: {", ".join(PREFERENCES)})')
        action = PREFERENCES.get(wanted)
        if action is None:
            return
        applies_to = self._reader.scope(item.content.scope, item.site.at("scope"))
        if not applies_to:
            item.site.at(field).report("needs a scope of groups; add one")
        log = wanted.endswith("LOGGING")
        rules = tuple(Rule(action, direction, label="default", log=log) for direction in Direction)
        self._add(item, Policy(f"{name} default", tier, rules, applies_to, priority))

    def _add(self, item: Item, policy: Policy) -> None:
        self.policies.append(policy)
        self.where[place_key("policy", policy.name)] = item.site.line


def _rules_by_policy(objects: Objects, policies: dict[str, Item]) -> dict[str, list[Item]]:
    """Rules in the order written, under their policy's path; those of gateways' policies are left out."""
    result: dict[str, list[Item]] = defaultdict(list)
    for (kind, path), item in objects.found.items():
        if kind == "Rule":
            policy = path.rpartition("/rules/")[0]
            if policy in policies:
                result[policy].append(item)
            else:
                objects.notes.once(item.site, "is a rule of no security policy of the export; it is left out")
    return result
