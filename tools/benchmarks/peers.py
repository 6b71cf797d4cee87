"""Other emulators on this machine, measured in the same run; one that is not there is said in one sentence."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import msgspec
from msgspec import Struct

PYTHON = "/usr/bin/python3"
MOST_HOSTS = 100
TIMEOUT = 300.0
# Namespaces of its own, so that what it makes and what it cleans up is never the machine's.
_ISOLATED = ("unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
_SCRIPT = Path(__file__).with_name("mininet_hosts.py")


class Mininet(Struct, frozen=True):
    """Seconds for `hosts` hosts on one bridge, and the percentage of pings that were lost."""

    hosts: int
    up: float
    down: float

    @property
    def label(self) -> str:
        """The peer's name in a row."""
        return f"Mininet, {self.hosts} hosts on one bridge"


class _Said(Struct, frozen=True):
    up: float
    down: float
    lost: float


def mininet(hosts: int) -> Mininet | str:
    """Times, or the sentence that says why there are none."""
    if os.geteuid() != 0:
        return "Mininet is not compared: it needs root"
    if not Path(PYTHON).exists() or not shutil.which("mnexec"):
        return "Mininet is not compared: it is not installed (apt-get install mininet)"
    command = [*_ISOLATED, PYTHON, str(_SCRIPT), str(hosts)]
    clean = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=TIMEOUT, env=clean)
    except subprocess.TimeoutExpired:
        return f"Mininet is not compared: {hosts} hosts took more than {TIMEOUT:g} s"
    if done.returncode:
        reason = (done.stderr.strip() or done.stdout.strip() or "no reason given").splitlines()[-1]
        return f"Mininet is not compared: it failed ({reason})"
    said = msgspec.json.decode(done.stdout.splitlines()[-1], type=_Said)
    if said.lost:
        return f"Mininet is not compared: {said.lost:g} % of its pings were lost"
    return Mininet(hosts, said.up, said.down)
