"""From policies as written to profiles of rules over groups: who is judged by what, without addresses or Hosts.

Workloads that the same policies select share a profile, and everything is computed once per class of workloads (see
`compiler_classes`), per distinct selection and per policy. The oracle (`evaluate`) shares no code with this.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable

import msgspec
from msgspec import Struct

from sdn.model import Action, Direction, Placed, PortRange, Protocol, isolation_origin
from sdn.policy.collector import without_gc
from sdn.policy.compiled import CompiledPolicy, CompiledRule, Profile, TierRules
from sdn.policy.compiler_blocks import Blocks
from sdn.policy.compiler_classes import Universe, universe_of
from sdn.policy.compiler_rules import compile_rule
from sdn.policy.compiler_vocabulary import NamedPort, WorkloadClass
from sdn.policy.compiler_written import Layer, Scope, WrittenPolicy, layers
from sdn.policy.groups import Groups, digest
from sdn.policy.selector import positions_of

_ENCODE = msgspec.msgpack.Encoder().encode

OwnPorts = tuple[tuple[Protocol, str, int], ...]


def compile_policy(placed: Placed) -> CompiledPolicy:
    """All profiles and groups that the placed model's policies come to."""
    with without_gc():
        return Compiler(placed).compile()


class Compiler:
    """One compilation; what it keeps lets `live` ask for one more class of workloads."""

    def __init__(self, placed: Placed, groups: Callable[[Universe], Groups] = Groups) -> None:
        self.universe = universe_of(placed)
        self.groups = groups(self.universe)
        self.blocks = Blocks(a for e in placed.endpoints.values() for a in e.addresses)
        self.profiles: dict[str, Profile] = {}
        self.by_class: dict[Direction, list[str]] = {}
        self.tiers: dict[Direction, list[TierCompiler]] = {}  # of the last universe that was asked for
        self._model = placed.model

    def compile(self) -> CompiledPolicy:
        """Everything."""
        written = layers(self._model, self.universe, self.blocks)
        chosen: dict[Direction, dict[str, str]] = {}
        for direction in Direction:
            by_class = self.by_class[direction] = self.choose(self.universe, written, direction)
            found = zip(by_class, self.universe.members, strict=True)
            keys = {key: name for name, members in found for key in members}
            chosen[direction] = {key: keys[key] for key in sorted(keys)}
        return CompiledPolicy(
            groups=self.groups.members,
            profiles=dict(self.profiles),  # in the order of classes, which whoever reads them all feels
            egress=chosen[Direction.EGRESS],
            ingress=chosen[Direction.INGRESS],
        )

    def choose(self, universe: Universe, written: Iterable[Layer], direction: Direction) -> list[str]:
        """The profile of every class of a universe, whose positions the layers' scopes speak of."""
        self.tiers[direction] = tiers = [
            TierCompiler(layer, direction, self.groups, universe.has_named_ports)
            for layer in written
            if layer.speaks_of(direction)
        ]
        return _profiles(universe, tiers, direction, self.profiles)


class _Named(Struct, frozen=True, gc=False):
    """Something compiled and the digest of its content."""

    digest: str
    rules: TierRules


class _Lines(Struct, frozen=True, gc=False):
    """What one policy comes to for workloads with the same named ports. A digest per rule: policies may be cut."""

    digests: tuple[str, ...]
    rules: tuple[CompiledRule, ...]
    asked: frozenset[str] = frozenset()


_NO_LINES = _Lines((), ())


