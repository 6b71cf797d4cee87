"""In which order Hosts get their new rules, so that nothing passes that both the old and the new policy forbid.

Hosts change one after the other, and the transaction of one is not one instant to a packet on its way: of chains it
sees the old rules or the new, of sets and maps what is there now. A flow from x to y is judged by x's Host (x's egress
profile, the groups with y) and then by y's (y's ingress profile, the groups with x). While these change, a side is
judged as before, as after, or by rules of which the first meet what was and the later ones what is. Where neither
policy lets a flow pass, that opens it in two cases alone:

- *Both sides change*, one to allow and the other to forbid. Either both profiles do, or one of them and the groups of
  the same flow, or the groups of x and of y.
- *One side forbids by another rule*: who goes from a denied group to another one is looked up in the latter before he
  is in it, and in the former when he has left it.

So whoever is judged in another way is led to no rules at both ends of the change (`Rounds`): to none in the first
round, to the new ones in the last, when all Hosts have the rest. Of those whose profiles change that is the direction
that does; of those who change groups both, on the Host where they run, whether anything else changes there or not.
Established connections do not come to these maps. What begins meanwhile is lost, and sent again by whoever wants it.

Who changes groups stays led where that opens nothing. That is where rules do nothing with these groups but allow, and
all of this change join them, or all leave: no rule that is met matches any more, but one that the more allowing policy
allows by, so whatever passes in between passes in it, too. (With rules that deny, reject or pass it is not so: see
above. Nor with stateless ones, of which a second rule beside it speaks; nor where some join and others leave, or one
does both, who may be x and y, or meet himself behind a Service.)

Between two rounds every packet that a Host had in its rules gets through them (`processors`). One that is on its way to
another Host for longer than the rounds take, because a link delays it, may still meet the old rules at its sender's and
the new ones at its receiver's.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

from msgspec import Struct
from msgspec.structs import replace

from sdn.kernel import ruleset
from sdn.kernel.apply_rules import Owner, RuleChanges
from sdn.model import Action
from sdn.plan.state import Dispatch, Firewall, FirewallRule, NodeState, Plan

_TWO = 2


class Rounds(Struct, frozen=True):
    """What is told to Hosts in each round, by name; a round begins when the one before it is over. Where one is enough
    it is `change`. `led` is the dispatch that goes and comes back as it is."""

    shut: dict[str, RuleChanges]
    change: dict[str, RuleChanges]
    open: dict[str, RuleChanges]
    led: dict[str, Firewall] = {}

    @property
    def hosts(self) -> set[str]:
        """All that are told anything."""
        return {*self.shut, *self.change, *self.open}

    def after_change(self, before: NodeState, after: NodeState) -> NodeState:
        """What a Host shall be when `change` is over: who waits for `open` is led nowhere yet."""
        if not self.open:
            return after
        was, now, away = (state or Firewall() for state in (before.firewall, after.firewall, self.led.get(after.name)))
        egress = _both(now.egress, was.egress, away.egress)
        return replace(
            after, firewall=replace(now, egress=egress, ingress=_both(now.ingress, was.ingress, away.ingress))
        )


class Whereabouts:
    """On which Host each address is led to rules, of a plan that changes now and then: only Hosts that changed since
    are looked into again."""

    def __init__(self) -> None:
        self._seen: dict[str, Firewall | None] = {}
        self._host: dict[Owner, str] = {}

    def hosts(self, owners: Iterable[Owner], plan: Plan) -> set[str]:
        """Those that lead any of them."""
        self._follow(plan)
        return {self._host[owner] for owner in owners if owner in self._host}

    def _follow(self, plan: Plan) -> None:
        for name in [name for name in self._seen if name not in plan] if self._seen.keys() - plan.keys() else ():
            self._look(name, self._seen.pop(name), None)
        for name, node in plan.items():
            if self._seen.get(name) is not node.firewall:
                self._look(name, self._seen.get(name), node.firewall)
                self._seen[name] = node.firewall

    def _look(self, name: str, was: Firewall | None, now: Firewall | None) -> None:
        old, new = ((firewall or Firewall()).egress for firewall in (was, now))
        if old is new:
            return
        for one in set(old).difference(new):
            if self._host.get((one.zone, one.address)) == name:
                del self._host[one.zone, one.address]
        self._host.update(((one.zone, one.address), name) for one in new)


def rounds(changes: Mapping[str, RuleChanges], before: Plan, after: Plan, known: Whereabouts | None = None) -> Rounds:
    """The rounds of these changes. The plans are of all Hosts that stay, and whole; `known` has followed `before` and
    the plans that led to it."""
    different = {id(one): one for one in changes.values()}.values()
    joined, left = (
        {one for each in different for one in each.joined},
        {one for each in different for one in each.left},
    )
    owners = {owner for _, owner in joined | left}
    stay, led = _staying(owners, before, after, known or Whereabouts())
    joined, left = ({one for one in some if one[1] in stay} for some in (joined, left))
    groups = {name for name, _ in joined | left}
    states = (plan[name] for name in changes for plan in (before, after))
    if not led or not ((joined and left) or _do_more_than_allow(groups, states)):
        led = {}
    turned = {side for one in different for side in one.turned}
    if not led and len(turned) + bool(groups) < _TWO:
        return Rounds({}, dict(changes), {})
    alike = {id(one): one.in_turn() for one in different}
    parts = {name: alike[id(one)] for name, one in changes.items()}
    parts |= {name: _with(changes.get(name), firewall).in_turn() for name, firewall in led.items()}
    shut, change, come = ({n: part[i] for n, part in parts.items() if len(part[i])} for i in range(3))
    return Rounds(shut, change, come, led)


def _staying(
    owners: Collection[Owner], before: Plan, after: Plan, known: Whereabouts
) -> tuple[set[Owner], dict[str, Firewall]]:
    """Which of these addresses are on a Host before and after; and of each Host, what leads them both times alike."""
    stay: set[Owner] = set()
    led = {}
    for name in sorted(known.hosts(owners, before)) if owners else ():
        was, now = before[name].firewall, after[name].firewall
        if was is None or now is None:
            continue
        old, new = ([list(_of(owners, some)) for some in (one.egress, one.ingress)] for one in (was, now))
        stay |= {(one.zone, one.address) for one in old[0]} & {(one.zone, one.address) for one in new[0]}
        egress, ingress = (tuple(one for one in mine if one in others) for mine, others in zip(old, new, strict=True))
        if egress or ingress:
            led[name] = Firewall(egress=egress, ingress=ingress)
    return stay, led


def _of(owners: Collection[Owner], entries: Iterable[Dispatch]) -> Iterator[Dispatch]:
    return (entry for entry in entries if (entry.zone, entry.address) in owners)


def _do_more_than_allow(groups: Collection[str], states: Iterable[NodeState]) -> bool:
    """Whether any rule does more with one of the groups than to allow its members what it says."""
    tiers = {id(state.firewall.chains): state.firewall.chains for state in states if state.firewall is not None}
    chains = {chain.name: chain for some in tiers.values() for chain in some}
    return any(_does_more(rule, groups) for chain in chains.values() for rule in chain.rules)


def _does_more(rule: FirewallRule, groups: Collection[str]) -> bool:
    if rule.not_set in groups:
        return True
    return rule.set in groups and (rule.action is not Action.ALLOW or rule.stateless)


def _with(changes: RuleChanges | None, led: Firewall) -> RuleChanges:
    """The changes of a Host, in which it is led anew, too, who was led there before."""
    known = changes or RuleChanges((), (), (), ())
    elements = list(ruleset.dispatch(NodeState("", "host", (), firewall=led)))
    keys = [one._replace(values=[value.partition(" : ")[0] for value in one.values]) for one in elements]
    gone = (line for one in keys for line in one.commands("delete"))
    come = (line for one in elements for line in one.commands("add"))
    return replace(known, dispatch=(*known.dispatch, *gone, *come))


def _both(now: Iterable[Dispatch], was: Iterable[Dispatch], away: Iterable[Dispatch]) -> tuple[Dispatch, ...]:
    stay = frozenset(was).difference(away)
    return tuple(entry for entry in now if entry in stay)
