"""One workload's labels change: which groups it joins and leaves, and its new profiles, without compiling the rest.

Equal to compiling from scratch, but that what nobody uses any more stays. Where a group gets its first member or loses
its last, rules come or go for others as well; that is said, and left to the compiler.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from itertools import islice

from msgspec import Struct
from msgspec.structs import replace

from sdn.model import Direction, NetworkPolicy, Placed
from sdn.policy.collector import without_gc
from sdn.policy.compiled import CompiledPolicy
from sdn.policy.compiler import Compiler
from sdn.policy.compiler_classes import Part, PodSelector
from sdn.policy.compiler_vocabulary import WorkloadClass
from sdn.policy.compiler_written import layers

EVERYWHERE = ""
"""Where a group is filed whose members may be in any namespace."""


class Moves(Struct, frozen=True):
    """What becomes of one workload: ids of the groups that it joins and leaves, and its profiles from now on."""

    key: str
    joined: tuple[str, ...]
    left: tuple[str, ...]
    egress: str
    ingress: str


class Relabeller:
    """Keeps a lab's policy compiled while labels of its workloads change; `compiled` is how it is now."""

    def __init__(self, placed: Placed) -> None:
        with without_gc():
            self._compiler = Compiler(placed)
            self.compiled = self._compiler.compile()
        self._model = placed.model
        self._endpoints = placed.endpoints
        self._workloads = {workload.key: workload for workload in placed.model.workloads}
        self._policies: dict[str, list[NetworkPolicy]] = defaultdict(list)
        for policy in placed.model.network_policies:
            self._policies[policy.namespace].append(policy)
        by_class = self._compiler.by_class
        self._profiles = dict(
            zip(
                self._compiler.universe.classes,
                zip(by_class[Direction.EGRESS], by_class[Direction.INGRESS], strict=True),
                strict=True,
            )
        )
        self._filed: dict[str, list[str]] = defaultdict(list)
        self._moved: dict[str, tuple[WorkloadClass, WorkloadClass]] = {}  # as compiled, and now
        self._known = 0
        self._file_new()

    def relabel(self, key: str, labels: dict[str, str]) -> Moves | None:
        """The moves, already made in `compiled`; None if rules change as well.

        `key` is of a workload with an endpoint. After None this object is of no use: make one of the changed lab.
        """
        before, after = (self._class_of(key, found) for found in (self._workloads[key].labels, labels))
        egress, ingress = self._profiles_of(after)
        as_compiled = self._compiler.groups
        fresh = {name: self._up_to_date(name) for name in self._file_new()}
        groups = {**self.compiled.groups, **fresh}
        joined, left = self._changes(before, after)
        for name in joined:
            groups[name] = tuple(sorted((*groups.get(name, ()), key)))
        for name in left:
            groups[name] = tuple(member for member in groups[name] if member != key)
        # A rule about nobody was left out when it was compiled, and one about somebody was not.
        if any(as_compiled.is_empty(name) is bool(groups[name]) for name in (*fresh, *joined, *left)):
            return None
        self._moved[key] = (self._moved.get(key, (before,))[0], after)
        self._workloads[key] = replace(self._workloads[key], labels=labels)
        self.compiled = CompiledPolicy(
            groups={name: members for name, members in groups.items() if members},
            profiles=dict(self._compiler.profiles),
            egress={**self.compiled.egress, key: egress},
            ingress={**self.compiled.ingress, key: ingress},
        )
        return Moves(key, joined, left, egress, ingress)

    def _class_of(self, key: str, labels: dict[str, str]) -> WorkloadClass:
        workload = replace(self._workloads[key], labels=labels)
        return self._compiler.universe.vocabulary.classify(workload, self._endpoints[key])

    def _profiles_of(self, found: WorkloadClass) -> tuple[str, str]:
        """Those of a class like it, or what the policies of its namespace and the tiers come to for it alone."""
        if found not in self._profiles:
            alone = self._compiler.universe.beside((found,))
            model = replace(self._model, network_policies=tuple(self._policies.get(found.namespace, ())))
            written = layers(model, alone, self._compiler.blocks)
            (egress,), (ingress,) = (
                self._compiler.choose(alone, written, direction) for direction in (Direction.EGRESS, Direction.INGRESS)
            )
            self._profiles[found] = egress, ingress
        return self._profiles[found]

    def _file_new(self) -> list[str]:
        """The groups that were asked for since the last time, filed by the namespaces of their members."""
        definitions = self._compiler.groups.definitions
        new = list(islice(definitions, self._known, None))
        for name in new:
            for space in {_space(part) for part in definitions[name].parts}:
                self._filed[space].append(name)
        self._known += len(new)
        return new

    def _up_to_date(self, name: str) -> tuple[str, ...]:
        """A new group was looked up among the workloads as they were compiled; some have moved since."""
        members = set(self._compiler.groups.members_of(name))
        for key, (was, now) in self._moved.items():
            joined, left = self._sides([name], was, now)
            members |= {key} if joined else set()
            members -= {key} if left else set()
        return tuple(sorted(members))

    def _changes(self, before: WorkloadClass, after: WorkloadClass) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The groups that hold the one class and not the other."""
        if before == after:
            return (), ()
        names = {*self._filed[EVERYWHERE], *self._filed[before.namespace]}
        return self._sides(sorted(names), before, after)

    def _sides(
        self, names: Iterable[str], before: WorkloadClass, after: WorkloadClass
    ) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Of these groups, those that hold only the class after, and those that hold only the one before."""
        both = self._compiler.universe.beside((before, after))
        old, new = (1 << both.classes.index(found) for found in (before, after))
        definitions = self._compiler.groups.definitions
        masks = {name: definitions[name].within(both) & (old | new) for name in names} if old != new else {}
        joined = tuple(name for name, mask in masks.items() if mask == new)
        return joined, tuple(name for name, mask in masks.items() if mask == old)


def _space(part: Part) -> str:
    """The namespace that all of its members are in, if one can say."""
    return part.namespace if isinstance(part, PodSelector) and part.namespaces is None else EVERYWHERE
