"""`sdn status` names what somebody added or changed by hand, not only what is gone."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from labs import ROOT, command, eventually, inside, sdn, up
from sdn.lab import client
from sdn.spec.load import load

pytestmark = pytest.mark.kernel

BY_HAND = {
    "host-1: sysctl -qw net.netfilter.nf_conntrack_tcp_loose=1": (
        "host-1: sysctl net.netfilter.nf_conntrack_tcp_loose is 1, should be 0"
    ),
    "host-1: ip route add 9.9.9.9 dev up0": "host-1: route 9.9.9.9/32 table 254 unicast up0 metric 0 is not planned",
    "host-1: ip -6 route add unreachable fd99::/64": "host-1: route fd99::/64 table 254 unreachable",
    "host-1: ip rule add lookup 77 pref 1": "host-1: rule 1 IPv4 0x0 77 is not planned",
    "host-1: bridge fdb add 02:00:00:00:00:02 dev vx.4096 dst 192.168.1.2": (
        "host-1: fdb 02:00:00:00:00:02 vx.4096 192.168.1.2 is not planned"
    ),
    "host-1: ip link set vx.4096 down": "host-1: link vx.4096 vxlan down br.4096, should be vxlan up br.4096",
    "host-1: ip link set up0 group 7": "host-1: group of up0 7, should be 94",
    "leaf-1: ip link set up0 mtu 1400": "leaf-1: mtu of up0 1400, should be 9000",
    "hello/client: ip neigh replace 10.1.1.3 lladdr 02:00:00:00:00:01 dev eth0 nud permanent": (
        "hello/client: neighbour 10.1.1.3 02:00:00:00:00:01 eth0 is not planned"
    ),
    "hello/server: ip route add 8.8.8.8 via 10.1.1.2": "hello/server: route 8.8.8.8/32 table 254 unicast eth0 10.1.1.2",
    "hello/server: ip link del eth0": "hello/server: link eth0 veth up is missing",
}


@pytest.fixture
def lab() -> Iterator[client.Lab]:
    with up(load([ROOT / "topologies" / "two-hosts.yaml"]).model) as running:
        yield running


def test_what_was_done_by_hand_is_named(lab: client.Lab) -> None:
    assert lab.status().drift == ()
    for line, expected in BY_HAND.items():
        where, _, typed = line.partition(": ")
        inside(lab, where, *typed.split())
        assert expected in "\n".join(lab.status().drift)


def test_what_the_kernel_learns_by_itself_is_no_difference(lab: client.Lab) -> None:
    """Neighbours that answered, redirects, addresses in use."""
    assert sdn("probe", "--lab", lab.name, "client", "server:80").returncode == 0
    assert eventually(lambda: "10.1.1.3" in inside(lab, "hello/client", "ip", "neigh"), 3)
    assert lab.status().drift == ()


def test_a_lab_is_called_what_its_user_called_it(lab: client.Lab) -> None:
    """Not as in its file: several may come from one."""
    assert sdn("test", "--lab", lab.name).stdout.startswith(f"{lab.name}: 2 hosts")


def test_what_is_no_program_is_not_called_missing(lab: client.Lab) -> None:
    done = sdn("exec", "--lab", lab.name, "client", "--", "/etc/passwd")
    assert (done.returncode, done.stderr) == (
        126,
        "sdn exec: /etc/passwd is no program; it may lack `chmod +x`, or be a directory\n",
    )
    assert sdn("exec", "--lab", lab.name, "client", "--", "/nowhere").returncode == 127


def test_a_command_whose_lab_ends_says_so(lab: client.Lab) -> None:
    waiting = subprocess.Popen(
        command("exec", "--lab", lab.name, "client", "--", "sh", "-c", "echo here; exec sleep 99"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert waiting.stdout is not None
    assert waiting.stdout.readline() == "here\n"
    os.kill(lab.pid, signal.SIGKILL)
    assert waiting.communicate(timeout=10)[1].startswith(f"the lab {lab.name} has ended, and the command with it")
    assert waiting.returncode == 137


FAILING = """\
lab: failing
underlay: {hosts: 1}
applications:
  a:
    workloads:
      once: {command: [sh, -c, "echo done"]}
      stays: {command: [sleep, "99"]}
      dead: {command: [sh, -c, "echo first; echo cannot bind >&2; exit 3"]}
"""


def test_a_command_that_failed_is_named_with_its_last_words(tmp_path: Path) -> None:
    """One that ended well, or still runs, is as planned."""
    file = tmp_path / "lab.yaml"
    file.write_text(FAILING)
    with up(load([file]).model) as lab:
        assert eventually(lambda: lab.status().drift)
        assert lab.status().drift == ("a/dead: its command sh ended with 3: cannot bind",)
