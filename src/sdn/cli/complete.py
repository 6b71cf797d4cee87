"""What the shell offers at Tab: names of running labs and of their workloads.

Completion never complains: whatever goes wrong, a half-typed line is not the place to say so.
"""

# ruff: noqa: PLC0415 - nobody waits for an import that only a verb, or only its mistake, needs
from __future__ import annotations

import click

from sdn.errors import SdnError


def labs(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Labs that are up."""
    from sdn.lab import client

    try:
        return [lab.name for lab in client.labs() if lab.name.startswith(incomplete)]
    except (SdnError, OSError):
        return []


def workloads(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Workloads of the files or the lab that the line names already: short names where they say enough."""
    try:
        keys = _keys(ctx)
    except (SdnError, OSError):
        return []
    names = [key.partition("/")[2] for key in keys]
    short = [name for name in names if names.count(name) == 1]
    return [name for name in (*short, *keys) if name.startswith(incomplete)]


def destinations(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """The same as workloads, up to the colon; which port is the user's to say."""
    return [] if ":" in incomplete else workloads(ctx, param, incomplete)


def _keys(ctx: click.Context) -> list[str]:
    files = ctx.params.get("files")
    if files:
        from sdn.spec.load import load

        return [workload.key for workload in load(files).model.workloads]
    from sdn.lab import client

    return list(client.connect(ctx.params.get("lab")).placed().endpoints)
