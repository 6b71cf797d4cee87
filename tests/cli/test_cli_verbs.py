"""The command line itself: its table of verbs, its help, its exit statuses."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from sdn.cli import options, sdn
from sdn.cli.verbs import VERBS
from sdn.errors import LabError


def run(*arguments: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(sdn, arguments)
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, done.stdout, done.stderr


@pytest.mark.parametrize("verb", VERBS)
def test_verb_has_help_with_examples(verb: str) -> None:
    status, output, _ = run(verb, "--help")
    assert status == 0
    assert f"  sdn {verb}" in output.partition("Examples:")[2]


@pytest.mark.parametrize("verb", VERBS)
def test_table_says_what_the_verb_says(verb: str) -> None:
    command = import_module(f"sdn.cli.{verb}").command
    assert command.name == verb
    assert command.help.startswith(VERBS[verb].removesuffix("."))


@pytest.mark.parametrize("verb", ["test", "check", "up", "ls", "status", "trace", "probe", "doctor"])
def test_every_table_is_json_too(verb: str) -> None:
    assert "--format [text|json" in run(verb, "--help")[1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(("tset",), "there is no verb 'tset'; did you mean test?", id="verb"),
        pytest.param(("zzz",), "there is no verb 'zzz'; there are: test, check, place, up", id="verb-far-off"),
        pytest.param(("check",), "Missing argument 'DIR_OR_FILE...'", id="no-file"),
        pytest.param(("check", "no-such-file"), "Path 'no-such-file' does not exist", id="file"),
        pytest.param(("ls", "--format", "xml"), "'xml' is not one of 'text', 'json'", id="format"),
        pytest.param(
            ("test",), "name what to test: a lab file or manifests, or a lab that is up", id="nothing-to-test"
        ),
        pytest.param(("down", "--all", "shop"), "--all and names together", id="down-all-and-one"),
    ],
)
def test_wrong_use_is_2(arguments: tuple[str, ...], message: str) -> None:
    status, output, error = run(*arguments)
    assert (status, output) == (2, "")
    assert message in error


@pytest.mark.parametrize(
    ("raised", "status", "said"),
    [
        pytest.param(LabError("no lab is up"), 2, "no lab is up\n", id="mistake"),
        pytest.param(KeyboardInterrupt(), 130, "interrupted\n", id="interrupted"),
    ],
)
def test_what_a_verb_raises(raised: BaseException, status: int, said: str) -> None:
    @click.command("raise")
    def command() -> None:
        raise raised

    group = type(sdn)("sdn", commands={"raise": command})
    group.get_command = lambda ctx, cmd_name: command  # type: ignore[method-assign]
    group.resolve_command = lambda ctx, args: ("raise", command, [])  # type: ignore[method-assign]
    done = CliRunner().invoke(group, ["raise"])
    assert (done.exit_code, done.stdout, done.stderr) == (status, "", said)


def python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code]
    return subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **environment})


def test_a_bug_shows_its_traceback_and_is_no_answer() -> None:
    code = "import sys; sys.argv = ['sdn', 'ls']; import sdn.cli.ls as ls; ls.command.callback = lambda **_: 1 / 0\n"
    done = python(code + "from sdn.cli import main; main()")
    assert done.returncode == 2
    assert "ZeroDivisionError" in done.stderr and "this is a bug of sdn" in done.stderr


def test_output_that_cannot_be_written_is_no_bug() -> None:
    code = "import sys; sys.argv = ['sdn', 'completion', 'bash']; from sdn.cli import main; main()"
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([sys.executable, "-c", code], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    said = "cannot write all of the output: No space left on device; make room, or write elsewhere\n"
    assert (done.returncode, done.stderr) == (2, said)


GONE = {
    "by-click": "import sys; sys.argv = ['sdn', 'completion', 'bash']; from sdn.cli import main; main()",
    "by-rich": (
        "import sys; sys.argv = ['sdn', 'ls']; import sdn.cli.ls as ls; from sdn.report.text import console\n"
        "ls.command.callback = lambda **_: console().print('x'); from sdn.cli import main; main()"
    ),
}


@pytest.mark.parametrize("code", GONE.values(), ids=GONE)
def test_a_reader_that_has_gone_is_no_answer(code: str) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([sys.executable, "-c", code], stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_script(shell: str) -> None:
    status, output, _ = run("completion", shell)
    assert status == 0
    assert f"_SDN_COMPLETE={shell}_complete" in output


def test_shell_completes_verbs() -> None:
    code = "from sdn.cli import main; main()"
    done = python(code, _SDN_COMPLETE="bash_complete", COMP_WORDS="sdn st", COMP_CWORD="1")
    assert done.stdout.split() == ["plain,status"]


def test_progress_is_silent_where_nobody_watches(capsys: pytest.CaptureFixture[str]) -> None:
    with options.progress() as say:
        say("load")
    assert capsys.readouterr() == ("", "")
