"""`sdn diff` and `sdn verify`: what they print, and how they end."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest
from test_cli_reach import DB, FAMILIES, SHOP, WEB, run

WIDER = SHOP.replace("8999", "9000")
TCP = "TCP 5432,8000-8999"


@pytest.fixture
def both(tmp_path: Path) -> tuple[str, str]:
    old, new = tmp_path / "old.yaml", tmp_path / "new.yaml"
    old.write_text(SHOP)
    new.write_text(WIDER)
    return str(old), str(new)


def test_no_difference(both: tuple[str, str]) -> None:
    assert run("diff", both[0], both[0])[:2] == (0, "no connection changes\n")
    assert json.loads(run("diff", both[0], both[0], "--format", "json")[1]) == {"changes": []}


def test_a_port_more(both: tuple[str, str]) -> None:
    status, out, _ = run("diff", *both)
    assert status == 1
    assert out.splitlines() == [
        "> shop/web [Deployment] → shop/db [Pod] grows: by TCP 9000, to TCP 5432,8000-9000",
        "    before  denied by ingress NetworkPolicy shop/db isolates",
        "    after   allowed by egress default allow and ingress NetworkPolicy shop/db[0]",
        "connections: 1 grows",
    ]


def test_a_port_less_as_json(both: tuple[str, str]) -> None:
    status, out, _ = run("diff", *reversed(both), "--format", "json")
    assert status == 1
    (change,) = json.loads(out)["changes"]
    port = [{"protocol": "TCP", "ports": "9000"}]
    assert change == {
        "change": "shrinks",
        "src": WEB,
        "dst": DB,
        "before": [{"protocol": "TCP", "ports": "5432,8000-9000"}],
        "after": [{"protocol": "TCP", "ports": "5432,8000-8999"}],
        "gained": [],
        "lost": port,
        "reasons": [
            {
                "services": port,
                "before": "allowed by egress default allow and ingress NetworkPolicy shop/db[0]",
                "after": "denied by ingress NetworkPolicy shop/db isolates",
            }
        ],
    }


def test_a_range_of_the_outside(both: tuple[str, str]) -> None:
    Path(both[1]).write_text(SHOP.replace("10.0.0.0/8", "10.0.0.0/9"))
    status, out, _ = run("diff", *both)
    assert status == 1
    assert "+ shop/db [Pod] → outside 10.128.0.0-10.255.255.255 appears: any" in out.splitlines()


def claims(tmp_path: Path, text: str) -> str:
    path = tmp_path / "claims.yaml"
    path.write_text(text)
    return str(path)


GOOD = """\
assertions:
  - name: web alone reaches db
    deny:
      to: [{labels: {app: db}}]
      except: [{from: [{labels: {app: web}}], ports: [5432/tcp, 8000-8999/tcp]}]
  - name: web reaches db
    allow: {from: [{labels: {app: web}}], to: [{labels: {app: db}}], ports: [5432/tcp]}
