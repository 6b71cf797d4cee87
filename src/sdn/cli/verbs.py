"""The table of verbs, and the group that loads one only when somebody uses it."""

# ruff: noqa: PLC0415 - nobody waits for an import that only a verb, or only its mistake, needs
from __future__ import annotations

import errno
import os
import signal
import sys
from importlib import import_module
from typing import Any

import click

from sdn import __version__
from sdn.errors import SdnError

UNWRITTEN = frozenset({errno.EPIPE, errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})
"""What standard output answers where nobody reads it any more, or where there is no room."""

VERBS = {
    "test": "Build the lab, ask every question three ways, tear it down.",
    "check": "Say every mistake in what you wrote, with file:line:column.",
    "place": "Say where everything would run, and why.",
    "up": "Build a lab that stays up.",
    "plan": "Say what `sdn apply` would change in a running lab.",
    "apply": "Have a running lab become what its file says now, without building it anew.",
    "ls": "List the labs that are up.",
    "status": "Say what a lab is, and whether the kernel still agrees.",
    "down": "Take a lab down; nothing of it remains.",
    "trace": "Say what would happen to a packet, hop by hop and by which rule.",
    "reach": "Say everything that may talk to anything.",
    "evaluate": "Give each of many flows its verdict.",
    "lint": "Find rules that do nothing, cost much, or leave something open.",
    "diff": "Say what a change would do.",
    "verify": "Prove what you claim of a lab, or refute it with a flow.",
    "explain": "Say why, tier by tier, and what would have to change.",
    "probe": "Ask a running lab with a real packet.",
    "exec": "Run a command inside a workload.",
    "migrate": "Move a workload to another host while it runs.",
    "drain": "Empty a host for maintenance, and let nothing new onto it.",
    "rebalance": "Move what pays for itself, so that hosts are loaded alike.",
    "fail": "Break something in a running lab, and see the lab recover from it.",
    "heal": "Mend what failed, or end the maintenance of a host.",
    "scale": "Have more or fewer replicas of a running workload.",
    "rollout": "Replace the workloads of an application batch by batch, the canary first.",
    "scenario": "Run the scenario of a lab file, and say what happened.",
    "label": "Set or remove labels of a running workload; policies follow at once.",
    "doctor": "Say what this kernel and this user can do.",
    "completion": "Print the completion script of a shell.",
}
"""Verb → its line in `sdn --help`, so that the help loads none of them; each is `command` in the module of its name."""


class Verbs(click.Group):
    """Loads verbs by name, and gives errors their exit status."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order of the table: what one needs first stands first."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the verb's module."""
        if cmd_name not in VERBS:
            return None
        command: click.Command = import_module(f"sdn.cli.{cmd_name}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Say what was probably meant."""
        if args and args[0] not in VERBS and not args[0].startswith("-"):
            from difflib import get_close_matches

            near = get_close_matches(args[0], VERBS, n=1)
            hint = f"did you mean {near[0]}?" if near else f"there are: {', '.join(VERBS)}"
            ctx.fail(f"there is no verb {args[0]!r}; {hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The table as it stands."""
        with formatter.section("Verbs"):
            formatter.write_dl(list(VERBS.items()))

    def invoke(self, ctx: click.Context) -> Any:
        """Run the verb; a user's mistake is 2 and one sentence, Ctrl-C is 130."""
        try:
            return super().invoke(ctx)
        except SdnError as error:
            click.echo(str(error), err=True)
            ctx.exit(2)
        except KeyboardInterrupt:
            click.echo("interrupted", err=True)
            ctx.exit(130)
        except OSError as error:
            if error.errno not in UNWRITTEN or error.filename is not None:
                raise
            _give_up_output()
            if error.errno == errno.EPIPE:
                # As a shell counts it: 1, which click would say, reads as an answer.
                ctx.exit(128 + signal.SIGPIPE)
            click.echo(f"cannot write all of the output: {error.strerror}; make room, or write elsewhere", err=True)
            ctx.exit(2)


def _give_up_output() -> None:
    """What is still in Python's buffer would fail once more at exit, with a message of Python's own."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


@click.group(
    cls=Verbs,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    subcommand_metavar="VERB [ARGUMENTS]...",
    epilog="""\b
Examples:
  sdn test topologies/three-tier.yaml      build it, ask everything, tear it down
  sdn test k8s-manifests/                  the same with plain Kubernetes manifests
  sdn up topologies/two-hosts.yaml         a lab that stays
  sdn trace web-0 db-0:5432/tcp            why would this packet pass, or not?
  sdn exec web-0 -- tcpdump -ni eth0       look at it with the tools you know
\b
Exit status: 0 yes, 1 the answer is no, 2 it could not be done.""",
)
@click.version_option(__version__, prog_name="sdn", message="%(prog)s %(version)s")
def sdn() -> None:
    """A data-centre network in one Linux box, and proof that it obeys its policies."""
