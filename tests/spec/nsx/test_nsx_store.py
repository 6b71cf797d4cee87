"""A whole export as files, as `sdn reach` gets it: the documented examples of groups and policies, put together."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from exports import World, listed

from sdn.model import Flow, Protocol
from sdn.spec.load import load

STORE = Path(__file__).parent / "store"
ANSWERS = {path.stem: json.loads(path.read_text()) for path in sorted(STORE.glob("*.json"))}
BARE = [ANSWERS[name] for name in ("infra", "virtual-machines", "vifs")]

VERDICTS = [
    ("web01 → db1:5432", "allow"),
    ("web01 → db1:6433", "allow"),
    ("web01 → db1:6435", "deny by egress application Store[rest]"),
    ("web01 → db1:icmp", "allow"),
    ("db1 → web01:80", "deny by egress application Store[rest]"),
    ("web01 → db2:5432", "deny by egress application Store[rest]"),  # Windows, so in no group
    ("db2 → db1:5432", "reject by ingress environment Zones[nobody else]"),
    ("web01 → dns:53/udp", "allow"),
    ("web01 → dns:54/udp", "deny by egress application Store[rest]"),
    ("jump → db1:22", "allow"),
    ("jump → db1:23", "reject by ingress environment Zones[nobody else]"),
    ("jump → dns:80", "allow"),
    ("web01 → 198.51.100.7:5432", "no-route by default: no path between these networks"),
    ("web01 → 198.51.100.7:80", "deny by egress application Store[rest]"),
]


@pytest.fixture(scope="module")
def store() -> World:
    return World(*BARE)


@pytest.mark.parametrize(("flow", "verdict"), VERDICTS)
def test_verdicts(store: World, flow: str, verdict: str) -> None:
    assert store.ask(flow) == verdict


def test_evaluate_is_trace(store: World) -> None:
    """Every pair on every port that a rule tells from others, and one beside it."""
    asked = [(Protocol.TCP, port) for port in (22, 23, 53, 80, 5431, 5432, 5433, 6432, 6434, 6435)]
    asked += [(Protocol.UDP, 53), (Protocol.UDP, 54), (Protocol.ICMP, 0)]
    for source in store.placed.endpoints.values():
        for target in store.placed.endpoints.values():
            for protocol, port in asked:
                flow = Flow(source.workload, target.addresses[0], protocol, port)
                assert tuple(trace.answer for trace in store.tracer.trace(flow)) == store.oracle.evaluate(flow), flow


def test_the_folder_is_a_lab_without_a_lab_file() -> None:
    found = load([STORE])
    assert found.model.name == "store"
    assert [workload.key for workload in found.model.workloads] == [
        "shared/dns",
        "shared/jump",
        "store/db1",
        "store/db2",
        "store/web01",
    ]
    assert {one.name: one.segment for one in found.model.workloads}["db1"] == "db"  # by its port alone
    assert found.model.exclusions
    assert found.warnings == ()


def test_excluded_cards_are_not_judged() -> None:
    asked = World(*ANSWERS.values())
    assert asked.ask("jump → dns:80") == "allow"
    assert asked.ask("dns → jump:22") == "allow"
    assert asked.ask("jump → db1:23") == "reject by ingress environment Zones[nobody else]"


def test_files_in_any_order_and_in_one_list_are_the_same() -> None:
    first = World(*BARE)
    assert World(*reversed(BARE)).placed == first.placed
    assert World(BARE).placed == first.placed
    assert World(BARE[0], listed(*BARE[1]["results"], *BARE[2]["results"])).placed == first.placed
