"""`sdn down`: the end of a lab."""

# ruff: noqa: PLC0415 - nobody waits for an import that only a verb, or only its mistake, needs
from __future__ import annotations

import click

from sdn.cli import complete
from sdn.cli.options import progress


@click.command("down")
@click.argument("labs", metavar="[LAB]...", nargs=-1, shell_complete=complete.labs)
@click.option("--all", "everything", is_flag=True, help="Every lab of yours that is up.")
def command(labs: tuple[str, ...], everything: bool) -> None:
    """Take a lab down; nothing of it remains.

    LAB may be left out where only one is up. Needs no file: the lab knows itself.

    \b
    Examples:
      sdn down
      sdn down before after
      sdn down --all
    """
    if everything and labs:
        raise click.UsageError("--all and names together: leave one of them out")
    from sdn.lab import client

    names: list[str | None] = [lab.name for lab in client.labs()] if everything else [*labs] or [None]
    with progress() as say:
        for name in names:
            lab = client.connect(name)
            say(f"taking {lab.name} down")
            lab.down()
            click.echo(f"{lab.name} is down")