"""


def test_what_holds(both: tuple[str, str], tmp_path: Path) -> None:
    status, out, _ = run("verify", both[0], "--assert", claims(tmp_path, GOOD))
    assert status == 0
    assert out.splitlines()[-1] == "2 assertions, 0 refuted"


def test_a_counterexample_can_be_tried(both: tuple[str, str], tmp_path: Path) -> None:
    status, out, _ = run("verify", both[1], "--assert", claims(tmp_path, GOOD), "--format", "json")
    assert status == 1
    refuted, held = json.loads(out)["assertions"]
    assert held["holds"]
    found = refuted["counterexample"]
    assert (found["src"], found["dst"], found["port"]) == ("shop/web-0", "shop/db", 9000)
    assert refuted["pairs"] == 2
    trace, probe = found["commands"]
    assert run(*shlex.split(trace)[1:])[0] == 0  # allowed, as it says
    assert probe == f"sdn probe shop/web-0 {found['address']}:9000/tcp"


def test_a_sender_from_outside_can_be_tried(both: tuple[str, str], tmp_path: Path) -> None:
    path = claims(tmp_path, "assertions:\n  - deny: {from: [{outside: true}], to: [{labels: {app: web}}]}\n")
    status, out, _ = run("verify", both[0], "--assert", path, "--format", "json")
    assert status == 1
    (command,) = json.loads(out)["assertions"][0]["counterexample"]["commands"]
    assert command.startswith(f"sdn explain {both[0]} ")
    status, out, _ = run(*shlex.split(command)[1:])
    assert status == 0
    assert out.splitlines()[-1].startswith("  arriving: nothing can be removed")


def test_a_counterexample_keeps_the_option_that_it_was_found_with(tmp_path: Path) -> None:
    lab = tmp_path / "both.yaml"
    lab.write_text(FAMILIES)
    path = claims(
        tmp_path,
        "assertions:\n  - allow: {from: [{labels: {app: web}}], to: [{labels: {app: db}}], ports: [5432/tcp]}\n",
    )
    arguments = "verify", str(lab), "--assert", path, "-4", "--format", "json"
    assert run(*arguments)[0] == 0
    status, out, _ = run(*arguments, "--no-ipblock-pods")
    assert status == 1
    (command,) = json.loads(out)["assertions"][0]["counterexample"]["commands"]
    assert run(*shlex.split(command)[1:])[0] == 1


def test_an_assertion_about_nobody_is_counted(both: tuple[str, str], tmp_path: Path) -> None:
    path = claims(tmp_path, "assertions:\n  - deny: {to: [{labels: {app: gone}}]}\n")
    status, out, _ = run("verify", both[0], "--assert", path)
    assert status == 0
    assert out.splitlines()[1:] == [
        "    says nothing, for nobody is meant by: to",
        "1 assertion, 0 refuted, 1 about nobody",
    ]


def test_rules_behind_many_changes(both: tuple[str, str]) -> None:
    Path(both[1]).write_text(SHOP.rpartition("---")[0])
    out = run("diff", *both)[1]
    assert out.partition("rules behind them:\n")[2].splitlines() == [
        "     2  egress NetworkPolicy shop/db isolates",
        "        → egress default allow",
        "     2  ingress NetworkPolicy shop/db isolates",
        "        → ingress default allow",
    ]


def test_mistakes_of_the_assertions(both: tuple[str, str], tmp_path: Path) -> None:
    path = claims(tmp_path, "assertions:\n  - {name: a, dney: {}}\n")
    status, _, error = run("verify", both[0], "--assert", path)
    assert status == 2
    assert f'{path}:2:15: assertions[a]: unknown field "dney" (did you mean "deny"?' in error


def test_lint_counts_what_it_found(both: tuple[str, str], tmp_path: Path) -> None:
    path = tmp_path / "open.yaml"
    path.write_text(
        SHOP.replace("    - from: [{podSelector: {matchLabels: {app: web}}}]\n      ports:", "    - {}\n    - ports:")
    )
    status, out, _ = run("lint", str(path))
    assert status == 1
    assert "NetworkPolicy shop/db leaves ingress open" in out
    assert out.splitlines()[-1] == "4 findings: 1 isolates-nothing, 2 nobody-listens, 1 redundant"
    checks = [one["check"] for one in json.loads(run("lint", str(path), "--format", "json")[1])]
    assert sorted(checks) == ["isolates-nothing", "nobody-listens", "nobody-listens", "redundant"]


def test_what_was_understood_in_part_is_not_kept_quiet(tmp_path: Path) -> None:
    path = tmp_path / "shop.yaml"
    path.write_text(SHOP.replace("spec:\n  replicas", "spec:\n  replcas: 3\n  replicas"))
    assert run("reach", str(path))[2] == ""
    path.write_text(SHOP + "---\n" + SHOP)
    status, _, error = run("reach", str(path))
    assert (status, error) == (0, f"3 warnings about what was read; see: sdn check {path}\n")
    assert "3 warnings" in run("check", str(path))[1]


def test_lint_names_what_lets_the_outside_in(tmp_path: Path) -> None:
    path = tmp_path / "shop.yaml"
    path.write_text(SHOP.replace("labels: {app: web}}\n    spec", "labels: {app: web, sensitivity: high}}\n    spec"))
    assert run("lint", str(path))[1].splitlines()[0] == (
        f"{path}:1: workload shop/web-0 and 1 more of its owner (sensitivity high) may be reached from outside: "
        "ingress default allow"
    )
