"""Warnings about what is legal and does nothing, word by word: people read them, so their words are the behaviour."""

from __future__ import annotations

from pathlib import Path

import pytest

from sdn.model import (
    IPBlock,
    LabelSelector,
    NetworkPolicy,
    Operator,
    Policy,
    Selector,
    Service,
    ServicePort,
)
from sdn.policy.lint import warnings
from worlds_base import ALL, DB, KUBE, SITE, WEB, kube, service
from worlds_build import (
    BOTH,
    EGRESS,
    INGRESS,
    act,
    block,
    labelled,
    need,
    netpol,
    pods,
    pods_in,
    rule,
    spaces,
    tcp,
    tier,
    udp,
)

P, T, S = "NetworkPolicy shop/p", "policy t", "service shop/s"
SQL = service("shop/s", "cluster", 9, ServicePort(5432, "sql"), app="db")


def to_all(selector: LabelSelector) -> NetworkPolicy:
    """A policy for these pods that does nothing else."""
    return netpol("shop/p", selector, ingress=[rule()])


@pytest.mark.parametrize(
    ("thing", "expected"),
    [
        pytest.param(
            netpol("shop/p", DB, BOTH, [rule(pods(app="web"), tcp("sql"))], [rule(tcp("http"))]), (), id="fine"
        ),
        pytest.param(netpol("shop/p", DB, ingress=[rule(block("203.0.113.0/24"))]), (), id="outside"),
        pytest.param(SITE, (), id="service, ok"),
        pytest.param(tier("application/t", act("deny", INGRESS, IPBlock("203.0.113.0/24"))), (), id="tier, ok"),
        pytest.param(
            to_all(labelled(app="frontend")),
            (f"{P}: app=frontend selects no pod of namespace shop (there are: app=api, app=db, app=web)",),
            id="nobody selected: nothing near, but what there is helps",
        ),
        pytest.param(
            to_all(labelled(app="webb")),
            (f"{P}: app=webb selects no pod of namespace shop (did you mean app=web?)",),
            id="nobody selected: near miss",
        ),
        pytest.param(
            to_all(labelled(aps="web")),
            (f"{P}: aps=web selects no pod of namespace shop (there are labels: app, site, tier)",),
            id="no such key",
        ),
        pytest.param(
            netpol("ops/q", labelled(app="db")),
            ("NetworkPolicy ops/q: app=db selects no pod of namespace ops (there are: app=mon, app=web)",),
            id="the label is another namespace's",
        ),
        pytest.param(
            netpol("shop/p", DB, ingress=[rule(pods(app="mon")), rule(pods(app="mon"), tcp(80))]),
            (f"{P}: peer app=mon selects no workload (there are: app=api, app=db, app=web)",),
            id="peer, said once for all its rules",
        ),
        pytest.param(
            netpol("shop/p", DB, ingress=[rule(spaces(team="c"))]),
            (f"{P}: peer namespaces team=c selects no workload (there are: team=a, team=b)",),
            id="no such namespace",
        ),
        pytest.param(
            netpol("shop/p", DB, ingress=[rule(pods_in(labelled(team="b"), DB))]),
            (f"{P}: peer app=db in namespaces team=b selects no workload (there are: app=mon, app=web)",),
            id="no such pod in those namespaces",
        ),
        pytest.param(
            netpol("shop/p", labelled(need("app", Operator.IN, "x", "y"), need("tier", Operator.EXISTS))),
            (f"{P}: app in (x, y),tier selects no pod of namespace shop (there are: app=api, app=db, app=web)",),
            id="expressions",
        ),
        pytest.param(
            netpol("shop/p", DB, [INGRESS], egress=[rule(pods(app="mon"))]),
            (),
            id="rules of a direction that is not isolated are no rules",
        ),
        pytest.param(
            netpol("shop/p", DB, ingress=[rule(tcp("sqll")), rule(udp("sql"))]),
            (
                f"{P}: port sqll/tcp is a name that no selected workload gives (did you mean sql/tcp?)",
                f"{P}: port sql/udp is a name that no selected workload gives (did you mean sql/tcp?)",
            ),
            id="named port of the selected pods",
        ),
        pytest.param(
            netpol("shop/p", DB, [EGRESS], egress=[rule(pods(app="api"), tcp("sql"))]),
            (f"{P}: port sql/tcp is a name that no selected workload gives (there are: http/tcp)",),
            id="named port of the peers",
        ),
        pytest.param(
            tier("application/t", act("deny", INGRESS, tcp("sql")), to=[Selector(labels=WEB)]),
            (f"{T}: port sql/tcp is a name that no selected workload gives (there are: http/tcp, ssh/tcp)",),
            id="tier: named port",
        ),
        pytest.param(
            tier("application/t", act("deny", INGRESS), to=[Selector(namespaces=("shpo",), labels=WEB)]),
            (f"{T}: applies_to labels app=web and namespaces shpo selects no workload (did you mean shop?)",),
            id="tier: for nobody",
        ),
        pytest.param(
            tier(
                "application/t", act("deny", INGRESS, Selector(name="mno")), act("deny", EGRESS, Selector(name="mno"))
            ),
            (f"{T}: peer name mno selects no workload (there are: api, db, mon, old, web)",),
            id="tier: peer by name",
        ),
        pytest.param(
            tier("application/t", act("deny", INGRESS, Selector(namespace_labels=labelled(team="z")))),
            (f"{T}: peer namespace_labels team=z selects no workload (there are: team=a, team=b)",),
            id="tier: namespace labels",
        ),
        pytest.param(
            service("shop/s", "cluster", 9, ServicePort(80, 80), app="mon"),
            (f"{S}: selector app=mon selects no workload (there are: app=api, app=db, app=web)",),
            id="service of nobody: the label is another namespace's",
        ),
        pytest.param(
            service("shop/s", "cluster", 9, ServicePort(80, 80)),
            (f"{S}: has no selector, so nobody stands behind it",),
            id="service without selector",
        ),
        pytest.param(
            service("shop/s", "cluster", 9, ServicePort(53, "dns", udp().protocol), ServicePort(80, "htp"), app="db"),
            (f"{S}: target port htp/tcp is a name that no selected workload gives (did you mean http/tcp?)",),
            id="service: target port by name",
        ),
    ],
)
def test_sentence(thing: NetworkPolicy | Policy | Service, expected: tuple[str, ...]) -> None:
    assert warnings(kube(thing), {}) == expected


def test_ordered_by_file_and_line_with_the_place_before_the_sentence() -> None:
    lab = kube(to_all(labelled(app="none")), netpol("ops/q", DB), SQL, service("shop/t", "cluster", 8))
    found = warnings(lab, {P: "b.yaml:10", "NetworkPolicy ops/q": "b.yaml:9", "service shop/t": "a.yaml:30:5"})
    assert [text.split(": ")[0] for text in found] == ["a.yaml:30:5", "b.yaml:9", "b.yaml:10"]


def test_a_policy_for_vms_alone_selects_no_pod() -> None:
    vm = [workload for workload in KUBE if workload.name == "old"]
    assert warnings(kube(to_all(ALL), workloads=vm), {}) == (f"{P}: everything selects no pod of namespace shop",)


def test_nothing_here_depends_on_the_working_directory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert warnings(kube(SQL), {}) == ()
