"""From what people type to keys and flows: `web-1`, `shop/web-1:http/tcp`, `service:shop/web:80`, `[fd00::1]:53/udp`.

Every refusal names the nearest thing that exists, because a mistyped name must not read as "denied".
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from ipaddress import ip_address
from typing import NamedTuple

from sdn.errors import SdnError
from sdn.model import Flow, Model, Placed, Protocol, Service, Workload, family_of, unsendable

SERVICE = "service:"
"""Prefix that asks for a Service where a workload has the same name."""

GRAMMAR = "NAME:PORT/PROTOCOL, ADDRESS:PORT/PROTOCOL, [IPV6]:PORT/PROTOCOL, service:NAME:PORT/PROTOCOL or NAME/icmp"


class UnknownNameError(SdnError):
    """A name, port or address that a person typed and this lab does not have; the message says what it has instead."""


class _Wanted(NamedTuple):
    """A destination taken apart; `protocol` None is "not written", `port` empty is "none"."""

    text: str
    name: str
    port: str
    protocol: Protocol | None

    @property
    def written(self) -> str:
        """The name as it stands before a port."""
        return f"[{self.name}]" if _address(self.name) is not None and ":" in self.name else self.name


def find_workload(lab: Placed | Model, text: str) -> str:
    """The key of the workload that `namespace/name`, or an unambiguous `name`, means; UnknownNameError otherwise."""
    model = lab.model if isinstance(lab, Placed) else lab
    found = _named((workload.key for workload in model.workloads), text, "workload")
    if found is None:
        raise UnknownNameError(_unknown("workload", text, [workload.key for workload in model.workloads]))
    return found


def find_source(placed: Placed, text: str) -> str:
    """Who sends: a workload's key as `find_workload` finds it or, where there is none of that name, that of a Host."""
    keys = [workload.key for workload in placed.model.workloads]
    hosts = _hosts(placed)
    found = _named(keys, text, "workload") or (text if text in hosts else None)
    if found is None:
        raise UnknownNameError(_unknown("workload or host", text, [*keys, *hosts]))
    return found


def parse_destination(placed: Placed, source: str, text: str, family: int | None = None) -> tuple[Flow, ...]:
    """The flows from a workload (a key) or a Host that a person asks for: one per IP family, or the one of `family`.

    Only families that both ends have, unless they have none in common: then the destination's, for "no route" is an
    answer, too. TCP where no protocol is written; a port may be written by the name that the destination gives it.
    """
    host = source in _hosts(placed)
    if source not in placed.endpoints and not host:
        raise UnknownNameError(
            f"{source}: has no network of its own, so it can send nothing; ask from another workload"
        )
    wanted = _take_apart(text)
    addresses, protocol, port = _resolve(placed, wanted)
    application = _application(placed, source, wanted) if host else ""
    if family is not None:
        addresses = [address for address in addresses if family_of(address) == family]
        if not addresses:
            raise UnknownNameError(f"{text}: has no IPv{family} address; ask for the other family")
    elif not host and (common := [a for a in addresses if placed.endpoints[source].address(family_of(a)) is not None]):
        addresses = common
    return tuple(Flow(source, address, protocol, port, application) for address in addresses)


def _hosts(placed: Placed) -> list[str]:
    return [host.name for host in placed.model.underlay.hosts]


def _application(placed: Placed, host: str, wanted: _Wanted) -> str:
    """In which Application a Host sends to what is named; of an address, in that of the workload which has it there."""
    address = _address(wanted.name)
    if address is not None:
        return application_of(placed, host, address)
    key = None if wanted.name.startswith(SERVICE) else _named(placed.endpoints, wanted.name, "workload")
    return placed.endpoints[key].application if key is not None else _find_service(placed.model, wanted).application


def application_of(placed: Placed, host: str, address: str) -> str:
    """In which Application a Host sends to an address; UnknownNameError if two have it there, or nobody anywhere."""
    owners = [endpoint for endpoint in placed.endpoints.values() if address in endpoint.addresses]
    here = [endpoint for endpoint in owners if endpoint.host == host]
    if len(here) > 1:
        both = " and of ".join(endpoint.workload for endpoint in here)
        raise UnknownNameError(f"{address} is on {host} the address of {both}; write the name of one of them")
    if not owners:
        raise UnknownNameError(
            f"{address}: no workload has this address, and a host is asked about workloads only; write the name of one"
        )
    return (here or owners)[0].application


def _take_apart(text: str) -> _Wanted:
    """Protocol behind the last slash, port behind the last colon; what is left is a name or an address."""
    rest, slash, last = text.rpartition("/")
    protocol = _protocol(last) if slash else None
    if protocol is None:
        if ":" in rest.removeprefix(SERVICE):
            known = ", ".join(Protocol)
            raise UnknownNameError(f"{text}: protocol {last!r} is not known (there are: {known})")
        rest = text
    if rest.startswith("["):
        name, bracket, tail = rest[1:].partition("]")
        if not bracket or (tail and not tail.startswith(":")):
            raise UnknownNameError(f"{text}: cannot be read as a destination; write {GRAMMAR}")
        return _Wanted(text, name, tail[1:], protocol)
    if _address(rest) is not None:
        return _Wanted(text, rest, "", protocol)
    prefix = SERVICE if rest.startswith(SERVICE) else ""
    name, _, port = rest.removeprefix(prefix).partition(":")
    return _Wanted(text, prefix + name, port, protocol)


