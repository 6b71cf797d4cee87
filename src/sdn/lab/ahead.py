"""A holder that is started before its client has read a file: it imports meanwhile what it needs.

Apart from `client`, so that a command can start it before it imports what it needs itself.
"""

from __future__ import annotations

from sdn.kernel.sandbox import Ahead

HOLDER = "sdn.lab.holder"


def ahead() -> Ahead:
    """Enter it, and give it to `client.up` or `client.temporary`; if no lab comes of it, it ends with the block."""
    return Ahead(HOLDER)
