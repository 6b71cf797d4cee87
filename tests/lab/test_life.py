"""Things fail and heal in a running lab: noticed by heartbeats, fenced, started elsewhere as they were, and back again.

After every step the three answers agree on everything, and the kernel is as planned.
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from labs import ask_all, command, eventually, inside, story, up
from sdn.errors import LabError
from sdn.kernel import sandbox
from sdn.lab import client
from sdn.lab.suite import ask_flows
from sdn.model import Flow, HostState, Model, Protocol, Workload
from sdn.model.lifecycle import Fail, Heal, Operation, Outcome, Rollout, Scale, What
from sdn.plan.state import LoadBalancer
from sdn.spec.load import load

pytestmark = pytest.mark.kernel

FILE = """\
lab: life
underlay: {hosts: 4, leaves: 2, spines: 2, family: FAMILY}
applications:
  a:
    segments:
      lan: {subnets: [10.1.1.0/24, "fd00:1::/64"]}
      pods: {kind: routed, subnets: [10.2.0.0/16, "fd00:2::/48"]}
    workloads:
      web: {segment: lan, replicas: 2, ports: [80/tcp], labels: {app: web}, command: [sleep, "3600"]}
      api: {segment: pods, replicas: 2, ports: [8080/tcp], labels: {app: api}}
      db: {kind: vm, segment: lan, ports: [5432/tcp], labels: {app: db}, host: host-4}
    services:
      api: {selector: {app: api}, ports: [80:8080/tcp]}
policies:
  - name: api
    applies_to: [{labels: {app: api}}]
    rules:
      - {action: allow, direction: ingress, from: [{labels: {app: web}}], ports: [8080/tcp]}
      - {action: deny, direction: ingress}
"""
NODES = """\
lab: nodes
underlay: {hosts: 2, leaves: 1, spines: 1}
nodes:
  n: {replicas: 2, application: a, cpu: 4, memory: 8Gi}
applications:
  a: {workloads: {p: {replicas: 3, ports: [80/tcp]}}}
