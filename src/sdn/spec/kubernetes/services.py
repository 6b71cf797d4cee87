"""Services of the cluster, their addresses, and the ports that somebody listens on because a Service targets them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network

from msgspec.structs import replace

from sdn.model import Port, Service, ServicePort, Workload
from sdn.spec.kubernetes import schema
from sdn.spec.kubernetes.objects import Object
from sdn.spec.kubernetes.pods import APPLICATION
from sdn.spec.kubernetes.ranges import SERVICE_RANGES, Pool, ranges
from sdn.spec.mistakes import Site, nearest

_TYPES = ("ClusterIP", "NodePort", "LoadBalancer", "ExternalName")
_FAMILIES = {"IPv4": 4, "IPv6": 6}
_POLICIES = ("SingleStack", "PreferDualStack", "RequireDualStack")


@dataclass
class Services:
    """What came of the Service objects."""

    services: list[Service] = field(default_factory=list)
    prefixes: tuple[str, ...] = SERVICE_RANGES
    warnings: list[str] = field(default_factory=list)


def services(
    items: Sequence[Object], prefixes: tuple[str, ...], taken: Sequence[str], homes: Mapping[str, str]
) -> Services:
    """All Services; `items` sorted by key. `prefixes` empty: chosen so that given addresses fit.

    `homes`: namespace → its Application where that is not the cluster's.

    Addresses given out follow the order of the keys, so the order of the files does not matter.
    """
    result = Services()
    named = []
    for item in items:
        if item.content.spec.type == "ExternalName":
            result.warnings.append(f"{item.site.line}: {item.site.title} is an ExternalName and not used here")
        else:
            named.append(item)
    given = {item.key: _given(item) for item in named}
    result.prefixes = prefixes or _prefixes([text for texts in given.values() for text in texts], result)
    kept = _keep(named, given, result, taken)
    pools: dict[int, Pool] = {ip_network(prefix).version: Pool(prefix, [*taken, *kept]) for prefix in result.prefixes}
    for item in named:
        home = homes.get(item.namespace, APPLICATION)
        result.services.append(_service(item, home, given[item.key], pools))
    return result


def _prefixes(given: Sequence[str], result: Services) -> tuple[str, ...]:
    chosen, fit = ranges(SERVICE_RANGES, given)
    if not fit:
        result.warnings.append(
            "the clusterIPs lie too far apart for one range; addresses outside 10.96.0.0/16 are changed"
        )
    return chosen


def _given(item: Object) -> list[str]:
    """The addresses that are written down, in their usual spelling; none for a headless Service."""
    spec: schema.ServiceSpec = item.content.spec
    texts = spec.cluster_ips or [spec.cluster_ip]
    found = []
    for text in texts:
        if text in ("", "None"):
            continue
        try:
            found.append(str(ip_address(text)))
        except ValueError:
            item.site.at("spec", "clusterIP").report(f'"{text}" is not an IP address; correct it, or write None')
    return found


def _keep(
    items: Sequence[Object], given: dict[tuple[str, str, str], list[str]], result: Services, taken: Sequence[str]
) -> list[str]:
    """Drop given addresses outside the ranges, refuse those given twice, and return the others."""
    networks = [ip_network(prefix) for prefix in result.prefixes]
    owners = dict.fromkeys(taken, "a service of the lab")
    for item in items:
        fitting = []
        for text in given[item.key]:
            address = ip_address(text)
            if not any(address in network and address != network.network_address for network in networks):
                result.warnings.append(
                    f"{item.site.line}: {item.site.title}: {text} is outside the ranges, another is used"
                )
                continue
            if text in owners:
                item.site.at("spec").report(f"address {text} is that of {owners[text]} already; remove one")
            owners[text] = item.site.title
            fitting.append(text)
        given[item.key] = fitting
    return [text for texts in given.values() for text in texts]


def _service(item: Object, application: str, given: list[str], pools: dict[int, Pool]) -> Service:
    spec: schema.ServiceSpec = item.content.spec
    site = item.site.at("spec")
    headless = "None" in (spec.cluster_ip, *spec.cluster_ips)
    if spec.type not in _TYPES:
        site.at("type").report(
            f'"{spec.type}" does not exist (there are: {", ".join(_TYPES)}){nearest(spec.type, _TYPES)}'
        )
    if not spec.ports and not headless:
        site.report("a Service needs at least one port; add ports, or clusterIP: None")
    return Service(
        namespace=item.namespace,
        name=item.name,
        application=application,
        selector=dict(sorted(spec.selector.items())),
        ports=_ports(spec.ports, site.at("ports")),
        addresses=() if headless else _addresses(spec, site, given, pools),
    )


def _ports(written: Sequence[schema.ServicePort], site: Site) -> tuple[ServicePort, ...]:
    found: dict[tuple[int, str], str] = {}
    names: set[str] = set()
    for position, port in enumerate(written):
        here = site.at(position)
        if (port.port, port.protocol) in found:
            here.report(f"port {port.port}/{port.protocol} is given twice; keep one of them")
        found[port.port, port.protocol] = port.name
        if len(written) > 1 and not port.name:
            here.report("needs a name, for the Service has several ports; add one")
        elif port.name in names:
            here.at("name").report(f'"{port.name}" names two ports; rename one')
        names.add(port.name)
    ports = (ServicePort(p.port, p.target_port or p.port, p.protocol, p.name) for p in written)
    return tuple(sorted(ports, key=lambda port: (port.port, port.protocol, str(port.target), port.name)))


def _addresses(spec: schema.ServiceSpec, site: Site, given: list[str], pools: dict[int, Pool]) -> tuple[str, ...]:
    found = list(given)
    for family in sorted(_families(spec, site, given) - {ip_address(text).version for text in given}):
        address = pools[family].take() if family in pools else None
        if address is not None:
            found.append(address)
        elif family not in pools and spec.ip_family_policy == "PreferDualStack":
            continue
        elif family not in pools:
            site.report(
                f"no range for IPv{family} addresses of Services; give the lab one, or ask for the other family"
            )
        else:
            site.report(f"range {pools[family].network} has no free address left; choose a wider one")
    return tuple(sorted(found, key=lambda text: ip_address(text).version))


def _families(spec: schema.ServiceSpec, site: Site, given: list[str]) -> set[int]:
    """What the Service asks for; what a cluster gave out says it best."""
    for position, name in enumerate(spec.ip_families):
        if name not in _FAMILIES:
            site.at("ipFamilies", position).report(f'"{name}" does not exist (there are: IPv4, IPv6)')
    policy = spec.ip_family_policy
    if policy and policy not in _POLICIES:
        message = f'"{policy}" does not exist (there are: {", ".join(_POLICIES)}){nearest(policy, _POLICIES)}'
        site.at("ipFamilyPolicy").report(message)
    if policy == "RequireDualStack" or (policy == "PreferDualStack" and not given):
        return {4, 6}
    if given:
        return {ip_address(text).version for text in given}
    return {_FAMILIES[name] for name in spec.ip_families if name in _FAMILIES} or {4}


def with_targets(workloads: Sequence[Workload], found: Iterable[Service]) -> list[Workload]:
    """The workloads with a port for every number that a Service targets on them.

    Published manifests often leave containerPort out, which to Kubernetes is information only: the process listens.
    """
    by_label: dict[tuple[str, str, str], list[int]] = defaultdict(list)
    for position, workload in enumerate(workloads):
        for key, value in workload.labels.items():
            by_label[workload.namespace, key, value].append(position)
    extra: dict[int, set[Port]] = defaultdict(set)
    for service in found:
        ports = {Port(port.target, port.protocol) for port in service.ports if isinstance(port.target, int)}
        if not ports or not service.selector:
            continue
        rarest = min((by_label.get((service.namespace, *item), []) for item in service.selector.items()), key=len)
        for position in rarest:
            if service.selector.items() <= workloads[position].labels.items():
                extra[position] |= ports
    return [_with_ports(workload, extra.get(position, set())) for position, workload in enumerate(workloads)]


def _with_ports(workload: Workload, ports: set[Port]) -> Workload:
    declared = {(port.number, port.protocol) for port in workload.ports}
    missing = {port for port in ports if (port.number, port.protocol) not in declared}
    return replace(workload, ports=tuple(sorted({*workload.ports, *missing}))) if missing else workload
