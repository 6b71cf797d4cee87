"""The small texts of Kubernetes objects: names, labels, ports, quantities. ValueError says what is wrong.

Sources: apimachinery's validation (`IsDNS1123Label`, `IsQualifiedName`, `IsValidPortName`) and resource.Quantity.
"""

from __future__ import annotations

import re
from decimal import ROUND_CEILING, Decimal
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, PlainValidator, model_validator
from pydantic.alias_generators import to_camel

from sdn.model import Protocol
from sdn.spec.mistakes import nearest

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", re.ASCII)
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*", re.ASCII)
_QUALIFIED = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?", re.ASCII)
_PORT_NAME = re.compile(r"(?!.*--)(?=.*[a-z])[a-z0-9]([-a-z0-9]*[a-z0-9])?", re.ASCII)


class Written(BaseModel):
    """An object whose every field we interpret: another one is a mistake. Null is absent, as in Kubernetes."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, alias_generator=to_camel, defer_build=True)

    @model_validator(mode="before")
    @classmethod
    def _null_is_absent(cls, data: Any) -> Any:
        if isinstance(data, dict) and None in data.values():
            return {key: value for key, value in data.items() if value is not None}
        return data


class Loose(Written):
    """An object of which we read some fields; published manifests are full of the others."""

    model_config = ConfigDict(extra="ignore")


def dns_label(text: str) -> str:
    """At most 63 characters; namespaces and Services."""
    if len(text) <= 63 and _LABEL.fullmatch(text):
        return text
    raise ValueError(f'"{text[:80]}" is not a name; use at most 63 of a-z, 0-9 and -, a letter or digit at both ends')


def dns_subdomain(text: str) -> str:
    """At most 253 characters, dots allowed; most other objects."""
    if len(text) <= 253 and _SUBDOMAIN.fullmatch(text):
        return text
    raise ValueError(
        f'"{text[:80]}" is not a name; use at most 253 of a-z, 0-9, - and ., a letter or digit at both ends'
    )


def label_key(text: str) -> str:
    """`name` or `prefix/name`."""
    prefix, slash, name = text.rpartition("/")
    well_formed = 0 < len(name) <= 63 and _QUALIFIED.fullmatch(name)
    if well_formed and (not slash or (len(prefix) <= 253 and _SUBDOMAIN.fullmatch(prefix))):
        return text
    raise ValueError(f'"{text[:80]}" is not a label key; write "app" or "example.com/app" with at most 63 characters')


def label_value(text: str) -> str:
    """Empty is legal."""
    if not text or (len(text) <= 63 and _QUALIFIED.fullmatch(text)):
        return text
    raise ValueError(
        f'"{text[:80]}" is not a label value; use at most 63 letters, digits, -, _ and ., no sign at either end'
    )


def port_number(value: int) -> int:
    """1 to 65535."""
    if 1 <= value <= 65535:
        return value
    raise ValueError(f"{value} is not a port; ports go from 1 to 65535")


def port_name(text: str) -> str:
    """An IANA service name."""
    if len(text) <= 15 and _PORT_NAME.fullmatch(text):
        return text
    hint = "; write the number without quotes" if text.isdigit() else ""
    raise ValueError(
        f'"{text[:80]}" is not a port name: at most 15 of a-z, 0-9 and single -, at least one letter{hint}'
    )


def _number_or_name(value: Any) -> int | str:
    if isinstance(value, int) and not isinstance(value, bool):
        return port_number(value)
    if isinstance(value, str):
        return port_name(value)
    raise ValueError("a port is a number or a name; write 8080 or http")


_PROTOCOLS = ("TCP", "UDP", "SCTP")


def _protocol(value: Any) -> Protocol:
    if value in _PROTOCOLS:
        return Protocol(value.lower())
    raise ValueError(
        f"{value} is not a protocol here (there are: {', '.join(_PROTOCOLS)}){nearest(str(value), _PROTOCOLS)}"
    )


_UNITS = {"n": "1e-9", "u": "1e-6", "m": "1e-3", "": "1", "k": "1e3", "M": "1e6", "G": "1e9", "T": "1e12", "P": "1e15"}
_UNITS |= {"E": "1e18"} | {f"{unit}i": str(2 ** (10 * power)) for power, unit in enumerate("KMGTPE", start=1)}
_QUANTITY = re.compile(
    r"([0-9]{1,24}\.?[0-9]{0,24}|\.[0-9]{1,24})(?:([eE][-+]?[0-9]{1,2})|([numkMGTPE]|[KMGTPE]i)?)", re.ASCII
)


def quantity(value: Any) -> Decimal:
    """Kubernetes' Quantity in its base unit (cores, bytes): `100m`, `0.5`, `64Mi`, `1G`, `1e3`."""
    text = str(value)
    match = _QUANTITY.fullmatch(text) if isinstance(value, str | int | float) and not isinstance(value, bool) else None
    if match is None:
        raise ValueError(f'"{text[:40]}" is not a quantity; write for example 100m, 0.5, 64Mi or 1Gi')
    number, exponent, unit = match.groups()
    return Decimal(number + exponent) if exponent else Decimal(number) * Decimal(_UNITS[unit or ""])


def rounded_up(amount: Decimal, unit: Decimal) -> int:
    """How many `unit`s cover an amount."""
    return int((amount / unit).to_integral_value(ROUND_CEILING))


DnsLabel = Annotated[str, AfterValidator(dns_label)]
NamespaceName = Annotated[str, BeforeValidator(lambda value: value or "default"), AfterValidator(dns_label)]
Subdomain = Annotated[str, AfterValidator(dns_subdomain)]
LabelKey = Annotated[str, AfterValidator(label_key)]
LabelValue = Annotated[str, AfterValidator(label_value)]
Labels = dict[LabelKey, LabelValue]
PortNumber = Annotated[int, AfterValidator(port_number)]
PortName = Annotated[str, AfterValidator(lambda text: port_name(text) if text else "")]
NumberOrName = Annotated[int | str, PlainValidator(_number_or_name)]
ProtocolName = Annotated[Protocol, PlainValidator(_protocol)]
Quantity = Annotated[Decimal, PlainValidator(quantity)]
