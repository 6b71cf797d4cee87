"""Labs for the data path: the same few workloads that talk, under policies for ever more others on their Host.

Entries are what the firewall of host-1 holds: rules, members of groups, and who is judged by which profile. Bystanders
make them: each has policies of its own that let random groups of the others in. Those who talk have one policy, which
lets all clients in, and each bystander is one of these. `blocks` puts that many address blocks before the clients.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

import msgspec

from sdn.model import Model
from sdn.plan.state import NodeState
from sdn.spec.load import load

IPERF, TALK = 5201, 5300
HOST = "host-1"
_PORTS = [f"{IPERF}/tcp", f"{IPERF}/udp", f"{TALK}/tcp", f"{TALK}/udp"]
MOST_BYSTANDERS = 100
_BYSTANDERS_PER_ENTRY = 1 / 100


def lab(folder: Path, name: str, entries: int, blocks: int = 0, seed: int = 1) -> Model:
    """A lab in which host-1 has about so many entries; no fewer than those who talk need themselves."""
    number = min(MOST_BYSTANDERS, int(entries * _BYSTANDERS_PER_ENTRY))
    groups = round(entries / (number + 2)) if number else 0
    chance = Random(seed)
    workloads = {**_talkers(), **_bystanders(number, groups, chance)}
    application = {
        "segments": {
            "pods": {"kind": "routed", "subnets": ["10.1.0.0/20", "fd00:1::/64"]},
            "lan": {"subnets": ["10.1.16.0/24", "fd00:2::/64"]},
        },
        "workloads": workloads,
        "services": {
            name: {"ports": [f"{port.split('/')[0]}:{port}" for port in _PORTS], "selector": {"name": name}}
            for name in ("near", "far")
        },
    }
    described = {
        "lab": name,
        "underlay": {"hosts": {"count": 2, "pods": 200}, "leaves": 1, "spines": 1},
        "applications": {"a": application},
        "policies": [*_policies(blocks), *_other_policies(number, groups)],
    }
    path = folder / f"{name}.json"
    path.write_bytes(msgspec.json.encode(described))
    return load([path]).model


def _talkers() -> dict[str, Any]:
    """A client, a server beside it and one on another Host, routed and bridged."""
    found = {}
    for segment, suffix in (("pods", ""), ("lan", "-lan")):
        for name, host in (("client", HOST), ("near", HOST), ("far", "host-2")):
            role = "client" if name == "client" else "server"
            labels = {"role": role, "name": name + suffix}
            found[name + suffix] = {"segment": segment, "host": host, "labels": labels}
    return found


def _bystanders(number: int, groups: int, chance: Random) -> dict[str, Any]:
    """Each is in half of the groups."""
    labels = [{f"g{group}": "in" for group in range(groups) if chance.random() < 1 / 2} for _ in range(number)]
    return {
        f"b{index}": {"segment": "pods", "host": HOST, "labels": {"role": "client", "name": f"b{index}", **mine}}
        for index, mine in enumerate(labels)
    }


def is_bystander(workload: str) -> bool:
    """By its key: whether it is there for its policies only."""
    return workload.startswith("a/b")


def _policies(blocks: int) -> list[dict[str, Any]]:
    """Who talks may do just that: clients to servers, on the ports of the benchmark."""
    strangers = [{"address": f"203.{index >> 8 & 255}.{index & 255}.0/25"} for index in range(blocks)]
    into = [{"action": "allow", "direction": "ingress", "from": strangers, "ports": _PORTS}] if strangers else []
    into.append({"action": "allow", "direction": "ingress", "from": [{"labels": {"role": "client"}}], "ports": _PORTS})
    out = {"action": "allow", "direction": "egress", "to": [{"labels": {"role": "server"}}], "ports": _PORTS}
    return [
        _policy("servers", {"role": "server"}, [*into, {"action": "deny", "direction": "ingress"}]),
        _policy("clients", {"role": "client"}, [out, {"action": "deny", "direction": "egress"}]),
    ]


def _other_policies(number: int, groups: int) -> list[dict[str, Any]]:
    """One per group, dealt out to the bystanders."""
    return [
        _policy(
            f"p{group}",
            {"name": f"b{group % number}"},
            [
                {
                    "action": "allow",
                    "direction": "ingress",
                    "from": [{"labels": {f"g{group}": "in"}}],
                    "ports": [f"{10_000 + group}/tcp"],
                }
            ],
        )
        for group in range(groups)
    ]


def _policy(name: str, labels: dict[str, str], rules: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return {"name": name, "applies_to": [{"labels": labels}], "rules": rules}


def entries(state: NodeState) -> int:
    """What a Host's firewall holds: rules, each with its blocks, elements of sets, and addresses that are judged."""
    firewall = state.firewall
    if firewall is None:
        return 0
    rules = sum(max(1, len(rule.blocks)) for chain in firewall.chains for rule in chain.rules)
    return rules + sum(len(one.elements) for one in firewall.sets) + len(firewall.egress) + len(firewall.ingress)
