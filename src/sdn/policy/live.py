"""A lab's policy, compiled, while workloads and policies come, go and change: what it moves, the rest is not compiled.

Who is in no group and who is in one changes rules for others as well, so each class remembers the groups and named
ports that its profiles asked for. Classes that nobody is in are forgotten, and so are their profiles.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator

from msgspec import Struct
from msgspec.structs import replace

from sdn.model import Direction, Endpoint, IPBlock, Model, NetworkPolicy, Placed, Policy, Workload
from sdn.policy.collector import without_gc
from sdn.policy.compiled import Profile
from sdn.policy.compiler import Compiler, TierCompiler
from sdn.policy.compiler_blocks import Blocks
from sdn.policy.compiler_vocabulary import WorkloadClass
from sdn.policy.compiler_written import layers, selected
from sdn.policy.groups import port_token
from sdn.policy.live_classes import EVERYWHERE, NO_PAIR, Classes, LiveClass, Pair
from sdn.policy.live_groups import LiveGroups
from sdn.policy.live_written import Written, WrittenPolicies

Where = tuple[Workload, Endpoint]
_Chosen = tuple[LiveClass, Pair, frozenset[str]]
"""A class, its profiles, and the groups and named ports that they asked for."""


class Moves(Struct, frozen=True):
    """What an event comes to: the groups that a workload joins and leaves, and classes whose profiles are others now.

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
            self._compiler = Compiler(placed, LiveGroups)
            self._compiler.compile()
        assert isinstance(self._compiler.groups, LiveGroups)
        self._groups = self._compiler.groups
        self._universe = self._compiler.universe
        self.profiles: dict[str, Profile] = self._compiler.profiles
        self._policies = WrittenPolicies(placed.model)
        self._classes = Classes()
        self._of: dict[str, LiveClass] = {}
        self._askers: dict[str, set[LiveClass]] = defaultdict(set)
        self._users: dict[str, int] = defaultdict(int)
        self._unasked: set[str] = set()  # for which nobody asked at some time since policies changed
        with without_gc():
            self._take_over()
        self._groups.classes = self._classes

    @staticmethod
    def reads_addresses(model: Model) -> bool:
        """Whether rules name every workload's address, as blocks must that never mean workloads; then all that is
        compiled is only as good as the workloads are the same."""
        rules = (rule for policy in model.network_policies for rule in (*policy.ingress, *policy.egress))
        return not model.options.ipblock_matches_pods and any(p.ip_block for rule in rules for p in rule.peers)

    @property
    def groups(self) -> frozenset[str]:
        """The ids of all groups that rules name or have lately named, also of those without members."""
        return frozenset(self._groups.definitions)

    def pair(self, key: str) -> Pair:
        """The profiles of a workload with an endpoint."""
        return self._of[key].pair

    def members(self, group: str) -> Iterator[str]:
        """Who is in a group, in no order."""
        for found in self._classes.holders(self._groups.definitions[group]):
            if group in found.groups:
                yield from found.members

    def among(self, namespace: str) -> Iterator[str]:
        """The workloads of a namespace that have an endpoint, in no order."""
        for found in self._classes.within(namespace):
            yield from found.members

    def follow(
        self, model: Model, gone: Collection[Written], come: Collection[Written], there: Callable[[], Iterable[Where]]
    ) -> Moves:
        """These policies are no more, and these are new; `model` has all of them, and is else as before.

        `there` is everybody who has an endpoint, and is asked for if a policy reads what none has read so far.
        """
        networks, tiers = _by_kind(come)
        self._forget_unasked()
        news = self._universe.vocabulary.widen(networks, tiers)
        for workload, endpoint in there() if any(news) else ():
            if news.concern(workload):
                self._split(workload, endpoint)
        stale = self._selected(gone) | self._selected(come)
        if self.reads_addresses(model) and not self.reads_addresses(self._model):
            self._compiler.blocks = Blocks(address for _, endpoint in there() for address in endpoint.addresses)
        self._rewrite(model, gone, come)
        return Moves(profiles=tuple(self._assign(self._chosen(stale))))

    def _split(self, workload: Workload, endpoint: Endpoint) -> None:
        """Of a workload that will be told apart from others of its class; so far all of them come to the same."""
        key, found = workload.key, self._universe.vocabulary.classify(workload, endpoint)
        before = self._of[key]
        if before.found == found:
            return
        self._new_numbers(found)
        after = self._classes.by_class.get(found)
        if after is None:
            after = self._classes.add(LiveClass(found, before.groups))
            self._assign([(after, before.pair, before.asked)])
        self._rehome(key, before, after)

    def _selected(self, policies: Iterable[Written]) -> set[LiveClass]:
        """Everybody to whom one of these policies says anything."""
        found: set[LiveClass] = set()
        for policy in policies:
            space = policy.namespace if isinstance(policy, NetworkPolicy) else EVERYWHERE
            universe = self._classes.universe(space, self._universe)
            found.update(self._classes.holding(universe, selected(policy, universe)))
        return found

    def _rewrite(self, model: Model, gone: Iterable[Written], come: Iterable[Written]) -> None:
        """What is written is this now."""
        self._model = model
        for policy in gone:
            for blocks in self._blocks_of(policy):
                self._compiler.blocks.forget(blocks)
            self._policies.remove(policy)
        for policy in come:
            self._policies.add(policy)

    def _blocks_of(self, policy: Written) -> Iterator[tuple[IPBlock, ...]]:
        """What each of its rules speaks of."""
        if isinstance(policy, NetworkPolicy):
            for written in (*policy.ingress, *policy.egress):
                yield tuple(peer.ip_block for peer in written.peers if peer.ip_block is not None)
        else:
            for rule in policy.rules:
                yield tuple(self._universe.book.of_peers(rule.peers))

    def _forget_unasked(self) -> None:
        """Only now: whoever follows may have asked until the end of an event who was in a group that went."""
        for name in self._unasked:
            if name not in self._askers:
                self._groups.forget(name)
        self._unasked.clear()

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
        if after is not None and after.pair == NO_PAIR:
            stale.add(after)
        return [(one, was) for one, was in self._assign(self._chosen(stale)) if was != NO_PAIR]

    def _class(self, found: WorkloadClass) -> LiveClass:
        return self._classes.by_class.get(found) or self._classes.add(LiveClass(found, self._groups_of(found)))

    def _drop(self, gone: LiveClass) -> None:
        self._classes.remove(gone)
        self._assign([(gone, NO_PAIR, frozenset())])

    def _assign(self, chosen: Collection[_Chosen]) -> list[tuple[LiveClass, Pair]]:
        """Give classes their profiles, and forget those that nobody has any more; who has others now, with his former.

        All are taken before any is left: one class may leave what another one takes.
        """
        for _, pair, _ in chosen:
            for name in filter(None, pair):
                self._users[name] += 1
        changed = []
        for one, pair, asked in chosen:
            was = one.pair
            self._leave(was)
            self._ask(one, asked)
            one.pair = pair
            if was != pair:
                changed.append((one, was))
        return changed

    def _leave(self, pair: Pair) -> None:
        for name in filter(None, pair):
            self._users[name] -= 1
            if not self._users[name]:
                del self._users[name]
                self.profiles.pop(name, None)

    def _ask(self, one: LiveClass, asked: frozenset[str]) -> None:
        for token in one.asked - asked:
            self._askers[token].discard(one)
            if not self._askers[token]:
                del self._askers[token]
                self._unasked.add(token)
        for token in asked - one.asked:
            self._askers[token].add(one)
        one.asked = asked

    def _chosen(self, classes: Iterable[LiveClass]) -> list[_Chosen]:
        """What policies come to for these classes now, in the order of the classes."""
        by_space: dict[str, list[LiveClass]] = defaultdict(list)
        for one in sorted(classes, key=lambda c: c.found):
            by_space[one.found.namespace].append(one)
        return [one for found in by_space.values() for one in self._compile(found)]

    def _compile(self, classes: list[LiveClass]) -> Iterator[_Chosen]:
        """What policies come to for these classes of one namespace, which are in order."""
        alone = self._universe.beside(one.found for one in classes)
        networks, tiers = _by_kind(self._policies.about(alone.classes, alone))
        model = replace(self._model, network_policies=tuple(networks), policies=tuple(tiers))
        written = layers(model, alone, self._compiler.blocks)
        egress, ingress = (self._compiler.choose(alone, written, direction) for direction in _SIDES)
        for position, one in enumerate(classes):
            pair = egress[position], ingress[position]
            yield one, pair, self._asked(self._compiler.tiers, position, one.found)

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
            self._assign([(one, pair, interned.setdefault(asked, asked))])
        compiler.tiers.clear()
        compiler.by_class.clear()

    def _asked(self, tiers: dict[Direction, list[TierCompiler]], position: int, found: WorkloadClass) -> frozenset[str]:
        return frozenset().union(*(tier.asked(position, found) for side in _SIDES for tier in tiers[side]))


_SIDES = (Direction.EGRESS, Direction.INGRESS)


def _by_kind(policies: Collection[Written]) -> tuple[list[NetworkPolicy], list[Policy]]:
    networks = [policy for policy in policies if isinstance(policy, NetworkPolicy)]
    return networks, [policy for policy in policies if isinstance(policy, Policy)]