"""


def written(text: str, folder: Path) -> Model:
    file = folder / "lab.yaml"
    file.write_text(text)
    return load([file]).model


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[client.Lab]:
    """One lab for all of it; each test mends what it breaks."""
    with up(written(FILE.replace("FAMILY", "ipv4"), tmp_path_factory.mktemp("life"))) as running:
        yield running


def step(lab: client.Lab, operation: Operation, *, watch: bool = False, ask: bool = True) -> Outcome:
    """Without `ask` where the lab has become one that was asked before."""
    done = lab.operate(operation, watch)
    assert lab.status().drift == ()
    if ask:
        assert_sound(lab)
    assert not done.refused and not done.notes
    return done


def assert_sound(lab: client.Lab) -> None:
    assert lab.status().drift == ()
    assert story(ask_all(lab)) == ""


def where(lab: client.Lab) -> dict[str, str]:
    return dict(lab.placed().placement.hosts)


def stages(done: Outcome) -> list[str]:
    return [stage.name for stage in done.stages]


def addresses(lab: client.Lab) -> dict[str, tuple[str, ...]]:
    return {key: endpoint.addresses for key, endpoint in lab.placed().endpoints.items()}


def test_what_ran_on_a_failed_host_runs_elsewhere_as_it_was(lab: client.Lab) -> None:
    before, known = where(lab), addresses(lab)
    host = before["a/web-0"]
    lost = {key for key, here in before.items() if here == host}
    done = step(lab, Fail(What.HOST, host), watch=True)
    assert stages(done) == ["broken", "detected", "fenced", "placed", "programmed", "reachable"]
    assert {one.move.workload for one in done.moved} == lost
    assert all(one.move.source == host != one.move.target and one.gap > 0 for one in done.moved)
    assert host not in where(lab).values() and addresses(lab) == known
    assert done.leaked == done.duplicated == 0
    assert all("state DOWN" in line for line in inside(lab, host, "ip", "-o", "link").splitlines() if "up0" in line)
    assert inside(lab, "a/web-0", "pgrep", "-c", "-x", "sleep").strip() != "0"
    again = lab.operate(Fail(What.HOST, host))
    assert again.refused == (f"host {host} has failed already; `sdn heal {host}` mends it",)
    healed = step(lab, Heal(host))
    assert stages(healed) == ["mended", "heard", "read back", "readmitted"]
    assert host not in where(lab).values()
    assert all(one.state is HostState.UP for one in lab.placed().model.underlay.hosts)
    assert lab.operate(Heal(host)).refused


def test_the_fabric_leads_around_a_spine(lab: client.Lab) -> None:
    before, plan = where(lab), lab.plan()
    done = step(lab, Fail(What.SWITCH, "spine-1"), watch=True)
    assert stages(done) == ["broken", "led around"] and not done.moved
    assert where(lab) == before
    spine = next(veth.name for veth in plan["leaf-1"].uplinks if veth.peer_node == "spine-1")
    assert spine not in {hop.dev for route in lab.plan()["leaf-1"].routes for hop in route.nexthops}
    step(lab, Heal("spine-1"), ask=False)
    assert lab.plan() == plan


def test_the_same_over_an_underlay_of_ipv6(tmp_path: Path) -> None:
    with up(written(FILE.replace("FAMILY", "ipv6"), tmp_path)) as running:
        before, known = running.plan(), addresses(running)
        assert {one.move.source for one in step(running, Fail(What.HOST, "host-2"), ask=False).moved} <= {"host-2"}
        step(running, Fail(What.SWITCH, "spine-2"))
        for name in ("spine-2", "host-2"):
            running.operate(Heal(name))
        assert running.status().drift == () and addresses(running) == known
        assert running.plan()["leaf-1"].routes == before["leaf-1"].routes


def test_a_leaf_takes_its_hosts_along_and_brings_them_back(lab: client.Lab) -> None:
    done = step(lab, Fail(What.SWITCH, "leaf-1"))
    assert stages(done)[:4] == ["broken", "led around", "detected", "fenced"]
    assert lab.placed().model.underlay.isolated == ("host-1", "host-3")
    assert not {"host-1", "host-3"} & {*where(lab).values()}
    assert stages(step(lab, Heal("leaf-1"), ask=False)) == ["mended", "heard", "read back", "readmitted"]
    underlay = lab.placed().model.underlay
    assert not underlay.isolated and all(one.state is HostState.UP for one in underlay.hosts)


def test_a_host_without_its_cable_is_fenced_although_it_has_power(lab: client.Lab) -> None:
    done = step(lab, Fail(What.LINK, "leaf-2:host-2"))
    assert lab.placed().model.underlay.isolated == ("host-2",)
    assert "fenced" in stages(done) and "host-2" not in where(lab).values()
    assert not lab.plan()["host-2"].ports
    lab.operate(Fail(What.HOST, "host-2"))
    assert lab.placed().model.underlay.isolated == ()
    lab.operate(Heal("host-2:leaf-2"))
    assert "failed" in {str(one.state) for one in lab.placed().model.underlay.hosts}
    step(lab, Heal("host-2"), ask=False)


def test_a_new_description_heals_nothing(lab: client.Lab) -> None:
    described = replace(lab.placed().model, options=replace(lab.placed().model.options, judge_hairpin=False))
    step(lab, Fail(What.HOST, "host-1"))
    assert len(lab.changes(replace(lab.placed().model, underlay=described.underlay))) == 0
    assert lab.apply(described).notes == ()
    states = {host.name: host.state for host in lab.placed().model.underlay.hosts}
    assert states["host-1"] is HostState.FAILED and "host-1" not in where(lab).values()
    assert not lab.placed().model.options.judge_hairpin
    assert_sound(lab)
    step(lab, Heal("host-1"))


def test_who_finds_no_place_waits_for_the_host_it_is_tied_to(lab: client.Lab) -> None:
    known = addresses(lab)
    done = lab.operate(Fail(What.HOST, "host-4"))
    assert_sound(lab)
    assert [one.move.target for one in done.moved if one.move.workload == "a/db"] == [""]
    assert [note for note in done.notes if note.startswith("a/db: ")]
    assert "a/db" not in where(lab)
    assert lab.operate(Fail(What.VM, "a/db")).refused == (
        "a/db does not run, so it cannot fail; `sdn status` says why",
    )
    healed = step(lab, Heal("host-4"))
    assert [(one.move.workload, one.move.target) for one in healed.moved] == [("a/db", "host-4")]
    assert addresses(lab) == known


def test_a_pod_starts_again_where_it_was(lab: client.Lab) -> None:
    before, known = where(lab), addresses(lab)
    old = inside(lab, "a/web-0", "pgrep", "-x", "sleep")
    done = step(lab, Fail(What.POD, "a/web-0"))
    assert stages(done) == ["broken", "stopped", "placed", "programmed", "reachable"]
    assert [one.move.workload for one in done.moved] == ["a/web-0"]
    assert (where(lab), addresses(lab)) == (before, known)
    assert inside(lab, "a/web-0", "pgrep", "-x", "sleep") != old


def test_a_vm_takes_its_pods_along(tmp_path: Path) -> None:
    with up(written(NODES, tmp_path)) as running:
        nodes = running.placed().placement.nodes
        node = nodes["a/p-0"]
        inside_it = {key for key, home in nodes.items() if home == node}
        done = step(running, Fail(What.VM, node))
        assert {one.move.workload for one in done.moved} == {node, *inside_it}
        assert {key for key, home in running.placed().placement.nodes.items() if home == node} == inside_it


@pytest.mark.parametrize(
    ("what", "name", "words"),
    [
        (What.HOST, "host-9", "there is no host 'host-9' in the lab (there are: host-1, host-2"),
        (What.SWITCH, "host-1", "there is no switch 'host-1'"),
        (What.LINK, "host-1:spine-1", "there is no link 'host-1:spine-1' in the lab (there are: host-1:leaf-1"),
        (What.POD, "a/db", "there is no pod 'a/db'"),
        (What.VM, "a/web-0", "there is no vm 'a/web-0'"),
    ],
)
def test_what_is_not_there_cannot_fail(lab: client.Lab, what: What, name: str, words: str) -> None:
    with pytest.raises(LabError) as caught:
        lab.operate(Fail(what, name))
    assert words in str(caught.value)


def test_a_client_that_is_killed_in_the_middle_changes_nothing_about_the_end(lab: client.Lab) -> None:
    host = where(lab)["a/api-0"]
    with subprocess.Popen(command("fail", "host", host, "--lab", lab.name), stdout=subprocess.DEVNULL) as verb:
        assert eventually(lambda: "state DOWN" in inside(lab, host, "ip", "-o", "link", "show", "up0"))
        verb.kill()
    assert verb.returncode == -signal.SIGKILL
    fresh = client.Lab(lab.name, lab.pid)
    assert eventually(lambda: fresh.status().drift == () and host not in where(client.Lab(lab.name, lab.pid)).values())
    assert_sound(fresh)
    step(lab, Heal(host), ask=False)


def test_a_holder_that_is_killed_in_the_middle_leaves_nothing(tmp_path: Path) -> None:
    text = FILE.replace("FAMILY", "ipv4")
    errors: list[LabError] = []
    begun = threading.Event()

    def say(stage: str) -> None:
        if stage == "broken":
            begun.set()

    with up(written(text, tmp_path)) as running:

        def breaking() -> None:
            try:
                running.operate(Fail(What.HOST, "host-1"), progress=say)
            except LabError as error:
                errors.append(error)

        asking = threading.Thread(target=breaking)
        asking.start()
        assert begun.wait(20)
        os.kill(running.pid, signal.SIGKILL)
        asking.join(20)
        assert "ended before it answered" in str(errors)
        assert eventually(lambda: running.name not in {one.name for one in sandbox.labs()})


def test_replicas_come_and_go(lab: client.Lab) -> None:
    before = lab.placed()
    grown = step(lab, Scale("a/api", 4), watch=True)
    assert stages(grown) == ["placed", "programmed", "reachable"]
    assert [one.move.workload for one in grown.moved] == ["a/api-2", "a/api-3"]
    assert all(one.gap > 0 for one in grown.moved) and grown.leaked == grown.lost == 0
    (virtual, *_) = (lab.plan()[where(lab)["a/web-0"]].loadbalancer or LoadBalancer()).virtuals
    assert sorted(backend.workload for backend in virtual.backends) == [f"a/api-{n}" for n in range(4)]
    shrunk = step(lab, Scale("a/api", 2), watch=True, ask=False)
    assert stages(shrunk) == ["placed", "stopped"]
    assert {one.move.workload for one in shrunk.moved} == {"a/api-2", "a/api-3"}
    assert lab.placed().endpoints == before.endpoints
    with pytest.raises(LabError, match="no workload or owner 'a/nobody'"):
        lab.operate(Scale("a/nobody", 2))
    refused = lab.operate(Scale("a/api", 2000)).refused
    assert refused and "0 of 4 hosts fit" in refused[0]
    assert lab.placed().endpoints == before.endpoints


def described(lab: client.Lab, owner: str, **fields: object) -> tuple[Workload, ...]:
    return tuple(replace(one, **fields) for one in lab.placed().model.workloads if one.owner[1] == owner)


def test_a_canary_that_is_not_healthy_goes_back(lab: client.Lab) -> None:
    before = lab.placed()
    done = lab.operate(Rollout("a", 2, described(lab, "web", command=("sh", "-c", "exit 3"))))
    assert lab.status().drift == ()
    assert done.failed[-1] == "went back: a/web-0; nothing further was replaced"
    assert "a/web-0 is not reached" in done.failed[0]
    assert lab.placed() == before


LISTEN = """import socket
server = socket.create_server(("::", 80), family=socket.AF_INET6, dualstack_ipv6=True)
while True:
    server.accept()
