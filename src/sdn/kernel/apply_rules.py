"""From one state of a Host's firewall and load balancer to another, in nft's language.

One transaction where it fits: nft shows a packet all of it or nothing of it, but for one that is on its way, which may
come to a new chain that is still empty to it (see `skeleton.UNJUDGED`). Where it does not fit, what nothing refers
to yet is staged first, then one transaction switches over, and what nothing refers to any more goes last. Where even
the switch does not fit, the Host is closed for new connections until it is complete.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import TypeVar

from msgspec import Struct
from msgspec.structs import replace

from sdn.errors import HalfDoneError, KernelError
from sdn.kernel import element_changes, ruleset, skeleton
from sdn.kernel.libnft import TOO_LONG, Nft
from sdn.kernel.owned import TABLE
from sdn.kernel.rtnetlink import Netlink
from sdn.kernel.ruleset import Elements
from sdn.kernel.team import Job, Team
from sdn.plan.firewall import sets_of
from sdn.plan.state import Firewall, LoadBalancer, NodeState, ProfileChain

T = TypeVar("T")

_DISPATCH = ("egress4", "egress6", "ingress4", "ingress6")
_CLOSE = [f"flush map inet {TABLE} {name}" for name in _DISPATCH]

_SHARE = 4
"""Hosts that one of two threads takes at a time."""

LIMIT = 1 << 20
"""Characters of one transaction; the kernel refuses longer ones from an ordinary user long before, and says so."""

Owner = tuple[int, str]
"""(zone, address)."""

Content = dict[tuple[str, str], dict[str, str]]
"""(family, set or map) → key → data, which is empty in a set."""


class RuleChanges(Struct, frozen=True):
    """Commands: `new` makes what nothing refers to yet, `switch` changes what packets meet, `dispatch` is the part of
    it that leads workloads to their rules, `old` removes what nothing refers to any more. `turned` are the directions
    in which somebody who stays has other rules, `joined` and `left` who is in which set from now on, or no more."""

    new: tuple[str, ...]
    switch: tuple[str, ...]
    dispatch: tuple[str, ...]
    old: tuple[str, ...]
    turned: frozenset[str] = frozenset()
    joined: frozenset[tuple[str, Owner]] = frozenset()
    left: frozenset[tuple[str, Owner]] = frozenset()

    def in_turn(self) -> tuple[RuleChanges, RuleChanges, RuleChanges]:
        """Lead nowhere who shall be led elsewhere, change all else, and lead again."""
        gone = tuple(line for line in self.dispatch if line.startswith("delete"))
        come = tuple(line for line in self.dispatch if not line.startswith("delete"))
        return (
            RuleChanges((), (), gone, ()),
            RuleChanges(self.new, self.switch, (), self.old),
            RuleChanges((), (), come, ()),
        )

    @property
    def commands(self) -> tuple[str, ...]:
        """All of them, in order."""
        return (*self.new, *self.switch, *self.dispatch, *self.old)

    def __len__(self) -> int:
        return len(self.new) + len(self.switch) + len(self.dispatch) + len(self.old)


def rule_changes(before: NodeState, after: NodeState) -> RuleChanges:
    """What leads from one state of a Host to the other; nothing where the rules are equal."""
    removed, added = _elements(before, after)
    return RuleChanges(
        new=tuple(_new(before, after)),
        switch=(
            *(line for one in removed if one.name not in _DISPATCH for line in one.commands("delete")),
            *_changed_profiles(before, after),
            *(line for one in added if one.name not in _DISPATCH for line in one.commands("add")),
        ),
        dispatch=(
            *(line for one in removed if one.name in _DISPATCH for line in one.commands("delete")),
            *(line for one in added if one.name in _DISPATCH for line in one.commands("add")),
        ),
        old=tuple(_old(before, after)),
        turned=frozenset(_turned(removed, added)),
        joined=frozenset(_members(after, before, added)),
        left=frozenset(_members(before, after, removed)),
    )


def _turned(removed: Sequence[Elements], added: Sequence[Elements]) -> Iterator[str]:
    come = {one.name: {value.partition(" : ")[0] for value in one.values} for one in added if one.name in _DISPATCH}
    for one in removed:
        if not come.get(one.name, frozenset()).isdisjoint(one.values):
            yield one.name[:-1]


def _members(state: NodeState, other: NodeState, changed: Sequence[Elements]) -> Iterator[tuple[str, Owner]]:
    """Who is in a set of one state that rules look up, and is not in the other.

    Whom a Host meets in a zone that is not there in both has joined or left nothing: it is the Host that came or left.
    """
    mine, theirs = _firewalls(state, other)
    known = {one.name for one in theirs.sets}
    strange = {one.zone for one in state.interfaces} ^ {one.zone for one in other.interfaces}
    for one in changed:
        if one.name in known:
            owners = (value.partition(" . ") for value in one.values)
            yield from ((one.name, (int(zone), address)) for zone, _, address in owners if int(zone) not in strange)
    asked = _asked_anew(mine, theirs)
    for each in mine.sets:
        if each.name in asked and each.name not in known:
            yield from ((each.name, owner) for owner in each.elements if owner[0] not in strange)


def _asked_anew(mine: Firewall, theirs: Firewall) -> set[str]:
    """The sets that profiles look up which say another thing in the other state under the same name: rules that match
    nobody are left out, so a group's first member brings rules, and its last one takes them along."""
    others = {profile.name: profile for profile in theirs.profiles}
    tiers = {tier for one in mine.profiles if others.get(one.name, one) != one for tier in one.tiers}
    return {name for chain in mine.chains if chain.name in tiers for name, _ in sets_of(chain)}


