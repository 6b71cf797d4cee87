"""The segments of a lab file's applications: what was written, checked, and subnets for those that left them out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from ipaddress import IPv4Network, IPv6Network, ip_network

from sdn.model import Segment, SegmentKind
from sdn.spec.labfile.complaints import Complaints, Path
from sdn.spec.labfile.forms import ApplicationForm, SegmentForm
from sdn.spec.labfile.text import Network

AUTO4 = IPv4Network("10.128.0.0/9")
AUTO6 = IPv6Network("fd00:128::/32")
"""Where subnets that nobody chose come from; each segment takes a /48 of it, an l2 one only the first /64 of that."""
KEPT_FREE = ("10.244.0.0/16", "fd00:10:244::/48")
"""The pods of Kubernetes manifests, which a lab's applications may be connected to."""
DEFAULT = "default"
"""The segment of an application that names none."""

Members = Mapping[tuple[str, str], int]
"""(application, segment) → number of workloads on it."""


def with_default(form: ApplicationForm) -> dict[str, SegmentForm]:
    """The segments of an application; every application has at least one."""
    return dict(form.segments) or {DEFAULT: SegmentForm()}


def build(
    forms: Mapping[str, ApplicationForm], members: Members, reserved: Iterable[str], complaints: Complaints
) -> dict[str, tuple[Segment, ...]]:
    """The segments of every application; `reserved` are further prefixes that automatic subnets stay away from."""
    written = [subnet for form in forms.values() for one in form.segments.values() for subnet in one.subnets]
    pool = _Pool([ip_network(text) for text in (*written, *reserved, *KEPT_FREE)])
    result: dict[str, tuple[Segment, ...]] = {}
    for application, form in sorted(forms.items()):
        path = ("applications", application, "segments")
        _check_overlap(form, path, complaints)
        segments = []
        for name, one in sorted(with_default(form).items()):
            count = members.get((application, name), 0)
            _check(one, count, (*path, name), complaints)
            subnets = tuple(sorted(one.subnets, key=lambda text: ":" in text))
            try:
                segments.append(_segment(name, one, subnets or pool.take(SegmentKind(one.kind), count)))
            except ValueError as error:
                complaints.at((*path, name), str(error))
        result[application] = tuple(segments)
    return result


def _segment(name: str, form: SegmentForm, subnets: tuple[str, ...]) -> Segment:
    return Segment(name, subnets, SegmentKind(form.kind), form.slice4 or 0, form.slice6 or 0)


def _check(form: SegmentForm, count: int, path: Path, complaints: Complaints) -> None:
    families: dict[int, str] = {}
    for index, text in enumerate(form.subnets):
        network, at = ip_network(text), (*path, "subnets", index)
        if network.version in families:
            other = families[network.version]
            complaints.at(at, f"{text} is a second IPv{network.version} subnet beside {other}; make it another segment")
            continue
        families[network.version] = text
        _check_use(network, at, complaints)
        _check_size(network, form, count, at, complaints)
    for field, version in (("slice4", 4), ("slice6", 6)):
        _check_slice(field, getattr(form, field), families.get(version), form, path, complaints)


def _check_use(network: Network, path: Path, complaints: Complaints) -> None:
    for what in ("multicast", "loopback", "link_local", "unspecified"):
        if getattr(network, f"is_{what}") or (what == "unspecified" and network.prefixlen == 0):
            complaints.at(path, f"{network} is {what.replace('_', '-')}; choose a private network such as 10.1.1.0/24")
            return


def _check_size(network: Network, form: SegmentForm, count: int, path: Path, complaints: Complaints) -> None:
    """All but the network's address, the gateway and IPv4's broadcast address are for workloads."""
    room = max(0, network.num_addresses - (3 if network.version == 4 else 2))
    if room < max(count, 1):
        have = f"{count} workload{'s' * (count != 1)}" if count else "any workload"
        complaints.at(path, f"{network} is too small for {have} (it has room for {room}); choose a shorter prefix")


def _check_slice(
    field: str, length: int | None, subnet: str | None, form: SegmentForm, path: Path, complaints: Complaints
) -> None:
    if length is None:
        return
    at = (*path, field)
    if form.kind != "routed":
        complaints.at(at, "belongs to routed segments; leave it out or write `kind: routed`")
    elif subnet is None:
        complaints.at(at, f"needs an IPv{field[-1]} subnet; write one in `subnets` or leave it out")
    elif length <= ip_network(subnet).prefixlen:
        complaints.at(at, f"{length} leaves no slice per host of {subnet}; write a longer prefix length")


def _check_overlap(form: ApplicationForm, path: Path, complaints: Complaints) -> None:
    """Between segments; two subnets of one segment differ in family or are a mistake already."""
    every = [
        (ip_network(text), name, index)
        for name, one in sorted(form.segments.items())
        for index, text in enumerate(one.subnets)
    ]
    every.sort(key=lambda one: (one[0].version, int(one[0].network_address), one[0].prefixlen))
    widest = every[0] if every else None
    for one in every[1:]:
        assert widest is not None
        if one[0].overlaps(widest[0]) and one[1] != widest[1]:
            message = f"{one[0]} overlaps {widest[0]} of segment {widest[1]}; choose another subnet"
            complaints.at((*path, one[1], "subnets", one[2]), message)
        if one[0].version != widest[0].version or int(one[0].broadcast_address) > int(widest[0].broadcast_address):
            widest = one


class _Pool:
    """Deals out subnets in order, past everything that is taken; the same for the same requests."""

    def __init__(self, taken: list[Network]) -> None:
        self._taken4 = [_range(one) for one in taken if one.version == 4]
        self._taken6 = [_range(one) for one in taken if one.version == 6]
        self._next4, self._next6 = int(AUTO4.network_address), int(AUTO6.network_address)

    def take(self, kind: SegmentKind, count: int) -> tuple[str, str]:
        """An IPv4 and an IPv6 subnet with twice the room for `count` workloads; ValueError if none is left."""
        routed = kind is SegmentKind.ROUTED
        length = 32 - max(16 if routed else 8, (2 * count + 3).bit_length())
        self._next4, first4 = _free(self._next4, 32 - length, self._taken4)
        self._next6, first6 = _free(self._next6, 80, self._taken6)
        if self._next4 > int(AUTO4.broadcast_address) + 1 or self._next6 > int(AUTO6.broadcast_address) + 1:
            raise ValueError(f"no subnet is left in {AUTO4} and {AUTO6}; write `subnets` for some segments")
        return str(IPv4Network((first4, length))), str(IPv6Network((first6, 48 if routed else 64)))


def _range(network: Network) -> tuple[int, int]:
    return int(network.network_address), int(network.broadcast_address)


def _free(start: int, bits: int, taken: list[tuple[int, int]]) -> tuple[int, int]:
    """Where to go on, and the first aligned block of 2**`bits` addresses from `start` that overlaps nothing taken."""
    size = 1 << bits
    first = -(-start // size) * size
    while clash := [end for begin, end in taken if begin < first + size and first <= end]:
        first = -(-(max(clash) + 1) // size) * size
    return first + size, first
