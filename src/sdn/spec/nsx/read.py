"""An export of NSX as pieces of a Model: networks and VMs, groups, policies, exclusions."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_network

from sdn.errors import Problem
from sdn.model import Selector
from sdn.spec.kubernetes.ranges import SERVICE_RANGES
from sdn.spec.nsx.addresses import generated, meet
from sdn.spec.nsx.collect import Objects, collect
from sdn.spec.nsx.fields import Notes
from sdn.spec.nsx.groups import Groups
from sdn.spec.nsx.inventory import Inventory
from sdn.spec.nsx.policies import Policies
from sdn.spec.nsx.rules import Reader
from sdn.spec.nsx.services import Services
from sdn.spec.parts import LabParts, place_key
from sdn.spec.source import Document


def read(documents: Sequence[Document], problems: list[Problem]) -> LabParts:
    """What the export is; every mistake in it is appended to `problems`."""
    objects = collect(documents, problems)
    inventory = Inventory(objects)
    groups = Groups(objects, inventory)
    policies = Policies(objects, Reader(groups, Services(objects), inventory, objects.notes))
    parts = LabParts(
        applications=inventory.applications,
        workloads=inventory.workloads,
        policies=policies.policies,
        groups=groups.groups,
        exclusions=_exclusions(objects, groups, inventory, objects.notes),
    )
    named = {place_key("group", groups.names[path]): item.site.line for path, item in objects.of("Group").items()}
    parts.where = {**inventory.where, **policies.where, **named}
    parts.service_prefixes = _service_prefixes(inventory)
    parts.warnings = objects.notes.texts
    return parts


def _service_prefixes(inventory: Inventory) -> tuple[str, ...]:
    """NSX has no range for Services; where a segment lies in the usual one, another is set aside."""
    networks = [ip_network(text) for one in inventory.applications for s in one.segments for text in s.subnets]
    usual = [ip_network(text) for text in SERVICE_RANGES]
    if not any(meet(network, taken) for network in networks for taken in usual):
        return ()
    chosen = generated(networks)(2**14)
    return (str(chosen), *(str(one) for one in usual if one.version == 6 and not any(meet(n, one) for n in networks)))


def _exclusions(objects: Objects, groups: Groups, inventory: Inventory, notes: Notes) -> list[Selector]:
    """Whom the distributed firewall leaves alone."""
    result = []
    for item in objects.of("PolicyExcludeList").values():
        for index, path in enumerate(item.content.members):
            site = item.site.at("members", index)
            if "/groups/" in path:
                name = groups.name(path, site)
                result.append(Selector(groups=(name,)))
            elif (selector := inventory.segment(path)) is not None:
                result.append(selector)
            elif keys := inventory.by_port.get(path):
                result.append(Selector(keys=tuple(sorted(keys))))
            else:
                notes.once(site, f"{path} is not in the export; it excludes nobody")
    return sorted(result, key=repr)
