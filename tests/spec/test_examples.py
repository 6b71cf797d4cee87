"""What the documentation of Kubernetes and of the network policy API shows, and whom it lets reach whom.

The manifests say in our words what the pages say in theirs: "Network Policies" of kubernetes.io and the user stories,
NPEP-126 and NPEP-133 of network-policy-api.sigs.k8s.io. Outside, "no-route" is what egress allows.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from sdn.model import Flow, Model
from sdn.plan.allocate import allocate
from sdn.policy.evaluate import Oracle
from sdn.scheduler import place
from sdn.spec.expect import Directory, parse_line
from sdn.spec.load import load

FOLDER = Path(__file__).parent / "examples"
NAMES = sorted(path.stem for path in FOLDER.glob("*.yaml") if path.stem != "cluster")

CNP_SHUT = """
web → vault 8443/tcp: deny
prom → vault icmp: deny
vault → web 80/tcp: allow
web → cache 6379/tcp: allow
"""
CNP_OPEN = """
prom → web 80/tcp: allow
prom → cache icmp: allow
vault → web 80/tcp: deny
web → dns 53/udp: allow
web → dns 9/tcp: allow
web → cache 6379/tcp: deny
cache → vault 8443/tcp: deny
vault → dns 53/udp: allow
"""

REACH = {
    "np-both-directions": """
web → cache 6379/tcp: allow
web → cache 6380/tcp: deny
vault → cache 6379/tcp: allow
prom → cache 6379/tcp: allow
prom → cache 6379/udp: deny
cache → 203.0.113.9 5978/tcp: no-route
cache → 203.0.113.9 5979/tcp: deny
cache → web 80/tcp: deny
vault → web 80/tcp: allow
""",
    "np-no-ingress": """
web → cache 6379/tcp: deny
prom → web icmp: deny
web → vault 8443/tcp: allow
""",
    "np-all-ingress": """
web → cache 6379/tcp: allow
prom → web icmp: allow
""",
    "np-no-egress": """
web → cache 6379/tcp: deny
web → dns 53/udp: deny
web → 203.0.113.9 443/tcp: deny
prom → web 80/tcp: allow
""",
    "np-all-egress": """
web → cache 6379/tcp: allow
web → 203.0.113.9 443/tcp: no-route
""",
    "np-nothing-at-all": """
web → cache 6379/tcp: deny
prom → web 80/tcp: deny
web → dns 53/udp: deny
vault → prom 9090/tcp: allow
""",
    "np-port-range": """
web → 203.0.113.9 31999/tcp: deny
web → 203.0.113.9 32000/tcp: no-route
web → 203.0.113.9 32768/tcp: no-route
web → 203.0.113.9 32769/tcp: deny
web → cache 32000/tcp: deny
cache → vault 8443/tcp: allow
""",
    "np-several-namespaces": """
web → vault 8443/tcp: allow
web → dns 53/udp: allow
web → prom icmp: allow
web → cache 6379/tcp: deny
""",
    "np-namespace-by-name": """
prom → web 80/tcp: allow
dns → web 80/tcp: deny
web → cache 6379/tcp: deny
""",
    "cnp-shut-a-namespace": CNP_SHUT,
    "anp-shut-a-namespace": CNP_SHUT,
    "cnp-always-allow": CNP_OPEN,
    "anp-always-allow": CNP_OPEN,
    "cnp-delegate": """
web → vault 8443/tcp: allow
web → vault 8444/tcp: deny
web → vault icmp: deny
prom → vault 8443/tcp: deny
web → cache 6379/tcp: allow
""",
    "cnp-baseline": """
prom → web 80/tcp: allow
prom → web 81/tcp: deny
web → cache 6379/tcp: deny
web → vault 8443/tcp: deny
web → 203.0.113.9 443/tcp: no-route
""",
    "cnp-ports": """
vault → web 80/tcp: allow
vault → web 81/tcp: deny
web → vault 8443/tcp: allow
web → vault 9000/tcp: deny
web → vault icmp: deny
web → prom 9091/tcp: allow
""",
    "cnp-domain-names": """
web → 203.0.113.9 443/tcp: deny
web → vault 8443/tcp: allow
vault → 203.0.113.9 443/tcp: no-route
""",
    "anp-nodes": """
web → 203.0.113.9 6443/tcp: deny
web → vault 443/tcp: deny
web → vault 8443/tcp: allow
vault → web 443/tcp: allow
""",
    "anp-networks": """
web → 203.0.113.9 53/udp: deny
web → 203.0.113.9 53/tcp: no-route
web → 203.0.113.99 53/udp: no-route
web → 198.51.100.10 53/udp: deny
web → 198.51.100.10 443/tcp: deny
web → vault 8443/tcp: allow
""",
    "banp-guardrail": """
web → dns 53/udp: allow
web → dns 53/tcp: allow
web → vault 8443/tcp: deny
vault → web icmp: deny
""",
}


@cache
def model(name: str) -> Model:
    return load([FOLDER / "cluster.yaml", FOLDER / f"{name}.yaml"]).model


def test_every_example_has_its_table_and_no_other() -> None:
    assert sorted(REACH) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_an_example_lets_reach_whom_its_page_says(name: str) -> None:
    placed = allocate(model(name), place(model(name)))
    oracle = Oracle(placed)
    directory = Directory(model(name).workloads, model(name).services)
    wrong = []
    for text in REACH[name].strip().splitlines():
        (claim,) = directory.expectations(parse_line(text))
        owner = placed.endpoints.get(claim.destination)
        address = owner.addresses[0] if owner is not None else claim.destination
        (answer,) = oracle.evaluate(Flow(claim.source, address, claim.protocol, claim.port))
        if answer.verdict.disposition is not claim.disposition:
            wrong.append(f"{text}, but: {answer.verdict}")
    assert wrong == []
