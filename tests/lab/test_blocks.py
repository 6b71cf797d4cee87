"""A rule of several address blocks: one lookup in the kernel, which is what evaluate and trace say."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from sdn.lab import client
from sdn.plan.state import Chain
from sdn.spec.load import load

BLOCKS = ["10.1.0.2/31", "10.1.0.2/32", "10.1.0.9/32", "203.0.113.0/24", "fd00:1::2/128", "fd00:1::8/125"]
EXPECTED = {"a": "allow", "b": "deny", "c": "allow"}
PEERS = [{"address": block} for block in BLOCKS]


def written() -> dict[str, object]:
    """Two senders inside the blocks and one outside; what is denied by blocks is judged before all that is allowed."""
    addresses = {"a": 2, "b": 5, "c": 9, "server": 20}
    workloads = {
        name: {"segment": "pods", "ip": [f"10.1.0.{number}", f"fd00:1::{number:x}"], "ports": ["80/tcp", "81/tcp"]}
        for name, number in addresses.items()
    }
    rules = [
        {"action": "reject", "direction": "ingress", "from": PEERS, "ports": ["81/tcp"]},
        {"action": "allow", "direction": "ingress", "from": PEERS, "ports": ["80-81/tcp"]},
        {"action": "deny", "direction": "ingress"},
    ]
    return {
        "lab": "blocks",
        "underlay": {"hosts": 2},
        "applications": {
            "shop": {
                "segments": {"pods": {"kind": "routed", "subnets": ["10.1.0.0/24", "fd00:1::/64"]}},
                "workloads": workloads,
            }
        },
        "policies": [{"name": "from-blocks", "applies_to": [{"name": "server"}], "rules": rules}],
        "expect": [
            line
            for name, verdict in EXPECTED.items()
            for line in (
                f"{name} → server 80/tcp: {verdict}",
                f"{name} → server 81/tcp: {'reject' if verdict == 'allow' else 'deny'}",
            )
        ],
    }


@pytest.mark.kernel
def test_three_answers_and_nothing_differs(tmp_path: Path) -> None:
    path = tmp_path / "lab.yaml"
    path.write_text(yaml.safe_dump(written(), allow_unicode=True))
    with client.temporary(load([path]).model) as lab:
        lab.built()
        report = lab.test()
        assert lab.status().drift == ()
        rules = [rule for chain in _firewall(lab) for rule in chain.rules if rule.blocks]
    assert [result.disagreement for result in report.results if result.disagreement] == []
    assert report.failed_expectations == ()
    assert {(rule.family, len(rule.blocks)) for rule in rules} == {(4, 3), (6, 2)}
    assert len(report.results) > len(EXPECTED)


def _firewall(lab: client.Lab) -> list[Chain]:
    return [chain for state in lab.plan().values() if state.firewall for chain in state.firewall.chains]
