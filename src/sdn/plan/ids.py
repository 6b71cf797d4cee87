"""Names that the kernel sees, derived from names that people gave: the same input, the same name, on every Host.

Linux allows 15 bytes for an interface, so a name keeps what a person recognises and ends in a digest of the whole
key. Digests can collide; whoever puts several names in one place calls `check_unique` on them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from hashlib import blake2s

from sdn.errors import SdnError

NAME_LIMIT = 15
"""Bytes of an interface name: IFNAMSIZ without its terminating zero."""

NAMESPACE_LIMIT = 200
"""Bytes of a name under /run/netns; a file name holds 255, and Kubernetes allows 63 + 253 for namespace and name."""

_STEM = 8
_ORDINAL = 5  # the longest replica suffix that is worth keeping: `-x2kd9` of a Deployment's Pod
_UNSAFE = re.compile(r"[^A-Za-z0-9_-]+")


def _digest(key: str, size: int) -> str:
    """`size` bytes of blake2s in hex."""
    return blake2s(key.encode(), digest_size=size).hexdigest()


def _stem(name: str) -> str:
    """At most 8 characters by which a person knows the name: its start, and its replica number where it has one."""
    clean = _UNSAFE.sub("-", name).strip("-") or "w"
    if len(clean) <= _STEM:
        return clean
    head, _, ordinal = clean.rpartition("-")
    if head and 0 < len(ordinal) <= _ORDINAL:
        return head[: _STEM - 1 - len(ordinal)] + "-" + ordinal
    return clean[:_STEM]


@lru_cache(maxsize=1 << 14)
def port_name(workload_key: str) -> str:
    """The Host's end of a workload's interface: `shop/frontend-12` is `front-12.4f09ab`."""
    return f"{_stem(workload_key.rpartition('/')[2])}.{_digest(workload_key, 3)}"


def bridge_name(vni: int) -> str:
    """The bridge of an l2 Segment."""
    return f"br.{vni}"


def vxlan_name(vni: int) -> str:
    """The tunnel end of a Segment."""
    return f"vx.{vni}"


def uplink_name(index: int) -> str:
    """A node's `index`-th cable of the underlay."""
    return f"up{index}"


def mac_of(key: str) -> str:
    """A locally administered unicast MAC; with 40 bits, so one l2 Segment needs a check."""
    h = _digest(key, 5)
    return f"02:{h[0:2]}:{h[2:4]}:{h[4:6]}:{h[6:8]}:{h[8:10]}"


def namespace_of(workload_key: str) -> str:
    """The name under /run/netns: `shop/web-1` is `shop.web-1`. A Kubernetes namespace has no dot, so it is unique."""
    name = workload_key.replace("/", ".", 1).replace("/", "-")
    if len(name.encode()) <= NAMESPACE_LIMIT:
        return name
    return name.encode()[: NAMESPACE_LIMIT - 9].decode(errors="ignore") + "~" + _digest(workload_key, 4)


def check_unique(what: str, where: str, names: Iterable[tuple[str, str]]) -> None:
    """Refuse (name, owner) pairs in which two owners got one name; `what` and `where` are for the sentence.

    Raises SdnError with one line per name that is taken twice.
    """
    owners: dict[str, str] = {}
    clashes = []
    for name, owner in names:
        other = owners.setdefault(name, owner)
        if other != owner:
            clashes.append(
                f'{where}: "{other}" and "{owner}" would both get the {what} {name}; rename one of them or move it'
            )
    if clashes:
        raise SdnError("\n".join(sorted(clashes)))
