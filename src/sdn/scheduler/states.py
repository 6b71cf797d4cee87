"""The same Model with some Hosts in another state: what planning for a maintenance or a failure starts from."""

from __future__ import annotations

from collections.abc import Collection

from msgspec.structs import replace

from sdn.model import Admission, HostState, Model


def with_hosts(model: Model, names: Collection[str], state: HostState) -> Model:
    """Those Hosts in that state; names that are no Host are nothing."""
    hosts = tuple(replace(host, state=state) if host.name in names else host for host in model.underlay.hosts)
    return replace(model, underlay=replace(model.underlay, hosts=hosts))


def without_reserve(model: Model) -> Model:
    """Now the room that was kept for failures is there to be used."""
    return replace(model, constraints=replace(model.constraints, admission=Admission()))