"""
SERVER = ("python3", "-c", LISTEN)


def test_a_rollout_replaces_one_batch_after_another(lab: client.Lab) -> None:
    before, known = where(lab), addresses(lab)
    fresh = described(lab, "web", command=SERVER)
    done = lab.operate(Rollout("a/web", 2, fresh), watch=True)
    assert not done.failed and done.leaked == 0
    assert [one.move.workload for one in done.moved] == ["a/web-0", "a/web-1"]
    assert [one for one in lab.placed().model.workloads if one.owner[1] == "web"] == list(fresh)
    assert (where(lab), addresses(lab)) == (before, known)
    assert lab.status().drift == ()
    again = lab.operate(Rollout("a/web", 2, fresh))
    assert not again.moved
    with pytest.raises(LabError, match=r"the files describe no workload of a/api \(a/api-0, a/api-1\), so nothing was"):
        lab.operate(Rollout("a/api", 2, fresh))
    lab.operate(Rollout("a/api", 2))
    assert_sound(lab)


MANY = """\
lab: many
underlay:
  hosts:
    - {name: host-1}
    - {name: host-2, labels: {rack: r}}
    - {name: host-3}
    - {name: host-4, labels: {rack: r}, taints: [{key: spare, effect: PreferNoSchedule}]}
applications:
  a:
    segments:
      pods: {kind: routed, subnets: [10.2.0.0/16, "fd00:2::/48"]}
    workloads:
      client: {labels: {app: client}, host: host-1}
      stranger: {host: host-3}
      w: {replicas: 50, ports: [80/tcp], labels: {app: w}, node_selector: {rack: r}}
    services:
      w: {selector: {app: w}, ports: [80/tcp]}