def _resolve(placed: Placed, wanted: _Wanted) -> tuple[list[str], Protocol, int]:
    """The addresses, protocol and port number that are meant."""
    address = _address(wanted.name)
    if address is not None:
        if why := unsendable(address):
            raise UnknownNameError(f"{wanted.text}: {address} {why}")
        return [address], *_numbered(wanted)
    workloads = {workload.key: workload for workload in placed.model.workloads}
    key = None if wanted.name.startswith(SERVICE) else _named(workloads, wanted.name, "workload")
    if key is None:
        service = _find_service(placed.model, wanted)
        return list(service.addresses), *_service_port(service, wanted)
    if key not in placed.endpoints:
        raise UnknownNameError(f"{wanted.text}: {key} has no address of its own; it shares its Host's network")
    return list(placed.endpoints[key].addresses), *_workload_port(workloads[key], wanted)


def _find_service(model: Model, wanted: _Wanted) -> Service:
    services = {service.key: service for service in model.services}
    explicit = wanted.name.startswith(SERVICE)
    name = wanted.name.removeprefix(SERVICE)
    key = _named(services, name, "service")
    if key is None:
        known = list(services) if explicit else [*(workload.key for workload in model.workloads), *services]
        raise UnknownNameError(_unknown("service" if explicit else "workload or service", name, known))
    if not services[key].addresses:
        raise UnknownNameError(f"{wanted.text}: service {key} is headless, it has no address; ask one of its workloads")
    return services[key]


def _service_port(service: Service, wanted: _Wanted) -> tuple[Protocol, int]:
    if not wanted.port and wanted.protocol is None and len(service.ports) == 1:
        return service.ports[0].protocol, service.ports[0].port
    if wanted.port.isdecimal() or not wanted.port:
        return _numbered(wanted)
    named = [(port.name, port.protocol, port.port) for port in service.ports]
    return _named_port(wanted, f"service {service.key}", named)


def _workload_port(workload: Workload, wanted: _Wanted) -> tuple[Protocol, int]:
    if wanted.port.isdecimal() or not wanted.port:
        return _numbered(wanted)
    named = [(port.name, port.protocol, port.number) for port in workload.ports]
    return _named_port(wanted, workload.key, named)


def _named_port(wanted: _Wanted, who: str, ports: list[tuple[str, Protocol, int]]) -> tuple[Protocol, int]:
    """A port by name; without a protocol TCP's comes first, else the one that has the name."""
    fits = [
        (protocol, number)
        for name, protocol, number in ports
        if name == wanted.port and wanted.protocol in {None, protocol}
    ]
    if not fits:
        known = ", ".join(sorted(f"{name}/{protocol}" for name, protocol, _ in ports if name)) or "none with a name"
        raise UnknownNameError(f"{wanted.text}: {who} has no port {wanted.port!r} (its ports: {known})")
    return min(fits, key=lambda fit: fit[0] is not Protocol.TCP)


def _numbered(wanted: _Wanted) -> tuple[Protocol, int]:
    """A port by number, which ICMP alone does without."""
    if wanted.protocol is Protocol.ICMP:
        if wanted.port:
            raise UnknownNameError(f"{wanted.text}: ICMP has no ports; write {wanted.written}/icmp")
        return Protocol.ICMP, 0
    if not wanted.port:
        raise UnknownNameError(f"{wanted.text}: which port? write {wanted.written}:80/tcp or {wanted.written}/icmp")
    if not wanted.port.isdecimal():
        raise UnknownNameError(f"{wanted.text}: an address gives its ports no names; write {wanted.port!r} as a number")
    if not 1 <= int(wanted.port) <= 65535:
        raise UnknownNameError(f"{wanted.text}: port {wanted.port} does not exist; write one of 1 to 65535")
    return wanted.protocol or Protocol.TCP, int(wanted.port)


def _named(keys: Iterable[str], text: str, what: str) -> str | None:
    """The key that is `text`, or the only one whose name is; None if there is none, an error if there are several."""
    known = sorted(keys)
    if text in known:
        return text
    fits = [key for key in known if key.partition("/")[2] == text]
    if len(fits) > 1:
        raise UnknownNameError(f"{what} {text!r} is ambiguous: write one of {', '.join(fits)}")
    return fits[0] if fits else None


def _unknown(what: str, text: str, known: list[str]) -> str:
    if not known:
        return f"there is no {what} {text!r}: this lab has none at all"
    candidates = [*known, *(key.partition("/")[2] for key in known)]
    near = list(dict.fromkeys(get_close_matches(text, candidates, n=3, cutoff=0.6)))
    if near:
        return f"there is no {what} {text!r}: did you mean {' or '.join(near)}?"
    shown = sorted(known)[:5]
    more = f", ... ({len(known)} in all)" if len(known) > len(shown) else ""
    return f"there is no {what} {text!r} (there are: {', '.join(shown)}{more})"


def _protocol(text: str) -> Protocol | None:
    try:
        return Protocol(text.lower())
    except ValueError:
        return None


def _address(text: str) -> str | None:
    """The address in its one spelling, None if it is none."""
    try:
        return str(ip_address(text))
    except ValueError:
        return None
