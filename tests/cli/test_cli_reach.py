"""The verbs that answer from policy alone: what they print, and what they say to bad input."""

from __future__ import annotations

import csv
import json
from io import StringIO
from pathlib import Path

import pytest
from click.testing import CliRunner

from sdn.cli import sdn

SHOP = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: web, ports: [{containerPort: 80}]}]}
---
apiVersion: v1
kind: Pod
metadata: {name: db, namespace: shop, labels: {app: db}}
spec: {containers: [{name: db, image: db}]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: db, namespace: shop}
spec:
  podSelector: {matchLabels: {app: db}}
  policyTypes: [Ingress, Egress]
  ingress:
    - from: [{podSelector: {matchLabels: {app: web}}}]
      ports: [{port: 5432}, {port: 8000, endPort: 8999}]
  egress:
    - to: [{ipBlock: {cidr: 0.0.0.0/0, except: [10.0.0.0/8]}}]
"""
OUTSIDE = "0.0.0.0-9.255.255.255", "11.0.0.0-255.255.255.255"
WEB, DB = {"workload": "shop/web", "kind": "Deployment"}, {"workload": "shop/db", "kind": "Pod"}
ANY = [{"protocol": "any"}]


def run(*arguments: str, text: str | None = None) -> tuple[int, str, str]:
    done = CliRunner().invoke(sdn, arguments, input=text)
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, done.stdout, done.stderr


@pytest.fixture
def shop(tmp_path: Path) -> str:
    path = tmp_path / "shop.yaml"
    path.write_text(SHOP)
    return str(path)


def test_reach_as_json(shop: str) -> None:
    status, out, _ = run("reach", shop, "--format", "json")
    assert status == 0
    free, own = {"external": list(OUTSIDE)}, {"external": ["10.0.0.0-10.255.255.255"]}
    assert json.loads(out) == {
        "connections": [
            {"src": DB, "dst": free, "allowed": ANY},
            {"src": WEB, "dst": DB, "allowed": [{"protocol": "TCP", "ports": "5432,8000-8999"}]},
            {"src": WEB, "dst": free, "allowed": ANY},
            {"src": WEB, "dst": own, "allowed": ANY},
            {"src": free, "dst": WEB, "allowed": ANY},
            {"src": own, "dst": WEB, "allowed": ANY},
        ]
    }


def test_reach_as_text_has_a_line_for_each_range(shop: str) -> None:
    _, out, _ = run("reach", shop)
    assert "shop/web [Deployment] → shop/db [Pod]: TCP 5432,8000-8999" in out.splitlines()
    assert f"shop/db [Pod] → outside {OUTSIDE[0]}: any" in out.splitlines()
    assert len(out.splitlines()) == 9


def test_reach_as_csv(shop: str) -> None:
    rows = list(csv.DictReader(StringIO(run("reach", shop, "--format", "csv")[1])))
    assert rows[1] == {
        "src": "shop/web", "src_kind": "Deployment", "dst": "shop/db", "dst_kind": "Pod",
        "protocol": "TCP", "ports": "5432,8000-8999", "family": "",
    }  # fmt: skip
    assert rows[0]["dst"] == " ".join(OUTSIDE)


def test_reach_as_dot_and_markdown(shop: str) -> None:
    assert (
        '"shop/web\\nDeployment" -> "shop/db\\nPod" [label="TCP 5432,8000-8999"];'
        in run("reach", shop, "--format", "dot")[1]
    )
    assert "| shop/web [Deployment] | shop/db [Pod] | TCP 5432,8000-8999 |" in run("reach", shop, "--format", "md")[1]


def test_reach_without_any_connection(tmp_path: Path) -> None:
    path = tmp_path / "closed.yaml"
    closed = "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: closed, namespace: shop}\n"
    path.write_text(
        SHOP.partition("---")[0]
        + "---\n" + closed + "spec: {podSelector: {}, policyTypes: [Ingress, Egress]}\n"
    )  # fmt: skip
    assert json.loads(run("reach", str(path), "--format", "json")[1]) == {"connections": []}
    assert run("reach", str(path))[1] == ""


FAMILIES = SHOP.replace("0.0.0.0/0, except: [10.0.0.0/8]", '"::/0"').replace("{podSelector: {matchLabels: {app: web}}}",
                                                                          "{ipBlock: {cidr: 0.0.0.0/0}}")  # fmt: skip


def test_families_that_differ_are_marked(tmp_path: Path) -> None:
    path = tmp_path / "both.yaml"
    path.write_text(FAMILIES)
    found = json.loads(run("reach", str(path), "--format", "json")[1])["connections"]
    between = [one["allowed"] for one in found if one["src"] == WEB and one["dst"] == DB]
    assert between == [[{"protocol": "TCP", "ports": "5432,8000-8999", "family": 4}]]
    assert [one["allowed"] for one in found if one["src"] == DB and one["dst"] == WEB] == [
        [{"protocol": "any", "family": 6}]
    ]
    alone = json.loads(run("reach", str(path), "-4", "--format", "json")[1])["connections"]
    assert [one["allowed"] for one in alone if one["src"] == WEB and one["dst"] == DB] == [
        [{"protocol": "TCP", "ports": "5432,8000-8999"}]
    ]


def test_a_service_with_an_ipv6_address_speaks_of_ipv6(tmp_path: Path) -> None:
    """`sdn test` asks it over IPv6, so what only IPv4 may must not look as if both did."""
    six = "---\nkind: Service\napiVersion: v1\nmetadata: {name: six, namespace: shop}\n"
    six += "spec: {ipFamilies: [IPv6], selector: {app: web}, ports: [{port: 80}]}\n"
    path = tmp_path / "shop.yaml"
    path.write_text(SHOP)
    assert "outside ::" not in run("reach", str(path))[1]
    path.write_text(SHOP + six)
    assert "outside ::" in run("reach", str(path))[1]


def test_an_ipblock_that_matches_no_pod(tmp_path: Path) -> None:
    path = tmp_path / "both.yaml"
    path.write_text(FAMILIES)
    found = json.loads(run("reach", str(path), "--no-ipblock-pods", "--format", "json")[1])["connections"]
    assert not [one for one in found if one["src"] == WEB and one["dst"] == DB]
    # The addresses of pods cut no range of the outside in pieces.
    assert {"external": ["0.0.0.0-255.255.255.255"]} in [one["src"] for one in found if one["dst"] == DB]


def test_pods_that_a_rule_tells_apart_are_listed_by_themselves(tmp_path: Path) -> None:
    path = tmp_path / "apart.yaml"
    pods = json.loads(json.dumps([pod("web-a", "10.244.0.5"), pod("web-b", "10.244.0.6")]))
    path.write_text(SHOP.replace("{podSelector: {matchLabels: {app: web}}}", "{ipBlock: {cidr: 10.244.0.5/32}}"))
    more = tmp_path / "pods.yaml"
    more.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": pods}))
    found = json.loads(run("reach", str(path), str(more), "--format", "json")[1])["connections"]
    assert {one["src"].get("workload") for one in found if one["dst"] == DB} == {"shop/web-a"}
    kinds = {one["src"]["workload"]: one["src"]["kind"] for one in found if "workload" in one["src"]}
    assert kinds == {"shop/db": "Pod", "shop/web": "Deployment", "shop/web-a": "Pod", "shop/web-b": "Pod"}
    # No address of a workload is outside, and none cuts a range in pieces.
    assert {"external": [OUTSIDE[0], OUTSIDE[1]]} in [one["dst"] for one in found]


def pod(name: str, address: str) -> dict[str, object]:
    owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "other", "uid": "1", "controller": True}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "shop", "labels": {"app": "web"}, "ownerReferences": [owner]},
        "spec": {"containers": [{"name": "web", "image": "web"}]},
        "status": {"podIP": address, "podIPs": [{"ip": address}], "phase": "Running"},
    }


def flow(source: str, destination: str, protocol: str = "tcp", port: int | None = 5432) -> dict[str, object]:
    return {"src": source, "dst": destination, "protocol": protocol} | ({} if port is None else {"port": port})


def evaluate(shop: str, *flows: object) -> tuple[int, list[dict[str, str]], str]:
    text = "".join(f"{one if isinstance(one, str) else json.dumps(one)}\n" for one in flows)
    status, out, error = run("evaluate", shop, "--flows", "-", text=text)
    return status, [json.loads(line) for line in out.splitlines()], error


@pytest.mark.parametrize(
    ("asked", "verdict", "reason"),
    [
        (flow("shop/web-0", "shop/db"), "allow", "egress default allow and ingress NetworkPolicy shop/db[0]"),
        (flow("shop/web-1", "shop/db", port=5433), "deny", "ingress NetworkPolicy shop/db isolates"),
        (flow("shop/db", "203.0.113.9"), "allow", "egress NetworkPolicy shop/db[0]"),
        (flow("shop/db", "10.9.9.9"), "deny", "egress NetworkPolicy shop/db isolates"),
        (flow("203.0.113.9", "shop/db"), "deny", "ingress NetworkPolicy shop/db isolates"),
        (flow("203.0.113.9", "shop/web-0", "icmp", None), "allow", "ingress default allow"),
        (flow("shop/web-0", "shop/db", "ICMP", 0), "deny", "ingress NetworkPolicy shop/db isolates"),
        (flow("shop/web-0", "shop/web-0"), "allow", "own address"),
        (flow("shop/web-0", "2001:db8::1"), "allow", "egress default allow"),
        (flow("2001:db8::1", "shop/db"), "deny", "isolates"),
    ],
)
def test_evaluate(shop: str, asked: dict[str, object], verdict: str, reason: str) -> None:
    status, (answer,), _ = evaluate(shop, asked | {"id": 7})
    assert status == 0
    assert answer.items() >= (asked | {"id": 7, "verdict": verdict}).items()
    assert reason in answer["reason"]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("{", "is no JSON"),
        ("[]", "is no object"),
        (flow("shop/wbe-0", "shop/db"), "did you mean"),
        (flow("shop/web-0", "shop/db", "gre"), 'protocol "gre" is not known; write one of tcp, udp, sctp, icmp'),
        (flow("shop/web-0", "shop/db", port=0), "port 0 does not exist"),
        (flow("shop/web-0", "shop/db", port=None), "port None does not exist"),
        (flow("shop/web-0", "shop/db", "icmp", 8), "ICMP has no ports"),
        (flow("203.0.113.9", "203.0.113.8"), "at least one end must be a workload"),
        ({"src": "shop/web-0", "protocol": "tcp", "port": 80}, '"dst" is missing'),
        (flow("shop/web-0", "shop/db") | {"family": 5}, "family 5 is not known"),
    ],
)
def test_a_bad_line_is_named_and_no_other_is_lost(shop: str, line: object, why: str) -> None:
    good = flow("shop/web-0", "shop/db")
    status, answers, error = evaluate(shop, good, line, "", good)
    assert status == 2
    assert [answer.get("verdict") for answer in answers] == ["allow", None, "allow"]
    assert error.startswith("standard input:2: ")
    assert why in error
    assert answers[1]["error"] == error.strip()
