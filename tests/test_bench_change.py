"""`tools/bench change`: each kind of change in two small labs, timed and counted, and nothing differs afterwards."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest

from test_bench import BENCH, bench

sys.path.insert(0, str(BENCH.parent))
from benchmarks import strace

KINDS = ("label", "move", "remove", "add", "policy", "service")


@pytest.mark.kernel
def test_change_as_json() -> None:
    done = bench("change", "--pods", "10", "--pods", "20", "--events", "1", "--counted", "1", "--format", "json")
    assert done.returncode == 0, done.stderr
    rows = {row["case"]: row for row in json.loads(done.stdout)}
    for kind in KINDS:
        for words in ("to enforced, median", "to enforced, 99th percentile", "to its reply, median"):
            row = rows[f"change 20 pods: {kind}, {words}"]
            assert row["peer"] == "10 pods" and row["value"] > 0 and row["peer_value"] > 0
        assert rows[f"change 20 pods: {kind}, nodes that changed"]["value"] >= 1
        if shutil.which("strace"):
            assert rows[f"change 20 pods: {kind}, system calls"]["value"] > 0
            assert 0 < rows[f"change 20 pods: {kind}, sent to the kernel"]["value"] < 100_000
    assert rows["change 20 pods: changes, and no difference from the plan after them"]["value"] == len(KINDS)


LOG = """\
10 accept4(7, NULL, NULL, SOCK_CLOEXEC) = 9
10 recvfrom(9, ""..., 4, 0, NULL, NULL) = 4
10 socket(AF_NETLINK, SOCK_RAW|SOCK_CLOEXEC, NETLINK_ROUTE) = 11
10 sendto(11, [{nlmsg_len=40, nlmsg_type=0x10}], 40, 0, NULL, 0) = 40
11 sendmsg(12, {msg_name={sa_family=AF_NETLINK}, msg_namelen=12}, 0 <unfinished ...>
10 recvfrom(11, 0x7f, 65536, MSG_DONTWAIT, NULL, NULL) = -1 EAGAIN (Resource temporarily unavailable)
11 <... sendmsg resumed>) = 100
10 sendto(9, ""..., 5000, 0, NULL, 0) = 5000
10 close(9) = 0
10 socket(AF_NETLINK, SOCK_RAW|SOCK_CLOEXEC, NETLINK_ROUTE) = 9
10 sendto(9, [{nlmsg_len=20, nlmsg_type=0x12}], 20, 0, NULL, 0) = 20
10 +++ exited with 0 +++
"""


def test_what_strace_tells_is_counted() -> None:
    """Calls once each, whoever interrupts whom; of what was sent, not the reply to the client."""
    assert strace.counted(LOG) == strace.Counts(calls=10, sent=160)


def test_without_strace_it_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "strace is not installed" in strace.missing()
