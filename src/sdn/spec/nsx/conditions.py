"""One condition of a group: which workloads it holds.

NSX evaluates conditions without regard to case. An empty half of `scope|tag` is not looked at; a value without the bar
is a tag of any scope. An object may have many tags, so a negated condition holds where no tag is the one named (the
complement of the condition without the negation). MATCHES is a regular expression for the whole text.
Sources: Condition in the Policy API's schema.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from operator import attrgetter
from typing import Any

from sdn.model import AnyOf, Expression, LabelSelector, Operator, Requirement, Selector, Where
from sdn.spec.mistakes import Site, nearest
from sdn.spec.nsx import schema
from sdn.spec.nsx.fields import Notes
from sdn.spec.nsx.inventory import Inventory, Subject, tag_key

NOBODY = AnyOf(())
OPERATORS = ("EQUALS", "CONTAINS", "STARTSWITH", "ENDSWITH", "NOTEQUALS", "IN", "NOTIN", "MATCHES")
NEGATED = {"NOTEQUALS": "EQUALS", "NOTIN": "IN"}
KEYS = {
    "VirtualMachine": ("Tag", "Name", "OSName", "ComputerName"),
    "Segment": ("Tag", "Name"),
    "LogicalSwitch": ("Tag", "Name"),
    "SegmentPort": ("Tag", "Name"),
    "LogicalPort": ("Tag", "Name"),
}
UNKNOWN_MEMBERS = frozenset(
    [
        "IPSet",
        "Pod",
        "Service",
        "Namespace",
        "TransportNode",
        "DVPG",
        "DVPort",
        "IPAddress",
        "VpcSubnet",
        "VpcSubnetPort",
        "KubernetesCluster",
        "KubernetesNamespace",
        "KubernetesNode",
        "KubernetesService",
        "KubernetesIngress",
        "KubernetesGateway",
        "AntreaEgress",
        "AntreaIPPool",
        "PhysicalServer",
        "CloudNativeServiceInstance",
    ]
)
"""Member types of NSX that nothing in an export that we read can be."""

TEXTS = {"Name": "name", "OSName": "os", "ComputerName": "computer", "Tag": "name"}
"""Key → the attribute that its text is in; a condition on tags looks at no text."""

Part = schema.VirtualMachine | schema.Segment | schema.SegmentPort
Test = Callable[[Sequence[schema.Tag], str], bool]
Comparison = Callable[[str], bool]


def holders(condition: schema.Condition, inventory: Inventory, site: Site, notes: Notes) -> Expression:
    """The workloads of a condition; mistakes are reported, and what nobody can be holds nobody."""
    if condition.member_type not in KEYS:
        _unknown_member(condition, site, notes)
        return NOBODY
    keys = KEYS[condition.member_type]
    if condition.key not in keys:
        message = f'"{condition.key}" is no key of a {condition.member_type} (there are: {", ".join(keys)})'
        site.at("key").report(message + nearest(condition.key, keys))
        return NOBODY
    test = tester(condition, site)
    if test is None:
        return NOBODY
    if _is_one_tag(condition):
        scope, _, name = condition.value.partition("|")
        key = tag_key(schema.Tag(scope=scope, tag=name))
        return Where(Selector(labels=LabelSelector(expressions=(Requirement(key, Operator.EXISTS),))))
    return of_keys(_keys(condition, inventory, test))


def of_keys(keys: Iterable[str]) -> Expression:
    """Exactly these workloads; a selector without keys would be everybody."""
    chosen = tuple(sorted(set(keys)))
    return Where(Selector(keys=chosen)) if chosen else NOBODY


def _unknown_member(condition: schema.Condition, site: Site, notes: Notes) -> None:
    if condition.member_type in UNKNOWN_MEMBERS:
        notes.once(site, f"conditions on {condition.member_type} are not known here; they hold nobody")
        return
    known = [*KEYS, "Group"]
    message = f'"{condition.member_type}" is no member type (there are: {", ".join(known)})'
    site.at("member_type").report(message + nearest(condition.member_type, known))


def _is_one_tag(condition: schema.Condition) -> bool:
    """Whether a label says it as exactly, and stays true when tags change."""
    scope, bar, name = condition.value.partition("|")
    return bool(
        (condition.member_type, condition.key, condition.operator, condition.scope_operator)
        == ("VirtualMachine", "Tag", "EQUALS", "EQUALS")
        and bar
        and scope
        and name
    )


def tester(condition: schema.Condition, site: Site) -> Test | None:
    """Whether a condition holds for an object's tags and its text; None, and a report, where it is no condition."""
    if condition.operator not in OPERATORS or condition.scope_operator not in ("EQUALS", "NOTEQUALS"):
        name = "operator" if condition.operator not in OPERATORS else "scope_operator"
        value = getattr(condition, name)
        known = OPERATORS if name == "operator" else ("EQUALS", "NOTEQUALS")
        site.at(name).report(f'"{value}" is not known (there are: {", ".join(known)}){nearest(value, known)}')
        return None
    is_tag = condition.key == "Tag"
    scope, bar, name = condition.value.partition("|") if is_tag else ("", "", condition.value)
    wanted = name if bar or not is_tag else scope
    scope = scope if bar else ""
    if not wanted and not scope:
        site.at("value").report('is empty; write for example "scope|tag"' if is_tag else "is empty; write a text")
        return None
    positive = NEGATED.get(condition.operator, condition.operator)
    compare = _comparison(positive, wanted, site)
    if compare is None:
        return None
    negated = condition.operator in NEGATED

    def test(tags: Sequence[schema.Tag], text: str) -> bool:
        if not is_tag:
            return compare(text) != negated
        same = condition.scope_operator == "EQUALS"
        in_scope = [tag for tag in tags if not scope or (tag.scope.casefold() == scope.casefold()) == same]
        return any(not wanted or compare(tag.tag) for tag in in_scope) != negated

    return test


def _comparison(operator: str, value: str, site: Site) -> Comparison | None:
    wanted = value.casefold()
    if operator == "MATCHES":
        try:
            pattern = re.compile(value, re.IGNORECASE)
        except re.error as error:
            site.at("value").report(f'"{value[:60]}" is no regular expression ({error}); correct it')
            return None
        return lambda text: pattern.fullmatch(text) is not None
    tests: dict[str, Comparison] = {
        "EQUALS": lambda text: text.casefold() == wanted,
        "CONTAINS": lambda text: wanted in text.casefold(),
        "STARTSWITH": lambda text: text.casefold().startswith(wanted),
        "ENDSWITH": lambda text: text.casefold().endswith(wanted),
        "IN": lambda text: text.casefold() in {part.strip() for part in wanted.split(",")},
    }
    return tests[operator]


def _part(condition: schema.Condition) -> Callable[[Subject], Part | None]:
    """What a condition is asked of: the VM, its segment, its port."""
    match condition.member_type:
        case "VirtualMachine":
            return lambda subject: subject.vm
        case "Segment" | "LogicalSwitch":
            return lambda subject: subject.segment
        case _:
            return lambda subject: subject.port


def _keys(condition: schema.Condition, inventory: Inventory, test: Test) -> Iterator[str]:
    part = _part(condition)
    text: Callable[[Any], str] = attrgetter(TEXTS[condition.key])
    for subject in inventory.subjects:
        found = part(subject)
        if found is not None and test(found.tags, text(found)):
            yield subject.key
