"""Our mark on everything that we make in a kernel, decided before the first object is made.

Nothing without it is ever changed or removed. It is only ever put on objects inside a lab's own namespaces; a lab
knows that it is in them by `MARKER`, which exists in the lab's private `/run` alone.
"""

from __future__ import annotations

from pathlib import Path

from sdn.errors import PrivilegeError

ALIAS = "sdn:"
"""Start of every link's alias; the rest is the link's full name, which 15 characters cannot hold."""

TABLE = "sdn"
"""Name of every nft table, in each family that we use."""

PROTOCOL = 0x5D
"""Routes, rules and neighbours carry this protocol number (none of iproute2's rt_protos has it)."""

UNDERLAY = 0x5E
"""The group of links that are ends of the underlay's cables. The firewall compares it with each packet's; to look a
device's name up takes longer."""

MARKER = Path("/run/sdn-lab")
"""Made by the launcher in the private tmpfs of a lab; holds the lab's name."""

ALIAS_LIMIT = 255
"""Bytes of an alias (the kernel's IFALIASZ less its end)."""


def alias(name: str) -> str:
    """The alias of a link of ours whose full name is `name`."""
    raw = (ALIAS + name).encode()
    return raw[:ALIAS_LIMIT].decode(errors="ignore")


def name_of(link_alias: str) -> str | None:
    """The full name that a link of ours was given, None if the link is not ours."""
    return link_alias[len(ALIAS) :] if link_alias.startswith(ALIAS) else None


def inside_lab() -> bool:
    """Whether this process sees a lab's private `/run`, not the machine's."""
    return MARKER.exists()


def require_lab(what: str) -> None:
    """PrivilegeError outside of a lab: whatever happens, the machine's own namespaces stay as they are."""
    if not inside_lab():
        raise PrivilegeError(
            f"cannot {what} outside of a lab: start one with `sdn up`, which has namespaces of its own"
        )
