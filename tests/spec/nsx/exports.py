"""Shorthands for tests of NSX exports: objects as the APIs return them, and what becomes of them."""

from __future__ import annotations

import json
from typing import Any

from sdn.errors import Problem
from sdn.model import Answer, Flow, Group, Model, Placement, Protocol, Workload
from sdn.plan.allocate import allocate
from sdn.plan.desired import plan_placed
from sdn.plan.trace import Tracer
from sdn.policy.evaluate import Oracle
from sdn.policy.oracle_members import Members
from sdn.spec.check import check
from sdn.spec.nsx import is_nsx
from sdn.spec.nsx import read as nsx
from sdn.spec.parts import LabParts
from sdn.spec.source import read_text
from sdn.spec.underlay import default_underlay

GROUPS = "/infra/domains/default/groups/"
ANY = ["ANY"]
Object = dict[str, Any]


def read(*answers: Any) -> tuple[LabParts, list[str]]:
    """What the answers of the API become, one file each, and their mistakes."""
    problems: list[Problem] = []
    documents = [
        document
        for number, answer in enumerate(answers)
        for document in read_text(f"{number}.json", json.dumps(answer, indent=1).encode(), problems)
    ]
    assert all(is_nsx(document) for document in documents)
    found = nsx.read(documents, problems)
    return found, [str(problem) for problem in sorted(set(problems))]


def good(*answers: Any) -> LabParts:
    """What answers without a mistake become, checked as a whole Model is."""
    found, problems = read(*answers)
    assert problems == []
    assert [str(problem) for problem in check(model(found), [found.where])] == []
    return found


def bad(*answers: Any) -> list[str]:
    """The mistakes alone, without file, line and column."""
    return [problem.split(": ", 1)[1] for problem in read(*answers)[1]]


def warned(found: LabParts) -> str:
    """All warnings, without their places."""
    return "\n".join(found.warnings)


def model(found: LabParts) -> Model:
    """The parts as a Model."""
    further: dict[str, Any] = {"service_prefixes": found.service_prefixes} if found.service_prefixes else {}
    return Model(
        name="nsx",
        underlay=default_underlay(found.workloads),
        applications=tuple(sorted(found.applications, key=lambda one: one.name)),
        workloads=tuple(sorted(found.workloads, key=lambda one: one.key)),
        policies=tuple(sorted(found.policies, key=lambda one: one.name)),
        groups=tuple(sorted(found.groups, key=lambda one: one.name)),
        exclusions=tuple(found.exclusions),
        **further,
    )


class World:
    """Flows between VMs by their names, answered by the oracle and, the same, by the planned state."""

    def __init__(self, *answers: Any) -> None:
        self.parts = good(*answers)
        made = model(self.parts)
        host = made.underlay.hosts[0].name
        self.placed = allocate(made, Placement({workload.key: host for workload in made.workloads}))
        self.oracle = Oracle(self.placed)
        self.tracer = Tracer(plan_placed(self.placed).plan)
        self.keys = {workload.name: workload.key for workload in made.workloads}

    def ask(self, text: str, family: int = 4) -> str:
        """`web → db:5432` (TCP), `web → db:53/udp`, `web → db:icmp`, `web → 203.0.113.9:80`: verdict and rule."""
        source, _, rest = text.partition(" → ")
        target, _, port = rest.partition(":")
        number, _, protocol = port.partition("/")
        if number == "icmp":
            number, protocol = "0", "icmp"
        address = target
        if target in self.keys:
            found = self.placed.endpoints[self.keys[target]].address(family)
            assert found is not None
            address = found
        flow = Flow(self.keys[source], address, Protocol(protocol or "tcp"), int(number))
        answers = self.oracle.evaluate(flow)
        assert tuple(trace.answer for trace in self.tracer.trace(flow)) == answers
        return said(answers[0])


def said(answer: Answer) -> str:
    """`allow`, or `deny by ingress application web[no ssh]`."""
    verdict = answer.verdict
    return str(verdict.disposition) if verdict.allowed else f"{verdict.disposition} by {verdict.rule}"


def members(name: str, *answers: Any) -> list[str]:
    """The names of the VMs of a group, as the oracle reads it."""
    made = model(good(*answers))
    reading = Members(made)
    return [workload.name for workload in made.workloads if reading.is_member(name, workload)]


def listed(*objects: Any) -> Object:
    """A list response."""
    return {"results": list(objects), "result_count": len(objects), "sort_ascending": True}


def tags(*texts: str) -> list[Object]:
    """From `scope|tag`."""
    return [{"scope": text.partition("|")[0], "tag": text.partition("|")[2]} for text in texts]


