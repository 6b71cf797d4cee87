"""A lab's policy, compiled, while workloads come, go and change: what one of them moves, without compiling the rest.

Who is in no group and who is in one changes rules for others as well, so each class remembers the groups and named
ports that its profiles asked for. Classes that nobody is in are forgotten, and so are their profiles.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

from msgspec import Struct
from msgspec.structs import replace

from sdn.model import Direction, Endpoint, Model, NetworkPolicy, Placed, Workload
from sdn.policy.collector import without_gc
from sdn.policy.compiled import Profile
from sdn.policy.compiler import Compiler, TierCompiler
from sdn.policy.compiler_classes import Part, PodSelector, Universe
from sdn.policy.compiler_vocabulary import NamedPort, WorkloadClass
from sdn.policy.compiler_written import layers
from sdn.policy.groups import Definition, Groups, port_token
from sdn.policy.selector import positions_of

EVERYWHERE = ""
"""Where a group is filed whose members may be in any namespace."""

Pair = tuple[str, str]
"""The ids of an egress and an ingress profile."""

NO_PAIR = ("", "")


class LiveClass:
    """Workloads that no policy can tell apart, who they are, and all that policy makes of them."""

    __slots__ = ("asked", "found", "groups", "members", "pair")

    def __init__(self, found: WorkloadClass, groups: tuple[str, ...]) -> None:
        self.found = found
        self.members: set[str] = set()
        self.groups = groups
        self.pair = NO_PAIR
        self.asked: frozenset[str] = frozenset()


class Moves(Struct, frozen=True):
    """What becomes of one workload: groups that it joins and leaves, and the classes whose profiles are others now.

    `profiles` holds each such class with the profiles that it had before. The workload's own are before `before` and
    now `after`, NO_PAIR where it is not there.
    """

    joined: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    profiles: tuple[tuple[LiveClass, Pair], ...] = ()
    before: Pair = NO_PAIR
    after: Pair = NO_PAIR


class LivePolicy:
    """Everything that a compilation would come to now; `profiles` are those of somebody."""

    def __init__(self, placed: Placed) -> None:
        self._model = placed.model
        with without_gc():
            self._compiler = Compiler(placed, _LiveGroups)
            self._compiler.compile()
        assert isinstance(self._compiler.groups, _LiveGroups)
        self._groups = self._compiler.groups
        self._universe = self._compiler.universe
        self.profiles: dict[str, Profile] = self._compiler.profiles
        self._policies: dict[str, list[NetworkPolicy]] = defaultdict(list)
        for policy in placed.model.network_policies:
            self._policies[policy.namespace].append(policy)
        self._classes = _Classes()
        self._of: dict[str, LiveClass] = {}
        self._askers: dict[str, set[LiveClass]] = defaultdict(set)
        self._users: dict[str, int] = defaultdict(int)
        with without_gc():
            self._take_over()
        self._groups.classes = self._classes

    @staticmethod
    def reads_addresses(model: Model) -> bool:
        """Whether rules name every workload's address, as blocks must that never mean workloads; then all that is
        compiled is only as good as the workloads are the same."""
        rules = (rule for policy in model.network_policies for rule in (*policy.ingress, *policy.egress))
        return not model.options.ipblock_matches_pods and any(p.ip_block for rule in rules for p in rule.peers)

    def pair(self, key: str) -> Pair:
        """The profiles of a workload with an endpoint."""
        return self._of[key].pair

    def members(self, group: str) -> Iterator[str]:
        """Who is in a group, in no order."""
        for found in self._classes.holders(self._groups.definitions[group]):
            if group in found.groups:
                yield from found.members

    def move(self, key: str, workload: Workload | None, endpoint: Endpoint | None) -> Moves:
        """The workload is like this now; None: it is not there, or has no endpoint."""
        before = self._of.get(key)
        found = None
        if workload is not None and endpoint is not None:
            found = self._universe.vocabulary.classify(workload, endpoint)
        if before is not None and before.found == found:
            return Moves(before=before.pair, after=before.pair)
        flipped = self._new_numbers(found) if found is not None else set()
        after = self._class(found) if found is not None else None
        old = set(before.groups) if before is not None else set()
        new = set(after.groups) if after is not None else set()
        joined, left = sorted(new - old), sorted(old - new)
        flipped |= self._groups.count(joined, left)
        was = before.pair if before is not None else NO_PAIR
        self._rehome(key, before, after)
        changed = self._recompile(flipped, after)
        now = after.pair if after is not None else NO_PAIR
        return Moves(tuple(joined), tuple(left), tuple(changed), was, now)

    def _rehome(self, key: str, before: LiveClass | None, after: LiveClass | None) -> None:
        if before is not None:
            before.members.discard(key)
            if not before.members:
                self._drop(before)
        if after is None:
            self._of.pop(key, None)
        else:
            self._of[key] = after
            after.members.add(key)

    def _recompile(self, flipped: set[str], after: LiveClass | None) -> list[tuple[LiveClass, Pair]]:
        """All classes that depend on what flipped, and the one that is new; with their former profiles."""
        stale = {one for token in flipped for one in self._askers.get(token, ())}
        changed = []
        for one in sorted(stale, key=lambda c: c.found):
            was = one.pair
            self._use(one, *self._compile(one.found))
            if one.pair != was:
                changed.append((one, was))
        if after is not None and after.pair == NO_PAIR:
            self._use(after, *self._compile(after.found))
        return changed

    def _class(self, found: WorkloadClass) -> LiveClass:
        return self._classes.by_class.get(found) or self._classes.add(LiveClass(found, self._groups_of(found)))

    def _drop(self, gone: LiveClass) -> None:
        self._classes.remove(gone)
        self._use(gone, NO_PAIR, frozenset())

    def _use(self, one: LiveClass, pair: Pair, asked: frozenset[str]) -> None:
        """Give a class its profiles; those that nobody has any more are forgotten."""
        for name in filter(None, pair):
            self._users[name] += 1
        for name in filter(None, one.pair):
            self._users[name] -= 1
            if not self._users[name]:
                del self._users[name]
                self.profiles.pop(name, None)
        for token in one.asked - asked:
            self._askers[token].discard(one)
        for token in asked - one.asked:
            self._askers[token].add(one)
        one.pair, one.asked = pair, asked

    def _compile(self, found: WorkloadClass) -> tuple[Pair, frozenset[str]]:
        """What the policies of its namespace and the tiers come to for this class alone."""
        alone = self._universe.beside((found,))
        model = replace(self._model, network_policies=tuple(self._policies.get(found.namespace, ())))
        written = layers(model, alone, self._compiler.blocks)
        names = [self._compiler.choose(alone, written, direction)[0] for direction in _SIDES]
        asked = (tier.asked(0, found) for direction in _SIDES for tier in self._compiler.tiers[direction])
        return (names[0], names[1]), frozenset().union(*asked)

    def _groups_of(self, found: WorkloadClass) -> tuple[str, ...]:
        """Of the groups that are known, those that hold the class."""
        alone = self._universe.beside((found,))
        filed = self._groups.filed
        names = (*filed.get(EVERYWHERE, ()), *filed.get(found.namespace, ()))
        definitions = self._groups.definitions
        return tuple(name for name in names if definitions[name].within(alone))

    def _new_numbers(self, found: WorkloadClass) -> set[str]:
        """Named ports to which nobody gave that number until now: rules about them may need one group more."""
        flipped = set()
        for protocol, name, number in found.ports:
            port = (protocol, name)
            if number not in self._groups.numbers[port]:
                self._groups.numbers[port].add(number)
                flipped.add(port_token(port))
        return flipped

    def _take_over(self) -> None:
        """Classes, their groups and what their profiles asked for, from the whole compilation."""
        universe, compiler = self._universe, self._compiler
        groups = self._groups.by_class(universe)
        interned: dict[frozenset[str], frozenset[str]] = {}
        for position, found in enumerate(universe.classes):
            one = self._classes.add(LiveClass(found, tuple(groups.get(position, ()))))
            one.members.update(universe.members[position])
            self._of.update(dict.fromkeys(one.members, one))
            asked = self._asked(compiler.tiers, position, found)
            pair = compiler.by_class[Direction.EGRESS][position], compiler.by_class[Direction.INGRESS][position]
            self._use(one, pair, interned.setdefault(asked, asked))
        compiler.tiers.clear()
        compiler.by_class.clear()

    def _asked(self, tiers: dict[Direction, list[TierCompiler]], position: int, found: WorkloadClass) -> frozenset[str]:
        return frozenset().union(*(tier.asked(position, found) for side in _SIDES for tier in tiers[side]))


_SIDES = (Direction.EGRESS, Direction.INGRESS)


class _Classes:
    """All classes that somebody is in."""

    def __init__(self) -> None:
        self.by_class: dict[WorkloadClass, LiveClass] = {}
        self._spaces: dict[str, list[LiveClass]] = defaultdict(list)

    def add(self, one: LiveClass) -> LiveClass:
        """One that is new."""
        self.by_class[one.found] = one
        self._spaces[one.found.namespace].append(one)
        return one

    def remove(self, one: LiveClass) -> None:
        """One that nobody is in any more."""
        del self.by_class[one.found]
        self._spaces[one.found.namespace].remove(one)

    def holders(self, definition: Definition) -> Iterable[LiveClass]:
        """The classes among which a group's members are."""
        space = _space_of(definition)
        return self.by_class.values() if space == EVERYWHERE else self._spaces.get(space, ())


