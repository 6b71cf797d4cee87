"""An independent oracle for rule lists: z3 proves that reach and diff say the same as the rules, or has a witness.

The formula is written from the rules as they stand, first match decides; nothing of the compiler or of reach is in it.
"""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from random import Random
from typing import Any

import pytest

from sdn.model import Action, Direction, IPBlock, Peer, Placed, Policy, PortRange, Protocol, Rule
from sdn.policy.compiler import compile_policy
from sdn.policy.diff import Reason, compare
from sdn.policy.intervals import Services
from sdn.policy.reach import Reach
from worlds_base import LAN, NUMBERED
from worlds_build import build, model

z3 = pytest.importorskip("z3")

ADDRESS, PORT, PROTOCOL = z3.Ints("address port protocol")
NUMBER = {protocol: number for number, protocol in enumerate(Protocol)}
PACKET = z3.And(
    ADDRESS >= 0,
    ADDRESS < 2**32,
    PROTOCOL >= 0,
    len(Protocol) > PROTOCOL,
    z3.If(NUMBER[Protocol.ICMP] == PROTOCOL, PORT == 0, z3.And(PORT >= 1, PORT <= 65535)),
)
WHOM = "shop/web"


def block(dice: Random) -> IPBlock:
    """Somewhere in a small part of the addresses, so that blocks overlap, sometimes with a hole."""
    cidr = ip_network(
        f"203.0.{dice.randrange(4)}.{dice.randrange(256)}/{dice.choice((0, 16, 22, 24, 26, 30, 32))}", False
    )
    hole = ip_network(f"{cidr[dice.randrange(min(cidr.num_addresses, 1024))]}/{dice.choice((28, 30, 32))}", False)
    inside = hole.network_address in cidr and hole.prefixlen > cidr.prefixlen
    return IPBlock(str(cidr), (str(hole),) if inside and dice.random() < 0.5 else ())


def port(dice: Random) -> PortRange:
    protocol = dice.choice(list(Protocol))
    if protocol is Protocol.ICMP or dice.random() < 0.2:
        return PortRange(protocol)
    first = dice.choice((1, 79, 80, 81, 443, 8000, 65535))
    return PortRange(protocol, first, dice.choice((None, min(65535, first + dice.choice((0, 1, 400))))))


def rules(dice: Random) -> tuple[Rule, ...]:
    """Some dozen, of every action."""
    return tuple(
        Rule(
            dice.choice(list(Action)),
            Direction.INGRESS,
            tuple(Peer(ip_block=block(dice)) for _ in range(dice.randint(0, 3))),
            tuple(port(dice) for _ in range(dice.randint(0, 2))),
            peers_excluded=dice.random() < 0.2,
        )
        for _ in range(dice.randint(1, 12))
    )


def within(one: IPBlock) -> Any:
    def between(text: str) -> Any:
        network = ip_network(text)
        return z3.And(int(network.network_address) <= ADDRESS, int(network.broadcast_address) >= ADDRESS)

    return z3.And(between(one.cidr), *(z3.Not(between(text)) for text in one.excepts))


def asks(one: PortRange) -> Any:
    last = one.port if one.end is None else one.end
    ports = [] if one.port is None else [one.port <= PORT, last >= PORT]
    return z3.And(NUMBER[one.protocol] == PROTOCOL, *ports)


def matches(rule: Rule) -> Any:
    peers = z3.Or(*(within(peer.ip_block) for peer in rule.peers if peer.ip_block)) if rule.peers else None
    if peers is None:
        peers = z3.BoolVal(True)
    elif rule.peers_excluded:
        peers = z3.Not(peers)
    return z3.And(peers, z3.Or(*map(asks, rule.ports)) if rule.ports else True)


def allowed(tiers: list[tuple[Rule, ...]]) -> Any:
    """The whole list as one formula, from its end: what is decided last is asked last."""
    formula = z3.BoolVal(True)
    for tier in reversed(tiers):
        after = formula
        for rule in reversed(tier):
            said = after if rule.action is Action.PASS else z3.BoolVal(rule.action is Action.ALLOW)
            formula = z3.If(matches(rule), said, formula)
    return formula


