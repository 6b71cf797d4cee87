"""Rules that do not fit into one transaction arrive all the same, and nothing is open while they do."""

from __future__ import annotations

from pathlib import Path

import pytest
from inside import in_lab
from msgspec.structs import replace

from sdn.kernel.apply import Applied, apply
from sdn.kernel.apply_rules import RuleChanges, rule_changes, send
from sdn.kernel.driver import Driver
from sdn.kernel.libnft import Nft
from sdn.kernel.namespaces import NamespaceWorker
from sdn.kernel.readback import drift
from sdn.plan.desired import prepare
from sdn.spec.load import load

LAB = load([Path(__file__).parents[2] / "topologies" / "three-tier.yaml"]).model
OTHER = replace(LAB, policies=LAB.policies[:2], services=LAB.services[:1])
BEFORE = prepare(LAB)
AFTER = prepare(OTHER, BEFORE.placed)
HOST = next(name for name, state in BEFORE.plan.items() if state.role == "host" and state != AFTER.plan[name])


class Recorder(Nft):
    """The real nft, and what was sent to it."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[str] = []

    def run(
        self, text: str, *, json: bool = False, handles: bool = False, stateless: bool = False, terse: bool = False
    ) -> str:
        self.sent.append(text)
        return super().run(text, json=json, handles=handles, stateless=stateless, terse=terse)


def test_equal_states_need_no_commands() -> None:
    assert len(rule_changes(BEFORE.plan[HOST], BEFORE.plan[HOST])) == 0
    assert apply(BEFORE.plan, BEFORE.plan, Driver()) == Applied()


@pytest.mark.kernel
@in_lab
def test_every_way_to_cut_a_change_ends_in_the_same_rules() -> None:
    driver = Driver()
    driver.build(BEFORE.plan)
    longest = max(len("\n".join(c.switch + c.dispatch)) for c in (changes(False), changes(True)))
    for limit in (0, longest, 1 << 20):
        apply(BEFORE.plan, AFTER.plan, driver, limit)
        assert not drift(AFTER.plan), (limit, drift(AFTER.plan))
        apply(AFTER.plan, BEFORE.plan, driver, limit)
        assert not drift(BEFORE.plan), (limit, drift(BEFORE.plan))


def changes(back: bool) -> RuleChanges:
    before, after = (AFTER, BEFORE) if back else (BEFORE, AFTER)
    return rule_changes(before.plan[HOST], after.plan[HOST])


@pytest.mark.kernel
@in_lab
def test_a_host_is_closed_while_a_switch_does_not_fit() -> None:
    Driver().build(BEFORE.plan)
    with NamespaceWorker() as worker:
        nft = worker.run(HOST, Recorder)
        send(nft, changes(False), AFTER.plan[HOST], limit=0)
        nft.close()
    closed = next(number for number, text in enumerate(nft.sent) if text.startswith("flush map inet sdn egress4"))
    opened = next(number for number, text in enumerate(nft.sent) if "add element inet sdn egress4" in text)
    assert closed < opened
    assert not any("element inet sdn services" in text for text in nft.sent[:closed])
    assert "delete element inet sdn egress" not in "".join(nft.sent)
