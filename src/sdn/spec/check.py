"""Mistakes that no single object shows: names and addresses given twice, networks that overlap, dead references."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from sdn.errors import Problem
from sdn.model import Application, Model, Policy, Rule, Selector, Workload
from sdn.spec.groups import circles, references, selectors, ways_back
from sdn.spec.kubernetes.fields import dns_label, dns_subdomain
from sdn.spec.mistakes import nearest
from sdn.spec.parts import place_key

Network = IPv4Network | IPv6Network
SHOWN = 20
"""How many names that exist a message lists."""
Finding = tuple[str, str, str]
"""Kind and name of what is wrong, as in `place_key`, and a sentence that begins with it."""


def check(model: Model, places: Sequence[Mapping[str, str]]) -> list[Problem]:
    """Every such mistake; `places` are the `where` of each part that the model was merged from."""
    problems = []
    for find in FINDERS:
        for kind, name, message in find(model):
            written = [where[place_key(kind, name)] for where in places if place_key(kind, name) in where]
            file, line = _split(written[-1]) if written else (model.name, 0)
            also = f" (also at {', '.join(written[:-1])})" if len(written) > 1 else ""
            problems.append(Problem(file, line, 0, f"{kind} {name}: {message}{also}"))
    return problems


def _split(place: str) -> tuple[str, int]:
    file, _, line = place.rpartition(":")
    return (file, int(line)) if file and line.isdigit() else (place, 0)


def _names(model: Model) -> Iterator[Finding]:
    """Names end up in namespaces, interfaces and DNS."""
    rules: list[tuple[str, Iterable[str], Callable[[str], str]]] = [
        ("application", (one.name for one in model.applications), dns_label),
        ("segment", (s.name for one in model.applications for s in one.segments), dns_label),
        ("namespace", (one.name for one in model.namespaces), dns_label),
        ("workload", (one.key for one in model.workloads), _after_slash(dns_subdomain)),
        ("service", (one.key for one in model.services), _after_slash(dns_label)),
        ("host", (one.name for one in model.underlay.hosts), dns_label),
        ("switch", (one.name for one in model.underlay.switches), dns_label),
    ]
    for kind, names, rule in rules:
        for name in names:
            try:
                rule(name)
            except ValueError as error:
                yield kind, name, str(error)


def _after_slash(rule: Callable[[str], str]) -> Callable[[str], str]:
    return lambda key: rule(key.rpartition("/")[2])


def _twice(model: Model) -> Iterator[Finding]:
    kinds: list[tuple[str, Iterable[str]]] = [
        ("application", (one.name for one in model.applications)),
        ("workload", (one.key for one in model.workloads)),
        ("service", (one.key for one in model.services)),
        ("policy", (one.name for one in model.policies)),
        ("group", (one.name for one in model.groups)),
        ("volume", (one.name for one in model.constraints.volumes)),
        ("NetworkPolicy", (f"{one.namespace}/{one.name}" for one in model.network_policies)),
    ]
    for kind, names in kinds:
        seen: set[str] = set()
        doubles: set[str] = set()
        for name in names:
            (doubles if name in seen else seen).add(name)
        for name in sorted(doubles):
            yield kind, name, "is defined more than once; rename one of them"


def _nodes(model: Model) -> Iterator[Finding]:
    """Hosts, Switches and VMs that run Pods are called by their names alone."""
    taken: dict[str, str] = {}
    nodes = [("host", host.name, host.name) for host in model.underlay.hosts]
    nodes += [("switch", switch.name, switch.name) for switch in model.underlay.switches]
    nodes += [("workload", vm.key, vm.name) for vm in model.workloads if vm.is_node]
    for kind, key, name in nodes:
        if name in taken:
            yield kind, key, f'"{name}" is already the name of {taken[name]}; rename one of them'
        taken.setdefault(
            name, f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}" if kind != "workload" else "another node"
        )


def _references(model: Model) -> Iterator[Finding]:
    known = {one.name: {segment.name for segment in one.segments} for one in model.applications}
    for application in model.applications:
        for other in application.connects:
            if other not in known:
                yield "application", application.name, f"connects to {_unknown('application', other, known)}"
    for workload in model.workloads:
        if workload.is_node and not workload.application:
            continue  # a node without a network of its own only runs Pods
        if workload.application not in known:
            yield "workload", workload.key, f"is in {_unknown('application', workload.application, known)}"
        elif workload.segment not in known[workload.application]:
            segments = known[workload.application]
            yield "workload", workload.key, f"is on {_unknown('segment', workload.segment, segments)}"
    for service in model.services:
        if service.application not in known:
            yield "service", service.key, f"is in {_unknown('application', service.application, known)}"


def _selections(model: Model) -> Iterator[Finding]:
    """Names in selectors that nothing has; a Selector that named nobody would select nobody, silently."""
    known = {
        "application": {one.name for one in model.applications},
        "segment": {segment.name for one in model.applications for segment in one.segments},
        "workload": {one.key for one in model.workloads},
        "group": {one.name for one in model.groups},
    }
    every = [("policy", policy.name, one) for policy in model.policies for one in _selectors(policy)]
    every += [("group", group.name, one) for group in model.groups for one in selectors(group)]
    every += [("rule", rule.name, rule.workloads) for rule in model.constraints.rules]
    every += [("exclusion", "of workloads", one) for one in model.exclusions]
    for kind, name, selector in every:
        named = {
            "application": selector.applications,
            "segment": selector.segments,
            "workload": selector.keys,
            "group": selector.groups,
        }
        for what, names in named.items():
            for missing in sorted(set(names) - known[what]):
                yield kind, name, f"selects {_unknown(what, missing, known[what])}"


def _placement(model: Model) -> Iterator[Finding]:
    """What the scheduler is told to hold to names Hosts and workloads that there are."""
    hosts = {host.name for host in model.underlay.hosts}
    named = [("volume", one.name, one.hosts) for one in model.constraints.volumes]
    named += [("rule", one.name, one.host_names) for one in model.constraints.rules]
    named.append(("admission", "control", model.constraints.admission.dedicated))
    for kind, name, wanted in named:
        for missing in sorted(set(wanted) - hosts):
            yield kind, name, f"names {_unknown('host', missing, hosts)}"
    keys = {one.key for one in model.workloads}
    orders = {one.key: one.scheduling.after for one in model.workloads if one.scheduling.after}
    for key, first in orders.items():
        for missing in sorted(set(first) - keys):
            yield "workload", key, f"comes after {_unknown('workload', missing, keys)}"
    for way in ways_back(orders):
        yield "workload", way[0], f"comes after itself ({' → '.join(way)}); remove one of these steps"


def _groups(model: Model) -> Iterator[Finding]:
    """Groups that peers name or that other groups are made of, and those that are made of themselves."""
    known = {one.name for one in model.groups}
    for policy in model.policies:
        named = {peer.group for rule in policy.rules for peer in (*rule.peers, *rule.own) if peer.group}
        for missing in sorted(named - known):
            yield "policy", policy.name, f"names {_unknown('group', missing, known)}"
    for group in model.groups:
        inside = {name for one in selectors(group) for name in one.groups}
        for missing in sorted(references(group) - known - inside):
            yield "group", group.name, f"is made of {_unknown('group', missing, known)}"
    for way in circles(model.groups):
        yield "group", way[0], f"contains itself ({' → '.join(way)}); remove one of these steps"


def _selectors(policy: Policy) -> Iterator[Selector]:
    yield from policy.applies_to
    for rule in policy.rules:
        yield from rule.applies_to
        yield from _peer_selectors(rule)


def _peer_selectors(rule: Rule) -> Iterator[Selector]:
    for peer in (*rule.peers, *rule.own):
        if peer.selector is not None:
            yield peer.selector


def _unknown(kind: str, name: str, known: Iterable[str]) -> str:
    names = sorted(known)
    shown = ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")
    return f'{kind} "{name}", which is not defined (there are: {shown or "none"}){nearest(name, names)}'


def _fixed_addresses(model: Model) -> Iterator[Finding]:
    """Inside its segment, not the gateway's, and nobody else's in any application that is connected."""
    segments = {(one.name, segment.name): segment for one in model.applications for segment in one.segments}
    inside = {key: [ip_network(subnet) for subnet in segment.subnets] for key, segment in segments.items()}
    zones = _zones(model.applications)
    owners: dict[tuple[str, str], str] = {}
    for workload in model.workloads:
        segment = segments.get((workload.application, workload.segment))
        if segment is None or not workload.ip:
            continue
        networks = inside[workload.application, workload.segment]
        for text in workload.ip:
            address = ip_address(text)
            network = next((network for network in networks if address in network), None)
            if network is None:
                subnets = " or ".join(segment.subnets)
                yield "workload", workload.key, f"address {text} is not in {subnets}; choose one that is"
            elif address in (network.network_address, network.network_address + 1):
                yield "workload", workload.key, f"address {text} is the network's or the gateway's; choose another"
            owner = owners.setdefault((zones[workload.application], str(address)), workload.key)
            if owner != workload.key:
                yield "workload", workload.key, f"address {text} is that of {owner} already; choose another"


def _zones(applications: Sequence[Application]) -> dict[str, str]:
    """Application → the first by name of all that it is joined with, directly or through others."""
    neighbours: dict[str, set[str]] = defaultdict(set)
    for application in applications:
        for other in application.connects:
            neighbours[application.name].add(other)
            neighbours[other].add(application.name)
    zone: dict[str, str] = {}
    for first in sorted(one.name for one in applications):
        waiting = [first] if first not in zone else []
        while waiting:
            name = waiting.pop()
            if name not in zone:
                zone[name] = first
                waiting += neighbours[name]
    return zone


def _overlaps(model: Model) -> Iterator[Finding]:
    """Inside an application, and between applications that are joined: routing could not tell them apart."""
    zones = _zones(model.applications)
    every = [
        (zones[one.name], ip_network(subnet), one.name, segment.name)
        for one in model.applications
        for segment in one.segments
        for subnet in segment.subnets
    ]
    every.sort(key=lambda item: (item[0], item[1].version, int(item[1].network_address), item[1].prefixlen, item[2:]))
    reach: tuple[str, Network, str, str] | None = None
    for item in every:
        zone, network, application, segment = item
        if reach is not None and (reach[0], reach[1].version) == (zone, network.version):
            if int(network.network_address) <= int(reach[1].broadcast_address):
                message = f"segment {segment}: {network} overlaps {reach[1]} of segment {reach[3]}"
                step = "choose another subnet"
                if reach[2] != application:
                    message += f" of application {reach[2]}, which connections lead to"
                    step += " for one of them, or remove the entry of `connects:` that joins them"
                message += f"; {step}"
                yield "application", application, message
            if int(network.broadcast_address) <= int(reach[1].broadcast_address):
                continue
        reach = item


def _service_ranges(model: Model) -> Iterator[Finding]:
    ranges = [ip_network(prefix) for prefix in model.service_prefixes]
    for application in model.applications:
        for segment in application.segments:
            for network in map(ip_network, segment.subnets):
                for taken in ranges:
                    if taken.version == network.version and _both(taken, network):
                        message = f"segment {segment.name}: {network} overlaps {taken}, the addresses of services"
                        yield "application", application.name, f"{message}; choose another subnet"


def _both(one: Network, other: Network) -> bool:
    """Two networks of one family share an address."""
    low = max(int(one.network_address), int(other.network_address))
    return low <= min(int(one.broadcast_address), int(other.broadcast_address))


def _rooms(model: Model) -> Iterator[Finding]:
    """Segments with fewer addresses than workloads, on whatever Hosts those will run."""
    members: dict[tuple[str, str], list[Workload]] = defaultdict(list)
    for workload in model.workloads:
        if not workload.host_network:
            members[workload.application, workload.segment].append(workload)
    for application in model.applications:
        for segment in application.segments:
            here = members[application.name, segment.name]
            for network in map(ip_network, segment.subnets):
                free = [one for one in here if not any((":" in text) == (network.version == 6) for text in one.ip)]
                length = segment.slice4 if network.version == 4 else segment.slice6
                # A fixed address may lie anywhere; only the others need one of a Host's part.
                for need, room in ((len(here), _room(network, 0)), (len(free), _room(network, length))):
                    if room < need:
                        message = f"segment {segment.name}: {network} has room for {room}, not for {need} workloads"
                        yield "application", application.name, f"{message}; choose a larger subnet"
                        break


def _parts(model: Model) -> Iterator[Finding]:
    """Routed segments that somebody cut into fewer parts than there are Hosts on which its workloads may run."""
    nodes = sum(workload.is_node for workload in model.workloads) or len(model.underlay.hosts)
    members: dict[tuple[str, str], set[str]] = defaultdict(set)
    for workload in model.workloads:
        if not workload.host_network:
            # Who is free to run anywhere may need a Host of its own.
            members[workload.application, workload.segment].add(workload.host or workload.key)
    for application in model.applications:
        for segment in application.segments:
            need = min(len(members[application.name, segment.name]), nodes, len(model.underlay.hosts))
            for network in map(ip_network, segment.subnets):
                length = segment.slice4 if network.version == 4 else segment.slice6
                if length and need > 2 ** max(0, length - network.prefixlen):
                    yield "application", application.name, _too_few(segment.name, network, length, need)


def _too_few(segment: str, network: Network, length: int, need: int) -> str:
    parts = 2 ** max(0, length - network.prefixlen)
    least = network.prefixlen + (need - 1).bit_length()
    step = f"cut it into parts of /{least} or longer, or choose a larger subnet"
    return f"segment {segment}: {network} has {parts} parts of /{length}, not one for each of {need} Hosts; {step}"


def _room(network: Network, length: int) -> int:
    """Addresses of all parts of a length but for what each part loses: network, gateway, IPv4's broadcast address."""
    length = max(length, network.prefixlen)
    each = 2 ** (network.max_prefixlen - length) - (3 if network.version == 4 else 2)
    return int(max(0, each) * 2 ** (length - network.prefixlen))


FINDERS = (
    _names,
    _twice,
    _nodes,
    _references,
    _selections,
    _groups,
    _placement,
    _fixed_addresses,
    _overlaps,
    _service_ranges,
    _rooms,
    _parts,
)
