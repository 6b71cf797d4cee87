"""Elements as our own messages: the kernel holds what nft makes of the same text, for every set and map there is."""

from __future__ import annotations

import re
from contextlib import closing

from inside import in_lab, namespaces

from sdn.errors import NotFoundError
from sdn.kernel import skeleton
from sdn.kernel.elements import additions
from sdn.kernel.libnft import Nft
from sdn.kernel.rtnetlink import Netlink
from sdn.kernel.ruleset import Elements
from sdn.kernel.tracked import NETFILTER

PORT = '"web-0.1a2b3c"'
MAC = "02:31:e3:d4:fa:de"
PROFILE = "p_00ff"
PREPARED = f"""{skeleton.tables()}
add chain inet sdn {PROFILE}
add chain inet sdn b4_tcp_2
add set inet sdn g_b16 {{ typeof ct zone . ip6 saddr; }}
add set inet sdn g_services4 {{ typeof ct zone . ip saddr; }}
"""
OWN = {4: "10.244.1.3", 6: "fd00:244:1::3"}
ALL = [
    *(Elements("marks", [f"{PORT} : 0x80000001", '"br.4096" : 0x2'], family) for family in ("inet", "bridge")),
    Elements("routed", [PORT], "arp"),
    *(Elements("owners4", [f"{PORT} . {MAC} . {OWN[4]} : 0x80000001"], family) for family in ("inet", "bridge", "arp")),
    *(Elements("owners6", [f"{PORT} . {MAC} . {OWN[6]} : 0x80000001"], family) for family in ("inet", "bridge")),
    Elements("targets6", [f"{PORT} . 0xfd000244000100000000000000000003"], "bridge"),
    Elements("zones", ["0x1 : 300", "0x80000001 : 300"]),
    Elements("g_b16", [f"1 . {OWN[6]}", f"300 . {OWN[6]}"]),
    Elements("g_services4", [f"65535 . {OWN[4]}"]),
    *(Elements(f"own{family}", [f"0x1 . {own}"]) for family, own in OWN.items()),
    *(Elements(f"{side}gress{f}", [f"300 . {own} : jump {PROFILE}"]) for side in ("e", "in") for f, own in OWN.items()),
    *(Elements(f"hairpin{family}", [f"3 . {own} . {own} : {own}"]) for family, own in OWN.items()),
    *(Elements(f"unjudged{family}", [f"3 . {own} . {own}"]) for family, own in OWN.items()),
    *(Elements(f"services{f}", [f"0x80000001 . {own} . tcp . 80 : 2"]) for f, own in OWN.items()),
    *(Elements(f"balancers{f}", ["tcp . 2 : goto b4_tcp_2"]) for f in OWN),
    *(Elements(f"nobody{f}", [f"0x80000001 . {o} . {p} . 8443" for p in ("udp", "sctp")]) for f, o in OWN.items()),
    *(
        Elements(
            f"backends{family}_{protocol}", [f"0x80000001 . {own} . 80 . {n} : {own} . {8080 + n}" for n in (0, 1)]
        )
        for family, own in OWN.items()
        for protocol in ("tcp", "udp", "sctp")
    ),
]


def listed(nft: Nft) -> str:
    """The ruleset with the elements of each set in one order, which the kernel does not have."""
    text = nft.run("list ruleset", stateless=True)
    return re.sub(r"elements = {([^}]*)}", lambda found: str(sorted(found[1].split(","))), re.sub(r"\s+", " ", text))


def fill(several: list[Elements]) -> None:
    with Netlink(NETFILTER) as netlink:
        netlink.transact(list(additions(several)))


@in_lab
def test_they_are_what_nft_makes_of_the_same_text() -> None:
    with (
        namespaces("text", "bytes") as worker,
        closing(worker.run("text", Nft)) as text,
        closing(worker.run("bytes", Nft)) as own,
    ):
        for nft in (text, own):
            nft.run(PREPARED)
        declared = set(re.findall(r"(?:set|map) (\w+)", text.run("list sets") + text.run("list maps")))
        assert declared == {one.name for one in ALL}, "a set or map of which no element is tried"
        text.run("\n".join(line for one in ALL for line in one.commands("add")))
        worker.run("bytes", lambda: fill(ALL))
        assert listed(own) == listed(text)


@in_lab
def test_what_is_too_long_for_one_transaction_goes_in_several() -> None:
    many = Elements("g_services4", [f"1 . 10.{n >> 16}.{n >> 8 & 255}.{n & 255}" for n in range(20_000)])
    with namespaces("one") as worker, closing(worker.run("one", Nft)) as nft:
        nft.run(PREPARED)
        worker.run("one", lambda: fill([many]))
        assert nft.run("list set inet sdn g_services4").count(" . ") == 20_001  # with the type


@in_lab
def test_all_of_a_transaction_or_nothing_and_the_kernel_says_why() -> None:
    with namespaces("one") as worker, closing(worker.run("one", Nft)) as nft:
        nft.run(PREPARED)
        for lost in (Elements("g_gone4", ["1 . 10.0.0.1"]), Elements("egress4", ["1 . 10.0.0.1 : jump p_gone"])):
            try:
                worker.run("one", lambda lost=lost: fill([Elements("routed", [PORT], "arp"), lost]))  # type: ignore[misc]
            except NotFoundError as error:
                assert f"inet {lost.name}" in str(error), error
            else:
                raise AssertionError(f"the kernel took {lost}")
            assert PORT not in nft.run("list ruleset")
        nft.run("flush ruleset")
        try:
            worker.run("one", lambda: fill([Elements("routed", [PORT], "arp")]))
        except NotFoundError:
            return
        raise AssertionError("there was no table")
