"""The `scenario` of a lab file: what happens to the lab, when, and what must hold afterwards."""

# ruff: noqa: RUF012 - pydantic copies mutable defaults for every form

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, PlainValidator, Tag, WithJsonSchema

from sdn.spec.labfile import text
from sdn.spec.labfile.fields import TEXT, Form, LabelKey, by_kind

At = Annotated[int, PlainValidator(text.moment), WithJsonSchema(TEXT | {"examples": ["2s", "500ms", "1m"]})]
Named = Annotated[str, Field(min_length=1, max_length=200)]


class FailForm(Form):
    """One of these; `any` lets the seed choose."""

    host: Named | None = None
    vm: Named | None = None
    pod: Named | None = None
    switch: Named | None = None
    link: Named | None = None
    """A:B."""


class MigrateForm(Form):
    """One workload to a Host, or a pod to a node."""

    workload: Named
    host: Named


class ScaleForm(Form):
    """As many replicas as that."""

    workload: Named
    replicas: Annotated[int, Field(ge=1, le=200_000)]


class LabelForm(Form):
    """Labels of a workload, or of all replicas of one; an empty value removes the label."""

    empty_is_absent = False

    workload: Named
    labels: dict[LabelKey, str]


class RolloutForm(Form):
    """Every workload of an application, or of one owner, starts anew, batch by batch; or it is the hosts' turn."""

    application: Named | None = None
    hosts: bool = False
    """Each is drained and taken back."""
    max_unavailable: Annotated[int, Field(ge=1, le=200_000)] = 1


class StepForm(Form):
    """At that time at most one operation, then what must hold."""

    at: At
    """On the scenario's clock: 2s, 500ms, 1m."""
    fail: FailForm | None = None
    heal: Named | None = None
    drain: Named | None = None
    migrate: MigrateForm | None = None
    rebalance: bool = False
    scale: ScaleForm | None = None
    label: LabelForm | None = None
    rollout: RolloutForm | None = None
    refused: bool = False
    """The operation must be refused, or go back."""
    expect: list[
        Annotated[
            Annotated[str, Tag("text")] | Annotated[dict[str, str], Tag("mapping")],
            by_kind("expected a line such as `web → app 9090/tcp: allow`"),
        ]
    ] = []
    """Lines such as web → app 9090/tcp: allow, asked all three ways."""
    test: bool = False
    """Ask everything, as sdn test does, and read the kernel back."""


class ScenarioForm(Form):
    """Events for `sdn scenario`; every other verb takes the lab alone."""

    seed: Annotated[int, Field(ge=0, le=2**63 - 1)] = 0
    """Chooses wherever a step says any."""
    steps: Annotated[list[StepForm], Field(min_length=1)]


def line_of(written: str | dict[str, Any]) -> str:
    """YAML reads `a → b 80/tcp: allow` as a mapping of one key, quoted it is text."""
    return written if isinstance(written, str) else ", ".join(f"{key}: {value}" for key, value in written.items())
