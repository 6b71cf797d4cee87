"""The verbs that need no kernel, on the project's own topologies and on files with mistakes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from sdn.cli import sdn

TOPOLOGIES = Path(__file__).parents[2] / "topologies"
HELLO = str(TOPOLOGIES / "two-hosts.yaml")
THREE_TIER = str(TOPOLOGIES / "three-tier.yaml")

BROKEN = """\
lab: broken
underlay: {hosts: 1}
applications:
  hello:
    workloads:
      client: {ports: [70000/tcp]}
      server: {label: {app: server}}
"""

TOO_LARGE = """\
lab: large
underlay: {hosts: {count: 2, memory: 1Gi}}
applications:
  hello:
    workloads:
      server: {memory: 4Gi}
"""

FOR_NOBODY = """\
lab: nobody
underlay: {hosts: 1}
applications:
  hello:
    workloads:
      server: {labels: {app: server}}
policies:
  - {name: typo, applies_to: [{labels: {app: srever}}], rules: [{action: deny, direction: ingress}]}
"""


def run(*arguments: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(sdn, arguments)
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, done.stdout, done.stderr


def written(tmp_path: Path, text: str, name: str = "lab.yaml") -> str:
    path = tmp_path / name
    path.write_text(text)
    return str(path)


def test_check_finds_nothing_in_our_topologies() -> None:
    status, output, error = run("check", *map(str, sorted(TOPOLOGIES.glob("*.yaml"))))
    assert (status, error) == (0, "")
    lines = output.splitlines()
    assert len(lines) == len(list(TOPOLOGIES.glob("*.yaml")))
    assert all(line.endswith("0 mistakes, 0 warnings") for line in lines)


def test_check_says_every_mistake_with_its_place(tmp_path: Path) -> None:
    path = written(tmp_path, BROKEN)
    status, output, error = run("check", path)
    assert (status, error) == (1, "")
    first, second, last = output.splitlines()
    assert first.startswith(f"{path}:6:") and "70000" in first
    assert second.startswith(f"{path}:7:") and "label" in second
    assert last == "2 mistakes, 0 warnings"


def test_check_as_json(tmp_path: Path) -> None:
    path = written(tmp_path, BROKEN)
    status, output, _ = run("check", path, "--format", "json")
    found = json.loads(output)
    assert status == 1
    assert (found["version"], found["ok"], found["warnings"]) == (1, False, [])
    assert [(one["file"], one["line"]) for one in found["mistakes"]] == [(path, 6), (path, 7)]


def test_check_says_what_no_host_can_take(tmp_path: Path) -> None:
    status, output, _ = run("check", written(tmp_path, TOO_LARGE))
    assert status == 1
    assert "hello/server: 0 of 2 hosts fit" in output


def test_check_lets_warnings_pass(tmp_path: Path) -> None:
    status, output, _ = run("check", written(tmp_path, FOR_NOBODY))
    assert status == 0
    assert "warning: " in output and "typo" in output
    assert output.endswith("0 mistakes, 1 warning\n")


@pytest.mark.parametrize(
    ("lab", "source", "destination", "status", "last"),
    [
        pytest.param(HELLO, "client", "server:80/tcp", 0, "allowed by egress default allow and ", id="allowed"),
        pytest.param(HELLO, "client", "server:53/udp", 1, "denied by ingress application server-", id="denied"),
        pytest.param(THREE_TIER, "shop/web-0", "db-0:5432", 1, "rejected by ingress ", id="rejected"),
        pytest.param(THREE_TIER, "shop/web-0", "10.99.0.1:80", 1, "no route: ", id="no-route"),
        pytest.param(THREE_TIER, "shop/web-0", "service:shop/app:80/tcp", 0, "allowed by ", id="service"),
        pytest.param(THREE_TIER, "shop/web-0", "web-1/icmp", 0, "allowed by ", id="echo"),
    ],
)
def test_trace_of_a_file(lab: str, source: str, destination: str, status: int, last: str) -> None:
    result = run("trace", source, destination, "-f", lab, "-4")
    assert result[0] == status, result
    assert result[1].splitlines()[-1].startswith(last)
    assert result[2] == ""


def test_trace_asks_both_families_and_each_alone() -> None:
    both = run("trace", "client", "server:80", "-f", HELLO)[1]
    four = run("trace", "client", "server:80", "-f", HELLO, "-4")[1]
    six = run("trace", "client", "server:80", "-f", HELLO, "-6")[1]
    assert both == f"{four}\n{six}"
    assert "[fd00:1:1::" in six and "10.1.1." in four


def test_trace_as_json() -> None:
    status, output, _ = run("trace", "client", "server:53/udp", "-f", HELLO, "--format", "json")
    found = json.loads(output)
    assert status == 1
    assert [(one["family"], one["answer"]["disposition"]) for one in found] == [(4, "deny"), (6, "deny")]
    assert found[0]["steps"][0]["node"] == "hello/client"


@pytest.mark.parametrize(
    ("source", "destination", "message"),
    [
        pytest.param("cleint", "server:80", "no workload or host 'cleint': did you mean client?", id="source"),
        pytest.param("client", "server", "which port?", id="no-port"),
        pytest.param("client", "server:80/tpc", "", id="protocol"),
    ],
)
def test_trace_of_a_mistyped_name_is_one_sentence(source: str, destination: str, message: str) -> None:
    status, output, error = run("trace", source, destination, "-f", HELLO)
    assert (status, output) == (2, "")
    assert len(error.splitlines()) == 1
    assert message in error