def changes_of(pairs: Mapping[str, tuple[NodeState, NodeState]]) -> dict[str, RuleChanges]:
    """Of several Hosts, by name; what the very same objects say on many of them is worked out once."""
    known: dict[tuple[int, ...], RuleChanges] = {}
    found = {}
    for name, (before, after) in pairs.items():
        if _devices(before) != _devices(after):
            found[name] = rule_changes(before, after)
            continue
        key = (id(before.firewall), id(after.firewall), id(before.loadbalancer), id(after.loadbalancer))
        if key not in known:
            known[key] = rule_changes(_bare(before), _bare(after))
        found[name] = known[key]
    return found


def _devices(state: NodeState) -> tuple[object, ...]:
    return state.uplinks, state.interfaces, state.links, state.ports


def _bare(state: NodeState) -> NodeState:
    """Without what rules say of devices, where that does not change."""
    return replace(state, uplinks=(), interfaces=(), links=(), ports=())


def send(nft: Nft, changes: RuleChanges, after: NodeState, limit: int = LIMIT) -> None:
    """Make the changes in the namespace of `nft`, closed at every instant.

    HalfDoneError if the kernel refuses some of several transactions; any other KernelError has changed nothing.
    """
    whole = changes.commands
    if not whole or _fits(nft, whole, limit):
        return
    try:
        _send_staged(nft, changes, after, limit)
    except KernelError as error:
        raise HalfDoneError(str(error)) from error


def _send_staged(nft: Nft, changes: RuleChanges, after: NodeState, limit: int) -> None:
    nft.run_chunks(changes.new)
    switch = [*changes.switch, *changes.dispatch]
    if not changes.switch:
        nft.run_chunks(changes.dispatch)  # whom one of them leads nowhere yet is closed
    elif not _fits(nft, switch, limit):
        nft.run("\n".join(_CLOSE))
        nft.run_chunks(changes.switch)
        nft.run_chunks([line for one in ruleset.dispatch(after) for line in one.commands("add")])
    nft.run_chunks(changes.old)


