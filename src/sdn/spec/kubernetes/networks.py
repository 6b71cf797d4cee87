"""UserDefinedNetworks as Applications: namespaces with a primary network of their own, isolated from all others.

A primary network takes effect only in namespaces that carry the label `k8s.ovn.org/primary-user-defined-network`.
Secondary networks are further interfaces, which workloads do not have here.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sdn.model import Application, Segment, SegmentKind, family_of
from sdn.spec.kubernetes import schema_networks as schema
from sdn.spec.kubernetes.names import application_name
from sdn.spec.kubernetes.objects import Object, Objects
from sdn.spec.kubernetes.pods import SEGMENT
from sdn.spec.kubernetes.policies import label_selector, network
from sdn.spec.matching import selects
from sdn.spec.mistakes import Site, nearest
from sdn.spec.parts import place_key

KINDS = ("UserDefinedNetwork", "ClusterUserDefinedNetwork")
LABEL = "k8s.ovn.org/primary-user-defined-network"
_TOPOLOGIES = {"Layer2": SegmentKind.L2, "Layer3": SegmentKind.ROUTED}
_ROLES = ("Primary", "Secondary")
_UNUSED = ("reserved_subnets", "infrastructure_subnets", "default_gateway_ips")


@dataclass
class Networks:
    """What came of the objects. `homes`: namespace → the Application of its Pods and Services."""

    applications: list[Application] = field(default_factory=list)
    homes: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    where: dict[str, Site] = field(default_factory=dict)


def networks(objects: Objects, labels: Mapping[str, Mapping[str, str]]) -> Networks:
    """Every primary network; `labels` are those of all namespaces."""
    result = Networks()
    claims: dict[str, list[Object]] = defaultdict(list)
    for item in objects.of(*KINDS):
        written, site = _written(item)
        application = _application(item, written, site, result.warnings)
        if application is None:
            continue
        result.applications.append(application)
        result.where[place_key("application", application.name)] = item.site
        for namespace in _namespaces(item, labels, result.warnings):
            claims[namespace].append(item)
            result.homes.setdefault(namespace, application.name)
    for namespace, (first, *others) in sorted(claims.items()):
        for other in others:
            other.site.report(
                f"gives namespace {namespace} a second primary network beside {first.site.title}; keep one of them"
            )
    for namespace, own in sorted(labels.items()):
        if LABEL in own and namespace not in claims:
            result.warnings.append(
                f"namespace {namespace} asks for a network of its own ({LABEL}), but none selects it; its Pods stay in "
                "the cluster's"
            )
    return result


def _written(item: Object) -> tuple[schema.Network, Site]:
    if item.kind == "UserDefinedNetwork":
        return item.content.spec, item.site.at("spec")
    return item.content.spec.network, item.site.at("spec", "network")


def _application(item: Object, written: schema.Network, site: Site, warnings: list[str]) -> Application | None:
    """None for what is no primary network, or a mistake."""
    if written.topology == "Localnet" and item.kind == "ClusterUserDefinedNetwork":
        warnings.append(f"{item.site.line}: {item.site.title} is a Localnet network and not used here")
        return None
    if written.topology not in _TOPOLOGIES:
        hint = nearest(written.topology, _TOPOLOGIES)
        site.at("topology").report(f'"{written.topology}" is no topology (there are: {", ".join(_TOPOLOGIES)}){hint}')
        return None
    word = written.topology.lower()
    layer = written.layer2 if word == "layer2" else written.layer3
    other = "layer3" if word == "layer2" else "layer2"
    if getattr(written, other) is not None:
        site.at(other).report(f"does not belong to topology {written.topology}; write {word} instead", key=True)
    if layer is None:
        site.report(f'"{word}" is missing, for the topology is {written.topology}; add it')
        return None
    return _segmented(item, layer, _TOPOLOGIES[written.topology], site.at(word), warnings)


def _segmented(
    item: Object, layer: schema.Layer2 | schema.Layer3, kind: SegmentKind, site: Site, warnings: list[str]
) -> Application | None:
    if layer.role not in _ROLES:
        hint = nearest(layer.role, _ROLES)
        site.at("role").report(f'"{layer.role}" is no role (there are: {", ".join(_ROLES)}){hint}')
    if layer.role != "Primary":
        warnings.append(f"{item.site.line}: {item.site.title} has role {layer.role} and is not used here")
        return None
    for name in _UNUSED:
        if getattr(layer, name, None) is not None:
            alias = type(layer).model_fields[name].alias or name
            warnings.append(f"{site.at(alias).line}: {item.site.title}: {alias} is not used here")
    if not layer.subnets:
        site.report('"subnets" is missing, and a primary network needs one or two; add them')
    subnets = _subnets(layer, site.at("subnets"))
    slices = {family_of(text): length for text, length in subnets.items()}
    segment = Segment(SEGMENT, tuple(subnets), kind, slices.get(4, 0), slices.get(6, 0))
    return Application(application_name(item.namespace, item.name), (segment,))


def _subnets(layer: schema.Layer2 | schema.Layer3, site: Site) -> dict[str, int]:
    """Prefix → length of a node's part (0: left to us), IPv4 first; at most one per family."""
    found: dict[int, tuple[str, int]] = {}
    written: Sequence[str | schema.RoutedSubnet] = layer.subnets
    for position, one in enumerate(written):
        here = site.at(position)
        cidr, length, at = (one, 0, here) if isinstance(one, str) else (one.cidr, one.host_subnet or 0, here.at("cidr"))
        prefix = network(cidr, at)
        if prefix is None:
            continue
        if prefix.version in found:
            here.report(f"{prefix} is a second IPv{prefix.version} subnet beside {found[prefix.version][0]}; keep one")
        most = prefix.max_prefixlen - 1
        if length and not prefix.prefixlen < length <= most:
            here.at("hostSubnet").report(
                f"{length} is no part of {prefix}; write a length from {prefix.prefixlen + 1} to {most}"
            )
        found[prefix.version] = (str(prefix), length)
    return dict(found[version] for version in sorted(found))


def _namespaces(item: Object, labels: Mapping[str, Mapping[str, str]], warnings: list[str]) -> Sequence[str]:
    """Those where the network takes effect."""
    if item.kind == "UserDefinedNetwork":
        selected = [item.namespace]
    else:
        selector = label_selector(item.content.spec.namespace_selector, item.site.at("spec", "namespaceSelector"))
        selected = [name for name, own in sorted(labels.items()) if selects(selector, own)]
        if not selected:
            warnings.append(f"{item.site.line}: {item.site.title} selects no namespace")
    for name in selected:
        if LABEL not in labels.get(name, {}):
            warnings.append(
                f"{item.site.line}: {item.site.title} does not take effect in namespace {name}, which lacks the label "
                f"{LABEL}"
            )
    return [name for name in selected if LABEL in labels.get(name, {})]
