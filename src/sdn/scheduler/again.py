"""Another description of a lab that runs: what that says nothing of stays as it is.

A file does not know what has failed meanwhile, and who waits for a place because of that is no mistake of the file.
"""

from __future__ import annotations

from msgspec.structs import replace

from sdn.errors import UnschedulableError
from sdn.model import HostState, Model, Placement
from sdn.scheduler.kept import Kept
from sdn.scheduler.place import schedule


def unhealed(model: Model, running: Model) -> Model:
    """Another description of a lab that runs: what has failed there, or is in maintenance, waits for being healed."""
    was, now = running.underlay, model.underlay
    away = {host.name: host.state for host in was.hosts if host.state is not HostState.UP}
    dark = {switch.name for switch in was.switches if switch.failed}
    down = {(link.a, link.b, link.index) for link in was.links if link.failed}
    if not (away or dark or down or was.isolated):
        return model
    isolated = {*now.isolated, *was.isolated} & {host.name for host in now.hosts}
    return replace(
        model,
        underlay=replace(
            now,
            hosts=tuple(replace(h, state=away[h.name]) if h.name in away else h for h in now.hosts),
            switches=tuple(replace(s, failed=True) if s.name in dark else s for s in now.switches),
            links=tuple(
                replace(link, failed=True) if (link.a, link.b, link.index) in down else link for link in now.links
            ),
            isolated=tuple(sorted(isolated)),
        ),
    )


def place_again(model: Model, running: Model, placement: Placement, kept: Kept | None = None) -> Placement:
    """As `place`; but who waited for a place in the lab that runs may go on waiting.

    `kept` is the scheduler of that lab, and makes it no other answer.
    """
    known = kept.place(model, placement) if kept else None
    if known is not None:
        return known
    waiting = {one.key for one in running.workloads} - placement.hosts.keys()
    found = schedule(model, placement)
    refused = [f"{key}: {why}" for key, why in found.refused if key not in waiting]
    if refused:
        raise UnschedulableError(refused)
    return found.placement
