"""What a Pod asks for, and what it never gets more of.

Source: PodRequests of k8s.io/component-helpers/resource: init containers run one after another and before the others,
sidecars stay, and the Pod's own overhead comes on top.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from sdn.model import Resources
from sdn.spec.kubernetes import schema
from sdn.spec.kubernetes.fields import rounded_up

MILLI = Decimal("0.001")
MEBI = Decimal(2**20)
_UNITS = {"cpu": MILLI, "memory": MEBI}


def running(spec: schema.PodSpec) -> list[schema.Container]:
    """Containers that run as long as the Pod does: the init containers among them are sidecars."""
    return spec.containers + [one for one in spec.init_containers if _stays(one)]


def _stays(container: schema.Container) -> bool:
    return container.restart_policy == "Always"


def requests(spec: schema.PodSpec) -> tuple[int, int]:
    """Millicores and MiB."""
    return _request(spec, "cpu"), _request(spec, "memory")


def _request(spec: schema.PodSpec, what: str) -> int:
    overhead: Decimal = getattr(spec.overhead, what) or Decimal(0)
    own = spec.resources.asked(what)
    return rounded_up((_of_containers(spec, what) if own is None else own) + overhead, _UNITS[what])


def _of_containers(spec: schema.PodSpec, what: str) -> Decimal:
    """The most that is needed at once: while all run, or while one init container runs beside earlier sidecars."""
    sidecars, most = Decimal(0), Decimal(0)
    for one in spec.init_containers:
        amount = one.resources.asked(what) or Decimal(0)
        sidecars += amount if _stays(one) else 0
        most = max(most, sidecars if _stays(one) else sidecars + amount)
    return max(most, sidecars + sum((one.resources.asked(what) or Decimal(0) for one in spec.containers), Decimal(0)))


def limits(spec: schema.PodSpec) -> Resources | None:
    """Of a resource where every container has one, or the Pod itself; None where there is no limit at all."""
    cpu, memory = _limit(spec, "cpu"), _limit(spec, "memory")
    return None if cpu is None and memory is None else Resources(cpu_limit=cpu, memory_limit=memory)


def _limit(spec: schema.PodSpec, what: str) -> int | None:
    own: Decimal | None = getattr(spec.resources.limits, what)
    each: Sequence[Decimal | None] = [getattr(one.resources.limits, what) for one in running(spec)]
    if own is None and (not each or None in each):
        return None
    overhead: Decimal = getattr(spec.overhead, what) or Decimal(0)
    whole = own if own is not None else sum((one for one in each if one is not None), Decimal(0))
    return rounded_up(whole + overhead, _UNITS[what])