policies:
  - name: w
    applies_to: [{labels: {app: w}}]
    rules:
      - {action: allow, direction: ingress, from: [{labels: {app: client}}], ports: [80/tcp]}
      - {action: deny, direction: ingress}
"""


def test_fifty_workloads_of_a_host_start_elsewhere_as_they_were(tmp_path: Path) -> None:
    with up(written(MANY, tmp_path)) as running:
        known = addresses(running)
        (home,) = {host for key, host in where(running).items() if key.startswith("a/w-")}
        done = running.operate(Fail(What.HOST, home))
        assert (len(done.moved), done.notes) == (50, ())
        assert addresses(running) == known and home not in where(running).values()
        assert running.status().drift == ()
        placed = running.placed()
        (service,) = placed.model.services
        flows = [
            Flow(source, address, Protocol.TCP, 80)
            for source in ("a/client", "a/stranger")
            for key in (*(f"a/w-{n}" for n in range(50)), "")
            for address in (known[key] if key else service.addresses)
        ]
        results = ask_flows(running, placed, flows)
        assert story(results) == ""
        allowed = [result for result in results if all(one.verdict.allowed for one in result.evaluate)]
        assert {one.question.flow.source for one in allowed} == {"a/client"} and len(allowed) == 2 * 51
        assert len({one.backend for result in allowed for one in result.evaluate}) == 50


ROLLING = """\
lab: rolling
underlay: {hosts: 3}
applications:
  a: {workloads: {w: {replicas: 3, ports: [80/tcp]}}}
