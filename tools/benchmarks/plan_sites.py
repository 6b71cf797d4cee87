"""Many small sites under one central policy, as a lab file: what a chain of shops with a till room each looks like.

A site is five Hosts on a border switch of its own, which hangs on two switches in the middle. Its Hosts have the label
`site`, by which its workloads stay there. Every site has an Application of its own, with the same addresses as all
others.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

HOSTS = 5
CORES = ("core-1", "core-2")
ROLES = {"till": (12, "8081/tcp"), "server": (3, "443/tcp"), "camera": (5, "554/tcp")}
"""Role → how many of a site, and what they listen on."""


def write(path: Path, sites: int) -> None:
    """The lab file."""
    names = [f"site-{number:04}" for number in range(sites)]
    path.write_text(
        json.dumps(
            {
                "lab": "sites",
                "underlay": _underlay(names),
                "applications": {name: _application(name) for name in names},
                "policies": [_policy()],
            }
        )
    )


def _underlay(sites: list[str]) -> dict[str, Any]:
    hosts = {f"{site}-host-{number}": site for site in sites for number in range(1, HOSTS + 1)}
    links = [{"a": host, "b": f"{site}-border"} for host, site in hosts.items()]
    links += [{"a": f"{site}-border", "b": core} for site in sites for core in CORES]
    switches = [{"name": f"{site}-border", "role": "border"} for site in sites]
    switches += [{"name": core, "role": "spine"} for core in CORES]
    return {
        "hosts": [{"name": host, "labels": {"site": site}} for host, site in hosts.items()],
        "switches": switches,
        "links": links,
    }


def _application(site: str) -> dict[str, Any]:
    workloads = {
        role: {"replicas": count, "labels": {"role": role}, "ports": [port], "node_selector": {"site": site}}
        for role, (count, port) in ROLES.items()
    }
    return {"segments": {"lan": {"subnets": ["10.1.0.0/24"]}}, "workloads": workloads}


def _policy() -> dict[str, Any]:
    """Central: it names roles, and no site."""
    till, server, camera = ({"labels": {"role": role}} for role in ROLES)
    return {
        "name": "central",
        "tier": "environment",
        "rules": [
            {"action": "allow", "direction": "ingress", "applies_to": [server], "from": [till], "ports": ["443/tcp"]},
            {"action": "allow", "direction": "egress", "applies_to": [till], "to": [server], "ports": ["443/tcp"]},
            {"action": "allow", "direction": "ingress", "applies_to": [camera], "from": [server], "ports": ["554/tcp"]},
            {"action": "allow", "direction": "egress", "applies_to": [server], "to": [camera], "ports": ["554/tcp"]},
            {"action": "deny", "direction": "ingress", "applies_to": [till, server, camera]},
            {"action": "deny", "direction": "egress", "applies_to": [till, server, camera]},
        ],
    }
