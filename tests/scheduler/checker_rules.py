"""The checker's rules of the lab as a whole: pins, Host states, separations, vSphere's rules, volumes, images."""

from __future__ import annotations

from collections.abc import Iterator

from checker_state import State, Violation

from sdn.model import HOSTNAME, Host, HostState, Image, PlacementRule, Separation, Severity, Together, Workload

SEVERITIES = list(Severity)
"""From harmless to worst, as the model lists them."""


def whereabouts(state: State) -> Iterator[Violation]:
    """Everybody in the placement exists and is somewhere that exists, a Pod on the Host that its node is on."""
    for key in sorted({*state.placement.hosts, *state.placement.nodes}):
        if key not in state.workloads:
            yield Violation("whereabouts", key, 1, "no such workload")
        elif not state.is_placed(state.workloads[key]):
            host, node = state.placement.hosts.get(key), state.placement.nodes.get(key)
            yield Violation("whereabouts", key, 1, f"in {node} on {host}")


def pins(state: State) -> Iterator[Violation]:
    """Whoever is pinned is on that Host or in that node."""
    for workload in state.placed:
        node = state.placement.nodes.get(workload.key, "")
        there = {state.placement.hosts[workload.key], node, node.rpartition("/")[2]} - {""}
        if workload.host and workload.host not in there:
            yield Violation("pin", workload.key, 1, f"pinned to {workload.host}, is in {' '.join(sorted(there))}")


def host_states(state: State) -> Iterator[Violation]:
    """A failed Host runs nothing, one in maintenance takes nothing new."""
    for host in state.hosts.values():
        for workload in state.on[host.name]:
            if host.state is HostState.FAILED:
                yield Violation("Host state", f"{workload.key} {host.name}", 1, "failed")
            if host.state is HostState.MAINTENANCE and arrived(state, workload):
                yield Violation("Host state", f"{workload.key} {host.name}", 1, "in maintenance")


def arrived(state: State, workload: Workload) -> bool:
    """Whether its Host was another before, also where its node brought it along."""
    return state.before.hosts.get(workload.key) != state.placement.hosts[workload.key]


def separations(state: State) -> Iterator[Violation]:
    """Different values of a label share no Host, or no VM."""
    for separation in state.model.constraints.separations:
        for key, pods in state.inside.items():
            yield from mixed(separation, f"in {key}", in_node(separation, state.workloads[key], pods))
        for host in state.hosts:
            outside = [w for w in state.directly[host] if not w.is_node]
            if separation.within == "host":
                yield from mixed(separation, f"on {host}", on_host(state, separation, host))
            else:
                yield from mixed(separation, f"on {host}", {w.labels.get(separation.label) for w in outside})


def in_node(separation: Separation, node: Workload, pods: list[Workload]) -> set[str | None]:
    """The values of what runs in a node, and the node's own if it has one."""
    own = {node.labels[separation.label]} if separation.label in node.labels else set()
    return own | {pod.labels.get(separation.label) for pod in pods}


def on_host(state: State, separation: Separation, host: str) -> set[str | None]:
    """The values on a Host; a node without the label is what its Pods are, and nothing while it has none."""
    values: set[str | None] = set()
    for workload in state.on[host]:
        if not workload.is_node or separation.label in workload.labels:
            values.add(workload.labels.get(separation.label))
    return values


def mixed(separation: Separation, where: str, values: set[str | None]) -> Iterator[Violation]:
    """Told if there is more than one."""
    if len(values) > 1:
        told = " and ".join(sorted("none" if value is None else value for value in values))
        yield Violation("separation", f"{separation.label} {where}", len(values), told)


def rules(state: State) -> Iterator[Violation]:
    """vSphere's rules that must hold; of a Pod in a node its Host counts."""
    for rule in state.model.constraints.rules:
        perhaps = state.perhaps(rule.workloads.labels) if rule.must else []
        chosen = [w for w in perhaps if state.members.selects(rule.workloads, w)]
        match rule.kind:
            case Together.TOGETHER:
                yield from together(state, rule, chosen)
            case Together.APART:
                yield from all_apart(state, rule, chosen)
            case Together.ON | Together.NOT_ON:
                for workload in chosen:
                    if allowed(rule, state.places[workload.key].host) != (rule.kind is Together.ON):
                        yield Violation("rule", f"{rule.name} {workload.key}", 1, state.placement.hosts[workload.key])


def domain_of(state: State, rule: PlacementRule, workload: Workload) -> str | None:
    """Of a workload's Host, for vSphere's rules are about Hosts."""
    host = state.places[workload.key].host
    return host.name if rule.topology == HOSTNAME else host.labels.get(rule.topology)


def together(state: State, rule: PlacementRule, chosen: list[Workload]) -> Iterator[Violation]:
    """All in one domain."""
    domains = {domain_of(state, rule, w) or f"Host {state.placement.hosts[w.key]}" for w in chosen}
    if len(domains) > 1:
        yield Violation("rule", rule.name, len(domains), " ".join(sorted(domains)))


def all_apart(state: State, rule: PlacementRule, chosen: list[Workload]) -> Iterator[Violation]:
    """No two in one domain."""
    there: dict[str, str] = {}
    for workload in chosen:
        domain = domain_of(state, rule, workload)
        if domain is None:
            continue
        if domain in there:
            yield Violation("rule", f"{rule.name} {workload.key}", 1, f"in {domain} with {there[domain]}")
        there.setdefault(domain, workload.key)


def allowed(rule: PlacementRule, host: Host) -> bool:
    """Whether a Host is one that the rule speaks of, by name or by all of the labels."""
    by_labels = bool(rule.hosts) and all(host.labels.get(key) == value for key, value in rule.hosts.items())
    return by_labels or host.name in rule.host_names


def volumes(state: State) -> Iterator[Violation]:
    """A workload is where every one of its volumes has a replica."""
    hosts = {volume.name: volume.hosts for volume in state.model.constraints.volumes}
    for workload in state.placed:
        for name in workload.scheduling.volumes:
            if state.placement.hosts[workload.key] not in hosts.get(name, ()):
                yield Violation("volume", f"{workload.key} {name}", 1, state.placement.hosts[workload.key])


def images(state: State) -> Iterator[Violation]:
    """No newcomer's image is refused at the gate."""
    gate = state.model.constraints.gate
    known = {image.name: image for image in state.model.constraints.images}
    for workload in state.placed:
        for name in workload.scheduling.images:
            image = known.get(name, Image(name))
            good = (image.signed or not gate.signed) and (image.scanned or not gate.scanned)
            harmless = SEVERITIES.index(image.severity) <= SEVERITIES.index(gate.severity)
            if not (good and harmless) and workload.key not in state.before.hosts:
                yield Violation("image", f"{workload.key} {name}")
