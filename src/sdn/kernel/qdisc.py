"""Messages that give a link a bandwidth, a delay or a loss.

`tbf` is everywhere; `netem` is missing from some kernels, whose PrivilegeError then says so (`features` asks first).
"""

from __future__ import annotations

from struct import Struct

from sdn.kernel.messages import ABSENT, PUT, REQUEST, Message, nest, raw, text, u32, u64

NEWQDISC, DELQDISC = 36, 37
_ROOT = 0xFFFFFFFF
_KIND, _OPTIONS = 1, 2
_TBF_PARMS, _TBF_RATE64, _TBF_BURST = 1, 4, 6
_NETEM_LATENCY64 = 10
_ETHERNET = 1  # rate.linklayer: without it the kernel wants a rate table

_TCMSG = Struct("=BxxxiIII").pack  # family, index, handle, parent, info
_RATE = Struct("=BBHhHI")  # cell log, link layer, overhead, cell align, mpu, rate in bytes/s
_TBF = Struct("=12s12sIII").pack  # rate, peak rate, limit in bytes, buffer and mtu in ticks
_NETEM = Struct("=IIIIII").pack  # latency in ticks, limit in packets, loss, gap, duplicate, jitter

_IMPAIRMENT = 1 << 16  # handle of the one queue that may have another below it
_QUEUE_MS = 50
_NETEM_LIMIT = 10_000


def _add(index: int, kind: str, options: bytes, what: str, handle: int = 0, parent: int = _ROOT) -> Message:
    body = _TCMSG(0, index, handle, parent, 0) + text(_KIND, kind) + options
    return Message(NEWQDISC, PUT, body, f"{what} on link {index}")


def bandwidth(index: int, mbit: int, mtu: int = 9000, *, delayed: bool = False) -> Message:
    """At most `mbit` Mbit/s leave the link; what waits longer than 50 ms is dropped.

    `delayed`: the link has an impairment already, which comes after it.
    """
    rate = mbit * 125_000
    burst = max(rate // 250, 2 * mtu + 100)  # 4 ms: a smaller bucket than a timer tick's worth cannot reach the rate
    limit = burst + rate * _QUEUE_MS // 1000
    parameters = _TBF(_RATE.pack(0, _ETHERNET, 0, 0, 0, min(rate, 0xFFFFFFFF)), bytes(12), limit, 0, 0)
    options = raw(_TBF_PARMS, parameters) + u32(_TBF_BURST, burst) + u64(_TBF_RATE64, rate)
    parent = _IMPAIRMENT | 1 if delayed else _ROOT
    return _add(index, "tbf", nest(_OPTIONS, options), f"limit to {mbit} Mbit/s", parent=parent)


def impairment(index: int, delay_ms: int = 0, loss_percent: int = 0) -> Message:
    """Everything that leaves the link is late by `delay_ms`, and `loss_percent` of it is lost (netem)."""
    loss = min(0xFFFFFFFF, loss_percent * 0x1_0000_0000 // 100)
    options = _NETEM(0, _NETEM_LIMIT, loss, 0, 0, 0) + u64(_NETEM_LATENCY64, delay_ms * 1_000_000)
    return _add(
        index, "netem", raw(_OPTIONS, options), f"delay by {delay_ms} ms and lose {loss_percent} %", _IMPAIRMENT
    )


def remove(index: int) -> Message:
    """Give the link its default queue back; it having that already is success."""
    body = _TCMSG(0, index, 0, _ROOT, 0)
    return Message(DELQDISC, REQUEST, body, f"remove the queue of link {index}", ABSENT)
