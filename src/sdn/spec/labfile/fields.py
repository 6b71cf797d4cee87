"""Types of the fields of a lab file: each reads one text into its value and tells editors how it is written."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Annotated, Any, ClassVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    PlainValidator,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    WithJsonSchema,
    WrapValidator,
    model_validator,
)

from sdn.model import Port, PortRange, ServicePort
from sdn.spec.labfile import text

_SCALAR = (str, int, float)
TEXT: dict[str, Any] = {"type": "string"}
TEXT_OR_INTEGER: dict[str, Any] = {"type": ["string", "integer"]}
TEXT_OR_NUMBER: dict[str, Any] = {"type": ["string", "number"]}


def _read(read: Callable[[Any], Any]) -> PlainValidator:
    """Large files say the same many times, so what a text means is remembered; a mistake is not."""
    remembered = lru_cache(maxsize=100_000, typed=True)(read)

    def recalled(value: Any) -> Any:
        return remembered(value) if isinstance(value, _SCALAR) else read(value)

    return PlainValidator(recalled)


Name = Annotated[str, _read(text.name), WithJsonSchema(TEXT | {"pattern": "^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"})]
RuleName = Annotated[str, _read(text.rule_name), WithJsonSchema(TEXT | {"examples": ["web to db"]})]
WorkloadKey = Annotated[str, _read(text.workload_key), WithJsonSchema(TEXT | {"examples": ["shop/web"]})]
LabelKey = Annotated[str, _read(text.label_key), WithJsonSchema(TEXT)]
LabelValue = Annotated[str, _read(text.label_value), WithJsonSchema(TEXT)]
LabelValues = Annotated[
    list[LabelValue],
    BeforeValidator(lambda value: [value] if isinstance(value, str) else value),
    WithJsonSchema({"anyOf": [TEXT, {"type": "array", "items": TEXT}]}),
]
Labels = Annotated[dict[LabelKey, LabelValue], AfterValidator(lambda labels: dict(sorted(labels.items())))]
WorkloadPort = Annotated[
    Port,
    _read(text.workload_port),
    WithJsonSchema(TEXT_OR_INTEGER | {"examples": ["80/tcp", "http=8080/tcp"]}),
]
ServicePortText = Annotated[
    ServicePort,
    _read(text.service_port),
    WithJsonSchema(TEXT_OR_INTEGER | {"examples": ["80:8080/tcp", "http=80:http/tcp"]}),
]
RulePort = Annotated[
    PortRange,
    _read(text.rule_port),
    WithJsonSchema(TEXT_OR_INTEGER | {"examples": ["5432/tcp", "8000-8100/tcp", "http/tcp", "udp", "icmp"]}),
]
Cpu = Annotated[int, _read(text.cpu), WithJsonSchema(TEXT_OR_NUMBER | {"examples": [2, 0.5, "500m"]})]
Memory = Annotated[int, _read(text.memory), WithJsonSchema(TEXT | {"examples": ["256Mi", "4Gi"]})]
Bandwidth = Annotated[int, _read(text.bandwidth), WithJsonSchema(TEXT | {"examples": ["10Gbit"]})]
Loss = Annotated[int, _read(text.loss), WithJsonSchema(TEXT | {"examples": ["1%"]})]
Percent = Annotated[int, _read(text.percent), WithJsonSchema(TEXT | {"examples": ["200%"]})]
Delay = Annotated[int, _read(text.delay), WithJsonSchema(TEXT | {"examples": ["5ms"]})]
Interval = Annotated[int, _read(text.interval), WithJsonSchema(TEXT | {"examples": ["1s", "200ms"]})]
Subnet = Annotated[str, _read(text.subnet), WithJsonSchema(TEXT | {"examples": ["10.1.1.0/24"]})]
Block = Annotated[str, _read(text.block), WithJsonSchema(TEXT | {"examples": ["203.0.113.0/24"]})]
Address = Annotated[str, _read(text.address), WithJsonSchema(TEXT | {"examples": ["10.1.1.5"]})]


def _refuse_empty(value: Any) -> Any:
    if value is None or value == []:
        raise ValueError("is empty, which could be read as anybody or nobody; write something or remove the field")
    return value


NotEmpty = BeforeValidator(_refuse_empty)
"""For policies, where a list whose items were commented out must not come to mean "anybody"."""

Mtu = Annotated[int, Field(ge=1280, le=65535)]
Replicas = Annotated[int, Field(ge=0, le=200_000)]
Hosts = Annotated[int, Field(ge=1, le=10_000)]
Switches = Annotated[int, Field(ge=1, le=1_000)]


def recalled() -> WrapValidator:
    """For forms of which large files have many that are alike: one object then stands for all of them.

    What is written alike is read once; it is kept in the context of the validation, if that has one.
    """

    def recall(value: Any, read: ValidatorFunctionWrapHandler, info: ValidationInfo) -> Any:
        if info.context is None:
            return read(value)
        known = info.context.setdefault(recall, {})
        written = repr(value)
        if written not in known:
            known[written] = read(value)
        return known[written]

    return WrapValidator(recall)


class Form(BaseModel):
    """A mapping of a lab file. Unknown fields are refused, and nothing is converted: `replicas: "3"` is a mistake.

    A field without a value counts as left out, except in policies (see NotEmpty).
    """

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        frozen=True,
        use_attribute_docstrings=True,
        arbitrary_types_allowed=True,
        defer_build=True,
    )
    empty_is_absent: ClassVar[bool] = True

    @model_validator(mode="before")
    @classmethod
    def _leave_out_empty(cls, value: Any) -> Any:
        if value is None:
            return {}
        if isinstance(value, dict) and cls.empty_is_absent and None in value.values():
            return {key: one for key, one in value.items() if one is not None}
        return value


def by_kind(message: str) -> Discriminator:
    """Tells alternatives apart by what was written: number, text, list or mapping; so only one of them complains."""
    return Discriminator(_kind, custom_error_type="kind", custom_error_message=message)


def _kind(value: Any) -> str | None:
    if isinstance(value, bool):
        return None
    return {int: "number", str: "text", list: "list", dict: "mapping"}.get(type(value))
