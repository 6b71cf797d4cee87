"""Kubernetes manifests as pieces of a Model: one flat network that all namespaces share, policy alone deciding.

Namespaces with a primary network of their own are the exception: each such network is an Application beside.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from ipaddress import ip_address, ip_network
from typing import Any

from msgspec.structs import replace

from sdn.errors import Problem
from sdn.model import Application, Constraints, Namespace, Segment, SegmentKind, Underlay, Workload
from sdn.spec.kubernetes import nodes, scheduling
from sdn.spec.kubernetes.cluster_policies import cluster_policies
from sdn.spec.kubernetes.networks import KINDS, Networks, networks
from sdn.spec.kubernetes.objects import IN_NO_NAMESPACE, Objects, collect, unrolled
from sdn.spec.kubernetes.pods import APPLICATION, SEGMENT, Crew, Node, add_daemons, crew
from sdn.spec.kubernetes.policies import network_policy
from sdn.spec.kubernetes.ranges import MANY_POD_RANGES, MANY_PODS, POD_RANGES, ranges
from sdn.spec.kubernetes.scheduling import desk
from sdn.spec.kubernetes.services import services, with_targets
from sdn.spec.parts import LabParts, Places, place_key
from sdn.spec.priorities import PriorityClass
from sdn.spec.source import Document
from sdn.spec.underlay import default_underlay

METADATA_NAME = "kubernetes.io/metadata.name"


def read(documents: Sequence[Document], problems: list[Problem], lab: LabParts | None = None) -> LabParts:
    """What the manifests add to `lab`, or are by themselves; mistakes are appended to `problems`.

    Without a lab that has an underlay, one is made that is large enough for everything.
    """
    lab = lab or LabParts()
    objects = collect(documents, problems)
    parts = LabParts(warnings=objects.warnings)
    at = desk(objects, lab.priorities)
    pods = crew(objects, at)
    written = _nodes(objects, lab)
    parts.underlay = lab.underlay or written or default_underlay([*lab.workloads, *pods.workloads], pods.daemons)
    known = _settle(pods, parts.underlay, lab, sure=bool(lab.underlay or written))
    parts.running = {key: place for key, place in pods.running.items() if place in known}
    vms = any(vm.is_node for vm in lab.workloads)
    parts.constraints = Constraints(
        volumes=tuple(at.claims.on(parts.underlay, nodes_are_vms=vms, warnings=parts.warnings))
    )

    parts.namespaces = _namespaces(objects)
    own = networks(objects, _labels(parts.namespaces, lab))
    addresses = [address for service in lab.services for address in service.addresses]
    found = services(objects.of("Service"), lab.service_prefixes, addresses, own.homes)
    parts.services, parts.service_prefixes = found.services, found.prefixes
    parts.warnings += found.warnings

    application, workloads = _application([pod for pod in pods.workloads if not _moves(pod, own)], lab, parts)
    workloads += _moved([pod for pod in pods.workloads if _moves(pod, own)], own, parts)
    parts.applications = [*([application] if application is not None else []), *own.applications]
    parts.workloads = with_targets(workloads, parts.services)
    parts.network_policies = [network_policy(item, parts.warnings) for item in objects.of("NetworkPolicy")]
    tiers = cluster_policies(objects, {policy.name for policy in lab.policies})
    parts.policies = tiers.policies
    parts.warnings += [*own.warnings, *tiers.warnings]
    where = {**pods.where, **own.where, **tiers.where}
    for item in objects.of("Service", "NetworkPolicy", "Namespace"):
        kind = "NetworkPolicy" if item.kind == "NetworkPolicy" else item.kind.lower()
        where[place_key(kind, "/".join(filter(None, (item.namespace, item.name))))] = item.site
    parts.where = Places(lambda: {key: site.line for key, site in where.items()})
    return parts


def applications(documents: Sequence[Document]) -> list[Application]:
    """The Applications that `read` will make of networks in the manifests; a lab may name them before that."""
    telling = [document for document in documents if any(_is_network(data) for _, data in unrolled(document))]
    return networks(collect(telling, []), {}).applications if telling else []


def priorities(documents: Sequence[Document]) -> dict[str, PriorityClass]:
    """The PriorityClasses of the manifests, which a lab may name before they are read."""
    telling = [document for document in documents if any(_is(data, "PriorityClass") for _, data in unrolled(document))]
    return scheduling.priorities(collect(telling, [])) if telling else {}


def _is(data: Any, kind: str) -> bool:
    return isinstance(data, dict) and data.get("kind") == kind


def _is_network(data: Any) -> bool:
    return isinstance(data, dict) and data.get("kind") in KINDS


def _nodes(objects: Objects, lab: LabParts) -> Underlay | None:
    """The Hosts that Node objects are, unless a lab says what there is."""
    items = objects.of("Node")
    if items and (lab.underlay is not None or any(vm.is_node for vm in lab.workloads)):
        objects.warnings.append(f"not used here, for the lab has hosts or nodes of its own: Node ({len(items)})")
        return None
    return nodes.underlay(items)


def _settle(pods: Crew, underlay: Underlay, lab: LabParts, *, sure: bool) -> set[str]:
    """nodeName counts where there is that node, and every DaemonSet runs on every node.

    The names of the nodes; none where they were only generated, unless `sure`.
    """
    every: list[Node] = [(vm.name, vm.labels, vm.taints) for vm in lab.workloads if vm.is_node]
    if not every:
        every = [(h.name, h.labels, [(t.key, t.value, t.effect) for t in h.taints]) for h in underlay.hosts]
    known = {name for name, _, _ in every} if sure else set()
    pods.workloads = [replace(pod, host=pod.host if pod.host in known else "") for pod in pods.workloads]
    add_daemons(pods, every)
    return known


def _application(
    workloads: list[Workload], lab: LabParts, parts: LabParts
) -> tuple[Application | None, list[Workload]]:
    """The Application of the cluster, unless the lab has it, and the Pods in it with the addresses that fit."""
    own = next((one for one in lab.applications if one.name == APPLICATION), None)
    if own is not None and own.segments:
        segment = next((one for one in own.segments if one.name == SEGMENT), own.segments[0])
        prefixes = segment.subnets
        made, workloads = None, [replace(pod, segment=segment.name) for pod in workloads]
    else:
        defaults = MANY_POD_RANGES if len(workloads) > MANY_PODS else POD_RANGES
        prefixes, _ = ranges(defaults, [text for pod in workloads for text in pod.ip], parts.service_prefixes)
        made = Application(APPLICATION, (Segment(SEGMENT, prefixes, SegmentKind.ROUTED),))
    return made, _with_fitting_addresses(workloads, prefixes, parts)


def _moves(pod: Workload, own: Networks) -> bool:
    """Host-network Pods have no endpoint to move."""
    return pod.namespace in own.homes and not pod.host_network


def _moved(workloads: list[Workload], own: Networks, parts: LabParts) -> list[Workload]:
    """The Pods of namespaces with a network of their own, in it."""
    found: list[Workload] = []
    for application in own.applications:
        (segment,) = application.segments
        pods = [pod for pod in workloads if own.homes[pod.namespace] == application.name]
        there = [replace(pod, application=application.name, segment=segment.name) for pod in pods]
        found += _with_fitting_addresses(there, segment.subnets, parts)
    return found


def _labels(namespaces: Sequence[Namespace], lab: LabParts) -> Mapping[str, Mapping[str, str]]:
    """Labels of the manifests' namespaces, with those that a lab gives them."""
    written = {one.name: one.labels for one in lab.namespaces}
    return {one.name: {**written.get(one.name, {}), **one.labels} for one in namespaces}


