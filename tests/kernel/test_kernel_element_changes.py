"""Changes of elements alone: taken away and put back they are as they were, and what is refused changes nothing."""

from __future__ import annotations

from functools import partial

import pytest
from inside import by_text_and_bytes, in_lab
from test_kernel_migrate import BEFORE

from sdn.kernel import element_changes, ruleset
from sdn.kernel.driver import Driver
from sdn.kernel.namespaces import NamespaceWorker
from sdn.kernel.readback import drift
from sdn.kernel.rtnetlink import Netlink
from sdn.kernel.tracked import NETFILTER
from sdn.plan.state import NodeState


def sent(commands: list[str]) -> bool:
    """Whether they could be made, with a socket for them alone."""
    with Netlink(NETFILTER) as netlink:
        return element_changes.send(tuple(commands), netlink)


def shared(state: NodeState) -> list[ruleset.Elements]:
    """All elements of a Host's shared maps and groups that can be encoded, maps before what they lead to is gone."""
    assert state.firewall is not None
    every = [*ruleset.members(state), *map(ruleset.group_members, state.firewall.sets)]
    return [one for one in every if one.values and element_changes.encoded(list(one.commands("add"))) is not None]


@pytest.mark.parametrize(
    "command",
    [
        "flush map inet sdn egress4",
        "add rule inet sdn p_x tcp dport { 1, 2 } accept",
        "add chain inet other p_x",
    ],
)
def test_everything_else_is_left_to_nft(command: str) -> None:
    assert element_changes.encoded(["add element inet sdn egress4 { 1 . 10.0.0.1 : jump p_x }", command]) is None


@pytest.mark.kernel
@in_lab
def test_what_is_taken_away_and_put_back_is_as_it_was() -> None:
    Driver().build(BEFORE.plan)
    hosts = [state for state in BEFORE.plan.values() if state.role == "host"]
    names: set[str] = set()
    with NamespaceWorker() as worker:
        for verb in ("delete", "add"):
            for state in hosts:
                names |= {one.name for one in shared(state)}
                commands = [line for one in shared(state) for line in one.commands(verb)]
                assert worker.run(state.name, partial(sent, commands)), state.name
            assert bool(drift(BEFORE.plan)) == (verb == "delete"), drift(BEFORE.plan)[:5]
    assert {
        "egress4",
        "egress6",
        "ingress4",
        "services4",
        "services6",
        "balancers4",
        "backends4_tcp",
        "backends6_tcp",
    } <= names


@in_lab
def test_what_chooses_backends_is_what_nft_makes_of_the_same_text() -> None:
    sizes = [(family, protocol, count) for family in (4, 6) for protocol in ruleset.BALANCED for count in (1, 77)]
    commands = [line for size in sizes for line in ruleset.define_balancer(*size)]
    gone = [line for size in sizes[::2] for line in ruleset.remove_chain(ruleset.balancer_name(*size))]
    with by_text_and_bytes() as (worker, text, own):
        for wanted in (commands, commands, gone):
            text.run("\n".join(wanted))
            assert worker.run("bytes", partial(sent, wanted))
            assert own.run("list ruleset", stateless=True) == text.run("list ruleset", stateless=True)


@pytest.mark.kernel
@in_lab
def test_what_the_kernel_refuses_changes_nothing() -> None:
    Driver().build(BEFORE.plan)
    commands = [
        "add element inet sdn nobody4 { 0x80000001 . 10.96.0.77 . tcp . 80 }",
        "add element inet sdn egress4 { 1 . 10.99.0.1 : jump p_nobody }",
    ]
    with NamespaceWorker() as worker:
        assert not worker.run("host-1", partial(sent, commands))
        assert drift(BEFORE.plan) == []
        assert worker.run("host-1", partial(sent, commands[:1]))
        assert len(drift(BEFORE.plan)) > 0


@pytest.mark.kernel
@in_lab
def test_what_is_refused_among_others_is_no_success_and_the_next_is_told_of_itself() -> None:
    """The kernel accepts the last message of a transaction that it does not make."""
    Driver().build(BEFORE.plan)
    nobody = "element inet sdn nobody4 { 0x80000001 . 10.96.0.77 . tcp . 80 }"
    strange = "add element inet sdn zones { 0x1 : 77 }"
    marks = ['add element inet sdn marks { "port-x" : 0x1 }', 'delete element inet sdn marks { "port-x" }']
    with NamespaceWorker() as worker, worker.run("host-1", partial(Netlink, NETFILTER)) as netlink:
        for wrong in ([strange, f"add {nobody}"], [f"add {nobody}", strange], [strange], [strange] * 300):
            assert not element_changes.send(tuple(wrong), netlink)
            assert element_changes.send(tuple(marks), netlink)
            assert drift(BEFORE.plan) == []
