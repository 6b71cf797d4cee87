"""The examples in `--help` of the verbs that answer from policy alone are run as they stand."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from pathlib import Path

import pytest
from test_cli_change import GOOD
from test_cli_reach import SHOP, run

ROOT = Path(__file__).parents[2]
VERBS = ["reach", "evaluate", "lint", "diff", "verify", "explain", "place"]
SERVICE = """\
---
apiVersion: v1
kind: Service
metadata: {name: cart, namespace: shop}
spec: {selector: {app: web}, ports: [{port: 80}]}
"""
LAB = """\
lab: shop
applications:
  shop:
    segments: {front: {subnets: [10.1.1.0/24]}}
    workloads: {web: {ports: [80/tcp]}, db: {ports: [5432/tcp]}}
"""


def examples(verb: str) -> list[str]:
    """Command lines without the programs that read them; one that ends in a pipe goes on in the next line."""
    text = run(verb, "--help")[1].partition("Examples:\n")[2].partition("\n\n")[0]
    text = re.sub(r"\|\n\s*", "| ", text)
    lines = [re.sub(r" \| (jq|dot) .*", "", " ".join(line.split())) for line in text.splitlines()]
    return [line for line in lines if not line.startswith("git ")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Everything that examples name."""
    made = tmp_path_factory.mktemp("examples")
    pods = SHOP.replace("kind: Pod\nmetadata: {name: db,", "kind: Pod\nmetadata: {name: db-0,")
    for name in ("k8s", "k8s-new"):
        (made / name).mkdir()
        (made / name / "shop.yaml").write_text(pods + SERVICE)
    for name in ("before.yaml", "after.yaml"):
        (made / name).write_text(pods)
    (made / "lab.yaml").write_text(LAB)
    for name in ("pci.yaml", "claims.yaml"):
        (made / name).write_text(GOOD)
    flow = {"src": "shop/web", "dst": "shop/db", "protocol": "tcp", "port": 5432}
    (made / "flows.jsonl").write_text(json.dumps(flow) + "\n")
    shutil.copy(ROOT / "topologies" / "policy-languages" / "nsx.json", made / "export.json")
    (made / "topologies").symlink_to(ROOT / "topologies")
    return made


@pytest.mark.parametrize("verb", VERBS)
def test_examples_work(verb: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    lines = examples(verb)
    assert lines
    for line in lines:
        asked, _, command = line.rpartition(" | ")
        name, *arguments = shlex.split(command)
        status, out, error = run(*arguments, text=shlex.split(asked)[1] + "\n" if asked else None)
        assert (name, status in (0, 1), error) == ("sdn", True, ""), (line, error)
        assert out


@pytest.mark.parametrize("verb", VERBS)
def test_what_is_printed_for_programs_is_documented(verb: str) -> None:
    text = run(verb, "--help")[1]
    assert "JSON" in text
    assert "Exit status:" in text
    assert all(len(line) <= 100 for line in text.splitlines())
