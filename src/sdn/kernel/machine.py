"""A picture of the machine's own network, to prove that a lab leaves it as it was.

Taken in the namespace of the calling thread. Counters, timers and learnt state are left out; everything that only an
administrator changes is in it. It only reads.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct

from sdn.kernel import namespaces
from sdn.kernel.libnft import Nft
from sdn.kernel.rtnetlink import Netlink

_CAP_NET_ADMIN = 12
_SYSCTLS = Path("/proc/sys/net")
# These change on their own: a count of what is there, a key drawn at random, cached destinations.
_RESTLESS = frozenset({"nf_conntrack_count", "tcp_fastopen_key"})


class Snapshot(Struct, frozen=True):
    """One line of text per thing, sorted, by kind (`links`, `routes`, `nft`, `sysctls` ...)."""

    lines: dict[str, tuple[str, ...]]


def snapshot() -> Snapshot:
    """The network of the calling thread's namespace as it is now."""
    with Netlink() as netlink:
        found: dict[str, Sequence[object]] = {
            "links": netlink.links(),
            "addresses": netlink.addresses(),
            "routes": netlink.routes(),
            "rules": netlink.rules(),
            "neighbours": [entry for entry in netlink.neighbours() if entry.permanent],
            "fdb": netlink.fdb(),
        }
    lines = {kind: tuple(sorted(str(value) for value in values)) for kind, values in found.items()}
    return Snapshot(lines | {"nft": _ruleset(), "sysctls": _sysctls(), "namespaces": tuple(namespaces.names())})


def _ruleset() -> tuple[str, ...]:
    if not _may_read_rules():
        return ("not readable by this user",)
    with Nft() as nft:
        return tuple(nft.run("list ruleset", stateless=True).splitlines())


def _may_read_rules() -> bool:
    # Asked beforehand, because libnftables writes its refusal straight to stderr.
    lines = Path("/proc/thread-self/status").read_text(encoding="ascii").splitlines()
    effective = next(line for line in lines if line.startswith("CapEff:"))
    return bool(int(effective.split()[1], 16) >> _CAP_NET_ADMIN & 1)


def _sysctls() -> tuple[str, ...]:
    found = []
    for folder, _, files in os.walk(_SYSCTLS):
        for name in files:
            if name in _RESTLESS:
                continue
            path = Path(folder, name)
            try:
                found.append(f"{path.relative_to(_SYSCTLS)} = {path.read_text(errors='replace').strip()}")
            except OSError:
                continue  # write-only, or another user's to read
    return tuple(sorted(found))


def differences(before: Snapshot, after: Snapshot) -> list[str]:
    """One line for each thing that appeared (+) or went away (-), the kind first; nothing if nothing was touched."""
    found = []
    for kind in sorted(before.lines.keys() | after.lines.keys()):
        old, new = before.lines.get(kind, ()), after.lines.get(kind, ())
        if old == new:
            continue
        found += [f"{kind}: - {line}" for line in old if line not in set(new)]
        found += [f"{kind}: + {line}" for line in new if line not in set(old)]
        if sorted(old) == sorted(new):
            found.append(f"{kind}: the order changed")
    return found
