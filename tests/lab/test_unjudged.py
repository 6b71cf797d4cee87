"""Who is led to no rules of its receiver, or to a chain that has none, reaches nobody.

A packet that is on its way while rules change may meet both; here they stay so, and every packet does.
"""

from __future__ import annotations

import re
from functools import partial

import pytest
from test_apply import OPEN, arrived, flooded

from labs import eventually, inside, up
from sdn.lab import client

pytestmark = pytest.mark.kernel

HERE, THERE = ("a/y", "a/p"), "a/z"
"""On the Host of a/x, bridged and routed; and on another, whose rules stay."""


def silent(lab: client.Lab) -> bool:
    """Whether nothing comes to those on the sender's Host while the other one hears all that is sent."""

    def passes(number: int) -> bool:
        heard = arrived(lab, THERE)
        return eventually(lambda: arrived(lab, THERE) > heard + number)

    assert passes(1)  # what was on its way is there
    before = [arrived(lab, key) for key in HERE]
    assert passes(100)
    return [arrived(lab, key) for key in HERE] == before


def test_nobody_is_reached_whom_no_rule_has_judged() -> None:
    with up(OPEN) as lab:
        targets = [address for key in (*HERE, THERE) for address in lab.placed().endpoints[key].addresses]
        with flooded(lab, "a/x", *targets):
            assert all(eventually(partial(arrived, lab, key)) for key in (*HERE, THERE))
            assert not silent(lab)
            for family in (4, 6):
                listed = inside(lab, "host-1", "nft", "list", "map", "inet", "sdn", f"ingress{family}")
                for chain in set(re.findall(r"jump (\w+)", listed)):
                    inside(lab, "host-1", "nft", "flush", "chain", "inet", "sdn", chain)
            assert silent(lab)
            for family in (4, 6):
                inside(lab, "host-1", "nft", "flush", "map", "inet", "sdn", f"ingress{family}")
            assert silent(lab)
