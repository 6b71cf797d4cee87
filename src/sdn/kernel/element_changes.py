"""Changes of elements, and of the chains and groups that events bring, as one transaction of our own messages.

That is what one event changes on most Hosts. libnftables reads the whole table before it adds one element.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from sdn.kernel import rule_messages
from sdn.kernel.elements import additions, removals
from sdn.kernel.messages import Message
from sdn.kernel.owned import TABLE
from sdn.kernel.rtnetlink import CHUNK, Batch, Netlink, batch
from sdn.kernel.ruleset import Elements

_COMMAND = re.compile(rf"(add|delete) element (\w+) {TABLE} (\w+) \{{ (.*) \}}")
_ENCODE = {"add": additions, "delete": removals}


def encoded(commands: Sequence[str]) -> list[Message] | None:
    """The messages that do what the commands say; None where one of them is more, or they are too many for one send."""
    found: list[Message] = []
    for command in commands:
        match = _COMMAND.fullmatch(command)
        if match is None:
            known = rule_messages.messages(command)
            if known is None:
                return None
            found += known
            continue
        verb, family, name, listed = match.groups()
        found += _ENCODE[verb]([Elements(name, listed.split(", "), family)])
    return found if sum(16 + len(one.body) for one in found) < CHUNK else None


@lru_cache(maxsize=16)
def _once(commands: tuple[str, ...]) -> Batch | None:
    """An event changes the same on most Hosts."""
    wanted = encoded(commands)
    return batch(wanted) if wanted else None


def send(commands: tuple[str, ...], netlink: Netlink) -> bool:
    """All commands as one transaction in the namespace of a socket to netfilter.

    False, and nothing has happened, where they are more than that, or the kernel refuses: libnftables says why.
    """
    wanted = _once(commands)
    return wanted is not None and netlink.commit(wanted)