class TierCompiler:
    """One tier in one direction, for every class of workloads."""

    def __init__(self, layer: Layer, direction: Direction, groups: Groups, named_ports: bool) -> None:
        self._tier = layer.tier
        self._direction = direction
        self._groups = groups
        self._policies = [policy for policy in layer.policies if direction in policy.rules]
        self._names = [_own_names(policy, direction) for policy in self._policies] if named_ports else []
        self._scopes: list[list[int]] = []  # policies that select exactly the same classes
        self._scopes_of: dict[int, list[int]] = defaultdict(list)
        self._lines: dict[tuple[int, OwnPorts], _Lines] = {}
        self._known: dict[tuple[tuple[int, ...], OwnPorts], _Named | None] = {}
        self._asked: dict[tuple[tuple[int, ...], OwnPorts], frozenset[str]] = {}
        self._select()

    def rules(self, position: int, found: WorkloadClass) -> _Named | None:
        """The tier for the class at `position`, None if no policy of it says anything."""
        key = self._key(position, found)
        if not key[0]:
            return None
        if key not in self._known:
            self._known[key] = self._compile(self._policies_of(key[0]), key[1])
        return self._known[key]

    def asked(self, position: int, found: WorkloadClass) -> frozenset[str]:
        """The groups and named ports on which that depends, see `Groups.asked`."""
        key = self._key(position, found)
        if key not in self._asked:
            parts = [self._lines_of(policy, key[1]).asked for policy in self._policies_of(key[0])]
            self._asked[key] = frozenset().union(*parts)
        return self._asked[key]

    def _key(self, position: int, found: WorkloadClass) -> tuple[tuple[int, ...], OwnPorts]:
        return tuple(self._scopes_of.get(position, ())), found.ports if self._direction is Direction.INGRESS else ()

    def _policies_of(self, scopes: tuple[int, ...]) -> list[int]:
        return sorted(p for scope in scopes for p in self._scopes[scope])

    def _select(self) -> None:
        """Sort the policies by whom they select: thousands that select everybody are walked as one."""
        scopes: dict[Scope, list[int]] = defaultdict(list)
        for position, policy in enumerate(self._policies):
            scopes[policy.scope].append(position)
        for number, ((start, mask), policies) in enumerate(scopes.items()):
            self._scopes.append(policies)
            for position in positions_of(mask):
                self._scopes_of[start + position].append(number)

    def _compile(self, policies: list[int], ports: OwnPorts) -> _Named | None:
        parts = [self._lines_of(policy, ports) for policy in policies]
        isolating = tuple([name for policy in policies if (name := self._policies[policy].isolates)])
        default = None
        if isolating:
            default = CompiledRule(isolation_origin(self._direction, isolating), Action.DENY)
        lines = tuple([line for part in parts for line in part.rules])
        if not lines and default is None:
            return None
        pieces = [piece for part in parts for piece in part.digests]
        name = digest(self._tier, *pieces, default.origin if default else "")
        return _Named(name, TierRules(self._tier, lines, default))

    def _lines_of(self, policy: int, ports: OwnPorts) -> _Lines:
        written = self._policies[policy].rules[self._direction]
        if not written:
            return _NO_LINES
        own = tuple(port for port in ports if (port[0], port[1]) in self._names[policy]) if ports else ()
        key = (policy, own)
        found = self._lines.get(key)
        if found is None:
            numbers: dict[NamedPort, list[int]] = {}
            for protocol, name, number in own:
                numbers.setdefault((protocol, name), []).append(number)
            by_rule = [lines for rule in written if (lines := compile_rule(rule, self._groups, numbers))]
            digests = tuple([digest(_ENCODE(lines)) for lines in by_rule])
            rules = tuple([line for lines in by_rule for line in lines])
            found = self._lines[key] = _Lines(digests, rules, self._groups.asked())
        return found


def _own_names(policy: WrittenPolicy, direction: Direction) -> frozenset[NamedPort]:
    """The names that the judged workload itself gives a number: those of its ingress rules."""
    if direction is Direction.EGRESS:
        return frozenset()
    ports = (port for rule in policy.rules[direction] for port in rule.ports)
    return frozenset(name for port in ports if (name := named(port)) is not None)


def named(port: PortRange) -> NamedPort | None:
    """The name that a port is written by, None for numbers and whole protocols."""
    return (port.protocol, port.port) if isinstance(port.port, str) else None


def _profiles(
    universe: Universe, tiers: list[TierCompiler], direction: Direction, profiles: dict[str, Profile]
) -> list[str]:
    """The profile id of every class, in the order of the classes; new profiles are added to `profiles`."""
    chosen = []
    for position, found in enumerate(universe.classes):
        named_tiers = [rules for tier in tiers if (rules := tier.rules(position, found)) is not None]
        name = digest(direction.value, *[rules.digest for rules in named_tiers])
        if name not in profiles:
            profiles[name] = Profile(name, direction, tuple([rules.rules for rules in named_tiers]))
        chosen.append(name)
    return chosen
