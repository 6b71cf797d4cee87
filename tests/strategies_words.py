"""Random words of policies, made from a seeded `Dice`: labels, selectors of labels, address blocks, ports."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from ipaddress import ip_address, ip_network
from random import Random
from typing import TypeVar

from sdn.model import IPBlock, LabelSelector, Operator, PortRange, Protocol, Requirement

T = TypeVar("T")

NAMESPACES = ("n1", "n2", "n3")  # n3 has labels but rarely a workload
VALUES = ("x", "y", "")
TCP, UDP, SCTP, ICMP = Protocol.TCP, Protocol.UDP, Protocol.SCTP, Protocol.ICMP

PORTS = (
    PortRange(TCP),
    PortRange(UDP),
    PortRange(SCTP),
    PortRange(TCP, 80),
    PortRange(TCP, 79, 80),
    PortRange(TCP, 81, 8079),
    PortRange(TCP, 1, 65535),
    PortRange(UDP, 53),
    PortRange(SCTP, 80, 80),
    PortRange(TCP, "http"),
    PortRange(TCP, "dns"),
    PortRange(UDP, "dns"),
    PortRange(UDP, "http"),  # nobody has it of this protocol
    PortRange(SCTP, "sctp"),
)
TIER_PORTS = (*PORTS, PortRange(ICMP), PortRange(ICMP))


class Dice(Random):
    """What a world is made from."""

    def pick(self, items: Sequence[T]) -> T:
        """One of them; what is listed twice comes twice as often."""
        return self.choice(items)

    def up_to(self, most: int, make: Callable[[], T], least: int = 0) -> tuple[T, ...]:
        """`least` to `most` things."""
        return tuple(make() for _ in range(self.randint(least, most)))

    def one_in(self, number: int) -> bool:
        """True once in so many throws."""
        return self.randrange(number) == 0


def labels(dice: Dice) -> dict[str, str]:
    """One or two, rarely none."""
    return {key: dice.pick(VALUES) for key in "ab" if not dice.one_in(3)}


def block(dice: Dice, addresses: list[str]) -> IPBlock:
    """A block that begins, ends or has its hole at a real address or one beside it; rarely one far away."""
    if dice.one_in(8):
        return IPBlock("203.0.113.0/24", dice.pick(((), ("203.0.113.0/28",))))
    middle = ip_address(dice.pick(addresses)) + dice.randint(-1, 1)
    bits = middle.max_prefixlen
    cidr = ip_network(f"{middle}/{dice.pick((bits, bits - 1, bits - 2, bits - 5, 24, 0))}", strict=False)
    holes = {ip_network(middle + offset) for offset in dice.up_to(2, lambda: dice.randint(-1, 1))}
    inside = {str(hole) for hole in holes if hole != cidr and hole.network_address in cidr}
    return IPBlock(str(cidr), tuple(sorted(inside)))


def requirement(dice: Dice) -> Requirement:
    """Any operator, on keys that exist and on one that does not."""
    operator = dice.pick(list(Operator))
    if operator in {Operator.EXISTS, Operator.DOES_NOT_EXIST}:
        return Requirement(dice.pick("abc"), operator)
    return Requirement(dice.pick("abc"), operator, dice.pick((("x",), ("x", "y"), ("",), ("", "x"), ("y", "z"))))


def label_selector(dice: Dice) -> LabelSelector:
    """From everything to nothing."""
    match dice.randrange(6):
        case 0 | 1:
            return LabelSelector()
        case 2:
            return LabelSelector(((dice.pick("ab"), dice.pick(VALUES)),))
        case 3:
            return LabelSelector((), (requirement(dice),))
        case 4:
            return LabelSelector(tuple(sorted(labels(dice).items())), dice.up_to(2, lambda: requirement(dice)))
        case _:
            return LabelSelector((("kubernetes.io/metadata.name", dice.pick(NAMESPACES)),))
