"""Proofs against brute force: a counterexample is a flow that the oracle judges so, and what holds has none."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sdn.errors import SpecError
from sdn.model import Flow, IPBlock, Kind, LabelSelector, Peer, Placed, PortRange, Protocol, Selector
from sdn.model.assertion import Assertion, Traffic, Who
from sdn.policy.compiler import compile_policy
from sdn.policy.evaluate import Oracle
from sdn.policy.oracle_members import Members
from sdn.policy.verify import Counterexample, Proof, verify
from sdn.spec.assertions import load
from strategies import worlds
from worlds_base import kube
from worlds_build import build, labelled, netpol, pods, rule, tcp

TCP, UDP, ICMP = Protocol.TCP, Protocol.UDP, Protocol.ICMP
WHO = (
    Who(outside=True),
    Who((Peer(Selector(kind=Kind.VM)),)),
    Who((Peer(Selector(labels=LabelSelector((("a", "x"),)))),)),
    Who((Peer(Selector(namespaces=("n1",))),)),
    Who((Peer(ip_block=IPBlock("10.0.0.0/8", ("10.0.0.2/32",))),)),
    Who((Peer(ip_block=IPBlock("203.0.113.0/24")),)),
)
ENDS = (*WHO, *(Who(none_of=(one,)) for one in WHO))
PORTS = (PortRange(TCP, 80), PortRange(TCP, 79, 8080), PortRange(UDP), PortRange(ICMP))
POINTS = ((TCP, 1), (TCP, 79), (TCP, 80), (TCP, 8080), (TCP, 8081), (UDP, 53), (ICMP, 0))
OUTSIDE = ("203.0.113.7", "10.0.0.2", "198.51.100.1", "2001:db8::7")


def traffic(dice: Random) -> Traffic:
    """Up to two alternatives at each end, up to two ports."""
    sources, destinations = (tuple(dice.choice(ENDS) for _ in range(dice.randint(0, 2))) for _ in range(2))
    return Traffic(
        sources,
        destinations,
        tuple(dice.choice(PORTS) for _ in range(dice.randint(0, 2))),
    )


def assertion(seed: int) -> Assertion:
    dice = Random(seed)
    exceptions = tuple(traffic(dice) for _ in range(dice.randint(0, 2)))
    return Assertion("claim", dice.random() < 0.3, traffic(dice), exceptions)


class Brute:
    """Whether one flow refutes an assertion, from the words alone."""

    def __init__(self, placed: Placed, claim: Assertion) -> None:
        self.oracle, self._placed, self._claim = Oracle(placed), placed, claim
        self._members = Members(placed.model)
        self._workloads = {workload.key: workload for workload in placed.model.workloads}

    def refutes(self, source: str, target: str, address: str, protocol: Protocol, port: int) -> bool:
        """`source` is a key or an address; `target` a key, or empty for the outside at `address`."""
        own = self._own(source, address)
        ends = (source if "/" in source else "", own), (target, address)
        spoken = self._is(self._claim.traffic, ends, protocol, port)
        if not spoken or any(self._is(one, ends, protocol, port) for one in self._claim.exceptions):
            return False
        return self._allowed(source, target, address, protocol, port) != self._claim.allows

    def _own(self, source: str, address: str) -> str:
        return self._placed.endpoints[source].address(6 if ":" in address else 4) or "" if "/" in source else source

    def _allowed(self, source: str, target: str, address: str, protocol: Protocol, port: int) -> bool:
        if "/" not in source:
            return self.oracle.judge_ingress(source, target, protocol, port).allowed
        flow = Flow(source, address, protocol, port)
        if not target:
            return self.oracle.judge_egress(flow).allowed
        (answer,) = self.oracle.evaluate(flow)
        return answer.verdict.allowed and answer.backend == target

    def _is(self, one: Traffic, ends: tuple[tuple[str, str], ...], protocol: Protocol, port: int) -> bool:
        both = zip((one.sources, one.destinations), ends, strict=True)
        return all(not end or any(self._in(who, *which) for who in end) for end, which in both) and (
            not one.ports
            or any(
                p.protocol is protocol
                and (p.port is None or (isinstance(p.port, int) and p.port <= port <= (p.end or p.port)))
                for p in one.ports
            )
        )

    def _in(self, who: Who, key: str, address: str) -> bool:
        if who.outside:
            return not key
        if who.none_of:
            return not any(self._in(one, key, address) for one in who.none_of)
        return any(self._members.is_peer(peer, self._workloads.get(key), address) for peer in who.peers)

    def flows(self) -> list[tuple[str, str, str]]:
        """(source, target, address) of all workloads, and some addresses outside."""
        endpoints = self._placed.endpoints
        owned = {address for endpoint in endpoints.values() for address in endpoint.addresses}
        outside = [address for address in OUTSIDE if address not in owned]
        found = [(a, b, t) for a in endpoints for b, e in endpoints.items() if a != b for t in e.addresses]
        found += [(a, "", t) for a in endpoints for t in outside]
        found = [one for one in found if self._own(one[0], one[2])]
        return found + [
            (t, b, own)
            for t in outside
            for b, e in endpoints.items()
            if (own := e.address(6 if ":" in t else 4)) is not None
        ]


@settings(max_examples=60)
@given(worlds(), st.integers(0, 2**32))
def test_as_brute_force_says(placed: Placed, seed: int) -> None:
    claim = assertion(seed)
    (proof,) = verify(placed, compile_policy(placed), [claim])
    brute = Brute(placed, claim)
    refuted = [(*ends, *point) for ends in brute.flows() for point in POINTS if brute.refutes(*ends, *point)]
    if proof.counterexample is None:
        assert refuted == []
        return
    found = proof.counterexample
    assert brute.refutes(found.source, found.destination, found.address, found.protocol, found.port)
    assert proof.pairs >= 1


SHOP = build(kube(netpol("shop/p", labelled(app="db"), ingress=[rule(pods(app="web"), tcp(8080))])))
DB, WEB = (Who((Peer(Selector(labels=labelled(app=app))),)) for app in ("db", "web"))


def prove(*claims: Assertion) -> list[Proof]:
    return verify(SHOP, compile_policy(SHOP), claims)


def counterexample(claim: Assertion) -> Counterexample:
    found = prove(claim)[0].counterexample
    assert found is not None
    return found


def test_an_exception_is_not_spoken_of() -> None:
    only_web = Assertion("", False, Traffic((), (DB,)), (Traffic((WEB,), (), (PortRange(TCP, 8080),)),))
    assert prove(only_web)[0].holds
    other_port = Assertion("", False, Traffic((), (DB,)), (Traffic((WEB,), (), (PortRange(TCP, 8081),)),))
    found = counterexample(other_port)
    assert (found.source, found.destination, found.port) == ("shop/web", "shop/db", 8080)
    assert found.verdict.rule == "ingress NetworkPolicy shop/p[0]"


def test_allow_is_about_every_pair_and_port() -> None:
    assert prove(Assertion("", True, Traffic((WEB,), (), (PortRange(TCP, 8080),))))[0].counterexample is not None
    found = counterexample(Assertion("", True, Traffic((WEB,), (DB,), (PortRange(TCP, 8079, 8080),))))
    assert (found.port, found.verdict.rule) == (8079, "ingress NetworkPolicy shop/p isolates")


def test_what_means_nobody_is_told() -> None:
    (proof,) = prove(Assertion("", False, Traffic((Who((Peer(Selector(name="nobody")),)),))))
    assert proof.holds
    assert proof.idle == ("from",)


def test_outside_is_no_workload() -> None:
    assert prove(Assertion("", False, Traffic((Who(outside=True),), (DB,))))[0].holds
    found = counterexample(Assertion("", False, Traffic((DB,), (Who(outside=True),))))
    assert (found.destination, found.address) == ("", "0.0.0.0")


BAD = """\
assertions:
  - name: a
    deny: {from: [{lables: {tier: app}}], to: [{applications: [cluter]}], ports: [http/tcp]}
  - name: b
  - deny: {from: [{kind: pod}, {outside: true, kind: vm}]}
