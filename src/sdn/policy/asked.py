"""Flows as people write them, one after another: a verdict for each, from the oracle.

Ends are workloads by name, Services (`service:shop/web`), or addresses; a Host may ask, too. An address that nobody
has is outside, and policy alone judges it: whether a network leads there is not asked. Without a family, both are asked
that the lab speaks of, and one that allows is enough.
"""

from __future__ import annotations

from functools import lru_cache
from ipaddress import ip_address
from typing import NamedTuple

from sdn.errors import SdnError
from sdn.model import NO_PATH, Disposition, Flow, Placed, Protocol, Verdict, family_of
from sdn.policy.asked_judge import RememberingJudge
from sdn.policy.evaluate import Oracle
from sdn.policy.resolve import SERVICE, application_of, find_source, find_workload

REMEMBERED = 65_536
"""Answers that are kept: who asks millions of flows often asks one again."""

NOWHERE = Verdict(Disposition.NO_ROUTE, NO_PATH)


class End(NamedTuple):
    """One end of a flow: `key` of a workload (empty: none), and addresses by family."""

    key: str
    addresses: dict[int, str]


class Asked:
    """Answers flows of one lab."""

    def __init__(self, placed: Placed, families: tuple[int, ...]) -> None:
        self._placed = placed
        self._families = families
        self._oracle = Oracle(placed)
        self._oracle.judge = RememberingJudge(placed.model)
        self._hosts = {host.name for host in placed.model.underlay.hosts}
        self._services = {service.key: service.addresses for service in placed.model.services}
        self._owners: dict[str, list[str]] = {}
        for key, endpoint in placed.endpoints.items():
            for address in endpoint.addresses:
                self._owners.setdefault(str(ip_address(address)), []).append(key)
        self._virtual = {str(ip_address(text)) for addresses in self._services.values() for text in addresses}
        self.end = lru_cache(REMEMBERED)(self._end)
        self.verdict = lru_cache(REMEMBERED)(self._verdict)

    def _verdict(self, source: str, destination: str, protocol: Protocol, port: int, family: int = 0) -> Verdict:
        """What becomes of a flow; SdnError if an end is not there or cannot be one."""
        if source in self._hosts and find_source(self._placed, source) == source:
            return self._from_host(source, destination, protocol, port, family)
        sender, target = self.end(source), self.end(destination)
        if not sender.key and not target.key:
            raise SdnError(f"{source} and {destination} are both outside; at least one end must be a workload")
        first: Verdict | None = None
        for at in (family,) if family else self._asked(sender, target):
            verdict = self._over(at, sender, target, protocol, port)
            if verdict.allowed:
                return verdict
            first = first or verdict
        return first or NOWHERE

    def _from_host(self, host: str, destination: str, protocol: Protocol, port: int, family: int) -> Verdict:
        target = self.end(destination)
        if destination.startswith(SERVICE):
            return NOWHERE
        for address in (a for at, a in target.addresses.items() if family in {0, at}):
            own = self._placed.endpoints.get(target.key)
            application = own.application if own is not None else application_of(self._placed, host, address)
            (answer,) = self._oracle.evaluate(Flow(host, address, protocol, port, application))
            if answer.verdict.allowed:
                return answer.verdict
        return NOWHERE

    def _asked(self, sender: End, target: End) -> tuple[int, ...]:
        """An address says its family itself; names leave the choice to the lab."""
        written = [end for end in (sender, target) if len(end.addresses) == 1]
        return tuple(written[0].addresses) if written else self._families

    def _over(self, family: int, sender: End, target: End, protocol: Protocol, port: int) -> Verdict:
        own, address = sender.addresses.get(family), target.addresses.get(family)
        if own is None or address is None:
            return NOWHERE
        if not sender.key:
            return self._oracle.judge_ingress(own, target.key, protocol, port)
        flow = Flow(sender.key, address, protocol, port)
        if not target.key and address not in self._owners and address not in self._virtual:
            return self._oracle.judge_egress(flow)
        answers = self._oracle.evaluate(flow)
        # Where networks overlap, the address may be somebody else's for this sender.
        if target.key and answers[0].backend not in {target.key, ""}:
            return NOWHERE
        return next((answer.verdict for answer in answers if not answer.verdict.allowed), answers[0].verdict)

    def _end(self, text: str) -> End:
        try:
            address = str(ip_address(text))
        except ValueError:
            return self._named(text)
        owners = self._owners.get(address, [])
        family = family_of(address)
        return End(owners[0] if len(owners) == 1 else "", {family: address})

    def _named(self, text: str) -> End:
        if text.startswith(SERVICE):
            addresses = self._services.get(text.removeprefix(SERVICE), ())
            if not addresses:
                raise SdnError(
                    f"there is no service {text.removeprefix(SERVICE)!r} with an address; write namespace/name"
                )
            return End("", _by_family(addresses))
        key = text if text in self._placed.endpoints else find_workload(self._placed, text)
        if key not in self._placed.endpoints:
            raise SdnError(f"{key} has no address of its own, it shares its Host's network; ask another workload")
        return End(key, _by_family(self._placed.endpoints[key].addresses))


def _by_family(addresses: tuple[str, ...]) -> dict[int, str]:
    return {family_of(address): address for address in addresses}
