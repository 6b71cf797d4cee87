"""Labels change again and again under a flood that is forbidden before and after each change: nothing of it arrives.

What happens in a packet's way between two of its lookups takes a microsecond, so here many rules lie between them.
"""

from __future__ import annotations

from functools import partial

import pytest
from msgspec.structs import replace
from talkers import PORT, talking
from test_apply import arrived, flooded

from labs import eventually, up
from sdn.lab import client
from sdn.model import Application, LabelSelector, Model, Policy, Selector
from sdn.model.lifecycle import Label
from worlds_build import EGRESS, INGRESS, act, model, segment, tier, udp, workload

pytestmark = pytest.mark.kernel

LAN = Application("a", (segment("lan", "10.1.1.0/24", "fd00:1::/64"),))
HOSTS = {"x": 1, "near": 1, "far": 2, "red": 3, "blue": 3}
"""The last two are what is in each group all the time."""

FLOODED = udp(4009)
FLIPS = 150


def role(name: str) -> Selector:
    return Selector(labels=LabelSelector((("role", name),)))


def lab_of(*policies: Policy, **roles: str) -> Model:
    found = [
        workload(f"a/{name}", host, "a/lan", role=roles.get(name, name if host == 3 else "none"))
        for name, host in HOSTS.items()
    ]
    return model("relabelled", [LAN], found, *policies)


BETWEEN = [act("allow", INGRESS, udp(5000 + number)) for number in range(1000)]
ONE_AFTER_THE_OTHER = tier(
    "application/t", act("deny", INGRESS, role("blue"), FLOODED), *BETWEEN, act("deny", INGRESS, role("red"), FLOODED)
)
ON_BOTH_SIDES = (
    tier("application/o", act("deny", EGRESS, role("red"), FLOODED)),
    tier("application/i", act("deny", INGRESS, role("blue"), FLOODED)),
)


def addresses(lab: client.Lab, *keys: str) -> list[str]:
    return [address for key in keys for address in lab.placed().endpoints[key].addresses]


def test_from_one_denied_group_to_another() -> None:
    """An open connection goes on meanwhile, and a new one is made: only what begins in the middle has to try again."""
    watched = ("a/near", "a/far")
    with up(lab_of(ONE_AFTER_THE_OTHER, x="red")) as lab, talking(lab, ["a/x", *watched]) as talkers:
        targets = [f"{address}:{PORT}" for address in addresses(lab, *watched)]
        assert talkers.call({"a/x": targets}) == len(targets)
        with flooded(lab, "a/x", *addresses(lab, *watched)):
            for _ in range(FLIPS):
                for name in ("blue", "red"):
                    lab.operate(Label("a/x", {"role": name}))
            assert [arrived(lab, key) for key in watched] == [0, 0]
            assert talkers.exchange() == []
            lab.operate(Label("a/x", {"role": "none"}))
            assert all(eventually(partial(arrived, lab, key)) for key in watched)
        assert lab.status().drift == ()


def test_two_at_once_so_that_both_sides_change() -> None:
    """The sender's Host forbids before and the receiver's after, by groups alone; and there and back."""
    sent, received = (lab_of(*ON_BOTH_SIDES, **roles) for roles in ({"near": "red", "far": "red"}, {"x": "blue"}))
    watched = ("a/near", "a/far")
    with up(sent) as lab, flooded(lab, "a/x", *addresses(lab, *watched)):
        for _ in range(FLIPS // 3):
            for wanted in (received, sent):
                lab.apply(wanted)
        assert [arrived(lab, key) for key in watched] == [0, 0]
        lab.apply(replace(sent, policies=()))
        assert all(eventually(partial(arrived, lab, key)) for key in watched)
        assert lab.status().drift == ()
