"""`sdn rebalance`: what pays for itself moves."""

# ruff: noqa: PLC0415 - nobody waits for an import that only a verb, or only its mistake, needs
from __future__ import annotations

import click

from sdn.cli.operating import operate, operation_options


@click.command("rebalance")
@click.option("--dry-run", is_flag=True, help="Only say what would move, and why.")
@operation_options
def command(dry_run: bool, lab: str | None, watch: bool, form: str) -> None:
    """Move what pays for itself, so that hosts are loaded alike.

    First what breaks a rule that must hold, then wishes, then load: a move must gain more than it costs, and after it
    nothing is left that would move back. Load is what is asked for; where a `demand` is written it is what each is
    entitled to of that, by vSphere's reservations, limits and shares over all hosts.

    Exit status: 0 if it is done, or there is nothing to do; 1 if a rule is broken that no move can mend; 2 if it could
    not be done.

    \b
    Examples:
      sdn rebalance --dry-run
      sdn rebalance --lab shop --format json | jq '.moved | length'
    """
    from sdn.model.lifecycle import Rebalance

    operate(lab, lambda _: Rebalance(dry_run), watch, form, dry_run)