def _with_fitting_addresses(workloads: list[Workload], prefixes: Sequence[str], parts: LabParts) -> list[Workload]:
    networks = [ip_network(prefix) for prefix in prefixes]
    # The first address of every prefix is the gateway.
    reserved = {network.network_address + offset for network in networks for offset in (0, 1)}
    result, dropped = [], 0
    for pod in workloads:
        addresses = [ip_address(text) for text in pod.ip]
        fitting = tuple(str(a) for a in addresses if a not in reserved and any(a in network for network in networks))
        dropped += len(pod.ip) - len(fitting)
        result.append(pod if len(fitting) == len(pod.ip) else replace(pod, ip=fitting))
    if dropped:
        parts.warnings.append(
            f"{dropped} addresses of running Pods do not fit {' and '.join(prefixes)}, others are used"
        )
    return result


def _namespaces(objects: Objects) -> list[Namespace]:
    """Every namespace that is written or mentioned, with the label that Kubernetes gives it."""
    labels: dict[str, dict[str, str]] = {item.name: item.content.metadata.labels for item in objects.of("Namespace")}
    for item in objects.found.values():
        if item.kind not in IN_NO_NAMESPACE:
            labels.setdefault(item.namespace, {})
    return [Namespace(name, dict(sorted({**own, METADATA_NAME: name}.items()))) for name, own in sorted(labels.items())]
