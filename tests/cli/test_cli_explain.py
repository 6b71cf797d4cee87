"""`sdn explain`: the walk as a person reads it, senders outside, and what the shell completes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from test_cli_reach import FAMILIES, SHOP, run

STORE = Path(__file__).parents[1] / "spec" / "nsx" / "store"


@pytest.fixture
def shop(tmp_path: Path) -> str:
    path = tmp_path / "shop.yaml"
    path.write_text(SHOP)
    return str(path)


def test_rules_that_would_decide_next_have_a_line_each() -> None:
    status, out, _ = run("explain", str(STORE), "web01", "db1:5432")
    assert status == 0
    assert out.splitlines()[:7] == [
        "store/web01 → 10.20.2.2:5432/tcp (store/db1)",
        "  path: both are in application store",
        "  egress at store/web01",
        "    infrastructure  its only rule does not match",
        "    environment     pass: egress environment Zones[inside the store]",
        "    application     allow: egress application Store[web to db]",
        "                    then deny: egress application Store[rest]",
    ]


def test_a_sender_outside(shop: str) -> None:
    status, out, _ = run("explain", shop, "203.0.113.9", "db:5432")
    assert status == 1
    assert out.splitlines() == [
        "203.0.113.9 → 10.244.0.2:5432/tcp (shop/db)",
        "  path: 203.0.113.9 is outside, where policy alone decides what comes in",
        "  ingress at shop/db",
        "    NetworkPolicy   deny: ingress NetworkPolicy shop/db isolates",
        "denied by ingress NetworkPolicy shop/db isolates",
        "to allow it, all of this would have to change:",
        "  - ingress NetworkPolicy shop/db isolates: let one of these policies allow it, "
        "or select the workload no more",
    ]
    status, out, _ = run("explain", shop, "2001:db8::1", "web-0", "--format", "json")
    assert (status, json.loads(out)[0]["answer"]["verdict"]["rule"]) == (0, "ingress default allow")


@pytest.mark.parametrize(
    ("ends", "why"),
    [
        (("203.0.113.9", "203.0.113.8:80"), "at least one end must be one"),
        (("wbe-0", "db:80"), "did you mean"),
        (("2001:db8::x", "db:80"), "there is no workload"),
        (("203.0.113.9", "web:80"), "web"),
    ],
)
def test_ends_that_nobody_is(shop: str, ends: tuple[str, str], why: str) -> None:
    status, out, error = run("explain", shop, *ends)
    assert (status, out) == (2, "")
    assert why in error


def test_an_address_of_a_workload_is_that_workload(shop: str) -> None:
    by_name = run("explain", shop, "web-0", "db:5432", "-4")
    address = json.loads(run("explain", shop, "web-1", "web-0:80", "-4", "--format", "json")[1])[0]["flow"][
        "destination"
    ]
    assert run("explain", shop, address, "db:5432", "-4") == by_name


def test_what_the_families_share_is_said_once(shop: str, tmp_path: Path) -> None:
    out = run("explain", shop, "web-0", "db:5432")[1].splitlines()
    assert out[-1] == "  the same, by the same rules"
    apart = tmp_path / "both.yaml"
    apart.write_text(FAMILIES)
    status, text, _ = run("explain", str(apart), "web-0", "db:5432")
    assert status == 1
    assert "the same" not in text


def test_an_ipblock_that_matches_no_pod(tmp_path: Path) -> None:
    path = tmp_path / "both.yaml"
    path.write_text(FAMILIES)
    assert run("explain", str(path), "web-0", "db:5432", "-4")[0] == 0
    assert run("explain", str(path), "web-0", "db:5432", "-4", "--no-ipblock-pods")[0] == 1


def completed(*words: str) -> list[str]:
    """What bash is offered for the last word."""
    line = {"_SDN_COMPLETE": "bash_complete", "COMP_WORDS": " ".join(words), "COMP_CWORD": str(len(words) - 1)}
    code = "from sdn.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, env={**os.environ, **line}
    )
    return done.stdout.split()


def test_workloads_are_completed_behind_files(shop: str) -> None:
    assert completed("sdn", "explain", shop, "we") == ["plain,web-0", "plain,web-1"]
    assert completed("sdn", "explain", shop, "web-0", "shop/d") == ["plain,shop/db"]
    assert completed("sdn", "explain", shop, "other.ya") == ["file,other.ya"]
    assert completed("sdn", "explain", "sh") == ["file,sh"]
