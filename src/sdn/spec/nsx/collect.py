"""The NSX objects in some documents: trees and lists unrolled, each read by its schema, each under its policy path.

Types that say nothing about who may talk to whom are counted and named once, so that any export loads.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sdn.errors import Problem
from sdn.spec.mistakes import Path, Site, describe
from sdn.spec.nsx import schema
from sdn.spec.nsx.fields import Notes, read_loosely, read_strictly
from sdn.spec.source import Document

STRICT: dict[str, type[schema.Named]] = {
    "Group": schema.Group,
    "Service": schema.Service,
    "SecurityPolicy": schema.SecurityPolicy,
    "Rule": schema.Rule,
    "PolicyExcludeList": schema.PolicyExcludeList,
}
INVENTORY: dict[str, type[schema.Loose]] = {
    "Segment": schema.Segment,
    "SegmentPort": schema.SegmentPort,
    "Tier1": schema.Tier1,
    "Tier0": schema.Tier0,
    "VirtualMachine": schema.VirtualMachine,
    "VirtualNetworkInterface": schema.Interface,
}
ENTRIES = frozenset(
    [
        "L4PortSetServiceEntry",
        "ICMPTypeServiceEntry",
        "IPProtocolServiceEntry",
        "ALGTypeServiceEntry",
        "IGMPTypeServiceEntry",
        "EtherTypeServiceEntry",
        "NestedServiceServiceEntry",
    ]
)
CONTAINERS = frozenset({"Infra", "Domain", "OrgRoot", "Org", "Project"})
FOLDERS = {
    "Domain": "domains",
    "Group": "groups",
    "SecurityPolicy": "security-policies",
    "Rule": "rules",
    "Service": "services",
    "Segment": "segments",
    "SegmentPort": "ports",
    "Tier1": "tier-1s",
    "Tier0": "tier-0s",
    "Org": "orgs",
    "Project": "projects",
}
"""Where a type's objects lie under their parent: `/infra/domains/default/groups/web`."""
CARD = ("owner_vm_id", "external_id", "device_key", "lport_attachment_id", "mac_address")
"""What tells network cards apart; any but the first may be missing."""
PARENTS = {"Group": "/infra/domains/default", "SecurityPolicy": "/infra/domains/default"}


@dataclass(frozen=True)
class Item:
    """One object: `path` is its policy path (a fabric object's id), `content` an instance of its schema."""

    kind: str
    path: str
    content: Any
    raw: dict[str, Any]
    site: Site


@dataclass
class Objects:
    """The objects that count, by type and path in the order read."""

    found: dict[tuple[str, str], Item] = field(default_factory=dict)
    entries: dict[str, list[tuple[dict[str, Any], Site]]] = field(default_factory=dict)  # that a service's tree holds
    broken: set[str] = field(default_factory=set)  # paths of what could not be read, which is no reason to miss it
    notes: Notes = field(default_factory=Notes)

    def of(self, kind: str) -> dict[str, Item]:
        """All of one type by path, sorted by it."""
        return {path: item for (one, path), item in sorted(self.found.items(), key=lambda pair: pair[0]) if one == kind}


def collect(documents: Sequence[Document], problems: list[Problem]) -> Objects:
    """Every object of the documents; mistakes go to `problems`."""
    reader = _Reader(problems)
    for document in documents:
        reader.walk(document, (), document.data, "")
    if reader.unused:
        kinds = ", ".join(f"{kind} ({count})" for kind, count in sorted(reader.unused.items()))
        reader.objects.notes.say(f"not used here: {kinds}")
    return reader.objects


def kind_of(data: dict[str, Any]) -> str:
    """The resource type, or what an object without one must be by its fields; empty where nothing tells."""
    kind = data.get("resource_type")
    if isinstance(kind, str):
        return kind
    for name, fields in _TELLING.items():
        if all(one in data for one in fields):
            return name
    return ""


_TELLING = {
    "VirtualNetworkInterface": ("owner_vm_id",),
    "VirtualMachine": ("external_id", "display_name"),
    "SecurityPolicy": ("rules",),
    "Group": ("expression",),
    "Service": ("service_entries", "id"),
    "Rule": ("action", "source_groups"),
    "SegmentPort": ("attachment",),
    "Segment": ("subnets",),
    "Tier1": ("tier0_path",),
}


