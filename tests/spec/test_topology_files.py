"""The labs that ship with the project are sound, and what they expect follows from their policies."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from sdn.model import Disposition, Expectation, Flow, Placed, Together
from sdn.plan.allocate import allocate
from sdn.policy.evaluate import Oracle
from sdn.policy.lint import warnings
from sdn.scheduler import place
from sdn.spec.labfile.forms_scheduling import ConstraintsForm, SchedulingForm
from sdn.spec.load import Loaded, load
from sdn.spec.source import read_file

FOLDER = Path(__file__).parents[2] / "topologies"
NAMES = sorted(path.stem for path in FOLDER.glob("*.yaml"))


@cache
def loaded(name: str) -> Loaded:
    return load([FOLDER / f"{name}.yaml"])


@cache
def placed(name: str) -> Placed:
    model = loaded(name).model
    return allocate(model, place(model))


def test_the_three_that_the_documentation_names_are_there() -> None:
    assert {"online-boutique", "three-tier", "two-hosts"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_it_loads_without_a_warning(name: str) -> None:
    lab = loaded(name)
    assert lab.model.name == name
    assert (*lab.warnings, *warnings(lab.model, lab.where)) == ()


@pytest.mark.parametrize("name", NAMES)
def test_it_is_short_enough_to_be_read(name: str) -> None:
    assert len((FOLDER / f"{name}.yaml").read_text().splitlines()) <= 120


@pytest.mark.parametrize("name", NAMES)
def test_every_endpoint_and_service_is_dual_stack(name: str) -> None:
    addresses = [one.addresses for one in placed(name).endpoints.values()]
    addresses += [one.addresses for one in loaded(name).model.services]
    assert {tuple(":" in text for text in one) for one in addresses} == {(False, True)}


@pytest.mark.parametrize("name", NAMES)
def test_the_policies_give_what_the_lab_expects(name: str) -> None:
    oracle = Oracle(placed(name))
    wrong = [
        f"{one.at}: {flow} is {sorted(got)}"
        for one in loaded(name).model.expectations
        for flow in flows(name, one)
        if (got := {answer.verdict.disposition.value for answer in oracle.evaluate(flow)}) != {one.disposition.value}
    ]
    assert wrong == []


def flows(name: str, one: Expectation) -> list[Flow]:
    """One for each IP version."""
    if one.is_service:
        addresses = next(s.addresses for s in loaded(name).model.services if s.key == one.destination)
    else:
        addresses = placed(name).endpoints[one.destination].addresses
    return [Flow(one.source, address, one.protocol, one.port) for address in addresses]


def test_three_tier_uses_every_action_and_expects_every_kind_of_answer() -> None:
    model = loaded("three-tier").model
    assert {rule.action.value for policy in model.policies for rule in policy.rules} == {
        "allow",
        "deny",
        "reject",
        "pass",
    }
    expected = {one.disposition for one in model.expectations}
    assert expected == {Disposition.ALLOW, Disposition.DENY, Disposition.REJECT, Disposition.NO_ROUTE}
    subnets = {one.name: {s.name: s.subnets for s in one.segments} for one in model.applications}
    assert subnets["staging"].items() <= subnets["shop"].items()


CALLS = {
    "loadgenerator": {"frontend"},
    "frontend": {
        "adservice",
        "cartservice",
        "checkoutservice",
        "currencyservice",
        "productcatalogservice",
        "recommendationservice",
        "shippingservice",
    },
    "checkoutservice": {
        "cartservice",
        "currencyservice",
        "emailservice",
        "paymentservice",
        "productcatalogservice",
        "shippingservice",
    },
    "recommendationservice": {"productcatalogservice"},
    "cartservice": {"redis-cart"},
}
"""Who calls whom, from the `*_ADDR` variables of the published deployments."""


def test_online_boutique_allows_exactly_the_call_graph() -> None:
    lab = placed("online-boutique")
    oracle = Oracle(lab)
    allowed: dict[str, set[str]] = {}
    for source in lab.model.workloads:
        for target in lab.model.workloads:
            for port in target.ports if source.key != target.key else ():
                flow = Flow(source.key, lab.endpoints[target.key].addresses[1], port.protocol, port.number)
                if all(answer.verdict.allowed for answer in oracle.evaluate(flow)):
                    allowed.setdefault(source.name, set()).add(target.name)
    assert allowed == CALLS


def test_datacentre_uses_every_field_of_placement() -> None:
    (document,) = read_file(FOLDER / "datacentre.yaml", [])
    lab = document.data
    written = {key for one in lab["applications"]["shop"]["workloads"].values() for key in one}
    assert SchedulingForm.model_fields.keys() <= written | set(lab["nodes"]["node"])
    assert ConstraintsForm.model_fields.keys() == set(lab["scheduling"])
    assert {"overcommit", "numa", "state"} <= {key for host in lab["underlay"]["hosts"] for key in host}
    assert {"priority_classes", "running"} <= set(lab)
    rules = loaded("datacentre").model.constraints.rules
    assert {rule.kind for rule in rules} == set(Together)
    assert {rule.must for rule in rules} == {True, False}


def test_datacentre_is_placed_as_it_says() -> None:
    lab = placed("datacentre")
    hosts, racks = lab.placement.hosts, {host.name: host.labels["rack"] for host in lab.model.underlay.hosts}
    assert lab.model.running is not None
    assert lab.model.running.hosts.items() <= hosts.items()
    assert not {"spare", "old"} & set(hosts.values())
    assert racks[hosts["shop/db-0"]] != racks[hosts["shop/db-1"]]
    assert len({racks[hosts[f"nodes/node-{index}"]] for index in range(3)}) == 3
    public = {hosts[key] for key in hosts if key.startswith(("shop/web", "shop/api"))}
    assert not public & {hosts[key] for key in ("shop/db-0", "shop/db-1", "shop/report")}