"""


def test_all_mistakes_of_a_file_at_once(tmp_path: Path) -> None:
    path = tmp_path / "claims.yaml"
    path.write_text(BAD)
    with pytest.raises(SpecError) as error:
        load(path, SHOP.model)
    found = [str(problem).removeprefix(f"{path}:") for problem in error.value.problems]
    starts = [
        '3:20: assertions[a].deny.from[0]: unknown field "lables" (did you mean "labels"?',
        '3:64: assertions[a].deny.to[0].applications[0]: application "cluter" is not defined',
        '3:83: assertions[a].deny.ports[0]: "http" is a name',
        "4:5: assertions[b]: needs exactly one of deny and allow",
        "5:32: assertions[2].deny.from[1]: has `outside` beside `kind`",
    ]
    assert [line.startswith(start) for line, start in zip(found, starts, strict=True)] == [True] * 5, found


def test_a_file_as_written(tmp_path: Path) -> None:
    path = tmp_path / "claims.yaml"
    path.write_text(
        "assertions:\n"
        "  - deny: {to: [{labels: {app: db}}], except: [{from: [{labels: {app: web}}], ports: [8080/tcp]}]}\n"
        "  - {name: out, allow: {from: [{not: [{labels: {app: db}}]}], to: [{outside: true}]}}\n"
    )
    first, second = load(path, SHOP.model)
    assert first == Assertion(
        "assertion 0", False, Traffic((), (DB,)), (Traffic((WEB,), (), (PortRange(TCP, 8080),)),), f"{path}:2"
    )
    assert second.traffic == Traffic((Who(none_of=(DB,)),), (Who(outside=True),))
    assert [proof.holds for proof in prove(first, second)] == [True, True]
