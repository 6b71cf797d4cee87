"""`sdn doctor`: what this kernel and this user can do, and what to do about the rest."""

# ruff: noqa: PLC0415 - nobody waits for an import that only a verb, or only its mistake, needs
from __future__ import annotations

from typing import TYPE_CHECKING

import click

from sdn.cli.options import NO, YES, format_option, leave

if TYPE_CHECKING:
    from sdn.kernel.features import Feature


@click.command("doctor")
@format_option()
def command(form: str) -> None:
    """Say what this kernel and this user can do.

    Each thing is tried for real in a sandbox that is thrown away; nothing of this machine is touched.

    Exit status: 0 if everything required is there, 1 if not.

    \b
    Examples:
      sdn doctor
      sdn doctor --format json | jq '.features[] | select(.ok | not)'
    """
    from sdn.kernel import features as kernel

    features = kernel.features()
    ok = kernel.works(features)
    if form == "json":
        from sdn.report import json

        fields = ("name", "ok", "required", "detail", "next_step")
        found = [{field: getattr(feature, field) for field in fields} for feature in features]
        click.echo(json.dumps({"version": 1, "ok": ok, "features": found}))
    else:
        _print(features, ok)
    leave(YES if ok else NO)


def _print(features: list[Feature], ok: bool) -> None:
    from sdn.report.columns import columns

    rows = [(sign(feature), feature.name, feature.detail) for feature in features]
    for feature, line in zip(features, columns(rows), strict=True):
        click.echo(click.style(line, fg="green" if feature.ok else "red" if feature.required else "yellow"))
        if not feature.ok and feature.next_step:
            click.echo(f"        {feature.next_step}")
    missing = [feature.name for feature in features if feature.required and not feature.ok]
    click.echo("labs can be built here" if ok else f"labs cannot be built here without: {', '.join(missing)}")


def sign(feature: Feature) -> str:
    """`ok`, `MISSING` for what every lab needs, `no` for what only some do."""
    return "ok" if feature.ok else "MISSING" if feature.required else "no"
