"""Rules by our own messages are what nft makes of the same text, to the byte, or are left to it."""

from __future__ import annotations

from functools import partial

import pytest
from inside import by_text_and_bytes, in_lab

from sdn.kernel import element_changes, rule_messages, ruleset
from sdn.kernel.messages import NFTABLES, attributes
from sdn.kernel.owned import TABLE
from sdn.kernel.rtnetlink import Netlink
from sdn.kernel.tracked import NETFILTER
from sdn.model import Action, Direction, Protocol
from sdn.plan.state import AddressSet, Chain, FirewallRule, ProfileChain

_GET_RULE, _GET_SET = NFTABLES << 8 | 7, NFTABLES << 8 | 10
_HANDLE = {_GET_RULE: 3, _GET_SET: 16}
_ALL = bytes([1, 0, 0, 0])
_PORTS: tuple[tuple[Protocol | None, tuple[tuple[int, int], ...]], ...] = (
    (None, ()),
    (Protocol.TCP, ()),
    (Protocol.TCP, ((8080, 8080),)),
    (Protocol.UDP, ((10, 20),)),
    (Protocol.SCTP, ((1, 65535),)),
    (Protocol.ICMP, ()),
)
_OTHERS: tuple[dict[str, str], ...] = (
    {},
    {"set": "g_a"},
    {"not_set": "g_a"},
    {"block": "10.0.0.0/8 fd00::/64"},
    {"block": "10.16.0.0/12 fd00::/61"},
    {"block": "10.0.0.1/32 fd00::1/128"},
    {"block": "0.0.0.0/0 ::/0"},
    {"set": "g_a", "block": "10.0.0.0/23 fc00::/7"},
)
LEFT = (
    FirewallRule("egress a", Action.ALLOW, 4, block="10.0.0.0/8", excepts=("10.1.0.0/16",)),
    FirewallRule("egress a", Action.ALLOW, 4, blocks=("10.0.0.0/8", "11.0.0.0/8")),
    FirewallRule("egress a", Action.ALLOW, 6, not_blocks=("fd00::/8",)),
    FirewallRule("egress a", Action.ALLOW, protocol=Protocol.TCP, ports=((1, 2), (5, 5))),
)


def rules() -> list[FirewallRule]:
    """One of each kind: for both families, both directions, each decision."""
    found: list[FirewallRule] = []
    actions = [*Action] * 100
    for number, (protocol, ports) in enumerate(_PORTS):
        for other in _OTHERS:
            for at, family in enumerate((4, 6) if other or protocol is Protocol.ICMP else (0, 4, 6)):
                said = {
                    key: value.split()[at] if key == "block" else f"{value}{family}" for key, value in other.items()
                }
                origin = f"{'egress' if len(found) % 2 else 'ingress'} Policy team/{number}[{len(found)}]"
                found.append(
                    FirewallRule(
                        origin,
                        actions.pop(),
                        family,
                        protocol=protocol,
                        ports=ports,
                        stateless=len(found) % 3 == 0,
                        **said,  # type: ignore[arg-type]
                    )
                )
    return found


def commands() -> list[str]:
    """Two groups, a chain that looks them up, and a profile that leads to it."""
    groups = AddressSet("g_a4", 4, ((1, "10.0.0.1"),)), AddressSet("g_a6", 6, ((1, "fd00::1"), (2, "fd00::2")))
    chain = Chain("t_a", tuple(rules()))
    profile = ProfileChain("p_a", Direction.EGRESS, (chain.name,), "egress default allow")
    return [
        *(line for group in groups for line in ruleset.define_set(group)),
        *ruleset.define_chain(chain),
        *ruleset.define_profile(profile),
    ]


def sent(wanted: list[str]) -> bool:
    """Whether the kernel took them as our own messages."""
    with Netlink(NETFILTER) as netlink:
        return element_changes.send(tuple(wanted), netlink)


def held(kind: int) -> list[dict[int, bytes]]:
    """All rules or sets of the namespace, attribute by attribute, but for the numbers that the kernel gives them."""
    with Netlink(NETFILTER) as netlink:
        listed = [attributes(data[4:]) for data in netlink.dump(kind, _ALL, "list")]
    return [{number: bytes(data) for number, data in one.items() if number != _HANDLE[kind]} for one in listed]


@in_lab
def test_the_kernel_holds_the_same_as_after_nft() -> None:
    wanted = commands()
    assert all(rule_messages.messages(line) or line.startswith("add element") for line in wanted)
    gone = [*ruleset.remove_chain("p_a"), *ruleset.remove_chain("t_a"), f"delete set inet {TABLE} g_a6"]
    with by_text_and_bytes() as (worker, text, own):
        for some in (wanted, wanted[5:], gone):
            text.run("\n".join(some))
            assert worker.run("bytes", partial(sent, some)), some
            assert own.run("list ruleset", stateless=True) == text.run("list ruleset", stateless=True)
            for name, kind in (("rules", _GET_RULE), ("sets", _GET_SET)):
                here, there = (worker.run(where, partial(held, kind)) for where in ("bytes", "text"))
                assert [one for one in here if one not in there] == [], name
                assert len(here) == len(there)


@pytest.mark.parametrize("rule", LEFT)
def test_intervals_are_left_to_nft(rule: FirewallRule) -> None:
    *_, line = ruleset.define_chain(Chain("t_a", (rule,)))
    assert rule_messages.messages(line) is None


@pytest.mark.parametrize(
    "words",
    [
        "tcp sport 80 accept",
        "tcp dport http accept",
        "ip saddr host-1 accept",
        "ct state new accept",
        "counter accept comment unquoted",
        f'accept comment "{"x" * 200}"',
        "icmp type { echo-request",
        "reject with tcp reset",
        "ct mark set 7",
        "meta l4proto gre accept",
        "meta mark 7 accept",
        "ip saddr",
    ],
)
def test_what_is_not_understood_is_left_to_nft(words: str) -> None:
    assert rule_messages.messages(f"add rule inet {TABLE} t_a {words}") is None


@pytest.mark.parametrize(
    "command", ["add chain inet sdn forward { type filter hook forward priority 0; }", "flush ruleset"]
)
def test_so_is_every_other_command(command: str) -> None:
    assert rule_messages.messages(command) is None
