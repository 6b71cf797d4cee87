"""Which Hosts a Pod's volumes tie it to: claims, the volumes that they are bound to, and where those can be used.

A claim that is not bound yet, and a volume without node affinity, tie nobody.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sdn.model import NodeTerm, Underlay, Volume
from sdn.spec.kubernetes.affinity import node_terms
from sdn.spec.kubernetes.objects import Objects
from sdn.spec.matching import admits
from sdn.spec.mistakes import Site


@dataclass(frozen=True, slots=True)
class Claims:
    """`bound`: namespace and name of a claim → its volume. `places`: volume → where it can be used."""

    bound: Mapping[tuple[str, str], str]
    places: Mapping[str, tuple[NodeTerm, ...]]
    sites: Mapping[str, Site]

    @classmethod
    def of(cls, objects: Objects) -> Claims:
        """Both sides of a binding name the other; either is enough."""
        bound: dict[tuple[str, str], str] = {}
        places: dict[str, tuple[NodeTerm, ...]] = {}
        sites = {}
        for item in objects.of("PersistentVolume"):
            reference, tied = item.content.spec.claim_ref, item.content.spec.node_affinity
            bound[reference.namespace, reference.name] = item.name
            sites[item.name] = item.site
            if tied is not None and tied.required is not None:
                site = item.site.at("spec", "nodeAffinity", "required")
                places[item.name] = node_terms(tied.required, site)
        for item in objects.of("PersistentVolumeClaim"):
            if item.content.spec.volume_name:
                bound[item.namespace, item.name] = item.content.spec.volume_name
        return cls(bound, places, sites)

    def volumes(self, namespace: str, names: Iterable[str]) -> tuple[str, ...]:
        """Of some claims those that tie, sorted."""
        found = {self.bound.get((namespace, name), "") for name in names}
        return tuple(sorted(found & self.places.keys()))

    def on(self, underlay: Underlay, *, nodes_are_vms: bool, warnings: list[str]) -> list[Volume]:
        """Every volume that ties, with the Hosts that it can be used on."""
        every = tuple(host.name for host in underlay.hosts)
        result = []
        for name, terms in sorted(self.places.items()):
            fitting = tuple(host.name for host in underlay.hosts if admits(terms, host.name, host.labels))
            why = "the nodes are VMs, which move" if nodes_are_vms else "no Host here is meant" if not fitting else ""
            if why:
                site = self.sites[name]
                warnings.append(f"{site.line}: {site.title}: nodeAffinity is not used here, for {why}")
            result.append(Volume(name, every if why else fitting))
        return result
