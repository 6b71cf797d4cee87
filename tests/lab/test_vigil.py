"""A lab that watches its Hosts all the time: who falls silent without `sdn fail` is noticed, fenced and made up for.

Nobody is given up because the holder, or the kernel, was late for everybody.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from labs import ask_all, eventually, inside, sdn, story, up
from sdn.lab import client
from sdn.model import HostState
from sdn.model.lifecycle import Fail, Heal, What
from sdn.plan.state import HEARTBEAT_PORT
from sdn.spec.load import load

pytestmark = pytest.mark.kernel

INTERVAL, FAIL = 0.05, 5
HOSTS = [f"host-{number}" for number in (1, 2, 3, 4)]
FILE = f"""\
lab: vigil
underlay: {{hosts: 4, leaves: 2, spines: 2}}
options: {{heartbeat: {{interval: {INTERVAL * 1000:.0f}ms, fail: {FAIL}}}}}
applications:
  a:
    workloads:
      web: {{replicas: 4, ports: [80/tcp], labels: {{app: web}}}}
    services:
      web: {{selector: {{app: web}}, ports: [80/tcp]}}
"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[client.Lab]:
    """One lab for all of it; each test mends what it breaks."""
    file = tmp_path_factory.mktemp("vigil") / "lab.yaml"
    file.write_text(FILE)
    with up(load([file]).model) as running:
        yield running


def noticed(lab: client.Lab) -> list[str]:
    return [one.text for one in lab.status(check=False).noticed]


def states(lab: client.Lab) -> dict[str, HostState]:
    return {host.name: host.state for host in lab.placed().model.underlay.hosts}


def fresh(lab: client.Lab) -> client.Lab:
    """Who asks anew hears what the lab has become by itself."""
    return client.connect(lab.name)


def of_host(lab: client.Lab, host: str) -> str:
    """The name of its only link of the underlay, `A:B` as people write it."""
    (veth,) = lab.plan()[host].uplinks
    return f"{host}:{veth.peer_node}"


@contextmanager
def stopped(lab: client.Lab) -> Iterator[None]:
    """The holder does not get to run: no time passes for heartbeats."""
    os.kill(lab.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(lab.pid, signal.SIGCONT)


@contextmanager
def dropped(lab: client.Lab, hosts: Sequence[str], hook: str, what: str) -> Iterator[None]:
    """Heartbeats are lost in these Hosts, from one instant on, by a table that is none of ours."""
    rule = f"add chain inet deaf c {{ type filter hook {hook} priority -400; }}; add rule inet deaf c {what} drop"
    everywhere = f'for host in {" ".join(hosts)}; do nsenter --net=/run/netns/$host nft "$0" || exit 1; done'
    with stopped(lab):
        inside(lab, "host-1", "sh", "-c", everywhere, f"add table inet deaf; {rule}")
    try:
        yield
    finally:
        with stopped(lab):
            inside(lab, "host-1", "sh", "-c", everywhere, "delete table inet deaf")


def settle() -> None:
    """Longer than anybody may be silent."""
    time.sleep(3 * FAIL * INTERVAL)


def test_a_cable_that_somebody_pulls_by_hand_is_noticed_each_time(lab: client.Lab) -> None:
    known = {key: endpoint.addresses for key, endpoint in lab.placed().endpoints.items()}
    for times in (1, 2):
        before = len(noticed(lab))
        link = of_host(lab, "host-2")
        inside(lab, "host-2", "ip", "link", "set", lab.plan()["host-2"].uplinks[0].name, "down")
        assert eventually(lambda: len(noticed(lab)) > before)  # noqa: B023 - asked at once
        said = noticed(lab)[-1]
        assert said.startswith("not heard any more: host-2, fenced; ") and f"link {link} is down" in said, said
        now = fresh(lab)
        placed = now.placed()
        assert states(now)["host-2"] is HostState.FAILED and placed.model.underlay.isolated == ("host-2",), noticed(lab)
        assert "host-2" not in placed.placement.hosts.values() and len(placed.placement.hosts) == 4
        assert {key: endpoint.addresses for key, endpoint in placed.endpoints.items()} == known
        if times == 1:
            assert now.status().drift == () and story(ask_all(now)) == ""
        assert now.operate(Heal("host-2")).refused[0].startswith("nobody reaches host-2 before a way to it is mended")
        assert now.operate(Heal(link)).stages[-1].name == "readmitted"
        assert set(states(fresh(lab)).values()) == {HostState.UP}
    told = sdn("status", lab.name).stdout
    assert told.count("not heard any more: host-2") == 2


def test_who_is_silent_although_its_cables_are_well_comes_back_when_it_speaks(lab: client.Lab) -> None:
    before = len(noticed(lab))
    with dropped(lab, ["host-3"], "output", f"udp dport {HEARTBEAT_PORT}"):
        assert eventually(lambda: len(noticed(lab)) > before)
        now = fresh(lab)
        assert now.placed().model.underlay.isolated == ("host-3",)
        assert "host-3" not in now.placed().placement.hosts.values()
        done = now.operate(Heal("host-3"))
        assert done.notes == ("host-3 is not heard, so it still runs nothing",)
    assert fresh(lab).operate(Heal("host-3")).stages[-1].name == "readmitted"
    settle()
    assert len(noticed(lab)) == before + 1 and lab.status().drift == ()


def test_a_holder_that_did_not_get_to_run_gives_nobody_up(lab: client.Lab) -> None:
    before = noticed(lab)
    for _ in range(2):
        with stopped(lab):
            settle()
        settle()
    assert noticed(lab) == before and set(states(fresh(lab)).values()) == {HostState.UP}


def test_observers_that_do_not_even_hear_themselves_give_nobody_up(lab: client.Lab) -> None:
    before = noticed(lab)
    with dropped(lab, HOSTS, "input", f"udp dport {HEARTBEAT_PORT}"):
        settle()
        assert noticed(lab) == before
    settle()
    assert noticed(lab) == before and set(states(fresh(lab)).values()) == {HostState.UP}


def test_where_nobody_hears_anybody_nothing_is_fenced_and_it_is_told_once(lab: client.Lab) -> None:
    before = len(noticed(lab))
    with dropped(lab, HOSTS, "output", f'oifname != "lo" udp dport {HEARTBEAT_PORT}'):
        assert eventually(lambda: len(noticed(lab)) > before)
        settle()
        (said,) = noticed(lab)[before:]
        assert said.startswith("no host hears any other")
        assert set(states(fresh(lab)).values()) == {HostState.UP}
    settle()
    assert len(noticed(lab)) == before + 1


def test_what_is_broken_on_purpose_is_no_surprise(lab: client.Lab) -> None:
    before = noticed(lab)
    assert not fresh(lab).operate(Fail(What.HOST, "host-4")).notes
    settle()
    assert fresh(lab).operate(Heal("host-4")).stages[-1].name == "readmitted"
    settle()
    assert noticed(lab) == before and lab.status().drift == ()


def test_who_asks_no_longer_is_not_watched(lab: client.Lab, tmp_path: Path) -> None:
    file = tmp_path / "lab.yaml"
    file.write_text(FILE.replace("options", "#"))
    now = fresh(lab)
    now.apply(load([file]).model)
    before = noticed(lab)
    with dropped(lab, ["host-3"], "output", f"udp dport {HEARTBEAT_PORT}"):
        settle()
    assert noticed(lab) == before and now.placed().model.options.heartbeat is None