class _Reader:
    def __init__(self, problems: list[Problem]) -> None:
        self.problems = problems
        self.objects = Objects()
        self.unused: Counter[str] = Counter()

    def walk(self, document: Document, steps: Path, data: Any, parent: str) -> None:
        """A response, an object, a wrapper of one in a tree, or a collection of any of these."""
        site = Site(document, steps, "", self.problems)
        if isinstance(data, list):
            for index, one in enumerate(data):
                self.walk(document, (*steps, index), one, parent)
        elif not isinstance(data, dict):
            site.report(f"is no object of NSX but {describe(data)}; leave it out")
        elif isinstance(data.get("results"), list) and "resource_type" not in data:
            self.walk(document, (*steps, "results"), data["results"], parent)
        elif kind := kind_of(data):
            self._typed(kind, data, parent, site)
        elif data and all(isinstance(value, list | dict) for value in data.values()):
            for key, value in data.items():
                self.walk(document, (*steps, key), value, parent)
        else:
            site.report('has no "resource_type"; add it, or leave the object out')

    def _typed(self, kind: str, data: dict[str, Any], parent: str, site: Site) -> None:
        if not kind.startswith("Child"):
            self._object(kind, data, parent, site)
        elif data.get("marked_for_delete") is True:
            return
        elif kind == "ChildResourceReference":
            target = str(data.get("target_type", ""))
            self._children(data, f"{parent}/{FOLDERS.get(target, target)}/{data.get('id', '')}", site)
        else:
            inner = kind.removeprefix("Child")
            value = data.get(inner)
            if isinstance(value, dict):
                self._object(kind_of(value) or inner, value, parent, site.at(inner))
            else:
                site.report(f'"{inner}" is missing in this {kind}; add it')

    def _children(self, data: dict[str, Any], path: str, site: Site) -> None:
        steps = (*site.root, *site.steps)
        if isinstance(data.get("children"), list):
            self.walk(site.document, (*steps, "children"), data["children"], path)

    def _object(self, kind: str, data: dict[str, Any], parent: str, site: Site) -> None:
        if data.get("marked_for_delete") is True:
            return
        if kind in ENTRIES:
            self.objects.entries.setdefault(parent, []).append((data, site))
            return
        path = _path(kind, data, parent)
        site = Site(site.document, (*site.root, *site.steps), f"{kind} {_title(data)}", self.problems)
        if kind in STRICT or kind in INVENTORY:
            self._add(kind, path, data, site)
        elif kind not in CONTAINERS:
            self.unused[kind] += 1
        self._children(data, path, site)
        rules = data.get("rules")
        if kind == "SecurityPolicy" and isinstance(rules, list):
            for index, rule in enumerate(rules):
                if isinstance(rule, dict):
                    self._object("Rule", rule, path, site.at("rules", index))
                else:
                    site.at("rules", index).report(f"must be a mapping, not {describe(rule)}")
        elif kind == "SecurityPolicy" and rules is not None:
            site.at("rules").report(f"must be a list, not {describe(rules)}")

    def _add(self, kind: str, path: str, data: dict[str, Any], site: Site) -> None:
        content: schema.Loose | None
        if kind in STRICT:
            content = read_strictly(STRICT[kind], data, site, self.objects.notes)
        else:
            content = read_loosely(INVENTORY[kind], data, site, self.objects.notes)
        if content is None:
            self.objects.broken.add(path)
            return
        if kind == "VirtualMachine":
            path = data["external_id"]
        if path.endswith("/") or not path:
            site.report('"id" is missing; add it')
            return
        earlier = self.objects.found.pop((kind, path), None)
        if earlier is not None and _essence(earlier.raw) != _essence(data):
            self.objects.notes.warn(earlier.site, f"is replaced by {site.line}; the later one counts")
        self.objects.found[kind, path] = Item(kind, path, content, data, site)


def _essence(data: dict[str, Any]) -> dict[str, Any]:
    """What is left when only the way it was exported differs."""
    return {key: value for key, value in data.items() if not key.startswith("_") and key not in ("children", "rules")}


def _title(data: dict[str, Any]) -> str:
    for key in ("display_name", "id", "external_id", "owner_vm_id"):
        if isinstance(data.get(key), str) and data[key]:
            return str(data[key])
    return "without a name"


def _path(kind: str, data: dict[str, Any], parent: str) -> str:
    """The path that the object has, or would have in NSX; ends in a slash where it has no id."""
    if isinstance(data.get("path"), str) and data["path"]:
        return str(data["path"])
    if kind == "VirtualNetworkInterface":
        return "vif:" + "/".join(str(data.get(key) or "-") for key in CARD)
    if kind in ("Infra", "PolicyExcludeList"):
        return f"{parent}/infra" if kind == "Infra" else "exclude-list"
    above = data.get("parent_path") if isinstance(data.get("parent_path"), str) else parent
    if not parent and not data.get("parent_path"):
        above = PARENTS.get(kind, "/infra")
    return f"{above}/{FOLDERS.get(kind, kind)}/{data.get('id') or data.get('display_name') or ''}"
