"""The switches for what real systems differ in, on the verbs that build and ask labs."""

from __future__ import annotations

from pathlib import Path

import pytest

from labs import new_name, sdn

FILE = """\
lab: NAME
underlay: {hosts: 1}
applications:
  a:
    workloads:
      web: {labels: {app: web}, ports: [80/tcp]}
      asker: {}
    services:
      site: {selector: {app: web}, ports: [80]}
network_policies:
  - metadata: {name: web}
    spec:
      podSelector: {matchLabels: {app: web}}
      ingress: [{from: [{ipBlock: {cidr: 0.0.0.0/0}}]}]
      egress: []
      policyTypes: [Ingress, Egress]
"""
TRACE = ("trace", "-4")
BLOCK, HAIRPIN = "--no-ipblock-pods", "--no-judge-hairpin"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "lab.yaml"
    path.write_text(FILE.replace("NAME", new_name("switches")))
    return path


def test_trace_of_a_file(file: Path) -> None:
    asker = (*TRACE, "--file", file, "asker", "web:80")
    assert [sdn(*asker, *switch).returncode for switch in ((), (HAIRPIN,), (BLOCK,))] == [0, 0, 1]
    itself = (*TRACE, "--file", file, "web", "service:a/site:80")
    assert [sdn(*itself, *switch).returncode for switch in ((), (BLOCK,), (HAIRPIN,))] == [1, 1, 0]


@pytest.mark.kernel
def test_a_lab_says_how_it_was_built(file: Path) -> None:
    name = sdn("up", file, BLOCK).stdout.partition(" ")[0]
    try:
        probe = ("probe", "--lab", name, "asker", "web:80", "-4")
        assert sdn(*probe).returncode == 1
        assert sdn(*probe, BLOCK).returncode == 1
        for question in (probe, (*TRACE, "--lab", name, "asker", "web:80"), ("test", "--lab", name)):
            refused = sdn(*question, HAIRPIN)
            assert refused.returncode == 2
            assert f"lab {name} was built without {HAIRPIN}; change it first with `sdn apply FILE" in refused.stderr
        assert sdn("plan", file, BLOCK).returncode == 0
        assert sdn("plan", file).returncode == 1
        assert sdn("apply", file, HAIRPIN).returncode == 0
        assert sdn(*probe).returncode == 0
        assert sdn("probe", "--lab", name, "web", "service:a/site:80", "-4", HAIRPIN).returncode == 0
        assert sdn("test", "--lab", name, HAIRPIN).returncode == 0
    finally:
        sdn("down", name)


@pytest.mark.kernel
def test_a_test_of_files(file: Path) -> None:
    both = sdn("test", file, BLOCK, HAIRPIN)
    assert both.returncode == 0, both.stdout + both.stderr
