"""The Services of a lab file, and their addresses."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from ipaddress import ip_address, ip_network

from sdn.model import Segment, Service, family_of
from sdn.spec.labfile.complaints import Complaints, Path
from sdn.spec.labfile.forms import LabForm, ServiceForm

PREFIXES = ("10.96.0.0/16", "fd00:10:96::/112")
"""Kubernetes' usual range, and one of the same size."""


def prefixes(form: LabForm, complaints: Complaints) -> tuple[str, ...]:
    """The service prefixes, IPv4 before IPv6, at most one of each."""
    versions: set[int] = set()
    for index, text in enumerate(form.service_prefixes):
        version = ip_network(text).version
        if version in versions:
            complaints.at(("service_prefixes", index), f"{text} is a second IPv{version} prefix; keep one of them")
        versions.add(version)
    return tuple(sorted(form.service_prefixes, key=lambda text: ":" in text)) or PREFIXES


def build(
    form: LabForm, segments: Mapping[str, tuple[Segment, ...]], pools: Sequence[str], complaints: Complaints
) -> list[Service]:
    """Every Service; `auto` addresses come from `pools`, one for each IP version that the application has."""
    forms = [
        (application, name, one)
        for application, home in sorted(form.applications.items())
        for name, one in sorted(home.services.items())
    ]
    fixed = _fixed(forms, pools, complaints)
    free = {family_of(text): _Free(text, fixed) for text in pools}
    services = []
    for application, name, one in forms:
        path = ("applications", application, "services", name)
        _check_ports(one, path, complaints)
        addresses = _addresses(one, segments.get(application, ()), free, path, complaints)
        service = Service(application, name, application, one.selector, tuple(sorted(one.ports)), addresses)
        services.append(service)
    return services


def _fixed(forms: list[tuple[str, str, ServiceForm]], pools: Sequence[str], complaints: Complaints) -> dict[str, str]:
    """Address → Service of those that were written."""
    taken: dict[str, str] = {}
    for application, name, one in forms:
        versions: set[bool] = set()
        for index, text in enumerate(one.address if isinstance(one.address, list) else ()):
            path = ("applications", application, "services", name, "address", index)
            if not any(ip_address(text) in ip_network(pool) for pool in pools):
                complaints.at(
                    path, f"{text} is not inside the service prefixes ({', '.join(pools)}); choose one that is"
                )
            if text in taken:
                complaints.at(path, f"{text} is already the address of {taken[text]}; choose another or write auto")
            if (":" in text) in versions:
                complaints.at(path, f"{text} is a second address of its IP version; a service has one of each")
            taken[text] = f"{application}/{name}"
            versions.add(":" in text)
    return taken


def _addresses(
    form: ServiceForm, segments: Iterable[Segment], free: Mapping[int, _Free], path: Path, complaints: Complaints
) -> tuple[str, ...]:
    if isinstance(form.address, list):
        return tuple(sorted(form.address, key=lambda text: ":" in text))
    if form.address == "none":
        return ()
    versions = {family_of(subnet) for one in segments for subnet in one.subnets}
    chosen = [free[version].take() for version in sorted(versions & free.keys())]
    if None in chosen:
        complaints.at(path, "no service address is left; write larger `service_prefixes`")
    return tuple(text for text in chosen if text)


class _Free:
    """The addresses of a pool from its middle on; the lower half is left to Services of Kubernetes manifests, so that
    neither moves the other's addresses."""

    def __init__(self, pool: str, taken: Iterable[str]) -> None:
        network = ip_network(pool)
        self._at = network.network_address + max(1, network.num_addresses // 2)
        self._pool, self._taken = network, set(taken)

    def take(self) -> str | None:
        """The next address that nobody has, None when there is no more."""
        while str(self._at) in self._taken:
            self._at += 1
        text = str(self._at)
        self._at += 1
        return text if self._at in self._pool else None


def _check_ports(form: ServiceForm, path: Path, complaints: Complaints) -> None:
    numbers, names = set(), set()
    for index, port in enumerate(form.ports):
        at = (*path, "ports", index)
        if (port.port, port.protocol) in numbers:
            complaints.at(at, f"{port.port}/{port.protocol} is there twice; keep one of them")
        if port.name and port.name in names:
            complaints.at(at, f'port name "{port.name}" is there twice; rename one of them')
        numbers.add((port.port, port.protocol))
        names.add(port.name)
