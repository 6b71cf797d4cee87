"""Wait until every packet that was in a firewall's rules is through them.

A packet is in them for microseconds, unless the machine below takes the processor away meanwhile: then it meets in one
set what was and in another what two changes later is. No thread runs on a processor before the packet there is done
with, so whoever has run on each has waited for all (by this the kernel's own documentation explains `synchronize_rcu`:
RCU/whatisRCU.rst). With two processors it takes some 80 µs, where `membarrier`, which waits for the same and for more,
took 16 to 840 ms. A real-time kernel lets threads in between.
"""

from __future__ import annotations

import os
from contextlib import suppress


def visit() -> None:
    """Have this thread run on each processor that it may run on; those of the lab's workloads are among them."""
    allowed = os.sched_getaffinity(0)
    try:
        for one in sorted(allowed):
            with suppress(OSError):  # it has gone, and with it what it worked at
                os.sched_setaffinity(0, {one})
    finally:
        os.sched_setaffinity(0, allowed)
