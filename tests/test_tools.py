"""The shell scripts that set everything up, and the guard against tests that vanish by being skipped."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from plugins.ci_skips import ALLOWED, read_patterns

ROOT = Path(__file__).parent.parent
SCRIPTS = ("tools/setup", "tools/goldens", "tools/demo", "tools/fuzz", "tools/test", ".ci/run")


@pytest.mark.parametrize("script", SCRIPTS)
def test_script_can_be_run(script: str) -> None:
    assert os.access(ROOT / script, os.X_OK)
    assert subprocess.run(["bash", "-n", ROOT / script], check=False).returncode == 0


def copy_of_setup(tmp_path: Path, *lines: tuple[str, str]) -> Path:
    """A copy of the set-up in a checkout of its own, with lines replaced to make this machine look poorer."""
    text = (ROOT / "tools/setup").read_text()
    for old, new in lines:
        assert old in text
        text = text.replace(old, new)
    script = tmp_path / "tools/setup"
    script.parent.mkdir(parents=True)
    script.write_text(text)
    (tmp_path / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text())
    return script


def test_missing_packages_are_one_sentence_with_the_command(tmp_path: Path) -> None:
    script = copy_of_setup(
        tmp_path,
        ("has tcpdump ||", "has no-such-tool ||"),
        ("$(id -u) != 0", "1 != 0"),
        ("sudo -n true", "no-such-sudo"),
        ("has apt-get ||", "true ||"),
    )
    done = subprocess.run(["bash", script], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    lines = [line for line in done.stderr.splitlines() if line]
    assert len(lines) == 1
    assert lines[0].startswith("setup: these system packages are missing: ")
    assert "tcpdump" in lines[0] and "sudo apt-get install -y" in lines[0]


def test_missing_packages_are_installed_and_lists_fetched_only_then(tmp_path: Path) -> None:
    log = tmp_path / "calls"
    apt = tmp_path / "bin/apt-get"
    apt.parent.mkdir()
    # As on a machine whose package lists were never fetched: only what comes after an update succeeds.
    apt.write_text(f'#!/bin/sh\necho "$@" >> {log}\ngrep -q update {log}\n')
    apt.chmod(0o755)
    script = copy_of_setup(
        tmp_path,
        ("has tcpdump ||", "has no-such-tool ||"),
        ("$(id -u) != 0", "0 != 0"),
        ("system_packages\nenv", "system_packages\n#"),
    )
    environment = {**os.environ, "PATH": f"{apt.parent}:{os.environ['PATH']}"}
    done = subprocess.run(["bash", script], capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    install, update, again = log.read_text().splitlines()
    assert update == "update -qq"
    assert install == again
    assert install.startswith("install -qq -y --no-install-recommends ") and "tcpdump" in install


def test_place_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    script = copy_of_setup(tmp_path, ("system_packages\nenvironment\n", "environment\n"))
    blocked = tmp_path / "file"
    blocked.touch()
    done = subprocess.run(
        ["bash", script], capture_output=True, text=True, check=False, env={**os.environ, "SDN_VENV": str(blocked)}
    )
    assert done.returncode == 2
    assert "cannot be written to" in done.stderr and "SDN_VENV=" in done.stderr


def run_pytest(tmp_path: Path, body: str, ci: str, workers: int) -> subprocess.CompletedProcess[str]:
    """One test file under the plugin, in a pytest of its own."""
    (tmp_path / "test_it.py").write_text(body)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "tests.plugins.ci_skips"]
    command += ["-p", "xdist", "-n", str(workers)] if workers else []
    return subprocess.run(
        [*command, "-c", "/dev/null", "--rootdir", tmp_path, tmp_path / "test_it.py"],
        env={**os.environ, "CI": ci, "PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


SKIPPED_TEST = "import pytest\ndef test_it():\n    pytest.skip('{}')\n"
SKIPPED_MODULE = "import pytest\npytest.skip('{}', allow_module_level=True)\ndef test_it(): pass\n"
EXPECTED_FAILURE = "import pytest\n@pytest.mark.xfail\ndef test_it(): assert False\n"
PASSED = "def test_other(): pass\n"


@pytest.mark.parametrize(
    ("body", "ci", "workers", "fails"),
    [
        pytest.param(SKIPPED_TEST.format("too lazy") + PASSED, "true", 0, True, id="unexpected"),
        pytest.param(SKIPPED_TEST.format("too lazy") + PASSED, "true", 1, True, id="unexpected-in-a-worker"),
        pytest.param(SKIPPED_MODULE.format("too lazy"), "true", 1, True, id="unexpected-module"),
        pytest.param(SKIPPED_TEST.format("netem is not in this kernel"), "true", 0, False, id="allowed"),
        pytest.param(SKIPPED_TEST.format("too lazy"), "", 0, False, id="not-in-ci"),
        pytest.param(EXPECTED_FAILURE, "true", 0, False, id="xfail"),
    ],
)
def test_unexpected_skip_fails_the_run_in_ci(tmp_path: Path, body: str, ci: str, workers: int, fails: bool) -> None:
    done = run_pytest(tmp_path, body, ci, workers)
    assert (done.returncode != 0) == fails, done.stdout
    assert ("fails the run" in done.stdout) == fails


def test_every_allowed_skip_has_its_reason() -> None:
    lines = [line for line in ALLOWED.read_text().splitlines() if line and not line.startswith("#")]
    assert len(lines) == len(read_patterns(ALLOWED.read_text()))
    assert all("#" in line for line in lines)
