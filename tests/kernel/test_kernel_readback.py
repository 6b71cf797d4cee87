"""Reading back: nothing of a Host's rules escapes for being compared together with those of others, or as bytes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from inside import in_lab
from msgspec.structs import replace
from test_kernel_migrate import BEFORE

from sdn.errors import LabError
from sdn.kernel.driver import Driver
from sdn.kernel.libnft import Nft
from sdn.kernel.namespaces import NamespaceWorker
from sdn.kernel.readback import drift
from sdn.kernel.team import MEMBERS

PLAN = BEFORE.plan
TOTAL = sum(1 + len(state.ports) for state in PLAN.values())
DONE_AND_UNDONE = {
    "add element inet sdn own4 { 0x7 . 10.9.9.9 }": (
        "delete element inet sdn own4 { 0x7 . 10.9.9.9 }",
        "host-1: nft element of own4: 0x00000007 . 10.9.9.9 is not planned",
    ),
    'add element inet sdn own4 { 0x7 . 10.9.9.9 comment "mine" }': (
        "delete element inet sdn own4 { 0x7 . 10.9.9.9 }",
        'host-1: nft element of own4: 0x00000007 . 10.9.9.9 comment "mine" is not planned',
    ),
    "add set inet sdn mine { type ipv4_addr; }": ("delete set inet sdn mine", "host-1: nft set mine { is not planned"),
    "add chain inet sdn mine": ("delete chain inet sdn mine", "host-1: nft chain mine { is not planned"),
    "add table ip mine": ("delete table ip mine", "host-1: nft table ip mine { is not planned"),
}


@contextmanager
def host_1() -> Iterator[Nft]:
    with NamespaceWorker() as worker:
        nft = worker.run("host-1", Nft)
        try:
            yield nft
        finally:
            nft.close()


@in_lab
def test_what_is_not_planned_of_one_host_is_named_until_it_is_gone() -> None:
    Driver().build(PLAN)
    with host_1() as nft:
        for done, (undone, said) in DONE_AND_UNDONE.items():
            nft.run(done)
            found = drift(PLAN)
            assert said in found and all(one.startswith("host-1: nft ") for one in found), (done, found)
            nft.run(undone)
            assert drift(PLAN) == [], undone


@in_lab
def test_chains_of_one_name_that_say_something_else_on_each_host() -> None:
    """They cannot be loaded together."""
    Driver().build(PLAN)
    for name in ("host-1", "host-2"):
        firewall = PLAN[name].firewall
        assert firewall is not None and firewall.chains
        first, *others = firewall.chains
        chains = (replace(first, rules=(*first.rules, first.rules[-1])), *others)
        wanted = {**PLAN, name: replace(PLAN[name], firewall=replace(firewall, chains=chains))}
        found = drift(wanted)
        assert len(found) == 1 and found[0].startswith(f"{name}: nft ") and found[0].endswith("is missing"), found


@in_lab
def test_it_tells_how_far_it_is_and_ends_when_nobody_listens() -> None:
    Driver().build(PLAN)
    said: list[str] = []
    assert drift(PLAN, said.append) == []
    assert said[-1] == f"read back {TOTAL} of {TOTAL} namespaces"
    heard: list[str] = []
    try:
        drift(PLAN, partial(gone, heard))
    except LabError as error:
        assert str(error) == "gone" and len(heard) <= MEMBERS < len(PLAN)
        return
    raise AssertionError("it went on")


def gone(heard: list[str], text: str) -> None:
    heard.append(text)
    raise LabError("gone")