def shared(
    team: Team,
    several: Mapping[str, RuleChanges],
    judge: Callable[[str, RuleChanges], None],
    beside: Callable[[], None] = lambda: None,
) -> None:
    """Have a team tell Hosts their changes, with those first that get rules or lose some: they take as long as ten
    others. Something else is done `beside` it."""
    ordered = sorted(several.items(), key=lambda item: not (item[1].new or item[1].old))
    size = max(1, min(_SHARE, len(ordered) // 4))
    shares = [ordered[start : start + size] for start in range(0, len(ordered), size)]

    def work(some: list[tuple[str, RuleChanges]]) -> None:
        for name, changes in some:
            judge(name, changes)

    jobs = [Job(partial(work, share)) for share in shares]
    team.follow([*jobs[:1], Job(beside), *jobs[1:]], lambda _: None)


def send_elements(changes: RuleChanges, netlink: Netlink) -> bool:
    """Make them in the namespace of a socket to netfilter if `element_changes` knows all of them."""
    return element_changes.send(changes.commands, netlink)


def _fits(nft: Nft, commands: Sequence[str], limit: int) -> bool:
    """Run them as one transaction; False if that is too long, and nothing has happened."""
    text = "\n".join(commands)
    if len(text) > limit:
        return False
    try:
        nft.run(text)
    except KernelError as error:
        if TOO_LONG in str(error):
            return False
        raise
    return True


def _firewalls(before: NodeState, after: NodeState) -> tuple[Firewall, Firewall]:
    return before.firewall or Firewall(), after.firewall or Firewall()


def _balancers(before: NodeState, after: NodeState) -> tuple[LoadBalancer, LoadBalancer]:
    return before.loadbalancer or LoadBalancer(), after.loadbalancer or LoadBalancer()


def _new(before: NodeState, after: NodeState) -> Iterator[str]:
    was, now = _firewalls(before, after)
    sets = {(one.name, one.family) for one in was.sets}
    for addresses in now.sets:
        if (addresses.name, addresses.family) not in sets:
            yield from ruleset.define_set(addresses)
    chains = {chain.name for chain in was.chains}
    for chain in now.chains:
        if chain.name not in chains:
            yield from ruleset.define_chain(chain)
    known = set(ruleset.balancers(before))
    for balancer in ruleset.balancers(after):
        if balancer not in known:
            yield from ruleset.define_balancer(*balancer)
    if ruleset.translates(after) and not ruleset.translates(before):
        yield skeleton.translation()
    profiles = {profile.name for profile in was.profiles}
    for profile in now.profiles:
        if profile.name not in profiles:
            yield from ruleset.define_profile(profile)


def _changed_profiles(before: NodeState, after: NodeState) -> Iterator[str]:
    """Chains that stay under their name and say something else, which content-named ones never do."""
    was, now = _firewalls(before, after)
    profiles = {profile.name: profile for profile in was.profiles}
    for profile in now.profiles:
        if profiles.get(profile.name, profile) != profile:
            yield from ruleset.define_profile(profile)
    chains = {chain.name: chain for chain in was.chains}
    for chain in now.chains:
        if chains.get(chain.name, chain) != chain:
            yield from ruleset.define_chain(chain)


def _old(before: NodeState, after: NodeState) -> Iterator[str]:
    """In reverse: who refers goes before what it refers to."""
    was, now = _firewalls(before, after)
    chains = [p.name for p in _missing(was.profiles, now.profiles)]
    wanted = set(ruleset.balancers(after))
    chains += [ruleset.balancer_name(*one) for one in ruleset.balancers(before) if one not in wanted]
    kept = {chain.name for chain in now.chains}
    chains += [chain.name for chain in was.chains if chain.name not in kept]
    for name in chains:
        yield from ruleset.remove_chain(name)
    sets = {(one.name, one.family) for one in now.sets}
    yield from (f"delete set inet {TABLE} {one.name}" for one in was.sets if (one.name, one.family) not in sets)


def _missing(was: Iterable[ProfileChain], now: Iterable[ProfileChain]) -> list[ProfileChain]:
    kept = {profile.name for profile in now}
    return [profile for profile in was if profile.name not in kept]


def _elements(before: NodeState, after: NodeState) -> tuple[list[Elements], list[Elements]]:
    """What sets and maps that stay lose and gain; an element whose data changes does both."""
    old, new = _content(before, after), _content(after, before)
    removed, added = [], []
    for family, name in sorted(old.keys() | new.keys()):
        was, now = old.get((family, name), {}), new.get((family, name), {})
        gone = [key for key, data in was.items() if now.get(key) != data]
        come = [f"{key} : {data}" if data else key for key, data in now.items() if was.get(key) != data]
        if gone:
            removed.append(Elements(name, gone, family))
        if come:
            added.append(Elements(name, come, family))
    return removed, added


def _content(state: NodeState, other: NodeState) -> Content:
    """What sets and maps that both states have hold, without what the two have exactly alike."""
    content: Content = defaultdict(dict)
    reduced, virtuals = _reduced(state, other), _balancers(state, other)[0].virtuals
    mine = (*_services(reduced), *ruleset.own_members(reduced))
    for one in (*mine, *ruleset.choices(virtuals), *_groups(state, other)):
        for value in one.values:
            key, _, data = value.partition(" : ")
            content[one.family, one.name][key] = data
    return content


def _services(state: NodeState) -> Iterator[Elements]:
    return ruleset.services(state.loadbalancer.virtuals) if state.loadbalancer is not None else iter(())


def _reduced(state: NodeState, other: NodeState) -> NodeState:
    """The state without equal Services, ports and dispatch: looking at these costs more than their comparison."""
    (mine, theirs), (here, there) = _firewalls(state, other), _balancers(state, other)
    return replace(
        state,
        ports=_without(state.ports, other.ports),
        firewall=Firewall(egress=_without(mine.egress, theirs.egress), ingress=_without(mine.ingress, theirs.ingress)),
        loadbalancer=LoadBalancer(_without(here.virtuals, there.virtuals), _without(here.hairpin, there.hairpin)),
    )


def _groups(state: NodeState, other: NodeState) -> Iterator[Elements]:
    """The elements of address sets that both states have and that differ."""
    mine, theirs = _firewalls(state, other)
    known = {(one.name, one.family): one for one in theirs.sets}
    for one in mine.sets:
        same = known.get((one.name, one.family))
        if same is not None and same != one:
            yield ruleset.group_members(replace(one, elements=_without(one.elements, same.elements)))


def _without(mine: tuple[T, ...], others: tuple[T, ...]) -> tuple[T, ...]:
    if mine == others:
        return ()
    known = frozenset(others)
    return tuple(one for one in mine if one not in known)
