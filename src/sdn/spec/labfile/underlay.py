"""The underlay of a lab file: a generated leaf–spine fabric, or the switches and links that somebody drew."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from msgspec.structs import astuple, replace

from sdn.model import HOSTNAME, Effect, Host, HostState, Link, Role, Switch, Taint, Underlay
from sdn.spec.labfile.complaints import Complaints, Path, suggest
from sdn.spec.labfile.forms import AlikeHostsForm, HostForm, NamedHostForm, TaintForm, UnderlayForm
from sdn.spec.underlay import leaf_spine

HOSTS_PER_LEAF = 32
_ZONE = "topology.kubernetes.io/zone"
_RACK = "rack"
_GENERATED = ("leaves", "spines", "uplinks")
_PROPERTIES = ("mtu", "bandwidth", "loss", "delay")
_AT: Path = ("underlay",)


def build(form: UnderlayForm, complaints: Complaints) -> Underlay:
    """All Hosts, Switches and Links; counts name them host-1, leaf-1 and spine-1 onwards."""
    hosts = _hosts(form, complaints)
    if form.switches is None and form.links is None:
        return _fabric(form, hosts, complaints)
    for field in _GENERATED:
        if getattr(form, field) is not None:
            complaints.at((*_AT, field), "makes a fabric, but `switches` and `links` draw one; keep one of the two")
    return _drawn(form, hosts, complaints)


def taints(forms: Sequence[TaintForm]) -> tuple[Taint, ...]:
    """In sorted order, since their order means nothing."""
    return tuple(sorted(Taint(one.key, one.value, Effect(one.effect)) for one in forms))


def _hosts(form: UnderlayForm, complaints: Complaints) -> list[Host]:
    if isinstance(form.hosts, int):
        return [_host(f"host-{number}", HostForm()) for number in range(1, form.hosts + 1)]
    if isinstance(form.hosts, AlikeHostsForm):
        _check_numa(form.hosts, (*_AT, "hosts"), complaints)
        return [_dealt(number, form.hosts) for number in range(form.hosts.count)]
    if not form.hosts:
        complaints.at((*_AT, "hosts"), "is an empty list; a lab needs at least one host")
    times = Counter(one.name for one in form.hosts)
    for index, one in enumerate(form.hosts):
        if times[one.name] > 1:
            complaints.at(
                (*_AT, "hosts", index, "name"), f'host "{one.name}" is there {times[one.name]} times; rename it'
            )
        _check_numa(one, (*_AT, "hosts", index), complaints)
    return [_host(one.name, one) for one in form.hosts]


def _host(name: str, form: HostForm, places: dict[str, str] | None = None) -> Host:
    """`places` are labels that the form's own are stronger than."""
    return Host(
        name=name,
        cpu=form.cpu,
        memory=form.memory,
        pods=form.pods,
        labels={HOSTNAME: name} | (places or {}) | form.labels,
        taints=taints(form.taints),
        cpu_overcommit=form.overcommit.cpu,
        memory_overcommit=form.overcommit.memory,
        numa=_numa(form),
        state=HostState(form.state),
    )


def _dealt(number: int, form: AlikeHostsForm) -> Host:
    """Host `number` (from 0), in its rack and zone."""
    places = {}
    for label, word, parts in ((_RACK, "rack", form.racks), (_ZONE, "zone", form.zones)):
        if parts is not None:
            places[label] = f"{word}-{number * parts // form.count + 1}"
    return _host(f"host-{number + 1}", form, places)


def _numa(form: HostForm) -> tuple[tuple[int, int], ...]:
    """(millicores, MiB) of each NUMA node; equal ones share what is left over from the first on."""
    if form.numa is None:
        return ()
    if isinstance(form.numa, list):
        return tuple((one.cpu, one.memory) for one in form.numa)
    cpu, memory = _shared(form.cpu, form.numa), _shared(form.memory, form.numa)
    return tuple(zip(cpu, memory, strict=True))