def world(tiers: list[tuple[Rule, ...]]) -> Placed:
    named = zip(("environment", "application"), tiers, strict=True)
    return build(model("lan", [LAN], NUMBERED, *(Policy(tier, tier, found) for tier, found in named)))


def ranges_hold(ranges: list[tuple[int, int]]) -> Any:
    return z3.Or(*(z3.And(low <= ADDRESS, high >= ADDRESS) for low, high in ranges))


def services_hold(services: Services, mask: int) -> Any:
    return z3.Or(
        *(
            z3.And(NUMBER[protocol] == PROTOCOL, z3.Or(*(z3.And(a <= PORT, b >= PORT) for a, b in spans)))
            for protocol, spans in services.spans(mask).items()
        )
    )


def witness(formula: Any) -> Any:
    """Values that make it true for some packet, None if it is proved that there are none."""
    solver = z3.Solver()
    solver.add(PACKET, formula)
    return solver.model() if solver.check() == z3.sat else None


@pytest.mark.parametrize("seed", range(12))
def test_reach_is_proved_equal_to_the_rules(seed: int) -> None:
    dice = Random(seed)
    tiers = [rules(dice), rules(dice)]
    placed = world(tiers)
    reach = Reach(placed, compile_policy(placed), (4,))
    number = reach.classes.of(WHOM)
    says = z3.Or(
        *(
            z3.And(ranges_hold(list(part.ranges)), services_hold(reach.services, reach.inwards(part, number)))
            for part in reach.outside
        )
    )
    covered = ranges_hold([stretch for part in reach.outside for stretch in part.ranges])
    found = witness(z3.And(covered, allowed(tiers) != says))
    assert found is None, found


@pytest.mark.parametrize("seed", range(12))
def test_rule_lists_are_equal_or_the_witness_is_in_the_diff(seed: int) -> None:
    dice = Random(1000 + seed)
    old = [rules(dice), rules(dice)]
    new = [change(dice, tier) for tier in old]
    before, after = world(old), world(new)
    changes = compare((before, compile_policy(before)), (after, compile_policy(after)), (4,))
    mine = [one for one in changes if one.destination.name == WHOM and one.source.is_outside]
    differ = allowed(old) != allowed(new)
    said = z3.Or(*(z3.And(ranges(one.source.ranges), reasons(one.reasons)) for one in mine))
    owned = [int(ip_address(a)) for e in before.endpoints.values() for a in e.addresses if ":" not in a]
    outside = z3.And(*(number != ADDRESS for number in owned))
    found = witness(z3.And(outside, differ != said))
    assert found is None, found


def change(dice: Random, tier: tuple[Rule, ...]) -> tuple[Rule, ...]:
    """Nothing, one rule less, two exchanged, or another rule somewhere."""
    found = list(tier)
    match dice.randrange(4):
        case 1:
            del found[dice.randrange(len(found))]
        case 2:
            found[0], found[-1] = found[-1], found[0]
        case 3:
            found.insert(dice.randrange(len(found) + 1), rules(dice)[0])
    return tuple(found)


def ranges(written: tuple[str, ...]) -> Any:
    ends = [text.split("-") for text in written]
    return ranges_hold([(int(ip_address(low)), int(ip_address(high))) for low, high in ends])


def reasons(given: tuple[Reason, ...]) -> Any:
    found = []
    for one in (one for reason in given for one in reason.services):
        if one.protocol == "any":
            found.append(z3.BoolVal(True))
            continue
        number = NUMBER[Protocol(one.protocol.lower())]
        spans = z3.Or(*(z3.And(a <= PORT, b >= PORT) for a, b in one.ports)) if one.ports else True
        found.append(z3.And(number == PROTOCOL, spans))
    return z3.Or(*found)
