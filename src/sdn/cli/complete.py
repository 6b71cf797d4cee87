"""What the shell offers at Tab: names of running labs and of their workloads.

Completion never complains: whatever goes wrong, a half-typed line is not the place to say so.
"""

# ruff: noqa: PLC0415 - nobody waits for an import that only a verb, or only its mistake, needs
from __future__ import annotations

from pathlib import Path

import click
from click.shell_completion import CompletionItem

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
        keys, _ = _known(ctx)
    except (SdnError, OSError):
        return []
    return _fitting(keys, incomplete)


def sources(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Workloads, and Hosts after them."""
    try:
        keys, hosts = _known(ctx)
    except (SdnError, OSError):
        return []
    return [*_fitting(keys, incomplete), *(host for host in hosts if host.startswith(incomplete))]


def _fitting(keys: list[str], incomplete: str) -> list[str]:
    names = [key.partition("/")[2] for key in keys]
    short = [name for name in names if names.count(name) == 1]
    return [name for name in (*short, *keys) if name.startswith(incomplete)]


def hosts(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Hosts of the lab."""
    from sdn.lab import client

    try:
        underlay = client.connect(ctx.params.get("lab")).placed().model.underlay
    except (SdnError, OSError):
        return []
    return [host.name for host in underlay.hosts if host.name.startswith(incomplete)]


def breakable(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Things of the kind that the line names."""
    from sdn.lab import client

    try:
        placed = client.connect(ctx.params.get("lab")).placed()
    except (SdnError, OSError):
        return []
    underlay, what = placed.model.underlay, ctx.params.get("what")
    if what in ("vm", "pod"):
        return _fitting([one.key for one in placed.model.workloads if one.kind == what], incomplete)
    names = {
        "host": [host.name for host in underlay.hosts],
        "switch": [switch.name for switch in underlay.switches],
        "link": [f"{link.a}:{link.b}" for link in underlay.links],
    }
    return [name for name in names.get(str(what), []) if name.startswith(incomplete)]


def broken(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """What could be healed."""
    from sdn.lab import client

    try:
        model = client.connect(ctx.params.get("lab")).placed().model
    except (SdnError, OSError):
        return []
    hosts = [host.name for host in model.underlay.hosts if host.state != "up"]
    switches = [switch.name for switch in model.underlay.switches if switch.failed]
    links = [f"{link.a}:{link.b}" for link in model.underlay.links if link.failed]
    return [name for name in (*hosts, *switches, *links) if name.startswith(incomplete)]


def files_or_workloads(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """For verbs whose files come first: workloads of those that the line names, else the shell's own files."""
    names = destinations(ctx, param, incomplete) if _files(ctx) else []
    return [CompletionItem(name) for name in names] or [CompletionItem(incomplete, type="file")]


def destinations(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """The same as workloads, up to the colon; which port is the user's to say."""
    return [] if ":" in incomplete else workloads(ctx, param, incomplete)


def _files(ctx: click.Context) -> list[Path]:
    """Those after `--file`, or before the workloads; of a half-typed line click cannot say which word is which."""
    if ctx.params.get("files"):
        return list(ctx.params["files"])
    if "paths" not in ctx.params:
        return []
    words = (*(ctx.params["paths"] or ()), ctx.params.get("source"), ctx.params.get("destination"))
    return [Path(word) for word in words if word and Path(word).exists()]


def _known(ctx: click.Context) -> tuple[list[str], list[str]]:
    """Keys of workloads, and names of Hosts."""
    files = _files(ctx)
    if files:
        from sdn.spec.cache import load

        model = load(files).model
        keys = [workload.key for workload in model.workloads]
    else:
        from sdn.lab import client

        placed = client.connect(ctx.params.get("lab")).placed()
        model, keys = placed.model, list(placed.endpoints)
    return keys, [host.name for host in model.underlay.hosts]
