"""Kubernetes' label selectors, which policies and the scheduler share."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct


class Operator(StrEnum):
    """NotIn and DoesNotExist match where the key is absent; In and Exists do not."""

    IN = "In"
    NOT_IN = "NotIn"
    EXISTS = "Exists"
    DOES_NOT_EXIST = "DoesNotExist"


class Requirement(Struct, frozen=True):
    """One matchExpressions element."""

    key: str
    operator: Operator
    values: tuple[str, ...] = ()


class LabelSelector(Struct, frozen=True):
    """All of it must hold; an empty selector matches everything (an absent one is None where it is used)."""

    labels: tuple[tuple[str, str], ...] = ()  # sorted by key
    expressions: tuple[Requirement, ...] = ()
