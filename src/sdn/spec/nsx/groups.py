"""Groups of NSX as Groups of the model.

The conditions of a group are joined from left to right by the AND or OR between them. Paths, addresses and external
ids are members beside them, whatever stands between. Sources: Group, NestedExpression and ConjunctionOperator in the
Policy API's schema; "Group Membership Criteria" in the administration guide.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sdn.model import AllOf, AnyOf, Expression, Group, IPBlock, Where
from sdn.spec.mistakes import Site, nearest
from sdn.spec.nsx import schema
from sdn.spec.nsx.collect import Item, Objects
from sdn.spec.nsx.conditions import NOBODY, holders, of_keys, tester
from sdn.spec.nsx.fields import Notes, blocks, labelled, piece, read_strictly
from sdn.spec.nsx.inventory import Inventory

MOST_CONDITIONS = 5
"""Conditions and nested expressions of one group, and conditions of one member type in a nested expression."""
MOST_MIXED = 15
"""Conditions of a nested expression over several member types."""
MOST_MEMBERS = 500
"""Addresses, external ids and paths of one group together."""
DYNAMIC = frozenset({"Condition", "NestedExpression"})
NOT_KNOWN = {
    "MACAddressExpression": "MAC addresses",
    "IdentityGroupExpression": "users' groups of a directory",
}


@dataclass
class _Draft:
    """A group while it is read."""

    members: Expression | None = None
    static: list[Expression] = field(default_factory=list)
    blocks: list[IPBlock] = field(default_factory=list)
    within: list[str] = field(default_factory=list)  # paths
    count: int = 0
    joints: set[str] = field(default_factory=set)


class Groups:
    """All groups of an export under the names that rules use."""

    def __init__(self, objects: Objects, inventory: Inventory) -> None:
        self._items = objects.of("Group")
        self._ports = objects.of("SegmentPort")
        self._inventory = inventory
        self._broken = objects.broken
        self._notes: Notes = objects.notes
        self.names = labelled((path, item.content.name, item.content.id) for path, item in self._items.items())
        self._within: dict[str, list[str]] = {}
        self.groups = [self._group(path, item) for path, item in self._items.items()]
        self._circles()

    def name(self, path: str, site: Site) -> str:
        """What the group at a path is called here; empty, and a report, where there is none."""
        if path not in self.names and path not in self._broken:
            near = nearest(path.rpartition("/")[2], (one.rpartition("/")[2] for one in self.names))
            site.report(f'group "{path}" is not in the export{near or "; add the answer of GET .../groups to it"}')
        return self.names.get(path, "")

    def _group(self, path: str, item: Item) -> Group:
        draft = _Draft()
        self._expressions(item, draft)
        if item.content.extended_expression:
            self._notes.once(
                item.site, f"{NOT_KNOWN['IdentityGroupExpression']} are not known here; their users count as anybody"
            )
        self._within[path] = draft.within
        if draft.count > MOST_MEMBERS:
            item.site.at("expression").report(f"has {draft.count} members, NSX takes {MOST_MEMBERS}; nest groups")
        if draft.joints == {"AND", "OR"}:
            self._notes.warn(item.site, "joins conditions by AND and OR; they are read from left to right")
        parts = [part for part in (draft.members, *draft.static) if part is not None]
        return Group(
            name=self.names[path],
            members=None if not parts else parts[0] if len(parts) == 1 else AnyOf(tuple(parts)),
            blocks=tuple(sorted(set(draft.blocks), key=repr)),
            within=tuple(sorted({self.names[one] for one in draft.within})),
        )

    def _expressions(self, item: Item, draft: _Draft) -> None:
        """Every second element joins its neighbours."""
        elements = item.content.expression
        site = item.site.at("expression")
        if elements and len(elements) % 2 == 0:
            site.report("has an even number of elements; join each two by one ConjunctionOperator")
            return
        conditions = sum(1 for one in elements if piece(one) in DYNAMIC)
        if conditions > MOST_CONDITIONS:
            site.report(f"has {conditions} conditions, NSX takes {MOST_CONDITIONS}; nest groups")
        operator = "OR"
        for index, element in enumerate(elements):
            here = site.at(index)
            if index % 2:
                operator = self._conjunction(element, here)
                if operator == "AND":
                    _check_and(elements[index - 1], elements[index + 1], here)
            else:
                self._element(element, operator, item.path, here, draft)

    def _conjunction(self, element: Mapping[str, Any], site: Site) -> str:
        if piece(element) != "ConjunctionOperator":
            site.report(f'"{piece(element)}" stands where a ConjunctionOperator must; join by AND or OR')
            return "OR"
        found = read_strictly(schema.Conjunction, element, site, self._notes)
        if found is not None and found.conjunction_operator not in ("AND", "OR"):
            site.at("conjunction_operator").report(f'"{found.conjunction_operator}" joins nothing; write AND or OR')
        return found.conjunction_operator if found is not None else "OR"

    def _element(self, element: Mapping[str, Any], operator: str, path: str, site: Site, draft: _Draft) -> None:
        kind = piece(element)
        if kind in DYNAMIC:
            held = (
                self._nested(element, site)
                if kind == "NestedExpression"
                else self._condition(element, path, site, draft)
            )
            if held is None:
                return
            if draft.members is None:
                draft.members = held
            else:
                draft.joints.add(operator)
                join = AllOf if operator == "AND" else AnyOf
                draft.members = join((draft.members, held))
        elif kind == "PathExpression":
            self._paths(element, site, draft)
        elif kind == "IPAddressExpression":
            self._addresses(element, site, draft)
        elif kind == "ExternalIDExpression":
            self._external(element, site, draft)
        elif kind in NOT_KNOWN:
            self._notes.once(site, f"{NOT_KNOWN[kind]} are not known here; they are members of nothing")
        elif kind == "ConjunctionOperator":
            site.report("is a ConjunctionOperator where a condition must be; write what it joins on both sides")
        else:
            known = [*sorted(DYNAMIC), "PathExpression", "IPAddressExpression", "ExternalIDExpression", *NOT_KNOWN]
            site.report(f'"{kind}" is no expression (there are: {", ".join(known)}){nearest(kind, known)}')

    def _condition(self, element: Mapping[str, Any], path: str, site: Site, draft: _Draft) -> Expression | None:
        found = read_strictly(schema.Condition, element, site, self._notes)
        if found is None:
            return None
        if found.member_type != "Group":
            return holders(found, self._inventory, site, self._notes)
        if found.key not in ("Tag", "Name"):
            site.at("key").report(f'"{found.key}" is no key of a Group (there are: Tag, Name)')
        elif test := tester(found, site):
            draft.within += [
                one for one, i in self._items.items() if one != path and test(i.content.tags, i.content.name)
            ]
        return None

    def _nested(self, element: Mapping[str, Any], site: Site) -> Expression | None:
        """Conditions that are joined by AND alone."""
        nested = read_strictly(schema.Nested, element, site, self._notes)
        if nested is None:
            return None
        parts: list[Expression] = []
        types = set()
        for index, one in enumerate(nested.expressions):
            here = site.at("expressions", index)
            if index % 2:
                if self._conjunction(one, here) != "AND":
                    here.report("is no AND; a nested expression joins conditions by AND alone")
            elif piece(one) != "Condition":
                here.report("is no Condition; a nested expression holds nothing else")
            elif condition := read_strictly(schema.Condition, one, here, self._notes):
                types.add(condition.member_type)
                parts.append(holders(condition, self._inventory, here, self._notes))
        if len(nested.expressions) % 2 == 0:
            site.at("expressions").report("has an even number of elements; join each two conditions by AND")
        most = MOST_CONDITIONS if len(types) < 2 else MOST_MIXED
        if len(parts) > most:
            site.at("expressions").report(f"has {len(parts)} conditions, NSX takes {most}; use two expressions")
        return AllOf(tuple(parts)) if parts else NOBODY

    def _paths(self, element: Mapping[str, Any], site: Site, draft: _Draft) -> None:
        found = read_strictly(schema.Paths, element, site, self._notes)
        for index, path in enumerate(found.paths if found is not None else ()):
            here = site.at("paths", index)
            draft.count += 1
            if "/groups/" in path:
                if self.name(path, here):
                    draft.within.append(path)
            elif (members := self.members(path)) is not None:
                draft.static.append(members)
            else:
                self._notes.once(here, f"{path} is not in the export; it has no members")

    def members(self, path: str) -> Expression | None:
        """The workloads of a segment, a port, a VM or a network card; None where the export has none there."""
        inventory, last = self._inventory, path.rpartition("/")[2]
        if (selector := inventory.segment(path)) is not None:
            return Where(selector)
        if "/virtual-machines/" in path and last in inventory.by_vm:
            return of_keys(inventory.by_vm[last])
        if "/vifs/" in path and last in inventory.by_interface:
            return of_keys(inventory.by_interface[last])
        return of_keys(inventory.by_port.get(path, ())) if path in self._ports else None

    def _addresses(self, element: Mapping[str, Any], site: Site, draft: _Draft) -> None:
        found = read_strictly(schema.Addresses, element, site, self._notes)
        for index, text in enumerate(found.ip_addresses if found is not None else ()):
            draft.count += 1
            try:
                draft.blocks += blocks(text)
            except ValueError as error:
                site.at("ip_addresses", index).report(str(error))

    def _external(self, element: Mapping[str, Any], site: Site, draft: _Draft) -> None:
        found = read_strictly(schema.ExternalIds, element, site, self._notes)
        if found is None:
            return
        draft.count += len(found.external_ids)
        tables = {"VirtualMachine": self._inventory.by_vm, "VirtualNetworkInterface": self._inventory.by_interface}
        table = tables.get(found.member_type)
        if table is None:
            self._notes.once(
                site, f"external ids of {found.member_type} are not known here; they are members of nothing"
            )
            return
        for ident in found.external_ids:
            if ident not in table:
                self._notes.once(site, f"{found.member_type} {ident} is not in the export; it is a member of nothing")
        draft.static.append(of_keys(key for ident in found.external_ids for key in table.get(ident, ())))

    def _circles(self) -> None:
        """Groups that hold one another for ever."""
        done: set[str] = set()
        for start in self._within:
            trail: list[str] = []
            self._follow(start, trail, done)

    def _follow(self, path: str, trail: list[str], done: set[str]) -> None:
        if path in trail:
            names = " → ".join(self.names[one] for one in [*trail[trail.index(path) :], path])
            self._items[path].site.report(f"groups hold one another in a circle ({names}); remove one of them")
        elif path not in done:
            for other in self._within[path]:
                self._follow(other, [*trail, path], done)
            done.add(path)


def _check_and(one: Mapping[str, Any], other: Mapping[str, Any], site: Site) -> None:
    """NSX joins by AND only conditions of the same member type."""
    kinds = [piece(element) for element in (one, other)]
    if not DYNAMIC.issuperset(kinds):
        site.report("joins by AND what is no condition; NSX joins addresses, paths and ids by OR alone")
    elif kinds == ["Condition", "Condition"] and one.get("member_type") != other.get("member_type"):
        site.report("joins conditions of different member types by AND; put them in one NestedExpression")
