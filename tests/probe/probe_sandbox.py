"""Runs a Python file of this folder in network, mount and process namespaces of its own, as root or not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

_PRELUDE = """
import runpy, subprocess, sys
from pathlib import Path
subprocess.run(["mount", "-t", "tmpfs", "none", "/run"], check=True)
Path("/run/sdn-lab").write_text("probe-test")
sys.path.insert(0, str(Path(sys.argv[1]).parent))
runpy.run_path(sys.argv[1], run_name="__main__")
"""


def run(name: str, *arguments: str) -> Any:
    """What the file prints as JSON; its standard error is shown when it fails."""
    user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    command = ["unshare", *user, "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
    script = str(Path(__file__).parent / name)
    done = subprocess.run(
        [*command, sys.executable, "-c", _PRELUDE, script, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