class _LiveGroups(Groups):
    """Groups of which it is known how many workloads are in each, while these change."""

    def __init__(self, universe: Universe) -> None:
        super().__init__(universe)
        self.classes: _Classes | None = None  # before that, all is as in a whole compilation
        self.sizes: dict[str, int] = {}
        self.filed: dict[str, list[str]] = defaultdict(list)
        self.numbers: dict[NamedPort, set[int]] = {
            port: set(universe.numbers(port)) for port in universe.vocabulary.ports
        }

    def is_empty(self, name: str) -> bool:
        """Whether nobody is in it now."""
        return not self.sizes[name]

    def count(self, joined: Iterable[str], left: Iterable[str]) -> set[str]:
        """One member more, or less; the groups that were, or are now, without any."""
        flipped = set()
        for name in joined:
            self.sizes[name] += 1
            if self.sizes[name] == 1:
                flipped.add(name)
        for name in left:
            self.sizes[name] -= 1
            if not self.sizes[name]:
                flipped.add(name)
        return flipped

    def by_class(self, universe: Universe) -> dict[int, list[str]]:
        """Position of a class → the groups that hold it; for the universe that was compiled."""
        found: dict[int, list[str]] = defaultdict(list)
        for name, definition in self.definitions.items():
            part = definition.parts[0]
            if len(definition.parts) == 1 and definition.port is None and _space(part) != EVERYWHERE:
                assert isinstance(part, PodSelector)
                start, mask = universe.pods(part.namespace, part.pods)
            else:
                start, mask = 0, definition.within(universe)
            for position in positions_of(mask):
                found[start + position].append(name)
        self._members.clear()
        self._shared.clear()
        return found

    def _numbers(self, port: NamedPort) -> Iterable[int]:
        return sorted(self.numbers[port])

    def _look_up(self, name: str, definition: Definition) -> None:
        self.filed[_space_of(definition)].append(name)
        if self.classes is None:
            super()._look_up(name, definition)
            self.sizes[name] = len(self._members[name])
        else:
            self.sizes[name] = self._find_now(name, definition, self.classes)

    def _find_now(self, name: str, definition: Definition, classes: _Classes) -> int:
        """A group that nobody had asked for: who of those that are there now is in it."""
        among = {one.found: one for one in classes.holders(definition)}
        universe = self._universe.beside(among)
        size = 0
        for position in positions_of(definition.within(universe)):
            one = among[universe.classes[position]]
            one.groups = (*one.groups, name)
            size += len(one.members)
        return size


def _space_of(definition: Definition) -> str:
    """The namespace that all of its members are in, if one can say."""
    spaces = {_space(part) for part in definition.parts}
    return spaces.pop() if len(spaces) == 1 else EVERYWHERE


def _space(part: Part) -> str:
    return part.namespace if isinstance(part, PodSelector) and part.namespaces is None else EVERYWHERE
