"""The IP family of an address in text, which everybody asks for; nothing else of addresses is the model's."""

from __future__ import annotations


def family_of(text: str) -> int:
    """4 or 6, of an address or a prefix."""
    return 6 if ":" in text else 4