def vm(name: str, *tagged: str, os: str = "", computer: str = "") -> Object:
    """As /fabric/virtual-machines lists it."""
    return {
        "resource_type": "VirtualMachine",
        "external_id": f"id-{name}",
        "display_name": name,
        "power_state": "VM_RUNNING",
        "guest_info": {"os_name": os, "computer_name": computer},
        "tags": tags(*tagged),
    }


def vif(owner: str, *addresses: str, port: str = "", number: int = 0) -> Object:
    """As /fabric/vifs lists it; `port` is what it is attached to."""
    return {
        "resource_type": "VirtualNetworkInterface",
        "external_id": f"vif-{owner}-{number}",
        "owner_vm_id": f"id-{owner}",
        "device_key": str(4000 + number),
        "mac_address": "00:50:56:00:00:01",
        "lport_attachment_id": port or f"att-{owner}-{number}",
        "ip_address_info": [{"source": "VM_TOOLS", "ip_addresses": list(addresses)}],
    }


def segment(name: str, *gateways: str, t1: str = "", **more: Any) -> Object:
    """With `t1` below that gateway."""
    made: Object = {"resource_type": "Segment", "id": name, "display_name": name, "path": f"/infra/segments/{name}"}
    made["subnets"] = [{"gateway_address": gateway} for gateway in gateways]
    if t1:
        made["connectivity_path"] = f"/infra/tier-1s/{t1}"
    return made | more


def t1(name: str, t0: str = "north", **more: Any) -> Object:
    """A gateway below a T0."""
    made = {"resource_type": "Tier1", "id": name, "display_name": name, "path": f"/infra/tier-1s/{name}"}
    return made | ({"tier0_path": f"/infra/tier-0s/{t0}"} if t0 else {}) | more


def group(name: str, *expression: Object, **more: Any) -> Object:
    """In the default domain."""
    made = {"resource_type": "Group", "id": name, "display_name": name, "path": GROUPS + name}
    return made | {"expression": list(expression)} | more


def condition(key: str, operator: str, value: str, member: str = "VirtualMachine", **more: Any) -> Object:
    """One condition."""
    made = {"resource_type": "Condition", "member_type": member, "key": key, "operator": operator, "value": value}
    return made | more


def tagged(value: str) -> Object:
    """VMs with a tag."""
    return condition("Tag", "EQUALS", value)


AND = {"resource_type": "ConjunctionOperator", "conjunction_operator": "AND"}
OR = {"resource_type": "ConjunctionOperator", "conjunction_operator": "OR"}


def paths(*texts: str) -> Object:
    """A PathExpression."""
    return {"resource_type": "PathExpression", "paths": list(texts)}


def addresses(*texts: str) -> Object:
    """An IPAddressExpression."""
    return {"resource_type": "IPAddressExpression", "ip_addresses": list(texts)}


def tcp(*ports: str, **more: Any) -> Object:
    """A service entry."""
    return {"resource_type": "L4PortSetServiceEntry", "l4_protocol": "TCP", "destination_ports": list(ports)} | more


def service(name: str, *entries: Object) -> Object:
    """A service of the user's own."""
    made = {"resource_type": "Service", "id": name, "display_name": name, "path": f"/infra/services/{name}"}
    return made | {"service_entries": list(entries)}


def rule(name: str, source: list[str], target: list[str], *entries: Object, **more: Any) -> Object:
    """Groups by their ids, ALLOW unless `action` says otherwise, with inline service entries."""

    def ends(names: list[str]) -> list[str]:
        return [n if n == "ANY" or n[0] == "/" or n[0].isdigit() or ":" in n else GROUPS + n for n in names]

    made: Object = {"resource_type": "Rule", "id": name, "display_name": name, "action": "ALLOW"}
    made |= {"source_groups": ends(source), "destination_groups": ends(target), "services": [] if entries else ["ANY"]}
    return made | {"service_entries": list(entries), "scope": ["ANY"]} | more


def policy(name: str, *rules: Object, category: str = "Application", **more: Any) -> Object:
    """Its rules get sequence numbers in their order where they have none."""
    made: Object = {"resource_type": "SecurityPolicy", "id": name, "display_name": name, "category": category}
    made["path"] = f"/infra/domains/default/security-policies/{name}"
    made["rules"] = [{"sequence_number": 10 * (index + 1)} | one for index, one in enumerate(rules)]
    return made | {"sequence_number": 10, "scope": ["ANY"]} | more


def default(action: str = "ALLOW") -> Object:
    """The policy that every NSX has, whose rule is the default."""
    last = rule("default-rule", ANY, ANY, action=action, is_default=True)
    return policy("default-layer3-section", last, sequence_number=2147483647, is_default=True)


def workloads(found: LabParts) -> dict[str, Workload]:
    """By name."""
    return {workload.name: workload for workload in found.workloads}


def groups(found: LabParts) -> dict[str, Group]:
    """By name."""
    return {one.name: one for one in found.groups}
