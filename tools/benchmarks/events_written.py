"""Policies and Services that come in the place of others, while a plan follows: how long each takes."""

from __future__ import annotations

import time
from random import Random

from msgspec.structs import replace

from sdn.model import Direction, LabelSelector, Model, NetworkPolicy, Placement, Service, ServicePort
from sdn.plan.live import LivePlan

NAME = "bench"
ADDRESS = "10.96.0.1"
TIMES = 300
"""Events of each kind: enough for a 99th percentile."""


def measure(live: LivePlan, seed: int, number: int = TIMES) -> dict[str, list[float]]:
    """Kind → seconds of each. What is written is made before the clock starts, as whoever asks for it has it."""
    dice = Random(seed)
    placed = live.placed
    model, placement = placed.model, placed.placement
    _become(live, model, placement)  # what single events left is put together once
    times: dict[str, list[float]] = {"policy": [], "service": []}
    for _ in range(number):
        one = dice.choice(model.workloads)
        where = one.namespace, one.labels["app"]
        model = _with_policy(model, *where)
        times["policy"].append(_become(live, model, placement))
        model = _with_service(model, *where, one.application)
        times["service"].append(_become(live, model, placement))
    return times


def _become(live: LivePlan, model: Model, placement: Placement) -> float:
    start = time.perf_counter()
    live.become(model, placement)
    return time.perf_counter() - start


def _with_policy(model: Model, namespace: str, app: str) -> Model:
    """One app is isolated, and no longer the one before."""
    policy = NetworkPolicy(namespace, NAME, LabelSelector((("app", app),)), (Direction.INGRESS,))
    others = (one for one in model.network_policies if one.name != NAME)
    policies = sorted((*others, policy), key=lambda one: (one.namespace, one.name))
    return replace(model, network_policies=tuple(policies))


def _with_service(model: Model, namespace: str, app: str, application: str) -> Model:
    """The pods of one app are behind the address, and no longer those of the one before."""
    ports = (ServicePort(80, 8080),)
    service = Service(namespace, NAME, application, {"app": app}, ports, (ADDRESS,))
    return replace(model, services=(*(one for one in model.services if one.name != NAME), service))
