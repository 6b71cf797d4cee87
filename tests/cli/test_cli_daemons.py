"""A DaemonSet has a Pod on each host: no number scales it, and a host that comes, or comes back, has its own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from labs import new_name, sdn

pytestmark = pytest.mark.kernel

AGENT = """\
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: agent, namespace: shop}
spec:
  selector: {matchLabels: {app: agent}}
  template:
    metadata: {labels: {app: agent}}
    spec: {containers: [{name: agent, image: agent, ports: [{containerPort: 80}]}]}
"""
LAB = "lab: {name}\nunderlay: {{hosts: {hosts}, leaves: 1, spines: 1}}\nmanifests: [agent.yaml]\n"


def test_its_pods_follow_the_hosts(tmp_path: Path) -> None:
    name, file = new_name("daemons"), tmp_path / "lab.yaml"
    (tmp_path / "agent.yaml").write_text(AGENT)

    def said(*arguments: str) -> str:
        done = sdn(*arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def homes() -> dict[str, str]:
        found = json.loads(said("status", name, "--format", "json"))["workloads"]
        return {key: endpoint["host"] for key, endpoint in found.items()}

    file.write_text(LAB.format(name=name, hosts=2))
    said("up", str(file))
    try:
        assert homes() == {"shop/agent-0": "host-1", "shop/agent-1": "host-2"}
        refused = sdn("scale", "shop/agent", "3", "--lab", name)
        assert refused.returncode == 2
        assert "shop/agent is a DaemonSet: it runs once on each host or node" in refused.stderr
        assert "add hosts or nodes, or change the nodeSelector" in refused.stderr
        file.write_text(LAB.format(name=name, hosts=3))
        said("apply", str(file))
        assert homes() == {f"shop/agent-{number - 1}": f"host-{number}" for number in (1, 2, 3)}
        said("fail", "host", "host-2", "--lab", name)
        assert homes() == {"shop/agent-0": "host-1", "shop/agent-2": "host-3"}
        assert "shop/agent-1" in said("heal", "host-2", "--lab", name)
        assert homes()["shop/agent-1"] == "host-2"
    finally:
        sdn("down", name)