"""


def test_all_hosts_are_drained_and_taken_back_one_after_another(tmp_path: Path) -> None:
    with up(written(ROLLING, tmp_path)) as running:
        used = {*where(running).values()}
        done = step(running, Rollout("", hosts=True), watch=True)
        assert not done.failed and done.leaked == 0
        assert {one.move.source for one in done.moved} >= used
        assert all(host.state is HostState.UP for host in running.placed().model.underlay.hosts)


def test_hosts_that_cannot_be_emptied_end_it(lab: client.Lab) -> None:
    done = lab.operate(Rollout("", 4, hosts=True))
    assert done.failed and lab.status().drift == ()
    assert all(host.state is HostState.UP for host in lab.placed().model.underlay.hosts)


ROLLED = """\
lab: rolled
underlay: {hosts: 2, leaves: 1, spines: 1}
nodes:
  n: {replicas: 3, application: a, cpu: 4, memory: 8Gi}
applications:
  a:
    workloads:
      p: {replicas: 4, ports: [80/tcp], memory: 1Gi}
      big: {replicas: 2, ports: [80/tcp], memory: 6Gi}
      agent: {host: n-0, ports: [80/tcp]}
"""


def test_pods_leave_a_node_before_it_is_replaced(tmp_path: Path) -> None:
    with up(written(ROLLED, tmp_path)) as running:
        known, nodes = addresses(running), running.placed().placement.nodes
        large = {node for pod, node in nodes.items() if pod.startswith("a/big")}
        assert len(large) == 2 and len(set(nodes.values())) == 3
        done = running.operate(Rollout("nodes/n"), watch=True)
        assert not done.failed and done.leaked == 0
        assert addresses(running) == known
        assert_sound(running)
        replaced = [one.move.workload for one in done.moved if one.move.workload.startswith("nodes/")]
        assert replaced == ["nodes/n-0", "nodes/n-1", "nodes/n-2"]
        small = [one for one in done.moved if one.move.workload.startswith("a/p-")]
        assert small and all(one.move.why == "its node is replaced" for one in small)
        assert all(one.gap > 0 for one in small if one.move.source != one.move.target)
        stopped = {note.partition(": ")[2].partition(":")[0] for note in done.notes}
        assert "a/agent" not in stopped
        assert {one.move.workload for one in done.moved} >= {"a/agent", *stopped}
