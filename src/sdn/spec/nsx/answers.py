"""Which documents are answers of NSX's APIs: told without what reads them, for most labs have none."""

from __future__ import annotations

from typing import Any

from sdn.spec.source import Document

_OTHERS = ("kind", "apiVersion", "lab")
"""Keys of Kubernetes objects and of lab files of ours."""


def is_nsx(document: Document) -> bool:
    """Whether a document is an answer of NSX's APIs, or a collection of such answers."""
    return _is_answer(document.data, 0)


def _is_answer(data: Any, depth: int) -> bool:
    if isinstance(data, list):
        return bool(data) and all(_is_answer(one, depth) for one in data)
    if not isinstance(data, dict) or not data or any(key in data for key in _OTHERS):
        return False
    if isinstance(data.get("resource_type"), str) or isinstance(data.get("results"), list):
        return True
    values = [one for one in data.values() if one]
    return depth < 2 and bool(values) and all(_is_answer(one, depth + 1) for one in values)
