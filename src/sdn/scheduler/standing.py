"""What nothing that is bound changes: labels, taints, Hosts that musts and volumes leave, images.

Most targets look alike, so each question is answered once per look and not once per target.
"""

from __future__ import annotations

from collections.abc import Sequence

from sdn.model import HOSTNAME, Constraints, Image, ImageGate, Severity, Workload
from sdn.scheduler.filters import REPELLING, Reason, is_personal, tainted, unlike
from sdn.scheduler.rules import Rules
from sdn.scheduler.score import reluctance
from sdn.scheduler.selection import node_matches
from sdn.scheduler.shape import Shape
from sdn.scheduler.target import Target

SEVERITIES = tuple(Severity)
"""From the best to the worst."""


class Standing:
    """Answers for one lab."""

    def __init__(self, written: Constraints, hosts: Sequence[Target]) -> None:
        self._volumes = {each.name: frozenset(each.hosts) for each in written.volumes}
        self._images = {each.name: each for each in written.images}
        self._gate = written.gate
        self._looks: dict[object, int] = {}
        self._numbers: dict[object, int] = {}
        self._admits: dict[tuple[int, int], bool] = {}
        self._fits: dict[tuple[int, int], bool] = {}
        self._dislikes: dict[tuple[int, int], tuple[int, int]] = {}
        for host in hosts:
            self.see(host)

    def see(self, target: Target) -> None:
        """A target is new, or on another Host."""
        labels = tuple(sorted(item for item in target.labels.items() if item[0] != HOSTNAME))
        self.look(target, (labels, target.taints))

    def look(self, target: Target, content: object) -> None:
        """Equal content, equal number."""
        target.look = self._looks.setdefault(content, len(self._looks))

    def describe(self, shape: Shape) -> None:
        """The Hosts that hold its volumes, and what its images are refused for."""
        w, scheduling = shape.workload, shape.workload.scheduling
        nodes = scheduling.affinity.nodes if scheduling.affinity else ()
        shape.admitted = self._number((tuple(sorted(w.selector.items())), nodes))
        for name in scheduling.volumes:
            if name not in self._volumes:
                shape.refused = f'volume "{name}" is not described under volumes'
            hosts = self._volumes.get(name, frozenset())
            shape.hosts = hosts if shape.hosts is None else shape.hosts & hosts
        refused = (refusal(self._images.get(name, Image(name)), self._gate) for name in scheduling.images)
        shape.refused = shape.refused or next((why for why in refused if why), "")

    def finish(self, shape: Shape) -> None:
        """Number what decides about targets, so that all who ask the same share one ranking."""
        w, scheduling = shape.workload, shape.workload.scheduling
        should = tuple(rule for rule in shape.rules if not rule.written.must and not rule.between)
        fixed = (w.kind, w.is_node, w.host, shape.admitted, w.tolerations, shape.hosts, shape.refused, should)
        shape.fixed = self._number((*fixed, shape.node_wishes))
        shape.request = (
            shape.fixed,
            w.cpu.bit_length(),
            w.memory.bit_length(),
            shape.topologies,
            shape.levels,
            shape.resources,
            scheduling.numa,
            scheduling.pool,
        )

    def _number(self, content: object) -> int:
        return self._numbers.setdefault(content, len(self._numbers))

    def admits(self, shape: Shape, target: Target) -> bool:
        """Whether its own node selector and node affinity admit the target."""
        w = shape.workload
        if not w.selector and (w.scheduling.affinity is None or not w.scheduling.affinity.nodes):
            return True
        if is_personal(w):
            return unlike(w, target) is None
        key = (shape.admitted, target.look)
        if key not in self._admits:
            self._admits[key] = unlike(w, target) is None
        return self._admits[key]

    def fits(self, shape: Shape, target: Target) -> bool:
        """Whether nothing speaks against the target that bindings do not change."""
        if shape.refused or target.closed or (shape.hosts is not None and target.host not in shape.hosts):
            return False
        key = (shape.fixed, target.look)
        found = self._fits.get(key)
        if found is None:
            w = shape.workload
            found = unlike(w, target) is None and tainted(w, target, REPELLING) is None
            if not is_personal(w):
                self._fits[key] = found
        return found

    def dislike(self, shape: Shape, target: Target) -> tuple[int, int]:
        """Taints and rules that ask to stay away, and the weight of its wishes about labels, turned round."""
        key = (shape.fixed, target.look)
        found = self._dislikes.get(key)
        if found is None:
            w = shape.workload
            wish = sum(weight for weight, term in shape.node_wishes if node_matches(term, target.labels, target.name))
            found = reluctance(w, target) + Rules.fixed(shape, target), -wish
            if not is_personal(w) and not any(not r.written.must and not r.between for r in shape.rules):
                self._dislikes[key] = found
        return found

    def volumes(self, shape: Shape, target: Target) -> Reason | None:
        """The volumes that have no replica there."""
        for name in shape.workload.scheduling.volumes:
            if target.host not in self._volumes.get(name, frozenset()):
                change = f"add a replica of volume {name}"
                return Reason(f"holds no replica of volume {name}", f"hold no replica of volume {name}", change)
        return None

    @staticmethod
    def travels(shape: Shape) -> bool:
        """Whether the rules of a Pod in a node look at the Host below."""
        w = shape.workload
        return bool(
            shape.topologies
            or shape.rules
            or shape.levels
            or shape.hosts is not None
            or w.selector
            or (w.scheduling.affinity and w.scheduling.affinity.nodes)
        )


def refusal(image: Image, gate: ImageGate) -> str:
    """Why an image is not admitted; empty if it is."""
    if gate.signed and not image.signed:
        return f"image {image.name} is not signed"
    if gate.scanned and not image.scanned:
        return f"image {image.name} is not scanned"
    if SEVERITIES.index(image.severity) > SEVERITIES.index(gate.severity):
        return f"image {image.name} has a flaw of severity {image.severity} (at most {gate.severity} passes)"
    return ""


def reserving(workloads: Sequence[Workload], hosts: Sequence[Target]) -> bool:
    """Whether reservations are anything else than requests."""
    return any(w.scheduling.resources is not None for w in workloads) or any(
        host.cpu > host.physical_cpu or host.memory > host.physical_memory for host in hosts
    )