def _shared(whole: int, parts: int) -> list[int]:
    return [whole // parts + (index < whole % parts) for index in range(parts)]


def _check_numa(form: HostForm, path: Path, complaints: Complaints) -> None:
    """Nothing of a Host is outside of its NUMA nodes, and they have no more than it."""
    if not isinstance(form.numa, list):
        return
    for what, unit in (("cpu", "m"), ("memory", "Mi")):
        parts, whole = sum(getattr(one, what) for one in form.numa), getattr(form, what)
        if parts != whole:
            message = f"its {what} adds up to {parts}{unit}, but the host has {whole}{unit}; make them agree"
            complaints.at((*path, "numa"), message)


def _fabric(form: UnderlayForm, hosts: list[Host], complaints: Complaints) -> Underlay:
    """Leaves and spines from counts. A Host hangs on the leaf it names, or the next in turn, and on those after it."""
    leaves = form.leaves or max(min(2, len(hosts)), -(-len(hosts) // HOSTS_PER_LEAF))
    uplinks = form.uplinks or 1
    if uplinks > leaves:
        complaints.at((*_AT, "uplinks"), f"{uplinks} leaves per host, but there are {leaves}; write more leaves")
    fabric = leaf_spine((), leaves, form.spines or 2, form.mtu)
    names = [f"leaf-{number}" for number in range(1, leaves + 1)]
    cables, zoned = list(fabric.links), []
    # Hosts written one by one are dealt out by name, for the order of what was written never matters.
    order = list(range(len(hosts)))
    if isinstance(form.hosts, list):
        order.sort(key=lambda index: hosts[index].name)
    for turn, index in enumerate(order):
        host, first = hosts[index], _leaf(form, index, turn, names, complaints)
        zoned.append(replace(host, labels={_ZONE: names[first]} | host.labels))
        ends = {names[(first + step) % leaves] for step in range(uplinks)}
        cables += [Link(min(host.name, leaf), max(host.name, leaf), mtu=form.mtu) for leaf in ends]
    limited = [replace(one, bandwidth=form.bandwidth, loss=form.loss, delay=form.delay) for one in cables]
    return _sorted(zoned, list(fabric.switches), limited, form)


def _leaf(form: UnderlayForm, index: int, turn: int, names: list[str], complaints: Complaints) -> int:
    """Which leaf a Host hangs on first: the one it names, or the next in turn."""
    wanted = form.hosts[index].leaf if isinstance(form.hosts, list) else None
    if wanted is None:
        return turn % len(names)
    if wanted in names:
        return names.index(wanted)
    message = f'leaf "{wanted}" is not defined{suggest(wanted, names)}'
    complaints.at((*_AT, "hosts", index, "leaf"), message)
    return 0


def _drawn(form: UnderlayForm, hosts: list[Host], complaints: Complaints) -> Underlay:
    """Exactly the switches and links that were written."""
    taken = {host.name for host in hosts}
    for index, switch in enumerate(form.switches or ()):
        if switch.name in taken:
            message = f'"{switch.name}" is already a host or switch; rename one of them'
            complaints.at((*_AT, "switches", index, "name"), message)
        taken.add(switch.name)
    for index, host in enumerate(form.hosts if isinstance(form.hosts, list) else ()):
        _refuse_leaf(host, (*_AT, "hosts", index, "leaf"), complaints)
    switches = [Switch(one.name, Role(one.role)) for one in form.switches or ()]
    return _sorted(hosts, switches, _links(form, taken, complaints), form)


def _refuse_leaf(host: NamedHostForm, path: Path, complaints: Complaints) -> None:
    if host.leaf is not None:
        complaints.at(path, f"is for generated fabrics; write {{a: {host.name}, b: {host.leaf}}} in `links`")


def _links(form: UnderlayForm, nodes: set[str], complaints: Complaints) -> list[Link]:
    """Links with their own properties, or else the underlay's; parallel ones are numbered by their properties."""
    cables: list[Link] = []
    for index, one in enumerate(form.links or ()):
        path = (*_AT, "links", index)
        for end, name in (("a", one.a), ("b", one.b)):
            if name not in nodes:
                complaints.at((*path, end), f'host or switch "{name}" is not defined{suggest(name, nodes)}')
        if one.a == one.b:
            complaints.at(path, f'connects "{one.a}" with itself; name two different ends')
        a, b = sorted((one.a, one.b))
        properties: dict[str, Any] = {field: _own(getattr(one, field), getattr(form, field)) for field in _PROPERTIES}
        cables.append(Link(a, b, **properties))
    cables.sort(key=astuple)
    seen: Counter[tuple[str, str]] = Counter()
    for position, cable in enumerate(cables):
        cables[position] = replace(cable, index=seen[cable.a, cable.b])
        seen[cable.a, cable.b] += 1
    return cables


def _own(value: int | None, default: int) -> int:
    return default if value is None else value


def _sorted(hosts: list[Host], switches: list[Switch], links: list[Link], form: UnderlayForm) -> Underlay:
    return Underlay(
        hosts=tuple(sorted(hosts, key=lambda host: host.name)),
        switches=tuple(sorted(switches, key=lambda switch: switch.name)),
        links=tuple(sorted(links, key=lambda link: (link.a, link.b, link.index))),
        family=6 if form.family == "ipv6" else 4,
    )
