"""`sdn label`: dynamic groups follow what a workload is called."""

# ruff: noqa: PLC0415 - nobody waits for an import that only a verb, or only its mistake, needs
from __future__ import annotations

from typing import TYPE_CHECKING

import click

from sdn.cli import complete
from sdn.cli.operating import operate, operation_options, owner_or_workload

if TYPE_CHECKING:
    from sdn.model import Placed
    from sdn.model.lifecycle import Operation


@click.command("label")
@click.argument("workload", metavar="WORKLOAD", shell_complete=complete.workloads)
@click.argument("changes", metavar="KEY=VALUE|KEY-...", nargs=-1, required=True)
@operation_options
def command(workload: str, changes: tuple[str, ...], lab: str | None, watch: bool, form: str) -> None:
    """Set or remove labels of a running workload; policies follow at once.

    `key=value` sets, `key-` removes. Groups that select by label gain or lose the workload on every host that knows
    them, so a label that a policy denies everything for isolates at once; what runs stays where it runs. The name of
    a Deployment, or of anything else that owns several workloads, labels all of them.

    Exit status: 0 if it is done, 2 if it could not be.

    \b
    Examples:
      sdn label web-0 quarantine=true
      sdn label web-0 quarantine-
      sdn label shop/web tier=gold canary- --lab shop
    """
    labels = _labels(changes)

    def make(placed: Placed) -> Operation:
        from sdn.model.lifecycle import Label

        return Label(owner_or_workload(placed, workload), labels)

    operate(lab, make, watch, form)


def _labels(changes: tuple[str, ...]) -> dict[str, str]:
    """What each key shall be; UsageError with every mistake, also where one key is to be two things."""
    labels: dict[str, str] = {}
    mistakes: list[str] = []
    for text in changes:
        try:
            key, value = _parsed(text)
        except ValueError as error:
            mistakes.append(str(error))
            continue
        if labels.setdefault(key, value) != value:
            mistakes.append(f"{text!r} speaks of {key} once more; say it once")
    if mistakes:
        raise click.UsageError("\n".join(mistakes))
    return labels


def _parsed(text: str) -> tuple[str, str]:
    """Key and value; an empty value removes."""
    from sdn.spec.kubernetes.fields import label_key, label_value

    key, equals, value = text.partition("=")
    if equals and key and value:
        return label_key(key), label_value(value)
    if not equals and text.endswith("-") and len(text) > 1:
        return label_key(text[:-1]), ""
    raise ValueError(f"{text!r} is no change of a label: write key=value to set, key- to remove")
